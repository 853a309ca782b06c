"""kube-proxy's data plane for simulated clusters: the same choices without a socket.

Interface: `VirtualDataPlane`, a `DataPlane`; `connect(address, port, …)` says which pod a connection would reach.
The rule not to break: no thread, no socket, and no cost that grows with the number of nodes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from k8snb.kube_proxy import Report
from k8snb.kube_proxy.balancer import Balancer, RuleTable, objections
from k8snb.kube_proxy.healthcheck import answer
from k8snb.kube_proxy.rules import CLUSTER_IP, EVERY_NODE, HEALTH, Rule, admits, usable

Spot = tuple[str, int]


class VirtualDataPlane:
    """`locate` says on which node a client's address is, "" where it is on none; Local policies ask it."""

    def __init__(
        self,
        dice: random.Random,
        monotonic: Callable[[], float],
        *,
        locate: Callable[[str], str] | None = None,
    ) -> None:
        self.report: Callable[[Report], None] = lambda report: None
        self._locate = locate
        self._table = RuleTable()
        self._balancer = Balancer(dice, monotonic)
        self._addresses: dict[str, str] = {}  # node → address
        self._nodes: dict[str, str] = {}  # address → node

    def add_node(self, node: str, address: str) -> None:
        self.remove_node(node)
        self._addresses[node] = address
        self._nodes[address] = node

    def remove_node(self, node: str) -> None:
        self._nodes.pop(self._addresses.pop(node, ""), None)

    def program(self, service: str, rules: tuple[Rule, ...]) -> None:
        self._table.put(service, rules)
        if not rules:
            self._balancer.forget(service)
        for report in objections(self._table, service, located=self._locate is not None):
            self.report(report)

    def connect(self, address: str, port: int, client: str = "", *, protocol: str = "TCP") -> Spot | None:
        """The pod's address and port that a connection ends at; None = refused.

        What is no address of a Service is reached as it is: pods talk to pods directly.
        """
        rule, node = self._find(address, port, protocol)
        if rule is not None and rule.sort == HEALTH:
            return None
        if rule is None:
            return None if address in self._nodes else (address, port)
        if not self._nodes or (client and not admits(rule, client)):
            return None
        if rule.local and rule.sort == CLUSTER_IP and client and self._locate is not None:
            node = self._locate(client)
        target = next(self._balancer.order(rule, client, node), None)
        if target is None:
            return None
        self._balancer.took(rule, client, target)
        return target.ip, target.port

    def actual(self, address: str, port: int, protocol: str = "TCP") -> Spot:
        """Every address can be had in a network that is only thought of."""
        return address, port

    def serves(self, address: str, port: int, protocol: str = "TCP") -> bool:
        """Whether a rule stands there that has a target."""
        rule, node = self._find(address, port, protocol)
        return rule is not None and bool(usable(rule, node))

    def health(self, address: str, port: int) -> tuple[int, str] | None:
        """What kube-proxy itself answers to a load balancer's health check there; None where it does not."""
        rule, node = self._find(address, port, "TCP")
        return answer(rule, node) if rule is not None and rule.sort == HEALTH else None

    def taken(self, service: str) -> dict[str, int]:
        """How many connections each pod of a service (both `namespace/name`) has had."""
        return dict(self._balancer.taken.get(service, Counter()))

    def close(self) -> None:
        """Nothing to stop."""

    def _find(self, address: str, port: int, protocol: str) -> tuple[Rule | None, str]:
        """The rule at an address, and the node it belongs to where it is a NodePort."""
        rule = self._table.at(address, port, protocol)
        node = self._nodes.get(address, "")
        if rule is None and node:
            return self._table.at(EVERY_NODE, port, protocol), node
        return rule, ""
