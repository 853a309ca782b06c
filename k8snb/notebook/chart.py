"""Charts of timelines: a lane for each object, a box for each state, in SVG.

Interface: `Chart(lanes)`: `svg`, `html`.
The rule not to break: a state's word stands in its box or at its hover, and in the legend with its symbol: colours
repeat words. Without scripts and without this package the picture stays as it is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import NamedTuple

from k8snb.notebook.style import BAD, BUSY, DONE, GOOD, Tone, fraction_tone, tone_of
from k8snb.story.timeline import Lane, Span

LEFT, WIDTH, LANE, TOP = 250, 760, 26, 34  # pixels
LETTER = 6.4  # pixels of a letter in a box
MARK = 11.0  # pixels that a symbol needs
TICKS = 6
FOLDED = 0.1  # share of the rest that a long time without changes is given


class Look(NamedTuple):
    """How a state is drawn: a hue, a symbol, and a dash pattern of its border."""

    hue: str
    symbol: str
    dash: str = ""


_LOOKS = {GOOD: Look(GOOD.hue, GOOD.symbol), BUSY: Look(BUSY.hue, BUSY.symbol), BAD: Look(BAD.hue, BAD.symbol),
          DONE: Look(DONE.hue, DONE.symbol)}  # fmt: skip
_WORDS = {
    "Pending": Look("#7f8893", "…", "3 2"), "ContainerCreating": Look(BUSY.hue, BUSY.symbol),
    "PodInitializing": Look(BUSY.hue, BUSY.symbol), "Running": Look("#0072b2", "▷"),
    "Terminating": Look("#cc79a7", "↓", "2 2"), "there": Look(DONE.hue, DONE.symbol),
    "Completed": Look(DONE.hue, DONE.symbol), "Complete": Look(DONE.hue, DONE.symbol),
}  # fmt: skip


def look_of(state: str) -> Look:
    """The look of a state; `1/3 ready` is busy, `3/3 ready` good."""
    if state in _WORDS:
        return _WORDS[state]
    first, _, rest = state.partition(" ")
    tone: Tone = tone_of(state)
    if rest:
        tone = fraction_tone(first) if fraction_tone(first) is BUSY else GOOD
    return _LOOKS.get(tone, _WORDS["there"])


class Axis:
    """Time to pixels. A long time in which nothing changes is folded."""

    def __init__(self, moments: Sequence[float]) -> None:
        self._at = sorted(set(moments))
        gaps = [later - before for before, later in zip(self._at, self._at[1:], strict=False)]
        shown = list(gaps)
        for place in sorted(range(len(gaps)), key=gaps.__getitem__, reverse=True):
            rest = sum(shown) - shown[place]
            if shown[place] <= rest or rest <= 0:
                break
            shown[place] = FOLDED * rest
        self.folds = [(self._at[at], self._at[at + 1]) for at in range(len(gaps)) if shown[at] < gaps[at]]
        whole = sum(shown) or 1.0
        self._x = [0.0]
        for gap in shown:
            self._x.append(self._x[-1] + gap / whole * WIDTH)

    @property
    def start(self) -> float:
        return self._at[0]

    def x(self, moment: float) -> float:
        """Pixels from the chart's left side."""
        place = min(max(bisect_right(self._at, moment) - 1, 0), len(self._at) - 1)
        if place == len(self._at) - 1:
            return LEFT + self._x[-1]
        share = (moment - self._at[place]) / (self._at[place + 1] - self._at[place])
        return LEFT + self._x[place] + share * (self._x[place + 1] - self._x[place])

    def moment(self, x: float) -> float:
        """The time at a place."""
        place = min(max(bisect_right(self._x, x - LEFT) - 1, 0), len(self._x) - 2)
        share = (x - LEFT - self._x[place]) / ((self._x[place + 1] - self._x[place]) or 1.0)
        return self._at[place] + share * (self._at[place + 1] - self._at[place])


class Chart:
    """Lanes under a common time axis."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = list(lanes)
        self._axis = Axis(
            [moment for lane in lanes for span in lane.spans for moment in (span.start, span.end)] or [0.0]
        )

    @property
    def html(self) -> str:
        return f'<div style="overflow-x:auto">{self.svg}</div>' if self._lanes else ""

    @property
    def svg(self) -> str:
        height = TOP + LANE * len(self._lanes)
        width = LEFT + WIDTH + 40
        body = "".join(self._lane(lane, TOP + LANE * at) for at, lane in enumerate(self._lanes))
        words = "; ".join(f"{lane.word}: {' → '.join(span.state for span in lane.spans)}" for lane in self._lanes[:12])
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height + 34}" '
            f'viewBox="0 0 {width} {height + 34}" font-family="sans-serif" font-size="11" fill="currentColor">'
            f"<title>{escape(words)}</title>{self._ticks(height)}{body}{self._legend(height + 22)}</svg>"
        )

    def _lane(self, lane: Lane, y: int) -> str:
        name = f"{lane.word} ×{lane.many}" if lane.many > 1 else lane.word
        shown = name if len(name) <= 38 else name[:20] + "…" + name[-17:]
        end = LEFT + WIDTH
        line = f'<path d="M8 {y + LANE}H{end}" stroke="currentColor" stroke-opacity=".1"/>'
        label = (
            f'<text x="{LEFT - 8}" y="{y + 17}" text-anchor="end"><title>{escape(name)}</title>{escape(shown)}</text>'
        )
        boxes = "".join(self._box(lane, span, y) for span in lane.spans)
        gone = f'<text x="{self._axis.x(lane.spans[-1].end) + 3:.1f}" y="{y + 17}" fill-opacity=".65">gone</text>'
        room = self._axis.x(lane.spans[-1].end) < LEFT + WIDTH - 28
        return f"<g>{line}{label}{boxes}{gone if lane.over and room else ''}</g>"

    def _box(self, lane: Lane, span: Span, y: int) -> str:
        left, right = self._axis.x(span.start), self._axis.x(span.end)
        wide, look = max(right - left, 1.5), look_of(span.state)
        word = f"{look.symbol} {span.state}"
        fits = word if len(word) * LETTER < wide else look.symbol if wide > MARK else ""
        tip = (f"{lane.word}: {span.state}, from {self._offset(span.start)} for {span.end - span.start:.2f} s, "
               f"since revision {span.revision} by {span.actor}")  # fmt: skip
        dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
        text = f'<text x="{left + 4:.1f}" y="{y + 17}">{escape(fits)}</text>' if fits else ""
        return (
            f'<g><title>{escape(tip)}</title><rect x="{left:.1f}" y="{y + 4}" width="{wide:.1f}" height="{LANE - 8}" '
            f'rx="3" fill="{look.hue}" fill-opacity=".26" stroke="{look.hue}"{dash}/>{text}</g>'
        )

    def _offset(self, moment: float) -> str:
        return f"+{moment - self._axis.start:.2f}s"

    def _ticks(self, height: int) -> str:
        """Times along the top, and where time is folded."""
        began = datetime.fromtimestamp(self._axis.start, UTC).strftime("%H:%M:%S")
        parts = [f'<text x="{LEFT - 34}" y="16" text-anchor="end" fill-opacity=".65">from {began} UTC</text>']
        for at in range(TICKS + 1):
            x = LEFT + WIDTH * at / TICKS
            text = self._offset(self._axis.moment(x)) if len(self._lanes) else ""
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height}" stroke="currentColor" '
                         f'stroke-opacity=".13"/><text x="{x:.1f}" y="16" text-anchor="middle" '
                         f'fill-opacity=".65">{text}</text>')  # fmt: skip
        for start, end in self._axis.folds:
            x = (self._axis.x(start) + self._axis.x(end)) / 2
            parts.append(f'<text x="{x:.1f}" y="{TOP - 3}" text-anchor="middle" fill-opacity=".65">⋯ '
                         f"{_long(end - start)} ⋯</text>")  # fmt: skip
        return "".join(parts)

    def _legend(self, y: int) -> str:
        parts, x = [], 12.0
        for state in dict.fromkeys(_family(span.state) for lane in self._lanes for span in lane.spans):
            look = look_of(state)
            dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
            parts.append(f'<rect x="{x:.0f}" y="{y - 9}" width="16" height="12" rx="3" fill="{look.hue}" '
                         f'fill-opacity=".26" stroke="{look.hue}"{dash}/><text x="{x + 21:.0f}" y="{y}">'
                         f"{look.symbol} {escape(state)}</text>")  # fmt: skip
            x += 44 + len(state) * LETTER
        return "".join(parts)


def _family(state: str) -> str:
    """States that differ in numbers share a line of the legend."""
    first, _, rest = state.partition(" ")
    if not rest:
        return state
    return f"0/1 {rest}" if fraction_tone(first) is BUSY else f"1/1 {rest}"


def _long(seconds: float) -> str:
    """`59 min`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
