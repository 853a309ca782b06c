"""A forwarding: sockets of this machine whose connections end at ports of a pod.

Interface: `Forwarding(wish, pod, addresses, ports)`, an `Output` that stays open: `address`, `addresses`, `handled`,
`stop()`, `end_with_pod(client)`.
The rule not to break: what runs on the loop blocks on nothing; connections are opened elsewhere.
Source: `client-go/tools/portforward/portforward.go`.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, cast

from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.client import Client, Watch
from k8snb.ioloop import IoLoop
from k8snb.kubectl.output import KubectlError, Output

MOST = 1 << 20  # bytes on their way to the pod


class Listening(NamedTuple):
    """A port of this machine (0: any free one) and the pod's port that it leads to."""

    local: int
    remote: int


class Stream(Protocol):
    """A connection to a port of a pod, as the kubelet opens it."""

    @property
    def backlog(self) -> int: ...
    def begin(self, listener: Any) -> None: ...
    def write(self, data: bytes) -> None: ...
    def write_eof(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...


class Wish(Protocol):
    """A port-forward that the apiserver allowed."""

    def connect(self, port: int, /) -> Stream: ...


class Forwarding(Output):
    """Ports that are open until `stop()`, the pod's end or the cluster's. Raises KubectlError where none can be."""

    def __init__(self, wish: Any, pod: Object, addresses: Sequence[str], ports: Sequence[Listening]) -> None:
        super().__init__(objects=[pod])
        self.handled: list[str] = []  # a line for each connection, as kubectl prints them
        self._wish: Wish = wish
        self._loop = IoLoop()
        self._servers: list[asyncio.Server] = []
        self._connections: set[_Connection] = set()
        self._watch: Watch | None = None
        self.stopped = False
        lines: list[str] = []
        self._sockets = [(opened, port) for port in ports for opened in _listen(port, addresses, lines)]
        if not self._sockets:
            shown = " ".join(f"{{{port.local} {port.remote}}}" for port in ports)
            raise KubectlError("\n".join([*lines, f"error: unable to listen on any of the requested ports: [{shown}]"]))
        self.addresses = [_spot(opened) for opened, _ in self._sockets]
        lines += [f"Forwarding from {spot} -> {port.remote}" for spot, (_, port) in
                  zip(self.addresses, self._sockets, strict=True)]  # fmt: skip
        self.text = "".join(f"{line}\n" for line in lines)
        for opened, port in self._sockets:
            self._loop.call(self._serve(opened, port)).result()

    @property
    def address(self) -> str:
        """The first address, such as 127.0.0.1:8080."""
        return self.addresses[0]

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def stop(self) -> None:
        """Close the ports and all their connections, and wait until they are."""
        if threading.current_thread().name == "k8snb-pump":  # the pump waits for nobody
            self._end_without_waiting()
        elif not self.stopped:
            self._end()
            self._loop.flush()
            self._loop.close()

    def _end(self) -> None:
        self.stopped = True
        if self._watch is not None:
            self._watch.stop()
        self._loop.post(self._shut)

    def _end_without_waiting(self) -> None:
        if not self.stopped:
            self._end()
            self._loop.post(self._loop.close)

    def end_with_pod(self, client: Client) -> None:
        """End with the pod. Raises ApiError where the client may not watch it."""
        pod = self.objects[0]
        watch = client.watch("pods", namespace_of(pod), fieldSelector=f"metadata.name={name_of(pod)}",
                             resourceVersion=pod["metadata"]["resourceVersion"])  # fmt: skip
        self._watch = watch
        watch.on_arrival = lambda: self._told(watch)
        self._told(watch)

    def _told(self, watch: Watch) -> None:
        while (event := watch.pop()) is not None:
            if event.sort == "ERROR":  # a server ends its watches now and then; connections tell when the pod is gone
                return
            if event.sort == "DELETED" or get_path(event.object, "status.phase") in ("Succeeded", "Failed"):
                self._end_without_waiting()  # whoever deletes the pod holds what the loop may be waiting for

    # on the loop

    async def _serve(self, opened: socket.socket, port: Listening) -> None:
        local = opened.getsockname()[1]
        loop = asyncio.get_running_loop()
        make = partial(_Connection, self, loop, local, port.remote)
        self._servers.append(await loop.create_server(make, sock=opened))

    def _shut(self) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.abort()

    def joined(self, connection: _Connection, local: int) -> None:
        self.handled.append(f"Handling connection for {local}")
        self._connections.add(connection)

    def left(self, connection: _Connection, why: str) -> None:
        self._connections.discard(connection)
        if why:
            self.handled.append(why)

    def connect(self, port: int) -> Stream:
        return self._wish.connect(port)

    @property
    def pod(self) -> str:
        return name_of(self.objects[0])


class _Connection(asyncio.Protocol):
    """A client's connection on one side, the pod's on the other. It lives on the loop; the pod is heard anywhere."""

    def __init__(self, forwarding: Forwarding, loop: asyncio.AbstractEventLoop, local: int, remote: int) -> None:
        self._forwarding, self._loop, self._local, self._remote = forwarding, loop, local, remote
        self._transport: asyncio.Transport | None = None
        self._stream: Stream | None = None
        self._why = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.pause_reading()
        self._forwarding.joined(self, self._local)
        future = self._loop.run_in_executor(None, self._forwarding.connect, self._remote)
        future.add_done_callback(self._opened)

    def _opened(self, future: asyncio.Future[Stream]) -> None:
        error = future.exception()
        if error is not None:
            self._fail(str(getattr(error, "message", "") or error))
        elif self._transport is None:
            future.result().close()
        else:
            self._stream = future.result()
            self._stream.begin(self)
            self._transport.resume_reading()

    def _fail(self, message: str) -> None:
        self._why = f"error forwarding port {self._remote} to pod {self._forwarding.pod}: {message}"
        self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # the client

    def data_received(self, data: bytes) -> None:
        if self._stream is not None and self._transport is not None:
            self._stream.write(data)
            if self._stream.backlog > MOST:
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        if self._stream is not None:
            self._stream.write_eof()
        return True

    def pause_writing(self) -> None:
        if self._stream is not None:
            self._stream.pause()

    def resume_writing(self) -> None:
        if self._stream is not None:
            self._stream.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._stream is not None:
            self._stream.close()
        self._forwarding.left(self, self._why)

    # the pod, on any thread

    def output(self, stream: str, data: bytes) -> None:
        self._post(partial(self._hand_over, data))

    def drained(self) -> None:
        self._post(self._read_on)

    def ended(self, code: int, message: str) -> None:
        self._post(partial(self._fail, message) if message else self.abort)

    def _hand_over(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _read_on(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def _post(self, act: Callable[[], Any]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)


# sockets


def _listen(port: Listening, addresses: Sequence[str], lines: list[str]) -> list[socket.socket]:
    """A socket for each address that can be had, all on one port; says so where none can."""
    found: list[socket.socket] = []
    errors: list[str] = []
    local = port.local
    for address in dict.fromkeys(addresses):
        try:
            found.append(_open(address, local))
            local = local or found[0].getsockname()[1]
        except OSError as error:
            family = "tcp6" if ":" in address else "tcp4"
            where = f"[{address}]:{local}" if ":" in address else f"{address}:{local}"
            errors.append(f"unable to create listener: Error listen {family} {where}: "
                          f"bind: {(error.strerror or str(error)).lower()}")  # fmt: skip
    if not found:
        lines.append(f"Unable to listen on port {port.local}: Listeners failed to create with the following errors: "
                     f"[{' '.join(errors)}]")  # fmt: skip
    return found


def _open(address: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
        opened.listen()
    except OSError:
        opened.close()
        raise
    return opened


def _spot(opened: socket.socket) -> str:
    address, port = opened.getsockname()[:2]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
