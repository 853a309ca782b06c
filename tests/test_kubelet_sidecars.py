"""kubelet: containers that run beside others, in which order they start and end, and what probes make of it.

Sources: `computeInitContainerActions` in pkg/kubelet/kuberuntime/kuberuntime_container.go, newTerminationOrdering in
kuberuntime_termination_order.go, pkg/kubelet/status/generate.go, pkg/kubelet/prober/worker.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cluster_lab import boot

from k8snb.apimachinery.meta import condition
from k8snb.cluster import Cluster
from k8snb.cri import RuntimeFailure
from k8snb.disturbances import hang

Object = dict[str, Any]
TRAP = "trap 'echo bye; exit 0' TERM; while true; do sleep 1; done"  # ends when it is told to


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = boot(nodes=1)
    yield cluster
    cluster.delete()


def create(cluster: Cluster, name: str, *mains: Object, inits: tuple[Object, ...] = (), **spec: Any) -> None:
    containers = [{"image": "busybox", "name": f"main-{number}", **main} for number, main in enumerate(mains)]
    before = [{"image": "busybox", **init} for init in inits]
    pod = {"metadata": {"name": name}, "spec": {"containers": containers, "initContainers": before, **spec}}
    cluster.client.create("pods", pod, "default")


def sidecar(name: str, script: str = TRAP, **fields: Any) -> Object:
    return {"name": name, "restartPolicy": "Always", "command": ["sh", "-c", script], **fields}


def pod(cluster: Cluster, name: str) -> Object:
    return cluster.client.get("pods", name, "default")


def statuses(cluster: Cluster, name: str) -> dict[str, Object]:
    status = pod(cluster, name)["status"]
    both = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return {each["name"]: each for each in both}


def messages(cluster: Cluster, name: str) -> list[str]:
    events = cluster.client.items("events", "default", fieldSelector=f"involvedObject.name={name}")
    return [event["message"] for event in sorted(events, key=lambda event: int(event["metadata"]["resourceVersion"]))]


def test_what_follows_a_sidecar_waits_for_its_startup_probe(cluster: Cluster) -> None:
    probe = {"exec": {"command": ["cat", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 60}
    slow = sidecar("proxy", f"sleep 20; touch /tmp/up; {TRAP}", startupProbe=probe)
    create(cluster, "waits", {"command": ["sleep", "1000"]}, inits=(slow,))
    cluster.run_for(15)
    assert "running" in statuses(cluster, "waits")["proxy"]["state"]
    assert not statuses(cluster, "waits")["proxy"]["started"]
    assert statuses(cluster, "waits")["main-0"]["state"]["waiting"]["reason"] == "PodInitializing"
    cluster.run_for(15)
    assert "running" in statuses(cluster, "waits")["main-0"]["state"]
    assert condition(pod(cluster, "waits"), "Initialized")["status"] == "True"


def test_a_sidecar_that_is_not_ready_holds_its_pod_s_readiness_and_not_its_start(cluster: Cluster) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    create(cluster, "unready", {"command": ["sleep", "1000"]}, inits=(sidecar("proxy", readinessProbe=probe),))
    cluster.run_for(10)
    found = pod(cluster, "unready")
    assert statuses(cluster, "unready")["main-0"]["ready"]
    assert condition(found, "Initialized")["status"] == "True"
    assert condition(found, "ContainersReady")["message"] == "containers with unready status: [proxy]"
    assert condition(found, "Ready")["status"] == "False"


def test_sidecars_end_after_what_they_serve_the_last_one_first(cluster: Cluster) -> None:
    slow = "trap 'sleep 3; exit 0' TERM; while true; do sleep 1; done"
    before = (sidecar("first", slow), sidecar("second", slow))
    create(cluster, "ordered", {"command": ["sh", "-c", slow]}, inits=before)
    cluster.client.patch("pods", "ordered", {"metadata": {"finalizers": ["example.com/look"]}}, "default")
    cluster.run_for(5)
    cluster.client.delete("pods", "ordered", "default")
    cluster.run_for(30)
    ends = {name: each["state"]["terminated"] for name, each in statuses(cluster, "ordered").items()}
    assert [end["exitCode"] for end in ends.values()] == [0, 0, 0]
    assert ends["main-0"]["finishedAt"] < ends["second"]["finishedAt"] < ends["first"]["finishedAt"]
    cluster.client.patch("pods", "ordered", {"metadata": {"finalizers": []}}, "default")


def test_a_sidecar_waits_no_longer_than_the_grace_period(cluster: Cluster) -> None:
    deaf = {"command": ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"]}
    create(cluster, "deaf", deaf, inits=(sidecar("proxy"),), terminationGracePeriodSeconds=10)
    cluster.run_for(5)
    cluster.client.delete("pods", "deaf", "default")
    cluster.run_for(14)
    assert cluster.client.find("pods", "deaf", "default") is None


def test_a_pod_whose_work_is_done_lets_its_sidecar_end_in_peace(cluster: Cluster) -> None:
    create(cluster, "job", {"command": ["sleep", "3"]}, inits=(sidecar("proxy"),), restartPolicy="Never")
    cluster.run_for(40)
    assert pod(cluster, "job")["status"]["phase"] == "Succeeded"
    assert statuses(cluster, "job")["proxy"]["state"]["terminated"]["exitCode"] == 0  # it heard SIGTERM
    assert statuses(cluster, "job")["proxy"]["restartCount"] == 0
    assert "Stopping container proxy" in messages(cluster, "job")


def test_a_probe_s_own_grace_period_counts_when_it_kills(cluster: Cluster) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1,
             "terminationGracePeriodSeconds": 3}  # fmt: skip
    deaf = {"command": ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"], "livenessProbe": probe}
    create(cluster, "stuck", deaf, terminationGracePeriodSeconds=600)
    cluster.run_for(20)
    assert statuses(cluster, "stuck")["main-0"]["restartCount"] >= 1


def test_a_container_that_is_not_to_run_again_is_not_said_to(cluster: Cluster) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    create(cluster, "once", {"command": ["sh", "-c", TRAP], "livenessProbe": probe}, restartPolicy="Never")
    cluster.run_for(10)
    assert "Container main-0 failed liveness probe" in messages(cluster, "once")


def test_what_is_to_end_is_not_asked_whether_it_lives(cluster: Cluster) -> None:
    probe = {"exec": {"command": ["cat", "/tmp/alive"]}, "periodSeconds": 1, "failureThreshold": 1}
    script = "touch /tmp/alive; trap 'rm /tmp/alive; sleep 10; exit 0' TERM; while true; do sleep 1; done"
    create(cluster, "leaving", {"command": ["sh", "-c", script], "livenessProbe": probe})
    cluster.run_for(5)
    cluster.client.delete("pods", "leaving", "default")
    cluster.run_for(8)
    assert cluster.client.find("pods", "leaving", "default") is not None
    assert not [message for message in messages(cluster, "leaving") if "Liveness" in message]


def test_a_new_sandbox_begins_with_the_init_containers(cluster: Cluster) -> None:
    """`computePodActions`: with a new sandbox a pod starts from its first init container."""
    create(cluster, "again", {"command": ["sleep", "1000"]}, inits=({"name": "setup", "command": ["true"]},))
    cluster.run_for(5)
    runtime: Any = cluster.runtime
    uid = pod(cluster, "again")["metadata"]["uid"]
    sandbox = next(each for each in runtime.list_pod_sandboxes("node-1") if each.uid == uid)
    runtime.stop_pod_sandbox(sandbox.id)
    cluster.run_for(60)
    found = statuses(cluster, "again")
    assert (found["setup"]["restartCount"], found["main-0"]["restartCount"]) == (1, 1)
    assert found["setup"]["state"]["terminated"]["startedAt"] <= found["main-0"]["state"]["running"]["startedAt"]
    assert pod(cluster, "again")["status"]["phase"] == "Running"


def test_a_probe_that_could_not_be_asked_is_no_verdict(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """`prober.probe`: a result with an error is thrown away, and an event tells of it."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeFailure("ExecError", "cannot exec in the container: no descriptors are left")

    monkeypatch.setattr(cluster.runtime, "exec_sync", refuse)
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1, "failureThreshold": 1}
    create(cluster, "unknown", {"command": ["sleep", "1000"], "livenessProbe": probe})
    cluster.run_for(10)
    assert statuses(cluster, "unknown")["main-0"]["restartCount"] == 0
    said = "Liveness probe errored and resulted in unknown state: cannot exec in the container: no descriptors are left"
    assert said in messages(cluster, "unknown")


def test_a_probe_s_command_finds_out_that_its_container_stands_still(cluster: Cluster) -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1, "failureThreshold": 3}
    create(cluster, "frozen", {"command": ["sleep", "1000"], "livenessProbe": probe}, terminationGracePeriodSeconds=1)
    cluster.run_for(5)
    hang(cluster, "frozen")
    cluster.run_for(30)
    assert statuses(cluster, "frozen")["main-0"]["restartCount"] == 1
    assert "Container main-0 failed liveness probe, will be restarted" in messages(cluster, "frozen")
