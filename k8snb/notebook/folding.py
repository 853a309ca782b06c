"""A big picture made small: like pods become one box, like nodes one frame.

Interface: `fold(boxes, edges, …)`, `fold_groups(diagram, …)`.
The rule not to break: nothing is lost in the sum: a box for many says how many, and how many of them are not well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from k8snb.notebook.diagram import OWNS, Box, Diagram, Edge, Group
from k8snb.notebook.style import BAD, BUSY, DONE, GOOD, PLAIN, Tone, tone_of

MORE = 12  # like things beyond this number become one

Likeness = tuple[object, ...]
_GRAVITY = (PLAIN, DONE, GOOD, BUSY, BAD)


def fold(boxes: list[Box], edges: list[Edge], names: dict[str, str], more: int) -> tuple[list[Box], list[Edge]]:
    """Boxes and edges with more than `more` like pods of one owner made into one box. `names` are by uid."""
    owner = {edge.target: edge.source for edge in edges if edge.sort == OWNS}
    like: dict[Likeness, list[Box]] = defaultdict(list)
    for box in boxes:
        if box.kind == "Pod":
            parent = owner.get(box.id, "")
            like[parent, box.namespace, box.picked, box.group, names.get(parent) or _stem(box.name)].append(box)
    crowds = {key: crowd for key, crowd in like.items() if len(crowd) > more}
    into = {box.id: f"many {crowd[0].id}" for crowd in crowds.values() for box in crowd}
    many = [_many(crowd, str(key[-1]), into[crowd[0].id]) for key, crowd in crowds.items()]
    return [*(box for box in boxes if box.id not in into), *many], _moved(edges, into)


def _stem(name: str) -> str:
    """What like pods without an owner have in common: the name without its last part."""
    return name.rpartition("-")[0] or name


def _many(crowd: list[Box], name: str, id: str) -> Box:
    counts = Counter(box.status for box in crowd)
    ready = sum(box.tone is GOOD for box in crowd)
    rest = tuple(f"{count} {status}" for status, count in counts.most_common() if tone_of(status) is not GOOD)
    status = f"{ready} ready" if ready or not all(box.tone is DONE for box in crowd) else "done"
    tone = max((box.tone for box in crowd), key=_GRAVITY.index)
    return replace(crowd[0], id=id, name=name, count=len(crowd), status=status, tone=tone, details=rest[:4])


def _moved(edges: Iterable[Edge], into: dict[str, str]) -> list[Edge]:
    """Edges that end at the boxes which stand for the folded ones, each once and with its number."""
    numbers: dict[Edge, int] = {}
    for edge in edges:
        moved = replace(edge, source=into.get(edge.source, edge.source), target=into.get(edge.target, edge.target))
        numbers[moved] = numbers.get(moved, 0) + 1
    return [replace(edge, count=number) for edge, number in numbers.items()]


def fold_groups(diagram: Diagram, more: int) -> Diagram:
    """A cluster of many nodes: those in trouble stay, the others become one frame with their pods counted."""
    kept = [group for group in diagram.groups if group.tone is not GOOD][:more]
    names = {group.id for group in kept}
    rest = [group for group in diagram.groups if group.id not in names]
    tone = max((group.tone for group in rest), key=_GRAVITY.index, default=PLAIN)
    into = Group(id="other nodes", title=f"{len(rest)} nodes", status=_tally(rest), tone=tone)
    like: dict[tuple[bool | None, Tone, str], list[Box]] = defaultdict(list)
    for box in diagram.boxes:
        if box.group not in names:
            like[box.picked, box.tone, box.name if box.count > 1 else _stem(box.name)].append(box)
    boxes = [_sum(crowd, key[-1], into.id) for key, crowd in like.items()]
    kept_boxes = [box for box in diagram.boxes if box.group in names]
    return replace(diagram, groups=(*kept, into), boxes=(*kept_boxes, *boxes))


def _tally(groups: list[Group]) -> str:
    return ", ".join(f"{count} {status}" for status, count in Counter(group.status for group in groups).items())


def _sum(crowd: list[Box], name: str, group: str) -> Box:
    if len(crowd) == 1:
        return replace(crowd[0], group=group)
    count = sum(box.count for box in crowd)
    statuses = {box.status for box in crowd}
    status = statuses.pop() if len(statuses) == 1 and all(box.count == 1 for box in crowd) else crowd[0].tone.word
    return replace(crowd[0], name=name, group=group, count=count, status=status, details=())
