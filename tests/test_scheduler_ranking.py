"""kube-scheduler's short cut: the best of all nodes, found by groups of nodes that are alike, is what looking at each
node would have found (upstream looks at each: `schedulePod` in `pkg/scheduler/schedule_one.go`)."""

from __future__ import annotations

import random
from typing import Any

import pytest
from controllers_lab import container

from k8snb.apimachinery.meta import Object, name_of
from k8snb.scheduler.algorithm import Algorithm
from k8snb.scheduler.cache import Cache
from k8snb.scheduler.framework import Cycle
from k8snb.scheduler.ranking import Result

ZONE, HOSTNAME = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
PREFERS_SSD = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
    {"weight": 7, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}}]}}  # fmt: skip
IN_ZONES = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
    {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["z0", "z1"]}]}]}}}  # fmt: skip


def spread(key: str, when: str, **more: Any) -> Object:
    return {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": when,
            "labelSelector": {"matchLabels": {"app": "web"}}, **more}  # fmt: skip


SPECS: dict[str, Object] = {
    "plain": {},
    "prefers": {"affinity": PREFERS_SSD},
    "zones": {"topologySpreadConstraints": [spread(ZONE, "DoNotSchedule")], "affinity": IN_ZONES},
    "hosts": {"topologySpreadConstraints": [spread(HOSTNAME, "DoNotSchedule")]},
    "wishes": {"topologySpreadConstraints": [spread(ZONE, "ScheduleAnyway"), spread(HOSTNAME, "ScheduleAnyway")]},
    "both": {"topologySpreadConstraints": [spread(HOSTNAME, "DoNotSchedule", minDomains=3),
                                           spread(ZONE, "ScheduleAnyway", nodeTaintsPolicy="Honor")]},
}  # fmt: skip


def node_object(name: str, dice: random.Random) -> Object:
    labels = {HOSTNAME: name, ZONE: f"z{dice.randrange(4)}"}
    if dice.random() < 0.3:
        labels["disk"] = "ssd"
    if dice.random() < 0.1:
        del labels[ZONE]
    effect = dice.choice(("PreferNoSchedule", "NoSchedule", "", "", ""))
    spec: Object = {"taints": [{"key": "k", "effect": effect}]} if effect else {}
    cpu = str(dice.choice((1, 2, 4)))
    images = [{"names": ["web:1"], "sizeBytes": dice.choice((30, 400)) * 2**20}] if dice.random() < 0.4 else []
    status = {"allocatable": {"cpu": cpu, "memory": "4Gi", "pods": "8"}, "images": images}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}


def pod_object(number: int, spec: Object, owner: str) -> Object:
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner, "controller": True}
    name = f"{owner}-{number}"
    resources = {"requests": {"cpu": "200m", "memory": "128Mi"}}
    metadata = {"name": name, "namespace": "default", "uid": name, "labels": {"app": "web"},
                "ownerReferences": [reference]}  # fmt: skip
    return {"metadata": metadata, "spec": {"containers": [container(resources=resources, image="web:1")], **spec}}


def slowly(algorithm: Algorithm, cache: Cache, pod: Object) -> Result:
    """The same pod, every node looked at."""
    template = algorithm._templates.of({**pod, "metadata": {**pod["metadata"], "ownerReferences": []}})
    cycle = Cycle(pod, template.request, f"default/{pod['metadata']['ownerReferences'][0]['uid']}", cache)
    concerned = [plugin for plugin in algorithm._shared_filters if plugin.concerns(pod)]
    panel, _ = algorithm._panel(cycle, concerned)
    return algorithm._result(cycle, algorithm._one_by_one(cycle, template, panel, cache.nodes), 0.0)


@pytest.mark.parametrize("seed", range(12))
def test_the_best_of_groups_is_the_best_of_all_nodes(seed: int) -> None:
    """k8snb: an index finds what a scan over all nodes finds."""
    dice = random.Random(seed)
    cache = Cache()
    for number in range(40):
        cache.set_node(node_object(f"n{number}", dice))
    algorithm = Algorithm(cache, random.Random(seed))
    placed: list[Object] = []
    for number in range(60):
        kind = dice.choice(list(SPECS))
        pod = pod_object(number, SPECS[kind], kind)
        expected, found = slowly(algorithm, cache, pod), algorithm.choose(pod, 0.0)
        assert bool(found.node) == bool(expected.node), kind
        assert found.decision.counts == expected.decision.counts, kind
        assert set(found.resolvable) == set(expected.resolvable), kind
        if found.node:
            best = max(map(expected.decision.total, expected.decision.nodes))
            assert found.decision.total(found.node) == best, kind
            if found.node in expected.decision.nodes:
                assert found.decision.scores[found.node] == expected.decision.scores[found.node], kind
            cache.place(name_of(pod), pod, found.node)
            placed.append(pod)
        _disturb(cache, dice, placed)


def _disturb(cache: Cache, dice: random.Random, placed: list[Object]) -> None:
    """Nodes change, go and come back; pods end."""
    name, what = f"n{dice.randrange(40)}", dice.random()
    if what < 0.2:
        cache.set_node(node_object(name, dice))
    elif what < 0.3:
        cache.remove_node(name)
    elif what < 0.4 and placed:
        cache.displace(name_of(placed.pop(dice.randrange(len(placed)))))


def test_a_pod_costs_as_much_as_there_are_changed_nodes() -> None:
    """k8snb: the cost of a pod grows with what has changed."""
    dice = random.Random(1)
    cache = Cache()
    for number in range(200):
        cache.set_node(node_object(f"n{number}", dice))
    algorithm = Algorithm(cache, dice)
    asked = 0
    judge = algorithm._judge

    def counted(pod: Object, node: Any) -> Any:
        nonlocal asked
        asked += 1
        return judge(pod, node)

    algorithm._judge = counted  # type: ignore[method-assign]
    for number in range(20):
        pod = pod_object(number, SPECS["zones"], "web")
        cache.place(name_of(pod), pod, algorithm.choose(pod, 0.0).node)
    assert asked == 200 + 19


def _node(name: str, cpu: str) -> Object:
    return {"metadata": {"name": name}, "status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "9"}}}


def test_a_pod_that_names_its_node_has_no_other_looked_at() -> None:
    """PreFilterResult of NodeAffinity: `pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go`. Daemon pods."""
    cache = Cache()
    for number in range(3):
        cache.set_node(_node(f"n{number}", "1"))
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    spec = {"affinity": {"nodeAffinity": required}}
    algorithm = Algorithm(cache, random.Random(1))
    assert algorithm.choose(pod_object(1, spec, "agent"), 0.0).node == "n1"
    cache.set_node(_node("n1", "100m"))
    message = algorithm.choose(pod_object(2, spec, "agent"), 0.0).decision.message
    words = "1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]"
    assert message == f"0/3 nodes are available: {words}."
