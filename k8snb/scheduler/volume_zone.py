"""VolumeZone: a volume whose labels name a zone or region is used in that zone or region.

Source: `pkg/scheduler/framework/plugins/volumezone` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Iterator

from k8snb.apimachinery.meta import Object, get_path, labels_of, namespace_of
from k8snb.apimachinery.storage import claim_keys, claims_of, class_of
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import (
    CLAIM_CHANGED,
    CLASS_CHANGED,
    NODE_ADDED,
    NODE_LABELS,
    VOLUME_CHANGED,
    Cycle,
    Handle,
    Plugin,
    Reason,
)

CONFLICT = "node(s) had no available volume zone"
TOPOLOGY = {  # labels of volumes, and what stands for each on nodes that have no such label
    "topology.kubernetes.io/zone": "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region": "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}


class VolumeZone(Plugin):
    name = "VolumeZone"
    resolvable = False
    wakes_on = frozenset((NODE_ADDED, NODE_LABELS, CLAIM_CHANGED, VOLUME_CHANGED, CLASS_CHANGED))

    def connect(self, handle: Handle) -> None:
        self.claims = handle.informers.get("persistentvolumeclaims")
        self.volumes = handle.informers.get("persistentvolumes")
        self.classes = handle.informers.get("storageclasses")

    def concerns(self, pod: Object) -> bool:
        return bool(claim_keys(pod))

    def pre_filter(self, cycle: Cycle) -> Reason:
        """A claim that has no volume, and does not wait for the scheduler, cannot be placed at all."""
        for _, name in claims_of(cycle.pod):
            claim = self.claims.get(name, namespace_of(cycle.pod))
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if not get_path(claim, "spec.volumeName") and not class_of(claim):
                return "PersistentVolumeClaim had no pv name and storageClass name"
        return None

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        if not any(key in node.labels for key in TOPOLOGY):
            return None
        fits = all(_fits(volume, node) for volume in self._volumes(pod))
        return None if fits else CONFLICT

    def _volumes(self, pod: Object) -> Iterator[Object]:
        for key in claim_keys(pod):
            claim = self.claims.by_key(key)
            volume = self.volumes.get(get_path(claim, "spec.volumeName", "")) if claim else None
            if volume is not None:
                yield volume


def _fits(volume: Object, node: NodeInfo) -> bool:
    """Whether the node lies in one of the zones (`a__b`) and regions of the volume's labels."""
    for key, values in labels_of(volume).items():
        if key in TOPOLOGY:
            here = node.labels.get(key, node.labels.get(TOPOLOGY[key]))
            if here not in values.split("__"):
                return False
    return True
