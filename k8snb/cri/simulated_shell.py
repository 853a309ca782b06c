"""sh, the runner: a script's tree carried out against virtual time.

Interface: `Shell.script(text, streams)` is a generator that yields the seconds it wants to wait (`math.inf`: for ever)
and returns the exit code. What surrounds the script is a `Machine`; the commands are a table handed in.
The rule not to break: a script ends or yields, so an endless loop costs virtual time and never hangs the pump.
A real container runs a real /bin/sh, and the stages of its pipes run side by side instead of one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from k8snb.cri.simulated_numbers import arithmetic
from k8snb.cri.simulated_script import (
    Block,
    Chain,
    For,
    If,
    Loop,
    Piece,
    Pipeline,
    Redirect,
    Redirected,
    Simple,
    UnsupportedError,
    parse,
    substitution_end,
)

Wait = Generator[float, None, int]
Command = Callable[["Shell", list[str], "Streams"], "Wait | int"]

SHELLS = frozenset({"sh", "ash", "bash", "dash"})
# Commands that read their input, and how many words they need before they read files instead.
_READERS = {"cat": 0, "head": 0, "tail": 0, "wc": 0, "grep": 1, "egrep": 1}
_VARIABLE = re.compile(r"\$(?:(\w+|[?#$@*!])|\{(\w+)(?::?([-+=])([^}]*))?\})")
_ENDLESS = {((Piece("", word),),) for word in ("true", ":", "1")}
_BURST = 1000  # commands without a wait that cost one second
_PATIENCE = 3600.0  # seconds of waiting inside $(…) after which it counts as endless


class Exit(Exception):
    """`exit N`: leaves the script with the code in `args[0]`."""


class Interrupted(Exception):
    """^C was typed while a command ran."""


class _Break(Exception):
    """`break`, or `continue` when `again` is true."""

    def __init__(self, again: bool) -> None:
        self.again = again


class Input(Protocol):
    """Input that is still being typed: see `simulated_console`."""

    def rest(self) -> Generator[float, None, bytes]: ...

    def converse(self, shell: Shell, streams: Streams) -> Wait: ...


class Streams(NamedTuple):
    """Where a command reads and writes. With a `console`, its input is what is typed there."""

    stdin: bytes
    out: Callable[[bytes], None]
    err: Callable[[bytes], None]
    console: Input | None = None

    def fail(self, line: str) -> int:
        """Say what went wrong; the exit code for that."""
        self.err(f"{line}\n".encode())
        return 1

    def refuse(self, what: str) -> int:
        """Say what these commands lack of the real ones; the exit code for that."""
        self.err(f"{what}: not implemented by k8snb's simulated containers\n".encode())
        return 2


class Machine(Protocol):
    """What a script sees around itself: its container."""

    hostname: str

    @property
    def identity(self) -> Who: ...

    @property
    def files(self) -> Files: ...

    def now(self) -> float: ...

    def launch(self, argv: list[str]) -> Wait | int | None:
        """Start a program that is no shell command; None when there is none of that name."""

    def fetch(self, url: str) -> Answer: ...

    def lookup(self, name: str) -> str | None: ...

    def signal(self, number: int) -> None:
        """Send a signal to the container's first process."""


class Who(Protocol):
    """A process's user, first group and all its groups; `name` is "" for a user that has none."""

    @property
    def user(self) -> int: ...

    @property
    def group(self) -> int: ...

    @property
    def groups(self) -> Sequence[int]: ...

    @property
    def name(self) -> str: ...


class Files(Protocol):
    """A container's file system. `write` and `remove` raise OSError."""

    def read(self, path: str) -> bytes | None: ...

    def names(self, path: str) -> list[str] | None: ...

    def write(self, path: str, data: bytes, append: bool = False) -> None: ...

    def make_directory(self, path: str) -> None: ...

    def remove(self, path: str) -> bool: ...


class Answer(NamedTuple):
    """What came back from a URL: a status and a body, or 0 and what went wrong (`address` or `refused`)."""

    status: int
    body: bytes
    problem: str = ""


class Shell:
    """One script being run. `endless` is positive inside `while true`, which nobody waits for."""

    def __init__(self, machine: Machine, commands: Mapping[str, Command], env: Mapping[str, str]) -> None:
        self.machine = machine
        self.commands = commands
        self.env = dict(env)
        self.directory = "/"
        self.code = 0
        self.endless = 0
        self.traps: dict[str, str] = {}
        self.stop_on_error = False
        self.replaced = False  # by `exec`: the program, not the shell, gets the signals
        self._fuel = _BURST

    def script(self, text: str, streams: Streams) -> Wait:
        """Run a script to its end; an `exit` in it ends it."""
        try:
            return (yield from self.run(parse(text), streams))
        except Exit as end:
            return int(end.args[0])

    def run(self, node: Any, streams: Streams) -> Wait:
        """Run one node of the tree."""
        runners: Mapping[type, Callable[[Any, Streams], Wait]] = {
            Simple: self._simple, Pipeline: self._pipeline, Chain: self._chain, Block: self._block,
            Loop: self._loop, For: self._for, If: self._if, Redirected: self._redirected,
        }  # fmt: skip
        self.code = yield from runners[type(node)](node, streams)
        return self.code

    def _block(self, block: Block, streams: Streams) -> Wait:
        code = 0
        for item in block.items:
            code = yield from self.run(item, streams)
            if code and self.stop_on_error and isinstance(item, Simple):
                raise Exit(code)
        return code

    def _chain(self, chain: Chain, streams: Streams) -> Wait:
        code = yield from self.run(chain.first, streams)
        for word, item in chain.rest:
            if (code == 0) == (word == "&&"):
                code = yield from self.run(item, streams)
        return code

    def _pipeline(self, pipeline: Pipeline, streams: Streams) -> Wait:
        stdin, code = streams.stdin, 0
        for stage in pipeline.stages[:-1]:
            passed = bytearray()
            console = streams.console if stage is pipeline.stages[0] else None
            for wait in self.run(stage, Streams(stdin, passed.extend, streams.err, console)):
                if self.endless:
                    raise UnsupportedError("an endless loop before a pipe")
                yield wait
            stdin = bytes(passed)
        last = streams._replace(stdin=stdin, console=None) if len(pipeline.stages) > 1 else streams
        code = yield from self.run(pipeline.stages[-1], last)
        return int(not code) if pipeline.negated else code

    def _loop(self, loop: Loop, streams: Streams) -> Wait:
        first = loop.condition.items[0] if len(loop.condition.items) == 1 else None
        endless = isinstance(first, Simple) and first.words[:1] in _ENDLESS
        self.endless += endless
        try:
            code = 0
            while ((yield from self.run(loop.condition, streams)) == 0) != loop.until:
                try:
                    code = yield from self.run(loop.body, streams)
                except _Break as leave:
                    if not leave.again:
                        break
            return code
        finally:
            self.endless -= endless

    def _for(self, loop: For, streams: Streams) -> Wait:
        code = 0
        for value in self._expand_all(loop.words, streams):
            self.env[loop.name] = value
            try:
                code = yield from self.run(loop.body, streams)
            except _Break as leave:
                if not leave.again:
                    break
        return code

    def _if(self, node: If, streams: Streams) -> Wait:
        for condition, body in node.arms:
            if (yield from self.run(condition, streams)) == 0:
                return (yield from self.run(body, streams))
        return (yield from self.run(node.otherwise, streams))

    def _redirected(self, node: Redirected, streams: Streams) -> Wait:
        return (yield from self.run(node.body, self._redirect(node.redirects, streams)))

    def _simple(self, node: Simple, streams: Streams) -> Wait:
        self._fuel -= 1
        if self._fuel <= 0:
            self._fuel = _BURST
            yield 1.0
        saved = dict(self.env) if node.words and node.assignments else None
        for name, pieces in node.assignments:
            self.env[name] = self._expand_one(pieces, streams)
        argv = self._expand_all(node.words, streams)
        try:
            inner = self._redirect(node.redirects, streams)
        except OSError as problem:
            streams.err(f"sh: can't open {problem.filename}: {problem.strerror}\n".encode())
            return 1
        code = (yield from self.command(argv, inner)) if argv else 0
        if saved is not None:
            self.env = saved
        return code

    def command(self, argv: list[str], streams: Streams) -> Wait:
        """Run one command given as words: one of the shell's own, or a program of the machine."""
        if argv[0] in ("break", "continue"):
            raise _Break(argv[0] == "continue")
        name = argv[0].rpartition("/")[2]
        if streams.console is not None and name in SHELLS and not any(not word.startswith("-") for word in argv[1:]):
            return (yield from streams.console.converse(self, streams))
        if streams.console is not None and _reads_input(name, argv[1:]):
            streams = streams._replace(stdin=(yield from streams.console.rest()), console=None)
        known = self.commands.get(name)
        result = known(self, argv, streams) if known else self.machine.launch(argv)
        if result is None:
            streams.err(f"sh: {argv[0]}: not found\n".encode())
            return 127
        return result if isinstance(result, int) else (yield from result)

    # redirections and words

    def path(self, name: str) -> str:
        """`name` seen from the working directory."""
        return name if name.startswith("/") else f"{self.directory.rstrip('/')}/{name}"

    def _redirect(self, redirects: tuple[Redirect, ...], streams: Streams) -> Streams:
        for redirect in redirects:
            target = self._expand_one(redirect.target, streams)
            streams = self._redirect_one(redirect, target, streams)
        return streams

    def _redirect_one(self, redirect: Redirect, target: str, streams: Streams) -> Streams:
        if redirect.operator == "<":
            data = self.machine.files.read(self.path(target))
            if data is None:
                raise FileNotFoundError(2, "no such file", target)
            return streams._replace(stdin=data, console=None)
        if redirect.operator == ">&":
            sink = streams.out if target == "1" else streams.err
        else:
            sink = self._sink(self.path(target), redirect.operator, streams)
        return streams._replace(err=sink) if redirect.fd == "2" else streams._replace(out=sink)

    def _sink(self, path: str, sign: str, streams: Streams) -> Callable[[bytes], None]:
        devices: Mapping[str, Callable[[bytes], None]] = {
            "/dev/null": lambda data: None, "/dev/stdout": streams.out, "/dev/stderr": streams.err,
            "/proc/1/fd/1": streams.out,
        }  # fmt: skip
        if path in devices:
            return devices[path]
        files = self.machine.files
        files.write(path, b"", sign == ">>")
        return lambda data: files.write(path, data, True)

    def _expand_all(self, words: tuple[tuple[Piece, ...], ...], streams: Streams) -> list[str]:
        return [field for pieces in words for field in self._fields(pieces, streams)]

    def _expand_one(self, pieces: tuple[Piece, ...], streams: Streams) -> str:
        return "".join(self._piece(piece, streams) for piece in pieces)

    def _fields(self, pieces: tuple[Piece, ...], streams: Streams) -> list[str]:
        """A word's fields: only what came out of an unquoted expansion is split at blanks."""
        fields, quoted = [""], False
        for piece in pieces:
            text = self._piece(piece, streams)
            quoted = quoted or bool(piece.quote)
            if piece.quote or text == piece.text:
                fields[-1] += text
                continue
            parts = re.split(r"\s+", text)
            fields[-1] += parts[0]
            fields += parts[1:]
        return [field for field in fields if field or quoted]

    def _piece(self, piece: Piece, streams: Streams) -> str:
        if piece.quote == "'":
            return piece.text
        text, parts, at = piece.text, [], 0
        while at < len(text):
            if text[at] == "\\" and text[at + 1 : at + 2] in tuple('$`"\\'):
                parts.append(text[at + 1])
                at += 2
            elif text[at] == "`" or text.startswith("$(", at):
                end = substitution_end(text, at)
                parts.append(self._substitute(text[at:end], streams))
                at = end
            elif match := _VARIABLE.match(text, at):
                parts.append(self._variable(match))
                at = match.end()
            else:
                parts.append(text[at])
                at += 1
        return "".join(parts)

    def _variable(self, match: re.Match[str]) -> str:
        name, sign, other = match[1] or match[2], match[3], match[4] or ""
        value = {"?": str(self.code), "$": "1", "#": "0", "@": "", "*": "", "!": ""}.get(name, self.env.get(name, ""))
        if sign == "+":
            return other if value else ""
        return value or other

    def _substitute(self, text: str, streams: Streams) -> str:
        """`$((…))`, `$(…)` or backquotes. Waiting inside costs nothing: the output is wanted now."""
        if text.startswith("$(("):
            return str(arithmetic(_VARIABLE.sub(self._variable, text[3:-2]), self.env))
        inner = text[1:-1] if text[0] == "`" else text[2:-1]
        taken, waited = bytearray(), 0.0
        for wait in self.script(inner, Streams(streams.stdin, taken.extend, streams.err)):
            waited += wait
            if waited > _PATIENCE:
                raise UnsupportedError("waiting for ever inside $(…)")
        return taken.decode(errors="replace").rstrip("\n")


def _reads_input(name: str, words: list[str]) -> bool:
    """Whether a command reads its standard input."""
    if name in ("tar", "tee"):
        return name == "tee" or any("x" in word or "t" in word for word in words[:1])
    named = [word for word in words if not word.startswith("-") and not word.isdigit()]
    return name in _READERS and (len(named) <= _READERS[name] or "-" in words)
