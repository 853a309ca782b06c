"""Go templates, the tree: what a template is made of.

Interface: one class for each sort of node.
The rule not to break: `str(node)` is how Go writes the node, because error messages show it.
Source: Go's `text/template/parse/node.go`.
"""

from __future__ import annotations

from dataclasses import dataclass

from k8snb.printers.template_tokens import quoted


@dataclass(frozen=True)
class Node:
    """A part of a template, and where it begins."""

    place: int


@dataclass(frozen=True)
class Text(Node):
    text: str


@dataclass(frozen=True)
class Literal(Node):
    """A string, a number, true or false, nil, or the dot; `source` as it was written."""

    source: str
    value: object

    def __str__(self) -> str:
        return self.source


@dataclass(frozen=True)
class Nil(Literal):
    """`nil`."""


@dataclass(frozen=True)
class Dot(Literal):
    """`.`."""


@dataclass(frozen=True)
class Field(Node):
    """`.a.b`."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True)
class Variable(Node):
    """`$x.a.b`; the first of the names is the variable."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True)
class Function(Node):
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Chain(Node):
    """`(…).a.b`."""

    of: Node
    names: tuple[str, ...]

    def __str__(self) -> str:
        return _argument(self.of) + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True)
class Command(Node):
    arguments: tuple[Node, ...]

    def __str__(self) -> str:
        return " ".join(map(_argument, self.arguments))


@dataclass(frozen=True)
class Pipe(Node):
    """`$x := a | b`."""

    line: int
    variables: tuple[str, ...]
    assigns: bool
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        sign = f"{', '.join(self.variables)} {'=' if self.assigns else ':='} " if self.variables else ""
        return sign + " | ".join(map(str, self.commands))


@dataclass(frozen=True)
class Action(Node):
    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


@dataclass(frozen=True)
class Control(Node):
    """`if`, `range` or `with`."""

    word: str
    pipe: Pipe
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True)
class Call(Node):
    """`{{template "name" pipe}}`."""

    name: str
    pipe: Pipe | None

    def __str__(self) -> str:
        return f"{{{{template {quoted(self.name)}{f' {self.pipe}' if self.pipe else ''}}}}}"


@dataclass(frozen=True)
class Jump(Node):
    """`break` or `continue`."""

    word: str


Body = tuple[Node, ...]


def _argument(node: Node) -> str:
    return f"({node})" if isinstance(node, Pipe) else str(node)
