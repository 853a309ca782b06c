"""Go templates: `{{range .items}}{{.metadata.name}}{{end}}`, as `kubectl -o go-template=` has them.

Interface: `Template(text).render(obj)`; raises `TemplateError` with Go's words.
The rule not to break: objects are read, never changed; a whole number too big for an int64 is a float64, as in Go.
Source: Go's `text/template/exec.go`; what kubectl adds is in `cli-runtime/pkg/printers/template.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from k8snb.printers.go_format import MISSING, Int, Missing, text_of, type_of
from k8snb.printers.template_functions import CALLEE, FUNCTIONS, CallError, Row, truth
from k8snb.printers.template_parse import MAIN, TemplateError, parse
from k8snb.printers.template_tokens import quoted
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

__all__ = ["Template", "TemplateError"]

_INTERFACE = "interface {}"


class Value(NamedTuple):
    """A value, and whether Go knows no more of its type than that it is some value (`interface {}`)."""

    data: Any
    boxed: bool = False

    @property
    def type(self) -> str:
        return _INTERFACE if self.boxed else type_of(self.data)


_NOTHING = Value(MISSING)


class Template:
    """A template that has been read. Raises TemplateError where it cannot be."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.bodies = parse(text, FUNCTIONS)

    def render(self, obj: Any, *, missing_ok: bool = True) -> str:
        """The text for one object; with `missing_ok`, what is not there reads `<no value>`."""
        return "".join(self.pieces(obj, missing_ok=missing_ok))

    def pieces(self, obj: Any, *, missing_ok: bool = True) -> Iterator[str]:
        """The same, piece by piece, so that what came before an error is not lost."""
        run = _Run(self, missing_ok)
        try:
            yield from run.execute(MAIN, Value(_as_go_reads(obj)))
        except RecursionError:
            raise run.too_deep() from None


def _as_go_reads(value: Any) -> Any:
    """The value with the numbers that Go makes of JSON."""
    if isinstance(value, Mapping):
        return {key: _as_go_reads(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_as_go_reads(entry) for entry in value]
    return float(value) if type(value) is int and not -(2**63) <= value < 2**63 else value


class _Jump(Exception):
    """`break` or `continue`, on its way to its range."""

    def __init__(self, word: str) -> None:
        self.word = word


class _Run:
    """One execution: the variables, and the node at which it stands, for errors."""

    def __init__(self, template: Template, missing_ok: bool) -> None:
        self._template, self._missing_ok = template, missing_ok
        self._name = MAIN
        self._variables: list[tuple[str, Value]] = []
        self._node: Node | None = None
        self._call: Call | None = None

    def too_deep(self) -> TemplateError:
        self._node = self._call
        return self.error("exceeded maximum template depth (100000)")

    def error(self, message: str) -> TemplateError:
        before = self._template.text[: self._node.place if self._node else 0]
        column = len(before.rpartition("\n")[2].encode())
        where = f"{MAIN}:{before.count(chr(10)) + 1}:{column}"
        return TemplateError(f"template: {where}: executing {quoted(self._name)} at <{self._node}>: {message}")

    def _fail(self, message: str) -> NoReturn:
        raise self.error(message)

    # bodies

    def execute(self, name: str, dot: Value) -> Iterator[str]:
        """A template by its name, which sees no variables but `$`."""
        outer = self._name, self._variables
        self._name, self._variables = name, [("$", dot)]
        yield from self._walk(self._template.bodies[name], dot)
        self._name, self._variables = outer

    def _walk(self, body: Body, dot: Value) -> Iterator[str]:
        for node in body:
            self._node = node
            if isinstance(node, Text):
                yield node.text
            elif isinstance(node, Action):
                value = self._pipe(dot, node.pipe)
                if not node.pipe.variables:
                    yield _shown(value)
            elif isinstance(node, Control):
                known = len(self._variables)
                yield from (self._range if node.word == "range" else self._choice)(dot, node)
                del self._variables[known:]
            elif isinstance(node, Call):
                yield from self._called(dot, node)
            elif isinstance(node, Jump):
                raise _Jump(node.word)

    def _choice(self, dot: Value, node: Control) -> Iterator[str]:
        """`if` and `with`."""
        value = self._pipe(dot, node.pipe)
        if truth(value.data):
            yield from self._walk(node.body, value if node.word == "with" else dot)
        else:
            yield from self._walk(node.otherwise, dot)

    def _called(self, dot: Value, node: Call) -> Iterator[str]:
        self._call = node
        if node.name not in self._template.bodies:
            self._fail(f"template {quoted(node.name)} not defined")
        yield from self.execute(node.name, self._pipe(dot, node.pipe) if node.pipe else _NOTHING)

    def _range(self, dot: Value, node: Control) -> Iterator[str]:
        items = list(self._items(self._pipe(dot, node.pipe).data, node))
        known = len(self._variables)
        for key, item in items:
            self._loop_variables(node.pipe, key, item)
            try:
                yield from self._walk(node.body, item)
            except _Jump as jump:
                if jump.word == "break":
                    break
            finally:
                del self._variables[known:]
        if not items:
            yield from self._walk(node.otherwise, dot)

    def _items(self, data: Any, node: Control) -> Iterator[tuple[Value, Value]]:
        """The keys and the values to go over."""
        if data is MISSING or data is None:
            return
        if isinstance(data, dict):
            yield from ((Value(key), Value(data[key], True)) for key in sorted(data))
        elif isinstance(data, list):
            yield from ((Value(Int(place)), Value(item, True)) for place, item in enumerate(data))
        elif isinstance(data, int) and not isinstance(data, bool):
            if len(node.pipe.variables) > 1:
                self._fail(f"can't use {data} to iterate over more than one variable")
            yield from ((Value(item), Value(item)) for item in map(type(data), range(data)))
        else:
            self._fail(f"range can't iterate over {text_of(data)}")

    def _loop_variables(self, pipe: Pipe, key: Value, item: Value) -> None:
        values = [item] if len(pipe.variables) == 1 else [key, item]
        for name, value in zip(pipe.variables, values, strict=False):
            if pipe.assigns:
                self._assign(name, value)
            else:
                self._variables.append((name, value))

    def _assign(self, name: str, value: Value) -> None:
        place = max(place for place, (known, _) in enumerate(self._variables) if known == name)
        self._variables[place] = (name, value)

    # pipelines

    def _pipe(self, dot: Value, pipe: Pipe) -> Value:
        self._node = pipe
        value: Value | None = None
        for command in pipe.commands:
            value = self._unboxed(self._command(dot, command, value))
        assert value is not None
        for name in pipe.variables:
            if pipe.assigns:
                self._assign(name, value)
            else:
                self._variables.append((name, value))
        return value

    def _unboxed(self, value: Value) -> Value:
        """What comes out of a pipeline is of its own type again; a nil is nothing then."""
        if not value.boxed:
            return value
        return _NOTHING if value.data is None else Value(value.data)

    def _command(self, dot: Value, command: Command, final: Value | None) -> Value:
        """One stage; `final` is what the stage before it gives, as the last argument."""
        first = command.arguments[0]
        if isinstance(first, Function):
            self._node = first
            return self._function(dot, first.name, command.arguments[1:], final, command)
        if isinstance(first, Field | Variable | Chain):
            return self._fields_of(dot, first, command.arguments[1:], final)
        self._node = first
        if len(command.arguments) > 1 or final is not None:
            self._fail(f"can't give argument to non-function {first}")
        if isinstance(first, Pipe):
            return self._pipe(dot, first)
        if isinstance(first, Nil):
            self._fail("nil is not a command")
        return self._literal(dot, first)

    def _literal(self, dot: Value, node: Node) -> Value:
        return dot if isinstance(node, Dot) else Value(node.value) if isinstance(node, Literal) else _NOTHING

    def _fields_of(self, dot: Value, node: Node, rest: Sequence[Node] = (), final: Value | None = None) -> Value:
        self._node = node
        names: tuple[str, ...] = ()
        if isinstance(node, Field):
            value, names = dot, node.names
        elif isinstance(node, Variable):
            value = next(value for name, value in reversed(self._variables) if name == node.names[0])
            names = node.names[1:]
        elif isinstance(node, Chain):
            value, names = self._chained(dot, node.of), node.names
        if not names and (rest or final is not None):
            self._fail(f"can't give argument to non-function {node}")
        self._node = node
        for place, name in enumerate(names):
            last = place == len(names) - 1
            value = self._field(value, name, last and (bool(rest) or final is not None))
        return value

    def _chained(self, dot: Value, node: Node) -> Value:
        if isinstance(node, Nil):
            self._fail("indirection through explicit nil in .")
        return self._pipe(dot, node) if isinstance(node, Pipe) else self._argument(dot, node)

    def _field(self, value: Value, name: str, with_arguments: bool) -> Value:
        if value.data is MISSING:
            if not self._missing_ok:
                self._fail(f"nil data; no entry for key {quoted(name)}")
            return _NOTHING
        if value.data is None:
            self._fail(f"nil pointer evaluating {_INTERFACE}.{name}")
        if not isinstance(value.data, dict):
            self._fail(f"can't evaluate field {name} in type {value.type}")
        if with_arguments:
            self._fail(f"{name} is not a method but has arguments")
        if name in value.data:
            return Value(value.data[name], True)
        if not self._missing_ok:
            self._fail(f"map has no entry for key {quoted(name)}")
        return _NOTHING

    # functions

    def _function(self, dot: Value, name: str, nodes: Sequence[Node], final: Value | None, at: Node) -> Value:
        row = FUNCTIONS[name]
        self._count(name, row, len(nodes), final)
        if name in ("and", "or"):
            return self._short(dot, name == "or", nodes, final)
        values = [self._fitting(row, place, self._argument(dot, node, row, place)) for place, node in enumerate(nodes)]
        if final is not None:
            values.append(self._fitting(row, len(values), final))
        try:
            answer = row.call(*values)
        except CallError as error:
            self._node = at
            self._fail(f"error calling {name}: {error}".replace(CALLEE, str(nodes[0]) if nodes else ""))
        return Value(answer, answer is None)

    def _count(self, name: str, row: Row, given: int, final: Value | None) -> None:
        count = given + (final is not None)
        if row.variadic and count < row.fixed:
            self._fail(f"wrong number of args for {name}: want at least {row.fixed} got {given}")
        if not row.variadic and count != row.fixed:
            self._fail(f"wrong number of args for {name}: want {row.fixed} got {count}")

    def _short(self, dot: Value, stop_at: bool, nodes: Sequence[Node], final: Value | None) -> Value:
        """`and` and `or`, which look at no more arguments than they need."""
        value = _NOTHING
        for node in nodes:
            value = self._argument(dot, node)
            if truth(value.data) == stop_at:
                return value
        return value if final is None else final

    def _argument(self, dot: Value, node: Node, row: Row | None = None, place: int = 0) -> Value:
        self._node = node
        if isinstance(node, Field | Variable | Chain):
            return self._fields_of(dot, node)
        if isinstance(node, Pipe):
            return self._pipe(dot, node)
        if isinstance(node, Function):
            return self._function(dot, node.name, (), None, node)
        wants_text = row is not None and place < row.strings
        if isinstance(node, Nil):
            if wants_text:
                self._fail("cannot assign nil to string")
            return _NOTHING
        if wants_text and isinstance(node, Literal) and not isinstance(node, Dot) and not isinstance(node.value, str):
            self._fail(f"expected string; found {node}")
        return self._literal(dot, node)

    def _fitting(self, row: Row, place: int, value: Value) -> Any:
        """The argument as the function takes it."""
        data = value.data
        if place < row.strings:
            if data is MISSING or data is None:
                self._fail("invalid value; expected string")
            if not isinstance(data, str):
                self._fail(f"wrong type for value; expected string; got {type_of(data)}")
        return None if isinstance(data, Missing) and row.any_value else data


def _shown(value: Value) -> str:
    return "<no value>" if value.data is MISSING else text_of(value.data)
