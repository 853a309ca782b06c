"""CoreDNS: names for Services and pods.

Interface: `CoreDNS`, the component, keeps its `zone` up to date: `zone.resolve(name, type)` answers in the kernel, and
`server.DnsServer` gives the same answers over UDP and TCP.
The rule not to break: a change costs what its own Service costs; endpoints of Services with a ClusterIP cost nothing.
Upstream runs as a Deployment behind the Service kube-system/kube-dns, caches, and has many more plug-ins.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, labels_of, name_of, namespace_of, revision_of
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.coredns.zone import DOMAIN, Answer, Record, Zone, entry_of, is_headless

__all__ = ["DOMAIN", "Answer", "CoreDNS", "Record", "Zone"]

SERVICE_NAME = "kubernetes.io/service-name"


class CoreDNS(Controller):
    """Follows Services, EndpointSlices and Namespaces, and keeps the zone up to date."""

    name = "coredns"

    def __init__(self, context: Context, informers: Informers, *, domain: str = DOMAIN) -> None:
        super().__init__(context, informers)
        self.zone = Zone(domain)
        self._slices = informers.get("endpointslices")
        self._slices.add_index(SERVICE_NAME, service_keys)
        self._slices.on_change(self._slice_changed)
        self._services = self.watch("services")
        informers.get("namespaces").on_change(self._namespace_changed)

    def sync(self, key: str) -> None:
        service = self._services.by_key(key)
        self.zone.put(key, entry_of(service, self._slices.by_index(SERVICE_NAME, key)) if service else None)

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        """Only the names of headless Services depend on endpoints."""
        cause = revision_of(new or old or {"metadata": {}})
        for key in {key for obj in (old, new) if obj for key in service_keys(obj)}:
            service = self._services.by_key(key)
            if service is not None and is_headless(service):
                self.queue.add(key, cause)

    def _namespace_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.zone.put_namespace(name_of(new))
        elif old is not None:
            self.zone.put_namespace(name_of(old), known=False)


def service_keys(endpoint_slice: Object) -> tuple[str, ...]:
    """The key of the Service that an EndpointSlice belongs to, as an index function: none or one."""
    name = labels_of(endpoint_slice).get(SERVICE_NAME)
    return (f"{namespace_of(endpoint_slice)}/{name}",) if name else ()
