"""kube-apiserver's gate: who a request over HTTPS is from, and whether that user may see a path that is no resource.

Interface: `ServerGate(server)`, an `https.Gate`.
The rule not to break: credentials that are given and wrong are refused; nobody falls back to being anonymous.
Source: `apiserver/pkg/server/config.go` (the chain of filters).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object
from k8snb.apiserver.authentication import unauthorized
from k8snb.apiserver.rbac import Attributes
from k8snb.apiserver.server import ApiServer
from k8snb.client import User

BEARER = "bearer "


class ServerGate:
    """Asks the server's own authenticator and authorizer. `server()` is the one that serves now."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def identify(self, certificate: Object | None, headers: Any, path: str) -> User:
        """A bearer token, a client certificate, or nobody; then whom that user asks to act as."""
        authenticator = self._server.authenticator
        header = headers.get("Authorization", "")
        if header.lower().startswith(BEARER):
            user = authenticator.from_token(header[len(BEARER) :].strip())
        elif header:
            raise unauthorized()
        elif certificate:
            user = authenticator.from_certificate(*_names(certificate))
        else:
            user = authenticator.anonymous(path)
        return authenticator.impersonate(user, headers.items())

    def check_path(self, user: User, verb: str, path: str) -> None:
        """Raises Forbidden for a path such as /openapi/v3 that the user may not see."""
        decision = self._server.authorizer.authorize(user, Attributes(verb, path=path))
        if not decision.allowed:
            raise ApiError(403, "Forbidden", f'forbidden: User "{user.name}" cannot {verb} path "{path}"')


def _names(certificate: Object) -> tuple[str, list[str]]:
    """The common name and the organizations of a certificate's subject, as Python's ssl module gives it."""
    pairs = list(_pairs(certificate.get("subject") or ()))
    common = next((value for key, value in pairs if key == "commonName"), "")
    return common, [value for key, value in pairs if key == "organizationName"]


def _pairs(subject: Iterable[Iterable[tuple[str, str]]]) -> Iterable[tuple[str, str]]:
    for part in subject:
        yield from part
