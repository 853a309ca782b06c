"""sh, the language: from the text of a script to a tree.

Interface: `parse(text)` gives a `Block` of the node types below; `UnsupportedError` names what this one lacks.
The rule not to break: parsing changes nothing and runs nothing.
A real shell also knows `&`, here-documents, functions and `case`; here they are refused by name.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

_REDIRECT = re.compile(r"([012]?)(>>|>&|>|<)(?!<)")
_OPERATOR = re.compile(r"&&|\|\||;;|[;|&()\n]")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=")
_CLOSERS = frozenset({"then", "else", "elif", "fi", "do", "done", "}", ")", ";;"})


class UnsupportedError(Exception):
    """A piece of shell that exists and that this interpreter does not carry out."""


# What a script is: words made of pieces, commands made of words.


class Piece(NamedTuple):
    """A stretch of a word: `quote` is ' (as it stands), " (expanded, not split) or empty (expanded and split)."""

    quote: str
    text: str


class Token(NamedTuple):
    sort: str  # word, operator, redirect
    text: str
    pieces: tuple[Piece, ...] = ()


class Redirect(NamedTuple):
    fd: str
    operator: str
    target: tuple[Piece, ...]


class Simple(NamedTuple):
    assignments: tuple[tuple[str, tuple[Piece, ...]], ...]
    words: tuple[tuple[Piece, ...], ...]
    redirects: tuple[Redirect, ...]


class Pipeline(NamedTuple):
    stages: tuple[Any, ...]
    negated: bool


class Chain(NamedTuple):
    """`a && b || c`: a first pipeline, then pairs of operator and pipeline."""

    first: Any
    rest: tuple[tuple[str, Any], ...]


class Block(NamedTuple):
    items: tuple[Any, ...]


class Loop(NamedTuple):
    condition: Block
    body: Block
    until: bool


class For(NamedTuple):
    name: str
    words: tuple[tuple[Piece, ...], ...]
    body: Block


class If(NamedTuple):
    arms: tuple[tuple[Block, Block], ...]
    otherwise: Block


class Redirected(NamedTuple):
    """A loop, an `if` or a group whose output goes elsewhere."""

    body: Any
    redirects: tuple[Redirect, ...]


# Text → tokens


def tokenize(text: str) -> list[Token]:
    """Cut a script into words, operators and redirections. Raises UnsupportedError."""
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        if text[at] in " \t\r" or text.startswith("\\\n", at):
            at += 1 + text.startswith("\\\n", at)
        elif text[at] == "#":
            at = (text + "\n").index("\n", at)
        elif text.startswith("<<", at):
            raise UnsupportedError("here-documents (<<)")
        elif match := _REDIRECT.match(text, at):
            tokens.append(Token("redirect", match[0]))
            at = match.end()
        elif match := _OPERATOR.match(text, at):
            tokens.append(Token("operator", match[0]))
            at = match.end()
        else:
            pieces, end = _word(text, at)
            tokens.append(Token("word", text[at:end], pieces))
            at = end
    return tokens


def _word(text: str, at: int) -> tuple[tuple[Piece, ...], int]:
    pieces: list[Piece] = []
    while at < len(text) and text[at] not in " \t\r\n;&|()<>":
        start, mark = at, text[at]
        if mark in "'\"":
            at = _closing(text, at + 1, mark)
            pieces.append(Piece(mark, text[start + 1 : at]))
            at += 1
        elif mark == "\\":
            pieces.append(Piece("'", text[at + 1 : at + 2]))
            at += 2
        else:
            at = _bare(text, at)
            pieces.append(Piece("", text[start:at]))
    return tuple(pieces), at


def _bare(text: str, at: int) -> int:
    while at < len(text) and text[at] not in " \t\r\n;&|()<>'\"\\":
        if text[at] == "`" or text[at : at + 2] in ("$(", "${"):
            at = substitution_end(text, at)
        else:
            at += 1
    return at


def _closing(text: str, at: int, mark: str) -> int:
    """Where the quote that was opened before `at` closes."""
    while at < len(text) and text[at] != mark:
        if mark == '"' and text[at] == "\\":
            at += 2
        elif mark == '"' and (text[at] == "`" or text[at : at + 2] in ("$(", "${")):
            at = substitution_end(text, at)
        else:
            at += 1
    if at >= len(text):
        raise UnsupportedError(f"a quote ({mark}) that is never closed")
    return at


def substitution_end(text: str, at: int) -> int:
    """The place after `$(…)`, `${…}` or `…` in backquotes, which begins at `at`."""
    if text[at] == "`":
        return _closing(text, at + 1, "`") + 1
    opener, closer = text[at + 1], {"(": ")", "{": "}"}[text[at + 1]]
    depth, at = 1, at + 2
    while at < len(text) and depth:
        if text[at] in "'\"":
            at = _closing(text, at + 1, text[at])
        depth += (text[at] == opener) - (text[at] == closer)
        at += 1
    if depth:
        raise UnsupportedError(f"a ${opener} that is never closed")
    return at


# Tokens → tree


def parse(text: str) -> Block:
    """The tree of a script. Raises UnsupportedError for what this shell does not know."""
    parser = _Parser(tokenize(text))
    block = parser.block()
    if parser.token is not None:
        raise UnsupportedError(f"'{parser.token.text}' at this place")
    return block


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def token(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, *texts: str) -> str:
        """The next token's text if it is one of `texts`, taken; else an empty string."""
        if self.token and self.token.text in texts:
            self._at += 1
            return self._tokens[self._at - 1].text
        return ""

    def _expect(self, text: str) -> None:
        if not self._take(text):
            where = "a script in which" if self.token is not None else "a script that ends in the middle:"
            raise UnsupportedError(f"{where} '{text}' is missing")

    def _lines(self) -> None:
        while self._take("\n", ";"):
            pass

    def block(self) -> Block:
        items = []
        self._lines()
        while self.token and self.token.text not in _CLOSERS:
            items.append(self._chain())
            if self._take("&"):
                raise UnsupportedError("commands in the background (&)")
            self._lines()
        return Block(tuple(items))

    def _chain(self) -> Any:
        first, rest = self._pipeline(), []
        while word := self._take("&&", "||"):
            while self._take("\n"):
                pass
            rest.append((word, self._pipeline()))
        return Chain(first, tuple(rest)) if rest else first

    def _pipeline(self) -> Any:
        negated = bool(self._take("!"))
        stages = [self._command()]
        while self._take("|"):
            stages.append(self._command())
        return Pipeline(tuple(stages), negated) if negated or len(stages) > 1 else stages[0]

    def _command(self) -> Any:
        shapes = {"while": self._loop, "until": self._loop, "for": self._for, "if": self._if, "{": self._group}
        shapes["("] = self._group
        token = self.token
        if token is None or token.text not in shapes:
            return self._simple()
        self._at += 1
        body = shapes[token.text](token.text)
        redirects = self._redirects()
        return Redirected(body, redirects) if redirects else body

    def _group(self, word: str) -> Block:
        block = self.block()
        self._expect({"{": "}", "(": ")"}[word])
        return block

    def _loop(self, word: str) -> Loop:
        condition = self.block()
        self._expect("do")
        body = self.block()
        self._expect("done")
        return Loop(condition, body, word == "until")

    def _for(self, _: str) -> For:
        name, words = self._word().text, []
        self._expect("in")
        while self.token and self.token.sort == "word":
            words.append(self._word().pieces)
        self._lines()
        self._expect("do")
        body = self.block()
        self._expect("done")
        return For(name, tuple(words), body)

    def _if(self, _: str) -> If:
        arms, otherwise = [], Block(())
        word = "elif"
        while word == "elif":
            condition = self.block()
            self._expect("then")
            arms.append((condition, self.block()))
            word = self._take("elif", "else", "fi")
        if word == "else":
            otherwise = self.block()
            self._expect("fi")
        return If(tuple(arms), otherwise)

    def _word(self) -> Token:
        token = self.token
        if token is None or token.sort != "word":
            raise UnsupportedError("a script that ends in the middle")
        self._at += 1
        return token

    def _redirects(self) -> tuple[Redirect, ...]:
        found = []
        while self.token and self.token.sort == "redirect":
            fd, sign = _REDIRECT.match(self.token.text).groups()  # type: ignore[union-attr]
            self._at += 1
            found.append(Redirect(fd or ("0" if sign == "<" else "1"), sign, self._word().pieces))
        return tuple(found)

    def _simple(self) -> Simple:
        assignments: list[tuple[str, tuple[Piece, ...]]] = []
        words: list[tuple[Piece, ...]] = []
        redirects = list(self._redirects())
        while self.token and self.token.sort == "word":
            token = self._word()
            match = None if words else _ASSIGNMENT.match(token.text)
            if match and not token.pieces[0].quote:
                head = Piece("", token.pieces[0].text[match.end() :])
                assignments.append((match[1], (head, *token.pieces[1:])))
            else:
                words.append(token.pieces)
            redirects += self._redirects()
        if not (assignments or words or redirects):
            raise UnsupportedError(f"'{self.token.text if self.token else 'the end'}' at this place")
        if (self.token and self.token.text == "(") or (words and words[0] == (Piece("", "case"),)):
            raise UnsupportedError("functions and case")
        return Simple(tuple(assignments), tuple(words), tuple(redirects))
