"""The history of a cluster: what was written, by whom and because of what, read from the revision log.

Interface: `History(store, kinds)`: `of(kind, namespace, name)`, `at(revision)`, `since(revision)`, each in `Change`s.
The rule not to break: it reads the log and keeps nothing of its own; what it hands out is shared and read-only.
Real Kubernetes keeps no such history: etcd forgets after five minutes, and the audit log knows no causes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.etcd import DELETE, PUT, Record, Store

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
        return self._known(found[0]) if found and found[0].revision == revision else None

    def since(self, revision: int) -> list[Change]:
        """Everything after a revision, oldest first."""
        changes = map(self._known, self._store.history(after=max(revision, self._store.compacted)))
        return [change for change in changes if change is not None]

    def _known(self, record: Record) -> Change | None:
        kind = self._by_prefix().get(_directory(record))
        return self._change(record, kind) if kind is not None else None

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
