"""kube-apiserver's upgrades: an HTTP request that turns into a stream, by WebSocket or by SPDY.

Interface: `upgrader(transport)` is what `HttpsServer.upgrade` wants; `serve_streams(request, wish)` runs what was
allowed; `is_upgrade(request)`.
The rule not to break: neither side needs memory for a slow other one: a full queue stops whoever fills it.
Source: `apiserver/pkg/util/httpstream`, `kubelet/pkg/cri/streaming`; KEP-4006 for WebSocket version 5 and tunnels.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from k8snb.apimachinery.errors import bad_request
from k8snb.apiserver import paths
from k8snb.apiserver.asking import ask
from k8snb.apiserver.channels import COMMAND_PROTOCOLS, PORT_PROTOCOLS, CommandChannels, PortChannels
from k8snb.apiserver.paths import Route
from k8snb.apiserver.spdy import SpdyError
from k8snb.apiserver.spdy_streams import (
    SPDY_COMMAND_PROTOCOLS,
    SPDY_PORT_PROTOCOLS,
    CommandOverSpdy,
    PortsOverSpdy,
)
from k8snb.apiserver.streams import Conversation, Line, Message, PortForward, RemoteCommand, is_port
from k8snb.client import Request, Transport, User
from k8snb.client.intake import Intake, taken_over

Wish = RemoteCommand | PortForward
Make = Callable[[Line], Conversation]

SPDY = "SPDY/3.1"
TUNNEL = "SPDY/3.1+portforward.k8s.io"
VERSION, ACCEPTED = "X-Stream-Protocol-Version", "X-Accepted-Stream-Protocol-Versions"
BEARER = "base64url.bearer.authorization.k8s.io."  # a sub-protocol that only carries a token
MAX_OUT, LOW_OUT = 1 << 20, 1 << 18  # bytes that wait for the client: above, the pod is held up; below, it goes on
MAX_IN = 1 << 20  # bytes that wait for the pod before the client is no longer read
OPENING = 30.0  # seconds for a client to open the streams that it asked for
PARTING = 2.0  # seconds for a client to close its side


def upgrader(transport: Transport) -> Callable[[web.Request, Route, User], Awaitable[web.StreamResponse]]:
    """The way of an exec, attach or port-forward: asked of the apiserver like any request, then streamed."""

    async def answer(request: web.Request, route: Route, user: User) -> web.StreamResponse:
        if not is_upgrade(request):
            raise bad_request("Upgrade request required")
        call = Request(
            route.verb, route.kind, route.namespace, route.name, route.subresource,
            options=_options(request, route), user=user,
        )  # fmt: skip
        wish = await ask(transport, call)
        return await serve_streams(request, wish)

    return answer


def _options(request: web.Request, route: Route) -> Mapping[str, Any]:
    repeated = {"command": request.query.getall("command")} if "command" in request.query else {}
    words = [word for text in request.query.getall("ports", []) for word in text.split(",")]
    if not all(map(is_port, words)):
        raise bad_request(f'ports: Invalid value: "{",".join(words)}": must be between 1 and 65535')
    return {**paths.options(route, request.query, repeated), "ports": list(map(int, words)), "upgrade": True}


def is_upgrade(request: web.Request) -> bool:
    """Whether the client asks for one of the two ways to stream."""
    return "upgrade" in request.headers.get("Connection", "").lower() and _kind(request) in ("websocket", "spdy/3.1")


def _kind(request: web.Request) -> str:
    return request.headers.get("Upgrade", "").lower()


async def serve_streams(request: web.Request, wish: Wish) -> web.StreamResponse:
    """Take the connection over and serve it to its end. Raises BadRequest where no protocol is known."""
    if _kind(request) == "websocket":
        return await _serve_websocket(request, wish)
    return await _serve_spdy(request, wish)


# which protocol


def _websocket(wish: Wish, offered: list[str]) -> tuple[str, Make]:
    """The first of the client's sub-protocols that is known here, and what speaks it. Raises BadRequest."""
    if isinstance(wish, RemoteCommand):
        protocol = _choose(offered, COMMAND_PROTOCOLS)
        return protocol, lambda line: CommandChannels(wish, line, protocol)
    protocol = _choose(offered, (TUNNEL, *PORT_PROTOCOLS))
    if protocol == TUNNEL:
        return protocol, lambda line: PortsOverSpdy(wish, line, protocol)
    if not wish.ports:
        raise bad_request('query parameter "ports" is required')
    return protocol, lambda line: PortChannels(wish, line, protocol)


def _choose(offered: list[str], known: Iterable[str]) -> str:
    known = list(known)
    found = next((protocol for protocol in offered or [""] if protocol in known), None)
    if found is None:
        theirs, ours = ", ".join(offered), ", ".join(filter(None, known))
        raise bad_request(f"unable to negotiate protocol: client supports [{theirs}], server accepts [{ours}]")
    return found


def _words(values: Iterable[str]) -> list[str]:
    return [word for value in values for word in map(str.strip, value.split(",")) if word]


# the client's line


class Queue:
    """A `Line`: messages wait here until `put` has handed them to the client."""

    def __init__(self, put: Callable[[Message], Awaitable[None]]) -> None:
        self._put = put
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Message] = deque()
        self._size = 0
        self._held = self._finished = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self.conversation: Conversation | None = None

    def send(self, message: Message) -> None:
        self._waiting.append(message)
        self._size += len(message)
        self._changed.set()
        self._hold(self._size > MAX_OUT)

    def finish(self) -> None:
        self._finished = True
        self._changed.set()

    def drained(self) -> None:
        self._taken.set()

    def post(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
            self._loop.call_soon_threadsafe(callback)

    def submit(self, work: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        async def run() -> None:
            try:
                result = await self._loop.run_in_executor(None, work)
            except Exception as error:
                done(None, error)
            else:
                done(result, None)

        task = self._loop.create_task(run())
        self._tasks.add(task)  # the loop itself would forget it
        task.add_done_callback(self._tasks.discard)

    async def run(self) -> None:
        """Hand messages to the client until there will be no more."""
        while not (self._finished and not self._waiting):
            if not self._waiting:
                self._changed.clear()
                await self._changed.wait()
                continue
            message = self._waiting.popleft()
            await self._put(message)
            self._size -= len(message)
            if self._held and self._size < LOW_OUT:
                self._hold(False)

    async def room(self) -> None:
        """Wait until the pod has taken most of what the client sent."""
        while self.conversation is not None and self.conversation.backlog > MAX_IN and not self._finished:
            self._taken.clear()
            await self._taken.wait()

    def _hold(self, held: bool) -> None:
        if held != self._held and self.conversation is not None:
            self._held = held
            self.conversation.hold(held)


# WebSocket


async def _serve_websocket(request: web.Request, wish: Wish) -> web.StreamResponse:
    offered = [word for word in _words(request.headers.getall("Sec-WebSocket-Protocol", [])) if BEARER not in word]
    protocol, make = _websocket(wish, offered)
    socket = web.WebSocketResponse(protocols=[protocol] if protocol else (), compress=False, timeout=PARTING)
    if not socket.can_prepare(request).ok:
        raise bad_request("unable to upgrade: the WebSocket handshake is not complete")
    await socket.prepare(request)

    async def put(message: Message) -> None:
        await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))

    async def write(line: Queue) -> None:
        with suppress(ConnectionError):
            await line.run()
        await socket.close()

    line = Queue(put)
    conversation = line.conversation = make(line)
    writing = asyncio.get_running_loop().create_task(write(line))
    try:
        conversation.begin()
        await _hear(socket, conversation, line)
    finally:
        conversation.hang_up()
        writing.cancel()
        if not socket.closed and request.transport is not None:
            request.transport.abort()  # close() would wait for a client that takes nothing
    return socket


async def _hear(socket: web.WebSocketResponse, conversation: Conversation, line: Queue) -> None:
    async for message in socket:
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
            continue
        try:
            conversation.receive(message.data)
        except (ValueError, SpdyError) as error:
            await socket.close(code=WSCloseCode.PROTOCOL_ERROR, message=str(error).encode()[:100])
            return
        await line.room()


# SPDY


async def _serve_spdy(request: web.Request, wish: Wish) -> web.StreamResponse:
    offered = _words(request.headers.getall(VERSION, []))
    known = SPDY_COMMAND_PROTOCOLS if isinstance(wish, RemoteCommand) else SPDY_PORT_PROTOCOLS
    if not offered and "" not in known:
        raise bad_request(f"unable to upgrade: {VERSION} is required")
    protocol = next((word for word in offered or [""] if word in known), None)
    if protocol is None:
        accepted = [(ACCEPTED, word) for word in known if word]
        return web.Response(status=403, headers=accepted, text="unable to upgrade: unable to negotiate protocol")
    headers = {"Connection": "Upgrade", "Upgrade": SPDY, **({VERSION: protocol} if protocol else {})}
    response = web.StreamResponse(status=101, headers=headers)
    intake = await taken_over(request, response)

    line = Queue(response.write)  # type: ignore[arg-type]
    conversation: Conversation
    if isinstance(wish, RemoteCommand):
        conversation = CommandOverSpdy(wish, line, protocol)
    else:
        conversation = PortsOverSpdy(wish, line, protocol)
    line.conversation = conversation
    await _converse(conversation, line, intake)
    return response


async def _converse(conversation: Conversation, line: Queue, intake: Intake) -> None:
    """Both directions, until the client closes or all is said and it had a moment to close."""
    loop = asyncio.get_running_loop()
    reading = loop.create_task(_listen(conversation, line, intake))
    writing = loop.create_task(line.run())
    opening = loop.call_later(OPENING, lambda: None if conversation.started else reading.cancel())
    try:
        conversation.begin()
        await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            await asyncio.wait({reading}, timeout=PARTING)
    finally:
        opening.cancel()
        conversation.hang_up()
        for task in (reading, writing):
            task.cancel()
        await asyncio.gather(reading, writing, return_exceptions=True)
        intake.abort()


async def _listen(conversation: Conversation, line: Queue, intake: Intake) -> None:
    while data := await intake.read():
        try:
            conversation.receive(data)
        except (ValueError, SpdyError):
            return
        await line.room()
