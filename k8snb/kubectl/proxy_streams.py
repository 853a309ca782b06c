"""kubectl proxy's streams: exec, attach and port-forward through the port, in whatever protocol a client speaks.

Interface: `pass_on(request, server, path, headers) -> response`.
The rule not to break: not a byte is read here: what one side says, the other hears.
Source: `apimachinery/pkg/util/proxy/upgradeaware.go`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from k8snb.apimachinery.errors import ApiError
from k8snb.client.intake import Intake, taken_over, until_one_ends

if TYPE_CHECKING:
    from aiohttp import web

    from k8snb.client import User
    from k8snb.client.https import HttpsTransport
    from k8snb.client.tunnel import Tunnel

PIECE = 1 << 16  # bytes that are passed on at a time
_DROPPED = ("connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "authorization",
            "proxy-connection")  # fmt: skip


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
    if tunnel.status != 101 or request.transport is None:
        return web.Response(status=tunnel.status, body=tunnel.body, headers=dict(kept))
    response = web.StreamResponse(status=101)
    for name, value in [*kept, ("Connection", "Upgrade")]:
        response.headers.add(name, value)
    intake = await taken_over(request, response)
    try:
        await until_one_ends(_up(intake, tunnel.writer), _down(tunnel.reader, response))
    finally:
        intake.close()
    return response


async def _up(intake: Intake, writer: asyncio.StreamWriter) -> None:
    while data := await intake.read():
        writer.write(data)
        await writer.drain()


async def _down(reader: asyncio.StreamReader, response: web.StreamResponse) -> None:
    while data := await reader.read(PIECE):
        await response.write(data)
