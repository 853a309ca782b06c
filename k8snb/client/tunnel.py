"""client-go's upgraded connections: a socket to the server on which another protocol than HTTP is to be spoken.

Interface: `upgraded(endpoint, head) -> Tunnel`, what the server answered and both ends of the socket.
The rule not to break: the way to the server is the one that requests take: the same trust, the same proxy.
Source: `apimachinery/pkg/util/proxy/{dial,upgradeaware}.go`.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from k8snb.client.restconfig import Endpoint

HEAD_END = b"\r\n\r\n"
LARGEST = 1 << 20  # bytes of a refusal that are passed on
PATIENCE = 30.0  # seconds for a connection to stand, and for the answer to it
Headers = Sequence[tuple[str, str]]


@dataclass
class Tunnel:
    """The answer's status, headers and, of a refusal, body; `reader` and `writer` are the socket."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def upgraded(endpoint: Endpoint, tls: ssl.SSLContext | None, path: str, headers: Headers) -> Tunnel:
    """Ask at a path for another protocol. Raises OSError where there is no way to the server."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await _dial(endpoint, tls)
        with _closed_on_failure(writer):
            lines = [f"GET {path} HTTP/1.1", f"Host: {urlsplit(endpoint.server).netloc}"]
            lines += [f"{name}: {value}" for name, value in headers]
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
            status, answered = await _head(reader)
            body = b"" if status == 101 else await _rest(reader, {name.lower(): value for name, value in answered})
    return Tunnel(status, answered, body, reader, writer)


async def _dial(endpoint: Endpoint, tls: ssl.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    server = urlsplit(endpoint.server)
    host, port = server.hostname or "", server.port or (443 if server.scheme == "https" else 80)
    name = str(endpoint.cluster.get("tls-server-name") or host)
    if not endpoint.proxy:
        return await asyncio.open_connection(host, port, ssl=tls, server_hostname=name if tls else None)
    proxy = urlsplit(endpoint.proxy)
    secure = ssl.create_default_context() if proxy.scheme == "https" else None
    reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port or (443 if secure else 80), ssl=secure)
    with _closed_on_failure(writer):
        await _connect(reader, writer, proxy, f"{host}:{port}")
        if tls is not None:
            await writer.start_tls(tls, server_hostname=name)
    return reader, writer


async def _connect(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, proxy: SplitResult, target: str
) -> None:  # fmt: skip
    """Have a proxy dial. Raises OSError where it refuses."""
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username:
        pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}")
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    status, _ = await _head(reader)
    if status != 200:
        raise OSError(f"the proxy {proxy.hostname} answered {status} to CONNECT")


@contextmanager
def _closed_on_failure(writer: asyncio.StreamWriter) -> Iterator[None]:
    """A connection that comes to nothing is closed, also when the time for it is over."""
    try:
        yield
    except BaseException:
        writer.close()
        raise


async def _head(reader: asyncio.StreamReader) -> tuple[int, list[tuple[str, str]]]:
    """Status and headers. Raises OSError where the other side hangs up or speaks no HTTP."""
    try:
        first, *lines = (await reader.readuntil(HEAD_END)).decode("latin-1").strip().split("\r\n")
        pairs = [line.partition(":") for line in lines]
        return int(first.split()[1]), [(name.strip(), value.strip()) for name, _, value in pairs]
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError) as error:
        raise OSError(f"no HTTP came back: {error}") from None


async def _rest(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    """The body of a refusal, of known length or up to the end of the connection."""
    try:
        if "content-length" in headers:
            return await reader.readexactly(min(int(headers["content-length"]), LARGEST))
        return await reader.read(LARGEST)
    except (asyncio.IncompleteReadError, ValueError):
        return b""
