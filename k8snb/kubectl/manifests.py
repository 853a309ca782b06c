"""Clean manifests: a live object as somebody could have written it.

Interface: `clean(kind, obj)`; `reason_to_leave(kind, obj)`, why an object is nobody's to write.
The rule not to break: applied on an empty cluster, what is left makes the same object again; and what the user wrote in
the last apply stays, even where it says no more than a default.
Real kubectl had `get --export` for this, which went in 1.18 because it could not know what the server had filled in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from k8snb.apimachinery.defaults import apply_defaults
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, annotations_of, get_path, labels_of, name_of, namespace_of
from k8snb.kubectl.create import LAST_APPLIED

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
# Managers of fields that are no user's: the cluster's own components.
_COMPONENTS = ("kube-", "kubelet", "cloud-controller-manager", "coredns", "metrics-server", "k3s", "kubeadm")
_RECORDS = ("Event", "Lease", "Node", "ControllerRevision", "CSINode", "VolumeAttachment", "ComponentStatus",
            "CSIStorageCapacity", "PodMetrics", "NodeMetrics", "CertificateSigningRequest")  # fmt: skip
_EVERYWHERE = (("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt"))  # in each namespace
OWNED, SYSTEM, RECORD = "belongs to another object", "is the cluster's own", "is a record, not a wish"

_SERVER_ANNOTATIONS = (
    "kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/", "pv.kubernetes.io/",
    "volume.kubernetes.io/", "volume.beta.kubernetes.io/", "batch.kubernetes.io/", "endpoints.kubernetes.io/",
    "deprecated.daemonset.template.generation", "node.alpha.kubernetes.io/", "kubernetes.io/service-account.uid",
)  # fmt: skip
_SERVER_FINALIZERS = ("kubernetes", "foregroundDeletion", "orphan", "customresourcecleanup.apiextensions.k8s.io",
                      "service.kubernetes.io/load-balancer-cleanup", "batch.kubernetes.io/job-tracking")  # fmt: skip
_JOB_LABELS = ("controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name")
# What the server allots; it stays where the user wrote it.
_ALLOTTED: Mapping[str, tuple[str, ...]] = {
    "Service": ("spec.ipFamilies", "spec.ipFamilyPolicy", "spec.internalTrafficPolicy", "spec.healthCheckNodePort",
                "spec.allocateLoadBalancerNodePorts", "spec.ports[].nodePort"),
    "Pod": ("spec.nodeName", "spec.serviceAccount", "spec.priority", "spec.preemptionPolicy"),
    "Namespace": ("spec",),
    "ServiceAccount": ("secrets",),
    "CustomResourceDefinition": ("spec.conversion",),
}  # fmt: skip


def reason_to_leave(kind: Kind, obj: Object) -> str:
    """Why an object does not belong among manifests; "" where it does. `obj` has its managedFields."""
    if kind.kind in _RECORDS:
        return RECORD
    if obj["metadata"].get("ownerReferences"):
        return OWNED
    if namespace_of(obj) in SYSTEM_NAMESPACES or _is_components(obj):
        return SYSTEM
    return ""


def _is_components(obj: Object) -> bool:
    """Whether nobody but components ever wrote the object. One with no fields to own says nothing of its maker."""
    managers = [entry.get("manager", "") for entry in obj["metadata"].get("managedFields") or ()
                if entry.get("subresource") != "status"]  # fmt: skip
    if not managers:
        return (obj.get("kind"), name_of(obj)) in _EVERYWHERE
    return all(manager.startswith(_COMPONENTS) for manager in managers)


def clean(kind: Kind, obj: Object) -> Object:
    """The object without status, without what the server set, and without defaults that nobody wrote."""
    written = _last_applied(obj)
    bare: Object = {**{key: value for key, value in obj.items() if key != "status"}, "metadata": _metadata(kind, obj)}
    for path in _ALLOTTED.get(kind.kind, ()):
        bare = _without(bare, path.split("."), written)
    rule = _RULES.get(kind.kind)
    bare = _no_nulls(rule(bare, obj, written) if rule is not None else bare)
    if kind.custom is not None or kind.remote:
        return bare
    shown: Object = _no_nulls(_without_defaults(kind, bare, written))
    return shown


def _last_applied(obj: Object) -> Object:
    try:
        written = json.loads(annotations_of(obj).get(LAST_APPLIED) or "{}")
    except ValueError:
        return {}
    return written if isinstance(written, dict) else {}


def _metadata(kind: Kind, obj: Object) -> Object:
    annotations = {key: value for key, value in annotations_of(obj).items() if not key.startswith(_SERVER_ANNOTATIONS)}
    labels = dict(labels_of(obj))
    if kind.kind == "Namespace" and labels.get("kubernetes.io/metadata.name") == name_of(obj):
        del labels["kubernetes.io/metadata.name"]
    if kind.kind == "Job":
        labels = {key: value for key, value in labels.items() if key not in _JOB_LABELS}
    finalizers = [each for each in obj["metadata"].get("finalizers") or ()
                  if each not in _SERVER_FINALIZERS and not each.startswith("kubernetes.io/")]  # fmt: skip
    parts = {"name": name_of(obj), "namespace": namespace_of(obj), "labels": labels, "annotations": annotations,
             "finalizers": finalizers}  # fmt: skip
    return {key: value for key, value in parts.items() if value}


def _without(value: Any, parts: list[str], written: Any) -> Any:
    """The value without the field at a path, unless the user wrote it; `x[]` goes through a list."""
    head, in_list = parts[0].removesuffix("[]"), parts[0].endswith("[]")
    if not isinstance(value, dict) or head not in value:
        return value
    theirs = written.get(head) if isinstance(written, dict) else None
    if len(parts) == 1:
        return value if theirs is not None else {key: entry for key, entry in value.items() if key != head}
    inner = value[head]
    if in_list and isinstance(inner, list):
        pairs = zip(inner, _partners(inner, theirs), strict=True)
        return {**value, head: [_without(item, parts[1:], partner) for item, partner in pairs]}
    return {**value, head: _without(inner, parts[1:], theirs)}


_KEYS = ("name", "containerPort", "port", "key", "mountPath", "ip", "topologyKey")


def _partners(items: list[Any], written: Any) -> list[Any]:
    """For each item what the user wrote of it: by its key, or else by its place."""
    theirs = written if isinstance(written, list) else []
    return [_partner(place, item, theirs) for place, item in enumerate(items)]


def _partner(place: int, item: Any, theirs: list[Any]) -> Any:
    if isinstance(item, dict):
        for key in _KEYS:
            if key in item:
                return next((one for one in theirs if isinstance(one, dict) and one.get(key) == item[key]), None)
    return theirs[place] if place < len(theirs) else None


def _no_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _no_nulls(entry) for key, entry in value.items() if entry is not None}
    return [_no_nulls(entry) for entry in value] if isinstance(value, list) else value


# defaults


def _without_defaults(kind: Kind, obj: Object, written: Object) -> Object:
    """The object without every part that the server would fill in again."""
    whole = apply_defaults(kind, obj)
    for path, theirs in list(_paths(obj, written, ())):
        if theirs is None and path[0] not in ("apiVersion", "kind", "metadata") and _has(obj, path):
            candidate = _cut(obj, path)
            if _makes(kind, candidate, whole):
                obj = candidate
    return obj


def _makes(kind: Kind, candidate: Object, whole: Object) -> bool:
    """Whether the server would make the whole of the candidate."""
    try:
        return apply_defaults(kind, candidate) == whole
    except (KeyError, TypeError):  # a default that is worked out from the very field that is cut
        return False


Path = tuple[str | int, ...]


def _paths(value: Any, written: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Every field, the outer before the inner, with what the user wrote of it."""
    if isinstance(value, dict):
        for key, entry in value.items():
            theirs = written.get(key) if isinstance(written, dict) else None
            yield (*path, key), theirs
            yield from _paths(entry, theirs, (*path, key))
    elif isinstance(value, list):
        for place, (entry, theirs) in enumerate(zip(value, _partners(value, written), strict=True)):
            yield from _paths(entry, theirs, (*path, place))


def _has(value: Any, path: Path) -> bool:
    for part in path:
        if isinstance(part, int) or (isinstance(value, dict) and part in value):
            value = value[part]
        else:
            return False
    return True


def _cut(value: Any, path: Path) -> Any:
    head, rest = path[0], path[1:]
    if isinstance(value, list):
        return [_cut(item, rest) if place == head else item for place, item in enumerate(value)]
    if not rest:
        return {key: entry for key, entry in value.items() if key != head}
    return {**value, head: _cut(value[head], rest)}


# kinds with a rule of their own: from what is left, the live object and what the user wrote

Rule = Callable[[Object, Object, Object], Object]


def _service(bare: Object, live: Object, written: Object) -> Object:
    if get_path(live, "spec.clusterIP") == "None":
        headless: Object = _without(bare, ["spec", "clusterIPs"], written)
        return headless
    for path in ("spec.clusterIP", "spec.clusterIPs"):
        bare = _without(bare, path.split("."), written)
    return bare


def _pod(bare: Object, live: Object, written: Object) -> Object:
    spec = dict(bare["spec"])
    if spec.get("serviceAccountName") == "default" and not get_path(written, "spec.serviceAccountName"):
        del spec["serviceAccountName"]
    volumes = [volume for volume in spec.get("volumes") or () if not volume["name"].startswith("kube-api-access-")]
    waits = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    tolerations = [each for each in spec.get("tolerations") or ()
                   if not (each.get("key") in waits and each.get("tolerationSeconds") == 300)]  # fmt: skip
    spec |= {"volumes": volumes or None, "tolerations": tolerations or None}
    for list_name in ("containers", "initContainers"):
        if list_name in spec:
            spec[list_name] = list(map(_without_token, spec[list_name]))
    return {**bare, "spec": spec}


def _without_token(container: Object) -> Object:
    mounts = container.get("volumeMounts") or ()
    kept = [mount for mount in mounts if not mount["name"].startswith("kube-api-access-")]
    return {**container, "volumeMounts": kept or None}


def _claim(bare: Object, live: Object, written: Object) -> Object:
    if "pv.kubernetes.io/bind-completed" not in annotations_of(live):
        return bare
    unbound: Object = _without(bare, ["spec", "volumeName"], written)
    return unbound


def _volume(bare: Object, live: Object, written: Object) -> Object:
    if "pv.kubernetes.io/bound-by-controller" in annotations_of(live):
        unbound: Object = _without(bare, ["spec", "claimRef"], written)
        return unbound
    reference = get_path(bare, "spec.claimRef")
    if not reference:
        return bare
    kept = {key: value for key, value in reference.items() if key not in ("uid", "resourceVersion")}
    return {**bare, "spec": {**bare["spec"], "claimRef": kept}}


def _job(bare: Object, live: Object, written: Object) -> Object:
    """A Job's selector and two of its labels are made from its uid."""
    spec = dict(bare["spec"])
    if spec.get("manualSelector"):
        return bare
    spec.pop("selector", None)
    template = spec["template"]
    labels = get_path(template, "metadata.labels") or {}
    kept = {key: value for key, value in labels.items() if key not in _JOB_LABELS}
    metadata = {**(template.get("metadata") or {}), "labels": kept or None}
    spec["template"] = {**template, "metadata": _no_nulls(metadata) or None}
    return {**bare, "spec": spec}


def _secret(bare: Object, live: Object, written: Object) -> Object:
    """A token's data is the server's."""
    return {**bare, "data": None} if bare.get("type") == "kubernetes.io/service-account-token" else bare


_RULES: Mapping[str, Rule] = {
    "Service": _service, "Pod": _pod, "PersistentVolumeClaim": _claim, "PersistentVolume": _volume, "Job": _job,
    "Secret": _secret,
}  # fmt: skip
