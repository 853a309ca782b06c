"""Hooks: what a container does after its start and before its end (`concepts/containers/container-lifecycle-hooks`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from k8snb.apimachinery.meta import is_true
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster

Object = dict[str, Any]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1)
    made.start(wait=0)
    made.settle()
    yield made
    made.delete()


def pod(cluster: Cluster, lifecycle: Object, **spec: Any) -> None:
    container = {"name": "main", "image": "nginx", "lifecycle": lifecycle}
    body = {"metadata": {"name": "web"}, "spec": {"containers": [container], **spec}}
    cluster.client.create("pods", body, "default")
    cluster.run_for(10)


def told(cluster: Cluster) -> set[str]:
    return {event["reason"] for event in cluster.client.list("events", "default")["items"]}


def seconds_to_end(cluster: Cluster) -> float:
    cluster.client.delete("pods", "web", "default")
    began = cluster.clock.monotonic()
    for _ in range(600):
        if cluster.client.find("pods", "web", "default") is None:
            return cluster.clock.monotonic() - began
        cluster.run_for(0.1)
    raise AssertionError("it never ended")


def test_a_pod_sleeps_before_it_is_stopped(cluster: Cluster) -> None:
    pod(cluster, {"preStop": {"sleep": {"seconds": 5}}})
    assert 5 <= seconds_to_end(cluster) < 7


def test_a_hook_has_no_more_than_the_grace_period(cluster: Cluster) -> None:
    pod(cluster, {"preStop": {"sleep": {"seconds": 20}}}, terminationGracePeriodSeconds=20)
    assert 20 <= seconds_to_end(cluster) <= 23


def test_while_it_sleeps_the_pod_answers_and_gets_no_new_traffic(cluster: Cluster) -> None:
    cluster.kubectl.run("create service clusterip web --tcp=80:80")
    cluster.client.patch("services", "web", {"spec": {"selector": {"app": None, "run": "web"}}}, "default")
    pod(cluster, {"preStop": {"sleep": {"seconds": 5}}})
    cluster.client.patch("pods", "web", {"metadata": {"labels": {"run": "web"}}}, "default")
    cluster.run_for(2)
    assert cluster.client.get("endpoints", "web", "default")["subsets"][0]["addresses"]
    cluster.client.delete("pods", "web", "default")
    cluster.run_for(2)
    assert "addresses" not in (cluster.client.get("endpoints", "web", "default").get("subsets") or [{}])[0]
    found = cluster.client.get("pods", "web", "default")
    assert found["status"]["containerStatuses"][0]["state"].keys() == {"running"}


def test_a_command_before_the_end_is_run_and_a_failed_one_is_told(cluster: Cluster) -> None:
    pod(cluster, {"preStop": {"exec": {"command": ["sh", "-c", "exit 3"]}}})
    seconds_to_end(cluster)
    assert "FailedPreStopHook" in told(cluster)


def test_a_command_that_succeeds_before_the_end_is_not_told_of(cluster: Cluster) -> None:
    pod(cluster, {"preStop": {"exec": {"command": ["sh", "-c", "true"]}}})
    seconds_to_end(cluster)
    assert "FailedPreStopHook" not in told(cluster)


def test_a_page_is_asked_for_before_the_end(cluster: Cluster) -> None:
    pod(cluster, {"preStop": {"httpGet": {"path": "/", "port": 81}}})
    seconds_to_end(cluster)
    assert "FailedPreStopHook" in told(cluster)


def test_force_means_no_hook(cluster: Cluster) -> None:
    pod(cluster, {"preStop": {"sleep": {"seconds": 20}}})
    cluster.client.delete("pods", "web", "default", gracePeriodSeconds=0)
    cluster.run_for(4)
    assert not cluster.runtime.list_pod_sandboxes("node-1")


def test_a_hook_after_the_start_that_fails_ends_the_container(cluster: Cluster) -> None:
    pod(cluster, {"postStart": {"exec": {"command": ["sh", "-c", "exit 1"]}}})
    assert "FailedPostStartHook" in told(cluster)
    assert not is_true(cluster.client.get("pods", "web", "default"), "Ready")


def test_a_hook_after_the_start_leaves_what_it_did(cluster: Cluster) -> None:
    pod(cluster, {"postStart": {"exec": {"command": ["sh", "-c", "echo done > /tmp/mark"]}}})
    assert is_true(cluster.client.get("pods", "web", "default"), "Ready")
    assert cluster.kubectl.run("exec web -- cat /tmp/mark").text == "done\n"


def test_a_container_that_sleeps_after_its_start_runs_when_it_has_slept(cluster: Cluster) -> None:
    """`runSleepHandler` in pkg/kubelet/lifecycle/handlers.go: the pod worker waits for it."""
    pod(cluster, {"postStart": {"sleep": {"seconds": 15}}})
    assert not is_true(cluster.client.get("pods", "web", "default"), "Ready")
    cluster.run_for(10)
    assert is_true(cluster.client.get("pods", "web", "default"), "Ready")
    assert "RuntimeNote" not in told(cluster)


def test_a_deletion_ends_the_sleep_after_the_start(cluster: Cluster) -> None:
    pod(cluster, {"postStart": {"sleep": {"seconds": 600}}}, terminationGracePeriodSeconds=1)
    assert seconds_to_end(cluster) < 4


@pytest.mark.process
def test_a_real_program_does_its_last_work_before_it_is_stopped(tmp_path: Any) -> None:
    with Cluster("hooks", nodes=1, runtime="process") as made:
        hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo last > /out/words"]}}}
        container = {"name": "main", "image": "busybox", "command": ["sleep", "3600"], "lifecycle": hook,
                     "volumeMounts": [{"name": "out", "mountPath": "/out"}]}  # fmt: skip
        volume = {"name": "out", "hostPath": {"path": str(tmp_path)}}
        spec = {"containers": [container], "volumes": [volume], "terminationGracePeriodSeconds": 5}
        body = {"metadata": {"name": "web"}, "spec": spec}
        made.client.create("pods", body, "default")
        assert made.wait(lambda: is_true(made.client.get("pods", "web", "default"), "Ready"), 30)
        made.client.delete("pods", "web", "default")
        assert made.wait(lambda: made.client.find("pods", "web", "default") is None, 30)
    assert (tmp_path / "words").read_text() == "last\n"


def test_an_ordinary_pod_has_nothing_to_be_told_of(cluster: Cluster) -> None:
    pod(cluster, {})
    assert "RuntimeNote" not in told(cluster)
