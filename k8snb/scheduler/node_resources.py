"""NodeResourcesFit and NodeResourcesBalancedAllocation: pods are packed by what they request, not by what they use.

Interface: two plug-ins. The first refuses nodes that lack something and prefers the emptier ones (LeastAllocated);
the second prefers nodes whose CPU and memory would fill up evenly.
Source: `pkg/scheduler/framework/plugins/noderesources` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import (
    MAX_SCORE,
    NODE_ADDED,
    NODE_ALLOCATABLE,
    POD_GONE,
    Cycle,
    Plugin,
    Reason,
    Unresolvable,
)
from k8snb.scheduler.requests import Request

NOTHING = Request({}, 0, 0, ())


class NodeResourcesFit(Plugin):
    name = "NodeResourcesFit"
    local = True
    wakes_on = frozenset((NODE_ADDED, NODE_ALLOCATABLE, POD_GONE))
    _request = NOTHING

    def begin(self, cycle: Cycle) -> bool:
        self._request = cycle.request
        return True

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        lacking: list[str] = [] if node.pods < node.max_pods else ["Too many pods"]
        requested, allocatable = node.requested, node.allocatable
        for resource, amount in self._request.needed.items():
            if amount and amount > allocatable.get(resource, 0) - requested.get(resource, 0):
                reason = f"Insufficient {resource}"
                lacking.append(Unresolvable(reason) if amount > allocatable.get(resource, 0) else reason)
        return tuple(lacking) or None

    def score(self, pod: Object, node: NodeInfo) -> int:
        """How much of CPU and memory would stay free, on average, in per cent."""
        request, allocatable = self._request, node.allocatable
        cpu, memory = allocatable.get("cpu", 0), allocatable.get("memory", 0)
        parts = [
            (whole - asked) * MAX_SCORE // whole if asked <= whole else 0
            for whole, asked in ((cpu, node.cpu + request.cpu), (memory, node.memory + request.memory))
            if whole
        ]
        return sum(parts) // len(parts) if parts else 0


class NodeResourcesBalancedAllocation(Plugin):
    name = "NodeResourcesBalancedAllocation"
    local = True
    _request = NOTHING

    def begin(self, cycle: Cycle) -> bool:
        self._request = cycle.request
        return True

    def score(self, pod: Object, node: NodeInfo) -> int:
        """100 where CPU and memory would be used in the same measure."""
        used = [
            min((node.requested.get(resource, 0) + self._request.needed.get(resource, 0)) / whole, 1.0)
            for resource in ("cpu", "memory")
            if (whole := node.allocatable.get(resource, 0))
        ]
        return int((1 - abs(used[0] - used[1]) / 2) * MAX_SCORE) if len(used) == 2 else MAX_SCORE
