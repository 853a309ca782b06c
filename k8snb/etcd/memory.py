"""etcd, embedded: the revision log as a Python list.

Interface: `MemoryStore`, an `etcd.Store`.
The rule not to break: the log is only appended to, and a record's place in it *is* its revision; `compact` drops the
front. What has been superseded for long is packed, which nobody can see but by the memory it takes.
Real etcd keeps the same shape on disk: a B-tree from key to revisions, and a bbolt file from revision to value.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Self

from k8snb.etcd import DELETE, PUT, CompactedError, FutureRevisionError, Keep, MismatchError, Record
from k8snb.etcd.deltas import Path, Value
from k8snb.trace import BOOT, Origin

RECENT = 1_000  # superseded records that are kept whole: watchers and controllers still look at them
Deliver = Callable[[Record], None]


class MemoryStore:
    """Keys lie in directories (everything up to the last slash), so that a namespace is listed without a scan."""

    def __init__(self) -> None:
        self._log: list[Record] = []
        self._first = 1  # revision of self._log[0]
        self._living: dict[str, dict[str, Record]] = {}  # directory → key → newest record, a PUT
        self._ended: dict[str, dict[str, Record]] = {}  # directory → key → newest record, a DELETE
        self._sorted: dict[str, list[str]] = {}  # directory → its living keys in order, where somebody asked
        self._ever: dict[str, list[str]] = {}  # the same with those that have ended
        self._below: dict[str, list[str]] = {}  # every ancestor directory → the directories that hold keys
        self._ancestors: dict[str, list[str]] = {}  # directory → itself and those above it
        self._watchers: dict[str, list[Deliver]] = {}
        self._superseded: deque[Record] = deque()  # in the order in which they were, not yet packed
        self._paths: dict[Path, Path] = {}  # each path of a packed record once
        self._borrowed = 0  # up to this revision another store has the same records

    @classmethod
    def of(cls, log: list[Record], living: Iterable[Record], ended: Iterable[Record], *, first: int) -> Self:
        """A store that goes on from a log which begins with the revision `first`, the newest records of all keys at its
        end, and those of the keys that were deleted in it."""
        made = cls()
        made._log, made._first = log, first
        made._borrowed = made.revision
        for records, newest in ((living, made._living), (ended, made._ended)):
            for record in records:
                directory = directory_of(record.key)
                if directory not in made._living:
                    made._open(directory)
                newest[directory][record.key] = record
        return made

    @property
    def revision(self) -> int:
        return self._first + len(self._log) - 1

    @property
    def compacted(self) -> int:
        """The newest revision that can no longer be read; 0 when all can."""
        return self._first - 1

    # reading

    def get(self, key: str, revision: int = 0) -> Record | None:
        """The key's record, or as it was at `revision`. Raises CompactedError or FutureRevisionError."""
        if not revision:
            return self._living.get(directory_of(key), {}).get(key)
        self._check(revision)
        record = self._newest(key)
        while record is not None and record.revision > revision:
            record = record.previous
        return record if record is not None and record.sort == PUT else None

    def range(
        self, prefix: str, *, revision: int = 0, start_after: str = "", limit: int = 0
    ) -> tuple[list[Record], bool]:
        """The records under `prefix` in the order of their keys; whether `limit` cut more off.

        `prefix` ends with a slash.
        """
        if revision:
            self._check(revision)
        found: list[Record] = []
        for directory in sorted(self._below.get(prefix, ())):
            for record in self._records(directory, revision, start_after):
                if limit and len(found) == limit:
                    return found, True
                found.append(record)
        return found, False

    def _records(self, directory: str, revision: int, start_after: str) -> Iterator[Record]:
        """What a directory holds, or held at a revision, in the order of the keys."""
        keys = self._keys(directory, ended=bool(revision))
        living, ended = self._living[directory], self._ended[directory]
        for key in keys[bisect_right(keys, start_after) :] if start_after else keys:
            record = living.get(key) or ended.get(key)
            while revision and record is not None and record.revision > revision:
                record = record.previous
            if record is not None and record.sort == PUT:
                yield record

    def count(self, prefix: str) -> int:
        return sum(len(self._living[directory]) for directory in self._below.get(prefix, ()))

    def history(self, key: str = "", *, after: int = 0) -> list[Record]:
        """Every record after a revision that is still there, of one key or of all, oldest first."""
        if not key:
            return self._log[max(after + 1 - self._first, 0) :]
        records: list[Record] = []
        record = self._newest(key)
        while record is not None and record.revision > after:
            records.append(record)
            record = record.previous
        return records[::-1]

    # writing

    def put(self, key: str, value: Value, *, expected: int | None = None, origin: Origin = BOOT) -> Record:
        alive = self._expect(key, expected)
        revision = self.revision + 1
        value["metadata"]["resourceVersion"] = str(revision)
        directory = directory_of(key)
        if directory not in self._living:
            self._open(directory)
        living = self._living[directory]
        if alive is None:
            self._sorted.pop(directory, None)
            previous = self._ended[directory].pop(key, None)
            if previous is None:
                self._ever.pop(directory, None)
            record = Record(revision, PUT, key, value, previous, revision, origin)
        else:
            record = Record(revision, PUT, alive.key, value, alive, alive.created, origin)
        living[key] = record
        return self._append(record)

    def delete(self, key: str, *, expected: int | None = None, origin: Origin = BOOT) -> Record | None:
        """Remove the key; None when it is not there."""
        alive = self._expect(key, expected)
        if alive is None:
            return None
        revision = self.revision + 1
        metadata = {**alive.value["metadata"], "resourceVersion": str(revision)}
        last = {**alive.value, "metadata": metadata}
        record = Record(revision, DELETE, alive.key, last, alive, alive.created, origin)
        directory = directory_of(key)
        del self._living[directory][key]
        self._sorted.pop(directory, None)
        self._ended[directory][key] = record
        return self._append(record)

    def compact(self, revision: int, *, keep: Keep | None = None) -> None:
        """Forget how things were before `revision`; what was there at it stays. Raises FutureRevisionError.

        `keep` makes the origin of a record whose own past goes.
        """
        if revision > self.revision:
            raise FutureRevisionError(f"revision {revision} has not happened; the newest is {self.revision}")
        cut = revision - self._first
        if cut <= 0:
            return
        for key in {record.key for record in self._log[: cut + 1]}:
            self._forget(key, revision, keep)
        self._log = self._log[cut:]
        self._first = revision
        own = (record for record in self._log if record.revision > self._borrowed and not record.is_packed)
        self._superseded = deque(record for record in own if self._newest(record.key) is not record)

    # watching

    def watch(self, prefix: str, deliver: Deliver, *, after: int = 0) -> Callable[[], None]:
        """Deliver each record under `prefix` after a revision (0: from now on). Returns how to stop.

        Raises CompactedError.

        `prefix` ends with a slash; `deliver` must not call the store.
        """
        if after and after < self.compacted:
            raise CompactedError(after, self.compacted)
        if after:
            for record in self._log[after + 1 - self._first :]:
                if record.key.startswith(prefix):
                    deliver(record)
        watchers = self._watchers.setdefault(prefix, [])
        watchers.append(deliver)
        return lambda: watchers.remove(deliver) if deliver in watchers else None

    def _append(self, record: Record) -> Record:
        self._log.append(record)
        if record.previous is not None:
            self._supersede(record.previous)
        for deliver in self._deliveries(record):
            deliver(record)
        return record

    def _supersede(self, record: Record) -> None:
        """The key has a newer record than this; what was superseded long before is packed."""
        if record.revision > self._borrowed:
            self._superseded.append(record)
        while len(self._superseded) > RECENT:
            self._superseded.popleft().pack(self._paths)

    def _deliveries(self, record: Record) -> Iterator[Deliver]:
        for ancestor in self._ancestors[directory_of(record.key)]:
            yield from self._watchers.get(ancestor, ())

    def _open(self, directory: str) -> None:
        self._living[directory], self._ended[directory] = {}, {}
        self._ancestors[directory] = _ancestors(directory)
        for ancestor in self._ancestors[directory]:
            self._below.setdefault(ancestor, []).append(directory)

    def _newest(self, key: str) -> Record | None:
        directory = directory_of(key)
        return self._living.get(directory, {}).get(key) or self._ended.get(directory, {}).get(key)

    def _expect(self, key: str, expected: int | None) -> Record | None:
        alive = self._living.get(directory_of(key), {}).get(key)
        if expected is not None and (alive.revision if alive else 0) != expected:
            raise MismatchError(key, alive)
        return alive

    def _check(self, revision: int) -> None:
        if revision > self.revision:
            raise FutureRevisionError(f"revision {revision} has not happened; the newest is {self.revision}")
        if revision <= self.compacted:
            raise CompactedError(revision, self.compacted)

    def _keys(self, directory: str, *, ended: bool = False) -> list[str]:
        known = self._ever if ended else self._sorted
        keys = known.get(directory)
        if keys is None:
            gone = self._ended[directory] if ended else ()
            keys = known[directory] = sorted([*self._living[directory], *gone])
        return keys

    def _forget(self, key: str, revision: int, keep: Keep | None) -> None:
        """Cut the key's chain behind the record that was valid at `revision`. Records are immutable: rebuild it."""
        chain: list[Record] = []
        record = self._newest(key)
        while record is not None:
            chain.append(record)
            if record.revision <= revision:
                break
            record = record.previous
        rebuilt: Record | None = None
        for record in reversed(chain):
            if record.sort == DELETE and record.revision <= revision:
                continue
            loses_past = rebuilt is None and record.revision != record.created
            origin = keep(record) if keep is not None and loses_past else record.origin
            rebuilt = record.replaced(previous=rebuilt, origin=origin)
            if record.revision >= revision:
                self._log[record.revision - self._first] = rebuilt
        directory = directory_of(key)
        ended, living = self._ended[directory], self._living[directory]
        if rebuilt is None:
            ended.pop(key, None)
            self._ever.pop(directory, None)
        elif rebuilt.sort == PUT:
            living[key] = rebuilt
        else:
            ended[key] = rebuilt


def directory_of(key: str) -> str:
    """Everything up to the last slash."""
    return key[: key.rindex("/") + 1]


def _ancestors(key: str) -> list[str]:
    """Every prefix of the key that ends with a slash, below the root, longest first."""
    ancestors = []
    end = key.rfind("/")
    while end > 0:
        ancestors.append(key[: end + 1])
        end = key.rfind("/", 0, end)
    return ancestors
