"""kube-apiserver's proxy over HTTPS: a client's request goes on to a pod as it comes, the answer back as it comes.

Interface: `proxier(transport)` is what `HttpsServer.proxy` wants, and `aggregator(transport)` what its `aggregate`
does: the same for the kinds of another server.
The rule not to break: neither body is ever held whole, and a client's credentials stay here.
Source: `UpgradeAwareHandler` in apimachinery/pkg/util/proxy/upgradeaware.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web

from k8snb.apiserver.asking import ask
from k8snb.apiserver.log_stream import stream_log
from k8snb.apiserver.nodes import HttpReply
from k8snb.apiserver.paths import Route
from k8snb.apiserver.proxy_bridge import Headers, HttpBridge, Proxied, unreachable, without_hop_by_hop
from k8snb.apiserver.proxy_links import LinkRewriter, Origin, rewrite
from k8snb.apiserver.streams import Message
from k8snb.apiserver.upgrade import Queue
from k8snb.client import Request, Transport, User
from k8snb.client.intake import Intake, taken_over, until_one_ends

CHUNK = 1 << 16
GONE = 1.0  # seconds between two looks whether the client of a silent pod is still there
REDIRECTED = ("GET", "HEAD")
NO_BODY = (204, 304)
REWRITTEN = ("content-length", "content-encoding")  # what a page does not keep whose links are moved
# what is meant for the apiserver, or no longer true of what is passed on
PRIVATE = ("authorization", "impersonate-", "expect", "x-remote-")


def proxier(transport: Transport) -> Callable[[web.Request, Route, User], Awaitable[web.StreamResponse]]:
    """The way of a request below `proxy`: asked of the apiserver like any other, then passed on."""

    async def answer(request: web.Request, route: Route, user: User) -> web.StreamResponse:
        query = request.raw_path.partition("?")[2]
        path = (route.rest or "/") + (f"?{query}" if query else "")
        options = {"method": request.method, "path": path, "upgrade": True}
        call = Request(route.verb, route.kind, route.namespace, route.name, "proxy", options=options, user=user)
        found = await ask(transport, call)
        if not route.rest and request.method in REDIRECTED:
            there = request.raw_path.partition("?")[0] + "/" + (f"?{query}" if query else "")
            return web.Response(status=301, headers={"Location": there})
        return await (_pass_on(request, found, route) if isinstance(found, Proxied) else _say(request, found))

    return answer


def aggregator(transport: Transport) -> Callable[[web.Request, Route, User], Awaitable[web.StreamResponse]]:
    """The way of a request for a kind that another server serves: path, query and body go on as they came."""

    async def answer(request: web.Request, route: Route, user: User) -> web.StreamResponse:
        options = {"path": request.raw_path, "upgrade": True}
        call = Request(route.verb, route.kind, route.namespace, route.name, route.subresource, options=options,
                       user=user)  # fmt: skip
        found = await ask(transport, call)
        return await _pass_on(request, found, route)

    return answer


async def _say(request: web.Request, reply: HttpReply) -> web.StreamResponse:
    return await stream_log(request, reply.body, status=reply.status, media_type=reply.media_type)


async def _pass_on(request: web.Request, wish: Proxied, route: Route) -> web.StreamResponse:
    return await _Passage(request, wish, route).run()


class _Passage:
    """One client's request on its way to a pod; hears the answer."""

    def __init__(self, request: web.Request, wish: Proxied, route: Route) -> None:
        path = request.raw_path.partition("?")[0]
        prefix = path.removesuffix(route.rest) if route.rest else path
        self._request = request
        self._origin = Origin(prefix=prefix, here=request.host, there=wish.authority)
        self._line = Queue(self._put)
        self._head: asyncio.Future[tuple[int, Headers]] = asyncio.get_running_loop().create_future()
        self._response: web.StreamResponse | None = None
        self._links: LinkRewriter | None = None
        self._broken = False
        headers = [*_headers(request, prefix + route.rest), *wish.headers]
        self._bridge = HttpBridge(wish, self._line, self, method=request.method, headers=headers)
        self._line.conversation = self._bridge

    async def run(self) -> web.StreamResponse:
        """Pass both bodies on. Raises ServiceUnavailable where no answer begins."""
        sending = asyncio.get_running_loop().create_task(self._send())
        self._bridge.begin()
        try:
            status, headers = await self._first_words()
            if status == 101:
                return await self._stream(headers)
            return await self._answer(status, headers)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            self._bridge.hang_up()

    async def _send(self) -> None:
        with suppress(ConnectionError):
            async for data in self._request.content.iter_chunked(CHUNK):
                self._bridge.receive(data)
                await self._line.room()
            self._bridge.finish()

    async def _first_words(self) -> tuple[int, Headers]:
        """The head of the answer; a client that has gone does not wait for it."""
        while not (await asyncio.wait({self._head}, timeout=GONE))[0]:
            if self._gone():
                raise ConnectionResetError("the client is gone")
        return self._head.result()

    def _gone(self) -> bool:
        return self._request.transport is None or self._request.transport.is_closing()

    async def _answer(self, status: int, headers: Headers) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        for name, value in rewrite(headers, self._origin):
            response.headers.add(name, value)
        if "Content-Length" not in response.headers and status not in NO_BODY and self._request.method != "HEAD":
            response.enable_chunked_encoding()
        await response.prepare(self._request)
        self._response = response
        with suppress(ConnectionError):
            await self._pour()
        if self._broken and self._request.transport is not None:
            self._request.transport.abort()  # the client is to see that this was not all
        return response

    async def _pour(self) -> None:
        pouring = asyncio.get_running_loop().create_task(self._line.run())
        try:
            while not (await asyncio.wait({pouring}, timeout=GONE))[0]:
                if self._gone():
                    return
            await pouring
        finally:
            pouring.cancel()

    async def _stream(self, headers: Headers) -> web.StreamResponse:
        """The pod has agreed to another protocol: from here on bytes go both ways."""
        response = self._response = web.StreamResponse(status=101, headers=dict(headers))
        intake = await taken_over(self._request, response)
        try:
            await until_one_ends(self._listen(intake), self._line.run())
        finally:
            intake.abort()
        return response

    async def _listen(self, intake: Intake) -> None:
        while data := await intake.read():
            self._bridge.receive(data)
            await self._line.room()

    async def _put(self, message: Message) -> None:
        assert self._response is not None and isinstance(message, bytes)
        await self._response.write(message)

    # what the pod answers

    def head(self, status: int, headers: Headers) -> None:
        if LinkRewriter.wants(headers) and self._request.method != "HEAD":
            self._links = LinkRewriter(self._origin, headers)
            headers = [(name, value) for name, value in headers if name.lower() not in REWRITTEN]
        if not self._head.done():
            self._head.set_result((status, headers))

    def body(self, data: bytes) -> None:
        self._say(self._links.feed(data) if self._links is not None else data)

    def end(self) -> None:
        if self._links is not None:
            self._say(self._links.close())
        self._line.finish()

    def failed(self, message: str) -> None:
        self._broken = True
        if not self._head.done():
            self._head.set_exception(unreachable(message))
        self._line.finish()

    def _say(self, data: bytes) -> None:
        if data:
            self._line.send(data)


def _headers(request: web.Request, uri: str) -> Headers:
    """The client's headers as the pod is to see them. Source: `httputil.ReverseProxy`, `Transport.RoundTrip`."""
    given = [(name, value) for name, value in request.headers.items() if not name.lower().startswith(PRIVATE)]
    upgraded = request.headers.get("Upgrade", "") if "upgrade" in request.headers.get("Connection", "").lower() else ""
    kept = without_hop_by_hop(given)
    if request.body_exists and all(name.lower() != "content-length" for name, _ in kept):
        kept = [*kept, ("Transfer-Encoding", "chunked")]
    if upgraded:
        kept = [*kept, ("Connection", "Upgrade"), ("Upgrade", upgraded)]
    before = [value for name, value in kept if name.lower() == "x-forwarded-for"]
    kept = [(name, value) for name, value in kept if name.lower() != "x-forwarded-for"]
    return [*kept, ("X-Forwarded-For", ", ".join([*before, request.remote or ""])), ("X-Forwarded-Uri", uri)]
