"""kube-proxy's health checks: `spec.healthCheckNodePort`, at which load balancers ask a node for local endpoints.

Interface: `answer(rule, node)` is status and body of the answer; `HealthListener` gives it over HTTP.
The rule not to break: 200 says that the node has an endpoint of the Service itself, and nothing else does.
Source: `pkg/proxy/healthcheck/service_health.go` in the kubernetes repository.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from http import HTTPStatus

from k8snb.kube_proxy.rules import Rule, usable

MAX_REQUEST, PATIENCE = 65536, 5.0  # bytes, seconds


def answer(rule: Rule, node: str) -> tuple[int, str]:
    """Status and JSON: how many endpoints the node has."""
    namespace, _, name = rule.service.partition("/")
    count = len({(target.ip, target.pod) for target in usable(rule, node) if target.ready})
    body = {"service": {"namespace": namespace, "name": name}, "localEndpoints": count, "serviceProxyHealthy": True}
    status = HTTPStatus.OK if count else HTTPStatus.SERVICE_UNAVAILABLE
    return int(status), json.dumps(body, indent="\t")


class HealthListener:
    """Answers every request at one node's port. It runs on the I/O loop, whose `loop` it is given."""

    def __init__(self, sock: socket.socket, rule: Rule, node: str, loop: asyncio.AbstractEventLoop) -> None:
        self._sock, self._rule, self._node, self._loop = sock, rule, node, loop
        self._tasks: set[asyncio.Task[None]] = set()
        loop.add_reader(sock, self._accept)

    def update(self, rule: Rule, node: str) -> None:
        self._rule, self._node = rule, node

    def close(self) -> None:
        self._loop.remove_reader(self._sock)
        self._sock.close()
        for task in self._tasks:
            task.cancel()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._sock.accept()
            connection.setblocking(False)
            task = self._loop.create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        with contextlib.closing(connection), contextlib.suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(PATIENCE):
                request = b""
                while b"\r\n\r\n" not in request and len(request) < MAX_REQUEST:
                    data = await self._loop.sock_recv(connection, MAX_REQUEST)
                    if not data:
                        return
                    request += data
                await self._loop.sock_sendall(connection, self._reply())

    def _reply(self) -> bytes:
        status, text = answer(self._rule, self._node)
        body = text.encode()
        lines = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Content-Type: application/json",
            "X-Content-Type-Options: nosniff",
            f"X-Load-Balancing-Endpoint-Weight: {json.loads(text)['localEndpoints']}",
            f"Content-Length: {len(body)}", "Connection: close", "", "",
        )  # fmt: skip
        return "\r\n".join(lines).encode() + body
