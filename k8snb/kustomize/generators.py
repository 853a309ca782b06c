"""kustomize, generators: ConfigMaps and Secrets from literals, files and env files.

Interface: `generated(sort, row, root, options)`, a resource; `content_hash(obj)`, the end of its name.
The rule not to break: the hash is kustomize's own, digit for digit, so that names are those of the real tool.
Source: `api/internal/generators`, `api/hasher/hasher.go` in the kustomize repository.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from k8snb.apimachinery.meta import Object
from k8snb.kustomize.errors import KustomizeError
from k8snb.kustomize.reading import Read
from k8snb.kustomize.resource import Resource

BEHAVIORS = ("create", "replace", "merge")
_DIGITS = str.maketrans({"0": "g", "1": "h", "3": "k", "a": "m", "e": "t"})
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_LINE = 70  # characters of base64 in a line of a Secret's value that is longer


def content_hash(obj: Object, name: str = "") -> str:
    """Ten characters that change with the content; for kubectl, whose hashes know it, also with the `name`."""
    if obj.get("kind") == "ConfigMap":
        shown: Object = {"kind": "ConfigMap", "name": name, "data": obj.get("data", "")}
        shown |= {"binaryData": obj["binaryData"]} if isinstance(obj.get("binaryData"), dict) else {}
    elif obj.get("kind") == "Secret":
        shown = {"kind": "Secret", "type": obj.get("type", ""), "name": name, "data": obj.get("data", "")}
        shown |= {"stringData": obj["stringData"]} if isinstance(obj.get("stringData"), dict) else {}
    else:
        shown = obj
    text = json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False).translate(_ESCAPES)
    return hashlib.sha256(text.encode()).hexdigest()[:10].translate(_DIGITS)


def generated(sort: str, row: Mapping[str, Any], read: Read, options: Mapping[str, Any]) -> Resource:
    """The ConfigMap or Secret of one row; `options` are those of the row over `generatorOptions`."""
    name = row.get("name")
    if not name:
        raise KustomizeError(f"a {sort} generator needs a name")
    behavior = row.get("behavior") or "create"
    if behavior not in BEHAVIORS:
        raise KustomizeError(f'{sort} "{name}": behavior "{behavior}" is none of {", ".join(BEHAVIORS)}')
    metadata: Object = {"name": name}
    metadata |= {"namespace": row["namespace"]} if row.get("namespace") else {}
    for what in ("labels", "annotations"):
        metadata |= {what: dict(options[what])} if options.get(what) else {}
    obj: Object = {"apiVersion": "v1", "kind": sort, "metadata": metadata}
    obj |= _secret(row, read) if sort == "Secret" else _config_map(row, read)
    obj |= {"immutable": True} if options.get("immutable") else {}
    return Resource(obj, needs_hash=not options.get("disableNameSuffixHash"), behavior=behavior)


def _config_map(row: Mapping[str, Any], read: Read) -> Object:
    data: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, content in _pairs(row, read):
        try:
            data[key] = content.decode()
        except UnicodeDecodeError:
            binary[key] = _base64(content)
    return ({"data": data} if data else {}) | ({"binaryData": binary} if binary else {})


def _secret(row: Mapping[str, Any], read: Read) -> Object:
    data = {key: _base64(content) for key, content in _pairs(row, read)}
    return {"type": row.get("type") or "Opaque", "data": data}


def _base64(content: bytes) -> str:
    """The content in base64, in lines where it is long."""
    text = base64.b64encode(content).decode()
    if len(text) <= _LINE:
        return text
    return "".join(f"{text[place : place + _LINE]}\n" for place in range(0, len(text), _LINE))


def _pairs(row: Mapping[str, Any], read: Read) -> Iterator[tuple[str, bytes]]:
    """The keys and their contents. Raises KustomizeError for a key that comes twice."""
    seen: set[str] = set()
    for key, content in (*_from_envs(row, read), *_from_literals(row), *_from_files(row, read)):
        if key in seen:
            raise KustomizeError(f"{row.get('name')} illegally repeats the key `{key}`")
        seen.add(key)
        yield key, content


def _from_literals(row: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for literal in row.get("literals") or ():
        key, equals, value = str(literal).partition("=")
        if not equals or not key:
            raise KustomizeError(
                f"loading KV pairs: literal sources: invalid literal source {literal}, expected key=value"
            )
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        yield key, value.encode()


def _from_files(row: Mapping[str, Any], read: Read) -> Iterator[tuple[str, bytes]]:
    for entry in row.get("files") or ():
        key, equals, name = str(entry).rpartition("=")
        if equals and (not key or not name):
            raise KustomizeError(f"key name or file path is missing in {entry}: expected [key=]path")
        yield key or Path(name).name, read(name)


def _from_envs(row: Mapping[str, Any], read: Read) -> Iterator[tuple[str, bytes]]:
    names = [*(row.get("envs") or ()), *([row["env"]] if row.get("env") else ())]
    for name in names:
        text = read(name).decode("utf-8-sig")
        for line in text.splitlines():
            line = line.lstrip()
            if not line or line.startswith("#"):
                continue
            key, equals, value = line.partition("=")
            if not equals:
                raise KustomizeError(f"{name}: the line {line!r} is not KEY=VALUE; values of the environment: not "
                                     "implemented by k8snb")  # fmt: skip
            yield key, value.encode()
