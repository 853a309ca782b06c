"""API errors: a refusal as the Status object that clients get, with the words kubectl prints.

Interface: `ApiError` and one factory per reason. `FieldError` is one complaint about one field.
The rule not to break: no other exception leaves the apiserver.
Source: `apimachinery/pkg/api/errors` and `util/validation/field` in the kubernetes repository.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from k8snb.apimachinery.kinds import Kind

REQUIRED, INVALID, DUPLICATE, NOT_SUPPORTED, FORBIDDEN, NOT_FOUND, TOO_LONG, TOO_MANY, TYPE_INVALID = (
    "Required value", "Invalid value", "Duplicate value", "Unsupported value", "Forbidden", "Not found",
    "Too long", "Too many", "Invalid value",
)  # fmt: skip

OMITTED = object()  # a value that the message leaves out

_CAUSES = {
    REQUIRED: "FieldValueRequired",
    INVALID: "FieldValueInvalid",
    DUPLICATE: "FieldValueDuplicate",
    NOT_SUPPORTED: "FieldValueNotSupported",
    FORBIDDEN: "FieldValueForbidden",
    NOT_FOUND: "FieldValueNotFound",
    TOO_LONG: "FieldValueTooLong",
    TOO_MANY: "FieldValueTooMany",
}


@dataclass(frozen=True)
class FieldError:
    """`path: sort: value: detail`, e.g. `spec.replicas: Invalid value: -1: must be greater than or equal to 0`."""

    path: str
    sort: str
    value: Any = None
    detail: str = ""

    def __str__(self) -> str:
        omitted = self.sort in (REQUIRED, FORBIDDEN, TOO_LONG) or self.value is OMITTED
        value = "" if omitted else ": " + json.dumps(self.value, default=str)
        return f"{self.path}: {self.sort}{value}" + (f": {self.detail}" if self.detail else "")

    def cause(self) -> dict[str, str]:
        text = str(self).removeprefix(f"{self.path}: ")
        return {"reason": _CAUSES[self.sort], "message": text, "field": self.path}


class ApiError(Exception):
    """A request that was refused. `status` is the whole Status object, `code` its HTTP status code."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.details = details or {}

    @property
    def status(self) -> dict[str, Any]:
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                  "message": self.message, "reason": self.reason, "code": self.code}  # fmt: skip
        return {**status, "details": self.details} if self.details else status

    @property
    def passing(self) -> bool:
        """Whether the server, not the request, is at fault: the same request may go well later."""
        return self.code == 429 or self.code >= 500

    @property
    def causes(self) -> list[dict[str, str]]:
        """The complaints field by field: dicts with `field`, `reason`, `message`."""
        causes: list[dict[str, str]] = self.details.get("causes", [])
        return causes


class Postponed(BaseException):
    """A request by a part of the cluster has to wait for somebody else's answer. Nothing was written; `then(retry)`
    calls back when it is worth another try.

    No refusal and no failure, so that nobody tells it as one: it ends the whole piece of work, which its queue does
    again.
    """

    def __init__(self, message: str, then: Callable[[Callable[[], object]], None]) -> None:
        super().__init__(message)
        self.then = then


def _details(kind: Kind, name: str) -> dict[str, Any]:
    fields = {"name": name, "group": kind.group, "kind": kind.plural}
    return {field: text for field, text in fields.items() if text}


def not_found(kind: Kind, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{kind.qualified} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f'{kind.qualified} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str) -> ApiError:
    text = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", text, _details(kind, name))


STALE = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(kind: Kind, name: str, errors: Iterable[FieldError]) -> ApiError:
    errors = list(errors)
    qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    texts = [str(error) for error in errors]
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    details = {"name": name, "group": kind.group, "kind": kind.kind, "causes": [error.cause() for error in errors]}
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {text}', details)


def bad_request(message: str, details: dict[str, Any] | None = None) -> ApiError:
    return ApiError(400, "BadRequest", message, details)


def forbidden(kind: Kind, name: str, why: str) -> ApiError:
    text = f'{kind.qualified} "{name}" is forbidden: {why}' if name else f"{kind.qualified} is forbidden: {why}"
    return ApiError(403, "Forbidden", text, _details(kind, name))


def method_not_supported(kind: Kind, verb: str) -> ApiError:
    text = f"{verb} is not supported on resources of kind {kind.qualified!r}".replace("'", '"')
    return ApiError(405, "MethodNotAllowed", text, _details(kind, ""))


def unsupported_media_type(content_type: str, allowed: Iterable[str]) -> ApiError:
    text = f"the body of the request was in an unknown format - accepted media types include: {', '.join(allowed)}"
    return ApiError(415, "UnsupportedMediaType", f"{text} (not {content_type})")


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def server_timeout(message: str) -> ApiError:
    return ApiError(504, "Timeout", message)


def unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)


def internal(message: str) -> ApiError:
    return ApiError(500, "InternalError", f"Internal error occurred: {message}")


def not_implemented(what: str) -> ApiError:
    return ApiError(501, "NotImplemented", f"{what}: not implemented by k8snb")
