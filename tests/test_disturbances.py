"""Crashes, hangs, cut lines: said in a line of %kcluster, noticed and mended by the cluster itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from k8snb import disturbances
from k8snb.apimachinery.meta import is_true
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl.output import KubectlError
from k8snb.notebook import kcluster
from k8snb.notebook.clusters import Clusters

PROBE = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 2, "failureThreshold": 2, "timeoutSeconds": 1}


@pytest.fixture
def clusters() -> Iterator[Clusters]:
    def make(name: str, **wishes: Any) -> Cluster:
        return Cluster(name, nodes=2, runtime="simulated", clock=VirtualClock(), seed=1)

    made = Clusters(make)
    made.start()
    made.current.settle()
    yield made
    made.close()


def run(clusters: Clusters, line: str) -> str:
    return str(kcluster.run(clusters, line.split()))


def restarts(cluster: Cluster) -> int:
    pod = cluster.client.get("pods", "web", "default")
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


def web(cluster: Cluster, **container: Any) -> None:
    spec = {"containers": [{"name": "main", "image": "nginx", **container}]}
    cluster.client.create("pods", {"metadata": {"name": "web"}, "spec": spec}, "default")
    cluster.run_for(20)


def test_a_container_that_crashed_is_started_again(clusters: Clusters) -> None:
    """docs: concepts/workloads/pods/pod-lifecycle (Container restart policy)."""
    web(clusters.current)
    assert run(clusters, "crash web") == "container/main of pod/web killed\n"
    clusters.current.run_for(30)
    assert restarts(clusters.current) == 1
    assert is_true(clusters.current.client.get("pods", "web", "default"), "Ready")


def test_one_that_hangs_is_noticed_by_its_liveness_probe_only(clusters: Clusters) -> None:
    """docs: concepts/configuration/liveness-readiness-startup-probes (Liveness probe)."""
    cluster = clusters.current
    web(cluster)
    run(clusters, "hang pod/web")
    cluster.run_for(60)
    assert restarts(cluster) == 0
    cluster.client.delete("pods", "web", "default", gracePeriodSeconds=0)
    cluster.run_for(60)
    web(cluster, livenessProbe=PROBE)
    run(clusters, "hang web -c main")
    cluster.run_for(120)
    assert restarts(cluster) == 1
    assert is_true(cluster.client.get("pods", "web", "default"), "Ready")


def test_a_node_is_cut_off_and_reached_again(clusters: Clusters) -> None:
    """e2e: test/e2e/apps/network_partition.go "All pods on the unreachable node should be marked as NotReady …"."""
    cluster = clusters.current
    assert run(clusters, "node partition node-1") == "node/node-1 is cut off\n"
    cluster.run_for(60)
    assert not is_true(cluster.client.get("nodes", "node-1"), "Ready")
    run(clusters, "node rejoin node-1")
    cluster.run_for(30)
    assert is_true(cluster.client.get("nodes", "node-1"), "Ready")


def test_a_killed_node_loses_its_pods_and_a_drained_one_gives_them_away(clusters: Clusters) -> None:
    """docs: concepts/architecture/nodes (Node controller); tasks/administer-cluster/safely-drain-node."""
    cluster = clusters.current
    cluster.kubectl.run("create deployment web --image=nginx --replicas=4")
    cluster.run_for(20)
    run(clusters, "node drain node-1")
    cluster.run_for(60)
    pods = cluster.client.list("pods", "default")["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-2"}
    run(clusters, "node kill node-2")
    assert not cluster.runtime.list_pod_sandboxes("node-2")


def test_faults_are_set_shown_and_stopped(clusters: Clusters) -> None:
    """k8snb: the words of %kcluster faults."""
    cluster = clusters.current
    answer = run(clusters, "faults --refused=0.5 --delayed=0.25")
    assert [line.split()[:2] for line in answer.splitlines()[1:]] == [
        ["refused", "0.5"], ["unanswered", "0"], ["lost", "0"], ["duplicated", "0"], ["delayed", "0.25"],
        ["reordered", "0"],
    ]  # fmt: skip
    cluster.kubectl.run("create deployment web --image=nginx --replicas=4")
    cluster.run_for(60)
    assert cluster.faults.happened["refused"] > 0
    assert {line.split()[1] for line in run(clusters, "faults stop").splitlines()[1:]} == {"0"}
    cluster.run_for(60)
    assert cluster.client.get("deployments", "web", "default")["status"]["readyReplicas"] == 4


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("faults --lost=2", 'invalid argument "2" for "--lost": a number from 0 to 1 is wanted'),
        ("faults --lost=x", 'invalid argument "x"'),
        ("faults more", "one word too many: more"),
        ("crash", "a pod's name is missing"),
        ("crash web -c other", "container other not found in pod web: there is main"),
        ("node partition node-9", 'there is no node "node-9"'),
        ("node partition", "a node's name is missing"),
    ],
)
def test_what_cannot_be_disturbed_is_said_in_a_line(clusters: Clusters, line: str, words: str) -> None:
    """k8snb: what cannot be done says so."""
    web(clusters.current)
    with pytest.raises(KubectlError, match=words):
        run(clusters, line)


def test_a_container_that_does_not_run_cannot_crash(clusters: Clusters) -> None:
    """k8snb: what cannot be done says so."""
    web(clusters.current, image="localhost:1/does-not-exist:1")
    with pytest.raises(ValueError, match="container main does not run"):
        disturbances.crash(clusters.current, "web")
