"""kubectl's commands as Python calls: from a method's arguments to the words of a command line.

Interface: `argv(command, words, options)`, `signature(command)`, `BY_METHOD`, the commands by the names of methods.
The rule not to break: a method can say what a line can, in the same words, and nothing else.
Real kubectl has no such thing; the official Python client has a method for each request instead.
"""

from __future__ import annotations

import inspect
import json
import keyword
from collections.abc import Mapping, Sequence
from typing import Any

from k8snb.kubectl.commands import COMMANDS, ROWS
from k8snb.kubectl.grammar import ARRAY, BOOL, INT, STRINGS, Command, Flag, flags_of
from k8snb.kubectl.output import Output

_OWN_NAMES = {"run": "run_pod"}  # `run` runs a whole line
_AS_JSON = ("overrides", "patch")  # flags whose value is an object
_TYPES = {BOOL: "bool | None", INT: "int | None", STRINGS: "Texts | None", ARRAY: "Texts | None"}


def method_name(command: Command) -> str:
    """`create_deployment` for `create deployment`."""
    return _OWN_NAMES.get(command.name, command.name.replace(" ", "_").replace("-", "_"))


BY_METHOD: Mapping[str, Command] = {
    method_name(row): row for row in ROWS if row.name and not row.hidden and not row.missing_command
}


def option_name(flag: Flag) -> str:
    """`dry_run` for `--dry-run`, `for_` for `--for`: what Python reserves has an underscore behind it."""
    name = flag.name.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def option_type(flag: Flag) -> str:
    """What a flag may be given, as an annotation. The names are those of `methods`."""
    return _TYPES.get(flag.sort, "Text | None")


def signature(command: Command) -> inspect.Signature:
    """The method's signature: words, then a keyword for each flag."""
    words = inspect.Parameter("words", inspect.Parameter.VAR_POSITIONAL, annotation="Word")
    options = [
        inspect.Parameter(option_name(flag), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option_type(flag))
        for flag in sorted({flag.name: flag for flag in reversed(flags_of(command))}.values(), key=option_name)
        if flag.name != "help"
    ]
    return inspect.Signature([words, *options], return_annotation=Output)


def argv(command: Command, words: Sequence[Any], options: Mapping[str, Any]) -> tuple[list[str], str | None]:
    """A call as a command line, and what its `-f -` reads: a manifest among the words (text, dict or list)."""
    known = {option_name(flag): flag for flag in flags_of(command)}
    flags = [word for name, value in options.items() for word in _flag(known.get(name), name, value)]
    plain, rest = _parted(words)
    manifests = [word for word in plain if _is_manifest(word)]
    stdin = _text(manifests[-1]) if manifests else None
    names = [str(word) for word in plain if not _is_manifest(word)]
    subcommand: list[str] = []
    while names and f"{' '.join([command.name, *subcommand])} {names[0]}" in COMMANDS:
        subcommand.append(names.pop(0))
    reading = ["--filename=-"] if manifests else []
    return [*command.name.split(), *subcommand, *flags, *reading, *names, *map(str, rest)], stdin


def _parted(words: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The words before `--`, and those from there on, which belong to a program."""
    place = next((place for place, word in enumerate(words) if word == "--"), len(words))
    return list(words[:place]), list(words[place:])


def _flag(flag: Flag | None, name: str, value: Any) -> list[str]:
    """One keyword as words. A dict is `a=1,b=2`, or one flag for each pair where the flag may be repeated."""
    shown = f"--{flag.name if flag else name.rstrip('_').replace('_', '-')}"
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"{shown}={str(value).lower()}"]
    if flag is not None and flag.name in _AS_JSON and not isinstance(value, str):
        return [f"{shown}={json.dumps(value)}"]
    if isinstance(value, Mapping):
        pairs = [f"{key}={entry}" for key, entry in value.items()]
        value = pairs if flag is not None and flag.sort == ARRAY else ",".join(pairs)
    values = value if isinstance(value, list | tuple) else [value]
    return [f"{shown}={entry}" for entry in values]


def _is_manifest(word: Any) -> bool:
    return isinstance(word, dict | list) or (isinstance(word, str) and ("\n" in word or word.lstrip().startswith("{")))


def _text(manifest: Any) -> str:
    if isinstance(manifest, str):
        return manifest
    return json.dumps(
        {"apiVersion": "v1", "kind": "List", "items": manifest} if isinstance(manifest, list) else manifest
    )
