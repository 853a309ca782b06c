"""What the tests that send anything at all have in common: a cluster that is served, and proof that it is well.

Interface: `served_cluster(folder)` gives a `Served`: its address and certificates, `check()`, and `left_behind()`;
`send`, `ask`, `connect`, `receive` put bytes on the wire as they are, and give an `Answer`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import requests
import yaml

from k8snb import Cluster

JSON = "application/json"
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
BRISK = 3.0  # seconds in which a well-behaved client is answered, whatever others do
POOLS = ("k8snb-https", "k8snb-work", "asyncio_", "ThreadPoolExecutor")  # threads that wait for more work
PATIENCE = 10.0  # seconds for what has ended to go


class Counts(NamedTuple):
    """Compared part by part: what is left is not more than what was there."""

    connections: int
    tasks: int
    threads: int
    watches: int

    def __le__(self, other: tuple[Any, ...]) -> bool:
        return all(mine <= theirs for mine, theirs in zip(self, other, strict=True))

    def __gt__(self, other: tuple[Any, ...]) -> bool:
        return not self <= other


async def _tasks() -> int:
    return len(asyncio.all_tasks())


class Served:
    """A simulated cluster in real time behind HTTPS, and everything in it that failed."""

    def __init__(self, folder: Path) -> None:
        self.failures: list[str] = []
        self.cluster = Cluster("fuzz", nodes=1, runtime="simulated", seed=1)
        self.cluster.pump.on_failure = lambda component, details: self.failures.append(f"{component}: {details}")
        self.cluster.start()
        config = yaml.safe_load(self.cluster.kubeconfig)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.url: str = cluster["server"]
        self.port = int(self.url.rpartition(":")[2])
        self.authority, self.pair = folder / "authority.pem", folder / "pair.pem"
        self.authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        self.pair.write_bytes(
            b"".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key"))
        )
        self.context = ssl.create_default_context(cafile=str(self.authority))
        self.context.load_cert_chain(self.pair)
        self.tls: dict[str, Any] = {"verify": str(self.authority), "cert": str(self.pair)}
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify, self.session.cert = self.tls["verify"], self.tls["cert"]

    def furnish(self) -> None:
        """A pod `bb` that sleeps and a ConfigMap `one`, as they were at the beginning."""
        client = self.cluster.client
        if client.find("configmaps", "one", "default") is None:
            client.create("configmaps", {"metadata": {"name": "one"}, "data": {"k": "v"}}, "default")
        if client.find("pods", "bb", "default") is None:
            container = {"name": "c", "image": "busybox", "command": ["sleep", "3600"]}
            pod = {"metadata": {"name": "bb"}, "spec": {"containers": [container]}}
            client.create("pods", pod, "default")
        assert self.cluster.wait(lambda: client.get("pods", "bb", "default")["status"]["phase"] == "Running", 20)

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=self.context)

    def check(self) -> None:
        """Another client, the pump and the client in the kernel are served at their usual speed; nothing has failed."""
        began = time.monotonic()
        with contextlib.closing(self.connect()) as connection:
            connection.request("GET", "/api/v1/namespaces/kube-system")
            answer = connection.getresponse()
            assert (answer.status, answer.read()[:1]) == (200, b"{")
        assert time.monotonic() - began < BRISK, "a well-behaved client had to wait"
        turned = threading.Event()
        self.cluster.pump.post(turned.set)
        assert turned.wait(BRISK), "the pump stands still"
        assert self.cluster.pump.failure is None
        assert self.cluster.client.get("namespaces", "kube-system")["kind"] == "Namespace"
        assert not self.failures, "\n".join(self.failures[:5])

    @contextlib.contextmanager
    def left_behind(self) -> Iterator[None]:
        """What a test did leaves no connection, task, thread or watch behind."""
        before = self._count()
        yield
        deadline = time.monotonic() + PATIENCE
        while (left := self._count()) > before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left <= before, f"before: {before}, left behind: {left}"

    def _count(self) -> Counts:
        https = self.cluster.door._https
        assert https is not None and https._runner is not None and https._runner.server is not None
        tasks = https._io.call(_tasks()).result(10)
        threads = [each for each in threading.enumerate() if not each.name.startswith(POOLS)]
        hubs = self.cluster.apiserver.registry._hubs.values()
        watches = sum(len(hub._everywhere) + sum(map(len, hub._indexed.values())) for hub in hubs)
        return Counts(len(https._runner.server.connections), tasks, len(threads), watches)


@contextlib.contextmanager
def served_cluster(folder: Path) -> Iterator[Served]:
    """A cluster for the tests of one module. What servers and loops log as errors counts as a failure."""
    served = Served(folder)
    handler = _Collector(served.failures)
    loggers = [logging.getLogger(name) for name in ("k8snb.https", "aiohttp.web", "asyncio")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield served
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        served.session.close()
        served.cluster.delete()


class _Collector(logging.Handler):
    def __init__(self, failures: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._failures = failures

    def emit(self, record: logging.LogRecord) -> None:
        self._failures.append(self.format(record))


# raw requests


class Answer:
    """What came back on a connection: status 0 where it was closed without a word."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        head, _, self.body = data.partition(b"\r\n\r\n")
        words = head.split(b" ", 2)
        self.status = int(words[1]) if data.startswith(b"HTTP/1.") and len(words) > 1 else 0
        self.head = head.lower()
        length = re.search(rb"content-length: (\d+)", self.head)
        self.body = self.body[: int(length[1])] if length else self.body

    @property
    def object(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return str(self.object.get("reason"))

    @property
    def message(self) -> str:
        return str(self.object.get("message"))


def connect(served: Served, *, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", served.port), 10)
    return (context or served.context).wrap_socket(plain, server_hostname="127.0.0.1")


def send(served: Served, *pieces: bytes, wait: float = 5.0, pause: float = 0.0) -> Answer:
    """Send bytes as they are on a connection of their own; what comes back until it is closed or complete."""
    with connect(served) as line:
        line.settimeout(wait)
        with contextlib.suppress(OSError):  # the server may have had enough before all was sent
            for piece in pieces:
                line.sendall(piece)
                time.sleep(pause)
        return receive(line)


def receive(line: ssl.SSLSocket) -> Answer:
    data = b""
    with contextlib.suppress(OSError):
        while not _complete(data) and (piece := line.recv(65536)):
            data += piece
    return Answer(data)


def _complete(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if not end:
        return False
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        return body.endswith(b"0\r\n\r\n")
    return b"content-length" in fields and len(body) >= int(fields[b"content-length"])


def request(method: str, path: str, body: bytes = b"", content_type: str = JSON, **headers: str) -> bytes:
    fields = {"Host": "127.0.0.1", "Content-Length": str(len(body)), "Content-Type": content_type}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def ask(served: Served, method: str, path: str, body: bytes = b"", content_type: str = JSON, **headers: str) -> Answer:
    return send(served, request(method, path, body, content_type, **headers))


def config_map(name: str, **data: str) -> bytes:
    return json.dumps({"metadata": {"name": name}, "data": data}).encode()
