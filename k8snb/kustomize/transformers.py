"""kustomize, transformers: what a kustomization does to every one of its objects.

Interface: one function for each field: `namespaced`, `prefixed`, `labelled`, `annotated`, `scaled`, `imaged`.
The rule not to break: a name or namespace changes through `Resource.rename`, so that references find the way back.
Source: `api/internal/builtins`, `api/filters` in the kustomize repository.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from k8snb.apimachinery.meta import with_path
from k8snb.kustomize import fields
from k8snb.kustomize.errors import KustomizeError
from k8snb.kustomize.fields import FieldSpec, changed
from k8snb.kustomize.resource import Resource, is_namespaced

_BINDINGS = ("RoleBinding", "ClusterRoleBinding")
_SERVICES = (
    ("APIService", "spec.service"),
    ("CustomResourceDefinition", "spec.conversion.webhook.clientConfig.service"),
)


def namespaced(resources: Sequence[Resource], namespace: str) -> None:
    """`namespace`: everything that lives in one moves there."""
    for resource in resources:
        if resource.identity.kind == "Namespace":
            resource.rename(name=namespace)
        elif is_namespaced(resource.identity):
            resource.rename(namespace=namespace)
        if resource.identity.kind in _BINDINGS:
            resource.object = changed(resource.object, [FieldSpec("subjects")], lambda them: _subjects(them, namespace))
        for kind, path in _SERVICES:
            if resource.identity.kind == kind and _has(resource.object, path):
                resource.object = with_path(resource.object, f"{path}.namespace", namespace)


def _subjects(subjects: Any, namespace: str) -> Any:
    """The service account `default` of a binding is that of the namespace."""
    if not isinstance(subjects, list):
        return subjects
    default = ("ServiceAccount", "default")
    return [
        {**one, "namespace": namespace}
        if isinstance(one, dict) and (one.get("kind"), one.get("name")) == default
        else one
        for one in subjects
    ]


def _has(obj: Any, path: str) -> bool:
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
    return isinstance(obj, dict)


def prefixed(resources: Sequence[Resource], prefix: str, suffix: str) -> None:
    """`namePrefix` and `nameSuffix`."""
    for resource in resources:
        if resource.identity.kind in fields.NAMELESS:
            continue
        resource.prefixes += [prefix] if prefix else []
        resource.suffixes += [suffix] if suffix else []
        resource.rename(name=f"{prefix}{resource.identity.name}{suffix}")


def labelled(resources: Sequence[Resource], row: Mapping[str, Any]) -> None:
    """One row of `labels`; `commonLabels` is one with `includeSelectors`."""
    specs = [_spec(field) for field in row.get("fields") or ()]
    if row.get("includeSelectors"):
        specs += fields.LABELS
    elif row.get("includeTemplates"):
        specs += fields.TEMPLATE_LABELS
    else:
        specs += fields.METADATA_LABELS
    _add(resources, specs, row.get("pairs") or {})


def annotated(resources: Sequence[Resource], pairs: Mapping[str, str]) -> None:
    """`commonAnnotations`."""
    _add(resources, fields.ANNOTATIONS, pairs)


def _spec(row: Mapping[str, Any]) -> FieldSpec:
    known = {name: str(row.get(name) or "") for name in ("path", "kind", "group", "version")}
    return FieldSpec(**known, create=bool(row.get("create")))


def _add(resources: Sequence[Resource], specs: Sequence[FieldSpec], pairs: Mapping[str, str]) -> None:
    if not pairs:
        return
    for resource in resources:
        resource.object = changed(resource.object, specs, lambda old: _with(old, pairs))


def _with(old: Any, pairs: Mapping[str, str]) -> Any:
    if not isinstance(old, dict | None):
        raise KustomizeError(f"labels and annotations stand in a map, not in {old!r}")
    return {**(old or {}), **pairs}


def scaled(resources: Sequence[Resource], name: str, count: int) -> None:
    """One row of `replicas`. Raises KustomizeError where nothing of that name can be scaled."""
    found = False
    for resource in resources:
        specs = [spec for spec in fields.REPLICAS if spec.applies_to(resource.object)]
        if specs and any(identity.name == name for identity in resource.identities):
            resource.object = changed(resource.object, specs, lambda _: count)
            found = True
    if not found:
        kinds = " ".join(f"{spec.kind}.[noVer].[noGrp]" for spec in fields.REPLICAS)
        raise KustomizeError(f"resource with name {name} does not match a config with the following GVK [{kinds}]")


_IMAGE = r"(:[a-zA-Z0-9_.{}-]*)?(@sha256:[a-zA-Z0-9_.{}-]*)?"


def imaged(resources: Sequence[Resource], row: Mapping[str, Any]) -> None:
    """One row of `images`."""
    pattern = re.compile(re.escape(str(row.get("name", ""))) + _IMAGE)
    for resource in resources:
        if resource.identity.kind != "CustomResourceDefinition":
            resource.object = _images(resource.object, pattern, row)


def _images(value: Any, pattern: re.Pattern[str], row: Mapping[str, Any]) -> Any:
    """The value with the image of every container in it exchanged."""
    if isinstance(value, list):
        return [_images(item, pattern, row) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _containers(entry, pattern, row) if key in ("containers", "initContainers")
            else _images(entry, pattern, row) for key, entry in value.items()}  # fmt: skip


def _containers(containers: Any, pattern: re.Pattern[str], row: Mapping[str, Any]) -> Any:
    if not isinstance(containers, list):
        return containers
    return [{**each, "image": _image(each["image"], row)}
            if isinstance(each, dict) and pattern.fullmatch(str(each.get("image", ""))) else each
            for each in containers]  # fmt: skip


def _image(image: str, row: Mapping[str, Any]) -> str:
    """The image with another name, tag or digest; a new tag drops the old digest, and the other way round."""
    name, _, digest = image.partition("@")
    head, colon, tag = name.rpartition(":")
    name, tag = (head, tag) if colon and "/" not in tag else (name, "")
    new_tag, new_digest = (str(row.get(key) or "") for key in ("newTag", "digest"))
    if new_tag or new_digest:
        tag, digest = new_tag, new_digest
    elif row.get("tagSuffix"):
        tag, digest = tag + str(row["tagSuffix"]), ""
    name = str(row.get("newName") or name)
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
