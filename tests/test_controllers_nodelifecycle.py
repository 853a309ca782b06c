"""node-lifecycle-controller: a silent node is noticed, marked, and unmarked when it speaks again."""

from __future__ import annotations

from controllers_lab import Lab, pod

from k8snb.apimachinery.meta import Object, condition, get_path, is_true, with_path
from k8snb.clock import timestamp
from k8snb.controllers.nodelifecycle import LEASES, NodeLifecycleController, taints_for


def lab(*others: str) -> Lab:
    """`n1`, and other nodes: those called `n…` never fall silent."""
    one = Lab(NodeLifecycleController).start()
    for name in ("n1", *(others or ("n2",))):
        one.node(name)
        one.client.create("leases", {"metadata": {"name": name, "namespace": LEASES}, "spec": {}})
    return one.wait(0)


def silence(one: Lab, seconds: int) -> Lab:
    """Time passes in which only the healthy nodes renew their leases."""
    for _ in range(seconds):
        one.wait(1)
        for name in one.names("nodes", ""):
            if name.startswith("n") and name != "n1":
                one.client.patch("leases", name, {"spec": {"renewTime": timestamp(one.clock.now())}}, LEASES)
    return one.wait(0)


def ready(one: Lab, node: str = "n1") -> Object:
    found = condition(one.client.get("nodes", node), "Ready")
    assert found is not None
    return found


def taints(one: Lab, node: str = "n1") -> set[tuple[str, str]]:
    found = get_path(one.client.get("nodes", node), "spec.taints") or ()
    return {(taint["key"].removeprefix("node.kubernetes.io/"), taint["effect"]) for taint in found}


def speak(one: Lab, status: str = "True", node: str = "n1") -> None:
    entry = {"type": "Ready", "status": status, "lastHeartbeatTime": timestamp(one.clock.now())}
    one.client.update_status("nodes", with_path(one.client.get("nodes", node), "status.conditions", [entry]))


def test_a_ready_node_loses_the_taint_with_which_it_was_admitted() -> None:
    """docs: concepts/scheduling-eviction/taint-and-toleration (Taint based Evictions): node.kubernetes.io/not-ready."""
    assert taints(lab()) == set()


def test_a_node_that_renews_its_lease_stays_ready() -> None:
    """docs: concepts/architecture/nodes (Node heartbeats)."""
    one = lab()
    for beat in range(10):
        one.client.patch("leases", "n1", {"spec": {"leaseTransitions": beat}}, LEASES)
        one.wait(20)
    assert ready(one)["status"] == "True"


def test_a_node_silent_for_fifty_seconds_is_unknown_and_tainted() -> None:
    """docs: concepts/architecture/nodes (Node controller); e2e: test/e2e/apps/network_partition.go "All pods on the
    unreachable node should be marked as NotReady upon the node turn NotReady"."""
    one = silence(lab(), 49)
    assert ready(one)["status"] == "True"
    silence(one, 2)
    entry = ready(one)
    assert (entry["status"], entry["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert entry["message"] == "Kubelet stopped posting node status."
    assert taints(one) == {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}
    assert one.events("NodeNotReady") == ["Node n1 status is now: NodeNotReady"]


def test_it_is_as_before_when_the_node_speaks_again() -> None:
    """e2e: network_partition.go "… AND all pods should be mark back to Ready when the node get back to Ready"."""
    one = silence(lab(), 60)
    speak(one)
    one.wait(1)
    assert taints(one) == set()
    assert ready(one)["status"] == "True"


def test_a_node_that_says_it_is_not_ready_is_tainted_so() -> None:
    """docs: taint-and-toleration (Taint based Evictions)."""
    one = lab()
    speak(one, "False")
    one.wait(1)
    assert taints(one) == {("not-ready", "NoSchedule"), ("not-ready", "NoExecute")}


def test_pods_on_a_silent_node_are_not_ready() -> None:
    """upstream: pkg/controller/util/node/controller_utils.go: MarkPodsNotReady."""
    one = lab()
    one.client.create("pods", pod("a"))
    one.bind("a", "n1")
    one.set_ready(one.get("pods", "a"))
    silence(one, 50)
    assert not is_true(one.get("pods", "a"), "Ready")
    assert "Node is not ready" in one.events("NodeNotReady")


def test_a_cordoned_node_is_tainted_and_foreign_taints_stay() -> None:
    """docs: taint-and-toleration (Taint Nodes by Condition)."""
    one = lab()
    foreign = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    one.client.patch("nodes", "n1", {"spec": {"unschedulable": True, "taints": [foreign]}})
    one.wait(1)
    assert taints(one) == {("gpu", "NoSchedule"), ("unschedulable", "NoSchedule")}
    one.client.patch("nodes", "n1", {"spec": {"unschedulable": False}})
    one.wait(1)
    assert taints(one) == {("gpu", "NoSchedule")}


def test_a_taint_keeps_the_time_at_which_it_was_added() -> None:
    """API reference: Taint.timeAdded."""
    node = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    first = taints_for(node, "then")
    assert taints_for({**node, "spec": {"taints": first}}, "now") == first


def test_a_settled_cluster_is_looked_at_without_writes() -> None:
    """upstream: pkg/controller/nodelifecycle: tryUpdateNodeHealth writes changes only."""
    one = lab().wait(60)  # all are silent
    revision = one.store.revision
    one.wait(600)
    assert one.store.revision == revision


# how fast nodes lose their pods


def evicting(one: Lab) -> set[str]:
    """The nodes whose taint drives pods out."""
    return {name for name in one.names("nodes", "") if ("unreachable", "NoExecute") in taints(one, name)}


def test_of_several_silent_nodes_one_in_ten_seconds_loses_its_pods() -> None:
    """docs: concepts/architecture/nodes (Rate limits on eviction): --node-eviction-rate is 0.1 a second."""
    one = silence(lab("silent-1", "silent-2", "n2", "n3", "n4", "n5", "n6"), 51)
    assert len(evicting(one)) == 1
    assert ("unreachable", "NoSchedule") in taints(one, "silent-2")
    assert len(evicting(silence(one, 11))) == 2
    assert evicting(silence(one, 11)) == {"n1", "silent-1", "silent-2"}


def test_a_small_zone_in_which_most_nodes_are_silent_keeps_its_pods() -> None:
    """docs: concepts/architecture/nodes (Rate limits on eviction): 55 % of a zone with at most 50 nodes."""
    one = silence(lab("silent-1", "silent-2", "silent-3", "n2", "n3"), 100)
    assert len(evicting(one)) <= 2  # those that fell silent before it was clear that the zone is disrupted
    before = evicting(one)
    assert evicting(silence(one, 300)) == before


def test_a_large_zone_in_which_most_nodes_are_silent_goes_on_slowly() -> None:
    """docs: concepts/architecture/nodes (Rate limits on eviction): --secondary-node-eviction-rate is 0.01 a second."""
    one = silence(lab(*(f"silent-{at}" for at in range(40)), *(f"n{at}" for at in range(2, 14))), 60)
    first = len(evicting(one))
    assert first <= 2
    assert len(evicting(silence(one, 220))) - first == 2


def test_where_no_node_is_ready_none_loses_its_pods() -> None:
    """docs: concepts/architecture/nodes (Rate limits on eviction): "the node controller assumes that there is some
    problem with connectivity", and evicts nothing."""
    one = lab("silent-1").wait(300)
    assert ready(one)["status"] == "Unknown"
    assert evicting(one) == set()
    assert taints(one) == {("unreachable", "NoSchedule")}


def test_taints_that_drive_out_are_taken_back_when_the_last_node_falls_silent() -> None:
    """upstream: pkg/controller/nodelifecycle, handleDisruption (master disruption mode)."""
    one = silence(lab(), 60)
    assert evicting(one) == {"n1"}
    assert evicting(one.wait(60)) == set()
    speak(one, node="n2")
    assert evicting(silence(one, 5)) == {"n1"}


def test_a_silent_zone_beside_a_living_one_loses_its_pods_at_the_usual_rate() -> None:
    """docs: concepts/architecture/nodes (Rate limits on eviction): zones are looked at each for itself."""
    one = lab("n2")
    zone = {"metadata": {"labels": {"topology.kubernetes.io/zone": "elsewhere"}}}
    one.client.patch("nodes", "n1", zone)
    assert evicting(silence(one, 55)) == {"n1"}
