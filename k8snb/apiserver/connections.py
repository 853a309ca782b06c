"""kube-apiserver's connections: who may stay connected, and for how long one may say nothing.

Interface: `Listener(server, context)`: `open(host, port) -> port`, `accept(socket)`, `close()`; `heard` and `rests`
tell it what each connection does.
The rule not to break: a client that says nothing, or never ends what it says, costs the others neither time nor room.
Source: the http.Server in `apiserver/pkg/server/secure_serving.go`. A real apiserver has as many connections as its
machine gives it; here they share the kernel's open files with everything else in a notebook.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

HEAD_SECONDS = 32.0  # for the handshake, and again until the first request's head is there
SWEEP_SECONDS = 4.0
FULL_SECONDS = 0.1  # until accepting is tried again when no file can be opened
MOST, LEAST = 500, 64  # Python keeps about 0.3 MB for each TLS connection
BACKLOG = 1024


def most_connections() -> int:
    """A quarter of the files that this process may open: each end of a connection inside the kernel takes one."""
    try:
        import resource
    except ImportError:  # Windows, where select() watches 512 sockets
        return 256
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST if limit == resource.RLIM_INFINITY else max(LEAST, min(MOST, limit // 4))


class Listener:
    """Listening sockets, in front of aiohttp's `server`. All of it runs on the I/O loop."""

    def __init__(self, server: web.Server, context: ssl.SSLContext | None, *, most: int = 0) -> None:
        self._server = server
        self._context = context
        self._most = most or most_connections()
        self._quiet: dict[web.RequestHandler, float] = {}  # who says nothing, since when; the longest first
        self._unheard: set[web.RequestHandler] = set()  # those of them who have never asked anything
        self._greetings: dict[asyncio.Task[None], None] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, host: str, port: int) -> int:
        """Listen, and return the port. Raises OSError when the port is taken."""
        listening = socket.create_server((host, port), backlog=BACKLOG, reuse_port=False)
        self.accept(listening)
        return int(listening.getsockname()[1])

    def accept(self, listening: socket.socket) -> None:
        """Answer at a socket that listens."""
        listening.setblocking(False)
        loop = asyncio.get_running_loop()
        if not self._tasks:
            self._tasks.append(loop.create_task(self._sweep()))
        self._tasks.append(loop.create_task(self._accept(listening)))

    def close(self) -> None:
        for task in (*self._tasks, *self._greetings):
            task.cancel()

    def heard(self, connection: web.RequestHandler) -> None:
        """A request has come."""
        self._quiet.pop(connection, None)
        self._unheard.discard(connection)

    def rests(self, connection: web.RequestHandler) -> None:
        """A request has been answered."""
        self._quiet[connection] = asyncio.get_running_loop().time()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listening:
            while True:
                try:
                    connection, _ = await loop.sock_accept(listening)
                except OSError:  # too many open files, or a client that has gone already
                    await asyncio.sleep(FULL_SECONDS)
                    continue
                self._make_room()
                task = loop.create_task(self._greet(connection))
                self._greetings[task] = None
                task.add_done_callback(lambda done: self._greetings.pop(done, None))

    async def _greet(self, connection: socket.socket) -> None:
        """Shake hands. Whoever cannot is let go without a word."""
        loop = asyncio.get_running_loop()
        protocol = self._server()
        seconds = None if self._context is None else HEAD_SECONDS
        try:
            await loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._context, ssl_handshake_timeout=seconds
            )
        except (OSError, asyncio.CancelledError):
            connection.close()
            return
        self._quiet[protocol] = loop.time()
        self._unheard.add(protocol)

    def _make_room(self) -> None:
        """Where there are too many, let the one go that has said nothing for the longest time."""
        self._forget_gone()
        if len(self._server.connections) + len(self._greetings) < self._most:
            return
        if self._quiet:
            self._abort(next(iter(self._quiet)))
        elif self._greetings:
            next(iter(self._greetings)).cancel()

    async def _sweep(self) -> None:
        """Now and then, end the connections whose first request, or reading of an answer, has not come in time."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._forget_gone()
            latest = asyncio.get_running_loop().time() - HEAD_SECONDS
            silent = [each for each in self._unheard if self._quiet.get(each, latest) <= latest]
            deaf = [each for each, since in self._quiet.items() if since <= latest and _waits(each)]
            for connection in (*silent, *deaf):
                self._abort(connection)

    def _abort(self, connection: web.RequestHandler) -> None:
        self.heard(connection)
        if connection.transport is not None:
            connection.transport.abort()

    def _forget_gone(self) -> None:
        for connection in [each for each in self._quiet if each.transport is None]:
            self.heard(connection)


def _waits(connection: web.RequestHandler) -> bool:
    """Whether an answer still lies here, because the client does not read it."""
    transport = connection.transport
    return transport is not None and transport.get_write_buffer_size() > 0


def logger() -> logging.Logger:
    """Where aiohttp tells of errors: what a client did wrong is the client's to know, and is left out."""
    found = logging.getLogger("k8snb.https")
    found.addFilter(_is_ours)
    return found


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ConnectionError)
