"""protobuf: what clients send in binary is the object they would have sent as JSON, and no bytes do harm."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8snb.apimachinery import protobuf, schema
from k8snb.apimachinery.protobuf import BYTES, FIXED32, FIXED64, MAGIC, VARINT, ProtobufError, decode

TABLE = json.loads(Path(protobuf.__file__).with_name("protobuf.json").read_text())
GOLDEN = json.loads(Path(__file__).with_name("golden").joinpath("protobuf.json").read_text())
REQUESTS = {row["command"]: (base64.b64decode(row["body"]), row["object"]) for row in GOLDEN["requests"]}


# An encoder, for what no captured request holds.


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    digits = []
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def part(number: int, wire: int, value: Any) -> bytes:
    payload = varint(value) if wire == VARINT else varint(len(value)) + value if wire == BYTES else value
    return varint(number << 3 | wire) + payload


def text(number: int, value: str) -> bytes:
    return part(number, BYTES, value.encode())


def message(number: int, *parts: bytes) -> bytes:
    return part(number, BYTES, b"".join(parts))


def envelope(api_version: str, kind: str, *parts: bytes) -> bytes:
    return MAGIC + message(1, text(1, api_version), text(2, kind)) + message(2, *parts)


def encode(obj: dict[str, Any]) -> bytes:
    definition = schema.load().definition(obj["apiVersion"], obj["kind"])
    return envelope(obj["apiVersion"], obj["kind"], encode_type(definition.name, obj))


def encode_type(name: str, obj: dict[str, Any]) -> bytes:
    return encode_row(TABLE[name], schema.load().type(name).row["f"], obj)


def encode_row(row: dict[str, Any], shapes: dict[str, Any], obj: dict[str, Any]) -> bytes:
    found = b""
    for number, entry in row.items():
        if isinstance(entry, dict):
            found += message(int(number), encode_row(entry, shapes, obj))
            continue
        name, _, sort = entry.rstrip("?").partition("=")
        if name in obj:
            found += encode_field(int(number), shapes[name], sort, obj[name])
    return found


def encode_field(number: int, shape: Any, sort: str, value: Any) -> bytes:
    if isinstance(shape, dict) and "map" in shape:
        entries = ((key, encode_field(2, shape["map"], sort, each)) for key, each in value.items())
        return b"".join(message(number, text(1, key), each) for key, each in entries)
    if isinstance(shape, dict) and "list" in shape and not sort:
        return b"".join(encode_field(number, shape["list"], "", each) for each in value)
    return part(number, *encode_value(sort or (shape["of"] if isinstance(shape, dict) else shape), value))


def encode_value(sort: str, value: Any) -> tuple[int, Any]:
    if sort in ("boolean", "int32", "int64"):
        return VARINT, int(value)
    if sort == "number":
        return FIXED64, struct.pack("<d", value)
    return BYTES, ENCODERS.get(sort, partial(encode_type, sort))(value)


def encode_int_or_string(value: int | str) -> bytes:
    number = isinstance(value, int)
    return part(2, VARINT, value) if number else part(1, VARINT, 1) + text(3, str(value))


MOMENT = part(1, VARINT, 1_700_000_000) + part(2, VARINT, 250_000_000)
ENCODERS: dict[str, Any] = {
    "string": str.encode,
    "byte": base64.b64decode,
    "time": lambda _: MOMENT,
    "MicroTime": lambda _: MOMENT,
    "quantity": partial(text, 1),
    "int-or-string": encode_int_or_string,
    "any": lambda value: text(1, json.dumps(value)),
    "object": lambda value: text(1, json.dumps(value)),
    "Verbs": lambda value: b"".join(text(1, each) for each in value),
    "ExtraValue": lambda value: b"".join(text(1, each) for each in value),
    "CustomResourceSubresourceStatus": lambda _: b"",
    "JSONSchemaPropsOrBool": lambda value: part(1, VARINT, value),
    "JSONSchemaPropsOrArray": lambda value: b"".join(message(2, encode_type(PROPS, each)) for each in value),
    "JSONSchemaDependencies": lambda value: b"".join(text(2, each) for each in value),
}
PROPS = "apiextensions.v1.JSONSchemaProps"
SCALARS: dict[str, Any] = {
    "string": "text", "boolean": True, "int32": -7, "int64": 2**40, "number": 0.5, "byte": "AP8=", "quantity": "1500m",
    "time": "2023-11-14T22:13:20Z", "MicroTime": "2023-11-14T22:13:20.250000Z", "int-or-string": "50%",
    "any": {"a": [1, None]}, "object": {"a": [1, None]}, "Verbs": ["get"], "ExtraValue": ["a", ""],
    "CustomResourceSubresourceStatus": {}, "JSONSchemaPropsOrBool": True, "JSONSchemaPropsOrArray": [{"type": "x"}],
    "JSONSchemaDependencies": ["a"],
}  # fmt: skip


def marks(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The name of each field that a type's row numbers, and its reader or ""."""
    for entry in row.values():
        if isinstance(entry, dict):
            yield from marks(entry)
        else:
            name, _, reader = entry.rstrip("?").partition("=")
            yield name, reader


def example(shape: Any, sort: str, above: tuple[str, ...]) -> Any:
    if isinstance(shape, dict) and "of" not in shape:
        inner = example(shape.get("list") or shape["map"], sort, above)
        return {"key": inner} if "map" in shape else inner if sort else [inner]
    name = sort or (shape["of"] if isinstance(shape, dict) else shape)
    return SCALARS[name] if name in SCALARS else example_of(name, above)


def example_of(name: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object with every field that the type has."""
    if name in above:
        return {}
    shapes = schema.load().type(name).row["f"]
    return {field: example(shapes[field], sort, (*above, name)) for field, sort in marks(TABLE[name])}


# What kubectl sends.


@pytest.mark.parametrize("command", REQUESTS)
def test_a_captured_request_is_the_object_that_kubectl_shows(command: str) -> None:
    body, obj = REQUESTS[command]
    assert decode(body) == obj


@pytest.mark.parametrize("command", REQUESTS)
def test_a_captured_request_has_only_fields_of_its_kind(command: str) -> None:
    assert schema.load().check(decode(REQUESTS[command][0])) == ([], [])


def test_bytes_written_by_hand_are_read_by_the_numbers_of_generated_proto() -> None:
    body = "6b387300 0a0f 0a027631 1209 4e616d657370616365 1207 0a050a0364657600"
    with pytest.raises(ProtobufError):
        decode(bytes.fromhex(body))
    assert decode(bytes.fromhex(body[:-2])) == {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dev"}}


# The table.


@pytest.mark.parametrize("name", sorted(schema.load().type_names()))
def test_every_field_of_the_schema_has_a_number(name: str) -> None:
    numbered = [field for field, _ in marks(TABLE[name])]
    assert len(numbered) == len(set(numbered))
    # these two are in the envelope, and in a message only where they mean another object
    assert set(schema.load().type(name).row["f"]) - set(numbered) <= {"apiVersion", "kind"}


@pytest.mark.parametrize("gvk", sorted(schema.load().kinds()), ids="/".join)
def test_an_object_with_every_field_comes_back(gvk: tuple[str, str]) -> None:
    definition = schema.load().definition(*gvk)
    obj = {**example_of(definition.name), "apiVersion": gvk[0], "kind": gvk[1]}
    assert decode(encode(obj)) == obj


# What the wire says and JSON does not, and the other way round.


def pod(*spec: bytes) -> dict[str, Any]:
    return decode(envelope("v1", "Pod", message(2, *spec)))["spec"]


def test_zero_values_stay_out_where_go_leaves_them_out_and_stay_in_behind_pointers() -> None:
    hostname, host_network, automount = text(16, ""), part(11, VARINT, 0), part(21, VARINT, 0)
    assert pod(hostname, host_network, automount) == {"automountServiceAccountToken": False}


def test_an_empty_message_is_an_empty_object_and_an_absent_one_is_absent() -> None:
    assert pod(message(1, text(1, "cache"), message(2, message(2)))) == {"volumes": [{"name": "cache", "emptyDir": {}}]}
    assert pod() == {}


def test_fields_of_embedded_types_are_the_owners_own() -> None:
    source = message(2, message(6, text(1, "certificate")))
    assert pod(message(1, text(1, "tls"), source)) == {
        "volumes": [{"name": "tls", "secret": {"secretName": "certificate"}}]
    }


def test_the_zero_time_is_no_time() -> None:
    metadata = message(1, text(1, "web"), message(8), message(9, part(1, VARINT, -1)))
    assert decode(envelope("v1", "Pod", metadata))["metadata"] == {
        "name": "web",
        "deletionTimestamp": "1969-12-31T23:59:59Z",
    }


def test_fields_that_a_newer_client_knows_are_skipped() -> None:
    newer = part(900, BYTES, b"new"), part(901, VARINT, 1), part(902, FIXED64, bytes(8)), part(903, FIXED32, bytes(4))
    assert pod(*newer, text(10, "node-1")) == {"nodeName": "node-1"}


def test_a_packed_list_reads_like_a_plain_one() -> None:
    plain = [part(4, VARINT, each) for each in (1, -2, 300)]
    packed = part(4, BYTES, varint(1) + varint(-2) + varint(300))
    groups = {"securityContext": {"supplementalGroups": [1, -2, 300]}}
    assert pod(message(14, *plain)) == pod(message(14, packed)) == groups


def test_the_last_of_two_values_wins_and_two_parts_of_a_message_add_up() -> None:
    parts = message(14, part(2, VARINT, 0)), message(14, part(6, VARINT, 7)), text(10, "a"), text(10, "b")
    assert pod(*parts) == {"securityContext": {"runAsUser": 0, "runAsGroup": 7}, "nodeName": "b"}


def test_delete_options_come_in_the_name_of_any_group() -> None:
    for version in ("v1", "apps/v1", "example.com/v2"):
        body = envelope(version, "DeleteOptions", part(1, VARINT, 0), text(4, "Background"))
        assert decode(body) == {
            "apiVersion": version, "kind": "DeleteOptions", "gracePeriodSeconds": 0, "propagationPolicy": "Background"
        }  # fmt: skip


# Bytes that are no object.


def revision(data: str) -> bytes:
    return envelope("apps/v1", "ControllerRevision", message(2, text(1, data)))


BROKEN = {
    "not the magic": (b'{"kind": "Pod"}', "has to begin with the four bytes"),
    "nothing": (b"", "has to begin with the four bytes"),
    "no kind": (MAGIC, 'no kind "" is registered'),
    "a kind of one's own": (envelope("a.b/v1", "Foo"), 'no kind "Foo" is registered for version "a.b/v1"'),
    "a kind without an end": (envelope("v1", "F\no" * 100_000), "is registered"),
    "encoded": (MAGIC + text(3, "gzip"), "not implemented by k8snb"),
    "a varint without an end": (MAGIC + b"\xff" * 30, "has no end"),
    "a length beyond the end": (MAGIC + b"\x12\xff\xff\xff\xff\x0f", "a field of 4294967295 bytes"),
    "a wire type of no field": (MAGIC + b"\x0b", "wire type 3"),
    "field number 0": (MAGIC + b"\x02\x00", "number 0"),
    "a number for a text": (envelope("v1", "Pod", message(1, part(1, VARINT, 5))), "name has wire type 0"),
    "a text for a number": (envelope("v1", "Pod", message(2, text(11, "yes"))), "hostNetwork has wire type 2"),
    "not UTF-8": (envelope("v1", "Pod", message(1, part(1, BYTES, b"\xff"))), "not UTF-8"),
    "the year 300,000": (envelope("v1", "Pod", message(1, message(8, part(1, VARINT, 2**43)))), "outside of the years"),
    "a quantity of words": (
        envelope("v1", "ResourceQuota", message(2, message(1, text(1, "cpu"), message(2, text(1, "much"))))),
        "quantities must begin with a number",
    ),
    "a quantity of two lines": (
        envelope("v1", "ResourceQuota", message(2, message(1, message(2, text(1, "1\ne6"))))),
        "unable to parse",
    ),
    "a quantity without an end": (
        envelope("v1", "ResourceQuota", message(2, message(1, message(2, text(1, "." + "0" * 2_000_000 + "1"))))),
        "a quantity of 2000002 characters",
    ),
    "JSON inside that is none": (revision("{"), "cannot be read"),
    "JSON inside without an end": (revision("[" * 200_000), "cannot be read"),
    "JSON inside that is Python's": (revision("NaN"), "cannot be read"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_bytes_are_refused_in_one_sentence(case: str) -> None:
    body, words = BROKEN[case]
    with pytest.raises(ProtobufError) as caught:
        decode(body)
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 250


def custom_resource(depth: int) -> bytes:
    props = b""
    for _ in range(depth):
        props = message(28, props)
    version = message(7, text(1, "v1"), message(4, message(1, props)))
    return envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", message(2, version))


def test_messages_may_be_nested_only_so_deep() -> None:
    assert "versions" in decode(custom_resource(50))["spec"]
    with pytest.raises(ProtobufError, match="nested deeper than 100"):
        decode(custom_resource(10_000))


@given(st.binary(max_size=200))
def test_random_bytes_end_in_an_object_or_a_sentence(noise: bytes) -> None:
    decodes_or_refuses(MAGIC + noise)
    decodes_or_refuses(envelope("v1", "Pod", noise))
    decodes_or_refuses(envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", message(2, noise)))


@settings(deadline=None)
@given(st.sampled_from(sorted(REQUESTS)), st.integers(0, 10_000), st.binary(max_size=3), st.booleans())
def test_a_damaged_request_ends_in_an_object_or_a_sentence(command: str, at: int, put: bytes, cut: bool) -> None:
    body = REQUESTS[command][0]
    at %= len(body)
    decodes_or_refuses(body[:at] + put + (b"" if cut else body[at + len(put) :]))


def decodes_or_refuses(body: bytes) -> None:
    with suppress(ProtobufError):
        json.dumps(decode(body), allow_nan=False)
