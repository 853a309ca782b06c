"""Two moments in one picture: what was added, removed and changed between them.

Interface: `compared(before, after, objects_before, objects_after) -> Diagram`; `changed_fields(before, after)`.
The rule not to break: what the server counts by itself (resourceVersion, managedFields, heartbeats) is no change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from k8snb.apimachinery.meta import Object, uid_of
from k8snb.notebook.diagram import ADDED, CHANGED, REMOVED, Box, Diagram, Edge, Group

SHOWN = 3  # fields that a box names
_COUNTED = frozenset(("resourceVersion", "managedFields", "generation"))
_BEATS = frozenset(("lastHeartbeatTime", "lastProbeTime", "observedGeneration", "renewTime"))


def compared(
    before: Diagram, after: Diagram, objects_before: Iterable[Object], objects_after: Iterable[Object]
) -> Diagram:
    """The later diagram, with what is only in the earlier one, each marked with what became of it."""
    fields = _changes(objects_before, objects_after)
    old, new = ({box.id: box for box in diagram.boxes} for diagram in (before, after))
    boxes = [_marked(box, old, fields) for box in after.boxes]
    boxes += [replace(box, mark=REMOVED) for box in before.boxes if box.id not in new]
    return replace(after, boxes=tuple(boxes), edges=tuple(_edges(before, after)), groups=tuple(_groups(before, after)))


def _marked(box: Box, old: Mapping[str, Box], fields: Mapping[str, list[str]]) -> Box:
    if box.id not in old:
        return replace(box, mark=ADDED)
    if box.id not in fields:
        return box
    names = fields[box.id]
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    was = [f"was {old[box.id].status}"] if old[box.id].status not in ("", box.status) else []
    return replace(box, mark=CHANGED, details=(*was, *names[:SHOWN], *more))


def _changes(before: Iterable[Object], after: Iterable[Object]) -> dict[str, list[str]]:
    """The fields that changed, by the uid of the object."""
    old = {uid_of(obj): obj for obj in before}
    found = {uid_of(obj): changed_fields(old[uid_of(obj)], obj) for obj in after if uid_of(obj) in old}
    return {uid: fields for uid, fields in found.items() if fields}


def changed_fields(before: Object, after: Object) -> list[str]:
    """The fields, two names deep, in which two states of an object differ: `spec.replicas`."""
    if before is after:
        return []
    paths = {
        f"{top}.{name}" if name else top
        for top in {*before, *after}
        if before.get(top) != after.get(top)
        for name in _differing(before.get(top), after.get(top))
        if name not in _COUNTED | _BEATS
    }
    return sorted(paths)


def _differing(before: Any, after: Any) -> list[str]:
    """The names below which two values differ; [""] where they have none."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return [""] if before is not None or after is not None else []
    return [name for name in {*before, *after} if _still(before.get(name)) != _still(after.get(name))]


def _still(value: Any) -> Any:
    """A value without what only says when somebody looked."""
    if isinstance(value, Mapping):
        return {name: _still(each) for name, each in value.items() if name not in _BEATS}
    return [_still(each) for each in value] if isinstance(value, list) else value


def _edges(before: Diagram, after: Diagram) -> list[Edge]:
    old, new = ({(edge.sort, edge.source, edge.target): edge for edge in each.edges} for each in (before, after))
    edges = [edge if key in old else replace(edge, mark=ADDED) for key, edge in new.items()]
    return [*edges, *(replace(edge, mark=REMOVED) for key, edge in old.items() if key not in new)]


def _groups(before: Diagram, after: Diagram) -> list[Group]:
    old, new = ({group.id: group for group in each.groups} for each in (before, after))
    groups = [_marked_group(group, old) for group in after.groups]
    return [*groups, *(replace(group, mark=REMOVED) for key, group in old.items() if key not in new)]


def _marked_group(group: Group, old: Mapping[str, Group]) -> Group:
    """A frame is new, or has another status; that its pods ask for more is to be seen in them."""
    if group.id not in old:
        return replace(group, mark=ADDED)
    return replace(group, mark=CHANGED) if group.status != old[group.id].status else group
