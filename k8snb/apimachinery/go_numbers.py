"""Numbers as Go writes them.

Interface: `float_text(value)`.
The rule not to break: as few digits as tell a number from all others, and an exponent from a million on.
Source: Go's `strconv.FormatFloat`, which its `fmt` and its YAML use.
"""

from __future__ import annotations

import math
from decimal import Decimal

_MANY = 6  # digits before the point from which on a number has an exponent


def _shortest(value: float) -> tuple[str, int]:
    """The digits that tell a number from all others, and where its point stands."""
    parts = Decimal(repr(abs(value))).normalize().as_tuple()
    digits = "".join(map(str, parts.digits)) or "0"
    return digits, (len(digits) + int(parts.exponent) if digits != "0" else 1)


def float_text(value: float, verb: str = "g", precision: int | None = None) -> str:
    """A float64 in the forms e, f and g; without a precision with as many digits as it needs."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if precision is not None:
        return f"{value:.{precision}{verb}}"
    digits, point = _shortest(value)
    sign = "-" if math.copysign(1, value) < 0 else ""
    if verb.lower() == "e" or (verb.lower() == "g" and not -4 <= point - 1 < _MANY):
        mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        return f"{sign}{mantissa}e{point - 1:+03d}"
    whole = digits[:point].ljust(point, "0") if point > 0 else "0"
    part = digits[point:] if point > 0 else "0" * -point + digits
    return sign + whole + (f".{part}" if part else "")
