"""API schema, at build time: from Kubernetes' published JSON schemas to the two data files that `schema.py` reads.

Interface: `SchemaBuildHook` for hatchling; `python k8snb/apimachinery/schema_build.py` writes the same files by hand.
`schema.json` holds structure, `descriptions.json.gz` the sentences that `explain` shows.
The rule not to break: this file runs in a build environment, so it imports nothing of k8snb.
Real Kubernetes generates these schemas from Go types (`api/openapi-spec`); `kubernetes-validate` packs them for Python.

The form of `schema.json`, short because every import of it is read by a waiting learner:

    version   the Kubernetes release the schema belongs to
    kinds     {"apps/v1/Deployment": type name}
    types     {type name: {"f": {field: shape}, "r": [required fields], "a": 1 if the map is atomic}}

A type name is the published one without the prefixes in `PREFIXES`: `core.v1.PodSpec`. A shape is

    "string" "boolean" "int32" "int64" "number" "byte" "time" "quantity" "int-or-string" "object" "any"
    a type name (it has a dot in it)
    {"list": shape, "key": merge key, "keys": [list-map keys], "merge": 1, "retain": 1, "replace": 1, "set": 1, "a": 1}
    {"map": shape, "a": 1}
    {"of": type name, "retain": 1, "replace": 1, "a": 1}

where merge, retain and replace are the strategies of a strategic merge patch (merge without a key: a list of plain
values), and for server-side apply "keys" makes a list a map, "set" a set, and "a" one atomic value.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

RELEASE = "v1.33.0"
SOURCE = ("kubernetes-json-schema", f"{RELEASE}-local", "_definitions.json")
STRUCTURE, DESCRIPTIONS = "schema.json", "descriptions.json.gz"

PREFIXES = (
    "io.k8s.api.",
    "io.k8s.apimachinery.pkg.apis.",
    "io.k8s.apimachinery.pkg.",
    "io.k8s.apiextensions-apiserver.pkg.apis.",
    "io.k8s.kube-aggregator.pkg.apis.",
)
_UNSTABLE = re.compile(r"\.v\d+(alpha|beta)\d+\.")
_SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "time",
}
_SCALARS = {"string": "string", "boolean": "boolean", "number": "number", "integer": "int64"}

# The document calls these fields required; the server takes what lacks them, because Go reads an empty value.
LENIENT = {
    "discovery.v1.EndpointSlice": {"endpoints"},
    "networking.v1.NetworkPolicySpec": {"podSelector"},
    "scheduling.v1.PriorityClass": {"value"},
    "storage.v1.CSINodeSpec": {"drivers"},
    "core.v1.Binding": {"target"},
    "authentication.v1.TokenRequestSpec": {"audiences"},
    "core.v1.HTTPHeader": {"value"},
    "core.v1.Event": {"metadata"},
    "events.v1.Event": {"eventTime"},
}

Definitions = dict[str, dict[str, Any]]


def short_name(name: str) -> str:
    """`io.k8s.api.core.v1.PodSpec` → `core.v1.PodSpec`."""
    return next((name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), name)


def kinds_of(definitions: Definitions) -> Iterator[tuple[str, str]]:
    """Each stable kind: its `group/version/Kind` and the published name of its type."""
    for name, definition in definitions.items():
        kinds = definition.get("x-kubernetes-group-version-kind", ())
        if len(kinds) == 1 and not _UNSTABLE.search(name):
            row = kinds[0]
            yield "/".join(part for part in (row["group"], row["version"], row["kind"]) if part), name


def reachable(definitions: Definitions) -> list[str]:
    """The published names of all types that a stable kind needs, sorted."""
    found: set[str] = set()
    waiting = [name for _, name in kinds_of(definitions)]
    waiting += [name for name in definitions if ".meta.v1." in name]
    while waiting:
        name = waiting.pop()
        if name not in found and name not in _SPECIAL:
            found.add(name)
            waiting.extend(_references(definitions[name]))
    return sorted(found)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from _references(value)


def shape_of(node: dict[str, Any], definitions: Definitions) -> Any:
    """One field of the published document in the form described above."""
    flags = _flags(node)
    if "$ref" in node:
        shape = _reference(node["$ref"].rpartition("/")[2], definitions)
        return {"of": shape, **flags} if flags else shape
    sort = _type(node)
    if sort == "array":
        return {"list": shape_of(node["items"], definitions), **flags}
    if sort == "object":
        inner = node.get("additionalProperties")
        return {"map": shape_of(inner, definitions), **flags} if inner else "object"
    if node.get("format") in ("int32", "byte"):
        return node["format"]
    return _SCALARS.get(sort, "any")


def _type(node: dict[str, Any]) -> str:
    sort = node.get("type", "any")
    return next(each for each in sort if each != "null") if isinstance(sort, list) else str(sort)


def _reference(name: str, definitions: Definitions) -> str:
    if name in _SPECIAL:
        return _SPECIAL[name]
    definition = definitions[name]
    if "properties" in definition:
        return short_name(name)
    return "object" if _type(definition) == "object" else "any"


def _flags(node: dict[str, Any]) -> dict[str, Any]:
    strategies = node.get("x-kubernetes-patch-strategy", "").split(",")
    flags = {
        "key": node.get("x-kubernetes-patch-merge-key"),
        "keys": node.get("x-kubernetes-list-map-keys"),
        "merge": int("merge" in strategies),
        "retain": int("retainKeys" in strategies),
        "replace": int("replace" in strategies),
        "set": int(node.get("x-kubernetes-list-type") == "set"),
        "a": int("atomic" in (node.get("x-kubernetes-map-type"), node.get("x-kubernetes-list-type"))),
    }
    return {key: value for key, value in flags.items() if value}


def structure(definitions: Definitions) -> dict[str, Any]:
    """The content of `schema.json`."""
    types = {}
    for name in reachable(definitions):
        definition = definitions[name]
        if "properties" not in definition:
            continue
        required = sorted(set(definition.get("required", ())) - LENIENT.get(short_name(name), set()))
        types[short_name(name)] = {
            "f": {field: shape_of(node, definitions) for field, node in sorted(definition["properties"].items())},
            **({"r": required} if required else {}),
            **({"a": 1} if definition.get("x-kubernetes-map-type") == "atomic" else {}),
        }
    kinds = {gvk: short_name(name) for gvk, name in sorted(kinds_of(definitions)) if short_name(name) in types}
    return {"version": RELEASE, "kinds": kinds, "types": types}


def descriptions(definitions: Definitions) -> dict[str, Any]:
    """The content of `descriptions.json.gz`: `{type name: {"": of the type, field: of the field}}`."""
    texts: dict[str, dict[str, str]] = {}
    for name in reachable(definitions):
        definition = definitions[name]
        fields = {field: node.get("description", "") for field, node in definition.get("properties", {}).items()}
        texts[short_name(name)] = {"": definition.get("description", ""), **fields}
    return texts


def published() -> Definitions:
    """The definitions of the installed `kubernetes-validate`."""
    text = resources.files("kubernetes_validate").joinpath(*SOURCE).read_text(encoding="utf-8")
    definitions: Definitions = json.loads(text)["$defs"]
    return definitions


def write(folder: Path) -> list[Path]:
    """Write both files into `folder`; the same input gives the same bytes."""
    definitions = published()
    compact: dict[str, Any] = {"separators": (",", ":"), "ensure_ascii": False}
    (folder / STRUCTURE).write_text(json.dumps(structure(definitions), **compact) + "\n", encoding="utf-8")
    sentences = json.dumps(descriptions(definitions), **compact).encode()
    (folder / DESCRIPTIONS).write_bytes(gzip.compress(sentences, mtime=0))
    return [folder / STRUCTURE, folder / DESCRIPTIONS]


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script where hatchling is not installed
    pass
else:

    class SchemaBuildHook(BuildHookInterface[Any]):
        """Writes the data files before hatchling packs a wheel or makes an editable install."""

        PLUGIN_NAME = "custom"

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            written = write(Path(self.root) / "k8snb" / "apimachinery")
            build_data["artifacts"].extend(path.relative_to(self.root).as_posix() for path in written)


if __name__ == "__main__":
    for path in write(Path(__file__).parent):
        sys.stdout.write(f"{path} {path.stat().st_size:,} bytes\n")
