"""Kustomizations elsewhere: bases in git repositories, files at URLs, and what a build may read of this machine.

The repositories are real and are served over HTTP by git's own `http-backend`. Rules: `api/internal/git/repospec.go`,
`cloner.go` and `api/internal/loader` in the kustomize repository; kubectl 1.33 builds the same where it is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from kubectls import found_kubectls

from k8snb.client import Client
from k8snb.kubectl import Kubectl, KubectlError
from k8snb.kubectl.connection import WHOEVER, Later
from k8snb.kubectl.formats import to_yaml
from k8snb.kustomize import KustomizeError, build
from k8snb.kustomize.remote import Repository, parse

pytestmark = pytest.mark.process
git_is_there = pytest.mark.skipif(shutil.which("git") is None, reason="optional: git is not installed")

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: far}\ndata: {a: '%s'}\n"
WHO = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *WHO, *words], cwd=folder, check=True, capture_output=True)


class Web(BaseHTTPRequestHandler):
    """Files below `/files`, and repositories by git's own CGI program."""

    root: Path

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path.startswith("/files/"):
            return self.file()
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        environment = {
            "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
            "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length), "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "PATH": os.environ["PATH"],
        }  # fmt: skip
        said = subprocess.run(["git", "http-backend"], env=environment, input=self.rfile.read(length),
                              capture_output=True, check=False).stdout  # fmt: skip
        head, _, body = said.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.answer(int(headers.pop("Status", "200").split()[0]), headers, body)

    do_POST = do_GET  # noqa: N815  http.server's name

    def file(self) -> None:
        path = self.root / self.path.removeprefix("/")
        found = path.is_file()
        self.answer(200 if found else 404, {}, path.read_bytes() if found else b"")

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the repository `shop.git`, which has a tag `v1` and a branch `main`, and with a file."""
    root = tmp_path_factory.mktemp("web")
    source = root / "source"
    (source / "base").mkdir(parents=True)
    (source / "base" / "kustomization.yaml").write_text("resources: [map.yaml]\n")
    (source / "base" / "map.yaml").write_text(MAP % "one")
    (source / "out").mkdir()
    (source / "out" / "kustomization.yaml").write_text(f"resources: [{root / 'near'}]\n")
    (root / "near").mkdir()
    (root / "near" / "kustomization.yaml").write_text("configMapGenerator: [{name: secret-of-this-machine}]\n")
    (root / "files").mkdir()
    (root / "files" / "map.yaml").write_text(MAP % "file")
    if shutil.which("git"):
        git(source, "init")
        git(source, "add", ".")
        git(source, "commit", "-m", "one")
        git(source, "tag", "v1")
        (source / "base" / "map.yaml").write_text(MAP % "two")
        git(source, "commit", "-am", "two")
        git(root, "clone", "--bare", str(source), "shop.git")
    handler = type("Here", (Web,), {"root": root})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def over(root: Path, *resources: str) -> Path:
    (root / "kustomization.yaml").write_text("namePrefix: my-\nresources:\n" + "".join(f"- {r}\n" for r in resources))
    return root


@git_is_there
@pytest.mark.parametrize(("ref", "value"), [("v1", "one"), ("main", "two"), ("", "two")])
def test_a_base_is_fetched_from_a_repository_at_the_revision_that_is_named(
    web: str, tmp_path: Path, ref: str, value: str
) -> None:
    url = f"{web}/shop.git//base" + (f"?ref={ref}" if ref else "")
    (built,) = build(over(tmp_path, url)).objects
    assert built["metadata"]["name"] == "my-far" and built["data"] == {"a": value}


@git_is_there
def test_a_repository_itself_is_built_and_nothing_of_it_stays(
    web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    nowhere = Kubectl(Client(Later(lambda: pytest.fail("no server is needed")), WHOEVER))
    output = nowhere.run(["kustomize", f"{web}/shop.git//base?ref=v1"])
    assert "a: one" in output.text
    assert list(tmp_path.iterdir()) == []


@git_is_there
def test_the_real_kubectl_builds_the_same_from_there(web: str, tmp_path: Path) -> None:
    real = found_kubectls().get("1.33")
    if real is None:
        pytest.skip("optional: kubectl 1.33 is not installed")
    root = over(tmp_path, f"{web}/shop.git//base?ref=v1", f"{web}/files/map.yaml")
    (root / "kustomization.yaml").write_text(f"nameSuffix: -x\nresources: ['{web}/shop.git//base?ref=v1']\n")
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    said = subprocess.run([real, "kustomize", root], text=True, capture_output=True, timeout=60, env=environment)
    assert said.stdout == "---\n".join(map(to_yaml, build(root).objects))


def test_a_file_at_a_url_is_a_resource(web: str, tmp_path: Path) -> None:
    (built,) = build(over(tmp_path, f"{web}/files/map.yaml")).objects
    assert built["data"] == {"a": "file"}
    with pytest.raises(KustomizeError, match="status code 404"):
        build(over(tmp_path, f"{web}/files/nothing.yaml"))


@git_is_there
def test_a_base_from_elsewhere_reads_nothing_of_this_machine(web: str, tmp_path: Path) -> None:
    with pytest.raises(KustomizeError, match="must be within the repo"):
        build(over(tmp_path, f"{web}/shop.git//out"))
    with pytest.raises(KustomizeError, match="outside of the repository"):
        build(over(tmp_path, f"{web}/shop.git//../../etc"))


@git_is_there
def test_a_repository_that_is_not_there_is_told_in_gits_words(web: str, tmp_path: Path) -> None:
    with pytest.raises(KustomizeError, match=r"failed to run 'git fetch --depth=1 .*/none\.git HEAD'"):
        build(over(tmp_path, f"{web}/none.git"))
    with pytest.raises(KustomizeError, match="a ref does not begin with a dash"):
        build(over(tmp_path, f"{web}/shop.git?ref=--upload-pack=x"))


@pytest.mark.parametrize(
    ("name", "url", "path", "ref"),
    [
        ("github.com/org/repo/deploy/base?ref=v2", "https://github.com/org/repo", "deploy/base", "v2"),
        ("https://github.com/org/repo//base?version=v2", "https://github.com/org/repo", "base", "v2"),
        ("git::https://example.com/repo.git/base", "https://example.com/repo.git", "base", ""),
        ("git@github.com:org/repo.git//base", "git@github.com:org/repo.git", "base", ""),
        ("ssh://git@example.com/org/repo.git", "ssh://git@example.com/org/repo.git", "", ""),
    ],
)
def test_a_url_says_which_repository_directory_and_revision(name: str, url: str, path: str, ref: str) -> None:
    assert parse(name) == Repository(url, path, ref, 27.0, True)


def test_files_outside_are_read_only_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "shared.txt").write_text("s")
    (tmp_path / "own" / "kustomization.yaml").write_text("configMapGenerator: [{name: c, files: [../shared.txt]}]\n")
    kubectl = Kubectl(Client(Later(lambda: pytest.fail("no server is needed")), WHOEVER))
    with pytest.raises(KubectlError, match="security; file"):
        kubectl.run(["kustomize", str(tmp_path / "own")])
    words = ["kustomize", str(tmp_path / "own"), "--load-restrictor=LoadRestrictionsNone"]
    assert "shared.txt: s" in kubectl.run(words).text
    with pytest.raises(KubectlError, match="illegal flag value --load-restrictor x"):
        kubectl.run([*words[:2], "--load-restrictor=x"])


def test_objects_are_written_to_a_file_or_one_by_one_into_a_directory(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "all.yaml").write_text(MAP % "1" + "---\n" + (MAP % "2").replace("far", "near"))
    (tmp_path / "own" / "kustomization.yaml").write_text("resources: [all.yaml]\n")
    (tmp_path / "many").mkdir()
    kubectl = Kubectl(Client(Later(lambda: pytest.fail("no server is needed")), WHOEVER))
    whole = kubectl.run(["kustomize", str(tmp_path / "own")]).text
    assert kubectl.run(["kustomize", str(tmp_path / "own"), "-o", str(tmp_path / "one.yaml")]).text == ""
    assert (tmp_path / "one.yaml").read_text() == whole
    kubectl.run(["kustomize", str(tmp_path / "own"), "-o", str(tmp_path / "many")])
    assert sorted(each.name for each in (tmp_path / "many").iterdir()) == ["v1_configmap_far.yaml",
                                                                         "v1_configmap_near.yaml"]  # fmt: skip
    with pytest.raises(KubectlError, match="no such file or directory"):
        kubectl.run(["kustomize", str(tmp_path / "own"), "-o", str(tmp_path / "none" / "one.yaml")])


def test_helm_charts_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kustomization.yaml").write_text("helmCharts: [{name: web}]\n")
    with pytest.raises(KustomizeError, match="must specify --enable-helm"):
        build(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KustomizeError, match="is 'helm' installed"):
        build(tmp_path, helm=True)
