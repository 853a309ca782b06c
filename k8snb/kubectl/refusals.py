"""Refusals: what kubectl prints when the apiserver, or a manifest, says no.

Interface: `refused(error)` and `mistaken(error)` make a `KubectlError`; `join` makes one of several.
The rule not to break: kubectl's words, and for a manifest the line to look at.
Source: `StandardErrorMessage` in `kubectl/pkg/cmd/util/helpers.go`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.manifest import Document, ManifestError
from k8snb.apimachinery.meta import Object
from k8snb.client import Unreachable
from k8snb.kubectl.output import KubectlError, done_all_the_same

UNAUTHORIZED = 401
_FIELD = re.compile(r'field "([^"]+)"')
_VALUE = re.compile(r'(?:Invalid|Unsupported|Duplicate) value: "([^"]*)"')
_PATH = re.compile(r"(?:: |\[)((?:metadata|spec|data|status|subsets|[a-z]\w*)(?:[.\[][^\s:]*)?): ")


def refused(error: ApiError, *, doing: str = "", source: str = "", document: Document | None = None) -> KubectlError:
    """A request that the server refused; `doing` and `source` as in `error when creating "STDIN"`."""
    if error.reason == "Invalid" and error.details.get("kind"):
        return _invalid(error, source, document)
    if isinstance(error, Unreachable):
        return KubectlError(error.message)
    if error.code == UNAUTHORIZED:
        return KubectlError(f"error: You must be logged in to the server ({error.message})")
    line = _line(error, document)
    place = _place(line)
    when = f'error when {doing} "{source}": ' if doing and source else ""
    reason = f" ({error.reason})" if error.reason else ""
    return KubectlError(f"Error from server{reason}: {when}{error.message}{place}", line=line, source=source or None)


def _place(line: int | None) -> str:
    return f" (line {line})" if line else ""


def _invalid(error: ApiError, source: str, document: Document | None) -> KubectlError:
    """Each complaint with its own line."""
    start = f'The {error.details["kind"]} "{error.details.get("name", "")}" is invalid'
    lines = [_cause_line(cause, document) for cause in error.causes]
    complaints = [
        f"{cause['field']}: {cause['message']}{_place(line)}" for cause, line in zip(error.causes, lines, strict=True)
    ]
    message = "\n* ".join([f"{start}: ", *complaints]) if len(complaints) > 1 else ": ".join([start, *complaints])
    return KubectlError(message, line=next((line for line in lines if line), None), source=source or None)


def _cause_line(cause: Object, document: Document | None) -> int | None:
    """The line of the field, or of the very key or value in it that is refused."""
    if document is None or not cause.get("field"):
        return None
    value = _VALUE.search(cause.get("message", ""))
    return document.line_of(cause["field"], value[1] if value else "")


def _line(error: ApiError, document: Document | None) -> int | None:
    if document is None:
        return None
    paths = [*_FIELD.findall(error.message), *_PATH.findall(error.message)]
    lines = (document.line_of(path) for path in paths if path)
    return next((line for line in lines if line), None)


def mistaken(error: ManifestError, source: str) -> KubectlError:
    """A manifest that cannot be read."""
    place = f" (line {error.line})" if error.line and f"line {error.line}" not in error.message else ""
    return KubectlError(f"error: error parsing {source}: {error.message}{place}", line=error.line, source=source)


def join(errors: Sequence[KubectlError], applied: Sequence[str] = ()) -> KubectlError:
    """Several failures as one; `applied` are the lines of what was done all the same."""
    message = "\n".join(error.message for error in errors) + done_all_the_same(applied)
    first = next((error for error in errors if error.line), errors[0])
    return KubectlError(message, exit_code=first.exit_code, line=first.line, source=first.source, applied=applied)
