"""kube-apiserver's kubernetesservice controller: the Service by which pods find the apiserver, and what is behind it.

Interface: `ensure_service(client, address)`, `ensure_endpoints(client, ip, port)`.
The rule not to break: doing it again changes nothing.
Source: `controller/kubernetesservice` and `reconcilers` in pkg/controlplane of the kubernetes repository.
Upstream looks every ten seconds, and several apiservers keep the list together by leases.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object
from k8snb.client import Client

NAME, NAMESPACE = "kubernetes", "default"
PORT = 6443  # where an apiserver listens


def ensure_service(client: Client, address: str) -> None:
    if client.find("services", NAME, NAMESPACE) is None:
        client.create("services", _service(address))


def ensure_endpoints(client: Client, ip: str, port: int) -> None:
    """The apiserver answers there: Endpoints and EndpointSlice say so."""
    for resource, wanted in (("endpoints", _endpoints(ip, port)), ("endpointslices", _endpoint_slice(ip, port))):
        present = client.find(resource, NAME, NAMESPACE)
        if present is None:
            client.create(resource, wanted)
        elif any(present.get(field) != wanted[field] for field in wanted if field != "metadata"):
            client.update(resource, {**wanted, "metadata": present["metadata"]})


def _service(address: str) -> Object:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": PORT}
    return {
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "spec": {"type": "ClusterIP", "clusterIP": address, "ports": [port]},
    }


def _endpoints(ip: str, port: int) -> Object:
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    return {
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "subsets": [{"addresses": [{"ip": ip}], "ports": ports}],
    }


def _endpoint_slice(ip: str, port: int) -> Object:
    labels = {"kubernetes.io/service-name": NAME}
    return {
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [ip], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
