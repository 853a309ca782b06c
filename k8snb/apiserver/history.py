"""The history of a cluster: what was written, by whom and because of what, read from the revision log.

Interface: `History(store, kinds)`: `of(kind, namespace, name)`, `at(revision)`, `between(after, until)`,
`since(revision)`, `backwards()`, each in `Change`s; `time_of(revision)`, `newest_by(moment)`.
The rule not to break: it reads the log and keeps nothing of its own; what it hands out is shared and read-only.
Real Kubernetes keeps no such history: etcd forgets after five minutes, and the audit log knows no causes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from functools import cached_property

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.etcd import DELETE, PUT, CompactedError, FutureRevisionError, Record, Store
from k8snb.etcd.memory import directory_of

CREATED, CHANGED, DELETED = "created", "changed", "deleted"


class Change:
    """One revision. `before` is the object as it was, None for one that is new; `cause` the revision that made the
    actor write, 0 where it came from outside; `verb` the API verb, with a subresource behind it (`update status`);
    `sent` what admission was given, None where it changed nothing.
    """

    def __init__(self, record: Record, kind: Kind) -> None:
        origin, previous = record.origin, record.previous
        self.record = record
        self.revision, self.kind = record.revision, kind
        self.actor, self.verb, self.cause = origin.actor, origin.verb, origin.cause
        self.time, self.sent = origin.time, origin.sent
        self._alive_before = previous if previous is not None and previous.sort == PUT else None
        self.sort = DELETED if record.sort == DELETE else CREATED if self._alive_before is None else CHANGED

    @cached_property
    def obj(self) -> Object:
        return self.record.value

    @cached_property
    def before(self) -> Object | None:
        return self._alive_before.value if self._alive_before is not None else None

    def as_if(self, *, before: Object | None, obj: Object, sort: str) -> Change:
        """The same write, had it made this of that."""
        other = copy(self)
        vars(other).update(before=before, obj=obj, sort=sort)
        return other

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
        return [Change(record, kind) for record in self._store.history(kind.key(namespace, name))]

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
        found = [Change(record, kind) for prefix, kind in (kinds.items() if oldest > 1 else ())
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
            kind = _kind_of(record, kinds)
            if kind is not None:
                yield Change(record, kind)

    def _by_prefix(self) -> dict[str, Kind]:
        return {kind.prefix: kind for kind in reversed(self._kinds())}


def _kind_of(record: Record, kinds: Mapping[str, Kind]) -> Kind | None:
    """The kind whose prefix the key has, before a name or a namespace and a name."""
    directory = directory_of(record.key)
    return kinds.get(directory) or kinds.get(directory_of(directory[:-1]))
