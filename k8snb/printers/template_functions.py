"""Go templates, the functions: those of every Go template, and kubectl's own.

Interface: `FUNCTIONS`, by name; `truth(value)`.
The rule not to break: a function that cannot answer raises CallError with Go's words.
Source: Go's `text/template/funcs.go`, and `cli-runtime/pkg/printers/template.go` for `exists` and `base64decode`.
"""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from k8snb.printers.go_format import MISSING, Byte, Int, Missing, sprint, sprintf, sprintln, type_of


class CallError(ValueError):
    """Why a function has no answer; `CALLEE` in the message stands for its first argument as it was written."""


CALLEE = "\0"


_NO_VALUE = "reflect: call of reflect.Value.Type on zero Value"


@dataclass(frozen=True)
class Row:
    """One function. `fixed` of its arguments must be there, and more may follow where it is `variadic`.

    `strings` first arguments must be strings; `any_value`: a missing value comes as nil.
    """

    call: Callable[..., Any]
    fixed: int
    variadic: bool = False
    strings: int = 0
    any_value: bool = False


def truth(value: Any) -> bool:
    """Whether a value counts as true: not when it is zero, empty or missing."""
    return value is not MISSING and bool(value)


def _none_if_missing(value: Any) -> Any:
    return None if isinstance(value, Missing) else value


# looking into values


def _len(value: Any) -> Int:
    if value is None:
        raise CallError("len of nil pointer")
    if value is MISSING:
        raise CallError(_NO_VALUE)
    if not isinstance(value, str | list | dict):
        raise CallError(f"len of type {type_of(value)}")
    return Int(len(value.encode()) if isinstance(value, str) else len(value))


def _index(value: Any, *places: Any) -> Any:
    if value is MISSING or value is None:
        raise CallError("index of untyped nil")
    for place in places:
        if value is None:
            raise CallError("index of nil pointer")
        value = _item(value, place)
    return value


def _item(value: Any, place: Any) -> Any:
    if isinstance(value, dict):
        if _none_if_missing(place) is None:
            raise CallError("value is nil; should be of type string")
        if not isinstance(place, str):
            raise CallError(f"value has type {type_of(place)}; should be string")
        return value.get(place)
    if not isinstance(value, str | list):
        raise CallError(f"can't index item of type {type_of(value)}")
    items = value.encode() if isinstance(value, str) else value
    place = _place(place, len(items) - 1)
    return Byte(items[place]) if isinstance(value, str) else items[place]


def _place(place: Any, last: int) -> int:
    if _none_if_missing(place) is None:
        raise CallError("cannot index slice/array with nil")
    if not isinstance(place, int) or isinstance(place, bool):
        raise CallError(f"cannot index slice/array with type {type_of(place)}")
    if not 0 <= place <= last:
        raise CallError(f"index out of range: {place}")
    return int(place)


def _slice(value: Any, *places: Any) -> Any:
    if value is MISSING or value is None:
        raise CallError("slice of untyped nil")
    if len(places) > 3:
        raise CallError(f"too many slice indexes: {len(places)}")
    if isinstance(value, str) and len(places) == 3:
        raise CallError("cannot 3-index slice a string")
    if not isinstance(value, str | list):
        raise CallError(f"can't slice item of type {type_of(value)}")
    items: Any = value.encode() if isinstance(value, str) else value
    ends = [_place(place, len(items)) for place in places] + [0, len(items)][len(places) :]
    if ends[0] > ends[1]:
        raise CallError(f"invalid slice index: {ends[0]} > {ends[1]}")
    part = items[ends[0] : ends[1]]
    return part.decode(errors="replace") if isinstance(value, str) else part


def _exists(value: Any, *places: Any) -> bool:
    """Whether `index` would find something there."""
    for place in places:
        if isinstance(value, dict) and isinstance(place, str):
            if place not in value:
                return False
            value = value[place]
        elif isinstance(value, list) and type(place) in (int, Int) and 0 <= place < len(value):
            value = value[place]
        else:
            return False
    return True


def _call(function: Any, *arguments: Any) -> Any:
    if _none_if_missing(function) is None:
        raise CallError("call of nil")
    raise CallError(f"non-function {CALLEE} of type {type_of(function)}")


# comparing


def _basic(value: Any) -> str:
    """The kind by which values compare."""
    if isinstance(value, bool):
        return "bool"
    return {int: "int", Int: "int", Byte: "int", float: "float", str: "string"}.get(type(value), "")


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    return any(_same(first, other) for other in others)


def _same(one: Any, other: Any) -> bool:
    kinds = _basic(one), _basic(other)
    one, other = _none_if_missing(one), _none_if_missing(other)
    if kinds[0] != kinds[1]:
        if one is not None and other is not None:
            raise CallError("incompatible types for comparison")
        return False
    if not kinds[0]:
        for value in (one, other):
            if value is not None and type(one) is type(other):
                raise CallError(f"non-comparable type {sprint([one])}: {type_of(value)}")
        return one is None and other is None
    return bool(one == other)


def _ne(one: Any, other: Any) -> bool:
    return not _eq(one, other)


def _less(one: Any, other: Any) -> bool:
    kinds = _basic(one), _basic(other)
    if not all(kinds):
        raise CallError("invalid type for comparison")
    if kinds[0] != kinds[1]:
        raise CallError("incompatible types for comparison")
    if kinds[0] == "bool":
        raise CallError("invalid type for comparison")
    return bool(one < other)


# texts


def _joined(values: tuple[Any, ...]) -> str:
    values = tuple("<no value>" if value is None else value for value in values)
    return values[0] if len(values) == 1 and isinstance(values[0], str) else sprint(values)


_HTML = {'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"}
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


def _html(*values: Any) -> str:
    return re.sub("[\"'&<>\0]", lambda match: _HTML[match[0]], _joined(values))


def _js(*values: Any) -> str:
    return "".join(_JS.get(char) or (char if char.isprintable() else f"\\u{ord(char):04X}") for char in _joined(values))


def _urlquery(*values: Any) -> str:
    return urllib.parse.quote_plus(_joined(values), safe="~")


def _base64decode(text: str) -> str:
    stripped = text.replace("\n", "").replace("\r", "")
    try:
        return base64.b64decode(stripped, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        good = re.match(r"[A-Za-z0-9+/]*", stripped)
        place = good.end() if good else 0
        place = place if place < len(stripped) else place // 4 * 4
        raise CallError(f"base64 decode failed: illegal base64 data at input byte {place}") from None


FUNCTIONS: Mapping[str, Row] = {
    "and": Row(lambda *values: values[-1], 1, True),
    "or": Row(lambda *values: values[-1], 1, True),
    "not": Row(lambda value: not truth(value), 1),
    "len": Row(_len, 1),
    "index": Row(_index, 1, True),
    "slice": Row(_slice, 1, True),
    "call": Row(_call, 1, True),
    "print": Row(lambda *values: sprint(values), 0, True, any_value=True),
    "println": Row(lambda *values: sprintln(values), 0, True, any_value=True),
    "printf": Row(lambda format, *values: sprintf(format, values), 1, True, strings=1, any_value=True),
    "html": Row(_html, 0, True, any_value=True),
    "js": Row(_js, 0, True, any_value=True),
    "urlquery": Row(_urlquery, 0, True, any_value=True),
    "eq": Row(_eq, 1, True),
    "ne": Row(_ne, 2),
    "lt": Row(_less, 2),
    "le": Row(lambda one, other: _less(one, other) or _same(one, other), 2),
    "gt": Row(lambda one, other: not (_less(one, other) or _same(one, other)), 2),
    "ge": Row(lambda one, other: not _less(one, other), 2),
    "exists": Row(_exists, 1, True, any_value=True),
    "base64decode": Row(_base64decode, 1, strings=1),
}
