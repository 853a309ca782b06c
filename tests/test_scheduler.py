"""kube-scheduler: the right node, said why, and a pod that waits is tried again when it makes sense."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from controllers_lab import Lab, container, pod

from k8snb.apimachinery.meta import Object, condition, name_of
from k8snb.scheduler import Scheduler
from k8snb.scheduler.algorithm import feasible_to_find
from k8snb.scheduler.decision import Decision, Decisions
from k8snb.scheduler.queue import UNSCHEDULABLE
from k8snb.scheduler.requests import request_of

CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


def lab(nodes: int = 3, **more: Any) -> Lab:
    one = Lab(Scheduler).start()
    for number in range(nodes):
        one.node(f"n{number}", **more)
    return one.run()


def asking(cpu: str = "100m", memory: str = "64Mi", **more: Any) -> Object:
    return container(resources={"requests": {"cpu": cpu, "memory": memory}}, **more)


def owned(name: str, owner: str = "set", **spec: Any) -> Object:
    one = pod(name, **spec)
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner, "controller": True}
    one["metadata"]["ownerReferences"] = [reference]
    return one


def node_of(one: Lab, name: str) -> str:
    found = one.get("pods", name)["spec"].get("nodeName", "")
    assert isinstance(found, str)
    return found


def put(one: Lab, wanted: Object) -> str:
    """Create a pod; the node it got, or ""."""
    one.client.create("pods", wanted)
    one.run()
    return node_of(one, name_of(wanted))


def why(one: Lab, name: str) -> str:
    entry = condition(one.get("pods", name), "PodScheduled") or {}
    return str(entry.get("message", ""))


# binding


def test_a_pod_gets_a_node_and_an_event() -> None:
    """docs: concepts/scheduling-eviction/kube-scheduler (Node selection in kube-scheduler)."""
    one = lab()
    node = put(one, pod("a"))
    assert node in ("n0", "n1", "n2")
    assert one.events("Scheduled") == [f"Successfully assigned default/a to {node}"]
    assert condition(one.get("pods", "a"), "PodScheduled")["status"] == "True"


def test_the_binding_names_the_pods_revision_as_its_cause() -> None:
    """k8snb: every write names the revision that caused it."""
    one = lab()
    made = one.client.create("pods", pod("a"))
    one.run()
    binding = next(each for each in one.store.history() if each.origin.verb == "create binding")
    assert binding.origin.actor == "system:kube-scheduler"
    assert binding.origin.cause == int(made["metadata"]["resourceVersion"])


def test_a_pod_for_another_scheduler_is_left_alone() -> None:
    """docs: tasks/extend-kubernetes/configure-multiple-schedulers."""
    assert put(lab(), pod("a", schedulerName="mine")) == ""


def test_a_gated_pod_is_not_even_looked_at() -> None:
    """docs: concepts/scheduling-eviction/pod-scheduling-readiness."""
    one = lab()
    assert put(one, pod("a", schedulingGates=[{"name": "example.com/wait"}])) == ""
    assert one.controller.queue.place_of("default/a") == ""
    assert one.controller.why(one.get("pods", "a")) is None


def test_two_pods_never_get_the_same_last_place() -> None:
    """upstream: pkg/scheduler/backend/cache: AssumePod."""
    one = lab(1, cpu="1")
    for name in ("a", "b"):
        one.client.create("pods", pod(name, containers=[asking("600m")]))
    one.run()
    assert sorted((node_of(one, "a"), node_of(one, "b"))) == ["", "n0"]


# filters: each refusal in upstream's words


@pytest.mark.parametrize(
    ("node", "spec", "reason"),
    [
        ({"unschedulable": True}, {}, "node(s) were unschedulable"),
        ({"taints": [CONTROL_PLANE]}, {}, "node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }"),
        ({}, {"nodeSelector": {"disk": "ssd"}}, "node(s) didn't match Pod's node affinity/selector"),
        ({"cpu": "1"}, {"containers": [asking("2")]}, "Insufficient cpu"),
        ({}, {"containers": [asking("1", "64Gi")]}, "Insufficient memory"),
        ({"pods": "0"}, {}, "Too many pods"),
        (
            {},
            {
                "containers": [
                    container(resources={"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "1"}})
                ]
            },
            "Insufficient example.com/gpu",
        ),
    ],
)
def test_a_node_is_refused_for_a_reason(node: Object, spec: Object, reason: str) -> None:
    """upstream: the words of each plug-in in pkg/scheduler/framework/plugins; e2e:
    test/e2e/scheduling/predicates.go."""
    one = lab(1, **node)
    assert put(one, pod("a", **spec)) == ""
    helpful = "No preemption victims found for incoming pod"
    if reason != "Too many pods":
        helpful = "Preemption is not helpful for scheduling"
    message = f"0/1 nodes are available: 1 {reason}. preemption: 0/1 nodes are available: 1 {helpful}."
    assert why(one, "a") == message
    assert one.events("FailedScheduling") == [message]


def test_reasons_are_counted_over_all_nodes() -> None:
    """upstream: pkg/scheduler/framework/types.go: FitError.Error."""
    one = lab(3, cpu="1")
    one.node("cp", taints=[CONTROL_PLANE])
    one.run()
    put(one, pod("a", containers=[asking("5")]))
    taint = "node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }"
    assert why(one, "a") == (
        f"0/4 nodes are available: 1 {taint}, 3 Insufficient cpu. "
        "preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling."
    )
    assert condition(one.get("pods", "a"), "PodScheduled")["reason"] == "Unschedulable"


def test_without_nodes_it_says_so() -> None:
    """upstream: pkg/scheduler/schedule_one.go: ErrNoNodesAvailable."""
    one = lab(0)
    put(one, pod("a"))
    assert why(one, "a") == "no nodes available to schedule pods"


def test_a_host_port_can_be_had_once_per_node() -> None:
    """e2e: predicates.go "validates that there is no conflict between pods with same hostPort but different hostIP
    and protocol"."""
    one = lab(2)
    ports = [{"containerPort": 80, "hostPort": 8080}]
    got = [put(one, pod(name, containers=[container(ports=ports)])) for name in "abc"]
    assert sorted(got) == ["", "n0", "n1"]
    assert "didn't have free ports for the requested pod ports" in why(one, "abc"[got.index("")])


def test_a_toleration_opens_a_tainted_node() -> None:
    """e2e: predicates.go "validates that taints-tolerations is respected if matching"."""
    one = lab(0)
    one.node("cp", taints=[CONTROL_PLANE])
    toleration = {"key": CONTROL_PLANE["key"], "operator": "Exists"}
    assert put(one, pod("a", tolerations=[toleration])) == "cp"


def test_required_affinity_joins_terms_by_or_and_expressions_by_and() -> None:
    """docs: concepts/scheduling-eviction/assign-pod-node (Node affinity)."""
    one = lab(0)
    one.node("n0", labels={"zone": "a"})
    one.node("n1", labels={"zone": "b", "disk": "ssd"})
    terms = [
        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["c"]}]},
        {"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]},
                              {"key": "disk", "operator": "Exists"}]},
    ]  # fmt: skip
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    assert put(one, pod("a", affinity={"nodeAffinity": required})) == "n1"


def test_what_a_pod_asks_for_is_the_larger_of_containers_and_init_containers() -> None:
    """docs: concepts/workloads/pods/init-containers (Resource sharing within containers)."""
    spec = {
        "containers": [asking("200m", "10Mi"), asking("300m", "10Mi")],
        "initContainers": [asking("100m", "10Mi", restartPolicy="Always"), asking("600m", "10Mi")],
        "overhead": {"cpu": "10m"},
    }
    needed = request_of({"spec": spec}).needed
    assert needed == {"cpu": 710, "memory": 30 * 1024 * 1024}


def test_a_container_without_requests_needs_nothing_and_still_weighs_something() -> None:
    """upstream: pkg/scheduler/util: GetNonzeroRequests."""
    found = request_of(pod("a"))
    assert (found.needed, found.cpu, found.memory) == ({}, 100, 200 * 1024 * 1024)


# scores


def test_pods_go_to_the_emptier_node() -> None:
    """docs: reference/scheduling/config (NodeResourcesFit: LeastAllocated)."""
    one = lab(0)
    one.node("small", cpu="1")
    one.node("large", cpu="16")
    assert put(one, pod("a", containers=[asking("500m")])) == "large"


def test_pods_of_one_controller_are_spread() -> None:
    """docs: concepts/scheduling-eviction/topology-spread-constraints (Internal default constraints)."""
    one = lab(4)
    got = Counter(put(one, owned(f"p{number}")) for number in range(8))
    assert set(got.values()) == {2}


def test_pods_of_one_controller_are_spread_over_zones() -> None:
    """docs: topology-spread-constraints (Internal default constraints)."""
    one = lab(0)
    for number in range(4):
        one.node(f"a{number}", labels={"topology.kubernetes.io/zone": "a"})
    one.node("b0", labels={"topology.kubernetes.io/zone": "b"})
    got = Counter(put(one, owned(f"p{number}"))[0] for number in range(4))
    assert got["b"] >= 1 and got["a"] >= 2


def test_preferred_affinity_prefers() -> None:
    """docs: assign-pod-node (Node affinity weight)."""
    one = lab(3)
    one.node("best", labels={"disk": "ssd"})
    preference = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
    preferred = [{"weight": 10, "preference": preference}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    assert put(one, pod("a", affinity=affinity)) == "best"


def test_a_mild_taint_is_avoided_and_does_not_forbid() -> None:
    """docs: concepts/scheduling-eviction/taint-and-toleration: PreferNoSchedule."""
    mild = {"key": "old", "effect": "PreferNoSchedule"}
    one = lab(0)
    one.node("n0", taints=[mild])
    assert put(one, pod("a")) == "n0"
    one.node("n1")
    one.run()
    assert put(one, pod("b")) == "n1"


def test_the_same_seed_makes_the_same_choices() -> None:
    """k8snb: chance comes from the cluster's seed alone."""

    def choices(seed: int) -> list[str]:
        one = Lab(Scheduler, seed=seed).start()
        for number in range(10):
            one.node(f"n{number}")
        one.run()
        return [put(one, pod(f"p{number}")) for number in range(5)]

    assert choices(7) == choices(7)


def test_of_a_large_cluster_only_a_share_is_scored() -> None:
    """docs: concepts/scheduling-eviction/scheduler-perf-tuning (Node scoring threshold)."""
    assert [feasible_to_find(nodes) for nodes in (5, 100, 200, 500, 5000, 20_000)] == [5, 100, 100, 230, 500, 1000]


# why


def test_a_decision_tells_the_scores_of_every_node() -> None:
    """k8snb: every decision is kept."""
    one = lab()
    node = put(one, owned("a"))
    decision = one.controller.why(one.get("pods", "a"))
    assert decision.node == node
    assert set(decision.scores) == {"n0", "n1", "n2"}
    assert set(decision.scores[node]) >= {"NodeResourcesFit", "PodTopologySpread"}
    assert decision.total(node) == max(map(decision.total, decision.scores))


def test_a_decision_tells_why_each_node_was_refused() -> None:
    """k8snb: every decision is kept."""
    one = lab(2, cpu="1")
    put(one, pod("a", containers=[asking("5")]))
    decision = one.controller.why(one.get("pods", "a"))
    assert decision.refusals == dict.fromkeys(("n0", "n1"), ("NodeResourcesFit", "Insufficient cpu"))


def test_old_decisions_are_forgotten() -> None:
    """k8snb: decisions are kept in bounded number."""
    kept = Decisions(limit=2)
    for name in "abc":
        kept.keep(Decision(name, name, 0.0))
    assert [each.uid for each in kept] == ["b", "c"]


# waiting


def test_a_pod_that_waits_is_tried_again_when_a_node_comes() -> None:
    """upstream: KEP-4247, QueueingHints; pkg/scheduler/eventhandlers.go: addNodeToCache."""
    one = lab(1, cpu="1")
    assert put(one, pod("a", containers=[asking("2")])) == ""
    one.node("big", cpu="8")
    one.run()
    assert node_of(one, "a") == "big"


def test_a_pod_that_waits_is_tried_again_when_room_is_made() -> None:
    """upstream: pkg/scheduler/framework/plugins/noderesources/fit.go: EventsToRegister."""
    one = lab(1, cpu="1")
    put(one, pod("first", containers=[asking("800m")]))
    assert put(one, pod("second", containers=[asking("800m")])) == ""
    one.client.delete("pods", "first", "default", gracePeriodSeconds=0)
    one.run()
    assert node_of(one, "second") == "n0"


def test_a_finished_pod_makes_room() -> None:
    """upstream: pkg/scheduler/eventhandlers.go: assignedPod, terminal pods are not in the cache."""
    one = lab(1, cpu="1")
    put(one, pod("first", containers=[asking("800m")]))
    put(one, pod("second", containers=[asking("800m")]))
    one.set_ready(one.get("pods", "first"), False, phase="Succeeded")
    one.run()
    assert node_of(one, "second") == "n0"


def test_an_uncordoned_node_is_tried_again() -> None:
    """upstream: plugins/nodeunschedulable: EventsToRegister."""
    one = lab(1, unschedulable=True)
    assert put(one, pod("a")) == ""
    one.client.patch("nodes", "n0", {"spec": {"unschedulable": False}})
    one.run()
    assert node_of(one, "a") == "n0"


def test_what_does_not_matter_wakes_nobody() -> None:
    """upstream: KEP-4247, QueueingHints."""
    one = lab(1, cpu="1")
    put(one, pod("a", containers=[asking("2")]))
    one.client.patch("nodes", "n0", {"metadata": {"labels": {"color": "blue"}}})
    one.run()
    assert one.controller.queue.place_of("default/a") == UNSCHEDULABLE
    assert len(one.events("FailedScheduling")) == 1


def test_after_five_minutes_a_waiting_pod_is_tried_anyway() -> None:
    """upstream: pkg/scheduler/backend/queue: podMaxInUnschedulablePodsDuration."""
    one = lab(1, cpu="1")
    put(one, pod("a", containers=[asking("2")]))
    before = one.controller.why(one.get("pods", "a")).time
    one.wait(400)
    assert one.controller.why(one.get("pods", "a")).time >= before + 300


def test_waiting_pods_do_not_hold_up_settling() -> None:
    """k8snb: settling waits for nobody who cannot be helped."""
    one = lab(0)
    put(one, pod("a"))
    assert one.clock.now() < 1_700_000_000 + 5


def test_a_pod_that_can_not_be_placed_is_written_about_once() -> None:
    """upstream: pkg/scheduler/schedule_one.go: handleSchedulingFailure, updatePod."""
    one = lab(1, cpu="1")
    put(one, pod("a", containers=[asking("2")]))
    revision = one.get("pods", "a")["metadata"]["resourceVersion"]
    one.wait(1000)
    assert one.get("pods", "a")["metadata"]["resourceVersion"] == revision


def test_a_restarted_scheduler_counts_what_runs_and_binds_nothing_twice() -> None:
    """upstream: pkg/scheduler/eventhandlers.go: assigned pods fill the cache."""
    one = lab(1, cpu="1")
    put(one, pod("a", containers=[asking("800m")]))
    one.restart()
    assert put(one, pod("b", containers=[asking("800m")])) == ""


def test_what_is_not_implemented_is_said() -> None:
    """k8snb: what is missing is named."""
    one = lab()
    assert put(one, pod("a", resourceClaims=[{"name": "gpu", "resourceClaimName": "gpu"}]))
    (message,) = one.events("NotImplemented")
    assert message.startswith("spec.resourceClaims: not implemented by k8snb")


def test_old_news_of_a_pod_that_is_being_bound_is_ignored() -> None:
    """upstream: pkg/scheduler/schedule_one.go: skipPodSchedule, assumed pods."""
    one = lab()
    waiting = one.client.create("pods", pod("a"))
    one.run()
    one.controller.handlers.pod_changed(None, waiting)
    assert len(one.controller.queue) == 0
