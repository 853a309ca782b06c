"""Why a claim has no volume.

Interface: `DIAGNOSES`; `claim_manifest(name, namespace)`, a cell that makes a claim.
Source: `pkg/controller/volume/persistentvolume`, whose events say what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import yaml

from k8snb.apimachinery.meta import Object, annotations_of, get_path, is_deleting, name_of, namespace_of
from k8snb.story.why import Diagnosis, Finding, Scene, claims_of, event_evidence, seen, word_of

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
SIZE = "1Gi"


def unbound(scene: Scene, claim: Object) -> Iterator[Finding]:
    if get_path(claim, "status.phase") != "Pending" or is_deleting(claim):
        return
    wanted = claim["spec"].get("storageClassName")
    found = scene.find("storageclasses", wanted) if wanted else None
    said = scene.events(claim, "ProvisioningFailed", "FailedBinding", "WaitForFirstConsumer")[:1]
    evidence = [seen(claim, "spec.storageClassName", wanted or "none"), *map(event_evidence, said)]
    if wanted and found is None:
        known = ", ".join(name_of(each) for each in scene.items("storageclasses")) or "none"
        advice = f"a claim's class cannot be changed: or delete it, and create it with a class that there is: {known}"
        yield Finding(word_of(claim), f'there is no StorageClass "{wanted}"', evidence,
                      [*_same_class(scene, wanted), advice])  # fmt: skip
    elif found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer" and not _mounted(scene, claim):
        yield Finding(word_of(claim), f'its class "{wanted}" waits for the first pod that uses it: nothing is wrong',
                      evidence, (_user_manifest(claim), "or create a pod of your own that mounts it"))  # fmt: skip
    elif not wanted:
        size = get_path(claim, "spec.resources.requests.storage")
        volumes = [each for each in scene.items("persistentvolumes") if get_path(each, "status.phase") == "Available"]
        shown = ", ".join(f"{name_of(each)} {get_path(each, 'spec.capacity.storage')}" for each in volumes) or "none"
        yield Finding(word_of(claim), f"no volume that is free fits: it asks for {size}, free are: {shown}", evidence,
                      (_volume_manifest(claim), "or name a StorageClass in the claim"))  # fmt: skip
    elif said and found is not None and said[0]["reason"] != "WaitForFirstConsumer":
        yield Finding(word_of(claim), said[0]["message"], evidence,
                      (f"see that a provisioner {found.get('provisioner')} runs",))  # fmt: skip


def _mounted(scene: Scene, claim: Object) -> bool:
    return any(name_of(claim) in claims_of(pod) for pod in scene.items("pods", namespace_of(claim)))


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
        "accessModes": spec["accessModes"], "storageClassName": "", "hostPath": {"path": f"/tmp/{name}"},
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
