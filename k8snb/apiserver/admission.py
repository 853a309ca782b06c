"""kube-apiserver's admission chain: what may still change, or refuse, a write that is otherwise in order.

Interface: `PLUGINS`, what may change an object, and `VALIDATORS`, what sees it afterwards, when it is valid, and may
only refuse it; both in their order; `CONCERNS`, which kinds each looks at. A plug-in is called as
`plugin(server, request, obj, old)` and returns the object.
The rule not to break: a plug-in builds a new dict and decides by what is in the store; only the last row of
`VALIDATORS` writes, for what it has counted has to be let in.
Source: `pkg/kubeapiserver/options/plugins.go` (the order), `plugin/pkg/admission/*`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from k8snb.apimachinery.errors import ApiError, bad_request, forbidden, not_found
from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.apimachinery.taints import NO_EXECUTE, NO_SCHEDULE, NOT_READY, UNREACHABLE, tolerates
from k8snb.apiserver import webhooks
from k8snb.apiserver.admission_ingressclass import default_ingress_class
from k8snb.apiserver.admission_limitranger import limit_defaults, limit_ranger
from k8snb.apiserver.admission_plugin import Plugin, Server, creates, find_object, kind_of
from k8snb.apiserver.admission_podsecurity import TEMPLATES, pod_security
from k8snb.apiserver.admission_priority import one_default, priority
from k8snb.apiserver.admission_privileged import privileged
from k8snb.apiserver.admission_resourcequota import resource_quota
from k8snb.apiserver.admission_runtimeclass import overhead_matches, runtime_class
from k8snb.apiserver.admission_serviceaccount import service_account
from k8snb.apiserver.admission_storage import (
    PROTECTION,
    claim_resize,
    default_storage_class,
    storage_object_in_use_protection,
)
from k8snb.apiserver.certificates import signing_requests
from k8snb.apiserver.node_restriction import node_restriction
from k8snb.apiserver.policies import validating_policies
from k8snb.apiserver.webhooks import validating_webhooks
from k8snb.client import Request

IMMORTAL = ("default", "kube-system", "kube-public", "kube-node-lease")
TOLERATED_SECONDS = 300


def namespace_lifecycle(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """Nothing is made in a namespace that is not there or on its way out; the first four stay."""
    if request.verb == "delete" and request.kind.builtin == "namespaces" and name_of(obj) in IMMORTAL:
        raise forbidden(request.kind, name_of(obj), "this namespace may not be deleted")
    if request.verb != "create" or not request.kind.namespaced or request.subresource:
        return obj
    namespace = find_object(server, "namespaces", namespace_of(obj))
    if namespace is None:
        raise not_found(kind_of("namespaces"), namespace_of(obj))
    if get_path(namespace, "status.phase") == "Terminating":
        why = f"unable to create new content in namespace {namespace_of(obj)} because it is being terminated"
        raise forbidden(request.kind, name_of(obj), why)
    return obj


def default_toleration_seconds(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """A pod stays five minutes on a node that has gone quiet, unless it says otherwise."""
    if not creates(request, "pods"):
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
    if not creates(request, "nodes"):
        return obj
    spec = obj.get("spec") or {}
    taints = spec.get("taints") or []
    if any(taint["key"] == NOT_READY for taint in taints):
        return obj
    return {**obj, "spec": {**spec, "taints": [*taints, {"key": NOT_READY, "effect": NO_SCHEDULE}]}}


PLUGINS: tuple[Plugin, ...] = (
    namespace_lifecycle,
    limit_defaults,
    service_account,
    node_restriction,
    taint_nodes_by_condition,
    priority,
    default_toleration_seconds,
    default_storage_class,
    storage_object_in_use_protection,
    runtime_class,
    signing_requests,
    default_ingress_class,
)

# the built-in kinds that a plug-in looks at; one that is not here looks at every request
CONCERNS: Mapping[Plugin, frozenset[str]] = {
    limit_defaults: frozenset({"pods"}),
    service_account: frozenset({"pods"}),
    taint_nodes_by_condition: frozenset({"nodes"}),
    priority: frozenset({"pods"}),
    default_toleration_seconds: frozenset({"pods"}),
    default_storage_class: frozenset({"persistentvolumeclaims"}),
    storage_object_in_use_protection: frozenset(PROTECTION),
    runtime_class: frozenset({"pods"}),
    signing_requests: frozenset({"certificatesigningrequests"}),
    default_ingress_class: frozenset({"ingresses"}),
    limit_ranger: frozenset({"pods", "persistentvolumeclaims"}),
    pod_security: frozenset({"namespaces", "pods", *TEMPLATES}),
    one_default: frozenset({"priorityclasses"}),
    claim_resize: frozenset({"persistentvolumeclaims"}),
    overhead_matches: frozenset({"pods"}),
}

VALIDATORS: tuple[Plugin, ...] = (
    privileged,
    limit_ranger,
    pod_security,
    one_default,
    claim_resize,
    overhead_matches,
    validating_policies,
    validating_webhooks,
    resource_quota,
)


def admit(server: webhooks.Server, request: Request, obj: Object, old: Object | None) -> Object:
    """The object as the plug-ins and then the webhooks leave it. Raises ApiError where one refuses it."""
    admitted = _run(PLUGINS, server, request, obj, old)
    return webhooks.mutate(server, request, admitted, old, lambda changed: _run(PLUGINS, server, request, changed, old))


def admit_question(server: webhooks.Server, request: Request, obj: Object) -> Object:
    """What is asked for through a door behind which nothing is stored, as those leave it who are asked about that."""
    changed = webhooks.mutate(server, request, obj, None, lambda found: found)
    return _run((validating_policies, validating_webhooks), server, request, changed, None)


def check(server: webhooks.Server, request: Request, obj: Object, old: Object | None) -> Object:
    """Refuse a valid object that may not be. Raises ApiError."""
    return _run(VALIDATORS, server, request, obj, old)


def _run(plugins: tuple[Plugin, ...], server: Any, request: Request, obj: Object, old: Object | None) -> Object:
    """Run a chain. A plug-in that breaks refuses the request instead of the cluster."""
    for plugin in _concerned(plugins, request.kind.builtin):
        try:
            obj = plugin(server, request, obj, old)
        except ApiError:
            raise
        except Exception as error:
            raise bad_request(f"admission plug-in {plugin.__name__} failed: {error!r}") from error
    return obj


@lru_cache(maxsize=512)
def _concerned(plugins: tuple[Plugin, ...], builtin: str) -> tuple[Plugin, ...]:
    """Those of a chain that look at a kind; `builtin` is "" for a custom one."""
    return tuple(plugin for plugin in plugins if builtin in CONCERNS.get(plugin, (builtin,)))
