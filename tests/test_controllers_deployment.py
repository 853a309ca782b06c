"""deployment-controller: rollouts that keep their promises, and the way back."""

from __future__ import annotations

import pytest
from controllers_lab import Lab, deployment, image_patch, replica_set

from k8snb.apimachinery.meta import Object, annotations_of, condition, controller_of, labels_of, name_of
from k8snb.client.client import MERGE
from k8snb.controllers import deployment_sizes as sizes
from k8snb.controllers.deployment import DeploymentController
from k8snb.controllers.deployment_revisions import ALPHABET, REVISION, template_hash
from k8snb.controllers.deployment_sizes import DESIRED, MAX, replicas_of
from k8snb.controllers.replicaset import ReplicaSetController


def lab(wanted: Object | None = None) -> Lab:
    one = Lab(DeploymentController, ReplicaSetController).start()
    one.client.create("deployments", wanted or deployment())
    return one.run()


def rolled_out(wanted: Object | None = None) -> Lab:
    return lab(wanted).roll_to_the_end()


def patch(one: Lab, change: Object) -> Lab:
    one.apply("deployments", "web", change)
    return one.run()


def sets(one: Lab) -> dict[str, int]:
    """Image → replicas, for each ReplicaSet."""
    return {
        each["spec"]["template"]["spec"]["containers"][0]["image"]: each["spec"]["replicas"]
        for each in one.client.items("replicasets", "default")
    }


def progressing(one: Lab) -> tuple[str, str, str]:
    entry = condition(one.get("deployments", "web"), "Progressing")
    assert entry is not None
    return entry["status"], entry["reason"], entry["message"]


# the first rollout


def test_a_deployment_gets_a_replica_set_named_by_its_templates_hash() -> None:
    """docs: concepts/workloads/controllers/deployment (Pod-template-hash label); pkg/controller/deployment/sync.go:
    getNewReplicaSet."""
    one = lab()
    (each,) = one.client.items("replicasets", "default")
    hashed = labels_of(each)["pod-template-hash"]
    assert name_of(each) == f"web-{hashed}"
    assert each["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": hashed}
    assert controller_of(each)["name"] == "web"
    assert len(one.pods()) == 3
    assert one.events("ScalingReplicaSet") == [f"Scaled up replica set {name_of(each)} from 0 to 3"]


def test_the_same_template_always_has_the_same_hash() -> None:
    """upstream: pkg/controller/controller_utils.go: ComputeHash."""
    template = deployment()["spec"]["template"]
    assert template_hash(template) == template_hash(dict(reversed(template.items())))
    assert template_hash(template) != template_hash(template, 1)
    assert set(template_hash(template)) <= set(ALPHABET)


def test_revision_and_sizes_are_told_in_annotations() -> None:
    """upstream: pkg/controller/deployment/util/deployment_util.go: SetReplicasAnnotations,
    SetNewReplicaSetAnnotations."""
    one = lab()
    (each,) = one.client.items("replicasets", "default")
    assert annotations_of(each) == {REVISION: "1", DESIRED: "3", MAX: "4"}
    assert annotations_of(one.get("deployments", "web"))[REVISION] == "1"


def test_the_status_of_a_finished_rollout() -> None:
    """docs: deployment (Complete Deployment)."""
    one = rolled_out()
    found = one.get("deployments", "web")
    status = dict(found["status"])
    conditions = status.pop("conditions")
    assert status == {
        "observedGeneration": 1,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
    }
    (name,) = one.names("replicasets")
    words = [(entry["type"], entry["status"], entry["reason"], entry["message"]) for entry in conditions]
    assert words == [
        ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        ("Progressing", "True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'),
    ]


def test_unavailable_pods_are_counted_while_it_goes_on() -> None:
    """upstream: pkg/controller/deployment/sync.go: calculateStatus."""
    one = lab()
    status = one.get("deployments", "web")["status"]
    assert status["unavailableReplicas"] == 3
    assert condition(one.get("deployments", "web"), "Available")["reason"] == "MinimumReplicasUnavailable"


def test_a_restarted_controller_writes_nothing() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = rolled_out()
    patch(one, image_patch("nginx:2")).roll_to_the_end()
    revision = one.store.revision
    assert one.restart().store.revision == revision


# rolling update


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "posts"),
    [
        (4, "25%", "25%", (1, 1)),
        (3, "25%", "25%", (1, 0)),
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (5, 0, 0, (0, 1)),
        (5, "1%", "1%", (1, 0)),
        (3, 0, "1%", (0, 1)),
        (2, 1, 9, (1, 2)),
        (0, 1, 1, (1, 0)),
    ],
)
def test_surge_rounds_up_and_unavailable_down(
    replicas: int, surge: int | str, unavailable: int | str, posts: tuple[int, int]
) -> None:
    """docs: deployment (Max Unavailable, Max Surge); deployment_util.go: ResolveFenceposts."""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    assert sizes.fenceposts(deployment(replicas=replicas, strategy=strategy)) == posts


@pytest.mark.parametrize(("surge", "unavailable"), [(1, 0), (0, 1), ("25%", "25%"), ("50%", "50%"), ("100%", 0)])
def test_a_rollout_never_breaks_its_promises(surge: int | str, unavailable: int | str) -> None:
    """docs: deployment (Rolling Update Deployment); e2e: test/e2e/apps/deployment.go "iterative rollouts should
    eventually progress"."""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    one = rolled_out(deployment(replicas=8, strategy=strategy))
    wanted = one.get("deployments", "web")
    patch(one, image_patch("nginx:2"))
    for _ in range(50):
        live = [each for each in one.pods() if "deletionTimestamp" not in each["metadata"]]
        ready = [each for each in live if condition(each, "Ready")]
        assert len(live) <= sizes.ceiling(wanted)
        assert len(ready) >= sizes.floor(wanted)
        waiting = [each for each in live if each not in ready]
        if not waiting:
            break
        one.set_ready(waiting[0])
        one.run()
    assert sets(one) == {"nginx:1.25": 0, "nginx:2": 8}


def test_an_update_makes_a_second_revision_and_keeps_the_first() -> None:
    """docs: deployment (Updating a Deployment)."""
    one = rolled_out()
    patch(one, image_patch("nginx:2")).roll_to_the_end()
    assert sets(one) == {"nginx:1.25": 0, "nginx:2": 3}
    assert annotations_of(one.get("deployments", "web"))[REVISION] == "2"


def test_unhealthy_old_pods_go_first() -> None:
    """upstream: pkg/controller/deployment/rolling.go: cleanupUnhealthyReplicas."""
    one = lab(deployment(replicas=4))
    for each in one.pods()[:3]:
        one.set_ready(each)
    one.run()
    patch(one, image_patch("nginx:2"))
    assert sets(one) == {"nginx:1.25": 3, "nginx:2": 2}
    assert sum(condition(each, "Ready") is not None for each in one.pods()) == 3


def test_a_change_of_labels_alone_on_the_deployment_rolls_nothing_out() -> None:
    """docs: deployment (Updating a Deployment): only a change of the template is a rollout."""
    one = rolled_out()
    patch(one, {"metadata": {"labels": {"team": "a"}}})
    assert len(one.names("replicasets")) == 1


def test_going_back_reuses_the_old_replica_set_under_the_newest_revision() -> None:
    """docs: deployment (Rolling Back to a Previous Revision); e2e: deployment.go "deployment should support
    rollover"."""
    one = rolled_out()
    (first,) = one.names("replicasets")
    patch(one, image_patch("nginx:2")).roll_to_the_end()
    patch(one, image_patch("nginx:1.25")).roll_to_the_end()
    back = one.get("replicasets", first)
    assert back["spec"]["replicas"] == 3
    assert annotations_of(back)[REVISION] == "3"
    assert annotations_of(back)["deployment.kubernetes.io/revision-history"] == "1"
    assert len(one.names("replicasets")) == 2


def test_the_change_cause_is_copied_to_the_replica_set() -> None:
    """docs: deployment (Checking Rollout History of a Deployment): kubernetes.io/change-cause."""
    one = rolled_out()
    patch(one, {**image_patch("nginx:2"), "metadata": {"annotations": {"kubernetes.io/change-cause": "version 2"}}})
    causes = {annotations_of(each).get("kubernetes.io/change-cause") for each in one.client.items("replicasets")}
    assert causes == {None, "version 2"}


def test_only_the_newest_old_revisions_are_kept() -> None:
    """docs: deployment (Clean up Policy); e2e: deployment.go "deployment should delete old replica sets"."""
    one = rolled_out(deployment(replicas=1, revisionHistoryLimit=2))
    for version in range(2, 7):
        patch(one, image_patch(f"nginx:{version}")).roll_to_the_end()
    assert sorted(sets(one)) == ["nginx:4", "nginx:5", "nginx:6"]


# scaling


def test_scaling_changes_the_size_and_no_revision() -> None:
    """docs: deployment (Scaling a Deployment)."""
    one = rolled_out()
    patch(one, {"spec": {"replicas": 5}}).roll_to_the_end()
    assert sets(one) == {"nginx:1.25": 5}
    assert annotations_of(one.get("deployments", "web"))[REVISION] == "1"
    patch(one, {"spec": {"replicas": 0}}).roll_to_the_end()
    assert sets(one) == {"nginx:1.25": 0}


def test_scaling_in_the_middle_of_a_rollout_shares_proportionally() -> None:
    """docs: deployment (Proportional scaling); e2e: deployment.go "deployment should support proportional scaling"."""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    one = rolled_out(deployment(replicas=10, strategy=strategy))
    patch(one, image_patch("nginx:2"))
    assert sets(one) == {"nginx:1.25": 8, "nginx:2": 5}
    patch(one, {"spec": {"replicas": 15}})
    assert sets(one) == {"nginx:1.25": 11, "nginx:2": 7}
    one.roll_to_the_end()
    assert sets(one) == {"nginx:1.25": 0, "nginx:2": 15}


# pause


def test_a_paused_deployment_collects_changes_and_still_scales() -> None:
    """docs: deployment (Pausing and Resuming a rollout of a Deployment)."""
    one = rolled_out()
    patch(one, {"spec": {"paused": True}})
    patch(one, image_patch("nginx:2"))
    patch(one, {"spec": {"replicas": 4}})
    assert sets(one) == {"nginx:1.25": 4}
    assert progressing(one) == ("Unknown", "DeploymentPaused", "Deployment is paused")
    patch(one, {"spec": {"paused": None}}).roll_to_the_end()
    assert sets(one) == {"nginx:1.25": 0, "nginx:2": 4}


# recreate


def test_recreate_ends_all_old_pods_before_the_first_new_one() -> None:
    """docs: deployment (Recreate Deployment); e2e: deployment.go "RecreateDeployment should delete old pods and
    create new ones"."""
    one = rolled_out(deployment(strategy={"type": "Recreate"}))
    for each in one.pods():
        one.bind(name_of(each), "n1")
    one.run()
    patch(one, image_patch("nginx:2"))
    assert sets(one) == {"nginx:1.25": 0}
    old = one.pods()
    assert len(old) == 3 and all("deletionTimestamp" in each["metadata"] for each in old)
    for each in old:
        one.client.delete("pods", name_of(each), "default", gracePeriodSeconds=0)
    one.run()
    assert sets(one) == {"nginx:1.25": 0, "nginx:2": 3}
    assert len(one.pods()) == 3


# progress


def test_a_rollout_that_does_not_move_is_called_stuck_after_its_deadline() -> None:
    """docs: deployment (Failed Deployment): ProgressDeadlineExceeded."""
    one = lab(deployment(progressDeadlineSeconds=60))
    assert progressing(one)[:2] == ("True", "ReplicaSetUpdated")
    one.wait(55)
    assert progressing(one)[:2] == ("True", "ReplicaSetUpdated")
    one.wait(10)
    (name,) = one.names("replicasets")
    message = f'ReplicaSet "{name}" has timed out progressing.'
    assert progressing(one) == ("False", "ProgressDeadlineExceeded", message)


def test_a_stuck_rollout_goes_on_when_its_pods_get_ready() -> None:
    """docs: deployment (Failed Deployment): the condition takes no action, a retry may succeed."""
    one = lab(deployment(progressDeadlineSeconds=60)).wait(70)
    one.roll_to_the_end()
    assert progressing(one)[1] == "NewReplicaSetAvailable"


def test_a_pod_that_dies_later_does_not_make_the_rollout_unfinished() -> None:
    """upstream: pkg/controller/deployment/progress.go: syncRolloutStatus; a complete rollout stays so."""
    one = rolled_out()
    one.client.delete("pods", one.names("pods")[0], "default")
    one.run()
    assert progressing(one)[1] == "NewReplicaSetAvailable"


def test_waiting_for_a_stuck_rollout_does_not_hold_up_settling() -> None:
    """k8snb: settling waits for nobody's deadline."""
    one = lab()
    assert one.clock.now() < 1_700_000_000 + 10


# whose is it


def test_a_matching_replica_set_without_controller_is_adopted() -> None:
    """docs: concepts/architecture/garbage-collection (Owners); e2e: deployment.go "test Deployment ReplicaSet
    orphaning and adoption regarding controllerRef"."""
    one = Lab(DeploymentController, ReplicaSetController).start()
    orphan = replica_set("old", 2, {"app": "web"})
    orphan["metadata"]["labels"] = {"app": "web"}
    one.client.create("replicasets", orphan)
    one.run()
    one.client.create("deployments", deployment())
    one.run()
    assert controller_of(one.get("replicasets", "old"))["name"] == "web"
    one.roll_to_the_end()
    assert one.names("replicasets") == ["old"]  # its template is the wanted one
    assert len(one.pods()) == 3


def test_a_name_taken_by_another_is_counted_as_collision() -> None:
    """upstream: pkg/controller/deployment/sync.go: getNewReplicaSet (collisionCount)."""
    one = Lab(DeploymentController, ReplicaSetController).start()
    taken = deployment()
    one.client.create("deployments", taken)
    one.run()
    (name,) = one.names("replicasets")
    one.client.delete("deployments", "web", "default")
    one.client.delete("replicasets", name, "default")
    one.run()
    one.client.create("replicasets", replica_set(name, 0, {"other": "thing"}))
    one.client.create("deployments", taken)
    one.run()
    assert one.get("deployments", "web")["status"]["collisionCount"] == 1
    assert len(one.names("replicasets")) == 2


def test_a_refused_pod_shows_on_the_deployment() -> None:
    """docs: deployment (Failed Deployment): ReplicaFailure, insufficient quota."""
    wanted = deployment()
    wanted["spec"]["template"]["spec"]["serviceAccountName"] = "robot"
    one = Lab(DeploymentController, ReplicaSetController).start()
    one.client.create("deployments", wanted)
    one.wait(2)
    entry = condition(one.get("deployments", "web"), "ReplicaFailure")
    assert entry is not None and entry["reason"] == "FailedCreate"


def test_min_ready_seconds_is_handed_down_without_a_new_revision() -> None:
    """docs: deployment (Min Ready Seconds)."""
    one = rolled_out()
    one.apply("deployments", "web", {"spec": {"minReadySeconds": 5}}, content_type=MERGE)
    one.run()
    (each,) = one.client.items("replicasets", "default")
    assert each["spec"]["minReadySeconds"] == 5


def test_new_sizes_ask_for_nothing_when_everything_is_as_wanted() -> None:
    """upstream: pkg/controller/deployment/sync.go: isScalingEvent, scale."""
    one = rolled_out()
    (each,) = one.client.items("replicasets", "default")
    found = one.get("deployments", "web")
    assert sizes.new_size(found, each, []) == replicas_of(each) == 3
    assert sizes.old_sizes(found, each, []) == {}
