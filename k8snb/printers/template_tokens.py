"""Go templates, the words: text and actions as tokens.

Interface: `tokens(text)`, which ends with an EOF or an ERROR token; `Token`.
The rule not to break: positions are those in the text as it was given, so that an error can say where it is.
Source: Go's `text/template/parse`.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

TEXT, LEFT, RIGHT, SPACE, EOF, ERROR = "text", "left", "right", "space", "EOF", "error"
FIELD, VARIABLE, NAME, KEYWORD, BOOL, NUMBER = "field", "variable", "name", "keyword", "bool", "number"
STRING, RAW, RUNE, DOT, NIL, SIGN = "string", "raw", "rune", "dot", "nil", "sign"

KEYWORDS = frozenset(["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"])
_BLANK = " \t\r\n"
_LONG = 10  # characters of a token that a message shows


class Token(NamedTuple):
    """One token: its sort, its text, and where it begins."""

    sort: str
    text: str
    place: int
    line: int

    def __str__(self) -> str:
        """The token as messages show it."""
        if self.sort == EOF:
            return "EOF"
        if self.sort == ERROR:
            return self.text
        if self.sort in (KEYWORD, DOT, NIL):
            return f"<{self.text}>"
        return f"{quoted(self.text[:_LONG])}..." if len(self.text) > _LONG else quoted(self.text)


_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f",
            "\v": "\\v"}  # fmt: skip


def quoted(text: str, *, ascii_only: bool = False) -> str:
    """A text as Go's %q writes it; with `ascii_only`, as %+q does."""

    def shown(char: str) -> bool:
        return char.isprintable() and not (ascii_only and ord(char) > 0x7E)

    return '"' + "".join(_ESCAPES.get(char) or (char if shown(char) else _code(char)) for char in text) + '"'


def _code(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_INSIDE = re.compile(
    r"""(?P<right>-\}\}|\}\})
      | (?P<space>[ \t\r\n]+)
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<raw>`[^`]*`)
      | (?P<rune>'(?:\\.|[^'\\\n])*')
      | (?P<number>(?=[+-]|\.?[0-9])[+-]?
          (?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*|0[bB][01_]*
            |[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?)
      | (?P<field>\.\w+)
      | (?P<dot>\.)
      | (?P<variable>\$\w*)
      | (?P<name>\w+)
      | (?P<sign>:=|[ -~])""",
    re.VERBOSE,
)
_OPEN = {
    '"': "unterminated quoted string",
    "`": "unterminated raw quoted string",
    "'": "unterminated character constant",
}
_ENDS_A_NAME = frozenset(".,|:)( \t\r\n")


class _Lexer:
    """Reads a text once, from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.place, self.line, self.parens = text, 0, 1, 0
        self.trimming = False

    def tokens(self) -> Iterator[Token]:
        while True:
            start = self.text.find("{{", self.place)
            yield from self._plain(start if start >= 0 else len(self.text))
            if start < 0:
                yield Token(EOF, "", len(self.text), self.line)
                return
            if (yield from self._action()):
                return

    def _plain(self, end: int) -> Iterator[Token]:
        """The text up to an action, without the blanks that the actions around it trim."""
        text, place, line = self.text[self.place : end], self.place, self.line
        self._advance(end)
        if self.trimming:
            kept = text.lstrip(_BLANK)
            cut = text[: len(text) - len(kept)]
            text, place, line = kept, place + len(cut), line + cut.count("\n")
        if self._trims_before(end):
            text = text.rstrip(_BLANK)
        if text:
            yield Token(TEXT, text, place, line)

    def _trims_before(self, place: int) -> bool:
        return self.text.startswith("{{-", place) and self.text[place + 3 : place + 4] in tuple(_BLANK)

    def _advance(self, end: int) -> None:
        self.line += self.text.count("\n", self.place, end)
        self.place = end

    def _error(self, message: str) -> Token:
        return Token(ERROR, message, self.place, self.line)

    def _action(self) -> Generator[Token, None, bool]:
        """The tokens of one action; answers whether reading ends here."""
        open_at, after = self.place, self.place + (3 if self._trims_before(self.place) else 2)
        blanks = len(self.text[after:]) - len(self.text[after:].lstrip(_BLANK)) if after - open_at == 3 else 0
        if self.text.startswith("/*", after + blanks):
            return (yield from self._comment(after + blanks))
        yield Token(LEFT, "{{", open_at, self.line)
        self._advance(after)
        self.parens = 0
        while True:
            token = self._inside()
            yield token
            if token.sort in (RIGHT, ERROR):
                return token.sort == ERROR

    def _comment(self, start: int) -> Generator[Token, None, bool]:
        end = self.text.find("*/", start)
        if end < 0:
            yield self._error("unclosed comment")
            return True
        close = re.compile(r"[ \t\r\n]-\}\}|\}\}").match(self.text, end + 2)
        if close is None:
            yield self._error("comment ends before closing delimiter")
            return True
        self._advance(close.end())
        self.trimming = len(close[0]) > 2
        return False

    def _inside(self) -> Token:
        place, line = self.place, self.line
        trim = re.compile(r"[ \t\r\n]+-\}\}").match(self.text, place)
        match = _INSIDE.match(self.text, place)
        if trim is not None or self.text.startswith("}}", place):
            return self._close(trim.end() if trim else place + 2, trim is not None)
        if match is None:
            return self._unread(place)
        sort, text = match.lastgroup or "", match[0]
        if sort == RIGHT:  # a `-}}` without a blank before it is no closing delimiter
            sort, text = NUMBER, "-"
        complaint = self._complaint(sort, text, place + len(text))
        if complaint:
            return self._error(complaint)
        self._advance(place + len(text))
        return Token(*_sorted(sort, text), place, line)

    def _close(self, end: int, trims: bool) -> Token:
        if self.parens:
            return self._error("unclosed left paren")
        token = Token(RIGHT, "}}", self.place, self.line)
        self._advance(end)
        self.trimming = trims
        return token

    def _unread(self, place: int) -> Token:
        if place >= len(self.text):
            return self._error("unclosed left paren" if self.parens else "unclosed action")
        return self._error(f"unrecognized character in action: {_point(self.text[place])}")

    def _complaint(self, sort: str, text: str, after: int) -> str:
        following = self.text[after : after + 1]
        if sort == NUMBER and (following.isalnum() or following == "_"):
            return f"bad number syntax: {quoted(text + following)}"
        if sort in (FIELD, VARIABLE, NAME) and not (
            not following or following in _ENDS_A_NAME or self.text.startswith("}}", after)
        ):
            return f"bad character {_point(following)}"
        if sort != SIGN:
            return ""
        self.parens += (text == "(") - (text == ")")
        if self.parens < 0:
            return "unexpected right paren"
        return "expected :=" if text == ":" else _OPEN.get(text, "")


def _point(char: str) -> str:
    return f"U+{ord(char):04X} '{char}'" if char.isprintable() else f"U+{ord(char):04X}"


def _sorted(sort: str, text: str) -> tuple[str, str]:
    if sort != NAME:
        return sort, text
    if text in KEYWORDS:
        return KEYWORD, text
    return {"true": BOOL, "false": BOOL, "nil": NIL}.get(text, NAME), text


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a template."""
    return _Lexer(text).tokens()
