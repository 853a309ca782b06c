"""kube-apiserver's service resolver: which endpoint of a Service is asked, and how it is reached.

Interface: `resolve(server, namespace, name, port) -> Endpoint`, raises ApiError; `service_and_slices`.
The rule not to break: a pod is reached through its node's kubelet, so that this works on every runtime; an endpoint
that is no pod is reached at its address.
Source: `apiserver/pkg/util/proxy/proxy.go`. Upstream dials the cluster IP, or the endpoint's address.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from k8snb.apimachinery.errors import unavailable
from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import Object, get_path, labels_of
from k8snb.apiserver.nodes import NodeConnection, kubelet_of
from k8snb.apiserver.registry import Registry
from k8snb.apiserver.streams import Connection

SERVICE_NAME = "kubernetes.io/service-name"
POD, SERVICE, SLICE = BY_GVK["v1", "Pod"], BY_GVK["v1", "Service"], BY_GVK["discovery.k8s.io/v1", "EndpointSlice"]


class Server(Protocol):
    registry: Registry
    nodes: dict[str, NodeConnection]
    dice: random.Random


class Endpoint(NamedTuple):
    """An address and port; `connect` opens a connection to it through a kubelet, None where it is no pod."""

    address: str
    port: int
    connect: Callable[[], Connection] | None


def resolve(server: Server, namespace: str, name: str, port: int) -> Endpoint:
    """One of the endpoints that are ready. Raises NotFound or ServiceUnavailable, in upstream's words."""
    service, slices = service_and_slices(server, namespace, name)
    wanted = next((entry for entry in service["spec"].get("ports") or () if entry["port"] == port), None)
    if wanted is None:
        raise unavailable(f'no service port {port} found for service "{name}"')
    ends = list(ready(slices, wanted.get("name", "")))
    if not ends:
        raise unavailable(f'no endpoints available for service "{name}"')
    end, number = server.dice.choice(ends)
    return reached(server, namespace, end, number)


def service_and_slices(server: Server, namespace: str, name: str) -> tuple[Object, list[Object]]:
    """A Service and its EndpointSlices. Raises NotFound."""
    service = server.registry.record(SERVICE, namespace, name).value
    records, _ = server.registry.store.range(f"{SLICE.prefix}{namespace}/")
    return service, [record.value for record in records if labels_of(record.value).get(SERVICE_NAME) == name]


def ready(slices: list[Object], port: str) -> Iterator[tuple[Object, int]]:
    """The endpoints that are ready, each with the number of the port of this name."""
    for one in slices:
        for entry in one.get("ports") or ():
            if (entry.get("name") or "") == port and entry.get("port"):
                yield from ((end, entry["port"]) for end in one.get("endpoints") or () if is_ready(end))


def is_ready(endpoint: Object) -> bool:
    return get_path(endpoint, "conditions.ready") is not False


def reached(server: Server, namespace: str, end: Object, port: int) -> Endpoint:
    target, address = end.get("targetRef") or {}, end["addresses"][0]
    if target.get("kind") != "Pod":
        return Endpoint(address, port, None)
    pod = server.registry.record(POD, target.get("namespace") or namespace, target["name"]).value
    forward = kubelet_of(server.nodes, pod).get_port_forward(pod)
    return Endpoint(address, port, lambda: forward(port))
