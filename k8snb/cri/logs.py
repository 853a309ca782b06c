"""CRI logs: a container's output as a file of lines, `<rfc3339nano> stdout F line`.

Interface: `ContainerLog`: `append` by the one thread that reads the pipes, `read` by anybody, also while it grows.
The rule not to break: a reader sees whole lines, and one that follows ends when the container ends.
Source: `pkg/kubelet/kuberuntime/logs` and `pkg/kubelet/logs/container_log_manager.go` in the kubernetes repository.
There the kubelet rotates the files and packs old ones, and `kubectl logs` shows the newest alone.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MAX_SIZE, MAX_FILES = 10 * 1024 * 1024, 5  # the kubelet's containerLogMaxSize and containerLogMaxFiles
MAX_LINE = 16 * 1024
STREAMS = ("stdout", "stderr")
FULL, PARTIAL = b"F", b"P"


def stamp(seconds: float) -> bytes:
    """RFC 3339 with nine digits behind the point, so that stamps sort as text."""
    whole = int(seconds)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return f"{moment}.{int((seconds - whole) * 1e9):09d}Z".encode()


class ContainerLog:
    """One container's log. When it has grown too large, the file becomes `<path>.1` and a fresh one begins; there are
    at most `max_files`, the fresh one among them.
    """

    def __init__(
        self, path: Path, now: Callable[[], float], *, max_size: int = MAX_SIZE, max_files: int = MAX_FILES
    ) -> None:
        self.path, self._max_files = path, max_files
        self.closed = self.failed = False
        self._now, self._max_size = now, max_size
        self._rest = dict.fromkeys(STREAMS, b"")
        self._size = self._turns = 0
        self._changed = threading.Condition()

    # writing

    def append(self, stream: str, data: bytes) -> None:
        """Add output as it came out of a pipe; an unfinished line waits for its end."""
        lines = (self._rest[stream] + data).split(b"\n")
        self._rest[stream] = lines.pop()
        head = stamp(self._now()) + b" " + stream.encode() + b" "
        text = b"".join(head + FULL + b" " + line + b"\n" for line in lines)
        if len(self._rest[stream]) > MAX_LINE:
            text += head + PARTIAL + b" " + self._rest[stream] + b"\n"
            self._rest[stream] = b""
        if text:
            self._write(text)

    def close(self) -> None:
        """No more output will come."""
        for stream, rest in self._rest.items():
            if rest:
                self.append(stream, b"\n")
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def remove(self) -> None:
        """Close the log and delete its files."""
        self.close()
        for turns in range(self._max_files):
            self._turned(turns).unlink(missing_ok=True)

    def _write(self, text: bytes) -> None:
        with self._changed:
            if self._size > self._max_size:
                for turns in range(min(self._turns, self._max_files - 2), -1, -1):
                    os.replace(self._turned(turns), self._turned(turns + 1))
                self._size, self._turns = 0, self._turns + 1
            with open(self.path, "ab") as file:
                file.write(text)
            self._size += len(text)
            self._changed.notify_all()

    def _turned(self, turns: int) -> Path:
        """Where a file is found after so many fresh ones have begun."""
        return self.path.with_name(f"{self.path.name}.{turns}") if turns else self.path

    # reading

    def read(
        self, *, follow: bool = False, tail: int | None = None, since: float | None = None, timestamps: bool = False
    ) -> Iterator[bytes]:
        """The lines, each with its end. `since` is in seconds since the epoch; `tail` counts from the end."""
        earliest = stamp(since) if since else b""
        for lines in self._batches(follow):
            lines = [line for line in lines if line >= earliest]
            if tail is not None:
                lines, tail = lines[len(lines) - min(tail, len(lines)) :], None
            for line in lines:
                yield _show(line, timestamps)

    def _batches(self, follow: bool) -> Iterator[list[bytes]]:
        """First what is there, then, following, what comes."""
        with self._changed:
            turns, size, lines = self._turns, self._size, self._older(self._turns, 0)
        position = 0
        while True:
            lines += _lines(self.path, position, size - position)
            position = size
            yield lines
            lines = []
            if not follow:
                return
            with self._changed:
                while not self.closed and (self._turns, self._size) == (turns, position):
                    self._changed.wait()
                if (self._turns, self._size) == (turns, position):
                    return
                if self._turns != turns:
                    lines = self._older(self._turns - turns, position)
                    turns, position = self._turns, 0
                size = self._size

    def _older(self, turns: int, position: int) -> list[bytes]:
        """What stands in the files before the fresh one; of that so many turns ago, from a position on."""
        kept = range(min(turns, self._max_files - 1), 0, -1)
        return [line for n in kept for line in _lines(self._turned(n), position if n == turns else 0, None)]


def _lines(path: Path, position: int, size: int | None) -> list[bytes]:
    if size == 0 or not path.exists():
        return []
    with open(path, "rb") as file:
        file.seek(position)
        return file.read(size).splitlines(keepends=True)


def _show(line: bytes, timestamps: bool) -> bytes:
    moment, _, sort, text = line.split(b" ", 3)
    if sort == PARTIAL:
        text = text.removesuffix(b"\n")
    return moment + b" " + text if timestamps else text
