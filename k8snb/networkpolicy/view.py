"""NetworkPolicies, shown: which pods are isolated by what, and who may talk to whom.

Interface: `isolation_rows(policies, pods)`, and `talk_rows(policies, pod, pods)` for one pod.
The rule not to break: every answer is that of `policies.allowed`, which also enforces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from k8snb.networkpolicy.policies import EGRESS, INGRESS, Peer, Policy, Verdict, allowed, isolating

ANY_PORT = 0
OUTSIDE = Peer("198.51.100.1")  # RFC 5737: an address for documentation stands for the internet


class IsolationRow(NamedTuple):
    """The policies that isolate a pod in each direction; without any it is open."""

    pod: str
    ingress: tuple[str, ...]
    egress: tuple[str, ...]


class TalkRow(NamedTuple):
    """Whether one end may open a connection to the other; `port` is `80/TCP`, or `any` where no port is declared."""

    source: str
    destination: str
    port: str
    verdict: Verdict


def isolation_rows(policies: Sequence[Policy], pods: Iterable[Peer]) -> list[IsolationRow]:
    """A row for each pod."""
    return [
        IsolationRow(
            str(pod), *(tuple(each.key for each in isolating(policies, pod, way)) for way in (INGRESS, EGRESS))
        )
        for pod in sorted(pods, key=str)
    ]


def talk_rows(policies: Sequence[Policy], pod: Peer, pods: Iterable[Peer]) -> list[TalkRow]:
    """What comes to a pod, from every other one and from outside; then where it may go."""
    others = [each for each in sorted(pods, key=str) if each != pod]
    return [
        *(row for other in (*others, OUTSIDE) for row in _between(policies, other, pod)),
        *(row for other in (*others, OUTSIDE) for row in _between(policies, pod, other)),
    ]


def _between(policies: Sequence[Policy], source: Peer, destination: Peer) -> Iterator[TalkRow]:
    for port, protocol in destination.opened or ((ANY_PORT, "TCP"),):
        verdict = allowed(policies, source, destination, port, protocol)
        spot = f"{port}/{protocol}" if port else "any"
        yield TalkRow(_called(source), _called(destination), spot, verdict)


def _called(end: Peer) -> str:
    return "outside" if end == OUTSIDE else str(end)
