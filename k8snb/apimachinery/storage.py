"""What claims ask, what volumes offer, and which of them belong together.

Interface: pure functions on PersistentVolumes, PersistentVolumeClaims, StorageClasses and the pods that use them;
`best_match` finds the volume for a claim.
The rule not to break: controller and scheduler choose by the same function, or they would give one volume away twice.
Source: `component-helpers/storage/volume/{helpers,pv_helpers}.go`, `pkg/volume/util/storageclass.go`,
`component-helpers/storage/ephemeral` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    controller_of,
    get_path,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from k8snb.apimachinery.node_selector import matches_any
from k8snb.apimachinery.quantity import Quantity, parse
from k8snb.apimachinery.selectors import from_label_selector

CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
PROVISIONERS = ("volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner")
SELECTED_NODE = "volume.kubernetes.io/selected-node"
SHORT_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}

# The fields of a volume's spec that are not its source.
PLAIN_FIELDS = frozenset((
    "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy",
    "storageClassName", "volumeAttributesClassName", "volumeMode",
))  # fmt: skip


class Place(NamedTuple):
    """A node, as volumes see it."""

    name: str
    labels: Mapping[str, str]


# classes


def class_of(obj: Object) -> str | None:
    """The class that a volume or claim names: "" for none on purpose, None where it says nothing."""
    old_way = annotations_of(obj).get(CLASS_ANNOTATION)
    name: str | None = get_path(obj, "spec.storageClassName") if old_way is None else old_way
    return name


def is_default(storage_class: Object) -> bool:
    annotations = annotations_of(storage_class)
    return any(annotations.get(name) == "true" for name in DEFAULT_CLASS)


def default_class(classes: Iterable[Object]) -> Object | None:
    """The class for claims that say nothing: of several default ones the newest, of those the first by name."""
    found = sorted(filter(is_default, classes), key=name_of)
    return max(found, key=lambda each: str(each["metadata"].get("creationTimestamp", "")), default=None)


def waits_for_consumer(storage_class: Object | None) -> bool:
    """Whether a claim of this class is bound only when a pod that uses it has its node."""
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


# sizes and modes


def size_asked(claim: Object) -> Quantity:
    return parse(get_path(claim, "spec.resources.requests.storage", "0"))


def size_offered(volume: Object) -> Quantity:
    return parse(get_path(volume, "spec.capacity.storage", "0"))


def modes_of(obj: Object) -> list[str]:
    modes: list[str] = get_path(obj, "spec.accessModes") or []
    return modes


def short_modes(modes: Iterable[str]) -> str:
    """`RWO,ROX`: access modes as tables have them, in upstream's order."""
    given = set(modes)
    return ",".join(short for mode, short in SHORT_MODES.items() if mode in given)


def same_volume_mode(volume: Object, claim: Object) -> bool:
    offered, wanted = (get_path(each, "spec.volumeMode", "Filesystem") for each in (volume, claim))
    return bool(offered == wanted)


def source_of(volume: Object) -> Object:
    """A volume's source with its name: `{"hostPath": {…}}`; in a valid volume there is exactly one."""
    return {name: value for name, value in volume["spec"].items() if name not in PLAIN_FIELDS and value is not None}


# what belongs together


def claim_key(volume: Object) -> str:
    """`namespace/name` of the claim that a volume is meant for, "" for a free one."""
    reference = get_path(volume, "spec.claimRef")
    return f"{reference.get('namespace', '')}/{reference.get('name', '')}" if reference else ""


def reference_to(claim: Object) -> Object:
    """How a volume names its claim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": namespace_of(claim),
        "name": name_of(claim),
        "uid": uid_of(claim),
        "resourceVersion": claim["metadata"]["resourceVersion"],
    }


def is_bound_to(volume: Object, claim: Object) -> bool:
    """Whether a volume names this claim; one that was reserved by hand may leave the uid open."""
    if claim_key(volume) != f"{namespace_of(claim)}/{name_of(claim)}":
        return False
    return get_path(volume, "spec.claimRef.uid", "") in ("", uid_of(claim))


def is_fully_bound(claim: Object) -> bool:
    return bool(get_path(claim, "spec.volumeName")) and BIND_COMPLETED in annotations_of(claim)


def mismatch(volume: Object, claim: Object) -> str:
    """Why a claim cannot have the volume that it asks for by name; "" where it can."""
    if is_deleting(volume):
        return f'the volume is marked for deletion "{name_of(volume)}"'
    if size_offered(volume) < size_asked(claim):
        return "requested PV is too small"
    if (class_of(volume) or "") != (class_of(claim) or ""):
        return "storageClassName does not match"
    if not same_volume_mode(volume, claim):
        return "incompatible volumeMode"
    return "" if set(modes_of(claim)) <= set(modes_of(volume)) else "incompatible accessMode"


def best_match(
    claim: Object,
    volumes: Iterable[Object],
    *,
    place: Place | None = None,
    delayed: bool = False,
    excluded: Collection[str] = (),
) -> Object | None:
    """The volume for a claim: of those with the fewest access modes the smallest that is large enough.

    With `place` only volumes that can be reached from there. A `delayed` claim without a place gets only a volume
    that was reserved for it. A reserved volume that cannot be reached means that nothing matches.
    """
    fitting = [each for each in volumes if name_of(each) not in excluded and _could_be(each, claim)]
    for volume in fitting:
        if is_bound_to(volume, claim):
            return volume if place is None or reaches(volume, place) else None
    if place is None and delayed:
        return None
    free = [each for each in fitting if _is_free_for(each, claim) and (place is None or reaches(each, place))]
    return min(free, key=_preference, default=None)


def _preference(volume: Object) -> tuple[int, int, str]:
    return len(modes_of(volume)), size_offered(volume).nanos, name_of(volume)


def _could_be(volume: Object, claim: Object) -> bool:
    if get_path(volume, "spec.claimRef") and not is_bound_to(volume, claim):
        return False
    if is_deleting(volume) or not same_volume_mode(volume, claim) or size_offered(volume) < size_asked(claim):
        return False
    return set(modes_of(claim)) <= set(modes_of(volume))


def _is_free_for(volume: Object, claim: Object) -> bool:
    if get_path(volume, "status.phase") != "Available" or (class_of(volume) or "") != (class_of(claim) or ""):
        return False
    selector = get_path(claim, "spec.selector")
    return selector is None or from_label_selector(selector).matches(labels_of(volume))


# where a volume can be reached


def reaches(volume: Object, place: Place) -> bool:
    """Whether a volume's node affinity lets a node have it."""
    return matches_any(get_path(volume, "spec.nodeAffinity.required"), place.name, place.labels)


def allows(storage_class: Object, place: Place) -> bool:
    """Whether a class makes volumes that this node can reach (`allowedTopologies`)."""
    terms = storage_class.get("allowedTopologies")
    return not terms or any(
        all(place.labels.get(each["key"]) in each["values"] for each in term.get("matchLabelExpressions") or ())
        for term in terms
    )


# pods


def claim_of(pod: Object, volume: Object) -> str:
    """The name of the claim behind a pod's volume, "" for a volume of another sort."""
    if volume.get("ephemeral"):
        return f"{name_of(pod)}-{volume['name']}"
    name: str = get_path(volume, "persistentVolumeClaim.claimName", "")
    return name


def claims_of(pod: Object) -> Iterator[tuple[Object, str]]:
    """A pod's volumes that have claims, and the claims' names."""
    for volume in pod["spec"].get("volumes") or ():
        if name := claim_of(pod, volume):
            yield volume, name


def claim_keys(pod: Object) -> list[str]:
    """`namespace/name` of every claim that a pod uses; an index function."""
    if not pod["spec"].get("volumes"):
        return []
    return [f"{namespace_of(pod)}/{name}" for _, name in claims_of(pod)]


def stranger(pod: Object, claim: Object) -> str:
    """Why a claim is not that of the pod's ephemeral volume; "" where it is."""
    owner = controller_of(claim)
    if owner is not None and owner["uid"] == uid_of(pod):
        return ""
    where = namespace_of(claim)
    return f"PVC {where}/{name_of(claim)} was not created for pod {where}/{name_of(pod)} (pod is not owner)"
