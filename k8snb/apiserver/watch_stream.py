"""kube-apiserver's watch handler: the events of a watch as lines of an answer that does not end.

Interface: `WatchStreams(clock, revision)`: `serve(request, watch, call, form) -> response`, `close()`;
`bookmark(kind, revision)`.
The rule not to break: an event is encoded once for all who watch it, and a burst costs the I/O loop one waking.
Source: `apiserver/pkg/endpoints/handlers/watch.go`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

from aiohttp import web

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.apiserver.negotiation import PLAIN, TABLE, Form
from k8snb.apiserver.serving import encode
from k8snb.client import Request, Watch
from k8snb.client.client import Event
from k8snb.clock import Clock

BOOKMARK_SECONDS = 60.0
WATCH_SECONDS = 1800.0  # a watch without timeoutSeconds ends after this, and clients begin another
KEPT_LINES = 64


class WatchStreams:
    """The watches that clients of other processes follow. `revision` is the newest one, for bookmarks."""

    def __init__(self, clock: Clock, revision: Callable[[], int]) -> None:
        self._clock = clock
        self._revision = revision
        self._watches: set[Watch] = set()
        self._bells = _Bells()
        self._lines = _Lines()

    def close(self) -> None:
        """End every watch."""
        for watch in list(self._watches):
            watch.stop()
            if watch.on_arrival is not None:
                watch.on_arrival()

    async def serve(self, request: web.Request, watch: Watch, call: Request, form: Form) -> web.StreamResponse:
        """Send a watch's events until it, the client or the time ends it."""
        self._bells.loop = asyncio.get_running_loop()
        response = web.StreamResponse(headers={"Content-Type": form.media_type})
        response.enable_chunked_encoding()
        arrived = asyncio.Event()
        watch.on_arrival = lambda: self._bells.ring(arrived)
        self._watches.add(watch)
        try:
            await response.prepare(request)
            await self._pour(response, watch, call, form, arrived)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._watches.discard(watch)
            watch.on_arrival = None
            watch.stop()
        return response

    async def _pour(
        self, response: web.StreamResponse, watch: Watch, call: Request, form: Form, arrived: asyncio.Event
    ) -> None:
        """Send events as they come, bookmarks now and then, until the time is over or nobody listens."""
        loop = asyncio.get_running_loop()
        end = loop.time() + float(call.options.get("timeoutSeconds") or WATCH_SECONDS)
        writer = _EventWriter(call, form, self._clock, self._lines)
        timer = loop.call_at(min(end, loop.time() + BOOKMARK_SECONDS), arrived.set)
        while not watch.stopped and loop.time() < end:
            arrived.clear()
            while (event := watch.pop()) is not None:
                await response.write(writer.line(event))
            if loop.time() >= timer.when():
                if call.options.get("allowWatchBookmarks") and not watch.events:
                    await response.write(writer.line(bookmark(call.kind, self._revision())))
                timer = loop.call_at(min(end, loop.time() + BOOKMARK_SECONDS), arrived.set)
            await arrived.wait()
        timer.cancel()


class _Bells:
    """Wakes streams from other threads: those rung at once cost the I/O loop one waking."""

    def __init__(self) -> None:
        self._rung: deque[asyncio.Event] = deque()
        self._coming = False
        self.loop: asyncio.AbstractEventLoop | None = None

    def ring(self, bell: asyncio.Event) -> None:
        self._rung.append(bell)
        if not self._coming and self.loop is not None:
            self._coming = True
            self.loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._coming = False
        while self._rung:
            self._rung.popleft().set()


class _Lines:
    """The newest watch events as they go out: an event that many watch is encoded once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], tuple[Object, bytes]] = OrderedDict()

    def line(self, event: Event) -> bytes:
        key = (event.sort, id(event.object))
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = (event.object, _line(event.sort, event.object))  # holding it keeps its id its own
            if len(self._kept) > KEPT_LINES:
                self._kept.popitem(last=False)
        return kept[1]


def _line(sort: str, obj: Object) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (sort.encode(), encode(obj))


class _EventWriter:
    """Watch events as lines; a Table's columns go out once."""

    def __init__(self, call: Request, form: Form, clock: Clock, lines: _Lines) -> None:
        self._call, self._form, self._clock, self._lines = call, form, clock, lines
        self._columns = True

    def line(self, event: Event) -> bytes:
        if self._form.shape == PLAIN:
            return self._lines.line(event)
        obj = event.object
        if event.sort not in ("BOOKMARK", "ERROR"):
            include = self._call.options.get("includeObject", "Metadata")
            obj = self._form.convert(obj, self._call.kind, self._clock.now(), include=include, columns=self._columns)
            self._columns = self._columns and self._form.shape != TABLE
        return _line(event.sort, obj)


def bookmark(kind: Kind, revision: int) -> Event:
    """The event that says: up to this revision you have seen all."""
    obj = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": {"resourceVersion": str(revision)}}
    return Event("BOOKMARK", obj)
