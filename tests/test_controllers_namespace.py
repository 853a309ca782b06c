"""namespace-controller: a namespace takes everything in it along, and waits for it."""

from __future__ import annotations

from controllers_lab import Lab, pod

from k8snb.apimachinery.meta import condition, name_of
from k8snb.controllers.namespace import NamespaceController
from k8snb.faults import Faults, Rates


def lab() -> Lab:
    one = Lab(NamespaceController, namespaces=["team"]).start()
    one.client.create("configmaps", {"metadata": {"name": "one", "namespace": "team"}})
    one.client.create("configmaps", {"metadata": {"name": "other", "namespace": "default"}})
    return one.run()


def namespaces(one: Lab) -> list[str]:
    return [name_of(each) for each in one.client.items("namespaces")]


def doomed_pod(one: Lab) -> None:
    """A pod on a node: it takes time to end."""
    slow = pod("slow")
    slow["metadata"]["namespace"] = "team"
    one.client.create("pods", slow)
    one.bind("slow", "n1", "team")
    one.client.delete("namespaces", "team")
    one.run()


def test_everything_in_a_deleted_namespace_goes_and_nothing_else() -> None:
    """e2e: test/e2e/apimachinery/namespace.go "should ensure that all pods are removed when a namespace is deleted"."""
    one = lab()
    one.client.delete("namespaces", "team")
    one.run()
    assert "team" not in namespaces(one)
    assert one.client.items("configmaps", "team") == []
    assert one.names("configmaps") == ["other"]


def test_it_waits_for_what_takes_time_and_says_for_what() -> None:
    """upstream: pkg/controller/namespace/deletion: NamespaceContentRemaining."""
    one = lab()
    doomed_pod(one)
    left = one.client.get("namespaces", "team")
    assert left["status"]["phase"] == "Terminating"
    entry = condition(left, "NamespaceContentRemaining")
    assert entry is not None
    words = "Some resources are remaining: pods has 1 resource instances"
    assert (entry["status"], entry["reason"], entry["message"]) == ("True", "SomeResourcesRemain", words)


def test_the_last_object_to_go_ends_the_namespace() -> None:
    """docs: concepts/overview/working-with-objects/namespaces; pkg/controller/namespace/deletion: Delete."""
    one = lab()
    doomed_pod(one)
    one.client.delete("pods", "slow", "team", gracePeriodSeconds=0)
    one.run()
    assert "team" not in namespaces(one)


def test_however_long_it_was_refused_it_tries_again_every_minute() -> None:
    """upstream: nsControllerRateLimiter in pkg/controller/namespace/namespace_controller.go: from 5 ms to 60 s."""
    one = lab()
    faults = Faults(one.server, one.clock)
    one.controller.client.transport = faults
    faults.rates = Rates(refused=1.0)
    one.client.delete("namespaces", "team")
    one.wait(1800)
    assert "team" in namespaces(one)
    faults.stop()
    one.wait(61)
    assert "team" not in namespaces(one)


def test_finalizers_that_hold_it_up_are_named() -> None:
    """upstream: pkg/controller/namespace/deletion: NamespaceFinalizersRemaining."""
    one = lab()
    held = {"metadata": {"name": "held", "namespace": "team", "finalizers": ["example.com/hold"]}}
    one.client.create("configmaps", held)
    one.client.delete("namespaces", "team")
    one.run()
    entry = condition(one.client.get("namespaces", "team"), "NamespaceFinalizersRemaining")
    assert entry is not None and "example.com/hold in 1 resource instances" in entry["message"]


def test_a_living_namespace_is_left_alone() -> None:
    """upstream: pkg/controller/namespace/namespace_controller.go: enqueueNamespace."""
    one = lab()
    revision = one.store.revision
    assert one.restart().store.revision == revision


def test_a_restart_in_the_middle_writes_nothing_new() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = lab()
    doomed_pod(one)
    revision = one.store.revision
    assert one.restart().store.revision == revision
