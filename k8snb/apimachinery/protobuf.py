"""Protobuf: request bodies in Kubernetes' binary form, read into plain dicts.

Interface: `decode(body)`, the object in a body whose Content-Type is `CONTENT_TYPE`.
The rule not to break: the answer is the JSON that the same client would have sent, without its nulls; bytes from which
no such answer follows end in a ProtobufError, soon and in one sentence, whatever they are.
Real Kubernetes answers and stores in this form, too. Clients since 1.32 write in it and do not fall back to JSON; what
they read may be JSON, so that nothing here writes. Source: `apimachinery/pkg/runtime/serializer/protobuf`.

Shapes of fields come from the schema, their numbers and marks from `protobuf.json` (described in `protobuf_build.py`).
"""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from math import isfinite
from pathlib import Path
from typing import Any

from k8snb.apimachinery import quantity, schema
from k8snb.apimachinery.meta import Object

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
DEEPEST = 100  # messages in one another; a Pod needs 8, and only the schema in a CustomResourceDefinition has no end

_LONGEST_QUANTITY = 128
_LONGEST_QUOTE = 63
_ANY_GROUP = ("DeleteOptions",)  # kinds of meta.v1 that clients send in the name of each group
_PROPS = "apiextensions.v1.JSONSchemaProps"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ProtobufError(ValueError):
    """The bytes are not the object they say they are."""


def decode(body: bytes) -> Object:
    """The object in a request's body, its apiVersion and kind first. Raises ProtobufError."""
    if not body.startswith(MAGIC):
        raise ProtobufError(f"the body is not {CONTENT_TYPE}: it has to begin with the four bytes k8s\\x00")
    unknown = _form("Unknown").read(body[len(MAGIC) :], 0)
    if unknown.get("contentEncoding") or unknown.get("contentType", "") not in ("", CONTENT_TYPE):
        raise ProtobufError("encoded content in a protobuf body is not implemented by k8snb: send the object as JSON")
    type_meta = {"apiVersion": "", "kind": "", **unknown.get("typeMeta", {})}
    type_name = _type_name(type_meta["apiVersion"], type_meta["kind"])
    return type_meta | _message(type_name, unknown.get("raw", b""), 0)


def _type_name(api_version: str, kind: str) -> str:
    definition = schema.load().definition(api_version, kind)
    if definition is not None:
        return definition.name
    if kind in _ANY_GROUP:
        return f"meta.v1.{kind}"
    what = f"no kind {_quoted(kind)} is registered for version {_quoted(api_version)}"
    raise ProtobufError(f"{what}: only built-in kinds have a protobuf form, so send others as JSON")


def _quoted(text: str) -> str:
    """What a client wrote, on one line and not without end."""
    return json.dumps(text[:_LONGEST_QUOTE], ensure_ascii=False)


# The wire: numbered fields, each of one of four wire types.

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_ZEROS: dict[int, Any] = {VARINT: 0, FIXED64: bytes(8), BYTES: b""}


def records(body: bytes) -> Iterator[tuple[int, int, Any]]:
    """The fields of a message as they lie there: number, wire type, and an int (VARINT) or bytes."""
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        number, wire = tag >> 3, tag & 7
        if not number or wire not in _READ:
            raise ProtobufError(f"the protobuf body is broken: no field has number {number} and wire type {wire}")
        value, at = _READ[wire](body, at)
        yield number, wire, value


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = 0
    for count, byte in enumerate(body[at : at + 10]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + count + 1
    raise ProtobufError("the protobuf body is broken: a number in it has no end")


def _cut(size: int, body: bytes, at: int) -> tuple[bytes, int]:
    if size > len(body) - at:
        raise ProtobufError(
            f"the protobuf body is broken: a field of {size} bytes starts where {len(body) - at} are left"
        )
    return body[at : at + size], at + size


def _length_and_bytes(body: bytes, at: int) -> tuple[bytes, int]:
    size, at = _varint(body, at)
    return _cut(size, body, at)


_READ: dict[int, Callable[[bytes, int], tuple[Any, int]]] = {
    VARINT: _varint,
    FIXED64: partial(_cut, 8),
    BYTES: _length_and_bytes,
    FIXED32: partial(_cut, 4),
}


def _packed(body: bytes) -> Iterator[int]:
    at = 0
    while at < len(body):
        value, at = _varint(body, at)
        yield value


# Forms: how one value of a shape lies on the wire, and what JSON shows of it.


@dataclass(frozen=True)
class _Form:
    """`read(value, depth)` gives what JSON shows: None for nothing. Parts of a `message` that comes twice add up."""

    wire: int
    read: Callable[[Any, int], Any]
    message: bool = False


@dataclass(frozen=True)
class _Field:
    """One field of a message. Without a `name` its fields are the owner's own; `drops` leaves out zero values."""

    name: str
    form: _Form
    sort: str = ""
    drops: bool = False

    def take(self, wire: int, value: Any) -> Iterator[Any]:
        """The values in one record: several of a packed list."""
        if wire == self._wire:
            yield value
        elif self.sort == "list" and self._wire == VARINT and wire == BYTES:
            yield from _packed(value)
        else:
            raise ProtobufError(f"the protobuf body is broken: {self.name or 'a part'} has wire type {wire}")

    def read(self, values: list[Any], depth: int) -> Any:
        """What JSON shows of all the values of this field."""
        if self.sort == "list":
            return [self.form.read(value, depth) for value in values]
        if self.sort == "map":
            return {key: value for key, value in (self._entry(each, depth) for each in values) if value is not None}
        return self.form.read(b"".join(values) if self.form.message else values[-1], depth)

    @property
    def _wire(self) -> int:
        return BYTES if self.sort == "map" else self.form.wire

    def _entry(self, body: bytes, depth: int) -> tuple[str, Any]:
        fields = {1: _Field("key", _form("string")), 2: _Field("value", self.form)}
        found = _values(fields, body)
        value = found.get(2) or [_ZEROS[self.form.wire]]
        return fields[1].read(found.get(1) or [b""], depth), fields[2].read(value, depth)


Fields = Mapping[int, _Field]


def _read(fields: Fields, body: bytes, depth: int) -> Object:
    """A message as an object. Fields that its type does not have are skipped: the client is newer."""
    if depth > DEEPEST:
        raise ProtobufError(f"the protobuf body is nested deeper than {DEEPEST} messages")
    result: Object = {}
    for number, values in _values(fields, body).items():
        _put(result, fields[number], fields[number].read(values, depth + 1))
    return result


def _values(fields: Fields, body: bytes) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for number, wire, value in records(body):
        if number in fields:
            found.setdefault(number, []).extend(fields[number].take(wire, value))
    return found


def _put(result: Object, field: _Field, value: Any) -> None:
    if not field.name:
        result.update(value)
    elif value is not None and (value or not field.drops):
        result[field.name] = value


def _message(type_name: str, body: bytes, depth: int) -> Object:
    return _read(_fields(type_name), body, depth)


@cache
def _fields(type_name: str) -> Fields:
    definition = schema.load().type(type_name)
    assert definition is not None, type_name
    return _row(_table()[type_name], {name: field.shape for name, field in definition.fields.items()})


def _row(row: Mapping[str, Any], shapes: Mapping[str, Any]) -> Fields:
    return {int(number): _field(entry, shapes) for number, entry in row.items()}


def _field(entry: Any, shapes: Mapping[str, Any]) -> _Field:
    """A field by its entry in `protobuf.json`."""
    if isinstance(entry, dict):
        inner = _row(entry, shapes)
        return _Field("", _Form(BYTES, partial(_read, inner), message=True))
    name, _, reader = entry.rstrip("?").partition("=")
    sort = schema.sort_of(shapes[name])
    if reader:
        return _Field(name, _form(reader), sort if sort == "map" else "")
    return _Field(name, _form(schema.innermost(shapes[name])), sort, entry.endswith("?"))


@cache
def _form(shape: str) -> _Form:
    """The form of a scalar, of a type of the schema, or of a message in `_MESSAGES`."""
    if shape in _SCALARS:
        return _Form(*_SCALARS[shape])
    if shape in _MESSAGES:
        return _Form(BYTES, partial(_shown, *_MESSAGES[shape]), message=True)
    return _Form(BYTES, partial(_message, shape), message=True)


def _shown(shapes: Mapping[str, Any], show: Callable[[Object], Any], body: bytes, depth: int) -> Any:
    row = {str(number): name for number, name in enumerate(shapes, 1)}
    return show(_read(_row(row, shapes), body, depth))


# Scalars.


def _text(value: bytes, _: int) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ProtobufError("the protobuf body is broken: a text in it is not UTF-8") from None


def _signed(bits: int, value: int, _: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _number(value: bytes, _: int) -> int | float:
    (number,) = struct.unpack("<d", value)
    if not isfinite(number):
        raise ProtobufError(f"the protobuf body has the number {number}, which JSON does not have")
    return int(number) if number.is_integer() and abs(number) < 2**53 else float(number)


_SCALARS: dict[str, tuple[int, Callable[[Any, int], Any]]] = {
    "string": (BYTES, _text),
    "byte": (BYTES, lambda value, _: b64encode(value).decode()),
    "raw": (BYTES, lambda value, _: value),
    "boolean": (VARINT, lambda value, _: value != 0),
    "int32": (VARINT, partial(_signed, 32)),
    "int64": (VARINT, partial(_signed, 64)),
    "number": (FIXED64, _number),
}


# Messages that JSON shows as something else.


def _quantity(message: Object) -> str:
    text = message.get("string", "")
    if len(text) > _LONGEST_QUANTITY:
        raise ProtobufError(f"a quantity of {len(text)} characters: {_LONGEST_QUANTITY} are allowed")
    try:
        return quantity.canonical(text)
    except quantity.QuantityError as error:
        raise ProtobufError(" ".join(str(error).split())) from None


def _int_or_string(message: Object) -> int | str:
    return str(message.get("strVal", "")) if message.get("type") else int(message.get("intVal", 0))


def _time(timespec: str, message: Object) -> str | None:
    """A moment; None for Go's zero time, of which the wire has no field."""
    if not message:
        return None
    try:
        moment = _EPOCH + timedelta(seconds=message.get("seconds", 0), microseconds=message.get("nanos", 0) // 1000)
    except OverflowError:
        raise ProtobufError("a time in the protobuf body lies outside of the years 1 to 9999") from None
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def _json(message: Object) -> Any:
    text = message.get("raw", b"")
    try:
        return json.loads(text, parse_constant=_no_constant) if text else None
    except (ValueError, RecursionError):
        raise ProtobufError("the protobuf body has JSON inside that cannot be read") from None


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _items(message: Object) -> list[str]:
    return list(message.get("items", ()))


def _first_of(names: tuple[str, ...], default: Any, message: Object) -> Any:
    return next((message[name] for name in names if name in message), default)


_MOMENT = {"seconds": "int64", "nanos": "int32"}
_TEXTS = {"items": {"list": "string"}}

# Each message's fields in the order of their numbers from 1, and what JSON shows of it.
_MESSAGES: dict[str, tuple[Mapping[str, Any], Callable[[Object], Any]]] = {
    "Unknown": ({"typeMeta": "TypeMeta", "raw": "raw", "contentEncoding": "string", "contentType": "string"}, dict),
    "TypeMeta": ({"apiVersion": "string", "kind": "string"}, dict),
    "quantity": ({"string": "string"}, _quantity),
    "int-or-string": ({"type": "int64", "intVal": "int32", "strVal": "string"}, _int_or_string),
    "time": (_MOMENT, partial(_time, "seconds")),
    "MicroTime": (_MOMENT, partial(_time, "microseconds")),
    "any": ({"raw": "raw"}, _json),
    "object": ({"raw": "raw"}, _json),
    "ExtraValue": (_TEXTS, _items),
    "Verbs": (_TEXTS, _items),
    "CustomResourceSubresourceStatus": ({}, dict),
    "JSONSchemaPropsOrBool": (
        {"allows": "boolean", "schema": _PROPS},
        partial(_first_of, ("schema", "allows"), False),
    ),
    "JSONSchemaPropsOrArray": (
        {"schema": _PROPS, "jSONSchemas": {"list": _PROPS}},
        partial(_first_of, ("jSONSchemas", "schema"), None),
    ),
    "JSONSchemaDependencies": (
        {"schema": _PROPS, "property": {"list": "string"}},
        partial(_first_of, ("property", "schema"), None),
    ),
}


@cache
def _table() -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("protobuf.json").read_text(encoding="utf-8"))
    return table
