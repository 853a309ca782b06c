"""SPDY/3.1: many streams over one connection, as kubectl's exec and port-forward speak it.

Interface: `Framing.receive(data)` turns bytes into frames; its other methods turn what there is to say into bytes.
The rule not to break: no socket is touched; both directions compress all their headers in one zlib stream each, so
frames are built in the order in which they are sent.
Source: draft-mbelshe-httpbis-spdy-00 (frames as in SPDY/3), and github.com/moby/spdystream, which Kubernetes uses. Like
that one, nothing here limits a sender by windows: a receiver that is full stops reading its connection.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import NamedTuple

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 0x01
PROTOCOL_ERROR, REFUSED_STREAM, CANCEL = 1, 3, 5
VERSION = 3
MAX_FRAME = 1 << 20  # bytes; kubectl's are 32 KiB
MAX_HEADERS = 1 << 16  # bytes, unpacked
CHUNK = 1 << 15  # bytes of data in one frame that we send
_CONTROL = 0x8000
_STREAM = 0x7FFFFFFF

# Both sides start their zlib streams with this text: words with their lengths, then what needs none.
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_STATUSES = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service Unavailable"
)
_VALUES = (
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,"
    "image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age"
    "=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _packed(word: str) -> bytes:
    data = word.encode()
    return struct.pack(">I", len(data)) + data


DICTIONARY = b"".join(_packed(word.replace("_", " ")) for word in _WORDS.split()) + (_STATUSES + _VALUES).encode()


class SpdyError(Exception):
    """Bytes that are no SPDY: the connection is of no use any more."""


class SynStream(NamedTuple):
    """The other side opens a stream. Header names are in lower case."""

    stream: int
    headers: Mapping[str, str]
    fin: bool = False


class SynReply(NamedTuple):
    stream: int
    headers: Mapping[str, str]
    fin: bool = False


class Headers(NamedTuple):
    stream: int
    headers: Mapping[str, str]
    fin: bool = False


class Data(NamedTuple):
    stream: int
    data: bytes
    fin: bool = False


class Reset(NamedTuple):
    stream: int
    status: int


class Ping(NamedTuple):
    number: int


class GoAway(NamedTuple):
    last: int
    status: int


class Settings(NamedTuple):
    """Values by number. They ask for nothing that is done here."""

    values: Mapping[int, int]


class WindowUpdate(NamedTuple):
    stream: int
    size: int


Frame = SynStream | SynReply | Headers | Data | Reset | Ping | GoAway | Settings | WindowUpdate


class Framing:
    """One side of a connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._pack = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 8, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)
        self._unpack = zlib.decompressobj(zlib.MAX_WBITS, zdict=DICTIONARY)

    # bytes in

    def receive(self, data: bytes) -> list[Frame]:
        """The frames that are complete now. Raises SpdyError."""
        self._buffer += data
        frames, at = [], 0
        while len(self._buffer) - at >= 8:
            word, rest = struct.unpack_from(">II", self._buffer, at)
            size = rest & 0xFFFFFF
            if size > MAX_FRAME:
                raise SpdyError(f"a frame of {size} bytes: k8snb takes {MAX_FRAME}")
            if len(self._buffer) - at < 8 + size:
                break
            body = bytes(self._buffer[at + 8 : at + 8 + size])
            at += 8 + size
            frame = self._frame(word, rest >> 24, body)
            if frame is not None:
                frames.append(frame)
        del self._buffer[:at]
        return frames

    def _frame(self, word: int, flags: int, body: bytes) -> Frame | None:
        if not word >> 16 & _CONTROL:
            return Data(word, body, bool(flags & FIN))
        version, sort = word >> 16 & ~_CONTROL, word & 0xFFFF
        if version != VERSION:
            raise SpdyError(f"a frame of SPDY version {version}: only version {VERSION} is spoken here")
        try:
            return self._control(sort, bool(flags & FIN), body)
        except struct.error:
            raise SpdyError(f"a frame of type {sort} that is too short") from None

    def _control(self, sort: int, fin: bool, body: bytes) -> Frame | None:
        match sort:
            case 1:  # SYN_STREAM: its id, an associated one, priority and slot
                return SynStream(_number(body, 0), self._headers(body, 10), fin)
            case 2:
                return SynReply(_number(body, 0), self._headers(body, 4), fin)
            case 8:
                return Headers(_number(body, 0), self._headers(body, 4), fin)
            case 3:
                return Reset(_number(body, 0), _number(body, 4))
            case 6:
                return Ping(struct.unpack_from(">I", body)[0])
            case 7:
                return GoAway(_number(body, 0), _number(body, 4))
            case 9:
                return WindowUpdate(_number(body, 0), _number(body, 4))
            case 4:
                return _settings(body)
        return None  # the draft has a receiver ignore what it does not know

    def _headers(self, body: bytes, start: int) -> dict[str, str]:
        if len(body) < start:
            raise SpdyError("a frame that ends before its headers")
        try:
            text = self._unpack.decompress(body[start:], MAX_HEADERS)
        except zlib.error as error:
            raise SpdyError(f"headers that cannot be unpacked: {error}") from None
        if self._unpack.unconsumed_tail:
            raise SpdyError(f"headers of more than {MAX_HEADERS} bytes")
        try:
            return _unpack_headers(text)
        except (struct.error, UnicodeDecodeError):
            raise SpdyError("headers that end in the middle") from None

    # bytes out

    def syn_stream(self, stream: int, headers: Mapping[str, str], *, fin: bool = False) -> bytes:
        return _control(SYN_STREAM, fin, struct.pack(">IIH", stream, 0, 0) + self._packed(headers))

    def syn_reply(self, stream: int, headers: Mapping[str, str] | None = None, *, fin: bool = False) -> bytes:
        return _control(SYN_REPLY, fin, struct.pack(">I", stream) + self._packed(headers or {}))

    def data(self, stream: int, data: bytes, *, fin: bool = False) -> bytes:
        """Data in as many frames as it takes; the last one ends the stream if `fin` is set."""
        parts = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)] or [b""]
        last = len(parts) - 1
        return b"".join(
            struct.pack(">II", stream, (FIN << 24 if fin and number == last else 0) | len(part)) + part
            for number, part in enumerate(parts)
        )

    def reset(self, stream: int, status: int) -> bytes:
        return _control(RST_STREAM, False, struct.pack(">II", stream, status))

    def ping(self, number: int) -> bytes:
        return _control(PING, False, struct.pack(">I", number))

    def go_away(self, last: int, status: int = 0) -> bytes:
        return _control(GOAWAY, False, struct.pack(">II", last, status))

    def _packed(self, headers: Mapping[str, str]) -> bytes:
        pairs = [_packed(part) for name, value in headers.items() for part in (name.lower(), value)]
        text = struct.pack(">I", len(headers)) + b"".join(pairs)
        return self._pack.compress(text) + self._pack.flush(zlib.Z_SYNC_FLUSH)


def _number(body: bytes, at: int) -> int:
    number: int = struct.unpack_from(">I", body, at)[0]
    return number & _STREAM


def _control(sort: int, fin: bool, body: bytes) -> bytes:
    return struct.pack(">HHI", _CONTROL | VERSION, sort, (FIN << 24 if fin else 0) | len(body)) + body


def _settings(body: bytes) -> Settings:
    count = struct.unpack_from(">I", body)[0]
    if len(body) != 4 + 8 * count:
        raise SpdyError("a SETTINGS frame whose length is wrong")
    return Settings({key & 0xFFFFFF: value for key, value in struct.iter_unpack(">II", body[4:])})


def _unpack_headers(text: bytes) -> dict[str, str]:
    headers, at = {}, 4
    for _ in range(struct.unpack_from(">I", text)[0]):
        name, at = _word(text, at)
        headers[name.lower()], at = _word(text, at)
    return headers


def _word(text: bytes, at: int) -> tuple[str, int]:
    size = struct.unpack_from(">I", text, at)[0]
    if len(text) < at + 4 + size:
        raise SpdyError("headers that end in the middle")
    return text[at + 4 : at + 4 + size].decode(), at + 4 + size
