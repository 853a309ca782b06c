"""Nodes on another Docker engine than their cluster's: over a socket, TCP and SSH; and what they cannot do."""

from __future__ import annotations

import gc
import getpass
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import own_engine
import psutil
import pytest
from docker_images import SHELL, image_layers
from own_engine import Engine
from registry import free_port

from k8snb.apimachinery.meta import is_true
from k8snb.cluster import Cluster
from k8snb.cri import ExecResult
from k8snb.cri.docker_engine import connected
from k8snb.cri.docker_way import check

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120.0
NAME = f"k8snb-test-hosts-{os.getpid()}"  # several may share the engine


def until(cluster: Cluster, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    assert cluster.wait(condition, seconds), cluster.kubectl.run("get pods,nodes,events").text


def run_pod(cluster: Cluster, name: str, node: str, **main: Any) -> None:
    container = {"name": "main", "image": SHELL, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "600"], **main}
    spec = {"containers": [container], "nodeName": node, "terminationGracePeriodSeconds": 0}
    pod = {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
    cluster.client.create("pods", pod, "default")


def ready(cluster: Cluster, *names: str) -> bool:
    return all(is_true(cluster.client.get("pods", name, "default"), "Ready") for name in names)


def inside(cluster: Cluster, name: str, script: str) -> str:
    result = cluster.client.exec(name, "default", ["sh", "-c", script])
    assert isinstance(result, ExecResult)
    assert result.exit_code == 0, result
    return result.stdout.decode()


def left_of(url: str, cluster: str = NAME) -> list[str]:
    label = {"label": [f"io.k8snb.cluster={cluster}"]}
    with connected(url) as api:
        return [row["Id"] for row in [*api.containers(all=True, filters=label), *api.networks(filters=label)]]


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def engine(port: int) -> Iterator[Engine]:
    """It answers at a socket and at a port of the loopback address."""
    if own_engine.why_not():
        pytest.skip(own_engine.why_not())
    more = ["-H", f"tcp://127.0.0.1:{port}", "--tls=false"]
    with own_engine.engine_with_images(*more) as own:
        yield own
    forget_sockets()


def forget_sockets() -> None:
    """The docker package forgets to close the socket with which it could not connect."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def cluster(engine: Engine) -> Iterator[Cluster]:
    with connected() as api, image_layers(api), Cluster(NAME, runtime="docker", nodes=1) as running:
        yield running
    assert left_of(engine.url) == []


@pytest.mark.docker
def test_pods_of_two_engines_meet_through_services_and_names(cluster: Cluster, engine: Engine) -> None:
    name = cluster.add_node(docker_host=engine.url)
    until(cluster, cluster.is_ready)
    serve = ["sh", "-c", "mkdir /www; hostname > /www/index.html; exec httpd -f -p 80 -h /www"]
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}
    for pod, node in (("here", "node-1"), ("there", name)):
        run_pod(cluster, pod, node, command=serve, readinessProbe=probe)
        cluster.kubectl.run(f"expose pod {pod} --port=80")
    until(cluster, lambda: ready(cluster, "here", "there"))
    with connected(engine.url) as api:
        found = api.containers(filters={"label": [f"io.k8snb.cluster={NAME}", f"io.k8snb.node={name}"]})
        assert len(found) == 2
    for asks, asked in (("here", "there"), ("there", "here")):
        assert inside(cluster, asks, f"wget -qO- http://{asked}/") == f"{asked}\n"
    assert f"the node's Docker engine ({engine.url}) has a network of its own" in cluster.kubectl.run("get events").text
    with connected(engine.url) as api:
        assert cluster.client.get("nodes", name)["status"]["capacity"]["cpu"] == str(api.info()["NCPU"])
    cluster.delete_node(name)
    assert left_of(engine.url) == []


@pytest.mark.docker
def test_a_node_over_tcp_has_logs_exec_and_streams(cluster: Cluster, engine: Engine, port: int) -> None:
    name = cluster.add_node(docker_host=f"tcp://127.0.0.1:{port}")
    run_pod(cluster, "talker", name, command=["sh", "-c", "echo hello from afar; exec sleep 600"])
    until(cluster, lambda: ready(cluster, "talker"))
    until(cluster, lambda: b"".join(cluster.client.logs("talker", "default")) == b"hello from afar\n")
    assert inside(cluster, "talker", "hostname") == "talker\n"
    assert f"docker runtime on tcp://127.0.0.1:{port}" in str(cluster.status())
    cluster.delete_node(name)


@pytest.mark.docker
def test_an_engine_on_another_machine_runs_pods_and_says_what_they_cannot_do(cluster: Cluster) -> None:
    if own_engine.why_not():
        pytest.skip(own_engine.why_not())
    with own_engine.engine_far_away() as far:
        name = cluster.add_node(docker_host=far.url)
        probe = {"exec": {"command": ["test", "-e", "/tmp"]}, "periodSeconds": 1}
        run_pod(cluster, "lonely", name, command=["sh", "-c", "echo hello; exec sleep 600"], readinessProbe=probe)
        until(cluster, lambda: ready(cluster, "lonely"))
        until(cluster, lambda: b"".join(cluster.client.logs("lonely", "default")) == b"hello\n")
        assert inside(cluster, "lonely", "hostname") == "lonely\n"
        until(cluster, lambda: "is on another machine: a network" in cluster.kubectl.run("get events").text)
        assert cluster.nodes[name].network.node_ip == cluster.nodes["node-1"].network.node_ip
        cluster.delete_node(name)
        assert left_of(far.url) == []


def sshd_here() -> str:
    program = shutil.which("sshd", path="/usr/sbin:/usr/bin")
    return program or ""


@contextmanager
def ssh_server(home: Path) -> Iterator[tuple[int, psutil.Popen]]:
    """Debian's OpenSSH, for this user alone, by a key of the test's own."""
    port = free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True)
    (home / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nAuthorizedKeysFile {home}/user.pub\n"
        f"StrictModes no\nPidFile {home}/pid\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n"
    )
    (home / "client").write_text(
        f"IdentityFile {home}/user\nIdentitiesOnly yes\nUserKnownHostsFile {home}/known\n"
        "StrictHostKeyChecking accept-new\n"
    )
    wrapper = home / "bin" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {home}/client "$@"\n')
    wrapper.chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)
    with psutil.Popen([sshd_here(), "-D", "-f", str(home / "config")], stderr=subprocess.DEVNULL) as server:
        try:
            _let_in(wrapper, port)
            yield port, server
        finally:
            with suppress(psutil.NoSuchProcess):
                for process in [*server.children(recursive=True), server]:
                    process.kill()


def _let_in(ssh: Path, port: int) -> None:
    """Wait until the server answers; where it lets nobody in (a locked account), there is nothing to test."""
    end = time.monotonic() + 10
    while subprocess.run([ssh, "-p", str(port), "127.0.0.1", "true"], capture_output=True, check=False).returncode:
        if time.monotonic() > end:
            pytest.skip("optional: this machine's sshd does not let this user in")
        time.sleep(0.2)


@pytest.mark.docker
def test_a_node_over_ssh_works_and_its_tunnel_ends_with_the_cluster(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not sshd_here() or shutil.which("ssh") is None:
        pytest.skip("optional: openssh-server is not installed")
    with ssh_server(tmp_path) as (port, _):
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{engine.socket}"
        with Cluster(f"{NAME}-ssh", runtime="docker", nodes=1) as running:
            name = running.add_node(docker_host=url)
            run_pod(running, "talker", name, command=["sh", "-c", "echo hello from afar; exec sleep 600"])
            until(running, lambda: ready(running, "talker"))
            until(running, lambda: b"".join(running.client.logs("talker", "default")) == b"hello from afar\n")
            assert inside(running, "talker", "hostname") == "talker\n"
            tunnels = [each for each in psutil.Process().children() if each.name() == "ssh"]
            assert tunnels
            with pytest.raises(ValueError, match=r"no Docker engine answers at ssh://nobody-like-that@.*denied"):
                running.add_node(docker_host=f"ssh://nobody-like-that@127.0.0.1:{port}")
        assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in tunnels)
        assert left_of(engine.url, f"{NAME}-ssh") == []


# what is refused


@pytest.mark.parametrize("wrong", ["", "127.0.0.1:2375", "http://127.0.0.1", "unix://", "tcp://", "ssh:///socket"])
def test_an_address_that_is_none_is_refused_with_what_one_looks_like(wrong: str) -> None:
    with pytest.raises(ValueError, match="one of unix:///PATH, tcp://HOST:PORT and ssh://USER@HOST"):
        check(wrong)


def test_a_cluster_on_another_runtime_has_no_nodes_on_docker_engines() -> None:
    with Cluster("k8snb-test-mixed", runtime="simulated", nodes=1) as running:
        with pytest.raises(ValueError, match="on the simulated runtime: not implemented by k8snb"):
            running.add_node(docker_host="tcp://127.0.0.1:2375")
        assert "node-2" not in running.nodes and "node-2" not in running.machines.specs


@pytest.mark.docker
def test_an_engine_that_is_not_there_makes_no_node(cluster: Cluster) -> None:
    before = list(cluster.machines.specs)
    with pytest.raises(ValueError, match=r"no Docker engine answers \(nothing at tcp://127.0.0.1:1\)"):
        cluster.add_node(docker_host="tcp://127.0.0.1:1")
    assert list(cluster.machines.specs) == before


@pytest.mark.docker
def test_a_cluster_starts_without_the_node_whose_engine_is_away_and_has_it_when_that_is_back(
    engine: Engine, tmp_path: Path
) -> None:
    away = f"unix://{tmp_path}/docker.sock"
    with connected() as api, image_layers(api), Cluster(f"{NAME}-away", runtime="docker", nodes=1) as running:
        (tmp_path / "docker.sock").symlink_to(engine.socket)
        name = running.add_node(docker_host=away)
        running.stop()
        running.runtime.leave(away)  # type: ignore[attr-defined]
        (tmp_path / "docker.sock").unlink()
        running.machines.nodes.clear()
        running.start()
        assert (f"node {name}", "Stopped", f"no engine answers at {away}") in running.status()
        with pytest.raises(ValueError, match="no Docker engine answers"):
            running.start_node(name)
        (tmp_path / "docker.sock").symlink_to(engine.socket)
        running.start_node(name)
        until(running, running.is_ready)
        assert name in running.nodes


# a kernel that is killed

KERNEL = """
import sys
from k8snb.cluster import Cluster
cluster = Cluster(sys.argv[1], runtime="docker", nodes=1)
cluster.start()
name = cluster.add_node(docker_host=sys.argv[2])
main = {"name": "main", "image": "%s", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "600"]}
pod = {"metadata": {"name": "p"}, "spec": {"containers": [main], "nodeName": name}}
cluster.client.create("pods", pod, "default")
assert cluster.wait(lambda: cluster.client.get("pods", "p", "default")["status"].get("phase") == "Running", 30)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.docker
def test_what_a_killed_kernel_leaves_on_another_engine_is_cleared_away(engine: Engine, port: int) -> None:
    command = [sys.executable, "-c", KERNEL % SHELL, f"{NAME}-dead", f"tcp://127.0.0.1:{port}"]
    with (
        connected() as api,
        image_layers(api),
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child,
    ):
        try:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            assert len(left_of(engine.url, f"{NAME}-dead")) == 3
        finally:
            child.kill()
    end = time.monotonic() + 30
    while left_of(engine.url, f"{NAME}-dead"):
        assert time.monotonic() < end
        time.sleep(0.2)
