"""cloud-node-controller: tells the cluster what the cloud knows of a new node, and then lets pods onto it.

Interface: `CloudNodeController(context, informers, instances=…)`.
The rule not to break: the taint `uninitialized` goes last and with everything else in one write: a pod that looks for
its zone never meets a node that has not been asked for it.
Source: `cloud-provider/controllers/node/node_controller.go`. Upstream also taints for the network on Google's cloud.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path, labels_of, with_path
from k8snb.apimachinery.taints import UNINITIALIZED
from k8snb.client.client import MERGE
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, EventRecorder
from k8snb.client.informer import Informers
from k8snb.cloud import CloudError, InstanceMetadata, Instances

UPDATE = 300.0  # seconds between two looks at a machine's addresses; upstream's --node-status-update-frequency
ZONE_LABELS = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
REGION_LABELS = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
TYPE_LABELS = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")


class CloudNodeController(Controller):
    name = "node-controller"

    def __init__(self, context: Context, informers: Informers, *, instances: Instances) -> None:
        super().__init__(context, informers)
        self.events = EventRecorder(self.client, "cloud-node-controller", self.clock)
        self._instances = instances
        self.nodes = informers.get("nodes")
        self.nodes.on_change(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and (old is None or is_new(new)):
            self.enqueue(new)

    def sync(self, key: str) -> None:
        node = self.nodes.by_key(key)
        if node is None or not self.sees_own_writes(key):
            return
        try:
            self._tell(key, node)
        except CloudError:
            self.queue.add_rate_limited(key)
            return
        self.queue.add_after(key, UPDATE, background=True)

    def _tell(self, key: str, node: Object) -> None:
        if not is_new(node) and not self._instances.instance_exists(node):
            return  # that is cloud-node-lifecycle-controller's business
        metadata = self._instances.instance_metadata(node)
        node = self._write_addresses(key, node, metadata)
        if is_new(node):
            exactly = {"resourceVersion": node["metadata"]["resourceVersion"]}
            change = {
                "metadata": {**exactly, "labels": labels_for(node, metadata)},
                "spec": spec_change(node, metadata),
            }
            self.wrote(key, self.nodes, self.client.patch("nodes", key, change, content_type=MERGE))
            self.events.event(node, NORMAL, "Synced", "Node synced successfully")

    def _write_addresses(self, key: str, node: Object, metadata: InstanceMetadata) -> Object:
        addresses = [{"type": sort, "address": address} for sort, address in metadata.addresses]
        if not addresses or addresses == get_path(node, "status.addresses"):
            return node
        written = self.client.update_status("nodes", with_path(node, "status.addresses", addresses))
        self.wrote(key, self.nodes, written)
        return written


def is_new(node: Object) -> bool:
    """Whether the cloud has yet to be asked about a node."""
    return any(taint["key"] == UNINITIALIZED for taint in get_path(node, "spec.taints") or ())


def spec_change(node: Object, metadata: InstanceMetadata) -> Object:
    """What becomes of a new node's spec: its machine's name in the cloud, and its taints but for ours."""
    taints = [taint for taint in get_path(node, "spec.taints") or () if taint["key"] != UNINITIALIZED]
    machine = {} if get_path(node, "spec.providerID") else {"providerID": metadata.provider_id}
    return {"taints": taints or None, **machine}


def labels_for(node: Object, metadata: InstanceMetadata) -> dict[str, str]:
    """The labels that a node lacks of those that its cloud gives it. Zones and regions are the cloud's to say."""
    given = {
        **dict.fromkeys(TYPE_LABELS, metadata.instance_type),
        **dict.fromkeys(ZONE_LABELS, metadata.zone),
        **dict.fromkeys(REGION_LABELS, metadata.region),
        **{label: value for label, value in metadata.labels.items() if label not in labels_of(node)},
    }
    return {label: value for label, value in given.items() if value}
