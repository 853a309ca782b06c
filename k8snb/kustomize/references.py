"""kustomize, references: fields that name an object that has been renamed.

Interface: `fix(resources)`.
The rule not to break: a field changes only where it held a former name of exactly one object that can be meant.
Source: `api/filters/nameref/nameref.go` in the kustomize repository.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from k8snb.kustomize.errors import KustomizeError
from k8snb.kustomize.fields import REFERENCES, Reference, changed
from k8snb.kustomize.resource import Resource, is_namespaced


def fix(resources: Sequence[Resource]) -> None:
    """Every field that names an object names it as it is called now."""
    for resource in resources:
        reachable = [each for each in resources if _within_reach(resource, each)]
        for reference in REFERENCES:
            for spec in reference.fields:
                if spec.applies_to(resource.object):
                    change = _renamer(resource, reference, reachable)
                    resource.object = changed(resource.object, [spec], change)


def _renamer(resource: Resource, reference: Reference, reachable: Sequence[Resource]) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        if isinstance(value, list):
            return [change(item) for item in value]
        if isinstance(value, dict):
            return _mapping(value, resource, reference, reachable)
        if not isinstance(value, str):
            return value
        meant = _meant(value, resource, reference, reachable)
        return value if meant is None else meant.identity.name

    return change


def _mapping(value: dict[str, Any], resource: Resource, reference: Reference, reachable: Sequence[Resource]) -> Any:
    """A reference of two words: a name, and a namespace."""
    candidates = list(reachable)
    if value.get("namespace"):
        wanted = value["namespace"]
        named = [each for each in reachable if (each.original.namespace or "default") == wanted]
        candidates = named or [each for each in reachable if each.identity.namespace == wanted]
    meant = _meant(str(value.get("name", "")), resource, reference, candidates)
    if meant is None:
        return value
    namespace = {"namespace": meant.identity.namespace} if meant.identity.namespace else {}
    return {**value, "name": meant.identity.name, **namespace}


def _meant(name: str, resource: Resource, reference: Reference, candidates: Sequence[Resource]) -> Resource | None:
    """The one object that a former name stands for."""
    found = [each for each in candidates if _was_called(each, name, reference) and _role_fits(resource, each)
             and _same_namespace(resource, each)]  # fmt: skip
    for narrower in (_same_prefixes, _same_suffixes):
        if len(found) > 1:
            found = [each for each in found if narrower(resource, each)]
    if len({each.identity.name for each in found}) > 1:
        shown = ", ".join(str(each.identity) for each in found)
        raise KustomizeError(f"found multiple possible referrals for {name} in {resource.identity}: {shown}")
    return found[0] if found else None


def _was_called(each: Resource, name: str, reference: Reference) -> bool:
    return any(
        before.name == name and before.kind == reference.kind and reference.group in (None, before.group)
        for before in each.before
    )


def _role_fits(resource: Resource, each: Resource) -> bool:
    """A binding's role is of the kind that it says."""
    if each.identity.kind not in ("Role", "ClusterRole") or "roleRef" not in resource.object:
        return True
    reference = resource.object["roleRef"]
    return isinstance(reference, dict) and reference.get("kind") == each.identity.kind


def _within_reach(resource: Resource, each: Resource) -> bool:
    """Whether the objects can speak of each other: a binding also of accounts in namespaces that it names."""
    if not is_namespaced(resource.identity) or not is_namespaced(each.identity):
        return True
    if resource.identity.kind == "RoleBinding":
        subjects = [each for each in resource.object.get("subjects") or () if isinstance(each, dict)]
        spaces = {subject.get("namespace") for subject in subjects}
        if each.identity.namespace in spaces or each.original.namespace in spaces:
            return True
    return _space(resource) == _space(each)


def _same_namespace(resource: Resource, each: Resource) -> bool:
    if not is_namespaced(resource.identity) or not is_namespaced(each.identity):
        return True
    return each.identity.kind == "ServiceAccount" or _space(resource) == _space(each)


def _space(resource: Resource) -> str:
    return resource.identity.namespace or "default"


def _same_prefixes(resource: Resource, each: Resource) -> bool:
    return _same_end(resource.prefixes, each.prefixes)


def _same_suffixes(resource: Resource, each: Resource) -> bool:
    return _same_end(resource.suffixes, each.suffixes)


def _same_end(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether the shorter is the end of the longer."""
    short = min(len(one), len(other))
    return one[len(one) - short :] == other[len(other) - short :]
