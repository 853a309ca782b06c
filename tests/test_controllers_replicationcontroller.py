"""replication-controller: the same law as ReplicaSet's, under a plain set of labels."""

from __future__ import annotations

from controllers_lab import Lab, pod, replica_set, template

from k8snb.apimachinery.meta import Object, controller_of
from k8snb.controllers.replicaset import ReplicaSetController
from k8snb.controllers.replicationcontroller import ReplicationManager


def controller(replicas: int = 2, **selector: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "template": template(), **({"selector": selector} if selector else {})},
    }


def lab(wanted: Object) -> Lab:
    one = Lab(ReplicationManager, ReplicaSetController).start()
    one.client.create("replicationcontrollers", wanted)
    return one.run()


def test_too_few_are_added_and_too_many_deleted() -> None:
    """docs: concepts/workloads/controllers/replicationcontroller (How a ReplicationController works)."""
    one = lab(controller(app="web"))
    assert len(one.pods()) == 2
    for replicas in (5, 1, 0):
        one.apply("replicationcontrollers", "web", {"spec": {"replicas": replicas}})
        one.run()
        assert len(one.pods()) == replicas


def test_without_a_selector_the_labels_of_the_template_select() -> None:
    """docs: replicationcontroller (Pod Selector): it defaults to the template's labels."""
    one = lab(controller())
    assert len(one.pods()) == 2
    assert one.get("replicationcontrollers", "web")["spec"]["selector"] == {"app": "web"}


def test_its_pods_are_not_those_of_a_replica_set_with_the_same_selector() -> None:
    """upstream: pkg/controller/controller_ref_manager.go: the controller reference decides."""
    one = lab(controller(app="web"))
    one.client.create("replicasets", replica_set(replicas=3))
    one.run()
    owners = [controller_of(each)["kind"] for each in one.pods()]
    assert sorted(owners) == ["ReplicaSet"] * 3 + ["ReplicationController"] * 2


def test_it_adopts_a_matching_pod() -> None:
    """e2e: test/e2e/apps/rc.go "should adopt matching pods on creation"."""
    one = Lab(ReplicationManager).start()
    one.client.create("pods", pod("stray"))
    one.client.create("replicationcontrollers", controller(1, app="web"))
    one.run()
    assert one.names("pods") == ["stray"]


def test_status_counts_and_a_restart_writes_nothing() -> None:
    """upstream: pkg/controller/replication: it is the ReplicaSet controller behind a conversion."""
    one = lab(controller(app="web")).all_ready()
    status = one.get("replicationcontrollers", "web")["status"]
    assert (status["replicas"], status["readyReplicas"], status["availableReplicas"]) == (2, 2, 2)
    revision = one.store.revision
    assert one.restart().store.revision == revision
