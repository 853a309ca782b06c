"""kubelet's QoS policy: whom the kernel ends first when the machine itself runs out of memory.

Interface: `oom_score_adjust(pod, container, capacity)`.
Source: `GetContainerOOMScoreAdjust` in pkg/kubelet/qos/policy.go. Upstream also gives each class a cgroup of its own.
"""

from __future__ import annotations

from k8snb.apimachinery import quantity
from k8snb.apimachinery.meta import Object, get_path

GUARANTEED, BEST_EFFORT = -997, 1000  # from -1000, never, to 1000, first
CRITICAL = 2_000_000_000  # the priority from which on a pod is one of the node's own


def oom_score_adjust(pod: Object, container: Object, capacity: int) -> int:
    """`capacity`: the bytes of the node's memory. The less of it a burstable container asks for, the sooner it goes."""
    quality = get_path(pod, "status.qosClass")
    if quality == "Guaranteed" or (get_path(pod, "spec.priority") or 0) >= CRITICAL:
        return GUARANTEED
    if quality == "BestEffort":
        return BEST_EFFORT
    asked = quantity.to_bytes((get_path(container, "resources.requests") or {}).get("memory", 0))
    score = BEST_EFFORT - BEST_EFFORT * asked // max(capacity, 1)
    return min(max(score, BEST_EFFORT + GUARANTEED), BEST_EFFORT - 1)
