"""kube-apiserver's request bodies: bytes in one of the accepted media types as a plain dict.

Interface: `read(body, content_type)`.
The rule not to break: whatever the bytes are, the answer is a dict or list that can be written as JSON again, or a
refusal that says what is wrong.
Source: `apimachinery/pkg/runtime/serializer`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

from k8snb.apimachinery import manifest
from k8snb.apimachinery.errors import bad_request, unsupported_media_type
from k8snb.client.client import APPLY, MERGE, STRATEGIC
from k8snb.client.client import JSON as JSON_PATCH

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
PATCHES = (JSON_PATCH, MERGE, STRATEGIC, APPLY)
MAX_DEPTH = 100  # objects and lists in each other; what works on objects calls itself for each
_TOO_DEEP = f"the body is nested too deeply: more than {MAX_DEPTH} objects and lists in each other"


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
            twice.extend(sorted(name for name, count in Counter(name for name, _ in pairs).items() if count > 1))
        return found

    try:
        value = json.loads(body, object_pairs_hook=collect, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise bad_request(_TOO_DEEP) from None
    except ValueError as error:
        raise bad_request(f"error decoding JSON: {error}") from None
    _check_depth(body, value)
    return (_mended(value) if b"\\ud" in body.lower() else value), twice


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number in JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def _check_depth(body: bytes, value: Any) -> None:
    """Go from level to level, where there are brackets enough for that to be worth it."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level for inner in _inside(each) if isinstance(inner, dict | list)]
        if not level:
            return
    raise bad_request(_TOO_DEEP)


def _inside(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _mended(value: Any) -> Any:
    """Halves of surrogate pairs, which JSON can name and no text can hold, become U+FFFD, as Go reads them."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_mended(key): _mended(inner) for key, inner in value.items()}
    return [_mended(inner) for inner in value] if isinstance(value, list) else value


def _yaml(body: bytes) -> Any:
    if body.lstrip()[:1] == b"{":
        return _json(body)[0]
    try:
        documents = manifest.load(body.decode())
    except (manifest.ManifestError, UnicodeDecodeError) as error:
        raise bad_request(f"error decoding YAML: {error}") from None
    if len(documents) != 1:
        raise bad_request(f"the body must hold one object, not {len(documents)}")
    return documents[0].object


def _protobuf(body: bytes) -> Any:
    from k8snb.apimachinery import protobuf

    try:
        return protobuf.decode(body)
    except ValueError as error:
        raise bad_request(f"error decoding protobuf: {error}") from None
