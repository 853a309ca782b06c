"""What stands in boxes and on frames, and the texts that show under a pointer, for any format.

Interface: `lines_of(box)`, `heading_of(group)`, in `Line`s; `label(box)`, `heading(group)`, the same as Graphviz's
HTML-like labels; `tooltip(box)`, `group_tooltip(group)`; `plain(text)`, text that every format can hold, `page_text`
of several lines for a page, `quote(text)` and `tip(text)` inside quotation marks.
The rule not to break: what stands in an object is text: it can end no quotation and open no tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import NamedTuple

from k8snb.notebook import themes
from k8snb.notebook.diagram import NODE, Bar, Box, Group, say, say_group
from k8snb.notebook.style import BAD, BUSY
from k8snb.notebook.themes import BLUE, FAINT, INK, LINE, MARKS, PURPLE, TRACK

BAR, BESIDE = 64, 112  # points: a bar, and a bar with its name
LONGEST = 48  # characters of one line in a box
SLOT = "\ue000"  # stands in a picture for text that is put in afterwards
_WIDTHS = {**dict.fromkeys("iljI.,:;'|!", 0.31), **dict.fromkeys("ft()[]/-r ", 0.38), **dict.fromkeys("mwMW@%", 0.92)}
_UNPRINTABLE = re.compile("[\ue000\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]+")


def plain(text: str, most: int = LONGEST) -> str:
    """Text on one line, without characters that end a string, turn the line round or are in no document."""
    text = _UNPRINTABLE.sub(" ", text)
    return text if len(text) <= most else text[: most - 1] + "…"


def page_text(text: str) -> str:
    """Text of several lines, as long as it is, for HTML and SVG."""
    return escape("\n".join(plain(line, len(line)) for line in text.split("\n")))


def quote(text: str) -> str:
    return plain(text, 1000).replace("\\", "\\\\").replace('"', '\\"')


def tip(text: str) -> str:
    """Text of a tooltip, in which Graphviz reads entities."""
    return quote(escape(plain(text, 300), quote=False))


def tooltip(box: Box) -> str:
    where = f" in {box.namespace}" if box.namespace and box.kind != "Namespace" else ""
    details = "; ".join(box.details if box.count == 1 else ())
    return f"{say(box)}{where}{'; ' + details if details else ''}"


class Line(NamedTuple):
    """One line of text: its size in points, its colour."""

    text: str
    size: float = 9.5
    colour: str = INK
    bold: bool = False

    @property
    def width(self) -> float:
        """About how many points it is wide, in the usual fonts without serifs."""
        letters = sum(_WIDTHS.get(letter, 0.72 if letter.isupper() else 0.59) for letter in self.text)
        return letters * self.size * (1.18 if self.bold else 1.04)

    @property
    def height(self) -> float:
        return self.size * 1.28


def lines_of(box: Box, *, kind: bool = True) -> list[Line]:
    """Kind, name, status, details and what became of it, beneath each other."""
    ink, faint = (themes.PALE_INK, themes.PALE_FAINT) if box.picked is False else (INK, FAINT)
    many = f" ×{box.count}" if box.count > 1 else ""
    above = (plural(box.kind) if box.count > 1 else box.kind) if kind else ""
    picked = "◆ " if box.picked else "◇ " if box.nearly else ""
    lines = [Line(plain(picked + above), 8, faint)] if above or (picked and kind) else []
    lines.append(Line(("" if kind else picked) + plain(box.name) + many, 11, ink, bold=True))
    if box.status:
        symbol = f"{box.tone.symbol} " if box.tone.symbol else ""
        lines.append(Line(plain(symbol + box.status), 9.5, ink))
    lines += [Line(plain(text), 8.5, faint) for text in box.details]
    lines += [Line(plain(f"nearly: {box.nearly}"), 9, PURPLE, bold=True)] if box.nearly else []
    return [*lines, *_mark(box.mark)]


def heading_of(group: Group) -> list[Line]:
    """Name, status, details and what became of it, beneath each other; its bars are for the format to draw."""
    symbol = f"{group.tone.symbol} " if group.tone.symbol else ""
    kind = f"{group.kind.lower()} " if group.kind and group.kind != NODE else ""
    lines = [Line(plain(kind + group.title), 11, LINE, bold=True)]
    lines += [Line(plain(symbol + group.status), 9.5, LINE)] if group.status else []
    return [*lines, *(Line(plain(text), 8.5, LINE) for text in group.details), *_mark(group.mark)]


def _mark(mark: str) -> list[Line]:
    return [Line(f"{MARKS[mark][0]} {mark}", 9, MARKS[mark][1], bold=True)] if mark else []


def plural(kind: str) -> str:
    if kind.endswith(("s", "ss")):
        return f"{kind}es"
    return f"{kind[:-1]}ies" if kind.endswith("y") and kind[-2:-1] not in "aeou" else f"{kind}s"


# as HTML-like labels


def label(box: Box, *, kind: bool = True) -> str:
    return stack(map(_row, lines_of(box, kind=kind)))


def heading(group: Group, width: int = 0) -> str:
    """The heading and the bars of a frame. `width` points are what stands below it."""
    lines = heading_of(group)
    at = 1 + bool(group.status)
    return stack([*map(_row, lines[:at]), *([_bars(group.bars, width)] if group.bars else []), *map(_row, lines[at:])])


def _row(line: Line) -> str:
    text = f'<FONT POINT-SIZE="{line.size:g}" COLOR="{line.colour}">{escape(line.text)}</FONT>'
    return f"<B>{text}</B>" if line.bold else text


def small(text: str, size: float, colour: str = LINE) -> str:
    return _row(Line(plain(text), size, colour))


def stack(rows: Iterable[str]) -> str:
    """Rows of HTML beneath each other."""
    cells = "".join(f'<TR><TD ALIGN="LEFT">{row}</TD></TR>' for row in rows)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{cells}</TABLE>'


def _bars(bars: Iterable[Bar], width: int) -> str:
    """A line for each resource: its name, a bar as long as the share that is asked for, and the numbers."""
    left = f' WIDTH="{width - BESIDE}"' if width > BESIDE else ""
    rows = "".join(
        f'<TR><TD ALIGN="LEFT">{small(bar.word, 8.5)}</TD><TD ALIGN="LEFT">{_bar(bar)}</TD>'
        f'<TD ALIGN="LEFT"{left}>{small(bar_text(bar), 8.5)}</TD></TR>'
        for bar in bars
    )
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{rows}</TABLE>'


def bar_text(bar: Bar) -> str:
    return f"{bar.used} of {bar.total}, {bar.share:.0%}"


def bar_colour(bar: Bar) -> str:
    """Another colour where little room is left, and where there is none."""
    return BAD.border if bar.share > 1 else BUSY.border if bar.share > 0.9 else BLUE


def _bar(bar: Bar) -> str:
    long = round(min(1.0, bar.share) * BAR)
    parts = "".join(
        f'<TD FIXEDSIZE="TRUE" WIDTH="{width}" HEIGHT="7" BGCOLOR="{paint}"></TD>'
        for width, paint in ((long, bar_colour(bar)), (BAR - long, TRACK))
        if width
    )
    size = f'FIXEDSIZE="TRUE" WIDTH="{BAR}" HEIGHT="7" ALIGN="LEFT"'
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" {size}><TR>{parts}</TR></TABLE>'


def group_tooltip(group: Group) -> str:
    return "; ".join([say_group(group), *(bar.text for bar in group.bars), *group.details])
