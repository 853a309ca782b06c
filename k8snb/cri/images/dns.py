"""A DNS client: one question over UDP.

Interface: `query(server, name, sort)` gives the answers as pairs (type, data), and an empty list for a name that does
not exist. Source: RFC 1035. A real container has the C library do this.
"""

from __future__ import annotations

import contextlib
import os
import struct

# By name, because `sitecustomize` puts a class of its own in the place of `socket.socket`.
from socket import AF_INET, AF_INET6, SOCK_DGRAM, inet_ntoa, inet_ntop, socket

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "TXT": 16, "AAAA": 28, "SRV": 33}
_NAMES = {number: name for name, number in TYPES.items()}
ATTEMPTS, TIMEOUT = 2, 2.5


def query(server: tuple[str, int], name: str, sort: str) -> list[tuple[str, str]]:
    """Ask `server` for the records of one type. Raises OSError when no answer comes."""
    identity = os.urandom(2)
    question = b"".join(bytes([len(part)]) + part for part in name.encode("idna").split(b".") if part) + b"\0"
    packet = identity + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0) + question + struct.pack(">HH", TYPES[sort], 1)
    return _answers(_exchange(server, packet, identity))


def reverse_name(address: str) -> str:
    """The name under which an address's PTR record lies."""
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


def _exchange(server: tuple[str, int], packet: bytes, identity: bytes) -> bytes:
    with socket(AF_INET, SOCK_DGRAM) as channel:
        channel.settimeout(TIMEOUT)
        _speak_from_pod(channel, server)
        channel.connect(server)
        for _ in range(ATTEMPTS):
            channel.send(packet)
            try:
                reply = channel.recv(65535)
            except TimeoutError:
                continue
            if reply[:2] == identity:
                return reply
    raise OSError(f"no answer from the name server at {server[0]}:{server[1]}")


def _speak_from_pod(channel: socket, server: tuple[str, int]) -> None:
    """Ask from the pod's own address, so that the name server knows who asks."""
    own = os.environ.get("K8SNB_POD_IP", "")
    if own and server[0].startswith("127."):
        with contextlib.suppress(OSError):
            channel.bind((own, 0))


def _answers(reply: bytes) -> list[tuple[str, str]]:
    questions, count = struct.unpack_from(">HH", reply, 4)
    offset, answers = 12, []
    for _ in range(questions):
        offset = _read_name(reply, offset)[1] + 4
    for _ in range(count):
        offset = _read_name(reply, offset)[1]
        number, _, _, length = struct.unpack_from(">HHIH", reply, offset)
        offset += 10
        answers.append((_NAMES.get(number, str(number)), _data(reply, number, offset, length)))
        offset += length
    return answers


def _data(reply: bytes, number: int, offset: int, length: int) -> str:
    sort = _NAMES.get(number)
    if sort == "A":
        return inet_ntoa(reply[offset : offset + 4])
    if sort == "AAAA":
        return inet_ntop(AF_INET6, reply[offset : offset + 16])
    if sort == "SRV":
        priority, weight, port = struct.unpack_from(">HHH", reply, offset)
        return f"{priority} {weight} {port} {_read_name(reply, offset + 6)[0]}"
    if sort in ("NS", "CNAME", "PTR"):
        return _read_name(reply, offset)[0]
    return reply[offset + 1 : offset + length].decode("utf-8", "replace")


def _read_name(reply: bytes, offset: int) -> tuple[str, int]:
    """The name at `offset` and where the text behind it begins; follows compression pointers."""
    parts, end, jumps = [], 0, 0
    while reply[offset]:
        size = reply[offset]
        if size >= 0xC0:
            end = end or offset + 2
            offset = struct.unpack_from(">H", reply, offset)[0] & 0x3FFF
            jumps += 1
            if jumps > 20:
                raise OSError("the name server's answer makes no sense")
            continue
        parts.append(reply[offset + 1 : offset + 1 + size].decode("ascii", "replace"))
        offset += 1 + size
    return ".".join(parts), end or offset + 1
