"""kubectl debug's profiles: what a debugging container may do, and what its pod shares.

Interface: `PROFILES`, by name; `for_container`, `for_copy` and `for_node` apply one.
The rule not to break: a profile adds to what the pod is; it takes nothing from its other containers.
Source: `kubectl/pkg/cmd/debug/profiles.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import Object


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


def for_container(profile: Profile, container: Object) -> Object:
    """A debugging container in a pod that exists, or in its copy."""
    context = {**container.get("securityContext", {}), **profile.context}
    return {**container, "securityContext": context} if context else container


def for_node(profile: Profile, spec: Object) -> Object:
    """The spec of a pod with one container that looks into a node."""
    container = {**spec["containers"][0], **({"securityContext": dict(profile.on_node)} if profile.on_node else {})}
    more: Object = {"hostNetwork": True, "hostPID": True, "hostIPC": True} if profile.namespaces else {}
    if profile.root:
        container["volumeMounts"] = [{"name": "host-root", "mountPath": "/host"}]
        more["volumes"] = [{"name": "host-root", "hostPath": {"path": "/"}}]
    return {**spec, "containers": [container], **more}
