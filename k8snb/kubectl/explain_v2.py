"""kubectl explain --output=plaintext-openapiv2: the page as kubectl wrote it before 1.27.

Interface: `page(kind, field, shape, recursive=…)`.
The rule not to break: the same sentences as on the other page; only their places and the names of types differ.
Source: `kubectl/pkg/explain` (`model_printer.go`, `fields_printer.go`, `recursive_fields_printer.go`).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Any

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.schema import Field, Type, innermost, sort_of

_WIDTH = 80
_CODE, _ITEM = "    ", re.compile(r"[-*+]|\d+\.")
_SCALARS = {"int32": "integer", "int64": "integer", "boolean": "boolean", "number": "number", "object": "map[string]",
            "any": ""}  # fmt: skip
_OF = {"list": "[]", "map": "map[string]"}


def page(kind: Kind, field: Field | None, shape: Type | None, *, recursive: bool) -> str:
    """A kind, or one of its fields."""
    lines = [f"KIND:     {kind.kind}", f"VERSION:  {kind.api_version}", ""]
    opens = shape is not None and bool(shape.fields)
    if field is not None:
        lines += [f"{'RESOURCE: ' if opens else 'FIELD:    '}{field.name} <{_label(field.shape)}>", ""]
    lines += ["DESCRIPTION:", *_description(field, shape)]
    if shape is None or not opens:
        return "\n".join(lines) + "\n"
    fields = _tree(shape, 1, ()) if recursive else _fields(shape)
    return "\n".join([*lines, "", "FIELDS:", *fields]) + ("\n" if recursive else "\n\n")


def _description(field: Field | None, shape: Type | None) -> Iterator[str]:
    said = [text for text in (field.description if field else "", shape.description if shape else "") if text]
    for place, text in enumerate(said):
        yield from [""] if place else []
        yield from _wrapped(text)
    yield from [] if said else ["     <empty>"]


def _wrapped(text: str) -> list[str]:
    wrapper = textwrap.TextWrapper(
        _WIDTH, initial_indent="     ", subsequent_indent="     ", break_long_words=False, break_on_hyphens=False
    )
    return [line for part in _paragraphs(text) for line in _lines(part, wrapper)]


def _paragraphs(text: str) -> Iterator[str]:
    """Lines that belong together; one that is indented, empty, the item of a list or behind a colon begins anew."""
    first, *lines = text.split("\n")
    before = first
    for line in lines:
        if _is_whole(before) or before.endswith(":") or _is_whole(line) or _ITEM.match(line.strip()):
            yield before
            before = line
        else:
            before = f"{before} {line}"
    yield before


def _is_whole(line: str) -> bool:
    return line.startswith(_CODE) or not line.strip()


def _lines(part: str, wrapper: textwrap.TextWrapper) -> list[str]:
    return [f"     {part}"] if part.startswith(_CODE) else wrapper.wrap(" ".join(part.split())) or [""]


def _fields(shape: Type) -> list[str]:
    lines: list[str] = []
    for name, field in sorted(shape.fields.items()):
        lines += [f"   {name}\t<{_label(field.shape)}>{' -required-' if field.required else ''}"]
        lines += [*_wrapped(field.description), ""] if field.description else [""]
    return lines[:-1]


def _tree(shape: Type, level: int, above: tuple[str, ...]) -> Iterator[str]:
    """All fields below a type; a type inside itself is named and not opened again."""
    for name, field in sorted(shape.fields.items()):
        yield f"{'   ' * level}{name}\t<{_label(field.shape)}>"
        inner = field.type
        if inner is not None and inner.name not in above:
            yield from _tree(inner, level + 1, (*above, inner.name))


def _label(shape: Any) -> str:
    """A type in the words of OpenAPI: whatever has fields is an Object, whatever is written as text a string."""
    sort = sort_of(shape)
    if sort in _OF:
        return _OF[sort] + _label(shape[sort])
    return "Object" if sort == "struct" else _SCALARS.get(innermost(shape), "string")
