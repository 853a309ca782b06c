"""node-lifecycle-controller: notices that a node has fallen silent, and marks it so that pods stay away or leave.

Interface: `NodeLifecycleController`. A node's life signs are its Lease in `kube-node-lease` and the heartbeat in its
status.
The rule not to break: silence is measured on this controller's own clock from when it heard the node last; what a
node's clock says is compared with nothing.
Source: `pkg/controller/nodelifecycle` in the kubernetes repository. How fast nodes lose their pods when many fall
silent is in `nodelifecycle_zones.py`.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import (
    Object,
    condition,
    get_path,
    is_true,
    name_of,
    namespace_of,
    revision_of,
    uid_of,
    with_condition,
    with_path,
)
from k8snb.apimachinery.taints import NO_EXECUTE, NO_SCHEDULE, NOT_READY, UNREACHABLE, UNSCHEDULABLE
from k8snb.client.client import MERGE
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, WARNING
from k8snb.client.informer import Informers
from k8snb.clock import timestamp
from k8snb.controllers.nodelifecycle_zones import Zones
from k8snb.controllers.pods import NODE, is_ready, nodes_of

GRACE, STARTUP_GRACE = 50.0, 60.0  # seconds
LEASES = "kube-node-lease"

SILENT = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
NEVER_HEARD = ("NodeStatusNeverUpdated", "Kubelet never posted node status.")
CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")

# (condition, its status) → the taint that it brings, and its effects
TAINTS = {
    ("Ready", "False"): (NOT_READY, (NO_SCHEDULE, NO_EXECUTE)),
    ("Ready", "Unknown"): (UNREACHABLE, (NO_SCHEDULE, NO_EXECUTE)),
    ("MemoryPressure", "True"): ("node.kubernetes.io/memory-pressure", (NO_SCHEDULE,)),
    ("DiskPressure", "True"): ("node.kubernetes.io/disk-pressure", (NO_SCHEDULE,)),
    ("PIDPressure", "True"): ("node.kubernetes.io/pid-pressure", (NO_SCHEDULE,)),
    ("NetworkUnavailable", "True"): ("node.kubernetes.io/network-unavailable", (NO_SCHEDULE,)),
}
EVICTING = {(NOT_READY, NO_EXECUTE), (UNREACHABLE, NO_EXECUTE)}
OURS = {(key, effect) for key, effects in TAINTS.values() for effect in effects} | {(UNSCHEDULABLE, NO_SCHEDULE)}


class NodeLifecycleController(Controller):
    name = "node-controller"

    def __init__(self, context: Context, informers: Informers, *, grace: float = GRACE) -> None:
        super().__init__(context, informers)
        self._grace = grace
        self._heard: dict[str, float] = {}
        self.pods = informers.get("pods")
        self.pods.add_index(NODE, nodes_of, steady=True)
        self.leases = informers.get("leases")
        self.leases.on_change(self._lease_changed)
        self.nodes = informers.get("nodes")
        self.zones = Zones(self.nodes, self.clock)
        self.nodes.on_change(self._node_changed)

    # life signs

    def _lease_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and namespace_of(new) == LEASES and name_of(new) in self._heard:
            self._heard[name_of(new)] = self.clock.monotonic()

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        for name in self.zones.moved(old, new):
            self.queue.add(name, revision_of(new or old or {"metadata": {}}))
        if new is None:
            self._lost(old or {"metadata": {}})
            return
        name = name_of(new)
        if old is None:
            self.events.event(new, NORMAL, "RegisteredNode", f"Node {name} event: Registered Node {name} in Controller")
        if old is None or _heartbeat(old) != _heartbeat(new):
            self._heard[name] = self.clock.monotonic()
        self.enqueue(new)

    def _lost(self, node: Object) -> None:
        name = name_of(node)
        self._heard.pop(name, None)
        self.events.event(node, NORMAL, "RemovingNode", f"Node {name} event: Removing Node {name} from Controller")

    # the loop

    def sync(self, key: str) -> None:
        node = self.nodes.by_key(key)
        if node is None or not self.sees_own_writes(key):
            return
        patience = self._grace if condition(node, "Ready") else max(self._grace, STARTUP_GRACE)
        left = self._heard[key] + patience - self.clock.monotonic()
        if left > 0:
            self.queue.add_after(key, left, background=True)
        else:
            node = self._mark_unknown(key, node)
        self._set_taints(key, node)
        if condition(node, "Ready") is not None and not is_true(node, "Ready"):
            self._mark_pods(node)

    def subject(self, key: str) -> Object | None:
        return self.nodes.by_key(key)

    def _mark_unknown(self, key: str, node: Object) -> Object:
        """Nobody knows any more what the kubelet said last."""
        was_ready = is_true(node, "Ready")
        conditions = get_path(node, "status.conditions") or []
        for sort in CONDITIONS:
            conditions = self._unknown(conditions, sort)
        if conditions == (get_path(node, "status.conditions") or []):
            return node
        node = self.client.update_status("nodes", with_path(node, "status.conditions", conditions))
        self.wrote(key, self.nodes, node)
        if was_ready:
            self.events.event(node, NORMAL, "NodeNotReady", f"Node {key} status is now: NodeNotReady")
        return node

    def _unknown(self, conditions: list[Object], sort: str) -> list[Object]:
        old = next((entry for entry in conditions if entry["type"] == sort), None)
        if old is not None and old["status"] == "Unknown":
            return conditions
        reason, message = SILENT if old else NEVER_HEARD
        now = timestamp(self.clock.now())
        beat = old.get("lastHeartbeatTime") if old else None
        entry = {"type": sort, "status": "Unknown", "reason": reason, "message": message}
        return with_condition(conditions, {**entry, "lastHeartbeatTime": beat or now}, now)

    def _set_taints(self, key: str, node: Object) -> None:
        taints = get_path(node, "spec.taints") or []
        wanted = self._patiently(key, node, taints_for(node, timestamp(self.clock.now())))
        if wanted != taints:
            exactly = {"resourceVersion": node["metadata"]["resourceVersion"]}
            patch = {"metadata": exactly, "spec": {"taints": wanted or None}}
            self.wrote(key, self.nodes, self.client.patch("nodes", key, patch, content_type=MERGE))

    def _patiently(self, key: str, node: Object, wanted: list[Object]) -> list[Object]:
        """The wanted taints without those that would drive pods out before it is the node's turn."""
        evicting = [taint for taint in wanted if _id(taint) in EVICTING]
        if not evicting:
            return wanted
        staying = [taint for taint in wanted if taint not in evicting]
        if self.zones.all_are_silent:
            return staying
        if any(_id(taint) in EVICTING for taint in get_path(node, "spec.taints") or ()):
            return wanted
        wait = self.zones.wait_for(node)
        if wait:
            self.queue.add_after(key, wait)
        return wanted if wait == 0 else staying

    def _mark_pods(self, node: Object) -> None:
        """Pods on a node that is not ready get no traffic."""
        for pod in list(self.pods.by_index(NODE, name_of(node))):
            if not is_ready(pod):
                continue
            entry = {"type": "Ready", "status": "False", "lastTransitionTime": timestamp(self.clock.now())}
            patch = {"metadata": {"uid": uid_of(pod)}, "status": {"conditions": [entry]}}
            try:
                self.client.patch("pods", name_of(pod), patch, namespace_of(pod), subresource="status")
            except ApiError as error:
                if error.code != 404:
                    raise
                continue
            self.events.event(pod, WARNING, "NodeNotReady", "Node is not ready")


def taints_for(node: Object, now: str) -> list[Object]:
    """The node's taints as its conditions and `spec.unschedulable` want them; those of others stay.

    A node that has never said anything keeps the taint with which it was admitted.
    """
    present = get_path(node, "spec.taints") or []
    if condition(node, "Ready") is None:
        return list(present)
    wanted = {
        (key, effect)
        for entry in get_path(node, "status.conditions") or ()
        for key, effects in [TAINTS.get((entry["type"], entry["status"]), ("", ()))]
        for effect in effects
    }
    if get_path(node, "spec.unschedulable"):
        wanted.add((UNSCHEDULABLE, NO_SCHEDULE))
    kept = [taint for taint in present if _id(taint) not in OURS or _id(taint) in wanted]
    missing = sorted(wanted - {_id(taint) for taint in kept})
    return [*kept, *({"key": key, "effect": effect, "timeAdded": now} for key, effect in missing)]


def _id(taint: Object) -> tuple[str, str]:
    return taint["key"], taint["effect"]


def _heartbeat(node: Object) -> str | None:
    ready = condition(node, "Ready")
    return ready.get("lastHeartbeatTime") if ready else None
