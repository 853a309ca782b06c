"""Cron schedules, in the dialect that CronJobs are written in.

Interface: `parse(text, zone) -> Schedule`; `Schedule.next(moment)`; `zone(name)`.
The rule not to break: a complaint is one of upstream's sentences, and a moment on the clock's face that a change of
daylight saving time leaves out is left out, one that comes twice comes twice.
Source: github.com/robfig/cron/v3, which Kubernetes builds on. The libraries for Python speak Debian's dialect: there 7
is a Sunday, `*/2` is a star, `@daily` is nothing, and a job at a moment that is left out runs later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MINUTE, HOUR, DAY = 60, 3600, 86400
YEARS = 5  # in which a schedule has to come true; else it never does


class Schedule(Protocol):
    """When something is due. Moments are seconds since the epoch."""

    def next(self, moment: float) -> float | None:
        """The first time after a moment; None for a schedule that never comes true."""
        ...


@dataclass(frozen=True)
class Field:
    """What may stand in one of the five places."""

    least: int
    most: int
    names: tuple[str, ...] = ()


_FIELDS = (
    Field(0, 59),
    Field(0, 23),
    Field(1, 31),
    Field(1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    Field(0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_DESCRIPTORS: Mapping[str, str] = MappingProxyType({
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
})  # fmt: skip
_EVERY = "@every "
_DISTANCE = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


@dataclass(frozen=True)
class Every:
    """`@every 1h30m`: a distance in whole seconds, at least one."""

    seconds: int

    def next(self, moment: float) -> float:
        return int(moment) + self.seconds


@dataclass(frozen=True)
class Calendar:
    """Five sets of numbers. A day has to be in both sets of days where one of them is a star, else in either."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    starred: bool
    zone: tzinfo = UTC

    def next(self, moment: float) -> float | None:
        earliest = int(moment) + 1
        day = datetime.fromtimestamp(earliest, self.zone).date()
        last = day.year + YEARS
        while day.year <= last:
            if day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                continue
            if self._is_day(day) and (found := self._after(day, earliest)) is not None:
                return found
            day += timedelta(days=1)
        return None

    def _is_day(self, day: date) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month and in_week if self.starred else in_month or in_week

    def _after(self, day: date, earliest: int) -> int | None:
        """The first time of a day that is not before `earliest`."""
        begin, end = (self._moment(each) for each in (day, day + timedelta(days=1)))
        if end - begin == DAY:
            times: Iterator[int] = (
                begin + hour * HOUR + minute * MINUTE for hour in self.hours for minute in self.minutes
            )
        else:
            times = iter(sorted(set(self._odd_day(day))))
        return next((time for time in times if time >= earliest), None)

    def _moment(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp())

    def _odd_day(self, day: date) -> Iterator[int]:
        """The times of a day on which the clocks are changed: some come twice, some not at all."""
        for hour in self.hours:
            for minute in self.minutes:
                for fold in (0, 1):
                    face = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone, fold=fold)
                    moment = int(face.timestamp())
                    if datetime.fromtimestamp(moment, self.zone).replace(tzinfo=None) == face.replace(tzinfo=None):
                        yield moment


def zone(name: str) -> tzinfo:
    """A time zone by its IANA name; "" is UTC. Raises ValueError."""
    if name in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name}") from None


def parse(text: str, where: tzinfo = UTC) -> Schedule:
    """A schedule of five fields, or a descriptor (`@daily`, `@every 90s`). Raises ValueError.

    `TZ=Europe/Berlin 0 5 * * *` names its zone itself.
    """
    if text.startswith(("TZ=", "CRON_TZ=")):
        text, where = _located(text)
    if not text:
        raise ValueError("empty spec string")
    if text.startswith(_EVERY):
        return _every(text)
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    words = text.split()
    if len(words) != len(_FIELDS):
        raise ValueError(f"expected exactly {len(_FIELDS)} fields, found {len(words)}: [{' '.join(words)}]")
    sets, stars = zip(*(_field(word, field) for word, field in zip(words, _FIELDS, strict=True)), strict=True)
    minutes, hours, days, months, weekdays = sets
    return Calendar(tuple(sorted(minutes)), tuple(sorted(hours)), days, months, weekdays, stars[2] or stars[4], where)


def _located(text: str) -> tuple[str, tzinfo]:
    place, space, rest = text.partition(" ")
    name = place.partition("=")[2]
    if not space:
        raise ValueError(f"invalid location descriptor: {text}")
    try:
        return rest.strip(), zone(name)
    except ValueError as error:
        raise ValueError(f"provided bad location {name}: {error}") from None


def _every(text: str) -> Every:
    words = text.removeprefix(_EVERY)
    match = _DISTANCE.fullmatch(words)
    if not words or match is None:
        raise ValueError(f'failed to parse duration {text}: time: invalid duration "{words}"')
    hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return Every(max(hours * HOUR + minutes * MINUTE + seconds, 1))


def _field(text: str, field: Field) -> tuple[frozenset[int], bool]:
    """The numbers that `1-5,*/10,mon` stands for, and whether a star is among them."""
    ranges = [_range(part, field) for part in text.split(",") if part]
    return frozenset().union(*(numbers for numbers, _ in ranges)), any(starred for _, starred in ranges)


def _range(text: str, field: Field) -> tuple[range, bool]:
    span, *steps = text.split("/")
    ends = span.split("-")
    star = ends[0] in ("*", "?")
    if star:
        least, most = field.least, field.most
    else:
        least, most = _ends(ends, text, field)
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {text}")
    step = _number(steps[0]) if steps else 1
    if steps and len(ends) == 1:
        most = field.most
    _check(text, field, least, most, step)
    return range(least, most + 1, step), star and step == 1


def _ends(ends: list[str], text: str, field: Field) -> tuple[int, int]:
    if len(ends) > 2:
        raise ValueError(f"too many hyphens: {text}")
    numbers = [_number_or_name(end, field) for end in ends]
    return numbers[0], numbers[-1]


def _check(text: str, field: Field, least: int, most: int, step: int) -> None:
    if least < field.least:
        raise ValueError(f"beginning of range ({least}) below minimum ({field.least}): {text}")
    if most > field.most:
        raise ValueError(f"end of range ({most}) above maximum ({field.most}): {text}")
    if least > most:
        raise ValueError(f"beginning of range ({least}) beyond end of range ({most}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")


def _number_or_name(text: str, field: Field) -> int:
    name = text.lower()
    return field.names.index(name) + field.least if name in field.names else _number(text)


def _number(text: str) -> int:
    if not (text.isascii() and text.removeprefix("+").isdigit()):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)
