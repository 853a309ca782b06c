"""NodeVolumeLimits: a node takes no more volumes of a CSI driver than its CSINode says.

Source: `pkg/scheduler/framework/plugins/nodevolumelimits/csi.go` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Iterable

from k8snb.apimachinery.meta import Object, get_path, key_of
from k8snb.apimachinery.storage import claim_keys, class_of
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import (
    CLAIM_CHANGED,
    CSI_CHANGED,
    NODE_ADDED,
    POD_GONE,
    VOLUME_CHANGED,
    Handle,
    Plugin,
    Reason,
)
from k8snb.scheduler.volume_use import VolumeUse

EXCEEDED = "node(s) exceed max volume count"
NODE = "node"


class NodeVolumeLimits(Plugin):
    name = "NodeVolumeLimits"
    wakes_on = frozenset((NODE_ADDED, POD_GONE, CLAIM_CHANGED, VOLUME_CHANGED, CSI_CHANGED))

    def connect(self, handle: Handle) -> None:
        informers = handle.informers
        self.claims, self.volumes = informers.get("persistentvolumeclaims"), informers.get("persistentvolumes")
        self.classes, self.nodes = informers.get("storageclasses"), informers.get("csinodes")
        self.nodes.on_change(lambda old, new: handle.happened(CSI_CHANGED) if new is not None else None)
        self.attachments = informers.get("volumeattachments")
        self.attachments.add_index(NODE, lambda each: [each["spec"]["nodeName"]])
        self.use = VolumeUse(handle)

    def concerns(self, pod: Object) -> bool:
        return bool(claim_keys(pod))

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        limits = self._limits(node.name)
        if not limits:
            return None
        there = self._disks(self.use.on_node(node.name)) | self._attached(node.name)
        wanted = self._disks(claim_keys(pod)) - there
        for driver in {driver for driver, _ in wanted}:
            count = sum(each == driver for each, _ in there | wanted)
            if count > limits.get(driver, count):
                return EXCEEDED
        return None

    def reserve(self, pod: Object, node: NodeInfo) -> None:
        self.use.place(pod, node.name)

    def unreserve(self, pod: Object, node: str) -> None:
        self.use.displace(key_of(pod))

    def _limits(self, node: str) -> dict[str, int]:
        """How many volumes of each driver the node takes, where it says so."""
        drivers = get_path(self.nodes.get(node), "spec.drivers") or ()
        counts = {driver["name"]: get_path(driver, "allocatable.count") for driver in drivers}
        return {name: count for name, count in counts.items() if count is not None}

    def _disks(self, claims: Iterable[str]) -> set[tuple[str, str]]:
        """(driver, volume) of claims; for one without a volume who will make it, and the claim itself."""
        found = set()
        for key in claims:
            claim = self.claims.by_key(key)
            volume = self.volumes.get(get_path(claim, "spec.volumeName", "")) if claim else None
            source = get_path(volume, "spec.csi")
            storage_class = self.classes.get(class_of(claim) or "") if claim and volume is None else None
            if source:
                found.add((source["driver"], source["volumeHandle"]))
            elif storage_class is not None:
                found.add((storage_class["provisioner"], key))
        return found

    def _attached(self, node: str) -> set[tuple[str, str]]:
        """The volumes that are attached to the node, whether pods there use them or not."""
        found = set()
        for attachment in self.attachments.by_index(NODE, node):
            volume = self.volumes.get(get_path(attachment, "spec.source.persistentVolumeName", ""))
            if volume is not None and get_path(volume, "spec.csi"):
                found.add((attachment["spec"]["attacher"], volume["spec"]["csi"]["volumeHandle"]))
        return found
