"""horizontal-pod-autoscaler, the metrics that it reads, and the words in which it speaks.

Source: `pkg/controller/podautoscaler/{horizontal,replica_calculator}_test.go` in the kubernetes repository, KEP-853,
and the walk-through of the documentation (tasks/run-application/horizontal-pod-autoscale-walkthrough).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from k8snb import Cluster
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import Object, condition
from k8snb.clock import VirtualClock, timestamp
from k8snb.controllers.podautoscaler_rates import History, settle
from k8snb.controllers.podautoscaler_replicas import (
    MetricError,
    Reading,
    by_average,
    by_utilization,
    group,
)
from k8snb.kubectl import KubectlError

V1, V2 = (BY_GVK[f"autoscaling/{version}", "HorizontalPodAutoscaler"] for version in ("v1", "v2"))
PODS = BY_GVK["metrics.k8s.io/v1beta1", "PodMetrics"]
NODES = BY_GVK["metrics.k8s.io/v1beta1", "NodeMetrics"]
START = 1_700_000_000.0
LATER = START + 1000


# the calculator, on plain dicts


def pod(name: str, *, ready: bool = True, request: str | None = "100m", phase: str = "Running", **more: Any) -> Object:
    resources = {"requests": {"cpu": request}} if request else {}
    entry = {"type": "Ready", "status": str(ready), "lastTransitionTime": timestamp(START)}
    status = {"phase": phase, "startTime": timestamp(START), "conditions": [entry]}
    container = {"name": "web", "resources": resources}
    return {"metadata": {"name": name, **more}, "spec": {"containers": [container]}, "status": status}


def readings(*values: int) -> dict[str, Reading]:
    return {f"p{place}": Reading(value, LATER, 15.0) for place, value in enumerate(values)}


def pods(count: int, **more: Any) -> list[Object]:
    return [pod(f"p{place}", **more) for place in range(count)]


def wanted(current: int, target: int, found: list[Object], *values: int) -> int:
    return by_utilization(current, target, found, readings(*values), resource="cpu", now=LATER).replicas


@pytest.mark.parametrize(
    ("target", "values", "expected"),
    [
        (50, (100, 100), 4),  # twice the target
        (50, (20, 30), 1),  # half of it
        (50, (52, 52), 2),  # within a tenth: nothing
        (50, (56, 56), 3),  # beyond a tenth
    ],
)
def test_the_number_follows_the_ratio_of_use_to_target(target: int, values: tuple[int, ...], expected: int) -> None:
    """docs: tasks/run-application/horizontal-pod-autoscale (Algorithm details)."""
    assert wanted(2, target, pods(2), *values) == expected


def test_a_pod_without_metrics_uses_nothing_where_the_number_would_rise() -> None:
    """docs: horizontal-pod-autoscale (Algorithm details): missing metrics."""
    assert wanted(3, 50, pods(3), 100, 100) == 4  # 200 of 300 requested: 66 %


def test_a_pod_without_metrics_uses_all_that_it_requests_where_the_number_would_fall() -> None:
    """docs: horizontal-pod-autoscale (Algorithm details): missing metrics."""
    assert wanted(3, 50, pods(3), 10, 10) == 3  # 120 of 300 requested: 40 %, and ceil(0.8 × 3) = 3


def test_pods_that_are_not_ready_count_as_idle_where_the_number_would_rise() -> None:
    """docs: horizontal-pod-autoscale (Algorithm details): not-yet-ready pods."""
    found = [*pods(2), pod("p2", ready=False)]
    fresh = by_utilization(3, 50, found, readings(100, 100, 900), resource="cpu", now=START + 60)
    assert fresh.replicas == 4


def test_pods_that_end_or_have_failed_are_left_out() -> None:
    """docs: horizontal-pod-autoscale (Algorithm details)."""
    found = [*pods(2), pod("p2", phase="Failed"), pod("p3", deletionTimestamp=timestamp(START))]
    groups = group(found, readings(1, 1, 1, 1), "cpu", LATER)
    assert (groups.ready, groups.ignored) == (2, {"p2", "p3"})


def test_a_container_without_a_request_has_no_utilization() -> None:
    """docs: horizontal-pod-autoscale (How does a HorizontalPodAutoscaler work?): utilization needs requests."""
    with pytest.raises(MetricError, match="missing request for cpu in container web of Pod p0"):
        wanted(1, 50, pods(1, request=None), 10)


def test_an_average_value_needs_no_requests() -> None:
    """API reference: MetricTarget.averageValue."""
    found = by_average(2, 50, pods(2, request=None), readings(100, 100), resource="cpu", now=LATER)
    assert (found.replicas, found.average) == (4, 100)


# the rates


def verdict(history: History, now: float, current: int, wish: int, behavior: Object | None = None) -> tuple[int, str]:
    found = settle(history, now=now, current=current, wanted=wish, least=1, most=100, behavior=behavior)
    return found.replicas, found.limited.reason


def rules(**more: Any) -> Object:
    percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
    both = {"selectPolicy": "Max", "policies": [percent]}
    return {"scaleUp": {**both, "stabilizationWindowSeconds": 0, **more.get("up", {})},
            "scaleDown": {**both, **more.get("down", {})}}  # fmt: skip


def test_without_rules_a_number_doubles_at_most_and_small_ones_become_four() -> None:
    """docs: horizontal-pod-autoscale (Default behavior)."""
    assert verdict(History(), 0, 1, 50) == (4, "ScaleUpLimit")
    assert verdict(History(), 0, 10, 50) == (20, "ScaleUpLimit")


def test_a_number_falls_after_five_minutes_of_lower_wishes() -> None:
    """docs: horizontal-pod-autoscale (Stabilization window); e2e:
    test/e2e/autoscaling/horizontal_pod_autoscaling_behavior.go "with short downscale stabilization window"."""
    history = History()
    assert verdict(history, 0, 10, 10)[0] == 10
    assert verdict(history, 15, 10, 2)[0] == 10
    assert verdict(history, 299, 10, 2)[0] == 10
    assert verdict(history, 301, 10, 2)[0] == 2


def test_a_policy_limits_what_is_added_in_its_period() -> None:
    """docs: horizontal-pod-autoscale (Scaling policies); e2e: horizontal_pod_autoscaling_behavior.go "should scale
    up no more than given number of Pods per minute"."""
    four = rules(up={"policies": [{"type": "Pods", "value": 4, "periodSeconds": 60}]})
    history = History()
    assert verdict(history, 0, 10, 50, four) == (14, "ScaleUpLimit")
    history.changed(0, 10, 14)
    assert verdict(history, 15, 14, 50, four)[0] == 14
    assert verdict(history, 61, 14, 50, four)[0] == 18


def test_a_direction_can_be_forbidden() -> None:
    """docs: horizontal-pod-autoscale (Example: disable scale down); e2e: horizontal_pod_autoscaling_behavior.go
    "shouldn't scale down"."""
    never = rules(down={"selectPolicy": "Disabled", "stabilizationWindowSeconds": 0})
    assert verdict(History(), 0, 10, 1, never) == (10, "ScaleDownLimit")


def test_the_smallest_change_can_be_asked_for() -> None:
    """docs: horizontal-pod-autoscale (Scaling policies): selectPolicy Min."""
    policies = [
        {"type": "Pods", "value": 1, "periodSeconds": 15},
        {"type": "Percent", "value": 50, "periodSeconds": 15},
    ]
    slow = rules(down={"selectPolicy": "Min", "policies": policies, "stabilizationWindowSeconds": 0})
    assert verdict(History(), 0, 10, 1, slow)[0] == 9


# the whole, on virtual time


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster("hpa", nodes=2, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        cluster.settle()
        yield cluster


def deploy(cluster: Cluster, usage: str, *, request: str = "100m", replicas: int = 2) -> None:
    template = {
        "metadata": {"labels": {"app": "web"}, "annotations": {"k8snb.io/usage-cpu": usage}},
        "spec": {"containers": [{"name": "web", "image": "nginx", "resources": {"requests": {"cpu": request}}}]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    cluster.client.create("deployments", {"metadata": {"name": "web"}, "spec": spec}, "default")
    cluster.settle()


def scaler(**spec: Any) -> Object:
    target = {"type": "Utilization", "averageUtilization": 50}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {"metadata": {"name": "web"},
            "spec": {"scaleTargetRef": reference, "maxReplicas": 10, "metrics": [metric], **spec}}  # fmt: skip


def replicas(cluster: Cluster) -> int:
    return int(cluster.client.get("deployments", "web", "default")["spec"]["replicas"])


def events(cluster: Cluster, reason: str) -> list[str]:
    return [event["message"] for event in cluster.client.items("events", "default") if event["reason"] == reason]


def test_a_load_makes_pods_and_its_end_takes_them_away(cluster: Cluster) -> None:
    """docs: tasks/run-application/horizontal-pod-autoscale-walkthrough; e2e:
    test/e2e/autoscaling/horizontal_pod_autoscaling.go "should scale from 1 pod to 3 pods and then from 3 pods to
    5 pods"."""
    deploy(cluster, "100m, 10m: 5m", replicas=1)
    cluster.client.create("horizontalpodautoscalers", scaler(maxReplicas=4), "default")
    cluster.run_for(300)
    assert replicas(cluster) == 4
    cluster.run_for(1200)
    assert replicas(cluster) == 1
    assert "New size: 2; reason: cpu resource utilization (percentage of request) above target" in events(
        cluster, "SuccessfulRescale"
    )
    assert "New size: 1; reason: All metrics below target" in events(cluster, "SuccessfulRescale")


def test_conditions_say_how_far_it_is(cluster: Cluster) -> None:
    """docs: horizontal-pod-autoscale-walkthrough (Appendix: Horizontal Pod Autoscaler Status Conditions)."""
    deploy(cluster, "50m")
    cluster.client.create("horizontalpodautoscalers", scaler(), "default")
    cluster.run_for(60)
    obj = cluster.client.get("horizontalpodautoscalers", "web", "default")
    found = {
        sort: (condition(obj, sort) or {}).get("reason") for sort in ("AbleToScale", "ScalingActive", "ScalingLimited")
    }
    assert found == {"AbleToScale": "ReadyForNewScale", "ScalingActive": "ValidMetricFound",
                     "ScalingLimited": "DesiredWithinRange"}  # fmt: skip
    assert obj["status"]["currentMetrics"][0]["resource"]["current"] == {
        "averageUtilization": 50,
        "averageValue": "50m",
    }


def test_what_does_not_change_is_not_written_again(cluster: Cluster) -> None:
    """upstream: pkg/controller/podautoscaler/horizontal.go: updateStatusIfNeeded."""
    deploy(cluster, "50m")
    cluster.client.create("horizontalpodautoscalers", scaler(), "default")
    cluster.run_for(120)
    before = cluster.client.get("horizontalpodautoscalers", "web", "default")["metadata"]["resourceVersion"]
    cluster.run_for(300)
    assert cluster.client.get("horizontalpodautoscalers", "web", "default")["metadata"]["resourceVersion"] == before


def test_without_requests_it_says_why_and_does_nothing(cluster: Cluster) -> None:
    """upstream: pkg/controller/podautoscaler/replica_calculator.go: "missing request for cpu"."""
    deploy(cluster, "500m", request="0")
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", "resources": {"requests": None}}]}}}}
    cluster.client.patch("deployments", "web", patch, "default")
    cluster.settle()
    cluster.client.create("horizontalpodautoscalers", scaler(), "default")
    cluster.run_for(90)
    obj = cluster.client.get("horizontalpodautoscalers", "web", "default")
    active = condition(obj, "ScalingActive")
    assert active is not None and (active["status"], active["reason"]) == ("False", "FailedGetResourceMetric")
    assert "missing request for cpu in container web of Pod web-" in active["message"]
    assert replicas(cluster) == 2


def test_a_target_that_is_not_there_is_named(cluster: Cluster) -> None:
    """upstream: horizontal.go: FailedGetScale."""
    cluster.client.create("horizontalpodautoscalers", scaler(), "default")
    cluster.run_for(30)
    able = condition(cluster.client.get("horizontalpodautoscalers", "web", "default"), "AbleToScale")
    assert able is not None and able["reason"] == "FailedGetScale" and '"web" not found' in able["message"]


def test_metrics_that_nobody_serves_are_refused_by_name(cluster: Cluster) -> None:
    """upstream: horizontal.go: FailedGetPodsMetric and its like."""
    deploy(cluster, "50m")
    target = {"type": "AverageValue", "averageValue": "10"}
    metric = {"type": "Pods", "pods": {"metric": {"name": "requests"}, "target": target}}
    cluster.client.create("horizontalpodautoscalers", scaler(metrics=[metric]), "default")
    cluster.run_for(30)
    active = condition(cluster.client.get("horizontalpodautoscalers", "web", "default"), "ScalingActive")
    assert active is not None and active["reason"] == "FailedGetPodsMetric"
    words = "unable to get metric requests: unable to fetch metrics from custom metrics API: the server could not find"
    assert words in active["message"]
    assert "cluster.add_metric" in active["message"]


def test_a_target_at_zero_is_left_there(cluster: Cluster) -> None:
    """docs: horizontal-pod-autoscale (Implicit maintenance-mode deactivation)."""
    deploy(cluster, "50m", replicas=0)
    cluster.client.create("horizontalpodautoscalers", scaler(), "default")
    cluster.run_for(60)
    active = condition(cluster.client.get("horizontalpodautoscalers", "web", "default"), "ScalingActive")
    assert active is not None and active["reason"] == "ScalingDisabled" and replicas(cluster) == 0


def test_too_few_pods_are_made_more_without_a_metric(cluster: Cluster) -> None:
    """upstream: horizontal.go: reconcileAutoscaler, below minReplicas."""
    deploy(cluster, "50m", replicas=1)
    cluster.client.create("horizontalpodautoscalers", scaler(minReplicas=3), "default")
    cluster.run_for(2)
    assert replicas(cluster) == 3
    assert events(cluster, "SuccessfulRescale") == [
        "New size: 3; reason: Current number of replicas below Spec.MinReplicas"
    ]


# the metrics API


def test_pods_and_nodes_are_measured(cluster: Cluster) -> None:
    """docs: tasks/debug/debug-cluster/resource-metrics-pipeline."""
    deploy(cluster, "150m")
    cluster.run_for(40)
    measured = cluster.client.items(PODS, "default")
    assert [pod["containers"][0]["usage"]["cpu"] for pod in measured] == ["150000000n"] * 2
    one = cluster.client.get(PODS, measured[0]["metadata"]["name"], "default")
    assert (one["kind"], one["window"], one["metadata"]["labels"]["app"]) == ("PodMetrics", "15s", "web")
    assert {node["metadata"]["name"] for node in cluster.client.items(NODES)} == {"control-plane", "node-1", "node-2"}
    assert cluster.client.items(PODS, "default", labelSelector="app=other") == []


def test_what_nobody_has_measured_is_not_found(cluster: Cluster) -> None:
    """upstream: sigs.k8s.io/metrics-server/pkg/api: NotFound."""
    with pytest.raises(ApiError) as caught:
        cluster.client.get(PODS, "nope", "default")
    assert (caught.value.code, caught.value.message) == (404, 'podmetrics.metrics.k8s.io "default/nope" not found')


def test_metrics_cannot_be_written(cluster: Cluster) -> None:
    """upstream: sigs.k8s.io/metrics-server/pkg/api: get and list only."""
    with pytest.raises(ApiError) as caught:
        cluster.client.create(PODS, {"metadata": {"name": "x"}}, "default")
    assert caught.value.code == 405


def test_top_shows_what_is_used(cluster: Cluster) -> None:
    """docs: reference/kubectl/generated/kubectl_top."""
    deploy(cluster, "150m", replicas=1)
    cluster.run_for(40)
    head, row = cluster.kubectl.run("top pods").text.splitlines()
    assert head.split() == ["NAME", "CPU(cores)", "MEMORY(bytes)"] and row.split()[1] == "150m"
    assert cluster.kubectl.run("top node node-1 --no-headers").text.split()[0] == "node-1"
    assert "________" in cluster.kubectl.run("top pods --sum").text


def test_top_before_the_first_measure_says_so() -> None:
    """upstream: staging/src/k8s.io/kubectl/pkg/cmd/top: "metrics not available yet"."""
    young = Cluster("young", nodes=1, runtime="simulated", clock=VirtualClock())
    with young, pytest.raises(KubectlError, match="metrics not available yet"):
        young.kubectl.run("top nodes")


# two versions of one object


def test_autoscaling_v1_shows_the_processor_and_keeps_the_rest_in_annotations(cluster: Cluster) -> None:
    """docs: horizontal-pod-autoscale (API Object); pkg/apis/autoscaling/v1/conversion.go."""
    deploy(cluster, "50m")
    memory = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue",
                                                                            "averageValue": "64Mi"}}}  # fmt: skip
    obj = scaler(behavior={"scaleDown": {"stabilizationWindowSeconds": 60}})
    obj["spec"]["metrics"].append(memory)
    cluster.client.create(V2, obj, "default")
    old = cluster.client.get(V1, "web", "default")
    assert old["spec"]["targetCPUUtilizationPercentage"] == 50 and "metrics" not in old["spec"]
    noted = old["metadata"]["annotations"]
    assert json.loads(noted["autoscaling.alpha.kubernetes.io/metrics"])[0]["resource"]["name"] == "memory"
    assert "autoscaling.alpha.kubernetes.io/behavior" in noted
    cluster.client.update(V1, {**old, "spec": {**old["spec"], "maxReplicas": 7}})
    new = cluster.client.get(V2, "web", "default")
    assert new["spec"]["maxReplicas"] == 7 and new["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 60
    assert [metric["resource"]["name"] for metric in new["spec"]["metrics"]] == ["cpu", "memory"]
    assert not any(name.startswith("autoscaling.alpha") for name in new["metadata"].get("annotations") or {})


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"maxReplicas": 0}, "must be greater than 0"),
        ({"minReplicas": 5, "maxReplicas": 2}, "must be greater than or equal to `minReplicas`"),
        ({"scaleTargetRef": {"kind": "Deployment", "name": ""}}, "spec.scaleTargetRef.name: Required value"),
        ({"metrics": [{"type": "Odd"}]}, "spec.metrics[0].type: Unsupported value"),
        ({"metrics": [{"type": "Resource"}]}, "must populate information for the given metric source"),
        ({"behavior": {"scaleUp": {"stabilizationWindowSeconds": 9999}}}, "must be between 0 and 3600"),
    ],
)
def test_an_autoscaler_that_makes_no_sense_is_refused(cluster: Cluster, spec: Object, words: str) -> None:
    """`pkg/apis/autoscaling/validation/validation.go`."""
    with pytest.raises(ApiError) as caught:
        cluster.client.create("horizontalpodautoscalers", scaler(**spec), "default")
    assert words in caught.value.message
