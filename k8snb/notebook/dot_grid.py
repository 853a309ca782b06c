"""Machines beside each other, as one table: frames in rows, and in each the boxes of its pods.

Interface: `grid(diagram) -> [line]`, for a diagram whose frames nothing joins: `is_grid(diagram)`; `widths(…)`,
`columns_of(boxes)` and `frame_of(box)`, for whoever draws the same.
The rule not to break: what a box says by its look elsewhere it says here: a passing state is dashed, a failure thick.
Graphviz puts nodes where edges pull them, and here are none: a table keeps rows and columns straight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from k8snb.notebook import themes
from k8snb.notebook.diagram import NODE, NOTHING, REMOVED, Box, Diagram, Group
from k8snb.notebook.labels import BESIDE, Line, bar_text, group_tooltip, heading, label, lines_of, small, tip, tooltip
from k8snb.notebook.style import BAD, BUSY, DONE
from k8snb.notebook.themes import MARKS, PURPLE

_PAGE, _FRAME = 810, 180  # points: a page, the least width of a frame
_ONE, _TWO = 8, 20  # boxes that stand in one column, and in two
_FRAMES = 4  # beside each other
_STYLES = {BUSY: "ROUNDED,DASHED", DONE: "ROUNDED,DOTTED", BAD: "SOLID"}


def is_grid(diagram: Diagram) -> bool:
    """Whether frames stand beside each other like machines: nothing leads from one to another."""
    return any(group.kind == NODE for group in diagram.groups) and not diagram.edges


def grid(diagram: Diagram) -> list[str]:
    """The lines of DOT: one node, which is a table."""
    inside = {group.id: [box for box in diagram.boxes if box.group == group.id] for group in diagram.groups}
    wide, across = widths(diagram, inside)
    starts = range(0, len(diagram.groups), across)
    rows = (_row(diagram.groups[start : start + across], inside, wide) for start in starts)
    table = _table("".join(rows), 'CELLSPACING="8"')
    return [f'  "nodes" [shape=plaintext margin=0 tooltip="{tip(diagram.title or NOTHING)}" label=<{table}>]']


def widths(diagram: Diagram, inside: Mapping[str, list[Box]]) -> tuple[int, int]:
    """How many points a frame is wide, and how many frames stand beside each other."""
    longest = max((line.width for box in diagram.boxes for line in lines_of(box, kind=box.count > 1)), default=0)
    columns = max((columns_of(boxes) for boxes in inside.values()), default=1)
    numbers = max((Line(bar_text(bar), 8.5).width for group in diagram.groups for bar in group.bars), default=0)
    wide = max(round(numbers) + BESIDE + 16, round(columns * (longest + 26)), _FRAME)
    return wide, max(1, min(_FRAMES, _PAGE // wide))


def columns_of(boxes: Sequence[Box]) -> int:
    """How many boxes of a frame stand beside each other."""
    return 1 if len(boxes) <= _ONE else 2 if len(boxes) <= _TWO else 3


def _table(rows: str, look: str) -> str:
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="0" {look}>{rows}</TABLE>'


def _row(groups: Sequence[Group], inside: Mapping[str, list[Box]], wide: int) -> str:
    """Frames beside each other. Graphviz would spread the lines of a lower one: what it lacks is put in as room."""
    heights = [height_of(group, inside[group.id]) for group in groups]
    cells = (
        _frame(group, inside[group.id], wide, max(heights) - height)
        for group, height in zip(groups, heights, strict=True)
    )
    return f"<TR>{''.join(cells)}</TR>"


def height_of(group: Group, boxes: list[Box]) -> int:
    """About how many points a frame is high."""
    across = columns_of(boxes)
    lines = [2 + len(box.details) + bool(box.mark) for box in boxes] or [1]
    rows = [max(lines[start : start + across]) for start in range(0, len(lines), across)]
    head = 14 * (bool(group.status) + len(group.details) + bool(group.mark)) + 13 * len(group.bars)
    return head + sum(8 + 14 * row for row in rows)


def _frame(group: Group, boxes: list[Box], wide: int, room: int) -> str:
    """The cell of one machine."""
    colour = MARKS[group.mark][1] if group.mark else group.tone.border
    width = 3 if group.mark or group.tone is BAD else 1
    style = f"ROUNDED{',DASHED' if group.tone is BUSY else ''}"
    head = f'<TR><TD ALIGN="LEFT">{heading(group, wide - 12)}</TD></TR>'
    body = f'<TR><TD ALIGN="LEFT" WIDTH="{wide - 12}">{_boxes(boxes)}</TD></TR>'
    rest = f'<TR><TD HEIGHT="{room}"></TD></TR>' if room > 0 else ""
    look = f'BORDER="{width}" STYLE="{style}" COLOR="{colour}" CELLBORDER="0" CELLPADDING="3" CELLSPACING="0"'
    link = f'HREF="#" TITLE="{escape(tip(group_tooltip(group)))}"'
    return f'<TD VALIGN="TOP" ALIGN="LEFT"><TABLE {look} {link}>{head}{body}{rest}</TABLE></TD>'


def _boxes(boxes: list[Box]) -> str:
    if not boxes:
        return small("no pods", 9)
    across = columns_of(boxes)
    rows = (boxes[start : start + across] for start in range(0, len(boxes), across))
    return _table("".join(f"<TR>{''.join(map(_box, row))}</TR>" for row in rows), 'CELLSPACING="3"')


def _box(box: Box) -> str:
    frame = frame_of(box)
    look = f'BORDER="{frame.width}" STYLE="{frame.style}" COLOR="{frame.border}" BGCOLOR="{frame.fill}"'
    link = f'HREF="#" TITLE="{escape(tip(tooltip(box)))}"'
    return (f'<TD ALIGN="LEFT"><TABLE {look} CELLBORDER="0" CELLPADDING="1" CELLSPACING="3" {link}>'
            f'<TR><TD ALIGN="LEFT">{label(box, kind=box.count > 1)}</TD></TR></TABLE></TD>')  # fmt: skip


class Frame(NamedTuple):
    """The look of a box: its colours, the width of its border, and what sort of line that is."""

    fill: str
    border: str
    width: int
    style: str


def frame_of(box: Box) -> Frame:
    """A passing state is dashed, a failure thick, what is gone pale."""
    fill, border, width = box.tone.fill, box.tone.border, 3 if box.tone is BAD or box.picked else 1
    style = _STYLES.get(box.tone, "ROUNDED")
    if box.picked is False or box.mark == REMOVED:
        fill, border = themes.PALE_FILL, themes.PALE_BORDER
    if box.nearly:
        border, width, style = PURPLE, 2, "ROUNDED,DASHED"
    if box.mark:
        border, width = MARKS[box.mark][1], 3
    return Frame(fill, border, width, "ROUNDED,DASHED" if box.mark == REMOVED else style)
