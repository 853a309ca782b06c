"""Templates: which pods are not of the template that their owner has now, and who does not replace them by itself.

Interface: `is_outdated(pod, owner)`; `anew(scene, pod) -> [command]`.
The rule not to break: a pod counts as outdated only where something that the template says is otherwise in the pod.
Source: `concepts/workloads/controllers` of the documentation: a ReplicaSet leaves its pods as they are; a StatefulSet
waits for a pod that is not ready ("Forced rollback"); with OnDelete somebody else deletes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8snb.apimachinery.meta import Object, controller_of, get_path, is_deleting, labels_of, name_of, namespace_of
from k8snb.story.why import Scene, word_of

LEAVING: Mapping[str, str] = {  # kinds that may leave an outdated pod as it is, and their resources
    "ReplicaSet": "replicasets", "ReplicationController": "replicationcontrollers", "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
}  # fmt: skip
REVISION = "controller-revision-hash"
SETTLED = ("nodeSelector", "containers", "initContainers")  # of a template's spec, what nobody else adds to


def anew(scene: Scene, pod: Object) -> list[str]:
    """The command that has an outdated pod replaced, where its owner waits for somebody who runs it."""
    reference = controller_of(pod) or {}
    resource = LEAVING.get(reference.get("kind", ""), "")
    owner = scene.find(resource, reference["name"], namespace_of(pod)) if resource else None
    if owner is None or is_deleting(pod) or _is_replaced(owner, pod) or not is_outdated(pod, owner):
        return []
    return [f"kubectl delete {word_of(pod)}"]


def _is_replaced(owner: Object, pod: Object) -> bool:
    """Whether its owner would replace it itself, or make the same again."""
    strategy = get_path(owner, "spec.updateStrategy") or {}
    if owner["kind"] == "DaemonSet":
        return bool(strategy.get("type") != "OnDelete")
    if owner["kind"] != "StatefulSet":
        return False
    ordinal, kept = name_of(pod).rpartition("-")[2], get_path(strategy, "rollingUpdate.partition", 0)
    in_order = get_path(owner, "spec.podManagementPolicy") != "Parallel"
    return (ordinal.isdigit() and int(ordinal) < kept) or (strategy.get("type") != "OnDelete" and not in_order)


def is_outdated(pod: Object, owner: Object) -> bool:
    """Whether a pod is not of its owner's template: by the revisions that both name, else by what the template says."""
    newest, own = get_path(owner, "status.updateRevision"), labels_of(pod).get(REVISION)
    if newest and own:
        return bool(newest != own)
    template = get_path(owner, "spec.template.spec") or {}
    return not all(_says(template[part], pod["spec"].get(part)) for part in SETTLED if template.get(part))


def _says(wanted: Any, there: Any) -> bool:
    """Whether all that is wanted is there; more may be, as defaults and admission add it."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(_says(value, there.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(there, list) and all(any(_says(each, other) for other in there) for each in wanted)
    return bool(wanted == there)
