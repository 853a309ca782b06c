"""taint-eviction-controller: pods leave a tainted node as soon as they must, and no sooner."""

from __future__ import annotations

from controllers_lab import Lab, pod

from k8snb.apimachinery.meta import Object, condition, is_deleting
from k8snb.controllers.tainteviction import TaintEvictionController, leaving_time

TAINT = {"key": "maintenance", "value": "now", "effect": "NoExecute"}


def lab(**spec: object) -> Lab:
    one = Lab(TaintEvictionController).start()
    one.node("n1")
    one.client.create("pods", pod("a", **spec))
    one.bind("a", "n1")
    return one.run()


def taint(one: Lab, *taints: Object) -> Lab:
    one.client.patch("nodes", "n1", {"spec": {"taints": list(taints)}}, content_type="application/merge-patch+json")
    return one.wait(0)


def leaving(one: Lab) -> bool:
    return is_deleting(one.get("pods", "a"))


def test_a_pod_that_does_not_tolerate_the_taint_leaves_at_once() -> None:
    """e2e: test/e2e/node/taints.go "evicts pods from tainted nodes"."""
    one = taint(lab(), TAINT)
    assert leaving(one)
    assert one.events("TaintManagerEviction") == ["Marking for deletion Pod default/a"]
    target = condition(one.get("pods", "a"), "DisruptionTarget")
    assert target is not None and target["reason"] == "DeletionByTaintManager"


def test_a_pod_that_tolerates_it_stays() -> None:
    """e2e: taints.go "doesn't evict pod with tolerations from tainted nodes"."""
    one = taint(lab(tolerations=[{"key": "maintenance", "operator": "Exists"}]), TAINT)
    assert not leaving(one.wait(10_000))


def test_a_pod_that_tolerates_it_for_a_while_leaves_then() -> None:
    """e2e: taints.go "eventually evict pod with finite tolerations from tainted nodes"."""
    tolerations = [{"key": "maintenance", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}]
    one = taint(lab(tolerations=tolerations), TAINT)
    assert not leaving(one.wait(59))
    assert leaving(one.wait(2))


def test_a_taint_that_is_taken_back_in_time_is_forgotten() -> None:
    """e2e: taints.go "removing taint cancels eviction"."""
    tolerations = [{"key": "maintenance", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}]
    one = taint(lab(tolerations=tolerations), TAINT).wait(30)
    taint(one)
    assert not leaving(one.wait(1000))
    assert one.events("TaintManagerEviction") == ["Cancelling deletion of Pod default/a"]


def test_by_default_pods_stay_five_minutes_on_an_unreachable_node() -> None:
    """docs: taint-and-toleration (Taint based Evictions): tolerationSeconds=300."""
    one = taint(lab(), {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"})
    assert not leaving(one.wait(299))
    assert leaving(one.wait(2))


def test_no_schedule_drives_nobody_out() -> None:
    """docs: taint-and-toleration (Concepts): the effects."""
    one = taint(lab(), {**TAINT, "effect": "NoSchedule"})
    assert not leaving(one.wait(1000))


def test_a_pod_that_comes_to_a_tainted_node_leaves_too() -> None:
    """upstream: pkg/controller/tainteviction: handlePodUpdate."""
    one = taint(lab(), TAINT)
    one.client.create("pods", pod("late"))
    one.bind("late", "n1")
    one.run()
    assert is_deleting(one.get("pods", "late"))


def test_of_several_taints_the_first_to_run_out_counts() -> None:
    """upstream: pkg/controller/tainteviction: getMinTolerationTime."""

    def toleration(key: str, seconds: int) -> Object:
        return {"key": key, "operator": "Exists", "tolerationSeconds": seconds}

    one = {"spec": {"tolerations": [toleration("a", 100), toleration("b", 50)]}}
    taints = [{"key": "a", "effect": "NoExecute"}, {"key": "b", "effect": "NoExecute"}]
    assert leaving_time(one, taints, 1000.0) == 1050.0
    assert leaving_time(one, [], 1000.0) is None


def test_the_time_on_the_taint_counts_and_not_when_it_was_noticed() -> None:
    """upstream: pkg/controller/tainteviction: processPodOnNode, from Taint.timeAdded."""
    one = {"spec": {"tolerations": [{"operator": "Exists", "tolerationSeconds": 10}]}}
    taint = {"key": "a", "effect": "NoExecute", "timeAdded": "1970-01-01T00:01:40Z"}
    assert leaving_time(one, [taint], 5000.0) == 110.0
