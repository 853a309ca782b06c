"""redis-cli: one command to a redis server, or one per line of standard input."""

from __future__ import annotations

import shlex
import socket
import sys
from typing import Any, BinaryIO

from k8snb.cri.images import options, pod


def main(arguments: list[str]) -> int:
    head, command = _split(arguments)
    parsed = options.parse("redis-cli", head, {"-h=": "host", "-p=": "port", "--raw": "raw"})
    host, port = parsed.last("host", "127.0.0.1"), int(parsed.last("port", "6379"))
    try:
        with pod.connect(host, port, 10) as connection, connection.makefile("rb") as stream:
            commands = [command] if command else [shlex.split(line) for line in sys.stdin]
            for words in commands:
                if words:
                    print(show(ask(connection, stream, words), raw=parsed.has("raw")), flush=True)
    except OSError as error:
        print(f"Could not connect to Redis at {host}:{port}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def ask(connection: socket.socket, stream: BinaryIO, words: list[str]) -> Any:
    """Send a command; the answer as Python has it (a `RuntimeError` object for a refusal)."""
    parts = [word.encode() for word in words]
    connection.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
    return read(stream)


def read(stream: BinaryIO) -> Any:
    """One answer. Raises OSError when the server has gone."""
    line = stream.readline()
    if not line:
        raise OSError("Server closed the connection")
    sort, rest = line[:1], line[1:].strip()
    if sort == b":":
        return int(rest)
    if sort == b"$":
        return None if rest == b"-1" else stream.read(int(rest) + 2)[:-2]
    if sort == b"*":
        return [read(stream) for _ in range(int(rest))]
    return RuntimeError(rest.decode()) if sort == b"-" else rest.decode()


def show(value: Any, *, raw: bool = False) -> str:
    """An answer in redis-cli's way of writing, which is plain where no terminal reads it."""
    raw = raw or not sys.stdout.isatty()
    if isinstance(value, list):
        lines = [show(part, raw=raw) for part in value]
        return "\n".join(lines if raw else [f"{n}) {line}" for n, line in enumerate(lines, 1)] or ["(empty array)"])
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
        return text if raw else f'"{text}"'
    if value is None:
        return "" if raw else "(nil)"
    return str(value) if raw or not isinstance(value, int) else f"(integer) {value}"


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The options in front, and the command behind them."""
    position = 0
    while position < len(arguments) and arguments[position].startswith("-"):
        position += 2 if arguments[position] in ("-h", "-p") else 1
    return arguments[:position], arguments[position:]
