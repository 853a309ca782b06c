"""kube-apiserver's patch handler: the formats a change can be written in.

Interface: `apply_patch(request, old) -> new`. Server-side apply is the field manager's.
Source: `apiserver/pkg/endpoints/handlers/patch.go`.
"""

from __future__ import annotations

from typing import Any

from k8snb.apimachinery import patch, schema
from k8snb.apimachinery.errors import ApiError, bad_request, unsupported_media_type
from k8snb.apimachinery.json_patch import TooLargeError, json_patch
from k8snb.apimachinery.meta import Object
from k8snb.client import Request
from k8snb.client.client import APPLY, JSON, MERGE, STRATEGIC


def apply_patch(request: Request, old: Object) -> Object:
    """`old` with the request's patch applied. Raises BadRequest when the patch does not fit."""
    body: Any = request.body
    try:
        if request.content_type == STRATEGIC and request.kind.custom is None:
            type_ = schema.load().definition(request.kind.api_version, request.kind.kind)
            return patch.strategic_merge(old, body, type_)
        if request.content_type == MERGE:
            return _object(patch.merge_patch(old, body))
        if request.content_type == JSON:
            return _object(json_patch(old, body))
    except TooLargeError as error:
        raise ApiError(413, "RequestEntityTooLarge", str(error)) from None
    except ValueError as error:
        raise bad_request(f"the patch cannot be applied: {error}") from None
    known = (JSON, MERGE, STRATEGIC, APPLY) if request.kind.custom is None else (JSON, MERGE, APPLY)
    raise unsupported_media_type(request.content_type, known)


def _object(patched: Any) -> Object:
    if not isinstance(patched, dict):
        raise bad_request("the patch leaves no object")
    return patched
