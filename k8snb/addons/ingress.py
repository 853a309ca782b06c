"""ingress: the add-on that carries Ingresses out: HTTP and HTTPS of this machine, by host and path, to Services.

Interface: `IngressAddon`, an `Addon`; while it is at work, `url(ingress)` is where an Ingress answers, `ask(url)` a
request to it from within Python, which simulated clusters answer too.
The rule not to break: the controller is a client of the apiserver: what it routes to are ready endpoints, not runtimes.
In real clusters ingress-nginx, Traefik or a cloud's balancer does this; courses know the first one, so the
IngressClass is called `nginx` here too, and its annotations are understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from k8snb.addons import MANAGER
from k8snb.addons.ingress_controller import ACCOUNT, CONTROLLER, BackendController, IngressController
from k8snb.addons.ingress_router import Forward, Reply, Router, Spot, Visit
from k8snb.addons.ingress_tls import Certificates
from k8snb.addons.objects import ensure, remove
from k8snb.apimachinery.meta import Object, get_path
from k8snb.client.informer import Informers

if TYPE_CHECKING:
    from k8snb.addons import Ground
    from k8snb.addons.ingress_door import Door, Opened

CLASS = "nginx"
KINDS = ("ingresses.networking.k8s.io", "ingressclasses.networking.k8s.io")
_IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
_ROLE = "k8snb:ingress-controller"
_VIRTUAL: tuple[Spot, Spot] = (("10.0.0.80", 80), ("10.0.0.80", 443))  # of the router of a cluster on virtual time


@runtime_checkable
class Simulation(Protocol):
    """A runtime whose pods have no sockets."""

    def http(self, ip: str, port: int, path: str = "/", *, method: str = "GET", client: str = "") -> Any: ...


class IngressAddon:
    """The router, its two controllers, and the objects that they need."""

    def __init__(self) -> None:
        self.router = Router()
        self._door: Door | None = None
        self._informers: Informers | None = None
        self._controller: IngressController | None = None
        self._spots = _VIRTUAL

    def enable(self, cluster: Ground) -> None:
        self._cluster = cluster
        self.router = Router()
        self._certificates = Certificates(cluster.clock.now())
        opened = self._open()
        self.router.https_port = self._spots[1][1]
        ensure(cluster.client_for(MANAGER), _objects())
        context = cluster.context
        account = context.client(f"system:serviceaccount:kube-system:{ACCOUNT}", "system:serviceaccounts")
        self._informers = informers = Informers(account, context)
        self._controller = IngressController(
            context,
            informers,
            self.router,
            self._certificates,
            spots=self._spots,
            mapped=opened.reason if opened else "",
        )
        BackendController(context, informers, self.router)
        cluster.apiserver.attended.update(KINDS)
        informers.start()

    def _open(self) -> Opened | None:
        """Answer on this machine's loopback address; on virtual time there is no socket, and `ask` answers."""
        if self._cluster.clock.virtual:
            return None
        from k8snb.addons.ingress_door import Door

        ask = self._ask_pod if isinstance(self._cluster.host.runtime, Simulation) else None
        door = Door(self.router.decide, self._certificates.context, ask=ask)
        try:
            opened = door.open()
        except OSError:
            door.close()
            raise
        self._door, self._spots = door, (opened.http, opened.https)
        return opened

    def stop(self) -> None:
        door, self._door = self._door, None
        if door is not None:
            door.close()
        informers, self._informers = self._informers, None
        if informers is None or self._controller is None:
            return
        with self._cluster.pump.lock:
            self._controller.over = True
            informers.stop()

    def disable(self) -> None:
        controller = self._controller
        with self._cluster.pump.lock:
            self._cluster.apiserver.attended.difference_update(KINDS)
            if controller is not None:
                controller.withdraw()
        self.stop()
        remove(self._cluster.client_for(MANAGER), _objects())

    # for cells

    def url(self, ingress: Object) -> str:
        """Where an Ingress answers: the host of its first rule stands in the Host header of who asks."""
        scheme = "https" if get_path(ingress, "spec.tls") else "http"
        ip, port = self._spots[scheme == "https"]
        paths = [path for rule in get_path(ingress, "spec.rules") or () for path in get_path(rule, "http.paths") or ()]
        path = (paths[0].get("path") or "/") if paths else "/"
        shown = "" if port == {"http": 80, "https": 443}[scheme] else f":{port}"
        return f"{scheme}://{ip}{shown}{path}"

    def ask(self, url: str, *, method: str = "GET") -> Reply:
        """What the router answers for a URL whose host is an Ingress's, in a cluster whose pods are simulated."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        visit = Visit(method, (parts.hostname or "").lower(), target, parts.scheme or "http")
        decision = self.router.decide(visit)
        if isinstance(decision, Reply):
            return decision
        found = (self._ask_pod(method, spot, decision) for spot in decision.spots)
        return next((reply for reply in found if reply), Reply(502, "502 Bad Gateway"))

    def _ask_pod(self, method: str, spot: Spot, forward: Forward) -> Reply | None:
        """What a simulated pod answers; None = it refuses."""
        runtime = self._cluster.host.runtime
        if not isinstance(runtime, Simulation):
            raise ValueError("pods of this cluster answer by themselves: ask the URL with any HTTP client")
        with self._cluster.pump.lock:
            answer = runtime.http(*spot, forward.target, method=method)
        if answer is None:
            return None
        status, headers, body = answer
        return Reply(status, body.decode(errors="replace"), {**headers, **forward.answer_headers})


# the objects of the add-on


def _objects() -> Iterator[tuple[str, Object]]:
    labels = {"app.kubernetes.io/name": ACCOUNT}
    yield "serviceaccounts", {"metadata": {"name": ACCOUNT, "namespace": "kube-system", "labels": labels}}
    follow = ["list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["services", "secrets"], "verbs": follow},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": follow},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": follow},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch", "update"]},
    ]
    yield "clusterroles", {"metadata": {"name": _ROLE, "labels": labels}, "rules": rules}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _ROLE}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "kube-system"}
    yield "clusterrolebindings", {"metadata": {"name": _ROLE, "labels": labels}, "roleRef": role, "subjects": [subject]}
    annotations = {_IS_DEFAULT: "true"}
    metadata = {"name": CLASS, "labels": labels, "annotations": annotations}
    yield "ingressclasses", {"metadata": metadata, "spec": {"controller": CONTROLLER}}
