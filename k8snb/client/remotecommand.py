"""client-go's remotecommand and portforward: the streams of a pod over WebSockets.

Interface: `Wish(transport, request)`: `open()` for exec and attach, `connect(port)` for a port; what they give is
`Streams`, which tell a listener `output`, `drained` and `ended` as a runtime's own connections do.
The rule not to break: the socket lives on the I/O loop; whoever writes leaves word there, and is told how much waits.
Source: `client-go/tools/remotecommand/websocket.go`, `client-go/tools/portforward`; KEP-4006 for version 5.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import aiohttp

from k8snb.apimachinery.errors import ApiError
from k8snb.client.client import Request
from k8snb.ioloop import IoLoop

COMMAND_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
PORT_PROTOCOLS = ("v4.channel.k8s.io",)
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255  # the channels of a command
NAMES = {STDOUT: "stdout", STDERR: "stderr"}
FAILURES = {"exec": "error executing command in container", "attach": "error attaching to container"}
SPOT = 2  # bytes with the port's number, which each channel of a port begins with
NO_END = ("the end of stdin on a server older than v1.30, which speaks no v5.channel.k8s.io: not implemented by k8snb; "
          "let the command read a file")  # fmt: skip
PATIENCE = 3600.0  # seconds for a command that says nothing


class Listener(Protocol):
    """Who hears what a pod says."""

    def output(self, stream: str, data: bytes) -> None: ...
    def drained(self) -> None: ...
    def ended(self, code: int, message: str) -> None: ...


class Opener(Protocol):
    """The transport, as far as streams need it."""

    def open_socket(self, request: Request, protocols: tuple[str, ...], query: dict[str, Any]) -> Streams: ...


class RunResult(NamedTuple):
    """What a command wrote, and its exit code."""

    stdout: bytes
    stderr: bytes
    exit_code: int


class Wish:
    """An exec, attach or port-forward that has not begun: the server is asked when it does."""

    def __init__(self, opener: Opener, request: Request) -> None:
        self._opener, self._request = opener, request
        self.failure = FAILURES.get(request.subresource, "")

    def open(self, protocols: tuple[str, ...] = COMMAND_PROTOCOLS) -> Streams:
        """The streams of a program, in the first of the protocols that the server speaks too. Raises ApiError."""
        asked = {"stdout": True, "stderr": not self._request.options.get("tty")}
        streams = self._opener.open_socket(self._request, protocols, asked)
        streams.decode = _Command(self.failure)
        return streams

    def connect(self, port: int) -> Streams:
        """A connection to a port of the pod. Raises ApiError."""
        streams = self._opener.open_socket(self._request, PORT_PROTOCOLS, {"ports": port})
        streams.decode = _Port()
        return streams


class Streams:
    """One WebSocket. What is written before the socket takes it counts as `backlog`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, io: IoLoop, told: Callable[[], None]) -> None:
        self._socket, self._io, self._told = socket, io, told
        self._waiting: deque[bytes] = deque()
        self._changed, self._flowing = asyncio.Event(), asyncio.Event()
        self._flowing.set()
        self._closed = False
        self._refusal = ""
        self.backlog = 0
        self.decode: _Command | _Port = _Port()

    # any thread

    def begin(self, listener: Listener) -> None:
        """Start to read and write."""
        self._io.call(self._run(listener))

    def write(self, data: bytes) -> None:
        """To the program's stdin, or to the port."""
        if data:
            self._send(bytes([STDIN]) + data, len(data))

    def write_eof(self) -> None:
        """Nothing more will be written. A program can be told so by version 5 alone; a port never, and waits."""
        if self._socket.protocol == COMMAND_PROTOCOLS[0]:
            self._send(bytes([CLOSE, STDIN]), 0)
        elif isinstance(self.decode, _Command):
            self._refusal = NO_END
            self.close()

    def resize(self, columns: int, rows: int) -> None:
        """The terminal's size."""
        self._send(bytes([RESIZE]) + json.dumps({"Width": columns, "Height": rows}).encode(), 0)

    def pause(self) -> None:
        self._io.post(self._flowing.clear)

    def resume(self) -> None:
        self._io.post(self._flowing.set)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._io.post(self._changed.set)
            self._io.call(self._socket.close())

    def _send(self, message: bytes, size: int) -> None:
        self.backlog += size
        self._waiting.append(message)
        self._io.post(self._changed.set)

    # the loop

    async def _run(self, listener: Listener) -> None:
        writing = asyncio.ensure_future(self._write(listener))
        code, message = -1, "the connection broke"
        try:
            code, message = await self._read(listener)
            code, message = (-1, self._refusal) if self._refusal else (code, message)
        except (OSError, ValueError, aiohttp.ClientError) as error:
            message = str(error) or message
        finally:
            self._closed = True
            writing.cancel()
            with suppress(OSError, aiohttp.ClientError):
                await self._socket.close()
            listener.ended(code, message)
            self._told()

    async def _read(self, listener: Listener) -> tuple[int, str]:
        async for message in self._socket:
            await self._flowing.wait()
            if message.type not in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT) or not message.data:
                continue
            data = message.data if isinstance(message.data, bytes) else message.data.encode()
            stream, content = self.decode.take(data[0], data[1:])
            if content:
                listener.output(stream, content)
                self._told()
        return self.decode.end(self._closed)

    async def _write(self, listener: Listener) -> None:
        while not self._closed:
            while self._waiting:
                message = self._waiting.popleft()
                with suppress(OSError, aiohttp.ClientError):
                    await self._socket.send_bytes(message)
                self.backlog -= len(message) - 1 if message[0] == STDIN else 0
                listener.drained()
                self._told()
            self._changed.clear()
            if not self._waiting:
                await self._changed.wait()


class _Command:
    """What the channels of a program say; the last one tells how it ended, as a Status."""

    def __init__(self, failure: str) -> None:
        self._failure, self._status = failure, b""

    def take(self, channel: int, data: bytes) -> tuple[str, bytes]:
        if channel == ERROR:
            self._status += data
        return NAMES.get(channel, ""), data if channel in NAMES else b""

    def end(self, left: bool) -> tuple[int, str]:
        if not self._status:
            return (0, "") if left else (-1, "the connection broke")
        status = json.loads(self._status)
        if status.get("status") == "Success":
            return 0, ""
        causes = (status.get("details") or {}).get("causes") or ()
        code = next((cause.get("message") for cause in causes if cause.get("reason") == "ExitCode"), "")
        if code:
            return int(code), ""
        said = str(status.get("message") or "")
        return -1, said.removeprefix("Internal error occurred: ").removeprefix(f"{self._failure}: ")


class _Port:
    """What the two channels of a port say. Each begins with the port's number."""

    def __init__(self) -> None:
        self._heads = {STDIN: SPOT, STDOUT: SPOT}
        self._error = b""

    def take(self, channel: int, data: bytes) -> tuple[str, bytes]:
        head = min(self._heads.get(channel, 0), len(data))
        self._heads[channel] = self._heads.get(channel, 0) - head
        if channel == STDOUT:
            self._error += data[head:]
            return "", b""
        return "data", data[head:]

    def end(self, left: bool) -> tuple[int, str]:
        return (-1, self._error.decode(errors="replace")) if self._error else (0, "")


class _Heard:
    """Keeps all that a command says."""

    def __init__(self) -> None:
        self.said: dict[str, list[bytes]] = {name: [] for name in NAMES.values()}
        self.end: tuple[int, str] | None = None

    def output(self, stream: str, data: bytes) -> None:
        self.said[stream].append(data)

    def drained(self) -> None:
        """Nothing is written."""

    def ended(self, code: int, message: str) -> None:
        self.end = (code, message)


def run_to_end(wish: Wish, wait: Callable[[Callable[[], bool], float], bool]) -> RunResult:
    """Run a command that reads nothing. Raises ApiError where it cannot be run."""
    streams, heard = wish.open(), _Heard()
    streams.begin(heard)
    try:
        wait(lambda: heard.end is not None, PATIENCE)
    finally:
        streams.close()
    code, message = heard.end or (-1, "the command does not end")
    if message:
        raise ApiError(500, "InternalError", f"Internal error occurred: {wish.failure}: {message}")
    return RunResult(b"".join(heard.said["stdout"]), b"".join(heard.said["stderr"]), code)
