"""kustomize, replacements: a value of one object, copied into fields of others.

Interface: `replaced(resources, row)`.
The rule not to break: a source or a field that is not there is an error; nothing is copied half.
Source: `api/filters/replacement/replacement.go` in the kustomize repository.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from k8snb.kustomize import reading
from k8snb.kustomize.errors import KustomizeError
from k8snb.kustomize.resource import Identity, Resource

_PART = re.compile(r"\[(?P<match>[^\]]*)\]|(?P<name>(?:\\.|[^.\[\\])+)")
_WORDS = ("group", "version", "kind", "name", "namespace")


def replaced(resources: Sequence[Resource], row: Mapping[str, Any]) -> None:
    """Carry one replacement out. Raises KustomizeError."""
    source, targets = row.get("source") or {}, row.get("targets") or ()
    if not source or not targets:
        raise KustomizeError("replacements must specify a source and at least one target")
    value = _source_value(resources, source)
    for target in targets:
        if not target.get("select"):
            raise KustomizeError("target must specify resources to select")
        for resource in resources:
            if _selected(resource, target["select"]) and not any(
                _selected(resource, reject) for reject in target.get("reject") or ()
            ):
                _write(resource, target, value)


def _selected(resource: Resource, row: Mapping[str, Any]) -> bool:
    return any(
        all(not row.get(word) or row[word] == getattr(identity, word) for word in _WORDS)
        for identity in resource.identities
    )


def _source_value(resources: Sequence[Resource], source: Mapping[str, Any]) -> Any:
    found = [resource for resource in resources if _selected(resource, source)]
    words = {word: str(source.get(word) or "") for word in _WORDS}
    shown = str(Identity(**words))
    if len(found) != 1:
        what = "nothing selected" if not found else "multiple matches"
        raise KustomizeError(f"{what} by {shown}")
    path = str(source.get("fieldPath") or "metadata.name")
    value: Any = found[0].object
    for part in _parts(path):
        value = _step(value, part)
        if value is None:
            raise KustomizeError(f"fieldPath `{path}` is missing for replacement source {shown}")
    options = source.get("options") or {}
    if not options.get("delimiter"):
        return value
    pieces = str(value).split(options["delimiter"])
    index = int(options.get("index") or 0)
    if not 0 <= index < len(pieces):
        raise KustomizeError(f"options.index {index} is out of bounds for value {value}")
    return pieces[index]


def _parts(path: str) -> list[str]:
    """`a.b[name=x].c\\.d` → a, b, [name=x], c.d."""
    return [f"[{match['match']}]" if match["name"] is None else re.sub(r"\\(.)", r"\1", match["name"])
            for match in _PART.finditer(path)]  # fmt: skip


def _step(value: Any, part: str) -> Any:
    places = _places(value, part)
    return value[places[0]] if places else None


def _places(value: Any, part: str) -> list[Any]:
    """The keys or indexes of a value that a part of a path means."""
    if isinstance(value, dict):
        return list(value) if part == "*" else [part] if part in value else []
    if not isinstance(value, list):
        return []
    if part.startswith("["):
        key, _, wanted = part[1:-1].partition("=")
        return [place for place, item in enumerate(value) if isinstance(item, dict) and str(item.get(key)) == wanted]
    if part == "*":
        return list(range(len(value)))
    if part == "-":
        return []
    return [int(part)] if part.isdigit() and int(part) < len(value) else []


def _write(resource: Resource, target: Mapping[str, Any], value: Any) -> None:
    options = target.get("options") or {}
    before = resource.identity
    obj = resource.object
    for path in target.get("fieldPaths") or ["metadata.name"]:
        obj, done = _set(obj, _parts(str(path)), value, options)
        if not done:
            raise KustomizeError(f'unable to find field "{path}" in replacement target')
    if (obj.get("metadata") or {}).get("name") != before.name:
        resource.before.append(before)
    resource.object = obj


def _set(node: Any, parts: Sequence[str], value: Any, options: Mapping[str, Any]) -> tuple[Any, int]:
    """The node with the value at a path, and at how many places it was set."""
    if not parts:
        return _mixed(node, value, options), 1
    places = _places(node, parts[0])
    if not places and options.get("create") and isinstance(node, dict | None) and not parts[0].startswith("["):
        node, places = {**(node or {}), parts[0]: None}, [parts[0]]
    done = 0
    copy = list(node) if isinstance(node, list) else dict(node) if isinstance(node, dict) else node
    for place in places:
        copy[place], count = _set(copy[place], parts[1:], value, options)
        done += count
    return copy, done


def _typed(old: Any, value: Any) -> Any:
    """A value in the place of another: a number or truth value is read anew, a text stays a text."""
    if isinstance(value, dict | list) or isinstance(old, dict | list):
        return value
    if isinstance(old, str):
        return value if isinstance(value, str) else json.dumps(value)
    found = reading.read(str(value), "replacement") if isinstance(value, str) else [value]
    return found[0] if len(found) == 1 and not isinstance(found[0], dict | list) else value


def _mixed(old: Any, value: Any, options: Mapping[str, Any]) -> Any:
    """What a field becomes: the value, or the old text with one of its pieces exchanged."""
    delimiter = options.get("delimiter")
    if not delimiter:
        return _typed(old, value)
    pieces, index = str(old).split(delimiter), int(options.get("index") or 0)
    if index < 0:
        return delimiter.join([str(value), *pieces])
    if index >= len(pieces):
        return delimiter.join([*pieces, str(value)])
    pieces[index] = str(value)
    return str(delimiter).join(pieces)
