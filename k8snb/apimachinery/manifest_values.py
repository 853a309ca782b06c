"""Manifests' text: YAML documents or JSON values as plain Python values, each with the line where it begins.

Interface: `read(text) -> iterator of (line, value, nodes)`, where `nodes()` gives the parser's tree for finding lines.
The rule not to break: a value is read as kubectl reads it, which is neither YAML 1.1 nor 1.2: `yes` is true, `0644` is
420, `1e3` is a number, `2024-01-31` and `22:22` are strings, and keys are always strings.
Source: `sigs.k8s.io/yaml` (goyaml.v2).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import yaml

from k8snb.apimachinery.manifest_errors import ManifestError, at_node, json_error, syntax_error
from k8snb.apimachinery.meta import Object

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT, _STR, _MERGE, _BINARY = (
    _TAG + word for word in ("null", "bool", "int", "float", "str", "merge", "binary")
)
_TRUE = frozenset(("y", "yes", "true", "on"))
_INT_FORM = r"[-+]?(?:0b[01_]+|0o?[0-7_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*)"
_FLOAT_FORM = r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?"

DEEPEST = 100  # levels; the schema of a Pod has fewer than 20
_MANY = 5000  # brackets and dashes that may lie in each other without harm
_FREE, _GROWTH = 10_000, 10  # nodes that aliases may make in any case; how often they may repeat a larger document
_TOO_DEEP = f"more than {DEEPEST} levels of maps and lists in each other"

Value = tuple[int, Any, Callable[[], yaml.Node | None]]  # the line, what stands there, its nodes on demand


class _Loader(_BASE):  # type: ignore[misc]
    """PyYAML's scanner and parser, with kubectl's idea of which plain words are not strings."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  filled below, as PyYAML wants it


_WORDS = (
    (_BOOL, r"y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON|n|N|no|No|NO|false|False|FALSE|off|Off|OFF", "yYtToOnNfF"),
    (_NULL, r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (_INT, _INT_FORM, "-+0123456789"),
    (_FLOAT, _FLOAT_FORM, "-+0123456789."),
    (_MERGE, r"<<", "<"),
)
for _tag, _pattern, _first in _WORDS:
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), list(_first))


def read(text: str) -> Iterator[Value]:
    """What stands in a text. Raises ManifestError."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            yield from list(_json_values(text))
            return
        except _DuplicateKeyError:
            pass  # YAML knows the line
        except RecursionError:
            raise ManifestError(_TOO_DEEP) from None
        except json.JSONDecodeError as error:
            if not _is_yaml(text):
                raise json_error(error) from None
    try:
        _check_depth(text)
        yield from _yaml_values(text)
    except yaml.YAMLError as error:
        raise syntax_error(error, text) from None


def _check_depth(text: str) -> None:
    """PyYAML's composer ends the process where a text goes very deep; its parser, which knows the depth, does not."""
    if sum(map(text.count, "[{-")) < _MANY:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ManifestError(_TOO_DEEP)


def _is_yaml(text: str) -> bool:
    """Whether a text that begins like JSON is YAML's relaxed form of it (`{app: web}`)."""
    try:
        _check_depth(text)
        return all(node is not None for node in yaml.compose_all(text, Loader=_Loader))
    except yaml.YAMLError:
        return False


class _DuplicateKeyError(ValueError):
    """A JSON object sets one key twice."""


def _json_values(text: str) -> Iterator[Value]:
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    at = _skip_blank(text, 0)
    while at < len(text):
        value, end = decoder.raw_decode(text, at)
        line = text.count("\n", 0, at) + 1
        yield line, value, partial(_compose_json, text[at:end], line)
        at = _skip_blank(text, end)


def _compose_json(text: str, line: int) -> yaml.Node | None:
    """The nodes of a JSON value, at the lines where it stands. A tab is a space in JSON, an error in YAML."""
    try:
        root: yaml.Node | None = yaml.compose("\n" * (line - 1) + text.replace("\t", " "), Loader=_Loader)
        return root
    except yaml.YAMLError:
        return None


def _skip_blank(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _unique(pairs: list[tuple[str, Any]]) -> Object:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateKeyError
    return found


def _yaml_values(text: str) -> Iterator[Value]:
    for node in yaml.compose_all(text, Loader=_Loader):
        if node is not None and node.tag != _NULL:
            _check_aliases(node)
            yield node.start_mark.line + 1, _construct(node, ()), partial(_itself, node)


def _check_aliases(root: yaml.Node) -> None:
    """Refuse a text that grows without measure when its aliases are written out.

    Source: `allowedAliasRatio` in goyaml.v2: few aliases may be as much as they like, many only a part of the whole.
    """
    sizes: dict[int, int] = {}
    written = _written_out(root, sizes)
    if written > _FREE and written > _GROWTH * len(sizes):
        raise at_node(root, "document contains excessive aliasing")


def _written_out(node: yaml.Node, sizes: dict[int, int], depth: int = 0) -> int:
    """How many nodes this one is when its aliases are written out. What lies in itself, or too deep, counts once."""
    if id(node) in sizes or depth > DEEPEST:
        return sizes.get(id(node), 1)
    sizes[id(node)] = 1
    if isinstance(node, yaml.MappingNode):
        parts: Iterator[yaml.Node] = (part for pair in node.value for part in pair)
    else:
        parts = iter(node.value if isinstance(node, yaml.SequenceNode) else ())
    sizes[id(node)] = size = 1 + sum(_written_out(part, sizes, depth + 1) for part in parts)
    return size


def _itself(node: yaml.Node) -> yaml.Node:
    return node


def _construct(node: yaml.Node, around: tuple[int, ...]) -> Any:
    """A node as JSON would have it. `around` are the nodes it lies in: YAML can make a thing contain itself."""
    if id(node) in around:
        raise at_node(node, "an anchor contains itself")
    if len(around) > DEEPEST:
        raise at_node(node, _TOO_DEEP)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(entry, (*around, id(node))) for entry in node.value]
    return _mapping(node, (*around, id(node)))


def _mapping(node: yaml.Node, around: tuple[int, ...]) -> Object:
    found: Object = {}
    merged: Object = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        if key_node.tag == _MERGE:
            merged = {**_merged(value_node, around), **merged}
            continue
        key = _key(key_node)
        if key in found:
            raise at_node(key_node, f'key "{key}" is already set at line {lines[key]}')
        lines[key] = key_node.start_mark.line + 1
        found[key] = _construct(value_node, around)
    return {**merged, **found}


def _merged(node: yaml.Node, around: tuple[int, ...]) -> Object:
    """What `<<` brings: a map, or several of which the first one wins."""
    value = _construct(node, around)
    maps = value if isinstance(value, list) else [value]
    if not all(isinstance(each, dict) for each in maps):
        raise at_node(node, "<< takes a map or a list of maps")
    return {key: each[key] for each in reversed(maps) for key in each}


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise at_node(node, "a key must be a word: {{ }} and [ ] need quotes")
    value = _scalar(node)
    return value if isinstance(value, str) else json.dumps(value)


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    read = _READERS.get(node.tag)
    if read is None:
        raise at_node(node, f"the tag {node.tag.replace(_TAG, '!!')} is not supported in a manifest")
    try:
        return read(text)
    except ValueError:
        raise at_node(node, f"cannot decode {text!r} as {node.tag.replace(_TAG, '!!')}") from None


def _integer(text: str) -> int:
    """Decimal, 0x, 0b, 0o, and octal with a leading zero as in Go and C."""
    plain = text.replace("_", "").lower()
    digits = plain.lstrip("+-")
    if re.fullmatch(r"0[0-7]+", digits):
        return int(plain, 8)
    return int(plain, 0)


def _float(text: str) -> int | float | str:
    """A number; a whole one is an integer, because JSON has no other way to write it. What no number holds is text."""
    value = float(text.replace("_", ""))
    if math.isinf(value):
        return text
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


_READERS: dict[str, Any] = {
    _STR: str,
    _BINARY: lambda text: "".join(text.split()),
    _NULL: lambda text: None,
    _BOOL: lambda text: text.lower() in _TRUE,
    _INT: _integer,
    _FLOAT: _float,
    _TAG + "timestamp": str,
    _MERGE: str,
}
