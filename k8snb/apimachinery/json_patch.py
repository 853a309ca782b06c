"""JSON patch: a list of operations that change an object step by step.

Interface: `json_patch(document, operations)` gives a new object.
The rule not to break: inputs are never mutated and unchanged parts are shared, which is why no library does this here;
however short a patch is, what it makes is not much longer.
Source: RFC 6902; the limits are those of `apiserver/pkg/endpoints/handlers/patch.go` and of the library it uses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Operation = Callable[[Any, Mapping[str, Any]], Any]

MOST_OPERATIONS = 10_000
LONGEST_QUOTE = 200  # characters of a value in a message
MOST_COPIED = 3 * 1024 * 1024  # bytes that all copy operations together may add


class PatchError(ValueError):
    """A patch that is malformed, or does not fit the object."""


class TooLargeError(PatchError):
    """A patch that asks for more than a patch may."""


def json_patch(document: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """The document after all operations (add, remove, replace, move, copy, test). Raises PatchError."""
    if not isinstance(operations, list):
        raise PatchError("a JSON patch is a list of operations: [{op: replace, path: /spec/replicas, value: 3}]")
    if len(operations) > MOST_OPERATIONS:
        words = f"The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {len(operations)}"
        raise TooLargeError(words)
    copied = 0
    for operation in operations:
        run = _checked(operation)
        copied += _copied(document, operation)
        if copied > MOST_COPIED:
            words = f"the accumulated size increase of copy is {copied}, exceeding the limit {MOST_COPIED}"
            raise PatchError(f"Unable to complete the copy, {words}")
        document = run(document, operation)
    return document


def _checked(operation: Any) -> Operation:
    """What carries an operation out."""
    if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
        raise PatchError(f"not a JSON patch operation: {json.dumps(operation)[:LONGEST_QUOTE]}: it needs op and path")
    name = operation.get("op")
    run = _OPERATIONS.get(name) if isinstance(name, str) else None
    if run is None:
        shown, known = json.dumps(operation)[:LONGEST_QUOTE], ", ".join(_OPERATIONS)
        raise PatchError(f"not a JSON patch operation: {shown}: op is one of {known}")
    return run


def _copied(document: Any, operation: Mapping[str, Any]) -> int:
    """By how many bytes a copy makes the document larger."""
    if operation.get("op") != "copy":
        return 0
    return len(json.dumps(_look(document, _source(operation), operation)))


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise PatchError(f'"{text}" is not a JSON pointer: begin with a slash: /metadata/labels/app')
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _missing(operation: Mapping[str, Any], path: str) -> PatchError:
    return PatchError(f'{operation["op"]} operation does not apply: doc is missing path: "{path}"')


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise PatchError(f"{operation['op']} operation at {operation['path']} needs a value")
    return operation["value"]


def _step(node: Any, part: str, operation: Mapping[str, Any], path: str, *, end: bool = False) -> Any:
    """A pointer's part as the key or index that it is in this node; with `end`, one past a list's last is one too."""
    if isinstance(node, dict):
        return part
    if isinstance(node, list):
        if end and part == "-":
            return len(node)
        if part.isdecimal() and int(part) < len(node) + end:
            return int(part)
    raise _missing(operation, path)


def _look(node: Any, path: str, operation: Mapping[str, Any]) -> Any:
    for part in _pointer(path):
        step = _step(node, part, operation, path)
        if isinstance(node, dict) and step not in node:
            raise _missing(operation, path)
        node = node[step]
    return node


def _change(node: Any, parts: list[str], operation: Mapping[str, Any], change: Callable[[Any, str], Any]) -> Any:
    """A copy of `node` in which `change(parent, last part)` replaced the parent at the end of the path."""
    if len(parts) == 1:
        return change(node, parts[0])
    step = _step(node, parts[0], operation, operation["path"])
    if isinstance(node, dict) and step not in node:
        raise _missing(operation, operation["path"])
    copy = node.copy()
    copy[step] = _change(node[step], parts[1:], operation, change)
    return copy


def _put(document: Any, operation: Mapping[str, Any], value: Any) -> Any:
    parts = _pointer(operation["path"])

    def change(parent: Any, part: str) -> Any:
        step = _step(parent, part, operation, operation["path"], end=True)
        if isinstance(parent, dict):
            return {**parent, step: value}
        return [*parent[:step], value, *parent[step:]]

    return _change(document, parts, operation, change) if parts else value


def _replace(document: Any, operation: Mapping[str, Any]) -> Any:
    value = _value(operation)
    _look(document, operation["path"], operation)
    parts = _pointer(operation["path"])

    def change(parent: Any, part: str) -> Any:
        copy = parent.copy()
        copy[_step(parent, part, operation, operation["path"])] = value
        return copy

    return _change(document, parts, operation, change) if parts else value


def _remove(document: Any, operation: Mapping[str, Any]) -> Any:
    _look(document, operation["path"], operation)

    def change(parent: Any, part: str) -> Any:
        copy = parent.copy()
        del copy[_step(parent, part, operation, operation["path"])]
        return copy

    parts = _pointer(operation["path"])
    return _change(document, parts, operation, change) if parts else None


def _add(document: Any, operation: Mapping[str, Any]) -> Any:
    return _put(document, operation, _value(operation))


def _copy(document: Any, operation: Mapping[str, Any]) -> Any:
    return _put(document, operation, _look(document, _source(operation), operation))


def _move(document: Any, operation: Mapping[str, Any]) -> Any:
    source = _source(operation)
    value = _look(document, source, operation)
    return _put(_remove(document, {**operation, "path": source}), operation, value)


def _source(operation: Mapping[str, Any]) -> str:
    if not isinstance(operation.get("from"), str):
        raise PatchError(f"{operation['op']} operation at {operation['path']} needs from")
    source: str = operation["from"]
    return source


def _test(document: Any, operation: Mapping[str, Any]) -> Any:
    found = _look(document, operation["path"], operation)
    if not _equal(found, _value(operation)):
        raise PatchError(f"testing value {operation['path']} failed: it is {json.dumps(found)[:LONGEST_QUOTE]}")
    return document


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are the same in JSON, where 1 is not true."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


_OPERATIONS: dict[str, Operation] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
