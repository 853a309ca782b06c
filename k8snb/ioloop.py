"""The I/O loop: one asyncio event loop on one daemon thread, shared by everything in a cluster that owns sockets.

Interface: `IoLoop`: `post(callback)` and `call(coroutine)` from any thread, `flush()`, `close()`; `bind_first` gets a
socket where one can be had; a `Doorbell` wakes a server with its first client.
The rule not to break: what runs here touches sockets and its own tables only; it reaches a component through the pump.
Real Kubernetes leaves this to the kernels of its nodes.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
Spot = tuple[str, int]  # address and port

CLOSING = 5.0  # seconds that close() waits for the thread

WHY_NOT = {
    errno.EACCES: "ports below 1024 are not open to an ordinary user",
    errno.EADDRINUSE: "the port is taken by another program",
    errno.EADDRNOTAVAIL: "the address is not one of this machine's",
}


class IoLoop:
    """Starts its thread with the first thing it is asked to do, so that a cluster without sockets has no thread."""

    def __init__(self, on_failure: Callable[[str, str], None] | None = None) -> None:
        self._on_failure = on_failure or _print_failure
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> asyncio.AbstractEventLoop:
        """The running loop; the thread is started where there is none."""
        with self._guard:
            if self._loop is None:
                # Windows' default loop cannot watch plain sockets; a selector does on every platform.
                self._loop = asyncio.SelectorEventLoop()
                self._loop.set_exception_handler(self._failed)
                self._thread = threading.Thread(target=self._run, args=(self._loop,), name="k8snb-io", daemon=True)
                self._thread.start()
            return self._loop

    def post(self, callback: Callable[..., Any], *args: Any) -> None:
        """Run `callback(*args)` on the loop, after what was posted before; returns at once."""
        self.start().call_soon_threadsafe(callback, *args)

    def call(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop. Wait for the future anywhere but on the loop itself."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.start())

    def flush(self, timeout: float = CLOSING) -> None:
        """Wait until everything posted before has run."""
        if self.running:
            self.call(_nothing()).result(timeout)

    def close(self) -> None:
        """Cancel what runs and end the thread. Closing twice changes nothing."""
        with self._guard:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        if threading.current_thread() is not thread:
            thread.join(CLOSING)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(_end_tasks())
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    def _failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        details = "".join(traceback.format_exception(error)) if error else ""
        self._on_failure("io", f"{context['message']}\n{details}")


class Bound(NamedTuple):
    """A socket, the spot it has, and why it is not the first choice ("" when it is)."""

    sock: socket.socket
    spot: Spot
    reason: str


class Doorbell:
    """A socket that listens for a server which is not there before its first client (systemd: socket activation).

    `answer(socket)` takes the socket over; it is called once, on a thread of its own, and may take its time.
    """

    def __init__(self, io: IoLoop, sock: socket.socket, answer: Callable[[socket.socket], None]) -> None:
        self._io, self._sock, self._answer = io, sock, answer
        self._waits = True
        io.post(self._listen)

    def close(self) -> None:
        """Nobody has rung: stop listening. Afterwards, and when somebody has, this does nothing."""
        if self._io.running:
            self._io.call(self._close()).result(CLOSING)

    def _listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._sock, self._ring)

    def _ring(self) -> None:
        self._stop_listening()
        threading.Thread(target=self._answer, args=(self._sock,), name="k8snb-doorbell", daemon=True).start()

    def _stop_listening(self) -> None:
        self._waits = False
        asyncio.get_running_loop().remove_reader(self._sock)

    async def _close(self) -> None:
        if self._waits:
            self._stop_listening()
            self._sock.close()


def bind_first(sort: socket.SocketKind, spots: Iterable[Spot]) -> Bound:
    """A non-blocking socket at the first spot that can be had; port 0 = any free one. Raises OSError of the first."""
    first: OSError | None = None
    for spot in spots:
        try:
            sock = _bind(sort, spot)
        except OSError as error:
            first = first or error
            continue
        return Bound(sock, sock.getsockname()[:2], why(first) if first else "")
    raise first or OSError("no address to bind to was given")


def why(error: OSError) -> str:
    """An error of the operating system in words for a beginner."""
    return WHY_NOT.get(error.errno or 0) or error.strerror or str(error)


def _bind(sort: socket.SocketKind, spot: Spot) -> socket.socket:
    sock = socket.socket(socket.AF_INET, sort)
    try:
        sock.setblocking(False)
        if sort == socket.SOCK_STREAM and os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(spot)
        if sort == socket.SOCK_STREAM:
            # Linux tells only here that a port is taken when both sides set SO_REUSEADDR.
            sock.listen(1024)
    except BaseException:
        sock.close()
        raise
    return sock


async def _nothing() -> None:
    """Runs after everything that was posted before it."""


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # transports close their sockets one turn after they are told


def _print_failure(component: str, details: str) -> None:
    sys.stderr.write(f"{component} failed:\n{details}\n")
