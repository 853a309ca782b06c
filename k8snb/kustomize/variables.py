"""kustomize, variables: `$(NAME)` in objects, which stands for a field of another object.

Interface: `declared(kustomization)`, `Variable`; `substitute(resources, variables)`, the names that nobody used.
The rule not to break: a variable is read when all layers are done, so that it says what the field says at last.
Source: `api/internal/accumulator/{resaccumulator,refvartransformer}.go`, `expansion.go` and
`konfig/builtinpluginconsts/varreference.go` in the kustomize repository.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from k8snb.kustomize.errors import KustomizeError
from k8snb.kustomize.fields import FieldSpec, changed
from k8snb.kustomize.resource import Identity, Resource

_WORDS = ("group", "version", "kind", "name", "namespace")
_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")
_PART = re.compile(r"\[(\d+)\]|\[([^=\]]+)=([^\]]+)\]|([^.\[]+)")
_IN_CONTAINERS = tuple(
    f"{list}/{path}" for list in ("containers", "initContainers")
    for path in ("args", "command", "env/value", "volumeMounts/mountPath")
)  # fmt: skip
_PODS = {"Pod": "spec", "CronJob": "spec/jobTemplate/spec/template/spec"}
_TEMPLATED = ("DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet")
REFERRING: tuple[FieldSpec, ...] = (
    *(FieldSpec(f"{_PODS.get(kind, 'spec/template/spec')}/{path}", kind) for kind in (*_PODS, *_TEMPLATED)
      for path in (*_IN_CONTAINERS, "volumes/nfs/server")),
    *(FieldSpec(path, "Ingress") for path in ("spec/rules/host", "spec/tls/hosts", "spec/tls/secretName")),
    *(FieldSpec(path, "Service") for path in ("spec/ports/port", "spec/ports/targetPort")),
    FieldSpec("metadata/labels"), FieldSpec("metadata/annotations"),
)  # fmt: skip


class Variable(NamedTuple):
    """A name, and the object and field that it stands for."""

    name: str
    object: Mapping[str, Any]
    path: str

    def __str__(self) -> str:
        return f"{{{self.name} {_gvk(self.object)} {{{self.path}}}}}"


def _gvk(row: Mapping[str, Any]) -> str:
    words = _words(row)
    return ".".join((words["kind"], words["version"] or "[noVer]", words["group"] or "[noGrp]"))


def _words(row: Mapping[str, Any]) -> dict[str, str]:
    group, _, version = str(row.get("apiVersion") or "").rpartition("/")
    return {"group": group, "version": version} | {word: str(row.get(word) or "") for word in _WORDS if row.get(word)
                                                   or word not in ("group", "version")}  # fmt: skip


def declared(rows: Sequence[Mapping[str, Any]]) -> list[Variable]:
    """The variables of a kustomization. Raises KustomizeError."""
    found = []
    for row in rows:
        objref = row.get("objref") or {}
        if not row.get("name") or not objref.get("kind") or not objref.get("name"):
            raise KustomizeError("a var has a name, and an objref with kind and name")
        path = str((row.get("fieldref") or {}).get("fieldpath") or "metadata.name")
        found.append(Variable(str(row["name"]), objref, path))
    return found


def merge(known: list[Variable], more: Sequence[Variable]) -> None:
    """Raises KustomizeError for a name that stands for something already."""
    for variable in more:
        if any(other.name == variable.name for other in known):
            raise KustomizeError(f"var '{variable.name}' already encountered")
        known.append(variable)


def substitute(resources: Sequence[Resource], variables: Sequence[Variable]) -> list[str]:
    """Write the values wherever objects speak of the names. Returns the names that none did. Raises KustomizeError."""
    values = {variable.name: _value(resources, variable) for variable in variables}
    used: set[str] = set()
    for resource in resources if values else ():
        resource.object = changed(resource.object, REFERRING, _expander(values, used))
    return [name for name in values if name not in used]


def _value(resources: Sequence[Resource], variable: Variable) -> Any:
    found = [resource for resource in resources if any(_is_meant(each, variable) for each in resource.identities)]
    if not found:
        raise KustomizeError(f"var '{variable}' cannot be mapped to a field in the set of known resources")
    if len(found) > 1:
        raise KustomizeError(f"found {len(found)} resId matches for var {variable} (unable to disambiguate)")
    value: Any = found[0].object
    for part in _PART.finditer(variable.path):
        value = _step(value, part)
    if value is None:
        raise KustomizeError(f"field specified in var '{variable}' not found in corresponding resource")
    return value


def _is_meant(identity: Identity, variable: Variable) -> bool:
    words = _words(variable.object)
    return all(not words[word] or words[word] == getattr(identity, word) for word in _WORDS)


def _step(value: Any, part: re.Match[str]) -> Any:
    index, key, wanted, name = part.groups()
    if isinstance(value, list):
        if index is not None:
            return value[int(index)] if int(index) < len(value) else None
        named = (item for item in value if isinstance(item, dict) and str(item.get(key)) == wanted)
        return next(named, None)
    return value.get(name) if isinstance(value, dict) and name is not None else None


def _expander(values: Mapping[str, Any], used: set[str]) -> Callable[[Any], Any]:
    def of(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        if name not in values:
            return match[0]
        used.add(name)
        return str(values[name])

    def expand(value: Any) -> Any:
        if isinstance(value, list):
            return [expand(item) for item in value]
        if isinstance(value, dict):
            return {key: expand(item) for key, item in value.items()}
        if not isinstance(value, str):
            return value
        alone = re.fullmatch(r"\$\(([^)]*)\)", value)
        if alone is not None and alone[1] in values:
            used.add(alone[1])
            return values[alone[1]]
        return _REFERENCE.sub(of, value)

    return expand
