"""PodTopologySpread: pods of one controller go to different nodes and zones.

Interface: the plug-in, with upstream's system default constraints (maxSkew 3 over nodes, 5 over zones, ScheduleAnyway).
The rule not to break: counts come from the cache, which keeps them per controller; no pod is looked at.
Source: `pkg/scheduler/framework/plugins/podtopologyspread` in the kubernetes repository. A pod's own
`topologySpreadConstraints` are not implemented by k8snb.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from k8snb.apimachinery.meta import Object
from k8snb.scheduler.cache import Cache, NodeInfo
from k8snb.scheduler.framework import MAX_SCORE, Cycle, Plugin

NODE_SKEW, ZONE_SKEW = 3, 5


class PodTopologySpread(Plugin):
    name = "PodTopologySpread"
    local = False
    normalizes = True

    def __init__(self) -> None:
        self._group = ""
        self._cache = Cache()

    def begin(self, cycle: Cycle) -> bool:
        self._cache, self._group = cycle.cache, cycle.group
        return bool(cycle.group)

    def score_all(self, pod: Object, nodes: Sequence[NodeInfo]) -> list[int]:
        """Pods of the group on the node and in its zone, weighed so that few large zones count as much as many nodes.

        Low is good.
        """
        group = self._group
        weight = math.log(len(nodes) + 2)
        in_zone = self._zone_scores({node.zone for node in nodes})
        return [int(node.groups.get(group, 0) * weight + in_zone[node.zone]) for node in nodes]

    def _zone_scores(self, zones: set[str]) -> dict[str, float]:
        """What every node of a zone has in common; the half makes cutting off round."""
        named = zones - {""}
        weight = math.log(len(named) + 2)
        counts = {zone: self._cache.zone_groups.get((self._group, zone), 0) for zone in named}
        parts = {zone: count * weight + ZONE_SKEW - 1 for zone, count in counts.items()}
        return {zone: parts.get(zone, 0.0) + NODE_SKEW - 1 + 0.5 for zone in zones}

    def score(self, pod: Object, node: NodeInfo) -> int:
        return self.score_all(pod, [node])[0]

    def normalize(self, scores: list[int]) -> list[int]:
        low, high = min(scores), max(scores)
        return [MAX_SCORE * (high + low - score) // high for score in scores] if high else [MAX_SCORE] * len(scores)
