"""Structured merge: comparing, merging and cutting objects field by field, as their schema says.

Interface: `shape_of(api_version, kind)`, `custom(schema)` and `DEDUCED`, the `Shape` of an object; over it
`field_set`, `compare`, `merge`, `remove`, `with_named_fields`, `faults`.
The rule not to break: what is atomic goes as a whole; the entries of a list are known by their keys, never by place.
Real Kubernetes has this as a library of its own, `sigs.k8s.io/structured-merge-diff/typed`, and derives the shapes from
its OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from k8snb.apimachinery import managed_fields, schema
from k8snb.apimachinery.defaults import VALUES
from k8snb.apimachinery.managed_fields import FieldSet, Path
from k8snb.apimachinery.meta import Object


class _Absent:
    """Stands for a value that is not there; None is a value."""

    def __bool__(self) -> bool:
        return False


ABSENT = _Absent()


# shapes


@dataclass(frozen=True, eq=False)
class Shape:
    """How a value is owned and merged. Whether it is a map, a list or a scalar, the value itself tells.

    `keys` are the fields that identify an entry of a list, each with its default (None: it has none); a list without
    keys that is no set is atomic. `implicit` are the fields that the apiserver writes even when they are empty: nobody
    adds or removes those, only what is in them.
    """

    atomic: bool = False
    keys: Mapping[str, Any] = field(default_factory=dict)
    is_set: bool = False
    implicit: frozenset[str] = frozenset()
    make_fields: Callable[[], Mapping[str, Shape]] = dict
    make_entry: Callable[[], Shape] | None = None

    @cached_property
    def fields(self) -> Mapping[str, Shape]:
        """The fields that have a name in the schema."""
        return self.make_fields()

    @cached_property
    def entry(self) -> Shape:
        """The shape of what has no name of its own: a map's values, a list's entries."""
        return self.make_entry() if self.make_entry is not None else DEDUCED

    def inside(self, name: str) -> Shape:
        return self.fields.get(name) or self.entry


DEDUCED = Shape()

# Go writes a struct that is no pointer even when it is empty.
_WRITTEN_EMPTY: Mapping[str, tuple[str, ...]] = {
    "apps.v1.DaemonSetSpec": ("template", "updateStrategy"),
    "apps.v1.DeploymentSpec": ("strategy", "template"),
    "apps.v1.ReplicaSetSpec": ("template",),
    "apps.v1.StatefulSetSpec": ("template", "updateStrategy"),
    "batch.v1.CronJobSpec": ("jobTemplate",),
    "core.v1.Container": ("resources",),
    "core.v1.Event": ("involvedObject", "source"),
    "core.v1.NodeDaemonEndpoints": ("kubeletEndpoint",),
    "core.v1.NodeStatus": ("daemonEndpoints", "nodeInfo"),
    "core.v1.PersistentVolumeClaimSpec": ("resources",),
    "core.v1.ServiceStatus": ("loadBalancer",),
    "networking.v1.IngressStatus": ("loadBalancer",),
}
_STRUCTS_OF_OBJECTS = ("metadata", "spec", "status")


@lru_cache(maxsize=512)
def shape_of(api_version: str, kind: str) -> Shape:
    """The shape of a built-in kind; for a kind without a schema, `DEDUCED`."""
    type_ = schema.load().definition(api_version, kind)
    return DEDUCED if type_ is None else _of_field(type_.as_field)


def _of_field(found: schema.Field) -> Shape:
    sort = found.sort
    if sort == "struct" and found.type is not None:
        type_ = found.type
        return Shape(atomic=found.atomic, implicit=_implicit(type_), make_fields=lambda: _fields_of(type_))
    if sort == "list":
        # Where the schema names no list type, the keys of strategic merge patches tell it.
        names = found.list_map_keys or ((found.merge_key,) if found.merge_key and not found.atomic else ())
        defaults = VALUES.get(schema.innermost(found.shape), {})
        unique = found.is_set or (found.merges and not names and not found.atomic)
        return Shape(keys={name: defaults.get(name) for name in names}, is_set=unique,
                     make_entry=lambda: _entry_of(found))  # fmt: skip
    if sort == "map":
        return Shape(atomic=found.atomic, make_entry=lambda: _entry_of(found))
    return DEDUCED


def _fields_of(type_: schema.Type) -> dict[str, Shape]:
    return {name: _of_field(found) for name, found in type_.fields.items()}


def _entry_of(found: schema.Field) -> Shape:
    return _of_field(found.entry) if found.entry is not None else DEDUCED


def _implicit(type_: schema.Type) -> frozenset[str]:
    structs = {name for name in _STRUCTS_OF_OBJECTS if name in type_.fields and type_.fields[name].sort == "struct"}
    return frozenset((*type_.required, *structs, *_WRITTEN_EMPTY.get(type_.name, ())))


def custom(document: Mapping[str, Any]) -> Shape:
    """The shape of a custom resource: its CustomResourceDefinition's schema, and metadata as every object has it."""
    described, metadata = structural({"type": "object", **document}), schema.load().type("meta.v1.ObjectMeta")
    assert metadata is not None
    fields = {**described.fields, "metadata": _of_field(metadata.as_field)}
    return Shape(implicit=frozenset(("metadata",)), make_fields=lambda: fields, make_entry=described.make_entry)


def structural(document: Mapping[str, Any]) -> Shape:
    """The shape that an OpenAPI v3 schema describes."""
    sort = document.get("type")
    if sort == "array":
        list_type, items = document.get("x-kubernetes-list-type"), document.get("items") or {}
        names = document.get("x-kubernetes-list-map-keys") or () if list_type == "map" else ()
        keys = {name: (items.get("properties") or {}).get(name, {}).get("default") for name in names}
        return Shape(keys=keys, is_set=list_type == "set", make_entry=lambda: structural(items))
    if sort == "object":
        named, others = document.get("properties") or {}, document.get("additionalProperties")
        return Shape(atomic=document.get("x-kubernetes-map-type") == "atomic",
                     make_fields=lambda: {name: structural(inner) for name, inner in named.items()},
                     make_entry=(lambda: structural(others)) if isinstance(others, dict) else None)  # fmt: skip
    return DEDUCED


def _is_leaf(shape: Shape, content: Any) -> bool:
    """Whether a value has one owner only."""
    if isinstance(content, list):
        return shape.atomic or not (shape.keys or shape.is_set)
    return shape.atomic or not isinstance(content, dict)


def element(shape: Shape, entry: Any) -> str:
    """The step to an entry of a list with keys, or of a set. A key that is missing counts as its default."""
    if shape.is_set or not isinstance(entry, dict):
        return managed_fields.value(entry)
    found = {name: entry.get(name, default) for name, default in shape.keys.items()}
    return managed_fields.key({name: content for name, content in found.items() if content is not None})


def _by_element(shape: Shape, entries: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for entry in entries:
        found.setdefault(element(shape, entry), []).append(entry)
    return found


# which fields an object has


def field_set(obj: Any, shape: Shape) -> FieldSet:
    """All fields that an object speaks of."""
    return frozenset(_fields(obj, shape, ()))


def _fields(content: Any, shape: Shape, path: Path) -> Iterator[Path]:
    if _is_leaf(shape, content):
        if path:
            yield path
    elif isinstance(content, dict):
        for name, inner in content.items():
            step = (*path, managed_fields.field(name))
            yield from _fields(inner, shape.inside(name), step)
            if inner in (None, {}) or name not in shape.fields:
                yield step
    else:
        for entry in content:
            step = (*path, element(shape, entry))
            yield from _fields(entry, shape.entry, step)
            yield step


def with_named_fields(fields: FieldSet, shape: Shape) -> FieldSet:
    """The set with every struct that one of its members lies in."""
    found = set(fields)
    for path in fields:
        inner = shape
        for place, step in enumerate(path[:-1], 1):
            name = step[2:] if step[0] == "f" else None
            if name is not None and name in inner.fields:
                found.add(path[:place])
            inner = inner.entry if name is None else inner.inside(name)
    return frozenset(found)


def faults(obj: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """What keeps an object from being merged: entries that cannot be told apart."""
    if _is_leaf(shape, obj):
        return
    if isinstance(obj, dict):
        for name, inner in obj.items():
            yield from faults(inner, shape.inside(name), f"{path}.{name}")
        return
    for place, entry in enumerate(obj):
        for name, default in shape.keys.items():
            if isinstance(entry, dict) and entry.get(name, default) is None:
                yield (f"{path}: element {place}: associative list with keys has an element that omits key field "
                       f'"{name}" (and doesn\'t have default value)')  # fmt: skip
    for step, entries in _by_element(shape, obj).items():
        if len(entries) > 1:
            yield f"{path}: duplicate entries for key {managed_fields.path_text((step,))}"
        yield from faults(entries[0], shape.entry, path + managed_fields.path_text((step,)))


# comparing


class Comparison(NamedTuple):
    """What differs between two objects. A field is in one of the three sets at most."""

    removed: FieldSet
    modified: FieldSet
    added: FieldSet

    @property
    def changed(self) -> FieldSet:
        return self.modified | self.added

    @property
    def is_same(self) -> bool:
        return not (self.removed or self.modified or self.added)


def compare(before: Any, after: Any, shape: Shape) -> Comparison:
    """The fields that are gone, different and new in `after`."""
    comparing = _Comparing()
    comparing.values(before, after, shape, ())
    return Comparison(frozenset(comparing.removed), frozenset(comparing.modified), frozenset(comparing.added))


class _Comparing:
    """A walk through two values at a time."""

    def __init__(self) -> None:
        self.removed: list[Path] = []
        self.modified: list[Path] = []
        self.added: list[Path] = []

    def values(self, before: Any, after: Any, shape: Shape, path: Path) -> None:
        if before is after:
            return
        one_sided = before is ABSENT or after is ABSENT
        if not one_sided and type(before) is not type(after):
            self.note(before, after, path)
            self.inner(before, ABSENT, shape, path)
            self.inner(ABSENT, after, shape, path)
        elif _is_leaf(shape, before if after is ABSENT else after) or not (before or after):
            if one_sided or before != after:
                self.note(before, after, path)
        else:
            self.inner(before, after, shape, path)
            if one_sided:
                self.note(before, after, path)

    def inner(self, before: Any, after: Any, shape: Shape, path: Path) -> None:
        """What lies below two values of one sort."""
        present = before if after is ABSENT else after
        if not _is_leaf(shape, present):
            (self.maps if isinstance(present, dict) else self.lists)(before, after, shape, path)

    def note(self, before: Any, after: Any, path: Path) -> None:
        fields = self.added if before is ABSENT else self.removed if after is ABSENT else self.modified
        if path:
            fields.append(path)

    def maps(self, before: Any, after: Any, shape: Shape, path: Path) -> None:
        old, new = before or {}, after or {}
        for name in {**old, **new} if old and new else old or new:
            left, right = old.get(name, ABSENT), new.get(name, ABSENT)
            if name in shape.implicit:
                left = _written(left, right) if before is not ABSENT else left
                right = _written(right, left) if after is not ABSENT else right
            self.values(left, right, shape.inside(name), (*path, managed_fields.field(name)))

    def lists(self, before: Any, after: Any, shape: Shape, path: Path) -> None:
        old, new = _by_element(shape, before or ()), _by_element(shape, after or ())
        for step in {**old, **new}:
            left, right = old.get(step, []), new.get(step, [])
            if len(left) <= 1 and len(right) <= 1:
                self.values(left[0] if left else ABSENT, right[0] if right else ABSENT, shape.entry, (*path, step))
            elif left != right:  # entries that cannot be told apart have one owner
                self.note(left or ABSENT, right or ABSENT, (*path, step))


def _written(side: Any, other: Any) -> Any:
    """An implicit field that is not there, as the empty value that would be written."""
    return type(other)() if side is ABSENT and isinstance(other, (dict, list)) else side


# merging


def merge(live: Any, config: Any, shape: Shape) -> Any:
    """`live` with all that `config` says laid over it; what `config` does not speak of stays."""
    if live == config and type(live) is type(config):
        return live
    if type(live) is not type(config) or _is_leaf(shape, config):
        return config
    if isinstance(config, dict):
        laid = {name: merge(live[name], inner, shape.inside(name)) if name in live else inner
                for name, inner in config.items()}  # fmt: skip
        return {**live, **laid}
    return _merge_lists(live, config, shape)


def _merge_lists(live: list[Any], config: list[Any], shape: Shape) -> list[Any]:
    old, new = _by_element(shape, live), _by_element(shape, config)
    merged: list[Any] = []
    for step in _woven(list(old), list(new)):
        if step not in new:
            merged += old[step]
        else:
            merged.append(merge(old[step][0], new[step][0], shape.entry) if step in old else new[step][0])
    return merged


def _woven(old: list[str], new: list[str]) -> Iterator[str]:
    """The steps of both lists: in the order of `new`, and what only `old` has, in its place among them."""
    place = 0
    for step in new:
        while place < len(old) and old[place] != step and (step in old or old[place] not in new):
            if old[place] not in new:
                yield old[place]
            place += 1
        if place < len(old) and old[place] == step:
            place += 1
        yield step
    yield from (step for step in old[place:] if step not in new)


# cutting


def remove(obj: Object, fields: FieldSet, shape: Shape) -> Object:
    """The object without these fields and what lies below them; a field that this leaves empty goes too."""
    if not fields:
        return obj
    left: Object = _cut(obj, managed_fields.serialise(fields), shape)
    return left


def _cut(content: Any, tree: Object, shape: Shape) -> Any:
    if _is_leaf(shape, content):
        return content
    if isinstance(content, dict):
        pairs = ((name, _cut_one(inner, tree.get(managed_fields.field(name)), shape.inside(name)))
                 for name, inner in content.items())  # fmt: skip
        return {name: inner for name, inner in pairs if inner is not ABSENT}
    entries = (_cut_one(entry, tree.get(element(shape, entry)), shape.entry) for entry in content)
    return [entry for entry in entries if entry is not ABSENT]


def _cut_one(content: Any, tree: Object | None, shape: Shape) -> Any:
    if tree is None:
        return content
    if not tree or managed_fields.ITSELF in tree:
        return ABSENT
    left = _cut(content, tree, shape)
    return ABSENT if left in ({}, []) and content not in ({}, []) else left
