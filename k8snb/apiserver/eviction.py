"""kube-apiserver's eviction: a deletion that asks first whether a pod may go.

Interface: `evict(server, request)`, the subresource `pods/eviction`.
The rule not to break: what a budget has allowed is taken from it before the pod goes, so that two who evict at the same
time cannot both have the last permission.
Source: `pkg/registry/core/pod/storage/eviction.go`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from k8snb.apimachinery.errors import ApiError, bad_request, forbidden
from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import (
    Object,
    get_path,
    is_deleting,
    is_true,
    labels_of,
    name_of,
    namespace_of,
    with_condition,
)
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.apiserver.registry import Registry
from k8snb.client import Request
from k8snb.clock import Clock, timestamp

BUDGET = BY_GVK["policy/v1", "PodDisruptionBudget"]
VIOLATION = "Cannot evict pod as it would violate the pod's disruption budget."
SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
MOST_DISRUPTED = 2000  # pods that a budget may wait for
_DONE = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


class Server(Protocol):
    registry: Registry
    clock: Clock


def evict(server: Server, request: Request) -> Object:
    """Delete a pod politely. Raises TooManyRequests where its budget does not allow that now."""
    pod = server.registry.get(request)
    named = get_path(request.body, "metadata.name")
    if named and named != name_of(pod):
        raise bad_request("name in URL does not match name in Eviction object")
    options = get_path(request.body, "deleteOptions") or {}
    options = {**options, "dryRun": bool(options.get("dryRun") or request.options.get("dryRun"))}
    if not _goes_freely(pod):
        budgets = _budgets(server, pod)
        if len(budgets) > 1:
            raise ApiError(500, "", SEVERAL)
        if budgets and not _is_past_saving(pod, budgets[0]):
            _take_permission(server, request, budgets[0], pod, keep=not options["dryRun"])
        pod = _marked(server, request, pod) if not options["dryRun"] else pod
    server.registry.delete(replace(request, verb="delete", subresource="", body=None, options=options))
    return _DONE


def _goes_freely(pod: Object) -> bool:
    """Whether the pod serves nobody, so that no budget counts it."""
    return get_path(pod, "status.phase") in ("Succeeded", "Failed", "Pending") or is_deleting(pod)


def _budgets(server: Server, pod: Object) -> list[Object]:
    records, _ = server.registry.store.range(f"{BUDGET.prefix}{namespace_of(pod)}/")
    return [record.value for record in records if _covers(record.value, pod)]


def _covers(budget: Object, pod: Object) -> bool:
    selector = budget["spec"].get("selector")
    return selector is not None and from_label_selector(selector).matches(labels_of(pod))


def _is_past_saving(pod: Object, budget: Object) -> bool:
    """Whether a pod that is not ready may go, whatever the budget has left."""
    if is_true(pod, "Ready"):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    return bool(status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0)


def _take_permission(server: Server, request: Request, budget: Object, pod: Object, *, keep: bool) -> None:
    """Take one disruption from the budget, and note in it that the pod is on its way out."""
    status, name = budget.get("status") or {}, name_of(budget)
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise _refusal(f"The disruption budget {name} is still being processed by the server.", seconds=10)
    disrupted = status.get("disruptedPods") or {}
    if len(disrupted) > MOST_DISRUPTED:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise forbidden(BUDGET, name, why)
    left = status.get("disruptionsAllowed", 0)
    if left <= 0:
        wanted, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        raise _refusal(f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently")
    now = timestamp(server.clock.now())
    conditions = status.get("conditions") or []
    if left == 1:
        entry = {"type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
                 "observedGeneration": status.get("observedGeneration", 0)}  # fmt: skip
        conditions = with_condition(conditions, entry, now)
    taken = {**status, "disruptionsAllowed": left - 1, "disruptedPods": {**disrupted, name_of(pod): now},
             "conditions": conditions}  # fmt: skip
    if keep:
        updating = replace(request, kind=BUDGET, name=name, verb="update", subresource="status", body=None, options={})
        server.registry.put(updating, {**budget, "status": taken}, budget)


def _refusal(why: str, *, seconds: int = 0) -> ApiError:
    details = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    return ApiError(
        429, "TooManyRequests", VIOLATION, {**details, **({"retryAfterSeconds": seconds} if seconds else {})}
    )


def _marked(server: Server, request: Request, pod: Object) -> Object:
    """The pod with the condition that says why it ends."""
    entry = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
             "message": "Eviction API: evicting"}  # fmt: skip
    conditions = with_condition(get_path(pod, "status.conditions") or (), entry, timestamp(server.clock.now()))
    marked = {**pod, "status": {**pod["status"], "conditions": conditions}}
    return server.registry.put(replace(request, verb="update", subresource="status", options={}), marked, pod)
