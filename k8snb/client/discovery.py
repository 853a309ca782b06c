"""client-go's discovery: what a server serves, as rows of kinds.

Interface: `kinds(fetch)`, where `fetch(path, accept)` answers the document at a path.
The rule not to break: a kind that k8snb knows is its own row, so that tables for built-in kinds fit; any other is a
row that names the server's APIService as its home.
Source: `client-go/discovery`; KEP-3352 for the documents that tell all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import BY_GVK, Kind
from k8snb.apimachinery.meta import Object

ALL_AT_ONCE = ",".join(
    [f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")]
    + ["application/json"]
)
Fetch = Callable[[str, str], Object]


def kinds(fetch: Fetch) -> tuple[Kind, ...]:
    """All kinds, in the order in which the server prefers them. Raises ApiError."""
    return tuple(dict.fromkeys(kind for root in ("/api", "/apis") for kind in _below(fetch, root)))


def _below(fetch: Fetch, root: str) -> Iterator[Kind]:
    document = fetch(root, ALL_AT_ONCE)
    if document.get("kind") == "APIGroupDiscoveryList":
        for group in document.get("items") or ():
            for version in group.get("versions") or ():
                yield from _told_at_once(group["metadata"].get("name") or "", version)
        return
    for group_version in _group_versions(root, document):
        yield from _told_apart(fetch, root, group_version)


def _group_versions(root: str, document: Object) -> list[str]:
    """The plain documents' groups and versions, each group's preferred version first."""
    if root == "/api":
        return list(document.get("versions") or ())
    found: list[str] = []
    for group in document.get("groups") or ():
        versions = [each["groupVersion"] for each in group.get("versions") or ()]
        preferred = (group.get("preferredVersion") or {}).get("groupVersion")
        found += sorted(versions, key=lambda version, first=preferred: version != first)  # type: ignore[misc]
    return found


def _told_at_once(group: str, version: Object) -> Iterator[Kind]:
    for each in version.get("resources") or ():
        # a resource that was found empty is one whose server does not answer
        if (each.get("responseKind") or {}).get("kind") and each.get("verbs"):
            doors = tuple(door["subresource"] for door in each.get("subresources") or ())
            yield _row(group, version["version"], each["resource"], each["responseKind"]["kind"], each,
                       each.get("scope") == "Namespaced", doors)  # fmt: skip


def _told_apart(fetch: Fetch, root: str, group_version: str) -> Iterator[Kind]:
    try:
        document = fetch(f"{root}/{group_version}", "application/json")
    except ApiError as error:
        if error.code in (404, 503):  # an API whose server does not answer hides its own kinds only
            return
        raise
    group, _, version = group_version.rpartition("/")
    resources: list[Any] = document.get("resources") or []
    for each in resources:
        plural = str(each.get("name") or "")
        if plural and "/" not in plural:
            doors = _doors(plural, resources)
            yield _row(group, version, plural, each["kind"], each, bool(each.get("namespaced")), doors)


def _doors(plural: str, resources: Iterable[Object]) -> tuple[str, ...]:
    return tuple(str(each["name"]).partition("/")[2] for each in resources
                 if str(each["name"]).startswith(f"{plural}/"))  # fmt: skip


def _row(
    group: str, version: str, plural: str, kind: str, entry: Object, namespaced: bool, doors: tuple[str, ...]
) -> Kind:  # fmt: skip
    api_version = f"{group}/{version}" if group else version
    known = BY_GVK.get((api_version, kind))
    if known is not None and known.plural == plural:
        return known
    return Kind(
        kind, plural, group, version, namespaced=namespaced, short_names=tuple(entry.get("shortNames") or ()),
        categories=tuple(entry.get("categories") or ()), subresources=doors, verbs=tuple(entry.get("verbs") or ()),
        remote=f"{version}.{group}",
    )  # fmt: skip
