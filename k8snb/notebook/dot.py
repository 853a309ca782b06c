"""A diagram as DOT, Graphviz's language.

Interface: `to_dot(diagram) -> str`.
The rule not to break: everything shows three ways — in colour, in shape or line, and in a word.
Lines and loose text have middle tones, and boxes a light fill with dark text, so that a picture reads on a light page
and on a dark one: a page shows it as an image, and no style of the page reaches into that.
"""

from __future__ import annotations

from html import escape

from k8snb.notebook.diagram import NOTHING, OWNS, ROUTES, SELECTS, Box, Diagram, Edge, Group
from k8snb.notebook.style import BAD, BUSY, DONE, GOOD, PLAIN, Tone

INK, FAINT, LINE = "#1f2933", "#5b6672", "#7b8794"
EDGE_STYLES = {
    OWNS: {"color": LINE, "penwidth": "1.3", "arrowhead": "vee", "arrowsize": "0.7"},
    SELECTS: {"color": "#b0649b", "penwidth": "1.4", "style": "dashed", "arrowhead": "odot", "arrowsize": "0.7"},
    ROUTES: {"color": "#2f86c8", "penwidth": "2.6", "arrowhead": "normal", "arrowsize": "0.75"},
}
_SHAPES = {"Pod": "box", "Service": "component", "Node": "box3d"}
_CONTROLLER = "tab"
_KIND_COLOURS = {"Service": ("#e2eefa", "#2f86c8"), "Pod": (PLAIN.fill, PLAIN.border)}
_CONTROLLER_COLOURS = ("#efecf8", "#8272b5")
# What a border says beside its colour: a steady state is a full line, a passing one dashed, a failure doubled.
_BORDERS: dict[Tone, dict[str, str]] = {
    GOOD: {"style": "rounded,filled"},
    PLAIN: {"style": "rounded,filled"},
    BUSY: {"style": "rounded,filled,dashed"},
    BAD: {"style": "filled", "peripheries": "2"},
    DONE: {"style": "rounded,filled,dotted"},
}
_FONT = "Helvetica,Arial,sans-serif"


def to_dot(diagram: Diagram) -> str:
    """The DOT text. Owners stand to the left of what they own, services to the right of the pods they select."""
    lines = [
        "digraph k8snb {",
        f'  graph [rankdir={"TB" if diagram.groups else "LR"} bgcolor="transparent" pad="0.15" nodesep="0.16" '
        f'ranksep="{0.2 if diagram.groups else 0.75}" fontname="{_FONT}" fontsize="11" fontcolor="{LINE}"]',
        f'  node [fontname="{_FONT}" fontsize="11" fontcolor="{INK}" margin="0.12,0.06" height="0.3"]',
        f'  edge [fontname="{_FONT}" fontsize="9" fontcolor="{LINE}"]',
    ]
    if diagram.groups:
        lines += _grid(diagram)
    else:
        lines += [_node(box) for box in diagram.boxes]
    if not diagram.groups and not diagram.boxes:
        lines.append(f'  "nothing" [shape=plaintext label="{NOTHING}" fontcolor="{LINE}"]')
    lines += [_edge(edge, label) for edge, label in _labelled(diagram.edges)]
    return "\n".join([*lines, "}", ""])


def _node(box: Box) -> str:
    fill, border = _KIND_COLOURS.get(box.kind, _CONTROLLER_COLOURS)
    if box.kind == "Pod":
        fill, border = box.tone.fill, box.tone.border
    look = {
        "shape": _SHAPES.get(box.kind, _CONTROLLER),
        "fillcolor": fill,
        "color": border,
        "penwidth": "1.3",
        **(_BORDERS[box.tone] if box.kind == "Pod" else {"style": "filled"}),
    }
    if box.picked is False:
        look |= {"fillcolor": "#f4f5f7", "color": "#b4bcc6", "fontcolor": "#727d89", "penwidth": "1"}
    if box.picked:
        look |= {"penwidth": "3.2"}
    if box.count > 1 and box.kind == "Pod":
        look |= {"shape": "box3d", "style": "filled"}
    return f'  "{_quote(box.id)}" [{_attributes(look)} label=<{_label(box)}> tooltip="{_quote(_tooltip(box))}"]'


def _attributes(values: dict[str, str]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in values.items())


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _tooltip(box: Box) -> str:
    return f"{box.kind} {box.name} {box.status}".strip()


def _label(box: Box) -> str:
    """Kind, name, status, details beneath each other."""
    faint = FAINT if box.picked is not False else "#8a94a0"
    many = f" ×{box.count}" if box.count > 1 else ""
    mark = "◆ " if box.picked else ""
    kind = f"{box.kind}s" if box.count > 1 else box.kind
    rows = [
        f'<FONT POINT-SIZE="8" COLOR="{faint}">{mark}{escape(kind)}</FONT>',
        f"<B>{escape(box.name)}{many}</B>",
    ]
    if box.status:
        symbol = f"{box.tone.symbol} " if box.tone.symbol else ""
        rows.append(f'<FONT POINT-SIZE="9.5">{symbol}{escape(box.status)}</FONT>')
    rows += [f'<FONT POINT-SIZE="8.5" COLOR="{faint}">{escape(text)}</FONT>' for text in box.details]
    return _stack(rows)


def _stack(rows: list[str], align: str = "LEFT") -> str:
    cells = "".join(f'<TR><TD ALIGN="{align}">{row}</TD></TR>' for row in rows)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{cells}</TABLE>'


def _labelled(edges: tuple[Edge, ...]) -> list[tuple[Edge, str]]:
    """Each edge with what to write at it: a source says the same thing of one sort once."""
    said: set[tuple[str, str, str]] = set()
    labelled = []
    for edge in edges:
        what = (edge.sort, edge.source, edge.label)
        many = f"{edge.label} ×{edge.count}" if edge.count > 1 and edge.sort != OWNS else edge.label
        labelled.append((edge, "" if what in said and edge.count == 1 else many))
        said.add(what)
    return labelled


def _edge(edge: Edge, label: str) -> str:
    """Services stand right of the pods, so their edges are laid out from pod to service and drawn the other way."""
    look = dict(EDGE_STYLES[edge.sort])
    if label:
        look |= {"label": f" {_quote(label)} ", "fontcolor": look["color"]}
    if edge.sort == OWNS:
        return f'  "{_quote(edge.source)}" -> "{_quote(edge.target)}" [{_attributes(look)}]'
    look |= {"dir": "back", "arrowtail": look.pop("arrowhead")}
    return f'  "{_quote(edge.target)}" -> "{_quote(edge.source)}" [{_attributes(look)}]'


# nodes as frames


def _grid(diagram: Diagram) -> list[str]:
    """Frames beside each other, the boxes of each in columns."""
    lines = []
    for place, group in enumerate(diagram.groups):
        boxes = [box for box in diagram.boxes if box.group == group.id]
        lines.append(_frame(place, group))
        lines += [f"  {_node(box)}" for box in boxes]
        lines += _columns(place, boxes)
        lines.append("  }")
    return lines


def _frame(place: int, group: Group) -> str:
    symbol = f"{group.tone.symbol} " if group.tone.symbol else ""
    rows = [f"<B>{escape(group.title)}</B>", f'<FONT POINT-SIZE="9.5">{symbol}{escape(group.status)}</FONT>']
    rows += [f'<FONT POINT-SIZE="8.5">{escape(text)}</FONT>' for text in group.details]
    look = {"style": "rounded,dashed" if group.tone is BUSY else "rounded", "color": group.tone.border}
    look |= {"penwidth": "2.4" if group.tone is BAD else "1.4", "fontcolor": LINE, "labeljust": "l", "margin": "12"}
    return f'  subgraph "cluster_{place}" {{ graph [{_attributes(look)} label=<{_stack(rows)}>]'


def _columns(place: int, boxes: list[Box]) -> list[str]:
    """Invisible edges that put at most four boxes of a frame beside each other, and keep an empty frame open."""
    if not boxes:
        return [f'    "empty {place}" [shape=plaintext label="no pods" fontcolor="{LINE}" fontsize="9" height="0.6"]']
    wide = 1 if len(boxes) <= 6 else 2 if len(boxes) <= 16 else 3
    return [
        f'    "{_quote(boxes[index].id)}" -> "{_quote(boxes[index + wide].id)}" [style=invis minlen=1]'
        for index in range(len(boxes) - wide)
    ]
