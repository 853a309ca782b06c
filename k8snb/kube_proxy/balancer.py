"""kube-proxy's choices: which rule stands at an address, and which of its targets the next connection gets.

Interface: `RuleTable.put(service, rules)` and `.at(address, port, protocol)`; `Balancer.order(rule, client, node)`.
The rule not to break: no cost here grows with the number of services or nodes.
Source: `pkg/proxy/iptables/proxier.go` in the kubernetes repository: each connection at random (`statistic` match), and
the kernel remembers the clients that want to stay (`recent` match).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

from k8snb.kube_proxy import Report
from k8snb.kube_proxy.rules import CLUSTER_IP, Rule, Target, usable

Key = tuple[str, int, str]  # address (EVERY_NODE for NodePorts), port, protocol
Session = tuple[str, str, str]  # client, port name, protocol

NOT_LOCATED = (
    "internalTrafficPolicy Local counts for all nodes here: not implemented by k8snb where a client's node is not known"
)


class RuleTable:
    """Rules by service and by address. Where two services want one address, the first has it while it lasts."""

    def __init__(self) -> None:
        self.services: dict[str, tuple[Rule, ...]] = {}
        self._claims: dict[Key, dict[str, Rule]] = {}

    def put(self, service: str, rules: tuple[Rule, ...]) -> set[Key]:
        """Replace the rules of a service; none = it is gone. Returns the addresses at which something changed."""
        old = {_key(rule): rule for rule in self.services.pop(service, ())}
        new = {_key(rule): rule for rule in rules}
        if rules:
            self.services[service] = rules
        changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        for key in changed:
            self._claim(key, service, new.get(key))
        return changed

    def at(self, address: str, port: int, protocol: str) -> Rule | None:
        """The rule that stands at an address."""
        return next(iter(self._claims.get((address, port, protocol), {}).values()), None)

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._claims))

    def _claim(self, key: Key, service: str, rule: Rule | None) -> None:
        claims = self._claims.setdefault(key, {})
        if rule is not None:
            claims[service] = rule
            return
        claims.pop(service, None)
        if not claims:
            del self._claims[key]


def objections(table: RuleTable, service: str, *, located: bool) -> Iterator[Report]:
    """What stands in the way of a service's rules; `located` = the data plane can tell on which node a client is."""
    for rule in table.services.get(service, ()):
        holder = table.at(*_key(rule))
        if holder is not None and holder.service != service:
            taken = f'service "{holder.service}" has this address already'
            yield Report(service, rule.listen, rule.protocol, None, taken)
        if rule.local and rule.sort == CLUSTER_IP and not located:
            yield Report(service, rule.listen, rule.protocol, rule.listen, NOT_LOCATED)


class Balancer:
    """Random choice, and the memory that `sessionAffinity: ClientIP` needs.

    `taken` and `refused` count connections for each service and target: `taken["default/web"]["default/web-x7d2k"]`.
    """

    def __init__(self, dice: random.Random, monotonic: Callable[[], float]) -> None:
        self.taken: dict[str, Counter[str]] = {}
        self.refused: dict[str, Counter[str]] = {}
        self._dice = dice
        self._monotonic = monotonic
        self._sessions: dict[str, dict[Session, tuple[Target, float]]] = {}  # oldest use first

    def order(self, rule: Rule, client: str, node: str = "") -> Iterator[Target]:
        """The targets in the order in which to try them."""
        targets = usable(rule, node)
        if not targets:
            return
        kept = self._kept(rule, client)
        if kept in targets:
            yield kept
        start = self._dice.randrange(len(targets))
        for index in range(start, start + len(targets)):
            target = targets[index % len(targets)]
            if target != kept:
                yield target

    def took(self, rule: Rule, client: str, target: Target) -> None:
        """A connection was made: count it, and remember it for a client that wants to stay."""
        self.taken.setdefault(rule.service, Counter())[str(target)] += 1
        if rule.affinity_seconds:
            sessions = self._sessions.setdefault(rule.service, {})
            session = (client, rule.port_name, rule.protocol)
            sessions.pop(session, None)
            sessions[session] = (target, self._monotonic() + rule.affinity_seconds)

    def failed(self, rule: Rule, target: Target) -> None:
        """A target did not take the connection."""
        self.refused.setdefault(rule.service, Counter())[str(target)] += 1

    def forget(self, service: str) -> None:
        """The service is gone."""
        self.taken.pop(service, None)
        self.refused.pop(service, None)
        self._sessions.pop(service, None)

    def _kept(self, rule: Rule, client: str) -> Target | None:
        if not rule.affinity_seconds:
            return None
        sessions = self._sessions.get(rule.service, {})
        now = self._monotonic()
        while sessions and next(iter(sessions.values()))[1] <= now:
            del sessions[next(iter(sessions))]
        target, _ = sessions.get((client, rule.port_name, rule.protocol), (None, 0.0))
        return target


def _key(rule: Rule) -> Key:
    return (*rule.listen, rule.protocol)
