"""The ingress controller's door: HTTP and HTTPS on this machine's loopback address, and the way on to the pods.

Interface: `Door(decide, contexts)`: `open()` says where it answers, `close()`.
The rule not to break: bodies flow through piece by piece, both ways; none is gathered. What runs here touches sockets
and asks the router; it reaches a component through the pump.
aiohttp does the work that nginx does in a real cluster.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from k8snb.addons.ingress_router import Forward, Reply, Spot, Visit, failed
from k8snb.ioloop import IoLoop, bind_first

LOOPBACK = "127.0.0.1"
HTTP, HTTPS = (80, 8080, 0), (443, 8443, 0)  # which ports to try; 0 = any free one
PIECE = 1 << 16  # bytes of a body that are on their way at a time
CLOSING = 5.0
_HOP_BY_HOP = ("Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE",
               "Trailer", "Transfer-Encoding", "Upgrade")  # fmt: skip
_OWN = ("Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol")
_MAKES_NO_DIFFERENCE = ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE")  # where trying again does no harm

Decide = Callable[[Visit], Reply | Forward]
Ask = Callable[[str, Spot, Forward], Reply | None]


class Opened(NamedTuple):
    """Where the door answers, and why port 80 and 443 were not to be had ("" when they were)."""

    http: Spot
    https: Spot
    reason: str


class TooLarge(Exception):
    """A body is larger than `proxy-body-size` allows."""


class Door:
    """One HTTP and one HTTPS listener. `ask(method, spot, forward)`, where given, answers for pods without sockets."""

    def __init__(self, decide: Decide, context: Callable[[], ssl.SSLContext], *, ask: Ask | None = None) -> None:
        self._decide = decide
        self._context = context
        self._ask = ask
        self._io = IoLoop()
        self._runner: web.ServerRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> Opened:
        """Begin to answer. Raises OSError where no port can be had."""
        first, second = (
            bind_first(socket.SOCK_STREAM, [(LOOPBACK, port) for port in ports]) for ports in (HTTP, HTTPS)
        )
        self._io.call(self._open(first.sock, second.sock)).result(CLOSING)
        return Opened(first.spot, second.spot, first.reason or second.reason)

    def close(self) -> None:
        """Answer no more, let go of every connection, and end the thread. Closing twice changes nothing."""
        if self._io.running:
            with suppress(TimeoutError):
                self._io.call(self._close()).result(CLOSING)
        self._io.close()

    async def _open(self, *sockets: socket.socket) -> None:
        connector = aiohttp.TCPConnector(limit=0, ssl=False)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )  # fmt: skip
        server = web.Server(self._serve, handler_cancellation=True, auto_decompress=False, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.5)
        await self._runner.setup()
        for sock, context in zip(sockets, (None, self._context()), strict=True):
            await web.SockSite(self._runner, sock, ssl_context=context).start()

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()
        await asyncio.get_running_loop().shutdown_default_executor()

    # one request

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        decision = self._decide(visit_of(request))
        if isinstance(decision, Reply):
            return _answer(decision)
        try:
            if self._ask is not None:
                return await asyncio.to_thread(self._asked, request.method, decision)
            if _is_websocket(request):
                return await self._bridge(request, decision)
            return await self._pass_on(request, decision)
        except TooLarge:
            return _answer(failed(413))
        except TimeoutError:
            return _answer(failed(504))
        except (aiohttp.ClientError, OSError) as error:
            # aiohttp wraps what goes wrong while a body is being sent
            return _answer(failed(413 if isinstance(error.__cause__, TooLarge) else 502))

    def _asked(self, method: str, forward: Forward) -> web.StreamResponse:
        assert self._ask is not None
        for spot in forward.spots:
            reply = self._ask(method, spot, forward)
            if reply is not None:
                return _answer(reply)
        return _answer(failed(502))

    async def _pass_on(self, request: web.BaseRequest, forward: Forward) -> web.StreamResponse:
        """Ask one spot after the other, until one takes the connection."""
        if (request.content_length or 0) > forward.options.body_size > 0:
            raise TooLarge
        error: Exception | None = None
        for spot in forward.spots:
            try:
                return await self._exchange(request, forward, spot)
            except aiohttp.ClientConnectorError as refused:
                error = refused
            except aiohttp.ServerDisconnectedError as gone:
                if request.method not in _MAKES_NO_DIFFERENCE or request.can_read_body:
                    raise
                error = gone
        raise error or OSError("nobody is there")

    async def _exchange(self, request: web.BaseRequest, forward: Forward, spot: Spot) -> web.StreamResponse:
        assert self._session is not None
        options = forward.options
        timeout = aiohttp.ClientTimeout(sock_connect=options.connect_timeout, sock_read=options.read_timeout)
        body = _body(request, options.body_size) if request.can_read_body else None
        async with self._session.request(
            request.method, _url(forward, spot), headers=_headers(request, forward), data=body, timeout=timeout,
            allow_redirects=False,
        ) as answer:  # fmt: skip
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            response.headers.extend(_forwarded(answer.headers))
            for name, value in forward.answer_headers.items():
                response.headers.add(name, value)
            await response.prepare(request)
            try:
                await _pour(answer, response)
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                _break_off(request)
            return response

    async def _bridge(self, request: web.BaseRequest, forward: Forward) -> web.StreamResponse:
        """A WebSocket on either side, and every message passed on."""
        assert self._session is not None
        wanted = [word.strip() for word in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if word.strip()]
        headers = {name: value for name, value in _headers(request, forward).items() if name not in _OWN}
        url = _url(forward, forward.spots[0])
        async with self._session.ws_connect(url, headers=headers, protocols=wanted, max_msg_size=0) as inner:
            protocols = (inner.protocol,) if inner.protocol else ()
            outer = web.WebSocketResponse(protocols=protocols, max_msg_size=0)
            await outer.prepare(request)
            back = asyncio.ensure_future(_relay(inner, outer))
            try:
                await _relay(outer, inner)
            finally:
                back.cancel()
                with suppress(asyncio.CancelledError, ConnectionError, RuntimeError):
                    await back
        return outer


def visit_of(request: web.BaseRequest) -> Visit:
    """A request as the router wants to see it."""
    authority = request.headers.get("Host", "")
    here = request.transport.get_extra_info("sockname") if request.transport else None
    return Visit(
        method=request.method,
        host=host_of(authority),
        target=request.raw_path if request.raw_path.startswith("/") else URL(request.raw_path).raw_path_qs,
        scheme=request.scheme,
        client=request.remote or LOOPBACK,
        port=here[1] if here else 80,
        authority=authority,
        cookies=request.cookies,
        headers=request.headers,
    )


def host_of(authority: str) -> str:
    """The host of a Host header, without its port and its last dot, in lower case."""
    host, _, port = authority.rpartition(":")
    return (host if port.isdigit() else authority).lower().rstrip(".")


def _url(forward: Forward, spot: Spot) -> URL:
    return URL(f"{forward.scheme}://{spot[0]}:{spot[1]}{forward.target}", encoded=True)


def _is_websocket(request: web.BaseRequest) -> bool:
    return request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket"


def _headers(request: web.BaseRequest, forward: Forward) -> CIMultiDict[str]:
    headers = _forwarded(request.headers)
    for name, value in forward.headers.items():
        headers[name] = value
    return headers


def _forwarded(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Headers without those that belong to one connection."""
    kept = CIMultiDict(headers)
    named = [word.strip() for word in headers.get("Connection", "").split(",")]
    for name in (*_HOP_BY_HOP, *named):
        if name in kept:
            del kept[name]
    return kept


async def _body(request: web.BaseRequest, most: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in request.content.iter_chunked(PIECE):
        size += len(piece)
        if size > most > 0:
            raise TooLarge
        yield piece


async def _pour(answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
    async for piece in answer.content.iter_any():
        await response.write(piece)
    await response.write_eof()


def _break_off(request: web.BaseRequest) -> None:
    """The Service's answer broke off: so does the client's, whose status is said already."""
    if request.transport is not None:
        request.transport.close()


async def _relay(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    sink: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await sink.send_bytes(message.data)
    code = source.close_code
    await sink.close(code=code if code and code != aiohttp.WSCloseCode.ABNORMAL_CLOSURE else 1000)


def _answer(reply: Reply) -> web.Response:
    headers = {"Content-Type": "text/plain; charset=utf-8", **reply.headers}
    return web.Response(status=reply.status, body=reply.text.encode(), headers=headers)
