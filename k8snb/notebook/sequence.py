"""Sequence diagrams: who wrote what, and what that set off, as a picture in SVG.

Interface: `Sequence(steps)`: `svg`, `html`.
The rule not to break: colours repeat words; without scripts and without this package the picture stays as it is, and
its title says in words what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence as Rows
from html import escape
from itertools import count

from k8snb.story.actors import YOU
from k8snb.story.trace import Step, folded

SERVER = "apiserver · etcd"
LANE, LINE, TOP, LEFT = 168, 34, 46, 84  # pixels
MOST = 60  # steps that a picture shows
WIDTH = 26  # characters of a label over an arrow


class Sequence:
    """Time runs downwards. A solid arrow is a write; a dashed one is the watch event that made somebody act."""

    def __init__(self, steps: Rows[Step]) -> None:
        shown = folded(steps, MOST)
        self._steps = shown[:MOST]
        self._left = len(shown) - len(self._steps)
        self._folded = len(steps) - len(shown)
        actors = dict.fromkeys(step.actor for step in self._steps)
        names = [*([YOU] if YOU in actors else []), SERVER, *(name for name in actors if name not in (YOU, SERVER))]
        self._lanes = {name: LEFT + LANE * at for at, name in enumerate(names)}

    @property
    def html(self) -> str:
        told = [f"{self._folded} writes that only repeat others are drawn with them"] if self._folded else []
        told += [f"{self._left} more are left out"] if self._left else []
        more = f"<p>{', and '.join(told)}: the table has them all</p>" if told else ""
        return f'<div style="overflow-x:auto">{self.svg}{more}</div>' if self._steps else ""

    @property
    def svg(self) -> str:
        rows, height = self._rows()
        width = LEFT * 2 + LANE * (len(self._lanes) - 1)
        title = f"{len(self._steps)} writes: " + "; ".join(f"{s.actor} {s.verb} {s.word}" for s in self._steps[:8])
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height + 12}" '
            f'viewBox="0 0 {width} {height + 12}" font-family="sans-serif" font-size="11" fill="currentColor">'
            f"<title>{escape(title)}</title>{_MARKS}{self._heads(height)}{''.join(rows)}</svg>"
        )

    def _heads(self, height: int) -> str:
        return "".join(
            f'<line x1="{x}" y1="{TOP - 12}" x2="{x}" y2="{height}" stroke="currentColor" stroke-opacity=".25"/>'
            f'<rect x="{x - 78}" y="6" width="156" height="24" rx="5" fill="currentColor" fill-opacity=".08" '
            f'stroke="currentColor" stroke-opacity=".4"/>'
            f'<text x="{x}" y="22" text-anchor="middle" font-weight="bold">{escape(_cut(name, 24))}</text>'
            for name, x in self._lanes.items()
        )

    def _rows(self) -> tuple[list[str], int]:
        known = {step.revision for step in self._steps}
        rows: list[str] = []
        places = count(TOP + LINE // 2, LINE)
        y = TOP
        heard: set[tuple[int, str]] = set()
        for step in self._steps:
            if step.cause in known and step.actor != YOU and (step.cause, step.actor) not in heard:
                heard.add((step.cause, step.actor))
                y = next(places)
                rows.append(self._arrow(SERVER, step.actor, y, f"watch: {step.cause}", "", dashed=True))
            y = next(places)
            label = f"{step.verb} {step.word}"
            rows.append(self._arrow(step.actor, SERVER, y, label, f"{step.revision}: {step.what}", dashed=False))
        return rows, y + LINE

    def _arrow(self, source: str, target: str, y: int, label: str, below: str, *, dashed: bool) -> str:
        start, end = self._lanes[source], self._lanes[target]
        middle = (start + end) / 2
        style = 'stroke-dasharray="4 3" stroke-opacity=".55"' if dashed else ""
        tip = f"{label}\n{below}"
        room = abs(end - start) // LANE * WIDTH
        text = _text(middle, y - 4, _cut(label, room)) + _text(middle, y + 11, _cut(below, room + 4), faint=True)
        line = f'<line x1="{start}" y1="{y}" x2="{end}" y2="{y}" stroke="currentColor" {style} {_TIP}/>'
        return f"<g><title>{escape(tip)}</title>{line}{text}</g>"


def _text(x: float, y: int, text: str, *, faint: bool = False) -> str:
    style = 'fill-opacity=".65" font-size="10" ' if faint else ""
    return f'<text x="{x}" y="{y}" text-anchor="middle" {style}>{escape(text)}</text>' if text else ""


_TIP = 'marker-end="url(#k8snb-tip)"'
_MARKS = (
    '<defs><marker id="k8snb-tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" fill="currentColor"/></marker></defs>'
)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
