"""kubectl proxy's streams: exec, attach and port-forward through the port, in whatever protocol a client speaks.

Interface: `pass_on(request, server, path, headers) -> response`.
The rule not to break: not a byte is read here: what one side says, the other hears.
Source: `apimachinery/pkg/util/proxy/upgradeaware.go`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from k8snb.apimachinery.errors import ApiError

if TYPE_CHECKING:
    from aiohttp import web

    from k8snb.client import User
    from k8snb.client.https import HttpsTransport
    from k8snb.client.tunnel import Tunnel

PIECE, MOST = 1 << 16, 1 << 20  # bytes that are passed on at a time, and that may wait
_DROPPED = ("connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "authorization",
            "proxy-connection")  # fmt: skip


class _Intake:
    """What aiohttp hands the client's bytes to, once the connection is no longer HTTP."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._waiting: deque[bytes] = deque()
        self._size, self._ended = 0, False
        self._changed = asyncio.Event()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._waiting.append(bytes(data))
        self._size += len(data)
        if self._size > MOST:
            self._transport.pause_reading()
        self._changed.set()
        return False, b""

    def feed_eof(self) -> None:
        self._ended = True
        self._changed.set()

    async def read(self) -> bytes:
        """What has come; b"" at the end."""
        while not self._waiting and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        if not self._waiting:
            return b""
        data, full = self._waiting.popleft(), self._size > MOST
        self._size -= len(data)
        if full and self._size <= MOST and not self._ended:
            self._transport.resume_reading()
        return data


async def pass_on(request: web.Request, server: HttpsTransport, path: str, user: User) -> web.StreamResponse:
    """Open the same stream at the server, and carry bytes both ways until one side has enough."""
    from aiohttp import web

    asked = [(name, value) for name, value in request.headers.items() if name.lower() not in _DROPPED]
    try:
        tunnel = await server.tunnel(path, [*asked, ("Connection", "Upgrade")], user)
    except (OSError, ApiError) as error:
        return web.Response(status=502, text=f"{error}\n")
    try:
        return await _carried(request, tunnel)
    finally:
        tunnel.writer.close()


async def _carried(request: web.Request, tunnel: Tunnel) -> web.StreamResponse:
    from aiohttp import web

    kept = [(name, value) for name, value in tunnel.headers if name.lower() not in _DROPPED]
    transport = request.transport
    if tunnel.status != 101 or transport is None:
        return web.Response(status=tunnel.status, body=tunnel.body, headers=dict(kept))
    intake = _Intake(transport)
    # aiohttp knows no upgrade but WebSocket; from here on it takes the bytes for that protocol's.
    request.protocol.set_parser(intake)  # type: ignore[arg-type]
    response = web.StreamResponse(status=101)
    for name, value in [*kept, ("Connection", "Upgrade")]:
        response.headers.add(name, value)
    response.force_close()
    await response.prepare(request)
    ways = [asyncio.ensure_future(way) for way in (_up(intake, tunnel.writer), _down(tunnel.reader, response))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        transport.close()
    return response


async def _up(intake: _Intake, writer: asyncio.StreamWriter) -> None:
    while data := await intake.read():
        writer.write(data)
        await writer.drain()


async def _down(reader: asyncio.StreamReader, response: web.StreamResponse) -> None:
    while data := await reader.read(PIECE):
        await response.write(data)
