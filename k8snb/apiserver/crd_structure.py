"""apiextensions-apiserver's check of schemas: whether a schema is structural, so that pruning and defaulting can rely
on it.

Interface: `complaints(document, path)`, pure.
The rule not to break: what a schema says is kept, or refused here.
Source: `apiextensions-apiserver/pkg/apiserver/schema/validation.go`, `pkg/apis/apiextensions/validation`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from k8snb.apimachinery.errors import FORBIDDEN, INVALID, NOT_SUPPORTED, REQUIRED, FieldError
from k8snb.apiserver import crd_rules, crd_schema
from k8snb.apiserver.crd_formats import MISSING
from k8snb.apiserver.crd_rules import LIST_KEYS, LIST_TYPE, RULES, Document
from k8snb.apiserver.crd_schema import EMBEDDED, INT_OR_STRING, PRESERVE

Errors = Iterator[FieldError]
TYPES = ("array", "boolean", "integer", "number", "object", "string")
NEVER = ("$ref", "definitions", "dependencies", "patternProperties", "additionalItems", "id", "$schema")
VALUE_ONLY = ("description", "type", "default", "additionalProperties", "nullable", "title", LIST_TYPE, LIST_KEYS,
              PRESERVE, EMBEDDED, INT_OR_STRING)  # fmt: skip
JUNCTIONS = ("allOf", "anyOf", "oneOf")
MAP_TYPE = "x-kubernetes-map-type"


def complaints(document: Document, path: str) -> Errors:
    """Why a schema cannot be the whole of an object's."""
    sort = document.get("type")
    if not sort:
        yield FieldError(f"{path}.type", REQUIRED, detail="must not be empty at the root")
    elif sort != "object":
        yield FieldError(f"{path}.type", INVALID, sort, "must be object at the root")
    yield from _metadata(document, path)
    yield from _schema(document, path, "specified object fields", root=True)


def _metadata(document: Document, path: str) -> Errors:
    described = (document.get("properties") or {}).get("metadata") or {}
    extra = set(described.get("properties") or ()) - {"name", "generateName"}
    if extra:
        words = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield FieldError(f"{path}.properties[metadata]", FORBIDDEN, detail=words)


def _schema(document: Any, path: str, place: str, *, root: bool = False) -> Errors:
    if not isinstance(document, dict):
        yield FieldError(path, INVALID, document, "must be a schema object")
        return
    for check in CHECKS:
        yield from check(document, path)
    if not document.get("type") and not root and not document.get(INT_OR_STRING) and not document.get(PRESERVE):
        yield FieldError(f"{path}.type", REQUIRED, detail=f"must not be empty for {place}")
    for name, below in (document.get("properties") or {}).items():
        yield from _schema(below, f"{path}.properties[{name}]", "specified object fields")
    if isinstance(document.get("items"), dict):
        yield from _schema(document["items"], f"{path}.items", "specified array items")
    if isinstance(document.get("additionalProperties"), dict):
        yield from _schema(document["additionalProperties"], f"{path}.additionalProperties", "specified object fields")
    if "default" in document:
        yield from _default(document, path)


def _type(document: Document, path: str) -> Errors:
    sort = document.get("type")
    if sort and sort not in TYPES:
        known = ", ".join(f'"{each}"' for each in TYPES)
        yield FieldError(f"{path}.type", NOT_SUPPORTED, sort, f"supported values: {known}")
    if document.get(INT_OR_STRING) and sort:
        words = f"must be empty if {INT_OR_STRING} is true"
        yield FieldError(f"{path}.type", INVALID, sort, words)
    if sort == "array" and not isinstance(document.get("items"), dict):
        several = isinstance(document.get("items"), list)
        words = "items must be a schema object and not an array" if several else "must be specified"
        yield FieldError(f"{path}.items", FORBIDDEN if several else REQUIRED, detail=words)


def _never(document: Document, path: str) -> Errors:
    for name in NEVER:
        if document.get(name):
            yield FieldError(f"{path}.{name}", FORBIDDEN, detail=f"{name} is not supported")
    if document.get("uniqueItems"):
        words = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield FieldError(f"{path}.uniqueItems", FORBIDDEN, detail=words)
    if document.get("additionalProperties") is False:
        words = "additionalProperties cannot be set to false"
        yield FieldError(f"{path}.additionalProperties", FORBIDDEN, detail=words)
    elif document.get("additionalProperties") is not None and document.get("properties"):
        words = "additionalProperties and properties are mutual exclusive"
        yield FieldError(f"{path}.additionalProperties", FORBIDDEN, detail=words)
    if document.get("format") in MISSING:
        words = f"format {document['format']}: not implemented by k8snb"
        yield FieldError(f"{path}.format", INVALID, document["format"], words)


def _extensions(document: Document, path: str) -> Errors:
    if document.get(PRESERVE) is False:
        yield FieldError(f"{path}.{PRESERVE}", INVALID, False, "must be true or undefined")
    if document.get(EMBEDDED):
        if document.get("type") != "object":
            words = "must be object if x-kubernetes-embedded-resource is true"
            yield FieldError(f"{path}.type", INVALID, document.get("type", ""), words)
        if not document.get("properties") and not document.get(PRESERVE):
            words = f"must not be empty if {EMBEDDED} is true without {PRESERVE}"
            yield FieldError(f"{path}.properties", REQUIRED, detail=words)
    yield from _list_type(document, path)
    if document.get(MAP_TYPE) not in (None, "atomic", "granular"):
        yield FieldError(f"{path}.{MAP_TYPE}", NOT_SUPPORTED, document[MAP_TYPE],
                         'supported values: "atomic", "granular"')  # fmt: skip


def _list_type(document: Document, path: str) -> Errors:
    sort, keys = document.get(LIST_TYPE), document.get(LIST_KEYS)
    if sort is None:
        return
    if sort not in ("atomic", "set", "map"):
        yield FieldError(f"{path}.{LIST_TYPE}", NOT_SUPPORTED, sort, 'supported values: "atomic", "map", "set"')
    if document.get("type") != "array":
        words = f"must be array if {LIST_TYPE} is specified"
        yield FieldError(f"{path}.type", INVALID, document.get("type", ""), words)
    if sort == "map" and not keys:
        yield FieldError(f"{path}.{LIST_KEYS}", REQUIRED, detail=f"must not be empty if {LIST_TYPE} is map")
    items = document.get("items") or {}
    for place, key in enumerate(keys or ()):
        if isinstance(items, dict) and key not in (items.get("properties") or {}):
            words = "entries must all be names of item properties"
            yield FieldError(f"{path}.{LIST_KEYS}[{place}]", INVALID, key, words)
        elif key not in (items.get("required") or ()) and "default" not in items["properties"][key]:
            words = f"this property is in {LIST_KEYS}, so it must have a default or be a required property"
            yield FieldError(f"{path}.items.properties[{key}].default", REQUIRED, detail=words)


def _pattern(document: Document, path: str) -> Errors:
    try:
        re.compile(document.get("pattern") or "")
    except re.error as error:
        words = f"must be a valid regular expression, but isn't: {error}"
        yield FieldError(f"{path}.pattern", INVALID, document["pattern"], words)


def _junctions(document: Document, path: str) -> Errors:
    """What stands in allOf, anyOf, oneOf and not says what values are right, and no more than that."""
    parts = [(f"{path}.{name}[{place}]", part) for name in JUNCTIONS
             for place, part in enumerate(document.get(name) or ())]  # fmt: skip
    if isinstance(document.get("not"), dict):
        parts.append((f"{path}.not", document["not"]))
    for where, part in parts:
        yield from _part(part, document, where)


def _part(part: Document, whole: Document, path: str) -> Errors:
    for name in VALUE_ONLY:
        known = whole.get(INT_OR_STRING) and name == "type"
        if name in part and not known:
            yield FieldError(f"{path}.{name}", FORBIDDEN, detail="must be empty to be structural")
    for name, below in (part.get("properties") or {}).items():
        outside = (whole.get("properties") or {}).get(name)
        if outside is None:
            words = f"because it is defined in {path}.properties[{name}]"
            yield FieldError(f"{_outer(path)}.properties[{name}]", REQUIRED, detail=words)
        else:
            yield from _part(below, outside, f"{path}.properties[{name}]")
    yield from _junctions({**part, "properties": whole.get("properties")}, path)


def _outer(path: str) -> str:
    return re.sub(r"\.(allOf|anyOf|oneOf|not)(\[\d+\])?.*", "", path)


def _rules(document: Document, path: str) -> Errors:
    for place, entry in enumerate(document.get(RULES) or ()):
        fault = crd_rules.faults(entry)
        if fault:
            yield FieldError(f"{path}.{RULES}[{place}].rule", INVALID, entry.get("rule"), fault)


def _default(document: Document, path: str) -> Errors:
    for error in crd_schema.complaints(document, document["default"], None):
        where = f"{path}.default.{error.path}".rstrip(".")
        yield FieldError(where, error.sort, error.value, error.detail)


CHECKS: tuple[Callable[[Document, str], Errors], ...] = (
    _type, _never, _extensions, _pattern, _junctions, _rules,
)  # fmt: skip
