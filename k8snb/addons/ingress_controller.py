"""ingress-controller: Ingresses, classes, certificates and the endpoints of Services, as the router wants them.

Interface: `IngressController` and `BackendController`, loops like those of kube-controller-manager.
The rule not to break: an Ingress of another controller's class is left alone; what an Ingress asks for in vain is said.
Source: `internal/ingress/controller/store` and `internal/ingress/status` in kubernetes/ingress-nginx.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from k8snb.addons.ingress_annotations import not_carried_out
from k8snb.addons.ingress_router import Router, Spot, ports_of
from k8snb.addons.ingress_rules import backends, locations
from k8snb.addons.ingress_tls import Certificates, load
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    get_path,
    key_of,
    name_of,
    namespace_of,
    revision_of,
    with_path,
)
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, WARNING
from k8snb.client.informer import Informers
from k8snb.kube_proxy.rules import SERVICE_NAME, service_keys

if TYPE_CHECKING:
    import ssl

CONTROLLER = "k8snb.io/ingress-controller"
ACCOUNT = "ingress-controller"
_OLD_CLASS = "kubernetes.io/ingress.class"
_BY_SECRET, _BY_CLASS = "tls-secret", "ingress-class"


class IngressController(Controller):
    """Ingresses of its classes into the router's rules. `spots` says where HTTP and HTTPS are answered."""

    name = ACCOUNT

    def __init__(
        self, context: Context, informers: Informers, router: Router, certificates: Certificates, *,
        spots: tuple[Spot, Spot], mapped: str = "",
    ) -> None:  # fmt: skip
        super().__init__(context, informers)
        self._router, self._certificates = router, certificates
        self._spots, self._mapped = spots, mapped
        self._told: dict[str, tuple[str, ...]] = {}
        self.over = False  # the add-on has ended: what is still queued comes to nothing
        self.ingresses = self.watch("ingresses")
        self.ingresses.add_index(_BY_SECRET, _secrets_of)
        self.ingresses.add_index(_BY_CLASS, lambda ingress: (_class_of(ingress),))
        self.classes = informers.get("ingressclasses")
        self.classes.on_change(self._class_changed)
        self.secrets = informers.get("secrets", "type=kubernetes.io/tls")
        self.secrets.on_change(self._secret_changed)

    def _class_changed(self, old: Object | None, new: Object | None) -> None:
        obj = new or old
        if obj is not None:
            self._again(self.ingresses.by_index(_BY_CLASS, name_of(obj)), obj)

    def _secret_changed(self, old: Object | None, new: Object | None) -> None:
        obj = new or old
        if obj is not None:
            self._again(self.ingresses.by_index(_BY_SECRET, key_of(obj)), obj)

    def _again(self, ingresses: Iterable[Object], cause: Object) -> None:
        for ingress in list(ingresses):
            self.queue.add(key_of(ingress), revision_of(cause))

    def sync(self, key: str) -> None:
        if self.over:
            return
        ingress = self.ingresses.by_key(key)
        if ingress is None or not self._is_ours(ingress):
            self._forget(key, ingress)
            return
        changed = self._router.rules.put(key, locations(ingress))
        contexts, problems = self._contexts(ingress)
        self._certificates.put(key, contexts)
        if changed:
            self.events.event(ingress, NORMAL, "Sync", "Scheduled for sync")
        self._tell(ingress, (*problems, *self._objections(ingress)))
        self._set_status(ingress, self.address)

    def subject(self, key: str) -> Object | None:
        return self.ingresses.by_key(key)

    def _is_ours(self, ingress: Object) -> bool:
        """An Ingress belongs to the controller of its class; one without a class belongs to nobody."""
        found = self.classes.get(_class_of(ingress))
        return found is not None and get_path(found, "spec.controller") == CONTROLLER

    def _forget(self, key: str, ingress: Object | None) -> None:
        known = self._router.rules.put(key)
        self._certificates.put(key, {})
        self._told.pop(key, None)
        if known and ingress is not None:
            self._set_status(ingress, [])

    @property
    def address(self) -> list[Object]:
        """`status.loadBalancer.ingress`: where the router answers."""
        ports = [{"port": port, "protocol": "TCP"} for _, port in self._spots]
        return [{"ip": self._spots[0][0], "ports": ports}]

    def _set_status(self, ingress: Object, address: list[Object]) -> None:
        if (get_path(ingress, "status.loadBalancer.ingress") or []) != address:
            balancer = {"ingress": address} if address else {}
            self.client.update_status("ingresses", with_path(ingress, "status.loadBalancer", balancer))

    def withdraw(self) -> None:
        """The add-on goes: no Ingress is answered any more."""
        for ingress in filter(self._is_ours, self.ingresses):
            with suppress(ApiError):  # one that is being changed or deleted
                self._set_status(ingress, [])

    # certificates

    def _contexts(self, ingress: Object) -> tuple[dict[str, ssl.SSLContext], list[tuple[str, str]]]:
        """The certificate of each host, and what is wrong with those that have none."""
        contexts: dict[str, ssl.SSLContext] = {}
        problems: list[tuple[str, str]] = []
        hosts_of_rules = [rule["host"] for rule in get_path(ingress, "spec.rules") or () if rule.get("host")]
        for entry in get_path(ingress, "spec.tls") or ():
            name = entry.get("secretName")
            try:
                context = self._load(name, namespace_of(ingress)) if name else None
            except ValueError as error:
                problems.append(("TLS", f"{error}: its hosts are shown the controller's fake certificate"))
                continue
            if context is not None:
                contexts |= dict.fromkeys((host.lower() for host in entry.get("hosts") or hosts_of_rules), context)
        return contexts, problems

    def _load(self, name: str, namespace: str) -> ssl.SSLContext:
        secret = self.secrets.get(name, namespace)
        if secret is None:
            raise ValueError(f'secret "{namespace}/{name}" of type kubernetes.io/tls was not found')
        return load(secret)

    # telling

    def _objections(self, ingress: Object) -> Iterator[tuple[str, str]]:
        for sentence in not_carried_out(ingress):
            yield "NotImplemented", sentence
        for backend in backends(ingress):
            if backend.get("resource"):
                yield "NotImplemented", "a backend that is a resource is not implemented by k8snb: answered 503"
        if self._mapped:
            http, https = self._spots
            yield "PortMapped", f"ports 80 and 443 are {http[0]}:{http[1]} and {https[0]}:{https[1]}: {self._mapped}"

    def _tell(self, ingress: Object, sentences: tuple[tuple[str, str], ...]) -> None:
        """Say once what an Ingress asks for and does not get."""
        known = self._told.pop(key_of(ingress), ())
        if sentences:
            self._told[key_of(ingress)] = tuple(text for _, text in sentences)
        for reason, text in sentences:
            if text not in known:
                self.events.event(ingress, WARNING, reason, text)


class BackendController(Controller):
    """Services and their EndpointSlices into the router's endpoints."""

    name = ACCOUNT

    def __init__(self, context: Context, informers: Informers, router: Router) -> None:
        super().__init__(context, informers)
        self._endpoints = router.endpoints
        self.slices = informers.get("endpointslices")
        self.slices.add_index(SERVICE_NAME, service_keys)
        self.slices.on_change(self._slice_changed)
        self.services = self.watch("services")

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        for obj in (old, new):
            for key in service_keys(obj) if obj else ():
                self.queue.add(key, revision_of(new or obj or {"metadata": {}}))

    def sync(self, key: str) -> None:
        service = self.services.by_key(key)
        slices = self.slices.by_index(SERVICE_NAME, key)
        self._endpoints.put(key, ports_of(service, slices) if service else {})


def _class_of(ingress: Object) -> str:
    """The name of the class: the field, or the old annotation."""
    return get_path(ingress, "spec.ingressClassName") or annotations_of(ingress).get(_OLD_CLASS) or ""


def _secrets_of(ingress: Object) -> list[str]:
    named = [entry["secretName"] for entry in get_path(ingress, "spec.tls") or () if entry.get("secretName")]
    return [f"{namespace_of(ingress)}/{name}" for name in named]
