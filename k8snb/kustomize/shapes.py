"""kustomize, shapes: what may stand in each field of a kustomization.

Interface: `check(name, value)`; `SHAPES`, a row for each field.
The rule not to break: what has passed has the shape that its row says, so that nothing after it has to ask again.
Source: the types in `api/types` of the kustomize repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8snb.kustomize.errors import KustomizeError

# A shape is a type; a list with the shape of its items; a map with the shapes of its fields; or PAIRS.
PAIRS = "pairs"
Shape = Any

_NAMES = dict.fromkeys(("group", "version", "kind", "name", "namespace"), str)
_TARGET = {**_NAMES, "labelSelector": str, "annotationSelector": str}
_PATCH = {"path": str, "patch": str, "target": _TARGET, "options": {"allowNameChange": bool, "allowKindChange": bool}}
_OPTIONS = {"labels": PAIRS, "annotations": PAIRS, "disableNameSuffixHash": bool, "immutable": bool}
_GENERATOR = {"name": str, "namespace": str, "behavior": str, "literals": [str], "files": [str], "envs": [str],
              "env": str, "options": _OPTIONS}  # fmt: skip
_FIELD = {"path": str, "kind": str, "group": str, "version": str, "create": bool}
_COPYING = {"delimiter": str, "index": int, "create": bool}
REPLACEMENT = {
    "path": str,
    "source": {**_NAMES, "fieldPath": str, "options": _COPYING},
    "targets": [{"select": _NAMES, "reject": [_NAMES], "fieldPaths": [str], "options": _COPYING}],
}

SHAPES: Mapping[str, Shape] = {
    **dict.fromkeys(("apiVersion", "kind", "namespace", "namePrefix", "nameSuffix"), str),
    **{name: [str] for name in ("resources", "bases", "components", "patchesStrategicMerge")},
    "metadata": dict,
    "commonLabels": PAIRS,
    "commonAnnotations": PAIRS,
    "labels": [{"pairs": PAIRS, "includeSelectors": bool, "includeTemplates": bool, "fields": [_FIELD]}],
    "images": [dict.fromkeys(("name", "newName", "newTag", "digest", "tagSuffix"), str)],
    "replicas": [{"name": str, "count": int}],
    "patches": [_PATCH],
    "patchesJson6902": [_PATCH],
    "configMapGenerator": [_GENERATOR],
    "secretGenerator": [{**_GENERATOR, "type": str}],
    "generatorOptions": _OPTIONS,
    "replacements": [REPLACEMENT],
    "vars": [{"name": str, "objref": {**_NAMES, "apiVersion": str}, "fieldref": {"fieldpath": str, "fieldPath": str}}],
    **{name: [dict] for name in ("helmCharts", "helmChartInflationGenerator")},
    "helmGlobals": dict,
    "sortOptions": {"order": str, "legacySortOptions": {"orderFirst": [str], "orderLast": [str]}},
}
_WORDS = {str: "a text", int: "a whole number", bool: "true or false", dict: "a map"}
_SORTS = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}


def check(name: str, value: Any, shape: Shape) -> None:
    """Whether a value has its shape; null stands for nothing said. Raises KustomizeError."""
    if value is None:
        return
    if isinstance(shape, list):
        _must(name, value, list, "a list")
        for item in value:
            if item is None:
                raise _wrong(name, item, "an entry")
            check(name, item, shape[0])
    elif isinstance(shape, dict):
        _must(name, value, dict, "a map")
        _check_fields(name, value, shape)
    elif shape == PAIRS:
        _must(name, value, dict, "a map")
        for each in value.values():
            _must(name, each, str, "put the value into quotes")
    else:
        _must(name, value, shape, _WORDS[shape])


def _check_fields(name: str, value: Mapping[str, Any], shape: Mapping[str, Shape]) -> None:
    for key, entry in value.items():
        if key not in shape:
            raise KustomizeError(f'invalid Kustomization: json: unknown field "{key}"')
        check(f"{name}.{key}", entry, shape[key])


def _must(name: str, value: Any, wanted: type, words: str) -> None:
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is int):
        raise _wrong(name, value, words)


def _wrong(name: str, value: Any, words: str) -> KustomizeError:
    sort = _SORTS.get(type(value), "null")
    said = f"json: cannot unmarshal {sort} into Go struct field Kustomization.{name}"
    return KustomizeError(f"invalid Kustomization: {said}: {words} is wanted" if not words.startswith("put") else
                          f"invalid Kustomization: {said} of type string: {words}")  # fmt: skip
