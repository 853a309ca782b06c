"""kubelet's active deadline: how long a pod may run on its node.

Interface: `seconds_left(pod, now)`, `overdue(pod)`, both pure.
The rule not to break: the time counts from `status.startTime`, whatever the pod's containers have done since.
Source: `pkg/kubelet/active_deadline.go`.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path, is_deleting
from k8snb.clock import parse_timestamp
from k8snb.kubelet.actions import is_terminal

REASON, MESSAGE = "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"


def seconds_left(pod: Object, now: float) -> float | None:
    """Until the pod has to end; None for one that has no deadline, has not started, or is at its end anyway."""
    allowed, started = pod["spec"].get("activeDeadlineSeconds"), get_path(pod, "status.startTime")
    if allowed is None or not started or is_deleting(pod) or is_terminal(pod):
        return None
    return float(parse_timestamp(started) + allowed - now)


def overdue(pod: Object) -> Object:
    """The pod with the status of one whose time is up."""
    return {**pod, "status": {**pod["status"], "phase": "Failed", "reason": REASON, "message": MESSAGE}}
