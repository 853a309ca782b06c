"""Manifests: YAML or JSON text becomes objects that know where they stood.

Interface: `load(text, source) -> list[Document]`; `Document.line_of(path)`; `check_identity(document)`.
The rule not to break: a value is read as kubectl reads it, which is neither YAML 1.1 nor 1.2: `yes` is true, `0644` is
420, `1e3` is a number, `2024-01-31` and `22:22` are strings, and keys are always strings.
Source: `sigs.k8s.io/yaml` (goyaml.v2) and `k8s.io/cli-runtime/pkg/resource`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import yaml

from k8snb.apimachinery import kinds, schema
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
_TOO_DEEP = f"more than {DEEPEST} levels of maps and lists in each other"

Value = tuple[int, Any, Callable[[], yaml.Node | None]]  # the line, what stands there, its nodes on demand


class ManifestError(ValueError):
    """A manifest that cannot be used. `line` counts from 1 in the text; None where no line is to blame."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


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


@dataclass
class Document:
    """One object of a manifest. `index` counts documents from 0; `line` is where it begins in the text, from 1."""

    object: Object
    index: int
    line: int
    source: str = "<cell>"
    _root: Callable[[], yaml.Node | None] = field(repr=False, default=lambda: None)
    _prefix: tuple[str | int, ...] = ()

    def line_of(self, path: str, about: str = "") -> int | None:
        """The line of a field such as `spec.containers[0].image`, or of the nearest thing around it that is there.

        Of a field with entries, the entry that has `about` as its key or value.
        """
        node, line = self._root(), self.line
        if node is None:
            return None
        for part in (*self._prefix, *_parts(path)):
            found = _child(node, part)
            if found is None:
                return line
            line, node = found
        return _entry(node, about) or line


_PART = re.compile(r"\[(\d+)\]|\[([^\]]*)\]|([^.\[]+)")


def _parts(path: str) -> Iterator[str | int]:
    """`a.b[0].c` → a, b, 0, c; `a[x.y/z]` → a, x.y/z."""
    for index, key, name in _PART.findall(path):
        yield int(index) if index else key or name


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    """The line on which a part begins, and its value."""
    if isinstance(node, yaml.SequenceNode):
        if isinstance(part, int) and part < len(node.value):
            return node.value[part].start_mark.line + 1, node.value[part]
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    return None


def _entry(node: yaml.Node, about: str) -> int | None:
    """The line of a map's entry with this key or value."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if about and about in (key.value, value.value):
                line: int = key.start_mark.line + 1
                return line
    return None


def load(text: str, source: str = "<cell>") -> list[Document]:
    """The objects in a text: YAML documents or JSON values; kind List is unfolded. Raises ManifestError."""
    documents: list[Document] = []
    for index, (line, value, root) in enumerate(_values(text)):
        if not isinstance(value, dict):
            shown = json.dumps(value, default=str)[:40]
            raise ManifestError(f"line {line}: {shown} is not an object: begin with apiVersion, kind, metadata", line)
        documents += _unfold(Document(value, index, line, source, root))
    return documents


def _unfold(document: Document) -> Iterator[Document]:
    """The document, or if it is a list of objects, each of them."""
    items = document.object.get("items")
    if not isinstance(items, list) or not str(document.object.get("kind", "")).endswith("List"):
        yield document
        return
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise ManifestError(f"line {document.line}: items[{number}] is not an object", document.line)
        prefix = (*document._prefix, "items", number)
        part = Document(item, document.index, document.line, document.source, document._root, prefix)
        part.line = part.line_of("") or document.line
        yield from _unfold(part)


def _values(text: str) -> Iterator[Value]:
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
                raise _json_error(error) from None
    try:
        _check_depth(text)
        yield from _yaml_values(text)
    except yaml.YAMLError as error:
        raise _syntax_error(error, text) from None


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


def _json_error(error: json.JSONDecodeError) -> ManifestError:
    """The parser may notice only after the last line that something is missing."""
    lines = error.doc.splitlines()
    number = min(error.lineno, len(lines))
    text = f"line {number}, column {error.colno}: invalid JSON: {error.msg}: {lines[number - 1].strip()[:60]}"
    return ManifestError(text, number)


def _yaml_values(text: str) -> Iterator[Value]:
    for node in yaml.compose_all(text, Loader=_Loader):
        if node is not None and node.tag != _NULL:
            yield node.start_mark.line + 1, _construct(node, ()), partial(_itself, node)


def _itself(node: yaml.Node) -> yaml.Node:
    return node


def _construct(node: yaml.Node, around: tuple[int, ...]) -> Any:
    """A node as JSON would have it. `around` are the nodes it lies in: YAML can make a thing contain itself."""
    if id(node) in around:
        raise _error(node, "an anchor contains itself")
    if len(around) > DEEPEST:
        raise _error(node, _TOO_DEEP)
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
            raise _error(key_node, f'key "{key}" is already set at line {lines[key]}')
        lines[key] = key_node.start_mark.line + 1
        found[key] = _construct(value_node, around)
    return {**merged, **found}


def _merged(node: yaml.Node, around: tuple[int, ...]) -> Object:
    """What `<<` brings: a map, or several of which the first one wins."""
    value = _construct(node, around)
    maps = value if isinstance(value, list) else [value]
    if not all(isinstance(each, dict) for each in maps):
        raise _error(node, "<< takes a map or a list of maps")
    return {key: each[key] for each in reversed(maps) for key in each}


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _error(node, "a key must be a word: {{ }} and [ ] need quotes")
    value = _scalar(node)
    return value if isinstance(value, str) else json.dumps(value)


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    read = _READERS.get(node.tag)
    if read is None:
        raise _error(node, f"the tag {node.tag.replace(_TAG, '!!')} is not supported in a manifest")
    try:
        return read(text)
    except ValueError:
        raise _error(node, f"cannot decode {text!r} as {node.tag.replace(_TAG, '!!')}") from None


def _integer(text: str) -> int:
    """Decimal, 0x, 0b, 0o, and octal with a leading zero as in Go and C."""
    plain = text.replace("_", "").lower()
    digits = plain.lstrip("+-")
    if re.fullmatch(r"0[0-7]+", digits):
        return int(plain, 8)
    return int(plain, 0)


def _float(text: str) -> int | float:
    """A number; a whole one is an integer, because JSON has no other way to write it."""
    value = float(text.replace("_", ""))
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


_READERS: dict[str, Any] = {
    _STR: str,
    _BINARY: lambda text: "".join(text.split()),
    _NULL: lambda text: None,
    _BOOL: lambda text: text.lower() in _TRUE,
    _INT: _integer,
    _FLOAT: _float,
    _TAG + "timestamp": str,
}


def _error(node: yaml.Node, text: str) -> ManifestError:
    line = node.start_mark.line + 1
    return ManifestError(f"line {line}: {text}", line)


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


def _syntax_error(error: yaml.YAMLError, text: str) -> ManifestError:
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


_SPEC_NEEDED = frozenset(("Service", "PersistentVolumeClaim", "PersistentVolume", "Ingress", "HorizontalPodAutoscaler"))
_NAMELESS = ("authentication.k8s.io/", "authorization.k8s.io/")  # questions to the server, never stored


def check_identity(document: Document) -> ManifestError | None:
    """Whether apiVersion, kind, a name or a needed spec is missing: the error in kubectl's words, and the way out."""
    found = _identity_problem(document.object)
    if found is None:
        return None
    problem, advice = found
    name = document.source.strip("<>")
    line = document.line_of("metadata") if problem.startswith("metadata") else document.line
    return ManifestError(f'error validating "{name}": error validating data: {problem}; add {advice}', line)


def _identity_problem(obj: Object) -> tuple[str, str] | None:
    """What is missing, and what to add."""
    missing = [name for name in ("apiVersion", "kind") if not isinstance(obj.get(name), str) or not obj[name]]
    if missing:
        said = ", ".join(f"{name} not set" for name in missing)
        return f"[{said}]" if len(missing) > 1 else said, " and ".join(_line(obj, name) for name in missing)
    api_version, kind = obj["apiVersion"], obj["kind"]
    if kind.endswith("List") or api_version.startswith(_NAMELESS):
        return None
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or not (metadata.get("name") or metadata.get("generateName")):
        return "metadata.name: Required value: name or generateName is required", "metadata: {name: my-name}"
    if "spec" not in obj and _needs_spec(api_version, kind):
        return "spec: Required value", f"a spec (kubectl explain {kind.lower()}.spec names its fields)"
    return None


def _line(obj: Object, name: str) -> str:
    """The line that a manifest lacks: the apiVersion that goes with its kind, or an example."""
    example = "Pod" if name == "kind" else _api_version(str(obj.get("kind", "")))
    return f"a line {name}: {example}"


def _api_version(kind: str) -> str:
    served = next((row.api_version for row in kinds.KINDS if row.kind.lower() == kind.lower()), None)
    return served or next((version for version, name in schema.load().kinds() if name == kind), "v1")


def _needs_spec(api_version: str, kind: str) -> bool:
    """Whether an object of this kind means nothing without a spec."""
    spec = schema.load().field(api_version, kind, "spec")
    return spec is not None and (kind in _SPEC_NEEDED or (spec.type is not None and bool(spec.type.required)))
