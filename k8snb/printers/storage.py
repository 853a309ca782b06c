"""What `kubectl get` says of volumes, claims, classes, attachments and storage drivers.

Interface: one function for each kind, which fills the cells of its row.
The rule not to break: a claim's capacity is what it was given, shown once it has a volume, and not what it asks for.
Source: `printPersistentVolume`, `printPersistentVolumeClaim`, `printStorageClass` and their neighbours in
`pkg/printers/internalversion/printers.go` of the kubernetes repository.
"""

from __future__ import annotations

from typing import Any

from k8snb.apimachinery.meta import Object, get_path, is_deleting, name_of
from k8snb.apimachinery.quantity import canonical
from k8snb.apimachinery.storage import claim_key, class_of, is_default, short_modes
from k8snb.printers import duration

UNSET = "<unset>"


def volume(obj: Object, now: float) -> tuple[Any, ...]:
    spec = obj.get("spec") or {}
    return (
        name_of(obj),
        _storage(spec.get("capacity")),
        short_modes(spec.get("accessModes") or ()),
        spec.get("persistentVolumeReclaimPolicy", ""),
        phase(obj),
        claim_key(obj),
        class_of(obj) or "",
        spec.get("volumeAttributesClassName") or UNSET,
        get_path(obj, "status.reason", ""),
        _age(obj, now),
        spec.get("volumeMode") or UNSET,
    )


def claim(obj: Object, now: float) -> tuple[Any, ...]:
    spec, state = obj.get("spec") or {}, obj.get("status") or {}
    has_volume = bool(spec.get("volumeName"))
    return (
        name_of(obj),
        phase(obj),
        spec.get("volumeName", ""),
        _storage(state.get("capacity")) if has_volume else "",
        short_modes(state.get("accessModes") or ()) if has_volume else "",
        class_of(obj) or "",
        spec.get("volumeAttributesClassName") or UNSET,
        _age(obj, now),
        spec.get("volumeMode") or UNSET,
    )


def phase(obj: Object) -> str:
    """Bound, Available …; Terminating while something still keeps it from ending."""
    return "Terminating" if is_deleting(obj) else str(get_path(obj, "status.phase", ""))


def storage_class(obj: Object, now: float) -> tuple[Any, ...]:
    return (
        name_of(obj) + (" (default)" if is_default(obj) else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "Immediate",
        _word(obj.get("allowVolumeExpansion", False)),
        _age(obj, now),
    )


def attachment(obj: Object, now: float) -> tuple[Any, ...]:
    spec = obj.get("spec") or {}
    return (
        name_of(obj),
        spec.get("attacher", ""),
        get_path(spec, "source.persistentVolumeName", ""),
        spec.get("nodeName", ""),
        _word(get_path(obj, "status.attached", False)),
        _age(obj, now),
    )


def driver(obj: Object, now: float) -> tuple[Any, ...]:
    spec = obj.get("spec") or {}
    audiences = [entry.get("audience", "") for entry in spec.get("tokenRequests") or ()]
    return (
        name_of(obj),
        _word(spec.get("attachRequired", True)),
        _word(spec.get("podInfoOnMount", False)),
        _word(spec.get("storageCapacity", False)),
        ",".join(audiences) or UNSET,
        _word(spec.get("requiresRepublish", False)),
        ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>",
        _age(obj, now),
    )


def node_drivers(obj: Object, now: float) -> tuple[Any, ...]:
    return name_of(obj), len(get_path(obj, "spec.drivers") or ()), _age(obj, now)


def capacity(obj: Object, now: float) -> tuple[Any, ...]:
    return name_of(obj), obj.get("storageClassName", ""), canonical(obj["capacity"]) if "capacity" in obj else ""


def _storage(amounts: Object | None) -> str:
    """The storage of a resource list; 0 where it names none, as kubectl has it."""
    return canonical((amounts or {}).get("storage", "0"))


def _word(value: bool) -> str:
    return str(value).lower()


def _age(obj: Object, now: float) -> str:
    return duration.age(get_path(obj, "metadata.creationTimestamp"), now)
