"""Command lines in the manner of getopt, for the programs of the catalogue.

Interface: `parse(program, arguments, known)`. The rule not to break: an option that is not in the program's table is
refused by name; none is read and then forgotten.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Parsed(NamedTuple):
    """`values` by the options' own names, each with all that was given; a flag has empty strings."""

    values: dict[str, list[str]]
    words: list[str]

    def has(self, name: str) -> bool:
        return name in self.values

    def last(self, name: str, default: str = "") -> str:
        return self.values.get(name, [default])[-1]


def parse(program: str, arguments: Sequence[str], known: Mapping[str, str]) -> Parsed:
    """Split a command line. `known` maps each spelling (`-O`, `--output=`) to a name; `=` or `:` at the end of a
    spelling means that a value follows. Ends the program with exit code 2 on an unknown option."""
    takes = {spelling.rstrip("=:"): spelling[-1] in "=:" for spelling in known}
    names = {spelling.rstrip("=:"): name for spelling, name in known.items()}
    parsed = Parsed({}, [])
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            parsed.words.extend(rest)
            break
        if word == "-" or not word.startswith("-"):
            parsed.words.append(word)
            continue
        for spelling, value in _split(word, takes):
            if spelling not in names:
                refuse(program, f"option {spelling} is not implemented by k8snb")
            if takes[spelling] and value is None:
                value = rest.pop(0) if rest else refuse(program, f"option {spelling} needs a value")
            parsed.values.setdefault(names[spelling], []).append(value or "")
    return parsed


def refuse(program: str, why: str) -> str:
    """Say why and end the program."""
    print(f"{program}: {why}", file=sys.stderr, flush=True)
    raise SystemExit(2)


def _split(word: str, takes: Mapping[str, bool]) -> list[tuple[str, str | None]]:
    """The options in one word: `--name=value`, `-Ofile`, or several flags as in `-qO-`."""
    if word.startswith("--") or word in takes:
        spelling, equals, value = word.partition("=")
        return [(spelling, value if equals else None)]
    options: list[tuple[str, str | None]] = []
    for position, letter in enumerate(word[1:], 2):
        spelling = "-" + letter
        if takes.get(spelling):
            return [*options, (spelling, word[position:] or None)]
        options.append((spelling, None))
    return options
