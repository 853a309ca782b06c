"""NetworkPolicies: who may talk to whom.

Interface: `policies` decides, as pure functions on plain data; `agent.PolicyAgent` follows the API and keeps a
`book.PolicyBook` that whatever carries connections asks; `netfilter` writes the rules of a pod's own kernel.
The rule not to break: all that enforces or shows a policy asks the same function, `policies.allowed`.
Upstream only defines the API (`networking.k8s.io/v1`): a network plug-in such as Calico or Cilium enforces it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from k8snb.networkpolicy.policies import Opening, Peer


class PodRules(NamedTuple):
    """What one pod's own firewall has to let through: None for a direction in which the pod is not isolated."""

    ingress: tuple[Opening, ...] | None
    egress: tuple[Opening, ...] | None


class Judge(Protocol):
    """Who is asked about each connection that k8snb carries itself. Any thread may ask."""

    def permits(self, source: str, destination: str, port: int, protocol: str = "TCP") -> bool:
        """Whether a connection may be made between two addresses."""
        ...

    def expect(self, pod: Peer) -> bool:
        """A pod is about to start whose address the API does not know yet; whether any policy may concern it."""
        ...


class Firewall(Protocol):
    """What enforces policies where no connection passes k8snb itself. No call blocks.

    `why_not` says in one sentence what it does not hold back, "" where it holds back everything.
    """

    @property
    def why_not(self) -> str: ...

    def program(self, rules: Callable[[], Mapping[str, PodRules]]) -> None:
        """The rules of all pods have changed: `rules()` says, on any thread, what they are now, by address; a pod that
        is not named is not isolated."""
        ...
