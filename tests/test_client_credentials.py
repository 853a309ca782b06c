"""Who one is, as a program says it, and the way through a proxy: real plug-ins, a real proxy, a real server.

Rules: `client.authentication.k8s.io/v1`, `client-go/plugin/pkg/client/auth/exec`, `client-go/rest/config.go`.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubectls import found_kubectls

from k8snb import Cluster
from k8snb.client import Client, Unreachable
from k8snb.client.execplugin import ExecPlugin
from k8snb.client.https import SELF, HttpsTransport
from k8snb.client.kubeconfig import KubeconfigError, parse
from k8snb.client.restconfig import resolve
from k8snb.kubectl import Kubectl, KubectlError
from k8snb.kubectl.connection import WHOEVER, FromKubeconfig, Later

pytestmark = pytest.mark.process
V1 = "client.authentication.k8s.io/v1"
REAL = found_kubectls().get("1.33")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster("who", nodes=1, runtime="simulated", seed=1) as cluster:
        cluster.kubectl.run("run web --image=busybox --command -- sleep 9999")
        cluster.kubectl.run("wait --for=condition=Ready pod/web --timeout=60s")
        yield cluster


@pytest.fixture(scope="module")
def token(cluster: Cluster) -> str:
    cluster.kubectl.run("create serviceaccount bob")
    cluster.kubectl.run("create clusterrolebinding bob --clusterrole=cluster-admin --serviceaccount=default:bob")
    return cluster.kubectl.run("create token bob").text.strip()


def plugin(folder: Path, answers: list[dict[str, Any]]) -> Path:
    """A program that gives these answers one after the other, the last again and again; `ran` counts its runs."""
    for number, status in enumerate(answers):
        text = json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status})
        (folder / f"answer{number}").write_text(text)
    path = folder / "who"
    path.write_text(
        f"#!/bin/sh\ncd {folder}\nn=$(cat ran 2>/dev/null || echo 0)\necho $((n + 1)) > ran\n"
        'printf %s "$KUBERNETES_EXEC_INFO" > info\nprintf %s "$1 $OWN" > told\n'
        f"[ $n -gt {len(answers) - 1} ] && n={len(answers) - 1}\ncat answer$n\n"
    )
    path.chmod(0o700)
    return path


def runs(folder: Path) -> int:
    return int((folder / "ran").read_text())


def config(cluster: Cluster, exec_: dict[str, Any], **cluster_fields: Any) -> dict[str, Any]:
    """The cluster's kubeconfig with this plug-in for its user."""
    document: dict[str, Any] = yaml.safe_load(cluster.kubeconfig)
    document["users"][0]["user"] = {"exec": {"apiVersion": V1, "interactiveMode": "Never", **exec_}}
    document["clusters"][0]["cluster"] |= cluster_fields
    return document


def transport(document: dict[str, Any]) -> HttpsTransport:
    return HttpsTransport(resolve(parse(document)))


def whoami(client: Client) -> str:
    review = client.create("selfsubjectreviews.authentication.k8s.io", {"metadata": {}})
    return str(review["status"]["userInfo"]["username"])


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubectl]:
    """kubectl as in a terminal, with the kubeconfig `config` of the test's directory."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    reach = FromKubeconfig()
    yield Kubectl(Client(Later(lambda: pytest.fail("the line says where to go")), WHOEVER), reach=reach)
    reach.close()


# plug-ins


def test_a_plugin_says_who_one_is_and_is_asked_once(
    cluster: Cluster, token: str, tmp_path: Path, terminal: Kubectl
) -> None:
    who = plugin(tmp_path, [{"token": token}])
    exec_ = {"command": str(who), "args": ["first"], "env": [{"name": "OWN", "value": "mine"}]}
    (tmp_path / "config").write_text(json.dumps(config(cluster, exec_)))
    assert terminal.run("get pods -o name").text == "pod/web\n"
    assert "system:serviceaccount:default:bob" in terminal.run("auth whoami").text
    assert runs(tmp_path) == 1
    assert (tmp_path / "told").read_text() == "first mine"


def test_a_plugin_beside_its_kubeconfig_may_be_named_from_there(
    cluster: Cluster, token: str, tmp_path: Path, terminal: Kubectl
) -> None:
    plugin(tmp_path, [{"token": token}])
    (tmp_path / "config").write_text(json.dumps(config(cluster, {"command": "./who"})))
    assert terminal.run("get pods -o name").text == "pod/web\n"


def test_a_plugin_is_asked_again_when_its_answer_has_expired(tmp_path: Path) -> None:
    moments = ["2030-01-01T00:00:00Z", "2030-01-01T01:00:00Z"]
    who = plugin(tmp_path, [{"token": str(n), "expirationTimestamp": moment} for n, moment in enumerate(moments)])
    now = [1893456000.0 - 10]  # 2030 minus ten seconds
    spec = {"apiVersion": V1, "command": str(who), "interactiveMode": "Never"}
    asked = ExecPlugin(spec, {}, now=lambda: now[0])
    assert [asked.credential().token, asked.credential().token] == ["0", "0"]
    now[0] += 11
    assert asked.credential().token == "1" and runs(tmp_path) == 2


def test_a_token_that_is_not_accepted_is_asked_for_anew(cluster: Cluster, token: str, tmp_path: Path) -> None:
    who = plugin(tmp_path, [{"token": "nonsense"}, {"token": token}])
    server = transport(config(cluster, {"command": str(who)}))
    client = Client(server, SELF)
    with pytest.raises(Exception, match="Unauthorized"):
        whoami(client)
    assert whoami(client) == "system:serviceaccount:default:bob"
    assert runs(tmp_path) == 2
    server.close()


def test_a_plugin_may_answer_with_a_client_certificate_and_with_another_one_later(
    cluster: Cluster, token: str, tmp_path: Path
) -> None:
    user = yaml.safe_load(cluster.kubeconfig)["users"][0]["user"]
    pair = {"clientCertificateData": base64.b64decode(user["client-certificate-data"]).decode(),
            "clientKeyData": base64.b64decode(user["client-key-data"]).decode()}  # fmt: skip
    who = plugin(tmp_path, [{**pair, "expirationTimestamp": "2020-01-01T00:00:00Z"}, pair])
    document = config(cluster, {"command": str(who)})
    server = transport(document)
    before = whoami(Client(server, SELF))
    assert before and "serviceaccount" not in before
    assert whoami(Client(server, SELF)) == before
    server.close()


def test_a_plugin_is_told_of_the_cluster_where_it_asks_for_that(cluster: Cluster, token: str, tmp_path: Path) -> None:
    who = plugin(tmp_path, [{"token": token}])
    rows = [{"name": "client.authentication.k8s.io/exec", "extension": {"region": "here"}}]
    document = config(cluster, {"command": str(who), "provideClusterInfo": True}, extensions=rows)
    server = transport(document)
    info = json.loads((tmp_path / "info").read_text())
    assert info["kind"] == "ExecCredential" and info["apiVersion"] == V1 and info["spec"]["interactive"] is False
    entry = document["clusters"][0]["cluster"]
    assert info["spec"]["cluster"]["server"] == entry["server"]
    assert info["spec"]["cluster"]["certificate-authority-data"] == entry["certificate-authority-data"]
    assert info["spec"]["cluster"]["config"] == {"region": "here"}
    server.close()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"command": "none-such", "installHint": "buy one"}, "exec: executable none-such not found"),
        ({"command": "sh", "args": ["-c", "echo no luck >&2; exit 3"]}, "sh failed with exit code 3: no luck"),
        ({"command": "echo", "args": ["hello"]}, "decoding stdout"),
        ({"command": "echo", "args": ['{"kind": "ExecCredential", "apiVersion": "x/v1"}']}, "returned version x/v1"),
        ({"command": "cat", "interactiveMode": "Always"}, "standard input is not a terminal"),
        ({"command": "cat", "interactiveMode": ""}, "interactiveMode must be specified"),
        ({"command": "cat", "apiVersion": "client.authentication.k8s.io/v1alpha1"}, "invalid apiVersion"),
        ({"command": ""}, "command must be specified"),
    ],
)  # fmt: skip
def test_a_plugin_that_does_not_answer_is_told_of_in_one_sentence(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(KubeconfigError, match=words):
        whole = {"apiVersion": V1, "interactiveMode": "Never", **spec}
        ExecPlugin(whole, {}, is_terminal=lambda: False).credential()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({}, "didn't return a token or cert/key pair"),
        ({"clientCertificateData": "x"}, "only certificate or key, not both"),
        ({"token": "x", "expirationTimestamp": "soon"}, "soon is no RFC 3339 time"),
    ],
)
def test_an_answer_that_says_nothing_is_refused(status: dict[str, Any], words: str, tmp_path: Path) -> None:
    who = plugin(tmp_path, [status])
    with pytest.raises(KubeconfigError, match=words):
        ExecPlugin({"apiVersion": V1, "command": str(who), "interactiveMode": "Never"}, {}).credential()


@pytest.mark.skipif(REAL is None, reason="optional: kubectl 1.33 is not installed")
def test_the_real_kubectl_says_the_same_of_plugins(
    cluster: Cluster, token: str, tmp_path: Path, terminal: Kubectl
) -> None:
    def real(words: str) -> str:
        environment = {"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "config"), "PATH": os.environ["PATH"]}
        done = subprocess.run([str(REAL), *words.split()], env=environment, capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)  # fmt: skip
        return done.stdout + done.stderr

    (tmp_path / "config").write_text(
        json.dumps(config(cluster, {"command": str(plugin(tmp_path, [{"token": token}]))}))
    )
    assert real("get pods -o name") == terminal.run("get pods -o name").text == "pod/web\n"
    (tmp_path / "config").write_text(json.dumps(config(cluster, {"command": "none-such", "installHint": "buy one"})))
    with pytest.raises(KubectlError) as refused:
        terminal.run("get pods")
    assert real("get pods").endswith(refused.value.message + "\n")


# proxies


class Through(socketserver.BaseRequestHandler):
    """A proxy's side of CONNECT: it opens the way, and carries bytes until one side has enough."""

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.request.recv(1 << 16)
        asked = head.decode().split("\r\n")
        self.server.asked.append(asked)  # type: ignore[attr-defined]
        method, where, _ = asked[0].split()
        wanted = self.server.wants  # type: ignore[attr-defined]
        if method != "CONNECT" or (wanted and f"Proxy-Authorization: Basic {wanted}" not in asked):
            self.request.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = where.rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            ends = {self.request: there, there: self.request}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    ends[end].sendall(data)


class Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, wants: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Through)
        self.asked: list[list[str]] = []
        self.wants = wants

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A side that hangs up in the middle is what a proxy lives with."""


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy(base64.b64encode(b"me:my word").decode()) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


def proxied(cluster: Cluster, url: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(cluster.kubeconfig)
    document["clusters"][0]["cluster"]["proxy-url"] = url
    return document


def test_requests_watches_and_streams_go_through_the_proxy(
    cluster: Cluster, proxy: Proxy, tmp_path: Path, terminal: Kubectl
) -> None:
    url = f"http://me:my%20word@127.0.0.1:{proxy.server_address[1]}"
    document = proxied(cluster, url)
    (tmp_path / "config").write_text(json.dumps(document))
    assert terminal.run("get pods -o name").text == "pod/web\n"
    assert terminal.run("exec web -- echo hello").text == "hello\n"
    server = document["clusters"][0]["cluster"]["server"].removeprefix("https://")
    assert proxy.asked and {asked[0] for asked in proxy.asked} == {f"CONNECT {server} HTTP/1.1"}


def test_a_proxy_that_wants_another_password_is_told_of(cluster: Cluster, proxy: Proxy) -> None:
    server = transport(proxied(cluster, f"http://127.0.0.1:{proxy.server_address[1]}"))
    with pytest.raises(Unreachable, match="Unable to connect to the server: Proxy Authentication Required"):
        server.kinds()
    server.close()


def test_a_proxy_that_is_not_there_is_told_of_by_its_address(cluster: Cluster) -> None:
    server = transport(proxied(cluster, "http://127.0.0.1:9"))
    with pytest.raises(Unreachable, match=r"proxyconnect tcp: dial tcp 127\.0\.0\.1:9: connect: connection refused"):
        server.kinds()
    server.close()


def test_the_environments_proxy_is_for_servers_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example.com:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "inside.example.com, 10.0.0.0/8")

    def way(server: str, **fields: Any) -> str:
        clusters = [{"name": "c", "cluster": {"server": server, **fields}}]
        contexts = [{"name": "x", "context": {"cluster": "c", "user": ""}}]
        return resolve(parse({"clusters": clusters, "contexts": contexts, "current-context": "x"})).proxy

    assert way("https://far.example.com:6443") == "http://proxy.example.com:3128"
    assert way("https://127.0.0.1:6443") == way("https://inside.example.com:6443") == way("https://10.1.2.3") == ""
    assert way("https://127.0.0.1:6443", **{"proxy-url": "http://p:1"}) == "http://p:1"
    with pytest.raises(KubeconfigError, match="socks5://p:1: not implemented by k8snb: proxies speak http or https"):
        way("https://127.0.0.1:6443", **{"proxy-url": "socks5://p:1"})
