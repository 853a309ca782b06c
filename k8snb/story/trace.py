"""The trace: how one write led to the next, from a command to running containers.

Interface: `last(history)`, `of_object(history, kind, namespace, name)`, `steps_of(changes)`, each a list of `Step`;
`summary(change)`; `folded(steps, most)`, the same with what repeats itself told once.
The rule not to break: a step follows from the one that its writer named as its cause; nothing is put in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from k8snb.apimachinery.differences import Difference, differences
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of, uid_of
from k8snb.apiserver.history import CREATED, DELETED, Change, History
from k8snb.story.actors import YOU, actor_of
from k8snb.story.commands import TooFewError, newest

LONGEST = 60  # characters of a value
MOST = 3  # differences that a summary tells
FIRST = ("phase", "spec.nodeName", "spec.replicas", "Ready", "spec", "replicas", "readyReplicas", "Available")
KUBELET, FEW_KUBELETS = "kubelet ", 3
NOISE = ("events", "leases")  # what is written without being wanted: reports and heartbeats


class Step(NamedTuple):
    """One write of a story. `cause` is the revision of the step before, 0 for the first; `what` a line for people."""

    revision: int
    time: float
    actor: str
    verb: str
    word: str
    what: str
    cause: int
    change: Change


def last(history: History) -> list[Step]:
    """What the newest command of a person led to until now; empty where nobody has done anything."""
    try:
        writes = newest(history)
    except TooFewError:
        return []
    return steps_of(_effects(history.since(0), {change.revision for change in writes}))


def of_object(history: History, kind: Kind, namespace: str, name: str) -> list[Step]:
    """What happened to an object and to all that it owns, with the writes that led there."""
    changes = history.since(0)
    lives = history.of(kind, namespace, name)
    if not lives:
        return []
    family = _family(changes, uid_of(lives[-1].obj))
    told = {change.revision for change in changes if uid_of(change.obj) in family}
    return steps_of(_with_causes(changes, told))


def chain(history: History, revision: int) -> list[Step]:
    """A write and what led to it, the first cause first: the write that its writer named, and where a part wrote what
    its runtime or the clock told it, what somebody else had last written about that object."""
    steps: list[Change] = []
    while revision >= max(history.oldest, 1) and (change := history.at(revision)) is not None:
        steps.append(change)
        revision = _led_to(history, change)
    return steps_of(reversed(steps))


def _led_to(history: History, change: Change) -> int:
    """The revision that a write follows from; 0 for a person's, and where nothing is known."""
    if 0 < change.cause < change.revision:
        return change.cause
    if actor_of(change.actor) == YOU:
        return 0
    lives = history.of(change.kind, namespace_of(change.obj), name_of(change.obj))
    others = [each.revision for each in lives if each.revision < change.revision and each.actor != change.actor]
    return others[-1] if others else 0


def _effects(changes: list[Change], told: set[int]) -> list[Change]:
    """The changes with these revisions, and all that they caused. What a part writes about one of these objects without
    a cause in the cluster, it was told by the runtime or the clock: that belongs to the story."""
    found = []
    uids: set[str] = set()
    for change in changes:
        own = not change.cause and uid_of(change.obj) in uids and actor_of(change.actor) != YOU
        if change.revision in told or change.cause in told or own:
            told.add(change.revision)
            uids.add(uid_of(change.obj))
            found.append(change)
    return found


def _with_causes(changes: list[Change], told: set[int]) -> list[Change]:
    by_revision = {change.revision: change for change in changes}
    waiting = list(told)
    while waiting:
        cause = by_revision[waiting.pop()].cause
        if cause in by_revision and cause not in told:
            told.add(cause)
            waiting.append(cause)
    return [change for change in changes if change.revision in told]


def _family(changes: list[Change], uid: str) -> set[str]:
    """The uids of an object and of all that it owns, over any number of generations."""
    family = {uid}
    for change in changes:
        owners = change.obj["metadata"].get("ownerReferences") or ()
        if any(owner["uid"] in family for owner in owners):
            family.add(uid_of(change.obj))
    return family


def steps_of(changes: Iterable[Change]) -> list[Step]:
    """Changes as steps, without those that nobody wanted."""
    return [
        Step(change.revision, change.time, actor_of(change.actor), change.verb, change.word, summary(change),
             change.cause, change)
        for change in changes
        if change.kind.plural not in NOISE
    ]  # fmt: skip


def folded(steps: Sequence[Step], most: int) -> list[Step]:
    """The steps as they are where they are few. Of more, those that do the same to objects of one kind become one step,
    `pod ×60`, at the place of the first; several kubelets become `kubelets`. What follows from one of them follows from
    that step."""
    if len(steps) <= most:
        return list(steps)
    kubelets = {step.actor for step in steps if step.actor.startswith(KUBELET)}
    groups: dict[tuple[str, ...], list[Step]] = {}
    for step in steps:
        actor = "kubelets" if len(kubelets) > FEW_KUBELETS and step.actor in kubelets else step.actor
        kind = step.word.partition("/")[0]
        groups.setdefault((actor, step.verb, kind, _shape(step.what)), []).append(step._replace(actor=actor))
    place = {step.revision: group[0].revision for group in groups.values() for step in group}
    return sorted(
        (_one_for_all(group)._replace(cause=place.get(group[0].cause, group[0].cause)) for group in groups.values()),
        key=lambda step: step.revision,
    )


def _shape(what: str) -> str:
    """What a step did, without the names and numbers of the one object."""
    return re.sub(r"[\w.-]*\d[\w.:-]*|for \S+", "#", what)


def _one_for_all(group: Sequence[Step]) -> Step:
    first, last = group[0], group[-1]
    if len(group) == 1:
        return first
    kind = first.word.partition("/")[0]
    objects = len({step.word for step in group})
    word = f"{kind} ×{objects}" if objects > 1 else first.word
    times = f", {len(group)} times" if len(group) > objects else ""
    return first._replace(word=word, what=f"{first.what}{times}, to revision {last.revision}".lstrip(", "))


def summary(change: Change) -> str:
    """What a write did, in a line: `spec.replicas 2 → 3`, `phase Pending → Running`."""
    if change.sort == CREATED:
        return _created(change.obj)
    if change.sort == DELETED:
        return "gone"
    found = differences(change.before or {}, change.obj)
    deleted = next((each for each in found if each.path == "metadata.deletionTimestamp"), None)
    if deleted is not None and deleted.old is None:
        return "marked for deletion"
    told = sorted(filter(None, map(tell_difference, found)), key=_interest)
    if not told:
        return ", ".join(each.path.rpartition(".")[2] for each in found[:1])
    more = f", {len(told) - MOST} more" if len(told) > MOST else ""
    return ", ".join(told[:MOST]) + more


def _interest(text: str) -> int:
    """What people look for comes first."""
    return next((at for at, word in enumerate(FIRST) if text.startswith(word)), len(FIRST))


def _created(obj: Object) -> str:
    owner = next((ref for ref in obj["metadata"].get("ownerReferences") or () if ref.get("controller")), None)
    replicas = get_path(obj, "spec.replicas")
    parts = [f"replicas {replicas}" if replicas is not None else "", f"for {owner['name']}" if owner else ""]
    return ", ".join(filter(None, parts))


def tell_difference(found: Difference) -> str:
    """One difference; "" for one that only repeats another: times, and the parts of a condition beside its status."""
    name = found.path.rpartition(".")[2]
    if name.endswith(("Time", "Timestamp", "observedGeneration")) or (
        "conditions[" in found.path and not found.path.endswith((".status", "]"))
    ):
        return ""
    path = found.path.removeprefix("status.")
    if path.startswith("conditions["):
        path = path.removeprefix("conditions[").removesuffix("].status")
    if found.old is None:
        return f"{path} → {_short(found.new)}"
    return f"-{path}" if found.new is None else f"{path} {_short(found.old)} → {_short(found.new)}"


def _plain(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value) if _plain(value) else "…"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
