"""replicaset-controller: as many pods as asked for, whatever happens."""

from __future__ import annotations

import pytest
from controllers_lab import Lab, pod, replica_set

from k8snb.apimachinery.errors import ApiError, forbidden
from k8snb.apimachinery.kinds import KINDS
from k8snb.apimachinery.meta import controller_of, is_deleting, name_of, with_path
from k8snb.client.client import MERGE
from k8snb.controllers.pods import DELETION_COST, first_to_delete
from k8snb.controllers.replicas import BURST, slow_start
from k8snb.controllers.replicaset import ReplicaSetController


def lab() -> Lab:
    return Lab(ReplicaSetController).start()


def with_three() -> Lab:
    one = lab()
    one.client.create("replicasets", replica_set())
    return one.run()


def refused() -> Lab:
    """A set whose pods name a service account that is not there."""
    one = lab()
    wanted = replica_set()
    wanted["spec"]["template"]["spec"]["serviceAccountName"] = "robot"
    one.client.create("replicasets", wanted)
    return one.wait(1)


def scale(one: Lab, replicas: int, name: str = "web") -> None:
    one.apply("replicasets", name, {"spec": {"replicas": replicas}})
    one.run()


def test_missing_pods_are_made_from_the_template() -> None:
    """docs: concepts/workloads/controllers/replicaset (How a ReplicaSet works)."""
    one = with_three()
    made = one.pods()
    assert len(made) == 3
    assert all(name_of(each).startswith("web-") for each in made)
    assert {controller_of(each)["name"] for each in made} == {"web"}
    assert sorted(one.events("SuccessfulCreate")) == sorted(f"Created pod: {name_of(each)}" for each in made)


def test_a_pod_that_came_and_went_while_the_watch_was_broken_is_replaced() -> None:
    """upstream: pkg/controller/controller_utils.go: what is expected and never seen is not expected for ever."""
    one = lab()
    pods = one.informers.get("pods")
    pods.stop()
    one.client.create("replicasets", replica_set())
    for each in one.run().pods():
        one.client.delete("pods", name_of(each), "default", gracePeriodSeconds=0)
    assert not one.run().pods()
    pods.start()
    assert len(one.run().pods()) == 3


def test_the_pods_of_a_template_share_their_containers() -> None:
    """k8snb: what a template says is kept once."""
    specs = [each["spec"] for each in with_three().pods()]
    assert all(
        spec["containers"] is specs[0]["containers"] and spec["volumes"] is specs[0]["volumes"] for spec in specs
    )


def test_a_deleted_pod_is_replaced() -> None:
    """docs: replicaset (How a ReplicaSet works)."""
    one = with_three()
    gone = one.names("pods")[0]
    one.client.delete("pods", gone, "default")
    one.run()
    assert len(one.pods()) == 3
    assert gone not in one.names("pods")


def test_a_failed_pod_is_replaced_and_stays_to_be_read() -> None:
    """upstream: pkg/controller/controller_utils.go: IsPodActive."""
    one = with_three()
    one.set_ready(one.pods()[0], False, phase="Failed")
    one.run()
    assert len(one.pods()) == 4


def test_a_pod_that_is_terminating_counts_no_more() -> None:
    """upstream: pkg/controller/controller_utils.go: IsPodActive."""
    one = with_three()
    name = one.names("pods")[0]
    one.bind(name, "n1")
    one.run()
    one.client.delete("pods", name, "default")
    one.run()
    assert is_deleting(one.get("pods", name))
    assert len(one.pods()) == 4


def test_too_many_pods_are_deleted() -> None:
    """docs: replicaset (Scaling a ReplicaSet)."""
    one = with_three()
    scale(one, 1)
    assert len(one.pods()) == 1
    assert len(one.events("SuccessfulDelete")) == 2


def test_a_matching_pod_without_controller_is_adopted() -> None:
    """docs: replicaset (Non-Template Pod acquisitions); e2e: test/e2e/apps/replica_set.go "should adopt matching
    pods on creation and release no longer matching pods"."""
    one = lab()
    one.client.create("pods", pod("stray"))
    one.client.create("replicasets", replica_set(replicas=2))
    one.run()
    assert len(one.pods()) == 2
    assert controller_of(one.get("pods", "stray"))["name"] == "web"


def test_an_adopted_pod_too_many_is_deleted() -> None:
    """docs: replicaset (Non-Template Pod acquisitions)."""
    one = with_three()
    one.client.create("pods", pod("stray"))
    one.run()
    assert len(one.pods()) == 3


def test_a_pod_of_another_controller_is_left_alone() -> None:
    """upstream: pkg/controller/controller_ref_manager.go: ClaimObject."""
    one = with_three()
    one.client.create("replicasets", replica_set("other", 1, {"app": "web", "team": "b"}))
    one.run()
    assert len(one.pods()) == 4


def test_a_pod_whose_labels_no_longer_match_is_released_and_replaced() -> None:
    """docs: replicaset (Isolating Pods from a ReplicaSet); e2e: replica_set.go "should adopt matching pods … and
    release"."""
    one = with_three()
    name = one.names("pods")[0]
    one.apply("pods", name, {"metadata": {"labels": {"app": "debug"}}})
    one.run()
    assert controller_of(one.get("pods", name)) is None
    assert len(one.pods()) == 4


def test_a_released_pod_comes_back_when_its_labels_match_again() -> None:
    """upstream: pkg/controller/controller_ref_manager.go: ClaimObject."""
    one = with_three()
    name = one.names("pods")[0]
    one.apply("pods", name, {"metadata": {"labels": {"app": "debug"}}})
    one.run()
    one.apply("pods", name, {"metadata": {"labels": {"app": "web"}}})
    one.run()
    assert len(one.names("pods", labelSelector="app=web")) == 3


def test_status_counts_ready_and_available_pods() -> None:
    """upstream: pkg/controller/replicaset/replica_set_utils.go: calculateStatus."""
    one = with_three()
    one.set_ready(one.pods()[0])
    one.run()
    status = one.get("replicasets", "web")["status"]
    assert status == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "observedGeneration": 1,
    }


def test_a_pod_is_available_only_after_min_ready_seconds() -> None:
    """API reference: ReplicaSetSpec.minReadySeconds; pkg/api/v1/pod: IsPodAvailable."""
    one = lab()
    one.client.create("replicasets", replica_set(replicas=1, minReadySeconds=10))
    one.run()
    one.set_ready(one.pods()[0])
    one.wait(5)
    assert "availableReplicas" not in one.get("replicasets", "web")["status"]
    one.run()
    assert one.get("replicasets", "web")["status"]["availableReplicas"] == 1


def test_a_refused_pod_shows_as_replica_failure_and_event_once() -> None:
    """e2e: replica_set.go "should surface a failure condition on a common issue like exceeded quota"."""
    one = refused()
    (entry,) = one.get("replicasets", "web")["status"]["conditions"]
    assert (entry["type"], entry["reason"]) == ("ReplicaFailure", "FailedCreate")
    assert 'serviceaccount "robot" not found' in entry["message"]
    assert {message.split(":")[0] for message in one.events("FailedCreate")} == {"Error creating"}


def test_after_a_refusal_the_pods_come_when_the_cause_is_gone() -> None:
    """e2e: replica_set.go "should surface a failure condition …", which ends with a smaller size."""
    one = refused()
    one.client.create("serviceaccounts", {"metadata": {"name": "robot"}}, "default")
    one.run()
    assert len(one.pods()) == 3
    assert "conditions" not in one.get("replicasets", "web")["status"]


def test_a_refusal_ends_the_slow_start_with_its_batch() -> None:
    """upstream: pkg/controller/replicaset/replica_set.go: slowStartBatch."""
    tried = []

    def act() -> None:
        tried.append(len(tried))
        if len(tried) == 3:
            raise forbidden(KINDS[0], "web", "exceeded quota")

    with pytest.raises(ApiError, match="exceeded quota"):
        slow_start(100, act)
    assert len(tried) == 3


def test_a_set_that_is_being_deleted_makes_no_pods() -> None:
    """upstream: pkg/controller/replicaset/replica_set.go: syncReplicaSet."""
    one = lab()
    doomed = replica_set()
    doomed["metadata"]["finalizers"] = ["example.com/wait"]
    one.client.create("replicasets", doomed)
    one.client.delete("replicasets", "web", "default")
    one.run()
    assert one.pods() == []


def test_a_restarted_controller_writes_nothing() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = with_three().all_ready()
    revision = one.store.revision
    one.restart()
    assert one.store.revision == revision


def test_many_pods_are_made_in_bursts_and_exactly() -> None:
    """upstream: pkg/controller/replicaset/replica_set.go: BurstReplicas and slowStartBatch."""
    one = lab()
    one.client.create("replicasets", replica_set(replicas=BURST + 1))
    one.run()
    assert len(one.pods()) == BURST + 1
    scale(one, 0)
    assert one.pods() == []


# which pods go first


def made(name: str, *, node: str = "n1", phase: str = "Running", ready: str = "", cost: str = "", restarts: int = 0):
    metadata = {"name": name, "uid": name, "creationTimestamp": "2023-11-14T22:00:00Z"}
    if cost:
        metadata["annotations"] = {DELETION_COST: cost}
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": ready}] if ready else []
    containers = [{"restartCount": restarts}]
    status = {"phase": phase, "conditions": conditions, "containerStatuses": containers}
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": status}


NOW = 1_700_000_000.0
LONG_AGO, LATELY = "2023-11-14T20:00:00Z", "2023-11-14T22:13:10Z"


def order(*pods: dict) -> list[str]:
    return [name_of(each) for each in first_to_delete(pods, pods, NOW)]


def test_unassigned_pods_go_before_pending_before_unready_before_ready() -> None:
    """docs: replicaset (Scaling a ReplicaSet): the order in which pods are deleted; controller_utils.go:
    ActivePodsWithRanks."""
    assert order(
        made("a-ready", ready=LONG_AGO), made("b-unready"), made("c-pending", phase="Pending"), made("d-none", node="")
    ) == ["d-none", "c-pending", "b-unready", "a-ready"]


def test_a_lower_deletion_cost_goes_first() -> None:
    """docs: replicaset (Pod deletion cost)."""
    assert order(made("a", ready=LONG_AGO), made("b", ready=LONG_AGO, cost="-5")) == ["b", "a"]


def test_pods_on_crowded_nodes_go_first() -> None:
    """docs: replicaset (Scaling a ReplicaSet): nodes with more replicas first."""
    alone = made("a", ready=LONG_AGO, node="n2")
    assert order(alone, made("b", ready=LONG_AGO), made("c", ready=LONG_AGO))[-1] == "a"


def test_pods_that_became_ready_lately_go_first() -> None:
    """upstream: pkg/controller/controller_utils.go: ActivePodsWithRanks, by time of readiness."""
    assert order(made("a", ready=LONG_AGO), made("b", ready=LATELY, node="n2")) == ["b", "a"]


def test_pods_that_restarted_more_go_first() -> None:
    """upstream: pkg/controller/controller_utils.go: ActivePodsWithRanks, by restarts."""
    assert order(made("a", ready=LONG_AGO), made("b", ready=LONG_AGO, node="n2", restarts=3)) == ["b", "a"]


def test_the_selector_decides_over_expressions_too() -> None:
    """docs: concepts/overview/working-with-objects/labels (Resources that support set-based requirements)."""
    one = lab()
    wanted = replica_set(replicas=1)
    wanted = with_path(
        wanted, "spec.selector", {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "www"]}]}
    )
    one.client.create("pods", pod("stray", {"app": "www"}))
    one.client.create("replicasets", wanted)
    one.run()
    assert one.names("pods") == ["stray"]
    one.apply("pods", "stray", {"metadata": {"labels": {"app": None}}}, content_type=MERGE)
    one.run()
    assert len(one.pods()) == 2
