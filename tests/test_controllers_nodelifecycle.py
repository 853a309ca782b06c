"""node-lifecycle-controller: a silent node is noticed, marked, and unmarked when it speaks again."""

from __future__ import annotations

from controllers_lab import Lab, pod

from k8snb.apimachinery.meta import Object, condition, get_path, is_true, with_path
from k8snb.clock import timestamp
from k8snb.controllers.nodelifecycle import LEASES, NodeLifecycleController, taints_for


def lab() -> Lab:
    one = Lab(NodeLifecycleController).start()
    one.node("n1")
    one.client.create("leases", {"metadata": {"name": "n1", "namespace": LEASES}, "spec": {}})
    return one.wait(0)


def ready(one: Lab) -> Object:
    found = condition(one.client.get("nodes", "n1"), "Ready")
    assert found is not None
    return found


def taints(one: Lab) -> set[tuple[str, str]]:
    found = get_path(one.client.get("nodes", "n1"), "spec.taints") or ()
    return {(taint["key"].removeprefix("node.kubernetes.io/"), taint["effect"]) for taint in found}


def speak(one: Lab, status: str = "True") -> None:
    entry = {"type": "Ready", "status": status, "lastHeartbeatTime": timestamp(one.clock.now())}
    one.client.update_status("nodes", with_path(one.client.get("nodes", "n1"), "status.conditions", [entry]))


def test_a_ready_node_loses_the_taint_with_which_it_was_admitted() -> None:
    assert taints(lab()) == set()


def test_a_node_that_renews_its_lease_stays_ready() -> None:
    one = lab()
    for beat in range(10):
        one.client.patch("leases", "n1", {"spec": {"leaseTransitions": beat}}, LEASES)
        one.wait(20)
    assert ready(one)["status"] == "True"


def test_a_node_silent_for_forty_seconds_is_unknown_and_tainted() -> None:
    one = lab().wait(39)
    assert ready(one)["status"] == "True"
    one.wait(2)
    entry = ready(one)
    assert (entry["status"], entry["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert entry["message"] == "Kubelet stopped posting node status."
    assert taints(one) == {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}
    assert one.events("NodeNotReady") == ["Node n1 status is now: NodeNotReady"]


def test_it_is_as_before_when_the_node_speaks_again() -> None:
    one = lab().wait(60)
    speak(one)
    one.wait(1)
    assert taints(one) == set()
    assert ready(one)["status"] == "True"


def test_a_node_that_says_it_is_not_ready_is_tainted_so() -> None:
    one = lab()
    speak(one, "False")
    one.wait(1)
    assert taints(one) == {("not-ready", "NoSchedule"), ("not-ready", "NoExecute")}


def test_pods_on_a_silent_node_are_not_ready() -> None:
    one = lab()
    one.client.create("pods", pod("a"))
    one.bind("a", "n1")
    one.set_ready(one.get("pods", "a"))
    one.wait(50)
    assert not is_true(one.get("pods", "a"), "Ready")
    assert "Node is not ready" in one.events("NodeNotReady")


def test_a_cordoned_node_is_tainted_and_foreign_taints_stay() -> None:
    one = lab()
    foreign = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    one.client.patch("nodes", "n1", {"spec": {"unschedulable": True, "taints": [foreign]}})
    one.wait(1)
    assert taints(one) == {("gpu", "NoSchedule"), ("unschedulable", "NoSchedule")}
    one.client.patch("nodes", "n1", {"spec": {"unschedulable": False}})
    one.wait(1)
    assert taints(one) == {("gpu", "NoSchedule")}


def test_a_taint_keeps_the_time_at_which_it_was_added() -> None:
    node = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    first = taints_for(node, "then")
    assert taints_for({**node, "spec": {"taints": first}}, "now") == first


def test_a_settled_cluster_is_looked_at_without_writes() -> None:
    one = lab().wait(60)
    revision = one.store.revision
    one.wait(600)
    assert one.store.revision == revision
