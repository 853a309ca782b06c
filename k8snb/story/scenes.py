"""Scenes: the few moments of a stretch of history that show what happened in it.

Interface: `scenes(history, after, until, most) -> [Scene]`; `mattering(history, after, until)`; `tell(change)`, what
mattered about a write, or None.
The rule not to break: a scene is chosen by rule (who wrote, births and ends, phases, readiness, owners, counts, and
how long it stayed like that), and every write that mattered is told in the scene that follows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, condition, controller_of, get_path, is_deleting, is_true
from k8snb.apiserver.history import CREATED, DELETED, Change, History
from k8snb.story.actors import YOU, actor_of
from k8snb.story.trace import NOISE, summary

MOST = 8  # scenes of a film
LINES = 6  # of what a scene tells
COMMAND, TROUBLE, BIRTH, TURN, COUNT = 5, 4, 3, 2, 1  # how much each sort of write matters
_NUMBER = re.compile(r"\d+")
UNTOLD = (*NOISE, "endpointslices", "endpoints", "controllerrevisions")
SHORTEST = 0.05  # seconds of a rest
RESTS = (0.0, 0.2, 1.0, 5.0)  # seconds of rests that are unlike each other


class Told(NamedTuple):
    """What mattered about a write: its weight, and it in a word or two that fit many objects."""

    weight: int
    what: str


Mattering = tuple[Change, Told]


class Scene(NamedTuple):
    """One moment: its revision and time, and what mattered since the scene before, line by line."""

    revision: int
    time: float
    lines: tuple[str, ...]
    changes: tuple[Change, ...]


def mattering(history: History, after: int, until: int) -> list[Mattering]:
    """The writes after a revision, up to and with another, that mattered."""
    return [(change, told) for change in history.between(after, until) if (told := tell(change)) is not None]


def scenes(
    history: History, after: int, until: int, most: int = MOST, *, told: Sequence[Mattering] | None = None
) -> list[Scene]:  # fmt: skip
    """The moment before, and those of the writes after it that matter most; the last one is how it ended. `told` are
    the writes that mattered, where somebody knows them already."""
    told = mattering(history, after, until) if told is None else told
    chosen = _chosen(told, most - 1)
    found = [Scene(after, history.time_of(after), ("before it began",), ())]
    begin = 0
    for place in chosen:
        part = told[begin : place + 1]
        last = part[-1][0]
        found.append(Scene(last.revision, last.time, tuple(_lines(part)), tuple(change for change, _ in part)))
        begin = place + 1
    return found


def _chosen(told: Sequence[Mattering], most: int) -> list[int]:
    """The places of the writes to show: each ends a burst. A film is cut where it stayed as it was for longest, and
    of equal rests after what matters most; it always has the last."""
    bursts = list(_bursts(told))
    if not bursts:
        return []
    best = sorted(bursts[:-1], reverse=True)[: most - 1]
    return sorted(place for *_, place in (*best, bursts[-1]))


def _bursts(told: Sequence[Mattering]) -> Iterator[tuple[int, int, float, int]]:
    """Of each burst of writes: how long a rest followed it (by steps), how much it matters, that rest in seconds, and
    the place of its last write.

    What has been told before, word for word, matters no more: a crash loop is shown once.
    """
    weight, known = 0, set[tuple[str, str]]()
    for place, (change, each) in enumerate(told):
        line = change.word, each.what
        weight = max(weight, 0 if line in known else each.weight)
        known.add(line)
        rest = told[place + 1][0].time - change.time if place + 1 < len(told) else 0.0
        if rest >= SHORTEST or place + 1 == len(told):
            yield (sum(rest >= each for each in RESTS) if weight else 0), weight, rest, place
            weight = 0


# what matters


def tell(change: Change) -> Told | None:
    """None for what nobody wants to see: heartbeats, reports, bookkeeping."""
    if change.kind.plural in UNTOLD:
        return None
    if actor_of(change.actor) == YOU:
        return Told(COMMAND, f"you: {change.verb}")
    return next((told for find in _FINDERS if (told := find(change)) is not None), None)


def _birth(change: Change) -> Told | None:
    if change.sort == CREATED:
        return Told(BIRTH, "created") if "all" in change.kind.categories or change.kind.kind == "Node" else None
    if change.sort == DELETED:
        return Told(BIRTH, "gone")
    marked = is_deleting(change.obj) and not is_deleting(change.before or {"metadata": {}})
    return Told(TURN, "being deleted") if marked else None


def _trouble(change: Change) -> Told | None:
    before, after = (_waiting(obj) for obj in (change.before or {}, change.obj))
    return Told(TROUBLE, after) if after != before and after.endswith(("BackOff", "Error", "ErrImagePull")) else None


def _waiting(obj: Object) -> str:
    """Why a pod's container does not run, or has ended badly."""
    for status in get_path(obj, "status.containerStatuses") or ():
        state = status.get("state") or {}
        if word := get_path(state, "waiting.reason") or get_path(state, "terminated.reason"):
            return str(word)
    return ""


def _phase(change: Change) -> Told | None:
    before, after = (get_path(obj, "status.phase") for obj in (change.before or {}, change.obj))
    return Told(TROUBLE if after == "Failed" else TURN, str(after)) if after and after != before else None


def _ready(change: Change) -> Told | None:
    for sort in ("Ready", "Complete"):
        known = condition(change.obj, sort) is not None
        if known and is_true(change.obj, sort) != is_true(change.before or {}, sort):
            ready = is_true(change.obj, sort)
            word = sort.lower() if ready else f"not {sort.lower()}"
            return Told(TURN if ready or change.kind.kind != "Node" else TROUBLE, word)
    return None


def _owner(change: Change) -> Told | None:
    if change.before is None:
        return None
    before, after = ((controller_of(obj) or {}).get("name") for obj in (change.before, change.obj))
    return Told(TURN, f"now owned by {after}" if after else f"let go by {before}") if before != after else None


def _scheduled(change: Change) -> Told | None:
    if change.kind.kind != "Pod" or change.before is None:
        return None
    node = get_path(change.obj, "spec.nodeName")
    return Told(COUNT, "scheduled") if node and node != get_path(change.before, "spec.nodeName") else None


def _count(change: Change) -> Told | None:
    if change.before is None:
        return None
    for path, form in (("spec.replicas", "scaled to {}"), ("status.readyReplicas", "{} ready")):
        before, after = (get_path(obj, path) or 0 for obj in (change.before, change.obj))
        if before != after:
            return Told(BIRTH if path.startswith("spec") else COUNT, form.format(after))
    return None


_FINDERS: tuple[Callable[[Change], Told | None], ...] = (_trouble, _birth, _phase, _owner, _ready, _scheduled, _count)


# how it is told


def _lines(part: Iterable[Mattering]) -> list[str]:
    """`you: create deployment/web`, `3 pods Running`: the same of many in one line; of counts, the last."""
    groups: dict[tuple[str, str], dict[str, Change]] = {}
    for change, told in part:
        if _NUMBER.search(told.what):
            _forget(groups, change.word, _NUMBER.sub("N", told.what))
        groups.setdefault((change.kind.singular, told.what), {})[change.word] = change
    lines = [_line(kind, what, named) for (kind, what), named in groups.items()]
    more = len(lines) - LINES
    return lines if more <= 1 else [*lines[:LINES], f"and {more} things more"]


def _forget(groups: dict[tuple[str, str], dict[str, Change]], word: str, form: str) -> None:
    """Of an object's counts, drop the one before."""
    for key, named in list(groups.items()):
        if word in named and _NUMBER.sub("N", key[1]) == form:
            del named[word]
            if not named:
                del groups[key]


def _line(kind: str, what: str, named: Mapping[str, Change]) -> str:
    word, change = next(iter(named.items()))
    if not what.startswith("you: "):
        return f"{word} {what}" if len(named) == 1 else f"{len(named)} {kind}s {what}"
    done = "" if change.sort == DELETED else summary(change)
    return f"{what} {word} {done}".strip() if len(named) == 1 else f"{what} {len(named)} {kind}s"
