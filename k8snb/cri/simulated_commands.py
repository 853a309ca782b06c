"""busybox: the commands that a simulated container's shell knows.

Interface: `COMMANDS`, a table from name to function; each takes the shell, the words and the streams, and returns an
exit code or a generator that waits. Those on files, text and the network have modules of their own.
The rule not to break: a command that is not in the table is "not found"; none pretends to have done something.
A real image brings real programs; what these lack of theirs they refuse with exit code 2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from k8snb.cri import simulated_file_commands as files
from k8snb.cri import simulated_network_commands as network
from k8snb.cri import simulated_text_commands as text
from k8snb.cri.simulated_identity import hostname, identity, who
from k8snb.cri.simulated_numbers import integer
from k8snb.cri.simulated_shell import Command, Exit, Shell, Streams, Wait
from k8snb.cri.simulated_tar import tar

_ESCAPE = re.compile(r"\\(n|t|r|a|\\|0[0-7]{0,3})")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "\\": "\\"}
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "TERM": 15}


# output


def echo(shell: Shell, argv: list[str], streams: Streams) -> int:
    words, flags = argv[1:], ""
    while words and re.fullmatch(r"-[neE]+", words[0]):
        flags += words.pop(0)
    text = " ".join(words) if "e" not in flags else _unescape(" ".join(words))
    streams.out((text + ("" if "n" in flags else "\n")).encode())
    return 0


def printf(shell: Shell, argv: list[str], streams: Streams) -> int:
    if len(argv) < 2:
        return streams.refuse("printf FORMAT [ARG]...")
    form, values = _unescape(argv[1]), argv[2:]
    slots = re.findall(r"%-?\d*[sdi]", form.replace("%%", ""))
    turns = range(0, max(len(values), 1), len(slots)) if slots else range(1)
    for turn in turns:
        given = [*values[turn : turn + len(slots)], *[""] * len(slots)][: len(slots)]
        typed = [value if slot[-1] == "s" else integer(value) for slot, value in zip(slots, given, strict=True)]
        streams.out((form % tuple(typed)).encode())
    return 0


def date(shell: Shell, argv: list[str], streams: Streams) -> int:
    form = next((word[1:] for word in argv[1:] if word.startswith("+")), "%a %b %e %H:%M:%S UTC %Y")
    moment = datetime.fromtimestamp(shell.machine.now(), UTC)
    streams.out((moment.strftime(form.replace("%s", str(int(moment.timestamp())))) + "\n").encode())
    return 0


def seq(shell: Shell, argv: list[str], streams: Streams) -> int:
    numbers = [integer(word) for word in argv[1:4]] or [0]
    first, step, last = {1: (1, 1, numbers[-1]), 2: (numbers[0], 1, numbers[-1])}.get(len(numbers), tuple(numbers))
    values = range(first, last + (1 if step > 0 else -1), step or 1)
    streams.out("".join(f"{value}\n" for value in values).encode())
    return 0


def _say(answer: Callable[[Shell], str]) -> Command:
    """A command that prints one thing about its container."""

    def command(shell: Shell, argv: list[str], streams: Streams) -> int:
        streams.out((answer(shell) + "\n").encode())
        return 0

    return command


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1]) or chr(int(match[1], 8)), text)


# the shell's own


def leave(shell: Shell, argv: list[str], streams: Streams) -> int:
    raise Exit(integer(argv[1]) & 255 if len(argv) > 1 else shell.code)


def sh(shell: Shell, argv: list[str], streams: Streams) -> Wait | int:
    """`sh -c SCRIPT [NAME [ARG]...]`, `sh FILE`, or a script on standard input."""
    flags = [word for word in argv[1:] if word.startswith("-")]
    words = [word for word in argv[1:] if not word.startswith("-")]
    if any(word.endswith("c") for word in flags):
        text = words[0] if words else ""
    elif words:
        data = shell.machine.files.read(shell.path(words[0]))
        if data is None:
            streams.err(f"sh: can't open '{words[0]}'\n".encode())
            return 127
        text = data.decode(errors="replace")
    else:
        text = streams.stdin.decode(errors="replace")
    shell.stop_on_error = any("e" in word for word in flags)
    return shell.script(text, streams)


def execute(shell: Shell, argv: list[str], streams: Streams) -> Wait:
    if len(argv) > 1:
        shell.replaced = True
        raise Exit((yield from shell.command(argv[1:], streams)))
    return 0


def set_options(shell: Shell, argv: list[str], streams: Streams) -> int:
    """`set -e` stops at the first failure; -u, -x and -o pipefail are refused."""
    for word in argv[1:]:
        if word not in ("-e", "+e"):
            streams.err(f"sh: set {word}: not implemented by k8snb's simulated containers\n".encode())
            return 2
        shell.stop_on_error = word == "-e"
    return 0


def export(shell: Shell, argv: list[str], streams: Streams) -> int:
    for word in argv[1:]:
        name, sign, value = word.partition("=")
        if sign:
            shell.env[name] = value
    return 0


def change_directory(shell: Shell, argv: list[str], streams: Streams) -> int:
    path = shell.path(argv[1] if len(argv) > 1 else "/")
    if shell.machine.files.names(path) is None:
        return streams.fail(f"sh: cd: can't cd to {path}: No such file or directory")
    shell.directory = path
    return 0


def trap(shell: Shell, argv: list[str], streams: Streams) -> int:
    for name in argv[2:]:
        shell.traps[name.removeprefix("SIG")] = argv[1]
    return 0


def sleep(shell: Shell, argv: list[str], streams: Streams) -> Wait | int:
    try:
        seconds = sum(_seconds(word) for word in argv[1:])
    except ValueError:
        return streams.fail(f"sleep: invalid number '{argv[1]}'")
    return _wait(seconds) if argv[1:] else streams.refuse("sleep NUMBER[smhd]...")


def _seconds(word: str) -> float:
    if word in ("infinity", "inf"):
        return math.inf
    return float(word[:-1]) * _UNITS[word[-1]] if word[-1:] in _UNITS else float(word)


def _wait(seconds: float) -> Wait:
    yield seconds
    return 0


def kill(shell: Shell, argv: list[str], streams: Streams) -> int:
    words = [word.lstrip("-").removeprefix("SIG") for word in argv[1:-1] if word != "-s"]
    number = _SIGNALS.get(words[0], integer(words[0])) if words else 15
    if argv[-1] != "1":
        return streams.fail(f"sh: can't kill pid {argv[-1]}: No such process")
    shell.machine.signal(number)
    return 0


def _succeed(shell: Shell, argv: list[str], streams: Streams) -> int:
    return 0


def _refuse(shell: Shell, argv: list[str], streams: Streams) -> int:
    return 1


def _environment(shell: Shell, argv: list[str], streams: Streams) -> int:
    if len(argv) > 1:
        streams.out("".join(f"{shell.env[name]}\n" for name in argv[1:] if name in shell.env).encode())
        return int(any(name not in shell.env for name in argv[1:]))
    streams.out("".join(f"{name}={value}\n" for name, value in shell.env.items()).encode())
    return 0


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "true": _succeed, ":": _succeed, "false": _refuse, "exit": leave, "exec": execute, "set": set_options,
        "export": export, "cd": change_directory, "trap": trap, "wait": _succeed, "sync": _succeed,
        "sh": sh, "ash": sh, "bash": sh, "dash": sh, "sleep": sleep, "kill": kill, "env": _environment,
        "printenv": _environment, "echo": echo, "printf": printf, "date": date, "seq": seq,
        "hostname": hostname, "pwd": _say(lambda shell: shell.directory),
        "whoami": who, "id": identity, "uname": _say(lambda shell: "Linux"),
        "cat": files.cat, "head": files.head, "tail": files.tail, "ls": files.ls, "touch": files.touch,
        "mkdir": files.mkdir, "rm": files.rm, "cp": files.cp, "tee": files.tee, "tar": tar,
        "grep": text.grep, "egrep": text.grep, "wc": text.wc, "test": text.test, "[": text.test, "[[": text.test,
        "wget": network.wget, "curl": network.curl, "nslookup": network.nslookup, "nc": network.netcat,
    }
)  # fmt: skip
