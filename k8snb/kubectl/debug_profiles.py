"""kubectl debug's profiles: what a debugging container may do, and what its pod shares.

Interface: `PROFILES`, by name; `for_container` and `for_node` apply one; `custom(path)` reads a profile of the user's
own, and `customized` applies it.
The rule not to break: a profile adds to what the pod is; it takes nothing from its other containers.
Source: `kubectl/pkg/cmd/debug/profiles.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from k8snb.apimachinery import manifest_values, schema
from k8snb.apimachinery import patch as patches
from k8snb.apimachinery.manifest_errors import ManifestError
from k8snb.apimachinery.meta import Object
from k8snb.kubectl.output import KubectlError


class Profile(NamedTuple):
    """The security context of a debugging container, in a pod and on a node, and what of the node it sees."""

    context: Mapping[str, Any] = MappingProxyType({})
    on_node: Mapping[str, Any] = MappingProxyType({})
    namespaces: bool = True  # those of the node
    root: bool = True  # the node's files, at /host


_NET = MappingProxyType({"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}})
_PRIVILEGED = MappingProxyType({"privileged": True})
_RESTRICTED = MappingProxyType({
    "allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
})  # fmt: skip

PROFILES: Mapping[str, Profile] = MappingProxyType({
    "legacy": Profile(),
    "general": Profile(MappingProxyType({"capabilities": {"add": ["SYS_PTRACE"]}})),
    "baseline": Profile(namespaces=False, root=False),
    "restricted": Profile(_RESTRICTED, _RESTRICTED, namespaces=False, root=False),
    "netadmin": Profile(_NET, _NET, root=False),
    "sysadmin": Profile(_PRIVILEGED, _PRIVILEGED),
})  # fmt: skip


# What makes the container the one that was asked for.
_FIXED = ("name", "command", "image", "lifecycle", "volumeDevices")


def for_container(profile: Profile, container: Object) -> Object:
    """A debugging container in a pod that exists, or in its copy."""
    context = {**container.get("securityContext", {}), **profile.context}
    return {**container, "securityContext": context} if context else container


def custom(path: str) -> Object:
    """The fields of a container that a file names, {} without a file. Raises KubectlError."""
    if not path:
        return {}
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = str(getattr(error, "strerror", None) or error).lower()
        what = "must pass a container spec json file for custom profile"
        raise KubectlError(f"error: {what}: open {path}: {why}") from None
    said = f"error: {path} does not contain a valid container spec"
    try:
        found = [value for _, value, _ in manifest_values.read(text)]
    except ManifestError as error:
        raise KubectlError(f"{said}: {error.message}") from None
    if len(found) != 1 or not isinstance(found[0], dict):
        raise KubectlError(f'{said}: it is one object, such as {{"env": [{{"name": "A", "value": "b"}}]}}')
    if any(found[0].get(field) for field in _FIXED):
        raise KubectlError("error: name, command, image, lifecycle and volume devices are not modifiable via custom "
                           "profile")  # fmt: skip
    return found[0]


def customized(container: Object, wanted: Object) -> Object:
    """A debugging container with the fields of the user's own profile laid over it."""
    shape = schema.load().type("core.v1.Container")
    return patches.strategic_merge(container, wanted, shape) if wanted else container


def for_node(profile: Profile, spec: Object) -> Object:
    """The spec of a pod with one container that looks into a node."""
    container = {**spec["containers"][0], **({"securityContext": dict(profile.on_node)} if profile.on_node else {})}
    more: Object = {"hostNetwork": True, "hostPID": True, "hostIPC": True} if profile.namespaces else {}
    if profile.root:
        container["volumeMounts"] = [{"name": "host-root", "mountPath": "/host"}]
        more["volumes"] = [{"name": "host-root", "hostPath": {"path": "/"}}]
    return {**spec, "containers": [container], **more}
