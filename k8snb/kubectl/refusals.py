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
from k8snb.kubectl.output import KubectlError

_FIELD = re.compile(r'field "([^"]+)"')
_PATH = re.compile(r"(?:: |\[)((?:metadata|spec|data|status|subsets|[a-z]\w*)(?:[.\[][^\s:]*)?): ")


def refused(error: ApiError, *, doing: str = "", source: str = "", document: Document | None = None) -> KubectlError:
    """A request that the server refused; `doing` and `source` as in `error when creating "STDIN"`."""
    line = _line(error, document)
    place = f" (line {line})" if line else ""
    if error.reason == "Invalid" and error.details.get("kind"):
        return KubectlError(_invalid(error) + place, line=line, source=source or None)
    when = f'error when {doing} "{source}": ' if doing and source else ""
    reason = f" ({error.reason})" if error.reason else ""
    return KubectlError(f"Error from server{reason}: {when}{error.message}{place}", line=line, source=source or None)


def _invalid(error: ApiError) -> str:
    start = f'The {error.details["kind"]} "{error.details.get("name", "")}" is invalid'
    complaints = [f"{cause['field']}: {cause['message']}" for cause in error.causes]
    if len(complaints) <= 1:
        return ": ".join([start, *complaints])
    return "\n* ".join([f"{start}: ", *complaints])


def _line(error: ApiError, document: Document | None) -> int | None:
    if document is None:
        return None
    named = [cause.get("field", "") for cause in error.causes]
    paths = [*named, *_FIELD.findall(error.message), *_PATH.findall(error.message)]
    lines = (document.line_of(path) for path in paths if path)
    return next((line for line in lines if line), None)


def mistaken(error: ManifestError, source: str) -> KubectlError:
    """A manifest that cannot be read."""
    place = f" (line {error.line})" if error.line and f"line {error.line}" not in error.message else ""
    return KubectlError(f"error: error parsing {source}: {error.message}{place}", line=error.line, source=source)


def join(errors: Sequence[KubectlError], applied: Sequence[str] = ()) -> KubectlError:
    """Several failures as one; `applied` are the lines of what was done all the same."""
    message = "\n".join(error.message for error in errors)
    if applied:
        message += f"\n(done all the same: {', '.join(applied)})"
    first = next((error for error in errors if error.line), errors[0])
    return KubectlError(message, exit_code=first.exit_code, line=first.line, source=first.source, applied=applied)
