"""nc: a TCP connection by hand, or a listener for one: `nc -zv HOST PORT`, `nc -l -p PORT`."""

from __future__ import annotations

import selectors
import socket
import sys

from k8snb.cri.images import options, pod

OPTIONS = {"-z": "scan", "-v": "verbose", "-w=": "timeout", "-l": "listen", "-p=": "port", "-n": "numeric"}


def main(arguments: list[str]) -> int:
    parsed = options.parse("nc", arguments, OPTIONS)
    if parsed.has("listen"):
        number = parsed.last("port") or (parsed.words or [""])[-1]
        if not number.isdigit():
            options.refuse("nc", "usage: nc -l -p PORT")
        connection, _ = pod.listen(int(number), "nc").accept()
        return _relay(connection)
    if len(parsed.words) != 2 or not parsed.words[1].isdigit():
        options.refuse("nc", "usage: nc [-zv] [-w SECONDS] HOST PORT")
    return _connect(parsed, parsed.words[0], int(parsed.words[1]))


def _connect(parsed: options.Parsed, host: str, number: int) -> int:
    try:
        connection = pod.connect(host, number, float(parsed.last("timeout", "0")) or None)
    except OSError as error:
        print(f"nc: {host} ({number}): {error.strerror or error}", file=sys.stderr)
        return 1
    if parsed.has("verbose"):
        print(f"{host} ({number}) open", file=sys.stderr)
    if parsed.has("scan"):
        return 0
    connection.settimeout(None)
    return _relay(connection)


def _relay(connection: socket.socket) -> int:
    """Copy both ways until the other side ends."""
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    try:
        selector.register(sys.stdin.buffer, selectors.EVENT_READ)
    except (PermissionError, ValueError):
        # A file or /dev/null cannot be waited for, and need not be.
        connection.sendall(sys.stdin.buffer.read())
    while True:
        for key, _ in selector.select():
            if key.fileobj is connection:
                data = connection.recv(65536)
                if not data:
                    return 0
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            elif line := sys.stdin.buffer.readline():
                connection.sendall(line)
            else:
                selector.unregister(sys.stdin.buffer)
                connection.shutdown(socket.SHUT_WR)
