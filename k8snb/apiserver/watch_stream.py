"""kube-apiserver's watch handler: the events of a watch as lines of an answer that does not end.

Interface: `WatchStreams(clock, revision, in_thread)`: `serve(request, watch, call, form) -> response`, `close()`.
The rule not to break: an event is encoded once for all who watch it, a burst costs the I/O loop one waking and no task
any, and a client that does not read is let go before it costs memory.
Source: `apiserver/pkg/endpoints/handlers/watch.go`, `apiserver/pkg/storage/cacher/cache_watcher.go`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http import HttpVersion11

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.apiserver.negotiation import PLAIN, TABLE, Form
from k8snb.apiserver.serving import encode
from k8snb.client import Request, Watch
from k8snb.client.client import Event
from k8snb.clock import Clock

BOOKMARK_SECONDS = 60.0
WATCH_SECONDS = 1800.0  # a watch without timeoutSeconds ends after this, and clients begin another
LOOK_SECONDS = 4.0  # until it is noticed that a client whom nobody has anything to tell has gone
PARTING = 2.0  # seconds for a client to take what was begun
KEPT_LINES = 64
BATCH = 64 * 1024  # bytes that are written at once, and that may wait for a client before nothing more is written
BEHIND = 10_000  # events that a client may be behind before it is let go

InThread = Callable[[Callable[[], Any]], asyncio.Future[Any]]


class WatchStreams:
    """The watches that clients of other processes follow. `revision` is the newest one, for bookmarks.

    `in_thread` runs what may have to wait for the cluster's lock.
    """

    def __init__(self, clock: Clock, revision: Callable[[], int], in_thread: InThread) -> None:
        self._clock = clock
        self._revision = revision
        self._in_thread = in_thread
        self._streams: set[_Stream] = set()
        self._bells = _Bells()
        self._lines = _Lines()

    def close(self) -> None:
        """End every watch."""
        for stream in list(self._streams):
            stream.watch.stop()
            stream.end()

    async def serve(self, request: web.Request, watch: Watch, call: Request, form: Form) -> web.StreamResponse:
        """Send a watch's events until it, the client or the time ends it."""
        loop = self._bells.loop = asyncio.get_running_loop()
        response = web.StreamResponse(headers={"Content-Type": form.media_type})
        chunked = request.version >= HttpVersion11
        if chunked:
            response.enable_chunked_encoding()
        writer = _EventWriter(call, form, self._clock, self._lines, chunked=chunked)
        stream = _Stream(request, response, watch, writer)
        watch.on_arrival = lambda: self._bells.ring(stream)
        watch.limit = len(watch.events) + BEHIND
        seconds = float(call.options.get("timeoutSeconds") or WATCH_SECONDS)
        timer, looking = loop.call_later(seconds, stream.end), loop.create_task(self._look_after(stream, call))
        self._streams.add(stream)
        try:
            await response.prepare(request)
            await stream.run()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._streams.discard(stream)
            watch.on_arrival = None
            timer.cancel()
            looking.cancel()
            stream.leave()
            if not watch.stopped:
                self._in_thread(watch.stop)
        return response

    async def _look_after(self, stream: _Stream, call: Request) -> None:
        """Notice that the client has gone, and send a bookmark now and then."""
        loop = asyncio.get_running_loop()
        due = loop.time() + BOOKMARK_SECONDS
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if stream.has_gone():
                stream.end()
            if loop.time() >= due:
                due = loop.time() + BOOKMARK_SECONDS
                if call.options.get("allowWatchBookmarks"):
                    await self._bookmark(stream, call.kind)

    async def _bookmark(self, stream: _Stream, kind: Kind) -> None:
        """Whatever has happened since the question is newer than the answer, and takes the bookmark's place."""
        sent = stream.sent
        revision = await self._in_thread(self._revision)
        stream.flush()
        if stream.sent == sent and not stream.is_behind():
            stream.watch.push(bookmark(kind, revision))


class _Stream:
    """One client's connection. `flush` writes what has come; only where the client is slow does its task write."""

    def __init__(self, request: web.Request, response: web.StreamResponse, watch: Watch, writer: _EventWriter) -> None:
        self.watch = watch
        self.sent = 0  # events
        self._request, self._response, self._writer = request, response, writer
        self._behind = True  # the task writes what was there at the beginning
        self._ended = False
        self._parting: asyncio.TimerHandle | None = None
        self._called = asyncio.Event()

    def has_gone(self) -> bool:
        transport = self._request.transport
        return transport is None or transport.is_closing()

    def is_behind(self) -> bool:
        return self._behind or bool(self.watch.events)

    def end(self) -> None:
        """Come to an end soon; a client that is in the middle of an event has a moment to take the rest of it."""
        self._ended = True
        self._called.set()
        transport = self._request.transport
        if transport is not None and self._parting is None:
            self._parting = asyncio.get_running_loop().call_later(PARTING, transport.abort)

    def leave(self) -> None:
        if self._parting is not None:
            self._parting.cancel()

    def flush(self) -> None:
        """Write the events that have come to the client's connection."""
        if self.watch.stopped:
            self.end()
        transport = self._request.transport
        if self._behind or self._ended or transport is None:
            return
        transport.write(self._batch(self._writer.frame))
        if self.watch.events or transport.get_write_buffer_size() > BATCH:
            self._behind = True
            self._called.set()

    async def run(self) -> None:
        """Write what the client can take, whenever it is behind, until the end."""
        self._called.set()
        while True:
            await self._called.wait()
            self._called.clear()
            while self.watch.events and not self._ended:
                await self._response.write(self._batch(self._writer.line))
                await asyncio.sleep(0)  # many objects at the beginning are not to hold up the others
            if self._ended or self.watch.stopped or self.has_gone():
                return
            self._behind = False

    def _batch(self, write: Callable[[Event], bytes]) -> bytes:
        lines, size = [], 0
        while size < BATCH and (event := self.watch.pop()) is not None:
            lines.append(write(event))
            size += len(lines[-1])
        self.sent += len(lines)
        return b"".join(lines)


class _Bells:
    """Calls streams from other threads: those rung at once cost the I/O loop one waking."""

    def __init__(self) -> None:
        self._rung: deque[_Stream] = deque()
        self._coming = False
        self.loop: asyncio.AbstractEventLoop | None = None

    def ring(self, stream: _Stream) -> None:
        self._rung.append(stream)
        if not self._coming and self.loop is not None:
            self._coming = True
            self.loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._coming = False
        while self._rung:
            self._rung.popleft().flush()


class _Lines:
    """The newest watch events as they go out: an event that many watch is encoded once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], tuple[Object, bytes, bytes]] = OrderedDict()

    def of(self, event: Event) -> tuple[Object, bytes, bytes]:
        """The object, its line, and the line as a chunk. Holding the object keeps its id its own."""
        key = (event.sort, id(event.object))
        kept = self._kept.get(key)
        if kept is None:
            line = _line(event.sort, event.object)
            kept = self._kept[key] = (event.object, line, _chunk(line))
            if len(self._kept) > KEPT_LINES:
                self._kept.popitem(last=False)
        return kept


def _line(sort: str, obj: Object) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (sort.encode(), encode(obj))


def _chunk(line: bytes) -> bytes:
    """A piece of an HTTP/1.1 answer whose length nobody knows (RFC 9112, section 7.1)."""
    return b"%x\r\n%s\r\n" % (len(line), line)


class _EventWriter:
    """Watch events as lines, or framed as chunks where the answer is `chunked`; a Table's columns go out once."""

    def __init__(self, call: Request, form: Form, clock: Clock, lines: _Lines, *, chunked: bool) -> None:
        self._call, self._form, self._clock, self._lines = call, form, clock, lines
        self._columns = True
        self._chunked = chunked

    def line(self, event: Event) -> bytes:
        if self._form.shape == PLAIN:
            return self._lines.of(event)[1]
        obj = event.object
        if event.sort not in ("BOOKMARK", "ERROR"):
            include = self._call.options.get("includeObject", "Metadata")
            obj = self._form.convert(obj, self._call.kind, self._clock.now(), include=include, columns=self._columns)
            self._columns = self._columns and self._form.shape != TABLE
        return _line(event.sort, obj)

    def frame(self, event: Event) -> bytes:
        if self._form.shape == PLAIN and self._chunked:
            return self._lines.of(event)[2]
        return _chunk(self.line(event)) if self._chunked else self.line(event)


def bookmark(kind: Kind, revision: int) -> Event:
    """The event that says: up to this revision you have seen all."""
    obj = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": {"resourceVersion": str(revision)}}
    return Event("BOOKMARK", obj)
