"""Owners: where a pod's spec is really changed, for a controller's pods are made anew from its template.

Interface: `owner_of(pod)`, `settable(pod)`, `is_of_job(pod)`, `patch_template(pod, change)`.
The rule not to break: pure; what the names say is what the owner references say.
"""

from __future__ import annotations

import json
from typing import Any

from k8snb.apimachinery.meta import Object, controller_of, labels_of, name_of, namespace_of

HASH = "pod-template-hash"


def owner_of(pod: Object) -> tuple[str, str] | None:
    """The kind, in small letters, and the name of what has the pod's template; None for a pod of nobody's.

    A ReplicaSet whose pods have a template's hash is a Deployment's, whose name it has with the hash behind it.
    """
    owner = controller_of(pod)
    if owner is None:
        return None
    hashed = labels_of(pod).get(HASH, "")
    if owner["kind"] == "ReplicaSet" and hashed and owner["name"].endswith(f"-{hashed}"):
        return "deployment", owner["name"].removesuffix(f"-{hashed}")
    return owner["kind"].lower(), owner["name"]


def settable(pod: Object) -> str:
    """Whom `kubectl set` is to be asked about: `deployment/web -n team`, or the pod itself."""
    kind, name = owner_of(pod) or ("pod", name_of(pod))
    namespace = namespace_of(pod)
    return f"{kind}/{name}" + (f" -n {namespace}" if namespace not in ("", "default") else "")


def is_of_job(pod: Object) -> bool:
    """Whether its template is settled: a Job's does not change any more."""
    return (owner_of(pod) or ("",))[0] == "job"


def patch_template(pod: Object, change: dict[str, Any]) -> list[str]:
    """The command that changes the spec of a controller's pods; none for a pod of nobody's, or of a Job's, whose
    templates do not change."""
    if owner_of(pod) is None or is_of_job(pod):
        return []
    text = json.dumps({"spec": {"template": {"spec": change}}}, separators=(",", ":"))
    return [f"kubectl patch {settable(pod)} -p '{text}'"]
