"""kubelet's way from a claim to the volume behind it.

Interface: `claim_name(pod, volume)`, `resolve(pod, volume, world) -> Resolved`.
The rule not to break: a pod gets a claim's volume only while claim and volume are bound to each other.
Source: `getPVCExtractPV` and `createVolumeSpec` in pkg/kubelet/volumemanager/populator.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, controller_of, get_path, is_deleting, name_of, namespace_of, uid_of
from k8snb.apimachinery.storage import PLAIN_FIELDS
from k8snb.kubelet.volume_plugin import World


class ClaimError(Exception):
    """A claim that the pod has to wait for. The text begins with `error processing PVC`."""


@dataclass(frozen=True)
class Resolved:
    """What a volume really is: the plug-in's name, the source, and the name that messages use."""

    sort: str
    source: Object
    shown: str
    read_only: bool = False


def claim_name(pod: Object, volume: Object) -> str:
    """The claim that a volume of a pod stands for, "" for none. A generic ephemeral volume's is named after both."""
    if "ephemeral" in volume:
        return f"{name_of(pod)}-{volume['name']}"
    return str(get_path(volume, "persistentVolumeClaim.claimName", ""))


def resolve(pod: Object, volume: Object, world: World) -> Resolved:
    """Raises ClaimError."""
    name = claim_name(pod, volume)
    if not name:
        return Resolved(*_source(volume, {"name"}), volume["name"])
    try:
        claim = world.find_object("persistentvolumeclaims", name, namespace_of(pod))
        persistent = _bound_volume(pod, volume, claim, name, world)
    except ApiError as error:
        raise _error(pod, name, f"failed to fetch PVC from API server: {error.message}") from None
    sort, source = _source(persistent["spec"], PLAIN_FIELDS)
    mode = get_path(persistent, "spec.accessModes") or ()
    read_only = bool(get_path(volume, "persistentVolumeClaim.readOnly")) or list(mode) == ["ReadOnlyMany"]
    return Resolved(sort, source, name_of(persistent), read_only)


def _bound_volume(pod: Object, volume: Object, claim: Object | None, name: str, world: World) -> Object:
    if claim is None:
        text = f'failed to fetch PVC from API server: persistentvolumeclaims "{name}" not found'
        raise _error(pod, name, text)
    if is_deleting(claim):
        raise _error(pod, name, "can't start pod because PVC is being deleted")
    if "ephemeral" in volume and get_path(controller_of(claim) or {}, "uid") != uid_of(pod):
        text = f"PVC {namespace_of(pod)}/{name} was not created for pod {namespace_of(pod)}/{name_of(pod)}"
        raise _error(pod, name, f"{text} (pod is not owner)")
    bound = get_path(claim, "spec.volumeName", "")
    if get_path(claim, "status.phase") != "Bound" or not bound:
        raise _error(pod, name, "PVC is not bound")
    persistent = world.find_object("persistentvolumes", bound, "")
    if persistent is None:
        raise _error(pod, name, f'failed to fetch PV {bound} from API server: persistentvolumes "{bound}" not found')
    if get_path(persistent, "spec.claimRef.uid") != uid_of(claim):
        raise _error(pod, name, f"PV {bound} is not bound to PVC {namespace_of(pod)}/{name}")
    if get_path(persistent, "spec.volumeMode") == "Block":
        raise _error(pod, name, "volumeMode Block: not implemented by k8snb")
    return persistent


def _error(pod: Object, name: str, why: str) -> ClaimError:
    return ClaimError(f"error processing PVC {namespace_of(pod)}/{name}: {why}")


def _source(spec: Object, others: Collection[str]) -> tuple[str, Object]:
    """The one field that is not among the others, and what it says. A driver's volume is its driver's sort."""
    sort = next((field for field in spec if field not in others), "emptyDir")
    source = spec.get(sort) or {}
    return (f"csi/{source.get('driver', '')}" if sort == "csi" else sort), source
