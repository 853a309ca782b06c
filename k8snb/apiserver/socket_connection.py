"""kube-apiserver's plain connections: to an endpoint of a Service that is no pod, at its own address.

Interface: `SocketConnection(spot)`, a `streams.Connection`; the constructor connects and raises OSError.
The rule not to break: neither side needs memory for a slow other one: `pause` stops the reading, `backlog` is what the
other side has not taken yet.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from queue import SimpleQueue

from k8snb.apiserver.streams import Listener

CHUNK = 1 << 16
CONNECTING = 10.0  # seconds


class SocketConnection:
    """Two threads: one reads, one writes."""

    def __init__(self, spot: tuple[str, int]) -> None:
        self._socket = socket.create_connection(spot, CONNECTING)
        self._socket.settimeout(None)
        self._guard = threading.Lock()
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._size = 0
        self._may_read = threading.Event()
        self._may_read.set()
        self._listener: Listener | None = None

    @property
    def backlog(self) -> int:
        return self._size

    def begin(self, listener: Listener) -> None:
        self._listener = listener
        for work in (self._read, self._write):
            threading.Thread(target=work, name="k8snb-connection", daemon=True).start()

    def write(self, data: bytes) -> None:
        with self._guard:
            self._size += len(data)
        self._waiting.put(data)

    def write_eof(self) -> None:
        self._waiting.put(b"")

    def pause(self) -> None:
        self._may_read.clear()

    def resume(self) -> None:
        self._may_read.set()

    def close(self) -> None:
        self._may_read.set()
        self._waiting.put(None)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _read(self) -> None:
        assert self._listener is not None
        message = ""
        try:
            while data := self._socket.recv(CHUNK):
                self._may_read.wait()
                self._listener.output("stdout", data)
        except OSError as error:
            message = error.strerror or str(error)
        self._waiting.put(None)
        self._listener.ended(0, message)

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while (data := self._waiting.get()) is not None:
                if data:
                    self._socket.sendall(data)
                else:
                    self._socket.shutdown(socket.SHUT_WR)
                with self._guard:
                    self._size -= len(data)
                if self._listener is not None:
                    self._listener.drained()
        self._socket.close()
