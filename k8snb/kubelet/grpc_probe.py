"""kubelet's gRPC probe: asks a server for its health by grpc.health.v1.Health/Check.

Interface: `check(address, port, service, timeout) -> (healthy, what was seen)`.
The rule not to break: the answer is there within `timeout`, whatever the server does. Raises nothing.
Source: `pkg/probe/grpc/grpc.go`; the wire: gRPC over HTTP2. The package `h2` speaks HTTP/2, and is loaded by the first
probe.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from typing import Any

PATH = "/grpc.health.v1.Health/Check"
STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
SERVING, UNIMPLEMENTED = 1, "12"
CHUNK = 65536
MISSING = "grpc probes need the package h2, which is not installed: pip install 'k8snb[grpc]'"

Verdict = tuple[bool, str]


def check(address: str, port: int, service: str, timeout: float) -> Verdict:
    try:
        import h2.connection  # noqa: F401
    except ImportError:
        return False, MISSING
    spot, deadline = f"{address}:{port}", time.monotonic() + timeout
    try:
        line = socket.create_connection((address, port), timeout)
    except TimeoutError:
        return False, f'timeout: failed to connect service "{spot}" within {timeout:g}s: context deadline exceeded'
    except OSError as error:
        why = f"dial tcp {spot}: connect: {(error.strerror or str(error)).lower()}"
        return False, f'error: failed to connect service at "{spot}": {why}'
    with line:
        try:
            return _verdict(*_call(line, spot, _request(service), deadline))
        except TimeoutError:
            return False, f"timeout: health rpc did not complete within {timeout:g}s"
        except (OSError, ValueError) as error:
            return False, f"error: health rpc probe failed: {error}"


def _verdict(headers: dict[str, str], body: bytes) -> Verdict:
    code, message = headers.get("grpc-status", "0"), headers.get("grpc-message", "")
    if code == UNIMPLEMENTED or headers.get(":status") == "404":
        what = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
        return False, f"{what}: {message}"
    if code != "0":
        return False, f"error: health rpc probe failed: rpc error: code = {code} desc = {message}"
    status = _status(body)
    if status != SERVING:
        return False, f'service unhealthy (responded with "{STATUSES.get(status, status)}")'
    return True, "service healthy"


def _call(line: socket.socket, authority: str, message: bytes, deadline: float) -> tuple[dict[str, str], bytes]:
    """One unary call: the answer's headers and trailers, and its body. Raises OSError and ValueError."""
    import h2.connection
    import h2.events
    import h2.exceptions

    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    stream = connection.get_next_available_stream_id()
    connection.send_headers(stream, _headers(authority))
    connection.send_data(stream, message, end_stream=True)
    headers: dict[str, str] = {}
    body = b""
    while True:
        line.settimeout(max(deadline - time.monotonic(), 0.001))
        line.sendall(connection.data_to_send())
        data = line.recv(CHUNK)
        if not data:
            raise ConnectionError("the server closed the connection without an answer")
        try:
            events = connection.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            raise ValueError(f"the server does not speak HTTP/2: {error}") from None
        for event in events:
            if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                headers.update(_text(event.headers))
            elif isinstance(event, h2.events.DataReceived):
                body += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                return headers, body
            elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                raise ConnectionError("the server broke the call off")


def _headers(authority: str) -> list[tuple[str, str]]:
    return [
        (":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", authority), ("te", "trailers"),
        ("content-type", "application/grpc"), ("user-agent", "kube-probe/1.33"),
    ]  # fmt: skip


def _text(headers: Iterable[Any]) -> dict[str, str]:
    def plain(value: Any) -> str:
        return value.decode() if isinstance(value, bytes) else str(value)

    return {plain(name): plain(value) for name, value in headers}


def _request(service: str) -> bytes:
    """HealthCheckRequest{service} as a gRPC message: a flag, the length, then field 1 as a string."""
    name = service.encode()
    body = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\x00" + len(body).to_bytes(4, "big") + body


def _varint(number: int) -> bytes:
    rest, low = divmod(number, 128)
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def _status(body: bytes) -> int:
    """The status in a HealthCheckResponse: field 1, an enum; left out it is 0."""
    message = body[5:]
    return message[1] if message[:1] == b"\x08" and len(message) > 1 else 0
