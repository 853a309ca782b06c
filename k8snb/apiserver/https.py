"""kube-apiserver's HTTPS face: the REST API for clients of other processes: kubectl, the Python clients, a browser.

Interface: `HttpsServer(transport, …)`: `start(port) -> port`, `close()`.
The rule not to break: a slow or broken client costs the others nothing; no request blocks the I/O loop for long.
Source: `apiserver/pkg/{server,endpoints}`; what clients send was seen on real ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, Protocol
from weakref import WeakSet

from aiohttp import web

from k8snb.apimachinery.errors import ApiError, bad_request, internal
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.apiserver import bodies, discovery, paths
from k8snb.apiserver.field_manager import manager_from_user_agent
from k8snb.apiserver.negotiation import PLAIN, TABLE, YAML, Form, negotiate
from k8snb.apiserver.paths import Route
from k8snb.apiserver.serving import Documents, encode
from k8snb.client import Request, Transport, User, Watch
from k8snb.client.client import APPLY, Event
from k8snb.clock import Clock
from k8snb.ioloop import IoLoop

MAX_BODY = 3 * 1024 * 1024  # bytes, as upstream's limit
MAX_IN_FLIGHT = 400
BOOKMARK_SECONDS = 60.0
WATCH_SECONDS = 1800.0  # a watch without timeoutSeconds ends after this, and clients begin another
KEPT_LINES = 64
PARTING = 0.02  # seconds for aborted connections to go
LOG_AHEAD = 64  # lines that are read before the client has taken the ones before
IDLE_LOG = 0.2  # seconds between two looks at a log that has nothing new
WORKERS = 8
HEALTH = ("/healthz", "/livez", "/readyz")
OPEN = (*HEALTH, "/version")  # what answers without credentials


class Gate(Protocol):
    """Who a request is from. Raises ApiError: 401 for bad credentials, 403 for an impersonation that is not allowed."""

    def identify(self, certificate: Object | None, headers: Any, path: str) -> User: ...
    def check_path(self, user: User, verb: str, path: str) -> None: ...


class HttpsServer:
    """Serves one cluster on one port of this machine's loopback address."""

    def __init__(self, transport: Transport, gate: Gate, clock: Clock, context: ssl.SSLContext | None) -> None:
        self._transport = transport
        self._gate = gate
        self._clock = clock
        self._context = context
        self._io = IoLoop()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="k8snb-https")
        self._documents = Documents(transport)
        self._runner: web.AppRunner | None = None
        self._watches: set[Watch] = set()
        self._bells = _Bells()
        self._lines = _Lines()
        self._in_flight = 0
        self._connections: WeakSet[asyncio.Transport] = WeakSet()
        self.revision: Callable[[], int] = lambda: 0
        self.upgrade: Callable[[web.Request, Route, User], Any] | None = None

    # life

    def start(self, port: int = 0, host: str = "127.0.0.1") -> int:
        """Listen, and return the port. Raises OSError when the port is taken."""
        return self._io.call(self._start(host, port)).result(30)

    async def _start(self, host: str, port: int) -> int:
        self._bells.loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, keepalive_timeout=120, shutdown_timeout=0.5
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=self._context)
        await site.start()
        addresses = self._runner.addresses
        return int(addresses[0][1])

    def close(self) -> None:
        """End all connections; nothing stays behind."""
        if self._runner is not None:
            with contextlib.suppress(TimeoutError):
                self._io.call(self._close()).result(10)
        self._io.close()
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def _close(self) -> None:
        for watch in list(self._watches):
            watch.stop()
            if watch.on_arrival is not None:
                watch.on_arrival()
        assert self._runner is not None
        await self._runner.cleanup()
        for connection in list(self._connections):  # a stream that was upgraded is no longer the runner's to close
            connection.abort()
        await asyncio.sleep(PARTING)

    # one request's way

    async def _answer(self, request: web.Request) -> web.StreamResponse:
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
        if path in OPEN:
            return _open(path)
        user = self._gate.identify(_certificate(request), request.headers, path)
        if path.startswith(("/api/", "/apis/")):
            with contextlib.suppress(_NoRouteError):
                route = self._route(request)
                return await self._resource(request, route, user)
        self._gate.check_path(user, request.method.lower(), path)
        return self._documents.answer(request)

    def _route(self, request: web.Request) -> Route:
        """Raises _NoRouteError for a discovery document's path."""
        if self._documents.is_discovery(request.path):
            raise _NoRouteError
        return paths.parse(request.method, request.raw_path.split("?")[0], request.query, self._transport.kinds())

    async def _resource(self, request: web.Request, route: Route, user: User) -> web.StreamResponse:
        if route.subresource in ("exec", "attach", "portforward") and self.upgrade is not None:
            with self._long_running():
                answer: web.StreamResponse = await self.upgrade(request, route, user)
            return answer
        form = negotiate(request.headers.get("Accept", ""))
        repeated = {"command": request.query.getall("command")} if "command" in request.query else {}
        options = paths.options(route, request.query, repeated)
        call = Request(
            route.verb, route.kind, route.namespace, route.name, route.subresource, options=options, user=user
        )
        await self._read_body(request, call)
        call.options = {**options, **_delete_options(call), **_field_options(call, options, request.headers)}
        answer_ = await self._in_thread(lambda: self._transport.handle(call))
        if isinstance(answer_, Watch):
            with self._long_running():
                return await self._stream_watch(request, answer_, call, form)
        if not isinstance(answer_, dict):
            with self._long_running():
                return await self._stream_log(request, _limited(answer_, call.options.get("limitBytes")))
        return await self._reply(request, answer_, call, form)

    async def _read_body(self, request: web.Request, call: Request) -> None:
        if not request.body_exists:
            return
        call.content_type = request.headers.get("Content-Type", "").split(";")[0].strip()
        call.body, twice = bodies.read(await request.read(), call.content_type)
        mode = call.options.get("fieldValidation", "Warn")
        if twice and mode == "Strict":
            fields = ", ".join(f'duplicate field "{name}"' for name in twice)
            raise bad_request(f"strict decoding error: {fields}")
        if twice and mode == "Warn":
            call.warnings.extend(f'duplicate field "{name}"' for name in twice)

    async def _reply(self, request: web.Request, answer: Object, call: Request, form: Form) -> web.StreamResponse:
        include = request.query.get("includeObject", "Metadata")
        status = _status(answer, call)
        headers = [("Warning", f'299 - "{_quoted(text)}"') for text in call.warnings]

        def body() -> bytes:
            shown = form.convert(answer, call.kind, self._clock.now(), include=include)
            return encode(shown, form.media_type)

        many = len(answer.get("items", ())) > 100
        data = await self._in_thread(body) if many else body()
        response = web.Response(body=data, status=status, content_type=form.media_type)
        response.headers.extend(headers)
        if len(data) > 128 * 1024 and "gzip" in request.headers.get("Accept-Encoding", ""):
            response.enable_compression(web.ContentCoding.gzip)
        return response

    def _in_thread(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._workers, work)

    # streams

    async def _stream_watch(self, request: web.Request, watch: Watch, call: Request, form: Form) -> web.StreamResponse:
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
                    await response.write(writer.line(bookmark(call.kind, self.revision())))
                timer = loop.call_at(min(end, loop.time() + BOOKMARK_SECONDS), arrived.set)
            await arrived.wait()
        timer.cancel()

    async def _stream_log(self, request: web.Request, lines: Iterator[bytes]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        reader = _LogReader(lines)
        try:
            await response.prepare(request)
            reader.start()
            while (line := await reader.queue.get()) is not None:
                await response.write(line)
        except ConnectionError:
            pass
        finally:
            reader.gone.set()
        return response

    @contextlib.contextmanager
    def _long_running(self) -> Iterator[None]:
        """A stream does not count among the requests in flight: it may last for hours and costs little."""
        self._in_flight -= 1
        try:
            yield
        finally:
            self._in_flight += 1


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


class _NoRouteError(Exception):
    """The path is not that of a resource."""


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


def _certificate(request: web.Request) -> Object | None:
    """The client's certificate, checked by TLS against the cluster's authority."""
    transport = request.transport
    found: Object | None = transport.get_extra_info("peercert") if transport is not None else None
    return found


def _open(path: str) -> web.Response:
    if path == "/version":
        return web.json_response(discovery.version())
    return web.Response(text="ok")


def _delete_options(call: Request) -> Object:
    """DeleteOptions may come in the body as well as in the query."""
    if call.verb not in ("delete", "deletecollection") or not isinstance(call.body, dict):
        return {}
    body = call.body
    found = {name: body[name] for name in ("gracePeriodSeconds", "propagationPolicy", "preconditions") if name in body}
    if body.get("orphanDependents") is not None and "propagationPolicy" not in found:
        found["propagationPolicy"] = "Orphan" if body["orphanDependents"] else "Background"
    if body.get("dryRun"):
        found["dryRun"] = body["dryRun"] == ["All"]
    return found


def _field_options(call: Request, options: Object, headers: Any) -> Object:
    """Who manages the fields of a write where the client does not say, and that answers tell of managers.

    Lists and watches go out without managedFields: working them out for every item would take seconds.
    """
    found: Object = {"managedFields": True} if call.verb in ("get", "create", "update", "patch") else {}
    if call.verb in ("create", "update", "patch") and call.content_type != APPLY and not options.get("fieldManager"):
        found["fieldManager"] = manager_from_user_agent(headers.get("User-Agent", ""))
    return found


def _status(answer: Object, call: Request) -> int:
    if answer.get("kind") == "Status":
        return int(answer.get("code") or 200)
    return 201 if call.verb == "create" else 200


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _refused(error: ApiError, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=json.dumps(error.status).encode(), status=error.code, headers=headers,
                        content_type="application/json")  # fmt: skip


__all__ = ["YAML", "Gate", "HttpsServer", "bookmark"]
