"""What outlives what on a Docker engine: containers a kernel that is killed, a cluster its engine; nothing else."""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import docker
import own_engine
import psutil
import pytest
from docker_images import NGINX, SHELL, image_layers
from own_engine import Engine

from k8snb import hosts
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import condition, get_path, is_true
from k8snb.cluster import Cluster
from k8snb.cri import ExecResult
from k8snb.cri.docker_engine import connected
from k8snb.cri.docker_network import host_ranges
from k8snb.kubelet import pleg

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120.0
NAME = f"k8snb-test-survival-{os.getpid()}"  # several may share the engine

OBJECTS = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: nginx}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: nginx}}}}
  template:
    metadata: {{labels: {{app: nginx}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {{name: nginx, image: "{NGINX}", readinessProbe: {{httpGet: {{path: /, port: 80}}, periodSeconds: 1}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: nginx}}
spec:
  type: NodePort
  selector: {{app: nginx}}
  ports: [{{name: http, port: 8078, targetPort: 80}}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: kept}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: box}}
spec:
  terminationGracePeriodSeconds: 0
  shareProcessNamespace: true
  volumes:
  - {{name: kept, persistentVolumeClaim: {{claimName: kept}}}}
  - {{name: own, emptyDir: {{}}}}
  - {{name: fast, emptyDir: {{medium: Memory}}}}
  containers:
  - name: box
    image: {SHELL}
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "for each in /kept /own /fast; do echo here > $each/file; done; exec sleep 600"]
    volumeMounts: [{{name: kept, mountPath: /kept}}, {{name: own, mountPath: /own}}, {{name: fast, mountPath: /fast}}]
"""

WEB = "app=nginx"
MAIN = {"name": "main", "image": SHELL, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "600"]}

KERNEL = """
import json, sys
from k8snb.cluster import Cluster
name, directory, objects = sys.argv[1:]
cluster = Cluster(name, runtime="docker", nodes=2, data_dir=directory)
cluster.start()
cluster.kubectl.run("apply -f -", stdin=objects)
cluster.kubectl.run("wait --for=condition=Available deployment/nginx --timeout=180s")
cluster.kubectl.run("wait --for=condition=Ready pod/box --timeout=180s")
print(json.dumps(cluster.runtime.service_cidr), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    with connected() as found, image_layers(found):
        yield found


@pytest.fixture(autouse=True)
def nothing_is_left_for_the_next_test(api: Any) -> Iterator[None]:
    """A kept cluster's containers stay where a test has failed."""
    yield
    for row in api.containers(all=True, filters={"label": [f"io.k8snb.cluster={NAME}"]}):
        with suppress(docker.errors.APIError):
            api.remove_container(row["Id"], force=True)
    for row in api.networks(filters={"label": [f"io.k8snb.cluster={NAME}"]}):
        with suppress(docker.errors.APIError):
            api.remove_network(row["Id"])


@contextmanager
def kernel(directory: Path | str, name: str = NAME) -> Iterator[psutil.Popen]:
    """Another Python with a cluster that has the objects."""
    command = [sys.executable, "-c", KERNEL, name, str(directory), OBJECTS]
    with psutil.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        try:
            json.loads(child.stdout.readline())
            yield child
        finally:
            with suppress(psutil.NoSuchProcess):
                child.kill()


def until(cluster: Cluster, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    assert cluster.wait(condition, seconds), cluster.kubectl.run("get pods,nodes,events").text


def containers(api: Any, name: str = NAME) -> dict[str, str]:
    """The cluster's containers: id → when it was started."""
    rows = api.containers(all=True, filters={"label": [f"io.k8snb.cluster={name}"]})
    return {row["Id"]: api.inspect_container(row["Id"])["State"]["StartedAt"] for row in rows}


def left_of(api: Any, name: str = NAME) -> list[str]:
    label = {"label": [f"io.k8snb.cluster={name}"]}
    return [row["Id"] for row in [*api.containers(all=True, filters=label), *api.networks(filters=label)]]


def inside(cluster: Cluster, script: str, name: str = "box") -> str:
    result = cluster.client.exec(name, "default", ["sh", "-c", script])
    assert isinstance(result, ExecResult)
    assert result.exit_code == 0, result
    return result.stdout.decode()


def named(api: Any, container: str, pod: str = "") -> str:
    """The id of the container that a pod has by this name, which may run."""
    rows = api.containers(filters={"label": [f"io.k8snb.cluster={NAME}"]})
    return next(str(row["Id"]) for row in rows if f"_{container}_{pod}" in row["Names"][0])


def all_ready(cluster: Cluster, count: int = 3) -> bool:
    pods = list(cluster.client.items("pods", "default"))
    return len(pods) == count and all(is_true(pod, "Ready") for pod in pods)


def restarts(cluster: Cluster) -> list[int]:
    pods = cluster.client.items("pods", "default")
    return [each["restartCount"] for pod in pods for each in get_path(pod, "status.containerStatuses") or ()]


class Traces(NamedTuple):
    """What a cluster could leave on this machine."""

    containers: set[str]
    networks: set[str]
    mounts: set[str]
    sockets: set[str]
    processes: set[str]


def traces(api: Any) -> Traces:
    mine = {"label": ["io.k8snb.cluster"]}
    ours = [row for row in [*api.containers(all=True, filters=mine), *api.networks(filters=mine)]
            if NAME in row["Labels"]["io.k8snb.cluster"]]  # fmt: skip
    processes = [each for each in psutil.process_iter(["cmdline"]) if _is_ours(each.info["cmdline"] or [])]
    return Traces(
        containers={row["Id"] for row in ours if "Image" in row},
        networks={row["Id"] for row in ours if "Image" not in row},
        mounts={line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if NAME in line},
        sockets={
            f"{row.laddr.ip}:{row.laddr.port}"
            for each in (*processes, psutil.Process())
            for row in each.net_connections()
            if row.status in ("LISTEN", "NONE")
        },
        processes={str(each.pid) for each in processes},
    )


def _is_ours(words: list[str]) -> bool:
    """Another kernel of these tests, or its janitor."""
    return NAME in words


def test_a_killed_kernel_s_containers_are_found_again_and_go_on(api: Any, tmp_path: Path) -> None:
    before = traces(api)
    directory = tmp_path / NAME
    with kernel(directory) as first:
        running = containers(api)
        assert len(running) == 6
        children = first.children(recursive=True)
        first.kill()
        psutil.wait_procs(children, timeout=30)
    assert containers(api) == running
    with Cluster(NAME, runtime="docker", data_dir=directory) as again:
        until(again, lambda: all_ready(again))
        assert containers(api) == running
        assert restarts(again) == [0, 0, 0]
        assert inside(again, "cat /kept/file /own/file /fast/file") == "here\n" * 3
        assert "Welcome to nginx!" in again.visit(again.service_urls("nginx")[0])[1]
        assert "Welcome to nginx!" in inside(again, "wget -qO- http://nginx:8078/")
        api.kill(named(api, "box"))
        until(again, lambda: sum(restarts(again)) == 1 and all_ready(again))
        addresses = {pod["status"]["podIP"] for pod in again.client.items("pods", "default")}
        again.kubectl.run("scale deployment nginx --replicas=3")
        until(again, lambda: all_ready(again, 4))
        assert len({pod["status"]["podIP"] for pod in again.client.items("pods", "default")} - addresses) == 1
        ranges = {again.runtime.service_cidr, again.runtime.cluster_cidr}  # type: ignore[attr-defined]
        assert ranges <= set(map(str, host_ranges()))
        again.delete()
    assert not ranges & set(map(str, host_ranges()))
    assert left_of(api) == []
    assert traces(api) == before
    assert not directory.exists()


def test_a_cluster_without_the_directory_leaves_the_kept_one_alone_until_that_is_gone(api: Any, tmp_path: Path) -> None:
    directory = tmp_path / NAME
    with kernel(directory) as killed:
        killed.kill()
    kept = containers(api)
    with Cluster(NAME, runtime="docker", nodes=1) as other:
        other.client.create("pods", {"metadata": {"name": "p"}, "spec": {"containers": [MAIN]}}, "default")
        until(other, lambda: is_true(other.client.get("pods", "p", "default"), "Ready"))
        assert len(containers(api)) == len(kept) + 2
    assert containers(api) == kept
    shutil.rmtree(directory)
    with Cluster(NAME, runtime="docker", nodes=1):
        assert containers(api) == {}
    assert left_of(api) == []


# an engine that is killed


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    if own_engine.why_not():
        pytest.skip(own_engine.why_not())
    with own_engine.engine_with_images() as own:
        monkeypatch.setenv("DOCKER_HOST", own.url)
        yield own
        monkeypatch.undo()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def readiness(cluster: Cluster, node: str = "node-1") -> Any:
    return condition(cluster.client.get("nodes", node), "Ready") or {}


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_node_whose_engine_is_killed_is_not_ready_and_all_is_well_when_it_is_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Source of the words: `runtimeErrors` in pkg/kubelet/runtime.go. Upstream waits half a minute for them.

    What is asked meanwhile is answered in one line, and what was begun is done when the engine is back.
    """
    monkeypatch.setattr(pleg, "DOWN", 4.0)
    with Cluster(NAME, runtime="docker", nodes=1) as running:
        running.kubectl.run("apply -f -", stdin=OBJECTS)
        until(running, lambda: all_ready(running))
        with connected(engine.url) as api:
            before = len(containers(api))
        victim, kept = (each["metadata"]["name"] for each in running.client.items("pods", "default", labelSelector=WEB))
        engine.kill()
        running.client.delete("pods", victim, "default", gracePeriodSeconds=1)
        gone = "the Docker engine does not answer: is Docker still running?"
        until(running, lambda: gone in running.kubectl.run("get events").text)
        with pytest.raises(ApiError, match=gone) as told:
            list(running.client.logs(kept, "default"))
        assert "\n" not in str(told.value)
        until(running, lambda: readiness(running)["status"] == "False")
        assert (readiness(running)["reason"], readiness(running)["message"]) == (
            "KubeletNotReady", "container runtime is down",
        )  # fmt: skip
        assert "Node node-1 status is now: NodeNotReady" in running.kubectl.run("get events").text
        engine.start()
        until(running, lambda: readiness(running)["status"] == "True")
        until(running, lambda: all_ready(running) and max(restarts(running)) > 0)
        assert running.client.find("pods", victim, "default") is None
        assert "Welcome to nginx!" in running.visit(running.service_urls("nginx")[0])[1]
        assert inside(running, "cat /kept/file") == "here\n"
        with connected(engine.url) as api:
            live = [row for row in api.containers() if NAME in row["Labels"]["io.k8snb.cluster"]]
            assert len(live) == before
    with connected(engine.url) as api:
        assert left_of(api) == []


@contextmanager
def as_nobody() -> Iterator[None]:
    os.setresgid(65534, 65534, 0)
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


def test_an_engine_that_this_user_may_not_ask_is_named_with_who_may(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("K8SNB_RUNTIME", raising=False)
    engine.home.chmod(0o755)
    engine.socket.chmod(0o660)
    words = f"this user may not use Docker's socket {engine.socket}, which root and the members of its group may"
    with as_nobody():
        assert hosts.choose() == ("process", words)
        with pytest.raises(ValueError, match=re.escape(words)):
            Cluster(NAME, runtime="docker", nodes=1).start()
    assert hosts.choose()[0] == "docker"
