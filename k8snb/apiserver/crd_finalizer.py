"""apiextensions-apiserver's finalizer: with a definition go its objects, and the names that others waited for.

Interface: `began(server, crd)`, `ended(server, kind, obj)`.
The rule not to break: a definition stays until the last of its objects has gone; their own finalizers count.
Source: `apiextensions-apiserver/pkg/controller/finalizer/crd_finalizer.go`. Upstream works it out in the background.
"""

from __future__ import annotations

from typing import Protocol

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of
from k8snb.apiserver.crd import CLEANUP, CRD, Definitions, kinds_of, released, storage_version, terminating
from k8snb.apiserver.registry import Registry
from k8snb.client import ADMIN, Request
from k8snb.clock import Clock, timestamp
from k8snb.etcd import Store

SERVER = ADMIN._replace(name="system:apiserver")


class Server(Protocol):
    store: Store
    registry: Registry
    definitions: Definitions
    clock: Clock


def began(server: Server, crd: Object) -> None:
    """A definition is to go: delete its objects, and let it go if none has to wait."""
    if CLEANUP not in (crd["metadata"].get("finalizers") or ()):
        return
    _put(server, crd, terminating(crd, timestamp(server.clock.now())))
    kind = _stored_kind(crd)
    server.registry.delete_collection(Request("deletecollection", kind, user=SERVER))
    _release(server, kind)


def ended(server: Server, kind: Kind, obj: Object) -> None:
    """An object has left the store: a definition may have waited for that, or for a name."""
    if kind.custom is not None:
        if server.definitions.is_ending(kind):
            _release(server, kind)
    elif kind is CRD:
        for waiting in server.definitions.waiting(obj["spec"]["group"]):
            _put(server, waiting, server.definitions.accept(waiting, timestamp(server.clock.now())))


def _release(server: Server, kind: Kind) -> None:
    crd = server.definitions.definition(kind)
    if crd is None or server.store.count(kind.prefix):
        return
    server.registry.replace(Request("update", CRD, "", name_of(crd), user=SERVER), released(crd), crd)


def _put(server: Server, old: Object, new: Object) -> None:
    server.registry.put(Request("update", CRD, "", name_of(old), "status", user=SERVER), new, old)


def _stored_kind(crd: Object) -> Kind:
    version = storage_version(crd)
    return next(kind for kind in kinds_of(crd, served=False) if kind.version == version)
