"""Label and field selectors: which objects are meant.

Interface: `parse_selector("env in (prod, qa),!old")`, `from_label_selector(spec.selector)` and `from_set(labels)` make
a `Selector`; `parse_field_selector("status.phase=Running")` makes a `FieldSelector`. Both have `matches` and `str`.
The rule not to break: one `Selector` means the same however it was written; matching reads labels and nothing else.
Source: `apimachinery/pkg/labels/selector.go` and `pkg/fields/selector.go` in the kubernetes repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from k8snb.apimachinery import names
from k8snb.apimachinery.meta import get_path

EQUALS, NOT_EQUALS, IN, NOT_IN, EXISTS, NOT_EXISTS, GREATER, LESS = (
    "=", "!=", "in", "notin", "exists", "!", "gt", "lt",
)  # fmt: skip

_SIGNS = {GREATER: ">", LESS: "<"}
_OPERATORS = {"=": EQUALS, "==": EQUALS, "!=": NOT_EQUALS, "in": IN, "notin": NOT_IN, ">": GREATER, "<": LESS}
_EXPRESSIONS = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": NOT_EXISTS, "Gt": GREATER, "Lt": LESS}
_TOKEN = re.compile(r"\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)")
_MARKS = frozenset(("=", "==", "!=", "!", "<", ">", "(", ")", ","))
_EXPECTED_OPERATOR = "in, notin, =, ==, !=, gt, lt"


class SelectorError(ValueError):
    """A selector that cannot be read."""


class Requirement(NamedTuple):
    """One of the conditions that a selector joins by AND. `values` are sorted; empty for exists and `!`."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        if self.operator in (EQUALS, IN):
            return value is not None and value in self.values
        if self.operator in (NOT_EQUALS, NOT_IN):
            return value is None or value not in self.values
        if self.operator in (EXISTS, NOT_EXISTS):
            return (value is not None) is (self.operator == EXISTS)
        return _compare(self.operator, value, self.values[0])

    def __str__(self) -> str:
        if self.operator == EXISTS:
            return self.key
        if self.operator == NOT_EXISTS:
            return f"!{self.key}"
        if self.operator in (IN, NOT_IN):
            return f"{self.key} {self.operator} ({','.join(self.values)})"
        sign: str = _SIGNS.get(self.operator, self.operator)
        return f"{self.key}{sign}{self.values[0]}"


def _compare(operator: str, value: str | None, bound: str) -> bool:
    if value is None or not _is_integer(value):
        return False
    return int(value) > int(bound) if operator == GREATER else int(value) < int(bound)


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+", text) is not None


@dataclass(frozen=True)
class Selector:
    """Requirements, joined by AND. Without any it matches everything; `nothing` matches no object at all."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        equal, others = self._split
        if self.nothing or not equal.items() <= labels.items():
            return False
        return not others or all(requirement.matches(labels) for requirement in others)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    @property
    def is_everything(self) -> bool:
        return not self.requirements and not self.nothing

    def equality(self) -> dict[str, str]:
        """The key=value requirements; an index over them finds every object that can match."""
        return dict(self._split[0])

    @cached_property
    def _split(self) -> tuple[dict[str, str], list[Requirement]]:
        """The key=value requirements as labels, which compare fastest, and all others."""
        equal: dict[str, str] = {}
        others = []
        for requirement in self.requirements:
            key, operator, values = requirement
            if operator in (EQUALS, IN) and len(values) == 1 and equal.setdefault(key, values[0]) == values[0]:
                continue
            others.append(requirement)
        return equal, others

    def mismatches(self, labels: Mapping[str, str]) -> list[Requirement]:
        """The requirements that these labels do not meet: with one, a near miss worth telling."""
        return [requirement for requirement in self.requirements if not requirement.matches(labels)]


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def _sorted(requirements: Iterable[Requirement]) -> Selector:
    return Selector(tuple(sorted(requirements, key=lambda requirement: requirement.key)))


def from_set(labels: Mapping[str, str] | None) -> Selector:
    """The selector of a Service or ReplicationController: all of these labels. None or {} matches everything."""
    return _sorted(Requirement(key, EQUALS, (value,)) for key, value in (labels or {}).items())


def from_label_selector(selector: Mapping[str, Any] | None) -> Selector:
    """`spec.selector` of workloads: matchLabels and matchExpressions. None matches nothing, {} everything."""
    if selector is None:
        return NOTHING
    equal = [Requirement(key, EQUALS, (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    return _sorted([*equal, *map(_expression, selector.get("matchExpressions") or ())])


def _expression(expression: Mapping[str, Any]) -> Requirement:
    operator = _EXPRESSIONS.get(expression["operator"])
    if operator is None:
        raise SelectorError(f'"{expression["operator"]}" is not a valid label selector operator')
    return _checked(Requirement(expression["key"], operator, tuple(sorted(expression.get("values") or ()))))


@lru_cache(maxsize=1024)
def parse_selector(text: str) -> Selector:
    """The selector that a user typed: `app=web,env in (prod,qa),!old`. Raises SelectorError in kubectl's words."""
    try:
        return _sorted(_Parser(text).requirements())
    except SelectorError as error:
        raise SelectorError(f"unable to parse requirement: {error}") from None


class _Parser:
    """Reads requirements from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = [*_TOKEN.findall(text), ""]
        self._next = 0

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while self._peek():
            found.append(_checked(self._requirement()))
            mark = self._take()
            if mark not in (",", ""):
                raise SelectorError(f"found '{mark}', expected: ',' or 'end of string'")
            if mark and (not self._peek() or self._peek() == ","):
                raise SelectorError(f"found '{self._peek()}', expected: identifier after ','")
        return found

    def _requirement(self) -> Requirement:
        absent = self._peek() == "!"
        if absent:
            self._take()
        key = self._take()
        if key in _MARKS or not key:
            raise SelectorError(f"found '{key}', expected: identifier")
        if absent or self._peek() in ("", ","):
            return Requirement(key, NOT_EXISTS if absent else EXISTS)
        sign = self._take()
        operator = _OPERATORS.get(sign)
        if operator is None:
            raise SelectorError(f"found '{sign}', expected: {_EXPECTED_OPERATOR}")
        return Requirement(key, operator, self._values() if operator in (IN, NOT_IN) else (self._value(),))

    def _value(self) -> str:
        return "" if self._peek() in ("", ",") else self._word("identifier")

    def _word(self, expected: str) -> str:
        word = self._take()
        if word in _MARKS or not word:
            raise SelectorError(f"found '{word}', expected: {expected}")
        return word

    def _values(self) -> tuple[str, ...]:
        """`(a, b)`; between commas nothing is the empty value."""
        if self._take() != "(":
            raise SelectorError(f"found '{self._tokens[self._next - 1]}', expected: '('")
        values: set[str] = set()
        while True:
            values.add("" if self._peek() in (",", ")") else self._word("',', ')' or identifier"))
            mark = self._take()
            if mark == ")":
                return tuple(sorted(values))
            if mark != ",":
                raise SelectorError(f"found '{mark}', expected: ',' or ')'")

    def _peek(self) -> str:
        return self._tokens[min(self._next, len(self._tokens) - 1)]

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token


def _checked(requirement: Requirement) -> Requirement:
    """The requirement itself, if its key and values can be those of labels."""
    key, operator, values = requirement
    if complaints := names.qualified_name(key):
        raise SelectorError(f'key: Invalid value: "{key}": {complaints[0]}')
    if operator in (IN, NOT_IN) and not values:
        raise SelectorError("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
    if operator in (EXISTS, NOT_EXISTS) and values:
        raise SelectorError("values: Invalid value: values set must be empty for exists and does not exist")
    if operator in (GREATER, LESS) and (len(values) != 1 or not _is_integer(values[0])):
        raise SelectorError("values: Invalid value: for 'Gt', 'Lt' operators, the value must be an integer")
    for value in values:
        if complaints := names.label_value(value):
            raise SelectorError(f'values: Invalid value: "{value}": {complaints[0]}')
    return requirement


@dataclass(frozen=True)
class FieldSelector:
    """Conditions on fields, joined by AND: (path, operator, value). Which fields a kind allows, its server knows."""

    terms: tuple[tuple[str, str, str], ...] = ()

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether an object's fields are (`=`) or are not (`!=`) these; a field that is not there is ""."""
        return all((_text(get_path(obj, path)) == value) is (sign == EQUALS) for path, sign, value in self.terms)

    def __str__(self) -> str:
        return ",".join(f"{path}{operator}{_ESCAPES.sub(_escape, value)}" for path, operator, value in self.terms)

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(path for path, _, _ in self.terms)

    @property
    def is_everything(self) -> bool:
        return not self.terms

    def equality(self) -> dict[str, str]:
        """The path=value terms, for indices."""
        return {path: value for path, operator, value in self.terms if operator == EQUALS}


_ESCAPES = re.compile(r"[\\,=]")
_TERM = re.compile(r"(?:\\.|[^,\\])+")
_FIELD = re.compile(r"([^=!]+)(!=|==|=)(.*)", re.DOTALL)


def _escape(match: re.Match[str]) -> str:
    return "\\" + match[0]


def _text(value: Any) -> str:
    """A field as selectors compare it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


@lru_cache(maxsize=1024)
def parse_field_selector(text: str) -> FieldSelector:
    """`status.phase=Running,spec.nodeName!=n1`; in values `\\,` `\\=` and `\\\\` are escapes. Raises SelectorError."""
    terms = []
    for term in _TERM.findall(text):
        match = _FIELD.fullmatch(term)
        if match is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        path, operator, value = match.groups()
        terms.append((path.strip(), _OPERATORS[operator], re.sub(r"\\(.)", r"\1", value)))
    return FieldSelector(tuple(terms))
