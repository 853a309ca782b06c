"""kube-apiserver's OpenAPI: what can be asked and what an answer looks like, for clients that check or explain.

Interface: `index(kinds)` (/openapi/v3), `group_document(path, kinds)` (/openapi/v3/apis/apps/v1).
The rule not to break: the schemas are the published ones that the server itself checks by.
Source: `kube-openapi/pkg/{builder3,handler3}`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator

from k8snb.apimachinery import custom_types, schema
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.apiserver import openapi_paths


def group_paths(kinds: Iterable[Kind]) -> dict[str, list[Kind]]:
    """`api/v1`, `apis/apps/v1`, …, each with the kinds below it."""
    found: dict[str, list[Kind]] = {}
    for kind in kinds:
        prefix = f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"
        found.setdefault(prefix, []).append(kind)
    return found


def index(kinds: Iterable[Kind]) -> Object:
    """Where each group's document is. The hash in the address changes when the document does."""
    paths = {}
    for prefix, members in group_paths(kinds).items():
        digest = hashlib.sha256(json.dumps(group_document(members), sort_keys=True).encode()).hexdigest().upper()
        paths[prefix] = {"serverRelativeURL": f"/openapi/v3/{prefix}?hash={digest}"}
    return {"paths": paths}


def group_document(members: list[Kind]) -> Object:
    """The OpenAPI 3 document of one group and version."""
    names = sorted(set(_closure(members)))
    schemas = {name: schema.load().openapi(name) for name in names}
    schemas.update({custom_types.openapi_name(kind): custom_types.openapi(kind) for kind in members if kind.custom})
    paths: Object = {}
    for kind in members:
        paths.update(openapi_paths.paths_of(kind))
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": schema.load().version},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _closure(members: list[Kind]) -> Iterator[str]:
    """All types that the kinds and their operations are made of."""
    loaded = schema.load()
    waiting = [*openapi_paths.ALWAYS, *(name for kind in members for name in openapi_paths.types_of(kind))]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        type_ = loaded.type(name)
        if name in seen or type_ is None:
            continue
        seen.add(name)
        yield name
        waiting.extend(field.type.name for field in type_.fields.values() if field.type is not None)
