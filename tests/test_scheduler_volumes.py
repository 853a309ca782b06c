"""kube-scheduler and volumes: a pod goes where its volumes are, volumes that wait go where their pod is.

Messages as `pkg/scheduler/framework/plugins/{volumebinding,volumezone,volumerestrictions,nodevolumelimits}` of the
kubernetes repository have them; the walk through local volumes follows `test/e2e/storage/persistent_volumes-local.go`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from controllers_lab import Lab, container, pod

from k8snb.apimachinery.meta import Object, annotations_of, condition, get_path, name_of
from k8snb.apimachinery.storage import Place, best_match
from k8snb.controllers import CONTROLLERS
from k8snb.controllers.provisioner import ProvisionController, Provisioner, Wish
from k8snb.scheduler import Scheduler

STORAGE = [make for name, make in CONTROLLERS.items() if name.startswith(("persistentvolume", "ephemeral"))]
NO_PROVISIONER = "kubernetes.io/no-provisioner"


class Cloud(Provisioner):
    """Makes disks that only one node reaches."""

    name = "cloud.example.com"

    def __init__(self) -> None:
        self.broken = ""

    def provision(self, wish: Wish) -> Object:
        if self.broken:
            raise RuntimeError(self.broken)
        return {"csi": {"driver": self.name, "volumeHandle": wish.volume_name}, **(on(wish.node) if wish.node else {})}


def lab(*controllers: Any, nodes: int = 3, cloud: Provisioner | None = None) -> Lab:
    one = Lab(Scheduler, *controllers, partial(ProvisionController, provisioner=cloud or Cloud())).start()
    for number in range(nodes):
        one.node(f"n{number}", labels={"topology.kubernetes.io/zone": f"zone-{number}"})
    return one.run()


def on(*nodes: str) -> Object:
    """The node affinity of a volume that only these nodes reach."""
    wanted = {"key": "kubernetes.io/hostname", "operator": "In", "values": [*nodes]}
    return {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [wanted]}]}}}


def volume(name: str, size: str = "1Gi", **spec: Any) -> Object:
    labels = spec.pop("labels", {})
    source = {} if "csi" in spec else {"hostPath": {"path": f"/mnt/{name}"}}
    body = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], **source, **spec}
    return {"metadata": {"name": name, "labels": labels}, "spec": body}


def claim(name: str = "c", size: str = "1Gi", mode: str = "ReadWriteOnce", **spec: Any) -> Object:
    body = {"accessModes": [mode], "resources": {"requests": {"storage": size}}, **spec}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": body}


def storage_class(name: str, provisioner: str, mode: str = "WaitForFirstConsumer", **more: Any) -> Object:
    return {"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": mode, **more}


def using(*claims: str, name: str = "p", **spec: Any) -> Object:
    volumes = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims]
    return pod(name, volumes=volumes, **spec)


def put(one: Lab, *objects: Object) -> Lab:
    """Create classes, volumes (without a namespace), claims and pods."""
    for obj in objects:
        kind = "pods" if obj.get("kind") == "Pod" else "persistentvolumeclaims"
        if "provisioner" in obj:
            kind = "storageclasses"
        elif "namespace" not in obj["metadata"]:
            kind = "persistentvolumes"
        one.client.create(kind, obj)
    return one.run()


def node_of(one: Lab, name: str = "p") -> str:
    return str(one.get("pods", name)["spec"].get("nodeName", ""))


def why(one: Lab, name: str = "p") -> str:
    """Why a pod waits, without what preemption has to say of it."""
    message = str((condition(one.get("pods", name), "PodScheduled") or {}).get("message", ""))
    return message.partition(" preemption:")[0]


def volume_of(one: Lab, name: str = "c") -> str:
    return str(get_path(one.get("persistentvolumeclaims", name), "spec.volumeName", ""))


# what no node can help


def test_a_pod_whose_claim_is_not_there_waits_for_it() -> None:
    """upstream: plugins/volumebinding: "persistentvolumeclaim … not found"."""
    one = put(lab(), using("c"))
    assert why(one) == '0/3 nodes are available: persistentvolumeclaim "c" not found.'


def test_a_pod_waits_until_its_claim_is_bound() -> None:
    """upstream: plugins/volumebinding: ErrUnboundImmediatePVC, "pod has unbound immediate PersistentVolumeClaims"."""
    one = put(lab(*STORAGE), claim(), using("c"))
    assert why(one) == "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    put(one, volume("v"))
    assert node_of(one), "it was tried again as soon as the claim was bound"


def test_a_claim_on_its_way_out_takes_no_more_pods() -> None:
    """upstream: plugins/volumebinding: "persistentvolumeclaim … is being deleted"."""
    one = put(lab(*STORAGE), volume("v"), claim(), using("c", name="first"))
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    put(one, using("c"))
    assert why(one) == '0/3 nodes are available: persistentvolumeclaim "c" is being deleted.'


def test_a_claim_that_has_lost_its_volume_takes_no_pods() -> None:
    """upstream: plugins/volumebinding: "persistentvolumeclaim … bound to non-existent persistentvolume …"."""
    one = put(lab(*STORAGE), volume("v"), claim())
    one.client.delete("persistentvolumes", "v")
    one.apply("persistentvolumes", "v", {"metadata": {"finalizers": None}}, "")
    put(one.run(), using("c"))
    said = 'persistentvolumeclaim "c" bound to non-existent persistentvolume "v"'
    assert why(one) == f"0/3 nodes are available: {said}."


def test_a_pod_waits_for_its_own_claim_to_be_made() -> None:
    """docs: concepts/storage/ephemeral-volumes; plugins/volumebinding: "waiting for ephemeral volume controller to
    create the persistentvolumeclaim …"."""
    template = {"volumeClaimTemplate": {"spec": claim()["spec"]}}
    one = put(lab(), pod("p", volumes=[{"name": "scratch", "ephemeral": template}]))
    said = 'waiting for ephemeral volume controller to create the persistentvolumeclaim "p-scratch"'
    assert why(one) == f"0/3 nodes are available: {said}."


def test_a_waiting_pod_costs_nothing_while_nothing_happens() -> None:
    """k8snb: no hot loop."""
    one = put(lab(*STORAGE), claim(), using("c"))
    one.wait(700)
    revision = one.store.revision
    attempts = one.controller.queue._pods["default/p"].attempts
    one.wait(60)
    assert (one.store.revision, one.controller.queue._pods["default/p"].attempts) == (revision, attempts)


# volumes that are somewhere


def test_a_pod_goes_where_its_volume_is() -> None:
    """docs: concepts/storage/persistent-volumes (Node Affinity); e2e: test/e2e/storage/persistent_volumes-local.go
    "should fail scheduling due to different NodeAffinity"."""
    one = put(lab(*STORAGE), volume("v", **on("n2")), claim(), using("c"))
    assert node_of(one) == "n2"


def test_a_pod_that_its_volume_cannot_follow_waits() -> None:
    """upstream: plugins/volumebinding: ErrReasonNodeConflict, "node(s) had volume node affinity conflict"."""
    one = put(
        lab(*STORAGE), volume("v", **on("n2")), claim(), using("c", nodeSelector={"kubernetes.io/hostname": "n1"})
    )
    assert why(one) == (
        "0/3 nodes are available: 1 node(s) had volume node affinity conflict, "
        "2 node(s) didn't match Pod's node affinity/selector."
    )


def test_a_volume_of_a_zone_draws_its_pod_there() -> None:
    """upstream: plugins/volumezone."""
    one = put(lab(*STORAGE), volume("v", labels={"topology.kubernetes.io/zone": "zone-1__zone-7"}), claim(), using("c"))
    assert node_of(one) == "n1"


def test_no_node_in_the_volumes_zone_is_said_so() -> None:
    """upstream: plugins/volumezone: ErrReasonConflict, "node(s) had no available volume zone"."""
    one = put(lab(*STORAGE), volume("v", labels={"topology.kubernetes.io/zone": "moon"}), claim(), using("c"))
    assert why(one) == "0/3 nodes are available: 3 node(s) had no available volume zone."


# volumes that wait for their pod


def test_a_local_volume_is_bound_on_the_node_that_the_pod_gets() -> None:
    """docs: concepts/storage/volumes (local); e2e: persistent_volumes-local.go "StatefulSet with pod affinity"."""
    one = put(lab(*STORAGE), storage_class("local", NO_PROVISIONER))
    for number in range(3):
        put(one, volume(f"v{number}", storageClassName="local", **on(f"n{number}")))
    put(one, claim(storageClassName="local"))
    assert volume_of(one) == ""
    put(one, using("c", nodeSelector={"kubernetes.io/hostname": "n1"}))
    assert (volume_of(one), node_of(one)) == ("v1", "n1")


def test_the_pod_is_bound_only_after_its_claims() -> None:
    """upstream: plugins/volumebinding: PreBind."""
    one = put(lab(*STORAGE), storage_class("local", NO_PROVISIONER), volume("v", storageClassName="local", **on("n1")))
    put(one, claim(storageClassName="local"), using("c"))
    bound = next(
        each.revision
        for each in one.store.history()
        if each.sort == "PUT" and "bind-completed" in str(annotations_of(each.value))
    )
    placed = next(each.revision for each in one.store.history() if each.origin.verb == "create binding")
    assert bound < placed


def test_nodes_without_a_volume_to_bind_are_passed_over() -> None:
    """upstream: plugins/volumebinding: ErrReasonBindConflict, "node(s) didn't find available persistent volumes to
    bind"."""
    one = put(lab(*STORAGE), storage_class("local", NO_PROVISIONER), volume("v", storageClassName="local", **on("n9")))
    put(one, claim(storageClassName="local"), using("c"))
    assert why(one) == "0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind."
    put(one, volume("w", storageClassName="local", **on("n2")))
    assert node_of(one) == "n2"


def test_two_pods_do_not_get_one_volume() -> None:
    """upstream: plugins/volumebinding/assume_cache.go."""
    one = put(lab(*STORAGE), storage_class("local", NO_PROVISIONER))
    for number in range(2):
        put(one, volume(f"v{number}", storageClassName="local", **on(f"n{number}")))
    for each in ("a", "b"):
        one.client.create("persistentvolumeclaims", claim(each, storageClassName="local"))
        one.client.create("pods", using(each, name=each))
    one.run()
    assert {node_of(one, "a"), node_of(one, "b")} == {"n0", "n1"}
    assert {volume_of(one, "a"), volume_of(one, "b")} == {"v0", "v1"}


def test_all_claims_of_a_pod_are_met_on_one_node() -> None:
    """upstream: plugins/volumebinding/binder.go: FindPodVolumes."""
    one = put(lab(*STORAGE), storage_class("local", NO_PROVISIONER))
    for name, size, node in (("a0", "1Gi", "n0"), ("a1", "1Gi", "n1"), ("b1", "5Gi", "n1"), ("b2", "5Gi", "n2")):
        put(one, volume(name, size, storageClassName="local", **on(node)))
    put(one, claim("a", storageClassName="local"), claim("b", "4Gi", storageClassName="local"), using("a", "b"))
    assert node_of(one) == "n1"
    assert (volume_of(one, "a"), volume_of(one, "b")) == ("a1", "b1")


def test_two_claims_of_a_pod_do_not_get_one_volume() -> None:
    """upstream: plugins/volumebinding/binder.go: findMatchingVolumes, chosenPVs."""
    one = put(lab(*STORAGE), storage_class("local", NO_PROVISIONER))
    for name in ("v", "w"):
        put(one, volume(name, storageClassName="local", **on("n1")))
    put(one, claim("a", storageClassName="local"), claim("b", storageClassName="local"), using("a", "b"))
    assert node_of(one) == "n1"
    assert {volume_of(one, "a"), volume_of(one, "b")} == {"v", "w"}


def test_a_volume_that_was_reserved_for_the_claim_is_used_or_none() -> None:
    """docs: concepts/storage/persistent-volumes (Reserving a PersistentVolume)."""
    one = put(lab(*STORAGE), storage_class("local", NO_PROVISIONER))
    put(one, volume("free", storageClassName="local", **on("n1")))
    reserved = {"claimRef": {"namespace": "default", "name": "c"}}
    put(one, volume("mine", storageClassName="local", **reserved, **on("n2")))
    put(one, claim(storageClassName="local"), using("c", nodeSelector={"kubernetes.io/hostname": "n1"}))
    assert node_of(one) == ""
    assert volume_of(one) == "mine", "a reservation does not wait for a consumer"


def test_a_reservation_that_cannot_be_reached_means_that_nothing_fits() -> None:
    """upstream: `FindMatchingVolume` in component-helpers/storage/volume/pv_helpers.go."""
    asked = claim()
    asked["metadata"]["uid"] = "1"
    free = {**volume("free"), "status": {"phase": "Available"}}
    mine = volume("mine", claimRef={"namespace": "default", "name": "c"}, **on("n2"))
    assert best_match(asked, [free, mine], place=Place("n1", {"kubernetes.io/hostname": "n1"})) is None
    assert best_match(asked, [free, mine], place=Place("n2", {"kubernetes.io/hostname": "n2"})) is mine


def test_a_volume_is_made_for_the_node_that_the_pod_gets() -> None:
    """docs: concepts/storage/storage-classes (Volume binding mode)."""
    one = put(lab(*STORAGE), storage_class("cloud", Cloud.name), claim(storageClassName="cloud"))
    put(one, using("c", nodeSelector={"kubernetes.io/hostname": "n2"}))
    assert node_of(one) == "n2"
    found = one.get("persistentvolumeclaims", "c")
    assert annotations_of(found)["volume.kubernetes.io/selected-node"] == "n2"
    assert found["status"]["phase"] == "Bound"


def test_a_class_that_does_not_reach_a_node_is_not_used_there() -> None:
    """docs: storage-classes (Allowed topologies)."""
    expression = {"key": "topology.kubernetes.io/zone", "values": ["zone-1"]}
    topologies = {"allowedTopologies": [{"matchLabelExpressions": [expression]}]}
    one = put(lab(*STORAGE), storage_class("cloud", Cloud.name, **topologies), claim(storageClassName="cloud"))
    assert node_of(put(one, using("c"))) == "n1"


def test_a_pod_whose_volume_is_not_made_in_ten_minutes_is_tried_again() -> None:
    """docs: reference/scheduling/config (VolumeBindingArgs.bindTimeoutSeconds)."""
    cloud = Cloud()
    cloud.broken = "out of disks"
    one = put(
        lab(*STORAGE, cloud=cloud), storage_class("cloud", Cloud.name), claim(storageClassName="cloud"), using("c")
    )
    assert (node_of(one), one.events("FailedScheduling")) == ("", [])
    one.wait(605)
    assert "binding volumes: context deadline exceeded" in one.events("FailedScheduling")
    cloud.broken = ""
    one.wait(1200)
    assert node_of(one)


def test_a_provisioner_that_gives_a_node_back_sends_the_pod_elsewhere() -> None:
    """upstream: plugins/volumebinding/binder.go: checkBindings, the selected-node annotation was removed."""
    cloud = Cloud()
    cloud.broken = "not on this node"
    one = put(
        lab(*STORAGE, cloud=cloud), storage_class("cloud", Cloud.name), claim(storageClassName="cloud"), using("c")
    )
    cloud.broken = ""
    taken_back = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": None}}}
    one.apply("persistentvolumeclaims", "c", taken_back)
    one.run()
    assert one.events("FailedScheduling")[0] == 'binding volumes: selectedNode annotation reset for PVC "c"'
    assert node_of(one)


def test_a_pod_that_goes_while_it_waits_for_its_volume_takes_no_room() -> None:
    """upstream: plugins/volumebinding: Unreserve."""
    cloud = Cloud()
    cloud.broken = "wait"
    big = {"containers": [container(resources={"requests": {"cpu": "3"}})]}
    one = put(lab(*STORAGE, nodes=1, cloud=cloud), storage_class("cloud", Cloud.name), claim(storageClassName="cloud"))
    put(one, using("c", **big))
    one.client.delete("pods", "p", "default")
    one.run()
    put(one, pod("next", **big))
    assert node_of(one, "next") == "n0"


def test_a_pod_of_the_same_name_starts_anew() -> None:
    """upstream: pkg/scheduler/eventhandlers.go: a pod is known by its UID."""
    cloud = Cloud()
    cloud.broken = "wait"
    one = put(lab(*STORAGE, cloud=cloud), storage_class("cloud", Cloud.name))
    put(one, claim(storageClassName="cloud"), using("c"))
    one.client.delete("pods", "p", "default")
    one.client.delete("persistentvolumeclaims", "c", "default")
    one.run()
    cloud.broken = ""
    put(one, claim(storageClassName="cloud"), using("c"))
    assert node_of(one)
    assert one.events("FailedScheduling") == []


def test_other_pods_are_scheduled_while_one_waits_for_its_volume() -> None:
    """docs: concepts/scheduling-eviction/scheduling-framework (Scheduling cycle & binding cycle): binding cycles may
    run concurrently."""
    cloud = Cloud()
    cloud.broken = "wait"
    one = put(
        lab(*STORAGE, cloud=cloud), storage_class("cloud", Cloud.name), claim(storageClassName="cloud"), using("c")
    )
    assert node_of(put(one, pod("next")), "next")


def test_published_capacity_is_heeded() -> None:
    """KEP-1472, storage capacity tracking."""
    one = put(lab(*STORAGE), storage_class("cloud", Cloud.name), claim(size="5Gi", storageClassName="cloud"))
    one.client.create("csidrivers", {"metadata": {"name": Cloud.name}, "spec": {"storageCapacity": True}})
    put(one, using("c"))
    assert why(one) == "0/3 nodes are available: 3 node(s) did not have enough free storage."
    topology = {"matchLabels": {"kubernetes.io/hostname": "n2"}}
    room = {"metadata": {"name": "n2"}, "storageClassName": "cloud", "nodeTopology": topology, "capacity": "9Gi"}
    one.client.create("csistoragecapacities", room, "default")
    one.run()
    assert node_of(one) == "n2"


# how many


def test_a_claim_for_one_pod_has_one_pod_in_the_whole_cluster() -> None:
    """docs: persistent-volumes (Access Modes): ReadWriteOncePod; plugins/volumerestrictions."""
    one = put(lab(*STORAGE), volume("v", accessModes=["ReadWriteOncePod"]), claim(mode="ReadWriteOncePod"))
    one.client.create("pods", using("c", name="first"))
    put(one, using("c", name="second"))
    placed = {name: bool(node_of(one, name)) for name in ("first", "second")}
    assert sorted(placed.values()) == [False, True]
    waiting, running = sorted(placed, key=lambda name: placed[name])
    conflict = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
    assert why(one, waiting) == f"0/3 nodes are available: 3 {conflict}."
    one.client.delete("pods", running, "default", gracePeriodSeconds=0)
    one.run()
    assert node_of(one, waiting)


def test_a_node_takes_no_more_volumes_than_its_driver_allows() -> None:
    """docs: concepts/storage/storage-limits; plugins/nodevolumelimits."""
    one = put(lab(*STORAGE, nodes=1), storage_class("cloud", Cloud.name))
    drivers = [{"name": Cloud.name, "nodeID": "n0", "topologyKeys": [], "allocatable": {"count": 2}}]
    one.client.create("csinodes", {"metadata": {"name": "n0"}, "spec": {"drivers": drivers}})
    for number in range(3):
        one.client.create("persistentvolumeclaims", claim(f"c{number}", storageClassName="cloud"))
        one.client.create("pods", using(f"c{number}", name=f"p{number}"))
    one.run()
    waiting = [name_of(each) for each in one.pods() if not each["spec"].get("nodeName")]
    assert len(waiting) == 1
    assert why(one, waiting[0]) == "0/1 nodes are available: 1 node(s) exceed max volume count."


def test_a_volume_counts_once_however_many_pods_use_it() -> None:
    """upstream: plugins/nodevolumelimits/csi.go: unique volume names."""
    one = put(lab(*STORAGE, nodes=1), storage_class("cloud", Cloud.name), claim(storageClassName="cloud"))
    drivers = [{"name": Cloud.name, "nodeID": "n0", "topologyKeys": [], "allocatable": {"count": 1}}]
    one.client.create("csinodes", {"metadata": {"name": "n0"}, "spec": {"drivers": drivers}})
    put(one, using("c", name="a"), using("c", name="b"))
    assert node_of(one, "a") == node_of(one, "b") == "n0"


def test_what_is_on_the_node_already_is_no_more_to_carry() -> None:
    """upstream: plugins/nodevolumelimits/csi.go: attachedVolumes."""
    one = put(lab(*STORAGE, nodes=1), storage_class("cloud", Cloud.name))
    for each in ("a", "b"):
        put(one, claim(each, storageClassName="cloud"), using(each, name=each))
    drivers = [{"name": Cloud.name, "nodeID": "n0", "topologyKeys": [], "allocatable": {"count": 1}}]
    one.client.create("csinodes", {"metadata": {"name": "n0"}, "spec": {"drivers": drivers}})
    put(one, using("a", name="again"))
    assert node_of(one, "again") == "n0"


def test_the_verdicts_are_kept() -> None:
    """k8snb: every decision is kept."""
    one = put(lab(*STORAGE), volume("v", **on("n9")), claim(), using("c"))
    decision = one.controller.why(one.get("pods", "p"))
    assert decision.refusals["n0"] == ("VolumeBinding", "node(s) had volume node affinity conflict")
