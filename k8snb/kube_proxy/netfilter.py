"""kube-proxy's rules as netfilter has them: what `iptables-restore` reads.

Interface: `nat_table(rules, chain)` writes the rules that a kernel can carry out by itself; `KernelDataPlane`, the data
plane on sockets that also hands these to pods' kernels.
The rule not to break: whatever is not written here (UDP, sessions, Local policies) still reaches the listener of the
data plane on sockets, which stands at the same address.
Source: `pkg/proxy/iptables/proxier.go` in the kubernetes repository, which writes chains for each Service and endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from k8snb.ioloop import IoLoop
from k8snb.kube_proxy.forwarder import SocketDataPlane
from k8snb.kube_proxy.rules import CLUSTER_IP, EXTERNAL_IP, Rule, usable


def nat_table(rules: Iterable[Rule], chain: str) -> str:
    """A nat table whose `chain` sends connections on as the rules say, each target as likely as the others."""
    written = (line for rule in rules if in_kernel(rule) for line in lines(rule, chain))
    return "\n".join(("*nat", f":{chain} - [0:0]", *written, "COMMIT", ""))


def in_kernel(rule: Rule) -> bool:
    """Whether a pod's own kernel can carry a rule out alone, as far as anybody in the pod can tell."""
    at_home = any(target.ip.startswith("127.") for target in rule.targets)
    plain = rule.protocol == "TCP" and not (rule.local or rule.affinity_seconds or rule.source_ranges)
    return plain and rule.sort in (CLUSTER_IP, EXTERNAL_IP) and not at_home


def lines(rule: Rule, chain: str) -> Iterator[str]:
    """One line for each target: it takes its share of what the targets before it have left over."""
    address, port = rule.listen
    where = f"-A {chain} -d {address}/32 -p {rule.protocol.lower()} --dport {port}"
    targets = usable(rule)
    for index, target in enumerate(targets):
        left = len(targets) - index
        share = f" -m statistic --mode random --probability {1 / left:.10f}" if left > 1 else ""
        yield f"{where}{share} -j DNAT --to-destination {target.ip}:{target.port}"


class KernelDataPlane(SocketDataPlane):
    """`hand_over(text)` gives pods' kernels a function that writes their nat table, with the rules of that moment."""

    def __init__(
        self, io: IoLoop, chain: str, hand_over: Callable[[Callable[[], str]], None], *, seed: int = 0,
        locate: Callable[[str], str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(io, seed=seed, locate=locate)
        self._chain = chain
        self._hand_over = hand_over
        self._on: set[str] = set()
        self._rules: Mapping[str, tuple[Rule, ...]] = {}  # replaced whole: another thread reads it

    def add_node(self, node: str, address: str) -> None:
        super().add_node(node, address)
        self._on.add(node)
        self._hand_over(self._text)

    def remove_node(self, node: str) -> None:
        super().remove_node(node)
        self._on.discard(node)
        self._hand_over(self._text)

    def program(self, service: str, rules: tuple[Rule, ...]) -> None:
        super().program(service, rules)
        left = {name: known for name, known in self._rules.items() if name != service}
        self._rules = {**left, service: rules} if rules else left
        self._hand_over(self._text)

    def _text(self) -> str:
        """While no node's kube-proxy runs there are no rules: connections then find no listener either."""
        rules = (rule for known in self._rules.values() for rule in known) if self._on else ()
        return nat_table(rules, self._chain)
