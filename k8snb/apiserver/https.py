"""kube-apiserver's HTTPS face: the REST API for clients of other processes: kubectl, the Python clients, a browser.

Interface: `HttpsServer(transport, …)`: `start(port) -> port`, `adopt(socket)`, `close()`.
The rule not to break: a slow or broken client costs the others nothing; no request blocks the I/O loop for long.
Source: `apiserver/pkg/{server,endpoints}`; what clients send was seen on real ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from weakref import WeakSet

from aiohttp import web

from k8snb.apimachinery.errors import ApiError, internal, server_timeout
from k8snb.apimachinery.meta import Object
from k8snb.apiserver import connections, discovery, paths, warning
from k8snb.apiserver.asking import ask
from k8snb.apiserver.calls import read_call
from k8snb.apiserver.health import PATHS, Health
from k8snb.apiserver.log_stream import stream_log
from k8snb.apiserver.negotiation import Form, negotiate
from k8snb.apiserver.paths import Route
from k8snb.apiserver.serving import Documents, encode
from k8snb.apiserver.watch_stream import WatchStreams
from k8snb.client import Request, Transport, User, Watch
from k8snb.clock import Clock
from k8snb.ioloop import IoLoop

MAX_BODY = 3 * 1024 * 1024  # bytes, as upstream's limit
MAX_HEADER = 64 * 1024  # bytes of one line of a request's head
MAX_IN_FLIGHT = 400
REQUEST_SECONDS = 60.0  # for a request to arrive as a whole
LINGERING = 2.0  # seconds for what a client goes on sending after it has been refused
PARTING = 0.02  # seconds for aborted connections to go
WORKERS = 8
STREAMED = ("exec", "attach", "portforward", "proxy")
OPEN = (*PATHS, "/version")  # what answers without credentials


class Gate(Protocol):
    """Who a request is from. Raises ApiError: 401 for bad credentials, 403 for an impersonation that is not allowed."""

    def identify(self, certificate: Object | None, headers: Any, path: str) -> User: ...
    def check_path(self, user: User, verb: str, path: str) -> None: ...


class HttpsServer:
    """Serves one cluster on one port of this machine's loopback address."""

    def __init__(self, transport: Transport, gate: Gate, clock: Clock, context: ssl.SSLContext | None) -> None:
        self._transport = transport
        self._health_checks = Health(transport)
        self._gate = gate
        self._clock = clock
        self._context = context
        self._io = IoLoop()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="k8snb-https")
        self._documents = Documents(transport)
        self._runner: web.AppRunner | None = None
        self._listener: connections.Listener | None = None
        self._watches = WatchStreams(clock, lambda: self.revision(), self._in_thread)
        self._in_flight = 0
        self._connections: WeakSet[asyncio.Transport] = WeakSet()
        self.revision: Callable[[], int] = lambda: 0
        self.upgrade: Callable[[web.Request, Route, User], Any] | None = None
        self.proxy: Callable[[web.Request, Route, User], Any] | None = None
        self.aggregate: Callable[[web.Request, Route, User], Any] | None = None

    # life

    def start(self, port: int = 0, host: str = "127.0.0.1") -> int:
        """Listen, and return the port. Raises OSError when the port is taken."""
        return self._io.call(self._start(host, port)).result(30)

    def adopt(self, listening: socket.socket) -> None:
        """Answer at a socket that listens already, too; it is closed with this."""
        self._io.call(self._adopt(listening)).result(30)

    async def _start(self, host: str, port: int) -> int:
        return await (await self._ready()).open(host, port)

    async def _adopt(self, listening: socket.socket) -> None:
        (await self._ready()).accept(listening)

    async def _ready(self) -> connections.Listener:
        if self._listener is None:
            self._listener = await self._new_listener()
        return self._listener

    async def _new_listener(self) -> connections.Listener:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:(?s:.*)}", self._answer)  # a path may hold an encoded line break
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, keepalive_timeout=120, shutdown_timeout=0.5,
            lingering_time=LINGERING, max_line_size=MAX_HEADER, max_field_size=MAX_HEADER, auto_decompress=False,
            logger=connections.logger(),
        )  # fmt: skip
        await self._runner.setup()
        assert self._runner.server is not None
        return connections.Listener(self._runner.server, self._context)

    def close(self) -> None:
        """End all connections; nothing stays behind."""
        if self._runner is not None:
            with contextlib.suppress(TimeoutError):
                self._io.call(self._close()).result(10)
        self._io.close()
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def _close(self) -> None:
        self._watches.close()
        assert self._runner is not None
        if self._listener is not None:
            self._listener.close()
        await self._runner.cleanup()
        for connection in list(self._connections):  # a stream that was upgraded is no longer the runner's to close
            connection.abort()
        await asyncio.sleep(PARTING)

    # one request's way

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        assert self._listener is not None
        self._listener.heard(request.protocol)
        try:
            return await self._answer_one(request)
        finally:
            self._listener.rests(request.protocol)

    async def _answer_one(self, request: web.Request) -> web.StreamResponse:
        if self._in_flight >= MAX_IN_FLIGHT:
            refusal = ApiError(429, "TooManyRequests", "too many requests, please try again later")
            return _refused(refusal, {"Retry-After": "1"})
        self._in_flight += 1
        if request.transport is not None:
            self._connections.add(request.transport)
        try:
            return await self._handle(request)
        except ApiError as error:
            return _refused(error)
        except web.HTTPRequestEntityTooLarge:
            words = f"Request entity too large: limit is {MAX_BODY}"
            return _refused(ApiError(413, "RequestEntityTooLarge", words))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            return _refused(internal(f"{type(error).__name__}: {error}"))
        finally:
            self._in_flight -= 1

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rstrip("/") or "/"
        if path == "/version":
            return web.json_response(discovery.version())
        if path in OPEN:
            return await self._health(request, path)
        user = self._gate.identify(_certificate(request), request.headers, path)
        if path.startswith(("/api/", "/apis/")):
            with contextlib.suppress(_NoRouteError):
                route = self._route(request)
                return await self._resource(request, route, user)
        self._gate.check_path(user, request.method.lower(), path)
        if path.startswith(tuple(f"{root}/" for root in PATHS)):
            return await self._health(request, path)
        return self._documents.answer(request)

    async def _health(self, request: web.Request, path: str) -> web.Response:
        asked = request.query
        status, text = await self._in_thread(
            lambda: self._health_checks.answer(path, verbose="verbose" in asked, exclude=asked.getall("exclude", ()))
        )
        return web.Response(text=text, status=status)

    def _route(self, request: web.Request) -> Route:
        """Raises _NoRouteError for a discovery document's path."""
        if self._documents.is_discovery(request.path):
            raise _NoRouteError
        return paths.parse(request.method, request.raw_path.split("?")[0], request.query, self._transport.kinds())

    async def _resource(self, request: web.Request, route: Route, user: User) -> web.StreamResponse:
        pass_on = self.proxy if route.subresource == "proxy" else self.upgrade
        pass_on = self.aggregate if route.kind.remote else pass_on
        if (route.subresource in STREAMED or route.kind.remote) and pass_on is not None:
            with self._uncounted():
                answer: web.StreamResponse = await pass_on(request, route, user)
            return answer
        form = negotiate(request.headers.get("Accept", ""))
        call = await self._read(request, route, user)
        answer_ = await ask(self._transport, call, self._workers)
        if isinstance(answer_, Watch):
            with self._uncounted():
                return await self._watches.serve(request, answer_, call, form)
        if not isinstance(answer_, dict):
            with self._uncounted():
                return await stream_log(request, answer_, call.options.get("limitBytes"))
        return await self._reply(request, answer_, call, form)

    async def _read(self, request: web.Request, route: Route, user: User) -> Request:
        try:
            with self._uncounted():
                async with asyncio.timeout(REQUEST_SECONDS):
                    return await read_call(request, route, user, self._in_thread)
        except TimeoutError:
            raise server_timeout(f"request did not complete within {REQUEST_SECONDS:.0f}s") from None

    async def _reply(self, request: web.Request, answer: Object, call: Request, form: Form) -> web.StreamResponse:
        include = request.query.get("includeObject", "Metadata")
        status = _status(answer, call)

        def body() -> bytes:
            shown = form.convert(answer, call.kind, self._clock.now(), include=include)
            return encode(shown, form.media_type)

        many = len(answer.get("items", ())) > 100
        data = await self._in_thread(body) if many else body()
        response = web.Response(body=data, status=status, content_type=form.media_type)
        response.headers.extend(warning.headers(call.warnings))
        if len(data) > 128 * 1024 and "gzip" in request.headers.get("Accept-Encoding", ""):
            response.enable_compression(web.ContentCoding.gzip)
        return response

    def _in_thread(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._workers, work)

    @contextlib.contextmanager
    def _uncounted(self) -> Iterator[None]:
        """A stream, or a client that is slow to say what it wants, does not count among the requests in flight."""
        self._in_flight -= 1
        try:
            yield
        finally:
            self._in_flight += 1


class _NoRouteError(Exception):
    """The path is not that of a resource."""


def _certificate(request: web.Request) -> Object | None:
    """The client's certificate, checked by TLS against the cluster's authority."""
    transport = request.transport
    found: Object | None = transport.get_extra_info("peercert") if transport is not None else None
    return found


def _status(answer: Object, call: Request) -> int:
    if answer.get("kind") == "Status":
        return int(answer.get("code") or 200)
    return 201 if call.verb == "create" else 200


def _refused(error: ApiError, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=json.dumps(error.status).encode(), status=error.code, headers=headers,
                        content_type="application/json")  # fmt: skip
