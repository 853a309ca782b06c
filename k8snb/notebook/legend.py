"""The legend of a picture: what its lines and its borders mean, and what there is to say about it as a whole.

Interface: `legend(diagram, top) -> Legend`.
The rule not to break: it explains what is in the picture and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from k8snb.notebook.diagram import SORTS, Diagram
from k8snb.notebook.dot import EDGE_STYLES
from k8snb.notebook.labels import plain
from k8snb.notebook.style import GOOD
from k8snb.notebook.themes import INK, LINE, MARKS, PALE_BORDER, PALE_FILL, PURPLE

_FONT = 'font-size="9.5"'
_LINE, _LEFT, _SAMPLE, _GAP, _LETTER = 17.0, 12.0, 34.0, 16.0, 5.0  # points
_WIDE = 780.0  # points of a usual page


class Legend(NamedTuple):
    """SVG, and the room that it takes."""

    svg: str
    width: float
    height: float


def legend(diagram: Diagram, top: float) -> Legend:
    """The legend, from `top` on downwards."""
    left, middle, parts, width = _LEFT, top + 12, [], 0.0
    for sort, text in _entries(diagram):
        room = _SAMPLE + _LETTER * len(text) + _GAP
        if left + room > _WIDE and left > _LEFT:
            left, middle = _LEFT, middle + _LINE
        parts += [_sample(sort, left, middle), _text(left + _SAMPLE, middle, text)]
        left += room
        width = max(width, left)
    for note in diagram.notes:
        middle += _LINE if parts else 0
        parts.append(_text(_LEFT, middle, note))
        width = max(width, _LEFT + _LETTER * len(note))
    return Legend("".join(parts), width, middle - top + 14 if parts else 0.0)


def _entries(diagram: Diagram) -> Iterator[tuple[str, str]]:
    there = {edge.sort for edge in diagram.edges}
    yield from ((sort, sort) for sort in SORTS if sort in there)
    marks = {each.mark for sort in (diagram.boxes, diagram.edges, diagram.groups) for each in sort}
    yield from ((mark, mark) for mark in MARKS if mark in marks)
    if diagram.picking and any(box.picked for box in diagram.boxes):
        yield "picked", f"picked by {plain(diagram.picking, 80)}"
    if any(box.nearly for box in diagram.boxes):
        yield "nearly", "nearly picked: one label away"
    if diagram.picking and any(box.picked is False for box in diagram.boxes):
        yield "faint", "not picked"


def _text(left: float, middle: float, text: str) -> str:
    return f'<text x="{left:.0f}" y="{middle + 3.2:.1f}" {_FONT} fill="{LINE}">{escape(text)}</text>'


def _sample(sort: str, left: float, middle: float) -> str:
    if sort in EDGE_STYLES:
        return _line_sample(sort, left, middle)
    border, width, fill, mark = _BOXES.get(sort) or (MARKS[sort][1], 3.0, PALE_FILL, MARKS[sort][0])
    box = f'x="{left + 4:.0f}" y="{middle - 5:.0f}" width="20" height="10" rx="3"'
    place = f'x="{left + 10.5:.1f}" y="{middle + 3:.1f}"'
    symbol = f'<text {place} font-size="8" fill="{INK}">{mark}</text>' if mark else ""
    return f'<rect {box} fill="{fill}" stroke="{border}" stroke-width="{width}"/>{symbol}'


_BOXES = {
    "picked": (GOOD.border, 2.6, GOOD.fill, "◆"),
    "nearly": (PURPLE, 2.0, PALE_FILL, "◇"),
    "faint": (PALE_BORDER, 1.0, PALE_FILL, ""),
}
_DASHES = {"dashed": ' stroke-dasharray="5,3"', "dotted": ' stroke-dasharray="1,3"'}


def _line_sample(sort: str, left: float, middle: float) -> str:
    look = EDGE_STYLES[sort]
    colour, dash = look["color"], _DASHES.get(look.get("style", ""), "")
    stroke = f'stroke="{colour}" stroke-width="{look["penwidth"]}"'
    tip = _TIPS[look["arrowhead"].removeprefix("o")]
    fill = "none" if look["arrowhead"].startswith("o") else colour
    head = f'<path d="M{left + 20:.0f},{middle:.1f}{tip}" fill="{fill}" stroke="{colour}"/>'
    return f'<path d="M{left:.0f},{middle:.1f}h20" {stroke} fill="none"{dash}/>{head}'


_TIPS = {  # shapes of arrowheads, from where the line ends
    "vee": "v-3l7,3l-7,3l2,-3z",
    "normal": "v-3.5l7,3.5l-7,3.5z",
    "dot": "a3,3 0 1 1 6,0a3,3 0 1 1 -6,0z",
    "tee": "v-4h1.5v8h-1.5z",
    "diamond": "l4,-3l4,3l-4,3z",
    "box": "v-3h6v6h-6z",
}
