"""service-lb-controller: a load balancer of the cloud for every Service of type LoadBalancer.

Interface: `ServiceController(context, informers, balancers=…)`.
The rule not to break: no balancer is forgotten: the finalizer is there before the balancer, and goes after it.
Source: `cloud-provider/controllers/service/controller.go`. A Service with a `loadBalancerClass` is somebody else's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from k8snb.apimachinery.meta import Object, get_path, is_deleting, is_true, labels_of, name_of, namespace_of
from k8snb.client.client import MERGE
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, WARNING
from k8snb.client.informer import Informers
from k8snb.cloud import CloudError, LoadBalancers
from k8snb.cloud.node import is_new

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
DELETED_SOON = "ToBeDeletedByClusterAutoscaler"
MIN_RETRY, MAX_RETRY = 5.0, 300.0  # seconds; a cloud is asked less often than an apiserver


class ServiceController(Controller):
    name = "service-controller"

    def __init__(self, context: Context, informers: Informers, *, balancers: LoadBalancers) -> None:
        super().__init__(context, informers)
        self._balancers = balancers
        self._made: dict[str, Object] = {}  # the spec for which a Service's balancer was made last
        self._behind: tuple[str, ...] | None = None  # the nodes behind the balancers
        self._retries: dict[str, int] = {}
        self.nodes = informers.get("nodes")
        self.nodes.on_change(self._node_changed)
        self.services = informers.get("services")
        self.services.on_change(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and (wants_balancer(new) or needs_cleanup(new)):
            self._tell_change(old, new)
            self.enqueue(new)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None or _counts(old) != _counts(new):
            self.queue.add("")

    # the loop

    def sync(self, key: str) -> None:
        if key == "":
            self._nodes_changed()
            return
        service = self.services.by_key(key)
        if service is None:
            self._made.pop(key, None)
        elif self.sees_own_writes(key):
            self._sync_service(key, service)

    def subject(self, key: str) -> Object | None:
        return self.services.by_key(key)

    def _sync_service(self, key: str, service: Object) -> None:
        try:
            if wants_balancer(service) and not is_deleting(service):
                self._ensure(key, service)
            elif needs_cleanup(service) or self._balancers.get_load_balancer(service) is not None:
                self._clean_up(key, service)
        except CloudError as error:
            self.events.event(service, WARNING, "SyncLoadBalancerFailed", f"Error syncing load balancer: {error}")
            failures = self._retries[key] = self._retries.get(key, -1) + 1
            self.queue.add_after(key, min(MIN_RETRY * 2.0**failures, MAX_RETRY))
        else:
            self._retries.pop(key, None)

    def _ensure(self, key: str, service: Object) -> None:
        there = self._balancers.get_load_balancer(service)
        if there is not None and self._made.get(key) == service["spec"] and there == _status(service):
            return
        self.events.event(service, NORMAL, "EnsuringLoadBalancer", "Ensuring load balancer")
        service = self._with_finalizer(key, service)
        nodes = self._usable()
        if self._behind is None:
            self._behind = tuple(map(name_of, nodes))
        if not nodes:
            text = "There are no available nodes for LoadBalancer"
            self.events.event(service, WARNING, "UnAvailableLoadBalancer", text)
        status = self._balancers.ensure_load_balancer(service, nodes)
        self._made[key] = service["spec"]
        self._write_status(key, service, status)
        self.events.event(service, NORMAL, "EnsuredLoadBalancer", "Ensured load balancer")

    def _clean_up(self, key: str, service: Object) -> None:
        self._made.pop(key, None)
        if self._balancers.get_load_balancer(service) is not None:
            self.events.event(service, NORMAL, "DeletingLoadBalancer", "Deleting load balancer")
            self._balancers.ensure_load_balancer_deleted(service)
        if _status(service):
            service = self._write_status(key, service, {})
        finalizers = [each for each in _finalizers(service) if each != FINALIZER]
        self._write_finalizers(key, service, finalizers)
        self.events.event(service, NORMAL, "DeletedLoadBalancer", "Deleted load balancer")

    def _nodes_changed(self) -> None:
        """Put the nodes that are there now behind every balancer."""
        nodes = self._usable()
        behind = tuple(map(name_of, nodes))
        if behind == self._behind:
            return
        self._behind = behind
        for key in list(self._made):
            service = self.services.by_key(key)
            if service is not None and wants_balancer(service):
                self._update(key, service, nodes)

    def _update(self, key: str, service: Object, nodes: Sequence[Object]) -> None:
        try:
            self._balancers.update_load_balancer(service, nodes)
        except CloudError as error:
            text = f"Error updating load balancer with new hosts {[*map(name_of, nodes)]}: {error}"
            self.events.event(service, WARNING, "UpdateLoadBalancerFailed", text)
            self._made.pop(key, None)
            self.queue.add_after(key, MIN_RETRY)
            return
        self.events.event(service, NORMAL, "UpdatedLoadBalancer", "Updated load balancer with new hosts")

    def _usable(self) -> list[Object]:
        return sorted((node for node in self.nodes if _counts(node)), key=name_of)

    # writing

    def _with_finalizer(self, key: str, service: Object) -> Object:
        present = _finalizers(service)
        return service if FINALIZER in present else self._write_finalizers(key, service, [*present, FINALIZER])

    def _write_finalizers(self, key: str, service: Object, finalizers: list[str]) -> Object:
        if finalizers == _finalizers(service):
            return service
        exactly = {"resourceVersion": service["metadata"]["resourceVersion"], "finalizers": finalizers or None}
        return self._patch(key, service, {"metadata": exactly}, "")

    def _write_status(self, key: str, service: Object, status: Object) -> Object:
        if status == _status(service):
            return service
        return self._patch(key, service, {"status": {"loadBalancer": status or {"ingress": None}}}, "status")

    def _patch(self, key: str, service: Object, change: Object, subresource: str) -> Object:
        written = self.client.patch("services", name_of(service), change, namespace_of(service), content_type=MERGE,
                                    subresource=subresource)  # fmt: skip
        self.wrote(key, self.services, written)
        return written

    def _tell_change(self, old: Object | None, new: Object) -> None:
        """Say what of a balancer is about to change, in upstream's words."""
        if old is None:
            return
        before, now = old["spec"], new["spec"]
        for reason, path in TOLD.items():
            was, becomes = (_shown(spec.get(path), path) for spec in (before, now))
            if was != becomes:
                self.events.event(new, NORMAL, reason, f"{was} -> {becomes}")


TOLD = {
    "Type": "type",
    "LoadbalancerIP": "loadBalancerIP",
    "LoadBalancerSourceRanges": "loadBalancerSourceRanges",
    "ExternalTrafficPolicy": "externalTrafficPolicy",
}


def wants_balancer(service: Object) -> bool:
    """Whether a Service is this controller's: one with a class is for whoever serves that class."""
    return service["spec"].get("type") == "LoadBalancer" and not service["spec"].get("loadBalancerClass")


def needs_cleanup(service: Object) -> bool:
    """Whether a balancer has to be taken back: the Service goes, or is of another type by now."""
    return FINALIZER in _finalizers(service) and (is_deleting(service) or not wants_balancer(service))


def _counts(node: Object) -> bool:
    """Whether a node may stand behind a balancer."""
    taints = {taint["key"] for taint in get_path(node, "spec.taints") or ()}
    return (
        EXCLUDED not in labels_of(node)
        and not is_deleting(node)
        and DELETED_SOON not in taints
        and not is_new(node)
        and is_true(node, "Ready")
    )


def _status(service: Object) -> Object:
    status: Object = get_path(service, "status.loadBalancer") or {}
    return status


def _finalizers(service: Object) -> list[str]:
    return list(service["metadata"].get("finalizers") or ())


def _shown(value: Any, path: str) -> str:
    """As Go prints a string or a list of strings."""
    return f"[{' '.join(value or ())}]" if path.endswith("Ranges") else str(value or "")
