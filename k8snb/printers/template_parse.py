"""Go templates, the parser: from words to a tree.

Interface: `parse(text, functions) -> {name: body}`; `TemplateError`.
The rule not to break: a mistake is told in Go's words, with the line on which Go sees it.
Source: Go's `text/template/parse`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from dataclasses import dataclass, field

from k8snb.printers import template_tokens as words
from k8snb.printers.go_format import Int
from k8snb.printers.template_tokens import Token, quoted
from k8snb.printers.template_tree import (
    Action,
    Body,
    Call,
    Chain,
    Command,
    Control,
    Dot,
    Field,
    Function,
    Jump,
    Literal,
    Nil,
    Node,
    Pipe,
    Text,
    Variable,
)

MAIN = "output"  # what kubectl calls the template that the user gives


class TemplateError(ValueError):
    """A template that cannot be read, or fails on an object; the message is Go's."""


@dataclass(frozen=True)
class _End(Node):
    """`{{end}}` or `{{else}}`, where the body before it ends."""

    word: str


def parse(text: str, functions: Collection[str]) -> dict[str, Body]:
    """The templates in a text by name; `MAIN` is the text itself. Raises TemplateError."""
    return _Parser(text, functions).parse()


@dataclass
class _Parser:
    """Reads tokens, with as much look-ahead as is asked for."""

    text: str
    functions: Collection[str]
    templates: dict[str, Body] = field(default_factory=dict)
    variables: list[str] = field(default_factory=lambda: ["$"])
    ranges: int = 0
    action_line: int = 0

    def __post_init__(self) -> None:
        self._source = words.tokens(self.text)
        self._ahead: list[Token] = []
        self._last = Token(words.EOF, "", 0, 1)

    # tokens

    def _peek(self, far: int = 0) -> Token:
        while len(self._ahead) <= far:
            token = next(self._source, None)
            if token is None:
                return self._ahead[-1] if self._ahead else self._last
            self._ahead.append(token)
        return self._ahead[far]

    def _next(self) -> Token:
        token = self._peek()
        self._ahead = self._ahead[1:]
        self._last = token
        return token

    def _skip_space(self) -> Token:
        while self._peek().sort == words.SPACE:
            self._next()
        return self._peek()

    def _next_word(self) -> Token:
        self._skip_space()
        return self._next()

    def _error(self, message: str, token: Token | None = None) -> TemplateError:
        line = (token or self._last).line
        return TemplateError(f"template: {MAIN}:{line}: {message}")

    def _unexpected(self, token: Token, context: str) -> TemplateError:
        if token.sort != words.ERROR:
            return self._error(f"unexpected {token} in {context}", token)
        extra = ""
        if self.action_line and self.action_line != token.line:
            extra = f" in action started at {MAIN}:{self.action_line}"
            extra = extra.removeprefix(" in action") if token.text.endswith(" action") else extra
        return self._error(f"{token}{extra}", token)

    def _expect_close(self, context: str) -> None:
        token = self._next_word()
        if token.sort != words.RIGHT:
            raise self._unexpected(token, context)

    # bodies

    def parse(self) -> dict[str, Body]:
        nodes: list[Node] = []
        while self._peek().sort != words.EOF:
            if self._is_define():
                self._define()
                continue
            node = self._text_or_action()
            if isinstance(node, _End):
                raise self._error(f"unexpected {{{{{node.word}}}}}")
            nodes.append(node)
        self._add(MAIN, tuple(nodes))
        return self.templates

    def _is_define(self) -> bool:
        if self._peek().sort != words.LEFT:
            return False
        far = 2 if self._peek(1).sort == words.SPACE else 1
        return self._peek(far)[:2] == (words.KEYWORD, "define")

    def _add(self, name: str, body: Body) -> None:
        if name in self.templates and not _is_blank(body) and not _is_blank(self.templates[name]):
            raise self._error(f"template: multiple definition of template {quoted(name)}")
        if name not in self.templates or not _is_blank(body):
            self.templates[name] = body

    def _define(self) -> None:
        self._next()
        self._next_word()
        name, _ = self._template_name("define clause")
        self._expect_close("define clause")
        outer, self.variables = self.variables, ["$"]
        ranges, self.ranges = self.ranges, 0
        body, end = self._body()
        if end.word != "end":
            raise self._error(f"unexpected {{{{{end.word}}}}} in define clause")
        self.variables, self.ranges = outer, ranges
        self._add(name, body)

    def _template_name(self, context: str) -> tuple[str, int]:
        """The name, and where it stands."""
        token = self._next_word()
        if token.sort not in (words.STRING, words.RAW):
            raise self._unexpected(token, context)
        return self._unquoted(token), token.place

    def _body(self) -> tuple[Body, _End]:
        nodes: list[Node] = []
        while self._skip_space().sort != words.EOF:
            node = self._text_or_action()
            if isinstance(node, _End):
                return tuple(nodes), node
            nodes.append(node)
        self._next()
        raise self._error("unexpected EOF")

    def _text_or_action(self) -> Node:
        token = self._next_word()
        if token.sort == words.TEXT:
            return Text(token.place, token.text)
        if token.sort != words.LEFT:
            raise self._unexpected(token, "input")
        self.action_line = token.line
        node = self._action()
        self.action_line = 0
        return node

    def _action(self) -> Node:
        token = self._skip_space()
        if token.sort == words.KEYWORD and token.text != "define":
            self._next()
            return self._keyword(token)
        return Action(token.place, self._pipe("command", words.RIGHT))

    def _keyword(self, token: Token) -> Node:
        word = token.text
        if word in ("if", "range", "with"):
            return self._control(token)
        if word in ("break", "continue"):
            return self._jump(token)
        if word == "end":
            self._expect_close("end")
            return _End(token.place, "end")
        if word == "else":
            if self._skip_space()[:2] not in ((words.KEYWORD, "if"), (words.KEYWORD, "with")):
                self._expect_close("else")
            return _End(token.place, "else")
        return self._call() if word == "template" else self._block()

    def _jump(self, token: Token) -> Jump:
        self._expect_close(f"{{{{{token.text}}}}}")
        if not self.ranges:
            raise self._error(f"{{{{{token.text}}}}} outside {{{{range}}}}", token)
        return Jump(token.place, token.text)

    def _control(self, token: Token) -> Control:
        known, word = len(self.variables), token.text
        pipe = self._pipe(word, words.RIGHT)
        self.ranges += word == "range"
        body, end = self._body()
        self.ranges -= word == "range"
        otherwise: Body = ()
        if end.word == "else":
            otherwise = self._otherwise(word)
        del self.variables[known:]
        return Control(token.place, word, pipe, body, otherwise)

    def _otherwise(self, word: str) -> Body:
        following = self._peek()
        if following[:2] == (words.KEYWORD, word) and word != "range":
            return (self._control(self._next()),)
        body, end = self._body()
        if end.word != "end":
            raise self._error(f"expected end; found {{{{{end.word}}}}}")
        return body

    def _call(self) -> Call:
        name, place = self._template_name("template clause")
        if self._skip_space().sort == words.RIGHT:
            self._next()
            return Call(place, name, None)
        return Call(place, name, self._pipe("template clause", words.RIGHT))

    def _block(self) -> Call:
        name, place = self._template_name("block clause")
        pipe = self._pipe("block clause", words.RIGHT)
        outer, self.variables = self.variables, ["$"]
        body, end = self._body()
        if end.word != "end":
            raise self._error(f"unexpected {{{{{end.word}}}}} in block clause")
        self.variables = outer
        self._add(name, body)
        return Call(place, name, pipe)

    # pipelines

    def _pipe(self, context: str, end: str) -> Pipe:
        first = self._skip_space()
        variables, assigns = self._declarations(context)
        commands: list[Command] = []
        while True:
            token = self._skip_space()
            if token.sort == end or (end == ")" and token[:2] == (words.SIGN, ")")):
                self._next()
                self._check(commands, context)
                return Pipe(first.place, first.line, variables, assigns, tuple(commands))
            if not _begins_operand(token):
                self._next()
                raise self._unexpected(token, context)
            commands.append(self._command())

    def _declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        """The variables before `:=` or `=`, and whether they are assigned to."""
        found: list[str] = []
        while self._skip_space().sort == words.VARIABLE:
            far = 2 if self._peek(1).sort == words.SPACE else 1
            sign = self._peek(far).text if self._peek(far).sort == words.SIGN else ""
            if sign not in (":=", "=", ","):
                break
            name = self._next().text
            self._next_word()
            found.append(name)
            self.variables.append(name)
            if sign != ",":
                return tuple(found), sign == "="
            if context != "range" or len(found) > 1:
                raise self._error(f"too many declarations in {context}")
            if self._skip_space().sort not in (words.VARIABLE, words.RIGHT) and self._peek().text != ")":
                raise self._error("range can only initialize variables")
        return tuple(found), False

    def _check(self, commands: list[Command], context: str) -> None:
        if not commands:
            raise self._error(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], start=2):
            if isinstance(command.arguments[0], Literal):
                raise self._error(f"non executable command in pipeline stage {stage}")

    def _command(self) -> Command:
        start = self._skip_space()
        arguments: list[Node] = []
        while True:
            self._skip_space()
            operand = self._operand()
            if operand is not None:
                arguments.append(operand)
            token = self._peek()
            if token.sort == words.SPACE:
                continue
            if token[:2] == (words.SIGN, "|"):
                self._next()
            elif token.sort != words.RIGHT and token[:2] != (words.SIGN, ")"):
                self._next()
                raise self._unexpected(token, "operand")
            if not arguments:
                raise self._error("empty command")
            return Command(start.place, tuple(arguments))

    def _operand(self) -> Node | None:
        node = self._term()
        following = self._peek()
        if node is None or following.sort != words.FIELD:
            return node
        names = []
        while self._peek().sort == words.FIELD:
            names.append(self._next().text[1:])
        if isinstance(node, Field | Variable):
            return type(node)(following.place, (*node.names, *names))
        if isinstance(node, Literal):
            raise self._error(f"unexpected . after term {quoted(str(node))}")
        return Chain(following.place, node, tuple(names))

    def _term(self) -> Node | None:
        token = self._skip_space()
        if not _begins_operand(token):
            return None
        self._next()
        if token.text == "(" and token.sort == words.SIGN:
            return self._pipe("parenthesized pipeline", ")")
        if token.sort == words.NAME:
            if token.text not in self.functions:
                raise self._error(f"function {quoted(token.text)} not defined")
            return Function(token.place, token.text)
        if token.sort == words.VARIABLE:
            if token.text not in self.variables:
                raise self._error(f"undefined variable {quoted(token.text)}")
            return Variable(token.place, (token.text,))
        return self._literal(token)

    def _literal(self, token: Token) -> Node:
        place, source = token.place, token.text
        if token.sort == words.FIELD:
            return Field(place, (source[1:],))
        if token.sort == words.DOT:
            return Dot(place, source, None)
        if token.sort == words.NIL:
            return Nil(place, source, None)
        if token.sort == words.BOOL:
            return Literal(place, source, source == "true")
        if token.sort == words.NUMBER:
            return Literal(place, source, self._number(source))
        text = self._unquoted(token)
        return Literal(place, source, Int(ord(text)) if token.sort == words.RUNE else text)

    def _number(self, source: str) -> Int | float:
        text = source.replace("_", "")
        if text.endswith("i") and not text.lower().startswith("0x"):
            raise self._error(f"{source}: complex numbers: not implemented by k8snb")
        try:
            if text.lstrip("+-").lower().startswith("0x") and ("p" in text.lower() or "." in text):
                return float.fromhex(text)
            if text.lstrip("+-")[:1] == "0" and text.lstrip("+-").isdigit():
                return Int(text, 8)
            return float(text) if set(text) & set(".eE") and "x" not in text.lower() else Int(text, 0)
        except ValueError:
            raise self._error(f"illegal number syntax: {quoted(source)}") from None

    def _unquoted(self, token: Token) -> str:
        if token.sort == words.RAW:
            return token.text[1:-1].replace("\r", "")
        is_rune = token.sort == words.RUNE
        text = str(ast.literal_eval(token.text)) if _STRING.fullmatch(token.text) else ""
        if is_rune and len(text) != 1:
            raise self._error(f"malformed character constant: {token.text}")
        if not text and len(token.text) > 2:
            raise self._error("invalid syntax")
        return text


_ESCAPE = r"\\(?:[abfnrtv\\]|[0-3][0-7]{2}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})"
_STRING = re.compile(rf"(['\"])(?:[^\\]|{_ESCAPE}|\\\1)*\1", re.DOTALL)
_OPERANDS = frozenset((
    words.BOOL, words.RUNE, words.DOT, words.FIELD, words.NAME, words.NUMBER, words.NIL, words.RAW, words.STRING,
    words.VARIABLE,
))  # fmt: skip


def _begins_operand(token: Token) -> bool:
    return token.sort in _OPERANDS or token[:2] == (words.SIGN, "(")


def _is_blank(body: Body) -> bool:
    """Whether a template says nothing: such a one may be replaced."""
    return all(isinstance(node, Text) and not node.text.strip() for node in body)
