"""kubelet's dialer: how a node reaches its pods' ports when it probes them.

Interface: `SocketDialer` for pods with real addresses, `VirtualDialer` for simulated ones.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable

from k8snb.kubelet import grpc_probe

CONNECTION_REFUSED = "connect: connection refused"
UNHEALTHY = 'service unhealthy (responded with "NOT_SERVING")'


class SocketDialer:
    """Plain connections. A probe does not check certificates, as upstream's do not."""

    def http(self, address: str, port: int, path: str, headers: dict[str, str], timeout: float, scheme: str) -> int:
        connection: http.client.HTTPConnection
        if scheme == "https":
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection(address, port, timeout=timeout, context=context)
        else:
            connection = http.client.HTTPConnection(address, port, timeout=timeout)
        try:
            connection.request("GET", path, headers={"User-Agent": "kube-probe/1.33", **headers})
            return connection.getresponse().status
        except http.client.HTTPException as error:
            raise OSError(f"malformed HTTP response: {error}") from None
        finally:
            connection.close()

    def tcp(self, address: str, port: int, timeout: float) -> None:
        socket.create_connection((address, port), timeout).close()

    def grpc(self, address: str, port: int, service: str, timeout: float) -> tuple[bool, str]:
        return grpc_probe.check(address, port, service, timeout)


class VirtualDialer:
    """Asks the virtual network. `ask(address, port, path)` answers (status, headers, body), or None for nobody
    there.
    """

    def __init__(self, ask: Callable[[str, int, str], tuple[int, object, bytes] | None]) -> None:
        self._ask = ask

    def http(self, address: str, port: int, path: str, headers: dict[str, str], timeout: float, scheme: str) -> int:
        answer = self._ask(address, port, path)
        if answer is None:
            raise OSError(CONNECTION_REFUSED)
        return answer[0]

    def tcp(self, address: str, port: int, timeout: float) -> None:
        if self._ask(address, port, "/") is None:
            raise OSError(CONNECTION_REFUSED)

    def grpc(self, address: str, port: int, service: str, timeout: float) -> tuple[bool, str]:
        """A simulated server is as healthy as its page /healthz says."""
        answer, spot = self._ask(address, port, "/healthz"), f"{address}:{port}"
        if answer is None:
            why = f"dial tcp {spot}: {CONNECTION_REFUSED}"
            return False, f'error: failed to connect service at "{spot}": {why}'
        return (True, "service healthy") if answer[0] < 400 else (False, UNHEALTHY)
