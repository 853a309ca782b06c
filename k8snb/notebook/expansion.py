"""Notebook variables in lines and cells: `$name`, `${name}` and `{name}`.

Interface: `split(line, names)` for a magic's line, `fill(cell, names)` for its body; both say what they filled in.
The rule not to break: what is not a variable of the notebook stays as it is, so a YAML flow map (`{app: nginx}`), a
shell's `$HOME` and a jsonpath (`{.items[*]}`) come through untouched.
Real kubectl leaves this to the shell in front of it; the same rule for single quotes holds here.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Names = Mapping[str, Any]

_PIECE = re.compile(
    r"""'(?P<single>[^']*)'
      | "(?P<double>(?:\\.|[^"\\])*)"
      | (?P<brace>\{[^{}]*\})
      | (?P<bare>(?:\\.|[^\s'"\\{])+|\{)
      | (?P<space>\s+)
      | (?P<rest>.)""",
    re.VERBOSE | re.DOTALL,
)
# `\$` and `{{…}}` come first: they are read over.
_DOLLAR = r"\\\$|\{\{.*?\}\}|\$(?:(?P<dollar>[A-Za-z_]\w*)|\{(?P<wrapped>[A-Za-z_]\w*)\})"
_IN_LINE = re.compile(_DOLLAR + r"|\{(?P<brace>[^{}]+)\}")
_IN_CELL = re.compile(_DOLLAR + r"|\{(?P<brace>[A-Za-z_]\w*)\}")
# A jsonpath or a template is a language of its own, with `$` and `{}` in it.
_TEMPLATE = re.compile(
    r"(-o=?|--output=|--template=)?(jsonpath|jsonpath-as-json|go-template|template|custom-columns)\b.*="
)
_EXPRESSIONS = (ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.Call)


class Expanded(NamedTuple):
    """A line's words or a cell's text, and what was filled in: variable as written → text."""

    value: Any
    filled: dict[str, str]


def split(line: str, names: Names) -> Expanded:
    """The words of a line, as a POSIX shell takes them apart, with the notebook's variables filled in.

    `{…}` may hold a small expression (`{n * 2}`, `{pod["metadata"]["name"]}`); a list becomes several words where it
    stands alone. In single quotes `$name` stays, as in a shell. Raises ValueError where a quote is not closed.
    """
    filled: dict[str, str] = {}
    words: list[str] = []
    for pieces in _words(line):
        plain = "".join(text for _, text in pieces)
        if _TEMPLATE.match(plain) or (words and words[-1] == "--template"):
            words.append(plain)
        else:
            words.extend(_word(pieces, names, filled))
    return Expanded(words, filled)


def fill(cell: str, names: Names) -> Expanded:
    """A cell's text with variables filled in: `$name`, `${name}`, and `{name}` where the name is a variable.

    A list or dict becomes YAML's flow style. A backslash before `$` keeps it.
    """
    filled: dict[str, str] = {}

    def replace(match: re.Match[str]) -> str:
        name = match["dollar"] or match["wrapped"] or match["brace"]
        if not name or not is_value(names, name):
            return match[0]
        filled[match[0]] = flow(names[name])
        return filled[match[0]]

    return Expanded(_IN_CELL.sub(replace, cell), filled)


def is_value(names: Names, name: str) -> bool:
    """Whether a name stands for data: functions, classes, modules and names with an underscore in front do not."""
    if name.startswith("_") or name not in names:
        return False
    value = names[name]
    return not (callable(value) or inspect.ismodule(value))


def flow(value: Any) -> str:
    """A value as YAML takes it on one line."""
    if value is None or isinstance(value, bool | dict | list | tuple):
        return json.dumps(value, default=str)
    return str(value)


def _words(line: str) -> list[list[tuple[str, str]]]:
    """The line's words, each a list of (how it was quoted, text)."""
    words: list[list[tuple[str, str]]] = [[]]
    for match in _PIECE.finditer(line.strip()):
        sort, text = match.lastgroup or "", match[match.lastgroup or 0]
        if sort == "rest":
            raise ValueError(
                f"the quote {text} is not closed" if text in "'\"" else "a backslash at the end of the line"
            )
        if sort == "space":
            words.append([])
        else:
            words[-1].append((sort, _unescape(sort, text)))
    return [word for word in words if word]


def _unescape(sort: str, text: str) -> str:
    if sort == "bare":
        return re.sub(r"\\(.)", lambda match: "\\$" if match[1] == "$" else match[1], text)
    if sort == "double":
        return re.sub(r'\\(["\\`])', r"\1", text)
    return text


def _word(pieces: list[tuple[str, str]], names: Names, filled: dict[str, str]) -> list[str]:
    """One word, filled in; several where a list stands alone."""
    joined = _joined(pieces)
    if len(joined) == 1 and (match := _IN_LINE.fullmatch(joined[0][1])) and joined[0][0] != "single":
        found, value = _value(match, names)
        if found and isinstance(value, list | tuple):
            filled[match[0]] = " ".join(map(str, value))
            return [str(item) for item in value]
    return ["".join(_fill_piece(sort, text, names, filled) for sort, text in joined)]


def _joined(pieces: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Neighbours that are read alike, as one piece: `$` and a brace group belong together."""
    joined: list[tuple[str, str]] = []
    for sort, text in pieces:
        sort = "single" if sort == "single" else "open"
        if joined and joined[-1][0] == sort:
            joined[-1] = (sort, joined[-1][1] + text)
        else:
            joined.append((sort, text))
    return joined


def _fill_piece(sort: str, text: str, names: Names, filled: dict[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        found, value = (False, None) if sort == "single" and match[0][0] == "$" else _value(match, names)
        if found:
            filled[match[0]] = flow(value)
        return filled[match[0]] if found else match[0]

    return _IN_LINE.sub(replace, text).replace("\\$", "$")


def _value(match: re.Match[str], names: Names) -> tuple[bool, Any]:
    """Whether the match stands for data, and the data."""
    name = match["dollar"] or match["wrapped"]
    if name:
        return is_value(names, name), names.get(name)
    return _evaluate(match["brace"], names) if match["brace"] else (False, None)


def _evaluate(source: str, names: Names) -> tuple[bool, Any]:
    """The value of a small expression over the notebook's variables; nothing where it is not one."""
    try:
        tree = ast.parse(source.strip(), mode="eval").body
    except SyntaxError:
        return False, None
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if not isinstance(tree, _EXPRESSIONS) or not used or not any(name in names for name in used):
        return False, None
    if isinstance(tree, ast.Name):
        return is_value(names, tree.id), names.get(tree.id)
    if any(name not in names and not hasattr(builtins, name) for name in used):
        return False, None
    return _attempt(lambda: eval(compile(ast.Expression(tree), "<magic>", "eval"), dict(names)))


def _attempt(work: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return True, work()
    except Exception:
        return False, None
