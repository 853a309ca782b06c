"""A diagram as DOT, Graphviz's language.

Interface: `to_dot(diagram, legend=…) -> str`; `EDGE_STYLES`; `plain(text)`, text that every format can hold.
The rule not to break: everything shows three ways — in colour, in shape or line, and in a word — and what stands in an
object is text: it can end no quotation and open no tag.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from html import escape
from itertools import pairwise

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
    NODE,
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
    Bar,
    Box,
    Diagram,
    Edge,
    Group,
    say,
    say_group,
)
from k8snb.notebook.style import BAD, BUSY, DONE, GOOD, PLAIN, Tone
from k8snb.notebook.themes import BLUE, FAINT, INK, LINE, MARKS, OCHRE, PURPLE, TEAL, TRACK, VIOLET

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
_BAR = 64  # points
_FRAMES, _ROW = 4, 4  # frames, and boxes that nothing joins, beside each other
LONGEST = 48  # characters of one line in a box
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]+")


def plain(text: str, most: int = LONGEST) -> str:
    """Text on one line, without characters that end a string, turn the line round or are in no document."""
    text = _UNPRINTABLE.sub(" ", text)
    return text if len(text) <= most else text[: most - 1] + "…"


def to_dot(diagram: Diagram, *, legend: bool = False) -> str:
    """The DOT text. Owners stand to the left of what they own, services to the right of the pods they select."""
    grid = _is_grid(diagram)
    direction = "TB" if grid or diagram.layout == HUB else "LR"
    lines = [
        "digraph k8snb {",
        f'  graph [rankdir={direction} bgcolor="transparent" pad="0.15" nodesep="0.16" '
        f'ranksep="{0.2 if grid else 0.6}" fontname="{_FONT}" fontsize="11" fontcolor="{LINE}"'
        + (f" label=<{_legend(diagram)}> labelloc=b labeljust=l]" if legend else "]"),
        f'  node [fontname="{_FONT}" fontsize="11" fontcolor="{INK}" margin="0.12,0.06" height="0.3"]',
        f'  edge [fontname="{_FONT}" fontsize="9" fontcolor="{LINE}"]',
    ]
    lines += _grid(diagram) if grid else _frames(diagram)
    if not diagram.groups and not diagram.boxes:
        lines.append(f'  "nothing" [shape=plaintext label="{NOTHING}" fontcolor="{LINE}" tooltip="{NOTHING}"]')
    upwards = _upwards(diagram)
    lines += [_edge(edge, label, diagram, upwards) for edge, label in _labelled(diagram.edges)]
    return "\n".join([*lines, "}", ""])


def _is_grid(diagram: Diagram) -> bool:
    """Whether frames stand beside each other like machines: nothing leads from one to another."""
    return any(group.kind == NODE for group in diagram.groups) and not diagram.edges


def _node(box: Box) -> str:
    fill, border = _KIND_COLOURS.get(box.kind, _POLICY)
    if box.kind in _TONED:
        fill, border = box.tone.fill, box.tone.border
    look = {"shape": _SHAPES.get(box.kind, _CONTROLLER), "fillcolor": fill, "color": border, "penwidth": "1.3"}
    look |= _BORDERS[box.tone] if box.kind in _TONED else {"style": _STYLES.get(box.kind, "filled")}
    if look["shape"] == "box" and box.kind in _TONED and box.tone is not BAD:
        look["style"] = f"rounded,{look['style']}"
    if box.picked is False:
        look |= {"fillcolor": themes.PALE_FILL, "color": themes.PALE_BORDER, "fontcolor": themes.PALE_INK,
                 "penwidth": "1"}  # fmt: skip
    if box.picked:
        look |= {"penwidth": "3.2"}
    if box.count > 1 and look["shape"] == "box" and box.kind in _TONED:
        look |= {"shape": "box3d", "style": "filled"}
    if box.mark:
        look |= _mark_look(box.mark)
    return f'  "{_quote(box.id)}" [{_attributes(look)} label=<{_label(box)}> tooltip="{_tip(_tooltip(box))}"]'


def _mark_look(mark: str) -> Look:
    look = {"color": MARKS[mark][1], "penwidth": "3"}
    gone = {"fillcolor": themes.PALE_FILL, "fontcolor": themes.PALE_INK, "style": "filled,dashed"}
    return {**look, **gone} if mark == REMOVED else look


def _attributes(values: Mapping[str, str]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in values.items())


def _quote(text: str) -> str:
    return plain(text, 1000).replace("\\", "\\\\").replace('"', '\\"')


def _tip(text: str) -> str:
    """Text of a tooltip, in which Graphviz reads entities."""
    return _quote(escape(plain(text, 300), quote=False))


def _tooltip(box: Box) -> str:
    where = f" in {box.namespace}" if box.namespace and box.kind != "Namespace" else ""
    details = "; ".join(box.details if box.count == 1 else ())
    return f"{say(box)}{where}{'; ' + details if details else ''}"


def _small(text: str, size: float, colour: str = "") -> str:
    paint = f' COLOR="{colour}"' if colour else ""
    return f'<FONT POINT-SIZE="{size:g}"{paint}>{escape(plain(text))}</FONT>'


def _label(box: Box) -> str:
    """Kind, name, status, details beneath each other."""
    faint = FAINT if box.picked is not False else themes.PALE_FAINT
    many = f" ×{box.count}" if box.count > 1 else ""
    mark = "◆ " if box.picked else ""
    kind = _plural(box.kind) if box.count > 1 else box.kind
    rows = [_small(mark + kind, 8, faint)] if kind or mark else []
    rows.append(f"<B>{escape(plain(box.name))}{many}</B>")
    if box.status:
        symbol = f"{box.tone.symbol} " if box.tone.symbol else ""
        rows.append(_small(symbol + box.status, 9.5))
    rows += [_small(text, 8.5, faint) for text in box.details]
    if box.mark:
        symbol, colour = MARKS[box.mark]
        rows.append(f"<B>{_small(f'{symbol} {box.mark}', 9, colour)}</B>")
    return _stack(rows)


def _plural(kind: str) -> str:
    if kind.endswith(("s", "ss")):
        return f"{kind}es"
    return f"{kind[:-1]}ies" if kind.endswith("y") and kind[-2:-1] not in "aeou" else f"{kind}s"


def _stack(rows: Iterable[str], align: str = "LEFT") -> str:
    cells = "".join(f'<TR><TD ALIGN="{align}">{row}</TD></TR>' for row in rows)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{cells}</TABLE>'


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


def _edge(edge: Edge, label: str, diagram: Diagram, upwards: Collection[Edge]) -> str:
    look = dict(EDGE_STYLES[edge.sort])
    if edge.mark:
        symbol, look["color"] = MARKS[edge.mark]
        label = f"{symbol} {edge.mark} {label}".strip()
        look |= {"style": "dashed"} if edge.mark == REMOVED else {}
    if label:
        look |= {"label": f" {_tip(plain(label))} ", "fontcolor": look["color"]}
    look["tooltip"] = _tip(f"{edge.sort} {edge.label}".strip() + (f" ({edge.mark})" if edge.mark else ""))
    source, target = edge.source, edge.target
    if edge.sort in _BACKWARDS[diagram.layout] or edge in upwards:
        source, target = target, source
        look |= {"dir": "back", "arrowtail": look.pop("arrowhead")}
    return f'  "{_quote(source)}" -> "{_quote(target)}" [{_attributes(look)}]'


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
    return [f'    {{ rank=same; "{_quote(edge.source)}"; "{_quote(edge.target)}" }}' for edge in ends]


# frames


def _frames(diagram: Diagram) -> list[str]:
    """Boxes where their edges put them, in the frames that they have."""
    lines = []
    inside: dict[str, list[Box]] = defaultdict(list)
    known = {group.id for group in diagram.groups}
    for box in diagram.boxes:
        inside[box.group if box.group in known else ""].append(box)
    joined = {end for edge in diagram.edges for end in (edge.source, edge.target)}
    for place, group in enumerate(diagram.groups):
        if inside[group.id]:
            lines += [_frame(place, group), *(f"  {_node(box)}" for box in inside[group.id])]
            lines += [*_rows(inside[group.id], joined), *_level(diagram, group, inside[group.id]), "  }"]
    loose = inside[""] if "" not in known else []
    return [*lines, *(_node(box) for box in loose), *_rows(loose, joined)]


def _rows(boxes: Iterable[Box], joined: set[str]) -> list[str]:
    """Invisible edges that put boxes which nothing joins beside each other."""
    alone = [box for box in boxes if box.id not in joined]
    return [
        f'  "{_quote(left.id)}" -> "{_quote(right.id)}" [style=invis]'
        for place, (left, right) in enumerate(pairwise(alone))
        if (place + 1) % _ROW
    ]


def _grid(diagram: Diagram) -> list[str]:
    """Frames beside each other and in rows, the boxes of each in columns."""
    lines, corners = [], []
    for place, group in enumerate(diagram.groups):
        boxes = [box for box in diagram.boxes if box.group == group.id]
        ids = [f'"{_quote(box.id)}"' for box in boxes] or [f'"empty {place}"']
        lines.append(_frame(place, group))
        lines += [f"  {_node(box)}" for box in boxes] or [_empty(place)]
        lines += [*_columns(ids), "  }"]
        corners.append((ids[0], ids[-1]))
    rows = [corners[start : start + _FRAMES] for start in range(0, len(corners), _FRAMES)]
    for above, below in pairwise(rows):
        lines += [f"  {last} -> {first} [style=invis minlen=2]" for _, last in above for first, _ in below]
    return lines


def _empty(place: int) -> str:
    """What keeps an empty frame open."""
    look = {"shape": "plaintext", "label": "no pods", "tooltip": "no pods", "fontcolor": LINE, "fontsize": "9"}
    return f'    "empty {place}" [{_attributes(look)} height="0.6"]'


def _frame(place: int, group: Group) -> str:
    bad, busy = group.tone is BAD, group.tone is BUSY
    look = {"style": "rounded,dashed" if busy else "rounded", "color": group.tone.border}
    look |= {"penwidth": "2.4" if bad else "1.4", "fontcolor": LINE, "labeljust": "l", "margin": "12"}
    if group.mark:
        look |= {"color": MARKS[group.mark][1], "penwidth": "3"}
    tip = "; ".join([say_group(group), *(bar.text for bar in group.bars), *group.details])
    look["tooltip"] = _tip(tip)
    return f'  subgraph "cluster_{place}" {{ graph [{_attributes(look)} label=<{_heading(group)}>]'


def _heading(group: Group) -> str:
    symbol = f"{group.tone.symbol} " if group.tone.symbol else ""
    kind = f"{_small(group.kind.lower() + ' ', 9)}" if group.kind and group.kind != NODE else ""
    rows = [f"{kind}<B>{escape(plain(group.title))}</B>"]
    rows += [_small(symbol + group.status, 9.5)] if group.status else []
    rows += [_bars(group.bars)] if group.bars else []
    rows += [_small(text, 8.5) for text in group.details]
    if group.mark:
        rows.append(f"<B>{_small(' '.join((MARKS[group.mark][0], group.mark)), 9, MARKS[group.mark][1])}</B>")
    return _stack(rows)


def _bars(bars: Iterable[Bar]) -> str:
    """A line for each resource: its name, a bar as long as the share that is asked for, and the numbers."""
    rows = "".join(
        f'<TR><TD ALIGN="LEFT">{_small(bar.word, 8.5)}</TD><TD>{_bar(bar)}</TD>'
        f'<TD ALIGN="LEFT">{_small(f"{bar.used} of {bar.total}, {bar.share:.0%}", 8.5)}</TD></TR>'
        for bar in bars
    )
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{rows}</TABLE>'


def _bar(bar: Bar) -> str:
    long = round(min(1.0, bar.share) * _BAR)
    colour = BAD.border if bar.share > 1 else BUSY.border if bar.share > 0.9 else BLUE
    parts = "".join(
        f'<TD FIXEDSIZE="TRUE" WIDTH="{width}" HEIGHT="7" BGCOLOR="{paint}"></TD>'
        for width, paint in ((long, colour), (_BAR - long, TRACK))
        if width
    )
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>{parts}</TR></TABLE>'


def _columns(ids: list[str]) -> list[str]:
    """Invisible edges that put at most three boxes of a frame beside each other."""
    wide = 1 if len(ids) <= 6 else 2 if len(ids) <= 16 else 3
    return [f"    {ids[at]} -> {ids[at + wide]} [style=invis minlen=1]" for at in range(len(ids) - wide)]


# what stands beneath


def _legend(diagram: Diagram) -> str:
    """The sorts of edges in words and colours, for formats in which nothing is drawn beneath the picture."""
    there = {edge.sort for edge in diagram.edges}
    rows = [_small(f"── {sort}", 9, EDGE_STYLES[sort]["color"]) for sort in SORTS if sort in there]
    return _stack([*rows, *(_small(note, 9) for note in diagram.notes), " "])
