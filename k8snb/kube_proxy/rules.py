"""kube-proxy's rules: what one Service and its EndpointSlices mean for connections. Pure functions on plain dicts.

Interface: `service_rules(service, slices)` computes, `usable(rule, node)` says where a connection may go,
`on_node(rule, …)` shows one node's view, `not_carried_out(service)` names what the Service asks for in vain.
The rule not to break: a rule is computed once for all nodes; what differs between nodes is asked for when it matters.
Source: `pkg/proxy/topology.go` and `pkg/proxy/serviceport.go` in the kubernetes repository. Upstream also knows IPv6,
zones (topology hints) and SCTP, and turns the rules into iptables, ipvs or nftables of the node's kernel.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import Object, get_path, key_of, labels_of, namespace_of

SERVICE_NAME = "kubernetes.io/service-name"
PROXY_NAME = "service.kubernetes.io/service-proxy-name"

CLUSTER_IP, NODE_PORT, EXTERNAL_IP, LOAD_BALANCER = "ClusterIP", "NodePort", "ExternalIP", "LoadBalancer"
HEALTH = "HealthCheck"  # a port of each node at which kube-proxy itself answers
EVERY_NODE = ""  # the listen address of a NodePort: each node's own
AFFINITY_SECONDS = 10800
FORWARDED = ("TCP", "UDP")


class Target(NamedTuple):
    """One endpoint of one port: its pod is `namespace/name`, "" where none stands behind the address.

    `ready` is False for a pod that is ending but still serves.
    """

    ip: str
    port: int
    node: str = ""
    ready: bool = True
    pod: str = ""

    def __str__(self) -> str:
        return self.pod or f"{self.ip}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Connections to `listen` go to one of `targets`.

    With `local` (a traffic policy of Local) only targets on the node at which the connection arrives count.
    `affinity_seconds`: how long a client stays with its target; 0 = each connection is on its own.
    `source_ranges`: the clients that may connect, in CIDR notation; empty = all.
    """

    service: str
    port_name: str
    protocol: str
    listen: tuple[str, int]
    sort: str
    targets: tuple[Target, ...]
    local: bool = False
    affinity_seconds: int = 0
    source_ranges: tuple[str, ...] = ()


def service_rules(service: Object, slices: Iterable[Object]) -> tuple[Rule, ...]:
    """The rules of one Service; none for headless and ExternalName ones and those of another proxy."""
    if not is_proxied(service):
        return ()
    slices = sorted(slices, key=key_of)
    rules = [rule for port in service["spec"].get("ports") or () for rule in _port_rules(service, port, slices)]
    return (*rules, *_health_rule(service, rules))


def is_proxied(service: Object) -> bool:
    """Whether kube-proxy has anything to do with a Service."""
    spec = service["spec"]
    return (
        spec.get("type") != "ExternalName"
        and spec.get("clusterIP") not in (None, "", "None")
        and PROXY_NAME not in labels_of(service)
    )


def usable(rule: Rule, node: str = "") -> tuple[Target, ...]:
    """The targets for a connection that arrives at `node` ("" = nobody can tell, so that Local cannot be asked for).

    As upstream: the ready ones; where there is none, those that are ending but still serve.
    """
    if not rule.local:
        return rule.targets
    near = [target for target in rule.targets if not node or target.node == node]
    return _ready_first(near)


def admits(rule: Rule, client: str) -> bool:
    """Whether `spec.loadBalancerSourceRanges` lets a client's address in."""
    if not rule.source_ranges:
        return True
    address = ipaddress.ip_address(client)
    return any(address in ipaddress.ip_network(cidr.strip(), strict=False) for cidr in rule.source_ranges)


def on_node(rule: Rule, node: str, address: str) -> Rule:
    """The rule as one node has it: NodePorts at its own address, Local ones with its own targets."""
    listen = (address, rule.listen[1]) if rule.listen[0] == EVERY_NODE else rule.listen
    return replace(rule, listen=listen, targets=usable(rule, node))


def service_keys(endpoint_slice: Object) -> tuple[str, ...]:
    """The key of the Service that an EndpointSlice belongs to, as an index function: none or one."""
    name = labels_of(endpoint_slice).get(SERVICE_NAME)
    return (f"{namespace_of(endpoint_slice)}/{name}",) if name else ()


def not_carried_out(service: Object) -> tuple[str, ...]:
    """Sentences about what a Service asks of kube-proxy and does not get."""
    if not is_proxied(service):
        return ()
    spec = service["spec"]
    ports = spec.get("ports") or ()
    asked = {
        "SCTP ports": any(port.get("protocol") not in (None, *FORWARDED) for port in ports),
        "spec.trafficDistribution": bool(spec.get("trafficDistribution")),
        "IPv6 cluster IPs": any(":" in ip for ip in spec.get("clusterIPs") or ()),
    }
    return tuple(f"{what}: not implemented by k8snb's kube-proxy" for what, wanted in asked.items() if wanted)


def _port_rules(service: Object, port: dict[str, Any], slices: list[Object]) -> Iterator[Rule]:
    protocol = port.get("protocol") or "TCP"
    if protocol not in FORWARDED:
        return
    spec, name = service["spec"], port.get("name") or ""
    everyone = bool(spec.get("publishNotReadyAddresses"))
    targets = tuple(dict.fromkeys(_targets(name, protocol, slices, everyone)))
    for sort, listen in _listens(service, port):
        local = _is_local(spec, sort)
        yield Rule(
            service=key_of(service),
            port_name=name,
            protocol=protocol,
            listen=listen,
            sort=sort,
            targets=targets if local else _ready_first(targets),
            local=local,
            affinity_seconds=_affinity(spec),
            source_ranges=tuple(spec.get("loadBalancerSourceRanges") or ()) if sort == LOAD_BALANCER else (),
        )


def _health_rule(service: Object, rules: Iterable[Rule]) -> Iterator[Rule]:
    """Where load balancers ask a node whether it has endpoints of its own."""
    number = service["spec"].get("healthCheckNodePort")
    if number:
        targets = tuple(dict.fromkeys(target for rule in rules if rule.local for target in rule.targets))
        yield Rule(
            service=key_of(service), port_name="", protocol="TCP", listen=(EVERY_NODE, number), sort=HEALTH,
            targets=targets, local=True,
        )  # fmt: skip


def _targets(name: str, protocol: str, slices: list[Object], everyone: bool) -> Iterator[Target]:
    """The endpoints behind a port that may ever be used. The slices carry the numbers that named ports stand for."""
    for endpoint_slice in slices:
        number = _port_number(endpoint_slice, name, protocol)
        if number is None or endpoint_slice.get("addressType", "IPv4") != "IPv4":
            continue
        for endpoint in endpoint_slice.get("endpoints") or ():
            ready = everyone or is_ready(endpoint)
            if ready or _still_serves(endpoint):
                yield Target(endpoint["addresses"][0], number, endpoint.get("nodeName") or "", ready, _pod(endpoint))


def _port_number(endpoint_slice: Object, name: str, protocol: str) -> int | None:
    for port in endpoint_slice.get("ports") or ():
        if (port.get("name") or "") == name and (port.get("protocol") or "TCP") == protocol:
            number: int | None = port.get("port")
            return number
    return None


def is_ready(endpoint: dict[str, Any]) -> bool:
    """Whether an endpoint takes traffic; a condition that is missing means yes."""
    return (endpoint.get("conditions") or {}).get("ready") is not False


def _pod(endpoint: dict[str, Any]) -> str:
    reference = endpoint.get("targetRef") or {}
    return f"{reference['namespace']}/{reference['name']}" if reference.get("kind") == "Pod" else ""


def _still_serves(endpoint: dict[str, Any]) -> bool:
    conditions = endpoint.get("conditions") or {}
    return bool(conditions.get("serving") and conditions.get("terminating"))


def _ready_first(targets: Iterable[Target]) -> tuple[Target, ...]:
    targets = tuple(targets)
    return tuple(target for target in targets if target.ready) or targets


def _listens(service: Object, port: dict[str, Any]) -> Iterator[tuple[str, tuple[str, int]]]:
    spec, number = service["spec"], port["port"]
    for ip in spec.get("clusterIPs") or (spec["clusterIP"],):
        if ":" not in ip:
            yield CLUSTER_IP, (ip, number)
    if port.get("nodePort"):
        yield NODE_PORT, (EVERY_NODE, port["nodePort"])
    for ip in spec.get("externalIPs") or ():
        yield EXTERNAL_IP, (ip, number)
    for ingress in get_path(service, "status.loadBalancer.ingress") or ():
        if ingress.get("ip") and ingress.get("ipMode") != "Proxy":
            yield LOAD_BALANCER, (ingress["ip"], number)


def _is_local(spec: dict[str, Any], sort: str) -> bool:
    policy = "internalTrafficPolicy" if sort == CLUSTER_IP else "externalTrafficPolicy"
    return spec.get(policy) == "Local"


def _affinity(spec: dict[str, Any]) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    return int(get_path(spec, "sessionAffinityConfig.clientIP.timeoutSeconds") or AFFINITY_SECONDS)
