"""A simulated container's console: what is typed, line by line, and the shell that reads it.

Interface: `Console`: `feed` and `end` on one side, `rest` and `converse` for commands that read; `terminal(data)`.
The rule not to break: reading waits by yielding, so a shell that nobody types to costs nothing.
A real container has a pipe there, or a pseudo-terminal with the kernel's line discipline.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator

from k8snb.cri.simulated_script import UnsupportedError, parse
from k8snb.cri.simulated_shell import Exit, Interrupted, Shell, Streams, Wait

PROMPT, MORE = b"/ # ", b"> "
_ENDS_EARLY = "ends in the middle"
_INTERRUPT, _EOF, _ERASE, _KILL, _ENTER = "\x03", "\x04", "\x08\x7f", "\x15", "\r\n"


def terminal(data: bytes) -> bytes:
    """Output as a terminal shows it."""
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Console:
    """Input that has come and was not read yet. On a terminal it is echoed and may be corrected until Enter."""

    def __init__(self, *, tty: bool) -> None:
        self.tty = tty
        self.reading = False  # whether somebody waits for input
        self.conversing = False  # whether a shell is being typed to
        self.echo: Callable[[bytes], None] = lambda data: None
        self._lines: deque[bytes] = deque()
        self._partial = bytearray()
        self._escape = False
        self._ended = False

    # typing

    def feed(self, data: bytes) -> bool:
        """Take input. Returns whether ^C was in it."""
        if self.tty:
            return sum(self._key(chr(byte)) for byte in data) > 0
        *lines, rest = (bytes(self._partial) + data).split(b"\n")
        self._lines.extend(line + b"\n" for line in lines)
        self._partial = bytearray(rest)
        return False

    def end(self) -> None:
        """No more input comes."""
        if self._partial:
            self._lines.append(bytes(self._partial))
            self._partial.clear()
        self._ended = True

    def _key(self, key: str) -> bool:
        if self._escape or key == "\x1b":  # arrows and the like end with a letter
            self._escape = key == "\x1b" or not (key.isalpha() or key == "~")
        elif key in _ENTER:
            self._enter(b"\r\n", bytes(self._partial) + b"\n")
        elif key == _INTERRUPT:
            self._enter(b"^C\r\n", None)
            return True
        elif key == _EOF:
            if not self._partial:
                self._ended = True
        elif key in _ERASE or key == _KILL:
            count = min(len(self._partial), len(self._partial) if key == _KILL else 1)
            del self._partial[len(self._partial) - count :]
            self.echo(b"\b \b" * count)
        else:
            self._partial += key.encode("latin-1")
            self.echo(key.encode("latin-1"))
        return False

    def _enter(self, echo: bytes, line: bytes | None) -> None:
        self.echo(echo)
        self._partial.clear()
        if line is not None:
            self._lines.append(line)

    # reading

    def rest(self) -> Generator[float, None, bytes]:
        """Everything up to the end of the input."""
        while not self._ended:
            yield from self._wait()
        data = b"".join(self._lines)
        self._lines.clear()
        self._ended = not self.tty  # a terminal's ^D ends one reader's input
        return data

    def converse(self, shell: Shell, streams: Streams) -> Wait:
        """An interactive shell: a line is run when it is complete, until the input ends or `exit`."""
        script, self.conversing = "", True
        self._prompt(streams, PROMPT)
        while True:
            while not self._lines and not self._ended:
                try:
                    yield from self._wait()
                except Interrupted:
                    script = ""
                    self._prompt(streams, PROMPT)
            if not self._lines:
                self._ended = not self.tty
                return shell.code
            script += self._lines.popleft().decode(errors="replace")
            try:
                complete = yield from self._run(shell, streams, script)
            except Exit as end:
                return int(end.args[0])
            script = "" if complete else script
            self._prompt(streams, PROMPT if complete else MORE)

    def _run(self, shell: Shell, streams: Streams, script: str) -> Generator[float, None, bool]:
        """Run a script if it is complete; whether it was."""
        try:
            yield from shell.run(parse(script), streams)
        except UnsupportedError as what:
            if _ENDS_EARLY in str(what) and not self._ended:
                return False
            streams.err(f"sh: {what}: not implemented by k8snb's simulated containers\n".encode())
            shell.code = 2
        except OSError as problem:
            streams.err(f"sh: {problem.filename}: {problem.strerror}\n".encode())
            shell.code = 1
        except Interrupted:
            shell.code = 130
        return True

    def _wait(self) -> Generator[float, None, None]:
        self.reading = True
        try:
            yield math.inf
        finally:
            self.reading = False

    def _prompt(self, streams: Streams, text: bytes) -> None:
        if self.tty:
            streams.err(text)
