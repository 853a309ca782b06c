"""pod-garbage-collector: pods that no kubelet will remove do not stay for ever."""

from __future__ import annotations

from functools import partial

from controllers_lab import Lab, pod

from k8snb.apimachinery.meta import is_deleting, with_path
from k8snb.controllers.podgc import PodGCController


def lab() -> Lab:
    one = Lab(PodGCController).start()
    one.node("n1")
    one.client.create("pods", pod("a"))
    one.bind("a", "n1")
    return one.run()


def test_pods_of_a_node_that_is_gone_end_after_a_pause() -> None:
    """upstream: pkg/controller/podgc/gc_controller.go: gcOrphaned, quarantineTime."""
    one = lab()
    one.client.delete("nodes", "n1")
    assert one.wait(39).names("pods") == ["a"]
    assert one.wait(2).names("pods") == []


def test_a_node_that_comes_back_in_time_keeps_its_pods() -> None:
    """upstream: gc_controller.go: discoverDeletedNodes."""
    one = lab()
    one.client.delete("nodes", "n1")
    one.wait(20)
    one.node("n1")
    assert one.wait(100).names("pods") == ["a"]


def test_a_pod_bound_to_a_node_that_never_was_ends() -> None:
    """docs: concepts/workloads/pods/pod-lifecycle (Garbage collection of Pods): orphan Pods."""
    one = lab()
    one.client.create("pods", pod("b"))
    one.bind("b", "nowhere")
    assert one.run().names("pods") == ["a"]


def test_terminating_pods_of_a_node_out_of_service_end_at_once() -> None:
    """docs: concepts/cluster-administration/node-shutdown (Non-graceful node shutdown handling)."""
    one = lab()
    one.client.delete("pods", "a", "default")
    assert is_deleting(one.run().get("pods", "a"))
    node = one.client.get("nodes", "n1")
    one.client.update_status("nodes", with_path(node, "status.conditions", [{"type": "Ready", "status": "Unknown"}]))
    taint = {"key": "node.kubernetes.io/out-of-service", "value": "shutdown", "effect": "NoExecute"}
    one.client.patch("nodes", "n1", {"spec": {"taints": [taint]}})
    assert one.run().names("pods") == []


def test_a_terminating_pod_of_a_living_node_is_its_kubelets_business() -> None:
    """docs: pod-lifecycle (Termination of Pods)."""
    one = lab()
    one.client.delete("pods", "a", "default")
    assert one.wait(1000).names("pods") == ["a"]


def finish(one: Lab, name: str, phase: str = "Succeeded", **status: str) -> None:
    one.client.create("pods", pod(name))
    found = one.get("pods", name)
    one.client.update_status("pods", {**found, "status": {**found["status"], "phase": phase, **status}})


def test_of_too_many_finished_pods_the_oldest_go_and_evicted_ones_first() -> None:
    """docs: concepts/workloads/pods/pod-lifecycle (Garbage collection of Pods); `gcTerminated` in
    pkg/controller/podgc."""
    one = Lab(partial(PodGCController, most_finished=2)).start()
    for name in ("first", "second"):
        finish(one, name)
        one.wait(1)
    finish(one, "driven-out", "Failed", reason="Evicted")
    assert one.run().names("pods") == ["first", "second"]
    finish(one, "third")
    assert one.run().names("pods") == ["second", "third"]


def test_pods_that_run_are_no_part_of_the_surplus() -> None:
    """docs: concepts/workloads/pods/pod-lifecycle (Garbage collection of Pods)."""
    one = Lab(partial(PodGCController, most_finished=0)).start()
    one.client.create("pods", pod("a"))
    finish(one, "b")
    assert one.run().names("pods") == ["a"]
