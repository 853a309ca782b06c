"""ephemeral-volume-controller: makes the claims of pods that carry a claim's template in a volume.

Interface: `EphemeralVolumeController`. The claim `POD-VOLUME` belongs to the pod and goes with it.
The rule not to break: a claim of that name that belongs to somebody else is left alone, and the pod waits.
Source: `pkg/controller/volume/ephemeral` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, controller_reference, is_deleting, key_of, namespace_of, revision_of
from k8snb.apimachinery.storage import claim_of, stranger
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import WARNING
from k8snb.client.informer import Informers

POD = "pod"


class EphemeralVolumeController(Controller):
    name = "ephemeral-volume-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.pods = informers.get("pods")
        self.pods.on_change(self._pod_changed)
        self.pods.add_index(POD, _ephemeral_claims, steady=True)
        self.claims = informers.get("persistentvolumeclaims")
        self.claims.on_change(self._claim_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None and new is not None and any(_ephemeral_claims(new)):
            self.enqueue(new)

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        """A claim that goes while its pod is there is made again."""
        if new is None and old is not None:
            for pod in self.pods.by_index(POD, key_of(old)):
                self.queue.add(key_of(pod), revision_of(old))

    def sync(self, key: str) -> None:
        self.pods.catch_up()
        self.claims.catch_up()
        pod = self.pods.by_key(key)
        if pod is None or is_deleting(pod):
            return
        for volume in pod["spec"].get("volumes") or ():
            if volume.get("ephemeral"):
                self._sync_volume(pod, volume)

    def _sync_volume(self, pod: Object, volume: Object) -> None:
        name = claim_of(pod, volume)
        present = self.claims.get(name, namespace_of(pod))
        if present is not None:
            why = stranger(pod, present)
            if why:
                self.events.event(pod, WARNING, "FailedBinding", f"ephemeral volume {volume['name']}: {why}")
            return
        try:
            self.client.create("persistentvolumeclaims", _claim(pod, name, volume), namespace_of(pod))
        except ApiError as error:
            told = f"ephemeral volume {volume['name']}: create PVC {name}: {error.message}"
            self.events.event(pod, WARNING, "FailedBinding", told)
            raise


def _ephemeral_claims(pod: Object) -> list[str]:
    """Index function: the keys of the claims that a pod's templates stand for."""
    volumes = pod["spec"].get("volumes") or ()
    return [f"{namespace_of(pod)}/{claim_of(pod, volume)}" for volume in volumes if volume.get("ephemeral")]


def _claim(pod: Object, name: str, volume: Object) -> Object:
    template = volume["ephemeral"]["volumeClaimTemplate"]
    given = template.get("metadata") or {}
    metadata = {key: given[key] for key in ("annotations", "labels") if given.get(key)}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": namespace_of(pod),
            "ownerReferences": [controller_reference({"apiVersion": "v1", "kind": "Pod", **pod})],
            **metadata,
        },
        "spec": template["spec"],
    }
