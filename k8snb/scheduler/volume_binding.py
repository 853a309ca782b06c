"""VolumeBinding: a pod goes where its volumes are, and volumes that wait for their first consumer go where the pod is.

Interface: the plug-in.
The rule not to break: a claim is bound for a node only when the pod has been given that node; the pod is bound only
when all its claims are.
Source: `pkg/scheduler/framework/plugins/volumebinding/{volume_binding,binder}.go` in the kubernetes repository. Of the
capacity that drivers publish (CSIStorageCapacity) upstream can also make a score; that is off by default, there too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    get_path,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    with_metadata,
)
from k8snb.apimachinery.quantity import parse
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.apimachinery.storage import (
    BOUND_BY_CONTROLLER,
    SELECTED_NODE,
    Place,
    allows,
    best_match,
    claim_keys,
    claims_of,
    class_of,
    is_fully_bound,
    reaches,
    reference_to,
    size_asked,
    stranger,
    waits_for_consumer,
)
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import (
    CLAIM_CHANGED,
    CLASS_CHANGED,
    CSI_CHANGED,
    NODE_ADDED,
    NODE_LABELS,
    POD_GONE,
    VOLUME_CHANGED,
    Cycle,
    Handle,
    Plugin,
    Reason,
    Rejected,
)

BIND_TIMEOUT = 600.0  # seconds; upstream's default of bindTimeoutSeconds
CLAIM, CLASS = "claim", "class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
RESOURCES = ("persistentvolumeclaims", "persistentvolumes", "storageclasses")

UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
NODE_CONFLICT = "node(s) had volume node affinity conflict"
BIND_CONFLICT = "node(s) didn't find available persistent volumes to bind"
NO_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
NO_SPACE = "node(s) did not have enough free storage"


class Plan(NamedTuple):
    """What has to be bound or made for a pod on one node."""

    pairs: list[tuple[Object, Object]]  # claim, volume
    provisions: list[Object]  # claims


class VolumeBinding(Plugin):
    name = "VolumeBinding"
    resolvable = False
    wakes_on = frozenset((NODE_ADDED, NODE_LABELS, CLAIM_CHANGED, VOLUME_CHANGED, CLASS_CHANGED, CSI_CHANGED, POD_GONE))

    def connect(self, handle: Handle) -> None:
        self._handle = handle
        informers = handle.informers
        self.claims, self.volumes, self.classes = (informers.get(resource) for resource in RESOURCES)
        self.drivers = informers.get("csidrivers")
        self.capacities = informers.get("csistoragecapacities")
        self.capacities.add_index(CLASS, lambda each: [each.get("storageClassName", "")])
        self.volumes.add_index(CLASS, lambda volume: [class_of(volume) or ""])
        self.pods = informers.get("pods")
        self.pods.add_index(CLAIM, claim_keys, steady=True)
        self.claims.on_change(self._claim_changed)
        self.volumes.on_change(self._volume_changed)
        self.classes.on_change(lambda old, new: self._changed(CLASS_CHANGED, old, new))
        self.drivers.on_change(lambda old, new: self._changed(CSI_CHANGED, old, new))
        self.capacities.on_change(lambda old, new: self._changed(CSI_CHANGED, old, new))
        self._deadlines: dict[str, float] = {}  # pods that wait in PreBind

    # what gives a pod another chance

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        """Only the pods that use a claim have anything to hope for from it."""
        claim = new or old
        assert claim is not None
        keys = [key_of(pod) for pod in self.pods.by_index(CLAIM, key_of(claim))]
        self._handle.happened(CLAIM_CHANGED, keys)
        for key in keys:
            self._handle.resume(key)

    def _volume_changed(self, old: Object | None, new: Object | None) -> None:
        """A volume that is merely written to changes nothing for anybody."""
        if new is not None and (old is None or _offer(old) != _offer(new)):
            self._handle.happened(VOLUME_CHANGED)

    def _changed(self, event: str, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self._handle.happened(event)

    # the pod

    def concerns(self, pod: Object) -> bool:
        return bool(claim_keys(pod))

    def pre_filter(self, cycle: Cycle) -> Reason:
        for informer in (self.claims, self.volumes, self.classes):
            informer.catch_up()
        for volume, name in claims_of(cycle.pod):
            if why := self._why_not(cycle.pod, volume, name):
                return why
        immediate = [claim for claim in self._claims(cycle.pod) if not is_fully_bound(claim) and not self._waits(claim)]
        return UNBOUND if immediate else None

    def _why_not(self, pod: Object, volume: Object, name: str) -> str:
        """Why the pod cannot have a claim, wherever it runs."""
        claim = self.claims.get(name, namespace_of(pod))
        if claim is None and volume.get("ephemeral"):
            return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
        if claim is None:
            return f'persistentvolumeclaim "{name}" not found'
        if get_path(claim, "status.phase") == "Lost":
            lost = get_path(claim, "spec.volumeName", "")
            return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{lost}"'
        if is_deleting(claim):
            return f'persistentvolumeclaim "{name}" is being deleted'
        return stranger(pod, claim) if volume.get("ephemeral") else ""

    def _claims(self, pod: Object) -> list[Object]:
        """The pod's claims; one that is not there is left out."""
        found = (self.claims.by_key(key) for key in claim_keys(pod))
        return [claim for claim in found if claim is not None]

    def _waits(self, claim: Object) -> bool:
        """Whether a claim without a volume is bound by the scheduler; one that names its volume is not."""
        return not get_path(claim, "spec.volumeName") and waits_for_consumer(self.classes.get(class_of(claim) or ""))

    # the node

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        place = Place(node.name, node.labels)
        claims = self._claims(pod)
        bound = [claim for claim in claims if is_fully_bound(claim)]
        reasons = [*self._out_of_reach(bound, place)]
        if not reasons and len(bound) < len(claims):
            _, reasons = self._plan([claim for claim in claims if not is_fully_bound(claim)], place)
        return tuple(dict.fromkeys(reasons)) or None

    def _out_of_reach(self, claims: list[Object], place: Place) -> Iterator[str]:
        for claim in claims:
            volume = self.volumes.get(claim["spec"]["volumeName"])
            if volume is None:
                yield NO_VOLUME
            elif not reaches(volume, place):
                yield NODE_CONFLICT

    def _plan(self, claims: list[Object], place: Place) -> tuple[Plan, list[str]]:
        """How the claims are met on a node, or why they cannot be. The smallest claims choose first."""
        plan = Plan([], [])
        taken: set[str] = set()
        for claim in sorted(claims, key=size_asked):
            selected = annotations_of(claim).get(SELECTED_NODE)
            if selected not in (None, place.name):
                return plan, [BIND_CONFLICT]
            volume = best_match(claim, self._offers(claim), place=place, excluded=taken) if selected is None else None
            if volume is not None:
                taken.add(name_of(volume))
                plan.pairs.append((claim, volume))
                continue
            why = self._why_not_made(claim, place)
            if why:
                return plan, [why]
            plan.provisions.append(claim)
        return plan, []

    def _offers(self, claim: Object) -> list[Object]:
        return list(self.volumes.by_index(CLASS, class_of(claim) or ""))

    def _why_not_made(self, claim: Object, place: Place) -> str:
        """Why no volume can be made for a claim so that this node reaches it."""
        storage_class = self.classes.get(class_of(claim) or "")
        if storage_class is None or storage_class["provisioner"] in ("", NO_PROVISIONER):
            return BIND_CONFLICT
        if not allows(storage_class, place):
            return BIND_CONFLICT
        driver = self.drivers.get(storage_class["provisioner"])
        if get_path(driver, "spec.storageCapacity") and not self._has_room(claim, storage_class, place):
            return NO_SPACE
        return ""

    def _has_room(self, claim: Object, storage_class: Object, place: Place) -> bool:
        """Whether the driver has published that it can make such a volume for the node."""
        for each in self.capacities.by_index(CLASS, name_of(storage_class)):
            limit = each.get("maximumVolumeSize") or each.get("capacity")
            if limit is None or parse(limit) < size_asked(claim) or "nodeTopology" not in each:
                continue
            if from_label_selector(each["nodeTopology"]).matches(place.labels):
                return True
        return False

    # binding

    def pre_bind(self, pod: Object, node: NodeInfo) -> bool:
        """Bind and order what is not bound yet, then wait for the controller to complete the pairs."""
        for informer in (self.claims, self.volumes, self.classes):
            informer.catch_up()
        unbound = [claim for claim in self._claims(pod) if not is_fully_bound(claim)]
        if len(self._claims(pod)) < len(claim_keys(pod)):
            raise Rejected("binding volumes: a PersistentVolumeClaim of the pod has been deleted")
        if not unbound:
            self._deadlines.pop(key_of(pod), None)
            return True
        if key_of(pod) not in self._deadlines:
            self._order(pod, unbound, Place(node.name, node.labels))
        elif self._handle.clock.monotonic() >= self._deadlines[key_of(pod)]:
            raise Rejected("binding volumes: context deadline exceeded")
        else:
            self._check(unbound, node.name)
        return False

    def _order(self, pod: Object, claims: list[Object], place: Place) -> None:
        plan, reasons = self._plan(claims, place)
        if reasons:
            raise Rejected(f"binding volumes: {', '.join(reasons)}")
        key = key_of(pod)
        self._deadlines[key] = self._handle.clock.monotonic() + BIND_TIMEOUT
        self._handle.clock.after(BIND_TIMEOUT, lambda: self._handle.resume(key), background=True, label=self.name)
        for claim, volume in plan.pairs:
            self._handle.client.update("persistentvolumes", _reserved(volume, claim))
        for claim in plan.provisions:
            annotations = {**annotations_of(claim), SELECTED_NODE: place.name}
            if annotations != annotations_of(claim):
                self._handle.client.update("persistentvolumeclaims", with_metadata(claim, annotations=annotations))

    def _check(self, claims: list[Object], node: str) -> None:
        """A claim whose node was taken back (by a provisioner that cannot) sends its pod back, too."""
        for claim in claims:
            reserved = any(
                get_path(volume, "spec.claimRef.uid") == claim["metadata"]["uid"] for volume in self._offers(claim)
            )
            if not reserved and annotations_of(claim).get(SELECTED_NODE) != node:
                raise Rejected(f'binding volumes: selectedNode annotation reset for PVC "{name_of(claim)}"')

    def unreserve(self, pod: Object, node: str) -> None:
        self._deadlines.pop(key_of(pod), None)


def _offer(volume: Object) -> tuple[object, ...]:
    """All of a volume that pods look at."""
    return volume["spec"], volume["metadata"].get("labels"), get_path(volume, "status.phase")


def _reserved(volume: Object, claim: Object) -> Object:
    """The volume with the claim's name on it: the controller does the rest."""
    marked = with_metadata(volume, annotations={**annotations_of(volume), BOUND_BY_CONTROLLER: "yes"})
    return {**marked, "spec": {**marked["spec"], "claimRef": reference_to(claim)}}
