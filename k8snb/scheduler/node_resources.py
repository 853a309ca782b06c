"""NodeResourcesFit and NodeResourcesBalancedAllocation: pods are packed by what they request, not by what they use.

Interface: two plug-ins. The first refuses nodes that lack something and prefers the emptier ones, or what its argument
`scoring_strategy` says; `ignored_resources` and `ignored_resource_groups` are extended resources that it does not look
at. The second prefers nodes whose CPU and memory would fill up evenly.
Source: `pkg/scheduler/framework/plugins/noderesources` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

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
from k8snb.scheduler.scoring_strategy import strategy

NOTHING = Request({}, 0, 0, ())


class NodeResourcesFit(Plugin):
    name = "NodeResourcesFit"
    local = True
    wakes_on = frozenset((NODE_ADDED, NODE_ALLOCATABLE, POD_GONE))

    def __init__(
        self, *, scoring_strategy: Mapping[str, Any] | None = None, ignored_resources: Collection[str] = (),
        ignored_resource_groups: Collection[str] = (),
    ) -> None:  # fmt: skip
        self._strategy = strategy(scoring_strategy)
        self._ignored = frozenset(ignored_resources)
        self._ignored_groups = frozenset(ignored_resource_groups)
        self._request = NOTHING
        self._counts: tuple[tuple[str, int, int], ...] = ()  # resource, its weight, what the pod asks for

    def begin(self, cycle: Cycle) -> bool:
        request = self._request = cycle.request
        asked = {**request.needed, "cpu": request.cpu, "memory": request.memory}
        weights = self._strategy.weights.items()
        self._counts = tuple([(name, weight, asked[name]) for name, weight in weights if name in asked])
        return True

    def _is_ignored(self, resource: str) -> bool:
        group, _, name = resource.partition("/")
        return bool(name) and (resource in self._ignored or group in self._ignored_groups)

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        lacking: list[str] = [] if node.pods < node.max_pods else ["Too many pods"]
        requested, allocatable = node.requested, node.allocatable
        for resource, amount in self._request.needed.items():
            if amount and amount > allocatable.get(resource, 0) - requested.get(resource, 0):
                if self._is_ignored(resource):
                    continue
                reason = f"Insufficient {resource}"
                lacking.append(Unresolvable(reason) if amount > allocatable.get(resource, 0) else reason)
        return tuple(lacking) or None

    def score(self, pod: Object, node: NodeInfo) -> int:
        """How full or empty the node would be; a resource that the pod does not ask for does not count."""
        requested, allocatable = node.requested, node.allocatable
        there = {**requested, "cpu": node.cpu, "memory": node.memory}
        return self._strategy.score(
            [(weight, there.get(name, 0) + asked, allocatable.get(name, 0)) for name, weight, asked in self._counts]
        )


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
