"""NodeName: a pod that names its node fits on that node only.

Source: `pkg/scheduler/framework/plugins/nodename` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import NODE_ADDED, Plugin, Reason


class NodeName(Plugin):
    name = "NodeName"
    local = True
    resolvable = False
    wakes_on = frozenset((NODE_ADDED,))

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        wanted = pod["spec"].get("nodeName")
        return "node(s) didn't match the requested node name" if wanted and wanted != node.name else None
