"""Blame: who wrote each field of an object last, when, and at which revision.

Interface: `blame(changes) -> [Line]`.
The rule not to break: a field is its last writer's who changed its value; who only wrote the same again is not told. A
value that the apiserver has by itself where nobody says one is told as a default, whoever wrote the object.
Real Kubernetes has managedFields, which name managers but no revisions, and count who repeats a value as an owner.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from k8snb.apimachinery.defaults import apply_defaults
from k8snb.apimachinery.differences import leaves, places, without
from k8snb.apimachinery.meta import Object
from k8snb.apiserver.history import DELETED, Change
from k8snb.story.actors import actor_of

SERVER = "apiserver"
STAMPED = ("metadata.uid", "metadata.creationTimestamp")  # what the apiserver writes into everything
DEFAULT, ADMISSION = "default", "admission"


class Line(NamedTuple):
    """One field. `known` is False where the history begins with it: it may be older. `how` it came about: "default" for
    a value that is there where nobody says one, "admission" for one that the apiserver's plug-ins put in."""

    path: str
    value: Any
    actor: str
    verb: str
    revision: int
    time: float
    known: bool
    how: str = ""


def blame(changes: Iterable[Change]) -> list[Line]:
    """The fields of the newest object under a name, in their order; of one that is gone, as it was last."""
    lines: dict[str, Line] = {}
    newest: Change | None = None
    for change in changes:
        if change.sort == DELETED:
            continue
        if change.before is None:
            lines = {}
        now = leaves(change.obj)
        first = not lines
        kept = {path: line for path, line in lines.items() if path in now and line.value == now[path]}
        known = not first or change.before is None
        sent = leaves(change.sent) if change.sent is not None else now
        lines = {path: kept.get(path) or _line(path, value, change, known, path not in sent)
                 for path, value in now.items()}  # fmt: skip
        newest = change
    return _with_defaults(newest, lines) if newest is not None else []


def _line(path: str, value: Any, change: Change, known: bool, admitted: bool) -> Line:
    actor = SERVER if path in STAMPED else actor_of(change.actor)
    return Line(path, value, actor, change.verb, change.revision, change.time, known, ADMISSION if admitted else "")


def _with_defaults(newest: Change, lines: dict[str, Line]) -> list[Line]:
    """The lines, with those marked that would be the same if nobody had said them."""
    at = places(newest.obj)
    return [line._replace(how=DEFAULT) if not line.how and _is_default(newest, path, at[path]) else line
            for path, line in lines.items()]  # fmt: skip


def _is_default(newest: Change, path: str, place: tuple[str | int, ...]) -> bool:
    if not path.startswith("spec."):
        return False
    try:
        bare: Object = apply_defaults(newest.kind, without(newest.obj, place))
        found = leaves(bare)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):  # without it, it is no such object
        return False
    return path in found and found[path] == leaves(newest.obj)[path]
