"""Manifests: YAML or JSON text becomes objects that know where they stood.

Interface: `load(text, source) -> list[Document]`; `Document.line_of(path)`; `ManifestError`.
The rule not to break: every part of an object can be traced to its line, however the text was written.
Source: `k8s.io/cli-runtime/pkg/resource`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import yaml

from k8snb.apimachinery import manifest_values
from k8snb.apimachinery.manifest_errors import ManifestError
from k8snb.apimachinery.meta import Object

__all__ = ["Document", "ManifestError", "load"]


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
    for index, (line, value, root) in enumerate(manifest_values.read(text)):
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
