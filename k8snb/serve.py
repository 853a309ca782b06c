"""Serve: the cluster's door for other processes: HTTPS on this machine's loopback address, and the kubeconfig for it.

Interface: `Door(cluster name, transport, server, …)`: `open(port)`, `adopt(socket)`, `close()`, `kubeconfig()`.
The rule not to break: nothing but health and version answers without credentials, and keys leave only in a kubeconfig.
kubeadm does the same with `/etc/kubernetes/admin.conf`; minikube with a context in `~/.kube/config`.
"""

from __future__ import annotations

import base64
import functools
import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from k8snb.apimachinery.meta import Object
from k8snb.apiserver import ApiServer
from k8snb.client import ADMIN, Transport

if TYPE_CHECKING:
    from k8snb.apiserver.https import HttpsServer

HOST = "127.0.0.1"


class Door:
    """One cluster's HTTPS server. It may be opened again on the same port after a stop."""

    def __init__(
        self, cluster: str, transport: Transport, server: Callable[[], ApiServer], revision: Callable[[], int]
    ) -> None:
        self._cluster = cluster
        self._revision = revision
        self._transport = transport
        self._server = server
        self._https: HttpsServer | None = None
        self._is_open = False
        self._lock = threading.Lock()
        self.port = 0

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def open(self, port: int = 0, *, address: str = "") -> str:
        """Answer on a port (0: any free one); the URL. `address` is the cluster IP by which pods know the apiserver.

        Raises OSError when the port is taken.
        """
        with self._lock:
            if self._is_open:
                return self.url
            self.port = self._serving(address).start(port or self.port, HOST)
            self._is_open = True
        return self.url

    def adopt(self, listening: socket.socket, *, address: str) -> None:
        """Answer at a socket that listens for pods, too: it is closed with the door."""
        with self._lock:
            self._serving(address).adopt(listening)

    def _serving(self, address: str) -> HttpsServer:
        from k8snb.apiserver.gate import ServerGate
        from k8snb.apiserver.https import HttpsServer
        from k8snb.apiserver.proxy_https import aggregator, proxier
        from k8snb.apiserver.upgrade import upgrader

        if self._https is not None:
            return self._https
        server = self._server()
        https = HttpsServer(self._transport, ServerGate(server), server.clock, self._context(server, address))
        https.revision = self._revision
        https.upgrade = upgrader(self._transport)
        https.proxy = proxier(self._transport)
        https.aggregate = aggregator(self._transport)
        self._https = https
        return https

    def close(self) -> None:
        with self._lock:
            https, self._https = self._https, None
            self._is_open = False
        if https is not None:
            https.close()

    def _context(self, server: ApiServer, address: str) -> ssl.SSLContext:
        """TLS with the cluster's own certificate; a client may show one that the same authority signed."""
        certificate, key = server.identity.issue_serving(*([address] if address else []))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        with tempfile.TemporaryDirectory(prefix="k8snb-") as folder:  # Python's ssl reads keys from files only
            path = Path(folder, "serving.pem")
            path.touch(mode=0o600)
            path.write_text(certificate + key)
            context.load_cert_chain(path)
        context.load_verify_locations(cadata=server.identity.root_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    @functools.cached_property
    def _admin(self) -> tuple[str, str]:
        groups = [group for group in ADMIN.groups if group != "system:authenticated"]
        return self._server().identity.issue_client(ADMIN.name, groups)

    def kubeconfig(self, namespace: str = "default") -> str:
        """A kubeconfig file's text: this cluster as its administrator."""
        certificate, key = self._admin
        name = self._cluster
        config: Object = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {
                "server": self.url, "certificate-authority-data": _base64(self._server().identity.root_ca)}}],
            "users": [{"name": name, "user": {
                "client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
        }  # fmt: skip
        text: str = yaml.safe_dump(config, sort_keys=False)
        return text


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    scratch.replace(path)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
