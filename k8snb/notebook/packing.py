"""Where the parts of a picture go that nothing joins: beside each other, as far as a page is wide.

Interface: `packed(ids, arcs) -> Rows`: `beside`, pairs of which the left one's column comes before the right one's, and
`below`, the first boxes of the rows from the top down; `natural(name)`, a key by which `node-2` comes before `node-10`.
The rule not to break: what is joined stays together. A few parts stay below each other, where they read best, and so do
those of which one leads out of the frame.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

Arc = tuple[str, str]
COLUMNS = 5  # boxes beside each other that a page is wide
_PARTS = re.compile(r"(\d+)|(\D+)")
FEW = 3  # parts that stand below each other


class Rows(NamedTuple):
    beside: list[Arc]
    below: list[str]


def natural(name: str) -> list[tuple[int, str]]:
    """Numbers in a name count as numbers."""
    return [(int(number), "") if number else (0, text) for number, text in _PARTS.findall(name)]


def packed(ids: Sequence[str], arcs: Iterable[Arc]) -> Rows:
    """Which box has to come before which and which below which, so that the parts fill rows."""
    inside = set(ids)
    after: dict[str, list[str]] = defaultdict(list)
    joined: dict[str, set[str]] = defaultdict(set)
    tied: set[str] = set()
    for left, right in arcs:
        tied |= {left, right} & inside if len({left, right} & inside) == 1 else set()
        if left in inside and right in inside:
            after[left].append(right)
            joined[left].add(right)
            joined[right].add(left)
    parts = [_columns(part, after) for part in _parts(ids, joined)]
    if len(parts) <= FEW or tied:
        return Rows([], [part[0][0] for part in parts])
    ordered = sorted(parts, key=len, reverse=True)
    beside = list(_pairs(ordered))
    behind = {right for _, right in beside}
    return Rows(beside, [part[0][0] for part in ordered if part[0][0] not in behind])


def _parts(ids: Sequence[str], joined: dict[str, set[str]]) -> Iterator[list[str]]:
    """The boxes that hang together, each part in the order of `ids`."""
    seen: set[str] = set()
    for start in ids:
        if start in seen:
            continue
        part, waiting = {start}, [start]
        while waiting:
            fresh = joined[waiting.pop()] - part
            part |= fresh
            waiting.extend(fresh)
        seen |= part
        yield [each for each in ids if each in part] if len(part) > 1 else [start]


def _columns(part: list[str], after: dict[str, list[str]]) -> list[list[str]]:
    """The columns of a part: each box stands behind all that lead to it; who stands in a circle stays where it is."""
    column = dict.fromkeys(part, 0)
    for _ in range(min(len(part), COLUMNS)):
        for box in part:
            for following in after[box]:
                column[following] = max(column[following], column[box] + 1)
    columns: dict[int, list[str]] = defaultdict(list)
    for box in part:
        columns[column[box]].append(box)
    return [columns[place] for place in sorted(columns)]


def _pairs(parts: list[list[list[str]]]) -> Iterator[Arc]:
    """Parts in rows, as many as fit: each begins where the one before it ends."""
    row: list[list[str]] = []
    for part in parts:
        if row and len(row) + len(part) <= COLUMNS:
            yield row[-1][0], part[0][0]
            row = [*row, *part]
        else:
            row = part
