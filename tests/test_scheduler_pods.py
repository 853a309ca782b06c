"""kube-scheduler: pods that look at other pods: affinity, spreading, preemption; profiles and plug-ins of one's own.

Source: docs/concepts/scheduling-eviction/{assign-pod-node,topology-spread-constraints,pod-priority-preemption,
pod-scheduling-readiness,scheduling-framework} of the Kubernetes documentation; test/e2e/scheduling upstream.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from controllers_lab import Lab, container, pod

from k8snb.apimachinery.meta import Object, condition, is_deleting, name_of
from k8snb.scheduler import Plugin, Profile, Scheduler
from k8snb.scheduler.cache import Cache, NodeInfo

ZONE, HOSTNAME = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def lab(nodes: int = 4, **more: Any) -> Lab:
    """Nodes n0 … in the zones a and b by turns."""
    one = Lab(Scheduler).start()
    for number in range(nodes):
        one.node(f"n{number}", labels={ZONE: "ab"[number % 2]}, **more)
    return one.run()


def put(one: Lab, wanted: Object) -> str:
    one.client.create("pods", wanted)
    one.run()
    found = one.get("pods", name_of(wanted))["spec"].get("nodeName", "")
    assert isinstance(found, str)
    return found


def why(one: Lab, name: str) -> str:
    return str((condition(one.get("pods", name), "PodScheduled") or {}).get("message", ""))


def term(app: str, key: str = ZONE, **more: Any) -> Object:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **more}


def needs(kind: str, *terms: Object) -> Object:
    return {kind: {REQUIRED: list(terms)}}


def spread(when: str = "DoNotSchedule", key: str = ZONE, **more: Any) -> Object:
    chosen = {"labelSelector": {"matchLabels": {"app": "web"}}}
    return {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": when, **chosen, **more}


def asking(cpu: str) -> list[Object]:
    return [container(resources={"requests": {"cpu": cpu}})]


# gates


def test_a_gated_pod_says_so_and_goes_on_when_the_gate_is_taken_away() -> None:
    """upstream: `pod-scheduling-readiness`; the condition as `applySchedulingGatedCondition` writes it."""
    one = lab()
    assert put(one, pod("a", schedulingGates=[{"name": "example.com/wait"}])) == ""
    entry = condition(one.get("pods", "a"), "PodScheduled") or {}
    assert (entry["reason"], entry["message"]) == (
        "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"
    )  # fmt: skip
    assert one.events("FailedScheduling") == []
    made = one.get("pods", "a")
    one.client.update("pods", {**made, "spec": {**made["spec"], "schedulingGates": []}})
    one.run()
    assert one.get("pods", "a")["spec"].get("nodeName")


# affinity between pods (predicates.go, "InterPodAffinity" in upstream's e2e)


def test_a_pod_goes_into_the_zone_of_the_pods_it_wants_to_be_near() -> None:
    """docs: concepts/scheduling-eviction/assign-pod-node (Inter-pod affinity and anti-affinity)."""
    one = lab()
    cache = put(one, pod("cache", {"app": "cache"}))
    got = {put(one, pod(f"w{number}", affinity=needs("podAffinity", term("cache")))) for number in range(4)}
    assert {int(name[1:]) % 2 for name in got} == {int(cache[1:]) % 2}


def test_who_wants_to_be_near_nobody_that_is_there_waits_for_one() -> None:
    """docs: assign-pod-node (Inter-pod affinity): required during scheduling."""
    one = lab(2)
    assert put(one, pod("a", affinity=needs("podAffinity", term("cache")))) == ""
    helpless = "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    assert why(one, "a") == f"0/2 nodes are available: 2 node(s) didn't match pod affinity rules. {helpless}"
    put(one, pod("other", {"app": "other"}))
    assert one.controller.queue.place_of("default/a") == "unschedulable"
    put(one, pod("cache", {"app": "cache"}))
    assert one.get("pods", "a")["spec"].get("nodeName")


def test_the_first_of_pods_that_want_each_other_gets_a_node() -> None:
    """docs: assign-pod-node (Scheduling Behavior); plugins/interpodaffinity/filtering.go: satisfyPodAffinity."""
    one = lab()
    assert put(one, pod("a", affinity=needs("podAffinity", term("web"))))


def test_pods_that_keep_their_like_away_get_a_node_each() -> None:
    """docs: assign-pod-node (More practical use-cases)."""
    one = lab(2)
    away = needs("podAntiAffinity", term("web", HOSTNAME))
    got = [put(one, pod(name, affinity=away)) for name in "abc"]
    assert sorted(got) == ["", "n0", "n1"]
    assert why(one, "c").startswith("0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.")


def test_who_is_kept_away_stays_away_though_it_says_nothing_itself() -> None:
    """upstream: plugins/interpodaffinity/filtering.go: satisfyExistingPodsAntiAffinity."""
    one = lab(2)
    put(one, pod("proud", {"app": "proud"}, affinity=needs("podAntiAffinity", term("web", HOSTNAME))))
    got = [put(one, pod(name)) for name in "ab"]
    assert len(set(got)) == 1 and got[0] != one.get("pods", "proud")["spec"]["nodeName"]
    one.client.patch("nodes", got[0], {"spec": {"unschedulable": True}})
    one.run()
    assert put(one, pod("c")) == ""
    assert "1 node(s) didn't satisfy existing pods anti-affinity rules" in why(one, "c")


def test_terms_reach_into_the_namespaces_they_select() -> None:
    """docs: assign-pod-node (Namespace selector)."""
    one = lab(2)
    one.namespace("other")
    one.client.patch("namespaces", "other", {"metadata": {"labels": {"team": "x"}}})
    one.client.create("pods", {**pod("cache"), "metadata": {"name": "cache", "labels": {"app": "cache"}}}, "other")
    one.run()
    assert put(one, pod("a", affinity=needs("podAffinity", term("cache")))) == ""
    reaching = term("cache", namespaceSelector={"matchLabels": {"team": "x"}})
    there = one.get("pods", "cache", "other")["spec"]["nodeName"]
    assert put(one, pod("b", {"app": "b"}, affinity=needs("podAffinity", reaching))) == there


def test_mismatched_label_keys_keep_away_others_only() -> None:
    """docs: assign-pod-node (mismatchLabelKeys)."""
    one = lab(2)
    away = needs("podAntiAffinity", {**term("web", HOSTNAME), "mismatchLabelKeys": ["tenant"]})
    got = [put(one, pod(name, {"app": "web", "tenant": tenant}, affinity=away))
           for name, tenant in (("a", "x"), ("b", "y"), ("c", "x"))]  # fmt: skip
    assert got[0] == got[2] != got[1]


def test_preferred_nearness_prefers() -> None:
    """upstream: plugins/interpodaffinity/scoring.go."""
    one = lab()
    there = put(one, pod("cache", {"app": "cache"}))
    preferred = {"podAffinity": {PREFERRED: [{"weight": 100, "podAffinityTerm": term("cache", HOSTNAME)}]}}
    assert put(one, pod("a", affinity=preferred)) == there


# spreading


def test_zones_stay_even_by_a_rule() -> None:
    """docs: concepts/scheduling-eviction/topology-spread-constraints (Example: one topology spread constraint); e2e:
    predicates.go "validates 4 pods with MaxSkew=1 are evenly distributed into 2 nodes"."""
    one = lab(0)
    for name, zone in (("n0", "a"), ("n2", "a"), ("n4", "a"), ("n1", "b")):
        one.node(name, labels={ZONE: zone})
    one.run()
    got = Counter(int(put(one, pod(f"p{number}", topologySpreadConstraints=[spread()]))[1:]) % 2 for number in range(6))
    assert got == {0: 3, 1: 3}


def test_a_pod_that_would_make_zones_uneven_waits_and_it_says_why() -> None:
    """docs: topology-spread-constraints: whenUnsatisfiable DoNotSchedule."""
    one = lab(2)
    one.client.patch("nodes", "n1", {"spec": {"unschedulable": True}})
    one.run()
    assert put(one, pod("a", topologySpreadConstraints=[spread()])) == "n0"
    assert put(one, pod("b", topologySpreadConstraints=[spread()])) == ""
    assert "1 node(s) didn't match pod topology spread constraints" in why(one, "b")


def test_too_few_domains_count_as_an_empty_one() -> None:
    """docs: topology-spread-constraints: minDomains."""
    one = lab(2)
    rule = spread(minDomains=3)
    got = [put(one, pod(name, topologySpreadConstraints=[rule])) for name in "abc"]
    assert got[2] == "" and set(got[:2]) == {"n0", "n1"}


def test_a_node_without_the_label_is_refused() -> None:
    """docs: topology-spread-constraints (Implicit conventions)."""
    one = lab(0)
    one.node("plain")
    assert put(one, pod("a", topologySpreadConstraints=[spread()])) == ""
    assert "1 node(s) didn't match pod topology spread constraints (missing required label)." in why(one, "a")


@pytest.mark.parametrize(("policy", "node"), [("Honor", "n0"), ("Ignore", "")])
def test_a_tainted_zone_counts_unless_the_policy_honors_taints(policy: str, node: str) -> None:
    """docs: topology-spread-constraints: nodeTaintsPolicy."""
    one = lab(1)
    one.node("n1", labels={ZONE: "b"}, taints=[{"key": "x", "effect": "NoSchedule"}])
    one.run()
    rule = spread(nodeTaintsPolicy=policy)
    assert put(one, pod("a", topologySpreadConstraints=[rule])) == "n0"
    assert put(one, pod("b", topologySpreadConstraints=[rule])) == node


def test_only_pods_of_the_same_revision_count_with_match_label_keys() -> None:
    """docs: topology-spread-constraints: matchLabelKeys."""
    one = lab(1)
    one.node("n1", labels={ZONE: "b"}, unschedulable=True)
    one.run()
    rule = spread(matchLabelKeys=["pod-template-hash"])
    got = [put(one, pod(name, {"app": "web", "pod-template-hash": name}, topologySpreadConstraints=[rule]))
           for name in "ab"]  # fmt: skip
    assert got == ["n0", "n0"]


def test_a_wish_spreads_and_forbids_nothing() -> None:
    """docs: topology-spread-constraints: ScheduleAnyway."""
    one = lab(4)
    wish = spread("ScheduleAnyway", HOSTNAME)
    got = Counter(put(one, pod(f"p{number}", topologySpreadConstraints=[wish])) for number in range(8))
    assert set(got.values()) == {2}


def test_counts_by_shape_equal_counts_by_looking_at_every_pod() -> None:
    """k8snb: the index against brute force, over random placements, removals and changes of labels."""
    dice, cache = random.Random(3), Cache()
    there: dict[str, tuple[Object, str]] = {}
    for _ in range(500):
        name = f"p{dice.randrange(40)}"
        if name in there and dice.random() < 0.3:
            cache.displace(name)
            del there[name]
            continue
        node = there[name][1] if name in there else f"n{dice.randrange(5)}"
        one = pod(name, {"app": dice.choice("abc")})
        one["metadata"]["uid"] = name
        cache.place(name, one, node)
        there[name] = (one, node)
        found = {(places.labels["app"], node): count for places in cache.index.shapes("default")
                 for node, count in places.nodes.items()}  # fmt: skip
        assert found == Counter((each["metadata"]["labels"]["app"], node) for each, node in there.values())


# preemption


def important(name: str, cpu: str = "800m", priority: str = "high", **spec: Any) -> Object:
    return pod(name, {"app": name}, containers=asking(cpu), priorityClassName=priority, **spec)


def full(nodes: int = 1) -> Lab:
    one = lab(nodes, cpu="1")
    for name, value in (("high", 1000), ("low", 10)):
        one.client.create("priorityclasses", {"metadata": {"name": name}, "value": value})
    for number in range(nodes):
        put(one, pod(f"victim{number}", {"app": "victim"}, containers=asking("800m")))
    return one


def finish(one: Lab) -> None:
    """The kubelet's part: pods that are being deleted end."""
    for each in one.pods():
        if is_deleting(each):
            one.client.delete("pods", name_of(each), "default", gracePeriodSeconds=0)
    one.wait(15)


def test_a_more_important_pod_takes_the_place_of_a_less_important_one() -> None:
    """docs: concepts/scheduling-eviction/pod-priority-preemption (Preemption); e2e:
    test/e2e/scheduling/preemption.go "validates basic preemption works"."""
    one = full()
    assert put(one, important("vip")) == ""
    vip, victim = one.get("pods", "vip"), one.get("pods", "victim0")
    assert vip["status"]["nominatedNodeName"] == "n0" and is_deleting(victim)
    entry = condition(victim, "DisruptionTarget") or {}
    assert (entry["reason"], entry["message"]) == (
        "PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod"
    )  # fmt: skip
    assert one.events("Preempted") == [f"Preempted by pod {vip['metadata']['uid']} on node n0"]
    finish(one)
    assert one.get("pods", "vip")["spec"]["nodeName"] == "n0"


def test_room_made_for_one_is_not_given_to_a_less_important_other() -> None:
    """docs: pod-priority-preemption (User exposed information): nominatedNodeName."""
    one = full()
    put(one, important("vip"))
    one.client.create("pods", important("other", priority="low"))
    finish(one)
    assert one.get("pods", "vip")["spec"]["nodeName"] == "n0"
    assert not one.get("pods", "other")["spec"].get("nodeName")


def test_who_never_preempts_waits() -> None:
    """docs: pod-priority-preemption (Non-preempting PriorityClass)."""
    one = full()
    one.client.create("priorityclasses", {"metadata": {"name": "meek"}, "value": 999, "preemptionPolicy": "Never"})
    assert put(one, important("vip", priority="meek")) == ""
    assert why(one, "vip") == (
        "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
    )
    assert not is_deleting(one.get("pods", "victim0"))


def test_equals_are_not_driven_out() -> None:
    """docs: pod-priority-preemption (Preemption): lower priority only."""
    one = full()
    assert put(one, pod("equal", containers=asking("800m"))) == ""
    assert why(one, "equal").endswith(
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )


def test_pods_that_a_budget_protects_go_last() -> None:
    """docs: pod-priority-preemption (PodDisruptionBudget is supported, but not guaranteed)."""
    one = full(2)
    one.client.patch("pods", "victim0", {"metadata": {"labels": {"app": "kept"}}}, "default")
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "kept"}}}
    one.client.create("poddisruptionbudgets", {"metadata": {"name": "b", "namespace": "default"}, "spec": spec})
    one.run()
    put(one, important("vip"))
    assert not is_deleting(one.get("pods", "victim0")) and is_deleting(one.get("pods", "victim1"))


def test_a_decision_about_a_failed_attempt_has_the_words_about_preemption() -> None:
    """upstream: pkg/scheduler/framework/preemption: "preemption: …" in the FitError."""
    one = full()
    put(one, pod("equal", containers=asking("800m")))
    assert "No preemption victims" in one.controller.why(one.get("pods", "equal")).message


# profiles and plug-ins of one's own


class EvenNodes(Plugin):
    name = "EvenNodes"

    def filter(self, pod: Object, node: NodeInfo) -> str | None:
        return None if int(node.name[1:]) % 2 == 0 else "node(s) were odd"


def test_a_plugin_of_ones_own_joins_by_one_call() -> None:
    """docs: concepts/scheduling-eviction/scheduling-framework (Plugin configuration)."""
    one = lab(2)
    one.controller.register(EvenNodes)
    one.run()
    assert {put(one, pod(f"p{number}")) for number in range(6)} == {"n0"}
    with pytest.raises(ValueError, match="at work already"):
        one.controller.register(EvenNodes)


def test_a_pod_chooses_its_profile_by_name() -> None:
    """docs: reference/scheduling/config (Multiple profiles)."""
    labels = [{"key": HOSTNAME, "operator": "In", "values": ["n1"]}]
    added = {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": labels}]}}
    only = Profile("only-n1", args={"NodeAffinity": {"added_affinity": added}})
    one = Lab(lambda context, informers: Scheduler(context, informers, profiles=(Profile(), only))).start()
    for number in range(3):
        one.node(f"n{number}")
    one.run()
    assert {put(one, pod(f"p{number}", schedulerName="only-n1")) for number in range(3)} == {"n1"}
    assert len({put(one, pod(f"q{number}")) for number in range(6)}) > 1


def test_arguments_for_a_plugin_that_there_is_not_are_refused() -> None:
    """upstream: pkg/scheduler/apis/config/validation."""
    with pytest.raises(ValueError, match="there is no plug-in NodeAfinity"):
        Profile(args={"NodeAfinity": {}}).made()


def test_a_decision_keeps_raw_normal_and_weighed_scores() -> None:
    """k8snb: every decision is kept."""
    one = lab(2)
    node = put(one, pod("a"))
    decision = one.controller.decision(one.get("pods", "a"))
    score = decision.score(node, "NodeResourcesFit")
    assert score.weighed == score.normal == score.raw > 0
