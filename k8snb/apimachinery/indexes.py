"""Sets of indexes as Jobs write them: `1,3-5,7`.

Interface: `Indexes`, immutable; `Indexes.parse(text, below)`, `str(indexes)`; `count(text, below)` is strict.
The rule not to break: work grows with the number of intervals, never with the number of indexes.
Source: `orderedIntervals` in pkg/controller/job/indexed_job_utils.go, `validateIndexesFormat` in
pkg/apis/batch/validation/validation.go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

Interval = tuple[int, int]


class Indexes:
    """Numbers from 0, kept as intervals in order that neither touch nor overlap."""

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        merged: list[Interval] = []
        for first, last in sorted(intervals):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = merged[-1][0], max(last, merged[-1][1])
            else:
                merged.append((first, last))
        self._intervals = tuple(merged)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Indexes:
        return cls((number, number) for number in numbers)

    @classmethod
    def parse(cls, text: str, below: int) -> Indexes:
        """What a status or a policy says; whatever does not read, or is not below a bound, is left out."""
        return cls(_readable(text, below))

    def __or__(self, other: Indexes) -> Indexes:
        return Indexes((*self._intervals, *other._intervals))

    def __and__(self, other: Indexes) -> Indexes:
        pairs = ((max(a, c), min(b, d)) for a, b in self._intervals for c, d in other._intervals)
        return Indexes((first, last) for first, last in pairs if first <= last)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._intervals, (number, number)) - 1
        near = self._intervals[max(place, 0) : place + 2]
        return any(first <= number <= last for first, last in near)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self._intervals)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Indexes) and self._intervals == other._intervals

    def __hash__(self) -> int:
        return hash(self._intervals)

    def __str__(self) -> str:
        return ",".join(_text(first, last) for first, last in self._intervals)

    def missing(self, below: int) -> Iterator[int]:
        """The indexes below a bound that are not here, in order."""
        begin = 0
        for first, last in self._intervals:
            yield from range(begin, min(first, below))
            begin = last + 1
        yield from range(begin, below)


def _text(first: int, last: int) -> str:
    """Two neighbours are written with a comma."""
    return str(first) if first == last else f"{first}{',' if last == first + 1 else '-'}{last}"


def _readable(text: str, below: int) -> Iterator[Interval]:
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if len(ends) <= 2 and all(end.isdigit() for end in ends) and int(ends[0]) < below:
            yield int(ends[0]), min(int(ends[-1]), below - 1)


def count(text: str, below: int) -> int:
    """How many indexes a text names. Raises ValueError for one that is not in order or not below the bound."""
    total, previous = 0, -1
    for part in text.split(",") if text else ():
        first, last = _strict(part, below)
        if total and previous >= first:
            raise ValueError(f"non-increasing order, previous: {previous}, current: {first}")
        total, previous = total + last - first + 1, last
    return total


def _strict(part: str, below: int) -> Interval:
    ends = part.split("-")
    if len(ends) > 2:
        raise ValueError(f'the fragment "{part}" violates the requirement that an index interval can have at most two '
                         "parts separated by '-'")  # fmt: skip
    for end in ends:
        if not end.isdigit():
            raise ValueError(f'cannot convert string to integer for index: "{end}"')
        if int(end) >= below:
            raise ValueError(f'too large index: "{end}"')
    if len(ends) == 2 and int(ends[0]) >= int(ends[1]):
        raise ValueError(f"non-increasing order, previous: {ends[0]}, current: {ends[1]}")
    return int(ends[0]), int(ends[-1])
