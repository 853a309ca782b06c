"""dns: the add-on that runs CoreDNS and tells pods where it answers.

Interface: `Dns`, an `Addon`; its `zone` answers in the kernel.
The rule not to break: the Service kube-system/kube-dns has no selector: the resolver answers at its address.
Source: `cmd/kubeadm/app/phases/addons/dns` in the kubernetes repository, which makes a Deployment besides.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from k8snb.addons import MANAGER
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object
from k8snb.client.informer import LentInformers
from k8snb.client.instances import Single
from k8snb.client.process import Process
from k8snb.coredns import CoreDNS, Zone

if TYPE_CHECKING:
    from k8snb.addons import Ground

SERVICE, NAMESPACE = "kube-dns", "kube-system"
INDEX = 10  # kubeadm gives the DNS service the tenth address of the service range


class Dns:
    """Names for Services and pods."""

    def __init__(self) -> None:
        self.zone = Zone()
        self.single: Single | None = None
        self._cluster: Ground | None = None

    @property
    def about(self) -> str:
        return f"at {self._cluster.resolver}" if self._cluster is not None and self._cluster.resolver else ""

    def enable(self, cluster: Ground) -> None:
        self._cluster = cluster
        self.single = Single("coredns", cluster.context, self._begin)
        self.single.start()

    def _begin(self, process: Process) -> Callable[[], None]:
        assert self._cluster is not None
        cluster, informers = self._cluster, LentInformers(self._cluster.informers)
        self.zone = CoreDNS(process.context, informers).zone
        informers.start()
        host = cluster.host
        address = _service_address(cluster)
        self.zone.server = address
        cluster.resolver = host.serve_dns(self.zone, address)

        def end() -> None:
            informers.stop()
            host.stop_dns()

        return end

    def stop(self) -> None:
        if self._cluster is None or self.single is None:
            return
        with self._cluster.pump.lock:
            self.single.stop()
            self._cluster.resolver = ""
        self.single = None

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
