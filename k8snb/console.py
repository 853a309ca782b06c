"""The console: the terminal that kubectl was typed in, joined with a program in a container.

Interface: `Console`: `talk(streams, …) -> exit code and message`, `note(text)`, `is_terminal`.
The rule not to break: whatever happens, the terminal is left as it was found.
Source: `kubectl/pkg/util/term`.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

PIECE, MOST = 1 << 15, 1 << 20  # bytes that are read at a time, and that may be on their way
FOREVER = 1e9
DESCRIPTORS = {"stdout": 1, "stderr": 2}


class Streams(Protocol):
    """A program's streams: what `remotecommand` opens."""

    @property
    def backlog(self) -> int: ...
    def begin(self, listener: Any) -> None: ...
    def write(self, data: bytes) -> None: ...
    def write_eof(self) -> None: ...
    def resize(self, columns: int, rows: int) -> None: ...
    def close(self) -> None: ...


class Console:
    """This process's stdin, stdout and stderr."""

    @property
    def is_terminal(self) -> bool:
        return sys.stdin.isatty()

    def note(self, text: str) -> None:
        """Say something beside what the program says."""
        sys.stderr.write(text)
        sys.stderr.flush()

    def ask(self, question: str) -> str:
        """The line that is typed in answer, or read from a script; "" at the end of stdin."""
        sys.stdout.write(question)
        sys.stdout.flush()
        return sys.stdin.readline()

    def talk(
        self, streams: Streams, wait: Callable[[Callable[[], bool], float], bool], *, stdin: bool, tty: bool
    ) -> tuple[int, str]:  # fmt: skip
        """Join the streams with this terminal until the program ends: its exit code, or why the connection broke."""
        listener = _Listener()
        sys.stdout.flush()
        with _raw(streams) if tty else _plain():
            streams.begin(listener)
            if stdin:
                threading.Thread(target=_feed, args=(streams, listener), name="k8snb-stdin", daemon=True).start()
            try:
                wait(lambda: listener.end is not None, FOREVER)
            finally:
                streams.close()
        return listener.end or (0, "")


class _Listener:
    """Writes what the program says."""

    def __init__(self) -> None:
        self.end: tuple[int, str] | None = None
        self.taken = threading.Event()

    def output(self, stream: str, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(DESCRIPTORS[stream], left) :]

    def drained(self) -> None:
        self.taken.set()

    def ended(self, code: int, message: str) -> None:
        self.end = (code, message)
        self.taken.set()


def _feed(streams: Streams, listener: _Listener) -> None:
    """Pass stdin on, as fast as the program reads."""
    with suppress(OSError):
        while listener.end is None and (data := os.read(sys.stdin.fileno(), PIECE)):
            streams.write(data)
            while streams.backlog > MOST and listener.end is None:
                listener.taken.clear()
                listener.taken.wait(1.0)
    if listener.end is None:
        streams.write_eof()


@contextmanager
def _plain() -> Iterator[None]:
    yield


@contextmanager
def _raw(streams: Streams) -> Iterator[None]:
    """The terminal passes every key on, and its size when that changes."""
    import termios
    import tty

    def tell(*_: Any) -> None:
        size = shutil.get_terminal_size()
        streams.resize(size.columns, size.lines)

    here = sys.stdin.fileno()
    before = termios.tcgetattr(here)
    handler = signal.signal(signal.SIGWINCH, tell)
    try:
        tty.setraw(here)
        tell()
        yield
    finally:
        termios.tcsetattr(here, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)
