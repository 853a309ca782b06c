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

PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
           "application/apply-patch+yaml")  # fmt: skip
WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
ACTIONS = {"create": "post", "update": "put", "patch": "patch", "delete": "delete", "get": "get", "list": "get",
           "deletecollection": "delete"}  # fmt: skip


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
        paths.update(_paths(kind))
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": schema.load().version},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _closure(members: list[Kind]) -> Iterator[str]:
    """All types that the kinds are made of, DeleteOptions included."""
    loaded = schema.load()
    found = (loaded.definition(kind.api_version, kind.kind) for kind in members)
    waiting = [type_.name for type_ in found if type_ is not None]
    waiting += ["meta.v1.DeleteOptions", "meta.v1.ObjectMeta"]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        type_ = loaded.type(name)
        if name in seen or type_ is None:
            continue
        seen.add(name)
        yield name
        waiting.extend(field.type.name for field in type_.fields.values() if field.type is not None)


def _paths(kind: Kind) -> Object:
    base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    scope = "/namespaces/{namespace}" if kind.namespaced else ""
    whole = f"{base}{scope}/{kind.plural}"
    return {
        whole: _operations(kind, ("list", "create", "deletecollection")),
        f"{whole}/{{name}}": _operations(kind, ("get", "update", "patch", "delete")),
    }


def _operations(kind: Kind, verbs: tuple[str, ...]) -> Object:
    operations: Object = {}
    for verb in verbs:
        if verb in kind.verbs:
            operations[ACTIONS[verb]] = _operation(kind, verb)
    names = ["namespace"] if kind.namespaced else []
    if "get" in verbs:
        names.append("name")
    operations["parameters"] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    return operations


def _operation(kind: Kind, verb: str) -> Object:
    gvk = {"group": kind.group, "kind": kind.kind, "version": kind.version}
    answer = {"description": "OK", "content": {"application/json": {"schema": _reference(kind)}}}
    operation: Object = {
        "operationId": f"{verb}{kind.group.title().replace('.', '')}{kind.version.title()}{kind.kind}",
        "responses": {"200": answer, "401": {"description": "Unauthorized"}},
        "x-kubernetes-action": {"create": "post", "update": "put"}.get(verb, verb),
        "x-kubernetes-group-version-kind": gvk,
    }
    if verb in ("create", "update", "patch"):
        operation["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
            for name in WRITE_PARAMETERS
        ]
        types = PATCHES if verb == "patch" else ("application/json",)
        body = {"type": "object"} if verb == "patch" else _reference(kind)
        operation["requestBody"] = {"content": {media_type: {"schema": body} for media_type in types}, "required": True}
    return operation


def _reference(kind: Kind) -> Object:
    if kind.custom is not None:
        return {"$ref": f"#/components/schemas/{custom_types.openapi_name(kind)}"}
    type_ = schema.load().definition(kind.api_version, kind.kind)
    return {"$ref": f"#/components/schemas/{type_.name}"} if type_ is not None else {"type": "object"}
