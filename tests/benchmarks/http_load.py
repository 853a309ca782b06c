"""A client that asks as fast as it is answered, at two places in turn: `http_load.py ADDRESS:PORT ADDRESS:PORT SECONDS
PAIRS CONNECTIONS` prints a line for each pair of looks: requests/s at the one and at the other.

The rule not to break: the standard library only, and a process of its own, so that it runs in any network namespace and
takes no time from what it measures. A pair's looks follow each other at once, now this one first and now that one:
whatever else the machine does slows both.
"""

from __future__ import annotations

import re
import selectors
import socket
import sys
import time
from collections.abc import Sequence

REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
Spot = tuple[str, int]


class Connection:
    """A connection that is kept, with at most one request under way; a server that closes it gets another."""

    def __init__(self, spot: Spot, selector: selectors.BaseSelector) -> None:
        self._spot, self._selector = spot, selector
        self._open()

    def _open(self) -> None:
        self._sock = socket.create_connection(self._spot, timeout=10)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(self._sock, selectors.EVENT_READ, self)
        self._received = b""

    def ask(self) -> None:
        try:
            self._sock.sendall(REQUEST)
        except ConnectionError:
            self._again()

    def answered(self) -> bool:
        """Take what has arrived; whether an answer is complete."""
        try:
            data = self._sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._again()
            return False
        self._received += data
        head, mark, body = self._received.partition(b"\r\n\r\n")
        length = LENGTH.search(head) if mark else None
        if length is None or len(body) < int(length[1]):
            return False
        self._received = b""
        return True

    def _again(self) -> None:
        self._selector.unregister(self._sock)
        self._sock.close()
        self._open()
        self._sock.sendall(REQUEST)


class Client:
    """Connections to one place."""

    def __init__(self, spot: Spot, connections: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._connections = [Connection(spot, self._selector) for _ in range(connections)]

    def look(self, seconds: float) -> float:
        """Requests a second; at the end nothing is under way."""
        for connection in self._connections:
            connection.ask()
        began, count, under_way = time.perf_counter(), 0, len(self._connections)
        while (spent := time.perf_counter() - began) < seconds:
            count += self._take(then_ask=True)
        while under_way:
            under_way -= self._take(then_ask=False)
        return count / spent

    def _take(self, *, then_ask: bool) -> int:
        answered = [key.data for key, _ in self._selector.select(1.0) if key.data.answered()]
        if then_ask:
            for connection in answered:
                connection.ask()
        return len(answered)


def pairs(spots: Sequence[Spot], seconds: float, count: int, connections: int) -> list[tuple[float, float]]:
    one, other = (Client(spot, connections) for spot in spots)
    for client in (one, other):
        client.look(seconds)  # until everybody is awake
    found = []
    for number in range(count):
        if number % 2:
            last, first = other.look(seconds), one.look(seconds)
        else:
            first, last = one.look(seconds), other.look(seconds)
        found.append((first, last))
    return found


if __name__ == "__main__":
    places = [(place.rpartition(":")[0], int(place.rpartition(":")[2])) for place in sys.argv[1:3]]
    for pair in pairs(places, float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])):
        print(*pair)
