"""Patches: part of an object, to be laid over it, and how `kubectl apply` makes one.

Interface: `merge_patch` and `strategic_merge` give a new object; `three_way_merge` gives the patch that
turns the live object into what the user wrote, forgetting what the user had written before and does no longer.
The rule not to break: inputs are never mutated and unchanged parts are shared, which is why no library does this here.
Source: RFC 7386 and `apimachinery/pkg/util/strategicpatch` in the kubernetes repository.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from k8snb.apimachinery.json_patch import PatchError
from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.schema import Field, Type

PATCH, RETAIN = "$patch", "$retainKeys"
ORDER, PRIMITIVE = "$setElementOrder/", "$deleteFromPrimitiveList/"
REPLACE, DELETE, MERGE = "replace", "delete", "merge"


# JSON merge patch: what is named is set, null deletes, lists are replaced


def merge_patch(original: Any, patch: Any) -> Any:
    """The original with the patch laid over it."""
    if not isinstance(patch, dict):
        return patch
    before = original if isinstance(original, dict) else {}
    after = dict(before)
    for key, value in patch.items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = merge_patch(before.get(key), value)
    return _shared(original, after)


def _shared(before: Any, after: Any) -> Any:
    """`before` itself when `after` holds the very same values in the same places."""
    if type(before) is not type(after) or len(before) != len(after):
        return after
    if isinstance(after, list):
        return before if all(one is other for one, other in zip(before, after, strict=True)) else after
    return before if all(key in before and before[key] is value for key, value in after.items()) else after


# Strategic merge patch: as a merge patch, but lists are merged where the schema says so


def strategic_merge(original: Object, patch: Object, type_: Type | None) -> Object:
    """The original with the patch laid over it, list by list as the type says. Raises PatchError.

    Without a type (custom resources) it is a JSON merge patch.
    """
    if not isinstance(patch, dict):
        raise PatchError("invalid JSON document: a patch is an object with the fields to change")
    if type_ is None:
        merged: Object = merge_patch(original, patch)
        return merged
    return _merge_map(original, patch, type_.as_field)


def _inside(field: Field | None, key: str) -> Field | None:
    """The field behind a key of a struct or map."""
    if field is None:
        return None
    if field.sort == "map":
        return field.entry
    return field.type.fields.get(key) if field.sort == "struct" and field.type is not None else None


def _is_directive(key: str) -> bool:
    return key in (PATCH, RETAIN) or key.startswith((ORDER, PRIMITIVE))


def _directive(patch: Mapping[str, Any]) -> str:
    """The value of `$patch`; "merge" where there is none."""
    directive: str = patch.get(PATCH, MERGE)
    if directive not in (REPLACE, DELETE, MERGE):
        raise PatchError(f'unknown $patch directive "{directive}": use replace, delete or merge')
    return directive


def _plain(patch: Any) -> Any:
    """What a patch says where there is nothing to merge with: its directives and nulls mean nothing there."""
    if isinstance(patch, list):
        return [_plain(entry) for entry in patch if not (isinstance(entry, dict) and PATCH in entry)]
    if not isinstance(patch, dict):
        return patch
    return {key: _plain(value) for key, value in patch.items() if value is not None and not _is_directive(key)}


def _check_lists(patch: Object) -> None:
    """The directives beside a field are lists. Their words are those of `apimachinery/pkg/util/mergepatch`."""
    for sign, name in ((RETAIN, "retainKeys"), (ORDER, "setElementOrder list"), (PRIMITIVE, "primitive list")):
        wrong = next((key for key in patch if key.startswith(sign) and not isinstance(patch[key], list)), None)
        if wrong is not None:
            raise PatchError(f"invalid patch format of {name}: {wrong} must be a list")


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


def _mark(value: Any) -> Hashable:
    """What stands for a value where values are looked up."""
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else (type(value) is bool, value)


def _merge_map(original: Object, patch: Object, field: Field | None) -> Object:
    directive = _directive(patch)
    _check_lists(patch)
    if directive != MERGE:
        return {} if directive == DELETE else {key: value for key, value in patch.items() if key != PATCH}
    merged = dict(original)
    if RETAIN in patch:
        merged = {key: value for key, value in original.items() if key in patch[RETAIN]}
    for key in dict.fromkeys(key.partition("/")[2] if key.startswith((ORDER, PRIMITIVE)) else key for key in patch):
        if _is_directive(key):
            continue
        if key in patch and patch[key] is None:
            merged.pop(key, None)
        else:
            value = _merge_value(merged.get(key), key, patch, _inside(field, key))
            if value is not None:
                merged[key] = value
    shared: Object = _shared(original, merged)
    return shared


def _merge_value(current: Any, key: str, patch: Object, field: Field | None) -> Any:
    value = patch.get(key)
    if isinstance(value, dict):
        keeps = isinstance(current, dict) and not (field is not None and field.replaces)
        return _merge_map(current, value, field) if keeps else _plain(value)
    if current is None and value is not None:
        return _plain(value)
    if field is None or not field.merges or not isinstance(value, list | None):
        return current if value is None else value
    before = current if isinstance(current, list) else []
    order = patch.get(ORDER + key)
    if field.merge_key:
        merged = _merge_entries(before, value or [], field)
        by_key = [entry[field.merge_key] for entry in filter(_is_map, order or ()) if field.merge_key in entry]
        merged = _reorder(merged, by_key, before, lambda entry: entry.get(field.merge_key))
    else:
        dropped = set(map(_mark, patch.get(PRIMITIVE + key, ())))
        kept = [entry for entry in before if _mark(entry) not in dropped]
        there = set(map(_mark, kept))
        merged = [*kept, *(entry for entry in value or () if _mark(entry) not in there)]
        merged = _reorder(merged, order or [], before, lambda entry: entry)
    return merged if merged or current is not None or value is not None else None


def _merge_entries(before: list[Any], patch: list[Any], field: Field) -> list[Any]:
    """A list of maps, merged entry by entry where the merge keys are equal."""
    key = field.merge_key
    plain = [entry for entry in patch if isinstance(entry, dict)]
    if len(plain) != len(patch):
        raise PatchError(f"{field.name}: every entry of the patch must be a map with its {key}")
    if any(_directive(entry) == REPLACE for entry in plain):
        return [entry for entry in plain if PATCH not in entry]
    merged: list[Any] = list(before)
    places: dict[Hashable, list[int]] = {}  # of the entries with a key; the first one is the one that is changed
    for index, old in enumerate(before):
        places.setdefault(_mark(old.get(key)), []).append(index)
    for entry in plain:
        if key not in entry:
            raise PatchError(f"map: {json.dumps(entry)} does not contain declared merge key: {key}")
        mark = _mark(entry[key])
        if _directive(entry) == DELETE:
            for index in places.pop(mark, ()):
                merged[index] = _GONE
        elif mark in places:
            place = places[mark][0]
            merged[place] = _merge_map(merged[place], entry, field.entry)
        else:
            places[mark] = [len(merged)]
            merged.append(_plain(entry))
    shared: list[Any] = _shared(before, [entry for entry in merged if entry is not _GONE])
    return shared


_GONE = object()  # stands where an entry was


def _reorder(entries: list[Any], order: Sequence[Any], before: list[Any], key_of: Callable[[Any], Any]) -> list[Any]:
    """Entries in the given order; those it does not name stay before what they stood before."""

    def mark(entry: Any) -> Hashable:
        return _mark(key_of(entry))

    places = {_mark(key): index for index, key in enumerate(order)}
    listed = sorted((entry for entry in entries if mark(entry) in places), key=lambda entry: places[mark(entry)])
    others = deque(entry for entry in entries if mark(entry) not in places)
    if not listed or (not others and listed == entries):
        return entries
    old = {mark(entry): index for index, entry in enumerate(before)}
    merged = []
    for entry in listed:
        place = old.get(mark(entry), -1)
        while others and old.get(mark(others[0]), len(old)) < place:
            merged.append(others.popleft())
        merged.append(entry)
    return [*merged, *others]


# What `kubectl apply` sends


def three_way_merge(original: Object | None, modified: Object, current: Object, type_: Type | None) -> Object:
    """The patch that makes `current` what `modified` says, and deletes what `original` said and `modified` does not.

    `original` is the last applied configuration. What others wrote into `current` stays. {} means nothing to do.
    Without a type the patch is a JSON merge patch.
    """
    return _difference(original or {}, modified, current, type_.as_field if type_ is not None else None)


def _difference(
    original: Object, modified: Object, current: Object, field: Field | None, *, retain: bool = False
) -> Object:
    patch: Object = {}
    for key, value in modified.items():
        live = current.get(key)
        if value is None or live is None:
            if value is not live:
                patch[key] = value
        else:
            patch.update(_difference_at(key, original.get(key), value, live, _inside(field, key)))
    patch.update({key: None for key in original if key not in modified and current.get(key) is not None})
    if patch and retain:
        patch[RETAIN] = sorted(key for key, value in modified.items() if value is not None)
    return patch


def _difference_at(key: str, original: Any, modified: Any, current: Any, field: Field | None) -> Object:
    """The entries of a patch that one field needs: none, one, or for a list up to three."""
    if isinstance(modified, dict) and isinstance(current, dict) and not (field is not None and field.replaces):
        before = original if isinstance(original, dict) else {}
        inner = _difference(before, modified, current, field, retain=field is not None and field.retains_keys)
        return {key: inner} if inner else {}
    if field is not None and field.merges and isinstance(modified, list) and isinstance(current, list):
        return _list_difference(key, (original if isinstance(original, list) else [], modified, current), field)
    return {} if modified == current and type(modified) is type(current) else {key: modified}


Lists = tuple[list[Any], list[Any], list[Any]]


def _list_difference(key: str, lists: Lists, field: Field) -> Object:
    if not field.merge_key:
        return _primitives(key, lists)
    by_key = [_by_key(entries, field.merge_key) for entries in lists]
    _, modified, current = lists
    if any(len(found) != len(entries) for found, entries in zip(by_key, lists, strict=True)):
        # Two entries with one key (a port for TCP and for UDP) cannot be told apart: the list goes as a whole.
        return {} if modified == current else {key: [{PATCH: REPLACE}, *modified]}
    before, wanted, live = by_key
    entries = [change for name in wanted if (change := _entry(name, before, wanted, live, field))]
    entries += [{PATCH: DELETE, field.merge_key: name} for name in before if name in live and name not in wanted]
    if not entries and [name for name in live if name in wanted] == list(wanted):
        return {}
    order = {ORDER + key: [{field.merge_key: name} for name in wanted]}
    return {**order, key: entries} if entries else order


def _entry(name: Any, before: Object, wanted: Object, live: Object, field: Field) -> Object:
    """What a patch says of one entry of a list: all of it when it is new, nothing when nothing differs."""
    if name not in live:
        entry: Object = wanted[name]
        return entry
    change = _difference(before.get(name, {}), wanted[name], live[name], field.entry, retain=field.retains_keys)
    return {field.merge_key: name, **change} if change else {}


def _by_key(entries: Iterable[Any], key: str) -> dict[Any, Object]:
    return {entry[key]: entry for entry in entries if isinstance(entry, dict) and entry.get(key) is not None}


def _primitives(key: str, lists: Lists) -> Object:
    before, wanted, live = lists
    added = [entry for entry in wanted if entry not in live]
    deleted = [entry for entry in before if entry in live and entry not in wanted]
    if not added and not deleted and [entry for entry in live if entry in wanted] == wanted:
        return {}
    return {ORDER + key: wanted, **({PRIMITIVE + key: deleted} if deleted else {}), **({key: added} if added else {})}
