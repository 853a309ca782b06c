"""persistentvolume-protection-controller: a volume that is being deleted stays while a claim has it.

Interface: `PVProtectionController`. The rule not to break: the finalizer stays as long as the volume is Bound.
Source: `pkg/controller/volume/pvprotection` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import get_path, is_deleting, with_metadata
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers

FINALIZER = "kubernetes.io/pv-protection"


class PVProtectionController(Controller):
    name = "pv-protection-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.volumes = self.watch("persistentvolumes")

    def sync(self, key: str) -> None:
        self.volumes.catch_up()
        volume = self.volumes.by_key(key)
        if volume is None:
            return
        finalizers = volume["metadata"].get("finalizers") or []
        if is_deleting(volume) and FINALIZER in finalizers and get_path(volume, "status.phase") != "Bound":
            kept = [name for name in finalizers if name != FINALIZER]
            self.client.update("persistentvolumes", with_metadata(volume, finalizers=kept or None))
        elif not is_deleting(volume) and FINALIZER not in finalizers:
            self.client.update("persistentvolumes", with_metadata(volume, finalizers=[*finalizers, FINALIZER]))
