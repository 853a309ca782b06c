"""kube-apiserver's streams: what exec, attach and port-forward mean, whatever the bytes on the wire look like.

Interface: `RemoteCommand` and `PortForward` say what is wanted; `CommandBridge` and `PortBridge` join one connection of
a runtime to the client's streams; a `Line` is the way to the client.
The rule not to break: a bridge is used on one thread, the line's; what a runtime says on another one is posted there.
Source: `k8s.io/kubelet/pkg/cri/streaming/{remotecommand,portforward}`, `apimachinery/pkg/util/remotecommand`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

STDIN, STDOUT, STDERR, ERROR, RESIZE, DATA = "stdin", "stdout", "stderr", "error", "resize", "data"
HIGH, LOW = 1 << 18, 1 << 16  # bytes on their way to the client: above, a runtime is paused; below, it goes on
MAX_RESIZE = 4096  # bytes of a terminal size that has not ended
MAX_TERMINAL = 0xFFFF

Message = bytes | str


class Listener(Protocol):
    """Who hears a connection: see `cri.Listener`."""

    def output(self, stream: str, data: bytes) -> None: ...
    def drained(self) -> None: ...
    def ended(self, code: int, message: str) -> None: ...


class Connection(Protocol):
    """What a kubelet opens to a port of a pod: see `cri.Connection`."""

    @property
    def backlog(self) -> int: ...
    def begin(self, listener: Listener) -> None: ...
    def write(self, data: bytes) -> None: ...
    def write_eof(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...


class Session(Connection, Protocol):
    """What a kubelet opens to a container: see `cri.Session`."""

    def resize(self, columns: int, rows: int) -> None: ...


@dataclass(frozen=True, kw_only=True)
class RemoteCommand:
    """An exec or an attach that has been allowed. `open` may block and raise; `failure` introduces what it raises."""

    open: Callable[[], Session]
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    tty: bool = False
    failure: str = "error executing command in container"


@dataclass(frozen=True, kw_only=True)
class PortForward:
    """A port-forward that has been allowed. `connect(port)` may block and raise. `pod` is named in errors.

    `ports` are those that the client named beforehand; over SPDY it names them one by one.
    """

    connect: Callable[[int], Connection]
    pod: str
    ports: tuple[int, ...] = ()


class Line(Protocol):
    """The way to one client. `post` may be called from any thread, the rest on the line's own."""

    def send(self, message: Message) -> None:
        """Hand a message over; it is kept until the client takes it."""

    def finish(self) -> None:
        """Nothing more will be sent."""

    def drained(self) -> None:
        """What the client has sent so far was taken by the pod."""

    def post(self, callback: Callable[[], None]) -> None: ...

    def submit(self, work: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        """Run `work` elsewhere; `done(result, error)` is called on the line's thread."""


class Conversation(Protocol):
    """One request for streams, in one way of speaking. It answers on its line."""

    def begin(self) -> None: ...

    def receive(self, message: Message) -> None:
        """What the client sent. Raises ValueError for what cannot be understood."""

    def hang_up(self) -> None:
        """The client is gone."""

    def hold(self, held: bool) -> None:
        """Whether the client is slow in taking what is sent: then nothing more is made."""

    @property
    def backlog(self) -> int:
        """Bytes that the client sent and the pod has not taken."""

    @property
    def started(self) -> bool:
        """Whether the client has done all that it has to do before anything can be opened."""


class Bridge:
    """One connection of a runtime on one side, its client's streams on the other.

    `send(stream, data)` and `end(stream)` are the client's side. Input that comes before the connection stands waits.
    """

    failure = ""

    def __init__(self, line: Line, send: Callable[[str, bytes], None], end: Callable[[str], None]) -> None:
        self._line, self._send, self._end = line, send, end
        self._connection: Connection | None = None
        self._early: list[bytes] = []
        self._early_eof = self._hung_up = self._held = self._paused = False
        self._guard = Lock()
        self._flying = 0  # bytes that the runtime gave and the line has not got yet
        self.over = False

    def open(self, work: Callable[[], Connection]) -> None:
        self._line.submit(work, self._opened)

    def _opened(self, connection: Connection | None, error: BaseException | None) -> None:
        if connection is None:
            return self._over(-1, str(getattr(error, "message", "") or error))
        if self._hung_up:
            return connection.close()
        self._connection = connection
        self._prepare(connection)
        for data in self._early:
            connection.write(data)
        if self._early_eof:
            connection.write_eof()
        self._early.clear()
        if self._held:
            self._throttle()
        connection.begin(self)

    # from the client, on the line's thread

    def write(self, data: bytes) -> None:
        if self._connection is None:
            self._early.append(data)
        else:
            self._connection.write(data)

    def write_eof(self) -> None:
        if self._connection is None:
            self._early_eof = True
        else:
            self._connection.write_eof()

    def hang_up(self) -> None:
        """Give it up: the client is gone."""
        self._hung_up = self.over = True
        if self._connection is not None:
            self._connection.close()

    @property
    def backlog(self) -> int:
        early = sum(map(len, self._early))
        return early if self.over or self._connection is None else self._connection.backlog

    def hold(self, held: bool) -> None:
        self._held = held
        self._throttle()

    # from the runtime, on any thread

    def output(self, stream: str, data: bytes) -> None:
        with self._guard:
            self._flying += len(data)
        self._throttle()
        self._line.post(lambda: self._landed(stream, data))

    def drained(self) -> None:
        self._line.post(self._line.drained)

    def ended(self, code: int, message: str) -> None:
        self._line.post(lambda: self._over(code, message))

    def _landed(self, stream: str, data: bytes) -> None:
        with self._guard:
            self._flying -= len(data)
        if not self._hung_up:
            self._said(stream, data)
        self._throttle()

    def _throttle(self) -> None:
        """Stop the runtime's output where the client cannot follow, and let it go on."""
        connection = self._connection
        with self._guard:
            limit = LOW if self._paused else HIGH
            paused = self._held or self._flying > limit
            changed, self._paused = paused != self._paused, paused
            if changed and connection is not None:
                (connection.pause if paused else connection.resume)()

    def _over(self, code: int, message: str) -> None:
        if not self._hung_up:
            self.over = True
            self._close(code, message)
            self._line.drained()

    # what exec and port-forward do in their own way

    def _prepare(self, connection: Connection) -> None:
        """The connection stands, and nothing has been heard of it."""

    def _said(self, stream: str, data: bytes) -> None:
        raise NotImplementedError

    def _close(self, code: int, message: str) -> None:
        raise NotImplementedError


class CommandBridge(Bridge):
    """An exec or an attach. `version` 1 to 5 is that of the remotecommand protocol."""

    def __init__(
        self, wish: RemoteCommand, version: int, line: Line, *, send: Callable[[str, bytes], None],
        end: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__(line, send, end)
        self._wish, self._version = wish, version
        self._wanted = {STDOUT: wish.stdout, STDERR: wish.stderr and not wish.tty}
        self._session: Session | None = None
        self._size: tuple[int, int] | None = None
        self._sizes = ""

    def start(self) -> None:
        self.open(self._open)

    def _open(self) -> Session:
        self._session = self._wish.open()
        return self._session

    def resize(self, data: bytes) -> None:
        """A terminal's size, {"Width": columns, "Height": rows}; what has not ended waits for its rest."""
        self._sizes = (self._sizes + data.decode(errors="replace")).lstrip()
        while self._sizes:
            try:
                size, end = json.JSONDecoder().raw_decode(self._sizes)
            except ValueError:
                if len(self._sizes) > MAX_RESIZE:
                    raise ValueError("a terminal size that does not end") from None
                return
            self._sizes = self._sizes[end:].lstrip()
            self._resize(size)

    def _resize(self, size: Any) -> None:
        found = [size.get(side) for side in ("Width", "Height")] if isinstance(size, dict) else []
        numbers = [number for number in found if isinstance(number, int) and 0 < number <= MAX_TERMINAL]
        if len(numbers) != 2:
            return
        self._size = (numbers[0], numbers[1])
        if self._connection is not None and self._session is not None:
            self._session.resize(*self._size)

    def _prepare(self, connection: Connection) -> None:
        if self._size is not None and self._session is not None:
            self._session.resize(*self._size)

    def _said(self, stream: str, data: bytes) -> None:
        if self._wanted[stream]:
            self._send(stream, data)

    def _close(self, code: int, message: str) -> None:
        status = exit_status(code, f"{self._wish.failure}: {message}" if message else "")
        if self._version >= 4:
            self._send(ERROR, json.dumps(status).encode())
        elif status["status"] != "Success":
            self._send(ERROR, status["message"].encode())
        for stream in (STDOUT, STDERR, ERROR):
            self._end(stream)
        self._line.finish()


class PortBridge(Bridge):
    """One connection to one port of a pod. `ended` is called when it is over."""

    def __init__(
        self, wish: PortForward, port: int, line: Line, *, send: Callable[[str, bytes], None],
        end: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__(line, send, end)
        self._wish, self.port = wish, port

    def start(self) -> None:
        self.open(lambda: self._wish.connect(self.port))

    def _said(self, stream: str, data: bytes) -> None:
        self._send(DATA, data)

    def _close(self, code: int, message: str) -> None:
        if message:
            self._send(ERROR, f"error forwarding port {self.port} to pod {self._wish.pod}: {message}".encode())
        self._end(DATA)
        self._end(ERROR)


def is_port(text: str) -> bool:
    """Whether this is a port's number in plain digits."""
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= 0xFFFF


def exit_status(code: int, message: str) -> dict[str, Any]:
    """The Status that ends an exec: success, an exit code, or what went wrong."""
    if message:
        text = f"Internal error occurred: {message}"
        details = {"causes": [{"message": message}]}
        return {"metadata": {}, "status": "Failure", "message": text, "reason": "InternalError", "details": details,
                "code": 500}  # fmt: skip
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    text = f"command terminated with non-zero exit code: exit status {code}"
    return {"metadata": {}, "status": "Failure", "message": text, "reason": "NonZeroExitCode",
            "details": {"causes": causes}}  # fmt: skip
