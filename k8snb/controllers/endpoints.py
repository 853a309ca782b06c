"""endpoints-controller: for each Service with a selector, one Endpoints object that lists the addresses of its pods.

Interface: `EndpointsController`. The rule not to break: it writes only the Endpoints that it made itself.
Source: `pkg/controller/endpoint` in the kubernetes repository. Real Kubernetes keeps this API for old clients;
kube-proxy reads EndpointSlices.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from k8snb.apimachinery.meta import Object, key_of, labels_of, name_of, namespace_of, revision_of, split_key
from k8snb.client.context import Context
from k8snb.client.informer import Informers
from k8snb.controllers.backends import (
    HEADLESS,
    MAPPED,
    Backend,
    BackendsController,
    Port,
    address_of,
    hostname_of,
    is_headless,
    reference_to,
    selector_of,
    takes_traffic,
)
from k8snb.controllers.pods import node_of
from k8snb.controllers.replicas import delete_exactly

MANAGED_BY, OURS = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MOST_ADDRESSES = 1000


class EndpointsController(BackendsController):
    name = "endpoint-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.endpoints = informers.get("endpoints")
        self.endpoints.on_change(self._endpoints_changed)

    def _endpoints_changed(self, old: Object | None, new: Object | None) -> None:
        obj = new or old
        if obj is not None:
            self.look_soon(key_of(obj), revision_of(obj))

    def sync(self, key: str) -> None:
        if not self.sees_own_writes(key):
            return
        service, present = self.services.by_key(key), self.endpoints.by_key(key)
        if service is None:
            self._remove(key, present)
        elif not selector_of(service).nothing:
            self._write(key, endpoints_of(service, self.backends(key, service)), present)

    def _remove(self, key: str, present: Object | None) -> None:
        self._counts.pop(key, None)
        if present is not None and labels_of(present).get(MANAGED_BY) == OURS:
            self.wrote(key, self.endpoints, delete_exactly(self.client, "endpoints", present))

    def _write(self, key: str, wanted: Object, present: Object | None) -> None:
        if present is None:
            namespace, _ = split_key(key)
            self.wrote(key, self.endpoints, self.client.create("endpoints", wanted, namespace))
        elif not _same(wanted, present):
            metadata = {**present["metadata"], "annotations": {}, **wanted["metadata"]}
            self.wrote(key, self.endpoints, self.client.update("endpoints", {**wanted, "metadata": metadata}))


def endpoints_of(service: Object, backends: list[Backend]) -> Object:
    """The Endpoints object of a Service with these pods behind it."""
    kept, cut = _at_most(service, backends)
    mapped = sorted({pair for backend in kept for pair in backend.mapped})
    annotations = {
        **({MAPPED: _mapping(mapped)} if mapped else {}),
        **({OVER_CAPACITY: "truncated"} if cut else {}),
    }
    labels = {**labels_of(service), MANAGED_BY: OURS, **({HEADLESS: ""} if is_headless(service) else {})}
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": name_of(service),
            "namespace": namespace_of(service),
            "labels": labels,
            **({"annotations": annotations} if annotations else {}),
        },
        "subsets": subsets_of(service, kept),
    }


def _mapping(pairs: Iterable[tuple[str, int]]) -> str:
    """`{"80":[42080,42081]}`: where the pods' port 80 is really open."""
    open_at: dict[str, list[int]] = {}
    for port, real in pairs:
        open_at.setdefault(port, []).append(real)
    return json.dumps(open_at, separators=(",", ":"))


def _at_most(service: Object, backends: list[Backend]) -> tuple[list[Backend], bool]:
    """Endpoints has room for a thousand addresses: the ready ones first."""
    if len(backends) <= MOST_ADDRESSES:
        return backends, False
    ready_first = sorted(backends, key=lambda backend: not takes_traffic(service, backend.pod))
    return ready_first[:MOST_ADDRESSES], True


def subsets_of(service: Object, backends: list[Backend]) -> list[Object]:
    """Addresses grouped by the ports they have in common; those that take no traffic stand apart."""
    groups: dict[tuple[Port, ...], dict[str, list[Object]]] = {}
    for backend in sorted(backends, key=lambda backend: address_of(backend.pod)):
        if not backend.ports and not (is_headless(service) and not service["spec"].get("ports")):
            continue
        field = "addresses" if takes_traffic(service, backend.pod) else "notReadyAddresses"
        groups.setdefault(backend.ports, {}).setdefault(field, []).append(_address(service, backend.pod))
    return [
        {**{field: addresses[field] for field in sorted(addresses)}, **_port_field(ports)}
        for ports, addresses in sorted(groups.items())
    ]


def _port_field(ports: tuple[Port, ...]) -> Object:
    entries = [{key: value for key, value in port.as_object().items() if value} for port in ports]
    return {"ports": entries} if entries else {}


def _address(service: Object, pod: Object) -> Object:
    hostname = hostname_of(service, pod)
    return {
        "ip": address_of(pod),
        **({"hostname": hostname} if hostname else {}),
        **({"nodeName": node_of(pod)} if node_of(pod) else {}),
        "targetRef": reference_to(pod),
    }


def _same(wanted: Object, present: Object) -> bool:
    metadata = present["metadata"]
    told = all((metadata.get(field) or None) == wanted["metadata"].get(field) for field in ("labels", "annotations"))
    return told and (present.get("subsets") or []) == wanted["subsets"]
