"""An HTTP/1.1 client for wget, curl and the like: names of the cluster, TLS, redirects.

Interface: `fetch(url, …)` gives an `Answer`. Raises OSError (with ssl's errors among them) and ValueError.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from k8snb.cri.images import pod

PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)


class Url(NamedTuple):
    scheme: str
    host: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        return self.host if self.port == PORTS[self.scheme] else f"{self.host}:{self.port}"


class Trust(NamedTuple):
    """How a server's certificate is checked: not at all, or with a CA file ("" = the machine's own)."""

    insecure: bool = False
    ca_file: str = ""


CHECKED = Trust()


class Answer(NamedTuple):
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes
    url: Url

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def split(text: str) -> Url:
    """The parts of a URL; http where it names no scheme. Raises ValueError."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        scheme, rest = "http", text
    if scheme not in PORTS:
        raise ValueError(f"protocol {scheme!r} is not implemented by k8snb")
    place, slash, path = rest.partition("/")
    place, question, query = place.partition("?")
    host, _, number = place.partition(":")
    return Url(scheme, host, int(number or PORTS[scheme]), slash + path + question + query or "/")


def fetch(
    text: str,
    *,
    method: str = "GET",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    timeout: float | None = None,
    trust: Trust = CHECKED,
    redirects: int = 0,
) -> Answer:
    """One request and its answer; follows up to `redirects` redirections."""
    url = split(text)
    with _open(url, timeout, trust) as connection:
        connection.sendall(_encode(url, method, headers, body))
        with connection.makefile("rb") as stream:
            answer = _read(stream, url, method)
    target = answer.header("Location")
    if redirects and answer.status in REDIRECTS and target:
        if "://" not in target:
            target = f"{url.scheme}://{url.netloc}{target}"
        return fetch(target, headers=headers, timeout=timeout, trust=trust, redirects=redirects - 1)
    return answer


def _open(url: Url, timeout: float | None, trust: Trust) -> socket.socket:
    connection = pod.connect(url.host, url.port, timeout)
    if url.scheme == "http":
        return connection
    import ssl  # 15 ms that plain HTTP does not pay

    context = ssl.create_default_context(cafile=trust.ca_file or None)
    if trust.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=url.host)


def _encode(url: Url, method: str, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
    given = {name.lower() for name, _ in headers}
    own = [("Host", url.netloc), ("Accept", "*/*"), ("Connection", "close")]
    if body or method in ("POST", "PUT", "PATCH"):
        own.append(("Content-Length", str(len(body))))
    lines = [f"{method} {url.path} HTTP/1.1", *(f"{name}: {value}" for name, value in own if name.lower() not in given)]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _read(stream: BinaryIO, url: Url, method: str) -> Answer:
    version, _, rest = stream.readline(65536).decode("latin-1").strip().partition(" ")
    status, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/") or not status.isdigit():
        raise OSError("error getting response: the server closed the connection or does not speak HTTP")
    headers = []
    while line := stream.readline(65536).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    answer = Answer(int(status), reason, headers, b"", url)
    empty = method == "HEAD" or answer.status in (204, 304)
    return answer._replace(body=b"" if empty else _read_body(stream, answer))


def _read_body(stream: BinaryIO, answer: Answer) -> bytes:
    if answer.header("Transfer-Encoding").lower() == "chunked":
        pieces = []
        while size := int(stream.readline(100).partition(b";")[0] or b"0", 16):
            pieces.append(stream.read(size))
            stream.readline(100)
        return b"".join(pieces)
    length = answer.header("Content-Length")
    return stream.read(int(length)) if length else stream.read()
