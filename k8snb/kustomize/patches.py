"""kustomize, patches: strategic merges and JSON patches, by name or by target.

Interface: `patched(resources, patch)`, `Patch`; `selects(target, resource)`.
The rule not to break: a patch that finds nothing to change is an error; an object keeps its kind and its name.
Source: `PatchTransformer` in `api/internal/builtins`, `kyaml/yaml/merge2` in the kustomize repository.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from k8snb.apimachinery import json_patch, schema
from k8snb.apimachinery.meta import Object, annotations_of, labels_of
from k8snb.apimachinery.schema import Field
from k8snb.apimachinery.selectors import SelectorError, parse_selector
from k8snb.kustomize.errors import KustomizeError
from k8snb.kustomize.resource import Identity, Resource, find, identity_of

_DIRECTIVE = "$patch"


@dataclass(frozen=True)
class Patch:
    """One patch: objects to merge or operations to carry out, and what they are for."""

    merges: Sequence[Object] = ()
    operations: Sequence[Mapping[str, Any]] = ()
    target: Mapping[str, Any] | None = None
    options: Mapping[str, Any] | None = None


def patched(resources: Sequence[Resource], patch: Patch) -> list[Resource]:
    """The resources with the patch carried out. Raises KustomizeError."""
    if patch.operations:
        _carry_out(resources, patch)
        return list(resources)
    left = list(resources)
    for merge in patch.merges:
        for resource in _meant(left, merge, patch.target):
            if merge.get(_DIRECTIVE) == "delete":
                left.remove(resource)
            else:
                _merge_into(resource, merge, patch.options or {})
    return left


def _meant(resources: Sequence[Resource], merge: Object, target: Mapping[str, Any] | None) -> list[Resource]:
    if target is not None:
        return [each for each in resources if selects(target, each)]
    wanted = identity_of(merge)
    found = find(resources, wanted)
    if len(found) == 1:
        return found
    what = "no matches" if not found else "multiple matches"
    raise KustomizeError(f'no resource matches strategic merge patch "{wanted}": {what} for Id {wanted}; failed to '
                         f"find unique target for patch {wanted}")  # fmt: skip


def _carry_out(resources: Sequence[Resource], patch: Patch) -> None:
    if patch.target is None:
        raise KustomizeError("a JSON patch needs a target: which objects it is for")
    for resource in resources:
        if selects(patch.target, resource):
            try:
                resource.object = json_patch.json_patch(resource.object, patch.operations)
            except json_patch.PatchError as error:
                raise KustomizeError(f"{resource.identity}: {error}") from None


# targets


def selects(target: Mapping[str, Any], resource: Resource) -> bool:
    """Whether a target's patterns and selectors fit; names fit where any name of the object's does."""
    if not any(_fits(target, identity) for identity in resource.identities):
        return False
    try:
        labels = parse_selector(str(target.get("labelSelector") or ""))
        annotations = parse_selector(str(target.get("annotationSelector") or ""))
    except SelectorError as error:
        raise KustomizeError(f"the selector of a target cannot be read: {error}") from None
    return labels.matches(labels_of(resource.object)) and annotations.matches(annotations_of(resource.object))


def _fits(target: Mapping[str, Any], identity: Identity) -> bool:
    try:
        return all(not target.get(word) or re.fullmatch(str(target[word]), getattr(identity, word))
                   for word in Identity._fields)  # fmt: skip
    except re.error as error:
        raise KustomizeError(f"a target's pattern cannot be read: {error}") from None


# merging


def _merge_into(resource: Resource, merge: Object, options: Mapping[str, Any]) -> None:
    obj = resource.object
    type_ = schema.load().definition(str(obj.get("apiVersion")), str(obj.get("kind")))
    merged = _merge(obj, merge, type_.as_field if type_ is not None else None)
    if not isinstance(merged, dict):
        merged = {}
    before = obj.get("metadata") or {}
    after = {key: value for key, value in (merged.get("metadata") or {}).items() if value or key in before}
    kept: Object = (
        {} if options.get("allowKindChange") else {key: obj[key] for key in ("apiVersion", "kind") if key in obj}
    )
    names = {key: before[key] for key in ("name", "namespace") if key in before}
    if options.get("allowNameChange"):
        names.pop("name", None)
    resource.object = {**merged, **kept, "metadata": {**after, **names}}


def _inside(field: Field | None, key: str) -> Field | None:
    if field is None:
        return None
    if field.sort == "map":
        return field.entry
    return field.type.fields.get(key) if field.sort == "struct" and field.type is not None else None


_GONE = object()


def _merge(before: Any, patch: Any, field: Field | None) -> Any:
    """The patch over what was there; `_GONE` where nothing is left."""
    if patch is None:
        return _GONE
    if isinstance(patch, dict):
        return _merge_map(before if isinstance(before, dict) else {}, patch, field)
    if isinstance(patch, list):
        key = field.merge_key if field is not None and field.merges else ""
        if key and all(isinstance(entry, dict) for entry in patch):
            return _merge_list(before if isinstance(before, list) else [], patch, key, field)
        if field is not None and field.merges and isinstance(before, list):
            return [*patch, *(entry for entry in before if entry not in patch)]
    return patch


def _merge_map(before: Object, patch: Object, field: Field | None) -> Any:
    directive = patch.get(_DIRECTIVE, "merge")
    if directive == "delete":
        return _GONE
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _DIRECTIVE}
    merged = dict(before)
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        after = _merge(before.get(key), value, _inside(field, key))
        if after is _GONE:
            merged.pop(key, None)
        else:
            merged[key] = after
    return merged


def _merge_list(before: list[Any], patch: list[Any], key: str, field: Field | None) -> Any:
    """A list of maps, told apart by one key or more: what the patch names comes first.

    With two keys, such as a port's number and protocol, only what is new comes first; and an entry that has one of
    them where its match has both changes nothing.
    """
    if any(entry.get(_DIRECTIVE) == "replace" for entry in patch):
        return [entry for entry in patch if _DIRECTIVE not in entry]
    entries = [entry for entry in before if isinstance(entry, dict)]
    keys = _keys([*patch, *entries], key, field)
    there = {_mark(entry, keys): entry for entry in entries}
    wanted = {_mark(entry, keys): entry for entry in patch}
    if len(keys) > 1:
        fresh = [mark for mark in wanted if mark not in there and not any(_overlap(mark, other) for other in there)]
        order = [*fresh, *there]
    else:
        order = list(dict.fromkeys((*wanted, *there)))
    entry_field = field.entry if field is not None else None
    merged = [_merge(there.get(mark), wanted[mark], entry_field) if mark in wanted else there[mark] for mark in order]
    return [entry for entry in merged if entry is not _GONE]


def _keys(entries: list[Any], key: str, field: Field | None) -> tuple[str, ...]:
    """The keys by which entries are told apart: those of the schema that any of them has."""
    known = field.list_map_keys if field is not None else ()
    return tuple(name for name in known if any(name in entry for entry in entries)) or (key,)


def _mark(entry: Mapping[str, Any], keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(entry.get(key, "")) for key in keys)


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two marks agree in what both have, and one of them lacks something."""
    pairs = list(zip(one, other, strict=True))
    return all(a == b for a, b in pairs if a and b) and any(not (a and b) for a, b in pairs)
