"""gRPC probes: the health protocol over HTTP/2, against a server that really speaks it.

Upstream's rules and messages are in `pkg/probe/grpc/grpc.go` of the kubernetes repository.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubelet.grpc_probe import check

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
Answer = tuple[str, int]  # grpc-status, and the health where that is 0


@contextmanager
def server(answers: dict[str, Answer]) -> Iterator[int]:
    """A health server's port. `answers` by the service's name; a service that is not in it never gets an answer."""
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(listening, answers), daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


def _serve(listening: socket.socket, answers: dict[str, Answer]) -> None:
    while True:
        try:
            line, _ = listening.accept()
        except OSError:
            return
        with line:
            _converse(line, answers)


def _converse(line: socket.socket, answers: dict[str, Answer]) -> None:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    body = b""
    while True:
        line.sendall(connection.data_to_send())
        data = line.recv(65536)
        if not data:
            return
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                body += event.data
            elif isinstance(event, h2.events.StreamEnded):
                _reply(connection, event.stream_id, answers.get(body[7:].decode()))


def _reply(connection: Any, stream: int, answer: Answer | None) -> None:
    if answer is None:
        return
    code, health = answer
    head = [(":status", "200"), ("content-type", "application/grpc")]
    if code != "0":
        connection.send_headers(stream, [*head, ("grpc-status", code), ("grpc-message", "no")], end_stream=True)
        return
    connection.send_headers(stream, head)
    connection.send_data(stream, b"\x00\x00\x00\x00\x02\x08" + bytes([health]))
    connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (("0", SERVING), (True, "service healthy")),
        (("0", NOT_SERVING), (False, 'service unhealthy (responded with "NOT_SERVING")')),
        (("0", SERVICE_UNKNOWN), (False, 'service unhealthy (responded with "SERVICE_UNKNOWN")')),
        (("12", 0), (False, "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): "
                            "no")),
        (("5", 0), (False, "error: health rpc probe failed: rpc error: code = 5 desc = no")),
        (None, (False, "timeout: health rpc did not complete within 0.5s")),
    ],
)  # fmt: skip
def test_a_server_is_as_healthy_as_it_says(answer: Answer | None, verdict: tuple[bool, str]) -> None:
    with server({"": answer} if answer else {}) as port:
        assert check("127.0.0.1", port, "", 0.5 if answer is None else 20.0) == verdict


def test_each_service_of_a_server_has_a_health_of_its_own() -> None:
    with server({"shop": ("0", SERVING), "till": ("0", NOT_SERVING)}) as port:
        assert check("127.0.0.1", port, "shop", 20.0)[0]
        assert not check("127.0.0.1", port, "till", 20.0)[0]


def test_a_port_where_nobody_listens_is_said_with_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    why = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert check("127.0.0.1", port, "", 20.0) == (
        False, f'error: failed to connect service at "127.0.0.1:{port}": {why}')  # fmt: skip


def test_a_server_of_another_protocol_is_no_grpc_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            line, _ = listening.accept()
            with line:
                line.sendall(b"220 mail.example.com ready for orders of any kind\r\n" * 3)
                line.recv(65536)

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        healthy, seen = check("127.0.0.1", listening.getsockname()[1], "", 20.0)
        thread.join(5)
    assert (healthy, seen[:30]) == (False, "error: health rpc probe failed")


def test_a_pod_with_a_grpc_probe_becomes_ready_and_is_restarted_when_it_is_sick() -> None:
    """On simulated nodes, where a server's page /healthz stands for its health."""
    cluster = Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=0)
    cluster.start()
    try:
        probe = {"grpc": {"port": 8080}, "periodSeconds": 2, "failureThreshold": 2}
        container = {"name": "main", "image": "registry.k8s.io/e2e-test-images/liveness:1.1", "readinessProbe": probe,
                     "livenessProbe": probe}  # fmt: skip
        cluster.client.create("pods", {"metadata": {"name": "web"}, "spec": {"containers": [container]}}, "default")
        cluster.run_for(8)
        assert cluster.client.get("pods", "web", "default")["status"]["containerStatuses"][0]["ready"]
        cluster.run_for(20)
        status = cluster.client.get("pods", "web", "default")["status"]["containerStatuses"][0]
        assert status["restartCount"] >= 1
        events = cluster.client.items("events", "default", fieldSelector="involvedObject.name=web")
        told = [event["message"] for event in events if event["reason"] == "Unhealthy"]
        assert any(text.startswith('Liveness probe failed: service unhealthy (responded with "NOT') for text in told)
    finally:
        cluster.delete()
