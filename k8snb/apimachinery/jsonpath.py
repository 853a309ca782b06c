"""JSONPath, in kubectl's dialect: `{.items[*].metadata.name}`, `{range …}{end}`, `{"\\n"}`, `[?(@.type=="Ready")]`.

Interface: `Template(text).render(obj)` for text, `find(path, obj)` for the values that one path leads to.
The rule not to break: values are found, never changed.
Source: `client-go/util/jsonpath` in the kubernetes repository, and its page in the kubectl reference.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Step = Callable[[Any, Any], Iterator[Any]]
_FOR_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


class JsonPathError(ValueError):
    """A template that cannot be read, or a field that an object does not have."""


class MissingFieldError(JsonPathError):
    """A path that leads nowhere in this object."""


class BoundsError(MissingFieldError):
    """An index that a list does not have: what is printed says so even where missing fields are let pass."""


@dataclass(frozen=True)
class Path:
    """One path: its steps, each from a value to values."""

    steps: tuple[Step, ...]
    absolute: bool = False

    def find(self, value: Any, root: Any) -> list[Any]:
        values = [root if self.absolute else value]
        for step in self.steps:
            values = [found for value in values for found in step(value, root)]
        return values


@dataclass(frozen=True)
class Range:
    """`{range PATH}BODY{end}`."""

    path: Path
    body: tuple[Any, ...]


Node = str | Path | Range


class Template:
    """A template: text with `{…}` in it. Raises JsonPathError where it cannot be read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.nodes = _parse(text)

    def render(self, obj: Any, *, missing_ok: bool = True) -> str:
        """The text for one object; with `missing_ok`, what is not there is empty."""
        return "".join(_render(node, obj, obj, missing_ok) for node in self.nodes)

    def groups(self, obj: Any, *, missing_ok: bool = True) -> list[list[Any]]:
        """What each part of the template leads to, in order; a range gives the parts of its body once per item."""
        return [group for node in self.nodes for group in _groups(node, obj, obj, missing_ok)]

    def values(self, obj: Any) -> list[Any]:
        """What the paths of the template lead to, in order."""
        return [value for node in self.nodes if isinstance(node, Path) for value in _find(node, obj, obj)]


def find(path: str, obj: Any) -> list[Any]:
    """The values at `.spec.x`, `spec.x` or `{.spec.x}`."""
    return Template(relaxed(path)).values(obj)


def relaxed(path: str) -> str:
    """A path with the braces and the dot that a user may leave out."""
    body = path.strip().removeprefix("{").removesuffix("}").strip()
    return "{" + (body if body[:1] in (".", "[", "$", "@") else f".{body}") + "}"


def text_of(value: Any) -> str:
    """A value as kubectl prints it: strings bare, true and false as JSON has them, the rest as JSON that Go writes."""
    if isinstance(value, str):
        return value
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return text.translate(_FOR_HTML)


# rendering


def _render(node: Node, value: Any, root: Any, missing_ok: bool) -> str:
    if isinstance(node, str):
        return node
    if isinstance(node, Path):
        return " ".join(text_of(found) for found in _printed(node, value, root, missing_ok))
    items = _printed(node.path, value, root, missing_ok)
    return "".join(_render(part, item, root, missing_ok) for item in items for part in node.body)


def _groups(node: Node, value: Any, root: Any, missing_ok: bool) -> Iterator[list[Any]]:
    if isinstance(node, str):
        yield [node]
    elif isinstance(node, Path):
        yield _printed(node, value, root, missing_ok)
    else:
        for item in _printed(node.path, value, root, missing_ok):
            for part in node.body:
                yield from _groups(part, item, root, missing_ok)


def _printed(path: Path, value: Any, root: Any, missing_ok: bool) -> list[Any]:
    """What a path leads to, for printing: with `missing_ok` nothing where a field is not there."""
    try:
        return path.find(value, root)
    except BoundsError:
        raise
    except MissingFieldError:
        if missing_ok:
            return []
        raise


def _find(path: Path, value: Any, root: Any) -> list[Any]:
    """What a path leads to; nothing where it leads nowhere."""
    try:
        return path.find(value, root)
    except MissingFieldError:
        return []


# steps


def _field(name: str) -> Step:
    def step(value: Any, _: Any) -> Iterator[Any]:
        if isinstance(value, Mapping) and name in value:
            yield value[name]
        else:
            raise MissingFieldError(f"{name} is not found")

    return step


def _tolerant(step: Step) -> Step:
    """The same step, passing over values that it cannot be taken from."""

    def walk(value: Any, root: Any) -> Iterator[Any]:
        try:
            yield from step(value, root)
        except MissingFieldError:
            return

    return walk


def _every(value: Any, _: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descend(value: Any, _: Any) -> Iterator[Any]:
    yield value
    for child in _every(value, None):
        if isinstance(child, (Mapping, list)):
            yield from _descend(child, None)


def _slice(text: str) -> Step:
    parts = [int(part) if part.strip() else None for part in text.split(":")]

    def step(value: Any, _: Any) -> Iterator[Any]:
        if not isinstance(value, list):
            raise MissingFieldError("there is no list to take items from")
        yield from value[slice(*parts)]

    return step


def _index(place: int) -> Step:
    def step(value: Any, _: Any) -> Iterator[Any]:
        if not isinstance(value, list):
            raise MissingFieldError("there is no list to take an item from")
        if not -len(value) <= place < len(value):
            raise BoundsError(f"array index out of bounds: index {place}, length {len(value)}")
        yield value[place]

    return step


def _union(steps: Sequence[Step]) -> Step:
    def step(value: Any, root: Any) -> Iterator[Any]:
        for each in steps:
            yield from each(value, root)

    return step


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_FILTER = re.compile(r"^(.+?)\s*(==|!=|<=|>=|<|>)\s*(.+)$", re.DOTALL)


def _filter(text: str) -> Step:
    match = _FILTER.match(text.strip())
    left = _operand(match[1] if match else text)
    compare = _COMPARE[match[2]] if match else None
    right = _operand(match[3]) if match else None

    def holds(item: Any, root: Any) -> bool:
        found = left(item, root)
        if compare is None or right is None:
            return bool(found)
        wanted = right(item, root)
        return bool(found) and bool(wanted) and _compare(compare, found[0], wanted[0])

    def step(value: Any, root: Any) -> Iterator[Any]:
        items = value if isinstance(value, list) else [value]
        return (item for item in items if holds(item, root))

    return step


def _compare(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    try:
        return compare(left, right)
    except TypeError:
        return False


def _operand(text: str) -> Callable[[Any, Any], list[Any]]:
    text = text.strip()
    if text[:1] in ("@", "$", "."):
        path = _path(text)
        return lambda item, root: _find(path, item, root)
    value = _literal(text)
    return lambda item, root: [value]


def _literal(text: str) -> Any:
    if text[:1] in ("'", '"'):
        return _unquote(text)
    try:
        return json.loads(text)
    except ValueError:
        raise JsonPathError(f"unrecognized identifier {text}") from None


# reading


def _parse(text: str) -> tuple[Node, ...]:
    """The nodes of a template; `stack` holds the bodies of the ranges that are open."""
    stack: list[list[Node]] = [[]]
    ranges: list[Path] = []
    for is_action, part in _split(text):
        if not is_action:
            stack[-1].append(part)
        elif part == "end":
            if not ranges:
                raise JsonPathError(f"error parsing jsonpath {text}, not in range, nothing to end")
            body = tuple(stack.pop())
            stack[-1].append(Range(ranges.pop(), body))
        elif part.startswith("range"):
            ranges.append(_path(part.removeprefix("range").strip()))
            stack.append([])
        else:
            stack[-1].append(_action(part))
    if ranges:
        raise JsonPathError(f"error parsing jsonpath {text}, unclosed range: {{end}} is missing")
    return tuple(stack[0])


def _action(part: str) -> Node:
    return _unquote(part) if part[:1] in ("'", '"') else _path(part)


def _split(text: str) -> Iterator[tuple[bool, str]]:
    """The text outside and inside of braces, in order; braces inside quotes do not count."""
    place = 0
    while place < len(text):
        start = text.find("{", place)
        if start < 0:
            yield False, text[place:]
            return
        if start > place:
            yield False, text[place:start]
        end = _closing(text, start + 1, "}")
        if end < 0:
            open_list = _closing(text + "]", text.rfind("[") + 1, "]") == len(text)
            what = "unterminated array" if "[" in text and open_list else "unclosed action"
            raise JsonPathError(f"error parsing jsonpath {text}, {what}")
        yield True, text[start + 1 : end].strip()
        place = end + 1


def _closing(text: str, start: int, bracket: str) -> int:
    """Where the bracket closes that was opened before `start`; -1 where it does not."""
    opening = {"}": "{", "]": "[", ")": "("}[bracket]
    quote, depth, place = "", 0, start
    while place < len(text):
        char = text[place]
        if quote:
            place += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == bracket and not depth:
            return place
        else:
            depth += (char == opening) - (char == bracket)
        place += 1
    return -1


_NAME = re.compile(r"(?:\\.|[^.\[\]\s,'\"])+")


def _path(text: str) -> Path:
    """A path without braces: `.a.b[0]`, `$..name`, `@.x`."""
    absolute = text.startswith("$")
    place = 1 if text[:1] in ("$", "@") else 0
    steps: list[Step] = []
    wide = False
    while place < len(text):
        step, place, widens = _step(text, place)
        steps.append(_tolerant(step) if wide else step)
        wide = wide or widens
    return Path(tuple(steps), absolute)


def _step(text: str, place: int) -> tuple[Step, int, bool]:
    """The step that begins at `place`, where the next begins, and whether it leads to many values."""
    if text.startswith("..", place):
        after = place + 2
        return _descend, after if text.startswith("[", after) else after - 1, True
    if text[place] == ".":
        if place + 1 == len(text) or text[place + 1] == "[":
            return lambda value, _: iter((value,)), place + 1, False
        return _name_step(text, place + 1)
    if text[place] == "[":
        end = _closing(text, place + 1, "]")
        if end < 0:
            raise JsonPathError(f"error parsing jsonpath {{{text}}}, unterminated array")
        step, widens = _bracket(text[place + 1 : end].strip(), text)
        return step, end + 1, widens
    return _name_step(text, place)


def _name_step(text: str, place: int) -> tuple[Step, int, bool]:
    if text.startswith("*", place):
        return _every, place + 1, True
    match = _NAME.match(text, place)
    if match is None:
        raise JsonPathError(f"error parsing jsonpath {{{text}}}, unexpected character {text[place]!r}")
    return _field(re.sub(r"\\(.)", r"\1", match[0])), match.end(), False


def _bracket(body: str, text: str) -> tuple[Step, bool]:
    if body == "*":
        return _every, True
    if body.startswith("?("):
        return _filter(body[2:].rstrip().removesuffix(")")), True
    parts = [part.strip() for part in re.split(r",(?=(?:[^'\"]*['\"][^'\"]*['\"])*[^'\"]*$)", body)]
    steps = [_subscript(part, text) for part in parts]
    return (_union(steps), True) if len(steps) > 1 else (steps[0], ":" in body)


def _subscript(part: str, text: str) -> Step:
    if part[:1] in ("'", '"'):
        return _field(_unquote(part))
    if re.fullmatch(r"-?\d+", part):
        return _index(int(part))
    if re.fullmatch(r"-?\d*:-?\d*(:-?\d*)?", part):
        return _slice(part)
    raise JsonPathError(f"error parsing jsonpath {{{text}}}, invalid array index {part}")


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def _unquote(text: str) -> str:
    if len(text) < 2 or text[-1] != text[0]:
        raise JsonPathError(f"unterminated quoted string {text}")
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text[1:-1])
