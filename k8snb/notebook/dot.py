"""A diagram as DOT, Graphviz's language.

Interface: `to_dot(diagram, legend=…) -> str`; `EDGE_STYLES`.
The rule not to break: everything shows three ways: in colour, in shape or line, and in a word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import Protocol

from k8snb.notebook import themes
from k8snb.notebook.diagram import (
    ADMITS,
    ASIDE,
    BINDS,
    CALLS,
    CLASSES,
    GUARDS,
    HUB,
    LEAVES_OUT,
    MOUNTS,
    NOTHING,
    ONWARD,
    OWNS,
    PLACE,
    READS,
    REMOVED,
    ROUTES,
    SCALES,
    SELECTS,
    SILENT,
    SORTS,
    TALKS,
    Box,
    Diagram,
    Edge,
    Group,
)
from k8snb.notebook.dot_grid import grid, is_grid
from k8snb.notebook.labels import group_tooltip, heading, label, plain, quote, small, stack, tip, tooltip
from k8snb.notebook.packing import packed
from k8snb.notebook.style import BAD, BUSY, DONE, GOOD, PLAIN, Tone
from k8snb.notebook.themes import BLUE, INK, LINE, MARKS, OCHRE, PURPLE, TEAL, VIOLET

Look = dict[str, str]


def _line(colour: str, width: float, head: str, style: str = "") -> Look:
    look = {"color": colour, "penwidth": str(width), "arrowhead": head, "arrowsize": "0.7"}
    return {**look, "style": style} if style else look


EDGE_STYLES: Mapping[str, Look] = {
    OWNS: _line(LINE, 1.3, "vee"),
    SCALES: _line(VIOLET, 1.6, "diamond"),
    SELECTS: _line(PURPLE, 1.4, "odot", "dashed"),
    CALLS: _line(BLUE, 1.4, "vee", "dashed"),
    ROUTES: _line(BLUE, 2.6, "normal"),
    LEAVES_OUT: _line(BUSY.border, 1.4, "tee", "dashed"),
    ADMITS: _line(GOOD.border, 1.4, "odiamond"),
    GUARDS: _line(VIOLET, 1.8, "tee"),
    MOUNTS: _line(TEAL, 1.6, "box"),
    READS: _line(TEAL, 1.3, "obox", "dotted"),
    BINDS: _line(GOOD.border, 2.2, "normal"),
    CLASSES: _line(OCHRE, 1.3, "vee", "dotted"),
    TALKS: _line(LINE, 1.3, "vee"),
    SILENT: _line(BAD.border, 1.3, "ovee", "dotted"),
}
# Laid out from target to source and drawn the other way, so that what points stands at the right of what it points at.
_BACKWARDS: Mapping[str, frozenset[str]] = {
    ASIDE: frozenset((SELECTS, ROUTES)),
    ONWARD: frozenset((ADMITS,)),
    HUB: frozenset(),
}
_CONTROLLER = "tab"
_SHAPES = {
    "Pod": "box", "": "box", "Service": "component", "Node": "box3d", "Ingress": "box", "EndpointSlice": "note",
    "ConfigMap": "note", "Secret": "note", "PersistentVolumeClaim": "folder", "PersistentVolume": "cylinder",
    "StorageClass": "box3d", "NetworkPolicy": "box",
}  # fmt: skip
_NETWORK, _DATA, _POLICY = (themes.BLUE_FILL, BLUE), (themes.TEAL_FILL, TEAL), (themes.VIOLET_FILL, VIOLET)
_KIND_COLOURS = {
    "Service": _NETWORK, "Ingress": _NETWORK, "EndpointSlice": _NETWORK,
    "ConfigMap": _DATA, "Secret": _DATA, "StorageClass": (themes.OCHRE_FILL, OCHRE),
}  # fmt: skip
# Kinds whose colour is that of their status.
_TONED = frozenset(("Pod", "", "PersistentVolumeClaim", "PersistentVolume"))
# What a border says beside its colour: a steady state is a full line, a passing one dashed, a failure doubled.
_BORDERS: dict[Tone, Look] = {
    GOOD: {"style": "filled"},
    PLAIN: {"style": "filled"},
    BUSY: {"style": "filled,dashed"},
    BAD: {"style": "filled", "peripheries": "2"},
    DONE: {"style": "filled,dotted"},
}
_STYLES = {"Ingress": "filled,bold", "NetworkPolicy": "filled,diagonals"}
_FONT = "Helvetica,Arial,sans-serif"


class Letters(Protocol):
    """How text gets into boxes and frames: attributes of DOT, without brackets."""

    def of_box(self, box: Box, shape: str) -> str: ...
    def of_group(self, group: Group) -> str: ...


class HtmlLetters:
    """As HTML-like labels, in several sizes and colours."""

    def of_box(self, box: Box, shape: str) -> str:
        return f"label=<{label(box)}>"

    def of_group(self, group: Group) -> str:
        return f"label=<{heading(group)}>"


def to_dot(diagram: Diagram, *, legend: bool = False, letters: Letters | None = None) -> str:
    """The DOT text. Owners stand to the left of what they own, services to the right of the pods they select."""
    table, letters = is_grid(diagram), letters or HtmlLetters()
    direction = "TB" if table or diagram.layout == HUB else "LR"
    lines = [
        "digraph k8snb {",
        f'  graph [rankdir={direction} bgcolor="transparent" pad="0.15" nodesep="0.16" '
        f'ranksep="{0.2 if table else 0.45}" fontname="{_FONT}" fontsize="11" fontcolor="{LINE}"'
        + (f" label=<{_legend(diagram)}> labelloc=b labeljust=l]" if legend else "]"),
        f'  node [fontname="{_FONT}" fontsize="11" fontcolor="{INK}" margin="0.12,0.06" height="0.3"]',
        f'  edge [fontname="{_FONT}" fontsize="9" fontcolor="{LINE}"]',
    ]
    lines += grid(diagram) if table else _frames(diagram, letters)
    if not diagram.groups and not diagram.boxes:
        lines.append(f'  "nothing" [shape=plaintext label="{NOTHING}" fontcolor="{LINE}" tooltip="{NOTHING}"]')
    upwards = _upwards(diagram)
    lines += [_edge(edge, said, diagram, upwards) for edge, said in _labelled(diagram.edges)]
    return "\n".join([*lines, "}", ""])


def _node(box: Box, letters: Letters) -> str:
    fill, border = _KIND_COLOURS.get(box.kind, _POLICY)
    if box.kind in _TONED:
        fill, border = box.tone.fill, box.tone.border
    look = {"shape": _SHAPES.get(box.kind, _CONTROLLER), "fillcolor": fill, "color": border, "penwidth": "1.3"}
    look |= _BORDERS[box.tone] if box.kind in _TONED else {"style": _STYLES.get(box.kind, "filled")}
    if box.tone in (BUSY, BAD):
        look |= {"color": box.tone.border, **_BORDERS[box.tone]}
    if box.picked is False:
        look |= {"fillcolor": themes.PALE_FILL, "color": themes.PALE_BORDER, "fontcolor": themes.PALE_INK,
                 "penwidth": "1"}  # fmt: skip
    if box.picked:
        look |= {"penwidth": "3.2"}
    if box.nearly:
        look |= {"color": PURPLE, "penwidth": "2", "style": "filled,dashed"}
    if look["shape"] == "box" and box.kind in _TONED and box.tone is not BAD:
        look["style"] = f"rounded,{look['style']}"
    if box.count > 1 and look["shape"] == "box" and box.kind in _TONED:
        look |= {"shape": "box3d", "style": "filled"}
    if box.mark:
        look |= _mark_look(box.mark)
    text = letters.of_box(box, look["shape"])
    return f'  "{quote(box.id)}" [{_attributes(look)} {text} tooltip="{tip(tooltip(box))}"]'


def _mark_look(mark: str) -> Look:
    look = {"color": MARKS[mark][1], "penwidth": "3"}
    gone = {"fillcolor": themes.PALE_FILL, "fontcolor": themes.PALE_INK, "style": "filled,dashed"}
    return {**look, **gone} if mark == REMOVED else look


def _attributes(values: Mapping[str, str]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in values.items())


def _labelled(edges: tuple[Edge, ...]) -> list[tuple[Edge, str]]:
    """Each edge with what to write at it: one place says the same thing of one sort once."""
    said: set[tuple[str, ...]] = set()
    labelled = []
    for edge in edges:
        where = edge.target if edge.sort in (MOUNTS, READS) else edge.source
        what = (edge.sort, where, edge.label, edge.mark)
        many = f"{edge.label} ×{edge.count}".strip() if edge.count > 1 and edge.sort != OWNS else edge.label
        labelled.append((edge, "" if what in said and edge.count == 1 else many))
        said.add(what)
    return labelled


def _edge(edge: Edge, said: str, diagram: Diagram, upwards: Collection[Edge]) -> str:
    look = dict(EDGE_STYLES[edge.sort])
    if edge.mark:
        symbol, look["color"] = MARKS[edge.mark]
        said = f"{symbol} {edge.mark} {said}".strip()
        look |= {"style": "dashed"} if edge.mark == REMOVED else {}
    if said:
        look |= {"label": f" {tip(plain(said))} ", "fontcolor": look["color"]}
    look["tooltip"] = tip(f"{edge.sort} {edge.label}".strip() + (f" ({edge.mark})" if edge.mark else ""))
    source, target = edge.source, edge.target
    if edge.sort in _BACKWARDS[diagram.layout] or edge in upwards:
        source, target = target, source
        look |= {"dir": "back", "arrowtail": look.pop("arrowhead")}
    return f'  "{quote(source)}" -> "{quote(target)}" [{_attributes(look)}]'


# round a hub


def _upwards(diagram: Diagram) -> set[Edge]:
    """The edges that lead from nodes to the hub, which stands above them."""
    nodes = {group.id for group in diagram.groups if group.kind != PLACE}
    place = {box.id: box.group for box in diagram.boxes}
    leaving = (edge for edge in diagram.edges if place[edge.source] in nodes and place[edge.target] not in nodes)
    return set(leaving) if diagram.layout == HUB else set()


def _level(diagram: Diagram, group: Group, inside: Iterable[Box]) -> list[str]:
    """Hubs and whoever only they talk to stand on one level."""
    own = {box.id for box in inside}
    talkers = {edge.source for edge in diagram.edges}
    ends = [edge for edge in diagram.edges if edge.source in own and edge.target in own - talkers]
    if diagram.layout != HUB or group.kind != PLACE:
        return []
    return [f'    {{ rank=same; "{quote(edge.source)}"; "{quote(edge.target)}" }}' for edge in ends]


# frames


def _frames(diagram: Diagram, letters: Letters) -> list[str]:
    """Boxes where their edges put them, in the frames that they have."""
    lines = []
    inside: dict[str, list[Box]] = defaultdict(list)
    known = {group.id for group in diagram.groups}
    for box in diagram.boxes:
        inside[box.group if box.group in known else ""].append(box)
    for place, group in enumerate(diagram.groups):
        if inside[group.id]:
            lines += [_frame(place, group, letters), *(f"  {_node(box, letters)}" for box in inside[group.id])]
            lines += [*_rows(inside[group.id], diagram), *_level(diagram, group, inside[group.id]), "  }"]
    loose = inside[""] if "" not in known else []
    return [*lines, *(_node(box, letters) for box in loose), *_rows(loose, diagram)]


def _rows(boxes: Iterable[Box], diagram: Diagram) -> list[str]:
    """Invisible edges that put beside each other what nothing joins."""
    arcs = [(edge.target, edge.source) if edge.sort in _BACKWARDS[diagram.layout] else (edge.source, edge.target)
            for edge in diagram.edges]  # fmt: skip
    if diagram.layout == HUB:
        return []
    rows = packed([box.id for box in boxes], arcs)
    return [*(_invisible(*pair, "weight=2") for pair in rows.beside),
            *(_invisible(*pair, "constraint=false") for pair in pairwise(rows.below))]  # fmt: skip


def _invisible(before: str, after: str, more: str) -> str:
    return f'  "{quote(before)}" -> "{quote(after)}" [style=invis {more}]'


def _frame(place: int, group: Group, letters: Letters) -> str:
    bad, busy = group.tone is BAD, group.tone is BUSY
    look = {"style": "rounded,dashed" if busy else "rounded", "color": group.tone.border}
    look |= {"penwidth": "2.4" if bad else "1.4", "fontcolor": LINE, "labeljust": "l", "margin": "12"}
    if group.mark:
        look |= {"color": MARKS[group.mark][1], "penwidth": "3"}
    look["tooltip"] = tip(group_tooltip(group))
    return f'  subgraph "cluster_{place}" {{ graph [{_attributes(look)} {letters.of_group(group)}]'


# what stands beneath


def _legend(diagram: Diagram) -> str:
    """The sorts of edges in words and colours, for formats in which nothing is drawn beneath the picture."""
    there = {edge.sort for edge in diagram.edges}
    rows = [small(f"── {sort}", 9, EDGE_STYLES[sort]["color"]) for sort in SORTS if sort in there]
    return stack([*rows, *(small(note, 9) for note in diagram.notes), " "])
