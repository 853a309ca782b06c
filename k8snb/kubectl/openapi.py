"""A server's OpenAPI: what it says of the fields of kinds that k8snb does not know.

Interface: `type_of(session, kind)`.
The rule not to break: a kind that the server describes in circles ends where it begins anew.
Source: `kubectl/pkg/explain/v2`, `client-go/openapi`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from k8snb.apimachinery.custom_types import described
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.schema import Type
from k8snb.kubectl.session import Session

PREFIX = "#/components/schemas/"


def type_of(session: Session, kind: Kind) -> Type | None:
    """The type of a kind that another server has; None where that says nothing of it."""
    if not kind.remote or session.server is None:
        return None
    path = f"/openapi/v3/{'apis/' if kind.group else 'api/'}{kind.api_version}"
    try:
        schemas = json.loads(session.server().fetch("GET", path))["components"]["schemas"]
    except (ApiError, KeyError, ValueError):
        return None
    wanted = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    found = next(
        (row for row in schemas.values() if wanted in (row.get("x-kubernetes-group-version-kind") or ())), None
    )
    return described(_resolved(found, schemas, ())) if found is not None else None


def _resolved(document: Any, schemas: Mapping[str, Object], within: tuple[str, ...]) -> Any:
    """A schema with those that it refers to in their places."""
    if isinstance(document, list):
        return [_resolved(each, schemas, within) for each in document]
    if not isinstance(document, dict):
        return document
    alone: list[Object] = document.get("allOf") or []
    reference = document.get("$ref") or (alone[0].get("$ref") if len(alone) == 1 else "")
    if reference:
        name = str(reference).removeprefix(PREFIX)
        referred = schemas.get(name, {}) if name not in within else {"type": "object"}
        own = {key: value for key, value in document.items() if key not in ("$ref", "allOf", "default")}
        return {**_resolved(referred, schemas, (*within, name)), **own}
    return {key: _resolved(value, schemas, within) for key, value in document.items()}
