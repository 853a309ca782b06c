"""A client that asks as fast as it is answered: `http_load.py ADDRESS PORT SECONDS CONNECTIONS` prints requests/s.

The rule not to break: the standard library only, and a process of its own, so that it runs in any network namespace and
takes no time from what it measures.
"""

from __future__ import annotations

import re
import selectors
import socket
import sys
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
LENGTH = re.compile(rb"(?i)content-length: *(\d+)")


class Connection:
    """A connection that is kept, with one request under way; a server that closes it gets another."""

    def __init__(self, spot: tuple[str, int], selector: selectors.BaseSelector) -> None:
        self._spot, self._selector = spot, selector
        self._open()

    def _open(self) -> None:
        self._sock = socket.create_connection(self._spot, timeout=10)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(self._sock, selectors.EVENT_READ, self)
        self._received = b""
        self._sock.sendall(REQUEST)

    def answered(self) -> bool:
        """Take what has arrived; whether an answer is complete, and the next request is under way."""
        try:
            data = self._sock.recv(65536)
            self._received += data
            head, mark, body = self._received.partition(b"\r\n\r\n")
            length = LENGTH.search(head) if mark else None
            if not data:
                raise ConnectionResetError
            if length is None or len(body) < int(length[1]):
                return False
            self._received = b""
            self._sock.sendall(REQUEST)
        except ConnectionError:
            self._selector.unregister(self._sock)
            self._sock.close()
            self._open()
            return False
        return True


def requests_per_second(spot: tuple[str, int], seconds: float, connections: int) -> float:
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        Connection(spot, selector)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        count += sum(key.data.answered() for key, _ in selector.select(1.0))
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    print(requests_per_second((sys.argv[1], int(sys.argv[2])), float(sys.argv[3]), int(sys.argv[4])))
