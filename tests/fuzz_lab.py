"""What the tests that send anything at all have in common: a cluster that is served, and proof that it is well.

Interface: `served_cluster(folder)` gives a `Served`: its address and certificates, `check()`, and `left_behind()`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import logging
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import requests
import yaml

from k8snb import Cluster

BRISK = 1.0  # seconds in which a well-behaved client is answered, whatever others do


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
