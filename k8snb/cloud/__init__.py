"""cloud-controller-manager: what a cluster asks of the cloud that its machines are rented from.

Interface: `Provider`, the seam to a cloud: `Instances`, `LoadBalancers` and `Routes`, each None where it has none;
`controllers` acts on it, `notebook` is the provider that comes with k8snb.
The rule not to break: only a provider knows the cloud; what it says goes through the apiserver like everything else.
Source: `k8s.io/cloud-provider/cloud.go` (InstancesV2, LoadBalancer, Routes). Upstream also knows clusters that share
one cloud, and zones as a part of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from k8snb.apimachinery.meta import Object


class CloudError(Exception):
    """The cloud refuses or fails, in a sentence. It is tried again later."""


@dataclass(frozen=True)
class InstanceMetadata:
    """A machine as its cloud knows it. `addresses` are (type, address) as in a Node's status; "" = it has no such."""

    provider_id: str
    addresses: Sequence[tuple[str, str]] = ()
    instance_type: str = ""
    zone: str = ""
    region: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


class Instances(Protocol):
    """The machines. Any call may raise CloudError."""

    def instance_exists(self, node: Object) -> bool: ...

    def instance_shutdown(self, node: Object) -> bool:
        """Whether the machine is switched off, and still there."""

    def instance_metadata(self, node: Object) -> InstanceMetadata: ...


class LoadBalancers(Protocol):
    """What leads from outside to a Service. Calls may be repeated; any may raise CloudError."""

    def get_load_balancer(self, service: Object) -> Object | None:
        """The balancer's status (`{"ingress": […]}`), None where there is none."""

    def ensure_load_balancer(self, service: Object, nodes: Sequence[Object]) -> Object:
        """Make one, or make it as the Service says now. Returns its status."""

    def update_load_balancer(self, service: Object, nodes: Sequence[Object]) -> None:
        """Other nodes stand behind it."""

    def ensure_load_balancer_deleted(self, service: Object) -> None: ...


class Route(NamedTuple):
    """The way to a node's pods: `destination` is a range, as in `spec.podCIDR`."""

    node: str
    destination: str


class Routes(Protocol):
    """The cloud's routing table. Any call may raise CloudError."""

    def list_routes(self) -> Mapping[str, Route]:
        """By the nodes' names. To be read at once, not kept."""

    def create_route(self, route: Route) -> None: ...

    def delete_route(self, route: Route) -> None: ...


class Provider(Protocol):
    """One cloud."""

    name: str

    def instances(self) -> Instances | None: ...
    def load_balancers(self) -> LoadBalancers | None: ...
    def routes(self) -> Routes | None: ...
