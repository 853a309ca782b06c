"""CoreDNS' server: the zone's answers over UDP and TCP, and everybody else's by way of the machine's own name servers.

Interface: `DnsServer(io, zone, address)`: `start()`, `.address`, `close()`.
The rule not to break: it runs on the I/O loop, reads the zone and touches nothing else of the cluster.
Messages are dnspython's. Source: CoreDNS' `forward` and `loadbalance` plug-ins; upstream also caches, and speaks TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

from k8snb.coredns.zone import NOERROR, TTL, Answer, Record, Zone, unresolved
from k8snb.ioloop import Bound, IoLoop, Spot, bind_first, why

LOOPBACK = "127.0.0.1"
DNS_PORT = 53
UPSTREAM_SECONDS = 2.0
TCP_IDLE = 10.0  # seconds
PLAIN_UDP, MAX_UDP = 512, 1232  # bytes: without EDNS, and what passes every network (RFC 9715)
DATAGRAMS_IN_A_ROW = 64
ID = 2  # bytes of a message that number it
MOST_KNOWN = 4096  # answers that are kept as they were sent
BIND_ATTEMPTS = 4  # a free TCP port may be taken for UDP


class DnsServer:
    """Answers over UDP and TCP at `address`, or where that cannot be had, at a free port: see `.address` and `.reason`.

    What is not in the zone is asked of the `upstream` name servers (None = those of this machine). Who may ask at all
    is for `permits(client, protocol)` to say; nobody else hears anything.
    """

    def __init__(self, io: IoLoop, zone: Zone, address: Spot, *, upstream: Sequence[Spot] | None = None) -> None:
        self.address = address
        self.reason = ""
        self.permits: Callable[[str, str], bool] = lambda client, protocol: True
        self._io = io
        self._zone = zone
        self._upstream = _host_resolvers() if upstream is None else tuple(upstream)
        self._udp: socket.socket | None = None
        self._tcp: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._known: dict[bytes, tuple[int, bytes]] = {}  # a question without its number: the zone's age, the answer

    def start(self) -> None:
        """Bind and answer. Raises OSError when not even a free port of the loopback address can be had."""
        tcp, udp = _bind_both((self.address, (self.address[0], 0), (LOOPBACK, 0)))
        self.address, self.reason = tcp.spot, tcp.reason
        self._io.call(self._listen(tcp.sock, udp.sock)).result(5.0)

    def close(self) -> None:
        """Stop answering. Closing twice changes nothing."""
        if self._udp is not None and self._io.running:
            self._io.call(self._close()).result(5.0)

    def answer(self, query: dns.message.Message) -> dns.message.Message | None:
        """The zone's reply to a query; None when it takes a question to an upstream server."""
        if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
            return _failure(query, dns.rcode.NOTIMP)
        answer, type = self._ask_zone(query)
        if answer is None or self._zone.leads_out(answer, type):
            return None
        return _reply(query, answer, self._zone)

    def _ask_zone(self, query: dns.message.Message) -> tuple[Answer | None, str]:
        question = query.question[0]
        type = dns.rdatatype.to_text(question.rdtype)
        return self._zone.resolve(question.name.to_text(), type), type

    # on the I/O loop

    async def _listen(self, tcp: socket.socket, udp: socket.socket) -> None:
        self._tcp, self._udp = await asyncio.start_server(self._serve_tcp, sock=tcp), udp
        asyncio.get_running_loop().add_reader(udp, self._receive, udp)

    def _receive(self, udp: socket.socket) -> None:
        for _ in range(DATAGRAMS_IN_A_ROW):
            try:
                data, client = udp.recvfrom(65535)
            except OSError:
                return
            if not self.permits(client[0], "UDP"):
                continue
            known = self._known.get(data[ID:])
            if known is not None and known[0] == self._zone.generation:
                with contextlib.suppress(OSError):
                    udp.sendto(data[:ID] + known[1], client)
                continue
            with contextlib.suppress(dns.exception.DNSException):  # what is no DNS message gets no reply
                self._answer_datagram(udp, client, data)

    def _answer_datagram(self, udp: socket.socket, client: Spot, data: bytes) -> None:
        generation, query = self._zone.generation, dns.message.from_wire(data)
        reply = self.answer(query)
        if reply is None:
            self._keep(asyncio.get_running_loop().create_task(self._relay(udp, client, query)))
            return
        sent = _send(udp, client, query, reply)
        if all(len(group) == 1 for group in reply.answer):  # others change their order from answer to answer
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[data[ID:]] = (generation, sent[ID:])

    async def _relay(self, udp: socket.socket, client: Spot, query: dns.message.Message) -> None:
        _send(udp, client, query, await self._go_upstream(query))

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._keep(task)
        client = writer.get_extra_info("peername")
        try:
            while self._udp is not None:  # a connection may arrive while the server closes
                async with asyncio.timeout(TCP_IDLE):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    query = dns.message.from_wire(await reader.readexactly(size))
                if not self.permits(client[0], "TCP"):
                    continue
                reply = self.answer(query) or await self._go_upstream(query)
                writer.write(reply.to_wire(prepend_length=True))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, dns.exception.DNSException):
            return  # the client has said all it wanted, or nothing that can be understood
        except asyncio.CancelledError:
            return  # by close(); what started this task takes a cancelled one for a failure
        finally:
            writer.close()

    async def _go_upstream(self, query: dns.message.Message) -> dns.message.Message:
        """The reply to a name outside the zone, or to one inside that leads out of it."""
        answer, type = self._ask_zone(query)
        if answer is None:
            return await self._ask_upstream(query)
        reply = _reply(query, answer, self._zone)
        further = await self._ask_upstream(dns.message.make_query(self._zone.leads_out(answer, type), type))
        reply.answer.extend(further.answer)
        reply.set_rcode(further.rcode())
        return reply

    async def _ask_upstream(self, query: dns.message.Message) -> dns.message.Message:
        for server, port in self._upstream:
            with contextlib.suppress(OSError, dns.exception.DNSException):
                reply, _ = await dns.asyncquery.udp_with_fallback(query, server, timeout=UPSTREAM_SECONDS, port=port)
                return reply
        return _failure(query, dns.rcode.SERVFAIL)

    def _keep(self, task: asyncio.Task[Any]) -> None:
        """Hold a task until it is done; `close` ends those that are left."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self) -> None:
        if self._tcp is not None:
            self._tcp.close()
        if self._udp is not None:
            asyncio.get_running_loop().remove_reader(self._udp)
            self._udp.close()
            self._udp = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _bind_both(spots: Iterable[Spot]) -> tuple[Bound, Bound]:
    """A TCP and a UDP socket with the same address and port, at the first spot where both can be had."""
    first: OSError | None = None
    for spot in spots:
        for _ in range(1 if spot[1] else BIND_ATTEMPTS):
            try:
                tcp = bind_first(socket.SOCK_STREAM, [spot])
            except OSError as error:
                first = first or error
                break
            try:
                udp = bind_first(socket.SOCK_DGRAM, [tcp.spot])
            except OSError as error:
                first = first or error
                tcp.sock.close()
                continue
            return tcp._replace(reason=why(first) if first else ""), udp
    raise first or OSError("no address to bind to was given")


def _reply(query: dns.message.Message, answer: Answer, zone: Zone) -> dns.message.Message:
    reply = dns.message.make_response(query, recursion_available=True)
    reply.flags |= dns.flags.AA
    reply.set_rcode(dns.rcode.from_text(answer.rcode))
    reply.answer = _sets(answer.records)
    reply.additional = _sets(answer.additional)
    type = dns.rdatatype.to_text(query.question[0].rdtype)
    if answer.rcode != NOERROR or not answer.records or unresolved(answer, type):
        reply.authority = _sets([zone.authority()])
    return reply


def _sets(records: Iterable[Record]) -> list[dns.rrset.RRset]:
    """Records as sets of one name and type; dnspython writes the records of a set in random order."""
    sets: dict[tuple[str, str], list[str]] = {}
    for record in records:
        sets.setdefault((f"{record.name.rstrip('.')}.", record.type), []).append(record.data)
    return [dns.rrset.from_text(name, TTL, "IN", type, *data) for (name, type), data in sets.items()]


def _failure(query: dns.message.Message, rcode: dns.rcode.Rcode) -> dns.message.Message:
    reply = dns.message.make_response(query, recursion_available=True)
    reply.set_rcode(rcode)
    return reply


def _send(udp: socket.socket, client: Spot, query: dns.message.Message, reply: dns.message.Message) -> bytes:
    """What does not fit into a datagram goes out cut off, and the client asks again over TCP. Returns what was sent."""
    size = min(max(query.payload, PLAIN_UDP), MAX_UDP) if query.edns >= 0 else PLAIN_UDP
    wire = reply.to_wire(max_size=size, prefer_truncation=True)
    with contextlib.suppress(OSError):
        udp.sendto(wire, client)
    return wire


def _host_resolvers() -> tuple[Spot, ...]:
    """The addresses of this machine's name servers."""
    try:
        servers = dns.resolver.Resolver(configure=True).nameservers
    except dns.exception.DNSException:
        return ()
    return tuple((server, DNS_PORT) for server in servers if isinstance(server, str))
