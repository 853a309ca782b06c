"""Differences: what two versions of an object do not share, field by field.

Interface: `differences(old, new) -> [Difference]`, `leaves(obj)`, `places(obj)`, `without(obj, place)`;
`Difference.path` in kubectl's spelling.
The rule not to break: an entry of a list is known by its name, type or another of its keys where it has one, so that a
list whose first entry goes has lost one entry and not changed all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import Object

KEYS = ("name", "type", "uid", "mountPath", "containerPort", "port", "key", "ip", "topologyKey")
UNTOLD = frozenset({"metadata.resourceVersion", "metadata.generation", "metadata.managedFields"})  # every write's own
Place = tuple[str | int, ...]  # keys of mappings and positions in lists
ABSENT = None  # the value of a field that is not there


class Difference(NamedTuple):
    """One field: what it was and what it is; None stands for nothing."""

    path: str
    old: Any
    new: Any


def differences(old: Object, new: Object) -> list[Difference]:
    """The fields in which two objects differ, those of the spec first."""
    found = [each for each in _compare(old, new, "") if each.path not in UNTOLD]
    return sorted(found, key=lambda each: (_rank(each.path), each.path))


def leaves(obj: Object) -> dict[str, Any]:
    """Every field that holds no others, by its path, those of the spec as they stand."""
    return {path: value for path, value, _ in _leaves(obj, "", ()) if path not in UNTOLD}


def places(obj: Object) -> dict[str, Place]:
    """The keys and positions that lead to each of these fields."""
    return {path: place for path, _, place in _leaves(obj, "", ()) if path not in UNTOLD}


def without(obj: Any, place: Place) -> Any:
    """A copy of an object without what lies at a place; what is not on the way is shared."""
    head, rest = place[0], place[1:]
    if isinstance(obj, Mapping):
        kept = {key: value for key, value in obj.items() if key != head}
        return {**obj, head: without(obj[head], rest)} if rest else kept
    position = int(head)
    below = [without(obj[position], rest)] if rest else []
    return [*obj[:position], *below, *obj[position + 1 :]]


def _rank(path: str) -> int:
    return next((at for at, start in enumerate(("spec", "data", "metadata", "status")) if path.startswith(start)), 4)


def _compare(old: Any, new: Any, path: str) -> Iterator[Difference]:
    if old == new:
        return
    before, after = _entries(old), _entries(new)
    if before is not None and after is not None and (before or after):
        yield from _compare_entries(before, after, path)
    else:
        yield Difference(path, old, new)


def _entries(value: Any) -> dict[str, Any] | None:
    """What a field holds, by name; nothing holds nothing; None for a value that holds no others."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    return _named(value) if isinstance(value, list) else None


def _compare_entries(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Difference]:
    for key in dict.fromkeys([*old, *new]):
        yield from _compare(old.get(key), new.get(key), _below(path, key))


def _leaves(value: Any, path: str, place: Place) -> Iterator[tuple[str, Any, Place]]:
    entries = _entries(value) or {}
    if not entries:
        yield path, value, place
    for position, (key, below) in enumerate(entries.items()):
        step = key if isinstance(value, Mapping) else position
        yield from _leaves(below, _below(path, key), (*place, step))


def _below(path: str, key: str) -> str:
    """`spec.replicas`, `spec.containers[main].image`, `metadata.labels["a.b/c"]`."""
    if key.startswith("["):
        return path + key
    plain = key.replace("_", "").replace("-", "").isalnum()
    step = key if plain else f'["{key}"]'
    return f"{path}.{step}" if path and plain else path + step


def _named(entries: Sequence[Any]) -> dict[str, Any]:
    """The entries of a list by what tells them apart: a key that all have and that differs, else their place."""
    for key in KEYS:
        names = [str(entry[key]) for entry in entries if isinstance(entry, Mapping) and key in entry]
        if entries and len(set(names)) == len(entries):
            return {f"[{name}]": entry for name, entry in zip(names, entries, strict=True)}
    return {f"[{place}]": entry for place, entry in enumerate(entries)}
