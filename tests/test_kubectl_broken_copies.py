"""Copies from containers whose connection breaks: `cp --retries` goes on where the last one ended.

Rule: `TarPipe` in `kubectl/pkg/cmd/cp/cp.go`.
"""

from __future__ import annotations

import re
import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8snb import Cluster
from k8snb.client import Client
from k8snb.kubectl import Kubectl, KubectlError
from k8snb.kubectl.connection import WHOEVER, FromKubeconfig, Later

pytestmark = pytest.mark.process
SIZE = 600_000


class Cutting(socketserver.BaseRequestHandler):
    """Carries bytes to and from the server, and hangs up where the server has just said too much."""

    def handle(self) -> None:
        server: Any = self.server
        carried = 0
        with socket.create_connection(server.target) as there:
            ends = {self.request: there, there: self.request}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(1 << 14)
                    before, carried = carried, carried + (len(data) if end is there else 0)
                    if data and server.cuts and before <= SIZE // 2 < carried:
                        server.cuts -= 1
                        return
                    if not data:
                        return
                    ends[end].sendall(data)


class Line(socketserver.ThreadingTCPServer):
    """A way to a server that breaks `cuts` times."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Cutting)
        self.target, self.cuts = target, 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A side that hangs up in the middle is what this is for."""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Line, Path]]:
    """A line to a cluster with a pod that has a file, and the kubeconfig that leads over it."""
    folder = tmp_path_factory.mktemp("cp")
    with Cluster("cp", nodes=1, runtime="process") as cluster:
        cluster.kubectl.run(["run", "web", "--image=busybox", "--command", "--", "sh", "-c",
                             f"head -c {SIZE} /dev/urandom > /tmp/data; echo made; sleep 9999"])  # fmt: skip
        cluster.kubectl.run("wait --for=condition=Ready pod/web --timeout=60s")
        assert cluster.wait(lambda: "made" in cluster.kubectl.run("logs web").text, 30)
        host, port = re.search(r"server: https://([\d.]+):(\d+)", cluster.kubeconfig).groups()  # type: ignore[union-attr]
        with Line((host, int(port))) as line:
            threading.Thread(target=line.serve_forever, daemon=True).start()
            text = cluster.kubeconfig.replace(f"{host}:{port}", f"127.0.0.1:{line.server_address[1]}")
            (folder / "config").write_text(text)
            yield line, folder
            line.shutdown()


@pytest.fixture
def kubectl(broken: tuple[Line, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubectl]:
    monkeypatch.setenv("KUBECONFIG", str(broken[1] / "config"))
    reach = FromKubeconfig()
    yield Kubectl(Client(Later(lambda: pytest.fail("the line says where to go")), WHOEVER), reach=reach)
    reach.close()


def test_a_copy_goes_on_where_the_connection_broke(broken: tuple[Line, Path], kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl.run(f"cp web:/tmp/data {tmp_path / 'whole'}")
    broken[0].cuts = 1
    said = kubectl.run(f"cp web:/tmp/data {tmp_path / 'pieces'} --retries=2").text
    assert re.fullmatch(r"(?:tar: [^\n]*\n)?Resuming copy at [1-9]\d+ bytes, retry 1/2\n(?:tar: [^\n]*\n)*", said)
    assert (tmp_path / "pieces").read_bytes() == (tmp_path / "whole").read_bytes()
    assert (tmp_path / "whole").stat().st_size == SIZE


def test_without_retries_a_broken_copy_is_an_error(broken: tuple[Line, Path], kubectl: Kubectl, tmp_path: Path) -> None:
    broken[0].cuts = 1
    with pytest.raises(KubectlError):
        kubectl.run(f"cp web:/tmp/data {tmp_path / 'never'}")
    assert not (tmp_path / "never").exists()
