"""kubectl's remote commands: what is said to a program in a container, and what it answers.

Interface: `begin(session, pod, container, …) -> Remote`, an exec or an attach that is under way; `converse` says all
there is to say and waits for the end.
The rule not to break: a program that talks is never waited for without an end, and whoever leaves closes the streams.
Source: `client-go/tools/remotecommand`. Real kubectl reads both streams from a WebSocket.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.kubectl.output import KubectlError
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.session import Session

STDOUT, STDERR = "stdout", "stderr"
PIECE, MOST = 1 << 16, 1 << 20  # bytes that are written at a time, and that may be on their way
PATIENCE = 3600.0  # seconds for a command that says nothing
_FIRST, _LONGEST = 0.005, 0.25  # seconds between two looks


class Streams(Protocol):
    """A program's streams: what the kubelet opens."""

    @property
    def backlog(self) -> int: ...
    def begin(self, listener: Any) -> None: ...
    def write(self, data: bytes) -> None: ...
    def write_eof(self) -> None: ...
    def resize(self, columns: int, rows: int) -> None: ...
    def close(self) -> None: ...


class Said(NamedTuple):
    """All that a command said, and its exit code."""

    stdout: bytes
    stderr: bytes
    code: int


class BrokenError(KubectlError):
    """A connection that broke before the command ended; `stdout` has what had come by then."""

    def __init__(self, message: str, stdout: bytes) -> None:
        super().__init__(message)
        self.stdout = stdout


class Remote:
    """A program that is being talked to. It is heard on whatever thread its runtime has, and read on the cell's."""

    def __init__(self, session: Session, streams: Streams, failure: str) -> None:
        self._session, self._streams, self._failure = session, streams, failure
        self._heard: deque[tuple[str, bytes]] = deque()
        self._end: tuple[int, str] | None = None
        streams.begin(self)

    # what the runtime calls

    def output(self, stream: str, data: bytes) -> None:
        self._heard.append((stream, data))

    def drained(self) -> None:
        """What was written has been taken; whoever waits for that looks at the backlog."""

    def ended(self, code: int, message: str) -> None:
        self._end = (code, message)

    # what a command calls

    @property
    def over(self) -> bool:
        return self._end is not None

    @property
    def heard(self) -> bool:
        """Whether there is something to take."""
        return bool(self._heard)

    @property
    def code(self) -> int:
        """The program's exit code. Raises KubectlError where the connection broke instead."""
        code, message = self._end or (0, "")
        if message:
            raise KubectlError(f"error: Internal error occurred: {self._failure}: {message}")
        return code

    def take(self) -> list[tuple[str, bytes]]:
        """What has come since the last question."""
        return [self._heard.popleft() for _ in range(len(self._heard))]

    def text(self) -> str:
        """The same as text, both streams as they came."""
        return b"".join(data for _, data in self.take()).decode(errors="replace")

    def say(self, data: bytes) -> None:
        """Write, as fast as the program reads. Raises KubectlError where it does not read at all."""
        for start in range(0, len(data), PIECE):
            if not self.wait(lambda: self.over or self._streams.backlog < MOST, PATIENCE):
                raise KubectlError("error: the container does not read what it is sent")
            self._streams.write(data[start : start + PIECE])

    def say_end(self) -> None:
        self._streams.write_eof()

    def resize(self, columns: int, rows: int) -> None:
        """Tell the program how large its terminal is."""
        self._streams.resize(columns, rows)

    def wait(self, until: Callable[[], bool], timeout: float) -> bool:
        """Look often: a runtime's threads wake nobody who waits here."""
        pause, left = _FIRST, timeout
        while not self._session.wait(until, min(pause, left)):
            left -= pause
            pause = min(pause * 2, _LONGEST)
            if left <= 0:
                return until()
        return True

    def close(self) -> None:
        self._streams.close()


def begin(
    session: Session, pod: Object, container: str, *, command: list[str] | None = None, stdin: bool = False,
    tty: bool = False,
) -> Remote:  # fmt: skip
    """Exec a command, or without one attach to the container's own program. Raises KubectlError."""
    wish = wanted(session, pod, container, command=command, stdin=stdin, tty=tty)
    return Remote(session, opened(wish.open, wish.failure), wish.failure)


def in_console(
    session: Session, pod: Object, container: str, *, command: list[str] | None = None, stdin: bool, tty: bool
) -> int:
    """The same, joined with the terminal until the program ends: its exit code. Raises KubectlError."""
    assert session.console is not None
    wish = wanted(session, pod, container, command=command, stdin=stdin, tty=tty)
    streams = opened(wish.open, wish.failure)
    code, message = session.console.talk(streams, session.wait, stdin=stdin, tty=tty)
    if message:
        raise KubectlError(f"error: Internal error occurred: {wish.failure}: {message}")
    return code


def wanted(session: Session, pod: Object, container: str, *, command: list[str] | None, stdin: bool, tty: bool) -> Any:
    """What the apiserver allows to be opened. Raises KubectlError."""
    door = "attach" if command is None else "exec"
    options: dict[str, Any] = {"container": container, "stdin": stdin, "stdout": True, "stderr": True, "tty": tty}
    options |= {"command": command} if command is not None else {}
    try:
        return session.client.create_subresource(
            "pods", name_of(pod), door, {}, namespace_of(pod), upgrade=True, **options
        )
    except ApiError as error:
        raise refused(error) from None


def opened(connect: Callable[[], Any], failure: str) -> Any:
    """A connection that the runtime opens. Raises KubectlError in the words of the stream's last message."""
    try:
        return connect()
    except KeyboardInterrupt:
        raise
    except ApiError as error:
        raise refused(error) from None
    except Exception as error:
        said = getattr(error, "message", "") or error
        raise KubectlError(f"error: Internal error occurred: {failure}: {said}") from None


@contextmanager
def closing(remote: Remote) -> Iterator[Remote]:
    try:
        yield remote
    finally:
        if not remote.over:
            remote.close()


def converse(
    session: Session, pod: Object, container: str, *, command: list[str] | None = None, given: bytes | None = None
) -> Said:
    """Say `given` to a program (None: it has no stdin), and listen until it ends."""
    with closing(begin(session, pod, container, command=command, stdin=given is not None)) as remote:
        if given is not None:
            remote.say(given)
            remote.say_end()
        remote.wait(lambda: remote.over, PATIENCE)
        heard = remote.take()
        out, err = (b"".join(data for stream, data in heard if stream == each) for each in (STDOUT, STDERR))
        try:
            return Said(out, err, remote.code)
        except KubectlError as error:
            raise BrokenError(error.message, out) from None
