"""Machines beside each other as SVG, drawn without Graphviz: nothing has to be placed, all stands in rows.

Interface: `grid_svg(diagram) -> Drawing`.
The rule not to break: it looks like what `dot_grid` says in Graphviz's language.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from k8snb.notebook.diagram import Box, Diagram, Group
from k8snb.notebook.dot_grid import columns_of, frame_of, widths
from k8snb.notebook.labels import (
    BAR,
    Line,
    bar_colour,
    bar_text,
    group_tooltip,
    heading_of,
    lines_of,
    plain,
    tooltip,
)
from k8snb.notebook.outline import Drawing, text_svg
from k8snb.notebook.style import BAD, BUSY
from k8snb.notebook.themes import LINE, MARKS, TRACK

_EDGE, _GAP, _PAD, _BAR_LINE = 10.0, 10.0, 8.0, 12.5  # points
_DASHES = {"ROUNDED,DASHED": "5,2.5", "ROUNDED,DOTTED": "1,3"}


def grid_svg(diagram: Diagram) -> Drawing:
    """Frames in rows; those of a row are equally high."""
    inside = {group.id: [box for box in diagram.boxes if box.group == group.id] for group in diagram.groups}
    wide, across = widths(diagram, inside)
    parts, top = [], _EDGE
    for start in range(0, len(diagram.groups), across):
        frames = [_Frame(group, inside[group.id], wide) for group in diagram.groups[start : start + across]]
        height = max(frame.height for frame in frames)
        parts += [frame.svg(_EDGE + place * (wide + _GAP), top, height) for place, frame in enumerate(frames)]
        top += height + _GAP
    many = min(across, len(diagram.groups))
    return Drawing("".join(parts), many * (wide + _GAP) - _GAP + 2 * _EDGE, top - _GAP + _EDGE)


class _Frame:
    """One machine, `wide` points wide."""

    def __init__(self, group: Group, boxes: Sequence[Box], wide: int) -> None:
        self._group, self._wide = group, wide
        self._heading = heading_of(group)
        across = columns_of(boxes)
        self._rows = [boxes[start : start + across] for start in range(0, len(boxes), across)]
        self._box = (wide - 2 * _PAD - (across - 1) * 5) / across

    @property
    def _head(self) -> float:
        return _PAD + sum(line.height for line in self._heading) + len(self._group.bars) * _BAR_LINE + 6

    @property
    def height(self) -> float:
        return self._head + (sum(_height(row) + 5 for row in self._rows) if self._rows else 16) + _PAD - 5

    def svg(self, left: float, top: float, height: float) -> str:
        """The frame, its heading, its bars and its boxes."""
        content = "".join([*self._heads(left + _PAD, top + _PAD), *self._boxes(left + _PAD, top + self._head)])
        return self._border(left, top, height) + content

    def _border(self, left: float, top: float, height: float) -> str:
        group = self._group
        colour = MARKS[group.mark][1] if group.mark else group.tone.border
        width = 2.6 if group.mark or group.tone is BAD else 1.2
        dashes = ' stroke-dasharray="5,2.5"' if group.tone is BUSY else ""
        size = f'x="{left:.1f}" y="{top:.1f}" width="{self._wide}" height="{height:.1f}" rx="9"'
        look = f'fill="none" stroke="{colour}" stroke-width="{width}"{dashes} pointer-events="all"'
        return f'<g class="cluster"><title>{escape(plain(group_tooltip(group), 300))}</title><rect {size} {look}/></g>'

    def _heads(self, left: float, top: float) -> Iterator[str]:
        """Name and status, then a bar for each resource, then what else there is to say."""
        at = 1 + bool(self._group.status)
        yield text_svg(self._heading[:at], left, top)
        top += sum(line.height for line in self._heading[:at])
        for bar in self._group.bars:
            yield text_svg([Line(bar.word, 8.5, LINE)], left, top)
            long = min(1.0, bar.share) * BAR
            place = f'y="{top + 3:.1f}" height="7"'
            yield f'<rect x="{left + 40:.1f}" {place} width="{BAR}" fill="{TRACK}"/>'
            yield f'<rect x="{left + 40:.1f}" {place} width="{long:.1f}" fill="{bar_colour(bar)}"/>'
            yield text_svg([Line(bar_text(bar), 8.5, LINE)], left + 46 + BAR, top)
            top += _BAR_LINE
        yield text_svg(self._heading[at:], left, top)

    def _boxes(self, left: float, top: float) -> Iterator[str]:
        if not self._rows:
            yield text_svg([Line("no pods", 9, LINE)], left, top)
        for row in self._rows:
            for place, box in enumerate(row):
                yield _box_svg(box, left + place * (self._box + 5), top, self._box, _height(row))
            top += _height(row) + 5


def _lines(box: Box) -> list[Line]:
    """Pods need not say that they are pods."""
    return lines_of(box, kind=box.count > 1)


def _height(row: Sequence[Box]) -> float:
    return max(sum(line.height for line in _lines(box)) for box in row) + 8


def _box_svg(box: Box, left: float, top: float, width: float, height: float) -> str:
    frame = frame_of(box)
    dashes = f' stroke-dasharray="{_DASHES[frame.style]}"' if frame.style in _DASHES else ""
    size = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{0 if box.tone is BAD else 6}"'
    look = f'fill="{frame.fill}" stroke="{frame.border}" stroke-width="{1 + (frame.width - 1) * 0.7:g}"{dashes}'
    text = text_svg(_lines(box), left + 8, top + 3)
    return f'<g class="node"><title>{escape(plain(tooltip(box), 300))}</title><rect {size} {look}/>{text}</g>'
