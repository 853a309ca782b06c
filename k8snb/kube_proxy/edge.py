"""The edge: load balancers in front of the nodes, on a data plane of their own, as a cloud has them.

Interface: `Edge(outside, inside, clock, addresses)`: `program(balancer)`, `remove(service)`.
The rule not to break: a connection goes to a node that answers for the Service; a node that does not is left out from
the next health check on, and comes back with a later one. Where none answers, all are tried (as AWS' balancers do).
Real clouds ask each node's kube-proxy at port 10256, or at `spec.healthCheckNodePort`; here its rules are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from k8snb.clock import Clock
from k8snb.kube_proxy import DataPlane, Report
from k8snb.kube_proxy.rules import FORWARDED, LOAD_BALANCER, Rule, Target

CHECK = 2.0  # seconds between two health checks
OUTSIDE = "outside"


class Port(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def protocol(self) -> str: ...
    @property
    def node_port(self) -> int: ...


class Balancer(Protocol):
    @property
    def service(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def ports(self) -> Sequence[Port]: ...
    @property
    def nodes(self) -> Sequence[tuple[str, str]]: ...
    @property
    def source_ranges(self) -> tuple[str, ...]: ...
    @property
    def affinity_seconds(self) -> int: ...


class Edge:
    """`outside` carries the balancers' own rules, `inside` is the data plane of the nodes.

    `note` is what there is to say of every balancer's addresses.
    """

    def __init__(
        self, outside: DataPlane, inside: DataPlane, clock: Clock, addresses: Sequence[str], *, note: str = ""
    ) -> None:  # fmt: skip
        self.addresses = addresses
        self._note = note
        self._outside, self._inside = outside, inside
        self._clock = clock
        self._balancers: dict[str, Balancer] = {}
        self._rules: dict[str, tuple[Rule, ...]] = {}
        self._checks = False
        outside.add_node(OUTSIDE, "")

    def actual(self, address: str, port: int, protocol: str = "TCP") -> tuple[str, int]:
        """Where to connect in order to reach a balancer."""
        return self._outside.actual(address, port, protocol)

    def report_to(self, report: Callable[[Report], None]) -> None:
        """Whom to tell of addresses that cannot be had as asked for."""
        self._outside.report = report

    def program(self, balancer: Balancer) -> None:
        """Make a balancer, or make it so."""
        if self._note and balancer.service not in self._balancers:
            self._tell_note(balancer)
        self._balancers[balancer.service] = balancer
        self._settle(balancer)
        if not self._checks:
            self._checks = True
            self._clock.after(CHECK, self._check, background=True, label="load balancers")

    def remove(self, service: str) -> None:
        """Its address answers no more."""
        if self._balancers.pop(service, None) is not None:
            self._rules.pop(service, None)
            self._outside.program(service, ())

    def _tell_note(self, balancer: Balancer) -> None:
        for port in balancer.ports:
            spot = (balancer.address, port.number)
            self._outside.report(Report(balancer.service, spot, port.protocol, spot, self._note))

    def _check(self) -> None:
        self._checks = bool(self._balancers)
        if not self._checks:
            return
        for balancer in list(self._balancers.values()):
            self._settle(balancer)
        self._clock.after(CHECK, self._check, background=True, label="load balancers")

    def _settle(self, balancer: Balancer) -> None:
        rules = tuple(self._rule(balancer, port) for port in balancer.ports if port.protocol in FORWARDED)
        if rules != self._rules.get(balancer.service):
            self._rules[balancer.service] = rules
            self._outside.program(balancer.service, rules)

    def _rule(self, balancer: Balancer, port: Port) -> Rule:
        targets = [
            Target(*self._inside.actual(address, port.node_port, port.protocol), node)
            for node, address in balancer.nodes
        ]
        healthy = [
            target for target, (_, address) in zip(targets, balancer.nodes, strict=True)
            if self._inside.serves(address, port.node_port, port.protocol)
        ]  # fmt: skip
        chosen = {(target.ip, target.port): target for target in healthy or targets}
        return Rule(
            service=balancer.service, port_name=str(port.number), protocol=port.protocol,
            listen=(balancer.address, port.number), sort=LOAD_BALANCER, targets=tuple(chosen.values()),
            affinity_seconds=balancer.affinity_seconds, source_ranges=balancer.source_ranges,
        )  # fmt: skip
