"""The scheduling framework: what a plug-in is, and what it gets to see.

Interface: subclass `Plugin` and override `filter` or `score`; a row in `plugins.PLUGINS` puts it to work.
The rule not to break: a plug-in decides by the pod and the node it is given, and changes neither.
Source: `staging/src/k8s.io/kube-scheduler/framework` in the kubernetes repository. Of its extension points k8snb has
PreFilter (`begin`), Filter, Score and NormalizeScore (`normalize`); PostFilter (preemption), Reserve, Permit and
PreBind it has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from k8snb.apimachinery.meta import Object
from k8snb.scheduler.cache import Cache, NodeInfo
from k8snb.scheduler.requests import Request

Reason = str | tuple[str, ...] | None  # why not; several reasons where a node lacks several things

MAX_SCORE = 100

# What can happen in a cluster that gives a pod another chance (upstream: cluster events).
NODE_ADDED, NODE_LABELS, NODE_TAINTS, NODE_ALLOCATABLE = "node added", "node labels", "node taints", "node allocatable"
POD_GONE = "pod gone"


class Cycle(NamedTuple):
    """One attempt to schedule one pod."""

    pod: Object
    request: Request
    group: str
    cache: Cache


class Plugin:
    """A rule of the scheduler. What is not overridden has no opinion.

    `local`: filter and score depend on nothing but the pod's template and the node, so that pods of one template
    share the answers until the node changes. `wakes_on`: what may change this plug-in's mind about a pod that it
    refused.
    """

    name: ClassVar[str]
    local: ClassVar[bool] = True
    normalizes: ClassVar[bool] = False
    wakes_on: ClassVar[frozenset[str]] = frozenset()

    def begin(self, cycle: Cycle) -> bool:
        """Look at a pod before any node. Returns whether its score can make a difference between nodes."""
        return True

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        """Why the pod cannot run on the node; None when it can."""
        return None

    def score(self, pod: Object, node: NodeInfo) -> int:
        """How well the pod would be on the node: 0 to 100, or any number where `normalize` brings it there."""
        return 0

    def score_all(self, pod: Object, nodes: Sequence[NodeInfo]) -> list[int]:
        """The scores of all nodes that are left; for plug-ins that are faster in one go."""
        return [self.score(pod, node) for node in nodes]

    def normalize(self, scores: list[int]) -> list[int]:
        """Scores of all nodes that are left, brought to 0 … 100. Override together with `normalizes`."""
        return scores


def highest_is_best(scores: list[int]) -> list[int]:
    """Scores scaled so that the highest becomes 100."""
    top = max(scores, default=0)
    return [score * MAX_SCORE // top for score in scores] if top else scores


def lowest_is_best(scores: list[int]) -> list[int]:
    """Scores scaled and turned round, so that none becomes 100."""
    return [MAX_SCORE - score for score in highest_is_best(scores)]
