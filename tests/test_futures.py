"""Futures of what was under way: jobs, sets and autoscalers go on in a fork, and alike they count as alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster_lab import boot

from k8snb.cluster import Cluster

UNDER_WAY = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: main, image: nginx,
    readinessProbe: {httpGet: {port: 80}, initialDelaySeconds: 20}}]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: batch}
spec:
  completions: 4
  parallelism: 2
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: busybox, command: [sh, -c, sleep 50]}]}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: tick}
spec:
  schedule: "* * * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: busybox,
    command: [sh, -c, sleep 40]}]}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: main, image: nginx,
    resources: {requests: {cpu: 100m}}}]}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 4
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with boot() as cluster:
        cluster.addons.enable("metrics-server")
        cluster.kubectl.run("apply -f -", stdin=UNDER_WAY)
        cluster.run_for(75)
        yield cluster


def test_what_is_under_way_goes_on_in_a_fork_as_in_its_origin(cluster: Cluster) -> None:
    """Another seed makes other names and uids of the jobs that are still to come, which is no difference."""
    cluster.kubectl.run("rollout restart statefulset/db")
    cluster.run_for(30)
    fork = cluster.fork("now", "other", seed=9)
    try:
        for each in (cluster, fork):
            each.run_for(400)
        assert cluster.compare(fork, namespace="default")[0] == []
        status = fork.client.get("jobs", "batch", "default")["status"]
        assert status["succeeded"] == 4
        pods = fork.client.items("pods", "default", labelSelector="app=db")
        assert {pod["metadata"]["labels"]["controller-revision-hash"] for pod in pods} == {
            fork.client.get("statefulsets", "db", "default")["status"]["updateRevision"]
        }
        assert fork.client.get("horizontalpodautoscalers", "web", "default")["status"]["currentReplicas"] == 2
    finally:
        fork.delete()


def test_an_object_of_two_versions_is_one_object(cluster: Cluster) -> None:
    """`kubectl get all` asks for each resource in the version that discovery prefers."""
    shown = cluster.kubectl.run("get all").text
    assert shown.count("horizontalpodautoscaler.autoscaling/web") == 1 and "cpu: " in shown
    fork = cluster.fork("now", "one-more")
    try:
        fork.kubectl.run('patch hpa web --type=merge -p \'{"spec":{"maxReplicas":3}}\'')
        fork.settle()
        words = [row.word for row in cluster.compare(fork, namespace="default")[0]]
        assert words == ["horizontalpodautoscaler/web"]
    finally:
        fork.delete()
