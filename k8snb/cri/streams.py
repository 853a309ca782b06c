"""CRI streaming: connections over file descriptors, for the runtimes that have real ones.

Interface: `Served`, a `cri.Connection` that a thread of its own serves; `SocketConnection`, one over a socket;
`connect(address, port)` for PortForward.
The rule not to break: everything that touches a descriptor happens on the connection's thread; the others leave word.
Upstream's streaming server (`k8s.io/kubelet/pkg/cri/streaming`) has a goroutine for each direction of each stream.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import sys
import threading
import traceback
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from k8snb.cri import Listener, RuntimeFailure

CHUNK = 32768
CONNECTING = 10.0  # seconds that a pod has to answer a connection
_NOT_NOW = (BlockingIOError, InterruptedError)
_HUNG_UP = frozenset({errno.EIO, errno.EPIPE, errno.ECONNRESET, errno.EBADF})


class Served:
    """Serves descriptors until the connection is over. What differs between runtimes are the methods below `_run`.

    `sources` are read, each under its stream's name; `sink` (-1: none) takes what is written.
    """

    def __init__(self, sources: Mapping[int, str], sink: int) -> None:
        self._sources = dict(sources)
        self._sink = sink
        self._guard = threading.Lock()
        self._pending: deque[bytes] = deque()
        self._backlog = 0
        self._eof = self._paused = self._closed = self._gone = False
        self._listener: Listener | None = None
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringer = socket.socketpair()
        for end in (self._bell, self._ringer):
            end.setblocking(False)
        for descriptor in {*self._sources, *([sink] if sink >= 0 else ())}:
            os.set_blocking(descriptor, False)

    # any thread

    @property
    def backlog(self) -> int:
        return self._backlog

    def begin(self, listener: Listener) -> None:
        """Start the thread."""
        self._listener = listener
        threading.Thread(target=self._run, name="k8snb-stream", daemon=True).start()

    def write(self, data: bytes) -> None:
        with self._guard:
            if self._sink < 0 or self._eof or self._gone or not data:
                return
            self._pending.append(data)
            self._backlog += len(data)
        self._ring()

    def write_eof(self) -> None:
        self._eof = True
        self._ring()

    def pause(self) -> None:
        self._paused = True
        self._ring()

    def resume(self) -> None:
        self._paused = False
        self._ring()

    def close(self) -> None:
        """End it. A connection that was never begun is only released."""
        self._closed = True
        if self._listener is None:
            self._finish()
            self._let_go()
        self._ring()

    def _ring(self) -> None:
        # A full bell rings as well; a closed one belongs to a connection that is over.
        with suppress(OSError):
            self._ringer.send(b"!")

    # the thread

    def _run(self) -> None:
        assert self._listener is not None
        code, message = -1, "the connection broke"
        try:
            while not self._closed and not self._over():
                self._turn()
            code, message = self._finish()
        except Exception:
            sys.stderr.write(f"a stream failed:\n{traceback.format_exc()}")
        self._let_go()
        self._listener.ended(code, message)

    def _turn(self) -> None:
        self._watch()
        for key, events in self._selector.select(self._patience()):
            if key.fileobj is self._bell:
                with suppress(*_NOT_NOW):
                    self._bell.recv(4096)
                continue
            if events & selectors.EVENT_WRITE:
                self._send()
            if events & selectors.EVENT_READ:
                self._ready(key.fd)

    def _watch(self) -> None:
        """Listen to what matters now: a paused source is left alone, a sink only matters with something to write."""
        wanted: dict[int, int] = {self._bell.fileno(): selectors.EVENT_READ, **self._also()}
        for descriptor in () if self._paused else self._sources:
            wanted[descriptor] = selectors.EVENT_READ
        if self._sink >= 0 and (self._pending or self._eof):
            wanted[self._sink] = wanted.get(self._sink, 0) | selectors.EVENT_WRITE
        watched = {key.fd: key.events for key in self._selector.get_map().values()}
        for descriptor in watched.keys() - wanted.keys():
            self._selector.unregister(descriptor)
        for descriptor, events in wanted.items():
            if descriptor not in watched:
                self._selector.register(self._bell if descriptor == self._bell.fileno() else descriptor, events)
            elif watched[descriptor] != events:
                self._selector.modify(descriptor, events)

    def _send(self) -> None:
        """Write what the sink takes; at the end of the input, end it."""
        while self._pending:
            data = self._pending[0]
            try:
                count = os.write(self._sink, data[:CHUNK])
            except _NOT_NOW:
                return
            except OSError:
                return self._lose_sink()
            with self._guard:
                self._pending.popleft()
                if count < len(data):
                    self._pending.appendleft(data[count:])
                self._backlog -= count
        if self._eof:
            self._end_input(self._sink)
            self._sink = -1
        self._heard_drained()

    def _lose_sink(self) -> None:
        """Nobody reads any more: what was to be written is forgotten."""
        self._end_input(self._sink)
        with self._guard:
            self._sink, self._backlog = -1, 0
            self._pending.clear()
        self._heard_drained()

    def _heard_drained(self) -> None:
        if self._listener is not None:
            self._listener.drained()

    def _ready(self, descriptor: int) -> None:
        if descriptor in self._sources:
            self._read(descriptor)

    def _read(self, descriptor: int) -> bool:
        """Hand on what a source holds. Returns whether there may be more."""
        try:
            data = os.read(descriptor, CHUNK)
        except _NOT_NOW:
            return False
        except OSError as error:
            if error.errno not in _HUNG_UP:
                raise
            data = b""
        if not data:
            self._sources.pop(descriptor)
            return False
        self._take(self._sources[descriptor], data)
        return True

    def _take(self, stream: str, data: bytes) -> None:
        assert self._listener is not None
        self._listener.output(stream, data)

    def _let_go(self) -> None:
        with self._guard:
            self._gone, self._backlog = True, 0
            self._pending.clear()
        self._selector.close()
        for end in (self._bell, self._ringer):
            end.close()

    # what a kind of connection may do in its own way

    def _also(self) -> dict[int, int]:
        """Further descriptors to wait for, with their events."""
        return {}

    def _patience(self) -> float | None:
        """How long nothing need be looked at."""
        return None

    def _over(self) -> bool:
        """Whether there is nothing left to serve."""
        return not self._sources

    def _end_input(self, sink: int) -> None:
        """Tell the other side that no more input comes."""

    def _finish(self) -> tuple[int, str]:
        """Give back what was taken. The exit code, and what went wrong."""
        return 0, ""


class SocketConnection(Served):
    """A connection over a socket, which it owns. It is over when the other side has ended its output."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        super().__init__({sock.fileno(): "stdout"}, sock.fileno())

    def _end_input(self, sink: int) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def _finish(self) -> tuple[int, str]:
        self._socket.close()
        return 0, ""


def connect(address: str, port: int) -> SocketConnection:
    """A connection to a port of a pod. Raises RuntimeFailure PortForwardError."""
    try:
        return SocketConnection(socket.create_connection((address, port), CONNECTING))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise RuntimeFailure("PortForwardError", f"dial tcp {address}:{port}: connect: {why}") from None
