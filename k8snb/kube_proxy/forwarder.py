"""kube-proxy's data plane on real sockets: a listener at every ClusterIP, NodePort and external address.

Interface: `SocketDataPlane`, a `DataPlane`; `flush()` waits until everything told so far is in force.
The rule not to break: no call from the pump waits for the I/O loop, and tables here are changed on that loop only.
An address without usable targets has no listener: the machine refuses the connection, as upstream's REJECT rule does
(upstream drops instead of refusing for `externalTrafficPolicy: Local` on a node without targets).
Where an address or port cannot be had, a free port stands in for it; `actual` and the forwards file say which.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from k8snb.ioloop import IoLoop, Spot, bind_first, why
from k8snb.kube_proxy import Permits, Report, everything
from k8snb.kube_proxy.balancer import Balancer, Key, RuleTable, objections
from k8snb.kube_proxy.healthcheck import HealthListener
from k8snb.kube_proxy.relay import LISTENERS, SOCKETS, Listener, Wiring
from k8snb.kube_proxy.rules import EVERY_NODE, HEALTH, Rule, usable

LOOPBACK = "127.0.0.1"


class SocketDataPlane:
    """Forwards TCP and UDP. `locate` says on which node a client's address is, `permits` whether policies let it reach
    a pod; they are called on the I/O loop, look something up and return. Where a runtime maps pods' ports, the
    EndpointSlices carry the ports that are open.

    `forwards_file` receives what is found elsewhere, as JSON: {"127.1.0.5:80": "127.1.0.5:40123"}, UDP keys with
    "/udp" behind.
    """

    def __init__(
        self,
        io: IoLoop,
        *,
        forwards_file: Path | None = None,
        seed: int = 0,
        locate: Callable[[str], str] | None = None,
    ) -> None:
        self.report: Callable[[Report], None] = lambda report: None
        self.permits: Permits = everything
        self._io = io
        self._locate = locate
        self._forwards = Forwards(forwards_file)
        self._balancer = Balancer(random.Random(seed), time.monotonic)
        self._table = RuleTable()
        self._nodes: dict[str, str] = {}  # name → address
        self._listeners: dict[Key, Listener | HealthListener] = {}
        self._wiring: Wiring | None = None  # made on the loop

    # what kube-proxy calls, from the pump

    def add_node(self, node: str, address: str) -> None:
        self._io.post(self._add_node, node, address)

    def remove_node(self, node: str) -> None:
        self._io.post(self._remove_node, node)

    def program(self, service: str, rules: tuple[Rule, ...]) -> None:
        self._io.post(self._program, service, rules)

    def actual(self, address: str, port: int, protocol: str = "TCP") -> Spot:
        """Where a client has to connect; the address itself unless it had to be mapped."""
        return self._forwards.spots.get((address, port, protocol), (address, port))

    def serves(self, address: str, port: int, protocol: str = "TCP") -> bool:
        """Whether there is a listener, as far as the I/O loop has come."""
        return (address, port, protocol) in self._listeners

    def flush(self, timeout: float = 5.0) -> None:
        """Wait until what was programmed before is in force. Not for the pump."""
        self._io.flush(timeout)

    def taken(self, service: str) -> dict[str, int]:
        """How many connections each pod of a service (both `namespace/name`) has had."""
        return dict(self._balancer.taken.get(service, Counter()))

    def refused(self, service: str) -> dict[str, int]:
        """How many connections each pod of a service did not take."""
        return dict(self._balancer.refused.get(service, Counter()))

    def close(self) -> None:
        """Close every listener and connection, and wait for that. The I/O loop goes on: it is shared.

        The rules are kept: a node that joins afterwards opens their listeners again.
        """
        if self._io.running:
            self._io.call(self._close()).result(5.0)

    # on the I/O loop

    def _add_node(self, node: str, address: str) -> None:
        if self._nodes.get(node) != address:
            self._remove_node(node)
            self._nodes[node] = address
            self._refresh(*self._table)

    def _remove_node(self, node: str) -> None:
        address = self._nodes.pop(node, None)
        if address is None:
            return
        for place in list(self._listeners):
            if place[0] == address or not self._nodes:
                self._settle(place)
        self._forwards.save()

    def _program(self, service: str, rules: tuple[Rule, ...]) -> None:
        self._refresh(*self._table.put(service, rules))
        if not rules:
            self._balancer.forget(service)
        for report in objections(self._table, service, located=self._locate is not None):
            self.report(report)

    def _refresh(self, *keys: Key) -> None:
        """Bring the listeners in line with entries of the rule table."""
        for address, port, protocol in keys:
            for spot in {*self._nodes.values()} if address == EVERY_NODE else (address,):
                self._settle((spot, port, protocol))
        self._forwards.save()

    def _settle(self, place: Key) -> None:
        """Have a listener at a place where a rule with targets wants one, and only there."""
        rule, node = self._wanted(*place)
        if rule is None:
            self._forwards.drop(place)
        if rule is None or not (rule.sort == HEALTH or usable(rule, node)):
            self._shut(place)
        elif place in self._listeners:
            self._listeners[place].update(rule, node)
        else:
            self._open(place, rule, node)

    def _wanted(self, address: str, port: int, protocol: str) -> tuple[Rule | None, str]:
        """The rule that wants a listener at a place, and the node it belongs to where it is a NodePort."""
        if not self._nodes:
            return None, ""
        rule = self._table.at(address, port, protocol)
        here = [node for node, its_address in self._nodes.items() if its_address == address]
        node = here[0] if len(here) == 1 else ""  # where nodes share an address, each of them may be meant
        if rule is None and here:
            return self._table.at(EVERY_NODE, port, protocol), node
        return rule, ""

    def _open(self, place: Key, rule: Rule, node: str) -> None:
        address, port, protocol = place
        try:
            bound = bind_first(SOCKETS[protocol], self._forwards.candidates(place))
        except OSError as error:
            self.report(Report(rule.service, (address, port), protocol, None, why(error)))
            return
        if self._forwards.put(place, bound.spot):
            self.report(Report(rule.service, (address, port), protocol, bound.spot, bound.reason))
        if rule.sort == HEALTH:
            self._listeners[place] = HealthListener(bound.sock, rule, node, self._wired().loop)
        else:
            self._listeners[place] = LISTENERS[protocol](bound.sock, rule, node, self._wired())

    def _shut(self, place: Key) -> None:
        listener = self._listeners.pop(place, None)
        if listener is not None:
            listener.close()

    def _permits(self, source: str, destination: str, port: int, protocol: str) -> bool:
        return self.permits(source, destination, port, protocol)

    def _wired(self) -> Wiring:
        if self._wiring is None:
            locate = self._locate or (lambda client: "")
            self._wiring = Wiring(asyncio.get_running_loop(), self._balancer, locate, self._permits)
        return self._wiring

    async def _close(self) -> None:
        self._nodes.clear()
        for place in list(self._listeners):
            self._shut(place)
        self._forwards.clear()
        if self._wiring is None:
            return
        for task in list(self._wiring.tasks):
            task.cancel()
        await asyncio.gather(*self._wiring.tasks, return_exceptions=True)
        for pipe in list(self._wiring.pipes):
            if pipe.transport is not None:
                pipe.transport.abort()
        while self._wiring.pipes:
            await asyncio.sleep(0)
        self._wiring = None


class Forwards:
    """What is found elsewhere than the cluster says, in memory and as a file."""

    def __init__(self, path: Path | None) -> None:
        self.spots: dict[Key, Spot] = {}
        self._path = path
        self._changed = False

    def candidates(self, place: Key) -> Iterator[Spot]:
        """Where to try: the place, where it was before, where its other protocol is, any port there, any at all."""
        address, port, protocol = place
        yield address, port
        for known in (protocol, *(other for other in SOCKETS if other != protocol)):
            if (address, port, known) in self.spots:
                yield self.spots[address, port, known]
        yield address, 0
        yield LOOPBACK, 0

    def put(self, place: Key, spot: Spot) -> bool:
        """Remember where a place is; whether that is news worth a report."""
        known = self.spots.get(place)
        if spot == place[:2]:
            self.drop(place)
            return False
        if known == spot:
            return False
        self.spots[place] = spot
        self._changed = True
        return True

    def drop(self, place: Key) -> None:
        if self.spots.pop(place, None) is not None:
            self._changed = True

    def clear(self) -> None:
        for place in list(self.spots):
            self.drop(place)
        self.save()

    def save(self) -> None:
        """Write the file in one move, so that a reader never sees half of it."""
        if self._path is None or not self._changed:
            return
        self._changed = False
        entries = {_written(place): f"{spot[0]}:{spot[1]}" for place, spot in sorted(self.spots.items())}
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_text(json.dumps(entries, indent=1))
        os.replace(fresh, self._path)


def _written(place: Key) -> str:
    address, port, protocol = place
    return f"{address}:{port}" + ("" if protocol == "TCP" else f"/{protocol.lower()}")
