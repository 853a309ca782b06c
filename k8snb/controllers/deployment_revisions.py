"""deployment-controller's memory: the ReplicaSet that a pod template gets, and the revisions that lead back.

Interface: `new_replica_set`, `up_to_date`, `template_hash`, `next_revision`, all pure.
The rule not to break: the same template always gets the same name, and the newest ReplicaSet the highest revision.
Source: `pkg/controller/deployment/util/deployment_util.go` in the kubernetes repository.
"""

from __future__ import annotations

import hashlib
import json

from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    controller_reference,
    get_path,
    name_of,
    namespace_of,
    with_metadata,
    with_path,
)
from k8snb.controllers.deployment_sizes import DESIRED, MAX, ceiling, replicas_of

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
APPLIED, ROLLBACK = "kubectl.kubernetes.io/last-applied-configuration", "deprecated.deployment.rollback.to"
NOT_COPIED = frozenset((APPLIED, ROLLBACK, REVISION, HISTORY, DESIRED, MAX))
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, so that no hash spells a word


def new_replica_set(deployment: Object, revision: int) -> Object:
    """The ReplicaSet of the Deployment's template, without its size."""
    template = template_of(deployment)
    name = template_hash(template, get_path(deployment, "status.collisionCount", 0))
    labels = {**(get_path(template, "metadata.labels") or {}), HASH: name}
    selector = deployment["spec"]["selector"]
    matched = {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH: name}}
    copied = {key: value for key, value in annotations_of(deployment).items() if key not in NOT_COPIED}
    spec = {"selector": matched, "template": with_path(template, "metadata.labels", labels)}
    if least := deployment["spec"].get("minReadySeconds"):
        spec["minReadySeconds"] = least
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(deployment)}-{name}",
            "namespace": namespace_of(deployment),
            "labels": labels,
            "annotations": {**copied, REVISION: str(revision), **size_annotations(deployment)},
            "ownerReferences": [controller_reference(deployment)],
        },
        "spec": spec,
    }


def up_to_date(deployment: Object, new: Object, revision: int) -> Object:
    """The newest ReplicaSet with what it takes over from the Deployment; itself, when nothing has changed."""
    had = annotations_of(new)
    copied = {key: value for key, value in annotations_of(deployment).items() if key not in NOT_COPIED}
    annotations = {**had, **copied}
    if revision_number(new) < revision:
        annotations[REVISION] = str(revision)
        if REVISION in had:
            annotations[HISTORY] = ",".join(filter(None, (had.get(HISTORY), had[REVISION])))
    wanted = new if annotations == had else with_metadata(new, annotations=annotations)
    least = deployment["spec"].get("minReadySeconds", 0)
    return (
        wanted if least == new["spec"].get("minReadySeconds", 0) else with_path(wanted, "spec.minReadySeconds", least)
    )


def size_annotations(deployment: Object) -> dict[str, str]:
    """From these a later sync learns that the Deployment was scaled in the middle of a rollout, and from what."""
    return {DESIRED: str(replicas_of(deployment)), MAX: str(ceiling(deployment))}


def revision_number(one: Object) -> int:
    return int(annotations_of(one).get(REVISION) or 0)


def next_revision(old: list[Object]) -> int:
    return max(map(revision_number, old), default=0) + 1


def template_hash(template: Object, collisions: int = 0) -> str:
    """The pod-template-hash: the same for the same template, and safe in a name.

    Upstream takes FNV-32a over a dump of the Go struct; here SHA-256 over sorted JSON, written in the same alphabet.
    """
    text = json.dumps(template, sort_keys=True, separators=(",", ":")) + (str(collisions) if collisions else "")
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    return "".join(ALPHABET[ord(digit) % len(ALPHABET)] for digit in str(number))


def template_of(obj: Object) -> Object:
    template: Object = obj["spec"]["template"]
    return template
