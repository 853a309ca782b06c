"""Streams through the apiserver: SPDY frames, WebSocket channels, and what they mean; then real sockets."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest

from k8snb.apiserver import spdy
from k8snb.apiserver.channels import CommandChannels, PortChannels, decode, encode
from k8snb.apiserver.spdy import Data, Framing, GoAway, Ping, Reset, Settings, SpdyError, SynReply, SynStream
from k8snb.apiserver.spdy_streams import CommandOverSpdy, PortsOverSpdy
from k8snb.apiserver.streams import Listener, Message, PortForward, RemoteCommand, exit_status

# The first frames of a kubectl 1.29 that runs `kubectl exec`: streams for errors, output and error output.
RECORDED = bytes.fromhex(
    "80030001000000290000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff8003000100"
    "00001900000003000000000000c22ac5565c92925f5a02000000ffff800300010000001500000005000000000000c229975a54040000"
    "00ffff"
)


# SPDY frames


def test_both_sides_of_a_connection_understand_each_other() -> None:
    one, two = Framing(), Framing()
    said = [
        one.syn_stream(1, {"streamType": "error"}),
        one.syn_stream(3, {"streamType": "data", "port": "80"}, fin=True),
        one.syn_reply(2), one.data(1, b"hello"), one.data(1, b"", fin=True), one.reset(3, spdy.CANCEL), one.ping(7),
        one.go_away(3),
    ]  # fmt: skip
    assert two.receive(b"".join(said)) == [
        SynStream(1, {"streamtype": "error"}), SynStream(3, {"streamtype": "data", "port": "80"}, True),
        SynReply(2, {}), Data(1, b"hello"), Data(1, b"", True), Reset(3, spdy.CANCEL), Ping(7), GoAway(3, 0),
    ]  # fmt: skip


def test_what_a_real_kubectl_sends_is_understood_however_it_is_cut() -> None:
    whole = Framing().receive(RECORDED)
    kinds = [frame.headers["streamtype"] for frame in whole if isinstance(frame, SynStream)]
    assert kinds == ["error", "stdout", "stderr"]
    cut = Framing()
    assert [frame for at in range(len(RECORDED)) for frame in cut.receive(RECORDED[at : at + 1])] == whole


def test_large_data_is_cut_into_frames_of_which_the_last_one_ends_the_stream() -> None:
    frames = Framing().receive(Framing().data(1, bytes(100_000), fin=True))
    assert sum(len(frame.data) for frame in frames if isinstance(frame, Data)) == 100_000
    assert [frame.fin for frame in frames if isinstance(frame, Data)] == [False, False, False, True]


def test_settings_are_read_and_unknown_frames_are_passed_over() -> None:
    settings = struct.pack(">HHIIII", 0x8003, 4, 12, 1, 4, 1000)
    unknown = struct.pack(">HHI", 0x8003, 11, 3) + b"abc"
    assert Framing().receive(settings + unknown) == [Settings({4: 1000})]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(100),
        struct.pack(">HHI", 0x8002, 1, 0),
        struct.pack(">HHI", 0x8003, 1, 4) + bytes(4),
        struct.pack(">HHI", 0x8003, 1, 14) + b"\0\0\0\1\0\0\0\0\0\0\xff\xff\xff\xff",
        struct.pack(">HHI", 0x8003, 6, 1) + b"\0",
        struct.pack(">HHI", 0x8003, 4, 4) + b"\xff\xff\xff\xff",
        struct.pack(">II", 1, 0xFFFFFF),
    ],
)
def test_bytes_that_are_no_spdy_are_refused(data: bytes) -> None:
    with pytest.raises(SpdyError):
        assert Framing().receive(data) != []


def test_headers_that_unpack_to_very_much_are_refused() -> None:
    with pytest.raises(SpdyError, match="headers of more than"):
        Framing().receive(Framing().syn_stream(1, {"streamtype": "x" * 1_000_000}))


# what streams mean


class Line:
    """A client's line that keeps what is said to it, and does everything at once."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.finished = False
        self.late: list[Callable[[], None]] | None = None

    def send(self, message: Message) -> None:
        assert not self.finished
        self.sent.append(message)

    def finish(self) -> None:
        self.finished = True

    def drained(self) -> None:
        """Nobody waits."""

    def post(self, callback: Callable[[], None]) -> None:
        callback()

    def submit(self, work: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        def run() -> None:
            try:
                result = work()
            except Exception as error:
                return done(None, error)
            done(result, None)

        if self.late is None:
            run()
        else:
            self.late.append(run)


class Program:
    """A session that does what a test tells it to."""

    def __init__(self) -> None:
        self.read = b""
        self.eof = self.paused = self.closed = False
        self.sizes: list[tuple[int, int]] = []
        self.backlog = 0
        self.listener: Listener | None = None

    def begin(self, listener: Listener) -> None:
        self.listener = listener

    def says(self, stream: str, data: bytes) -> None:
        assert self.listener is not None
        self.listener.output(stream, data)

    def ends(self, code: int, message: str = "") -> None:
        assert self.listener is not None
        self.listener.ended(code, message)

    def write(self, data: bytes) -> None:
        self.read += data

    def write_eof(self) -> None:
        self.eof = True

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.closed = True

    def resize(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))


def command(program: Program, **options: Any) -> RemoteCommand:
    return RemoteCommand(open=lambda: program, **options)


def broken() -> Any:
    raise OSError("no such program")


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def program() -> Program:
    return Program()


def test_channels_carry_streams_and_a_status_ends_them(line: Line, program: Program) -> None:
    talk = CommandChannels(command(program, stdin=True), line, "v4.channel.k8s.io")
    talk.begin()
    assert line.sent == [b"\x01"], "an empty message says that the connection stands"
    talk.receive(b"\x00some input")
    assert program.read == b"some input"
    program.says("stdout", b"out")
    program.says("stderr", b"err")
    program.ends(3)
    assert line.sent[1:3] == [b"\x01out", b"\x02err"]
    assert line.sent[3][:1] == b"\x03"
    status = json.loads(line.sent[3][1:])
    assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert line.finished


def test_success_is_a_status_too_since_version_4_and_nothing_before(line: Line, program: Program) -> None:
    CommandChannels(command(program), line, "v4.channel.k8s.io").begin()
    program.ends(0)
    assert json.loads(line.sent[-1][1:]) == {"metadata": {}, "status": "Success"}
    old = Line()
    CommandChannels(command(program), old, "channel.k8s.io").begin()
    program.ends(0)
    assert old.sent == [b"\x01"]


def test_a_command_that_cannot_start_is_an_internal_error_in_words(line: Line) -> None:
    CommandChannels(RemoteCommand(open=broken), line, "v5.channel.k8s.io").begin()
    status = json.loads(line.sent[-1][1:])
    assert status["message"] == "Internal error occurred: error executing command in container: no such program"
    assert line.finished


def test_only_version_5_can_end_the_input_alone(line: Line, program: Program) -> None:
    for protocol, ends in (("v4.channel.k8s.io", False), ("v5.channel.k8s.io", True)):
        program.eof = False
        talk = CommandChannels(command(program, stdin=True), line, protocol)
        talk.begin()
        talk.receive(b"\xff\x00")
        assert program.eof == ends


def test_a_terminal_s_size_arrives_whole_or_in_pieces_and_before_it_is_open(line: Line, program: Program) -> None:
    line.late = []
    talk = CommandChannels(command(program, tty=True, stdin=True), line, "v5.channel.k8s.io")
    talk.begin()
    talk.receive(b'\x04{"Width":80,"Height":24}\n')
    line.late.pop()()
    assert program.sizes == [(80, 24)]
    talk.receive(b'\x04{"Width":100,')
    talk.receive(b'\x04"Height":30}{"Width":101,"Height":31}')
    talk.receive(b'\x04{"Width":-1,"Height":"x"}')
    assert program.sizes == [(80, 24), (100, 30), (101, 31)]


def test_base64_channels_are_text(line: Line, program: Program) -> None:
    protocol = "v4.base64.channel.k8s.io"
    talk = CommandChannels(command(program, stdin=True), line, protocol)
    talk.begin()
    talk.receive("0" + base64.b64encode(b"\x00\xff").decode())
    program.says("stdout", b"\xff")
    assert (program.read, line.sent[-1]) == (b"\x00\xff", "1/w==")
    for nonsense in ("x", "0%%%", "1a"):
        with pytest.raises(ValueError, match=r"base64|digit"):
            talk.receive(nonsense)


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.base64.channel.k8s.io"])
def test_what_is_encoded_is_decoded(protocol: str) -> None:
    assert decode(protocol, encode(protocol, 4, b"\x00data\xff")) == (4, b"\x00data\xff")


def test_input_that_was_not_asked_for_is_dropped(line: Line, program: Program) -> None:
    talk = CommandChannels(command(program, stdin=False), line, "v5.channel.k8s.io")
    talk.begin()
    for message in (b"", b"\x00text", b"\x63odd", b"\xff\x09"):
        talk.receive(message)
    assert program.read == b""


def test_a_client_that_is_slow_pauses_the_program_and_one_that_goes_closes_it(line: Line, program: Program) -> None:
    talk = CommandChannels(command(program), line, "v5.channel.k8s.io")
    talk.begin()
    talk.hold(True)
    assert program.paused
    talk.hold(False)
    assert not program.paused
    talk.hang_up()
    assert program.closed


def test_output_that_nobody_fetches_pauses_the_program(program: Program) -> None:
    posted: list[Callable[[], None]] = []
    line = Line()
    line.post = posted.append  # type: ignore[method-assign]
    CommandChannels(command(program), line, "v5.channel.k8s.io").begin()
    for _ in range(100):
        program.says("stdout", bytes(10_000))
    assert program.paused
    for callback in posted:
        callback()
    assert not program.paused
    assert len(line.sent) == 101


def test_a_client_that_goes_before_the_command_is_open_leaves_nothing_running(line: Line, program: Program) -> None:
    line.late = []
    talk = CommandChannels(command(program), line, "v5.channel.k8s.io")
    talk.begin()
    talk.hang_up()
    line.late.pop()()
    assert program.closed
    assert program.listener is None


class SpdyClient:
    """A client that speaks SPDY to a conversation."""

    def __init__(self, line: Line, talk: CommandOverSpdy | PortsOverSpdy) -> None:
        self.line, self.talk = line, talk
        self.framing = Framing()
        self.heard: list[spdy.Frame] = []

    def say(self, *frames: bytes) -> list[spdy.Frame]:
        """Send frames; what was answered since the last time."""
        self.talk.receive(b"".join(frames))
        return self.hear()

    def hear(self) -> list[spdy.Frame]:
        sent, self.line.sent = self.line.sent, []
        return self.framing.receive(b"".join(part for part in sent if isinstance(part, bytes)))

    def open(self, stream: int, **headers: str) -> list[spdy.Frame]:
        return self.say(self.framing.syn_stream(stream, headers))


def test_a_spdy_command_starts_when_all_its_streams_are_open(line: Line, program: Program) -> None:
    client = SpdyClient(line, CommandOverSpdy(command(program, stdin=True), line, "v4.channel.k8s.io"))
    for stream, name in ((1, "error"), (3, "stdin"), (5, "stdout")):
        assert client.open(stream, streamType=name) == [SynReply(stream, {})]
    assert program.listener is None
    client.open(7, streamType="stderr")
    client.say(client.framing.data(3, b"input", fin=True))
    assert (program.read, program.eof) == (b"input", True)
    program.says("stderr", b"oops")
    program.ends(2)
    said = client.hear()
    assert said[0] == Data(7, b"oops")
    assert isinstance(said[1], Data) and said[1].stream == 1
    assert json.loads(said[1].data)["details"]["causes"][0]["message"] == "2"
    assert said[2:] == [Data(5, b"", True), Data(7, b"", True), Data(1, b"", True)]


def test_a_stream_that_was_not_asked_for_or_comes_twice_is_reset(line: Line, program: Program) -> None:
    client = SpdyClient(line, CommandOverSpdy(command(program), line, "v4.channel.k8s.io"))
    client.open(1, streamType="error")
    for stream, headers in ((3, {"streamType": "error"}), (5, {"streamType": "stdin"}), (7, {})):
        assert client.open(stream, **headers) == [Reset(stream, spdy.PROTOCOL_ERROR)]
    assert client.open(1, streamType="stdout") == [Reset(1, spdy.REFUSED_STREAM)]


def test_a_ping_is_answered_with_its_number(line: Line, program: Program) -> None:
    client = SpdyClient(line, CommandOverSpdy(command(program), line, "v4.channel.k8s.io"))
    assert client.say(client.framing.ping(5), client.framing.ping(6)) == [Ping(5)]


def test_a_spdy_port_forward_is_a_connection_for_each_pair_of_streams(line: Line) -> None:
    pods = {80: Program(), 81: Program()}
    wish = PortForward(connect=lambda port: pods[port], pod="web")
    client = SpdyClient(line, PortsOverSpdy(wish, line, "portforward.k8s.io"))
    for number, port in enumerate(pods):
        client.open(4 * number + 1, streamType="error", port=str(port), requestID=str(number))
        client.open(4 * number + 3, streamType="data", port=str(port), requestID=str(number))
    client.say(client.framing.data(7, b"to 81"), client.framing.data(3, b"to 80", fin=True))
    assert (pods[80].read, pods[81].read, pods[80].eof, pods[81].eof) == (b"to 80", b"to 81", True, False)
    pods[81].says("stdout", b"from 81")
    pods[81].ends(0)
    assert client.hear() == [Data(7, b"from 81"), Data(7, b"", True), Data(5, b"", True)]
    assert client.say(client.framing.reset(3, spdy.CANCEL)) == [Reset(1, spdy.CANCEL)]
    assert pods[80].closed


def test_a_port_that_cannot_be_reached_is_told_on_its_error_stream(line: Line) -> None:
    def connect(port: int) -> Any:
        raise OSError("connection refused")

    client = SpdyClient(line, PortsOverSpdy(PortForward(connect=connect, pod="web"), line, "portforward.k8s.io"))
    client.open(1, streamType="error", port="80", requestID="0")
    said = client.open(3, streamType="data", port="80", requestID="0")
    assert Data(1, b"error forwarding port 80 to pod web: connection refused") in said
    assert said[-2:] == [Data(3, b"", True), Data(1, b"", True)]


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "http", "８０"])
def test_a_stream_for_a_port_that_is_none_is_reset(line: Line, port: str) -> None:
    client = SpdyClient(line, PortsOverSpdy(PortForward(connect=broken, pod="web"), line, "portforward.k8s.io"))
    assert client.open(1, streamType="error", port=port, requestID="0") == [Reset(1, spdy.PROTOCOL_ERROR)]


def test_one_client_may_not_open_streams_without_end(line: Line) -> None:
    client = SpdyClient(line, PortsOverSpdy(PortForward(connect=broken, pod="web"), line, "portforward.k8s.io"))
    opened = [client.open(2 * n + 1, streamType="error", port="80", requestID=str(n))[0] for n in range(600)]
    assert isinstance(opened[0], SynReply)
    assert opened[-1] == Reset(1199, spdy.REFUSED_STREAM)


def test_a_websocket_port_forward_has_two_channels_for_each_port(line: Line) -> None:
    pods = {80: Program(), 443: Program()}
    wish = PortForward(connect=lambda port: pods[port], pod="web", ports=(80, 443))
    talk = PortChannels(wish, line, "v4.channel.k8s.io")
    talk.begin()
    assert line.sent == [b"\x00\x50\x00", b"\x01\x50\x00", b"\x02\xbb\x01", b"\x03\xbb\x01"]
    talk.receive(b"\x02hello")
    talk.receive(b"\x03dropped")
    talk.receive(b"\x09dropped")
    assert pods[443].read == b"hello"
    pods[443].says("stdout", b"there")
    pods[443].ends(0)
    assert line.sent[-1] == b"\x02there"
    assert not line.finished
    pods[80].ends(-1, "it broke")
    assert line.sent[-1] == b"\x01error forwarding port 80 to pod web: it broke"
    assert line.finished


def test_an_exit_status_says_success_a_code_or_what_went_wrong() -> None:
    assert exit_status(0, "")["status"] == "Success"
    assert exit_status(1, "")["reason"] == "NonZeroExitCode"
    assert (exit_status(-1, "gone")["reason"], exit_status(-1, "gone")["code"]) == ("InternalError", 500)
