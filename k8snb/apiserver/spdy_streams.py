"""SPDY conversations: exec, attach and port-forward as streams of a SPDY connection.

Interface: `CommandOverSpdy` and `PortsOverSpdy`, conversations; `SPDY_COMMAND_PROTOCOLS` and `SPDY_PORT_PROTOCOLS`.
The rule not to break: every stream that the client opens is answered at once, by a reply or a reset.
Source: `k8s.io/kubelet/pkg/cri/streaming/remotecommand/httpstream.go` and `…/portforward/httpstream.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from k8snb.apiserver.spdy import CANCEL, PROTOCOL_ERROR, REFUSED_STREAM, Data, Frame, Framing, Ping, Reset, SynStream
from k8snb.apiserver.streams import (
    DATA,
    ERROR,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    CommandBridge,
    Line,
    Message,
    PortBridge,
    PortForward,
    RemoteCommand,
    is_port,
)

# X-Stream-Protocol-Version and the version of remotecommand; "" for a client that names none.
SPDY_COMMAND_PROTOCOLS = {
    "v4.channel.k8s.io": 4, "v3.channel.k8s.io": 3, "v2.channel.k8s.io": 2, "channel.k8s.io": 1, "": 1,
}  # fmt: skip
SPDY_PORT_PROTOCOLS = ("portforward.k8s.io",)
TYPE, PORT, REQUEST = "streamtype", "port", "requestid"
MAX_STREAMS = 512  # that one client may have open at a time


class _OverSpdy:
    """What both have in common: frames in, frames out, and the streams that are open."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._framing = Framing()
        self._open: set[int] = set()

    def begin(self) -> None:
        """The client speaks first."""

    def receive(self, message: Message) -> None:
        """Raises SpdyError for bytes that are none."""
        assert isinstance(message, bytes)
        for frame in self._framing.receive(message):
            self._handle(frame)

    def _handle(self, frame: Frame) -> None:
        match frame:
            case SynStream(stream, headers, fin):
                self._opened(stream, headers)
                if fin:
                    self._ended(stream)
            case Data(stream, data, fin):
                if data:
                    self._said(stream, data)
                if fin:
                    self._ended(stream)
            case Reset(stream):
                self._open.discard(stream)
                self._reset(stream)
            case Ping(number) if number % 2:  # an even one would be the answer to ours
                self._line.send(self._framing.ping(number))

    def _opened(self, stream: int, headers: Mapping[str, str]) -> None:
        if stream in self._open or len(self._open) >= MAX_STREAMS:
            return self._line.send(self._framing.reset(stream, REFUSED_STREAM))
        if not self._accept(stream, headers):
            return self._line.send(self._framing.reset(stream, PROTOCOL_ERROR))
        self._open.add(stream)
        self._line.send(self._framing.syn_reply(stream))
        self._accepted(stream)

    def _send(self, stream: int, data: bytes) -> None:
        if stream in self._open:
            self._line.send(self._framing.data(stream, data))

    def _end(self, stream: int) -> None:
        if stream in self._open:
            self._open.discard(stream)
            self._line.send(self._framing.data(stream, b"", fin=True))

    # what exec and port-forward do in their own way

    def _accept(self, stream: int, headers: Mapping[str, str]) -> bool:
        raise NotImplementedError

    def _accepted(self, stream: int) -> None:
        raise NotImplementedError

    def _said(self, stream: int, data: bytes) -> None:
        raise NotImplementedError

    def _ended(self, stream: int) -> None:
        raise NotImplementedError

    def _reset(self, stream: int) -> None:
        raise NotImplementedError


class CommandOverSpdy(_OverSpdy):
    """An exec or an attach: it starts when the client has opened a stream for everything that it asked for."""

    def __init__(self, wish: RemoteCommand, line: Line, protocol: str) -> None:
        super().__init__(line)
        version = SPDY_COMMAND_PROTOCOLS[protocol]
        self._bridge = CommandBridge(wish, version, line, send=self._say, end=self._finish)
        wanted = {
            ERROR: True, STDIN: wish.stdin, STDOUT: wish.stdout, STDERR: wish.stderr and not wish.tty,
            RESIZE: wish.tty and version >= 3,
        }  # fmt: skip
        self._missing = {name for name, needed in wanted.items() if needed}
        self._names: dict[int, str] = {}
        self._streams: dict[str, int] = {}

    @property
    def started(self) -> bool:
        return not self._missing

    @property
    def backlog(self) -> int:
        return self._bridge.backlog

    def hang_up(self) -> None:
        self._bridge.hang_up()

    def hold(self, held: bool) -> None:
        self._bridge.hold(held)

    def _accept(self, stream: int, headers: Mapping[str, str]) -> bool:
        name = headers.get(TYPE, "")
        if name not in self._missing:
            return False
        self._names[stream], self._streams[name] = name, stream
        return True

    def _accepted(self, stream: int) -> None:
        self._missing.discard(self._names[stream])
        if self.started:
            self._bridge.start()

    def _said(self, stream: int, data: bytes) -> None:
        name = self._names.get(stream)
        if name == STDIN:
            self._bridge.write(data)
        elif name == RESIZE:
            self._bridge.resize(data)

    def _ended(self, stream: int) -> None:
        if self._names.get(stream) == STDIN:
            self._bridge.write_eof()

    def _reset(self, stream: int) -> None:
        self._ended(stream)

    def _say(self, name: str, data: bytes) -> None:
        if name in self._streams:
            self._send(self._streams[name], data)

    def _finish(self, name: str) -> None:
        if name in self._streams:
            self._end(self._streams[name])


class _Pair(NamedTuple):
    """The streams of one forwarded connection, which share a request's number."""

    streams: dict[str, int]
    bridge: PortBridge


class PortsOverSpdy(_OverSpdy):
    """A port-forward: for each connection the client opens an error stream and a data stream."""

    started = True

    def __init__(self, wish: PortForward, line: Line, protocol: str) -> None:
        super().__init__(line)
        self._wish = wish
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._places: dict[int, tuple[tuple[str, str], str]] = {}

    @property
    def backlog(self) -> int:
        return sum(pair.bridge.backlog for pair in self._pairs.values())

    def hang_up(self) -> None:
        for pair in self._pairs.values():
            pair.bridge.hang_up()

    def hold(self, held: bool) -> None:
        for pair in self._pairs.values():
            pair.bridge.hold(held)

    def _accept(self, stream: int, headers: Mapping[str, str]) -> bool:
        """A stream with its type, its port, and the number of its request."""
        name, port = headers.get(TYPE, ""), headers.get(PORT, "")
        # Clients that name no request number the streams themselves: a pair's second one follows its first.
        request = headers.get(REQUEST) or str(stream - 2 if name == DATA else stream)
        if name not in (ERROR, DATA) or not is_port(port):
            return False
        key = (request, port)
        pair = self._pairs.get(key) or self._pair(key, int(port))
        if name in pair.streams:
            return False
        pair.streams[name] = stream
        self._places[stream] = (key, name)
        return True

    def _pair(self, key: tuple[str, str], port: int) -> _Pair:
        send: Callable[[str, bytes], None] = partial(self._say, key)
        bridge = PortBridge(self._wish, port, self._line, send=send, end=partial(self._finish, key))
        self._pairs[key] = _Pair({}, bridge)
        return self._pairs[key]

    def _accepted(self, stream: int) -> None:
        pair = self._pairs[self._places[stream][0]]
        if len(pair.streams) == 2:
            pair.bridge.start()

    def _said(self, stream: int, data: bytes) -> None:
        key, name = self._places.get(stream, (None, ""))
        if key in self._pairs and name == DATA:
            self._pairs[key].bridge.write(data)

    def _ended(self, stream: int) -> None:
        key, name = self._places.get(stream, (None, ""))
        if key in self._pairs and name == DATA:
            self._pairs[key].bridge.write_eof()

    def _reset(self, stream: int) -> None:
        """The client wants no more of this connection."""
        key, name = self._places.get(stream, (None, ""))
        if key in self._pairs and name == DATA:
            pair = self._forget(key)
            pair.bridge.hang_up()
            for other in pair.streams.values():
                if other in self._open:
                    self._open.discard(other)
                    self._line.send(self._framing.reset(other, CANCEL))

    def _say(self, key: tuple[str, str], name: str, data: bytes) -> None:
        if key in self._pairs:
            self._send(self._pairs[key].streams[name], data)

    def _finish(self, key: tuple[str, str], name: str) -> None:
        if key in self._pairs:
            self._end(self._pairs[key].streams[name])
            if name == ERROR:
                self._forget(key)

    def _forget(self, key: tuple[str, str]) -> _Pair:
        pair = self._pairs.pop(key)
        for stream in pair.streams.values():
            self._places.pop(stream, None)
        return pair
