"""NetworkPolicies as netfilter has them: what `iptables-restore` reads for one pod's own network namespace.

Interface: `filter_table(rules, …)` writes the filter table of a pod; `KernelFirewall`, a `Firewall` of such tables.
The rule not to break: the node is always let in (probes, and the connections to Services that k8snb has judged
already), and so is what belongs to a connection that was let through once.
Source: what network plug-ins with iptables write, for example kube-router (docs/how-it-works.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from k8snb.networkpolicy import PodRules
from k8snb.networkpolicy.policies import LAST_PORT, Opening

Tables = Mapping[str, str]  # a pod's address → its filter table


class KernelFirewall:
    """`hand_over(tables)` gives pods' kernels a function that writes their filter tables. `reach_out` are the ranges
    whose connections are judged where they arrive; `chains` take what comes in and what goes out.
    """

    def __init__(
        self, hand_over: Callable[[Callable[[], Tables]], None], why_not: Callable[[], str], *, node: str,
        reach_out: Callable[[], Sequence[str]], chains: tuple[str, str],
    ) -> None:  # fmt: skip
        self._hand_over = hand_over
        self._why_not = why_not
        self._node, self._reach_out, self._chains = node, reach_out, chains

    @property
    def why_not(self) -> str:
        return self._why_not()

    def program(self, rules: Callable[[], Mapping[str, PodRules]]) -> None:
        self._hand_over(lambda: {ip: self._table(each) for ip, each in rules().items()})

    def _table(self, rules: PodRules) -> str:
        return filter_table(rules, node=self._node, reach_out=self._reach_out(), chains=self._chains)


def filter_table(rules: PodRules, *, node: str, reach_out: Sequence[str], chains: tuple[str, str]) -> str:
    """A filter table that lets through what the rules say, in each direction in which the pod is isolated."""
    into, out = chains
    body: list[str] = []
    extra: list[str] = []
    for chain, openings, always in (
        (into, rules.ingress, ["-i lo -j ACCEPT", f"-s {node}/32 -j ACCEPT"]),
        (out, rules.egress, ["-o lo -j ACCEPT", *(f"-d {cidr} -j ACCEPT" for cidr in (f"{node}/32", *reach_out))]),
    ):  # fmt: skip
        if openings is None:
            continue
        body.append(f"-A {chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
        body += [f"-A {chain} {line}" for line in always]
        for number, opening in enumerate(openings):
            body += _opened(opening, chain, "-s" if chain == into else "-d", f"{chain}-{number}", extra)
        body.append(f"-A {chain} -j DROP")
    heads = [f":{chain} - [0:0]" for chain in (*chains, *extra)]
    return "\n".join(("*filter", *heads, *body, "COMMIT", ""))


def _opened(opening: Opening, chain: str, end: str, own: str, extra: list[str]) -> Iterator[str]:
    """The lines of one opening; a range with exceptions has a chain of its `own`, which passes them over."""
    cidr, excepted = opening.block
    if ":" in cidr:
        return  # pods have no IPv6 address
    port = ""
    if opening.protocol:
        port = f" -p {opening.protocol.lower()}"
        if (opening.first, opening.last) != (0, LAST_PORT):
            port += f" --dport {opening.first}:{opening.last}"
    if not excepted:
        yield f"-A {chain} {end} {cidr}{port} -j ACCEPT"
        return
    extra.append(own)
    yield f"-A {chain} {end} {cidr}{port} -j {own}"
    for part in excepted:
        if ":" not in part:
            yield f"-A {own} {end} {part} -j RETURN"
    yield f"-A {own} -j ACCEPT"
