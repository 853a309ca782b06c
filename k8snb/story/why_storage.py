"""Why a claim has no volume.

Interface: `DIAGNOSES`.
Source: `pkg/controller/volume/persistentvolume`, whose events say what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.story.why import Diagnosis, Finding, Scene, event_evidence, field, word_of


def unbound(scene: Scene, claim: Object) -> Iterator[Finding]:
    if get_path(claim, "status.phase") != "Pending":
        return
    wanted = claim["spec"].get("storageClassName")
    found = scene.find("storageclasses", wanted) if wanted else None
    said = scene.events(claim, "ProvisioningFailed", "FailedBinding", "WaitForFirstConsumer")[:1]
    evidence = [field(claim, "spec.storageClassName", wanted or "none"), *map(event_evidence, said)]
    if wanted and found is None:
        known = ", ".join(name_of(each) for each in scene.items("storageclasses")) or "none"
        yield Finding(word_of(claim), f'there is no StorageClass "{wanted}"', evidence,
                      (f"name one that there is ({known}), or make it; a claim's class cannot be changed: "
                       "delete and create the claim",))  # fmt: skip
    elif found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer" and not _users(scene, claim):
        yield Finding(word_of(claim), f'its class "{wanted}" waits for the first pod that uses it: nothing is wrong',
                      evidence, ("create a pod that mounts it",))  # fmt: skip
    elif not wanted:
        size = get_path(claim, "spec.resources.requests.storage")
        volumes = [each for each in scene.items("persistentvolumes") if get_path(each, "status.phase") == "Available"]
        shown = ", ".join(f"{name_of(each)} {get_path(each, 'spec.capacity.storage')}" for each in volumes) or "none"
        yield Finding(word_of(claim), f"no volume that is free fits: it asks for {size}, free are: {shown}", evidence,
                      ("make a PersistentVolume that is large enough and has its access modes, or name a "
                       "StorageClass in the claim",))  # fmt: skip
    elif said:
        yield Finding(word_of(claim), said[0]["message"], evidence, (f"kubectl describe storageclass {wanted}",))


def _users(scene: Scene, claim: Object) -> list[Object]:
    return [
        pod
        for pod in scene.items("pods", namespace_of(claim))
        for volume in get_path(pod, "spec.volumes") or ()
        if get_path(volume, "persistentVolumeClaim.claimName") == name_of(claim)
    ]


DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {"PersistentVolumeClaim": (unbound,)}
