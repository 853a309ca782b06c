"""NetworkPolicies, decided: whether a connection may be made, and which policies say so. Pure functions.

Interface: `policy_of(object)` reads a NetworkPolicy; `allowed(policies, source, destination, port)` judges a
connection; `openings(…)` writes the same out as addresses and ports, for a firewall that knows nothing of pods.
The rule not to break: policies only ever add what is allowed; a pod that no policy selects for a direction is not
isolated in it, and a connection needs the consent of both its ends.
Source: the API's own documentation, `staging/src/k8s.io/api/networking/v1/types.go` in the kubernetes repository. What
it leaves to network plug-ins: an ipBlock means pods' addresses too, and a pod and its node reach each other always.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import Object, annotations_of, get_path, key_of, namespace_of
from k8snb.apimachinery.selectors import Selector, from_label_selector

INGRESS, EGRESS = "Ingress", "Egress"
LAST_PORT = 65535
MAPPED = "k8snb.io/mapped-ports"  # a pod's annotation: {"80": 42080}, the ports that are found elsewhere
NO_LABELS: Mapping[str, str] = {}
NO_MAPPING: Mapping[int, int] = {}


class Peer(NamedTuple):
    """One end of a connection. What is no pod has an address alone.

    `ports` are those that the pod's containers declare: (name or "", protocol, number). `host_ip` is the pod's node.
    `mapped` says what the pod itself calls a port that its runtime has put elsewhere: {42080: 80}.
    """

    ip: str
    namespace: str = ""
    name: str = ""
    labels: Mapping[str, str] = NO_LABELS
    namespace_labels: Mapping[str, str] = NO_LABELS
    ports: tuple[tuple[str, str, int], ...] = ()
    host_ip: str = ""
    mapped: Mapping[int, int] = NO_MAPPING

    @property
    def opened(self) -> tuple[tuple[int, str], ...]:
        """The ports that are declared, each with its protocol."""
        return tuple(dict.fromkeys((number, protocol) for _, protocol, number in self.ports))

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.name else self.ip


class Ports(NamedTuple):
    """Ports of one protocol: from `first` to `last`, or the one that the destination calls `name`."""

    protocol: str
    first: int = 0
    last: int = LAST_PORT
    name: str = ""


class Block(NamedTuple):
    """Addresses of a range without some of its parts."""

    cidr: str
    excepted: tuple[str, ...] = ()


class Pods(NamedTuple):
    """The pods that `labels` picks in the namespaces that `namespaces` picks; None = only the policy's own."""

    namespaces: Selector | None
    labels: Selector


class Rule(NamedTuple):
    """One `ingress` or `egress` entry. Without peers it means everybody, without ports every port."""

    peers: tuple[Block | Pods, ...]
    ports: tuple[Ports, ...]


class Policy(NamedTuple):
    """A NetworkPolicy as it is asked; `rules` by direction, a direction that is missing is not the policy's."""

    key: str
    namespace: str
    selector: Selector
    rules: Mapping[str, tuple[Rule, ...]]


class Verdict(NamedTuple):
    """Whether a connection may be made. `policies` are the keys of those that decided: the ones that allow it, or all
    that isolate the end which refuses; none where neither end is isolated. `direction` is that of the refusal."""

    allowed: bool
    policies: tuple[str, ...] = ()
    direction: str = ""

    @property
    def reason(self) -> str:
        """The verdict in words for a beginner."""
        if self.allowed:
            return f"allowed by {', '.join(self.policies)}" if self.policies else "no policy isolates either end"
        return f"no {self.direction.lower()} rule of {', '.join(self.policies)} allows it"


class Opening(NamedTuple):
    """What a firewall lets through: addresses and ports. `protocol` "" = all of them."""

    block: Block
    protocol: str = ""
    first: int = 0
    last: int = LAST_PORT


ANYWHERE = Block("0.0.0.0/0")


# reading


def policy_of(obj: Object) -> Policy:
    """What a NetworkPolicy says."""
    spec = obj.get("spec") or {}
    fields = {INGRESS: "from", EGRESS: "to"}
    rules = {
        direction: tuple(_rule(entry, fields[direction]) for entry in spec.get(direction.lower()) or ())
        for direction in _directions(spec)
    }
    return Policy(key_of(obj), namespace_of(obj), from_label_selector(spec.get("podSelector") or {}), rules)


def _directions(spec: Mapping[str, Any]) -> list[str]:
    """The directions in which a policy isolates; where it does not say: ingress, and egress if it has such rules."""
    return list(spec.get("policyTypes") or (INGRESS, *((EGRESS,) if spec.get("egress") else ())))


def _rule(entry: Mapping[str, Any], field: str) -> Rule:
    return Rule(
        tuple(_peer(peer) for peer in entry.get(field) or ()), tuple(_ports(port) for port in entry.get("ports") or ())
    )


def _peer(peer: Mapping[str, Any]) -> Block | Pods:
    block = peer.get("ipBlock")
    if block:
        return Block(block["cidr"], tuple(block.get("except") or ()))
    namespaces = peer.get("namespaceSelector")
    return Pods(
        None if namespaces is None else from_label_selector(namespaces),
        from_label_selector(peer.get("podSelector") or {}),
    )


def _ports(port: Mapping[str, Any]) -> Ports:
    protocol, number = port.get("protocol") or "TCP", port.get("port")
    if number is None:
        return Ports(protocol)
    if isinstance(number, str):
        return Ports(protocol, name=number)
    return Ports(protocol, number, port.get("endPort") or number)


def peer_of(pod: Object, namespace_labels: Mapping[str, str] = NO_LABELS) -> Peer:
    """A pod as an end of connections."""
    containers = (*(get_path(pod, "spec.initContainers") or ()), *(get_path(pod, "spec.containers") or ()))
    ports = tuple(
        (port.get("name") or "", port.get("protocol") or "TCP", port["containerPort"])
        for container in containers for port in container.get("ports") or ()
    )  # fmt: skip
    status, metadata = pod.get("status") or {}, pod["metadata"]
    return Peer(
        status.get("podIP") or "", namespace_of(pod), metadata["name"], metadata.get("labels") or NO_LABELS,
        namespace_labels, ports, status.get("hostIP") or "", _mapped(pod),
    )  # fmt: skip


def on_host(pod: Object) -> bool:
    """Whether a pod has its node's network, where no policy reaches it."""
    return bool(get_path(pod, "spec.hostNetwork"))


def _mapped(pod: Object) -> Mapping[int, int]:
    text = annotations_of(pod).get(MAPPED)
    return {actual: int(port) for port, actual in json.loads(text).items()} if text else {}


# judging


def allowed(
    policies: Iterable[Policy], source: Peer, destination: Peer, port: int, protocol: str = "TCP"
) -> Verdict:  # fmt: skip
    """Whether `source` may open a connection to a port of `destination`: both ends have to agree."""
    if source.ip == destination.ip or source.ip == destination.host_ip or destination.ip == source.host_ip:
        return Verdict(True)
    policies = tuple(policies)
    spot = (destination, destination.mapped.get(port, port), protocol)
    leaving = _one_end(isolating(policies, source, EGRESS), EGRESS, destination, spot)
    if not leaving.allowed:
        return leaving
    arriving = _one_end(isolating(policies, destination, INGRESS), INGRESS, source, spot)
    if not arriving.allowed:
        return arriving
    return Verdict(True, tuple(dict.fromkeys((*leaving.policies, *arriving.policies))))


def isolating(policies: Iterable[Policy], pod: Peer, direction: str) -> tuple[Policy, ...]:
    """The policies that select a pod for a direction: with any of them, only what one of them allows goes through."""
    return tuple(policy for policy in policies if direction in policy.rules and selects(policy, pod))


def selects(policy: Policy, pod: Peer) -> bool:
    """Whether a policy is about a pod."""
    return bool(pod.name) and policy.namespace == pod.namespace and policy.selector.matches(pod.labels)


def _one_end(policies: tuple[Policy, ...], direction: str, peer: Peer, spot: tuple[Peer, int, str]) -> Verdict:
    if not policies:
        return Verdict(True)
    agreeing = tuple(
        policy.key
        for policy in policies
        if any(_allows(rule, policy.namespace, peer, spot) for rule in policy.rules[direction])
    )
    return Verdict(True, agreeing) if agreeing else Verdict(False, tuple(each.key for each in policies), direction)


def _allows(rule: Rule, namespace: str, peer: Peer, spot: tuple[Peer, int, str]) -> bool:
    meant = not rule.peers or any(is_meant(each, namespace, peer) for each in rule.peers)
    return meant and (not rule.ports or any(_has_port(ports, *spot) for ports in rule.ports))


def is_meant(who: Block | Pods, namespace: str, peer: Peer) -> bool:
    """Whether an entry of `from` or `to`, in a policy of a namespace, means this end."""
    if isinstance(who, Block):
        address = ipaddress.ip_address(peer.ip)
        return _contains(who.cidr, address) and not any(_contains(cidr, address) for cidr in who.excepted)
    if not peer.name or not who.labels.matches(peer.labels):
        return False
    if who.namespaces is None:
        return peer.namespace == namespace
    return who.namespaces.matches(peer.namespace_labels)


def _contains(cidr: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address in ipaddress.ip_network(cidr, strict=False)


def _has_port(ports: Ports, destination: Peer, port: int, protocol: str) -> bool:
    if ports.protocol != protocol:
        return False
    if ports.name:
        return (ports.name, protocol, port) in destination.ports
    return ports.first <= port <= ports.last


# writing out


def openings(
    policies: Iterable[Policy], pod: Peer, direction: str, peers: Iterable[Peer]
) -> tuple[Opening, ...] | None:
    """The addresses and ports that a pod is open to in a direction; None where it is not isolated.

    `peers` are all pods that there are.
    """
    selecting = isolating(policies, pod, direction)
    if not selecting:
        return None
    everybody = tuple(peers)
    found = (
        opening
        for policy in selecting
        for rule in policy.rules[direction]
        for who in rule.peers or (ANYWHERE,)
        for opening in _written(rule, who, policy.namespace, pod if direction == INGRESS else None, everybody)
    )
    return tuple(dict.fromkeys(found))


def _written(
    rule: Rule, who: Block | Pods, namespace: str, destination: Peer | None, everybody: tuple[Peer, ...]
) -> Iterator[Opening]:
    """One entry of a rule. Where no destination is given, each peer is one, and has port names of its own."""
    if isinstance(who, Block):
        for ports in rule.ports or (None,):
            if ports is None or not ports.name or destination is not None:
                yield from _at(who, ports, destination)
            else:
                yield from (
                    opening for peer in everybody if is_meant(who, namespace, peer)
                    for opening in _at(Block(f"{peer.ip}/32"), ports, peer)
                )  # fmt: skip
        return
    for peer in everybody:
        if is_meant(who, namespace, peer):
            for ports in rule.ports or (None,):
                yield from _at(Block(f"{peer.ip}/32"), ports, destination or peer)


def _at(block: Block, ports: Ports | None, destination: Peer | None) -> Iterator[Opening]:
    if ports is None:
        yield Opening(block)
    elif not ports.name:
        yield Opening(block, ports.protocol, ports.first, ports.last)
    elif destination is not None:
        for name, protocol, number in destination.ports:
            if (name, protocol) == (ports.name, ports.protocol):
                yield Opening(block, protocol, number, number)
