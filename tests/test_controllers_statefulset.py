"""statefulset-controller: each pod has a name, a place in the order and claims of its own.

The laws are those of the documentation (kubernetes.io/docs/concepts/workloads/controllers/statefulset, here "docs"),
of the e2e tests (test/e2e/apps/statefulset.go, "e2e") and of the controller's own unit tests
(pkg/controller/statefulset/stateful_set_control_test.go, "unit").
"""

from __future__ import annotations

from typing import Any

import pytest
from controllers_lab import Lab, image_patch, pod, template

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, controller_of, controller_reference, is_deleting, name_of, with_path
from k8snb.client.client import MERGE
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.controllers.garbagecollector import GarbageCollector
from k8snb.controllers.history import history_hash, new_revision, restored, snapshot
from k8snb.controllers.pvcprotection import PVCProtectionController
from k8snb.controllers.statefulset import HASH, StatefulSetController, budget
from k8snb.controllers.statefulset_pods import REVISION

CLAIM = {
    "metadata": {"name": "data", "labels": {"tier": "disk"}},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
CLAIMS = "persistentvolumeclaims"


def stateful_set(replicas: int = 3, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "serviceName": "nginx",
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            **spec,
        },
    }


def rolling(**how: Any) -> Object:
    return {"type": "RollingUpdate", "rollingUpdate": how}


def lab(*more: Any) -> Lab:
    return Lab(StatefulSetController, *more).start()


def made(replicas: int = 3, *more: Any, **spec: Any) -> Lab:
    """With a set, before any pod is ready."""
    one = lab(*more)
    one.client.create("statefulsets", stateful_set(replicas, **spec))
    return one.run()


def up(replicas: int = 3, *more: Any, **spec: Any) -> Lab:
    """With a set whose pods are all ready."""
    return made(replicas, *more, **spec).roll_to_the_end()


def bound(replicas: int = 3, **spec: Any) -> Lab:
    """With a set whose pods run on a node, so that they take their time to end."""
    one = made(replicas, **spec)
    for _ in range(replicas):
        for each in one.pods():
            if "nodeName" not in each["spec"]:
                one.bind(name_of(each), "n1")
        one.all_ready()
    return one


def change(one: Lab, **spec: Any) -> Lab:
    one.apply("statefulsets", "web", {"spec": spec}, content_type=MERGE)
    return one.run()


def new_image(one: Lab, image: str = "nginx:2") -> Lab:
    one.apply("statefulsets", "web", image_patch(image))
    return one.run()


def status(one: Lab) -> Object:
    found: Object = one.get("statefulsets", "web")["status"]
    return found


def images(one: Lab) -> dict[str, str]:
    return {name_of(each): each["spec"]["containers"][0]["image"] for each in one.pods()}


def ready(one: Lab, *names: str) -> Lab:
    for name in names:
        one.set_ready(one.get("pods", name))
    return one.run()


def finish(one: Lab, name: str) -> Lab:
    """The kubelet has ended a pod."""
    one.client.delete("pods", name, "default", gracePeriodSeconds=0)
    return one.run()


def revisions(one: Lab) -> dict[int, Object]:
    return {each["revision"]: each for each in one.client.items("controllerrevisions", "default")}


def writes_nothing(one: Lab) -> None:
    before = one.store.revision
    one.restart()
    assert one.store.revision == before


# names and order


def test_pods_are_made_in_order_each_when_the_one_before_is_ready() -> None:
    """docs: Deployment and Scaling Guarantees."""
    one = made()
    assert one.names("pods") == ["web-0"]
    assert one.wait(60).names("pods") == ["web-0"]
    assert ready(one, "web-0").names("pods") == ["web-0", "web-1"]
    assert ready(one, "web-1").names("pods") == ["web-0", "web-1", "web-2"]


def test_in_parallel_all_pods_are_made_at_once() -> None:
    """docs: Parallel Pod Management; e2e: "Burst scaling should run to completion even with unhealthy pods"."""
    one = made(5, podManagementPolicy="Parallel")
    assert one.names("pods") == [f"web-{at}" for at in range(5)]


def test_a_pod_knows_its_name_its_number_and_its_service() -> None:
    """docs: Stable Network ID, Pod Name Label, Pod index label."""
    one = made()
    first = one.get("pods", "web-0")
    assert first["spec"]["hostname"] == "web-0"
    assert first["spec"]["subdomain"] == "nginx"
    assert first["metadata"]["labels"] == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "web-0",
        "apps.kubernetes.io/pod-index": "0",
        "controller-revision-hash": status(one)["updateRevision"],
    }
    assert controller_of(first)["name"] == "web"


def test_the_pods_of_a_template_share_their_containers() -> None:
    """k8snb: what a template says is kept once."""
    specs = [each["spec"] for each in up().pods()]
    assert all(spec["containers"] is specs[0]["containers"] for spec in specs)


def test_ordinals_may_start_elsewhere() -> None:
    """docs: Start ordinal; unit: TestStatefulSetControlWithStartOrdinal."""
    one = up(2, ordinals={"start": 5})
    assert one.names("pods") == ["web-5", "web-6"]
    change(one, ordinals={"start": 6}).roll_to_the_end()
    assert one.names("pods") == ["web-6", "web-7"]


def test_events_tell_of_pods_and_claims() -> None:
    """pkg/controller/statefulset/stateful_pod_control.go: recordPodEvent, recordClaimEvent."""
    one = made(1, volumeClaimTemplates=[CLAIM])
    assert one.events("SuccessfulCreate") == [
        "create Claim data-web-0 Pod web-0 in StatefulSet web success",
        "create Pod web-0 in StatefulSet web successful",
    ]
    change(one, replicas=0)
    assert one.events("SuccessfulDelete") == ["delete Pod web-0 in StatefulSet web successful"]


def test_the_status_counts() -> None:
    """pkg/controller/statefulset: computeReplicaStatus."""
    one = up()
    name = name_of(revisions(one)[1])
    assert status(one) == {
        "observedGeneration": 1,
        "replicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "currentReplicas": 3,
        "updatedReplicas": 3,
        "currentRevision": name,
        "updateRevision": name,
        "collisionCount": 0,
    }


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"podManagementPolicy": "Parallel"},
        {"volumeClaimTemplates": [CLAIM]},
        {
            "volumeClaimTemplates": [CLAIM],
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"},
        },
        {"updateStrategy": {"type": "OnDelete"}},
        {"updateStrategy": rolling(partition=1, maxUnavailable=2)},
    ],
)
def test_a_second_sync_writes_nothing(spec: Object) -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = made(**spec)
    writes_nothing(one)
    one.roll_to_the_end()
    writes_nothing(one)
    new_image(one)
    writes_nothing(one)
    one.roll_to_the_end()
    writes_nothing(one)
    change(one, replicas=1).roll_to_the_end()
    writes_nothing(one)


# scaling


def test_pods_go_in_reverse_order_one_at_a_time() -> None:
    """docs: Deployment and Scaling Guarantees: web-2 is gone before web-1 begins to end."""
    one = bound()
    change(one, replicas=1)
    assert [name_of(each) for each in one.pods() if is_deleting(each)] == ["web-2"]
    finish(one, "web-2")
    assert [name_of(each) for each in one.pods() if is_deleting(each)] == ["web-1"]
    finish(one, "web-1")
    assert one.names("pods") == ["web-0"]


def test_scaling_halts_while_a_pod_is_not_well() -> None:
    """e2e: "Scaling should happen in predictable order and halt if any stateful pod is unhealthy"."""
    one = bound()
    one.set_ready(one.get("pods", "web-0"), False)
    change(one, replicas=4)
    assert one.names("pods") == ["web-0", "web-1", "web-2"]
    change(one, replicas=1)
    assert not any(map(is_deleting, one.pods()))
    ready(one, "web-0")
    assert is_deleting(one.get("pods", "web-2"))


def test_the_first_pod_that_is_not_well_may_be_the_one_that_goes() -> None:
    """pkg/controller/statefulset: processCondemned."""
    one = up()
    one.set_ready(one.get("pods", "web-2"), False)
    assert change(one, replicas=2).names("pods") == ["web-0", "web-1"]


def test_in_parallel_pods_go_at_once_even_when_others_are_not_well() -> None:
    """e2e: "Burst scaling should run to completion even with unhealthy pods"."""
    one = up(podManagementPolicy="Parallel")
    one.set_ready(one.get("pods", "web-0"), False)
    assert change(one, replicas=1).names("pods") == ["web-0"]


def test_scaling_comes_before_updating() -> None:
    """pkg/controller/statefulset/stateful_set_control.go: "scaling will take precedence over updates"."""
    one = bound()
    change(one, replicas=2, template=template("nginx:2"))
    assert [name_of(each) for each in one.pods() if is_deleting(each)] == ["web-2"]


# pods that end


def test_a_deleted_pod_comes_back_under_its_name_when_it_has_gone() -> None:
    """docs: Pod Identity; e2e: "should provide basic identity"."""
    one = bound()
    before = one.get("pods", "web-1")
    one.client.delete("pods", "web-1", "default")
    one.run()
    assert is_deleting(one.get("pods", "web-1")) and len(one.pods()) == 3
    finish(one, "web-1")
    after = one.get("pods", "web-1")
    assert after["metadata"]["uid"] != before["metadata"]["uid"] and not is_deleting(after)


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_is_made_again(phase: str) -> None:
    """e2e: "Should recreate evicted statefulset"; since 1.31 without an event of its own."""
    one = up()
    before = one.get("pods", "web-1")
    one.set_ready(before, False, phase=phase)
    one.run()
    after = one.get("pods", "web-1")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert one.events("SuccessfulDelete") == ["delete Pod web-1 in StatefulSet web successful"]


def test_a_pod_that_loses_its_name_label_gets_it_back() -> None:
    """pkg/controller/statefulset: identityMatches."""
    one = up()
    gone = {"metadata": {"labels": {"statefulset.kubernetes.io/pod-name": None}}}
    one.apply("pods", "web-1", gone, content_type=MERGE)
    one.run()
    assert one.get("pods", "web-1")["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "web-1"
    assert one.events("SuccessfulUpdate") == ["update Pod web-1 in StatefulSet web successful"]


def test_a_set_on_its_way_out_makes_no_pods() -> None:
    """pkg/controller/statefulset: "don't do anything other than updating status"."""
    one = made()
    one.apply("statefulsets", "web", {"metadata": {"finalizers": ["example.com/wait"]}})
    one.client.delete("statefulsets", "web", "default")
    one.run()
    assert ready(one, "web-0").names("pods") == ["web-0"]
    assert status(one)["readyReplicas"] == 1


def test_a_refused_pod_is_told_and_tried_again() -> None:
    """upstream: recordPodEvent: Failed… with the refusal's words."""
    one = lab()
    wanted = stateful_set()
    wanted["spec"]["template"]["spec"]["serviceAccountName"] = "robot"
    one.client.create("statefulsets", wanted)
    one.wait(1)
    (told,) = set(one.events("FailedCreate"))
    start = 'create Pod web-0 in StatefulSet web failed error: pods "web-0" is forbidden: '
    assert told.startswith(start) and 'serviceaccount "robot" not found' in told
    one.client.create("serviceaccounts", {"metadata": {"name": "robot"}}, "default")
    assert one.wait(120).names("pods") == ["web-0"]


# whose pods they are


def test_an_orphan_of_the_right_name_is_adopted_and_any_other_is_not() -> None:
    """e2e: "should adopt matching orphans and release non-matching pods"; isMemberOf."""
    one = lab()
    for name in ("web-0", "stray-0", "web"):
        one.client.create("pods", pod(name))
    one.client.create("statefulsets", stateful_set(1))
    one.run()
    assert controller_of(one.get("pods", "web-0"))["kind"] == "StatefulSet"
    assert controller_of(one.get("pods", "stray-0")) is None
    assert controller_of(one.get("pods", "web")) is None


def test_a_pod_whose_labels_no_longer_match_is_released_and_its_name_waited_for() -> None:
    """e2e: "should adopt matching orphans and release non-matching pods"."""
    one = up()
    one.apply("pods", "web-2", {"metadata": {"labels": {"app": "debug"}}})
    one.wait(1)
    assert controller_of(one.get("pods", "web-2")) is None
    one.client.delete("pods", "web-2", "default")
    one.wait(60)
    assert controller_of(one.get("pods", "web-2"))["name"] == "web"


# claims


def test_each_pod_has_claims_of_its_own_that_are_there_before_it() -> None:
    """docs: Stable Storage; the claim's labels are the template's and the selector's."""
    one = up(2, volumeClaimTemplates=[CLAIM])
    assert one.names(CLAIMS) == ["data-web-0", "data-web-1"]
    claim, first = one.get(CLAIMS, "data-web-0"), one.get("pods", "web-0")
    assert claim["metadata"]["labels"] == {"tier": "disk", "app": "web"}
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert first["spec"]["volumes"][0] == {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}}
    assert int(claim["metadata"]["resourceVersion"]) < int(first["metadata"]["resourceVersion"])


def test_a_claim_takes_the_place_of_a_volume_of_its_name() -> None:
    """API reference: "A claim in this list takes precedence over any volumes in the template, with the same name"."""
    wanted = stateful_set(1, volumeClaimTemplates=[CLAIM])
    volumes = [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    one = lab()
    one.client.create("statefulsets", with_path(wanted, "spec.template.spec.volumes", volumes))
    one.run()
    assert [list(volume)[1] for volume in one.get("pods", "web-0")["spec"]["volumes"]] == [
        "persistentVolumeClaim",
        "emptyDir",
        "projected",  # the service account's token
    ]


def test_claims_stay_when_pods_and_sets_go() -> None:
    """docs: "Deleting and/or scaling a StatefulSet down will not delete the volumes"."""
    one = up(3, GarbageCollector, volumeClaimTemplates=[CLAIM])
    before = one.client.items(CLAIMS, "default")
    change(one, replicas=1)
    change(one, replicas=3).roll_to_the_end()
    one.client.delete("statefulsets", "web", "default", propagationPolicy="Background")
    one.run()
    assert one.names("pods") == []
    assert one.client.items(CLAIMS, "default") == before


@pytest.mark.parametrize(
    ("deleted", "scaled", "by_set", "by_pod"),
    [
        ("Retain", "Retain", False, False),
        ("Delete", "Retain", True, False),
        ("Retain", "Delete", False, True),
        ("Delete", "Delete", True, True),
    ],
)
def test_the_retention_policy_says_with_whom_a_claim_goes(
    deleted: str, scaled: str, by_set: bool, by_pod: bool
) -> None:
    """docs: PersistentVolumeClaim retention; e2e: "Non-retain StatefulSetPersistentVolumeClaimPolicy"."""
    policy = {"whenDeleted": deleted, "whenScaled": scaled}
    one = up(
        2,
        GarbageCollector,
        PVCProtectionController,
        volumeClaimTemplates=[CLAIM],
        persistentVolumeClaimRetentionPolicy=policy,
    )
    owner = controller_of(one.get(CLAIMS, "data-web-0"))
    assert (owner is not None and owner["kind"] == "StatefulSet") is by_set
    change(one, replicas=1)
    assert ("data-web-1" not in one.names(CLAIMS)) is by_pod
    one.client.delete("statefulsets", "web", "default", propagationPolicy="Background")
    one.run()
    assert ("data-web-0" not in one.names(CLAIMS)) is by_set


def test_a_claim_goes_only_after_its_pod() -> None:
    """docs: "the PVCs … are deleted only after the Pod has been deleted"."""
    policy = {"whenDeleted": "Retain", "whenScaled": "Delete"}
    one = bound(2, volumeClaimTemplates=[CLAIM], persistentVolumeClaimRetentionPolicy=policy)
    change(one, replicas=1)
    owner = controller_of(one.get(CLAIMS, "data-web-1"))
    assert owner["kind"] == "Pod" and owner["uid"] == one.get("pods", "web-1")["metadata"]["uid"]


def test_a_policy_can_be_changed_later() -> None:
    """docs: policies "only apply … when Pods are being removed"; KEP-1847."""
    one = up(1, volumeClaimTemplates=[CLAIM])
    change(one, persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete", "whenScaled": "Retain"})
    assert controller_of(one.get(CLAIMS, "data-web-0"))["kind"] == "StatefulSet"
    change(one, persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"})
    assert controller_of(one.get(CLAIMS, "data-web-0")) is None


def test_a_claim_of_another_controller_is_left_alone() -> None:
    """upstream: isClaimOwnerUpToDate: a claim that somebody else controls."""
    one = lab()
    other = one.client.create(
        "configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "o"}}, "default"
    )
    theirs = {"name": "data-web-0", "ownerReferences": [controller_reference(other)]}
    one.client.create(CLAIMS, {**CLAIM, "metadata": theirs}, "default")
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    one.client.create(
        "statefulsets", stateful_set(1, volumeClaimTemplates=[CLAIM], persistentVolumeClaimRetentionPolicy=policy)
    )
    one.run()
    assert one.get(CLAIMS, "data-web-0")["metadata"]["ownerReferences"] == theirs["ownerReferences"]


def test_a_pod_waits_for_the_end_of_a_claim_that_belongs_to_its_forerunner() -> None:
    """upstream: PodClaimIsStale: scaled away and back before the garbage collector came."""
    policy = {"whenDeleted": "Retain", "whenScaled": "Delete"}
    one = up(2, PVCProtectionController, volumeClaimTemplates=[CLAIM], persistentVolumeClaimRetentionPolicy=policy)
    change(one, replicas=1)
    assert one.names("pods") == ["web-0"] and "data-web-1" in one.names(CLAIMS)
    change(one, replicas=2)
    assert one.names("pods") == ["web-0"]
    one.client.delete(CLAIMS, "data-web-1", "default")
    assert one.run().names("pods") == ["web-0", "web-1"]
    assert controller_of(one.get(CLAIMS, "data-web-1")) is None


def test_no_pod_is_made_on_a_claim_that_is_going() -> None:
    """upstream: createPersistentVolumeClaims: "pvc … is being deleted"."""
    one = lab()
    going = {"name": "data-web-0", "labels": {"app": "web"}, "finalizers": ["example.com/wait"]}
    one.client.create(CLAIMS, {**CLAIM, "metadata": going}, "default")
    one.client.delete(CLAIMS, "data-web-0", "default")
    one.client.create("statefulsets", stateful_set(1, volumeClaimTemplates=[CLAIM]))
    one.wait(1)
    assert one.names("pods") == []
    words = "create Pod web-0 in StatefulSet web failed error: pvc data-web-0 is being deleted"
    assert set(one.events("FailedCreate")) == {words}
    one.apply(CLAIMS, "data-web-0", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert one.run().names("pods") == ["web-0"]


def test_a_refused_claim_is_told_twice_of_the_claim_and_of_the_pod() -> None:
    """upstream: recordClaimEvent and recordPodEvent."""
    one = lab()
    bad = with_path(CLAIM, "metadata.name", "Data")
    owner = stateful_set(1, volumeClaimTemplates=[bad])
    one.client.create("statefulsets", owner)
    one.wait(1)
    claim, whole = sorted(set(one.events("FailedCreate")))
    assert claim.startswith("create Claim Data-web-0 for Pod web-0 in StatefulSet web failed error: ")
    assert whole.startswith("create Pod web-0 in StatefulSet web failed error: failed to create PVC Data-web-0: ")
    assert one.names("pods") == []


def test_a_pending_pod_gets_back_a_claim_that_was_deleted() -> None:
    """upstream: createMissingPersistentVolumeClaims."""
    one = made(1, PVCProtectionController, volumeClaimTemplates=[CLAIM])
    before = one.get(CLAIMS, "data-web-0")["metadata"]["uid"]
    one.client.delete(CLAIMS, "data-web-0", "default")
    one.run()
    assert one.get(CLAIMS, "data-web-0")["metadata"]["uid"] != before


# rolling out


def test_a_rollout_goes_from_the_highest_ordinal_down_and_waits_for_each() -> None:
    """docs: Rolling Updates; e2e: "should perform rolling updates and roll backs of template modifications"."""
    one = up()
    new_image(one)
    assert images(one) == {"web-0": "nginx:1.25", "web-1": "nginx:1.25", "web-2": "nginx:2"}
    assert one.wait(60) and images(one)["web-1"] == "nginx:1.25"
    ready(one, "web-2")
    assert images(one)["web-1"] == "nginx:2" and images(one)["web-0"] == "nginx:1.25"
    ready(one, "web-1")
    assert images(one)["web-0"] == "nginx:2"


def test_a_rollout_in_parallel_is_still_one_at_a_time() -> None:
    """docs: "This option only affects the behavior for scaling operations. Updates are not affected"."""
    one = new_image(up(podManagementPolicy="Parallel"))
    assert one.wait(60) and list(images(one).values()) == ["nginx:1.25", "nginx:1.25", "nginx:2"]
    assert list(images(ready(one, "web-2")).values()) == ["nginx:1.25", "nginx:2", "nginx:2"]


def test_the_status_tells_how_far_a_rollout_is() -> None:
    """docs: `currentRevision` becomes `updateRevision` when the last pod is updated and ready."""
    one = up()
    old = status(one)["currentRevision"]
    new_image(one)
    middle = status(one)
    assert middle["currentRevision"] == old != middle["updateRevision"]
    assert (middle["currentReplicas"], middle["updatedReplicas"]) == (2, 1)
    one.roll_to_the_end()
    after = status(one)
    assert after["currentRevision"] == after["updateRevision"] != old
    assert (after["currentReplicas"], after["updatedReplicas"]) == (3, 3)


def test_a_partition_keeps_the_pods_below_it() -> None:
    """docs: Partitioned rolling updates; e2e: "should perform canary updates and phased rolling updates"."""
    one = up(updateStrategy=rolling(partition=2))
    new_image(one).roll_to_the_end()
    assert list(images(one).values()) == ["nginx:1.25", "nginx:1.25", "nginx:2"]
    assert status(one)["currentRevision"] != status(one)["updateRevision"]
    change(one, updateStrategy=rolling(partition=0)).roll_to_the_end()
    assert set(images(one).values()) == {"nginx:2"}


def test_below_the_partition_a_pod_comes_back_as_it_was() -> None:
    """docs: "even if they are deleted, they will be recreated at the previous version"."""
    one = up(updateStrategy=rolling(partition=2))
    new_image(one).roll_to_the_end()
    one.client.delete("pods", "web-0", "default")
    one.client.delete("pods", "web-2", "default")
    one.run().roll_to_the_end()
    assert images(one) == {"web-0": "nginx:1.25", "web-1": "nginx:1.25", "web-2": "nginx:2"}
    assert one.get("pods", "web-0")["metadata"]["labels"][REVISION] == status(one)["currentRevision"]


def test_several_pods_may_be_updated_at_once() -> None:
    """docs: Maximum unavailable Pods (KEP-961)."""
    one = up(5, podManagementPolicy="Parallel", updateStrategy=rolling(maxUnavailable=2))
    new_image(one)
    assert [name for name, image in images(one).items() if image == "nginx:2"] == ["web-3", "web-4"]
    ready(one, "web-4")
    assert [name for name, image in images(one).items() if image == "nginx:2"] == ["web-2", "web-3", "web-4"]


@pytest.mark.parametrize(("amount", "replicas", "pods"), [(2, 5, 2), ("50%", 5, 2), ("10%", 5, 1), ("100%", 3, 3)])
def test_a_percentage_is_rounded_down_but_never_to_nought(amount: int | str, replicas: int, pods: int) -> None:
    """upstream: getStatefulSetMaxUnavailable."""
    assert budget(amount, replicas) == pods


def test_on_delete_a_pod_is_updated_only_when_somebody_deletes_it() -> None:
    """docs: OnDelete; e2e: "should implement legacy replacement when the update strategy is OnDelete"."""
    one = up(updateStrategy={"type": "OnDelete"})
    new_image(one).roll_to_the_end()
    assert set(images(one).values()) == {"nginx:1.25"}
    one.client.delete("pods", "web-1", "default")
    one.run().roll_to_the_end()
    assert images(one) == {"web-0": "nginx:1.25", "web-1": "nginx:2", "web-2": "nginx:1.25"}


def test_a_rollout_waits_until_a_pod_has_been_ready_for_long_enough() -> None:
    """docs: Minimum ready seconds; e2e: "should delete PVCs …", "AvailableReplicas should get updated accordingly"."""
    one = made(2, minReadySeconds=30)
    one.set_ready(one.get("pods", "web-0"))
    one.wait(5)
    assert one.names("pods") == ["web-0"]
    assert (status(one)["readyReplicas"], status(one)["availableReplicas"]) == (1, 0)
    one.wait(30)
    assert one.names("pods") == ["web-0", "web-1"]
    assert status(one)["availableReplicas"] == 1


def test_a_broken_rollout_stays_broken_after_a_rollback_until_its_pod_is_deleted() -> None:
    """docs: Forced rollback."""
    one = up()
    new_image(one, "broken:1")
    new_image(one, "nginx:1.25")
    assert one.wait(600) and images(one)["web-2"] == "broken:1"
    one.client.delete("pods", "web-2", "default")
    one.run().roll_to_the_end()
    assert set(images(one).values()) == {"nginx:1.25"}


# history


def test_each_template_is_kept_as_the_patch_that_brings_it_back() -> None:
    """docs: ControllerRevision; getPatch: `spec.template` with `$patch: replace`."""
    one = up()
    owner, first = one.get("statefulsets", "web"), revisions(one)[1]
    assert first["data"] == snapshot(owner)
    kept = first["data"]["spec"]["template"]
    assert kept["$patch"] == "replace" and kept["metadata"]["creationTimestamp"] is None
    hash_ = history_hash(snapshot(owner), 0)
    assert name_of(first) == f"web-{hash_}"
    assert first["metadata"]["labels"] == {"app": "web", HASH: hash_}
    new_image(one)
    back = one.apply("statefulsets", "web", first["data"])
    assert back["spec"]["template"] == owner["spec"]["template"]
    assert restored(one.get("statefulsets", "web"), revisions(one)[2])["spec"]["template"] != owner["spec"]["template"]


def test_going_back_gives_the_old_revision_the_next_number() -> None:
    """unit: TestStatefulSetControlRollback…; UpdateControllerRevision."""
    one = up()
    name = name_of(revisions(one)[1])
    new_image(one).roll_to_the_end()
    new_image(one, "nginx:1.25").roll_to_the_end()
    assert sorted(revisions(one)) == [2, 3]
    assert name_of(revisions(one)[3]) == name == status(one)["currentRevision"]
    assert set(images(one).values()) == {"nginx:1.25"}


def test_only_so_many_revisions_are_kept_and_those_of_pods_besides() -> None:
    """docs: Revision history; unit: TestStatefulSetControlLimitsHistory."""
    one = up(2, revisionHistoryLimit=1)
    for image in ("nginx:2", "nginx:3", "nginx:4"):
        new_image(one, image).roll_to_the_end()
    assert sorted(revisions(one)) == [3, 4]
    held = up(2, revisionHistoryLimit=0, updateStrategy={"type": "OnDelete"})
    new_image(held)
    held.client.delete("pods", "web-1", "default")
    new_image(held.run(), "nginx:3")
    assert sorted(revisions(held)) == [1, 2, 3]
    held.client.delete("pods", "web-1", "default")
    assert sorted(revisions(held.run())) == [1, 3]


def test_a_name_that_is_taken_is_a_collision_and_the_next_is_tried() -> None:
    """pkg/controller/history: CreateControllerRevision; `status.collisionCount`."""
    trial = up(1)
    first = revisions(trial)[1]
    one = lab()
    stranger = {**first, "metadata": {"name": name_of(first), "namespace": "default"}, "data": {"spec": {}}}
    one.client.create("controllerrevisions", stranger)
    one.client.create("statefulsets", stateful_set(1))
    one.run()
    assert status(one)["collisionCount"] == 1
    assert status(one)["updateRevision"] == f"web-{history_hash(first['data'], 1)}" != name_of(first)


def test_a_set_takes_over_the_history_of_the_one_whose_pods_it_adopts() -> None:
    """docs: deletion with --cascade=orphan; adoptOrphanRevisions."""
    one = up(2, GarbageCollector)
    new_image(one).roll_to_the_end()
    before = {number: name_of(each) for number, each in revisions(one).items()}
    one.client.delete("statefulsets", "web", "default", propagationPolicy="Orphan")
    one.run()
    uids = [each["metadata"]["uid"] for each in one.pods()]
    wanted = stateful_set(2)
    wanted["spec"]["template"] = template("nginx:2")
    one.client.create("statefulsets", wanted)
    one.run()
    assert [each["metadata"]["uid"] for each in one.pods()] == uids
    assert {number: name_of(each) for number, each in revisions(one).items()} == before
    assert all(controller_of(each) for each in revisions(one).values())


def test_a_revision_carries_the_annotations_of_the_set_as_it_was() -> None:
    """upstream: newRevision copies them, so that `kubectl rollout history` shows the change cause."""
    one = lab()
    wanted = stateful_set(1)
    wanted["metadata"]["annotations"] = {"kubernetes.io/change-cause": "first"}
    one.client.create("statefulsets", wanted)
    one.run()
    assert revisions(one)[1]["metadata"]["annotations"] == {"kubernetes.io/change-cause": "first"}


def test_a_long_name_leaves_room_for_the_hash() -> None:
    """upstream: ControllerRevisionName: 223 characters of the prefix."""
    owner = with_path(stateful_set(), "metadata.name", "a" * 240)
    owner["metadata"]["uid"] = "1"
    assert len(name_of(new_revision(owner, 1, HASH, "abc"))) == 227


def test_a_foreign_pod_under_the_name_is_waited_for_without_a_word() -> None:
    """upstream: CreateStatefulPod: "sink already exists errors"."""
    one = lab()
    one.client.create("pods", pod("web-0", {"app": "other"}))
    one.client.create("statefulsets", stateful_set(1))
    one.wait(10)
    assert one.events() == []
    with pytest.raises(ApiError):
        one.get("pods", "web-1")


# in a whole cluster


def test_a_set_goes_its_way_from_the_first_pod_to_the_rollback() -> None:
    """docs/tutorials/stateful-application/basic-stateful-set, with claims and a headless Service."""
    with Cluster(runtime="simulated", clock=VirtualClock(), seed=1, nodes=2) as cluster:
        say = cluster.kubectl.run
        cluster.client.create("statefulsets", stateful_set(2))
        lines = say("rollout status statefulset/web --timeout=120s").text.splitlines()
        assert lines[-1] == "partitioned roll out complete: 2 new pods have been updated..."
        assert "Waiting for 1 pods to be ready..." in lines
        say("set image statefulset/web web=nginx:2")
        lines = say("rollout status statefulset/web --timeout=120s").text.splitlines()
        assert "Waiting for partitioned roll out to finish: 1 out of 2 new pods have been updated..." in lines
        say("rollout undo statefulset/web")
        say("rollout status statefulset/web --timeout=120s")
        pods = cluster.client.items("pods", "default")
        assert [each["spec"]["containers"][0]["image"] for each in pods] == ["nginx:1.25"] * 2
        assert "2 desired | 2 total" in say("describe statefulset web").text
        say("scale statefulset web --replicas=0 --timeout=120s")
        assert cluster.client.items("pods", "default") == []
