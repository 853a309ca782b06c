"""The policy book: all NetworkPolicies and pods of a cluster, by the addresses that connections carry.

Interface: `PolicyBook.judge(source, destination, port)`, from any thread; `PolicyAgent` writes it.
The rule not to break: tables are replaced whole or entry by entry, never half; while there is no policy, a question
costs nothing and no pod is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from k8snb.apimachinery.meta import split_key
from k8snb.networkpolicy import Judge, PodRules
from k8snb.networkpolicy.policies import EGRESS, INGRESS, Peer, Policy, Verdict, allowed, openings

NO_POLICY = Verdict(True)
OPEN = PodRules(None, None)


class PolicyBook:
    """`policies` by namespace and key, `peers` by address, the labels of `namespaces` by name.

    What k8snb itself answers at a Service's address counts as a pod of the Service's namespace, with its labels.
    """

    def __init__(self) -> None:
        self.policies: dict[str, dict[str, Policy]] = {}
        self.peers: dict[str, Peer] = {}
        self.namespaces: dict[str, Mapping[str, str]] = {}

    def judge(self, source: str, destination: str, port: int, protocol: str = "TCP") -> Verdict:
        """Whether a connection may be made between two addresses, and which policies say so."""
        if not self.policies:
            return NO_POLICY
        ends = self.peer(source), self.peer(destination)
        policies = [policy for namespace in {end.namespace for end in ends} for policy in self.of(namespace)]
        return allowed(policies, *ends, port, protocol)

    def permits(self, source: str, destination: str, port: int, protocol: str = "TCP") -> bool:
        """The verdict alone."""
        return self.judge(source, destination, port, protocol).allowed

    def put(self, policy: Policy) -> None:
        """A policy is there, or says something else."""
        self.policies[policy.namespace] = {**self.policies.get(policy.namespace, {}), policy.key: policy}

    def drop(self, key: str) -> None:
        """A policy (`namespace/name`) is gone."""
        namespace, _ = split_key(key)
        left = {name: policy for name, policy in self.policies.get(namespace, {}).items() if name != key}
        if left:
            self.policies[namespace] = left
        else:
            self.policies.pop(namespace, None)

    def of(self, namespace: str) -> list[Policy]:
        """The policies of a namespace, by name."""
        return [policy for _, policy in sorted(self.policies.get(namespace, {}).items())]

    def peer(self, ip: str) -> Peer:
        """Who has an address: a pod, or nobody that policies know by name."""
        return self._named(self.peers.get(ip) or Peer(ip))

    def expect(self, pod: Peer) -> bool:
        """A pod is about to start whose address the API does not know yet; whether any policy may concern it."""
        if self.policies.get(pod.namespace):
            self.peers.setdefault(pod.ip, pod)
        return pod.namespace in self.policies

    def everybody(self) -> list[Peer]:
        return [self._named(peer) for peer in list(self.peers.values())]

    def rules(self) -> dict[str, PodRules]:
        """What each isolated pod's own firewall lets through, by address."""
        everybody = self.everybody()
        found = {peer.ip: pod_rules(self.of(peer.namespace), peer, everybody) for peer in everybody}
        return {ip: rules for ip, rules in found.items() if rules != OPEN}

    def _named(self, peer: Peer) -> Peer:
        return peer._replace(namespace_labels=self.namespaces.get(peer.namespace, {})) if peer.name else peer


class SeenFrom(NamedTuple):
    """A judge for a place where `meant(address)` says whose address a client's is."""

    judge: Judge
    meant: Callable[[str], str]

    def permits(self, source: str, destination: str, port: int, protocol: str = "TCP") -> bool:
        return self.judge.permits(self.meant(source), destination, port, protocol)

    def expect(self, pod: Peer) -> bool:
        return self.judge.expect(pod)


def pod_rules(policies: Iterable[Policy], pod: Peer, everybody: Iterable[Peer]) -> PodRules:
    """What one pod's own firewall lets through."""
    policies, everybody = list(policies), list(everybody)
    return PodRules(
        openings(policies, pod, INGRESS, everybody),
        openings(policies, pod, EGRESS, everybody),
    )
