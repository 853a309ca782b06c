"""Quantity: amounts of CPU, memory and storage, exactly (`100m`, `1.5Gi`, `1e3`).

Interface: `parse(text) -> Quantity`, which compares, adds and prints canonically; `milli`, `to_bytes`, `canonical` and
`add` for what schedulers and printers need of plain strings.
The rule not to break: no floating point; an amount is a whole number of billionths, rounded up, as upstream has it.
Source: `apimachinery/pkg/api/resource/quantity.go` in the kubernetes repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

Amount = str | int | float

NANO = 10**9
DECIMAL, BINARY, EXPONENT = "DecimalSI", "BinarySI", "DecimalExponent"
_MAX = (2**63 - 1) * NANO

_DECIMAL_POWERS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_POWERS = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIXES = {power: suffix for suffix, power in _DECIMAL_POWERS.items()}
_BINARY_SUFFIXES = {power: suffix for suffix, power in _BINARY_POWERS.items()}
_FORM = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(.*)", re.DOTALL)
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]{1,4})")

_HOW = "write a number, then nothing or one of m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei: 500m, 0.5, 128Mi"


class QuantityError(ValueError):
    """Not a quantity. `why` says what is wrong with it, without the text itself."""

    def __init__(self, text: Any, why: str) -> None:
        super().__init__(f'"{text}": {why}')
        self.why = why


@dataclass(frozen=True, order=True)
class Quantity:
    """An amount in billionths, and the format in which it likes to be written."""

    nanos: int
    format: str = field(default=DECIMAL, compare=False)

    def __str__(self) -> str:
        """The canonical form: no fraction, the largest suffix that loses nothing."""
        return _WRITERS[self.format](self.nanos)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos - other.nanos, self.format if self.nanos else other.format)

    def __neg__(self) -> Quantity:
        return Quantity(-self.nanos, self.format)

    def __bool__(self) -> bool:
        return self.nanos != 0

    @property
    def value(self) -> int:
        """Whole units, rounded up: bytes, CPUs, pieces."""
        return -(-self.nanos // NANO)

    @property
    def milli(self) -> int:
        """Thousandths, rounded up: millicores."""
        return -(-self.nanos // 10**6)


def parse(amount: Amount) -> Quantity:
    """The quantity in a string or number. Raises QuantityError."""
    return _parse(str(amount)) if type(amount) in (str, int, float) else _refuse(amount)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Quantity:
    match = _FORM.fullmatch(text)
    if match is None:
        raise QuantityError(text, f"quantities must begin with a number: {_HOW}")
    sign, number, suffix = match.groups()
    factor, form = _scale(text, suffix)
    nanos = _round_up(Fraction(number) * factor * NANO)
    return Quantity(min(nanos, _MAX) * (-1 if sign == "-" else 1), form)


def _scale(text: str, suffix: str) -> tuple[Fraction, str]:
    if suffix in _DECIMAL_POWERS:
        return Fraction(10) ** _DECIMAL_POWERS[suffix], DECIMAL
    if suffix in _BINARY_POWERS:
        return Fraction(2) ** _BINARY_POWERS[suffix], BINARY
    exponent = _EXPONENT.fullmatch(suffix)
    if exponent is None:
        raise QuantityError(text, f'unable to parse quantity\'s suffix "{suffix}": {_HOW}')
    return Fraction(10) ** int(exponent[1]), EXPONENT


def _round_up(amount: Fraction) -> int:
    return -(-amount.numerator // amount.denominator)


def _refuse(amount: Any) -> Quantity:
    raise QuantityError(amount, f"must be a quantity: {_HOW}")


def _decimal(nanos: int) -> str:
    mantissa, power = _without_zeros(nanos)
    return f"{mantissa}{_DECIMAL_SUFFIXES[power]}"


def _exponent(nanos: int) -> str:
    mantissa, power = _without_zeros(nanos)
    return f"{mantissa}e{power}" if power else str(mantissa)


def _binary(nanos: int) -> str:
    whole, rest = divmod(nanos, NANO)
    if rest or abs(whole) < 1024:
        return _decimal(nanos)
    power = 0
    while whole % 1024 == 0 and power < 60:
        whole, power = whole // 1024, power + 10
    return f"{whole}{_BINARY_SUFFIXES.get(power, '')}"


def _without_zeros(nanos: int) -> tuple[int, int]:
    """Mantissa and power of ten, the power a multiple of three between -9 and 18."""
    power = -9
    while nanos % 1000 == 0 and power < 18:
        nanos, power = nanos // 1000, power + 3
    return (nanos, power) if nanos else (0, 0)


_WRITERS = {DECIMAL: _decimal, BINARY: _binary, EXPONENT: _exponent}


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    return str(_parse(text))


def canonical(amount: Amount) -> str:
    """How the apiserver writes an amount: `0.5` → `500m`, `1000m` → `1`, `1024Mi` → `1Gi`. Raises QuantityError."""
    return _canonical(str(amount)) if type(amount) in (str, int, float) else str(_refuse(amount))


def milli(amount: Amount) -> int:
    """Thousandths, rounded up: `250m` → 250, `2` → 2000. Raises QuantityError."""
    return parse(amount).milli


def to_bytes(amount: Amount) -> int:
    """Whole units, rounded up: `1Ki` → 1024. Raises QuantityError."""
    return parse(amount).value


def add(amounts: Iterable[Amount]) -> Quantity:
    """The sum, in the format of the first that is not nothing."""
    return sum((parse(amount) for amount in amounts), Quantity(0))
