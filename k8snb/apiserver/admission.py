"""kube-apiserver's admission chain: what may still change, or refuse, a write that is otherwise in order.

Interface: `PLUGINS`, the chain in its order; each plug-in is called as `plugin(server, request, obj, old)` and returns
the object.
The rule not to break: a plug-in builds a new dict and decides by what is in the store.
Source: `pkg/kubeapiserver/options/plugins.go` (the order), `plugin/pkg/admission/*`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from k8snb.apimachinery.errors import ApiError, bad_request, forbidden, not_found
from k8snb.apimachinery.kinds import find
from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.apimachinery.taints import NO_EXECUTE, NO_SCHEDULE, NOT_READY, UNREACHABLE, tolerates
from k8snb.apiserver.certificates import signing_requests
from k8snb.apiserver.node_restriction import node_restriction
from k8snb.client import Request
from k8snb.etcd import Store


class Server(Protocol):
    """What plug-ins may ask the apiserver for."""

    store: Store


Plugin = Callable[[Server, Request, Object, Object | None], Object]

IMMORTAL = ("default", "kube-system", "kube-public", "kube-node-lease")
TOLERATED_SECONDS = 300
PRIORITY_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


def namespace_lifecycle(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """Nothing is made in a namespace that is not there or on its way out; the first four stay."""
    if request.verb == "delete" and request.kind.builtin == "namespaces" and name_of(obj) in IMMORTAL:
        raise forbidden(request.kind, name_of(obj), "this namespace may not be deleted")
    if request.verb != "create" or not request.kind.namespaced or request.subresource:
        return obj
    namespaces = find("namespaces")
    assert namespaces is not None
    record = server.store.get(namespaces.key("", namespace_of(obj)))
    if record is None:
        raise not_found(namespaces, namespace_of(obj))
    if get_path(record.value, "status.phase") == "Terminating":
        why = f"unable to create new content in namespace {namespace_of(obj)} because it is being terminated"
        raise forbidden(request.kind, name_of(obj), why)
    return obj


def service_account(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """A pod runs as a service account, `default` if it names none. Its token is not mounted by k8snb.

    `default` need not be there yet: the service account controller makes it for every namespace (upstream waits for
    it).
    """
    if not _creates(request, "pods"):
        return obj
    spec = obj["spec"]
    name = spec.get("serviceAccountName") or "default"
    accounts = find("serviceaccounts")
    assert accounts is not None
    if name != "default" and server.store.get(accounts.key(namespace_of(obj), name)) is None:
        why = f'error looking up service account {namespace_of(obj)}/{name}: serviceaccount "{name}" not found'
        raise forbidden(request.kind, name_of(obj), why)
    if spec.get("serviceAccountName") == name:
        return obj
    return {**obj, "spec": {**spec, "serviceAccountName": name, "serviceAccount": name}}


def priority(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """The number behind `priorityClassName`; PriorityClass objects are not implemented by k8snb."""
    if not _creates(request, "pods") or "priority" in obj["spec"]:
        return obj
    name = obj["spec"].get("priorityClassName")
    if name and name not in PRIORITY_CLASSES:
        raise forbidden(request.kind, name_of(obj), f"no PriorityClass with name {name} was found")
    value = PRIORITY_CLASSES.get(name or "", 0)
    return {**obj, "spec": {**obj["spec"], "priority": value, "preemptionPolicy": "PreemptLowerPriority"}}


def default_toleration_seconds(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """A pod stays five minutes on a node that has gone quiet, unless it says otherwise."""
    if not _creates(request, "pods"):
        return obj
    tolerations = obj["spec"].get("tolerations") or []
    missing = [
        {"key": key, "operator": "Exists", "effect": NO_EXECUTE, "tolerationSeconds": TOLERATED_SECONDS}
        for key in (NOT_READY, UNREACHABLE)
        if not any(tolerates(toleration, {"key": key, "effect": NO_EXECUTE}) for toleration in tolerations)
    ]
    return {**obj, "spec": {**obj["spec"], "tolerations": [*tolerations, *missing]}} if missing else obj


def taint_nodes_by_condition(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """A node takes no pods before it has said that it is ready."""
    if not _creates(request, "nodes"):
        return obj
    spec = obj.get("spec") or {}
    taints = spec.get("taints") or []
    if any(taint["key"] == NOT_READY for taint in taints):
        return obj
    return {**obj, "spec": {**spec, "taints": [*taints, {"key": NOT_READY, "effect": NO_SCHEDULE}]}}


PLUGINS: tuple[Plugin, ...] = (
    namespace_lifecycle,
    node_restriction,
    taint_nodes_by_condition,
    service_account,
    priority,
    default_toleration_seconds,
    signing_requests,
)


def admit(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """Run the chain. A plug-in that breaks refuses the request instead of the cluster."""
    for plugin in PLUGINS:
        try:
            obj = plugin(server, request, obj, old)
        except ApiError:
            raise
        except Exception as error:
            raise bad_request(f"admission plug-in {plugin.__name__} failed: {error!r}") from error
    return obj


def _creates(request: Request, plural: str) -> bool:
    return request.verb == "create" and request.kind.builtin == plural and not request.subresource
