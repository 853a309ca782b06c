"""kube-apiserver's admission plug-ins: what one is, and what it may ask for.

Interface: `Plugin`, `Server`; `creates`, `updates`, `find_object`, `objects` for plug-ins.
The rule not to break: a plug-in decides by what is in the store, and by nothing that it remembers.
Source: `apiserver/pkg/admission/interfaces.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from k8snb.apimachinery.kinds import Kind, find
from k8snb.apimachinery.meta import Object
from k8snb.client import Request
from k8snb.etcd import Store


class Server(Protocol):
    """What plug-ins may ask the apiserver for."""

    store: Store


Plugin = Callable[[Any, Request, Object, Object | None], Object]


def creates(request: Request, plural: str) -> bool:
    return request.verb == "create" and request.kind.builtin == plural and not request.subresource


def updates(request: Request, plural: str) -> bool:
    return request.verb in ("update", "patch") and request.kind.builtin == plural and not request.subresource


def kind_of(word: str) -> Kind:
    kind = find(word)
    assert kind is not None, word
    return kind


def find_object(server: Server, word: str, name: str, namespace: str = "") -> Object | None:
    """One object as the store has it now."""
    record = server.store.get(kind_of(word).key(namespace, name))
    return None if record is None else record.value


def objects(server: Server, word: str, namespace: str = "") -> list[Object]:
    """All objects of a kind, or those in one namespace, in the order of their names."""
    records, _ = server.store.range(kind_of(word).prefix + (f"{namespace}/" if namespace else ""))
    return [record.value for record in records]
