"""Exec, Attach and PortForward on simulated containers.

Interface: `ExecSession`, `AttachSession`, `HttpConnection`.
The rule not to break: whatever a client's thread says is posted to the runtime's, where all of it happens.
A real runtime copies bytes between a socket and a process; here a shell is interpreted, and a port speaks HTTP only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from k8snb.clock import Clock, Timer
from k8snb.cri import Listener
from k8snb.cri.simulated_console import Console, terminal
from k8snb.cri.simulated_machine import Container, Process, World
from k8snb.cri.simulated_network import Http
from k8snb.cri.simulated_shell import Streams

WAITED_FOR = 30.0  # seconds: nobody waits for a command that sleeps for longer
MAX_REQUEST = 1 << 20  # bytes of an HTTP request
TLS = b"\x16"  # how a client begins that means to speak HTTPS
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error"}


class Host(World, Protocol):
    """The runtime, as its connections see it."""

    post: Callable[[Callable[[], None]], None]
    clock: Clock

    def now(self) -> float: ...

    def type_in(self, container: Container, data: bytes) -> None: ...

    def http(self, ip: str, port: int, path: str = "/", *, method: str = "GET", client: str = "") -> Http | None: ...


class _Posted:
    """A connection whose every word is posted. Input is taken at once, so there is never a backlog."""

    backlog = 0

    def __init__(self, host: Host) -> None:
        self._host = host
        self._listener: Listener | None = None
        self._early: list[Callable[[], None]] = []  # what was said before the listener came
        self._begun = self._paused = self._over = False

    def begin(self, listener: Listener) -> None:
        def start() -> None:
            self._begun = True
            self._start()
            early, self._early = self._early, []
            for word in early:
                self._hear(word)

        self._listener = listener
        self._host.post(start)

    def write(self, data: bytes) -> None:
        def take() -> None:
            self._take(data)
            self._heard().drained()

        if data:
            self._host.post(lambda: self._hear(take))

    def write_eof(self) -> None:
        self._host.post(lambda: self._hear(self._take_end))

    def _hear(self, word: Callable[[], None]) -> None:
        if not self._begun:
            self._early.append(word)
        elif not self._over:
            word()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        def go_on() -> None:
            self._paused = False
            if not self._over:
                self._go_on()

        self._host.post(go_on)

    def close(self) -> None:
        self._host.post(lambda: self._end(137, ""))

    def resize(self, columns: int, rows: int) -> None:
        """A simulated terminal has no size."""

    def _heard(self) -> Listener:
        assert self._listener is not None
        return self._listener

    def _end(self, code: int, message: str) -> None:
        if not self._over:
            self._over = True
            self._release()
            if self._listener is not None:
                self._listener.ended(code, message)

    # what a kind of connection does in its own way

    def _start(self) -> None:
        """The listener is there."""

    def _take(self, data: bytes) -> None:
        raise NotImplementedError

    def _take_end(self) -> None:
        raise NotImplementedError

    def _go_on(self) -> None:
        """The client listens again."""

    def _release(self) -> None:
        """It is over."""


class ExecSession(_Posted):
    """A command in a container, on the cluster's clock. It ends with its container."""

    def __init__(self, host: Host, container: Container, command: Sequence[str], *, tty: bool, stdin: bool) -> None:
        super().__init__(host)
        self._container, self._command, self._tty = container, command, tty
        self._console = Console(tty=tty) if stdin else None
        self._process: Process | None = None
        self._timer: Timer | None = None
        self._due = False  # it may run on now, were its client not behind

    def _start(self) -> None:
        process = self._process = Process(self._container, self._host, self._host.now(), main=False)
        streams = Streams(b"", self._writer("stdout"), self._writer("stderr"), self._console)
        if self._console is not None:
            self._console.echo = self._writer("stdout")
        self._container.clients.append(self)
        process.begin(self._command, streams)
        self._woken()

    def _writer(self, stream: str) -> Callable[[bytes], None]:
        if self._tty:
            return lambda data: self._heard().output("stdout", terminal(data))
        return lambda data: self._heard().output(stream, data)

    def _take(self, data: bytes) -> None:
        if self._console is None or self._process is None:
            return
        if self._console.feed(data):
            if self._timer is not None:
                self._timer.cancel()
            self._waited(self._process, self._process.break_off())
        elif self._console.reading:
            self._woken()

    def _take_end(self) -> None:
        if self._console is not None:
            self._console.end()
            if self._console.reading:
                self._woken()

    def _go_on(self) -> None:
        """Run the command to its next wait, if it is time and its client is not behind."""
        process = self._process
        if process is None or not self._due or self._paused:
            return
        self._due = False
        process.at = max(process.at, self._host.now())
        self._waited(process, process.advance())

    def _waited(self, process: Process, wait: float | None) -> None:
        self._timer = None
        if process.code is not None:
            self._end(process.code, "")
        elif wait is not None and wait != math.inf:
            self._timer = self._host.clock.after(wait, self._woken, background=wait > WAITED_FOR, label="runtime")

    def _woken(self) -> None:
        self._timer, self._due = None, True
        self._go_on()

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self in self._container.clients:
            self._container.clients.remove(self)

    # what the container's clients are told

    def hear(self, stream: str, data: bytes) -> None:
        """What the container's own program writes is not this command's output."""

    def container_ended(self) -> None:
        self._end(137, "")


class AttachSession(_Posted):
    """A client of a container's own program."""

    def __init__(self, host: Host, container: Container, *, stdin: bool) -> None:
        super().__init__(host)
        self._container, self._stdin = container, stdin
        self._behind: list[tuple[str, bytes]] = []

    def _start(self) -> None:
        self._container.clients.append(self)
        if self._container.finished_at <= self._host.now():
            self._end(0, "")

    def hear(self, stream: str, data: bytes) -> None:
        self._behind.append((stream, data))
        if not self._paused:
            self._go_on()

    def container_ended(self) -> None:
        self._go_on()
        self._end(0, "")

    def _go_on(self) -> None:
        behind, self._behind = self._behind, []
        for stream, data in behind:
            self._heard().output(stream, data)

    def _take(self, data: bytes) -> None:
        if self._stdin:
            self._host.type_in(self._container, data)

    def _take_end(self) -> None:
        if self._stdin and self._container.config.stdin_once:
            self._host.type_in(self._container, b"")

    def _release(self) -> None:
        if self in self._container.clients:
            self._container.clients.remove(self)
            self._take_end()


class HttpConnection(_Posted):
    """A connection to a port of a simulated pod: requests are answered in their order."""

    def __init__(self, host: Host, ip: str, port: int) -> None:
        super().__init__(host)
        self._ip, self._port = ip, port
        self._buffer = bytearray()

    def _take(self, data: bytes) -> None:
        self._buffer += data
        while not self._over:
            head, separator, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not separator:
                if len(head) > MAX_REQUEST or head.startswith(TLS):
                    self._refuse()
                return
            lines = head.decode("latin-1").split("\r\n")
            fields = {name.strip().lower(): value.strip() for name, _, value in (row.partition(":") for row in lines)}
            size = fields.get("content-length", "0")
            if not size.isdecimal() or int(size) > MAX_REQUEST:
                return self._refuse()
            if len(rest) < int(size):
                return
            self._buffer = bytearray(rest[int(size) :])
            self._answer(lines[0], fields)

    def _answer(self, line: str, fields: dict[str, str]) -> None:
        words = line.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return self._refuse()
        method, path, version = words
        answer = self._host.http(self._ip, self._port, path, method=method, client="127.0.0.1")
        if answer is None:
            return self._end(-1, f"dial tcp {self._ip}:{self._port}: connect: connection refused")
        default = "keep-alive" if version == "HTTP/1.1" else "close"
        kept = fields.get("connection", default).lower() == "keep-alive"
        status, headers, body = answer
        headers = {**headers, "Connection": "keep-alive" if kept else "close"}
        self._say(status, headers, b"" if method == "HEAD" else body)
        if not kept:
            self._end(0, "")

    def _refuse(self) -> None:
        text = b"this port of a simulated container speaks HTTP/1.1 only\n"
        self._say(400, {"Content-Length": str(len(text)), "Connection": "close"}, text)
        self._end(0, "")

    def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}", *(f"{k}: {v}" for k, v in headers.items())]
        self._heard().output("stdout", "\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def _take_end(self) -> None:
        self._end(0, "")
