"""kubelet's file source: pods that stand as manifests in a directory of their node.

Interface: `StaticFiles(node, directory, now)`: `read() -> (pods, complaints)`; `is_mirror(pod)`, `hash_of(pod)`.
The rule not to break: a file that is no pod harms no other; it is complained of once for each of its versions.
Source: `pkg/kubelet/config/{file,common}.go`. Upstream hears of changes by inotify, and says of a bad file so in its
log; here the directory is looked at, and the node's events say so.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from k8snb.apimachinery import schema
from k8snb.apimachinery.defaults import apply_defaults
from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.manifest import ManifestError, load
from k8snb.apimachinery.meta import Object, annotations_of
from k8snb.clock import micro_timestamp, timestamp

MIRROR, HASH = "kubernetes.io/config.mirror", "kubernetes.io/config.hash"
SOURCE, SEEN = "kubernetes.io/config.source", "kubernetes.io/config.seen"
POD = BY_GVK["v1", "Pod"]
TOLERATION = {"operator": "Exists", "effect": "NoExecute"}  # a node's own pods leave for no taint
IN_THE_API = ("configMap", "secret", "projected", "persistentVolumeClaim")

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class _File:
    """One version of a file, and the pod in it or what is wrong with it."""

    stamp: Stamp
    pod: Object | None
    complaint: str = ""


class StaticFiles:
    """The manifests of one node. `now()` is in seconds since the epoch."""

    def __init__(self, node: str, directory: Path, now: Callable[[], float]) -> None:
        self._node, self._directory, self._now = node, directory, now
        self._files: dict[str, _File] = {}

    def read(self) -> tuple[dict[str, Object], list[str]]:
        """The pods by uid, and sentences about files that were not complained of before."""
        known, self._files = self._files, {}
        for path, stamp in sorted(self._listing().items()):
            old = known.get(path)
            self._files[path] = old if old is not None and old.stamp == stamp else self._read(path, stamp)
        fresh = [file.complaint for path, file in self._files.items() if file is not known.get(path)]
        pods = {file.pod["metadata"]["uid"]: file.pod for file in self._files.values() if file.pod is not None}
        return pods, [complaint for complaint in fresh if complaint]

    def _listing(self) -> dict[str, Stamp]:
        """The files of the directory with what tells their versions apart; those with a dot in front are skipped."""
        try:
            with os.scandir(self._directory) as entries:
                files = [(entry.path, entry.stat()) for entry in entries if entry.name[0] != "." and entry.is_file()]
        except OSError:
            return {}
        return {path: (found.st_ino, found.st_mtime_ns, found.st_size) for path, found in files}

    def _read(self, path: str, stamp: Stamp) -> _File:
        try:
            data = Path(path).read_bytes()
            return _File(stamp, self._pod(path, data))
        except (OSError, UnicodeDecodeError, ManifestError, ValueError) as error:
            return _File(stamp, None, f"cannot process the manifest {path}: {error}")

    def _pod(self, path: str, data: bytes) -> Object:
        """Raises ValueError for what is no pod that can be static."""
        documents = load(data.decode(), path)
        if len(documents) != 1 or documents[0].object.get("kind") != "Pod":
            raise ValueError("it has to hold one object, of kind Pod")
        obj, errors, unknown = schema.load().decode(documents[0].object)
        if errors or unknown:
            raise ValueError(str((errors or unknown)[0]))
        if not obj.get("spec", {}).get("containers") or not obj.get("metadata", {}).get("name"):
            raise ValueError("a pod needs metadata.name and spec.containers")
        _must_stand_alone(obj["spec"])
        digest = hashlib.md5(data + f"host:{self._node}file:{path}".encode(), usedforsecurity=False).hexdigest()
        return apply_defaults(POD, self._static(obj, digest))

    def _static(self, obj: Object, digest: str) -> Object:
        metadata, spec, now = obj["metadata"], obj["spec"], self._now()
        annotations = {**(metadata.get("annotations") or {}), HASH: digest, SOURCE: "file", SEEN: micro_timestamp(now)}
        identity = {
            "name": f"{metadata['name']}-{self._node.lower()}", "namespace": metadata.get("namespace") or "default",
            "uid": digest, "annotations": annotations, "creationTimestamp": timestamp(now), "resourceVersion": "0",
        }  # fmt: skip
        tolerations = [*(spec.get("tolerations") or ()), TOLERATION]
        return {
            "apiVersion": "v1", "kind": "Pod", "metadata": {**metadata, **identity},
            "spec": {**spec, "nodeName": self._node, "tolerations": tolerations}, "status": {"phase": "Pending"},
        }  # fmt: skip


def _must_stand_alone(spec: Object) -> None:
    """Raises ValueError for a pod that needs what only the apiserver has: a static pod comes up without one."""
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        raise ValueError("a static pod may not reference a service account")
    for volume in spec.get("volumes") or ():
        for sort in IN_THE_API:
            if sort in volume:
                raise ValueError(f"a static pod may not reference other API objects: volume {volume['name']} ({sort})")


def is_mirror(pod: Object) -> bool:
    """Whether a pod of the apiserver only shows one of a node's own."""
    return MIRROR in annotations_of(pod)


def hash_of(pod: Object) -> str:
    """The static pod's uid, which its mirror names."""
    return annotations_of(pod).get(MIRROR, "")


def mirror_of(pod: Object, node: Object) -> Object:
    """What is to be created in the apiserver for a static pod of a node. Upstream: `CreateMirrorPod`."""
    metadata: Mapping[str, object] = pod["metadata"]
    kept = {field: metadata[field] for field in ("name", "namespace", "labels", "annotations") if field in metadata}
    owner = {"apiVersion": "v1", "kind": "Node", "name": node["metadata"]["name"], "uid": node["metadata"]["uid"],
             "controller": True}  # fmt: skip
    annotations = {**pod["metadata"]["annotations"], MIRROR: pod["metadata"]["uid"]}
    return {
        "apiVersion": "v1", "kind": "Pod", "spec": pod["spec"],
        "metadata": {**kept, "annotations": annotations, "ownerReferences": [owner]},
    }  # fmt: skip
