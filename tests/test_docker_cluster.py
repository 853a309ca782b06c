"""Clusters on a Docker engine: what the quick start's objects do when their pods are real containers."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import own_engine
import psutil
import pytest
from docker_images import NGINX, SHELL, image_layers
from own_engine import Engine

from k8snb import hosts
from k8snb.apimachinery.meta import get_path, is_true
from k8snb.cluster import Cluster
from k8snb.cri import ExecResult, RuntimeFailure
from k8snb.cri.docker_engine import connected, pull
from k8snb.cri.docker_network import host_ranges

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120.0

WEB = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: nginx}}
spec:
  replicas: 2
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
spec:
  type: NodePort
  selector: {{app: nginx}}
  ports: [{{name: http, port: 8078, targetPort: 80}}]
"""


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    with connected() as found, image_layers(found):
        yield found


@pytest.fixture(scope="module")
def cluster(api: Any) -> Iterator[Cluster]:
    """With two nginx pods behind a Service, and a pod `box` to look around from."""
    with Cluster("k8snb-test-web", runtime="docker") as running:
        running.kubectl.run("apply -f -", stdin=WEB)
        run_pod(running, "box", "exec sleep 600")
        until(running, lambda: is_ready(running, "box") and deployed(running))
        yield running


def run_pod(cluster: Cluster, name: str, script: str, *, container: Any = None, **spec: Any) -> None:
    main = {"name": "main", "image": SHELL, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script]}
    pod = {"metadata": {"name": name}, "spec": {"containers": [{**main, **(container or {})}], **spec}}
    cluster.client.create("pods", pod, "default")


def until(cluster: Cluster, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    assert cluster.wait(condition, seconds), cluster.kubectl.run("get pods,events").text


def pod(cluster: Cluster, name: str) -> Any:
    return cluster.client.find("pods", name, "default") or {}


def is_ready(cluster: Cluster, name: str) -> bool:
    return is_true(pod(cluster, name), "Ready")


def is_gone(cluster: Cluster, name: str) -> bool:
    return cluster.client.find("pods", name, "default") is None


def state(cluster: Cluster, name: str, path: str) -> Any:
    """Something from the status of a pod's only container."""
    statuses = get_path(pod(cluster, name), "status.containerStatuses") or [{}]
    return get_path(statuses[0], path)


def deployed(cluster: Cluster) -> bool:
    found = cluster.client.get("deployments", "nginx", "default")
    return bool(get_path(found, "status.availableReplicas") == found["spec"]["replicas"])


def web_pods(cluster: Cluster) -> list[Any]:
    return list(cluster.client.items("pods", "default", labelSelector="app=nginx"))


def inside(cluster: Cluster, *command: str, name: str = "box") -> str:
    """What a command in a pod says; how it ends is asserted to be well."""
    result = cluster.client.exec(name, "default", list(command))
    assert isinstance(result, ExecResult)
    assert result.exit_code == 0, result
    return result.stdout.decode()


def visit(cluster: Cluster) -> str:
    return cluster.visit(cluster.service_urls("nginx")[0])[1]


def service_answers(cluster: Cluster) -> bool:
    """Soon. Whoever waited in `cluster.wait` for a connection would hold up the cluster as long as that takes."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with suppress(OSError):
            if "Welcome to nginx!" in visit(cluster):
                return True
        time.sleep(0.1)
    return False


def left_of(api: Any, cluster: str) -> list[str]:
    label = {"label": [f"io.k8snb.cluster={cluster}"]}
    return [row["Id"] for row in [*api.containers(all=True, filters=label), *api.networks(filters=label)]]


@contextmanager
def stranger(api: Any) -> Iterator[str]:
    """A container of the user's own."""
    made = api.create_container(SHELL, ["sleep", "600"], host_config=api.create_host_config(network_mode="none"))["Id"]
    try:
        api.start(made)
        yield made
        assert api.inspect_container(made)["State"]["Running"]
    finally:
        api.remove_container(made, force=True)


# services


def test_a_service_answers_this_machine_at_its_node_port_and_at_its_cluster_ip(cluster: Cluster) -> None:
    service = cluster.client.get("services", "nginx", "default")["spec"]
    assert cluster.service_urls("nginx")[0].endswith(f":{service['ports'][0]['nodePort']}")
    assert "Welcome to nginx!" in visit(cluster)
    assert "Welcome to nginx!" in cluster.visit(f"http://{service['clusterIP']}:8078")[1]


def test_connections_are_spread_over_all_pods_of_a_service(cluster: Cluster) -> None:
    assert cluster._host is not None
    before = Counter(cluster._host.plane.taken("default/nginx"))
    for _ in range(20):
        visit(cluster)
    taken = Counter(cluster._host.plane.taken("default/nginx")) - before
    assert set(taken) == {f"default/{found['metadata']['name']}" for found in web_pods(cluster)}
    assert sum(taken.values()) == 20


@pytest.mark.parametrize("host", ["nginx", "nginx.default", "nginx.default.svc.cluster.local"])
def test_a_pod_reaches_a_service_by_its_name(cluster: Cluster, host: str) -> None:
    assert "Welcome to nginx!" in inside(cluster, "wget", "-qO-", f"http://{host}:8078/")


def test_a_pod_reaches_pods_of_other_nodes_and_node_ports_by_address(cluster: Cluster) -> None:
    addresses = [found["status"]["podIP"] for found in web_pods(cluster)]
    for url in [*(f"http://{address}/" for address in addresses), cluster.service_urls("nginx")[0]]:
        assert "Welcome to nginx!" in inside(cluster, "wget", "-qO-", url)


def test_a_pod_asks_the_cluster_s_resolver(cluster: Cluster) -> None:
    dns = cluster.client.get("services", "kube-dns", "kube-system")["spec"]["clusterIP"]
    lines = inside(cluster, "cat", "/etc/resolv.conf").splitlines()
    assert "search default.svc.cluster.local svc.cluster.local cluster.local" in lines
    assert "options ndots:5" in lines
    assert f"nameserver {dns}" in lines or "nameserver 127.0.0.11" in lines
    assert cluster.lookup("nginx")[0] in inside(cluster, "nslookup", "nginx.default.svc.cluster.local")


def test_a_node_port_outlives_each_node_but_the_last(cluster: Cluster) -> None:
    """All nodes of an engine have one address."""
    port = int(cluster.service_urls("nginx")[0].rpartition(":")[2])
    name = cluster.add_node()
    until(cluster, cluster.is_ready)
    sockets = psutil.Process().net_connections("tcp")
    listening = [row.laddr for row in sockets if row.status == "LISTEN" and row.laddr.port == port]
    assert len(listening) == 1
    cluster.delete_node(name)
    assert "Welcome to nginx!" in visit(cluster)


def test_a_deleted_pod_is_replaced_and_the_service_goes_on(cluster: Cluster) -> None:
    victim = web_pods(cluster)[0]["metadata"]["name"]
    cluster.client.delete("pods", victim, "default")
    while not is_gone(cluster, victim):
        assert "Welcome to nginx!" in visit(cluster)
    until(cluster, lambda: deployed(cluster))


# one pod's life


def test_a_pod_s_output_is_its_log_and_a_command_runs_beside_it(cluster: Cluster) -> None:
    run_pod(cluster, "talker", "echo Hello Kubernetes!; exec sleep 600", terminationGracePeriodSeconds=0)
    until(cluster, lambda: is_ready(cluster, "talker"))
    until(cluster, lambda: b"".join(cluster.client.logs("talker", "default")) == b"Hello Kubernetes!\n")
    assert inside(cluster, "hostname", name="talker") == "talker\n"
    result = cluster.client.exec("talker", "default", ["sh", "-c", "echo no >&2; exit 4"])
    assert (result.stderr, result.exit_code) == (b"no\n", 4)
    cluster.client.delete("pods", "talker", "default")


@pytest.mark.parametrize(
    ("policy", "script", "phase", "code"),
    [("Never", "exit 3", "Failed", 3), ("OnFailure", "exit 0", "Succeeded", 0), ("Never", "exit 0", "Succeeded", 0)],
)
def test_a_pod_that_has_ended_says_how(cluster: Cluster, policy: str, script: str, phase: str, code: int) -> None:
    name = f"{policy.lower()}-{code}"
    run_pod(cluster, name, script, restartPolicy=policy)
    until(cluster, lambda: get_path(pod(cluster, name), "status.phase") == phase)
    assert state(cluster, name, "state.terminated.exitCode") == code
    assert state(cluster, name, "restartCount") == 0


def test_a_container_that_always_ends_is_in_crash_loop_back_off_and_says_when_it_is_tried_again(
    cluster: Cluster,
) -> None:
    run_pod(cluster, "crasher", "echo oops; exit 7")
    until(cluster, lambda: state(cluster, "crasher", "state.waiting.reason") == "CrashLoopBackOff")
    assert state(cluster, "crasher", "restartCount") == 1
    assert state(cluster, "crasher", "lastState.terminated.exitCode") == 7
    assert "next try at" in state(cluster, "crasher", "state.waiting.message")
    assert b"".join(cluster.client.logs("crasher", "default", previous=True)) == b"oops\n"
    cluster.client.delete("pods", "crasher", "default")


def test_a_container_over_its_memory_limit_is_oom_killed(cluster: Cluster) -> None:
    limits = {"resources": {"limits": {"memory": "16Mi"}}}
    run_pod(cluster, "greedy", "tail /dev/zero", container=limits, restartPolicy="Never")
    until(cluster, lambda: state(cluster, "greedy", "state.terminated") is not None)
    ended = state(cluster, "greedy", "state.terminated")
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


def test_a_pod_is_ready_when_its_probe_finds_it_so(cluster: Cluster) -> None:
    probe = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1}
    serve = "mkdir -p /www; exec httpd -f -p 8080 -h /www"
    run_pod(cluster, "slow", serve, container={"readinessProbe": probe}, terminationGracePeriodSeconds=0)
    until(cluster, lambda: state(cluster, "slow", "state.running") is not None)
    unhealthy = "Readiness probe failed: HTTP probe failed with statuscode: 404"
    until(cluster, lambda: unhealthy in cluster.kubectl.run("get events").text)
    assert not is_ready(cluster, "slow")
    inside(cluster, "touch", "/www/ready", name="slow")
    until(cluster, lambda: is_ready(cluster, "slow"))
    cluster.client.delete("pods", "slow", "default")


@pytest.mark.parametrize(("trap", "grace", "least"), [("trap 'exit 0' TERM", 60, 0.0), ("trap '' TERM", 3, 3.0)])
def test_a_deleted_pod_has_its_grace_period_and_no_longer(
    cluster: Cluster, trap: str, grace: int, least: float
) -> None:
    run_pod(cluster, "grace", f"{trap}; touch /up; while true; do sleep 0.2; done", terminationGracePeriodSeconds=grace)
    until(cluster, lambda: is_ready(cluster, "grace"))
    inside(cluster, "sh", "-c", "until [ -e /up ]; do sleep 0.05; done", name="grace")
    began = time.monotonic()
    cluster.client.delete("pods", "grace", "default")
    until(cluster, lambda: is_gone(cluster, "grace"))
    assert least <= time.monotonic() - began < 30.0


# images


def test_an_image_that_cannot_be_pulled_is_told_soon_and_in_one_line(cluster: Cluster) -> None:
    run_pod(cluster, "nowhere", "true", container={"image": "localhost:1/nowhere:1"})
    until(cluster, lambda: state(cluster, "nowhere", "state.waiting.reason") == "ImagePullBackOff")
    message = state(cluster, "nowhere", "state.waiting.message")
    failed = 'failed to pull image "localhost:1/nowhere:1": nothing answers at the registry'
    assert message.startswith(f'Back-off pulling image "localhost:1/nowhere:1": ErrImagePull: {failed}')
    assert "\n" not in message
    assert "Error: ErrImagePull" in cluster.kubectl.run("get events").text
    cluster.client.delete("pods", "nowhere", "default")


def test_a_registry_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(RuntimeFailure, match="the registry did not answer in time"):
            pull(None, f"localhost:{silent.getsockname()[1]}/app:1", silence=0.5)
        assert time.monotonic() - began < 30


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_an_engine_without_the_images_is_passed_over_at_once(monkeypatch: pytest.MonkeyPatch, patience: float) -> None:
    monkeypatch.delenv("K8SNB_RUNTIME", raising=False)
    monkeypatch.setattr(hosts, "QUICKSTART_IMAGES", ("localhost:1/nowhere:1",))
    began = time.monotonic()
    name, why = hosts.choose(patience=patience)
    assert time.monotonic() - began < 30
    assert name == "process"
    assert "localhost:1/nowhere:1" in why
    assert "\n" not in why


# a cluster's life


def test_a_stopped_cluster_goes_on_where_it_was_and_a_deleted_one_leaves_nothing(cluster: Cluster, api: Any) -> None:
    """The other cluster on the engine, and a container of the user's own, notice nothing."""
    with stranger(api), Cluster("k8snb-test-life", runtime="docker", nodes=1) as other:
        assert other.runtime.service_cidr != cluster.runtime.service_cidr
        other.kubectl.run("apply -f -", stdin=WEB)
        until(other, lambda: deployed(other))
        names = {found["metadata"]["name"] for found in web_pods(other)}
        other.stop()
        assert len(left_of(api, "k8snb-test-life")) == 1  # the network keeps its addresses
        other.start()
        assert service_answers(other)
        assert {found["metadata"]["name"] for found in web_pods(other)} == names
        cidr = other.runtime.service_cidr
        other.delete()
        assert left_of(api, "k8snb-test-life") == []
        assert cidr not in map(str, host_ranges())
        assert "Welcome to nginx!" in visit(cluster)


DYING = """
import os, sys
from k8snb.cluster import Cluster
cluster = Cluster("k8snb-test-dying", runtime="docker", nodes=1)
cluster.start()
main = {"name": "main", "image": "%s", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "600"]}
cluster.client.create("pods", {"metadata": {"name": "p"}, "spec": {"containers": [main]}}, "default")
started = lambda: cluster.client.get("pods", "p", "default")["status"].get("phase") == "Running"
assert cluster.wait(started, 30)
print(cluster.runtime.service_cidr, flush=True)
sys.stdin.read()
"""


@contextmanager
def dying_kernel() -> Iterator[tuple[psutil.Process, str]]:
    """Another Python with a cluster of one pod, and its range of ClusterIPs."""
    code = DYING % SHELL
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        try:
            assert child.stdout is not None
            yield psutil.Process(child.pid), child.stdout.readline().strip()
        finally:
            child.kill()


def test_what_a_killed_kernel_leaves_is_cleared_away_and_nothing_else(cluster: Cluster, api: Any) -> None:
    with stranger(api):
        with dying_kernel() as (kernel, cidr):
            kept = set(left_of(api, "k8snb-test-web"))
            assert len(left_of(api, "k8snb-test-dying")) == 3
            kernel.kill()
        until(cluster, lambda: not left_of(api, "k8snb-test-dying"))
        until(cluster, lambda: cidr not in map(str, host_ranges()))
        assert set(left_of(api, "k8snb-test-web")) == kept
        assert "Welcome to nginx!" in visit(cluster)


def test_what_a_kernel_and_its_janitor_leave_is_cleared_away_by_the_next_cluster(cluster: Cluster, api: Any) -> None:
    with dying_kernel() as (kernel, cidr):
        for process in [*kernel.children(), kernel]:
            process.kill()
    assert len(left_of(api, "k8snb-test-dying")) == 3
    with Cluster("k8snb-test-dying", runtime="docker", nodes=1) as following:
        assert len(left_of(api, "k8snb-test-dying")) == 1
        assert following.runtime.service_cidr == cidr
    assert left_of(api, "k8snb-test-dying") == []
    assert cidr not in map(str, host_ranges())


def test_an_ordinary_user_has_services_on_this_machine_and_is_told_what_is_not(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with Cluster("k8snb-test-user", runtime="docker", nodes=1) as own:
        own.kubectl.run("apply -f -", stdin=WEB)
        until(own, lambda: deployed(own))
        assert service_answers(own)
        ip = own.client.get("services", "nginx", "default")["spec"]["clusterIP"]
        assert ip.startswith("127.")
        assert "Welcome to nginx!" in own.visit(f"http://{ip}:8078")[1]
        assert "answer on this machine but not inside pods" in own.kubectl.run("get events").text
        port = own.client.get("services", "nginx", "default")["spec"]["ports"][0]["nodePort"]
        url = f"http://{own.nodes['node-1'].network.node_ip}:{port}/"
        name = web_pods(own)[0]["metadata"]["name"]
        assert "Welcome to nginx!" in inside(own, "wget", "-qO-", url, name=name)


# an engine that comes and goes

# The docker package forgets to close the socket with which it could not connect.
forgotten_sockets = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


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


@forgotten_sockets
def test_a_cluster_whose_engine_is_gone_can_be_deleted(engine: Engine) -> None:
    lonely = Cluster("k8snb-test-lonely", runtime="docker", nodes=1)
    lonely.start()
    cidr = lonely.runtime.service_cidr
    engine.stop()
    began = time.monotonic()
    with pytest.raises(RuntimeFailure, match="cannot list containers: the Docker engine does not answer"):
        lonely.delete()
    assert time.monotonic() - began < 50
    assert not lonely.running
    assert cidr not in map(str, host_ranges())
    engine.start()
    with Cluster("k8snb-test-lonely", runtime="docker", nodes=1):
        pass
