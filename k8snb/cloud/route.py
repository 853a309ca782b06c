"""node-route-controller: a way through the cloud's network to each node's pods.

Interface: `RouteController(context, informers, routes=…)`.
The rule not to break: a route leads to the range in the node's `spec.podCIDR`, and goes with the node. Whether a node
can be reached is said by its condition NetworkUnavailable.
Source: `cloud-provider/controllers/route/route_controller.go`.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, condition, get_path, name_of, with_condition, with_path
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import WARNING, EventRecorder
from k8snb.client.informer import Informers
from k8snb.clock import timestamp
from k8snb.cloud import CloudError, Route, Routes

RECONCILE = 10.0  # seconds; upstream's --route-reconciliation-period
THERE = ("False", "RouteCreated", "RouteController created a route")
MISSING = ("True", "NoRouteCreated", "RouteController failed to create a route")


class RouteController(Controller):
    name = "route-controller"

    def __init__(self, context: Context, informers: Informers, *, routes: Routes) -> None:
        super().__init__(context, informers)
        self.events = EventRecorder(self.client, "route_controller", self.clock)
        self._routes = routes
        self.nodes = informers.get("nodes")
        self.nodes.on_change(self._changed)

    def start(self) -> None:
        """Look, and go on looking, for routes that somebody took away or left behind."""
        self.clock.after(RECONCILE, self.start, background=True, label=self.name)
        wanted = {name_of(node): _route(node) for node in self.nodes}
        for name in self._routes.list_routes().keys() - wanted.keys():
            self.queue.add(name)
        for name, route in wanted.items():
            if route is not None and self._routes.list_routes().get(name) != route:
                self.queue.add(name)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None or _route(old) != _route(new) or is_unavailable(new):
            self.enqueue(new or old)

    def sync(self, key: str) -> None:
        node, present = self.nodes.by_key(key), self._routes.list_routes().get(key)
        wanted = _route(node) if node is not None else None
        if present is not None and present != wanted:
            self._routes.delete_route(present)
        if node is None or wanted is None or not self.sees_own_writes(key):
            return
        try:
            if present != wanted:
                self._routes.create_route(wanted)
        except CloudError as error:
            message = f"Could not create route {wanted.destination} for node {key}: {error}"
            self.events.event(node, WARNING, "FailedToCreateRoute", message)
            self._say(key, node, MISSING)
            self.queue.add_rate_limited(key)
            return
        self._say(key, node, THERE)

    def _say(self, key: str, node: Object, said: tuple[str, str, str]) -> None:
        """The condition NetworkUnavailable, where it says something else."""
        status, reason, message = said
        old = condition(node, "NetworkUnavailable") or {}
        if (old.get("status"), old.get("reason")) == (status, reason):
            return
        now = timestamp(self.clock.now())
        entry = {"type": "NetworkUnavailable", "status": status, "reason": reason, "message": message}
        conditions = with_condition(get_path(node, "status.conditions") or [], {**entry, "lastHeartbeatTime": now}, now)
        written = self.client.update_status("nodes", with_path(node, "status.conditions", conditions))
        self.wrote(key, self.nodes, written)


def is_unavailable(node: Object) -> bool:
    return (condition(node, "NetworkUnavailable") or {}).get("status") == "True"


def _route(node: Object) -> Route | None:
    """The route that a node wants; None while it has no range."""
    ranges = get_path(node, "spec.podCIDR")
    return Route(name_of(node), ranges) if ranges else None
