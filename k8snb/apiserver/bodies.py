"""kube-apiserver's request bodies: bytes in one of the accepted media types as a plain dict.

Interface: `read(body, content_type)`.
The rule not to break: whatever the bytes are, the answer is a dict or list, or a refusal that says what is wrong.
Source: `apimachinery/pkg/runtime/serializer`.
"""

from __future__ import annotations

import json
from typing import Any

from k8snb.apimachinery import manifest
from k8snb.apimachinery.errors import bad_request, unsupported_media_type
from k8snb.client.client import APPLY, MERGE, STRATEGIC
from k8snb.client.client import JSON as JSON_PATCH

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
PATCHES = (JSON_PATCH, MERGE, STRATEGIC, APPLY)
MAX_DEPTH = 500  # nested objects and lists; Python's own parser stops not much later


def read(body: bytes, content_type: str) -> tuple[Any, list[str]]:
    """The body's value, and the paths of keys that stand in it twice. Raises BadRequest or UnsupportedMediaType."""
    media_type = content_type.split(";")[0].strip().lower() or JSON
    if not body:
        return None, []
    if media_type in (JSON, "*/*", JSON_PATCH, MERGE, STRATEGIC):
        return _json(body)
    if media_type in (YAML, APPLY):
        return _yaml(body), []
    if media_type == PROTOBUF:
        return _protobuf(body), []
    raise unsupported_media_type(media_type, (JSON, YAML, PROTOBUF))


def _json(body: bytes) -> tuple[Any, list[str]]:
    twice: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice.extend(sorted({name for name in names if names.count(name) > 1}))
        return found

    try:
        return json.loads(body, object_pairs_hook=collect), twice
    except RecursionError:
        raise bad_request("the body is nested too deeply") from None
    except ValueError as error:
        raise bad_request(f"error decoding JSON: {error}") from None


def _yaml(body: bytes) -> Any:
    if body.lstrip()[:1] == b"{":
        return _json(body)[0]
    try:
        documents = manifest.load(body.decode())
    except (manifest.ManifestError, UnicodeDecodeError) as error:
        raise bad_request(f"error decoding YAML: {error}") from None
    except RecursionError:
        raise bad_request("the body is nested too deeply") from None
    if len(documents) != 1:
        raise bad_request(f"the body must hold one object, not {len(documents)}")
    return documents[0].object


def _protobuf(body: bytes) -> Any:
    from k8snb.apimachinery import protobuf

    try:
        return protobuf.decode(body)
    except ValueError as error:
        raise bad_request(f"error decoding protobuf: {error}") from None
