"""The bytes of a connection that is no longer HTTP: what a server reads once a request has become a stream.

Interface: `taken_over(request, response) -> Intake`; `Intake.read()`; `until_one_ends(*ways)`.
The rule not to break: a peer that sends faster than anybody reads is held up, and never fills the memory.
Real Kubernetes hijacks the connection from Go's `net/http`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import web

MOST = 1 << 20  # bytes that wait to be read before the peer is held up


class Intake:
    """What aiohttp hands the connection's bytes to."""

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
        data, held = self._waiting.popleft(), self._size > MOST
        self._size -= len(data)
        if held and self._size <= MOST and not self._ended:
            self._transport.resume_reading()
        return data

    def close(self) -> None:
        """Close the connection when what was written to it has been sent."""
        self._transport.close()

    def abort(self) -> None:
        """Close the connection without waiting for a peer that takes nothing."""
        if not self._ended:
            self._transport.abort()


async def taken_over(request: web.Request, response: web.StreamResponse) -> Intake:
    """Send the response, a 101, and take what comes from then on. Raises ConnectionResetError where nobody is left."""
    if request.transport is None:
        raise ConnectionResetError("the client is gone")
    intake = Intake(request.transport)
    # aiohttp knows no upgrade but WebSocket; from here on it takes the bytes for that protocol's.
    request.protocol.set_parser(intake)  # type: ignore[arg-type]
    response.force_close()
    await response.prepare(request)
    return intake


async def until_one_ends(*ways: Coroutine[Any, Any, None]) -> None:
    """Run all of them; when one is over, however it came to that, so are the others."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
