"""Image pull secrets: who a pod is to a registry, and what a registry that says no looks like in its status.

Upstream's rules are in `pkg/credentialprovider` and `pkg/kubelet/images/image_manager.go` of the kubernetes repository.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.cri import Credential, RuntimeFailure
from k8snb.kubelet.keyring import credentials

Object = dict[str, Any]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(**auths: Object) -> Object:
    return {"data": {".dockerconfigjson": b64(json.dumps({"auths": auths}))}}


ANN = {"username": "ann", "password": "secret"}
BOB = {"auth": b64("bob:pass:word")}


@pytest.mark.parametrize(
    ("image", "address", "fits"),
    [
        ("nginx", "https://index.docker.io/v1/", True),
        ("ann/shop:1", "docker.io", True),
        ("localhost:5000/shop:1", "localhost:5000", True),
        ("localhost:5000/shop@sha256:0", "http://localhost:5000/v2/", True),
        ("localhost:5000/shop", "localhost:5001", False),
        ("registry.example.com/team/shop", "registry.example.com/team", True),
        ("registry.example.com/teams/shop", "registry.example.com/team", False),
        ("eu.example.com/shop", "*.example.com", True),
        ("a.eu.example.com/shop", "*.example.com", False),
        ("example.com.evil.org/shop", "example.com", False),
        ("quay.io/shop", "https://index.docker.io/v1/", False),
    ],
)
def test_a_password_is_for_the_registry_that_it_is_written_down_for(image: str, address: str, fits: bool) -> None:
    assert credentials(image, [secret(**{address: ANN})]) == ([Credential("ann", "secret")] if fits else [])


def test_the_closest_entry_is_tried_first_and_both_forms_are_read() -> None:
    found = credentials("example.com/team/shop", [secret(**{"example.com": ANN, "example.com/team": BOB})])
    assert found == [Credential("bob", "pass:word"), Credential("ann", "secret")]
    old = {"data": {".dockercfg": b64(json.dumps({"example.com": ANN}))}}
    assert credentials("example.com/shop", [old]) == [Credential("ann", "secret")]


@pytest.mark.parametrize("data", [{}, {".dockerconfigjson": "%%"}, {".dockerconfigjson": b64("[]")}, {"x": b64("y")}])
def test_a_secret_that_cannot_be_read_holds_nothing(data: Object) -> None:
    assert credentials("nginx", [{"data": data}]) == []


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Credential("ann", "secret"))


def test_a_pull_secret_that_is_not_there_is_told_and_the_pull_is_tried() -> None:
    cluster = Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=0)
    cluster.start()
    try:
        spec = {"containers": [{"name": "main", "image": "nginx"}], "imagePullSecrets": [{"name": "nobody"}]}
        cluster.client.create("pods", {"metadata": {"name": "web"}, "spec": spec}, "default")
        cluster.settle()
        assert cluster.client.get("pods", "web", "default")["status"]["phase"] == "Running"
        events = cluster.client.items("events", "default", fieldSelector="involvedObject.name=web")
        told = [event["message"] for event in events if event["reason"] == "FailedToRetrieveImagePullSecret"]
        assert told == [
            "Unable to retrieve some image pull secrets (nobody); attempting to pull the image may not succeed."
        ]
    finally:
        cluster.delete()


# a registry that asks who is there


def blob(data: bytes) -> tuple[str, bytes]:
    return f"sha256:{hashlib.sha256(data).hexdigest()}", data


@contextmanager
def registry() -> Iterator[str]:
    """A registry on this machine with the image `private:1`, for ann alone; its address."""
    from docker_images import _shell, _tar

    layer, config = blob(_tar(_shell())), b""
    told = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer[0]]},
            "config": {"Cmd": ["sh", "-c", "sleep 1000000"], "Env": ["PATH=/bin"]}}  # fmt: skip
    config_digest, config = blob(json.dumps(told).encode())
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": kind,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config),
                   "digest": config_digest},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar", "size": len(layer[1]),
                    "digest": layer[0]}],
    }).encode()  # fmt: skip
    digest = blob(manifest)[0]
    pages = {"/v2/": b"{}", "/v2/private/manifests/1": manifest, f"/v2/private/manifests/{digest}": manifest,
             f"/v2/private/blobs/{layer[0]}": layer[1], f"/v2/private/blobs/{config_digest}": config}  # fmt: skip

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = pages.get(self.path, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
            status = 200 if self.path in pages else 404
            if self.headers.get("Authorization") != f"Basic {b64('ann:secret')}":
                status, body = 401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="private"')
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            self.send_header("Content-Type", kind if "/manifests/" in self.path else "application/octet-stream")
            self.send_header("Docker-Content-Digest", self.path.rpartition("/")[2] if "sha256" in self.path else digest)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            """Nobody reads it."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.mark.docker
def test_a_private_registry_opens_to_the_right_password_alone() -> None:
    from k8snb.cri.docker import DockerRuntime

    runtime = DockerRuntime("pull-secrets")
    try:
        with registry() as address:
            image = f"{address}/private:1"
            for credential in (None, Credential("ann", "wrong")):
                with pytest.raises(RuntimeFailure) as refused:
                    runtime.pull_image(image, credential=credential)
                assert refused.value.reason == "ErrImagePull"
                assert image in refused.value.message and "\n" not in refused.value.message
            ann = Credential("ann", "secret")
            with pytest.raises(RuntimeFailure, match="private:nope"):
                runtime.pull_image(f"{address}/private:nope", credential=ann)
            assert runtime.pull_image(image, credential=ann).size > 0
            runtime.remove_image(image)
            assert runtime.image_status(image) is None
            with pytest.raises(RuntimeFailure, match="was not pulled by this cluster"):
                runtime.remove_image("busybox:latest")
    finally:
        runtime.close()
