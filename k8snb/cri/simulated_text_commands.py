"""busybox's commands on text, for simulated containers: grep, wc, test.

Interface: the functions that `simulated_commands.COMMANDS` names.
The rule not to break: an option that is not known is refused, never passed over.
A real grep takes POSIX expressions; here the pattern is one of Python's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from k8snb.cri.simulated_file_commands import each_file
from k8snb.cri.simulated_numbers import integer
from k8snb.cri.simulated_shell import Shell, Streams


def grep(shell: Shell, argv: list[str], streams: Streams) -> int:
    flags = "".join(word[1:] for word in argv[1:] if word.startswith("-"))
    words = [word for word in argv[1:] if not word.startswith("-")]
    if not words or set(flags) - set("ivqcE"):
        return streams.refuse("grep [-ivqcE] PATTERN [FILE]...")
    taken, pattern = bytearray(), re.compile(words[0], re.IGNORECASE if "i" in flags else 0)
    each_file(shell, words[1:], streams, "grep", taken.extend)
    lines = bytes(taken).decode(errors="replace").splitlines()
    found = [line for line in lines if bool(pattern.search(line)) != ("v" in flags)]
    if "q" not in flags:
        shown = [str(len(found))] if "c" in flags else found
        streams.out("".join(f"{line}\n" for line in shown).encode())
    return 0 if found else 1


def wc(shell: Shell, argv: list[str], streams: Streams) -> int:
    taken = bytearray()
    code = each_file(shell, [word for word in argv[1:] if not word.startswith("-")], streams, "wc", taken.extend)
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
    "-eq": lambda a, b: integer(a) == integer(b),
    "-ne": lambda a, b: integer(a) != integer(b),
    "-lt": lambda a, b: integer(a) < integer(b),
    "-le": lambda a, b: integer(a) <= integer(b),
    "-gt": lambda a, b: integer(a) > integer(b),
    "-ge": lambda a, b: integer(a) >= integer(b),
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
    return streams.refuse(f"test {' '.join(words)}: an expression that is")


def _exists(shell: Shell, name: str) -> tuple[bool, bool]:
    files, path = shell.machine.files, shell.path(name)
    return files.read(path) is not None, files.names(path) is not None
