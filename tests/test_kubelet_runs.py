"""kubelet: whose output `logs` and `logs --previous` show. Source: `validateContainerLogStatus` in
pkg/kubelet/kubelet_pods.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from cluster_lab import boot

from k8snb.apimachinery.errors import ApiError
from k8snb.cluster import Cluster
from k8snb.kubelet.backoff import exact_duration

COUNTS = "n=$(cat /data/n 2>/dev/null || echo 0); n=$((n+1)); echo $n > /data/n; echo run $n; exit 1"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = boot(nodes=1)
    yield cluster
    cluster.delete()


def create(cluster: Cluster, name: str, script: str, *, image: str = "busybox", policy: str = "Always") -> None:
    container = {"name": "main", "image": image, "command": ["sh", "-c", script],
                 "volumeMounts": [{"name": "data", "mountPath": "/data"}]}  # fmt: skip
    spec = {"restartPolicy": policy, "containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]}
    cluster.client.create("pods", {"metadata": {"name": name}, "spec": spec}, "default")


def logs(cluster: Cluster, name: str, *, previous: bool = False) -> str:
    return b"".join(cluster.client.logs(name, "default", previous=previous)).decode()


def test_between_two_runs_the_last_one_is_the_previous_one(cluster: Cluster) -> None:
    create(cluster, "crashes", COUNTS)
    cluster.run_for(20)
    (entry,) = cluster.client.get("pods", "crashes", "default")["status"]["containerStatuses"]
    assert entry["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    last = f"run {entry['restartCount'] + 1}\n"
    assert logs(cluster, "crashes") == logs(cluster, "crashes", previous=True) == last


def test_a_run_that_no_other_follows_is_not_a_previous_one(cluster: Cluster) -> None:
    create(cluster, "once", "echo done", policy="Never")
    cluster.run_for(5)
    assert logs(cluster, "once") == "done\n"
    with pytest.raises(ApiError, match='previous terminated container "main" in pod "once" not found'):
        logs(cluster, "once", previous=True)


def test_what_could_not_be_pulled_has_no_logs_and_it_is_said_why(cluster: Cluster) -> None:
    create(cluster, "imageless", "true", image="registry.example/app:nope")
    cluster.run_for(1.5)
    with pytest.raises(
        ApiError, match='container "main" in pod "imageless" is waiting to start: image can\'t be pulled'
    ):
        logs(cluster, "imageless")
    cluster.run_for(5)
    with pytest.raises(ApiError, match="is waiting to start: trying and failing to pull image"):
        logs(cluster, "imageless")


def test_an_event_of_a_container_names_its_place_in_the_pod(cluster: Cluster) -> None:
    """`GenerateContainerRef` in pkg/kubelet/container/ref.go; `get events -o wide` shows it as SUBOBJECT."""
    mains = [{"name": "web", "image": "nginx"}]
    spec = {"containers": mains, "initContainers": [{"name": "setup", "image": "busybox", "command": ["true"]}]}
    cluster.client.create("pods", {"metadata": {"name": "placed"}, "spec": spec}, "default")
    cluster.run_for(10)
    cluster.client.delete("pods", "placed", "default")
    cluster.run_for(40)
    events = cluster.client.items("events", "default", fieldSelector="involvedObject.name=placed")
    places = {(event["reason"], event["involvedObject"].get("fieldPath")) for event in events}
    assert {("Started", "spec.initContainers{setup}"), ("Started", "spec.containers{web}")} <= places
    assert {("Pulled", "spec.containers{web}"), ("Killing", "spec.containers{web}"), ("Scheduled", None)} <= places
    assert "spec.containers{web}" in cluster.kubectl.run("get events -o wide").text


def test_a_container_s_id_names_its_runtime_and_the_conditions_stand_in_order(cluster: Cluster) -> None:
    """`buildContainerID` in pkg/kubelet/container; `generateAPIPodStatus` in pkg/kubelet/kubelet_pods.go."""
    create(cluster, "named", "sleep 3; exit 1")
    cluster.run_for(8)
    status = cluster.client.get("pods", "named", "default")["status"]
    (entry,) = status["containerStatuses"]
    assert entry["containerID"].startswith("simulated://")
    assert entry["lastState"]["terminated"]["containerID"].startswith("simulated://")
    assert [each["type"] for each in status["conditions"]] == [
        "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled",
    ]  # fmt: skip


def test_a_pod_of_a_headless_service_knows_its_full_name(cluster: Cluster) -> None:
    """docs: concepts/services-networking/dns-pod-service (Pod's hostname and subdomain fields)."""
    spec = {"hostname": "one", "subdomain": "db", "containers": [{"name": "main", "image": "nginx"}]}
    cluster.client.create("pods", {"metadata": {"name": "fqdn"}, "spec": spec}, "default")
    cluster.run_for(10)
    address = cluster.client.get("pods", "fqdn", "default")["status"]["podIP"]
    said = cluster.kubectl.run("exec fqdn -- sh -c 'hostname -f; hostname -s; hostname -i'").text
    assert said.split() == ["one.db.default.svc.cluster.local", "one", address]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0s"), (0.3, "300ms"), (1.5, "1.5s"), (59.9999, "59.999s"), (60.5, "1m0.5s")]
)
def test_a_duration_is_written_as_go_writes_it(seconds: float, text: str) -> None:
    assert exact_duration(seconds) == text


def test_a_pull_says_how_long_it_took_with_and_without_waiting(cluster: Cluster) -> None:
    """`EnsureImageExists` in pkg/kubelet/images/image_manager.go."""
    create(cluster, "pulls", "sleep 100", image="alpine:3.20")
    cluster.run_for(10)
    events = cluster.client.items("events", "default", fieldSelector="involvedObject.name=pulls")
    (said,) = (event["message"] for event in events if event["reason"] == "Pulled")
    assert re.match(r'Successfully pulled image "alpine:3\.20" in (\S+s) \(\1 including waiting\)\.', said)
