"""Why a claim has no volume.

Interface: `DIAGNOSES`; `claim_manifest(name, namespace)`, a cell that makes a claim.
Source: `pkg/controller/volume/persistentvolume`, whose events say what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import yaml

from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    condition,
    get_path,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    revision_of,
)
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.apimachinery.storage import class_of, mismatch
from k8snb.story.why import Diagnosis, Evidence, Finding, Scene, claims_of, event_evidence, seen, word_of

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
SIZE = "1Gi"
SHOWN = 5  # volumes that are told


def unbound(scene: Scene, claim: Object) -> Iterator[Finding]:
    if get_path(claim, "status.phase") != "Pending" or is_deleting(claim):
        return
    wanted = claim["spec"].get("storageClassName") or ""
    found = scene.find("storageclasses", wanted) if wanted else None
    said = scene.events(claim, "ProvisioningFailed", "FailedBinding", "VolumeMismatch", "WaitForFirstConsumer")[:1]
    evidence = [seen(claim, "spec.storageClassName", wanted or "none"), *map(event_evidence, said)]
    volumes = [each for each in scene.items("persistentvolumes") if (class_of(each) or "") == wanted]
    if claim["spec"].get("volumeName"):
        yield _named(scene, claim, evidence)
    elif found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer":
        yield from _waiting(scene, claim, evidence)
    elif not wanted or (found is None and volumes):
        yield _none_fits(claim, volumes, evidence)
    elif found is None:
        yield _no_class(scene, claim, evidence)
    elif said:
        yield Finding(word_of(claim), said[0]["message"], evidence,
                      (f"see that a provisioner {found.get('provisioner')} runs",))  # fmt: skip


def _no_class(scene: Scene, claim: Object, evidence: list[Evidence]) -> Finding:
    wanted = claim["spec"]["storageClassName"]
    known = ", ".join(name_of(each) for each in scene.items("storageclasses")) or "none"
    advice = f"a claim's class cannot be changed: or delete it, and create it with a class that there is: {known}"
    return Finding(word_of(claim), f'there is no StorageClass "{wanted}"', evidence,
                   [*_same_class(scene, wanted), advice])  # fmt: skip


def _waiting(scene: Scene, claim: Object, evidence: list[Evidence]) -> Iterator[Finding]:
    """Its class wants to know first where the pod runs that uses it."""
    wanted, users = claim["spec"]["storageClassName"], _users(scene, claim)
    if not users:
        yield Finding(word_of(claim), f'its class "{wanted}" waits for the first pod that uses it: nothing is wrong',
                      evidence, (_user_manifest(claim), "or create a pod of your own that mounts it"))  # fmt: skip
    for pod in [each for each in users if not get_path(each, "spec.nodeName")][:1]:
        told = (condition(pod, "PodScheduled") or {}).get("message", "no scheduler has looked for one")
        place = Evidence(word_of(pod), "status.conditions[PodScheduled]", told, revision_of(pod))
        fact = f'its class "{wanted}" waits until {word_of(pod)}, which uses it, has a node: {told}'
        advice = f"what lets the pod in lets the claim in: %kwhy {word_of(pod)}"
        yield Finding(word_of(claim), fact, [*evidence, place], (advice,))


def _named(scene: Scene, claim: Object, evidence: list[Evidence]) -> Finding:
    """It asks for one volume and no other."""
    name = claim["spec"]["volumeName"]
    volume = scene.find("persistentvolumes", name)
    asked = seen(claim, "spec.volumeName")
    if volume is None:
        fact = f'it asks for the volume "{name}", and there is none of that name'
        return Finding(word_of(claim), fact, [asked, *evidence],
                       (_volume_manifest(claim), "or claim again without spec.volumeName"))  # fmt: skip
    why = _unfit(volume, claim) or "it has not been bound yet"
    return Finding(word_of(claim), f'it asks for the volume "{name}" and cannot have it: {why}',
                   [asked, seen(volume, "status.phase"), *evidence],
                   ("claim again without spec.volumeName, or for a volume that is free and fits",))  # fmt: skip


def _none_fits(claim: Object, volumes: list[Object], evidence: list[Evidence]) -> Finding:
    size, modes = get_path(claim, "spec.resources.requests.storage"), ", ".join(claim["spec"]["accessModes"])
    free = [each for each in volumes if get_path(each, "status.phase") == "Available"]
    shown = ", ".join(f"{name_of(each)} {get_path(each, 'spec.capacity.storage')} ({_unfit(each, claim)})"
                      for each in free[:SHOWN]) or "none"  # fmt: skip
    others = [seen(each, "spec", _unfit(each, claim)) for each in volumes[:SHOWN]]
    return Finding(word_of(claim), f"no volume that is free fits: it asks for {size} {modes}, free are: {shown}",
                   [*evidence, *others], (_volume_manifest(claim), "or name a StorageClass in the claim"))  # fmt: skip


def _unfit(volume: Object, claim: Object) -> str:
    """Why a claim cannot have a volume."""
    holder, phase = get_path(volume, "spec.claimRef") or {}, get_path(volume, "status.phase", "")
    if holder and (holder.get("name"), holder.get("namespace")) != (name_of(claim), namespace_of(claim)):
        state = "kept after it, Released" if phase == "Released" else "bound to it"
        return f"it is the volume of {holder.get('namespace')}/{holder.get('name')}, {state}"
    if holder and phase == "Released":
        return "it is Released: it belonged to a claim of this name that is gone, and spec.claimRef still holds its uid"
    selector = claim["spec"].get("selector")
    if selector and not from_label_selector(selector).matches(labels_of(volume)):
        return f"the claim selects {from_label_selector(selector)}"
    return mismatch(volume, claim)


def _users(scene: Scene, claim: Object) -> list[Object]:
    return [pod for pod in scene.items("pods", namespace_of(claim)) if name_of(claim) in claims_of(pod)]


def _cell(obj: Object) -> str:
    """A cell that makes an object."""
    return "%%kapply\n" + yaml.safe_dump(obj, sort_keys=False)


def _metadata(name: str, namespace: str = "") -> Object:
    return {"name": name, **({"namespace": namespace} if namespace not in ("", "default") else {})}


def _same_class(scene: Scene, name: str) -> Sequence[str]:
    """A class of this name that works as the default one does; none where there is no default."""
    classes = scene.items("storageclasses")
    default = next((each for each in classes if annotations_of(each).get(DEFAULT_CLASS) == "true"), None)
    if default is None:
        return []
    kept: Object = {key: default[key] for key in ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode")
            if key in default}  # fmt: skip
    return [_cell({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": _metadata(name), **kept})]


def claim_manifest(name: str, namespace: str) -> str:
    """A cell that makes a small claim of the default class."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": SIZE}}}
    return _cell({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": _metadata(name, namespace),
                  "spec": spec})  # fmt: skip


def _volume_manifest(claim: Object) -> str:
    """A cell that makes a volume that the claim fits."""
    spec = claim["spec"]
    labels = get_path(spec, "selector.matchLabels")
    name = spec.get("volumeName") or f"{name_of(claim)}-volume"
    volume = {
        "capacity": {"storage": get_path(spec, "resources.requests.storage")},
        "accessModes": spec["accessModes"], "storageClassName": spec.get("storageClassName") or "",
        "hostPath": {"path": f"/tmp/{name}"},
        **({"volumeMode": spec["volumeMode"]} if spec.get("volumeMode") == "Block" else {}),
    }  # fmt: skip
    metadata = {"name": name, **({"labels": labels} if labels else {})}
    return _cell({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": volume})


def _user_manifest(claim: Object) -> str:
    """A cell that makes a pod which mounts the claim."""
    container = {"name": "main", "image": "nginx", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": name_of(claim)}}
    metadata = _metadata(f"{name_of(claim)}-user", namespace_of(claim))
    spec = {"containers": [container], "volumes": [volume]}
    return _cell({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {"PersistentVolumeClaim": (unbound,)}
