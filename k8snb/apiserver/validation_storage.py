"""kube-apiserver's validation of storage: volumes, claims, classes, and what drivers say of themselves.

Interface: `volume`, `claim`, `storage_class`, `attachment`, `driver`, `node_drivers`, `capacity` and the `*_change`
rules, rows of `validation.RULES` and `validation.CHANGES`; `claim_spec` and `pod_claims` for what carries claims.
The rule not to break: a claim asks and a volume offers; once bound, only the size asked for may still grow.
Source: `pkg/apis/core/validation/validation.go` (ValidatePersistentVolume, ValidatePersistentVolumeClaim and their
updates) and `pkg/apis/storage/validation/validation.go`. Upstream prints a diff after "is immutable after creation";
here the names of the changed fields follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from k8snb.apimachinery import names, quantity
from k8snb.apimachinery.errors import DUPLICATE, FORBIDDEN, INVALID, NOT_SUPPORTED, REQUIRED, TOO_LONG, FieldError
from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.storage import source_of

Errors = Iterator[FieldError]

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
SINGLE_POD = "ReadWriteOncePod"
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
VOLUME_MODES = ("Block", "Filesystem")
HOST_PATH_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
LIFECYCLE_MODES = ("Ephemeral", "Persistent")
FS_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
LONGEST_DRIVER, MOST_PARAMETERS = 63, 512
IMMUTABLE = "field is immutable"
CLAIM_FIXED = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


# PersistentVolume


def volume(obj: Object) -> Errors:
    spec = obj["spec"]
    yield from _access_modes(spec.get("accessModes"), "spec.accessModes", "")
    yield from _capacity(spec.get("capacity"), "spec.capacity")
    yield from _one_of(spec, "spec", "persistentVolumeReclaimPolicy", RECLAIM_POLICIES)
    yield from _one_of(spec, "spec", "volumeMode", VOLUME_MODES)
    affinity = spec.get("nodeAffinity")
    if affinity is not None and not affinity.get("required"):
        yield FieldError("spec.nodeAffinity.required", REQUIRED, None, "must specify required node constraints")
    yield from _sources(obj)
    if spec.get("storageClassName"):
        yield from _named("spec.storageClassName", spec["storageClassName"])
    recycles = spec.get("persistentVolumeReclaimPolicy") == "Recycle"
    if recycles and get_path(spec, "hostPath.path", "").rstrip("/") == "" and "hostPath" in spec:
        why = "may not be 'recycle' for a hostPath mount of '/'"
        yield FieldError("spec.persistentVolumeReclaimPolicy", FORBIDDEN, None, why)


def _sources(obj: Object) -> Errors:
    sources = source_of(obj)
    if not sources:
        yield FieldError("spec", REQUIRED, None, "must specify a volume type")
    for extra in list(sources)[1:]:
        yield FieldError(f"spec.{extra}", FORBIDDEN, None, "may not specify more than 1 volume type")
    for name, source in sources.items():
        for field in _NEEDED.get(name, ()):
            if not source.get(field):
                yield FieldError(f"spec.{name}.{field}", REQUIRED)
        check = _SOURCES.get(name)
        if check is not None:
            yield from check(source, obj)


_NEEDED = {
    "hostPath": ("path",), "local": ("path",), "nfs": ("server", "path"), "csi": ("driver", "volumeHandle"),
    "iscsi": ("targetPortal", "iqn"), "cephfs": ("monitors",), "rbd": ("monitors", "image"),
}  # fmt: skip


def _host_path(source: Object, obj: Object) -> Errors:
    yield from _no_way_up("spec.hostPath.path", source.get("path", ""))
    if source.get("type") not in (None, *HOST_PATH_TYPES):
        yield FieldError("spec.hostPath.type", NOT_SUPPORTED, source["type"], _supported(HOST_PATH_TYPES))


def _local(source: Object, obj: Object) -> Errors:
    yield from _no_way_up("spec.local.path", source.get("path", ""))
    if not get_path(obj, "spec.nodeAffinity"):
        yield FieldError("spec.nodeAffinity", REQUIRED, None, "Local volume requires node affinity")


def _nfs(source: Object, obj: Object) -> Errors:
    path = source.get("path", "")
    if path and not path.startswith("/"):
        yield FieldError("spec.nfs.path", INVALID, path, "must be an absolute path")


def _csi(source: Object, obj: Object) -> Errors:
    if source.get("driver"):
        yield from driver_name(source["driver"], "spec.csi.driver")


_SOURCES: dict[str, Callable[[Object, Object], Errors]] = {
    "hostPath": _host_path, "local": _local, "nfs": _nfs, "csi": _csi,
}  # fmt: skip


def _no_way_up(path: str, value: str) -> Errors:
    if ".." in value.split("/"):
        yield FieldError(path, INVALID, value, "must not contain '..'")


def volume_change(obj: Object, old: Object) -> Errors:
    """A volume stays what it is and where it is; who has it, how large it is and what becomes of it may change."""
    before, now = source_of(old), source_of(obj)
    if before != now:
        why = f"spec.persistentvolumesource is immutable after creation: changed: {', '.join(sorted({*before, *now}))}"
        yield FieldError("spec.persistentvolumesource", FORBIDDEN, None, why)
    if obj["spec"].get("volumeMode") != old["spec"].get("volumeMode"):
        yield FieldError("spec.volumeMode", INVALID, obj["spec"].get("volumeMode"), IMMUTABLE)
    affinity = old["spec"].get("nodeAffinity")
    if affinity is not None and obj["spec"].get("nodeAffinity") != affinity:
        why = f"{IMMUTABLE}, except for updating from beta label to GA"
        yield FieldError("spec.nodeAffinity", INVALID, obj["spec"].get("nodeAffinity"), why)


# PersistentVolumeClaim


def claim(obj: Object) -> Errors:
    yield from claim_spec(obj["spec"], "spec")


def claim_spec(spec: Object, path: str) -> Errors:
    """What is wrong with a claim, or with the template of one."""
    yield from _access_modes(spec.get("accessModes"), f"{path}.accessModes", "at least 1 access mode is required")
    size = get_path(spec, "resources.requests.storage")
    if size is None:
        yield FieldError(f"{path}.resources[storage]", REQUIRED)
    elif quantity.parse(size).nanos <= 0:
        yield FieldError(f"{path}.resources[storage]", INVALID, size, "must be greater than zero")
    if spec.get("storageClassName"):
        yield from _named(f"{path}.storageClassName", spec["storageClassName"])
    yield from _one_of(spec, path, "volumeMode", VOLUME_MODES)


def claim_change(obj: Object, old: Object) -> Errors:
    """A claim's spec is fixed, but for its volume and class while they are unknown, and the size of a bound one."""
    if _settled(obj["spec"], old) != _settled(old["spec"], old):
        yield FieldError("spec", FORBIDDEN, None, f"{CLAIM_FIXED}: changed: {', '.join(_changed(obj['spec'], old))}")
    path = "resources.requests.storage"
    now, before = (quantity.parse(get_path(each["spec"], path, "0")) for each in (obj, old))
    if now < before and now <= quantity.parse(get_path(old, "status.capacity.storage", "0")):
        yield FieldError(f"spec.{path}", FORBIDDEN, None, "field can not be less than status.capacity")


def _settled(spec: Object, old: Object) -> Object:
    """The part of a claim's spec that may not change any more."""
    before = old["spec"]
    kept = {key: value for key, value in spec.items() if key != "volumeName" or before.get("volumeName")}
    if "storageClassName" not in before:
        kept.pop("storageClassName", None)
    if get_path(old, "status.phase") == "Bound":
        kept.pop("volumeAttributesClassName", None)
        resources = kept.get("resources") or {}
        requests = {key: value for key, value in (resources.get("requests") or {}).items() if key != "storage"}
        kept["resources"] = {**resources, "requests": requests}
    return kept


def _changed(spec: Object, old: Object) -> list[str]:
    now, before = _settled(spec, old), _settled(old["spec"], old)
    return sorted(f"spec.{key}" for key in now.keys() | before.keys() if now.get(key) != before.get(key))


def pod_claims(volumes: Sequence[Object], path: str) -> Errors:
    """What is wrong with the claims that a pod names, or carries the templates of."""
    for index, entry in enumerate(volumes):
        place = f"{path}[{index}]"
        if "persistentVolumeClaim" in entry and not entry["persistentVolumeClaim"].get("claimName"):
            yield FieldError(f"{place}.persistentVolumeClaim.claimName", REQUIRED)
        if "ephemeral" in entry:
            template = entry["ephemeral"].get("volumeClaimTemplate")
            if template is None:
                yield FieldError(f"{place}.ephemeral.volumeClaimTemplate", REQUIRED)
            else:
                yield from claim_spec(template["spec"], f"{place}.ephemeral.volumeClaimTemplate.spec")


# what both have


def _access_modes(modes: Sequence[str] | None, path: str, needed: str) -> Errors:
    if not modes:
        yield FieldError(path, REQUIRED, None, needed)
    for mode in modes or ():
        if mode not in ACCESS_MODES:
            yield FieldError(path, NOT_SUPPORTED, mode, _supported(ACCESS_MODES))
    if modes and SINGLE_POD in modes and len(modes) > 1:
        yield FieldError(path, FORBIDDEN, None, f"may not use {SINGLE_POD} with other access modes")


def _capacity(capacity: Object | None, path: str) -> Errors:
    if not capacity:
        yield FieldError(path, REQUIRED)
    elif "storage" not in capacity or len(capacity) > 1:
        yield FieldError(path, NOT_SUPPORTED, capacity, _supported(("storage",)))
    for name, amount in (capacity or {}).items():
        if quantity.parse(amount).nanos <= 0:
            yield FieldError(f"{path}[{name}]", INVALID, amount, "must be greater than zero")


# storage.k8s.io


def storage_class(obj: Object) -> Errors:
    provisioner = obj.get("provisioner", "")
    if not provisioner:
        yield FieldError("provisioner", REQUIRED, provisioner)
    for complaint in names.qualified_name(provisioner.lower()) if provisioner else ():
        yield FieldError("provisioner", INVALID, provisioner, complaint)
    parameters = obj.get("parameters") or {}
    if len(parameters) > MOST_PARAMETERS:
        yield FieldError("parameters", TOO_LONG, None, f"may not be more than {MOST_PARAMETERS} items")
    if "" in parameters:
        yield FieldError("parameters", INVALID, "", "field can not be empty.")
    yield from _one_of(obj, "", "reclaimPolicy", ("Delete", "Retain"))
    yield from _one_of(obj, "", "volumeBindingMode", BINDING_MODES)


def storage_class_change(obj: Object, old: Object) -> Errors:
    """How a class makes volumes is fixed: those made before could not be told from those made after."""
    for field in ("parameters", "provisioner", "reclaimPolicy"):
        if (obj.get(field) or None) != (old.get(field) or None):
            yield FieldError(field, FORBIDDEN, None, f"updates to {field} are forbidden.")
    if obj.get("volumeBindingMode") != old.get("volumeBindingMode"):
        yield FieldError("volumeBindingMode", INVALID, obj.get("volumeBindingMode"), IMMUTABLE)


def attachment(obj: Object) -> Errors:
    spec = obj["spec"]
    if not spec.get("attacher"):
        yield FieldError("spec.attacher", REQUIRED)
    else:
        yield from driver_name(spec["attacher"], "spec.attacher")
    if not spec.get("nodeName"):
        yield FieldError("spec.nodeName", REQUIRED)
    if len({name for name, value in (spec.get("source") or {}).items() if value}) != 1:
        why = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        yield FieldError("spec.source", REQUIRED, None, why)


def attachment_change(obj: Object, old: Object) -> Errors:
    if obj["spec"] != old["spec"]:
        yield FieldError("spec", INVALID, obj["spec"], IMMUTABLE)


def driver(obj: Object) -> Errors:
    yield from driver_name(obj["metadata"]["name"], "metadata.name")
    spec = obj["spec"]
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in LIFECYCLE_MODES:
            yield FieldError("spec.volumeLifecycleModes", NOT_SUPPORTED, mode, _supported(LIFECYCLE_MODES))
    yield from _one_of(spec, "spec", "fsGroupPolicy", FS_GROUP_POLICIES)


def driver_change(obj: Object, old: Object) -> Errors:
    for field in ("attachRequired", "volumeLifecycleModes"):
        if obj["spec"].get(field) != old["spec"].get(field):
            yield FieldError(f"spec.{field}", INVALID, obj["spec"].get(field), IMMUTABLE)


def node_drivers(obj: Object) -> Errors:
    seen: set[str] = set()
    for index, entry in enumerate(get_path(obj, "spec.drivers") or ()):
        path = f"spec.drivers[{index}]"
        yield from driver_name(entry["name"], f"{path}.name")
        if entry["name"] in seen:
            yield FieldError(f"{path}.name", DUPLICATE, entry["name"])
        seen.add(entry["name"])
        if not entry.get("nodeID"):
            yield FieldError(f"{path}.nodeID", REQUIRED)
        count = get_path(entry, "allocatable.count")
        if count is not None and count < 0:
            yield FieldError(f"{path}.allocatable.count", INVALID, count, "must be greater than or equal to 0")


def node_drivers_change(obj: Object, old: Object) -> Errors:
    """A driver may come and go; while it is there, a node does not change what it said of it."""
    before = {entry["name"]: entry for entry in get_path(old, "spec.drivers") or ()}
    for index, entry in enumerate(get_path(obj, "spec.drivers") or ()):
        if before.get(entry["name"], entry) != entry:
            yield FieldError(f"spec.drivers[{index}]", INVALID, entry["name"], IMMUTABLE)


def capacity(obj: Object) -> Errors:
    name = obj.get("storageClassName", "")
    if not name:
        yield FieldError("storageClassName", INVALID, name, "must not be empty")
    else:
        yield from _named("storageClassName", name)
    for field in ("capacity", "maximumVolumeSize"):
        if field in obj and quantity.parse(obj[field]).nanos < 0:
            yield FieldError(field, INVALID, obj[field], "must be greater than or equal to 0")


def driver_name(name: str, path: str) -> Errors:
    if len(name) > LONGEST_DRIVER:
        yield FieldError(path, TOO_LONG, None, f"may not be more than {LONGEST_DRIVER} bytes")
    for complaint in names.dns_subdomain(name.lower()):
        yield FieldError(path, INVALID, name, complaint)


def _named(path: str, name: str) -> Errors:
    for complaint in names.dns_subdomain(name):
        yield FieldError(path, INVALID, name, complaint)


def _one_of(obj: Object, path: str, field: str, allowed: tuple[str, ...]) -> Errors:
    value = obj.get(field)
    if value is not None and value not in allowed:
        yield FieldError(f"{path}.{field}" if path else field, NOT_SUPPORTED, value, _supported(allowed))


def _supported(allowed: tuple[str, ...]) -> str:
    return "supported values: " + ", ".join(f'"{value}"' for value in allowed)
