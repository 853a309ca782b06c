"""What changed between two moments: each object once, as it was and as it became, and who wrote it.

Interface: `compare(history, after, until) -> [Compared]`; `Compared.diff` in kubectl's form;
`without_noise(compared)`.
The rule not to break: it costs as much as was written between the two, however much lies before and after.
`kubectl diff` compares a manifest with the present; real Kubernetes keeps nothing to compare moments with.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple

from k8snb.apimachinery.differences import Difference, differences
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of, namespace_of, uid_of
from k8snb.apiserver.history import CREATED, DELETED, Change, History
from k8snb.kubectl.diff import masked
from k8snb.kubectl.formats import to_yaml
from k8snb.story.actors import actor_of
from k8snb.story.trace import NOISE, summary

MADE, GONE, OTHER, ANEW, PASSED = "created", "deleted", "changed", "replaced", "came and went"
_EVERY_WRITE = ("resourceVersion", "managedFields")
_TIMES = ("Time", "Timestamp")


class Compared(NamedTuple):
    """One object. `before` and `after` are None where it was not there; `changes` are the writes between, oldest first,
    whichever way round the moments were asked for."""

    kind: Kind
    before: Object | None
    after: Object | None
    changes: tuple[Change, ...]

    @property
    def obj(self) -> Object:
        return self.after or self.before or self.changes[-1].obj

    @property
    def word(self) -> str:
        """`deployment/web`, with its namespace where that is not `default`."""
        return self.changes[-1].word

    @property
    def sort(self) -> str:
        if self.before is None or self.after is None:
            return PASSED if self.before is self.after else MADE if self.before is None else GONE
        return OTHER if uid_of(self.before) == uid_of(self.after) else ANEW

    @property
    def differences(self) -> list[Difference]:
        return differences(self.before or {}, self.after or {})

    @property
    def what(self) -> str:
        """What is different, in a line."""
        last, (before, after) = self.changes[-1], self._open_sides()
        if self.sort in (OTHER, ANEW):
            return summary(last.as_if(before=before, obj=after or {}, sort=OTHER))
        return summary(last.as_if(before=None, obj=after, sort=CREATED)) if after is not None else ""

    @property
    def actors(self) -> list[str]:
        """Who wrote it, in the order in which they came."""
        return list(dict.fromkeys(actor_of(change.actor) for change in self.changes))

    @property
    def diff(self) -> str:
        """A unified diff of the two as YAML; secrets are not shown."""
        sides = (_shown(side) if side else None for side in self._open_sides())
        before, after = (to_yaml(side).splitlines(keepends=True) if side else [] for side in sides)
        return "".join(difflib.unified_diff(before, after, f"before/{self.word}", f"after/{self.word}"))

    def _open_sides(self) -> tuple[Object | None, Object | None]:
        """The two objects as everybody may see them."""
        return masked(self.before, self.after) if self.kind.builtin == "secrets" else (self.before, self.after)


def compare(history: History, after: int, until: int) -> list[Compared]:
    """The objects that differ between two revisions, in the order in which they were first written between them.

    Where the first is the later one, what was undone shows as it would be done again.
    """
    begin, end = sorted((after, until))
    found: dict[tuple[str, str, str], list[Change]] = {}
    for change in history.between(begin, end):
        key = change.kind.qualified, namespace_of(change.obj), name_of(change.obj)
        found.setdefault(key, []).append(change)
    both = [_compared(changes, turned=begin != after) for changes in found.values()]
    return [each for each in both if _differs(each)]


def _compared(changes: list[Change], *, turned: bool) -> Compared:
    first, last = changes[0].before, None if changes[-1].sort == DELETED else changes[-1].obj
    sides = (last, first) if turned else (first, last)
    return Compared(changes[0].kind, *sides, tuple(changes))


def _differs(each: Compared) -> bool:
    """Whether more is different than when somebody looked."""
    if each.sort not in (OTHER, ANEW):
        return True
    return any(not found.path.endswith(_TIMES) for found in each.differences)


def _shown(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _EVERY_WRITE}
    return {**obj, "metadata": metadata}


def without_noise(compared: Iterable[Compared]) -> tuple[list[Compared], dict[str, int]]:
    """The objects that somebody wants to be there, and how many reports and heartbeats were left out, by kind."""
    kept: list[Compared] = []
    left: dict[str, int] = {}
    for each in compared:
        if each.kind.plural in NOISE:
            left[each.kind.plural] = left.get(each.kind.plural, 0) + 1
        else:
            kept.append(each)
    return kept, left
