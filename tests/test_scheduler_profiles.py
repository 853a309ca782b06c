"""kube-scheduler's profiles: what a configuration says about plug-ins, and how its scoring strategies choose."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from controllers_lab import Lab, container, pod

from k8snb.apimachinery.meta import Object
from k8snb.scheduler import Profile, Scheduler, profiles_of
from k8snb.scheduler.scoring_strategy import strategy


def lab(*profiles: Profile, nodes: int = 0) -> Lab:
    one = Lab(functools.partial(Scheduler, profiles=profiles or (Profile(),))).start()
    for number in range(nodes):
        one.node(f"n{number}")
    return one.run()


def put(one: Lab, name: str, cpu: str = "500m", **spec: Any) -> str:
    resources = {"requests": {"cpu": cpu, "memory": "1Gi"}}
    one.client.create("pods", pod(name, **{"containers": [container(resources=resources, image="web:1")], **spec}))
    one.run()
    return str(one.get("pods", name)["spec"].get("nodeName", ""))


def configuration(*profiles: Object) -> Object:
    return {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
            "profiles": list(profiles)}  # fmt: skip


def fit(scoring: Object, name: str = "packing") -> Object:
    return {"schedulerName": name, "pluginConfig": [{"name": "NodeResourcesFit", "args": {"scoringStrategy": scoring}}]}


def test_most_allocated_fills_one_node_after_the_other() -> None:
    """upstream: "Resource Bin Packing" page: MostAllocated."""
    packing = profiles_of(configuration({"schedulerName": "default-scheduler"}, fit({"type": "MostAllocated"})))
    one = lab(*packing, nodes=3)
    first = put(one, "a", schedulerName="packing")
    assert {put(one, f"p{number}", schedulerName="packing") for number in range(6)} == {first}
    assert put(one, "full", schedulerName="packing", cpu="3") != first
    assert put(one, "spread") != first


def test_least_allocated_keeps_nodes_even() -> None:
    """docs: concepts/scheduling-eviction/resource-bin-packing; reference/scheduling/config (LeastAllocated)."""
    one = lab(nodes=3)
    assert {put(one, f"p{number}") for number in range(3)} == {"n0", "n1", "n2"}


# upstream's own cases: requested_to_capacity_ratio_test.go, least_allocated_test.go, most_allocated_test.go
SHAPE = [{"utilization": 0, "score": 0}, {"utilization": 70, "score": 5}, {"utilization": 100, "score": 10}]


def by_shape(shape: list[Object]) -> Object:
    return {"type": "RequestedToCapacityRatio", "requestedToCapacityRatio": {"shape": shape}}


@pytest.mark.parametrize(
    ("wanted", "parts", "score"),
    [
        ({"type": "LeastAllocated"}, [(1, 3000, 4000), (1, 5000, 10000)], 37),
        ({"type": "LeastAllocated"}, [(1, 5000, 4000), (1, 5000, 10000)], 25),
        ({"type": "MostAllocated"}, [(1, 6000, 10000), (1, 10000, 20000)], 55),
        ({"type": "MostAllocated"}, [(1, 6000, 4000), (1, 0, 20000)], 50),
        ({"type": "MostAllocated"}, [(1, 6000, 10000), (2, 10000, 20000)], 53),
        (by_shape(SHAPE), [(1, 35, 100)], 25),
        (by_shape(SHAPE), [(1, 85, 100)], 75),
        (by_shape(SHAPE), [(1, 120, 100)], 100),
        (by_shape(SHAPE), [(1, 0, 9), (3, 70, 100)], 50),
        (by_shape(SHAPE[1:]), [(1, 10, 100)], 50),
    ],
)  # fmt: skip
def test_a_strategy_scores_by_what_would_be_used(wanted: Object, parts: list[tuple[int, int, int]], score: int) -> None:
    """docs: concepts/scheduling-eviction/resource-bin-packing (RequestedToCapacityRatio)."""
    assert strategy(wanted).score(parts) == score


def test_an_extended_resource_counts_for_those_who_ask_for_it() -> None:
    """upstream: `calculateResourceAllocatableRequest` in resource_allocation.go."""
    scoring = {"type": "MostAllocated", "resources": [{"name": "example.com/gpu", "weight": 5}]}
    one = lab(*profiles_of(configuration(fit(scoring, "default-scheduler"))))
    for name, gpus in (("n0", "8"), ("n1", "2")):
        made = one.node(name)
        amounts = {**made["status"]["allocatable"], "example.com/gpu": gpus}
        one.client.update_status("nodes", {**made, "status": {**made["status"], "allocatable": amounts}})
    one.run()
    asking = container(resources={"limits": {"example.com/gpu": "1", "cpu": "1", "memory": "1Gi"}})
    assert put(one, "gpu", containers=[asking]) == "n1"
    assert one.controller.why(one.get("pods", "gpu")).score("n1", "NodeResourcesFit").raw == 50


def test_a_plugin_that_is_switched_off_says_nothing() -> None:
    """docs: reference/scheduling/config (Extension points): disabled."""
    plain = {"plugins": {"score": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesFit", "weight": 5}]},
                         "filter": {"disabled": [{"name": "TaintToleration"}]}}}  # fmt: skip
    one = lab(*profiles_of(configuration(plain)))
    one.node("n0", taints=[{"key": "k", "effect": "NoSchedule"}])
    one.run()
    assert put(one, "a") == "n0"
    decision = one.controller.why(one.get("pods", "a"))
    assert [(column.plugin, column.weight) for column in decision.columns] == [("NodeResourcesFit", 5)]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({**configuration(), "kind": "Pod"}, "kind: must be KubeSchedulerConfiguration, not Pod"),
        ({**configuration(), "extenders": []}, "extenders: not implemented by k8snb; what there is: apiVersion, kind"),
        (configuration({}, {}), 'Duplicate value: schedulerName "default-scheduler"'),
        (configuration({"percentageOfNodesToScore": 5}), r"profiles\[0\].percentageOfNodesToScore: not implemented"),
        (configuration({"plugins": {"score": {"enabled": [{"name": "Coffee"}]}}}), 'there is no plug-in "Coffee"'),
        (configuration(fit({"type": "Random"})), 'scoringStrategy.type: Unsupported value: "Random"'),
        (configuration(fit({"resources": [{"name": "cpu", "weight": 101}]})), "cpu must be between 1 and 100"),
        (configuration(fit({"type": "RequestedToCapacityRatio"})), "shape: Required value: at least one point"),
        (configuration({"pluginConfig": [{"name": "VolumeBinding", "args": {"bindTimeoutSeconds": 1}}]}),
         r"pluginConfig\[0\].args.bindTimeoutSeconds: not implemented by k8snb"),
    ],
)  # fmt: skip
def test_what_a_configuration_gets_wrong_is_refused_by_name(wrong: Object, words: str) -> None:
    """upstream: pkg/scheduler/apis/config/validation."""
    with pytest.raises(ValueError, match=words):
        profiles_of(wrong)


# ImageLocality


def with_images(one: Lab, name: str, **sizes: int) -> None:
    made = one.node(name)
    images = [{"names": [f"{image}:1"], "sizeBytes": size * 1024 * 1024} for image, size in sizes.items()]
    one.client.update_status("nodes", {**made, "status": {**made["status"], "images": images}})


def test_a_pod_goes_where_its_image_is() -> None:
    """upstream: `imagelocality/image_locality.go`: an image counts by its size and by the share of nodes that have
    it."""
    one = lab()
    with_images(one, "n0", web=900, other=900)
    with_images(one, "n1", other=900)
    one.run()
    assert put(one, "a") == "n0"
    decision = one.controller.why(one.get("pods", "a"))
    assert decision.score("n0", "ImageLocality").raw == (900 // 2 - 23) * 100 // (1000 - 23)
    assert decision.score("n1", "ImageLocality").raw == 0


def test_a_small_image_makes_no_difference() -> None:
    """upstream: plugins/imagelocality/image_locality.go: minThreshold."""
    one = lab()
    with_images(one, "n0", web=40)
    with_images(one, "n1")
    one.run()
    put(one, "a")
    assert one.controller.why(one.get("pods", "a")).score("n0", "ImageLocality").raw == 0


def test_an_image_that_comes_later_counts_for_the_next_pod_of_a_template() -> None:
    """upstream: plugins/imagelocality reads each node's images anew."""
    one = lab(nodes=2)
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "s", "uid": "s", "controller": True}

    def scored(name: str) -> Any:
        wanted = pod(name, containers=[container(image="web:1")])
        wanted["metadata"]["ownerReferences"] = [owner]
        one.client.create("pods", wanted)
        one.run()
        return one.controller.why(one.get("pods", name))

    assert "ImageLocality" not in {column.plugin for column in scored("a").columns}
    made = one.client.get("nodes", "n1")
    images = [{"names": ["web:1"], "sizeBytes": 2**30}]
    one.client.update_status("nodes", {**made, "status": {**made["status"], "images": images}})
    one.run()
    assert scored("b").score("n1", "ImageLocality").raw > 0
