"""etcd's own past, packed: an old value as what differs from another value of the same key.

Interface: `difference(base, value)`, `patched(base, changes, revision)`, `is_within(entries, most)`.
The rule not to break: what is patched equals what the difference was made of, and shares all else with its base.
Real etcd keeps each revision whole, in a file; here thousands of them lie in a notebook's memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Value = dict[str, Any]
Path = tuple[str | int, ...]

STAMP: Path = ("metadata", "resourceVersion")  # follows from the revision
GONE = object()  # stands where the base has a key that the value has not


def difference(base: Value, value: Value) -> list[Any]:
    """Path, entry, path, entry: what `base` needs to become `value`, but for the revision's stamp."""
    found: list[Any] = []
    _compare(base, value, (), found)
    return found


def patched(base: Value, changes: Sequence[Any], revision: int) -> Value:
    """The base with the entries at their paths, stamped with a revision. Only what lies on a path is copied."""
    fresh: dict[Path, Any] = {(): {**base}}
    for place in range(0, len(changes), 2):
        path, entry = changes[place], changes[place + 1]
        holder = _copied(fresh, path[:-1])
        if entry is GONE:
            del holder[path[-1]]
        else:
            holder[path[-1]] = entry
    _copied(fresh, STAMP[:-1])[STAMP[-1]] = str(revision)
    whole: Value = fresh[()]
    return whole


def is_within(entries: Iterable[Any], most: int) -> bool:
    """Whether so many entries are all, with what lies in them; no more than those are looked at."""
    waiting = list(entries)
    while waiting and most >= len(waiting):
        most -= 1
        entry = waiting.pop()
        if type(entry) is dict:
            waiting += entry.values()
        elif type(entry) is list:
            waiting += entry
    return not waiting


def _copied(fresh: dict[Path, Any], path: Path) -> Any:
    """The copy of what lies at a path, which is made where nobody needed it before."""
    found = fresh.get(path)
    if found is None:
        holder = _copied(fresh, path[:-1])
        found = fresh[path] = holder[path[-1]] = holder[path[-1]].copy()
    return found


def _compare(base: Any, value: Any, path: Path, found: list[Any]) -> None:
    sort = type(value)
    if type(base) is not sort:
        found += (path, value)
    elif sort is dict:
        _compare_keys(base, value, path, found)
    elif sort is list and len(base) == len(value):
        for place, inner in enumerate(value):
            if base[place] is not inner:
                _compare(base[place], inner, (*path, place), found)
    elif base != value and path != STAMP:
        found += (path, value)


def _compare_keys(base: Value, value: Value, path: Path, found: list[Any]) -> None:
    unseen = len(base)
    for key, inner in value.items():
        old = base.get(key, GONE)
        unseen -= old is not GONE
        if old is GONE:
            found += ((*path, key), inner)
        elif old is not inner:
            _compare(old, inner, (*path, key), found)
    if unseen:
        for key in base.keys() - value.keys():
            found += ((*path, key), GONE)
