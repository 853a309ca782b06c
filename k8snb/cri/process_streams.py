"""Exec and Attach on plain processes, with real terminals.

Interface: `Terminal`, a pseudo-terminal; `ExecSession`, a command beside a container; `AttachSession`, a client of a
container's own program; `Audience`, the clients that hear what a container writes.
The rule not to break: a command ends with its session, and a client that does not listen never holds a container up.
A real runtime runs the command in the container's namespaces (`setns`), by its OCI runtime.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from k8snb.cri import Listener
from k8snb.cri.janitor import Janitor
from k8snb.cri.janitor_program import kill_group
from k8snb.cri.process_shim import SIGNAL_BASE, open_process
from k8snb.cri.streams import Served

POLL = 0.05  # seconds between two looks at a command, where there is no pidfd
MAX_BEHIND = 1 << 20  # bytes that a client may be behind before it is let go
COLUMNS, ROWS = 80, 24
# The first thing that a session's leader opens becomes its controlling terminal.
_TAKE_TERMINAL = 'exec <>"$0" >&0 2>&0 && exec "$@"'
# A kernel started in the background ignores ^C, which no shell can undo for what it starts.
_HEED_INTERRUPT = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """A pseudo-terminal. `master` is our side; `slave` is closed once a program has it."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        self.resize(COLUMNS, ROWS)

    def command(self, words: Sequence[str]) -> list[str]:
        """The same command, with this as its controlling terminal: ^C and the window's size reach it."""
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        first = [sys.executable, "-S", "-E", "-I", "-c", _HEED_INTERRUPT] if ignored else []
        return [*first, "/bin/sh", "-c", _TAKE_TERMINAL, os.ttyname(self.slave), *words]

    def handed_over(self) -> None:
        os.close(self.slave)

    def resize(self, columns: int, rows: int) -> None:
        with suppress(OSError):
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        for end in (self.master, self.slave):
            os.close(end)


class ExecSession(Served):
    """A command beside a container's own program. Raises OSError where it cannot be started."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], folder: Path, *, tty: bool, stdin: bool,
        janitor: Janitor,
    ) -> None:  # fmt: skip
        self._janitor = janitor
        self._terminal = Terminal() if tty else None
        if self._terminal is not None:
            words, environment = self._terminal.command(words), {"TERM": "xterm", **environment}
        try:
            self._popen = _start(words, environment, folder, self._terminal, stdin)
        except BaseException:
            if self._terminal is not None:
                self._terminal.close()
            raise
        janitor.group(self._popen.pid)
        self._pidfd = open_process(self._popen.pid)
        if self._terminal is not None:
            self._terminal.handed_over()
            master = self._terminal.master
            super().__init__({master: "stdout"}, master if stdin else -1)
        else:
            out, err, into = self._popen.stdout, self._popen.stderr, self._popen.stdin
            assert out is not None and err is not None
            super().__init__({out.fileno(): "stdout", err.fileno(): "stderr"}, into.fileno() if into else -1)

    def resize(self, columns: int, rows: int) -> None:
        with self._guard:
            if self._terminal is not None and not self._gone:
                self._terminal.resize(columns, rows)

    def _also(self) -> dict[int, int]:
        return {self._pidfd: selectors.EVENT_READ} if self._pidfd >= 0 else {}

    def _patience(self) -> float | None:
        return None if self._pidfd >= 0 else POLL

    def _over(self) -> bool:
        """What the command leaves running in the background may keep its pipes open: its own end is what counts."""
        return self._has_exited()

    def _has_exited(self) -> bool:
        if not hasattr(os, "waitid"):
            return self._popen.poll() is not None
        return os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _end_input(self, sink: int) -> None:
        if self._popen.stdin is not None:
            self._popen.stdin.close()

    def _finish(self) -> tuple[int, str]:
        if not self._has_exited():
            kill_group(self._popen.pid)
        self._janitor.forget(self._popen.pid)
        code = self._popen.wait()
        for source in list(self._sources) if self._listener is not None else ():
            while self._read(source):
                pass
        self._release()
        return (code if code >= 0 else SIGNAL_BASE - code), ""

    def _release(self) -> None:
        with self._guard:
            self._gone = True
            if self._terminal is not None:
                os.close(self._terminal.master)
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                pipe.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)


def _start(
    words: Sequence[str], environment: Mapping[str, str], folder: Path, terminal: Terminal | None, stdin: bool
) -> subprocess.Popen[bytes]:
    piped = subprocess.PIPE if stdin else subprocess.DEVNULL
    into, out = (piped, subprocess.PIPE) if terminal is None else (terminal.slave, terminal.slave)
    return subprocess.Popen(
        words, stdin=into, stdout=out, stderr=out, bufsize=0, cwd=folder, env=environment, start_new_session=True
    )


class Audience:
    """The clients attached to one container. The shim's thread speaks; clients come and go on any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._clients: list[AttachSession] = []
        self._ended = False

    def join(self, client: AttachSession) -> bool:
        """False: the container has ended already."""
        with self._guard:
            if not self._ended:
                self._clients.append(client)
            return not self._ended

    def leave(self, client: AttachSession) -> None:
        with self._guard, suppress(ValueError):
            self._clients.remove(client)

    def hear(self, stream: str, data: bytes) -> None:
        with self._guard:
            clients = list(self._clients)
        for client in clients:
            client.hear(stream, data)

    def end(self) -> None:
        with self._guard:
            self._ended = True
            clients = list(self._clients)
        for client in clients:
            client.container_ended()


class AttachSession(Served):
    """A client of a container's own program: it hears what is written from now on, and writes to its input.

    `sink` is a copy of our end of the program's input, -1 where there is none. `end_input` is called when the client
    has nothing more to say; `resize` goes to the container's terminal.
    """

    def __init__(
        self, audience: Audience, sink: int, *, end_input: Callable[[], None], resize: Callable[[int, int], None]
    ) -> None:
        super().__init__({}, sink)
        self._audience, self._input, self.resize = audience, sink, resize
        self._tell_end = end_input
        self._behind: deque[tuple[str, bytes]] = deque()
        self._behind_size = 0
        self._done, self._message = False, ""

    def begin(self, listener: Listener) -> None:
        self._done = not self._audience.join(self)
        super().begin(listener)

    def hear(self, stream: str, data: bytes) -> None:
        """On the shim's thread. What comes too fast for the client waits, up to a point."""
        with self._guard:
            self._behind.append((stream, data))
            self._behind_size += len(data)
        self._ring()

    def container_ended(self) -> None:
        self._done = True
        self._ring()

    def _turn(self) -> None:
        super()._turn()
        if self._behind_size > MAX_BEHIND:
            self._done, self._message = True, "the client does not read what the container writes: detached"
        elif not self._paused:
            self._hand_on()

    def _hand_on(self) -> None:
        with self._guard:
            behind, self._behind, self._behind_size = self._behind, deque(), 0
        for stream, data in behind:
            self._take(stream, data)

    def _over(self) -> bool:
        return self._done

    def _end_input(self, sink: int) -> None:
        os.close(sink)
        self._input = -1
        self._tell_end()

    def _finish(self) -> tuple[int, str]:
        self._audience.leave(self)
        if self._listener is not None and not self._message:
            self._hand_on()
        if self._input >= 0:
            self._end_input(self._input)
            self._sink = -1
        return 0, self._message
