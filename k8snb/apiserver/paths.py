"""kube-apiserver's paths: a URL path as the request it stands for.

Interface: `parse(method, path, query, kinds) -> Route`.
The rule not to break: names are data: what is not a valid path segment name is refused before it reaches a key.
Source: `apiserver/pkg/endpoints/request/requestinfo.go`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from k8snb.apimachinery.errors import ApiError, bad_request
from k8snb.apimachinery.kinds import Kind
from k8snb.client.client import PROXIED_VERBS

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
OF_A_NAMESPACE = ("status", "finalize")  # /namespaces/NAME/status is the namespace's own


@dataclass(frozen=True)
class Route:
    """What a path means: a verb on a resource. `rest` is what follows a `proxy` subresource, still quoted."""

    verb: str
    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""


def parse(method: str, path: str, query: Mapping[str, str], kinds: Iterable[Kind]) -> Route:
    """The route of a path below /api or /apis. Raises NotFound or BadRequest."""
    segments = [unquote(segment) for segment in path.strip("/").split("/")]
    group, version, parts = _group_version(segments)
    watching = query.get("watch") in ("true", "1") and method == "GET"
    if parts and parts[0] == "watch":
        watching, parts = True, parts[1:]
    namespace, parts = _namespace(parts)
    if not parts or not parts[0]:
        raise unknown_path()
    kind = _kind(kinds, group, version, parts[0])
    name, subresource = (*parts[1:3], "", "")[:2]
    _check_segment(namespace)
    _check_segment(name)
    if subresource == "proxy":
        consumed = len(segments) - len(parts) + 3
        return Route(PROXIED_VERBS.get(method, ""), kind, namespace, name, subresource, _rest(path, consumed))
    return Route(_verb(method, name, watching), kind, namespace, name, subresource)


def _rest(path: str, consumed: int) -> str:
    """What follows so many segments, as it was written: "" for nothing, "/" for a slash."""
    parts = path.lstrip("/").split("/", consumed)
    return f"/{parts[consumed]}" if len(parts) > consumed else ""


def _group_version(segments: list[str]) -> tuple[str, str, list[str]]:
    if segments[0] == "api" and len(segments) > 2:
        return "", segments[1], segments[2:]
    if segments[0] == "apis" and len(segments) > 3:
        return segments[1], segments[2], segments[3:]
    raise unknown_path()


def _namespace(parts: list[str]) -> tuple[str, list[str]]:
    """Take `namespaces/NAME` off the front, unless the namespace itself is meant."""
    if len(parts) > 2 and parts[0] == "namespaces" and parts[2] not in OF_A_NAMESPACE:
        return parts[1], parts[2:]
    return "", parts


def _kind(kinds: Iterable[Kind], group: str, version: str, plural: str) -> Kind:
    for kind in kinds:
        if (kind.plural, kind.group, kind.version) == (plural, group, version):
            return kind
    raise unknown_path()


def _verb(method: str, name: str, watching: bool) -> str:
    if method in ("GET", "HEAD"):
        if watching:
            return "watch"
        return "get" if name else "list"
    if method == "DELETE":
        return "delete" if name else "deletecollection"
    if method not in VERBS:
        raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    return VERBS[method]


def _check_segment(text: str) -> None:
    """Refuse what could mean another path. Source: `apimachinery/pkg/api/validation/path`."""
    if text in (".", "..") or "/" in text or "%" in text or "\0" in text:
        raise bad_request(f'invalid resource name "{text}": [may not be "." or "..", may not contain "/" or "%"]')


def unknown_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def options(route: Route, query: Mapping[str, str], repeated: Mapping[str, list[str]]) -> dict[str, Any]:
    """The query as a request's options, in Python types. Raises BadRequest for what does not read as its type.

    What no request has is passed over, as upstream does.
    """
    found: dict[str, Any] = {}
    for name, text in query.items():
        if name in INTEGERS:
            found[name] = _integer(name, text)
        elif name in BOOLEANS:
            found[name] = _boolean(name, text)
        elif name == "dryRun":
            found[name] = _dry_run(text)
        elif name in TEXTS:
            found[name] = text
    if "command" in repeated:
        found["command"] = repeated["command"]
    if found.get("resourceVersionMatch") == "Exact" and found.get("resourceVersion") in (None, "", "0"):
        raise bad_request("resourceVersionMatch: Forbidden: Exact needs a resourceVersion that is not 0")
    return found


INTEGERS = ("limit", "timeoutSeconds", "gracePeriodSeconds", "tailLines", "sinceSeconds", "limitBytes")
BOOLEANS = ("allowWatchBookmarks", "sendInitialEvents", "force", "follow", "previous", "timestamps", "orphanDependents",
            "stdin", "stdout", "stderr", "tty", "pretty")  # fmt: skip
TEXTS = ("container", "continue", "fieldManager", "fieldSelector", "fieldValidation", "includeObject", "labelSelector",
         "path", "propagationPolicy", "resourceVersion", "resourceVersionMatch", "sinceTime", "stream")  # fmt: skip
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_TRUTH = {"true": True, "1": True, "t": True, "": True, "false": False, "0": False, "f": False}


def _integer(name: str, text: str) -> int:
    if not _INTEGER.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise bad_request(f'{name}: Invalid value: "{text}": must be an integer')
    return int(text)


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise bad_request(f'{name}: Invalid value: "{text}": must be true or false')
    return _TRUTH[text.lower()]


def _dry_run(text: str) -> bool:
    if text not in ("All", ""):
        raise bad_request(f'dryRun: Unsupported value: "{text}": supported values: "All"')
    return text == "All"
