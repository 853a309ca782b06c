"""protobuf: a real kubectl of 1.32 or newer says one thing twice, to a server in protobuf and to a person in JSON."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from kubectls import found_kubectls, numbers

from k8snb.apimachinery.protobuf import CONTENT_TYPE, decode

pytestmark = pytest.mark.process

DISCOVERED = {
    "v1": (("pods", "Pod", True),),
    "apps/v1": (("deployments", "Deployment", True), ("deployments/scale", "Scale", True)),
    "certificates.k8s.io/v1": (("certificatesigningrequests", "CertificateSigningRequest", False),),
}
RESULTS = {"TokenRequest": {"token": "t", "expirationTimestamp": None}, "SelfSubjectAccessReview": {"allowed": True}}
WEB = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"}, "spec": {}}
REQUEST = {
    "apiVersion": "certificates.k8s.io/v1",
    "kind": "CertificateSigningRequest",
    "metadata": {"name": "ann"},
    "spec": {"request": "AP8=", "signerName": "a.b/c", "usages": ["client auth"], "extra": {"key": ["value"]}},
    "status": {},
}


def group_list() -> dict[str, Any]:
    groups = [{"groupVersion": each, "version": "v1"} for each in DISCOVERED if "/" in each]
    rows = [{"name": each["groupVersion"][:-3], "versions": [each], "preferredVersion": each} for each in groups]
    return {"apiVersion": "v1", "kind": "APIGroupList", "groups": rows}


def resource_list(group_version: str) -> dict[str, Any]:
    rows = [
        {"name": name, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": ["get", "create"]}
        for name, kind, namespaced in DISCOVERED[group_version]
    ]
    return {"apiVersion": "v1", "kind": "APIResourceList", "groupVersion": group_version, "resources": rows}


ANSWERS: dict[str, dict[str, Any]] = {
    "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": group_list(),
    "/api/v1": resource_list("v1"),
    **{f"/apis/{each}": resource_list(each) for each in DISCOVERED if "/" in each},
    "/apis/apps/v1/namespaces/default/deployments/web": WEB,
    "/apis/certificates.k8s.io/v1/certificatesigningrequests/ann": REQUEST,
}


class Listener(BaseHTTPRequestHandler):
    """Answers discovery, and a write with what was written."""

    server: Server

    def do_GET(self) -> None:
        answer = ANSWERS.get(self.path.partition("?")[0].rstrip("/"))
        self.answer(200 if answer else 404, answer or {"apiVersion": "v1", "kind": "Status", "status": "Failure"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append((self.headers["Content-Type"], body))
        obj = decode(body)
        self.answer(201, {**obj, "status": RESULTS.get(obj["kind"], {})})

    do_PUT = do_POST  # noqa: N815

    def answer(self, code: int, obj: dict[str, Any]) -> None:
        text = json.dumps(obj).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: bodies are what is kept."""


class Server(ThreadingHTTPServer):
    bodies: list[tuple[str, bytes]]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Listener) as listening:
        thread = threading.Thread(target=partial(listening.serve_forever, poll_interval=0.01))
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def modern_kubectl() -> Path:
    """The newest kubectl in or beside the one on PATH."""
    modern = [path for version, path in found_kubectls().items() if numbers(version) >= (1, 32)]
    if not modern:
        pytest.skip("optional: no kubectl of version 1.32 or newer")
    return modern[-1]


@pytest.fixture
def kubectl(modern_kubectl: Path, server: Server, tmp_path: Path) -> Any:
    server.bodies = []

    def run(*words: str) -> str:
        command = [modern_kubectl, f"--server=http://127.0.0.1:{server.server_port}", *words]
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        said = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        assert said.returncode == 0, said.stderr
        return said.stdout

    return run


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


SHOWN = (
    "create deployment web --image=nginx --replicas=0 --port=80",
    "create secret generic token --from-literal=password=ünsafe",
    "create quota small --hard=cpu=1500m,memory=2048Mi,pods=2 --scopes=BestEffort",
    "create cronjob tick --image=busybox --schedule=@hourly",
    "create poddisruptionbudget some --selector=app=web --min-available=50%",
    "create ingress web --rule=example.com/*=web:80,tls=certificate",
    "create service nodeport web --tcp=80:http --node-port=30000",
    "create clusterrole reader --verb=get,list --resource=pods",
    "create priorityclass high --value=1000",
    "autoscale deployment web --max=5 --cpu-percent=80",
)


@pytest.mark.parametrize("command", SHOWN)
def test_what_kubectl_sends_is_what_it_shows(command: str, kubectl: Any, server: Server) -> None:
    kubectl(*command.split())
    ((content_type, body),) = server.bodies
    shown = json.loads(kubectl(*command.split(), "--dry-run=client", "--output=json"))
    assert content_type.startswith(CONTENT_TYPE)
    assert decode(body) == without_nulls(shown)


def test_a_certificate_that_kubectl_approves_keeps_its_request(kubectl: Any, server: Server) -> None:
    kubectl("certificate", "approve", "ann")
    approved = decode(server.bodies[-1][1])
    assert approved["spec"] == REQUEST["spec"]
    assert approved["status"]["conditions"][0]["type"] == "Approved"


def test_kubectl_asks_for_rights_and_tokens_in_protobuf(kubectl: Any, server: Server) -> None:
    assert kubectl("auth", "can-i", "get", "pods").strip() == "yes"
    assert kubectl("create", "token", "robot", "--duration=10m").strip() == "t"
    specs = [decode(body)["spec"] for _, body in server.bodies]
    attributes = {"namespace": "default", "verb": "get", "resource": "pods"}
    assert specs == [{"resourceAttributes": attributes}, {"expirationSeconds": 600}]
