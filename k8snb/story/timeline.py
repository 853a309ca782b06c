"""Timelines: in which state each object was, from when to when, read from the revision log.

Interface: `timeline(changes, end) -> [Lane]`; `collapsed(lanes, most)`; `state_of(obj)`; `Lane`, `Span`.
The rule not to break: a state is what kubectl prints for it; what is drawn began with a revision that is named.
Real Kubernetes remembers the last transition of each condition, and nothing of those before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, controller_of, get_path, is_deleting, is_true, uid_of
from k8snb.apiserver.history import DELETED, Change
from k8snb.printers import pods
from k8snb.story.actors import actor_of

READY, RUNNING, TERMINATING = "Ready", "Running", "Terminating"
FINE = 60  # spans of a lane that stands for many


class Span(NamedTuple):
    """One state, from a revision on. Times are seconds since the epoch; `end` is that of the next state."""

    state: str
    start: float
    end: float
    revision: int
    actor: str


@dataclass
class Lane:
    """One object, or `many` that one owner has. `over` says that it is gone."""

    word: str
    kind: str
    uid: str
    owner: str = ""
    spans: list[Span] = field(default_factory=list)
    over: bool = False
    many: int = 1


def state_of(obj: Object) -> str:
    """What kubectl says of an object in a word or two: `ContainerCreating`, `Ready`, `2/3 ready`, `Complete`."""
    tell = _STATES.get(obj["kind"])
    if tell is None:
        return TERMINATING if is_deleting(obj) else str(get_path(obj, "status.phase", "") or "there")
    return tell(obj)


def _pod(pod: Object) -> str:
    word = pods.status(pod)
    return READY if word == RUNNING and is_true(pod, READY) else word


def _sized(obj: Object) -> str:
    if is_deleting(obj):
        return TERMINATING
    wanted = get_path(obj, "spec.replicas", 1)
    return f"{get_path(obj, 'status.readyReplicas', 0)}/{wanted} ready"


def _daemon(obj: Object) -> str:
    status = obj.get("status") or {}
    return f"{status.get('numberReady', 0)}/{status.get('desiredNumberScheduled', 0)} ready"


def _job(obj: Object) -> str:
    for sort in ("Complete", "Failed", "Suspended"):
        if is_true(obj, sort):
            return sort
    status = obj.get("status") or {}
    return f"{status.get('succeeded', 0)}/{get_path(obj, 'spec.completions', 1)} done"


def _node(obj: Object) -> str:
    ready = READY if is_true(obj, READY) else "NotReady"
    return f"{ready},SchedulingDisabled" if get_path(obj, "spec.unschedulable") else ready


_STATES: Mapping[str, Callable[[Object], str]] = {
    "Pod": _pod, "Deployment": _sized, "ReplicaSet": _sized, "StatefulSet": _sized, "ReplicationController": _sized,
    "DaemonSet": _daemon, "Job": _job, "Node": _node,
}  # fmt: skip
KINDS = (*_STATES, "CronJob", "PersistentVolumeClaim")  # what has a state that changes


def timeline(changes: Iterable[Change], end: float) -> list[Lane]:
    """The lanes of the objects that these changes are about, owners above what they own; states that last go on until
    `end`."""
    lanes: dict[str, Lane] = {}
    for change in changes:
        uid = uid_of(change.obj)
        lane = lanes.get(uid)
        if lane is None:
            owner = controller_of(change.obj) or {}
            lane = lanes[uid] = Lane(change.word, change.obj["kind"], uid, owner.get("uid", ""))
        _extend(lane, change)
    for lane in lanes.values():
        if not lane.over and lane.spans:
            lane.spans[-1] = lane.spans[-1]._replace(end=max(end, lane.spans[-1].start))
    return _ordered([lane for lane in lanes.values() if lane.spans])


def _extend(lane: Lane, change: Change) -> None:
    """One change more: the last state ends, where it is another one by now."""
    if lane.spans:
        lane.spans[-1] = lane.spans[-1]._replace(end=change.time)
    if change.sort == DELETED:
        lane.over = True
        return
    state = state_of(change.obj)
    if not lane.spans or lane.spans[-1].state != state:
        lane.spans.append(Span(state, change.time, change.time, change.revision, actor_of(change.actor)))


def _ordered(lanes: Sequence[Lane]) -> list[Lane]:
    """Owners, each followed by what it owns, in the order in which they were made."""
    known = {lane.uid for lane in lanes}
    below: dict[str, list[Lane]] = {}
    for lane in lanes:
        below.setdefault(lane.owner if lane.owner in known else "", []).append(lane)
    found: list[Lane] = []
    waiting = below.get("", [])[::-1]
    while waiting:
        lane = waiting.pop()
        found.append(lane)
        waiting += below.get(lane.uid, [])[::-1]
    return found


def collapsed(lanes: Sequence[Lane], most: int) -> list[Lane]:
    """No more lanes than that: the pods of the largest families become one lane each, then the newest are left out."""
    kept = list(lanes)
    families: dict[str, list[Lane]] = {}
    for lane in lanes:
        if lane.kind == "Pod" and lane.owner:
            families.setdefault(lane.owner, []).append(lane)
    for family in sorted(families.values(), key=len, reverse=True):
        if len(kept) <= most or len(family) < 3:
            break
        place = kept.index(family[0])
        members = {id(lane) for lane in family}
        kept = [lane for lane in kept if id(lane) not in members]
        kept.insert(place, _together(family))
    return kept[:most]


def _together(family: Sequence[Lane]) -> Lane:
    """One lane for many: how many of those that are there are ready."""
    moments = sorted({span.start for lane in family for span in lane.spans}
                     | {lane.spans[-1].end for lane in family if lane.over})  # fmt: skip
    moments = moments[:: max(len(moments) // FINE, 1)]
    end = max(lane.spans[-1].end for lane in family)
    word = family[0].word.partition(" ")
    lane = Lane(f"{word[0].rpartition('-')[0]}-…{word[1]}{word[2]}", "Pod", "", family[0].owner, many=len(family))
    for at, moment in enumerate(moments):
        until = moments[at + 1] if at + 1 < len(moments) else end
        there = [span for each in family for span in each.spans if span.start <= moment < span.end]
        ready = sum(span.state in (READY, "Completed") for span in there)
        newest = max(there, key=lambda span: span.revision, default=family[0].spans[0])
        state = f"{ready}/{len(there)} ready"
        if lane.spans and lane.spans[-1].state == state:
            lane.spans[-1] = lane.spans[-1]._replace(end=until)
        else:
            lane.spans.append(Span(state, moment, until, newest.revision, newest.actor))
    lane.over = all(each.over for each in family)
    return lane
