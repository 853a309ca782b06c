"""Exec and Attach on Docker: a connection to the engine that turns into a program's streams.

Interface: `open_exec` and `open_attach`.
The rule not to break: the engine is asked on the connection's own thread, never on the one that says `resize`.
Source: the Docker Engine API's documentation, at "Attach to a container" and "Exec". Docker cannot end a command: one
whose client has gone loses its input and output and goes on.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from k8snb.cri import RuntimeFailure
from k8snb.cri.docker_engine import engine_errors, first_line
from k8snb.cri.streams import SocketConnection

_STREAMS = {1: "stdout", 2: "stderr"}
_HEAD = 8  # a byte for the stream, three of padding, four for the length
_RESIZE_TRIES, _RESIZE_PATIENCE = 20, 0.05  # a terminal takes a size only once its program runs


class EngineSession(SocketConnection):
    """A program's streams over one socket of the engine's. Without a terminal, output comes in frames.

    `exit_code()` asks for the program's end, `resize(columns, rows)` for another size; both may block.
    """

    def __init__(
        self, connection: Any, *, tty: bool, stdin: bool, exit_code: Callable[[], int],
        set_size: Callable[[int, int], None],
    ) -> None:  # fmt: skip
        self._response = connection._response
        self._framed, self._exit_code, self._set_size = not tty, exit_code, set_size
        self._size: tuple[int, int] | None = None
        self._tries = 0
        self._rest = bytearray()
        sock = getattr(connection, "_sock", connection)
        if type(sock) is not socket.socket:
            raise RuntimeFailure("ExecError", "streams of a Docker engine over TLS or SSH: not implemented by k8snb")
        super().__init__(sock)
        if not stdin:
            self._sink = -1
        sock.setblocking(False)
        # What came with the engine's answer was read together with it.
        self._early = bytes(self._response.raw._fp.fp.peek())

    def resize(self, columns: int, rows: int) -> None:
        self._size, self._tries = (columns, rows), _RESIZE_TRIES
        self._ring()

    def _turn(self) -> None:
        if self._early and not self._paused:
            early, self._early = self._early, b""
            self._take("stdout", early)
        if self._size is not None:
            self._apply_size(*self._size)
        super()._turn()

    def _patience(self) -> float | None:
        return _RESIZE_PATIENCE if self._size is not None else None

    def _apply_size(self, columns: int, rows: int) -> None:
        self._tries -= 1
        wanted = self._size
        try:
            self._set_size(columns, rows)
        except engine_errors():
            if self._tries > 0:
                return
        if self._size is wanted:
            self._size = None

    def _take(self, stream: str, data: bytes) -> None:
        if not self._framed:
            return super()._take("stdout", data)
        self._rest += data
        while len(self._rest) >= _HEAD:
            end = _HEAD + int.from_bytes(self._rest[4:_HEAD], "big")
            if len(self._rest) < end:
                return
            super()._take(_STREAMS.get(self._rest[0], "stdout"), bytes(self._rest[_HEAD:end]))
            del self._rest[:end]

    def _finish(self) -> tuple[int, str]:
        with suppress(OSError):
            self._response.close()
        self._socket.close()
        try:
            return self._exit_code(), ""
        except engine_errors() as error:
            return -1, first_line(error)


def open_exec(api: Any, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool) -> EngineSession:
    """Start a command in a container. Raises what the docker package raises."""
    environment = {"TERM": "xterm"} if tty else None
    made = api.exec_create(container_id, list(command), tty=tty, stdin=stdin, environment=environment)["Id"]
    connection = api.exec_start(made, tty=tty, socket=True)

    def exit_code() -> int:
        return int(api.exec_inspect(made)["ExitCode"] or 0)

    def set_size(columns: int, rows: int) -> None:
        api.exec_resize(made, height=rows, width=columns)

    return EngineSession(connection, tty=tty, stdin=stdin, exit_code=exit_code, set_size=set_size)


def open_attach(api: Any, container_id: str, *, stdin: bool) -> EngineSession:
    """Join a container's own program. Raises what the docker package raises."""
    config = api.inspect_container(container_id)["Config"]
    wanted = {"stdin": int(stdin), "stdout": 1, "stderr": 1, "stream": 1}
    connection = api.attach_socket(container_id, params=wanted)

    def set_size(columns: int, rows: int) -> None:
        api.resize(container_id, height=rows, width=columns)

    return EngineSession(
        connection, tty=config["Tty"], stdin=stdin and config["OpenStdin"], exit_code=lambda: 0, set_size=set_size
    )
