"""What the endpoints and the endpointslice controller share: which pods stand behind a Service, and on which ports.

Interface: `BackendsController`, the base of both; `ports_of`, `address_of`, `belongs`.
The rule not to break: one pod's change looks at the Services that select it, and at no others.
Source: `endpointslice/utils.go` and `pkg/controller/endpoint` in the kubernetes repository.

A runtime that cannot open a port at the pod's own address opens another and says so in the pod's annotation
`k8snb.io/mapped-ports: {"80":42080}`. Endpoints then carry the port that is really open, and repeat the annotation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    revision_of,
    uid_of,
)
from k8snb.apimachinery.selectors import NOTHING, Selector, from_set
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.controllers.pods import batch_period, is_ready, is_terminal, node_of
from k8snb.controllers.selecting import index_labels, index_selectors, selected, selecting

MAPPED = "k8snb.io/mapped-ports"
HEADLESS = "service.kubernetes.io/headless"


class Port(NamedTuple):
    """One port of an endpoint: what the Service calls it, and where the pod really listens."""

    name: str
    protocol: str
    port: int
    app_protocol: str = ""

    def as_object(self) -> Object:
        entry: Object = {"name": self.name, "port": self.port, "protocol": self.protocol}
        return {**entry, "appProtocol": self.app_protocol} if self.app_protocol else entry


class Backend(NamedTuple):
    """A pod behind a Service: its open ports, and which of them are mapped ({"80": 42080})."""

    pod: Object
    ports: tuple[Port, ...]
    mapped: tuple[tuple[str, int], ...]


class BackendsController(Controller):
    """Enqueues a Service when it, or a pod that it selects or has selected, changes."""

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.services = self.watch("services")
        index_selectors(self.services, selector_of)
        self.pods = informers.get("pods")
        index_labels(self.pods)
        self.pods.on_change(self._pod_changed)
        self._counts: dict[str, int] = {}

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if _visible(old) == _visible(new):
            return
        keys = {key_of(one) for pod in (old, new) if pod for one in selecting(self.services, selector_of, pod)}
        for key in sorted(keys):
            self.look_soon(key, revision_of(new or old or {"metadata": {}}))

    def look_soon(self, key: str, cause: int) -> None:
        """Enqueue a Service: at once where few pods stand behind it, for many a little later."""
        period = batch_period(self._counts.get(key, 0))
        if period:
            self.queue.add_after(key, period)
        else:
            self.queue.add(key, cause)

    def backends(self, key: str, service: Object) -> list[Backend]:
        """The pods that a Service's traffic could go to, ready or not."""
        pods = selected(self.pods, namespace_of(service), selector_of(service))
        self._counts[key] = len(pods)
        return [backend_of(service, pod) for pod in pods if address_of(pod) and not is_terminal(pod)]

    def subject(self, key: str) -> Object | None:
        return self.services.by_key(key)


def selector_of(service: Object) -> Selector:
    """A Service without selector, or of type ExternalName, selects nothing: its endpoints are somebody else's."""
    labels = service["spec"].get("selector")
    return from_set(labels) if labels and service["spec"].get("type") != "ExternalName" else NOTHING


def is_headless(service: Object) -> bool:
    return bool(service["spec"].get("clusterIP") == "None")


def address_of(pod: Object) -> str:
    address: str = (pod.get("status") or {}).get("podIP") or ""
    return address


def hostname_of(service: Object, pod: Object) -> str:
    """The pod's own name in DNS, below the Service that its `subdomain` names."""
    spec = pod["spec"]
    return (spec.get("hostname") or "") if spec.get("subdomain") == name_of(service) else ""


def reference_to(pod: Object) -> Object:
    return {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)}


def takes_traffic(service: Object, pod: Object) -> bool:
    """Whether the pod is ready and stays, or the Service does not care."""
    return bool(service["spec"].get("publishNotReadyAddresses")) or (is_ready(pod) and not is_deleting(pod))


def backend_of(service: Object, pod: Object) -> Backend:
    mapping = mapped_ports(pod)
    found = [Port(*entry) for entry in _ports(service, pod)]
    ports = tuple(port._replace(port=mapping.get(str(port.port), port.port)) for port in found)
    mapped = tuple((str(port.port), mapping[str(port.port)]) for port in found if str(port.port) in mapping)
    return Backend(pod, ports, mapped)


def mapped_ports(pod: Object) -> dict[str, int]:
    """The ports that the runtime had to open elsewhere."""
    text = annotations_of(pod).get(MAPPED)
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return {str(port): int(real) for port, real in found.items()} if isinstance(found, dict) else {}


def _ports(service: Object, pod: Object) -> Iterator[tuple[str, str, int, str]]:
    for entry in service["spec"].get("ports") or ():
        protocol = entry.get("protocol", "TCP")
        number = find_port(pod, entry.get("targetPort", entry["port"]), protocol)
        if number is not None:
            yield entry.get("name") or "", protocol, number, entry.get("appProtocol") or ""


def find_port(pod: Object, target: int | str, protocol: str) -> int | None:
    """A target port as a number: itself, or the container port of that name; None when the pod has none."""
    if isinstance(target, int):
        return target
    for container in (*pod["spec"].get("containers", ()), *(pod["spec"].get("initContainers") or ())):
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                number: int = port["containerPort"]
                return number
    return None


def _visible(pod: Object | None) -> tuple[Any, ...] | None:
    """All of a pod that shows in an endpoint."""
    if pod is None or not address_of(pod) or is_terminal(pod):
        return None
    return (
        uid_of(pod),
        address_of(pod),
        is_ready(pod),
        is_deleting(pod),
        node_of(pod),
        pod["spec"].get("hostname"),
        labels_of(pod),
        annotations_of(pod).get(MAPPED),
    )
