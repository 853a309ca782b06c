"""kube-proxy's connections: the listeners that accept, choose a target and copy bytes both ways.

Interface: `TcpListener` and `UdpListener`: `update(rule, node)` says where the next connection goes, `close()` ends it.
The rule not to break: all of it runs on the I/O loop, and what is established outlives every change of the rules.
Real Kubernetes does this in the kernel: netfilter rewrites addresses, conntrack remembers UDP flows.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, cast

from k8snb.ioloop import Spot
from k8snb.kube_proxy import Permits, everything
from k8snb.kube_proxy.balancer import Balancer
from k8snb.kube_proxy.rules import CLUSTER_IP, NODE_PORT, Rule, Target, admits, usable

CONNECT_SECONDS = 5.0  # until a silent target counts as refusing
ACCEPTS_IN_A_ROW = 64
SILENCE = 127.0  # until a client that gets no answer is sent away: six SYNs, as net.ipv4.tcp_syn_retries
UDP_IDLE = 30.0  # seconds, as net.netfilter.nf_conntrack_udp_timeout
MAX_FLOWS = 4096  # UDP clients that one listener remembers
DATAGRAM = 65535
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; Python's socket module has no name for it before 3.12


@dataclass
class Wiring:
    """What all listeners of a data plane share.

    `locate` says, on the I/O loop, on which node a client's address is ("" = unknown), `permits` whether a target may
    hear of it.
    """

    loop: asyncio.AbstractEventLoop
    balancer: Balancer
    locate: Callable[[str], str]
    permits: Permits = everything
    pipes: set[Pipe] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class NotPermitted(Exception):
    """A NetworkPolicy forbids the connection."""


class Pipe(asyncio.Protocol):
    """One side of a relayed connection; what it receives, its peer sends. Backpressure and half-close pass through."""

    def __init__(self, pipes: set[Pipe], peer: Pipe | None = None) -> None:
        self._pipes = pipes
        self._peer = peer
        self._early: list[bytes] = []  # arrived before the peer had a transport
        self._ended = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._pipes.add(self)
        if self._peer is not None:
            self._peer.join(self)

    def join(self, peer: Pipe) -> None:
        """The other side is there."""
        self._peer = peer
        if peer.transport is None or self.transport is None:
            return
        if self.transport.is_closing():
            peer.transport.abort()
            return
        for data in self._early:
            peer.transport.write(data)
        if self._ended:
            peer.transport.write_eof()
        elif self._early:
            self.transport.resume_reading()
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        if self._peer is not None and self._peer.transport is not None:
            self._peer.transport.write(data)
        elif self.transport is not None:
            self._early.append(data)
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The other side hears that nothing more comes; whether this side stays open for what goes back."""
        self._ended = True
        peer = self._peer
        if peer is None or peer.transport is None:
            return True
        if peer._ended:
            peer.transport.close()
            return False
        if not peer.transport.is_closing():
            peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self._peer is not None and self._peer.transport is not None and not self._peer._ended:
            self._peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._peer is not None and self._peer.transport is not None and not self._peer._ended:
            self._peer.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._pipes.discard(self)
        transport = self._peer.transport if self._peer is not None else None
        if transport is None or transport.is_closing():
            return
        if error is None:
            transport.close()
        else:
            reset(transport.get_extra_info("socket"))
            transport.abort()


class TcpListener:
    """Accepts at one address; each connection gets a target of its own."""

    def __init__(self, sock: socket.socket, rule: Rule, node: str, wiring: Wiring) -> None:
        self._sock = sock
        self._rule = rule
        self._node = node
        self._wiring = wiring
        self._address: str = sock.getsockname()[0]
        self._listen()

    def update(self, rule: Rule, node: str) -> None:
        self._rule, self._node = rule, node

    def close(self) -> None:
        self._wiring.loop.remove_reader(self._sock)
        self._sock.close()

    def _listen(self) -> None:
        if self._sock.fileno() >= 0:
            self._wiring.loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_IN_A_ROW):
            try:
                connection, client = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no file descriptors are left: some may be in a second
                self._wiring.loop.remove_reader(self._sock)
                self._wiring.loop.call_later(1.0, self._listen)
                return
            connection.setblocking(False)
            self._wiring.spawn(self._serve(connection, client[0]))

    async def _serve(self, connection: socket.socket, client: str) -> None:
        back: socket.socket | None = None
        try:
            back = await self._connect(client)
            if back is None:
                reset(connection)
                connection.close()
                return
            await self._relay(connection, back)
        except NotPermitted:
            await self._say_nothing(connection)
        except BaseException as error:
            connection.close()
            if back is not None:
                back.close()
            if not isinstance(error, OSError):  # the client has gone while it was served
                raise

    async def _say_nothing(self, connection: socket.socket) -> None:
        """What a NetworkPolicy forbids is dropped, not refused: the client hears nothing until it gives up."""
        with contextlib.closing(connection):
            try:
                async with asyncio.timeout(SILENCE):
                    while await self._wiring.loop.sock_recv(connection, DATAGRAM):
                        pass
            except OSError:  # TimeoutError is one
                reset(connection)

    async def _relay(self, front: socket.socket, back: socket.socket) -> None:
        loop, pipes = self._wiring.loop, self._wiring.pipes
        for sock in (front, back):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Pipe(pipes)
        await loop.connect_accepted_socket(lambda: client, front)
        await loop.connect_accepted_socket(lambda: Pipe(pipes, client), back)

    async def _connect(self, client: str) -> socket.socket | None:
        """A connection to the first target that takes one. Upstream resets the client when the first does not.

        Raises NotPermitted where a NetworkPolicy stands before the target.
        """
        rule, balancer = self._rule, self._wiring.balancer
        if not admits(rule, client):
            return None
        for target in balancer.order(rule, client, where(rule, self._node, client, self._wiring)):
            source = source_of(rule, self._address, client)
            if not is_permitted(self._wiring, rule, target, client, source):
                raise NotPermitted
            sock = await self._try(target, source)
            if sock is not None:
                balancer.took(rule, client, target)
                return sock
            balancer.failed(rule, target)
        return None

    async def _try(self, target: Target, source: str) -> socket.socket | None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            bind_source(sock, source, target.ip)
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._wiring.loop.sock_connect(sock, (target.ip, target.port))
        except (OSError, TimeoutError):
            sock.close()
            return None
        except BaseException:
            sock.close()
            raise
        return sock


class Flow:
    """What conntrack keeps for one UDP client: the target that was chosen for it, and the way back."""

    __slots__ = ("client", "last_used", "sock", "target")

    def __init__(self, client: Spot, target: Target, sock: socket.socket) -> None:
        self.client = client
        self.target = target
        self.sock = sock
        self.last_used = 0.0


class UdpListener:
    """Receives at one address; each client keeps its target while it is heard of at least every `UDP_IDLE` seconds."""

    def __init__(self, sock: socket.socket, rule: Rule, node: str, wiring: Wiring) -> None:
        self._sock = sock
        self._rule = rule
        self._node = node
        self._wiring = wiring
        self._address: str = sock.getsockname()[0]
        self._flows: dict[Spot, Flow] = {}  # least recently used first
        self._sweep: asyncio.TimerHandle | None = None
        wiring.loop.add_reader(sock, self._receive)

    def update(self, rule: Rule, node: str) -> None:
        """Forget the flows to targets that are gone, as kube-proxy clears conntrack."""
        self._rule, self._node = rule, node
        targets = set(usable(rule))
        for flow in [flow for flow in self._flows.values() if flow.target not in targets]:
            self._end(flow)

    def close(self) -> None:
        for flow in list(self._flows.values()):
            self._end(flow)
        if self._sweep is not None:
            self._sweep.cancel()
        self._wiring.loop.remove_reader(self._sock)
        self._sock.close()

    def _receive(self) -> None:
        for _ in range(ACCEPTS_IN_A_ROW):
            try:
                data, client = self._sock.recvfrom(DATAGRAM)
            except OSError:
                return
            flow = self._flows.pop(client, None) or self._open(client)
            if flow is not None:
                self._send(flow, data)

    def _send(self, flow: Flow, data: bytes) -> None:
        self._flows[flow.client] = flow
        flow.last_used = self._wiring.loop.time()
        try:
            flow.sock.send(data)
        except BlockingIOError:
            return  # a datagram may be lost
        except OSError:
            self._wiring.balancer.failed(self._rule, flow.target)
            self._end(flow)

    def _open(self, client: Spot) -> Flow | None:
        rule, wiring = self._rule, self._wiring
        if not admits(rule, client[0]):
            return None
        target = next(wiring.balancer.order(rule, client[0], where(rule, self._node, client[0], wiring)), None)
        if target is None:
            return None
        source = source_of(rule, self._address, client[0])
        sock = self._toward(target, source) if is_permitted(wiring, rule, target, client[0], source) else None
        if sock is None:
            return None
        wiring.balancer.took(rule, client[0], target)
        if len(self._flows) >= MAX_FLOWS:
            self._end(next(iter(self._flows.values())))
        flow = Flow(client, target, sock)
        wiring.loop.add_reader(sock, self._answer, flow)
        if self._sweep is None:
            self._sweep = wiring.loop.call_later(UDP_IDLE, self._end_idle)
        return flow

    def _toward(self, target: Target, source: str) -> socket.socket | None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            bind_source(sock, source, target.ip)
            sock.connect((target.ip, target.port))
        except OSError:
            sock.close()
            return None
        return sock

    def _answer(self, flow: Flow) -> None:
        for _ in range(ACCEPTS_IN_A_ROW):
            try:
                self._sock.sendto(flow.sock.recv(DATAGRAM), flow.client)
            except BlockingIOError:
                return
            except OSError:  # nobody listens at the target: the client's next datagram gets another choice
                self._wiring.balancer.failed(self._rule, flow.target)
                self._end(flow)
                return

    def _end(self, flow: Flow) -> None:
        self._flows.pop(flow.client, None)
        self._wiring.loop.remove_reader(flow.sock)
        flow.sock.close()

    def _end_idle(self) -> None:
        now = self._wiring.loop.time()
        while self._flows and next(iter(self._flows.values())).last_used + UDP_IDLE <= now:
            self._end(next(iter(self._flows.values())))
        self._sweep = self._wiring.loop.call_later(UDP_IDLE, self._end_idle) if self._flows else None


Listener = TcpListener | UdpListener
LISTENERS: dict[str, type[TcpListener] | type[UdpListener]] = {"TCP": TcpListener, "UDP": UdpListener}
SOCKETS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


def where(rule: Rule, node: str, client: str, wiring: Wiring) -> str:
    """The node whose targets count for a Local policy: the NodePort's, for a ClusterIP the client's."""
    if node or not rule.local or rule.sort != CLUSTER_IP:
        return node
    return wiring.locate(client)


def source_of(rule: Rule, address: str, client: str) -> str:
    """The address that the target sees: the client's own, but the node's for a NodePort that may lead elsewhere."""
    return address if rule.sort == NODE_PORT and not rule.local else client


def is_permitted(wiring: Wiring, rule: Rule, target: Target, client: str, source: str) -> bool:
    """Whether policies let the connection through. A pod is judged by its own address, by whatever way it comes."""
    judged = client if wiring.locate(client) else source
    return wiring.permits(judged, target.ip, target.port, rule.protocol)


def bind_source(sock: socket.socket, source: str, destination: str) -> None:
    """Speak from `source` where the machine allows it, which is between loopback addresses."""
    if source == "127.0.0.1" or not (_is_loopback(source) and _is_loopback(destination)):
        return
    try:
        if sys.platform == "linux":  # choose the port when the destination is known: they do not run out
            sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
    except OSError:
        return  # a machine with one loopback address: the target sees that one


def reset(sock: socket.socket) -> None:
    """Make the close of a socket a TCP reset: the client reads "connection reset", not an empty answer."""
    on_at_once = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, on_at_once)


def _is_loopback(address: str) -> bool:
    return address.startswith("127.")
