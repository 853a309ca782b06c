"""The admission plug-ins of storage: a class for claims that name none, and no end for what is in use.

Interface: `default_storage_class` (DefaultStorageClass), `storage_object_in_use_protection`
(StorageObjectInUseProtection), rows of `admission.PLUGINS`; `claim_resize` (PersistentVolumeClaimResize), a row of
`admission.VALIDATORS`.
The rule not to break: a claim that says `storageClassName: ""` wants no class and gets none.
Source: `plugin/pkg/admission/storage/{storageclass/setdefault,storageobjectinuseprotection,persistentvolume/resize}`,
the warnings from `pkg/api/persistentvolume{,claim}/util.go`.
"""

from __future__ import annotations

from collections.abc import Iterator

from k8snb.apimachinery.errors import forbidden
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, annotations_of, get_path, name_of, with_metadata, with_path
from k8snb.apimachinery.quantity import NANO, parse
from k8snb.apimachinery.storage import CLASS_ANNOTATION, class_of, default_class
from k8snb.apiserver.admission_plugin import Server, creates, find_object, objects, updates
from k8snb.client import Request

PROTECTION = {
    "persistentvolumes": "kubernetes.io/pv-protection",
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
}
RECYCLE = (
    "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach "
    "is to use dynamic provisioning."
)
OLD_CLASS = f'metadata.annotations[{CLASS_ANNOTATION}]: deprecated since v1.8; use "storageClassName" attribute instead'
FRACTION = 'spec.resources.requests[storage]: fractional byte value "%s" is invalid, must be an integer'
NOT_BOUND = "Only bound persistent volume claims can be expanded"
NOT_EXPANDABLE = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


def default_storage_class(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """A claim that says nothing of classes gets the default one, where there is one."""
    if not creates(request, "persistentvolumeclaims") or class_of(obj) is not None:
        return obj
    chosen = default_class(objects(server, "storageclasses"))
    return obj if chosen is None else with_path(obj, "spec.storageClassName", name_of(chosen))


def storage_object_in_use_protection(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """The finalizer that keeps volumes and claims until nothing uses them any more."""
    finalizer = PROTECTION.get(request.kind.builtin)
    if finalizer is None or not creates(request, request.kind.builtin):
        return obj
    request.warnings += _warnings(request.kind, obj)
    present = obj["metadata"].get("finalizers") or []
    return obj if finalizer in present else with_metadata(obj, finalizers=[*present, finalizer])


def _warnings(kind: Kind, obj: Object) -> Iterator[str]:
    size = parse(get_path(obj, "spec.resources.requests.storage", "0"))
    if size.nanos % NANO:
        yield FRACTION % size
    if get_path(obj, "spec.volumeAttributesClassName"):
        yield "spec.volumeAttributesClassName: not implemented by k8snb: it is kept, and nothing acts on it"
    if CLASS_ANNOTATION in annotations_of(obj):
        yield OLD_CLASS
    if kind.builtin == "persistentvolumes" and get_path(obj, "spec.persistentVolumeReclaimPolicy") == "Recycle":
        yield RECYCLE


def claim_resize(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """Only a bound claim whose class allows it may grow."""
    if old is None or not updates(request, "persistentvolumeclaims"):
        return obj
    sizes = (get_path(each, "spec.resources.requests.storage") for each in (obj, old))
    now, before = (parse(size or "0") for size in sizes)
    if now <= before:
        return obj
    if get_path(old, "status.phase") != "Bound":
        raise forbidden(request.kind, name_of(obj), NOT_BOUND)
    storage_class = find_object(server, "storageclasses", class_of(old) or "")
    if storage_class is None or not storage_class.get("allowVolumeExpansion"):
        raise forbidden(request.kind, name_of(obj), NOT_EXPANDABLE)
    return obj
