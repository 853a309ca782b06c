"""ingress and logging on nodes that run something: every pod is reached, its lines are kept, and nothing stays."""

from __future__ import annotations

import re
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any

import psutil
import pytest
from docker_images import ECHOSERVER, NGINX, image_layers

from k8snb.addons.ingress import IngressAddon
from k8snb.addons.log_collector import LoggingAddon
from k8snb.cluster import Cluster

pytestmark = pytest.mark.slow
PATIENCE = 120.0
WORKLOADS = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: echo}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: echo}}}}
  template:
    metadata: {{labels: {{app: echo}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {{name: echo, image: "{ECHOSERVER}", readinessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: echo}}
spec: {{selector: {{app: echo}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: nginx}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: nginx}}}}
  template:
    metadata: {{labels: {{app: nginx}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{{name: nginx, image: "{NGINX}", ports: [{{containerPort: 80}}]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: nginx}}
spec: {{selector: {{app: nginx}}, ports: [{{port: 80}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: shop}}
spec:
  rules:
  - host: shop.example
    http:
      paths:
      - {{path: /echo, pathType: Prefix, backend: {{service: {{name: echo, port: {{name: http}}}}}}}}
      - {{path: /, pathType: Prefix, backend: {{service: {{name: nginx, port: {{number: 80}}}}}}}}
"""


@pytest.fixture(
    scope="module",
    params=[pytest.param("process", marks=pytest.mark.process), pytest.param("docker", marks=pytest.mark.docker)],
)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with ExitStack() as stack:
        if request.param == "docker":
            import docker

            stack.enter_context(image_layers(stack.enter_context(closing(docker.APIClient()))))
        made = stack.enter_context(Cluster("addons-test", runtime=request.param, nodes=2))
        for name in ("ingress", "logging"):
            made.addons.enable(name)
        made.kubectl.run(["apply", "-f", "-"], stdin=WORKLOADS)
        made.kubectl.run(["wait", "--for=condition=Available", "deployment", "--all", f"--timeout={PATIENCE:.0f}s"])
        yield made


def until(true: Callable[[], bool]) -> None:
    """Wait outside of the cluster's lock: it goes on while it is asked."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def ask(cluster: Cluster, path: str, host: str = "shop.example") -> tuple[int, str]:
    addon: Any = cluster.addons.get("ingress")
    assert isinstance(addon, IngressAddon)
    base = addon.url({"spec": {}})
    try:
        with urllib.request.urlopen(urllib.request.Request(base + path, headers={"Host": host}), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_each_path_leads_to_its_service_and_takes_turns_over_its_pods(cluster: Cluster) -> None:
    until(lambda: ask(cluster, "echo")[0] == 200 and ask(cluster, "")[0] == 200)
    assert "Welcome to nginx" in ask(cluster, "")[1]
    names = re.findall(r"Hostname: ([\w-]+)", "".join(ask(cluster, "echo/x")[1] for _ in range(9)))
    pods = cluster.client.items("pods", "default", labelSelector="app=echo")
    assert Counter(names) == dict.fromkeys((pod["metadata"]["name"] for pod in pods), 3)
    assert ask(cluster, "echo", "other.example") == (404, "default backend - 404")


def test_what_every_pod_wrote_is_found_after_it_is_gone(cluster: Cluster) -> None:
    until(lambda: ask(cluster, "find-me-later")[0] in (200, 404))
    addon = cluster.addons.get("logging")
    assert isinstance(addon, LoggingAddon)
    until(lambda: bool(addon.search("find-me-later")))
    pod = addon.search("find-me-later")[0].source
    assert pod.labels["app"] == "nginx" and pod.node in cluster.nodes
    cluster.kubectl.run(["delete", "pod", pod.pod, "--now"])
    until(lambda: cluster.client.find("pods", pod.pod, "default") is None)
    assert addon.search("find-me-later", pod=pod.pod)


def test_a_rollout_loses_no_request(cluster: Cluster) -> None:
    until(lambda: ask(cluster, "echo")[0] == 200)
    statuses: Counter[int] = Counter()
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(0.01):
            statuses[ask(cluster, "echo")[0]] += 1

    asking = threading.Thread(target=go_on)
    asking.start()
    try:
        cluster.kubectl.run(["rollout", "restart", "deployment/echo"])
        cluster.kubectl.run(["rollout", "status", "deployment/echo", f"--timeout={PATIENCE:.0f}s"])
    finally:
        stop.set()
        asking.join()
    assert set(statuses) == {200}, statuses


@pytest.mark.process
def test_a_cluster_with_all_add_ons_leaves_no_thread_and_no_socket() -> None:
    def held() -> tuple[set[str], int]:
        listening = [each for each in psutil.Process().net_connections() if each.status == psutil.CONN_LISTEN]
        return {thread.name for thread in threading.enumerate() if thread.name.startswith("k8snb")}, len(listening)

    before = held()
    made = Cluster("addons-end", runtime="process", nodes=1)
    for _ in range(2):
        live_a_little(made)
    end = time.monotonic() + 10
    while held() != before and time.monotonic() < end:
        with suppress(psutil.Error):
            time.sleep(0.1)
    assert held() == before


def live_a_little(cluster: Cluster) -> None:
    with cluster:
        for name in ("ingress", "logging", "dashboard"):
            cluster.addons.enable(name)
        cluster.kubectl.run(["run", "talker", "--image=busybox", "--", "sh", "-c", "echo hi; sleep 3600"])
        addon = cluster.addons.get("logging")
        assert isinstance(addon, LoggingAddon)
        until(lambda: bool(addon.search("hi")))
        cluster.stop()
        cluster.start()
