"""Graceful node shutdown: a machine that is switched off in good order ends its pods first, critical ones last.

Upstream's rules are in `pkg/kubelet/nodeshutdown` of the kubernetes repository.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from k8snb.apimachinery.meta import condition
from k8snb.clock import VirtualClock, parse_timestamp
from k8snb.cluster import Cluster

Object = dict[str, Any]
STUBBORN = ["sh", "-c", "trap '' TERM; sleep 1000000"]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(nodes=2, runtime="simulated", clock=VirtualClock(), seed=0)
    cluster.start()
    cluster.settle()
    yield cluster
    cluster.delete()


def run(cluster: Cluster, name: str, *command: str, **spec: Any) -> None:
    container: Object = {"name": "main", "image": "busybox", "command": list(command)}
    body = {"metadata": {"name": name}, "spec": {"containers": [container], "nodeName": "node-1", **spec}}
    cluster.client.create("pods", body, "default")
    cluster.run_for(5)


def finished(cluster: Cluster, name: str) -> float:
    status = cluster.client.get("pods", name, "default")["status"]["containerStatuses"][0]
    return parse_timestamp(status["state"]["terminated"]["finishedAt"])


def test_the_pods_of_a_node_that_is_shut_down_have_failed_and_say_why(cluster: Cluster) -> None:
    run(cluster, "web", "sleep", "1000000")
    cluster.stop_node("node-1", grace=60)
    pod = cluster.client.get("pods", "web", "default")
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "Terminated")
    assert pod["status"]["message"] == "Pod was terminated in response to imminent node shutdown."
    target = condition(pod, "DisruptionTarget")
    assert target is not None and target["reason"] == "TerminationByKubelet"
    ready = condition(cluster.client.get("nodes", "node-1"), "Ready")
    assert ready is not None and (ready["reason"], ready["message"]) == ("KubeletNotReady", "node is shutting down")


def test_a_pod_gets_its_own_grace_but_no_more_than_the_node_has(cluster: Cluster) -> None:
    run(cluster, "stubborn", *STUBBORN, terminationGracePeriodSeconds=600)
    began = cluster.clock.now()
    cluster.stop_node("node-1", grace=40, critical=10)
    assert 28 <= cluster.clock.now() - began <= 41


def test_critical_pods_end_last(cluster: Cluster) -> None:
    run(cluster, "ordinary", *STUBBORN, terminationGracePeriodSeconds=15)
    run(cluster, "critical", *STUBBORN, terminationGracePeriodSeconds=5, priorityClassName="system-node-critical")
    cluster.stop_node("node-1", grace=60, critical=20)
    assert finished(cluster, "critical") - finished(cluster, "ordinary") >= 4


def test_a_node_that_is_shutting_down_takes_no_pod(cluster: Cluster) -> None:
    run(cluster, "stubborn", *STUBBORN)
    kubelet = cluster.nodes["node-1"].kubelet
    assert kubelet is not None
    kubelet.shut_down(30, 10)
    run(cluster, "late", "sleep", "1000000")
    status = cluster.client.get("pods", "late", "default")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "NodeShutdown")
    assert status["message"] == "Pod was rejected: Pod was rejected as the node is shutting down."


def test_a_node_comes_back_after_a_shutdown_and_takes_pods(cluster: Cluster) -> None:
    run(cluster, "web", "sleep", "1000000")
    cluster.stop_node("node-1", grace=30)
    cluster.start_node("node-1")
    cluster.run_for(30)
    run(cluster, "next", "sleep", "1000000")
    assert cluster.client.get("pods", "next", "default")["status"]["phase"] == "Running"


# what a node answers over HTTP


def ask(cluster: Cluster, path: str) -> str:
    """`kubectl get --raw /api/v1/nodes/node-1/proxy/…`, at the kubelet's own door."""
    kubelet = cluster.nodes["node-1"].kubelet
    assert kubelet is not None
    reply = kubelet.get_http("GET", path)()
    assert reply.status == 200
    return b"".join(reply.body).decode()


def test_a_node_tells_of_what_runs_and_of_what_is_in_force(cluster: Cluster) -> None:
    """pkg/kubelet/server: /runningpods/, /metrics, /configz."""
    run(cluster, "web", "sleep", "1000000")
    run(cluster, "done", "true", restartPolicy="Never")
    assert [item["metadata"]["name"] for item in json.loads(ask(cluster, "/runningpods/"))["items"]] == ["web"]
    assert "kubelet_running_pods 1\n" in ask(cluster, "/metrics")
    assert json.loads(ask(cluster, "/configz"))["kubeletconfig"]["imageGCHighThresholdPercent"] == 85
