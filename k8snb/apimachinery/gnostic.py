"""OpenAPI v2 in protobuf: the one form in which kubectl up to 1.28 reads /openapi/v2, to check and to explain.

Interface: `swagger(documents)` turns OpenAPI v3 documents into one of v2, `encode(document)` gives its bytes, and
`CONTENT_TYPE` is what they are called in an answer.
The rule not to break: a word of the document that has no number here is refused by name, and never dropped.
Real Kubernetes uses gnostic for this (`openapiv2/OpenAPIv2.proto` in google/gnostic-models), for all of OpenAPI v2;
here are the parts of it that the apiserver's document has.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from k8snb.apimachinery.meta import Object

CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

_V3, _V2 = "#/components/schemas/", "#/definitions/"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")


# From v3 to v2.


def swagger(documents: Iterable[Object]) -> Object:
    """One OpenAPI v2 document of several of v3. In v2 the document, not each answer, says what it is written in."""
    found: Object = {"swagger": "2.0", "info": {}, "paths": {}, "definitions": {}}
    for document in documents:
        found["info"] = document["info"]
        found["paths"] |= {path: _path(item) for path, item in document.get("paths", {}).items()}
        schemas = document.get("components", {}).get("schemas", {})
        found["definitions"] |= {name: _schema(schema) for name, schema in schemas.items()}
    return found


def _path(item: Object) -> Object:
    methods = {name: _operation(operation) for name, operation in item.items() if name in _METHODS}
    return item | methods | {"parameters": [_parameter(each) for each in item.get("parameters", ())]}


def _operation(operation: Object) -> Object:
    parameters = [_parameter(each) for each in operation.get("parameters", ())]
    found = {name: value for name, value in operation.items() if name != "requestBody"}
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        found["consumes"] = list(content)
        needed = operation["requestBody"].get("required", False)
        parameters.append({"name": "body", "in": "body", "required": needed, "schema": _first_schema(content)})
    answers = operation.get("responses", {})
    return found | {"parameters": parameters, "responses": {code: _response(each) for code, each in answers.items()}}


def _parameter(parameter: Object) -> Object:
    own: Object = {name: value for name, value in parameter.items() if name != "schema"}
    own.update(parameter.get("schema", {}))
    return own


def _response(response: Object) -> Object:
    found = {name: value for name, value in response.items() if name != "content"}
    return found | ({"schema": _first_schema(response["content"])} if response.get("content") else {})


def _first_schema(content: Mapping[str, Any]) -> Object:
    found: Object = _schema(next(iter(content.values())).get("schema", {}))
    return found


def _schema(node: Any) -> Any:
    """A schema (or the boolean that stands for one) with v2's references, which v3 wraps to add a description."""
    if not isinstance(node, dict):
        return node
    found = {word: _INNER[word](value) if word in _INNER else value for word, value in _told_in_v2(node).items()}
    wrapped = found.get("allOf", ())
    if len(wrapped) == 1 and set(wrapped[0]) == {"$ref"}:
        del found["allOf"]
        found |= wrapped[0]
    return found


_NOT_IN_V2 = ("anyOf", "oneOf", "not", "nullable")
_OF_ITS_SHAPE = ("type", "properties", "items", "additionalProperties")


def _told_in_v2(node: Object) -> Object:
    """What v2 can say of a custom kind's schema; clients check by it, and what they cannot know must not trouble them.

    Source: `apiextensions-apiserver/pkg/controller/openapi/v2/conversion.go`.
    """
    if all(set(each) == {"type"} for each in node.get("oneOf", ({},))):  # a quantity, which may be text or a number
        return {"type": "string", **{word: value for word, value in node.items() if word != "oneOf"}}
    is_open = node.get("nullable") or node.get("x-kubernetes-preserve-unknown-fields")
    untold = (*_NOT_IN_V2, *_OF_ITS_SHAPE) if is_open else _NOT_IN_V2
    return {word: value for word, value in node.items() if word not in untold}


# The words of a schema that hold schemas, or point at one.
_INNER: dict[str, Callable[[Any], Any]] = {
    "$ref": lambda reference: reference.replace(_V3, _V2, 1),
    "allOf": lambda schemas: [_schema(each) for each in schemas],
    "items": _schema,
    "additionalProperties": _schema,
    "properties": lambda schemas: {name: _schema(each) for name, each in schemas.items()},
}


# To bytes. An encoder writes one field: its number, and a value of the document.

Encoder = Callable[[int, Any], bytes]
VARINT, FIXED64, BYTES = 0, 1, 2


def encode(document: Object) -> bytes:
    """The document as `openapi.v2.Document`. Raises ValueError where it has words that are not known here."""
    return _fields("Document", document)


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def _bytes(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(payload)) + payload


def _text(number: int, value: Any) -> bytes:
    return _bytes(number, str(value).encode())


def _integer(number: int, value: Any) -> bytes:
    return _varint(number << 3 | VARINT) + _varint(int(value) & 0xFFFF_FFFF_FFFF_FFFF)


def _double(number: int, value: Any) -> bytes:
    return _varint(number << 3 | FIXED64) + struct.pack("<d", value)


def _any(number: int, value: Any) -> bytes:
    """Any value as a text of YAML, of which JSON is a part."""
    return _bytes(number, _text(2, json.dumps(value, ensure_ascii=False)))


def _each(encoder: Encoder, number: int, values: Any) -> bytes:
    return b"".join(encoder(number, value) for value in values)


def _named(encoder: Encoder, number: int, values: Any) -> bytes:
    """A map, as a list of names and values."""
    return b"".join(_bytes(number, _text(1, name) + encoder(2, value)) for name, value in values.items())


def _inside(inner: int, encoder: Encoder, number: int, value: Any) -> bytes:
    """A field of a message that has no name in the document."""
    return _bytes(number, encoder(inner, value))


def _message(name: str, number: int, value: Any) -> bytes:
    return _bytes(number, _fields(name, value))


def _fields(message: str, value: Mapping[str, Any]) -> bytes:
    """The content of a message: fields by their words, words with x- as extensions."""
    table = _MESSAGES[message]
    extensions = {name: each for name, each in value.items() if name.startswith("x-")}
    unknown = value.keys() - table.keys() - extensions.keys()
    if unknown:
        raise ValueError(f'OpenAPI v2 as protobuf: "{min(unknown)}" in {message} is not implemented by k8snb')
    written = [table[name][1](table[name][0], each) for name, each in value.items() if name in table]
    return b"".join(written) + _named(_any, _EXTENSIONS[message], extensions)


def _type(number: int, value: Any) -> bytes:
    return _inside(1, partial(_each, _text), number, [value] if isinstance(value, str) else value)


def _additional_properties(number: int, value: Any) -> bytes:
    return _inside(2, _integer, number, value) if isinstance(value, bool) else _inside(1, _SCHEMA, number, value)


def _any_parameter(number: int, value: Any) -> bytes:
    return _inside(1, _PARAMETERS[value["in"]], number, value)


def _paths(number: int, value: Any) -> bytes:
    return _inside(2, partial(_named, partial(_message, "PathItem")), number, value)


def _responses(number: int, value: Any) -> bytes:
    return _inside(1, partial(_named, partial(_inside, 1, partial(_message, "Response"))), number, value)


_SCHEMA: Encoder = partial(_message, "Schema")
_SCHEMAS: Encoder = partial(_inside, 1, partial(_named, _SCHEMA))
_TEXTS: Encoder = partial(_each, _text)
_OPERATION: Encoder = partial(_message, "Operation")
_PARAMETER_LIST: Encoder = partial(_each, _any_parameter)
_PARAMETERS: dict[str, Encoder] = {
    "body": partial(_inside, 1, partial(_message, "BodyParameter")),
    "query": partial(_inside, 2, partial(_inside, 3, partial(_message, "QueryParameter"))),
    "path": partial(_inside, 2, partial(_inside, 4, partial(_message, "PathParameter"))),
}

# Each message's fields by their words in the document: number and encoder.
_MESSAGES: dict[str, dict[str, tuple[int, Encoder]]] = {
    "Document": {
        "swagger": (1, _text), "info": (2, partial(_message, "Info")), "host": (3, _text), "basePath": (4, _text),
        "schemes": (5, _TEXTS), "consumes": (6, _TEXTS), "produces": (7, _TEXTS), "paths": (8, _paths),
        "definitions": (9, _SCHEMAS),
    },
    "Info": {"title": (1, _text), "version": (2, _text), "description": (3, _text)},
    "PathItem": {
        "get": (2, _OPERATION), "put": (3, _OPERATION), "post": (4, _OPERATION), "delete": (5, _OPERATION),
        "options": (6, _OPERATION), "head": (7, _OPERATION), "patch": (8, _OPERATION),
        "parameters": (9, _PARAMETER_LIST),
    },
    "Operation": {
        "tags": (1, _TEXTS), "summary": (2, _text), "description": (3, _text), "operationId": (5, _text),
        "produces": (6, _TEXTS), "consumes": (7, _TEXTS), "parameters": (8, _PARAMETER_LIST),
        "responses": (9, _responses), "schemes": (10, _TEXTS), "deprecated": (11, _integer),
    },
    "BodyParameter": {
        "description": (1, _text), "name": (2, _text), "in": (3, _text), "required": (4, _integer),
        "schema": (5, _SCHEMA),
    },
    "QueryParameter": {
        "required": (1, _integer), "in": (2, _text), "description": (3, _text), "name": (4, _text),
        "type": (6, _text), "format": (7, _text), "uniqueItems": (20, _integer),
    },
    "PathParameter": {
        "required": (1, _integer), "in": (2, _text), "description": (3, _text), "name": (4, _text),
        "type": (5, _text), "format": (6, _text), "uniqueItems": (19, _integer),
    },
    "Response": {"description": (1, _text), "schema": (2, partial(_inside, 1, _SCHEMA))},
    "Schema": {
        "$ref": (1, _text), "format": (2, _text), "title": (3, _text), "description": (4, _text), "default": (5, _any),
        "multipleOf": (6, _double), "maximum": (7, _double), "exclusiveMaximum": (8, _integer),
        "minimum": (9, _double), "exclusiveMinimum": (10, _integer), "maxLength": (11, _integer),
        "minLength": (12, _integer), "pattern": (13, _text), "maxItems": (14, _integer), "minItems": (15, _integer),
        "uniqueItems": (16, _integer), "maxProperties": (17, _integer), "minProperties": (18, _integer),
        "required": (19, _TEXTS), "enum": (20, partial(_each, _any)),
        "additionalProperties": (21, _additional_properties), "type": (22, _type),
        "items": (23, partial(_inside, 1, _SCHEMA)), "allOf": (24, partial(_each, _SCHEMA)),
        "properties": (25, _SCHEMAS), "discriminator": (26, _text), "readOnly": (27, _integer), "example": (30, _any),
    },
}  # fmt: skip

# The number of each message's `vendor_extension`.
_EXTENSIONS = {
    "Document": 16, "Info": 7, "PathItem": 10, "Operation": 13, "BodyParameter": 6, "QueryParameter": 23,
    "PathParameter": 22, "Response": 5, "Schema": 31,
}  # fmt: skip
