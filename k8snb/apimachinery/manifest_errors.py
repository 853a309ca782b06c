"""Manifests that cannot be used: what is wrong, in one line for a beginner, and on which line of the text.

Interface: `ManifestError`; `at_node(node, text)`, `json_error(error)`, `syntax_error(error, text)` make one.
The rule not to break: the line named is the one to look at, which is not always the one where a parser gave up.
kubectl passes on what its parsers say.
"""

from __future__ import annotations

import json
import re

import yaml

_SECOND_COLON = "a second colon: put the value in quotes"
# These are noticed where the text goes on; the place to look at is where it began.
_OPEN = "a quote or bracket is not closed"
_NO_COLON = 'a key without a colon: write "key: value"'
_CLEARER = (
    ("mapping values are not allowed", _SECOND_COLON),
    ("could not find expected ':'", _NO_COLON),
    ("did not find expected key", "the indentation does not fit the lines above"),
    ("did not find expected '-' indicator", "the indentation does not fit the list above"),
    ("block sequence entries are not allowed", 'a list entry ("- ") where none can begin'),
    ("found unexpected end of stream", _OPEN),
    ("did not find expected ',' or", _OPEN),
    ("found undefined alias", "an alias (*name) without its anchor (&name)"),
    ("cannot start any token", "this character cannot begin a value: put the value in quotes"),
)


class ManifestError(ValueError):
    """A manifest that cannot be used. `line` counts from 1 in the text; None where no line is to blame."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def at_node(node: yaml.Node, text: str) -> ManifestError:
    """A value or key at fault."""
    line = node.start_mark.line + 1
    return ManifestError(f"line {line}: {text}", line)


def json_error(error: json.JSONDecodeError) -> ManifestError:
    """The parser may notice only after the last line that something is missing."""
    lines = error.doc.splitlines()
    number = min(error.lineno, len(lines))
    text = f"line {number}, column {error.colno}: invalid JSON: {error.msg}: {lines[number - 1].strip()[:60]}"
    return ManifestError(text, number)


def syntax_error(error: yaml.YAMLError, text: str) -> ManifestError:
    """One line: where, what the parser says in words for people, and the text that is there."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    lines = text.splitlines() or [""]
    if mark is None:
        return _unreadable(error, text)
    number = min(mark.line, len(lines) - 1)
    # The scanner may notice a tab only on the next line.
    tab = next((at for at in (number, number - 1) if at >= 0 and re.match(r"[ -]*\t", lines[at])), None)
    if tab is not None:
        return ManifestError(f"line {tab + 1}: a tab: YAML is indented with spaces only", tab + 1)
    problem = getattr(error, "problem", None) or getattr(error, "context", None) or "invalid YAML"
    plain = next((words for sign, words in _CLEARER if sign in problem), problem)
    if plain == _SECOND_COLON and ":" not in lines[number][: mark.column] and number:
        plain = "a key below a plain value: the line above lacks its colon, or this one is indented too far"
    if plain in (_OPEN, _NO_COLON):
        mark = getattr(error, "context_mark", None) or mark
        number = min(mark.line, len(lines) - 1)
    shown = lines[number].strip()[:60]
    return ManifestError(f"line {number + 1}, column {mark.column + 1}: {plain}: {shown}", number + 1)


def _unreadable(error: yaml.YAMLError, text: str) -> ManifestError:
    """A character that YAML does not allow at all."""
    place = getattr(error, "position", None)
    if place is None:
        return ManifestError(f"invalid YAML: {' '.join(str(error).split())}")
    line = text.count("\n", 0, place) + 1
    return ManifestError(f"line {line}: the character {text[place : place + 1]!r} is not allowed in YAML", line)
