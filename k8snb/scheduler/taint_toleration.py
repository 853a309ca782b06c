"""TaintToleration: nodes keep pods away by taints; a pod stays away from those that it would rather not tolerate.

Source: `pkg/scheduler/framework/plugins/tainttoleration` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.taints import NO_EXECUTE, NO_SCHEDULE, PREFER_NO_SCHEDULE, show, tolerates, untolerated
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import NODE_ADDED, NODE_TAINTS, Cycle, Plugin, Reason, lowest_is_best

HARD = (NO_SCHEDULE, NO_EXECUTE)


class TaintToleration(Plugin):
    name = "TaintToleration"
    local = True
    resolvable = False
    normalizes = True
    wakes_on = frozenset((NODE_ADDED, NODE_TAINTS))

    def begin(self, cycle: Cycle) -> bool:
        return cycle.cache.mild_taints > 0

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        taint = untolerated(node.taints, pod["spec"].get("tolerations") or (), HARD) if node.taints else None
        return f"node(s) had untolerated taint {show(taint)}" if taint else None

    def score(self, pod: Object, node: NodeInfo) -> int:
        """How many taints of the mild sort the pod does not tolerate."""
        mild = [taint for taint in node.taints if taint["effect"] == PREFER_NO_SCHEDULE]
        tolerations = pod["spec"].get("tolerations") or ()
        return sum(not any(tolerates(toleration, taint) for toleration in tolerations) for taint in mild)

    def normalize(self, scores: list[int]) -> list[int]:
        return lowest_is_best(scores)
