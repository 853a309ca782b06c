"""What controllers ask about pods: active, ready, available, which to delete first, and how often to look.

Interface: pure functions on pods.
The rule not to break: nothing here reads a clock or a cache; the moment is an argument.
Source: `pkg/controller/controller_utils.go` and `pkg/api/v1/pod/util.go` in the kubernetes repository.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    controller_of,
    get_path,
    is_deleting,
    uid_of,
)
from k8snb.clock import parse_timestamp

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
NODE = "node"  # the index of pods by node
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}

SMALL, PERIOD_PER_POD = 100, 50e-6  # pods; seconds


def phase_of(pod: Object) -> str:
    phase: str = (pod.get("status") or {}).get("phase") or "Pending"
    return phase


def node_of(pod: Object) -> str:
    """The node that the pod is assigned to; "" when it is not."""
    node: str = pod["spec"].get("nodeName") or ""
    return node


def nodes_of(pod: Object) -> list[str]:
    """Index function: the pod's node."""
    return [node] if (node := node_of(pod)) else []


def is_terminal(pod: Object) -> bool:
    """Whether the pod has run to its end and will not start again."""
    return phase_of(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    return not is_terminal(pod) and not is_deleting(pod)


def is_ready(pod: Object) -> bool:
    ready = _ready_condition(pod)
    return ready is not None and ready["status"] == "True"


def _ready_condition(pod: Object) -> Object | None:
    """`meta.condition(pod, "Ready")`, written out, because it is asked of every pod at every look."""
    for entry in (pod.get("status") or {}).get("conditions") or ():
        if entry["type"] == "Ready":
            found: Object = entry
            return found
    return None


def ready_since(pod: Object) -> float | None:
    """When the pod became ready (seconds since the epoch); None while it is not."""
    ready = _ready_condition(pod)
    if ready is None or ready["status"] != "True":
        return None
    moment = ready.get("lastTransitionTime")
    return parse_timestamp(moment) if moment else 0.0


def is_available(pod: Object, min_ready_seconds: float, now: float) -> bool:
    """Whether the pod has been ready for `minReadySeconds`."""
    if not min_ready_seconds:
        return is_ready(pod)
    since = ready_since(pod)
    return since is not None and since + min_ready_seconds <= now


def membership(pod: Object | None) -> tuple[Any, ...] | None:
    """What makes a pod count for its controller: whose it is, and its labels; None for one that does not count."""
    if pod is None or not is_active(pod):
        return None
    owner = controller_of(pod)
    return (owner and owner["uid"], pod["metadata"].get("labels"))


def readiness(pod: Object | None) -> tuple[Any, ...] | None:
    """Whether the pod is ready, and since when."""
    ready = _ready_condition(pod) if pod else None
    return (ready.get("status"), ready.get("lastTransitionTime")) if ready else None


def observed(pod: Object | None) -> tuple[Any, ...] | None:
    """All that a controller decides by which cares how each single pod fares."""
    if pod is None:
        return None
    owner = controller_of(pod)
    return (owner and owner["uid"], pod["metadata"].get("labels"), is_deleting(pod), phase_of(pod), readiness(pod))


def batch_period(pods: int) -> float:
    """Seconds to gather events in before the next look at this many pods; 0 for few.

    A look costs time for each pod, and each pod's start is an event: looked at one by one, n pods would cost n². The
    pause grows with n, so that a look stays a small part of the time, and one look answers for many events.
    """
    return 0.0 if pods <= SMALL else pods * PERIOD_PER_POD


def first_to_delete(pods: Iterable[Object], related: Iterable[Object], now: float) -> list[Object]:
    """Pods in the order in which they are given up; `related` are the active pods of the same Deployment.

    Unassigned, then pending, then not ready; a lower deletion cost; a node with more related pods; a shorter time
    ready; more restarts; younger. Times count in powers of two, so that pods of about the same age go in no
    particular order.
    """
    crowd = Counter(map(node_of, related))

    def rank(pod: Object) -> tuple[Any, ...]:
        since = ready_since(pod)
        return (
            bool(node_of(pod)),
            _PHASES.get(phase_of(pod), 0),
            since is not None,
            _deletion_cost(pod),
            -crowd[node_of(pod)],
            _magnitude(now - since) if since is not None else 0,
            -_restarts(pod),
            _magnitude(now - parse_timestamp(pod["metadata"]["creationTimestamp"])),
            uid_of(pod),
        )

    return sorted(pods, key=rank)


def _deletion_cost(pod: Object) -> int:
    try:
        return int(annotations_of(pod).get(DELETION_COST, 0))
    except ValueError:
        return 0


def _restarts(pod: Object) -> int:
    return max((entry.get("restartCount", 0) for entry in get_path(pod, "status.containerStatuses") or ()), default=0)


def _magnitude(seconds: float) -> int:
    return int(math.log2(seconds)) if seconds >= 1 else -1
