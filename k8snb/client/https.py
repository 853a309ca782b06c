"""client-go's REST client: the `Transport` to a server of another process, over HTTPS.

Interface: `HttpsTransport(endpoint)`: `handle` and `kinds` as every transport; `raw` and `stream` for any path;
`wait`, `refresh`, `close`.
The rule not to break: all sockets live on the I/O loop; whoever asks waits on a thread of its own, and can be
interrupted there.
Source: `client-go/rest`, `client-go/discovery`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import aiohttp

import k8snb
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.client import answers, discovery, urls
from k8snb.client.client import Event, HttpAnswer, Request, Unreachable, User, Watch
from k8snb.client.kubeconfig import KubeconfigError
from k8snb.client.remotecommand import RunResult, Streams, Wish, run_to_end
from k8snb.client.restconfig import Endpoint
from k8snb.client.tunnel import Tunnel, upgraded
from k8snb.clock import Clock, RealClock
from k8snb.ioloop import IoLoop

T = TypeVar("T")
Headers = list[tuple[str, str]]
Words = tuple[str, ...]
SELF = User("")  # whoever the credentials say
JSON, TABLE = "application/json", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
CONNECTING = 30.0  # seconds for a connection to stand
FIRST_LOOK, LONGEST_LOOK = 0.02, 0.5  # seconds between two looks at what nobody tells of
PIECE = 1 << 16
UNAUTHORIZED = 401


class HttpsTransport:
    """One server, as one user; a `Request` of another user than `SELF` asks the server to act as that one."""

    def __init__(self, endpoint: Endpoint, *, clock: Clock | None = None) -> None:
        self.endpoint = endpoint
        self._identity = endpoint.identity
        endpoint.headers()  # credentials that cannot be read are told of now
        self._certificate = endpoint.certificate()
        self._tls = endpoint.tls()
        self._clock = clock or RealClock()
        self._io = IoLoop()
        self._http: aiohttp.ClientSession | None = None
        self._left: list[aiohttp.ClientSession] = []
        self._kinds: tuple[Kind, ...] | None = None
        self._arrived = threading.Condition()
        self._arrivals = 0

    # what every transport can do

    def handle(self, request: Request) -> Any:
        """Raises ApiError; `Unreachable` where there is no answer."""
        door = _DOORS.get(request.subresource)
        if door is not None and request.kind.plural in urls.WITH_DOORS:
            return door(self, request)
        if request.verb == "watch":
            return self._watch(request)
        return self._ask(request)

    def kinds(self) -> tuple[Kind, ...]:
        """What the server serves. It is asked once, until `refresh()`."""
        if self._kinds is None:
            self._kinds = discovery.kinds(self._discover)
        return self._kinds

    def refresh(self) -> None:
        """Ask the server again what it serves, when that is needed next."""
        self._kinds = None

    def close(self) -> None:
        """End all connections. Closing twice changes nothing."""
        sessions, self._http, self._left = [*self._left, self._http], None, []
        for http in sessions:
            if http is not None:
                self._io.call(http.close()).result()
        self._io.close()

    # any path

    def raw(
        self, method: str, path: str, body: bytes = b"", *, headers: Mapping[str, str] | None = None,
        user: User = SELF,
    ) -> HttpAnswer:  # fmt: skip
        """What the server answers at a path, whatever it is. Raises Unreachable."""
        return self._run(self._exchange(method, path, body, [*(headers or {}).items(), *self._as(user)]))

    def fetch(self, method: str, path: str, body: bytes = b"", *, user: User = SELF) -> bytes:
        """The same for what is meant as JSON. Raises ApiError for a refusal."""
        headers = {"Accept": JSON, **({"Content-Type": JSON} if body else {})}
        answer = self.raw(method, path, body, headers=headers, user=user)
        return answer.body if answer.status < urls.REFUSED else answers.refuse(answer)

    def stream(self, path: str, *, user: User = SELF) -> Iterator[bytes]:
        """The answer at a path piece by piece, b"" where nothing has come for a moment. Raises ApiError."""
        return _Pieces(self, self._run(self._open("GET", path, b"", self._as(user))))

    async def relay(
        self, method: str, path: str, body: bytes, headers: Headers, user: User = SELF, *, base: str = ""
    ) -> tuple[HttpAnswer, AsyncIterator[bytes]]:
        """The head of an answer, and its body as it comes; for whoever has a loop of its own. Raises Unreachable.

        `base` is where the path begins, unless that is the server's own URL.
        """
        response, pieces = await asyncio.wrap_future(
            self._io.call(self._relayed(method, path, body, [*headers, *self._as(user)], base))
        )
        return HttpAnswer(response.status, answers.lower(response.headers), b""), self._each(response, pieces)

    async def tunnel(self, path: str, headers: Headers, user: User = SELF) -> Tunnel:
        """A socket on which another protocol is to be spoken; for whoever has a loop of its own. Raises OSError."""
        credentials = await asyncio.wrap_future(self._io.call(self.credentials()))
        return await upgraded(self.endpoint, self._tls, path, [*credentials, *headers, *self._as(user)])

    async def _relayed(
        self, method: str, path: str, body: bytes, headers: Headers, base: str
    ) -> tuple[aiohttp.ClientResponse, AsyncIterator[bytes]]:
        response = await self._begin(method, path, body, headers, base=base)
        return response, response.content.iter_any()

    async def _each(self, response: aiohttp.ClientResponse, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            while piece := await asyncio.wrap_future(self._io.call(_next(pieces))):
                yield piece
        finally:
            self._io.post(response.close)

    def wait(self, until: Callable[[], bool], timeout: float) -> bool:
        """Look until a condition holds, at once when something arrives; whether it came true in `timeout` seconds."""
        end, pause = self._clock.monotonic() + timeout, FIRST_LOOK
        while True:
            seen = self._arrivals
            if until():
                return True
            left = end - self._clock.monotonic()
            if left <= 0:
                return False
            with self._arrived:
                if seen == self._arrivals:
                    self._arrived.wait(min(pause, left))
            pause = min(pause * 1.5, LONGEST_LOOK)

    def told(self) -> None:
        """Something has arrived; called on the loop."""
        with self._arrived:
            self._arrivals += 1
            self._arrived.notify_all()

    # requests

    def _ask(self, request: Request) -> Any:
        body = urls.body(request)
        headers = self._accepting(request)
        if body:
            headers.append(("Content-Type", request.content_type or JSON))
        answer = self._run(self._exchange(urls.METHODS[request.verb], urls.path(request), body, headers))
        request.warnings += answers.warnings_of(answer.headers)
        return urls.read(request, answers.checked(answer))

    def _proxied(self, request: Request) -> HttpAnswer:
        options = request.options
        headers = [*options.get("headers", {}).items(), *self._as(request.user)]
        answer = self._run(self._exchange(options["method"], urls.proxy_path(request), request.body or b"", headers))
        return answer if not answers.is_status(answer) else answers.refuse(answer)

    def _log(self, request: Request) -> Iterator[bytes]:
        return self.stream(urls.path(request), user=request.user)

    def _discover(self, path: str, accept: str) -> Object:
        answer = self._run(self._exchange("GET", path, b"", [("Accept", accept), *self._as(SELF)]))
        return answers.checked(answer)

    def _accepting(self, request: Request) -> Headers:
        return [("Accept", TABLE if request.options.get("table") else JSON), *self._as(request.user)]

    def _as(self, user: User) -> Headers:
        """Who to act as. Source: `client-go/transport/round_trippers.go`."""
        meant = self._identity if user.name == SELF.name else user
        return urls.impersonation(meant) if meant is not None else []

    async def _exchange(self, method: str, path: str, body: bytes, headers: Headers) -> HttpAnswer:
        async with await self._begin(method, path, body, headers, self.endpoint.timeout) as response:
            try:
                content = await response.read()
            except (TimeoutError, aiohttp.ClientError) as error:
                raise answers.unreachable(error, self.endpoint) from None
            return HttpAnswer(response.status, answers.lower(response.headers), content)

    async def _begin(
        self, method: str, path: str, body: bytes, headers: Headers, timeout: float = 0.0, base: str = ""
    ) -> aiohttp.ClientResponse:
        limits = aiohttp.ClientTimeout(total=timeout or None, sock_connect=CONNECTING)
        credentials = await self.credentials()
        try:
            response = await self._session().request(
                method, urls.exact((base or self.endpoint.server) + path), data=body or None,
                headers=[*credentials, *headers], timeout=limits, proxy=self.endpoint.proxy or None,
                server_hostname=self.server_name, allow_redirects=False,
            )  # fmt: skip
            self._look_at(response.status)
            return response
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            raise answers.unreachable(error, self.endpoint) from None

    async def credentials(self) -> Headers:
        """The headers that say who one is. Raises Unreachable where a plug-in does not say it."""
        plugin = self.endpoint.plugin
        if plugin is None:
            return [*self.endpoint.headers().items()]
        try:
            headers = await asyncio.to_thread(self.endpoint.headers)
            certificate = await asyncio.to_thread(self.endpoint.certificate)
        except KubeconfigError as error:
            raise Unreachable(f"Unable to connect to the server: {error}") from None
        if certificate != self._certificate:
            self._certificate, self._tls = certificate, self.endpoint.tls()
            old, self._http = self._http, None  # what goes on over it ends in its own time
            self._left += [old] if old is not None else []
        return [*headers.items()]

    def _look_at(self, status: int) -> None:
        """Credentials that a server would not have are asked for anew."""
        if status == UNAUTHORIZED and self.endpoint.plugin is not None:
            self.endpoint.plugin.forget()

    async def _open(self, method: str, path: str, body: bytes, headers: Headers) -> aiohttp.ClientResponse:
        """An answer that is read as it comes. Raises ApiError."""
        response = await self._begin(method, path, body, headers)
        if response.status >= urls.REFUSED:
            async with response:
                answers.refuse(HttpAnswer(response.status, answers.lower(response.headers), await response.read()))
        return response

    @property
    def server_name(self) -> str | None:
        name: str | None = self.endpoint.cluster.get("tls-server-name") if self._tls is not None else None
        return name

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            connector = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True, limit=0)
            plain = {"Accept-Encoding": "identity"} if self.endpoint.cluster.get("disable-compression") else {}
            own = {"User-Agent": f"k8snb/{k8snb.__version__}", **plain}
            self._http = aiohttp.ClientSession(connector=connector, headers=own,
                                               timeout=aiohttp.ClientTimeout(total=None))  # fmt: skip
        return self._http

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Work on the loop, waited for here; an interrupt ends it there too."""
        future = self._io.call(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    # watches

    def _watch(self, request: Request) -> Watch:
        response = self._run(self._open("GET", urls.path(request), b"", self._accepting(request)))
        watch = Watch()
        task = self._io.call(self._listen(response, watch, request.kind, bool(request.options.get("managedFields"))))
        watch.on_stop = lambda: _end(task)
        return watch

    async def _listen(self, response: aiohttp.ClientResponse, watch: Watch, kind: Kind, managed: bool) -> None:
        why = "the server ended the watch"
        try:
            async with response:
                async for line in lines(response):
                    event = json.loads(line)
                    watch.push(Event(event["type"], urls.shaped(event["object"], managed=managed)))
                    self.told()
        except (TimeoutError, OSError, ValueError, KeyError, aiohttp.ClientError) as error:
            why = str(error) or type(error).__name__
        if not watch.stopped:
            watch.stopped = True
            watch.push(Event("ERROR", ApiError(410, "Expired", why).status))
            self.told()

    # streams

    def _exec(self, request: Request) -> Wish | RunResult:
        wish = Wish(self, request)
        return wish if request.options.get("upgrade") else run_to_end(wish, self.wait)

    def _forward(self, request: Request) -> Wish:
        return Wish(self, request)

    def open_socket(self, request: Request, protocols: Words, query: Mapping[str, Any]) -> Streams:
        """A WebSocket to a pod. Raises ApiError in the server's words."""
        path = urls.path(request, query)
        headers = self._as(request.user)
        try:
            socket = self._run(self._connect(path, protocols, headers))
        except aiohttp.WSServerHandshakeError as error:
            self._run(self._refusal(path, protocols, headers))
            raise ApiError(error.status, "", f"unable to upgrade connection: {error.message}") from None
        return Streams(socket, self._io, self.told)

    async def _connect(self, path: str, protocols: Words, headers: Headers) -> aiohttp.ClientWebSocketResponse:
        credentials = await self.credentials()
        try:
            return await self._session().ws_connect(
                urls.exact(self.endpoint.server + path), protocols=protocols, max_msg_size=0, autoping=True,
                headers=[*credentials, *headers], server_hostname=self.server_name, proxy=self.endpoint.proxy or None,
            )  # fmt: skip
        except aiohttp.WSServerHandshakeError as error:
            self._look_at(error.status)
            raise
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            raise answers.unreachable(error, self.endpoint) from None

    async def _refusal(self, path: str, protocols: Words, headers: Headers) -> None:
        """Ask once more, to read why the server will not. Raises ApiError."""
        handshake = [
            ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "azhzbmItazhzbmItazhzYg=="), ("Sec-WebSocket-Protocol", ", ".join(protocols)),
        ]  # fmt: skip
        response = await self._open("GET", path, b"", [*handshake, *headers])
        response.close()


_DOORS: Mapping[str, Callable[[HttpsTransport, Request], Any]] = {
    "log": HttpsTransport._log,
    "proxy": HttpsTransport._proxied,
    "exec": HttpsTransport._exec,
    "attach": HttpsTransport._exec,
    "portforward": HttpsTransport._forward,
}


class _Pieces:
    """An answer as an iterator that does not block for long."""

    def __init__(self, transport: HttpsTransport, response: aiohttp.ClientResponse) -> None:
        self._transport, self._response = transport, response
        self._waiting: list[bytes] = []
        self._over = False
        self._task = transport._io.call(self._read())

    @property
    def ready(self) -> bool:
        """Whether the next piece, or the end, is there."""
        return bool(self._waiting) or self._over

    async def _read(self) -> None:
        try:
            async with self._response as response:
                async for piece in response.content.iter_any():
                    self._waiting.append(piece)
                    self._transport.told()
        except (TimeoutError, OSError, aiohttp.ClientError):
            pass  # the end of the stream is all there is to tell
        finally:
            self._over = True
            self._transport.told()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._transport.wait(lambda: self.ready, LONGEST_LOOK)
        if self._waiting:
            return self._waiting.pop(0)
        if self._over:
            raise StopIteration
        return b""

    def close(self) -> None:
        _end(self._task)


def _end(task: Future[Any]) -> None:
    task.cancel()


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    """The next piece; b"" at the end, however it comes."""
    try:
        return await anext(pieces, b"")
    except (TimeoutError, OSError, aiohttp.ClientError):
        return b""


async def lines(response: aiohttp.ClientResponse) -> Any:
    """The lines of an answer, however long they are."""
    rest = b""
    async for piece in response.content.iter_any():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
