"""WebSocket channels: exec, attach and port-forward in messages whose first byte says which stream they belong to.

Interface: `CommandChannels` and `PortChannels`, conversations in one of the sub-protocols; `COMMAND_PROTOCOLS` and
`PORT_PROTOCOLS` name them.
The rule not to break: no socket is touched: messages in, messages out.
Source: `k8s.io/apimachinery/pkg/util/httpstream/wsstream` and `k8s.io/kubelet/pkg/cri/streaming/*/websocket.go`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import partial

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
)

# Sub-protocols and the version of remotecommand that they carry.
COMMAND_PROTOCOLS = {
    "v5.channel.k8s.io": 5, "v4.channel.k8s.io": 4, "v4.base64.channel.k8s.io": 4, "channel.k8s.io": 1,
    "base64.channel.k8s.io": 1, "": 1,
}  # fmt: skip
PORT_PROTOCOLS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io", "portforward.k8s.io", "")
CHANNELS = (STDIN, STDOUT, STDERR, ERROR, RESIZE)
CLOSE = 255  # v5: the next byte names a channel on which nothing more will come


def decode(protocol: str, message: Message) -> tuple[int, bytes]:
    """A message's channel and data. Raises ValueError."""
    if "base64" not in protocol:
        data = message.encode() if isinstance(message, str) else message
        return (data[0], data[1:]) if data else (-1, b"")
    text = message.decode(errors="replace") if isinstance(message, bytes) else message
    if not text:
        return -1, b""
    if text[0] not in "0123456789":
        raise ValueError(f"a message must start with its channel's digit, not with {text[0]!r}")
    try:
        return int(text[0]), base64.b64decode(text[1:], validate=True)
    except binascii.Error as error:
        raise ValueError(f"a message that is not base64: {error}") from None


def encode(protocol: str, channel: int, data: bytes) -> Message:
    """The message for some data on a channel."""
    if "base64" in protocol:
        return f"{channel}{base64.b64encode(data).decode()}"
    return bytes([channel]) + data


class CommandChannels:
    """An exec or an attach: five channels, of which the client writes to 0 (stdin) and 4 (resize)."""

    started = True

    def __init__(self, wish: RemoteCommand, line: Line, protocol: str) -> None:
        self._line, self._protocol = line, protocol
        self._stdin = wish.stdin
        self._first = STDOUT if wish.stdout else STDERR if wish.stderr else ERROR
        self._bridge = CommandBridge(wish, COMMAND_PROTOCOLS[protocol], line, send=self._send, end=lambda stream: None)

    def begin(self) -> None:
        """An empty message tells the client that the connection stands."""
        self._send(self._first, b"")
        self._bridge.start()

    def receive(self, message: Message) -> None:
        channel, data = decode(self._protocol, message)
        if channel == CLOSE and COMMAND_PROTOCOLS[self._protocol] >= 5:
            if data == b"\x00":
                self._bridge.write_eof()
        elif channel == CHANNELS.index(STDIN) and self._stdin:
            self._bridge.write(data)
        elif channel == CHANNELS.index(RESIZE):
            self._bridge.resize(data)

    def hang_up(self) -> None:
        self._bridge.hang_up()

    def hold(self, held: bool) -> None:
        self._bridge.hold(held)

    @property
    def backlog(self) -> int:
        return self._bridge.backlog

    def _send(self, stream: str, data: bytes) -> None:
        self._line.send(encode(self._protocol, CHANNELS.index(stream), data))


class PortChannels:
    """A port-forward: for the n-th port channel 2n carries data and 2n+1 errors, one connection for each port.

    Each channel begins with its port's number, two bytes, the lower one first.
    """

    started = True

    def __init__(self, wish: PortForward, line: Line, protocol: str) -> None:
        self._line, self._protocol = line, protocol
        self._bridges = [self._bridge(wish, number, port) for number, port in enumerate(wish.ports)]

    def _bridge(self, wish: PortForward, number: int, port: int) -> PortBridge:
        send: Callable[[str, bytes], None] = partial(self._send, number)
        return PortBridge(wish, port, self._line, send=send, end=self._ended)

    def begin(self) -> None:
        for number, bridge in enumerate(self._bridges):
            for stream in (DATA, ERROR):
                self._send(number, stream, bridge.port.to_bytes(2, "little"))
            bridge.start()

    def receive(self, message: Message) -> None:
        channel, data = decode(self._protocol, message)
        number, errors = divmod(channel, 2)
        if 0 <= number < len(self._bridges) and not errors:
            self._bridges[number].write(data)

    def hang_up(self) -> None:
        for bridge in self._bridges:
            bridge.hang_up()

    def hold(self, held: bool) -> None:
        for bridge in self._bridges:
            bridge.hold(held)

    @property
    def backlog(self) -> int:
        return sum(bridge.backlog for bridge in self._bridges)

    def _send(self, number: int, stream: str, data: bytes) -> None:
        self._line.send(encode(self._protocol, 2 * number + (stream == ERROR), data))

    def _ended(self, stream: str) -> None:
        """A channel cannot be closed alone: the client learns of the end when no port is left."""
        if stream == ERROR and all(bridge.over for bridge in self._bridges):
            self._line.finish()
