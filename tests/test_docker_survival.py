"""What outlives what on a Docker engine: containers a kernel that is killed, a cluster its engine; nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from docker_images import NGINX, SHELL, image_layers

from k8snb.apimachinery.meta import condition, get_path, is_true, uid_of
from k8snb.cluster import Cluster
from k8snb.cri import ExecResult
from k8snb.cri.docker_engine import connected
from k8snb.cri.docker_network import host_ranges

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 40.0
NAME = "k8snb-test-survival"

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

KERNEL = """
import json, sys
from k8snb.cluster import Cluster
name, directory, objects = sys.argv[1:]
cluster = Cluster(name, runtime="docker", nodes=2, data_dir=directory)
cluster.start()
cluster.kubectl.run("apply -f -", stdin=objects)
cluster.kubectl.run("wait --for=condition=Available deployment/nginx --timeout=60s")
cluster.kubectl.run("wait --for=condition=Ready pod/box --timeout=60s")
print(json.dumps(cluster.runtime.service_cidr), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    with connected() as found, image_layers(found):
        yield found


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


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


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


def all_ready(cluster: Cluster) -> bool:
    pods = list(cluster.client.items("pods", "default"))
    return len(pods) == 3 and all(is_true(pod, "Ready") for pod in pods)


def restarts(cluster: Cluster) -> list[int]:
    pods = cluster.client.items("pods", "default")
    return [each["restartCount"] for pod in pods for each in get_path(pod, "status.containerStatuses") or ()]


class Traces(NamedTuple):
    """What a cluster could leave on this machine."""

    containers: set[str]
    networks: set[str]
    ranges: set[str]
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
        ranges={str(each) for each in host_ranges() if str(each).endswith("/16")},
        mounts={line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if NAME in line},
        sockets={str(row.laddr) for each in processes for row in each.net_connections()},
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
        victim = next(each for each in running if "/box_" in api.inspect_container(each)["Name"].replace("_box_", "/box_")
                      and "POD" not in api.inspect_container(each)["Name"])  # fmt: skip
        api.kill(victim)
        until(again, lambda: sum(restarts(again)) == 1 and all_ready(again))
        addresses = [pod["status"]["podIP"] for pod in again.client.items("pods", "default")]
        again.kubectl.run("scale deployment nginx --replicas=4")
        until(again, lambda: get_path(again.client.get("deployments", "nginx", "default"), "status.readyReplicas") == 4)
        new = [pod["status"]["podIP"] for pod in again.client.items("pods", "default")]
        assert len(set(new)) == 5 and set(addresses) < set(new)
        again.delete()
    assert left_of(api) == []
    assert traces(api) == before
    assert not directory.exists()
