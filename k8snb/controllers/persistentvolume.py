"""persistentvolume-binder-controller: brings claims and volumes together, and takes volumes back.

Interface: `PersistentVolumeController`; a key `namespace/name` is a claim, a key `name` a volume.
The rule not to break: a volume and its claim point at each other; who finds only one of the two pointers completes the
pair or takes the pointer back, and never gives a volume with somebody's data to somebody else.
Source: `pkg/controller/volume/persistentvolume/pv_controller.go` in the kubernetes repository. Upstream looks at
everything again every 15 seconds and repeats what it said; here a claim is looked at when something changes that
matters to it. Recycling is not implemented by k8snb, and says so.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    get_path,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    revision_of,
    split_key,
    uid_of,
    with_path,
)
from k8snb.apimachinery.storage import (
    BIND_COMPLETED,
    PROVISIONED_BY,
    SELECTED_NODE,
    best_match,
    claim_key,
    claim_keys,
    class_of,
    default_class,
    is_bound_to,
    is_fully_bound,
    mismatch,
    same_volume_mode,
    waits_for_consumer,
)
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, WARNING, EventRecorder
from k8snb.client.informer import Informers
from k8snb.clock import parse_timestamp, timestamp
from k8snb.controllers.persistentvolume_pairs import (
    claim_status,
    paired_claim,
    paired_volume,
    parted_volume,
    with_provisioner,
)
from k8snb.controllers.persistentvolume_reclaim import why_not_deleted, why_not_recycled

CLAIM, CLASS, VOLUME, UNBOUND = "claim", "class", "volume", "unbound"
POD_PATIENCE = 15.0  # seconds after which a pod that has no node is spoken of

NO_CLASS = "no persistent volumes available for this claim and no storage class is set"
FIRST_CONSUMER = "waiting for first consumer to be created before binding"
NO_NAME = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
NO_VOLUME = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
TWO_CLAIMS = "Two claims are bound to the same volume, this one is bound incorrectly"


class PersistentVolumeController(Controller):
    name = "persistent-volume-binder"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.events = EventRecorder(self.client, "persistentvolume-controller", self.clock)
        self._told: dict[str, tuple[str, str]] = {}  # uid → what was said of it last
        self.classes = informers.get("storageclasses")
        self.volumes = informers.get("persistentvolumes")
        self.volumes.add_index(CLASS, lambda volume: [class_of(volume) or ""])
        self.volumes.add_index(CLAIM, lambda volume: [claim_key(volume)])
        self.claims = informers.get("persistentvolumeclaims")
        self.claims.add_index(VOLUME, lambda claim: [get_path(claim, "spec.volumeName", "")])
        self.claims.add_index(UNBOUND, lambda claim: [] if is_fully_bound(claim) else [class_of(claim) or ""])
        self.pods = informers.get("pods")
        self.pods.add_index(CLAIM, claim_keys, steady=True)
        self.classes.on_change(self._class_changed)
        self.volumes.on_change(self._volume_changed)
        self.claims.on_change(self._claim_changed)
        self.pods.on_change(self._pod_changed)

    # what makes a claim or volume worth a look

    def _volume_changed(self, old: Object | None, new: Object | None) -> None:
        volume = new or old
        assert volume is not None
        self.enqueue(volume)
        if new is None:
            self._told.pop(uid_of(volume), None)
        concerned = {key for each in (old, new) if each for key in [claim_key(each)] if key}
        concerned |= {key_of(claim) for claim in self.claims.by_index(VOLUME, name_of(volume))}
        if _offer(new) not in (None, _offer(old)):
            concerned |= {key_of(claim) for claim in self.claims.by_index(UNBOUND, class_of(volume) or "")}
        for key in sorted(concerned):
            self.queue.add(key, revision_of(volume))

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        claim = new or old
        assert claim is not None
        self.enqueue(claim)
        if new is None:
            self._told.pop(uid_of(claim), None)
        named = {get_path(each, "spec.volumeName", "") for each in (old, new) if each} - {""}
        named |= {name_of(volume) for volume in self.volumes.by_index(CLAIM, key_of(claim))}
        for name in sorted(named):
            self.queue.add(name, revision_of(claim))

    def _class_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            return
        for wanted in (name_of(new), ""):
            for claim in self.claims.by_index(UNBOUND, wanted):
                self.queue.add(key_of(claim), revision_of(new))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """A pod that does not get a node soon is told of on the claims that wait for it."""
        if old is None and new is not None and not new["spec"].get("nodeName"):
            for key in claim_keys(new):
                self.queue.add_after(key, POD_PATIENCE, background=True, cause=revision_of(new))

    # the loop

    def sync(self, key: str) -> None:
        for informer in (self.classes, self.volumes, self.claims):
            informer.catch_up()
        volume, claim = self.volumes.by_key(key), self.claims.by_key(key)
        if "/" not in key and volume is not None:
            self._sync_volume(volume)
        elif claim is not None and BIND_COMPLETED in annotations_of(claim):
            self._sync_bound_claim(claim)
        elif claim is not None:
            self._sync_unbound_claim(claim)

    def subject(self, key: str) -> Object | None:
        return self.claims.by_key(key) if "/" in key else self.volumes.by_key(key)

    # claims

    def _sync_unbound_claim(self, claim: Object) -> None:
        wanted = get_path(claim, "spec.volumeName")
        if wanted:
            self._sync_asking_claim(claim, self.volumes.get(wanted))
            return
        storage_class = self.classes.get(class_of(claim) or "")
        delayed = waits_for_consumer(storage_class)
        volume = best_match(claim, self._candidates(claim), delayed=delayed)
        if volume is not None:
            self._bind(volume, claim)
        elif not self._assigned_class(claim):
            self._wait_for_volume(claim, storage_class)

    def _candidates(self, claim: Object) -> list[Object]:
        """The volumes of the claim's class, and those that were reserved for it."""
        same_class = self.volumes.by_index(CLASS, class_of(claim) or "")
        reserved = self.volumes.by_index(CLAIM, key_of(claim))
        return list({name_of(volume): volume for volume in (*same_class, *reserved)}.values())

    def _sync_asking_claim(self, claim: Object, volume: Object | None) -> None:
        """A claim that names its volume gets that one or none."""
        if volume is None:
            self._set_claim_phase(claim, "Pending")
        elif is_bound_to(volume, claim):
            self._bind(volume, claim)
        elif not get_path(volume, "spec.claimRef"):
            why = mismatch(volume, claim)
            if not why:
                self._bind(volume, claim)
                return
            message = f'Cannot bind to requested volume "{name_of(volume)}": {why}'
            self._tell(claim, WARNING, "VolumeMismatch", message)
            self._set_claim_phase(claim, "Pending")
        else:
            message = f'volume "{name_of(volume)}" already bound to a different claim.'
            self._tell(claim, WARNING, "FailedBinding", message)
            self._set_claim_phase(claim, "Pending")

    def _assigned_class(self, claim: Object) -> bool:
        """Give a claim that says nothing of classes the default one, if there is one by now."""
        chosen = default_class(self.classes) if class_of(claim) is None else None
        if chosen is None:
            return False
        self.client.update("persistentvolumeclaims", with_path(claim, "spec.storageClassName", name_of(chosen)))
        return True

    def _wait_for_volume(self, claim: Object, storage_class: Object | None) -> None:
        if waits_for_consumer(storage_class) and SELECTED_NODE not in annotations_of(claim):
            self._tell(claim, NORMAL, *self._awaited(claim))
        elif class_of(claim):
            self._provision(claim, storage_class)
        else:
            self._tell(claim, NORMAL, "FailedBinding", NO_CLASS)
        self._set_claim_phase(claim, "Pending")

    def _awaited(self, claim: Object) -> tuple[str, str]:
        pods = [pod for pod in self.pods.by_index(CLAIM, key_of(claim)) if not pod["spec"].get("nodeName")]
        late = self.clock.now() - POD_PATIENCE
        waiting = sorted(name_of(pod) for pod in pods if _created(pod) <= late)
        if not waiting:
            return "WaitForFirstConsumer", FIRST_CONSUMER
        several = "s" if len(waiting) > 1 else ""
        return "WaitForPodScheduled", f"waiting for pod{several} {','.join(waiting)} to be scheduled"

    def _provision(self, claim: Object, storage_class: Object | None) -> None:
        """Say on the claim who is to make its volume; who that is does it."""
        if storage_class is None:
            message = f'storageclass.storage.k8s.io "{class_of(claim)}" not found'
            self._tell(claim, WARNING, "ProvisioningFailed", message)
            return
        provisioner = storage_class["provisioner"]
        if provisioner.startswith("kubernetes.io/"):
            message = f"no volume plugin matched name: {provisioner}"
            self._tell(claim, WARNING, "ProvisioningFailed", message)
            return
        named = with_provisioner(claim, provisioner)
        if named != claim:
            self.client.update("persistentvolumeclaims", named)
        message = (
            "Waiting for a volume to be created either by the external provisioner "
            f"'{provisioner}' or manually by the system administrator. If volume creation is delayed, please verify "
            "that the provisioner is running and correctly registered."
        )
        self._tell(claim, NORMAL, "ExternalProvisioning", message)

    def _sync_bound_claim(self, claim: Object) -> None:
        wanted = get_path(claim, "spec.volumeName")
        volume = self.volumes.get(wanted) if wanted else None
        if volume is None:
            self._lose(claim, "ClaimLost", NO_VOLUME if wanted else NO_NAME)
        elif not get_path(volume, "spec.claimRef") or get_path(volume, "spec.claimRef.uid") == uid_of(claim):
            self._bind(volume, claim)
        else:
            self._lose(claim, "ClaimMisbound", TWO_CLAIMS)

    def _lose(self, claim: Object, reason: str, message: str) -> None:
        if get_path(claim, "status.phase") != "Lost":
            self._set_claim_phase(claim, "Lost")
            self.events.event(claim, WARNING, reason, message)

    def _bind(self, volume: Object, claim: Object) -> None:
        """Complete the pair, one pointer and one status after the other; what is there already is not written."""
        volume = self._update("persistentvolumes", volume, paired_volume(volume, claim))
        volume = self._set_volume_phase(volume, "Bound")
        claim = self._update("persistentvolumeclaims", claim, paired_claim(claim, volume))
        self._update_status("persistentvolumeclaims", claim, claim_status(claim, "Bound", volume))
        self._told.pop(uid_of(claim), None)

    # volumes

    def _sync_volume(self, volume: Object) -> None:
        if not get_path(volume, "spec.claimRef.uid"):
            self._set_volume_phase(volume, "Available")
            return
        claim = self._claimant(volume)
        if claim is None:
            self._reclaim(volume)
        elif not get_path(claim, "spec.volumeName"):
            self._complete(volume, claim)
        elif claim["spec"]["volumeName"] == name_of(volume):
            self._set_volume_phase(volume, "Bound")
        elif PROVISIONED_BY in annotations_of(volume) and _policy(volume) == "Delete":
            self._reclaim(volume)
        else:
            volume = self._update("persistentvolumes", volume, parted_volume(volume))
            self._set_volume_phase(volume, "Available")

    def _claimant(self, volume: Object) -> Object | None:
        """The claim that a volume belongs to; None where that one has gone, even if another has its name now."""
        claim = self.claims.by_key(claim_key(volume))
        if claim is None:
            namespace, name = split_key(claim_key(volume))
            claim = self.client.find("persistentvolumeclaims", name, namespace)
        return claim if claim is not None and is_bound_to(volume, claim) else None

    def _complete(self, volume: Object, claim: Object) -> None:
        """The claim has yet to point back. Where the two can never be a pair, say so on both."""
        if same_volume_mode(volume, claim):
            self.queue.add(key_of(claim), revision_of(volume))
            return
        mode = "due to incompatible volumeMode."
        asked = f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{name_of(claim)}" {mode}'
        offered = f'Cannot bind PersistentVolume "{name_of(volume)}" to requested PersistentVolumeClaim {mode}'
        self._tell(volume, WARNING, "VolumeMismatch", asked)
        self._tell(claim, WARNING, "VolumeMismatch", offered)

    def _reclaim(self, volume: Object) -> None:
        """The claim has gone. What becomes of the volume, its policy says; a provisioner deletes what it has made."""
        if get_path(volume, "status.phase") not in ("Released", "Failed"):
            volume = self._set_volume_phase(volume, "Released")
        policy = _policy(volume)
        if policy == "Recycle":
            self._fail(volume, "VolumeFailedRecycle", why_not_recycled(volume))
        elif policy == "Delete" and PROVISIONED_BY not in annotations_of(volume):
            self._fail(volume, "VolumeFailedDelete", why_not_deleted(volume))

    def _fail(self, volume: Object, reason: str, message: str) -> None:
        if get_path(volume, "status.phase") != "Failed" and not is_deleting(volume):
            self._set_volume_phase(volume, "Failed", message)
            self.events.event(volume, WARNING, reason, message)

    # writing

    def _set_claim_phase(self, claim: Object, phase: str) -> None:
        if get_path(claim, "status.phase") != phase:
            self._update_status("persistentvolumeclaims", claim, claim_status(claim, phase, None))

    def _set_volume_phase(self, volume: Object, phase: str, message: str = "") -> Object:
        old = volume.get("status") or {}
        if old.get("phase") == phase:
            return volume
        status = {key: value for key, value in old.items() if key != "message"}
        status |= {"phase": phase, "lastPhaseTransitionTime": timestamp(self.clock.now())}
        return self._update_status("persistentvolumes", volume, {**status, **({"message": message} if message else {})})

    def _update(self, resource: str, old: Object, new: Object) -> Object:
        return old if new == old else self.client.update(resource, new)

    def _update_status(self, resource: str, obj: Object, status: Object) -> Object:
        return obj if obj.get("status") == status else self.client.update_status(resource, {**obj, "status": status})

    def _tell(self, obj: Object, sort: str, reason: str, message: str) -> None:
        """Say something about a claim that waits, once and not again until something else was said."""
        if self._told.get(uid_of(obj)) != (reason, message):
            self._told[uid_of(obj)] = (reason, message)
            self.events.event(obj, sort, reason, message)


def _policy(volume: Object) -> str:
    policy: str = get_path(volume, "spec.persistentVolumeReclaimPolicy", "Retain")
    return policy


def _offer(volume: Object | None) -> tuple[object, ...] | None:
    """All of a free volume that claims look at; None for one that is not to be had."""
    if volume is None or get_path(volume, "status.phase") != "Available":
        return None
    return volume["spec"], labels_of(volume), is_deleting(volume)


def _created(pod: Object) -> float:
    return parse_timestamp(pod["metadata"]["creationTimestamp"])
