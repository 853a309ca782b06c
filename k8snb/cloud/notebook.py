"""The notebook's cloud: the provider that comes with k8snb. Its machines are the cluster's nodes, and its network is
this computer's.

Interface: `NotebookCloud(cluster, machine, …)`, a `Provider`; `Machine`, what it rents out; `Edge`, the seam to what
really forwards connections.
The rule not to break: an address belongs to one balancer, and goes back when the balancer does.
Real clouds bill for this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from k8snb.apimachinery.meta import Object, get_path, key_of, name_of
from k8snb.cloud import CloudError, InstanceMetadata, Instances, LoadBalancers, Route, Routes

REGION, ZONE, TYPE = "notebook", "notebook-a", "notebook"
AFFINITY_SECONDS = 10800


class Machine(NamedTuple):
    """One rented machine. `on` is False while it is switched off."""

    name: str
    address: str
    on: bool = True
    zone: str = ZONE


class Port(NamedTuple):
    """What a balancer answers at, and where the nodes answer for it."""

    number: int
    protocol: str
    node_port: int


@dataclass(frozen=True)
class Balancer:
    """A load balancer as it is to be. `nodes` are (name, address); no `source_ranges` = everybody may connect."""

    service: str
    address: str
    ports: tuple[Port, ...]
    nodes: tuple[tuple[str, str], ...]
    source_ranges: tuple[str, ...] = ()
    affinity_seconds: int = 0


class Edge(Protocol):
    """Forwards from outside to the nodes, and leaves those out that do not answer.

    `addresses` are those that it can answer at; a single one is shared by all balancers.
    """

    @property
    def addresses(self) -> Sequence[str]: ...

    def program(self, balancer: Balancer) -> None:
        """Make a balancer, or make it so."""

    def remove(self, service: str) -> None: ...


class NotebookCloud:
    """`machine(node's name)` is the machine that a node stands on, None where there is none (any more)."""

    name = "notebook"

    def __init__(self, cluster: str, machine: Callable[[str], Machine | None]) -> None:
        self._cluster = cluster
        self._machine = machine
        self._edge: Edge | None = None
        self._balancers: dict[str, Balancer] = {}
        self._routes: dict[str, Route] = {}

    def connect(self, edge: Edge) -> None:
        """The network has been switched on; what was forwarded before is forwarded again when it is asked for."""
        self._edge = edge
        self._balancers.clear()

    def instances(self) -> Instances:
        return self

    def load_balancers(self) -> LoadBalancers:
        return self

    def routes(self) -> Routes:
        return self

    # machines

    def instance_exists(self, node: Object) -> bool:
        return self._machine(name_of(node)) is not None

    def instance_shutdown(self, node: Object) -> bool:
        return not self._found(node).on

    def instance_metadata(self, node: Object) -> InstanceMetadata:
        machine = self._found(node)
        return InstanceMetadata(
            provider_id=f"notebook://{self._cluster}/{machine.name}",
            addresses=(("InternalIP", machine.address), ("Hostname", machine.name)),
            instance_type=TYPE,
            zone=machine.zone,
            region=REGION,
        )

    def _found(self, node: Object) -> Machine:
        machine = self._machine(name_of(node))
        if machine is None:
            raise CloudError(f"instance {name_of(node)} not found")
        return machine

    # routes: the runtimes' networks lead to every node's pods by themselves, so that a table is all there is to keep

    def list_routes(self) -> Mapping[str, Route]:
        return self._routes

    def create_route(self, route: Route) -> None:
        self._routes[route.node] = route

    def delete_route(self, route: Route) -> None:
        self._routes.pop(route.node, None)

    # load balancers

    def get_load_balancer(self, service: Object) -> Object | None:
        balancer = self._balancers.get(key_of(service))
        return None if balancer is None else _status(balancer, service)

    def ensure_load_balancer(self, service: Object, nodes: Sequence[Object]) -> Object:
        edge = self._must_be_connected()
        known = self._balancers.get(key_of(service))
        address = self._address(edge, service, known)
        balancer = self._balancers[key_of(service)] = _balancer(service, address, nodes)
        if _stands_before_nodes(service):
            edge.program(balancer)
        else:
            edge.remove(balancer.service)
        return _status(balancer, service)

    def update_load_balancer(self, service: Object, nodes: Sequence[Object]) -> None:
        if key_of(service) in self._balancers:
            self.ensure_load_balancer(service, nodes)

    def ensure_load_balancer_deleted(self, service: Object) -> None:
        if self._balancers.pop(key_of(service), None) is not None:
            self._must_be_connected().remove(key_of(service))

    def _must_be_connected(self) -> Edge:
        if self._edge is None:
            raise CloudError("the notebook's network is switched off")
        return self._edge

    def _address(self, edge: Edge, service: Object, known: Balancer | None) -> str:
        """The address that is asked for, or the one that it has or had, or the first that is free."""
        wish = service["spec"].get("loadBalancerIP")
        if wish and wish not in edge.addresses:
            span = f"{edge.addresses[0]} to {edge.addresses[-1]}"
            raise CloudError(f"spec.loadBalancerIP {wish} is not one of the notebook's addresses: {span}")
        for address in (*([wish] if wish else _favourites(service, known)), *(() if wish else edge.addresses)):
            if address in edge.addresses and not self._is_taken(edge, address, key_of(service)):
                return str(address)
        if wish:
            raise CloudError(f"spec.loadBalancerIP {wish} belongs to another balancer")
        raise CloudError(f"the notebook has no address left: {len(edge.addresses)} balancers have them all")

    def _is_taken(self, edge: Edge, address: str, service: str) -> bool:
        others = (each for key, each in self._balancers.items() if key != service)
        return len(edge.addresses) > 1 and any(each.address == address for each in others)


def _favourites(service: Object, known: Balancer | None) -> Iterator[str]:
    if known is not None:
        yield known.address
    for ingress in get_path(service, "status.loadBalancer.ingress") or ():
        yield ingress.get("ip") or ""


def _balancer(service: Object, address: str, nodes: Sequence[Object]) -> Balancer:
    spec = service["spec"]
    ports = (Port(port["port"], port.get("protocol") or "TCP", port.get("nodePort") or 0) for port in spec["ports"])
    sticky = spec.get("sessionAffinity") == "ClientIP"
    seconds = get_path(spec, "sessionAffinityConfig.clientIP.timeoutSeconds") or AFFINITY_SECONDS
    return Balancer(
        service=key_of(service),
        address=address,
        ports=tuple(ports),
        nodes=tuple((name_of(node), _internal(node)) for node in nodes if _internal(node)),
        source_ranges=tuple(spec.get("loadBalancerSourceRanges") or ()),
        affinity_seconds=seconds if sticky else 0,
    )


def _stands_before_nodes(service: Object) -> bool:
    """Whether the balancer forwards to node ports. Without them the nodes' kube-proxies answer at its address."""
    return all(port.get("nodePort") for port in service["spec"]["ports"])


def _status(balancer: Balancer, service: Object) -> Object:
    mode = "Proxy" if _stands_before_nodes(service) else "VIP"
    return {"ingress": [{"ip": balancer.address, "ipMode": mode}]}


def _internal(node: Object) -> str:
    addresses = get_path(node, "status.addresses") or ()
    return next((each["address"] for each in addresses if each["type"] == "InternalIP"), "")
