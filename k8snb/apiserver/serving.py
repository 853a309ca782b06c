"""kube-apiserver's documents: discovery and OpenAPI over HTTP, and objects as bytes.

Interface: `Documents.answer(request)`, `encode(obj, media_type)`.
The rule not to break: a document is made once and served with an ETag until what it describes changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from aiohttp import web

from k8snb.apimachinery import gnostic
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.apiserver import discovery, openapi
from k8snb.apiserver.paths import unknown_path
from k8snb.client import Transport

JSON = "application/json"
OPENAPI_V2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ROOTS = ("/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version")


def encode(obj: Object, media_type: str = JSON) -> bytes:
    """An object as bytes."""
    if media_type == JSON:
        return json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode()
    import yaml

    text: str = yaml.safe_dump(obj, sort_keys=True, allow_unicode=True)
    return text.encode()


class Documents:
    """What is served besides resources. Kept by path and by the kinds it was made from."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._kept: dict[tuple[str, tuple[Kind, ...]], tuple[bytes, str]] = {}

    def is_discovery(self, path: str) -> bool:
        """/api/v1, /apis/apps, /apis/apps/v1: not deeper than a group and version."""
        parts = path.strip("/").split("/")
        return len(parts) <= (2 if parts[0] == "api" else 3)

    def answer(self, request: web.Request) -> web.Response:
        """Raises NotFound for a path with nothing behind it."""
        path = request.path.rstrip("/") or "/"
        if request.method not in ("GET", "HEAD"):
            raise unknown_path()
        if path == "/openapi/v2":
            return self._old_openapi(request)
        if path in ("/api", "/apis"):
            return self._discovery(request, path)
        if path == "/":
            return self._send(request, path, lambda: {"paths": list(ROOTS)})
        if path == "/openapi/v3":
            return self._send(request, path, lambda: openapi.index(self._transport.kinds()))
        if path.startswith("/openapi/v3/"):
            return self._send(request, path, lambda: self._group(path.removeprefix("/openapi/v3/")))
        if path.startswith(("/api/", "/apis/")) and self.is_discovery(path):
            return self._send(request, path, lambda: discovery.document(path, self._transport.kinds()))
        raise unknown_path()

    def _old_openapi(self, request: web.Request) -> web.Response:
        """OpenAPI 2, in protobuf for kubectl up to 1.28, else as JSON."""
        documents = map(openapi.group_document, openapi.group_paths(self._transport.kinds()).values())
        if "protobuf" not in request.headers.get("Accept", ""):
            return self._send(request, "/openapi/v2", lambda: gnostic.swagger(documents))
        response = self._send(request, "/openapi/v2 protobuf", lambda: gnostic.encode(gnostic.swagger(documents)))
        response.headers["Content-Type"] = OPENAPI_V2
        return response

    def _group(self, prefix: str) -> Object | None:
        members = openapi.group_paths(self._transport.kinds()).get(prefix)
        return openapi.group_document(members) if members else None

    def _discovery(self, request: web.Request, path: str) -> web.Response:
        version = discovery.aggregated_version(request.headers.get("Accept", ""))
        kinds = self._transport.kinds()
        if not version:
            return self._send(request, path, lambda: discovery.document(path, kinds))
        response = self._send(request, f"{path}?{version}", lambda: discovery.aggregated(path, version, kinds))
        response.headers["Content-Type"] = discovery.AGGREGATED.format(version=version)
        return response

    def _send(self, request: web.Request, key: str, make: Callable[[], Object | bytes | None]) -> web.Response:
        kinds = self._transport.kinds()
        kept = self._kept.get((key, kinds))
        if kept is None:
            document = make()
            if document is None:
                raise unknown_path()
            data = document if isinstance(document, bytes) else encode(document)
            kept = self._kept[(key, kinds)] = (data, f'"{hashlib.sha256(data).hexdigest()[:32].upper()}"')
        data, tag = kept
        headers = {"ETag": tag, "Vary": "Accept"}
        if tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=data, headers=headers, content_type=JSON)
