"""kube-apiserver's decoder: the body of a request as an object of the kind that the request is for.

Interface: `decode(request)`; `decode_behind(request)` for subresources that take another kind. Unknown fields are
refused (fieldValidation=Strict), remarked on (Warn, the default) or dropped in silence (Ignore).
The rule not to break: what leaves here has the shape that the schema says.
Source: `apiserver/pkg/endpoints/handlers/{create,update}.go`, `runtime/serializer/json`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from k8snb.apimachinery import schema
from k8snb.apimachinery.errors import REQUIRED, ApiError, bad_request, invalid
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.apiserver import discovery
from k8snb.client import Request

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"


def decode(request: Request, *, body: Any = None, default_namespace: str = "", old: Object | None = None) -> Object:
    """The object in the body, its namespace filled in. `old` is what is to be changed: what the body shares with it
    needs no look. Raises BadRequest or Invalid."""
    kind = request.kind
    obj = _identify(kind, request.body if body is None else body)
    obj = _check_shape(request, obj, None if kind.converts else old)
    metadata = obj["metadata"]
    if kind.namespaced:
        namespace = metadata.get("namespace") or default_namespace
        if not namespace:
            raise bad_request(f"an empty namespace may not be set during {request.verb}")
        if default_namespace and namespace != default_namespace:
            raise bad_request(
                f"the namespace of the provided object ({namespace}) does not match the namespace sent on the request "
                f"({default_namespace})"
            )
        if metadata.get("namespace") != namespace:
            obj = {**obj, "metadata": {**metadata, "namespace": namespace}}
    name = metadata.get("name")
    if request.name and name != request.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({request.name})")
    return obj


def decode_behind(request: Request) -> Request:
    """A request whose body has the shape of the kind behind its subresource: a Scale, a Binding. Raises BadRequest."""
    behind = discovery.SUBRESOURCES.get(request.subresource, ({}, ()))[0]
    if request.verb not in ("create", "update") or not behind or behind["kind"] == request.kind.kind:
        return request
    version = "/".join(filter(None, (behind.get("group"), behind["version"])))
    type_ = schema.load().definition(version, behind["kind"])
    if type_ is None or request.body is None:
        return request
    if not isinstance(request.body, dict):
        raise bad_request(f"the body must be an object with fields, not {_describe(request.body)}")
    decoded, errors = schema.load().decode_as(type_.name, request.body)
    wrong = ", ".join(str(error) for error in errors if error.sort != REQUIRED)
    if wrong:
        words = f'{behind["kind"]} in version "{behind["version"]}" cannot be handled as a {behind["kind"]}'
        raise bad_request(f"{words}: {wrong}")
    return request if decoded is request.body else replace(request, body=decoded)


def _identify(kind: Kind, body: Any) -> Object:
    """The body with apiVersion, kind and metadata; what is missing is taken from the request."""
    if not isinstance(body, dict):
        raise bad_request(f"the body must be an object with fields, not {_describe(body)}")
    api_version, name = body.get("apiVersion", kind.api_version), body.get("kind", kind.kind)
    if api_version != kind.api_version:
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version ({kind.api_version})"
        )
    if name != kind.kind:
        raise bad_request(f"the kind in the data ({name}) does not match the expected kind ({kind.kind})")
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise bad_request(f"metadata: Invalid value: must be an object with fields, not {_describe(metadata)}")
    if metadata is not None and "apiVersion" in body and "kind" in body:
        return body
    return {"apiVersion": api_version, "kind": name, **body, "metadata": metadata or {}}


def _check_shape(request: Request, obj: Object, old: Object | None) -> Object:
    kind, types = request.kind, schema.load()
    decoded, errors, unknown = types.decode(obj, known=old) if kind.custom is None else kind.custom.checker.decode(obj)
    if request.subresource:  # a status may come without the spec that belongs to it
        errors = [error for error in errors if error.sort != REQUIRED]
    if unknown:
        mode = request.options.get("fieldValidation") or WARN
        if mode == STRICT:
            raise bad_request(
                f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
                f"strict decoding error: {', '.join(map(str, unknown))}",
                {"causes": [{"reason": "FieldValueInvalid", "message": str(field), "field": field.path}
                            for field in unknown]},
            )  # fmt: skip
        if mode == WARN:
            request.warnings.extend(map(str, unknown))
    if errors:
        raise _shape_error(kind, obj, errors)
    return decoded if "spec" in decoded else _with_spec(kind, decoded)


def _with_spec(kind: Kind, obj: Object) -> Object:
    """An object whose kind has a spec has one, be it empty, as Go's structs are."""
    return {**obj, "spec": {}} if kind.custom is None and _has_spec(kind.api_version, kind.kind) else obj


@lru_cache(maxsize=256)
def _has_spec(api_version: str, kind: str) -> bool:
    type_ = schema.load().definition(api_version, kind)
    return type_ is not None and "spec" in type_.row["f"]


def _shape_error(kind: Kind, obj: Object, errors: list[Any]) -> ApiError:
    if all(error.sort == REQUIRED for error in errors):
        return invalid(kind, obj["metadata"].get("name", ""), errors)
    wrong = [error for error in errors if error.sort != REQUIRED]
    texts = ", ".join(map(str, wrong))
    return bad_request(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {texts}',
        {"causes": [error.cause() for error in wrong]},
    )


def _describe(value: Any) -> str:
    names = {type(None): "nothing", str: "a string", list: "a list", bool: "true or false"}
    return names.get(type(value), "a number")
