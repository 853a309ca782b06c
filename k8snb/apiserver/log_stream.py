"""kube-apiserver's log handler: a container's output as the body of an answer, for as long as it is followed.

Interface: `stream_log(request, lines, limit) -> response`.
The rule not to break: output is read only a few pieces ahead of the client, and no longer than the client stays.
Source: `registry/core/pod/rest/log.go`, `apiserver/pkg/registry/generic/rest/streamer.go`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import CancelledError

from aiohttp import web
from aiohttp.http import HttpVersion11

LOG_AHEAD = 64  # lines that are read before the client has taken the ones before
LOOK_SECONDS = 4.0  # until it is noticed that a client has gone
IDLE_LOG = 0.2  # seconds between two looks at a log that has nothing new


async def stream_log(
    request: web.Request, lines: Iterator[bytes], limit: int | None = None, *, status: int = 200,
    media_type: str = "text/plain",
) -> web.StreamResponse:  # fmt: skip
    """Send a log up to a number of bytes, as it is written; or something else that comes in pieces."""
    response = web.StreamResponse(status=status, headers={"Content-Type": media_type})
    if request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    reader = _LogReader(_limited(lines, limit))
    try:
        await response.prepare(request)
        reader.start()
        while (line := await _next(request, reader)) is not None:
            await response.write(line)
    except ConnectionError:
        pass
    finally:
        reader.gone.set()
    return response


async def _next(request: web.Request, reader: _LogReader) -> bytes | None:
    """The next piece; None at the end, or when the client has gone while there was nothing to say."""
    while request.transport is not None:
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(reader.queue.get(), LOOK_SECONDS)
    return None


class _LogReader:
    """Reads a container's output on a thread of its own: a log that is followed may have nothing to say for hours."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(LOG_AHEAD)
        self.gone = threading.Event()
        self._lines = lines
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        threading.Thread(target=self._read, name="k8snb-log", daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(RuntimeError, CancelledError):  # the loop has ended, and with it the client
            for line in self._lines:
                if self.gone.is_set():
                    return
                if line:
                    self._hand_over(line)
                else:
                    self.gone.wait(IDLE_LOG)
            self._hand_over(None)

    def _hand_over(self, line: bytes | None) -> None:
        """Wait until the client has room for it, or has gone."""
        handed = asyncio.run_coroutine_threadsafe(self.queue.put(line), self._loop)
        while not self.gone.is_set():
            with contextlib.suppress(TimeoutError):
                handed.result(IDLE_LOG)
                return
        handed.cancel()


def _limited(lines: Iterator[bytes], limit: int | None) -> Iterator[bytes]:
    """A log up to a number of bytes."""
    left = sys.maxsize if limit is None else limit
    try:
        while left > 0 and (line := next(lines, None)) is not None:
            yield line[:left]
            left -= len(line)
    finally:
        if isinstance(lines, Generator):
            lines.close()
