"""Custom types: the fields of a custom kind, in the form in which the built-in ones are described.

Interface: `type_of(kind)`, the `Type` of any kind, and `described(schema)`, that of an OpenAPI schema; `openapi(kind)`,
a custom kind as an OpenAPI schema.
The rule not to break: all that is said of a field stands in the CustomResourceDefinition.
Source: `apiextensions-apiserver/pkg/controller/openapi/builder`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8snb.apimachinery import schema
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.schema import Type

_ROOT = "io.k8snb.custom"
_SCALARS = {"string": "string", "boolean": "boolean", "integer": "int64", "number": "number"}
_OF_EVERY_KIND = ("apiVersion", "kind", "metadata")
_LIKE = "v1", "ConfigMap"  # what every object has is said the same way in every kind


def type_of(kind: Kind) -> Type | None:
    """The type of a kind; None where nothing is known of it."""
    if kind.custom is None:
        return schema.load().definition(kind.api_version, kind.kind)
    return described(kind.custom.schema)


def described(document: Mapping[str, Any]) -> Type | None:
    """The type of a kind whose OpenAPI schema this is."""
    like = schema.load().definition(*_LIKE)
    assert like is not None
    types: dict[str, Any] = {}
    texts: dict[str, dict[str, str]] = {}
    name = _add(document, _ROOT, types, texts)
    common = {field: like.row["f"][field] for field in _OF_EVERY_KIND}
    types[name] = {**types[name], "f": {**types[name]["f"], **common}}
    texts[name] = {**texts[name], **{field: like.fields[field].description for field in common}}
    return schema.load().extended(types, texts).type(name)


def _add(document: Mapping[str, Any], path: str, types: dict[str, Any], texts: dict[str, dict[str, str]]) -> str:
    """Make a type of an object's schema; those of its fields with it. Returns its name."""
    name = f"{path}.Object"
    properties = document.get("properties") or {}
    types[name] = {
        "f": {field: _shape(below, f"{path}.{field}", types, texts) for field, below in properties.items()},
        "r": list(document.get("required") or ()),
    }
    texts[name] = {field: below.get("description", "") for field, below in properties.items()}
    texts[name][""] = document.get("description", "")
    return name


def _shape(document: Mapping[str, Any], path: str, types: dict[str, Any], texts: dict[str, dict[str, str]]) -> Any:
    sort, others = document.get("type"), document.get("additionalProperties")
    if document.get("x-kubernetes-int-or-string"):
        return "int-or-string"
    if sort == "array":
        return {"list": _shape(document.get("items") or {}, f"{path}[]", types, texts)}
    if sort == "object" and document.get("properties"):
        return _add(document, path, types, texts)
    if sort == "object" and isinstance(others, dict):
        return {"map": _shape(others, f"{path}[]", types, texts)}
    return _SCALARS.get(sort or "", "object")


def openapi_name(kind: Kind) -> str:
    """`com.example.stable.v1.CronTab`."""
    return ".".join((*reversed(kind.group.split(".")), kind.version, kind.kind))


def openapi(kind: Kind, *, prefix: str = "#/components/schemas/") -> Object:
    """A custom kind as an OpenAPI schema."""
    assert kind.custom is not None
    document, like = kind.custom.schema, schema.load().definition(*_LIKE)
    assert like is not None
    described = schema.load().openapi(like.name, prefix=prefix)["properties"]
    common = {field: described[field] for field in _OF_EVERY_KIND}
    gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    return {**document, "type": "object", "properties": {**(document.get("properties") or {}), **common},
            "x-kubernetes-group-version-kind": [gvk]}  # fmt: skip
