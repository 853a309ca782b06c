"""Quantities are exact, and written as the apiserver writes them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8snb.apimachinery import quantity
from k8snb.apimachinery.quantity import QuantityError, parse

_TEN, _TWO = Fraction(10), Fraction(2)
SUFFIXES = {"n": _TEN**-9, "u": _TEN**-6, "m": _TEN**-3, "": _TEN**0, "k": _TEN**3, "M": _TEN**6, "G": _TEN**9,
            "T": _TEN**12, "Ki": _TWO**10, "Mi": _TWO**20, "Gi": _TWO**30, "Ti": _TWO**40,
            "e3": _TEN**3, "E-2": _TEN**-2}  # fmt: skip

amounts = st.builds(lambda whole, suffix: (f"{whole}{suffix}", whole * SUFFIXES[suffix]),
                    st.integers(-10**6, 10**6), st.sampled_from(sorted(SUFFIXES)))  # fmt: skip


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("0", "0"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("100m", "100m"),
        (1, "1"),
        (0.1, "100m"),
        ("1.5Gi", "1536Mi"),
        ("1024Mi", "1Gi"),
        ("0.5Ki", "512"),
        ("1Ki", "1Ki"),
        ("1000Ki", "1000Ki"),
        ("1e3", "1e3"),
        ("12E6", "12e6"),
        ("1E", "1E"),
        ("2000k", "2M"),
        ("-1500m", "-1500m"),
        ("+.5", "500m"),
        ("1.", "1"),
        ("0.1n", "1n"),
        ("100000000000E", "9223372036854775807"),
    ],
)
def test_the_canonical_form_has_no_fraction_and_the_largest_suffix(written: str, kept: str) -> None:
    assert quantity.canonical(written) == kept


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "1GB", "1,5", "0x10", "Gi1", "--1", "1e", "1ki", "one", "1e1.5"])
def test_what_is_no_quantity_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(QuantityError, match="128Mi"):
        parse(text)


def test_a_truth_value_is_no_quantity() -> None:
    with pytest.raises(QuantityError):
        parse(True)


@given(amounts)
def test_parsing_is_exact(amount: tuple[str, Fraction]) -> None:
    text, value = amount
    assert Fraction(parse(text).nanos, quantity.NANO) == value


@given(amounts)
def test_the_canonical_form_means_the_same_and_stays(amount: tuple[str, Fraction]) -> None:
    kept = quantity.canonical(amount[0])
    assert parse(kept) == parse(amount[0])
    assert quantity.canonical(kept) == kept


@given(amounts, amounts)
def test_quantities_compare_and_add_as_numbers(one: tuple[str, Fraction], other: tuple[str, Fraction]) -> None:
    assert (parse(one[0]) < parse(other[0])) == (one[1] < other[1])
    assert Fraction((parse(one[0]) + parse(other[0])).nanos, quantity.NANO) == one[1] + other[1]
    assert parse(one[0]) + parse(other[0]) - parse(other[0]) == parse(one[0])


def test_a_sum_speaks_the_units_of_its_first_amount() -> None:
    assert str(quantity.add(["128Mi", "1Gi"])) == "1152Mi"
    assert str(quantity.add(["100m", "1"])) == "1100m"
    assert str(quantity.add([])) == "0"


def test_milli_and_bytes_round_up() -> None:
    assert quantity.milli("0.5") == 500
    assert quantity.milli("1u") == 1
    assert quantity.to_bytes("1Ki") == 1024
    assert quantity.to_bytes("1500m") == 2
