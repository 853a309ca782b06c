"""generic-garbage-collector: what was owned goes when its owners have gone.

Interface: `GarbageCollector`. Its graph is the informers' caches: an index by owner uid leads from owners to
dependents, the owner references lead back. Keys are `resource namespace/name`.
The rule not to break: an object goes only when none of its owners is left, and never before the apiserver was asked
whether an owner that the cache does not know really is absent. An event costs as much as the object has owners and
dependents.
Source: `pkg/controller/garbagecollector` in the kubernetes repository, which keeps a graph of its own beside the
caches.

    background   the owner goes at once; the dependents then find no owner and follow
    foreground   the owner waits, with finalizer `foregroundDeletion`, for the dependents that block it
    orphan       the owner waits, with finalizer `orphan`, until no dependent names it any more
"""

from __future__ import annotations

from collections.abc import Iterator

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import BY_GVK, Kind
from k8snb.apimachinery.meta import Object, is_deleting, key_of, name_of, namespace_of, revision_of, uid_of
from k8snb.client.client import MERGE
from k8snb.client.context import Context
from k8snb.client.controller import OWNER, Controller, owner_uids
from k8snb.client.informer import Informer, Informers
from k8snb.controllers.claim import released

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
POLICIES = {ORPHAN: "Orphan", FOREGROUND: "Foreground"}
NEEDED_VERBS = {"list", "watch", "delete"}
IGNORED = frozenset(("events",))


class GarbageCollector(Controller):
    name = "generic-garbage-collector"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self._kinds: dict[str, Kind] = {}
        self._informers: dict[str, Informer] = {}
        self._custom: dict[tuple[str, str], Kind] = {}
        self.watch_kinds(_is_collected, self._observe)

    def _observe(self, kind: Kind, informer: Informer) -> None:
        self._kinds[kind.word], self._informers[kind.word] = kind, informer
        informer.add_index(OWNER, owner_uids, steady=True)
        informer.on_change(lambda old, new: self._changed(kind, old, new))

    # what makes an object worth a look

    def _changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        if new is None:
            if old is not None:
                self._gone(old)
            return
        if _waits(new) or any(not self._is_at_peace(new, reference) for reference in _references(new)):
            self._add(kind, new, revision_of(new))
        if old is not None and _references(old) != _references(new):
            self._let_owners_look(old, revision_of(new))

    def _gone(self, obj: Object) -> None:
        """Its dependents may have to follow, and an owner that waited for it may go."""
        for kind, dependent in self._dependents(obj):
            self._add(kind, dependent, revision_of(obj))
        self._let_owners_look(obj, revision_of(obj))

    def _let_owners_look(self, obj: Object, cause: int) -> None:
        for reference in _references(obj):
            owner = self._cached(obj, reference)
            if owner is not None and _waits(owner):
                kind = self._kind_of(owner)
                assert kind is not None
                self._add(kind, owner, cause)

    def _is_at_peace(self, obj: Object, reference: Object) -> bool:
        """Whether the owner is there and does not wait for its dependents."""
        owner = self._cached(obj, reference)
        return owner is not None and not _waits(owner)

    def _add(self, kind: Kind, obj: Object, cause: int) -> None:
        self.queue.add(f"{kind.word} {key_of(obj)}", cause)

    # the graph

    def _kind_of(self, reference: Object) -> Kind | None:
        """None for an owner of a kind that this apiserver never served: nothing can be said about it then.

        A custom kind is remembered: when its definition has gone, so have its objects.
        """
        gvk = reference["apiVersion"], reference["kind"]
        if gvk not in BY_GVK and gvk not in self._custom:
            kinds = (kind for kind in self.client.kinds() if kind.custom is not None)
            self._custom.update({(kind.api_version, kind.kind): kind for kind in kinds})
        return BY_GVK.get(gvk) or self._custom.get(gvk)

    def _is_resolvable(self, obj: Object, reference: Object) -> bool:
        """A namespaced owner of an object without namespace can not be looked for."""
        kind = self._kind_of(reference)
        return kind is not None and (not kind.namespaced or bool(namespace_of(obj)))

    def _cached(self, obj: Object, reference: Object) -> Object | None:
        """The owner that a reference means, if the cache has it."""
        kind = self._kind_of(reference)
        informer = self._informers.get(kind.word) if kind else None
        if kind is None or informer is None:
            return None
        owner = informer.get(reference["name"], namespace_of(obj) if kind.namespaced else "")
        return owner if owner is not None and uid_of(owner) == reference["uid"] else None

    def _owner(self, obj: Object, reference: Object) -> Object | None:
        """The owner that a reference means; asks the apiserver where the cache has none. Raises ApiError."""
        kind = self._kind_of(reference)
        cached = self._cached(obj, reference)
        if cached is not None or kind is None:
            return cached
        owner = self.client.find(kind, reference["name"], namespace_of(obj) if kind.namespaced else "")
        return owner if owner is not None and uid_of(owner) == reference["uid"] else None

    def _dependents(self, owner: Object) -> Iterator[tuple[Kind, Object]]:
        uid = uid_of(owner)
        for word, informer in list(self._informers.items()):
            for dependent in list(informer.by_index(OWNER, uid)):
                yield self._kinds[word], dependent

    # the loop

    def sync(self, key: str) -> None:
        resource, _, name = key.partition(" ")
        kind = self._kinds.get(resource)
        obj = self._informers[resource].by_key(name) if kind else None
        if kind is None or obj is None:
            return
        if is_deleting(obj):
            if FOREGROUND in _finalizers(obj):
                self._release_when_alone(kind, obj)
            elif ORPHAN in _finalizers(obj):
                self._orphan_dependents(kind, obj)
        elif _references(obj) and all(self._is_resolvable(obj, reference) for reference in _references(obj)):
            self._judge(kind, obj)

    def subject(self, key: str) -> Object | None:
        resource, _, name = key.partition(" ")
        return self._informers[resource].by_key(name) if resource in self._informers else None

    def _judge(self, kind: Kind, obj: Object) -> None:
        """An object lives as long as one owner does that is not waiting for it to go."""
        owners = [(reference, self._owner(obj, reference)) for reference in _references(obj)]
        solid = [reference for reference, owner in owners if owner is not None and not _waits_for_dependents(owner)]
        waited_for = any(owner is not None and _waits_for_dependents(owner) for reference, owner in owners)
        if len(solid) == len(owners):
            return
        if solid:
            self._write_references(kind, obj, solid)
            return
        dependents = [dependent for _, dependent in self._dependents(obj)] if waited_for else []
        if any(_waits(dependent) for dependent in dependents):
            self._unblock_owners(kind, obj)
        own = next((POLICIES[finalizer] for finalizer in _finalizers(obj) if finalizer in POLICIES), "Background")
        self._delete(kind, obj, "Foreground" if dependents else own)

    def _delete(self, kind: Kind, obj: Object, policy: str) -> None:
        preconditions = {"uid": uid_of(obj)}
        try:
            self.client.delete(
                kind, name_of(obj), namespace_of(obj), preconditions=preconditions, propagationPolicy=policy
            )
        except ApiError as error:
            if error.code != 404:
                raise

    def _release_when_alone(self, kind: Kind, owner: Object) -> None:
        """Foreground: have the dependents go; the last one that blocks lets the owner go."""
        blocked = False
        for dependent_kind, dependent in self._dependents(owner):
            blocked = blocked or _blocks(dependent, owner)
            if not is_deleting(dependent):
                self._add(dependent_kind, dependent, revision_of(owner))
        if not blocked:
            self._drop_finalizer(kind, owner, FOREGROUND)

    def _orphan_dependents(self, kind: Kind, owner: Object) -> None:
        for dependent_kind, dependent in self._dependents(owner):
            self._write_references(dependent_kind, dependent, released(dependent, uid_of(owner)))
        self._drop_finalizer(kind, owner, ORPHAN)

    def _unblock_owners(self, kind: Kind, obj: Object) -> None:
        """A circle of owners that all wait would wait for ever: this object blocks nobody any more."""
        free = [{**reference, "blockOwnerDeletion": False} for reference in _references(obj)]
        self._write_references(kind, obj, free)

    def _write_references(self, kind: Kind, obj: Object, references: list[Object]) -> None:
        if references != _references(obj):
            self._patch(kind, obj, {"ownerReferences": references or None})

    def _drop_finalizer(self, kind: Kind, obj: Object, finalizer: str) -> None:
        kept = [name for name in _finalizers(obj) if name != finalizer]
        self._patch(kind, obj, {"finalizers": kept or None})

    def _patch(self, kind: Kind, obj: Object, change: Object) -> None:
        """Change the metadata of exactly this object as the cache has it; gone is as good."""
        exactly = {"uid": uid_of(obj), "resourceVersion": obj["metadata"]["resourceVersion"]}
        patch = {"metadata": {**exactly, **change}}
        try:
            self.client.patch(kind, name_of(obj), patch, namespace_of(obj), content_type=MERGE)
        except ApiError as error:
            if error.code != 404:
                raise


def _references(obj: Object) -> list[Object]:
    return obj["metadata"].get("ownerReferences") or []


def _finalizers(obj: Object) -> list[str]:
    return obj["metadata"].get("finalizers") or []


def _is_collected(kind: Kind) -> bool:
    return kind.builtin not in IGNORED and set(kind.verbs) >= NEEDED_VERBS


def _waits(obj: Object) -> bool:
    """Whether the object is being deleted and a finalizer of the garbage collector holds it."""
    return is_deleting(obj) and any(finalizer in POLICIES for finalizer in _finalizers(obj))


def _waits_for_dependents(owner: Object) -> bool:
    """Whether an owner in foreground deletion waits for its dependents."""
    return is_deleting(owner) and FOREGROUND in _finalizers(owner)


def _blocks(dependent: Object, owner: Object) -> bool:
    return any(
        reference["uid"] == uid_of(owner) and reference.get("blockOwnerDeletion")
        for reference in _references(dependent)
    )
