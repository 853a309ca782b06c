"""kube-proxy: the network rules of a node, and the connections that follow them.

Interface: `DataPlane`, the seam to what forwards: real sockets (`forwarder`) or a table (`virtual`).
The rule not to break: kube-proxy learns everything from Services and EndpointSlices; it asks no runtime and no kubelet.
Upstream runs one process per node that programs its kernel; here one `RuleBook` computes for all nodes of the cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from k8snb.kube_proxy.rules import Rule


class Report(NamedTuple):
    """An address that could not be had as asked for. `actual` is where it is found instead, None for nowhere."""

    service: str
    listen: tuple[str, int]
    protocol: str
    actual: tuple[str, int] | None
    reason: str


Permits = Callable[[str, str, int, str], bool]  # source, destination, port, protocol


def everything(source: str, destination: str, port: int, protocol: str) -> bool:
    """Without a network plug-in that says no, every connection may be made."""
    return True


class DataPlane(Protocol):
    """What carries rules out. No call blocks; what goes wrong is told to `report`, from any thread.

    ClusterIPs are served while any node has joined, NodePorts at the address of each node that has.
    """

    report: Callable[[Report], None]

    def add_node(self, node: str, address: str) -> None: ...
    def remove_node(self, node: str) -> None: ...

    def program(self, service: str, rules: tuple[Rule, ...]) -> None:
        """Replace the rules of one service (`namespace/name`); no rules = it is gone."""
        ...

    def actual(self, address: str, port: int, protocol: str = "TCP") -> tuple[str, int]:
        """Where to connect in order to reach an address of the cluster."""
        ...

    def serves(self, address: str, port: int, protocol: str = "TCP") -> bool:
        """Whether a connection to an address of the cluster would find somebody."""
        ...

    def close(self) -> None: ...
