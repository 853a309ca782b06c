"""etcd: all cluster data, as an append-only log of revisions.

Interface: `Store`, a small part of etcd's v3 API: put, delete, get, range, watch, compact.
The rule not to break: only the apiserver talks to a store, and what a store has handed out is never mutated.
Real etcd replicates the log over several members by Raft, and keeps bytes; the embedded store keeps the dicts
themselves, of long past revisions only what differs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, Self

from k8snb.etcd.deltas import Path, Value, difference, is_within, patched
from k8snb.trace import Origin

PUT, DELETE = "PUT", "DELETE"
MOST = 16  # entries that may differ in a packed value, with what lies in them


class Record:
    """One revision: what happened to one key. `value` of a DELETE is the object as it was last, stamped with the
    revision of its end; `previous` is the key's record before, or None; `created` the revision at which this life of
    the key began. A packed record makes its value anew for whoever asks; otherwise records do not change.
    """

    __slots__ = ("_kept", "created", "key", "origin", "previous", "revision", "sort")

    def __init__(
        self, revision: int, sort: str, key: str, value: Value, previous: Record | None, created: int, origin: Origin
    ) -> None:
        self.revision = revision
        self.sort = sort
        self.key = key
        self._kept: Any = value  # or, packed: (a value of the same key, path, entry, path, entry, …)
        self.previous = previous
        self.created = created
        self.origin = origin

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, of whatever store they are; what was before does not count."""
        return self is other or (isinstance(other, Record) and self._told() == other._told())

    def __hash__(self) -> int:
        return hash((self.revision, self.key))

    def _told(self) -> tuple[object, ...]:
        return self.revision, self.sort, self.key, self.value, self.created, self.origin

    def __repr__(self) -> str:
        return f"Record({self.revision}, {self.sort}, {self.key!r})"

    @property
    def value(self) -> Value:
        kept = self._kept
        return kept if type(kept) is dict else patched(kept[0], kept[1:], self.revision)

    @property
    def is_packed(self) -> bool:
        return type(self._kept) is not dict

    def pack(self, known: dict[Path, Path]) -> None:
        """Keep only what differs from the last record of the key that is whole, where that is little.

        `known` has each path once.
        """
        before = self.previous
        if self.is_packed or before is None or before.sort != PUT:
            return
        base = before._kept[0] if before.is_packed else before._kept
        changes = difference(base, self._kept)
        if is_within(changes[1::2], MOST):
            changes[::2] = [known.setdefault(path, path) for path in changes[::2]]
            self._kept = (base, *changes)

    def replaced(self, **fields: Any) -> Self:
        """The same record with other fields: the names are those of the class."""
        made = object.__new__(type(self))
        for name in self.__slots__:
            setattr(made, name, getattr(self, name))
        for name, field in fields.items():
            setattr(made, "_kept" if name == "value" else name, field)
        return made


Keep = Callable[[Record], Origin]


class CompactedError(Exception):
    """The revision asked for has been compacted away."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"required revision {revision} has been compacted; the oldest is {oldest}")


class FutureRevisionError(Exception):
    """The revision asked for has not happened."""


class MismatchError(Exception):
    """The key is not at the revision that the writer expected. `record` is what is there, None for nothing."""

    def __init__(self, key: str, record: Record | None) -> None:
        super().__init__(key)
        self.record = record


class Store(Protocol):
    """The revision log.

    `put` takes over the value it is given and stamps `metadata.resourceVersion` with the new revision. `expected` is
    the revision the key must be at: 0 = it must not exist, None = whatever there is; otherwise `MismatchError`.
    `compact` gives each record whose own past it cuts off the origin that `keep` makes of it.
    `watch` calls `deliver` with each record under `prefix` after revision `after`, first those already in the log.
    """

    @property
    def revision(self) -> int: ...
    @property
    def compacted(self) -> int: ...
    def get(self, key: str, revision: int = 0) -> Record | None: ...
    def range(
        self, prefix: str, *, revision: int = 0, start_after: str = "", limit: int = 0
    ) -> tuple[list[Record], bool]: ...
    def count(self, prefix: str) -> int: ...
    def put(self, key: str, value: Value, *, expected: int | None = None, origin: Origin = ...) -> Record: ...
    def delete(self, key: str, *, expected: int | None = None, origin: Origin = ...) -> Record | None: ...
    def watch(self, prefix: str, deliver: Callable[[Record], None], *, after: int = 0) -> Callable[[], None]: ...
    def compact(self, revision: int, *, keep: Keep | None = None) -> None: ...
    def history(self, key: str = "", *, after: int = 0) -> list[Record]: ...
