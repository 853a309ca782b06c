"""The model of a diagram: which boxes there are, what joins them, and the same in words.

Interface: `Box`, `Edge`, `Group`, `Bar`, `Diagram`; `describe(diagram)`, `say(box)`, `say_group(group)`.
The rule not to break: this module knows neither DOT nor SVG; everything a picture claims can be asked of the model.
*owns* is an ownerReference, *selects* a label selector, *routes to* a ready endpoint, *mounts* a volume: different
facts, each with a name of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from k8snb.notebook.style import PLAIN, Tone

OWNS, SELECTS, ROUTES = "owns", "selects", "routes to"
LEAVES_OUT, MOUNTS, READS, SCALES = "leaves out", "mounts", "reads", "scales"
CALLS, ADMITS, GUARDS = "calls", "admits", "guards"
BINDS, CLASSES = "bound to", "of class"
TALKS, SILENT = "talks to", "does not talk to"
SORTS = (OWNS, SCALES, SELECTS, CALLS, ROUTES, LEAVES_OUT, ADMITS, GUARDS, MOUNTS, READS, BINDS, CLASSES, TALKS,
         SILENT)  # fmt: skip
ADDED, REMOVED, CHANGED = "added", "removed", "changed"
NODE, NAMESPACE, PLACE = "Node", "Namespace", ""
ASIDE, ONWARD, HUB = "aside", "onward", "hub"
NOTHING = "there is nothing to draw"


@dataclass(frozen=True, kw_only=True)
class Box:
    """One thing, or `count` like things. `picked`: whether a selector picks it; None where nobody asked; `nearly`: the
    one label that keeps it out. `mark`: what became of it between two revisions.
    """

    id: str
    kind: str
    name: str
    namespace: str = ""
    status: str = ""
    tone: Tone = PLAIN
    details: tuple[str, ...] = ()
    picked: bool | None = None
    nearly: str = ""
    group: str = ""
    count: int = 1
    mark: str = ""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """`sort` is one of SORTS; source and target are ids of boxes; `count` like edges drawn as one."""

    sort: str
    source: str
    target: str
    label: str = ""
    count: int = 1
    mark: str = ""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """How much of something is asked for: `share` of 1 is all there is; the texts say it in units."""

    word: str
    used: str
    total: str
    share: float

    @property
    def text(self) -> str:
        return f"{self.word} {self.used} of {self.total} requested ({self.share:.0%})"


@dataclass(frozen=True, kw_only=True)
class Group:
    """A frame with boxes in it: a node, a namespace, or a place."""

    id: str
    title: str
    kind: str = NODE
    status: str = ""
    tone: Tone = PLAIN
    details: tuple[str, ...] = ()
    bars: tuple[Bar, ...] = ()
    mark: str = ""


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """What is to be drawn. `picking` is the selector that decided what is picked, if one did; `notes` are sentences
    about the picture as a whole.

    `layout`: ASIDE puts what selects and routes at the right of what it picks; ONWARD leads from left to right; HUB has
    everybody round those whom all talk to.
    """

    title: str
    boxes: tuple[Box, ...] = ()
    edges: tuple[Edge, ...] = ()
    groups: tuple[Group, ...] = ()
    picking: str = ""
    notes: tuple[str, ...] = ()
    layout: str = ASIDE

    def box(self, name: str) -> Box:
        """The box with this name, or `Kind/name`. Raises LookupError."""
        for box in self.boxes:
            if name in (box.name, f"{box.kind}/{box.name}"):
                return box
        raise LookupError(f"no box {name!r} in this diagram")


def describe(diagram: Diagram) -> str:
    """The diagram as text: each frame with its boxes, owners with what they own beneath, then what else joins them."""
    telling = _Telling(diagram)
    lines = []
    for group in diagram.groups:
        lines.append(say_group(group))
        lines += [f"  {bar.text}" for bar in group.bars]
        lines += [f"  {line}" for line in telling.lines(group.id)]
    known = {group.id for group in diagram.groups}
    lines += telling.lines(*dict.fromkeys(box.group for box in diagram.boxes if box.group not in known))
    title = [diagram.title] if diagram.title else []
    return "\n".join([*title, *(lines or [NOTHING]), *diagram.notes])


def say_group(group: Group) -> str:
    """A frame in words: `Node node-1: Ready`."""
    title = f"{group.kind} {group.title}".strip() if group.id else group.title
    status = f" {group.status}" if group.status and group.id else ""
    return f"{title}:{status}{_marked(group.mark)}"


def say(box: Box) -> str:
    """A box in words, with all that its colours say: `Pod web ×200: 197 ready, 3 Pending`."""
    many = f" ×{box.count}" if box.count > 1 else ""
    picked = {True: " (picked)", False: " (not picked)", None: ""}[box.picked]
    picked = f" (nearly picked: {box.nearly})" if box.nearly else picked
    status = ", ".join([box.status, *(box.details if box.count > 1 else ())]).strip(", ")
    return f"{f'{box.kind} {box.name}'.strip()}{many}{': ' + status if status else ''}{picked}{_marked(box.mark)}"


def _marked(mark: str) -> str:
    return f" ({mark})" if mark else ""


class _Telling:
    """A diagram's boxes in words, each below its owner where that is in the same frame."""

    def __init__(self, diagram: Diagram) -> None:
        self._boxes = {box.id: box for box in diagram.boxes}
        self._owned: dict[str, list[str]] = defaultdict(list)
        self._others: dict[str, list[Edge]] = defaultdict(list)
        for edge in diagram.edges:
            if edge.sort == OWNS and self._boxes[edge.source].group == self._boxes[edge.target].group:
                self._owned[edge.source].append(edge.target)
            else:
                self._others[edge.source].append(edge)
        self._below = {target for targets in self._owned.values() for target in targets}

    def lines(self, *groups: str) -> list[str]:
        """What stands in these frames."""
        tops = [box for box in self._boxes.values() if box.group in groups and box.id not in self._below]
        told: set[str] = set()
        lines = [line for box in tops for line in self._tree(box, "", told)]
        left = [box for box in self._boxes.values() if box.group in groups and box.id not in told]  # owners in a circle
        return [*lines, *(say(box) for box in left)]

    def _tree(self, box: Box, indent: str, told: set[str]) -> list[str]:
        if box.id in told:
            return []
        told.add(box.id)
        lines = [indent + say(box), *(f"{indent}  {line}" for line in self._joins(self._others[box.id]))]
        for target in self._owned[box.id]:
            lines += self._tree(self._boxes[target], indent + "  ", told)
        return lines

    def _joins(self, edges: Iterable[Edge]) -> list[str]:
        """`selects app=web: 2 pods`, one line for each thing said."""
        said: dict[tuple[str, str, str], list[Edge]] = defaultdict(list)
        for edge in edges:
            said[edge.sort, edge.label, edge.mark].append(edge)
        return [
            f"{sort}{' ' + label if label else ''}: {self._targets(found)}{_marked(mark)}"
            for (sort, label, mark), found in sorted(said.items(), key=lambda entry: SORTS.index(entry[0][0]))
        ]

    def _targets(self, edges: list[Edge]) -> str:
        targets = [self._boxes[edge.target] for edge in edges]
        if all(target.kind == "Pod" for target in targets):
            count = sum(edge.count for edge in edges)
            return f"{count} pod{'s' if count > 1 else ''}"
        return ", ".join(f"{target.kind} {target.name}".strip() for target in targets)
