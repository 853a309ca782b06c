"""The history of a cluster: what was written, by whom and because of what, read from the revision log.

Interface: `History(store, kinds)`: `of(kind, namespace, name)`, `at(revision)`, `between(after, until)`,
`since(revision)`, `backwards()`, each in `Change`s; `time_of(revision)`, `newest_by(moment)`.
The rule not to break: it reads the log and keeps nothing of its own; what it hands out is shared and read-only.
Real Kubernetes keeps no such history: etcd forgets after five minutes, and the audit log knows no causes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.etcd import DELETE, PUT, CompactedError, FutureRevisionError, Record, Store

CREATED, CHANGED, DELETED = "created", "changed", "deleted"


class Change(NamedTuple):
    """One revision. `before` is the object as it was, None for one that is new; `cause` the revision that made the
    actor write, 0 where it came from outside; `verb` the API verb, with a subresource behind it (`update status`);
    `sent` what admission was given, None where it changed nothing.
    """

    revision: int
    kind: Kind
    obj: Object
    before: Object | None
    sort: str
    actor: str
    verb: str
    cause: int
    time: float
    sent: Object | None = None

    @property
    def word(self) -> str:
        """The object as kubectl names it: `pods/web`, with its namespace where that is not `default`."""
        namespace = namespace_of(self.obj)
        shown = f"{self.kind.singular}/{name_of(self.obj)}"
        return shown if namespace in ("", "default") else f"{shown} -n {namespace}"


class History:
    """Raises `etcd.CompactedError` for what has been forgotten and `etcd.FutureRevisionError` for what is to come."""

    def __init__(self, store: Store, kinds: Callable[[], tuple[Kind, ...]]) -> None:
        self._store = store
        self._kinds = kinds

    @property
    def newest(self) -> int:
        return self._store.revision

    @property
    def oldest(self) -> int:
        """The first revision that is still known."""
        return self._store.compacted + 1

    def of(self, kind: Kind, namespace: str, name: str) -> list[Change]:
        """The life of everything that had this name, oldest first; empty for what never was."""
        return [self._change(record, kind) for record in self._store.history(kind.key(namespace, name))]

    def at(self, revision: int) -> Change | None:
        """The change of one revision; None where it is of no kind that is served."""
        found = self._store.history(after=revision - 1)
        return next(self._known(found[:1]), None) if found and found[0].revision == revision else None

    def since(self, revision: int) -> list[Change]:
        """Everything after a revision, oldest first."""
        return list(self._known(self._store.history(after=max(revision, self._store.compacted))))

    def standing(self) -> list[Change]:
        """Of what was last written before the history begins, that write: it stands as it was. Oldest first."""
        oldest, kinds = self.oldest, self._by_prefix()
        found = [self._change(record, kind) for prefix, kind in (kinds.items() if oldest > 1 else ())
                 for record in self._store.range(prefix)[0] if record.revision < oldest]  # fmt: skip
        return sorted(found, key=lambda change: change.revision)

    def between(self, after: int, until: int) -> list[Change]:
        """Everything after a revision, up to and with another, oldest first."""
        after = max(after, self._store.compacted)
        return list(self._known(self._store.history(after=after)[: max(until - after, 0)]))

    def backwards(self) -> Iterator[Change]:
        """Everything that is known, newest first, for who looks for one thing."""
        return self._known(reversed(self._store.history()))

    def time_of(self, revision: int) -> float:
        """When a revision was written, in seconds since the epoch. Raises CompactedError, FutureRevisionError."""
        if revision > self.newest:
            raise FutureRevisionError(f"revision {revision} has not happened; the newest is {self.newest}")
        if revision < self.oldest:
            raise CompactedError(revision, self._store.compacted)
        return self._store.history(after=revision - 1)[0].origin.time

    def newest_by(self, moment: float) -> int:
        """The newest revision that was written by then; 0 where none was that is still known."""
        log = self._store.history()
        place = bisect_right(log, moment, key=lambda record: record.origin.time)
        return log[place - 1].revision if place else 0

    def _known(self, records: Iterable[Record]) -> Iterator[Change]:
        """What became of kinds that are served."""
        kinds = self._by_prefix()
        for record in records:
            kind = kinds.get(_directory(record))
            if kind is not None:
                yield self._change(record, kind)

    def _by_prefix(self) -> dict[str, Kind]:
        return {kind.prefix: kind for kind in reversed(self._kinds())}

    def _change(self, record: Record, kind: Kind) -> Change:
        previous = record.previous
        before = previous.value if previous is not None and previous.sort == PUT else None
        sort = DELETED if record.sort == DELETE else CREATED if before is None else CHANGED
        origin = record.origin
        return Change(record.revision, kind, record.value, before, sort, origin.actor, origin.verb, origin.cause,
                      origin.time, origin.sent)  # fmt: skip


def _directory(record: Record) -> str:
    """The prefix of the kind: the key without name and namespace."""
    end = record.key.rindex("/")
    namespace = namespace_of(record.value)
    return record.key[: end - len(namespace)] if namespace else record.key[: end + 1]
