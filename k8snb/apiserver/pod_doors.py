"""kube-apiserver's strategies for a pod's own doors: what a write through one of them takes over.

Interface: `prepare_ephemeral_containers(new, old)`, `prepare_resize(new, old)`, both pure.
The rule not to break: whatever else the sent object says is passed over in silence, as upstream does.
Source: `podEphemeralContainersStrategy`, `podResizeStrategy` in pkg/registry/core/pod/strategy.go.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object

RESIZED = ("resources", "resizePolicy")


def prepare_ephemeral_containers(new: Object, old: Object) -> Object:
    """The old pod with the new one's ephemeral containers."""
    ephemeral = new["spec"].get("ephemeralContainers")
    spec = {name: value for name, value in old["spec"].items() if name != "ephemeralContainers"}
    return {**old, "spec": {**spec, **({"ephemeralContainers": ephemeral} if ephemeral else {})}}


def prepare_resize(new: Object, old: Object) -> Object:
    """The old pod with the new one's resources. Added, removed and renamed containers are left for validation."""
    fields = [field for field in ("containers", "initContainers") if field in old["spec"]]
    names = [[entry["name"] for entry in pod["spec"].get(field) or ()] for pod in (new, old) for field in fields]
    if names[: len(fields)] != names[len(fields) :]:
        return new
    changed = {
        field: [_resized(one, before) for one, before in zip(new["spec"][field], old["spec"][field], strict=True)]
        for field in fields
    }
    return {**old, "spec": {**old["spec"], **changed}}


def _resized(container: Object, old: Object) -> Object:
    kept = {name: value for name, value in old.items() if name not in RESIZED}
    return {**kept, **{name: container[name] for name in RESIZED if name in container}}


def gated(pod: Object) -> Object:
    """The condition that a new pod with scheduling gates begins with (`applySchedulingGatedCondition`)."""
    if not pod["spec"].get("schedulingGates"):
        return {}
    message = "Scheduling is blocked due to non-empty scheduling gates"
    entry = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": message}
    return {"conditions": [entry]}
