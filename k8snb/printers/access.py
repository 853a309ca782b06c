"""The columns of roles, of who has them, and of certificate requests.

Interface: one function per kind, for the table in `columns`.
Source: `pkg/printers/internalversion/printers.go`.
"""

from __future__ import annotations

from typing import Any

from k8snb.apimachinery.meta import Object, get_path, name_of
from k8snb.printers import duration


def role(obj: Object, now: float) -> tuple[Any, ...]:
    return name_of(obj), get_path(obj, "metadata.creationTimestamp", "")


def binding(obj: Object, now: float) -> tuple[Any, ...]:
    reference = obj.get("roleRef") or {}
    age = duration.age(get_path(obj, "metadata.creationTimestamp"), now)
    subjects = (_subjects(obj, "User"), _subjects(obj, "Group"), _subjects(obj, "ServiceAccount"))
    return name_of(obj), f"{reference.get('kind', '')}/{reference.get('name', '')}", age, *subjects


def _subjects(obj: Object, kind: str) -> str:
    found = (subject for subject in obj.get("subjects") or () if subject.get("kind") == kind)
    return ", ".join(f"{subject.get('namespace', '')}/{subject['name']}" if kind == "ServiceAccount"
                     else subject["name"] for subject in found)  # fmt: skip


def signing_request(obj: Object, now: float) -> tuple[Any, ...]:
    spec = obj.get("spec") or {}
    seconds = spec.get("expirationSeconds")
    asked = "<none>" if seconds is None else duration.human(float(seconds))
    age = duration.age(get_path(obj, "metadata.creationTimestamp"), now)
    return name_of(obj), age, spec.get("signerName") or "<none>", spec.get("username", ""), asked, _condition(obj)


def _condition(obj: Object) -> str:
    """What has become of a request: `Pending`, or `Approved,Issued`."""
    sorts = {entry["type"] for entry in get_path(obj, "status.conditions") or ()}
    word = next((sort for sort in ("Denied", "Approved") if sort in sorts), "Pending")
    word += ",Failed" if "Failed" in sorts else ""
    return word + (",Issued" if get_path(obj, "status.certificate") else "")
