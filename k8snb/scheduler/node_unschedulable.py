"""NodeUnschedulable: a cordoned node takes no pods but those that tolerate exactly that.

Source: `pkg/scheduler/framework/plugins/nodeunschedulable` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.taints import NO_SCHEDULE, UNSCHEDULABLE, tolerates
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import NODE_ADDED, NODE_TAINTS, Plugin, Reason

TAINT = {"key": UNSCHEDULABLE, "effect": NO_SCHEDULE}


class NodeUnschedulable(Plugin):
    name = "NodeUnschedulable"
    local = True
    resolvable = False
    wakes_on = frozenset((NODE_ADDED, NODE_TAINTS))

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        if not node.unschedulable or any(tolerates(one, TAINT) for one in pod["spec"].get("tolerations") or ()):
            return None
        return "node(s) were unschedulable"
