"""NodePorts: a port of the node (`hostPort`) can be had by one pod only.

Source: `pkg/scheduler/framework/plugins/nodeports` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import NODE_ADDED, POD_GONE, Cycle, Plugin, Reason
from k8snb.scheduler.requests import HostPort

EVERY_ADDRESS = "0.0.0.0"


class NodePorts(Plugin):
    name = "NodePorts"
    local = True
    wakes_on = frozenset((NODE_ADDED, POD_GONE))
    _wanted: tuple[HostPort, ...] = ()

    def begin(self, cycle: Cycle) -> bool:
        self._wanted = cycle.request.ports
        return False

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        if any(_clash(wanted, taken) for wanted in self._wanted for taken in node.ports if node.ports[taken]):
            return "node(s) didn't have free ports for the requested pod ports"
        return None


def _clash(wanted: HostPort, taken: HostPort) -> bool:
    same_address = wanted[0] == taken[0] or EVERY_ADDRESS in (wanted[0], taken[0])
    return same_address and wanted[1:] == taken[1:]
