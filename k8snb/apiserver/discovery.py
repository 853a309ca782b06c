"""kube-apiserver's discovery: what the server serves, as documents.

Interface: `document(path, accept, kinds)`: the plain ones, or the aggregated one where a client asks for it.
The rule not to break: everything here is worked out from the kinds.
Source: `apiserver/pkg/endpoints/discovery`; KEP-3352 for the aggregated form.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence

from k8snb.apimachinery.kinds import Kind, version_rank
from k8snb.apimachinery.meta import Object

VERSION = "v1.33.0"  # the release whose API is served
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
SCALE = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
SUBRESOURCES: dict[str, tuple[Object, tuple[str, ...]]] = {
    # what lies behind a subresource, and its verbs; {} = the kind itself, "{kind}" its name
    "status": ({}, ("get", "patch", "update")),
    "scale": (SCALE, ("get", "patch", "update")),
    "approval": ({}, ("get", "patch", "update")),
    "finalize": ({}, ("update",)),
    "binding": ({"version": "v1", "kind": "Binding"}, ("create",)),
    "eviction": ({"group": "policy", "version": "v1", "kind": "Eviction"}, ("create",)),
    "token": ({"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"}, ("create",)),
    "log": ({"version": "v1", "kind": "Pod"}, ("get",)),
    "exec": ({"version": "v1", "kind": "PodExecOptions"}, ("create", "get")),
    "attach": ({"version": "v1", "kind": "PodAttachOptions"}, ("create", "get")),
    "portforward": ({"version": "v1", "kind": "PodPortForwardOptions"}, ("create", "get")),
    "proxy": ({"version": "v1", "kind": "{kind}ProxyOptions"}, ("create", "delete", "get", "patch", "update")),
    "ephemeralcontainers": ({"version": "v1", "kind": "Pod"}, ("get", "patch", "update")),
    "resize": ({"version": "v1", "kind": "Pod"}, ("get", "patch", "update")),
}


def version() -> Object:
    """What /version says."""
    major, minor, _ = VERSION.removeprefix("v").split(".")
    return {
        "major": major, "minor": minor, "gitVersion": f"{VERSION}+k8snb", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "none",
        "platform": f"{platform.system().lower()}/{platform.machine()}",
    }  # fmt: skip


def aggregated_version(accept: str) -> str:
    """The version of aggregated discovery that a client asks for first; "" for the plain documents."""
    for part in accept.split(","):
        if "as=APIGroupDiscoveryList" in part:
            for version in ("v2", "v2beta1"):
                if f"v={version};" in part + ";":
                    return version
    return ""


def document(path: str, kinds: Iterable[Kind]) -> Object | None:
    """The plain document at a path, None where there is none."""
    kinds = list(kinds)
    parts = path.strip("/").split("/")
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if parts == ["apis"]:
        groups = [_group(name, kinds) for name in _groups(kinds) if name]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if parts[0] == "apis" and len(parts) == 2 and parts[1] in _groups(kinds):
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1], kinds)}
    group, found = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2] if len(parts) > 2 else "")
    members = [kind for kind in kinds if kind.group == group and kind.version == found]
    if not members or len(parts) > 3 or (parts[0] == "api" and len(parts) > 2):
        return None
    resources = [entry for kind in members for entry in _resources(kind)]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": members[0].api_version,
            "resources": resources}  # fmt: skip


def aggregated(path: str, version: str, kinds: Iterable[Kind]) -> Object:
    """All groups in one document: of /api the core group, of /apis the others."""
    kinds = list(kinds)
    names = [name for name in _groups(kinds) if bool(name) == (path.strip("/") == "apis")]
    items = [
        {
            "metadata": {"name": name, "creationTimestamp": None},
            "versions": [_aggregated_version(name, served, kinds) for served in _versions(name, kinds)],
        }
        for name in names
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{version}", "metadata": {},
            "items": items}  # fmt: skip


def _groups(kinds: Sequence[Kind]) -> list[str]:
    return list(dict.fromkeys(kind.group for kind in kinds))


def _versions(group: str, kinds: Sequence[Kind]) -> list[str]:
    """The versions of a group, the preferred one first."""
    return sorted({kind.version for kind in kinds if kind.group == group}, key=version_rank)


def _group(name: str, kinds: Sequence[Kind]) -> Object:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in _versions(name, kinds)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resources(kind: Kind) -> list[Object]:
    entry: Object = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    return [entry, *(_subresource(kind, name) for name in kind.subresources)]


def door(kind: Kind, name: str) -> tuple[Object, tuple[str, ...]]:
    """What lies behind a kind's subresource ({} = the kind itself), and the verbs that it takes."""
    behind, verbs = SUBRESOURCES[name]
    return ({**behind, "kind": behind["kind"].format(kind=kind.kind)} if behind else {}), verbs


def _subresource(kind: Kind, name: str) -> Object:
    behind, verbs = door(kind, name)
    return {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced,
            "kind": kind.kind, **behind, "verbs": list(verbs)}  # fmt: skip


def _aggregated_version(group: str, version: str, kinds: Sequence[Kind]) -> Object:
    members = [kind for kind in kinds if (kind.group, kind.version) == (group, version)]
    return {"version": version, "freshness": "Current", "resources": [_aggregated_resource(kind) for kind in members]}


def _aggregated_resource(kind: Kind) -> Object:
    return {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
        **({"shortNames": list(kind.short_names)} if kind.short_names else {}),
        **({"categories": list(kind.categories)} if kind.categories else {}),
        "subresources": [_aggregated_subresource(kind, name) for name in kind.subresources],
    }


def _aggregated_subresource(kind: Kind, name: str) -> Object:
    behind, verbs = door(kind, name)
    response = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    if behind:
        response = {"group": "", **behind}
    return {"subresource": name, "responseKind": response, "verbs": list(verbs)}
