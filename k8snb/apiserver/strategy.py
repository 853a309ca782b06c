"""kube-apiserver's strategies: what each kind needs before it is stored, where that differs between kinds.

Interface: `prepare_for_create`, `prepare_for_update`, `prepare_for_status`, all pure.
The rule not to break: spec belongs to the user, status to the controllers: a write to one cannot change the other.
Source: `pkg/registry/*/strategy.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.quantity import parse
from k8snb.apiserver import daemonset_strategy, job_strategy, pod_doors, volume_strategy

# kinds that count changes of their spec
GENERATION = ("pods", "replicationcontrollers", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs",
              "cronjobs", "poddisruptionbudgets", "ingresses", "ingressclasses", "networkpolicies",
              "customresourcedefinitions", "validatingadmissionpolicies", "validatingadmissionpolicybindings",
              "validatingwebhookconfigurations", "mutatingwebhookconfigurations")  # fmt: skip
KEEPS_STATUS = ("nodes",)  # kinds whose creator may set the status
SERVER_METADATA = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
                   "resourceVersion", "selfLink", "managedFields")  # fmt: skip


# what the server writes into a new object, once it has its name and uid
GENERATED: dict[str, Callable[[Object], Object]] = {
    "jobs": job_strategy.with_selector,
    "daemonsets": daemonset_strategy.with_first_generation,
    "persistentvolumes": volume_strategy.with_first_phase,
}
# what the server writes into an object that takes the place of an older one
REGENERATED: dict[str, Callable[[Object, Object], Object]] = {"daemonsets": daemonset_strategy.with_generation}
# kinds whose dependents stay when whoever deletes them says nothing else: what is remarked then
ORPHANING = {"jobs": job_strategy.ORPHANS}


def has_status(kind: Kind) -> bool:
    return "status" in kind.subresources


def counts_generations(kind: Kind) -> bool:
    return kind.builtin in GENERATION or kind.custom is not None


def _wanted(kind: Kind, obj: Object) -> object:
    """What a change of which begins a new generation: the spec; of a custom resource all but metadata and status."""
    if kind.custom is None:
        return obj.get("spec")
    apart = ("metadata", "status") if has_status(kind) else ("metadata",)
    return {name: value for name, value in obj.items() if name not in apart}


def prepare_for_create(kind: Kind, obj: Object) -> Object:
    """Drop what only the server may set; give the first status."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in SERVER_METADATA}
    if not kind.namespaced:
        metadata.pop("namespace", None)
    if counts_generations(kind):
        metadata["generation"] = 1
    prepared = {**obj, "metadata": metadata}
    if has_status(kind) and kind.builtin not in KEEPS_STATUS:
        prepared.pop("status", None)
        if kind.custom is None:
            first = FIRST_STATUS.get(kind.plural)
            prepared["status"] = first(prepared) if first else {}
    if kind.builtin == "namespaces":
        prepared["spec"] = {**(prepared.get("spec") or {}), "finalizers": ["kubernetes"]}
    return prepared


def prepare_for_update(kind: Kind, obj: Object, old: Object) -> Object:
    """Keep what the server set; count the generation up when the spec says something else."""
    metadata = _server_metadata(obj, old)
    prepared = {**obj, "metadata": metadata}
    if has_status(kind):
        prepared.pop("status", None)
        if "status" in old:
            prepared["status"] = old["status"]
    if counts_generations(kind) and _wanted(kind, prepared) != _wanted(kind, old):
        metadata["generation"] = old["metadata"].get("generation", 0) + 1
    if kind.builtin == "namespaces":
        prepared["spec"] = old["spec"]
    regenerate = REGENERATED.get(kind.builtin)
    return regenerate(prepared, old) if regenerate else prepared


def prepare_for_status(kind: Kind, obj: Object, old: Object) -> Object:
    """Take over the status and nothing else (for nodes also labels and annotations, as upstream)."""
    status = obj.get("status") or {}
    if kind.custom is None:
        status = _sharing(status, old.get("status") or {})
    prepared = {**old, "status": status}
    if kind.builtin in KEEPS_STATUS:
        prepared["metadata"] = _server_metadata(obj, old)
    return prepared


def _sharing(part: Any, old: Any) -> Any:
    """A status, or a part of one, with the old one's own parts where it says the same: history keeps those once.

    A schema has seen both, so that what is equal is of the same type.
    """
    if part == old:
        return old
    if type(part) is dict and type(old) is dict:
        return {field: _sharing(inner, old.get(field)) for field, inner in part.items()}
    if type(part) is list and type(old) is list:
        return [_sharing(*pair) for pair in zip(part, [*old, *part[len(old) :]], strict=False)]
    return part


def prepare_for_ephemeral_containers(kind: Kind, obj: Object, old: Object) -> Object:
    return prepare_for_update(kind, pod_doors.prepare_ephemeral_containers(obj, old), old)


def prepare_for_resize(kind: Kind, obj: Object, old: Object) -> Object:
    return prepare_for_update(kind, pod_doors.prepare_resize(obj, old), old)


# what is taken over of an object that is written through one of these subresources
PREPARE: dict[str, Callable[[Kind, Object, Object], Object]] = {
    "status": prepare_for_status,
    "ephemeralcontainers": prepare_for_ephemeral_containers,
    "resize": prepare_for_resize,
}


def complete(kind: Kind, obj: Object) -> Object:
    """A new object with what the server itself writes into its spec."""
    generate = GENERATED.get(kind.builtin)
    return generate(obj) if generate else obj


def _server_metadata(obj: Object, old: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in SERVER_METADATA and value != []}
    kept = {key: old["metadata"][key] for key in SERVER_METADATA if key in old["metadata"]}
    return {**metadata, **kept}


def qos_class(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort, by requests and limits of all containers.

    Source: `pkg/apis/core/v1/helper/qos`.
    """
    containers = [*pod["spec"].get("containers", ()), *(pod["spec"].get("initContainers") or ())]
    resources = [container.get("resources") or {} for container in containers]
    amounts = [_amounts(resource) for resource in resources]
    if not any(requests or limits for requests, limits in amounts):
        return "BestEffort"
    guaranteed = all(
        limits.keys() == {"cpu", "memory"} and all(requests.get(name, limits[name]) == limits[name] for name in limits)
        for requests, limits in amounts
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _amounts(resources: Object) -> tuple[Object, Object]:
    def of(field: str) -> Object:
        amounts = resources.get(field) or {}
        return {name: amounts[name] for name in ("cpu", "memory") if name in amounts and parse(amounts[name])}

    return of("requests"), of("limits")


FIRST_STATUS: dict[str, Callable[[Object], Object]] = {
    "pods": lambda pod: {"phase": "Pending", "qosClass": qos_class(pod), **pod_doors.gated(pod)},
    "namespaces": lambda namespace: {"phase": "Active"},
    "services": lambda service: {"loadBalancer": {}},
    "replicationcontrollers": lambda controller: {"replicas": 0},
    "replicasets": lambda controller: {"replicas": 0},
    "statefulsets": lambda controller: {"replicas": 0, "availableReplicas": 0},
    "daemonsets": lambda controller: dict.fromkeys(
        ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"), 0
    ),
    "poddisruptionbudgets": lambda budget: dict.fromkeys(
        ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"), 0
    ),
    "horizontalpodautoscalers": lambda scaler: {"currentReplicas": 0, "desiredReplicas": 0},
    "ingresses": lambda ingress: {"loadBalancer": {}},
    "persistentvolumes": lambda volume: {"phase": "Pending"},
    "persistentvolumeclaims": lambda claim: {"phase": "Pending"},
    "volumeattachments": lambda attachment: {"attached": False},
}


def is_terminal(pod: Object) -> bool:
    return get_path(pod, "status.phase") in ("Succeeded", "Failed")


def grace_period(kind: Kind, obj: Object, asked: int | None) -> int:
    """Seconds an object may take to end: pods on a node get time, everything else ends at once."""
    if kind.builtin != "pods":
        return 0
    if not obj["spec"].get("nodeName") or is_terminal(obj):
        return 0
    default: int = obj["spec"].get("terminationGracePeriodSeconds", 30)
    return max(default if asked is None else asked, 0)
