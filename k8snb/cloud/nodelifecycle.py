"""cloud-node-lifecycle-controller: asks the cloud about a node that is not ready; one whose machine is gone goes too.

Interface: `CloudNodeLifecycleController(context, informers, instances=…)`.
The rule not to break: a Node is deleted only when the cloud says that its machine does not exist; silence is no proof.
Source: `cloud-provider/controllers/nodelifecycle/node_lifecycle_controller.go`. Upstream goes through all nodes every
five seconds; here only those that are not ready come back.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path, is_true, name_of, uid_of
from k8snb.apimachinery.taints import NO_SCHEDULE, SHUTDOWN
from k8snb.client.client import MERGE
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, EventRecorder
from k8snb.client.informer import Informers
from k8snb.cloud import CloudError, Instances
from k8snb.cloud.node import is_new

MONITOR = 5.0  # seconds; upstream's --node-monitor-period


class CloudNodeLifecycleController(Controller):
    name = "node-controller"

    def __init__(self, context: Context, informers: Informers, *, instances: Instances) -> None:
        super().__init__(context, informers)
        self.events = EventRecorder(self.client, "cloud-node-lifecycle-controller", self.clock)
        self._instances = instances
        self.nodes = informers.get("nodes")
        self.nodes.on_change(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and (not is_true(new, "Ready") or is_shut_down(new)):
            self.enqueue(new)

    def sync(self, key: str) -> None:
        node = self.nodes.by_key(key)
        if node is None or is_new(node) or not self.sees_own_writes(key):
            return
        if is_true(node, "Ready"):
            self._set_shut_down(node, False)
            return
        self.queue.add_after(key, MONITOR, background=True)
        try:
            if not self._instances.instance_exists(node):
                self._remove(node)
            else:
                self._set_shut_down(node, self._instances.instance_shutdown(node))
        except CloudError:
            return  # asked again with the next round

    def _remove(self, node: Object) -> None:
        name = name_of(node)
        message = f"Deleting node {name} because it does not exist in the cloud provider"
        self.events.event(node, NORMAL, "DeletingNode", message)
        self.client.delete("nodes", name, preconditions={"uid": uid_of(node)})

    def _set_shut_down(self, node: Object, off: bool) -> None:
        """The taint of a machine that is switched off, or its end."""
        if off == is_shut_down(node):
            return
        taints = [taint for taint in get_path(node, "spec.taints") or () if taint["key"] != SHUTDOWN]
        if off:
            taints.append({"key": SHUTDOWN, "effect": NO_SCHEDULE})
        exactly = {"resourceVersion": node["metadata"]["resourceVersion"]}
        patch = {"metadata": exactly, "spec": {"taints": taints or None}}
        self.wrote(name_of(node), self.nodes, self.client.patch("nodes", name_of(node), patch, content_type=MERGE))


def is_shut_down(node: Object) -> bool:
    return any(taint["key"] == SHUTDOWN for taint in get_path(node, "spec.taints") or ())
