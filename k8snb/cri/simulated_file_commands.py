"""busybox's commands on files, for simulated containers: cat, ls, cp and their like.

Interface: the functions that `simulated_commands.COMMANDS` names; `each_file` hands a command's input on.
The rule not to break: a file that is not there is said on standard error, and is exit code 1.
A real container's files are layers of its image; here they are what its programs wrote.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from k8snb.cri.simulated_shell import Shell, Streams, Wait


def cat(shell: Shell, argv: list[str], streams: Streams) -> int:
    return each_file(shell, argv[1:], streams, "cat", streams.out)


def tail(shell: Shell, argv: list[str], streams: Streams) -> Wait | int:
    """`tail -n N FILE`; with -f it prints what is there and stays for ever."""
    follow = any(word in ("-f", "-F") for word in argv[1:])
    return _and_stay(_lines(shell, argv, streams, slice(-10, None)), follow)


def head(shell: Shell, argv: list[str], streams: Streams) -> int:
    return _lines(shell, argv, streams, slice(0, 10))


def _and_stay(code: int, follow: bool) -> Wait | int:
    return _for_ever() if follow and code == 0 else code


def _for_ever() -> Wait:
    yield math.inf
    return 0


def _lines(shell: Shell, argv: list[str], streams: Streams, part: slice) -> int:
    count = re.search(r" -(?:n ?)?(\d+)", " " + " ".join(argv[1:]))
    if count:
        part = slice(-int(count[1]) or None, None) if part.stop is None else slice(0, int(count[1]))
    names = [word for word in argv[1:] if not word.startswith("-") and not word.isdigit()]
    taken = bytearray()
    code = each_file(shell, names, streams, argv[0], taken.extend)
    streams.out(b"".join(bytes(taken).splitlines(keepends=True)[part]))
    return code


def each_file(shell: Shell, names: list[str], streams: Streams, who: str, take: Callable[[bytes], None]) -> int:
    """Hand each named file (standard input when none is named) to `take`."""
    code = 0
    if not names:
        take(streams.stdin)
    for name in names:
        data = streams.stdin if name == "-" else shell.machine.files.read(shell.path(name))
        if data is None:
            code = streams.fail(f"{who}: can't open '{name}': No such file or directory")
        else:
            take(data)
    return code


def ls(shell: Shell, argv: list[str], streams: Streams) -> int:
    code, files = 0, shell.machine.files
    for name in [word for word in argv[1:] if not word.startswith("-")] or ["."]:
        path = shell.directory if name == "." else shell.path(name)
        found = files.names(path)
        if found is None and files.read(path) is None:
            code = streams.fail(f"ls: {name}: No such file or directory")
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
        return streams.refuse("cp SOURCE TARGET")
    files, target = shell.machine.files, shell.path(argv[2])
    data = files.read(shell.path(argv[1]))
    if data is None:
        return streams.fail(f"cp: can't stat '{argv[1]}': No such file or directory")
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
            code = streams.fail(f"{argv[0]}: {name}: {problem.strerror}")
    return code
