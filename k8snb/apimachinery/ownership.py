"""Ownership of fields: what an update and a server-side apply make of an object and of who owns what in it.

Interface: `update` and `apply`, pure; `ConflictError` where an apply would change what others own.
The rule not to break: an update takes what it changes; an apply takes what it says and asks before it changes anything
of others; a field goes with the last applier that wanted it, unless somebody else owns it.
Real Kubernetes keeps a set per API version and converts between them; here a field has one path in all versions.
Source: `structured-merge-diff/merge/update.go`, `apimachinery/pkg/util/managedfields/internal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from k8snb.apimachinery.managed_fields import (
    APPLY,
    NO_FIELDS,
    UPDATE,
    FieldSet,
    Manager,
    Managers,
    Owned,
    Path,
    without,
)
from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.structured_merge import Shape, compare, field_set, merge, remove, with_named_fields

MAX_UPDATERS = 10  # entries with operation Update; the oldest above that become one
ANCIENT = "ancient-changes"

_METADATA = ("name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation",
             "managedFields", "resourceVersion")  # fmt: skip
UNOWNED: FieldSet = frozenset((
    ("f:apiVersion",), ("f:kind",), ("f:metadata",), *(("f:metadata", f"f:{name}") for name in _METADATA),
))  # fmt: skip


class Author(NamedTuple):
    """Who writes, in which version, through which subresource, when (RFC 3339)."""

    manager: str
    api_version: str
    subresource: str = ""
    time: str = ""


class Rules(NamedTuple):
    """What is true of a write whoever makes it: the object's shape, and the fields that such a write cannot change."""

    shape: Shape
    ignored: tuple[Path, ...] = ()


class Applied(NamedTuple):
    """What an apply makes of an object. `managers` is None where neither the object nor who owns what has changed."""

    object: Object
    managers: Managers | None


class ConflictError(Exception):
    """Others own fields that an apply would change."""

    def __init__(self, conflicts: Mapping[Manager, FieldSet]) -> None:
        super().__init__("conflict")
        self.conflicts = conflicts

    @property
    def fields(self) -> FieldSet:
        return NO_FIELDS.union(*self.conflicts.values())

    def without(self, allowed: FieldSet) -> Mapping[Manager, FieldSet]:
        """The conflicts that remain where these fields may be taken."""
        left = {manager: fields - allowed for manager, fields in self.conflicts.items()}
        return {manager: fields for manager, fields in left.items() if fields}


# an update: what is different belongs to the writer


def update(before: Object, after: Object, managers: Managers, author: Author, rules: Rules) -> Managers:
    """The managers after a create, update or patch turned `before` into `after`."""
    compared = compare(before, after, rules.shape)
    changed = without(compared.changed, rules.ignored)
    left = _less(managers, changed | without(compared.removed, rules.ignored))
    mine = changed - UNOWNED
    if not mine:
        return left
    me = Manager(author.manager, UPDATE, author.subresource, author.api_version)
    had = left[me].fields if me in left else NO_FIELDS
    return _capped({**left, me: Owned(had | mine, author.api_version, author.time)})


def _less(managers: Managers, lost: FieldSet) -> dict[Manager, Owned]:
    """The managers without some fields, and without those who own nothing then."""
    if not lost:
        return dict(managers)
    left = {manager: owned._replace(fields=owned.fields - lost) for manager, owned in managers.items()}
    return {manager: owned for manager, owned in left.items() if owned.fields}


def _capped(managers: dict[Manager, Owned]) -> dict[Manager, Owned]:
    """The managers, the oldest updates folded into one per version where there are too many."""
    updaters = [manager for manager in managers if manager.operation == UPDATE]
    excess = len(updaters) - MAX_UPDATERS
    if excess <= 0:
        return managers
    updaters.sort(key=lambda manager: (managers[manager].time, manager))
    firsts: dict[str, Manager] = {}
    for manager in updaters:
        first = firsts.setdefault(manager.api_version, manager)
        bucket = Manager(ANCIENT, UPDATE, "", manager.api_version)
        if manager in (first, bucket) or excess <= 0:
            continue
        kept = managers.pop(bucket if bucket in managers else first)
        folded = managers.pop(manager)
        managers[bucket] = Owned(kept.fields | folded.fields, manager.api_version, folded.time)
        excess -= 1
    return managers


# an apply: what is applied belongs to the applier, and what it no longer applies goes if nobody else wants it


def apply(
    live: Object, config: Object, managers: Managers, author: Author, rules: Rules, *, force: bool = False
) -> Applied:
    """What `config` makes of `live`; `live` is {} for an object that is not there. Raises ConflictError."""
    me = Manager(author.manager, APPLY, author.subresource)
    last = managers.get(me)
    fields = without(field_set(config, rules.shape), rules.ignored)
    owners = {**managers, me: Owned(fields, author.api_version, author.time)}
    new = merge(live, config, rules.shape)
    if last is not None:
        new = _prune(new, last.fields, NO_FIELDS.union(*(owned.fields for owned in owners.values())), rules.shape)
    compared = compare(live, new, rules.shape)
    changed = without(compared.changed, rules.ignored)
    others = {manager: owned for manager, owned in managers.items() if manager != me}
    conflicts = {manager: hit for manager, owned in others.items() if (hit := owned.fields & changed)}
    if conflicts and not force:
        raise ConflictError(conflicts)
    after = _less(others, changed | without(compared.removed, rules.ignored))
    if fields - UNOWNED:
        after[me] = Owned(fields - UNOWNED, author.api_version, author.time)
    if compared.is_same and _without_times(after) == _without_times(managers):
        return Applied(live, None)
    return Applied(new, after)


def _prune(merged: Object, last: FieldSet, owned: FieldSet, shape: Shape) -> Object:
    """The object without what its applier owned last and nobody owns now."""
    members, wanted = with_named_fields(field_set(merged, shape), shape), with_named_fields(owned, shape)
    last = with_named_fields(last, shape)

    def cut(fields: FieldSet) -> tuple[Object, FieldSet]:
        left = remove(merged, fields, shape)
        return left, with_named_fields(field_set(left, shape), shape)

    _, without_last = cut(last)
    _, without_unowned = cut(members - (without_last | wanted))
    return cut((members - without_unowned) & last)[0]


def _without_times(managers: Managers) -> dict[Manager, tuple[FieldSet, str]]:
    return {manager: owned[:2] for manager, owned in managers.items()}
