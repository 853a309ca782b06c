"""VolumeRestrictions: a claim of access mode ReadWriteOncePod has one pod in the whole cluster.

Source: `pkg/scheduler/framework/plugins/volumerestrictions` in the kubernetes repository. Upstream also keeps pods
apart that name the same disk of GCE, AWS, iSCSI or RBD in their own specs; those volumes are not implemented by k8snb.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path, key_of, namespace_of
from k8snb.apimachinery.storage import modes_of
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import CLAIM_CHANGED, NODE_ADDED, POD_GONE, Cycle, Handle, Plugin, Reason
from k8snb.scheduler.volume_use import VolumeUse

CONFLICT = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"


class VolumeRestrictions(Plugin):
    name = "VolumeRestrictions"
    wakes_on = frozenset((NODE_ADDED, POD_GONE, CLAIM_CHANGED))

    def connect(self, handle: Handle) -> None:
        self.claims = handle.informers.get("persistentvolumeclaims")
        self.use = VolumeUse(handle)

    def concerns(self, pod: Object) -> bool:
        return any(volume.get("persistentVolumeClaim") for volume in pod["spec"].get("volumes") or ())

    def pre_filter(self, cycle: Cycle) -> Reason:
        self.claims.catch_up()
        for name in _claim_names(cycle.pod):
            if self.claims.get(name, namespace_of(cycle.pod)) is None:
                return f'persistentvolumeclaim "{name}" not found'
        return None

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        for name in _claim_names(pod):
            key = f"{namespace_of(pod)}/{name}"
            claim = self.claims.by_key(key)
            if claim is not None and modes_of(claim) == ["ReadWriteOncePod"] and self.use.of_claim(key) - {key_of(pod)}:
                return CONFLICT
        return None

    def reserve(self, pod: Object, node: NodeInfo) -> None:
        self.use.place(pod, node.name)

    def unreserve(self, pod: Object, node: str) -> None:
        self.use.displace(key_of(pod))


def _claim_names(pod: Object) -> list[str]:
    names = (get_path(volume, "persistentVolumeClaim.claimName") for volume in pod["spec"].get("volumes") or ())
    return [name for name in names if name]
