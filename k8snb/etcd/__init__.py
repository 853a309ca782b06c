"""etcd: all cluster data, as an append-only log of revisions.

Interface: `Store`, a small part of etcd's v3 API: put, delete, get, range, watch, compact.
The rule not to break: only the apiserver talks to a store, and what a store has handed out is never mutated.
Real etcd replicates the log over several members by Raft, and keeps bytes; the embedded store keeps the dicts
themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from k8snb.trace import Origin

PUT, DELETE = "PUT", "DELETE"
Value = dict[str, Any]


class Record(NamedTuple):
    """One revision: what happened to one key. `value` of a DELETE is the object as it was last, stamped with the
    revision of its end; `previous` is the key's record before, or None."""

    revision: int
    sort: str
    key: str
    value: Value
    previous: Record | None
    created: int  # revision at which this life of the key began
    origin: Origin


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
