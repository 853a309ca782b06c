"""Streams through `kubectl proxy`: what a client speaks there, WebSocket or SPDY, the apiserver hears.

Rules: `kubectl/pkg/proxy/proxy_server.go`, `apimachinery/pkg/util/proxy/upgradeaware.go`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from kubectls import found_kubectls

from k8snb import Cluster
from k8snb.client import Client
from k8snb.kubectl import Kubectl, KubectlError
from k8snb.kubectl.connection import WHOEVER, FromKubeconfig, Later
from k8snb.kubectl.proxy import Proxy

pytestmark = pytest.mark.process
FOUND = found_kubectls()
CHOSEN = [
    FOUND[version] for version in ("1.27", "1.33") if version in FOUND
]  # the one speaks SPDY, the other WebSocket


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster("streams", nodes=1, runtime="simulated", seed=1) as cluster:
        cluster.kubectl.run("run web --image=nginx:1.25 --port=80")
        cluster.kubectl.run("wait --for=condition=Ready pod/web --timeout=60s")
        yield cluster


@pytest.fixture(scope="module")
def proxy(cluster: Cluster) -> Proxy:
    """A proxy that lets everything through; exec and attach are refused by default, as upstream has it."""
    proxy = cluster.kubectl.run(["proxy", "--port=0", "--reject-paths="])
    assert isinstance(proxy, Proxy)
    return proxy


@pytest.fixture
def terminal(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Kubectl]:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    reach = FromKubeconfig()
    yield Kubectl(Client(Later(lambda: pytest.fail("the line says where to go")), WHOEVER), reach=reach)
    reach.close()


def test_a_command_runs_in_a_container_through_the_proxy(proxy: Proxy, terminal: Kubectl) -> None:
    for _ in range(2):
        assert terminal.run(f"--server={proxy.url} exec web -- echo hello").text == "hello\n"
    given = terminal.run(f"--server={proxy.url} exec -i web -- cat", "x" * 300_000)
    assert given.text == "x" * 300_000


def test_a_port_is_forwarded_through_the_proxy(proxy: Proxy, terminal: Kubectl) -> None:
    forwarded = terminal.run(f"--server={proxy.url} port-forward pod/web :80")
    port = re.search(r":(\d+) -> 80", forwarded.text)
    assert port is not None
    for _ in range(2):
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/", timeout=20) as answer:
            assert b"nginx" in answer.read()
    terminal.close()


def test_a_refusal_comes_back_as_the_server_said_it(proxy: Proxy, terminal: Kubectl, cluster: Cluster) -> None:
    with pytest.raises(KubectlError, match='pods "none" not found'):
        terminal.run(f"--server={proxy.url} exec none -- echo hello")
    strict = cluster.kubectl.run(["proxy", "--port=0"])
    assert isinstance(strict, Proxy)
    with pytest.raises(KubectlError):
        terminal.run(f"--server={strict.url} exec web -- echo hello")
    strict.stop()


@contextmanager
def going_on(program: Path, home: Path, *words: str) -> Iterator[IO[str]]:
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    with subprocess.Popen([program, *words], env=environment, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


@pytest.mark.skipif(not CHOSEN, reason="optional: no kubectl is installed")
@pytest.mark.parametrize("program", CHOSEN, ids=lambda path: path.name)
def test_the_real_kubectl_streams_through_the_proxy(
    proxy: Proxy, cluster: Cluster, program: Path, tmp_path: Path
) -> None:
    server = f"--server={proxy.url}"
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    said = subprocess.run([program, server, "exec", "-i", "web", "--", "cat"], env=environment, input="there and back",
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert (said.stdout, said.returncode) == ("there and back", 0)
    with going_on(program, tmp_path, server, "port-forward", "pod/web", ":80") as out:
        port = re.search(r":(\d+) -> 80", out.readline())
        assert port is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/", timeout=20) as answer:
            assert b"nginx" in answer.read()
    with going_on(program, tmp_path, server, "logs", "-f", "web") as out:
        assert "ready for start up" in out.readline()
    with going_on(program, tmp_path, server, "get", "pods", "-w", "-o", "name") as out:
        assert out.readline() == "pod/web\n"


def test_paths_begin_where_the_servers_url_ends_only_if_that_is_asked_for(cluster: Cluster, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(re.sub(r"(server: \S+)", r"\1/somewhere", cluster.kubeconfig))
    reach = FromKubeconfig()
    kubectl = Kubectl(Client(Later(lambda: pytest.fail("the line says where to go")), WHOEVER), reach=reach)
    for flag, status in (("", 200), ("--append-server-path", 404)):
        proxy = kubectl.run(f"--kubeconfig={config} proxy --port=0 {flag}")
        assert isinstance(proxy, Proxy)
        try:
            with urllib.request.urlopen(f"{proxy.url}/api/v1", timeout=20) as answer:
                assert answer.status == status
        except urllib.error.HTTPError as error:
            with error:
                assert error.code == status
        proxy.stop()
    reach.close()
