"""client-go's request: an API call as a method, a path, a query and a body, and an answer as what callers expect.

Interface: `METHODS`, `path(request)`, `body(request)`, `impersonation(user)`, `read(request, answer)`.
The rule not to break: what came from a user is quoted before it becomes part of a path.
Source: `client-go/rest/request.go`; the other way round: `apiserver/pkg/endpoints/request/requestinfo.go`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from yarl import URL

from k8snb.apimachinery.meta import Object
from k8snb.client.client import Request, User

METHODS: Mapping[str, str] = {
    "get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT", "patch": "PATCH",
    "delete": "DELETE", "deletecollection": "DELETE",
}  # fmt: skip
REFUSED = 400  # the first status that is a refusal
WITH_DOORS = ("pods", "services", "nodes")  # kinds that have subresources which are no objects
DELETION = ("gracePeriodSeconds", "propagationPolicy", "preconditions")
QUERY = (
    "labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch",
    "sendInitialEvents", "allowWatchBookmarks", "timeoutSeconds", "fieldManager", "fieldValidation", "force",
    "container", "follow", "previous", "timestamps", "tailLines", "sinceSeconds", "sinceTime", "limitBytes", "command",
    "stdin", "stdout", "stderr", "tty", "ports", "insecureSkipTLSVerifyBackend",
)  # fmt: skip


def exact(url: str) -> URL:
    """A URL that is sent as it is written."""
    return URL(url, encoded=True)


def path(request: Request, more: Mapping[str, Any] | None = None) -> str:
    """Path and query."""
    query = _query(request, {**request.options, **(more or {})})
    text = "/" + "/".join(quote(part, safe=":") for part in _segments(request))
    return f"{text}?{urlencode(query)}" if query else text


def proxy_path(request: Request) -> str:
    """The path of what is asked of a pod, a Service or a node."""
    rest = str(request.options.get("path") or "")
    return path(Request(request.verb, request.kind, request.namespace, request.name, "proxy")) + (
        rest if rest.startswith(("/", "?")) or not rest else f"/{rest}"
    )


def _segments(request: Request) -> list[str]:
    kind = request.kind
    parts = ["apis", kind.group, kind.version] if kind.group else ["api", kind.version]
    parts += ["namespaces", request.namespace] if kind.namespaced and request.namespace else []
    # a new object's name is in its body, while that of whose subresource is made is in the path
    named = request.name if request.verb != "create" or request.subresource else ""
    return [*parts, kind.plural, *filter(None, (named, request.subresource))]


def _query(request: Request, options: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name in QUERY:
        value = options.get(name)
        if value is None or value == "":
            continue
        several = value if isinstance(value, (list, tuple)) else [value]
        found += [(name, str(each).lower() if isinstance(each, bool) else str(each)) for each in several]
    if options.get("dryRun") and request.verb not in ("delete", "deletecollection"):
        found.append(("dryRun", "All"))
    if request.verb == "watch":
        found.append(("watch", "true"))
    if options.get("table"):
        found.append(("includeObject", "Object"))
    return found


def body(request: Request) -> bytes:
    """What is sent: an object, a patch, or for a deletion its options."""
    if request.verb in ("delete", "deletecollection"):
        return _deletion(request)
    if request.body is None:
        return b""
    return request.body if isinstance(request.body, bytes) else json.dumps(request.body).encode()


def _deletion(request: Request) -> bytes:
    given = {name: request.options[name] for name in DELETION if request.options.get(name) is not None}
    given |= {"dryRun": ["All"]} if request.options.get("dryRun") else {}
    return json.dumps({"kind": "DeleteOptions", "apiVersion": "v1", **given}).encode()


def impersonation(user: User) -> list[tuple[str, str]]:
    """Who to act as, for a server that checks whether one may."""
    headers = [("Impersonate-User", user.name), *(("Impersonate-Group", group) for group in user.groups)]
    headers += [("Impersonate-Uid", user.uid)] if user.uid else []
    for key, values in user.extra:
        headers += [(f"Impersonate-Extra-{quote(key, safe='')}", value) for value in values]
    return headers


def read(request: Request, answer: Object) -> Object:
    """An answer in the shape that clients expect: items know their kind, and managers are left out unless asked for."""
    managed = bool(request.options.get("managedFields"))
    if answer.get("kind") == "Table":
        rows = [{**row, "object": shaped(row.get("object") or {}, managed=managed)} for row in answer.get("rows") or ()]
        return {**answer, "rows": rows}
    if "items" not in answer or not isinstance(answer["items"], list | None):
        return shaped(answer, managed=managed)
    kind = request.kind
    common = {"apiVersion": kind.api_version, "kind": kind.kind}
    items = [{**common, **shaped(item, managed=managed)} for item in answer["items"] or ()]
    return {**answer, "items": items}


def shaped(obj: Object, *, managed: bool) -> Object:
    metadata = obj.get("metadata")
    if managed or not isinstance(metadata, dict) or "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}
