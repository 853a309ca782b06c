"""kube-apiserver's watch cache: one watch on etcd for each kind, fanned out to all who watch that kind.

Interface: `WatchHub(kind, store).subscribe(…) -> Watch`.
The rule not to break: an event costs only those watchers that it may concern. They lie in an index by the field they
select on (`spec.nodeName` for 5,000 kubelets), so that nobody is asked who is not concerned.
Source: `apiserver/pkg/storage/cacher`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path, namespace_of
from k8snb.apimachinery.selectors import FieldSelector, Selector
from k8snb.apiserver.conversion import seen_record
from k8snb.apiserver.outcalls import Outcall
from k8snb.client import Watch
from k8snb.client.client import Event
from k8snb.etcd import DELETE, PUT, Record, Store

ADDED, MODIFIED, DELETED, BOOKMARK, ERROR = "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"
Postpone = Callable[[Outcall, Callable[[], object]], None]  # fetch answers, then call back
INDEXED = ("spec.nodeName", "metadata.name")


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list or a watch is limited to."""

    namespace: str = ""
    labels: Selector | None = None
    fields: FieldSelector | None = None

    def matches(self, obj: Object) -> bool:
        return (
            (not self.namespace or namespace_of(obj) == self.namespace)
            and (self.labels is None or self.labels.matches(obj["metadata"].get("labels") or {}))
            and (self.fields is None or self.fields.matches(obj))
        )

    def index_key(self) -> tuple[str, str] | None:
        """The indexed field this filter pins to one value, if it pins one."""
        equal = self.fields.equality() if self.fields else {}
        return next(((path, equal[path]) for path in INDEXED if path in equal), None)


class WatchHub:
    """All watchers of one kind."""

    def __init__(self, kind: Kind, store: Store, postpone: Postpone) -> None:
        self.kind = kind
        self._postpone = postpone
        self._backlog: deque[Record] = deque()  # what a webhook has still to convert, and what came after it
        self._store = store
        self._everywhere: list[tuple[Watch, Filter]] = []
        self._indexed: dict[tuple[str, str], list[tuple[Watch, Filter]]] = {}
        self._stop: Callable[[], None] | None = None

    def subscribe(self, filter_: Filter, *, after: int, initial: list[Object]) -> Watch:
        """Events after a revision; before them one ADDED for each `initial` object. Raises etcd's CompactedError."""
        if self._stop is None:
            self._stop = self._store.watch(self.kind.prefix, self._deliver)
        watch = Watch()
        for obj in initial:
            watch.push(Event(ADDED, obj))
        if after < self._store.revision:
            stop = self._store.watch(
                self.kind.prefix, lambda record: _push(watch, filter_, seen_record(self.kind, record)), after=after
            )
            stop()
        key = filter_.index_key()
        watchers = self._everywhere if key is None else self._indexed.setdefault(key, [])
        entry = (watch, filter_)
        watchers.append(entry)
        watch.on_stop = lambda: self._unsubscribe(watchers, entry, key)
        return watch

    def close(self) -> None:
        """Follow the store no longer, and end every watch."""
        if self._stop is not None:
            self._stop()
            self._stop = None
        for watch, _ in [*self._everywhere, *(entry for entries in self._indexed.values() for entry in entries)]:
            watch.stop()

    def _unsubscribe(
        self, watchers: list[tuple[Watch, Filter]], entry: tuple[Watch, Filter], key: tuple[str, str] | None
    ) -> None:
        watchers.remove(entry)
        if key is not None and not watchers:
            self._indexed.pop(key, None)

    def _deliver(self, record: Record) -> None:
        if self.kind.custom is None or self.kind.custom.converter is None:
            self._tell(seen_record(self.kind, record))
        elif self._everywhere or self._indexed:
            self._backlog.append(record)
            if len(self._backlog) == 1:
                self._drain()

    def _drain(self) -> None:
        """Tell what happened in its order, as soon as it can be told in this version."""
        while self._backlog:
            try:
                shown = seen_record(self.kind, self._backlog[0])
            except Outcall as call:
                self._postpone(call, self._drain)
                return
            except ApiError as error:
                self._fail(error)
                return
            self._backlog.popleft()
            self._tell(shown)

    def _fail(self, error: ApiError) -> None:
        """What happened cannot be told: whoever watches has to begin anew."""
        self._backlog.clear()
        for watch, _ in [*self._everywhere, *(entry for entries in self._indexed.values() for entry in entries)]:
            watch.push(Event(ERROR, error.status))
            watch.stop()

    def _tell(self, record: Record) -> None:
        for watch, filter_ in tuple(self._everywhere):
            _push(watch, filter_, record)
        if not self._indexed:
            return
        before = record.previous.value if record.previous is not None else record.value
        for path in INDEXED:
            for value in {get_path(record.value, path), get_path(before, path)}:
                for watch, filter_ in tuple(self._indexed.get((path, value), ())):
                    _push(watch, filter_, record)


def _push(watch: Watch, filter_: Filter, record: Record) -> None:
    """Tell a watcher what a record means to it: an object can come into its view, change there, or leave it."""
    previous = record.previous
    before = previous is not None and previous.sort == PUT and filter_.matches(previous.value)
    now = record.sort != DELETE and filter_.matches(record.value)
    if now:
        watch.push(Event(MODIFIED if before else ADDED, record.value))
    elif before:
        watch.push(Event(DELETED, record.value))
