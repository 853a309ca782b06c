"""duration: spans of time as kubectl prints them, and as a user types them.

Interface: `human(seconds)`, `age(timestamp, now)`, `parse("1m30s")`.
The rule not to break: two digits of precision for a human, never more.
Source: `apimachinery/pkg/util/duration` in the kubernetes repository; Go's `time.ParseDuration`.
"""

from __future__ import annotations

import re

from k8snb.clock import parse_timestamp

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400

# Below this many seconds: the bigger unit, its letter, the smaller unit shown beside it (0: none) and its letter.
_STEPS = (
    (2 * MINUTE, 1, "s", 0, ""),
    (10 * MINUTE, MINUTE, "m", 1, "s"),
    (3 * HOUR, MINUTE, "m", 0, ""),
    (8 * HOUR, HOUR, "h", MINUTE, "m"),
    (2 * DAY, HOUR, "h", 0, ""),
    (8 * DAY, DAY, "d", HOUR, "h"),
    (2 * YEAR, DAY, "d", 0, ""),
    (8 * YEAR, YEAR, "y", DAY, "d"),
    (float("inf"), YEAR, "y", 0, ""),
)

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def human(seconds: float) -> str:
    """`5m30s`, `2d3h`; `<invalid>` for what lies in the future by more than clocks differ."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(whole, 0)
    _, unit, letter, smaller, small = next(step for step in _STEPS if whole < step[0])
    rest = whole % unit // smaller if smaller else 0
    return f"{whole // unit}{letter}" + (f"{rest}{small}" if rest else "")


def age(timestamp: str | None, now: float) -> str:
    """How long ago an RFC 3339 time was; `<unknown>` for no time."""
    return human(now - parse_timestamp(timestamp)) if timestamp else "<unknown>"


def parse(text: str) -> float:
    """Seconds in `10s`, `1m30s`, `2h`; a bare 0 is allowed. Raises ValueError."""
    body = text.removeprefix("-").removeprefix("+")
    parts = _PART.findall(body)
    if body == "0":
        return 0.0
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError(f'time: invalid duration "{text}"')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return -seconds if text.startswith("-") else seconds
