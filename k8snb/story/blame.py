"""Blame: who wrote each field of an object last, when, and at which revision.

Interface: `blame(changes) -> [Line]`.
The rule not to break: a field is its last writer's who changed its value; who only wrote the same again is not told.
Real Kubernetes has managedFields, which name managers but no revisions, and count who repeats a value as an owner.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from k8snb.apimachinery.differences import leaves
from k8snb.apiserver.history import DELETED, Change
from k8snb.story.actors import actor_of


class Line(NamedTuple):
    """One field. `known` is False where the history begins with it: it may be older."""

    path: str
    value: Any
    actor: str
    verb: str
    revision: int
    time: float
    known: bool


def blame(changes: Iterable[Change]) -> list[Line]:
    """The fields of the newest object under a name, in their order; of one that is gone, as it was last."""
    lines: dict[str, Line] = {}
    for change in changes:
        if change.sort == DELETED:
            continue
        if change.before is None:
            lines = {}
        now = leaves(change.obj)
        first = not lines
        kept = {path: line for path, line in lines.items() if path in now and line.value == now[path]}
        known = not first or change.before is None
        lines = {path: kept.get(path) or _line(path, value, change, known) for path, value in now.items()}
    return list(lines.values())


def _line(path: str, value: Any, change: Change, known: bool) -> Line:
    return Line(path, value, actor_of(change.actor), change.verb, change.revision, change.time, known)
