"""kube-apiserver's proxied requests: one HTTP request over a connection to a pod, and its answer, piece by piece.

Interface: `HttpBridge`, which the HTTPS side streams through; `ProxyExchange`, one whole answer for a caller in the
kernel; `Proxied` says what is wanted.
The rule not to break: a pod may say anything, at any time: what is no HTTP ends its own request and nothing else.
Source: `apimachinery/pkg/util/proxy/{upgradeaware,transport}.go`; the protocol itself is h11's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import h11

from k8snb.apimachinery.errors import ApiError, server_timeout, unavailable
from k8snb.apiserver.streams import DATA, Bridge, Connection, Line, Message
from k8snb.client import Exchange, HttpAnswer

MAX_HEAD = 1 << 16  # bytes of an answer's status line and headers
Headers = Sequence[tuple[str, str]]

# what belongs to one connection and not to what is carried over it
HOP_BY_HOP = frozenset({"connection", "proxy-connection", "keep-alive", "proxy-authenticate", "proxy-authorization",
                        "te", "trailer", "trailers", "transfer-encoding", "upgrade"})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Proxied:
    """A proxied request that has been allowed. `open` may block and raise; `authority` is where it goes, for redirects.

    `path` is what follows `proxy`, with the query; "" where there is not even a slash. `headers` are said besides the
    client's own.
    """

    open: Callable[[], Connection]
    authority: str
    path: str
    headers: Headers = ()


class Hearer(Protocol):
    """Who hears an answer, on the line's thread."""

    def head(self, status: int, headers: Headers) -> None: ...
    def body(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def failed(self, message: str) -> None:
        """There is no answer, or not all of it."""


class HttpBridge(Bridge):
    """One request, a `Conversation`: `begin`, then `receive` the body's pieces, then `finish`.

    After the answer 101, what is received is the stream's.
    """

    def __init__(self, wish: Proxied, line: Line, hearer: Hearer, *, method: str, headers: Headers) -> None:
        super().__init__(line, lambda stream, data: hearer.body(data), lambda stream: hearer.end())
        self._wish, self._hearer = wish, hearer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._request = h11.Request(method=method, target=wish.path.encode(), headers=list(headers))
        self._answered = self._complete = self.switched = False

    @property
    def started(self) -> bool:
        return True

    def begin(self) -> None:
        self.write(self._http.send(self._request) or b"")
        self.open(self._wish.open)

    def receive(self, message: Message) -> None:
        """A piece of the request's body. Raises ValueError where it is longer than it was said to be."""
        data = message if isinstance(message, bytes) else message.encode()
        try:
            self.write(data if self.switched else self._http.send(h11.Data(data)) or b"")
        except h11.LocalProtocolError as error:
            raise ValueError(str(error)) from None

    def finish(self) -> None:
        if self.switched:
            self.write_eof()
        else:
            self.write(self._http.send(h11.EndOfMessage()) or b"")

    # what the pod says

    def _said(self, stream: str, data: bytes) -> None:
        if self.switched:
            self._send(DATA, data)
        elif not self._complete:
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            while not self._complete and (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                self._hear(event)
        except h11.RemoteProtocolError as error:
            self._fail(f"malformed HTTP response: {error}" if data else "EOF")

    def _hear(self, event: Any) -> None:
        if isinstance(event, h11.Response):
            self._answered = True
            self._hearer.head(event.status_code, _passed_on(event.headers))
        elif isinstance(event, h11.InformationalResponse) and event.status_code == 101:
            self.switched = self._answered = True
            self._hearer.head(101, _texts(event.headers))
            if rest := self._http.trailing_data[0]:
                self._send(DATA, rest)
        elif isinstance(event, h11.Data):
            self._send(DATA, bytes(event.data))
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            self._end_all()

    def _end_all(self) -> None:
        """The answer is whole: the connection is not used again."""
        self._complete = True
        self._hearer.end()
        self.hang_up()

    def _fail(self, message: str) -> None:
        self._complete = True
        self._hearer.failed(message)
        self.hang_up()

    def _close(self, code: int, message: str) -> None:
        if self.switched:
            self._end(DATA)
        elif message and not self._complete:
            self._fail(message)
        elif not self._complete:
            self._receive(b"")


def _texts(headers: Any) -> Headers:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _passed_on(headers: Any) -> Headers:
    return without_hop_by_hop(_texts(headers))


def without_hop_by_hop(headers: Headers) -> Headers:
    """The headers that are for whoever sits at the other end."""
    connection = ",".join(value for name, value in headers if name.lower() == "connection")
    named = {word.strip().lower() for word in connection.split(",")}
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP | named]


def unreachable(message: str) -> ApiError:
    """Source: `Transport.RoundTrip` in apimachinery/pkg/util/proxy/transport.go."""
    return unavailable(f"error trying to reach service: {message}")


class ProxyExchange(Exchange):
    """A request whose whole answer is waited for. It is its own line: whoever brings news does what follows from it."""

    def __init__(self, wish: Proxied, *, method: str, headers: Headers, body: bytes) -> None:
        self._guard = threading.RLock()
        self._done = threading.Event()
        self._status, self._headers, self._pieces = 0, {}, []  # type: tuple[int, dict[str, str], list[bytes]]
        self._failure = ""
        self._body = body
        self._bridge = HttpBridge(wish, self, self, method=method, headers=headers)

    def begin(self) -> None:
        with self._guard:
            self._bridge.begin()
            if self._body:
                self._bridge.receive(self._body)
            self._bridge.finish()

    @property
    def over(self) -> bool:
        return self._done.is_set()

    def result(self, timeout: float) -> HttpAnswer:
        if not self._done.wait(timeout):
            self._bridge.hang_up()
            raise server_timeout("the pod did not answer in time: it may be waiting for something itself")
        if self._failure:
            raise unreachable(self._failure)
        return HttpAnswer(self._status, self._headers, b"".join(self._pieces))

    # what the answer says

    def head(self, status: int, headers: Headers) -> None:
        self._status, self._headers = status, {name.lower(): value for name, value in headers}

    def body(self, data: bytes) -> None:
        self._pieces.append(data)

    def end(self) -> None:
        self._done.set()

    def failed(self, message: str) -> None:
        self._failure = message
        self._done.set()

    # the line

    def post(self, callback: Callable[[], None]) -> None:
        with self._guard:
            callback()

    def submit(self, work: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        try:
            result = work()
        except Exception as error:
            return done(None, error)
        done(result, None)

    def send(self, message: Message) -> None:
        """Nothing is sent on: the answer is kept."""

    def finish(self) -> None:
        """See `send`."""

    def drained(self) -> None:
        """Nobody waits."""
