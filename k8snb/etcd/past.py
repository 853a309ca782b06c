"""etcd's past: the store as it was at a revision, to be read, and as the beginning of another future.

Interface: `PastStore(store, revision)`, an `etcd.Store` that can be read; `fork(store, revision) -> MemoryStore`.
The rule not to break: both share the records of the store that they come from, and change none.
Real etcd reads at an old revision too; a fork of it is a restored snapshot.
"""

from __future__ import annotations

from collections.abc import Callable

from k8snb.etcd import DELETE, CompactedError, FutureRevisionError, Keep, Record, Store
from k8snb.etcd.deltas import Value
from k8snb.etcd.memory import MemoryStore
from k8snb.trace import BOOT, Origin

ROOT = "/registry/"


class PastError(Exception):
    """What is past cannot be changed."""


class PastStore:
    """A store that ends with `revision`, whatever comes after it. Raises CompactedError and FutureRevisionError, also
    later, when the revision has been compacted away meanwhile."""

    def __init__(self, store: Store, revision: int) -> None:
        if revision > store.revision:
            raise FutureRevisionError(f"revision {revision} has not happened; the newest is {store.revision}")
        if revision <= store.compacted:
            raise CompactedError(revision, store.compacted)
        self._store = store
        self._revision = revision

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def compacted(self) -> int:
        return self._store.compacted

    def get(self, key: str, revision: int = 0) -> Record | None:
        return self._store.get(key, self._at(revision))

    def range(
        self, prefix: str, *, revision: int = 0, start_after: str = "", limit: int = 0
    ) -> tuple[list[Record], bool]:
        return self._store.range(prefix, revision=self._at(revision), start_after=start_after, limit=limit)

    def count(self, prefix: str) -> int:
        return len(self.range(prefix)[0])

    def history(self, key: str = "", *, after: int = 0) -> list[Record]:
        found = self._store.history(key, after=after)
        if not key:  # the log has every revision once
            after = max(after, self.compacted)
            return found[: max(self._revision - after, 0)]
        return [record for record in found if record.revision <= self._revision]

    def watch(self, prefix: str, deliver: Callable[[Record], None], *, after: int = 0) -> Callable[[], None]:
        """What came after a revision; nothing will come."""
        for record in self.history(after=after) if after else ():
            if record.key.startswith(prefix):
                deliver(record)
        return lambda: None

    def put(self, key: str, value: Value, *, expected: int | None = None, origin: Origin = BOOT) -> Record:
        raise PastError(key)

    def delete(self, key: str, *, expected: int | None = None, origin: Origin = BOOT) -> Record | None:
        raise PastError(key)

    def compact(self, revision: int, *, keep: Keep | None = None) -> None:
        raise PastError(f"revision {revision}")

    def _at(self, revision: int) -> int:
        if revision > self._revision:
            raise FutureRevisionError(f"revision {revision} has not happened; the newest is {self._revision}")
        return revision or self._revision


def fork(store: Store, revision: int) -> MemoryStore:
    """A store of its own with the history up to a revision. Raises CompactedError or FutureRevisionError."""
    past = PastStore(store, revision)
    log = past.history()
    living, _ = past.range(ROOT)
    ended = {record.key: record for record in log if record.sort == DELETE}
    for record in living:
        ended.pop(record.key, None)
    return MemoryStore.of(log, living, ended.values(), first=past.compacted + 1)
