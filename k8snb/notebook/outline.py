"""Boxes whose text is put in after Graphviz has placed them.

Interface: `Outline`: `of_box`, `of_group` for the DOT text, `fill(svg)` for what became of it; `text_svg(lines, …)`;
`Drawing`.
The rule not to break: the text is drawn here, never by Graphviz: a Graphviz in WebAssembly knows no HTML-like labels,
and every other one has fonts of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import NamedTuple

from k8snb.notebook.diagram import Box, Group
from k8snb.notebook.labels import SLOT, Line, heading_of, lines_of, tip

FONT = 'font-family="Helvetica,Arial,sans-serif"'
_BESIDE, _ABOVE = 9.0, 5.0  # points between a text and its border
_EXTRA = {"component": (14, 0), "cylinder": (0, 16), "box3d": (6, 8), "note": (6, 0), "tab": (0, 0)}
_SLOTS = re.compile(f'<text[^>]*x="([-\\d.]+)" y="([-\\d.]+)"[^>]*>{SLOT}(\\d+)</text>')
_HEADS = re.compile(r'(<g class="cluster">\s*(?:<g>)?\s*<title>[^<]*</title>\s*<(?:path|polygon)[^>]*>\s*<text )')


class Drawing(NamedTuple):
    """The inside of an SVG, and its size in points."""

    svg: str
    width: float
    height: float


class Outline:
    """The texts of one picture's boxes."""

    def __init__(self) -> None:
        self._texts: list[tuple[list[Line], float]] = []  # and how far below the middle it is

    def of_box(self, box: Box, shape: str) -> str:
        """A box that is as large as its text, with a slot in its middle."""
        lines = lines_of(box)
        beside, above = _EXTRA.get(shape, (0, 0))
        self._texts.append((lines, above / 2 if shape == "cylinder" else 0.0))
        width = max(line.width for line in lines) + 2 * _BESIDE + beside
        height = sum(line.height for line in lines) + 2 * _ABOVE + above
        size = f'width="{width / 72:.3f}" height="{height / 72:.3f}" margin="0"'
        return f'label="{SLOT}{len(self._texts) - 1}" fontsize="1" {size}'

    def of_group(self, group: Group) -> str:
        return 'label="' + "".join(f"{tip(line.text)}\\l" for line in heading_of(group)) + '"'

    def fill(self, svg: str) -> str:
        """The picture with the texts in their slots, and the first line of each frame in bold."""
        svg = _HEADS.sub(r'\1font-weight="bold" ', svg)
        return _SLOTS.sub(lambda found: self._text(float(found[1]), float(found[2]), int(found[3])), svg)

    def _text(self, middle: float, centre: float, number: int) -> str:
        lines, below = self._texts[number]
        left = middle - max(line.width for line in lines) / 2
        return text_svg(lines, left, centre + below / 2 - sum(line.height for line in lines) / 2)


def text_svg(lines: Iterable[Line], left: float, top: float) -> str:
    """Lines beneath each other, from a corner on."""
    parts = []
    for line in lines:
        top += line.height
        bold = ' font-weight="bold"' if line.bold else ""
        look = f'font-size="{line.size:g}" fill="{line.colour}"{bold}'
        parts.append(f'<text x="{left:.1f}" y="{top - line.size * 0.28:.1f}" {look}>{escape(line.text)}</text>')
    return "".join(parts)
