"""API schema: which fields an object has, of which types, as Kubernetes publishes it.

Interface: `load()`, the schema of the built-in kinds; `Schema.decode` and `check` for objects, `field` for `explain`,
`definition` for the `Type` that drives strategic merge patches, `openapi` for the document that clients download.
The rule not to break: nobody types field tables by hand; all that is known of a field comes from the published schema.
Real Kubernetes learns the same from its Go types, and of custom resources from their CustomResourceDefinition.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from k8snb.apimachinery.errors import FieldError
from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.schema_check import Compiler, Report, UnknownField, rewrite

_INTEGER: dict[str, Any] = {"type": "integer"}
_OPENAPI: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "int32": {**_INTEGER, "format": "int32"},
    "int64": {**_INTEGER, "format": "int64"},
    "number": {"type": "number", "format": "double"},
    "byte": {"type": "string", "format": "byte"},
    "time": {"type": "string", "format": "date-time"},
    "quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "int-or-string": {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    "object": {"type": "object"},
    "any": {},
}
IDENTITY = frozenset(("apiVersion", "kind"))
_EXPLAIN = {"int32": "integer", "int64": "integer", "byte": "string", "time": "string", "quantity": "Quantity",
            "int-or-string": "IntOrString", "object": "Object", "any": "Object"}  # fmt: skip


@dataclass(frozen=True)
class Field:
    """One field of a type. `shape` is its row in `schema.json` (described in `schema_build.py`)."""

    name: str
    shape: Any
    required: bool
    owner: Type

    @property
    def sort(self) -> str:
        """One of "list", "map", "struct", or the name of a scalar ("string", "int32", "quantity", …)."""
        return sort_of(self.shape)

    @cached_property
    def type(self) -> Type | None:
        """The type of the struct, or of a list's or map's entries; None where those are scalars."""
        return self.owner.schema.type(innermost(self.shape))

    @cached_property
    def entry(self) -> Field | None:
        """What each entry of a list or map is, as a field without a name."""
        inner = self.shape.get("list") or self.shape.get("map") if isinstance(self.shape, dict) else None
        return Field("", inner, False, self.owner) if inner else None

    @property
    def merge_key(self) -> str:
        """The key by which a strategic merge patch matches a list's entries; "" where it replaces the list."""
        return str(self._flag("key", "")) if self._flag("merge", 0) else ""

    @property
    def merges(self) -> bool:
        """Whether a strategic merge patch merges this list instead of replacing it."""
        return bool(self._flag("merge", 0))

    @property
    def retains_keys(self) -> bool:
        """Whether keys a patch does not name are dropped (`retainKeys`: one volume source at a time)."""
        return bool(self._flag("retain", 0))

    @property
    def replaces(self) -> bool:
        """Whether a strategic merge patch replaces this struct as a whole."""
        return bool(self._flag("replace", 0))

    @property
    def list_map_keys(self) -> tuple[str, ...]:
        """The keys that make an entry of this list unique for server-side apply."""
        return tuple(self._flag("keys", ()))

    @property
    def is_set(self) -> bool:
        return bool(self._flag("set", 0))

    @property
    def atomic(self) -> bool:
        """Whether server-side apply gives the whole value to one manager."""
        inner = self.type if self.sort == "struct" else None
        return bool(self._flag("a", 0)) or (inner is not None and inner.atomic)

    @property
    def label(self) -> str:
        """The type as `explain` prints it: `integer`, `[]Container`, `map[string]string`."""
        return _label(self.shape)

    @property
    def description(self) -> str:
        return self.owner.schema.descriptions.get(self.owner.name, {}).get(self.name, "")

    def _flag(self, name: str, default: Any) -> Any:
        return self.shape.get(name, default) if isinstance(self.shape, dict) else default


class Type:
    """A struct of the API: `core.v1.PodSpec`."""

    def __init__(self, schema: Schema, name: str, row: Mapping[str, Any]) -> None:
        self.schema = schema
        self.name = name
        self.row = row
        self.required: frozenset[str] = frozenset(row.get("r", ()))
        self.atomic = bool(row.get("a"))

    def __repr__(self) -> str:
        return f"Type({self.name})"

    @property
    def short_name(self) -> str:
        return self.name.rpartition(".")[2]

    @cached_property
    def fields(self) -> dict[str, Field]:
        return {name: Field(name, shape, name in self.required, self) for name, shape in self.row["f"].items()}

    @cached_property
    def as_field(self) -> Field:
        """The type as a field without a name, where one walks from field to field."""
        return Field("", self.name, False, self)

    @property
    def description(self) -> str:
        return self.schema.descriptions.get(self.name, {}).get("", "")


class Schema:
    """All types of one Kubernetes release. Types are built, and checkers compiled, when first asked for."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.version: str = document["version"]
        self._kinds: dict[str, str] = document["kinds"]
        self._rows: dict[str, Any] = document["types"]
        self._types: dict[str, Type] = {}
        self._compiler = Compiler(self._rows)

    def extended(self, types: Mapping[str, Any], descriptions: dict[str, dict[str, str]]) -> Schema:
        """A schema with more types, given as the rows and sentences that `schema.json` would have for them."""
        document = {"version": self.version, "kinds": self._kinds, "types": {**self._rows, **types}}
        extended = Schema(document)
        extended.descriptions = {**self.descriptions, **descriptions}
        return extended

    def kinds(self) -> Iterator[tuple[str, str]]:
        """Every (apiVersion, kind) with a schema."""
        for gvk in self._kinds:
            api_version, _, kind = gvk.rpartition("/")
            yield api_version, kind

    def definition(self, api_version: str, kind: str) -> Type | None:
        """The type of a built-in kind; None for custom resources."""
        return self.type(self._kinds.get(f"{api_version}/{kind}", ""))

    def type(self, name: str) -> Type | None:
        """A type by its name, such as `core.v1.PodSpec` or `meta.v1.DeleteOptions`."""
        if name not in self._types and name in self._rows:
            self._types[name] = Type(self, name, self._rows[name])
        return self._types.get(name)

    def decode(
        self, obj: Object, *, known: Object | None = None
    ) -> tuple[Object, list[FieldError], list[UnknownField]]:
        """What the apiserver makes of an object, what is wrong with it, and its unknown fields.

        Unknown and null fields are dropped, quantities written canonically. An object that needs none of it is
        returned itself; otherwise the answer shares all that did not change. Of a kind without a schema nothing is
        checked. `known` is an object of the kind that is as it should be: what `obj` shares with it is not checked.
        """
        name = self._name(obj)
        if name is None:
            return obj, [], []
        shared = {field for field, value in obj.items() if known.get(field) is value} - IDENTITY if known else set()
        looked_at = {field: value for field, value in obj.items() if field not in shared} if shared else obj
        report = self._compiler.report(name, looked_at)
        errors = report.errors
        if shared and errors:
            errors = [error for error in errors if error.path.partition(".")[0] not in shared]
        return rewrite(self._rows, name, obj) if report.rewrite else obj, errors, report.unknown

    def decode_as(self, name: str, obj: Object) -> tuple[Object, list[FieldError]]:
        """The same for a type that is no kind's, such as `meta.v1.DeleteOptions`; unknown fields are dropped."""
        report = self._compiler.report(name, obj)
        return rewrite(self._rows, name, obj) if report.rewrite else obj, report.errors

    def check(self, obj: Object) -> tuple[list[FieldError], list[UnknownField]]:
        """Wrong types and missing fields, and unknown fields, in one pass."""
        report = self._report(obj)
        return report.errors, report.unknown

    def validate(self, api_version: str, kind: str, obj: Object) -> list[FieldError]:
        """Wrong types and missing fields of an object, taken as this kind."""
        name = self._kinds.get(f"{api_version}/{kind}")
        return self._compiler.report(name, obj).errors if name else []

    def unknown_fields(self, obj: Object) -> list[UnknownField]:
        """Fields that the kind does not have, each with a suggestion."""
        return self._report(obj).unknown

    def prune(self, obj: Object) -> Object:
        """The object without unknown and null fields; the object itself where it has none."""
        return self.decode(obj)[0]

    def field(self, api_version: str, kind: str, path: str) -> Field | None:
        """The field at a path such as `spec.template.spec.containers`, as `explain` takes it (no list indices)."""
        type_ = self.definition(api_version, kind)
        field = None
        for part in path.split("."):
            field = type_.fields.get(part) if type_ is not None else None
            if field is None:
                return None
            type_ = field.type
        return field

    @cached_property
    def descriptions(self) -> dict[str, dict[str, str]]:
        """`{type name: {field: sentence, "": the type's own sentence}}`; read from disk when first used."""
        texts: dict[str, dict[str, str]] = json.loads(gzip.decompress(_data("descriptions.json.gz")))
        return texts

    def openapi(self, name: str, *, prefix: str = "#/components/schemas/") -> Object:
        """One type as an OpenAPI schema, for clients that download the document."""
        row = self._rows[name]
        texts = self.descriptions.get(name, {})
        fields = {
            field: {**_openapi(shape, prefix), "description": texts.get(field, "")} for field, shape in row["f"].items()
        }
        gvks = [_gvk(gvk) for gvk, type_name in self._kinds.items() if type_name == name]
        return {
            "type": "object",
            "description": texts.get("", ""),
            "properties": fields,
            **({"required": row["r"]} if "r" in row else {}),
            **({"x-kubernetes-map-type": "atomic"} if row.get("a") else {}),
            **({"x-kubernetes-group-version-kind": gvks} if gvks else {}),
        }

    def type_names(self) -> Iterator[str]:
        return iter(self._rows)

    def _name(self, obj: Object) -> str | None:
        return self._kinds.get(f"{obj.get('apiVersion')}/{obj.get('kind')}")

    def _report(self, obj: Object) -> Report:
        name = self._name(obj)
        return self._compiler.report(name, obj) if name else Report()


def sort_of(shape: Any) -> str:
    """One of "list", "map", "struct", or the name of a scalar."""
    if isinstance(shape, dict):
        return next(sort for sort in ("list", "map", "of") if sort in shape).replace("of", "struct")
    return "struct" if "." in shape else str(shape)


def innermost(shape: Any) -> str:
    """The name at the end of lists of maps of …: a type name or a scalar."""
    while isinstance(shape, dict):
        shape = shape.get("list") or shape.get("map") or shape.get("of")
    return str(shape)


def _label(shape: Any) -> str:
    if isinstance(shape, dict):
        if "of" in shape:
            return _label(shape["of"])
        return f"[]{_label(shape['list'])}" if "list" in shape else f"map[string]{_label(shape['map'])}"
    return _EXPLAIN.get(shape) or str(shape).rpartition(".")[2]


def _openapi(shape: Any, prefix: str) -> Object:
    if isinstance(shape, str):
        return {"allOf": [{"$ref": prefix + shape}]} if "." in shape else dict(_OPENAPI[shape])
    if "of" in shape:
        base = _openapi(shape["of"], prefix)
    elif "list" in shape:
        base = {"type": "array", "items": _openapi(shape["list"], prefix)}
    else:
        base = {"type": "object", "additionalProperties": _openapi(shape["map"], prefix)}
    return {**base, **_extensions(shape)}


def _extensions(shape: Mapping[str, Any]) -> Object:
    """The x-kubernetes-* keys of a shape."""
    strategies = [word for key, word in (("merge", "merge"), ("retain", "retainKeys"), ("replace", "replace"))
                  if shape.get(key)]  # fmt: skip
    list_type = "map" if shape.get("keys") else "set" if shape.get("set") else "atomic" if shape.get("a") else ""
    extensions = {
        "x-kubernetes-patch-strategy": ",".join(strategies),
        "x-kubernetes-patch-merge-key": shape.get("key"),
        "x-kubernetes-list-map-keys": shape.get("keys"),
        "x-kubernetes-list-type" if "list" in shape else "x-kubernetes-map-type": list_type,
    }
    return {key: value for key, value in extensions.items() if value}


def _gvk(gvk: str) -> dict[str, str]:
    api_version, _, kind = gvk.rpartition("/")
    group, _, version = api_version.rpartition("/")
    return {"group": group, "version": version, "kind": kind}


def _data(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes()


@lru_cache(maxsize=1)
def load() -> Schema:
    """The schema of the built-in kinds, read once."""
    try:
        return Schema(json.loads(_data("schema.json")))
    except FileNotFoundError as error:
        text = "schema.json is missing: run python k8snb/apimachinery/schema_build.py, or pip install k8snb"
        raise RuntimeError(text) from error
