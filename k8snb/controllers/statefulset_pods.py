"""statefulset-controller's identities: the name, the place and the claims that belong to each ordinal.

Interface: pure functions on a StatefulSet and its pods: `ordinal_of`, `pod_for`, `has_identity`, `has_storage`,
`claims_for`, and what the controller asks about a pod's health.
The rule not to break: an ordinal always gets the same pod name and the same claims.
Source: `pkg/controller/statefulset/stateful_set_utils.go` in the kubernetes repository.
"""

from __future__ import annotations

import re

from k8snb.apimachinery.meta import (
    Object,
    controller_reference,
    get_path,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    with_metadata,
)
from k8snb.controllers.pods import is_available, phase_of

POD_NAME, POD_INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"
REVISION = "controller-revision-hash"  # of a StatefulSet's pod: the whole name of its ControllerRevision

_NAME = re.compile(r"(.*)-([0-9]+)", re.DOTALL)


# ordinals


def replicas_of(owner: Object) -> int:
    count: int = owner["spec"].get("replicas", 1)
    return count


def start_of(owner: Object) -> int:
    start: int = get_path(owner, "spec.ordinals.start") or 0
    return start


def ordinals(owner: Object) -> range:
    """The ordinals that a StatefulSet is to have."""
    return range(start_of(owner), start_of(owner) + replicas_of(owner))


def parent_of(pod: Object) -> str:
    """The StatefulSet that a pod's name speaks of; "" when it speaks of none."""
    match = _NAME.fullmatch(name_of(pod))
    return match[1] if match else ""


def ordinal_of(pod: Object) -> int:
    """The number at the end of a pod's name; -1 when there is none."""
    match = _NAME.fullmatch(name_of(pod))
    return int(match[2]) if match else -1


def is_member(owner: Object, pod: Object) -> bool:
    return parent_of(pod) == name_of(owner)


# the pod of an ordinal


def pod_for(owner: Object, ordinal: int, revision: str) -> Object:
    """The pod that an ordinal is to have, made from the set's template; it shares the template's containers."""
    template = owner["spec"]["template"]
    wanted = template.get("metadata") or {}
    metadata = {key: wanted[key] for key in ("annotations", "finalizers") if wanted.get(key)}
    name = f"{name_of(owner)}-{ordinal}"
    labels = {**(wanted.get("labels") or {}), REVISION: revision, **_identity(name, ordinal)}
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace_of(owner),
            "labels": labels,
            **metadata,
            "ownerReferences": [controller_reference(owner)],
        },
        "spec": {**template["spec"], "hostname": name},
    }
    if service := owner["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = service
    return with_storage(owner, pod)


def _identity(name: str, ordinal: int) -> dict[str, str]:
    return {POD_NAME: name, POD_INDEX: str(ordinal)}


def has_identity(pod: Object) -> bool:
    """Whether a pod carries its name as a label; what it is called, the API server sees to."""
    return labels_of(pod).get(POD_NAME) == name_of(pod)


def with_identity(pod: Object) -> Object:
    return with_metadata(pod, labels={**labels_of(pod), **_identity(name_of(pod), ordinal_of(pod))})


def revision_name(pod: Object) -> str:
    """The ControllerRevision that a pod was made from."""
    return labels_of(pod).get(REVISION, "")


# its claims


def claims_for(owner: Object, pod: Object) -> dict[str, Object]:
    """The claims of a pod as the templates want them, by the names of the volumes that they become."""
    ordinal = ordinal_of(pod)
    return {
        one["metadata"]["name"]: _claim(owner, one, ordinal) for one in owner["spec"].get("volumeClaimTemplates", ())
    }


def _claim(owner: Object, wanted: Object, ordinal: int) -> Object:
    metadata = wanted["metadata"]
    selected = get_path(owner, "spec.selector.matchLabels") or {}
    labels = {**(metadata.get("labels") or {}), **selected}
    kept = {key: metadata[key] for key in ("annotations", "finalizers") if metadata.get(key)}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": f"{metadata['name']}-{name_of(owner)}-{ordinal}",
            "namespace": namespace_of(owner),
            **({"labels": labels} if labels else {}),
            **kept,
        },
        "spec": wanted.get("spec") or {},
    }


def with_storage(owner: Object, pod: Object) -> Object:
    """The pod with a volume for each claim; a volume of the same name gives way."""
    claims = claims_for(owner, pod)
    if not claims:
        return pod
    mounted = [{"name": name, "persistentVolumeClaim": {"claimName": name_of(claim)}} for name, claim in claims.items()]
    others = [volume for volume in pod["spec"].get("volumes") or () if volume["name"] not in claims]
    return {**pod, "spec": {**pod["spec"], "volumes": [*mounted, *others]}}


def has_storage(owner: Object, pod: Object) -> bool:
    """Whether each claim of the pod is one of its volumes."""
    claims = claims_for(owner, pod)
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()} if claims else {}
    return all(
        get_path(volumes.get(name), "persistentVolumeClaim.claimName") == name_of(claim)
        for name, claim in claims.items()
    )


# its health


def is_made(pod: Object) -> bool:
    """Whether the API server knows the pod: until then it has no phase."""
    return bool(get_path(pod, "status.phase"))


def is_up(pod: Object, owner: Object, now: float) -> bool:
    """Whether a pod runs and has been ready for long enough."""
    return phase_of(pod) == "Running" and is_available(pod, owner["spec"].get("minReadySeconds", 0), now)


def is_unavailable(pod: Object, owner: Object, now: float) -> bool:
    return is_deleting(pod) or not is_up(pod, owner, now)
