"""What `-f` names: files, directories, patterns, URLs and the cell's body.

Law: `cli-runtime/pkg/resource/builder.go` and `visitor.go`: a directory gives its manifests in the order of their
names, a pattern what it finds, a URL what a server answers.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl import Kubectl, KubectlError


def config(name: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"


@pytest.fixture
def kubectl() -> Iterator[Kubectl]:
    with Cluster("sources", nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        yield cluster.kubectl


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("b.yaml", "a.yml", "c.json", "deep/d.yaml", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(config(path.stem))
    (tmp_path / "c.json").write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}')
    return tmp_path


def created(text: str) -> list[str]:
    return [line.split()[0].partition("/")[2] for line in text.splitlines()]


def test_a_directory_gives_its_manifests_by_name(kubectl: Kubectl, files: Path) -> None:
    assert created(kubectl.run(["create", "-f", str(files)]).text) == ["a", "b", "c"]


def test_a_directory_gives_what_is_below_it_where_that_is_asked_for(kubectl: Kubectl, files: Path) -> None:
    assert created(kubectl.run(["create", "-R", "-f", str(files)]).text) == ["a", "b", "c", "d"]


def test_a_pattern_gives_what_it_finds(kubectl: Kubectl, files: Path) -> None:
    assert created(kubectl.run(["apply", "-f", f"{files}/*.y*ml"]).text) == ["a", "b"]
    assert created(kubectl.run(["apply", "-f", f"{files}/d*"]).text) == ["d"]


def test_several_sources_are_read_in_order(kubectl: Kubectl, files: Path) -> None:
    words = ["apply", "-f", "-", "-f", f"{files}/c.json,{files}/a.yml"]
    assert created(kubectl.run(words, config("body")).text) == ["body", "c", "a"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nope.yaml", 'error: the path "{}/nope.yaml" does not exist'),
        ("nope*", 'error: the path "{}/nope*" does not exist'),
        ("empty", "error: error reading [{}/empty]: recognized file extensions are [.json .yaml .yml]"),
        ("binary.yaml", "error: error parsing {}/binary.yaml: this is no text in UTF-8"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused(kubectl: Kubectl, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(KubectlError) as raised:
        kubectl.run(["apply", "-f", str(tmp_path / name)])
    assert raised.value.message == message.format(tmp_path)


class Shelf(BaseHTTPRequestHandler):
    """A server of manifests: /NAME.yaml is one, /moved leads to it."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/web.yaml")
            self.end_headers()
            return
        body = config(self.path.strip("/").removesuffix(".yaml")).encode()
        self.send_response(200 if self.path.endswith(".yaml") else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def shelf() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.process
def test_a_url_gives_what_its_server_answers(kubectl: Kubectl, shelf: str) -> None:
    assert created(kubectl.run(["apply", "-f", f"{shelf}/web.yaml"]).text) == ["web"]
    assert kubectl.run(["apply", "-f", f"{shelf}/moved"]).text == "configmap/web unchanged\n"


@pytest.mark.process
def test_a_url_that_is_not_there_is_refused(kubectl: Kubectl, shelf: str) -> None:
    with pytest.raises(KubectlError) as raised:
        kubectl.run(["apply", "-f", f"{shelf}/nope"])
    said = "server reported 404 Not Found, status code=404"
    assert raised.value.message == f'error: unable to read URL "{shelf}/nope", {said}'
    with pytest.raises(KubectlError, match=r'error: Get "http://127.0.0.1:1/x": .*refused'):
        kubectl.run(["apply", "-f", "http://127.0.0.1:1/x"])
