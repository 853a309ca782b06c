"""horizontal-pod-autoscaler by metrics measured in a cell: of pods, of an object, of something outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from controllers_lab import container

from k8snb.apimachinery.meta import Object, condition
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container(image="nginx")]}}
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        cluster.client.create("deployments", {"metadata": {"name": "web"}, "spec": spec}, "default")
        cluster.settle()
        yield cluster


def scale_by(cluster: Cluster, sort: str, **source: Any) -> Object:
    metric = {"type": sort, sort[:1].lower() + sort[1:]: source}
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": reference, "maxReplicas": 10, "metrics": [metric],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}  # fmt: skip
    cluster.client.create("horizontalpodautoscalers", {"metadata": {"name": "web"}, "spec": spec}, "default")
    return look(cluster)


def look(cluster: Cluster) -> Object:
    cluster.run_for(60)
    return cluster.client.get("horizontalpodautoscalers", "web", "default")


def replicas(cluster: Cluster) -> int:
    return int(cluster.client.get("deployments", "web", "default")["spec"]["replicas"])


def active(scaler: Object) -> tuple[str, str]:
    entry = condition(scaler, "ScalingActive") or {}
    return entry["reason"], entry["message"]


def test_a_metric_of_pods_is_averaged_over_them(cluster: Cluster) -> None:
    """upstream: `GetMetricReplicas` in replica_calculator.go."""
    load = {"of": 30}
    cluster.add_metric("requests", lambda pod: load["of"])
    target = {"type": "AverageValue", "averageValue": "20"}
    scaler = scale_by(cluster, "Pods", metric={"name": "requests"}, target=target)
    assert replicas(cluster) > 2
    reason, message = active(scaler)
    assert reason == "ValidMetricFound" and message.endswith("a replica count from pods metric requests")
    load["of"] = 10
    for _ in range(6):
        scaler = look(cluster)
    assert replicas(cluster) == 1
    assert scaler["status"]["currentMetrics"] == [
        {"type": "Pods", "pods": {"metric": {"name": "requests"}, "current": {"averageValue": "10"}}}
    ]


def test_a_metric_of_one_object_stands_for_all_pods(cluster: Cluster) -> None:
    """upstream: `GetObjectMetricReplicas`, and `GetObjectPerPodMetricReplicas` for an average."""
    cluster.client.create("services", {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}, "default")
    cluster.add_metric("hits", lambda obj: 900 if obj["kind"] == "Service" else None)
    about = {"apiVersion": "v1", "kind": "Service", "name": "web"}
    target = {"type": "AverageValue", "averageValue": "150"}
    scaler = scale_by(cluster, "Object", metric={"name": "hits"}, describedObject=about, target=target)
    assert replicas(cluster) == 6
    status = scaler["status"]["currentMetrics"][0]["object"]
    assert status["describedObject"] == about and status["current"] == {"averageValue": "150"}
    assert "from external metric hits(nil)" in active(scaler)[1]


def test_a_value_is_held_by_as_many_pods_as_the_ratio_asks_for(cluster: Cluster) -> None:
    """upstream: pkg/controller/podautoscaler/replica_calculator.go: GetObjectMetricReplicas."""
    cluster.add_metric("temperature", lambda obj: "1500m")
    about = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    target = {"type": "Value", "value": "1"}
    scaler = scale_by(cluster, "Object", metric={"name": "temperature"}, describedObject=about, target=target)
    assert "from temperature metric" in active(scaler)[1]
    assert scaler["status"]["currentMetrics"][0]["object"]["current"] == {"value": "1500m"}
    assert replicas(cluster) > 2


def test_an_external_metric_is_asked_for_by_labels(cluster: Cluster) -> None:
    """upstream: `GetExternalPerPodMetricReplicas`."""
    asked: list[dict[str, str]] = []
    cluster.add_metric("queue_length", lambda labels: asked.append(labels) or 25.0, external=True)
    metric = {"name": "queue_length", "selector": {"matchLabels": {"queue": "jobs"}}}
    scaler = scale_by(cluster, "External", metric=metric, target={"type": "AverageValue", "averageValue": "5"})
    assert replicas(cluster) == 5 and asked[0] == {"queue": "jobs"}
    name = "queue_length(&LabelSelector{MatchLabels:map[string]string{queue: jobs,},"
    assert f"from external metric {name}MatchExpressions:[]LabelSelectorRequirement{{}},}})" in active(scaler)[1]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (lambda obj: 1 / 0, 'the source of the metric "requests" failed: ZeroDivisionError: division by zero'),
        (lambda obj: "many", 'the source of the metric "requests" failed: QuantityError'),
        (lambda obj: None, "unable to get metric requests: no metrics returned from custom metrics API"),
    ],
)
def test_what_a_source_gets_wrong_is_said_and_the_number_stays(cluster: Cluster, source: Any, words: str) -> None:
    """upstream: horizontal.go: setCondition ScalingActive, FailedGetObjectMetric."""
    cluster.add_metric("requests", source)
    target = {"type": "AverageValue", "averageValue": "20"}
    reason, message = active(scale_by(cluster, "Pods", metric={"name": "requests"}, target=target))
    assert reason == "FailedGetPodsMetric" and words in message
    assert replicas(cluster) == 2
