"""dns: the add-on that runs CoreDNS and tells pods where it answers.

Interface: `Dns`, an `Addon`; its `zone` answers in the kernel.
The rule not to break: the Service kube-system/kube-dns has no selector: the resolver answers at its address.
Source: `cmd/kubeadm/app/phases/addons/dns` in the kubernetes repository, which makes a Deployment besides.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from k8snb.addons import MANAGER
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object
from k8snb.client.informer import Informers
from k8snb.coredns import CoreDNS, Zone
from k8snb.hosts import Resolver

if TYPE_CHECKING:
    from k8snb.addons import Ground

SERVICE, NAMESPACE = "kube-dns", "kube-system"
INDEX = 10  # kubeadm gives the DNS service the tenth address of the service range


class Dns:
    """Names for Services and pods."""

    def __init__(self) -> None:
        self.zone = Zone()
        self._cluster: Ground | None = None
        self._informers: Informers | None = None
        self._resolver: Resolver | None = None

    def enable(self, cluster: Ground) -> None:
        self._cluster = cluster
        account = cluster.context.client("system:serviceaccount:kube-system:coredns", "system:serviceaccounts")
        self._informers = Informers(account, cluster.context)
        self.zone = CoreDNS(cluster.context, self._informers).zone
        self._informers.start()
        self._resolver = cluster.host.serve_dns(self.zone, _service_address(cluster))
        cluster.resolver = self._resolver.address

    def stop(self) -> None:
        if self._cluster is None:
            return
        self._cluster.resolver = ""
        with self._cluster.pump.lock:
            if self._informers is not None:
                self._informers.stop()
        if self._resolver is not None:
            self._resolver.close()
        self._informers = self._resolver = None

    def disable(self) -> None:
        self.stop()
        assert self._cluster is not None
        with suppress(ApiError):
            self._cluster.client_for(MANAGER).delete("services", SERVICE, NAMESPACE)


def _service_address(cluster: Ground) -> str:
    """The address of the Service, which is made where there is none."""
    client = cluster.client_for(MANAGER)
    existing = client.find("services", SERVICE, NAMESPACE)
    if existing is not None:
        return str(existing["spec"]["clusterIP"])
    ports = [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
             {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53}]  # fmt: skip
    address = cluster.apiserver.allocator.address(INDEX)
    service: Object = {
        "metadata": {"name": SERVICE, "namespace": NAMESPACE, "labels": {"k8s-app": "kube-dns"}},
        "spec": {"clusterIP": address, "ports": ports},
    }
    client.create("services", service)
    return address
