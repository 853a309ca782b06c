"""Taints and tolerations: which pods a node keeps away.

Interface: `tolerates`, `untolerated`, and the names of the taints that the control plane itself sets.
The rule not to break: pure, on plain dicts.
Source: `component-helpers/scheduling/corev1/helpers.go` and `api/core/v1/toleration.go` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from k8snb.apimachinery.meta import Object

NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE = "NoSchedule", "PreferNoSchedule", "NoExecute"

EFFECTS = (NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE)

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"
SHUTDOWN = "node.cloudprovider.kubernetes.io/shutdown"


def tolerates(toleration: Object, taint: Object) -> bool:
    """An empty effect means every effect; operator Exists without a key means every taint."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def untolerated(taints: Iterable[Object], tolerations: Iterable[Object], effects: Collection[str]) -> Object | None:
    """The first taint with one of these effects that no toleration is meant for."""
    tolerations = list(tolerations)
    for taint in taints:
        if taint["effect"] in effects and not any(tolerates(toleration, taint) for toleration in tolerations):
            return taint
    return None


def show(taint: Object) -> str:
    """`{key: value}`, as the scheduler's messages have it."""
    return f"{{{taint['key']}: {taint.get('value') or ''}}}"
