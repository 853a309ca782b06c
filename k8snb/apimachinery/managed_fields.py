"""managedFields: who owns which fields of an object, in the format that metadata tells it in.

Interface: `FieldSet`, a frozenset of paths, with `parse` and `serialise` for FieldsV1, `leaves`, `without`,
`path_text`; `Manager` and `Owned`, with `decode` and `encode` for the entries of `metadata.managedFields`.
The rule not to break: a path is spelled in one way only, so that Python's own `|`, `-` and `&` are the set algebra.
Source: `sigs.k8s.io/structured-merge-diff/fieldpath`, `apimachinery/pkg/util/managedfields/internal/fieldmanager.go`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import Object

APPLY, UPDATE = "Apply", "Update"
ITSELF = "."  # in FieldsV1: the field that holds the others is owned too

Path = tuple[str, ...]  # one element for each step: f:NAME, k:{KEYS}, v:VALUE or i:INDEX
FieldSet = frozenset[Path]
NO_FIELDS: FieldSet = frozenset()


# elements


def field(name: str) -> str:
    """The step to a field of a struct or a key of a map."""
    return "f:" + name


def key(keys: Mapping[str, Any]) -> str:
    """The step to the entry of a list that has these keys."""
    return "k:" + _compact(keys)


def value(entry: Any) -> str:
    """The step to this entry of a set."""
    return "v:" + _compact(entry)


def index(place: int) -> str:
    """The step to the entry at a place."""
    return f"i:{place}"


_compact = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode


def _element(text: str) -> str:
    """An element in its one spelling. Raises ValueError."""
    sort, content = text[:2], text[2:]
    if sort == "f:":
        return text
    if sort == "i:":
        return index(int(content))
    if sort == "k:":
        keys = json.loads(content)
        if not isinstance(keys, dict) or not keys:
            raise ValueError(f"{text!r} has no keys")
        return key(keys)
    if sort == "v:":
        return value(json.loads(content))
    raise ValueError(f"{text!r} is no step of a path: it must begin with f:, k:, v: or i:")


# sets


def parse(fields: Any) -> FieldSet:
    """The set that FieldsV1 describes. Raises ValueError."""
    return frozenset(_paths(fields, ()))


def _paths(node: Any, path: Path) -> Iterator[Path]:
    if not isinstance(node, dict):
        raise ValueError(f"{_compact(node)} must be an object with fields")
    for text, below in node.items():
        if text == ITSELF:
            if path:
                yield path
            continue
        step = (*path, _element(text))
        if below == {}:
            yield step
        else:
            yield from _paths(below, step)


@lru_cache(maxsize=4096)
def serialise(fields: FieldSet) -> Object:
    """The set as FieldsV1. The answer is shared: read-only."""
    tree: Object = {}
    for path in sorted(fields, key=_order):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        node[ITSELF] = {}
    return {step: _plain(node) for step, node in tree.items()}


def _plain(node: Object) -> Object:
    """A node without the mark on fields that hold no others."""
    return {} if node.keys() == {ITSELF} else {step: _plain(below) if below else below for step, below in node.items()}


_RANKS = {"f": 0, "k": 1, "v": 2, "i": 3}


def _order(path: Path) -> list[tuple[int, str]]:
    return [(_RANKS[step[0]], step) for step in path]


def leaves(fields: FieldSet) -> FieldSet:
    """The members that no other member lies below."""
    inner = {path[:length] for path in fields for length in range(1, len(path))}
    return fields - inner


def without(fields: FieldSet, roots: Iterable[Path]) -> FieldSet:
    """The members that lie neither at nor below one of `roots`."""
    cut = tuple(roots)
    if not cut:
        return fields
    return frozenset(path for path in fields if not any(path[: len(root)] == root for root in cut))


def in_order(fields: FieldSet) -> list[Path]:
    """The members as FieldsV1 lists them."""
    return sorted(fields, key=_order)


def path_text(path: Path) -> str:
    """A path as messages tell it: `.spec.template.spec.containers[name="web"].image`."""
    return "".join(_step_text(step) for step in path)


def _step_text(step: str) -> str:
    sort, content = step[0], step[2:]
    if sort == "k":
        return "[" + ",".join(f"{name}={_compact(entry)}" for name, entry in sorted(json.loads(content).items())) + "]"
    return {"f": f".{content}", "v": f"[={content}]", "i": f"[{content}]"}[sort]


# entries


class Manager(NamedTuple):
    """What tells one entry of managedFields from another. An applier keeps its entry from version to version:
    `api_version` is "" for it.
    """

    name: str
    operation: str
    subresource: str = ""
    api_version: str = ""


class Owned(NamedTuple):
    """What a manager owns, in the version and at the time of its last write."""

    fields: FieldSet
    api_version: str
    time: str


Managers = Mapping[Manager, Owned]


def decode(entries: Any) -> dict[Manager, Owned]:
    """The managers that `metadata.managedFields` tells of. Raises ValueError."""
    if not isinstance(entries, list):
        raise ValueError("managedFields must be a list")
    return dict(_decode(entry) for entry in entries)


def _decode(entry: Any) -> tuple[Manager, Owned]:
    if not isinstance(entry, dict):
        raise ValueError("an entry of managedFields must be an object with fields")
    operation, version = entry.get("operation"), entry.get("apiVersion") or ""
    if operation not in (APPLY, UPDATE):
        raise ValueError(f"operation {operation!r} must be Apply or Update")
    if entry.get("fieldsType") != "FieldsV1":
        raise ValueError(f"fieldsType {entry.get('fieldsType')!r} must be FieldsV1")
    name, subresource = entry.get("manager") or "", entry.get("subresource") or ""
    manager = Manager(name, operation, subresource, "" if operation == APPLY else version)
    return manager, Owned(parse(entry.get("fieldsV1") or {}), version, entry.get("time") or "")


def encode(managers: Managers) -> list[Object]:
    """The managers as entries of `metadata.managedFields`, in upstream's order."""
    return [_encode(manager, owned) for manager, owned in sorted(managers.items(), key=_entry_order)]


def _entry_order(item: tuple[Manager, Owned]) -> tuple[str, ...]:
    manager, owned = item
    return manager.operation, owned.time, manager.name, owned.api_version, manager.subresource


def _encode(manager: Manager, owned: Owned) -> Object:
    entry: Object = {"manager": manager.name, "operation": manager.operation, "apiVersion": owned.api_version,
                     "time": owned.time, "fieldsType": "FieldsV1", "fieldsV1": serialise(owned.fields),
                     "subresource": manager.subresource}  # fmt: skip
    return {name: content for name, content in entry.items() if content or name in ("manager", "fieldsV1")}
