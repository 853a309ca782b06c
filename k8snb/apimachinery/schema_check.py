"""API schema, the checks: each type of `schema.json` compiled once into closures.

Interface: `Compiler.report(type name, object)`: what is wrong; `rewrite`: the object as the apiserver keeps it.
The rule not to break: a check never copies and builds no text while nothing is wrong, because each write passes here.
Real Kubernetes fails at the first wrong type, in Go's words (`json: cannot unmarshal string into Go struct field
DeploymentSpec.spec.replicas of type int32`); here all mistakes are told, with their path and what to write instead.
Source: `apimachinery/pkg/runtime/serializer/json` (strict decoding) in the kubernetes repository.
"""

from __future__ import annotations

import binascii
import difflib
import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from k8snb.apimachinery import quantity
from k8snb.apimachinery.errors import REQUIRED, TYPE_INVALID, FieldError
from k8snb.apimachinery.meta import Object

Rows = Mapping[str, Any]
Path = tuple[Any, ...] | None  # (path of the parent, field name or list index); None is the object itself
Check = Callable[[Any, Path, "Report"], None]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_INDEX = re.compile(r"\[\d*\]")
SUGGESTED = 20  # unknown fields for which a better one is looked for; to look takes long
_INT32, _INT64 = 2**31, 2**63


class UnknownField(NamedTuple):
    """A field that its type does not have. `suggestion` is the path of the field that may be meant, or ""."""

    path: str
    suggestion: str = ""

    def __str__(self) -> str:
        """The apiserver's words, then what a reader can do."""
        return f'unknown field "{self.path}"' + (f' (did you mean "{self.suggestion}"?)' if self.suggestion else "")


class Report:
    """What one pass found. `rewrite` says that the object is not yet in the form in which it is kept."""

    __slots__ = ("errors", "rewrite", "strays", "unknown")

    def __init__(self) -> None:
        self.errors: list[FieldError] = []
        self.unknown: list[UnknownField] = []
        self.strays: list[tuple[Path, str]] = []
        self.rewrite = False

    def wrong(self, path: Path, value: Any, detail: str) -> None:
        shown = "map" if isinstance(value, dict) else "list" if isinstance(value, list) else value
        self.errors.append(FieldError(path_text(path), TYPE_INVALID, shown, detail))

    def missing(self, path: Path, detail: str = "") -> None:
        self.errors.append(FieldError(path_text(path), REQUIRED, detail=detail))


def path_text(path: Path) -> str:
    """`spec.containers[0].image`."""
    if path is None:
        return ""
    before, last = path_text(path[0]), path[1]
    if isinstance(last, int):
        return f"{before}[{last}]"
    return f"{before}.{last}" if before else str(last)


class Compiler:
    """Checks for the types in `rows` (the "types" of `schema.json`), compiled when first needed."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._compiled: dict[tuple[str, bool], Check] = {}

    def report(self, name: str, obj: Object) -> Report:
        """Everything that is wrong with an object of this type."""
        report = Report()
        self._struct(name, True)(obj, None, report)
        if report.strays:
            report.unknown = [UnknownField(path_text(path), suggest(self._rows, name, path, type_name))
                              for path, type_name in report.strays[:SUGGESTED]]  # fmt: skip
            report.unknown += [UnknownField(path_text(path)) for path, _ in report.strays[SUGGESTED:]]
        return report

    def _shape(self, shape: Any, strict: bool) -> Check:
        if isinstance(shape, str):
            return self._struct(shape, strict) if "." in shape else _SCALARS[shape]
        if "of" in shape:
            return self._struct(shape["of"], strict)
        if "list" in shape:
            return _list_of(self._shape(shape["list"], strict), shape["list"])
        return _map_of(self._shape(shape["map"], strict), shape["map"])

    def _struct(self, name: str, strict: bool) -> Check:
        if (name, strict) in self._compiled:
            return self._compiled[name, strict]
        row = self._rows[name]
        checks: dict[str, Check] = {}
        required = tuple(row.get("r", ())) if strict else ()
        implied: list[tuple[str, Check]] = []
        self._compiled[name, strict] = check = _struct(name, row["f"], checks, required, implied)
        for field, shape in row["f"].items():
            # A status is written by components, which leave out what they do not know, as Go's empty values.
            checks[field] = self._shape(shape, strict and not (field == "status" and "metadata" in row["f"]))
        if strict and isinstance(row["f"].get("spec"), str) and self._rows.get(row["f"]["spec"], {}).get("r"):
            implied.append(("spec", checks["spec"]))
        return check


def _struct(
    name: str, shapes: Rows, checks: Mapping[str, Check], required: tuple[str, ...], implied: list[tuple[str, Check]]
) -> Check:
    plain = {field: _PLAIN[shape] for field, shape in shapes.items() if isinstance(shape, str) and shape in _PLAIN}
    plain_of, check_of = plain.get, checks.get

    def check(value: Any, path: Path, report: Report) -> None:
        if type(value) is not dict:
            report.wrong(path, value, _not_a_map(value))
            return
        for key, inner in value.items():
            if plain_of(key) is type(inner):
                continue
            deeper = check_of(key)
            if deeper is None:
                report.strays.append(((path, key), name))
                report.rewrite = True
            elif inner is None:
                report.rewrite = True
            else:
                deeper(inner, (path, key), report)
        if required:
            _look_for(required, value, path, report)
        for field, deeper in implied:
            if value.get(field) is None:
                deeper({}, (path, field), report)

    return check


def _look_for(required: tuple[str, ...], value: Object, path: Path, report: Report) -> None:
    for field in required:
        if value.get(field) is None:
            report.missing((path, field))


def _list_of(check_item: Check, shape: Any) -> Check:
    plain = _PLAIN.get(shape) if isinstance(shape, str) else None

    def check(value: Any, path: Path, report: Report) -> None:
        if type(value) is not list:
            report.wrong(path, value, 'must be a list: begin each of its entries with "- "')
            return
        for index, inner in enumerate(value):
            if inner is None:
                _empty_entry(plain, (path, index), report)
            elif plain is not type(inner):
                check_item(inner, (path, index), report)

    return check


def _map_of(check_item: Check, shape: Any) -> Check:
    plain = _PLAIN.get(shape) if isinstance(shape, str) else None

    def check(value: Any, path: Path, report: Report) -> None:
        if type(value) is not dict:
            report.wrong(path, value, _not_a_map(value))
            return
        for key, inner in value.items():
            if plain is type(inner):
                continue
            if inner is None:
                _empty_entry(plain, (path, key), report)
            else:
                check_item(inner, (path, key), report)

    return check


def _empty_entry(plain: type | None, path: Path, report: Report) -> None:
    """Go reads null in a list or map as the empty value: right for strings, a mistake for structs."""
    if plain is str:
        report.rewrite = True
    else:
        report.missing(path, "the entry is empty")


def _not_a_map(value: Any) -> str:
    if isinstance(value, list):
        return 'must be a map of fields, not a list: remove the "- "'
    return "must be a map: write its fields below it, indented"


def _string(value: Any, path: Path, report: Report) -> None:
    if type(value) is str:
        return
    quoted = isinstance(value, (int, float))
    report.wrong(path, value, "must be a string" + (": put it in quotes" if quoted else ""))


def _boolean(value: Any, path: Path, report: Report) -> None:
    if type(value) is not bool:
        quoted = isinstance(value, str) and value.lower() in ("true", "false")
        report.wrong(path, value, "must be true or false" + (": without quotes" if quoted else ""))


def _integer(limit: int) -> Check:
    def check(value: Any, path: Path, report: Report) -> None:
        if type(value) is int:
            if not -limit <= value < limit:
                report.wrong(path, value, f"must be an integer between {-limit} and {limit - 1}")
        elif type(value) is float and value.is_integer():
            report.rewrite = True
        else:
            quoted = isinstance(value, str) and value.strip().lstrip("-").isdigit()
            report.wrong(path, value, "must be an integer" + (": without quotes" if quoted else ""))

    return check


def _number(value: Any, path: Path, report: Report) -> None:
    if type(value) not in (int, float):
        report.wrong(path, value, "must be a number")


def _bytes(value: Any, path: Path, report: Report) -> None:
    if type(value) is not str:
        _string(value, path, report)
        return
    try:
        binascii.a2b_base64("".join(value.split()), strict_mode=True)
    except ValueError:
        report.wrong(path, value, "must be base64 (a Secret takes plain text in stringData)")


def _time(value: Any, path: Path, report: Report) -> None:
    if type(value) is not str or not _TIME.fullmatch(value):
        report.wrong(path, value, "must be a time such as 2024-01-31T12:00:00Z")


def _quantity(value: Any, path: Path, report: Report) -> None:
    try:
        if quantity.canonical(value) != value:
            report.rewrite = True
    except quantity.QuantityError as error:
        report.wrong(path, value, error.why)


def _int_or_string(value: Any, path: Path, report: Report) -> None:
    if type(value) not in (int, str):
        report.wrong(path, value, "must be an integer or a string")


def _object(value: Any, path: Path, report: Report) -> None:
    if type(value) is not dict:
        report.wrong(path, value, _not_a_map(value))


def _anything(value: Any, path: Path, report: Report) -> None:
    """Free-form: a default value, an extension."""


_PLAIN: dict[str, type] = {"string": str, "boolean": bool}
_SCALARS: dict[str, Check] = {
    "string": _string,
    "boolean": _boolean,
    "int32": _integer(_INT32),
    "int64": _integer(_INT64),
    "number": _number,
    "byte": _bytes,
    "time": _time,
    "quantity": _quantity,
    "int-or-string": _int_or_string,
    "object": _object,
    "any": _anything,
}


def rewrite(rows: Rows, shape: Any, value: Any) -> Any:
    """A value as the apiserver keeps it: no unknown or null fields, canonical quantities; shared where unchanged."""
    if isinstance(shape, dict):
        if "of" in shape:
            return rewrite(rows, shape["of"], value)
        inner = shape.get("list") or shape.get("map")
        if "list" in shape and isinstance(value, list):
            changed: Any = [_rewrite_entry(rows, inner, each) for each in value]
            return value if all(map(_same, changed, value)) else changed
        if "map" in shape and isinstance(value, dict):
            return _shared(value, {key: _rewrite_entry(rows, inner, each) for key, each in value.items()})
        return value
    if "." in shape and isinstance(value, dict):
        fields = rows[shape]["f"]
        return _shared(value, {key: rewrite(rows, fields[key], each) for key, each in value.items()
                               if each is not None and key in fields})  # fmt: skip
    return _rewrite_scalar(shape, value)


def _rewrite_entry(rows: Rows, shape: Any, value: Any) -> Any:
    return "" if value is None and shape == "string" else rewrite(rows, shape, value)


def _rewrite_scalar(sort: str, value: Any) -> Any:
    if sort == "quantity" and type(value) in (str, int, float):
        try:
            return quantity.canonical(value)
        except quantity.QuantityError:
            return value
    return int(value) if sort in ("int32", "int64") and type(value) is float and value.is_integer() else value


def _same(left: Any, right: Any) -> bool:
    return left is right


def _shared(before: Object, after: Object) -> Object:
    """`before` itself when `after` has the very same values."""
    return before if len(after) == len(before) and all(after[key] is before[key] for key in after) else after


def suggest(rows: Rows, root: str, path: Path, type_name: str) -> str:
    """The path of the field that may be meant: a sibling of nearly this name, or this name in another place."""
    assert path is not None
    parent, wrong = path_text(path[0]), str(path[1])
    siblings = {field.lower(): field for field in rows[type_name]["f"]}
    near = difflib.get_close_matches(wrong.lower(), siblings, 1, 0.7)
    if near:
        return f"{parent}.{siblings[near[0]]}" if parent else siblings[near[0]]
    places = _places(rows, root, wrong)
    return max(places, key=lambda place: (_common(place, parent), -place.count(".")), default="")


def _common(left: str, right: str) -> int:
    """How many leading segments two paths share."""
    count = 0
    for one, other in zip(_INDEX.sub("", left).split("."), _INDEX.sub("", right).split("."), strict=False):
        if one != other:
            break
        count += 1
    return count


def _places(rows: Rows, root: str, wanted: str, depth: int = 6) -> list[str]:
    """Where below `root` a field of this name is found, nearest first; each type is looked through once."""
    found, seen, waiting = [], {root}, deque([("", root, 0)])
    while waiting:
        before, name, level = waiting.popleft()
        for field, shape in rows[name]["f"].items():
            path = f"{before}.{field}" if before else field
            if field == wanted:
                found.append(path)
            inner, mark = _entry_type(shape)
            if inner in rows and inner not in seen and level < depth and field != "status":
                seen.add(inner)
                waiting.append((path + mark, inner, level + 1))
    return found


def _entry_type(shape: Any) -> tuple[str, str]:
    """The struct in a shape, and `[]` when it is a list's entry."""
    if isinstance(shape, dict):
        inner = shape.get("list") or shape.get("map") or shape.get("of")
        return (inner if isinstance(inner, str) else "", "[]" if "list" in shape else "")
    return shape, ""
