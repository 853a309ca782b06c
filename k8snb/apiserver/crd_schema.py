"""apiextensions-apiserver's structural schemas: what a CustomResourceDefinition's schema makes of objects.

Interface: `Structural(document)`: `decode(obj)` for what is sent, `shape(obj)` for what is stored, and
`validate(obj, old)`.
The rule not to break: objects are shared; what changes is built anew, and what does not change is the object itself.
Source: `apiextensions-apiserver/pkg/apiserver/schema/{pruning,defaulting,listtype}`, `kube-openapi/pkg/validation`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from operator import is_
from typing import Any

from k8snb.apimachinery import schema
from k8snb.apimachinery.errors import DUPLICATE, INVALID, NOT_SUPPORTED, REQUIRED, TOO_LONG, TOO_MANY, FieldError
from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.schema_check import Path, UnknownField, path_text
from k8snb.apiserver import crd_rules
from k8snb.apiserver.crd_formats import FORMATS
from k8snb.apiserver.crd_rules import LIST_TYPE, Document, identity

PRESERVE, EMBEDDED, INT_OR_STRING = (
    "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string",
)  # fmt: skip
EVERY_RESOURCE = ("apiVersion", "kind", "metadata")
_LIKE = {"apiVersion": "v1", "kind": "ConfigMap"}  # metadata is the same in every kind

Errors = Iterator[FieldError]
_ANYTHING: Document = {PRESERVE: True}


class Structural:
    """One version's schema."""

    def __init__(self, document: Document) -> None:
        self._document = {**document, EMBEDDED: True}
        self._has_rules = crd_rules.has_rules(document)

    def decode(self, obj: Object) -> tuple[Object, list[FieldError], list[UnknownField]]:
        """What the apiserver makes of an object: unknown fields go, defaults come."""
        unknown: list[UnknownField] = []
        metadata, errors, strange = schema.load().decode({**_LIKE, "metadata": obj["metadata"]})
        kept: Object = _kept(self._document, obj, None, unknown)
        if metadata["metadata"] is not obj["metadata"]:
            kept = {**kept, "metadata": metadata["metadata"]}
        return kept, errors, strange + unknown

    def shape(self, obj: Object) -> Object:
        """An object from the store, in the shape that the schema has today."""
        kept: Object = _kept(self._document, obj, None, [])
        return kept

    def validate(self, obj: Object, old: Object | None) -> list[FieldError]:
        """Complaints about an object. What was there before and was as wrong then is let pass (ratcheting)."""
        found = list(complaints(self._document, obj, None))
        if not found and self._has_rules:
            found = list(crd_rules.complaints(self._document, obj, old))
        if not found or old is None:
            return found
        before = list(complaints(self._document, old, None))
        return [complaint for complaint in found if complaint not in before]


# unknown fields and defaults


def _kept(document: Document, value: Any, path: Path, unknown: list[UnknownField]) -> Any:
    """A value without the fields that its schema does not have, and with its defaults."""
    if isinstance(value, dict):
        return _kept_map(document, value, path, unknown)
    items = document.get("items")
    if isinstance(value, list) and isinstance(items, dict):
        kept = [_kept(items, each, (path, place), unknown) for place, each in enumerate(value)]
        return value if all(map(is_, kept, value)) else kept
    return value


def _kept_map(document: Document, value: Object, path: Path, unknown: list[UnknownField]) -> Object:
    properties: Document = document.get("properties") or {}
    kept: Object = {}
    for key, inner in value.items():
        below = _below(document, key)
        if below is None:
            unknown.append(UnknownField(path_text((path, key)), _suggestion(properties, path, key)))
        elif below is _ANYTHING:
            kept[key] = inner
        elif inner is not None or below.get("nullable") or "default" not in below:
            kept[key] = _kept(below, inner, (path, key), unknown)
    for key, below in properties.items():
        if "default" in below and key not in kept:
            kept[key] = _kept(below, below["default"], (path, key), unknown)
    same = len(kept) == len(value) and all(kept[key] is value.get(key) for key in kept)
    return value if same else kept


def _below(document: Document, key: str) -> Document | None:
    """The schema of a field; None for a field that there is not."""
    if document.get(EMBEDDED) and key in EVERY_RESOURCE:
        return _ANYTHING
    found = (document.get("properties") or {}).get(key)
    others = document.get("additionalProperties")
    if found is None and others is not None:
        found = others if isinstance(others, dict) else _ANYTHING if others else None
    return _ANYTHING if found is None and document.get(PRESERVE) else found


def _suggestion(properties: Document, path: Path, key: str) -> str:
    near = difflib.get_close_matches(key, properties, 1, 0.7)
    return path_text((path, near[0])) if near else ""


# validation


def complaints(document: Document, value: Any, path: Path) -> Errors:
    """Everything that a schema has against a value."""
    if value is None and document.get("nullable"):
        return
    if not _has_type(document, value):
        yield _of_type(path, _wanted(document), value)
        return
    if "enum" in document and value not in document["enum"]:
        known = ", ".join(_quoted(each) for each in document["enum"])
        yield FieldError(path_text(path), NOT_SUPPORTED, value, f"supported values: {known}")
    for check in _CHECKS.get(type(value), ()):
        yield from check(document, value, path)
    yield from _combined(document, value, path)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: type(value) is str,
    "boolean": lambda value: type(value) is bool,
    "integer": lambda value: type(value) is int or (type(value) is float and value.is_integer()),
    "number": lambda value: type(value) in (int, float),
    "array": lambda value: type(value) is list,
    "object": lambda value: type(value) is dict,
}
_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object",
          type(None): "null"}  # fmt: skip


def _has_type(document: Document, value: Any) -> bool:
    if document.get(INT_OR_STRING):
        return type(value) in (int, str)
    wanted = document.get("type")
    return _TYPES[wanted](value) if wanted else True


def _wanted(document: Document) -> str:
    return "integer,string" if document.get(INT_OR_STRING) else str(document.get("type"))


def _of_type(path: Path, wanted: str, value: Any) -> FieldError:
    where, name = path_text(path), _NAMES[type(value)]
    return FieldError(where, INVALID, name, f'{where} in body must be of type {wanted}: "{name}"')


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _should(path: Path, value: Any, words: str) -> FieldError:
    return FieldError(path_text(path), INVALID, value, f"{path_text(path)} in body {words}")


def _string(document: Document, value: str, path: Path) -> Errors:
    if "maxLength" in document and len(value) > document["maxLength"]:
        yield FieldError(path_text(path), TOO_LONG, value, f"may not be more than {document['maxLength']} bytes")
    if "minLength" in document and len(value) < document["minLength"]:
        yield _should(path, value, f"should be at least {document['minLength']} chars long")
    if "pattern" in document and not re.search(document["pattern"], value):
        yield _should(path, value, f"should match '{document['pattern']}'")
    sort = document.get("format", "")
    if sort in FORMATS and not FORMATS[sort](value):
        yield _should(path, value, f'must be of type {sort}: "{value}"')


_RANGES = {"int32": 2**31, "int64": 2**63}


def _number(document: Document, value: float, path: Path) -> Errors:
    if "maximum" in document:
        limit, open_end = document["maximum"], document.get("exclusiveMaximum")
        if value > limit or (open_end and value == limit):
            yield _should(path, value, f"should be less than {'' if open_end else 'or equal to '}{limit}")
    if "minimum" in document:
        limit, open_end = document["minimum"], document.get("exclusiveMinimum")
        if value < limit or (open_end and value == limit):
            yield _should(path, value, f"should be greater than {'' if open_end else 'or equal to '}{limit}")
    if document.get("multipleOf") and value / document["multipleOf"] % 1:
        yield _should(path, value, f"should be a multiple of {document['multipleOf']}")
    reach = _RANGES.get(document.get("format", ""))
    if reach is not None and not -reach <= value < reach:
        yield _should(path, value, f'must be of type {document["format"]}: "{value}"')


def _list(document: Document, value: list[Any], path: Path) -> Errors:
    if "maxItems" in document and len(value) > document["maxItems"]:
        yield FieldError(path_text(path), TOO_MANY, len(value), f"must have at most {document['maxItems']} items")
    if "minItems" in document and len(value) < document["minItems"]:
        yield _should(path, value, f"should have at least {document['minItems']} items")
    items = document.get("items")
    if isinstance(items, dict):
        for place, each in enumerate(value):
            yield from complaints(items, each, (path, place))
    yield from _twice(document, value, path)


def _twice(document: Document, value: list[Any], path: Path) -> Errors:
    """Entries of a set, or of a list that is a map, that cannot be told apart."""
    sort = document.get(LIST_TYPE)
    if sort not in ("set", "map"):
        return
    seen: list[Any] = []
    for place, each in enumerate(value):
        known = each if sort == "set" else identity(document, each)
        if known in seen:
            yield FieldError(path_text((path, place)), DUPLICATE, known)
        seen.append(known)


def _map(document: Document, value: Object, path: Path) -> Errors:
    if "maxProperties" in document and len(value) > document["maxProperties"]:
        words = f"must have at most {document['maxProperties']} items"
        yield FieldError(path_text(path), TOO_MANY, len(value), words)
    if "minProperties" in document and len(value) < document["minProperties"]:
        yield _should(path, value, f"should have at least {document['minProperties']} properties")
    for name in document.get("required") or ():
        if name not in value:
            yield FieldError(path_text((path, name)), REQUIRED)
    if path is not None and document.get(EMBEDDED):
        for name in EVERY_RESOURCE[:2]:
            if not value.get(name):
                yield FieldError(path_text((path, name)), REQUIRED, detail="must not be empty")
    for name, inner in value.items():
        below = _validated(document, name)
        if below is not None:
            yield from complaints(below, inner, (path, name))


def _validated(document: Document, name: str) -> Document | None:
    """The schema that a field is held against. Schemas inside anyOf and the like need not know every field."""
    found: Document | None = (document.get("properties") or {}).get(name)
    others = document.get("additionalProperties")
    return others if found is None and isinstance(others, dict) else found


def _combined(document: Document, value: Any, path: Path) -> Errors:
    where = path_text(path)
    for part in document.get("allOf") or ():
        yield from complaints(part, value, path)
    if "anyOf" in document and not any(_fits(part, value) for part in document["anyOf"]):
        yield FieldError(where, INVALID, "", f'"{where}" must validate at least one schema (anyOf)')
    if "oneOf" in document:
        count = sum(_fits(part, value) for part in document["oneOf"])
        if count != 1:
            found = f"Found {count} valid alternatives" if count else "Found none valid"
            yield FieldError(where, INVALID, "", f'"{where}" must validate one and only one schema (oneOf). {found}')
    if "not" in document and _fits(document["not"], value):
        yield FieldError(where, INVALID, "", f'"{where}" must not validate the schema (not)')


def _fits(document: Document, value: Any) -> bool:
    return next(complaints(document, value, None), None) is None


Check = Callable[[Document, Any, Path], Errors]
_CHECKS: dict[type, tuple[Check, ...]] = {
    str: (_string,), int: (_number,), float: (_number,), list: (_list,), dict: (_map,),
}  # fmt: skip
