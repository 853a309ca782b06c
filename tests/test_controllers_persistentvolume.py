"""persistentvolume-binder and its neighbours: claims get volumes, volumes come back, nobody gets another's data.

Phases, events and messages as `pkg/controller/volume/persistentvolume/pv_controller.go` and
`test/e2e/storage/{persistent_volumes,pvc_protection,pv_protection,subpath}.go` of the kubernetes repository have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from controllers_lab import Lab, pod

from k8snb.apimachinery.meta import Object, annotations_of, condition, get_path, is_deleting, name_of, uid_of
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.controllers import CONTROLLERS
from k8snb.controllers.attachdetach import attachment_name
from k8snb.controllers.garbagecollector import GarbageCollector
from k8snb.controllers.hostpath import STANDARD, HostPathProvisioner
from k8snb.controllers.persistentvolume import PersistentVolumeController
from k8snb.controllers.provisioner import ProvisionController, Provisioner, Wish

STORAGE = [make for name, make in CONTROLLERS.items() if name.startswith(("persistentvolume", "ephemeral"))]


def lab(*provisioners: Provisioner, more: tuple[Any, ...] = ()) -> Lab:
    return Lab(*STORAGE, *(partial(ProvisionController, provisioner=one) for one in provisioners), *more).start()


def volume(name: str = "v", size: str = "1Gi", modes: tuple[str, ...] = ("ReadWriteOnce",), **spec: Any) -> Object:
    labels = spec.pop("labels", {})
    body = {"capacity": {"storage": size}, "accessModes": [*modes], "hostPath": {"path": "/mnt/data"}, **spec}
    return {"metadata": {"name": name, "labels": labels}, "spec": body}


def claim(name: str = "c", size: str = "1Gi", modes: tuple[str, ...] = ("ReadWriteOnce",), **spec: Any) -> Object:
    body = {"accessModes": [*modes], "resources": {"requests": {"storage": size}}, **spec}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": body}


def storage_class(name: str = "fast", provisioner: str = "example.com/fast", **more: Any) -> Object:
    metadata = {"name": name, "annotations": more.pop("annotations", {})}
    return {"metadata": metadata, "provisioner": provisioner, **more}


def default_class(name: str = "standard", **more: Any) -> Object:
    return storage_class(name, annotations={"storageclass.kubernetes.io/is-default-class": "true"}, **more)


def using(claim_name: str, name: str = "p", **spec: Any) -> Object:
    return pod(name, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}], **spec)


def put(one: Lab, *objects: Object) -> Lab:
    """Create volumes (without a namespace) and claims."""
    for obj in objects:
        one.client.create("persistentvolumeclaims" if "namespace" in obj["metadata"] else "persistentvolumes", obj)
    return one.run()


def pv(one: Lab, name: str = "v") -> Object:
    return one.client.get("persistentvolumes", name)


def pvc(one: Lab, name: str = "c") -> Object:
    return one.get("persistentvolumeclaims", name)


def phase(obj: Object) -> str:
    return str(obj["status"]["phase"])


def volume_of(one: Lab, name: str = "c") -> str:
    return str(get_path(pvc(one, name), "spec.volumeName", ""))


# binding


def test_a_claim_and_a_volume_point_at_each_other() -> None:
    """docs: concepts/storage/persistent-volumes (Binding); e2e: test/e2e/storage/persistent_volumes.go "create a PV
    and a pre-bound PVC: test write access"."""
    one = put(lab(), volume(), claim())
    found, asked = pv(one), pvc(one)
    assert (phase(found), phase(asked)) == ("Bound", "Bound")
    assert found["spec"]["claimRef"]["uid"] == uid_of(asked)
    assert asked["spec"]["volumeName"] == "v"
    assert asked["status"]["capacity"] == {"storage": "1Gi"}
    assert asked["status"]["accessModes"] == ["ReadWriteOnce"]
    assert annotations_of(found) == {"pv.kubernetes.io/bound-by-controller": "yes"}
    assert annotations_of(asked) == {
        "pv.kubernetes.io/bind-completed": "yes",
        "pv.kubernetes.io/bound-by-controller": "yes",
    }


def test_it_does_not_matter_who_comes_first() -> None:
    """docs: persistent-volumes (Binding): claims stay unbound until a matching volume exists."""
    one = put(lab(), claim())
    assert phase(pvc(one)) == "Pending"
    put(one, volume())
    assert volume_of(one) == "v"


def test_a_free_volume_is_available() -> None:
    """docs: persistent-volumes (Phase): Available."""
    assert phase(pv(put(lab(), volume()))) == "Available"


def test_a_volume_says_since_when_it_is_in_its_phase() -> None:
    """KEP-3762."""
    one = put(lab(), volume())
    before = pv(one)["status"]["lastPhaseTransitionTime"]
    one.wait(60)
    put(one, claim())
    assert pv(one)["status"]["lastPhaseTransitionTime"] > before


def test_the_smallest_volume_that_is_large_enough_is_taken() -> None:
    """upstream: pkg/controller/volume/persistentvolume/index_test.go: TestMatchVolume."""
    one = put(lab(), volume("huge", "10Gi"), volume("tiny", "1Gi"), volume("fits", "3Gi"), claim(size="2Gi"))
    assert volume_of(one) == "fits"
    assert pvc(one)["status"]["capacity"] == {"storage": "3Gi"}


def test_a_volume_with_fewer_access_modes_is_taken_before_a_smaller_one() -> None:
    """upstream: index.go: allPossibleMatchingAccessModes, the closest modes first."""
    both = ("ReadWriteOnce", "ReadOnlyMany")
    one = put(lab(), volume("both", "1Gi", both), volume("plain", "5Gi"), claim())
    assert volume_of(one) == "plain"


@pytest.mark.parametrize(
    ("offered", "asked"),
    [
        ({"size": "1Gi"}, {"size": "2Gi"}),
        ({"modes": ("ReadOnlyMany",)}, {"modes": ("ReadWriteMany",)}),
        ({"storageClassName": "slow"}, {}),
        ({}, {"storageClassName": "slow"}),
        ({"volumeMode": "Block"}, {}),
        ({"labels": {"disk": "hdd"}}, {"selector": {"matchLabels": {"disk": "ssd"}}}),
        ({"claimRef": {"namespace": "default", "name": "other"}}, {}),
    ],
    ids=["size", "mode", "class", "no class", "volume mode", "label", "reserved"],
)
def test_what_does_not_fit_is_not_bound(offered: Object, asked: Object) -> None:
    """upstream: component-helpers/storage/volume: FindMatchingVolume, CheckVolumeModeMismatches, CheckAccessModes."""
    one = put(lab(), volume(**offered), claim(**asked))
    assert (phase(pv(one)), phase(pvc(one))) == ("Available", "Pending")


def test_a_selector_picks_the_volume() -> None:
    """docs: persistent-volumes (Selector)."""
    one = put(lab(), volume("a"), volume("b", labels={"disk": "ssd"}), claim(selector={"matchLabels": {"disk": "ssd"}}))
    assert volume_of(one) == "b"


def test_a_volume_that_is_reserved_goes_to_that_claim_and_keeps_the_reservation() -> None:
    """docs: persistent-volumes (Reserving a PersistentVolume)."""
    reference = {"namespace": "default", "name": "mine"}
    one = put(lab(), volume(claimRef=reference), claim("other"), claim("mine"))
    assert (volume_of(one, "mine"), volume_of(one, "other")) == ("v", "")
    assert annotations_of(pv(one)) == {}, "it was not the controller that bound it"


def test_a_claim_that_names_its_volume_gets_that_one() -> None:
    """docs: persistent-volumes (Reserving a PersistentVolume): volumeName."""
    one = put(lab(), volume("a"), volume("b", "5Gi"), claim(volumeName="b"))
    assert volume_of(one) == "b"
    assert phase(pvc(one)) == "Bound"
    assert "pv.kubernetes.io/bound-by-controller" not in annotations_of(pvc(one))


@pytest.mark.parametrize(
    ("offered", "why"),
    [
        ({"size": "1Mi"}, "requested PV is too small"),
        ({"storageClassName": "slow"}, "storageClassName does not match"),
        ({"volumeMode": "Block"}, "incompatible volumeMode"),
        ({"modes": ("ReadOnlyMany",)}, "incompatible accessMode"),
    ],
)
def test_a_named_volume_that_does_not_fit_says_why(offered: Object, why: str) -> None:
    """upstream: pv_controller.go: checkVolumeSatisfyClaim, VolumeMismatch."""
    one = put(lab(), volume(**offered), claim(volumeName="v"))
    assert one.events("VolumeMismatch") == [f'Cannot bind to requested volume "v": {why}']
    assert phase(pvc(one)) == "Pending"


def test_of_two_claims_for_one_volume_one_waits() -> None:
    """docs: persistent-volumes (Binding): bindings are exclusive."""
    one = put(lab(), volume(), claim("a"), claim("b"))
    assert sorted(phase(pvc(one, name)) for name in "ab") == ["Bound", "Pending"]


def test_a_claim_that_names_anothers_volume_is_told_so() -> None:
    """upstream: pv_controller.go: syncUnboundClaim, "volume … already bound to a different claim."."""
    one = put(lab(), volume(), claim("a"), claim("b", volumeName="v"))
    assert one.events("FailedBinding") == ['volume "v" already bound to a different claim.']
    assert phase(pvc(one, "b")) == "Pending"


def test_a_claim_larger_than_any_volume_waits_and_says_so_once() -> None:
    """docs: persistent-volumes (Binding): 100Gi asked for among 50Gi volumes; FailedBinding."""
    one = put(lab(), volume(), claim(size="5Ti"))
    said = "no persistent volumes available for this claim and no storage class is set"
    assert one.events("FailedBinding") == [said]
    revision = one.store.revision
    one.wait(600)
    assert one.store.revision == revision, "nothing has changed, so nothing is written"


def test_binding_a_pair_takes_four_writes() -> None:
    """upstream: pv_controller.go: bind, its four transactions."""
    one = put(lab(), volume())
    revision = one.store.revision
    put(one, claim())
    assert one.store.revision - revision == 5, "the claim itself, two pointers, two statuses"


def test_a_thousand_looks_change_nothing() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = put(
        lab(HostPathProvisioner("/nowhere")), volume(), claim("a"), claim("b"), claim("x", storageClassName="none")
    )
    revision = one.store.revision
    binder = next(each for each in one.controllers if isinstance(each, PersistentVolumeController))
    for key in ("v", "default/a", "default/b", "default/x") * 250:
        binder.sync(key)
    assert one.store.revision == revision


def test_a_restarted_controller_does_not_touch_what_is_bound() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = put(lab(), volume(), claim())
    revision = one.store.revision
    assert one.restart().store.revision == revision


# losing each other


def test_a_claim_whose_volume_is_gone_is_lost() -> None:
    """upstream: pv_controller.go: syncBoundClaim, ClaimLost."""
    one = put(lab(), volume(), claim())
    one.client.delete("persistentvolumes", "v")
    one.apply("persistentvolumes", "v", {"metadata": {"finalizers": None}}, "")
    one.run()
    assert phase(pvc(one)) == "Lost"
    assert one.events("ClaimLost") == ["Bound claim has lost its PersistentVolume. Data on the volume is lost!"]


def test_a_volume_whose_claim_is_gone_is_released_and_kept() -> None:
    """docs: persistent-volumes (Reclaiming: Retain)."""
    one = put(lab(), volume(), claim())
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    assert phase(pv(one)) == "Released"
    put(one, claim())
    assert phase(pvc(one)) == "Pending", "a new claim of the same name does not get the old one's data"


def test_a_claim_that_takes_anothers_name_at_once_does_not_get_its_volume() -> None:
    """upstream: pv_controller.go: syncVolume compares the UID."""
    one = put(lab(), volume(), claim())
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.apply("persistentvolumeclaims", "c", {"metadata": {"finalizers": None}})
    put(one, claim())
    assert (phase(pv(one)), phase(pvc(one))) == ("Released", "Pending")


def test_a_released_volume_is_free_again_when_its_claimref_is_removed() -> None:
    """docs: persistent-volumes (Reclaiming: Retain); upstream: pv_controller.go: syncVolume."""
    one = put(lab(), volume(), claim())
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    one.apply("persistentvolumes", "v", {"spec": {"claimRef": None}}, "")
    one.run()
    assert phase(pv(one)) == "Available"


def test_a_volume_loses_a_claim_that_is_bound_elsewhere() -> None:
    """upstream: pv_controller.go: syncVolume, unbindVolume."""
    one = put(lab(), volume("a"), claim())
    reference = {"namespace": "default", "name": "c", "uid": uid_of(pvc(one))}
    put(one, volume("b", claimRef=reference))
    assert phase(pv(one, "b")) == "Available"
    assert pv(one, "b")["spec"]["claimRef"] == {"namespace": "default", "name": "c"}, "what a user wrote stays"


# reclaiming


def test_a_host_path_outside_tmp_is_never_deleted() -> None:
    """upstream: pkg/volume/hostpath: "host_path deleter only supports /tmp/.+ but received provided …"."""
    one = put(lab(), volume(persistentVolumeReclaimPolicy="Delete"), claim())
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    said = "host_path deleter only supports /tmp/.+ but received provided /mnt/data"
    assert (phase(pv(one)), pv(one)["status"]["message"]) == ("Failed", said)
    assert one.events("VolumeFailedDelete") == [said]


def test_a_volume_that_nobody_can_delete_fails_and_says_so() -> None:
    """upstream: pv_controller.go: reclaimVolume, VolumeFailedDelete."""
    source = {"csi": {"driver": "a.example.com", "volumeHandle": "x"}, "hostPath": None}
    one = put(lab(), volume(persistentVolumeReclaimPolicy="Delete", **source), claim())
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    said = 'error getting deleter volume plugin for volume "v": no deletable volume plugin matched'
    assert one.events("VolumeFailedDelete") == [said]


def test_recycling_warns_and_is_not_pretended() -> None:
    """docs: persistent-volumes (Reclaiming: Recycle is deprecated)."""
    one = lab()
    one.client.create("persistentvolumes", volume(persistentVolumeReclaimPolicy="Recycle"))
    assert any("The Recycle reclaim policy is deprecated" in each for each in one.client.take_warnings())
    put(one, claim())
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    assert phase(pv(one)) == "Failed"
    assert "not implemented by k8snb" in one.events("VolumeFailedRecycle")[0]


# classes


def test_a_claim_of_an_unknown_class_waits_and_says_so_once() -> None:
    """upstream: pv_controller.go: provisionClaim, ProvisioningFailed."""
    one = put(lab(), claim(storageClassName="nope"))
    assert one.events("ProvisioningFailed") == ['storageclass.storage.k8s.io "nope" not found']
    revision = one.store.revision
    one.wait(600)
    assert one.store.revision == revision


def test_a_class_that_turns_up_later_serves_the_claims_that_wait(tmp_path: Path) -> None:
    """upstream: pv_controller.go: a claim is looked at again until it is bound."""
    one = put(lab(HostPathProvisioner(str(tmp_path))), claim(storageClassName="standard"))
    assert phase(pvc(one)) == "Pending"
    one.client.create("storageclasses", STANDARD)
    one.run()
    assert phase(pvc(one)) == "Bound"


def test_a_claim_without_a_class_gets_the_default_one() -> None:
    """docs: persistent-volumes (Class); concepts/storage/storage-classes (Default StorageClass)."""
    one = lab()
    one.client.create("storageclasses", default_class())
    put(one, claim("a"), claim("b", storageClassName=""))
    assert pvc(one, "a")["spec"]["storageClassName"] == "standard"
    assert pvc(one, "b")["spec"]["storageClassName"] == "", "no class on purpose stays no class"


def test_the_newest_of_several_default_classes_counts() -> None:
    """docs: storage-classes (Default StorageClass): the most recently created one."""
    one = lab()
    one.client.create("storageclasses", default_class("z-old"))
    one.wait(60)
    one.client.create("storageclasses", default_class("new"))
    put(one, claim())
    assert pvc(one)["spec"]["storageClassName"] == "new"


def test_a_default_class_that_turns_up_later_is_given_to_claims_that_wait() -> None:
    """Retroactive default StorageClass assignment, KEP-3333."""
    one = put(lab(), claim("a"), claim("b", storageClassName=""))
    one.client.create("storageclasses", default_class())
    one.run()
    assert pvc(one, "a")["spec"]["storageClassName"] == "standard"
    assert pvc(one, "b")["spec"]["storageClassName"] == ""


def test_a_class_that_makes_nothing_says_so() -> None:
    """docs: storage-classes (Local): kubernetes.io/no-provisioner."""
    one = lab()
    one.client.create("storageclasses", storage_class("local", "kubernetes.io/no-provisioner"))
    put(one, claim(storageClassName="local"))
    assert one.events("ProvisioningFailed") == ["no volume plugin matched name: kubernetes.io/no-provisioner"]


def test_a_claim_waits_for_its_first_consumer() -> None:
    """docs: storage-classes (Volume binding mode): WaitForFirstConsumer."""
    one = lab()
    one.client.create("storageclasses", storage_class(volumeBindingMode="WaitForFirstConsumer"))
    put(one, volume(storageClassName="fast"), claim(storageClassName="fast"))
    assert one.events("WaitForFirstConsumer") == ["waiting for first consumer to be created before binding"]
    assert (phase(pv(one)), phase(pvc(one))) == ("Available", "Pending")


def test_a_pod_that_finds_no_node_is_named_on_the_claim() -> None:
    """upstream: pv_controller.go: WaitForPodScheduled."""
    one = lab()
    one.client.create("storageclasses", storage_class(volumeBindingMode="WaitForFirstConsumer"))
    put(one, claim(storageClassName="fast"))
    one.client.create("pods", using("c", "late"))
    one.wait(60)
    assert one.events("WaitForPodScheduled") == ["waiting for pod late to be scheduled"]


# provisioning


class Shelf(Provisioner):
    """Volumes that are only names."""

    name = "example.com/fast"

    def __init__(self) -> None:
        self.wishes: list[Wish] = []
        self.deleted: list[str] = []
        self.expanded: list[tuple[str, str]] = []
        self.broken = ""

    def provision(self, wish: Wish) -> Object:
        if self.broken:
            raise RuntimeError(self.broken)
        self.wishes.append(wish)
        return {"nfs": {"server": "shelf", "path": f"/{wish.volume_name}"}}

    def delete(self, volume: Object) -> None:
        if self.broken:
            raise RuntimeError(self.broken)
        self.deleted.append(name_of(volume))

    def expand(self, volume: Object, size: str) -> None:
        if self.broken:
            raise RuntimeError(self.broken)
        self.expanded.append((name_of(volume), size))


def stocked(shelf: Shelf, **more: Any) -> Lab:
    one = lab(shelf)
    one.client.create("storageclasses", storage_class(**more))
    return put(one, claim(storageClassName="fast"))


def test_a_volume_is_made_for_a_claim() -> None:
    """docs: concepts/storage/dynamic-provisioning; e2e: test/e2e/storage/volume_provisioning.go "should provision
    storage with different parameters"."""
    one = stocked(Shelf(), parameters={"speed": "high"}, mountOptions=["ro"], reclaimPolicy="Retain")
    name = f"pvc-{uid_of(pvc(one))}"
    made = pv(one, name)
    assert (phase(pvc(one)), volume_of(one), phase(made)) == ("Bound", name, "Bound")
    assert made["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert made["spec"]["mountOptions"] == ["ro"]
    assert made["spec"]["storageClassName"] == "fast"
    assert annotations_of(made) == {"pv.kubernetes.io/provisioned-by": "example.com/fast"}
    assert annotations_of(pvc(one))["volume.kubernetes.io/storage-provisioner"] == "example.com/fast"
    assert one.events("ProvisioningSucceeded") == [f"Successfully provisioned volume {name}"]
    assert one.events("ExternalProvisioning")[0].startswith("Waiting for a volume to be created either by the external")


def test_the_provisioner_is_told_the_parameters_of_the_class() -> None:
    """docs: storage-classes (Parameters)."""
    shelf = Shelf()
    stocked(shelf, parameters={"speed": "high"})
    assert [wish.parameters for wish in shelf.wishes] == [{"speed": "high"}]


def test_an_existing_volume_is_taken_before_a_new_one_is_made() -> None:
    """docs: persistent-volumes (Provisioning: Dynamic): only when no static volume matches."""
    shelf = Shelf()
    one = lab(shelf)
    one.client.create("storageclasses", storage_class())
    put(one, volume(storageClassName="fast"), claim(storageClassName="fast"))
    assert (volume_of(one), shelf.wishes) == ("v", [])


def test_a_volume_that_was_made_goes_with_its_claim() -> None:
    """docs: persistent-volumes (Reclaiming: Delete)."""
    shelf = Shelf()
    one = stocked(shelf)
    name = volume_of(one)
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    assert shelf.deleted == [name]
    assert one.client.items("persistentvolumes") == []


def test_a_volume_of_a_class_that_retains_stays() -> None:
    """docs: storage-classes (Reclaim policy)."""
    shelf = Shelf()
    one = stocked(shelf, reclaimPolicy="Retain")
    name = volume_of(one)
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    assert (shelf.deleted, phase(pv(one, name))) == ([], "Released")


def test_a_claim_that_waits_is_provisioned_on_the_node_that_was_chosen() -> None:
    """upstream: volume.kubernetes.io/selected-node, pv_controller.go: provisionClaim."""
    shelf = Shelf()
    one = stocked(shelf, volumeBindingMode="WaitForFirstConsumer")
    assert shelf.wishes == []
    one.apply(
        "persistentvolumeclaims", "c", {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "n1"}}}
    )
    one.run()
    assert [wish.node for wish in shelf.wishes] == ["n1"]
    assert phase(pvc(one)) == "Bound"


def test_a_provisioner_that_fails_is_asked_again_with_growing_pauses() -> None:
    """upstream: pv_controller.go: goroutinemap with exponential back-off."""
    shelf = Shelf()
    shelf.broken = "the shelf is full"
    one = stocked(shelf)
    said = 'failed to provision volume with StorageClass "fast": the shelf is full'
    assert one.events("ProvisioningFailed") == [said]
    one.wait(3600)
    count = next(each["count"] for each in one.client.items("events", "default") if each["message"] == said)
    assert 5 < count < 12
    shelf.broken = ""
    one.wait(1000)
    assert phase(pvc(one)) == "Bound"


def test_a_provisioner_that_was_mended_is_asked_at_once() -> None:
    """k8snb: a provisioner that is replaced in a cell gets its chance."""
    shelf = Shelf()
    shelf.broken = "a typing error"
    one = stocked(shelf)
    work = next(each for each in one.controllers if isinstance(each, ProvisionController))
    work.replace(Shelf())
    one.run()
    assert phase(pvc(one)) == "Bound"


def test_a_volume_that_cannot_be_deleted_says_why_and_stays() -> None:
    """upstream: pv_controller.go: deleteVolumeOperation, VolumeFailedDelete."""
    shelf = Shelf()
    one = stocked(shelf)
    shelf.broken = "the shelf is locked"
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    assert one.events("VolumeFailedDelete") == ["the shelf is locked"]
    assert len(one.client.items("persistentvolumes")) == 1


def test_a_claim_that_wants_a_copy_is_refused_by_name() -> None:
    """docs: concepts/storage/volume-pvc-datasource; k8snb: not implemented, and said."""
    one = lab(Shelf())
    one.client.create("storageclasses", storage_class())
    put(one, claim(storageClassName="fast", dataSource={"kind": "PersistentVolumeClaim", "name": "other"}))
    assert "spec.dataSource: not implemented by k8snb" in one.events("ProvisioningFailed")[0]


def test_the_built_in_provisioner_makes_and_removes_directories(tmp_path: Path) -> None:
    """k8snb: what minikube's storage-provisioner does."""
    one = lab(HostPathProvisioner(str(tmp_path)))
    one.client.create("storageclasses", STANDARD)
    put(one, claim())
    place = Path(get_path(pv(one, volume_of(one)), "spec.hostPath.path"))
    assert place.parent == tmp_path and place.is_dir()
    (place / "file").write_text("data")
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    assert list(tmp_path.iterdir()) == []


def test_the_built_in_provisioner_touches_nothing_outside_its_directory(tmp_path: Path) -> None:
    """k8snb: what minikube's storage-provisioner does, and no more."""
    mine = tmp_path / "mine"
    mine.mkdir()
    one = lab(HostPathProvisioner(str(tmp_path / "volumes")))
    made_by = {"pv.kubernetes.io/provisioned-by": "k8snb.io/hostpath"}
    body = volume(persistentVolumeReclaimPolicy="Delete", hostPath={"path": str(mine)})
    put(one, {**body, "metadata": {"name": "v", "annotations": made_by}}, claim())
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    assert mine.is_dir()
    assert "it stays" in one.events("VolumeFailedDelete")[0]


# growing


def grow(one: Lab, size: str = "2Gi") -> Lab:
    one.apply("persistentvolumeclaims", "c", {"spec": {"resources": {"requests": {"storage": size}}}})
    return one.run()


def test_a_claim_grows_where_its_class_lets_it() -> None:
    """docs: persistent-volumes (Expanding Persistent Volumes Claims)."""
    shelf = Shelf()
    one = grow(stocked(shelf, allowVolumeExpansion=True))
    assert shelf.expanded == [(volume_of(one), "2Gi")]
    assert pvc(one)["status"]["capacity"] == pv(one, volume_of(one))["spec"]["capacity"] == {"storage": "2Gi"}
    assert condition(pvc(one), "Resizing") is None
    assert one.events("ExternalExpanding") == ["waiting for an external controller to expand this PVC"]
    assert one.events("VolumeResizeSuccessful") == ["Resize volume succeeded"]


def test_a_claim_that_cannot_grow_says_that_it_tries() -> None:
    """upstream: pkg/controller/volume/expand: ExternalExpanding, Resizing."""
    shelf = Shelf()
    one = stocked(shelf, allowVolumeExpansion=True)
    shelf.broken = "no room"
    grow(one)
    assert (condition(pvc(one), "Resizing") or {})["status"] == "True"
    said = f'resize volume "{volume_of(one)}" by resizer "example.com/fast" failed: no room'
    assert one.events("VolumeResizeFailed") == [said]
    assert pvc(one)["status"]["capacity"] == {"storage": "1Gi"}


# protection


def test_a_claim_in_use_stays_until_its_pod_has_gone() -> None:
    """docs: persistent-volumes (Storage Object in Use Protection); e2e: test/e2e/storage/pvc_protection.go "Verify
    that PVC in active use by a pod is not removed immediately"."""
    one = put(lab(), volume(), claim())
    one.node("n1")
    one.client.create("pods", using("c"))
    one.bind("p", "n1")
    one.run()
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    assert is_deleting(pvc(one)) and phase(pv(one)) == "Bound"
    one.client.delete("pods", "p", "default", gracePeriodSeconds=0)
    one.run()
    assert one.names("persistentvolumeclaims") == []
    assert phase(pv(one)) == "Released"


def test_a_pod_without_a_node_does_not_protect_a_claim() -> None:
    """upstream: pkg/controller/volume/pvcprotection: podUsesPVC, only scheduled pods."""
    one = put(lab(), volume(), claim())
    one.client.create("pods", using("c"))
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    assert one.names("persistentvolumeclaims") == []


def test_a_bound_volume_stays_until_its_claim_has_gone() -> None:
    """docs: persistent-volumes (Storage Object in Use Protection); e2e: test/e2e/storage/pv_protection.go "Verify
    that PV bound to a PVC is not removed immediately"."""
    one = put(lab(), volume(), claim())
    one.client.delete("persistentvolumes", "v")
    one.run()
    assert is_deleting(pv(one)) and phase(pv(one)) == "Bound"
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    assert one.client.items("persistentvolumes") == []


def test_objects_from_before_the_protection_get_it() -> None:
    """upstream: pkg/controller/volume/pvprotection: addFinalizer."""
    one = put(lab(), volume(), claim())
    one.apply("persistentvolumes", "v", {"metadata": {"finalizers": None}}, "")
    one.apply("persistentvolumeclaims", "c", {"metadata": {"finalizers": None}})
    one.run()
    assert pv(one)["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    assert pvc(one)["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]


# ephemeral volumes


def with_ephemeral(name: str = "p") -> Object:
    template = {"metadata": {"labels": {"kind": "scratch"}}, "spec": claim()["spec"]}
    return pod(name, volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}])


def test_a_pods_own_claim_is_made_and_goes_with_it() -> None:
    """docs: concepts/storage/ephemeral-volumes (Lifecycle and PersistentVolumeClaim)."""
    one = lab(more=(GarbageCollector,))
    put(one, volume())
    one.client.create("pods", with_ephemeral())
    one.run()
    made = pvc(one, "p-scratch")
    assert made["metadata"]["labels"] == {"kind": "scratch"}
    assert made["metadata"]["ownerReferences"][0]["kind"] == "Pod"
    assert phase(made) == "Bound"
    one.client.delete("pods", "p", "default", gracePeriodSeconds=0)
    one.run()
    assert one.names("persistentvolumeclaims") == []


def test_a_claim_of_somebody_else_is_not_taken_for_the_pods_own() -> None:
    """docs: ephemeral-volumes (PersistentVolumeClaim naming)."""
    one = put(lab(), claim("p-scratch"))
    one.client.create("pods", with_ephemeral())
    one.run()
    said = "PVC default/p-scratch was not created for pod default/p (pod is not owner)"
    assert one.events("FailedBinding")[-1] == f"ephemeral volume scratch: {said}"
    revision = one.store.revision
    one.wait(600)
    assert one.store.revision == revision


# attaching


CSI = {"csi": {"driver": "disk.example.com", "volumeHandle": "vol-1"}, "hostPath": None}


def attaching(**spec: Any) -> Lab:
    """A CSI volume that a pod on n1 uses."""
    one = put(lab(), volume(**{**CSI, **spec}), claim(modes=spec.get("modes", ("ReadWriteOnce",))))
    for node in ("n1", "n2"):
        one.node(node)
    one.client.create("pods", using("c"))
    one.bind("p", "n1")
    return one.run()


def say_attached(one: Lab, node: str = "n1", **status: Any) -> Lab:
    """What the driver's external-attacher would do."""
    name = attachment_name(pv(one), node)
    found = one.client.get("volumeattachments", name)
    one.client.update_status("volumeattachments", {**found, "status": {"attached": True, **status}})
    return one.run()


def test_a_volume_is_attached_to_the_node_whose_pod_uses_it() -> None:
    """upstream: pkg/controller/volume/attachdetach/reconciler: attachDesiredVolumes."""
    one = say_attached(attaching())
    spec = one.client.items("volumeattachments")[0]["spec"]
    assert spec == {"attacher": "disk.example.com", "nodeName": "n1", "source": {"persistentVolumeName": "v"}}
    unique = {"name": "kubernetes.io/csi/disk.example.com^vol-1", "devicePath": ""}
    assert one.client.get("nodes", "n1")["status"]["volumesAttached"] == [unique]
    assert one.events("SuccessfulAttachVolume") == ['AttachVolume.Attach succeeded for volume "v" ']


def test_a_driver_that_need_not_attach_is_not_asked() -> None:
    """API reference: CSIDriverSpec.attachRequired; e2e: test/e2e/storage/csimock "should not require VolumeAttach
    for drivers without attachment"."""
    one = lab()
    one.client.create("csidrivers", {"metadata": {"name": "disk.example.com"}, "spec": {"attachRequired": False}})
    put(one, volume(**CSI), claim())
    one.node("n1")
    one.client.create("pods", using("c"))
    one.bind("p", "n1")
    one.run()
    assert one.client.items("volumeattachments") == []


def test_a_driver_that_does_not_answer_is_told_of_after_two_minutes() -> None:
    """upstream: pkg/volume/csi/csi_attacher.go: its timeout of two minutes."""
    one = attaching()
    assert one.events("FailedAttachVolume") == []
    one.wait(121)
    assert one.events("FailedAttachVolume") == [
        'AttachVolume.Attach failed for volume "v" : timed out waiting for external-attacher of disk.example.com CSI '
        "driver to attach volume vol-1"
    ]


def test_a_drivers_complaint_is_told_on_the_pod() -> None:
    """upstream: attachdetach: FailedAttachVolume."""
    one = say_attached(attaching(), attached=False, attachError={"message": "no such disk"})
    assert one.events("FailedAttachVolume") == ['AttachVolume.Attach failed for volume "v" : no such disk']


def test_a_volume_is_detached_when_the_kubelet_has_let_go_of_it() -> None:
    """upstream: attachdetach/reconciler: volumesInUse is waited for."""
    one = say_attached(attaching())
    in_use = ["kubernetes.io/csi/disk.example.com^vol-1"]
    one.client.patch("nodes", "n1", {"status": {"volumesInUse": in_use}}, subresource="status")
    one.client.delete("pods", "p", "default", gracePeriodSeconds=0)
    one.run()
    assert len(one.client.items("volumeattachments")) == 1
    one.client.patch("nodes", "n1", {"status": {"volumesInUse": None}}, subresource="status")
    one.run()
    assert one.client.items("volumeattachments") == []
    assert not get_path(one.client.get("nodes", "n1"), "status.volumesAttached")


def test_a_volume_for_one_node_is_not_attached_to_two() -> None:
    """upstream: attachdetach/reconciler: reportMultiAttachError, "Multi-Attach error for volume …"."""
    one = say_attached(attaching())
    one.client.create("pods", using("c", "q"))
    one.bind("q", "n2")
    one.run()
    assert len(one.client.items("volumeattachments")) == 1
    said = 'Multi-Attach error for volume "v" Volume is already used by pod(s) p'
    assert one.events("FailedAttachVolume") == [said]
    one.client.delete("pods", "p", "default", gracePeriodSeconds=0)
    one.run()
    assert [each["spec"]["nodeName"] for each in one.client.items("volumeattachments")] == ["n2"]


def test_a_shared_volume_is_attached_to_several_nodes() -> None:
    """docs: persistent-volumes (Access Modes)."""
    one = say_attached(attaching(modes=("ReadWriteMany",)))
    one.client.create("pods", using("c", "q"))
    one.bind("q", "n2")
    one.run()
    assert len(one.client.items("volumeattachments")) == 2


def test_what_is_attached_is_not_reported_twice() -> None:
    """upstream: attachdetach/statusupdater: UpdateNodeStatuses."""
    one = say_attached(attaching())
    revision = one.store.revision
    assert one.restart().store.revision == revision


# the whole cluster


class Ram(Provisioner):
    name = "example.com/ram"

    def provision(self, wish: Wish) -> Object:
        return {"hostPath": {"path": f"/dev/shm/{wish.volume_name}", "type": "DirectoryOrCreate"}}


def settled(cluster: Cluster, *objects: Object) -> None:
    for obj in objects:
        resource = "storageclasses" if "provisioner" in obj else "persistentvolumeclaims"
        cluster.client.create(resource, obj)
    cluster.settle()


def place_of(cluster: Cluster, name: str = "c") -> Path:
    found = cluster.client.get("persistentvolumeclaims", name, "default")
    made = cluster.client.get("persistentvolumes", found["spec"]["volumeName"])
    return Path(made["spec"]["hostPath"]["path"])


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as one:
        yield one


def test_a_cluster_has_a_default_class_that_makes_volumes(cluster: Cluster) -> None:
    """k8snb: what minikube's default-storageclass add-on gives."""
    settled(cluster, claim())
    place = place_of(cluster)
    assert place.is_dir()
    cluster.delete()
    assert not place.parent.exists(), "a cluster that is deleted leaves nothing behind"


def test_volumes_outlive_a_stop_of_the_cluster(cluster: Cluster) -> None:
    """k8snb: a stop keeps the data."""
    settled(cluster, claim())
    (place_of(cluster) / "file").write_text("data")
    cluster.stop()
    cluster.start()
    cluster.settle()
    assert (place_of(cluster) / "file").read_text() == "data"
    cluster.client.delete("persistentvolumeclaims", "c", "default")
    cluster.settle()
    assert cluster.client.items("persistentvolumes") == []


def test_a_learners_provisioner_joins_a_running_cluster(cluster: Cluster) -> None:
    """docs: storage-classes (Provisioner): an external provisioner may be anybody's."""
    settled(cluster, storage_class("ram", "example.com/ram"), claim(storageClassName="ram"))
    assert cluster.client.items("persistentvolumes") == []
    cluster.add_provisioner(Ram())
    cluster.settle()
    assert place_of(cluster).parent == Path("/dev/shm")
    cluster.add_provisioner(Ram())  # as when a cell runs twice
    settled(cluster, claim("again", storageClassName="ram"))
    assert len(cluster.client.items("persistentvolumes")) == 2, "one of the same name takes the other's place"


def test_a_default_class_that_was_changed_stays_as_it_is(cluster: Cluster) -> None:
    """k8snb: what a user changed is not put back."""
    off = {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "false"}}}
    cluster.client.patch("storageclasses", "standard", off)
    cluster.stop()
    cluster.start()
    settled(cluster, claim())
    assert "storageClassName" not in cluster.client.get("persistentvolumeclaims", "c", "default")["spec"]


def test_the_controllers_may_do_what_they_do(cluster: Cluster) -> None:
    """upstream: Each acts as its service account, with the rules of `rbac_defaults`."""
    growing = storage_class("ram", "example.com/ram", allowVolumeExpansion=True)
    cluster.add_provisioner(Ram())
    settled(cluster, growing, claim(storageClassName="ram"))
    grown = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    cluster.client.patch("persistentvolumeclaims", "c", grown, "default")
    cluster.client.create("pods", with_ephemeral(), "default")
    cluster.settle()
    assert cluster.client.get("persistentvolumeclaims", "c", "default")["status"]["capacity"] == {"storage": "2Gi"}
    assert cluster.client.get("persistentvolumeclaims", "p-scratch", "default")["status"]["phase"] == "Bound"
    refused = [each["message"] for each in cluster.client.items("events") if "forbidden" in each["message"]]
    assert refused == []
