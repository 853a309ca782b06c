"""A small HTTP/1.1 server for the programs of the catalogue.

Interface: `serve(port, handler, program=…)`; a handler takes a `Request` and gives a `Reply`.
The rule not to break: no `http.server`, whose import would cost each container 40 ms and 8 MB.
One thread per connection; SIGTERM ends the program as its real counterpart ends: with exit code 0, and with an answer
to everybody who asked before Services knew that it leaves.
"""

from __future__ import annotations

import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from k8snb.cri.images import pod

MAX_BODY = 16 * 1024 * 1024
QUIET, PATIENCE = 0.1, 1.0  # seconds: who leaves waits until nobody has come for so long, and no longer than that
REASONS = {
    200: "OK", 201: "Created", 204: "No Content", 301: "Moved Permanently", 304: "Not Modified", 400: "Bad Request",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 411: "Length Required", 413: "Content Too Large",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Request(NamedTuple):
    """One request as it came in. Header names are as the client wrote them; `header` finds them in any case."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    client: str

    @property
    def path(self) -> str:
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)

    def form(self) -> dict[str, str]:
        """The query's `name=value` pairs."""
        pairs = (part.partition("=") for part in self.query.split("&") if part)
        return {unquote(name): unquote(value.replace("+", " ")) for name, _, value in pairs}


class Reply(NamedTuple):
    status: int = 200
    body: bytes | str = b""
    type: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], Reply]
Log = Callable[[Request, Reply], None]


def no_log(request: Request, reply: Reply) -> None:
    """For programs that do not write an access log."""


def serve(port: int, handler: Handler, *, program: str, server: str = "", log: Log = no_log) -> int:
    """Answer requests at the pod's port until SIGTERM, SIGQUIT or SIGINT; then exit code 0."""
    called, call = socket.socketpair()
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        signal.signal(number, lambda number, frame: call.send(b"!"))  # raising here would lose who is just let in
    listener = pod.listen(port, program)
    while called not in (ready := select.select([listener, called], [], [])[0]):
        _take(ready[0], handler, server, log)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and select.select([listener], [], [], QUIET)[0]:
        _take(listener, handler, server, log)
    return 0


def _take(listener: socket.socket, handler: Handler, server: str, log: Log) -> None:
    connection, address = listener.accept()
    task = (connection, address[0], handler, server, log)
    threading.Thread(target=_converse, args=task, daemon=True).start()


def serve_beside(port: int, handler: Handler, *, program: str, server: str = "", log: Log = no_log) -> None:
    """The same on a thread, for a program that opens several ports."""
    listener = pod.listen(port, program)

    def accept() -> None:
        while True:
            _take(listener, handler, server, log)

    threading.Thread(target=accept, daemon=True).start()


def http_date(seconds: float) -> str:
    moment = time.gmtime(seconds)
    day, month = DAYS[moment.tm_wday], MONTHS[moment.tm_mon - 1]
    return time.strftime(f"{day}, %d {month} %Y %H:%M:%S GMT", moment)


def unquote(text: str) -> str:
    """Undo percent encoding."""
    if "%" not in text:
        return text
    head, *parts = text.encode().split(b"%")
    for part in parts:
        try:
            head += bytes([int(part[:2], 16)]) + part[2:]
        except ValueError:
            head += b"%" + part
    return head.decode("utf-8", "replace")


def escape(text: str) -> str:
    """Text as it may stand in HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def page(title: str, *paragraphs: str) -> str:
    """A small HTML page. The paragraphs are HTML."""
    text = "\n".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return (
        f"<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n{text}\n"
        "</body>\n</html>\n"
    )


def _converse(connection: socket.socket, client: str, handler: Handler, server: str, log: Log) -> None:
    connection.settimeout(65)
    try:
        with connection, connection.makefile("rb") as stream:
            while True:
                request = _read(stream, connection, client)
                if request is None or not _answer(connection, request, handler, server, log):
                    return
    except (OSError, ValueError):
        return


def _answer(connection: socket.socket, request: Request, handler: Handler, server: str, log: Log) -> bool:
    """Whether the connection stays open."""
    try:
        reply = handler(request)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        reply = Reply(500, "Internal Server Error\n")
    choice = request.header("Connection").lower()
    keep = choice == "keep-alive" if request.version == "HTTP/1.0" else choice != "close"
    log(request, reply)
    connection.sendall(_encode(request, reply, server, keep))
    return keep


def _encode(request: Request, reply: Reply, server: str, keep: bool) -> bytes:
    body = reply.body.encode() if isinstance(reply.body, str) else reply.body
    lines = [
        f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Unknown')}",
        *([f"Server: {server}"] if server else ()),
        f"Date: {http_date(time.time())}",
        f"Content-Type: {reply.type}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in reply.headers),
        f"Connection: {'keep-alive' if keep else 'close'}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if request.method == "HEAD" else body)


def _read(stream: BinaryIO, connection: socket.socket, client: str) -> Request | None:
    """The next request; None when the client has gone. Raises ValueError for what is not HTTP."""
    first = stream.readline(65536).decode("latin-1").strip()
    if not first:
        return None
    method, target, version = first.split(" ")
    headers = []
    while line := stream.readline(65536).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    request = Request(method, target, version, tuple(headers), b"", client)
    if request.header("Expect").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    return request._replace(body=_read_body(stream, request))


def _read_body(stream: BinaryIO, request: Request) -> bytes:
    if request.header("Transfer-Encoding").lower() != "chunked":
        size = int(request.header("Content-Length", "0"))
        if not 0 <= size <= MAX_BODY:
            raise ValueError("the body is too large")
        return stream.read(size)
    body = b""
    while size := int(stream.readline(100).partition(b";")[0], 16):
        body += stream.read(size)
        stream.readline(100)
        if len(body) > MAX_BODY:
            raise ValueError("the body is too large")
    while stream.readline(65536).strip():
        pass
    return body
