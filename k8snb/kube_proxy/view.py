"""kube-proxy's rules, shown: what each node holds, where a connection goes, and why an endpoint is left out.

Interface: `rule_rows(services, slices, nodes)` makes the rows of a table; `iptables_text(rules)` is what upstream's
proxy writes for the same rules.
The rule not to break: what is shown is computed by `rules`, which the data plane is programmed with.
Source: `pkg/proxy/iptables/proxier.go` in the kubernetes repository for the names of chains and their order.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import Object, key_of
from k8snb.kube_proxy.rules import HEALTH, NODE_PORT, Rule, Target, is_proxied, is_ready, on_node, service_rules

EVERYWHERE = "all"  # in the place of a node, where all have the same
Slices = Callable[[Object], Iterable[Object]]
Node = tuple[str, str]  # name and address


class RuleRow(NamedTuple):
    """One rule as a node has it. `endpoints` come with the share of connections that each gets; `left_out` are those
    that get none here, and why. What kube-proxy has no rule for has a row that says so in `note`."""

    node: str
    service: str
    port: str
    protocol: str
    type: str
    address: str
    endpoints: tuple[str, ...] = ()
    policy: str = ""
    left_out: tuple[str, ...] = ()
    note: str = ""


def rule_rows(services: Iterable[Object], slices: Slices, nodes: Sequence[Node]) -> list[RuleRow]:
    """The rules of Services on nodes: a row for each node where these differ, else one for all of them."""
    return [row for service in services for row in _service_rows(service, list(slices(service)), nodes)]


def _service_rows(service: Object, slices: list[Object], nodes: Sequence[Node]) -> Iterator[RuleRow]:
    if not is_proxied(service):
        yield _unproxied(service)
        return
    for rule in service_rules(service, slices):
        here = [_row(on_node(rule, *node), rule, node[0], slices) for node in nodes]
        if len({row._replace(node="") for row in here}) == 1:
            yield here[0]._replace(node=EVERYWHERE if len(here) > 1 else here[0].node)
        else:
            yield from here


def _unproxied(service: Object) -> RuleRow:
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        sort, address, why = "ExternalName", spec.get("externalName") or "", "no rule: DNS answers with this other name"
    elif spec.get("clusterIP") == "None":
        sort, address, why = "Headless", "None", "no rule: DNS answers with the addresses of the pods"
    else:
        sort, address, why = spec.get("type") or "", spec.get("clusterIP") or "", "no rule: another proxy sees to it"
    return RuleRow("", key_of(service), "", "", sort, address, note=why)


def _row(here: Rule, rule: Rule, node: str, slices: list[Object]) -> RuleRow:
    address = f"{here.listen[0]}:{here.listen[1]}"
    port = f"{here.port_name}/{here.listen[1]}" if here.port_name else str(here.listen[1])
    return RuleRow(
        node, here.service, port, here.protocol, here.sort, address, tuple(_shares(here.targets)), _policy(here),
        tuple(_left_out(here, slices)), "" if here.targets else _without(rule),
    )  # fmt: skip


def _shares(targets: Sequence[Target]) -> Iterator[str]:
    for target in targets:
        ending = "" if target.ready else ", ending"
        yield f"{target.ip}:{target.port} ({100 / len(targets):.0f}%{ending})"


def _policy(rule: Rule) -> str:
    words = [
        f"{'internal' if rule.sort == 'ClusterIP' else 'external'}TrafficPolicy Local" if rule.local else "",
        f"ClientIP {rule.affinity_seconds}s" if rule.affinity_seconds else "",
        f"from {', '.join(rule.source_ranges)}" if rule.source_ranges else "",
    ]
    return "; ".join(word for word in words if word)


def _without(rule: Rule) -> str:
    if rule.sort == HEALTH:
        return "answers 503: no endpoint on this node"
    if rule.targets and rule.sort != "ClusterIP":
        return "dropped: no endpoint on this node, and the policy is Local"
    return "no endpoint on this node, and the policy is Local" if rule.targets else "refused: no endpoint is ready"


def _left_out(here: Rule, slices: list[Object]) -> Iterator[str]:
    """The endpoints that get no connections by this rule, each with the reason."""
    used = {(target.ip, target.pod) for target in here.targets}
    for part in slices:
        for endpoint in part.get("endpoints") or ():
            ip, pod = endpoint["addresses"][0], _pod_of(endpoint)
            if (ip, pod) not in used:
                yield f"{pod.partition('/')[2] or ip}: {_why(endpoint, part, here)}"


def _pod_of(endpoint: dict[str, Any]) -> str:
    reference = endpoint.get("targetRef") or {}
    return f"{reference['namespace']}/{reference['name']}" if reference.get("kind") == "Pod" else ""


def _why(endpoint: dict[str, Any], part: Object, rule: Rule) -> str:
    conditions = endpoint.get("conditions") or {}
    names = {(port.get("name") or "", port.get("protocol") or "TCP") for port in part.get("ports") or ()}
    if (rule.port_name, rule.protocol) not in names:
        return "has no such port"
    if part.get("addressType", "IPv4") != "IPv4":
        return "IPv6"
    if conditions.get("terminating"):
        return "is ending" if conditions.get("serving") else "is ending and does not serve any more"
    if not is_ready(endpoint):
        return "is not ready"
    return f"is on node {endpoint.get('nodeName') or 'none'}, and the policy is Local"


# as upstream's proxy writes it


def iptables_text(rules: Iterable[Rule]) -> str:
    """The nat table of one node, as `iptables-save` shows that of a real kube-proxy in its iptables mode."""
    chains: list[str] = []
    services: list[str] = []
    node_ports: list[str] = []
    body: list[str] = []
    for rule in (each for each in rules if each.sort != HEALTH):  # at these the proxy itself answers
        name = f"{rule.service}:{rule.port_name}" if rule.port_name else rule.service
        chain = _chain("KUBE-SVL" if rule.local else "KUBE-SVC", f"{name}{rule.protocol.lower()}")
        listen = f'-p {rule.protocol.lower()} -m comment --comment "{name}" -m {rule.protocol.lower()}'
        if rule.sort == NODE_PORT:
            node_ports.append(f"-A KUBE-NODEPORTS {listen} --dport {rule.listen[1]} -j {chain}")
        else:
            services.append(f"-A KUBE-SERVICES -d {rule.listen[0]}/32 {listen} --dport {rule.listen[1]} -j {chain}")
        if chain not in chains:
            chains.append(chain)
            body += _endpoint_lines(rule, name, chain, chains)
    last = ['-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports" -m addrtype --dst-type LOCAL '
            "-j KUBE-NODEPORTS"]  # fmt: skip
    heads = [f":{chain} - [0:0]" for chain in ("KUBE-SERVICES", "KUBE-NODEPORTS", *chains)]
    return "\n".join(("*nat", *heads, *services, *last, *node_ports, *body, "COMMIT", ""))


def _endpoint_lines(rule: Rule, name: str, chain: str, chains: list[str]) -> Iterator[str]:
    protocol, count = rule.protocol.lower(), len(rule.targets)
    ends = [(_chain("KUBE-SEP", f"{name}{protocol}{target.ip}:{target.port}"), target) for target in rule.targets]
    recent = f"--rcheck --seconds {rule.affinity_seconds} --reap" if rule.affinity_seconds else ""
    for end, target in ends if recent else ():
        yield f"-A {chain} {_comment(name, target)} -m recent --name {end} {recent} -j {end}"
    for index, (end, target) in enumerate(ends):
        left = count - index
        share = f" -m statistic --mode random --probability {1 / left:.11f}" if left > 1 else ""
        yield f"-A {chain} {_comment(name, target)}{share} -j {end}"
    for end, target in ends:
        if end in chains:
            continue
        chains.append(end)
        kept = f" -m recent --name {end} --set" if recent else ""
        to = f"-m {protocol} -j DNAT --to-destination {target.ip}:{target.port}"
        yield f'-A {end} -s {target.ip}/32 -m comment --comment "{name}" -j KUBE-MARK-MASQ'
        yield f'-A {end} -p {protocol} -m comment --comment "{name}"{kept} {to}'


def _comment(name: str, target: Target) -> str:
    return f'-m comment --comment "{name} -> {target.ip}:{target.port}"'


def _chain(prefix: str, text: str) -> str:
    """Upstream's names: sixteen letters of a hash, for a chain's name may not be long."""
    return f"{prefix}-{base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:16]}"
