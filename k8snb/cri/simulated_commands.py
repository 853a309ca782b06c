"""busybox: the commands that a simulated container's shell knows.

Interface: `COMMANDS`, a table from name to function; each takes the shell, the words and the streams, and returns an
exit code or a generator that waits.
The rule not to break: a command that is not in the table is "not found"; none pretends to have done something.
A real image brings real programs; what these lack of theirs they refuse with exit code 2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from k8snb.cri.simulated_shell import Command, Exit, Shell, Streams, Wait
from k8snb.cri.simulated_tar import tar

_ESCAPE = re.compile(r"\\(n|t|r|a|\\|0[0-7]{0,3})")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "\\": "\\"}
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "TERM": 15}
_HTTP_WORDS = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 500: "Internal Server Error"}


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
        return _usage(streams, "printf FORMAT [ARG]...")
    form, values = _unescape(argv[1]), argv[2:]
    slots = re.findall(r"%-?\d*[sdi]", form.replace("%%", ""))
    turns = range(0, max(len(values), 1), len(slots)) if slots else range(1)
    for turn in turns:
        given = [*values[turn : turn + len(slots)], *[""] * len(slots)][: len(slots)]
        typed = [value if slot[-1] == "s" else _integer(value) for slot, value in zip(slots, given, strict=True)]
        streams.out((form % tuple(typed)).encode())
    return 0


def date(shell: Shell, argv: list[str], streams: Streams) -> int:
    form = next((word[1:] for word in argv[1:] if word.startswith("+")), "%a %b %e %H:%M:%S UTC %Y")
    moment = datetime.fromtimestamp(shell.machine.now(), UTC)
    streams.out((moment.strftime(form.replace("%s", str(int(moment.timestamp())))) + "\n").encode())
    return 0


def seq(shell: Shell, argv: list[str], streams: Streams) -> int:
    numbers = [_integer(word) for word in argv[1:4]] or [0]
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


# the shell's own


def leave(shell: Shell, argv: list[str], streams: Streams) -> int:
    raise Exit(_integer(argv[1]) & 255 if len(argv) > 1 else shell.code)


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
        return _fail(streams, f"sh: cd: can't cd to {path}: No such file or directory")
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
        return _fail(streams, f"sleep: invalid number '{argv[1]}'")
    return _wait(seconds) if argv[1:] else _usage(streams, "sleep NUMBER[smhd]...")


def _seconds(word: str) -> float:
    if word in ("infinity", "inf"):
        return math.inf
    return float(word[:-1]) * _UNITS[word[-1]] if word[-1:] in _UNITS else float(word)


def _wait(seconds: float) -> Wait:
    yield seconds
    return 0


def kill(shell: Shell, argv: list[str], streams: Streams) -> int:
    words = [word.lstrip("-").removeprefix("SIG") for word in argv[1:-1] if word != "-s"]
    number = _SIGNALS.get(words[0], _integer(words[0])) if words else 15
    if argv[-1] != "1":
        return _fail(streams, f"sh: can't kill pid {argv[-1]}: No such process")
    shell.machine.signal(number)
    return 0


# files


def cat(shell: Shell, argv: list[str], streams: Streams) -> int:
    return _each_file(shell, argv[1:], streams, "cat", streams.out)


def tail(shell: Shell, argv: list[str], streams: Streams) -> Wait | int:
    """`tail -n N FILE`; with -f it prints what is there and stays for ever."""
    follow = any(word in ("-f", "-F") for word in argv[1:])
    return _stay(_lines(shell, argv, streams, slice(-10, None)), follow)


def head(shell: Shell, argv: list[str], streams: Streams) -> int:
    return _lines(shell, argv, streams, slice(0, 10))


def _stay(code: int, follow: bool) -> Wait | int:
    return _wait(math.inf) if follow and code == 0 else code


def _lines(shell: Shell, argv: list[str], streams: Streams, part: slice) -> int:
    count = re.search(r" -(?:n ?)?(\d+)", " " + " ".join(argv[1:]))
    if count:
        part = slice(-int(count[1]) or None, None) if part.stop is None else slice(0, int(count[1]))
    names = [word for word in argv[1:] if not word.startswith("-") and not word.isdigit()]
    taken = bytearray()
    code = _each_file(shell, names, streams, argv[0], taken.extend)
    streams.out(b"".join(bytes(taken).splitlines(keepends=True)[part]))
    return code


def _each_file(shell: Shell, names: list[str], streams: Streams, who: str, take: Callable[[bytes], None]) -> int:
    """Hand each named file (standard input when none is named) to `take`."""
    code = 0
    if not names:
        take(streams.stdin)
    for name in names:
        data = streams.stdin if name == "-" else shell.machine.files.read(shell.path(name))
        if data is None:
            code = _fail(streams, f"{who}: can't open '{name}': No such file or directory")
        else:
            take(data)
    return code


def ls(shell: Shell, argv: list[str], streams: Streams) -> int:
    code, files = 0, shell.machine.files
    for name in [word for word in argv[1:] if not word.startswith("-")] or ["."]:
        path = shell.directory if name == "." else shell.path(name)
        found = files.names(path)
        if found is None and files.read(path) is None:
            code = _fail(streams, f"ls: {name}: No such file or directory")
        else:
            shown = [name] if found is None else [each for each in found if not each.startswith(".")]
            streams.out("".join(f"{each}\n" for each in shown).encode())
    return code


def touch(shell: Shell, argv: list[str], streams: Streams) -> int:
    return _change(argv, streams, lambda name: shell.machine.files.write(shell.path(name), b"", True))


def mkdir(shell: Shell, argv: list[str], streams: Streams) -> int:
    return _change(argv, streams, lambda name: shell.machine.files.make_directory(shell.path(name)))


def rm(shell: Shell, argv: list[str], streams: Streams) -> int:
    forced = any(word.startswith("-") and "f" in word for word in argv[1:])

    def remove(name: str) -> None:
        if not shell.machine.files.remove(shell.path(name)) and not forced:
            raise FileNotFoundError(2, "No such file or directory", name)

    return _change(argv, streams, remove)


def cp(shell: Shell, argv: list[str], streams: Streams) -> int:
    if len(argv) != 3:
        return _usage(streams, "cp SOURCE TARGET")
    files, target = shell.machine.files, shell.path(argv[2])
    data = files.read(shell.path(argv[1]))
    if data is None:
        return _fail(streams, f"cp: can't stat '{argv[1]}': No such file or directory")
    if files.names(target) is not None:
        target = f"{target.rstrip('/')}/{argv[1].rpartition('/')[2]}"
    return _change(["cp", target], streams, lambda name: files.write(name, data))


def tee(shell: Shell, argv: list[str], streams: Streams) -> int:
    append = "-a" in argv
    streams.out(streams.stdin)
    return _change(argv, streams, lambda name: shell.machine.files.write(shell.path(name), streams.stdin, append))


def _change(argv: list[str], streams: Streams, change: Callable[[str], None]) -> int:
    code = 0
    for name in (word for word in argv[1:] if not word.startswith("-")):
        try:
            change(name)
        except OSError as problem:
            code = _fail(streams, f"{argv[0]}: {name}: {problem.strerror}")
    return code


# text


def grep(shell: Shell, argv: list[str], streams: Streams) -> int:
    flags = "".join(word[1:] for word in argv[1:] if word.startswith("-"))
    words = [word for word in argv[1:] if not word.startswith("-")]
    if not words or set(flags) - set("ivqcE"):
        return _usage(streams, "grep [-ivqcE] PATTERN [FILE]...")
    taken, pattern = bytearray(), re.compile(words[0], re.IGNORECASE if "i" in flags else 0)
    _each_file(shell, words[1:], streams, "grep", taken.extend)
    lines = bytes(taken).decode(errors="replace").splitlines()
    found = [line for line in lines if bool(pattern.search(line)) != ("v" in flags)]
    if "q" not in flags:
        shown = [str(len(found))] if "c" in flags else found
        streams.out("".join(f"{line}\n" for line in shown).encode())
    return 0 if found else 1


def wc(shell: Shell, argv: list[str], streams: Streams) -> int:
    taken = bytearray()
    code = _each_file(shell, [word for word in argv[1:] if not word.startswith("-")], streams, "wc", taken.extend)
    counts = {"-l": taken.count(b"\n"), "-w": len(taken.split()), "-c": len(taken)}
    shown = [counts[word] for word in argv[1:] if word in counts] or list(counts.values())
    streams.out((" ".join(map(str, shown)) + "\n").encode())
    return code


_ONE: Mapping[str, Callable[[Shell, str], bool]] = {
    "-z": lambda shell, word: not word,
    "-n": lambda shell, word: bool(word),
    "-f": lambda shell, word: shell.machine.files.read(shell.path(word)) is not None,
    "-e": lambda shell, word: any(_exists(shell, word)),
    "-d": lambda shell, word: _exists(shell, word)[1],
    "-s": lambda shell, word: bool(shell.machine.files.read(shell.path(word))),
}
_TWO: Mapping[str, Callable[[str, str], bool]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "-eq": lambda a, b: _integer(a) == _integer(b),
    "-ne": lambda a, b: _integer(a) != _integer(b),
    "-lt": lambda a, b: _integer(a) < _integer(b),
    "-le": lambda a, b: _integer(a) <= _integer(b),
    "-gt": lambda a, b: _integer(a) > _integer(b),
    "-ge": lambda a, b: _integer(a) >= _integer(b),
}


def test(shell: Shell, argv: list[str], streams: Streams) -> int:
    words = argv[1:-1] if argv[0] in ("[", "[[") else argv[1:]
    if words[:1] == ["!"]:
        return int(not test(shell, ["test", *words[1:]], streams))
    match words:
        case []:
            return 1
        case [word]:
            return int(not word)
        case [sign, word] if sign in _ONE:
            return int(not _ONE[sign](shell, word))
        case [left, sign, right] if sign in _TWO:
            return int(not _TWO[sign](left, right))
    return _usage(streams, f"test {' '.join(words)}: an expression that is")


def _exists(shell: Shell, name: str) -> tuple[bool, bool]:
    files, path = shell.machine.files, shell.path(name)
    return files.read(path) is not None, files.names(path) is not None


# network


def wget(shell: Shell, argv: list[str], streams: Streams) -> int:
    url = next((word for word in reversed(argv[1:]) if not word.startswith("-")), "")
    answer = shell.machine.fetch(url)
    host = re.sub(r"^\w+://|[:/].*", "", url)
    problems = {"address": f"wget: bad address '{host}'", "refused": f"wget: can't connect to remote host: {_REFUSED}"}
    if answer.problem:
        return _fail(streams, problems[answer.problem])
    if answer.status >= 400:
        word = _HTTP_WORDS.get(answer.status, "Error")
        return _fail(streams, f"wget: server returned error: HTTP/1.1 {answer.status} {word}")
    to_stdout = re.search(r"-\w*O ?-(?: |$)|--output-document=-", " ".join(argv[1:]))
    if "--spider" in argv:
        return 0
    if to_stdout:
        streams.out(answer.body)
    else:
        name = re.sub(r"^\w+://[^/]*/?", "", url).rpartition("/")[2] or "index.html"
        shell.machine.files.write(shell.path(name), answer.body)
    return 0


_REFUSED = "Connection refused"


def curl(shell: Shell, argv: list[str], streams: Streams) -> int:
    flags = "".join(word[1:] for word in argv[1:] if re.fullmatch(r"-[a-zA-Z]+", word))
    url = next((word for word in reversed(argv[1:]) if not word.startswith("-")), "")
    answer = shell.machine.fetch(url)
    host = re.sub(r"^\w+://|[:/].*", "", url)
    problems = {
        "address": (6, f"curl: (6) Could not resolve host: {host}"),
        "refused": (7, f"curl: (7) Failed to connect to {host}: {_REFUSED}"),
    }
    if answer.problem:
        code, text = problems[answer.problem]
        streams.err((text + "\n").encode())
        return code
    if "f" in flags and answer.status >= 400:
        streams.err(f"curl: (22) The requested URL returned error: {answer.status}\n".encode())
        return 22
    if not re.search(r"-o /dev/null", " ".join(argv)):
        streams.out(answer.body)
    return 0


def nslookup(shell: Shell, argv: list[str], streams: Streams) -> int:
    name = argv[1] if len(argv) > 1 else ""
    address = shell.machine.lookup(name)
    if address is None:
        return _fail(streams, f"** server can't find {name}: NXDOMAIN")
    streams.out(f"Name:\t{name}\nAddress: {address}\n".encode())
    return 0


def netcat(shell: Shell, argv: list[str], streams: Streams) -> int:
    """`nc -z HOST PORT` asks whether a port answers; the rest of nc is refused."""
    words = [word for word in argv[1:] if not word.startswith("-")]
    if not any(word.startswith("-") and "z" in word for word in argv) or len(words) < 2:
        return _usage(streams, "nc without -z HOST PORT")
    return int(bool(shell.machine.fetch(f"http://{words[-2]}:{words[-1]}/").problem))


# helpers of the table


def _integer(word: str) -> int:
    return int(word) if re.fullmatch(r"[-+]?\d+", word.strip()) else 0


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1]) or chr(int(match[1], 8)), text)


def _fail(streams: Streams, line: str) -> int:
    streams.err((line + "\n").encode())
    return 1


def _usage(streams: Streams, line: str) -> int:
    streams.err(f"{line}: not implemented by k8snb's simulated containers\n".encode())
    return 2


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
        "hostname": _say(lambda shell: shell.machine.hostname), "pwd": _say(lambda shell: shell.directory),
        "whoami": _say(lambda shell: "root"), "uname": _say(lambda shell: "Linux"),
        "cat": cat, "head": head, "tail": tail, "ls": ls, "touch": touch, "mkdir": mkdir, "rm": rm, "cp": cp,
        "tee": tee, "tar": tar, "grep": grep, "egrep": grep, "wc": wc, "test": test, "[": test, "[[": test,
        "wget": wget, "curl": curl, "nslookup": nslookup, "nc": netcat,
    }
)  # fmt: skip
