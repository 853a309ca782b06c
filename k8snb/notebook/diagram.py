"""The model of a diagram: which boxes there are, what joins them, and the same in words.

Interface: `Box`, `Edge`, `Group`, `Diagram`; `describe(diagram)`.
The rule not to break: this module knows neither DOT nor SVG; everything a picture claims can be asked of the model.
*owns* is an ownerReference, *selects* a label selector, *routes to* a ready endpoint: three different facts.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from k8snb.notebook.style import PLAIN, Tone

OWNS, SELECTS, ROUTES = "owns", "selects", "routes to"
NOTHING = "there is nothing to draw"


@dataclass(frozen=True, kw_only=True)
class Box:
    """One thing, or `count` like things. `picked`: whether a selector picks it; None where nobody asked."""

    id: str
    kind: str
    name: str
    namespace: str = ""
    status: str = ""
    tone: Tone = PLAIN
    details: tuple[str, ...] = ()
    picked: bool | None = None
    group: str = ""
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Edge:
    """`sort` is one of OWNS, SELECTS, ROUTES; source and target are ids of boxes; `count` like edges drawn as one."""

    sort: str
    source: str
    target: str
    label: str = ""
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Group:
    """A frame with boxes in it: a node."""

    id: str
    title: str
    status: str = ""
    tone: Tone = PLAIN
    details: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """What is to be drawn. `picking` is the selector that decided what is picked, if one did."""

    title: str
    boxes: tuple[Box, ...] = ()
    edges: tuple[Edge, ...] = ()
    groups: tuple[Group, ...] = ()
    picking: str = ""

    def box(self, name: str) -> Box:
        """The box with this name, or `Kind/name`. Raises LookupError."""
        for box in self.boxes:
            if name in (box.name, f"{box.kind}/{box.name}"):
                return box
        raise LookupError(f"no box {name!r} in this diagram")


def describe(diagram: Diagram) -> str:
    """The diagram as text: owners with what they own beneath, then what services select and route to."""
    lines = _by_group(diagram) if diagram.groups else _by_owner(diagram)
    return "\n".join([*([diagram.title] if diagram.title else []), *(lines or [NOTHING])])


def _by_group(diagram: Diagram) -> list[str]:
    lines = []
    for group in diagram.groups:
        lines.append(f"Node {group.title}: {group.status}" if group.id else f"{group.title}:")
        lines += [f"  {_say(box)}" for box in diagram.boxes if box.group == group.id]
    return lines


def _by_owner(diagram: Diagram) -> list[str]:
    boxes = {box.id: box for box in diagram.boxes}
    owned = defaultdict(list)
    for edge in diagram.edges:
        if edge.sort == OWNS:
            owned[edge.source].append(edge.target)
    below = {target for targets in owned.values() for target in targets}
    lines = []
    for box in diagram.boxes:
        if box.id not in below:
            lines += [*_tree(box, boxes, owned, ""), *_says(box, diagram)]
    return lines


def _tree(box: Box, boxes: dict[str, Box], owned: dict[str, list[str]], indent: str) -> list[str]:
    lines = [indent + _say(box)]
    for target in owned[box.id]:
        lines += _tree(boxes[target], boxes, owned, indent + "  ")
    return lines


def _say(box: Box) -> str:
    many = f" ×{box.count}" if box.count > 1 else ""
    mark = {True: " (picked)", False: " (not picked)", None: ""}[box.picked]
    return f"{box.kind} {box.name}{many}{': ' + box.status if box.status else ''}{mark}"


def _says(box: Box, diagram: Diagram) -> list[str]:
    lines = []
    for sort in (SELECTS, ROUTES):
        edges = [edge for edge in diagram.edges if edge.sort == sort and edge.source == box.id]
        if edges:
            label = f" {edges[0].label}" if edges[0].label else ""
            count = sum(edge.count for edge in edges)
            lines.append(f"  {sort}{label}: {count} pod{'s' if count > 1 else ''}")
    return lines
