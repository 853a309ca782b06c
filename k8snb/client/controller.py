"""client-go's controller loop: informer → key → queue → sync(key) → status.

Interface: subclass `Controller`, say in `__init__` which informers enqueue what, and write `sync(key)`.
The rule not to break: `sync` is level-triggered: it reads the world, compares, acts; run twice, it writes nothing the
second time. It may run at any moment and as often as anybody likes.
Source: `sample-controller/controller.go` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, controller_of, key_of, namespace_of, revision_of
from k8snb.client.context import Context
from k8snb.client.events import WARNING, EventRecorder
from k8snb.client.informer import Informer, Informers
from k8snb.client.workqueue import MAX_DELAY, WorkQueue

OWNER = "owner"


class Controller:
    """One reconciliation loop. `name` is upstream's; the controller acts as the service account of that name."""

    name: ClassVar[str]
    longest_delay: ClassVar[float] = MAX_DELAY  # seconds until a key that keeps failing is tried again

    def __init__(self, context: Context, informers: Informers) -> None:
        self.context = context
        self.clock = context.clock
        self.informers = informers
        self.client = context.client(f"system:serviceaccount:kube-system:{self.name}", "system:serviceaccounts")
        self.queue = WorkQueue(self.name, context, self._process, longest=self.longest_delay)
        self.events = EventRecorder(self.client, self.name, self.clock)
        self._own_writes: dict[str, dict[Informer, int]] = {}
        self._awaiting: dict[str, int] = {}  # the revision that a key waits for

    def sync(self, key: str) -> None:
        """Bring the world nearer to what the object under `key` (namespace/name) asks for."""
        raise NotImplementedError

    def start(self) -> None:
        """Called once when all informers run; for controllers that also act by the clock."""

    # what makes a key worth a look

    def watch(self, resource: str) -> Informer:
        """The informer of a resource, whose every change enqueues the changed object's own key."""
        informer = self.informers.get(resource)
        informer.on_change(lambda old, new: self.enqueue(new or old))
        return informer

    def watch_owned(self, resource: str, owner_kind: str) -> Informer:
        """The informer of a resource, whose every change enqueues the controller that owns the changed object."""
        informer = self.informers.get(resource)
        informer.add_index(OWNER, owner_uids, steady=True)

        def changed(old: Object | None, new: Object | None) -> None:
            for obj in {id(obj): obj for obj in (old, new) if obj}.values():
                owner = controller_of(obj)
                if owner is not None and owner["kind"] == owner_kind:
                    self.queue.add(f"{namespace_of(obj)}/{owner['name']}", revision_of(new or obj))

        informer.on_change(changed)
        return informer

    def watch_kinds(self, wanted: Callable[[Kind], bool], observe: Callable[[Kind, Informer], None]) -> None:
        """Call `observe` with the informer of each wanted resource: those there are, and later those that
        CustomResourceDefinitions add. A resource of several versions is observed in one of them."""
        observed: set[str] = set()

        def look(old: Object | None = None, new: Object | None = None) -> None:
            kinds = {kind.word: kind for kind in reversed(self.client.kinds()) if wanted(kind)}
            for word in sorted(observed - kinds.keys()):
                observed.remove(word)
                self.informers.forget(word)
            for word in [word for word in reversed(kinds) if word not in observed]:
                observed.add(word)
                informer = self.informers.get(word)
                observe(kinds[word], informer)
                if old is not None or new is not None:
                    informer.start()

        look()
        self.informers.get("customresourcedefinitions").on_change(look)

    def enqueue(self, obj: Object | None) -> None:
        if obj is not None:
            self.queue.add(key_of(obj), revision_of(obj))

    # reading one's own writes

    def wrote(self, key: str, informer: Informer, obj: Object) -> None:
        """Remember that `sync(key)` made or ended `obj`: it will not decide again before the cache shows that."""
        written = self._own_writes.setdefault(key, {})
        written[informer] = max(written.get(informer, 0), revision_of(obj))

    def sees_own_writes(self, key: str) -> bool:
        """Whether the caches are as new as what `sync(key)` has written (upstream: expectations). If not, the key is
        looked at again when they are.
        """
        self._follow_up(key)
        return key not in self._own_writes

    def _follow_up(self, key: str) -> None:
        """Look at the key again when the caches are as new as its writes, also where a change is of no other interest,
        or came and went while a watch was broken, so that nobody ever tells of it.
        """
        written = self._own_writes.pop(key, {})
        unseen = {informer: revision for informer, revision in written.items() if informer.revision < revision}
        if unseen:
            self._own_writes[key] = unseen
            informer, revision = next(iter(unseen.items()))
            if self._awaiting.get(key) != revision:
                self._awaiting[key] = revision
                informer.when_seen(revision, partial(self._seen, key))

    def _seen(self, key: str) -> None:
        if self._awaiting.pop(key, None) is not None:
            self.queue.add(key)

    # running

    def _process(self, key: str, cause: int) -> None:
        self.client.cause = cause
        try:
            self.sync(key)
        except ApiError as error:
            self._failed(key, error)
        except Exception:
            self.queue.add_rate_limited(key)
            raise
        else:
            self.queue.forget(key)
            self._follow_up(key)
        finally:
            self.client.cause = 0

    def _failed(self, key: str, error: ApiError) -> None:
        """Try again later. A conflict or a lost race is daily life; anything else is told on the object."""
        self.queue.add_rate_limited(key)
        if error.reason in ("Conflict", "AlreadyExists", "NotFound"):
            return
        obj = self.subject(key)
        if obj is not None:
            self.events.event(obj, WARNING, "FailedSync", error.message)

    def subject(self, key: str) -> Object | None:
        """The object that events about `key` are told on, where the controller knows it."""
        return None


def owner_uids(obj: Object) -> list[str]:
    """Index function: the uids of all owners."""
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()]
