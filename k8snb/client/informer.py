"""client-go's informer: a cache of one resource that a watch keeps up to date.

Interface: `Informers.get(resource)` gives the one shared `Informer` of a process; `get`, `list`, `by_index` read its
cache; `on_change(callback)` is called with (old, new).
The rule not to break: what the cache hands out is shared and read-only.
Source: `client-go/tools/cache` (Reflector, DeltaFIFO, Indexer). Upstream copies every object once per process.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from k8snb.apimachinery.errors import ApiError, Postponed
from k8snb.apimachinery.meta import Object, controller_of, key_of, namespace_of, revision_of
from k8snb.apimachinery.selectors import Selector
from k8snb.client.client import Client, Event, Watch
from k8snb.client.context import Context
from k8snb.pump import WATCH, Item
from k8snb.trace import Notes

Objects = list[Object]
Handler = Callable[[Object | None, Object | None], None]
IndexFunction = Callable[[Object], Iterable[str]]

NAMESPACE = "namespace"
NOBODY: Collection[str] = ()
RETRY = 1.0  # seconds until a failed list is tried again


class Informer:
    """List, then watch, then list again when the watch breaks. `revision` is the newest one seen."""

    def __init__(self, resource: str, client: Client, context: Context, *, field_selector: str = "") -> None:
        self.resource = resource
        self._revision = 0
        self._client = client
        self._context = context
        self._notes = context.notes
        self._options = {"fieldSelector": field_selector} if field_selector else {}
        self._objects: dict[str, Object] = {}
        self._handlers: list[tuple[Handler, str]] = []  # whom to tell, and of what owners' objects: "" = of all
        self._concerned: dict[str, tuple[Handler, ...]] = {}  # the kind of a controller → whom its objects concern
        self._index_functions: dict[str, IndexFunction] = {NAMESPACE: lambda obj: (namespace_of(obj),)}
        self._unsteady: dict[str, IndexFunction] = {}  # those of them that may look at the status
        self._indices: dict[str, dict[str, dict[str, None]]] = {NAMESPACE: {}}  # index → value → keys
        self._watch: Watch | None = None
        self._awaited: list[tuple[int, int, Callable[[], None]]] = []  # a heap: revision, order, whom to tell
        self._order = itertools.count()

    # reading the cache

    @property
    def revision(self) -> int:
        return self._revision

    def get(self, name: str, namespace: str = "") -> Object | None:
        return self.by_key(f"{namespace}/{name}" if namespace else name)

    def by_key(self, key: str) -> Object | None:
        obj = self._objects.get(key)
        if self._notes.looking:
            self._notes.read(self.resource, key, obj)
        return obj

    def list(self, namespace: str = "", selector: Selector | None = None) -> list[Object]:
        """All objects, or those of one namespace, that a label selector picks."""
        objects: Iterable[Object] = self._objects.values()
        if namespace:
            objects = map(self._objects.__getitem__, self._indices[NAMESPACE].get(namespace, ()))
        if selector is None:
            found = list(objects)
        else:
            found = [obj for obj in objects if selector.matches(obj["metadata"].get("labels") or {})]
        if self._notes.looking:
            _note(self._notes, self.resource, found)
        return found

    def by_index(self, index: str, value: str) -> Collection[Object]:
        """The objects for which an index function gave this value."""
        found = _Picked(self._objects, self._indices[index].get(value, NOBODY))
        if self._notes.looking:
            _note(self._notes, self.resource, found)
        return found

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Object]:
        return iter(self.list())

    # setting up

    def add_index(self, name: str, function: IndexFunction, *, steady: bool = False) -> None:
        """Keep an index under a name. Adding one twice under the same name changes nothing.

        A `steady` function never looks at the status, and is not asked where that alone has changed.
        """
        if name not in self._index_functions:
            self._index_functions[name] = function
            if not steady:
                self._unsteady[name] = function
            self._indices[name] = {}
            for key, obj in self._objects.items():
                self._index(name, key, function(obj))

    def on_change(self, handler: Handler, *, owner_kind: str = "") -> None:
        """Call `handler(old, new)` on every change; old is None for what is new, new is None for what is gone.

        What is already in the cache is told at once. With `owner_kind`, only of objects whose controller is or was of
        that kind, and of those that have none: the objects of others cost the handler nothing.
        """
        self._handlers.append((handler, owner_kind))
        self._concerned.clear()
        for obj in list(self._objects.values()):
            if not owner_kind or _owner_kind(obj) in ("", owner_kind):
                handler(None, obj)

    def when_seen(self, revision: int, callback: Callable[[], None]) -> None:
        """Call back once, when the cache is as new as that, whatever has changed by then."""
        heapq.heappush(self._awaited, (revision, next(self._order), callback))

    def off_change(self, handler: Handler) -> None:
        """Call a handler no more."""
        self._handlers = [entry for entry in self._handlers if entry[0] != handler]
        self._concerned.clear()

    def start(self) -> None:
        """List and watch. Starting twice changes nothing."""
        if self._watch is None:
            self._relist()

    def stop(self) -> None:
        if self._watch is not None:
            self._watch.on_arrival = None
            self._watch.stop()
            self._watch = None

    # keeping up

    def _relist(self) -> None:
        try:
            listed = self._client.list(self.resource, **self._options)
            revision = listed["metadata"]["resourceVersion"]
            watch = self._client.watch(self.resource, resourceVersion=revision, **self._options)
        except Postponed as waiting:
            waiting.then(self._relist)
            return
        except ApiError:
            self._context.clock.after(RETRY, self._relist, background=True, label=f"informer {self.resource}")
            return
        self._replace(listed["items"])
        self._revision = max(self._revision, int(revision))
        self._tell_awaited()
        self._watch = watch
        watch.on_arrival = self._arrived
        if watch.events:
            self._arrived()

    def _replace(self, objects: Objects) -> None:
        gone = dict(self._objects)
        for obj in objects:
            old = gone.pop(key_of(obj), None)
            if old is None or revision_of(old) != revision_of(obj):
                self._store(key_of(obj), old, obj)
        for key, obj in gone.items():
            self._store(key, obj, None)

    def _arrived(self) -> None:
        self._context.schedule(Item(f"informer {self.resource}", WATCH, self._drain))

    def catch_up(self) -> None:
        """Take in what has arrived, without waiting for one's turn."""
        self._drain()

    def _drain(self) -> str:
        watch = self._watch
        count = 0
        while watch is not None and watch is self._watch and (event := watch.pop()) is not None:
            count += 1
            self._apply(event)
        self._tell_awaited()
        return f"{count} events"

    def _tell_awaited(self) -> None:
        while self._awaited and self._awaited[0][0] <= self._revision:
            heapq.heappop(self._awaited)[2]()

    def _apply(self, event: Event) -> None:
        if event.sort == "ERROR":
            self.stop()
            self._relist()
            return
        revision = revision_of(event.object)
        self._revision = max(self._revision, revision)
        if event.sort == "BOOKMARK":
            return
        key = key_of(event.object)
        old = self._objects.get(key)
        if event.sort == "DELETED":
            if old is not None:
                self._store(key, event.object, None, cached=old)
        elif old is None or revision_of(old) < revision:
            self._store(key, old, event.object)

    def _store(self, key: str, old: Object | None, new: Object | None, cached: Object | None = None) -> None:
        if old is None or new is None or not _is_same_but_for_status(old, new):
            self._move(self._index_functions, key, cached or old, new)
        elif self._unsteady:
            self._move(self._unsteady, key, old, new)
        if new is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = new
        for handler in self._whom_it_concerns(old, new):
            handler(old, new)

    def _whom_it_concerns(self, old: Object | None, new: Object | None) -> tuple[Handler, ...]:
        obj = new or old
        assert obj is not None
        kind = _owner_kind(obj)
        if not kind or (old is not None and new is not None and _owner_kind(old) != kind):
            kind = ""
        if kind not in self._concerned:
            found = (handler for handler, wanted in self._handlers if not (kind and wanted) or wanted == kind)
            self._concerned[kind] = tuple(found)
        return self._concerned[kind]

    def _move(self, indices: Mapping[str, IndexFunction], key: str, old: Object | None, new: Object | None) -> None:
        """Take an object out of these indices, put it in, or from one value to another."""
        for name, function in indices.items():
            before = () if old is None else function(old)
            after = () if new is None else function(new)
            if before != after:
                self._unindex(name, key, before)
                self._index(name, key, after)

    def _index(self, name: str, key: str, values: Iterable[str]) -> None:
        for value in values:
            self._indices[name].setdefault(value, {})[key] = None

    def _unindex(self, name: str, key: str, values: Iterable[str]) -> None:
        for value in values:
            bucket = self._indices[name].get(value)
            if bucket is not None:
                bucket.pop(key, None)
                if not bucket:
                    del self._indices[name][value]


def _note(notes: Notes, resource: str, objects: Iterable[Object]) -> None:
    for obj in objects:
        notes.read(resource, key_of(obj), obj)


class _Picked(Collection[Object]):
    """Some objects of a cache, by their keys."""

    __slots__ = ("_keys", "_objects")

    def __init__(self, objects: Mapping[str, Object], keys: Collection[str]) -> None:
        self._objects = objects
        self._keys = keys

    def __iter__(self) -> Iterator[Object]:
        return map(self._objects.__getitem__, self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, obj: object) -> bool:
        return any(each is obj for each in self)


def _owner_kind(obj: Object) -> str:
    """The kind of an object's controller, "" where it has none."""
    owner = controller_of(obj)
    return owner["kind"] if owner is not None else ""


def _is_same_but_for_status(old: Object, new: Object) -> bool:
    """Whether nothing but the status and the revision has changed. What is shared is found to be the same at once."""
    before, after = old["metadata"], new["metadata"]
    return (
        len(old) == len(new)
        and all(old.get(field) is part for field, part in new.items() if field not in ("metadata", "status"))
        and {**before, "resourceVersion": ""} == {**after, "resourceVersion": ""}
    )


class Informers:
    """The shared informers of one process, one for each resource and field selector."""

    def __init__(self, client: Client, context: Context) -> None:
        self._client = client
        self._context = context
        self._informers: dict[tuple[str, str], Informer] = {}

    def get(self, resource: str, field_selector: str = "") -> Informer:
        """The informer for a resource; all askers get the same one."""
        key = (resource, field_selector)
        if key not in self._informers:
            self._informers[key] = Informer(resource, self._client, self._context, field_selector=field_selector)
        return self._informers[key]

    def forget(self, resource: str) -> None:
        """Stop and drop the informers of a resource that is served no more, once they know all that happened."""
        for key in [key for key in self._informers if key[0] == resource]:
            informer = self._informers.pop(key)
            informer.catch_up()
            informer.stop()

    def start(self) -> None:
        for informer in list(self._informers.values()):
            informer.start()

    def stop(self) -> None:
        for informer in self._informers.values():
            informer.stop()


class Lent(Informer):
    """Another's informer as one of its users has it: the same cache, and handlers that can be taken back together."""

    def __init__(self, lender: Informer, handle: Callable[[Informer, Handler, str], None]) -> None:
        self.resource = lender.resource
        self._objects, self._indices = lender._objects, lender._indices
        self._index_functions, self._unsteady = lender._index_functions, lender._unsteady
        self._notes = lender._notes
        self._lender = lender
        self._handle = handle

    @property
    def revision(self) -> int:
        return self._lender.revision

    def on_change(self, handler: Handler, *, owner_kind: str = "") -> None:
        self._handle(self._lender, handler, owner_kind)

    def when_seen(self, revision: int, callback: Callable[[], None]) -> None:
        self._lender.when_seen(revision, callback)

    def off_change(self, handler: Handler) -> None:
        self._lender.off_change(handler)

    def start(self) -> None:
        self._lender.start()

    def stop(self) -> None:
        """The lender goes on: it has other users."""

    def catch_up(self) -> None:
        self._lender.catch_up()


class LentInformers(Informers):
    """A process's informers as one part of it has them. The part hears nothing while it is being made: `start` tells
    it all that is known, `stop` is the last that it hears of."""

    def __init__(self, process: Informers) -> None:
        self._process = process
        self._lent: dict[Informer, Lent] = {}
        self._handlers: list[tuple[Informer, Handler, str]] = []
        self._attached = False

    def get(self, resource: str, field_selector: str = "") -> Informer:
        lender = self._process.get(resource, field_selector)
        if lender not in self._lent:
            self._lent[lender] = Lent(lender, self._handle)
        return self._lent[lender]

    def _handle(self, lender: Informer, handler: Handler, owner_kind: str) -> None:
        self._handlers.append((lender, handler, owner_kind))
        if self._attached:
            lender.on_change(handler, owner_kind=owner_kind)

    def attach(self) -> None:
        """The part is made: from now on it hears."""
        self._attached = True
        for lender, handler, owner_kind in list(self._handlers):
            lender.on_change(handler, owner_kind=owner_kind)

    def forget(self, resource: str) -> None:
        self._process.forget(resource)
        self._lent = {lender: lent for lender, lent in self._lent.items() if lender.resource != resource}

    def start(self) -> None:
        if not self._attached:
            self.attach()
        self._process.start()

    def stop(self) -> None:
        for lender, handler, _ in self._handlers:
            lender.off_change(handler)
        self._handlers.clear()
