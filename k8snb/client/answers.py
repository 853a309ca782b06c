"""client-go's answers: what a server said, as an object or as the refusal that it is.

Interface: `checked(answer)`, `refuse(answer)`, `warnings_of(headers)`, `unreachable(error, endpoint)`.
The rule not to break: whatever a server, or something in its place, answers becomes an `ApiError` in kubectl's words.
Source: `client-go/rest/request.go` (transformResponse), `checkErr` in `kubectl/pkg/cmd/util/helpers.go`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

import aiohttp

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object
from k8snb.client.client import HttpAnswer, Unreachable
from k8snb.client.restconfig import Endpoint
from k8snb.client.urls import REFUSED

_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


def checked(answer: HttpAnswer) -> Object:
    """The object that was answered. Raises ApiError for a refusal."""
    if answer.status >= REFUSED:
        refuse(answer)
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ApiError(500, "InternalError", f"the server answered no object: {answer.text.strip()[:200]}")
    return found


def refuse(answer: HttpAnswer) -> NoReturn:
    """Raises the ApiError that an answer stands for."""
    try:
        status = json.loads(answer.body)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        raise ApiError(int(status.get("code") or answer.status), status.get("reason") or "",
                       status.get("message") or "", status.get("details"))  # fmt: skip
    reason, words = _PLAIN.get(answer.status, ("", answer.text.strip()[:300] or f"status {answer.status}"))
    raise ApiError(answer.status, reason, words)


_PLAIN: Mapping[int, tuple[str, str]] = {
    401: ("Unauthorized", "Unauthorized"),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
}


def is_status(answer: HttpAnswer) -> bool:
    return answer.status >= REFUSED and b'"kind":"Status"' in answer.body[:200].replace(b" ", b"")


def warnings_of(headers: Mapping[str, str]) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", text) for text in _WARNING.findall(headers.get("warning", ""))]


def lower(headers: Any) -> dict[str, str]:
    """Headers by their names in lower case; of several of one name, all."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def unreachable(error: BaseException, endpoint: Endpoint) -> Unreachable:
    """Why there is no answer, in kubectl's words. Source: `checkErr` and `HelperFunc` in kubectl/pkg/cmd/util."""
    certificate = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        proxy, number = urlsplit(endpoint.proxy), error.os_error.errno or 0
        why = os.strerror(number).lower() if number > 0 else str(error.os_error.strerror)  # below 0: of the resolver
        said = f"proxyconnect tcp: dial tcp {proxy.hostname}:{proxy.port or 80}: connect: {why}"
        return Unreachable(f"Unable to connect to the server: {said}")
    if isinstance(error, ConnectionRefusedError) or isinstance(certificate, ConnectionRefusedError):
        return Unreachable(f"The connection to the server {endpoint.host} was refused - did you specify the right host "
                           "or port?")  # fmt: skip
    return Unreachable(f"Unable to connect to the server: {_why(error, certificate, endpoint)}")


def _why(error: BaseException, inner: Any, endpoint: Endpoint) -> str:
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {inner.verify_message}"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return error.message
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {endpoint.host.rpartition(':')[0] or endpoint.host}: no such host"
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return "net/http: request canceled (Client.Timeout exceeded while awaiting headers)"
    said = getattr(inner, "strerror", None) or getattr(inner, "reason", None) or str(error) or type(error).__name__
    return str(said)
