"""Rollbacks: whether a pod in trouble is of a new template of its Deployment, and the one before was well.

Interface: `undo(scene, pod) -> [command]`.
The rule not to break: told only where pods of the ReplicaSet before are still ready.
Source: `kubectl rollout undo`; `pkg/controller/deployment/rollback.go`.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, annotations_of, controller_of, get_path, namespace_of, uid_of
from k8snb.story.owners import owner_of, settable
from k8snb.story.why import Scene

REVISION = "deployment.kubernetes.io/revision"


def undo(scene: Scene, pod: Object) -> list[str]:
    """`kubectl rollout undo`, where that leads back to pods that were ready."""
    owner = owner_of(pod)
    if owner is None or owner[0] != "deployment":
        return []
    sets = [each for each in scene.items("replicasets", namespace_of(pod))
            if (controller_of(each) or {}).get("name") == owner[1]]  # fmt: skip
    own = next((each for each in sets if uid_of(each) == (controller_of(pod) or {}).get("uid")), None)
    older = sorted((each for each in sets if own is not None and _revision(each) < _revision(own)), key=_revision)
    if own is None or not older or _revision(own) < max(map(_revision, sets)):
        return []
    return [f"kubectl rollout undo {settable(pod)}"] if get_path(older[-1], "status.readyReplicas") else []


def _revision(replica_set: Object) -> int:
    text = annotations_of(replica_set).get(REVISION, "0")
    return int(text) if text.isdigit() else 0
