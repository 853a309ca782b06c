"""Futures: two clusters at one moment, side by side: what is unlike, and how many pods each had on the way.

Interface: `unlike(a, b, …) -> [Unlike]`, `counts(a, b, …) -> [Count]`; each side is a `Then`.
The rule not to break: both sides are read at the same moment of their time; uids, times and names made by chance are no
difference: pods that only one side has are counted by what owns them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from k8snb.apimachinery.differences import Difference, differences
from k8snb.apimachinery.kinds import Kind, preferred
from k8snb.apimachinery.meta import Object, controller_of, get_path, is_deleting, is_true, name_of, namespace_of
from k8snb.apiserver.history import Change, History
from k8snb.printers.pods import status as pod_status
from k8snb.story.moments import Moment
from k8snb.story.scenes import UNTOLD
from k8snb.story.then import Then
from k8snb.story.trace import tell_difference
from k8snb.trace import BOOT

BESIDE = ("Node", "ConfigMap", "Secret", "PersistentVolumeClaim", "Ingress", "Namespace", "ResourceQuota", "LimitRange",
          "NetworkPolicy", "PodDisruptionBudget")  # fmt: skip
CHANCE = re.compile(
    r"[.\]](uid|resourceVersion|generation|observedGeneration|containerID|podIPs?|clusterIPs?|nodePort)\b"
    r"|controller-uid\b|(startedAt|finishedAt)$|Time$|Timestamp$|deployment\.kubernetes\.io/"
)
SHOWN = 3  # differences of one object
ROWS = 12  # moments of a count
ABSENT = "—"


class Unlike(NamedTuple):
    """One object, or the pods of one owner: how it is on each side, and what is different."""

    word: str
    left: str
    right: str
    what: str


class Count(NamedTuple):
    """One moment: seconds after the beginning, and on each side how many pods are ready, and how many there are."""

    seconds: float
    left: tuple[int, int]
    right: tuple[int, int]


Key = tuple[Kind, str, str]


def unlike(left: Then, right: Then, namespace: str, kinds: Sequence[Kind] = ()) -> list[Unlike]:
    """What is not the same, objects first, then pods that only one side has, by their owners."""
    sides = [dict(_objects(then, namespace, kinds)) for then in (left, right)]
    found: list[Unlike] = []
    alone: tuple[list[Object], list[Object]] = ([], [])
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        a, b = (side.get(key) for side in sides)
        if (a is None or b is None) and _is_by_chance(a or b or {}):
            alone[0 if b is None else 1].append(a or b or {})
        elif (row := _row(key[0], a, b)) is not None:
            found.append(row)
    return [*found, *_by_owner(*alone)]


def _objects(then: Then, namespace: str, kinds: Sequence[Kind]) -> Iterator[tuple[Key, Object]]:
    for kind in preferred(then.client.kinds()):
        wanted = kind in kinds if kinds else "all" in kind.categories or kind.kind in BESIDE
        if wanted and "list" in kind.verbs and kind.plural not in UNTOLD and not kind.remote:
            for obj in then.client.items(kind, namespace if kind.namespaced else ""):
                yield (kind, namespace_of(obj), name_of(obj)), obj


def _is_by_chance(obj: Object) -> bool:
    """Whether its name was made up: who compares it asks how many there are."""
    return bool(obj["metadata"].get("generateName"))


def _row(kind: Kind, a: Object | None, b: Object | None) -> Unlike | None:
    word = f"{kind.singular}/{name_of(a or b or {})}"
    if a is None or b is None:
        return Unlike(word, state(a), state(b), "only on one side")
    if a is b:
        return None
    told = [each for each in differences(a, b) if _matters(each)]
    if not told:
        return None
    lines = [each.path if kind.builtin == "secrets" else _side_by_side(each) for each in told[:SHOWN]]
    more = [f"{len(told) - SHOWN} more"] if len(told) > SHOWN else []
    return Unlike(word, state(a), state(b), ", ".join([*lines, *more]))


def _matters(found: Difference) -> bool:
    """Data are what somebody wrote, whatever they are called."""
    return found.path.startswith("data") or (not CHANCE.search(found.path) and bool(tell_difference(found)))


def _side_by_side(found: Difference) -> str:
    """`spec.replicas: 5 | 3`."""
    old, new = (ABSENT if each is None else each for each in (found.old, found.new))
    plain = not any(isinstance(each, dict | list) for each in (old, new))
    return f"{found.path.removeprefix('status.')}: {old} | {new}" if plain else found.path


def state(obj: Object | None) -> str:
    """`2/3 ready`, `Running`, or that there is none."""
    if obj is None:
        return ABSENT
    if obj["kind"] == "Pod":
        return pod_status(obj)
    wanted = get_path(obj, "spec.replicas", get_path(obj, "status.desiredNumberScheduled"))
    if wanted is not None:
        return f"{get_path(obj, 'status.readyReplicas', get_path(obj, 'status.numberReady', 0))}/{wanted} ready"
    if obj["kind"] == "Node":
        return "Ready" if is_true(obj, "Ready") else "NotReady"
    return get_path(obj, "status.phase") or "is there"


def _by_owner(left: Iterable[Object], right: Iterable[Object]) -> Iterator[Unlike]:
    """`pods of replicaset/web-1`: those that only one side has, unless they are as many alike."""
    sides = [_grouped(objects) for objects in (left, right)]
    for group in dict.fromkeys([*sides[0], *sides[1]]):
        a, b = (side.get(group, Counter()) for side in sides)
        if a != b:
            yield Unlike(group, _counted(a), _counted(b), "names made by chance: those that only one side has")


def _grouped(objects: Iterable[Object]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for obj in objects:
        owner = controller_of(obj)
        named = f"{owner['kind'].lower()}/{owner['name']}" if owner else obj["metadata"]["generateName"]
        found.setdefault(f"{obj['kind'].lower()}s of {named}", Counter())[state(obj)] += 1
    return found


def _counted(states: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or ABSENT


# on the way


def shared(left: History, right: History) -> int:
    """The newest revision that two histories have in common, 0 for none: one is a fork of the other, or both are of a
    third."""
    low, high = max(left.oldest, right.oldest) - 1, min(left.newest, right.newest)
    while low < high:
        middle = (low + high + 1) // 2
        if _same(left.at(middle), right.at(middle)):
            low = middle
        else:
            high = middle - 1
    return low if low >= max(left.oldest, right.oldest) else 0


def _same(one: Change | None, other: Change | None) -> bool:
    """Forks share who wrote what and why, so that no two objects need to be compared."""
    if one is None or other is None:
        return one is other
    return one.record.origin is other.record.origin is not BOOT


def counts(left: Then, right: Then, namespace: str) -> list[Count]:
    """The pods of both sides at the moments at which one of them changed, from the last that they have in common on."""
    revision = shared(left.history, right.history)
    since = left.history.time_of(revision) if revision else left.moment.time
    moments = _spread(sorted({since, *_changes(left, since), *_changes(right, since), left.moment.time}))
    found = [
        Count(moment - since, *(_pods(side, moment, namespace, revision * (moment == since)) for side in (left, right)))
        for moment in moments
    ]
    return [row for place, row in enumerate(found) if place in (0, len(found) - 1) or row[1:] != found[place - 1][1:]]


def _changes(then: Then, since: float) -> Iterator[float]:
    """When pods were made, became ready or not, or went."""
    history = then.history
    for change in history.between(history.newest_by(since), then.revision):
        if change.kind.plural == "pods" and (change.sort != "changed" or _ready(change.obj) != _ready(change.before)):
            yield min(float(int(change.time) + 1), then.moment.time)


def _ready(obj: Object | None) -> bool:
    return obj is not None and is_true(obj, "Ready") and not is_deleting(obj)


def _spread(moments: Sequence[float]) -> Sequence[float]:
    """So many as fit, the first and the last among them."""
    if len(moments) <= ROWS:
        return moments
    return [moments[round(place * (len(moments) - 1) / (ROWS - 1))] for place in range(ROWS)]


def _pods(then: Then, moment: float, namespace: str, revision: int) -> tuple[int, int]:
    revision = revision or then.history.newest_by(moment)
    past = Then(then.source, Moment(revision, moment, then.moment.now)) if revision else None
    pods = past.client.items("pods", namespace) if past is not None else []
    return sum(map(_ready, pods)), len(pods)
