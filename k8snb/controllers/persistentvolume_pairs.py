"""Volumes and claims as a pair: what each looks like when it points at the other.

Interface: pure functions; each answers the object itself where nothing has to change.
The rule not to break: `bound-by-controller` marks the pointers that the controller set and may take back; a pointer
that a user wrote stays.
Source: `GetBindVolumeToClaim`, `bindClaimToVolume`, `unbindVolume` and `updateClaimStatus` in
`pkg/controller/volume/persistentvolume`.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, annotations_of, get_path, name_of, uid_of, with_metadata
from k8snb.apimachinery.storage import BIND_COMPLETED, BOUND_BY_CONTROLLER, PROVISIONERS, is_bound_to, reference_to


def paired_volume(volume: Object, claim: Object) -> Object:
    """The volume with the claim's name and uid on it."""
    if get_path(volume, "spec.claimRef.uid") == uid_of(claim):
        return volume
    if not is_bound_to(volume, claim):
        volume = _annotated(volume, BOUND_BY_CONTROLLER)
    return {**volume, "spec": {**volume["spec"], "claimRef": reference_to(claim)}}


def paired_claim(claim: Object, volume: Object) -> Object:
    """The claim with the volume's name on it, and marked as complete."""
    if get_path(claim, "spec.volumeName") != name_of(volume):
        claim = _annotated(claim, BOUND_BY_CONTROLLER)
        claim = {**claim, "spec": {**claim["spec"], "volumeName": name_of(volume)}}
    return _annotated(claim, BIND_COMPLETED)


def parted_volume(volume: Object) -> Object:
    """The volume without the claim; one that a user has reserved stays reserved for the claim's name."""
    annotations = annotations_of(volume)
    if BOUND_BY_CONTROLLER not in annotations:
        reference = {key: value for key, value in volume["spec"]["claimRef"].items() if key != "uid"}
        return {**volume, "spec": {**volume["spec"], "claimRef": reference}}
    kept = {key: value for key, value in annotations.items() if key != BOUND_BY_CONTROLLER}
    spec = {key: value for key, value in volume["spec"].items() if key != "claimRef"}
    return with_metadata({**volume, "spec": spec}, annotations=kept or None)


def claim_status(claim: Object, phase: str, volume: Object | None) -> Object:
    """A claim's status in a phase. Its capacity is taken from the volume when it becomes bound, not afterwards: then
    it may differ because a file system has yet to grow."""
    old = claim.get("status") or {}
    kept = {key: value for key, value in old.items() if key not in ("phase", "accessModes", "capacity")}
    if volume is None:
        return {**kept, "phase": phase}
    bound_before = old.get("phase") == phase and "capacity" in old
    capacity = old["capacity"] if bound_before else volume["spec"]["capacity"]
    return {**kept, "phase": phase, "accessModes": volume["spec"]["accessModes"], "capacity": capacity}


def with_provisioner(claim: Object, provisioner: str) -> Object:
    """The claim with the name of who is to make its volume."""
    if annotations_of(claim).get(PROVISIONERS[0]) == annotations_of(claim).get(PROVISIONERS[1]) == provisioner:
        return claim
    return with_metadata(claim, annotations={**annotations_of(claim), **dict.fromkeys(PROVISIONERS, provisioner)})


def _annotated(obj: Object, mark: str) -> Object:
    annotations = annotations_of(obj)
    return obj if mark in annotations else with_metadata(obj, annotations={**annotations, mark: "yes"})
