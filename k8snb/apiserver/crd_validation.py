"""apiextensions-apiserver's validation of CustomResourceDefinitions.

Interface: `definition(crd)` and `change(crd, old)`, pure; rows of the validation tables.
The rule not to break: a definition that is let in can be served.
Source: `apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8snb.apimachinery import jsonpath, names
from k8snb.apimachinery.errors import DUPLICATE, FORBIDDEN, INVALID, NOT_SUPPORTED, REQUIRED, TOO_MANY, FieldError
from k8snb.apimachinery.meta import Object, annotations_of, get_path, name_of
from k8snb.apiserver import crd_structure
from k8snb.apiserver.crd import storage_version
from k8snb.apiserver.validation_extensions import client_config, review_versions

Errors = Iterator[FieldError]
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
SCOPES = ("Cluster", "Namespaced")
APPROVED = "api-approved.kubernetes.io"
PROTECTED = (".k8s.io", ".kubernetes.io")
SCALARS = ("boolean", "integer", "string")
MOST_SELECTABLE = 8
IMMUTABLE = "field is immutable"


def definition(crd: Object) -> Errors:
    spec = crd["spec"]
    wanted = f"{spec['names']['plural']}.{spec['group']}"
    if name_of(crd) != wanted:
        yield FieldError("metadata.name", INVALID, name_of(crd), 'must be spec.names.plural+"."+spec.group')
    yield from _group(crd, spec["group"])
    yield from _names(spec["names"])
    if spec["scope"] not in SCOPES:
        yield _unsupported("spec.scope", spec["scope"], SCOPES)
    yield from _conversion(spec)
    yield from _versions(spec["versions"])
    if spec.get("preserveUnknownFields"):
        words = ("cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema "
                 "instead")  # fmt: skip
        yield FieldError("spec.preserveUnknownFields", INVALID, True, words)


def _unsupported(path: str, value: Any, known: tuple[str, ...]) -> FieldError:
    return FieldError(path, NOT_SUPPORTED, value, "supported values: " + ", ".join(f'"{each}"' for each in known))


def _each(path: str, value: Any, complaints: list[str]) -> Errors:
    for complaint in complaints:
        yield FieldError(path, INVALID, value, complaint)


def _group(crd: Object, group: str) -> Errors:
    yield from _each("spec.group", group, names.dns_subdomain(group))
    if "." not in group:
        yield FieldError("spec.group", INVALID, group, "should be a domain with at least one dot")
    if f".{group}".endswith(PROTECTED) and not annotations_of(crd).get(APPROVED):
        words = (f'protected groups must have approval annotation "{APPROVED}", see '
                 "https://github.com/kubernetes/enhancements/pull/1111")  # fmt: skip
        yield FieldError(f"metadata.annotations[{APPROVED}]", REQUIRED, detail=words)


def _names(found: Object) -> Errors:
    for field in ("plural", "singular"):
        if found.get(field):
            yield from _each(f"spec.names.{field}", found[field], names.dns_1035_label(found[field]))
    for field in ("shortNames", "categories"):
        for place, word in enumerate(found.get(field) or ()):
            yield from _each(f"spec.names.{field}[{place}]", word, names.dns_1035_label(word))
    for field in ("kind", "listKind"):
        for complaint in names.dns_1035_label((found.get(field) or "x").lower()):
            words = f"may have mixed case, but should otherwise match: {complaint}"
            yield FieldError(f"spec.names.{field}", INVALID, found[field], words)
    if found["kind"] == found.get("listKind"):
        yield FieldError("spec.names.listKind", INVALID, found["listKind"], "kind and listKind may not be the same")


def _conversion(spec: Object) -> Errors:
    strategy, webhook = get_path(spec, "conversion.strategy", "None"), get_path(spec, "conversion.webhook")
    if strategy == "Webhook":
        yield from _conversion_webhook(webhook or {})
    elif strategy != "None":
        yield _unsupported("spec.conversion.strategy", strategy, ("None", "Webhook"))
    elif webhook is not None:
        words = "should not be set when strategy is not set to Webhook"
        yield FieldError("spec.conversion.webhookClientConfig", FORBIDDEN, detail=words)


def _conversion_webhook(webhook: Object) -> Errors:
    path = "spec.conversion"
    if webhook.get("clientConfig") is None:
        words = "required when strategy is set to Webhook"
        yield FieldError(f"{path}.webhookClientConfig", REQUIRED, detail=words)
    else:
        yield from client_config(webhook["clientConfig"], f"{path}.webhookClientConfig")
    yield from review_versions(webhook.get("conversionReviewVersions") or [], f"{path}.conversionReviewVersions")


def _versions(versions: list[Object]) -> Errors:
    found = [version["name"] for version in versions]
    if not found:
        yield FieldError("spec.versions", REQUIRED, detail="must have at least one version")
    if len(set(found)) != len(found):
        yield FieldError("spec.versions", INVALID, found, "must contain unique version names")
    if sum(bool(version["storage"]) for version in versions) != 1:
        yield FieldError("spec.versions", INVALID, found, "must have exactly one version marked as storage version")
    for place, version in enumerate(versions):
        yield from _version(version, f"spec.versions[{place}]")


def _version(version: Object, path: str) -> Errors:
    yield from _each(f"{path}.name", version["name"], names.dns_1035_label(version["name"]))
    if version.get("deprecationWarning") and not version.get("deprecated"):
        words = "can only be set for deprecated versions"
        yield FieldError(f"{path}.deprecationWarning", INVALID, version["deprecationWarning"], words)
    document = get_path(version, "schema.openAPIV3Schema")
    if document is None:
        yield FieldError(f"{path}.schema.openAPIV3Schema", REQUIRED, detail="schemas are required")
        return
    yield from crd_structure.complaints(document, f"{path}.schema.openAPIV3Schema")
    yield from _scale(get_path(version, "subresources.scale"), f"{path}.subresources.scale")
    yield from _columns(version.get("additionalPrinterColumns") or [], f"{path}.additionalPrinterColumns")
    yield from _selectable(version.get("selectableFields") or [], document, f"{path}.selectableFields")


def _scale(scale: Object | None, path: str) -> Errors:
    for field, root in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        if scale is not None and not scale[field].startswith(root):
            yield FieldError(f"{path}.{field}", INVALID, scale[field], f"should be a json path under {root[:-1]}")
    selector = (scale or {}).get("labelSelectorPath")
    if selector and not selector.startswith((".spec.", ".status.")):
        words = "should be a json path under either .spec or .status"
        yield FieldError(f"{path}.labelSelectorPath", INVALID, selector, words)


def _columns(columns: list[Object], path: str) -> Errors:
    for place, column in enumerate(columns):
        if column["type"] not in COLUMN_TYPES:
            yield _unsupported(f"{path}[{place}].type", column["type"], COLUMN_TYPES)
        try:
            jsonpath.Template(jsonpath.relaxed(column["jsonPath"]))
        except jsonpath.JsonPathError as error:
            yield FieldError(f"{path}[{place}].jsonPath", INVALID, column["jsonPath"], str(error))


def _selectable(fields: list[Object], document: Object, path: str) -> Errors:
    if len(fields) > MOST_SELECTABLE:
        yield FieldError(path, TOO_MANY, len(fields), f"must have at most {MOST_SELECTABLE} items")
    seen: set[str] = set()
    for place, field in enumerate(fields):
        found = field["jsonPath"]
        below: Any = document
        for part in found.lstrip(".").split("."):
            below = (below.get("properties") or {}).get(part) or {}
        if not found.startswith(".") or below.get("type") not in SCALARS:
            words = "must point to a field of type string, boolean or integer"
            yield FieldError(f"{path}[{place}].jsonPath", INVALID, found, words)
        if found in seen:
            yield FieldError(f"{path}[{place}].jsonPath", DUPLICATE, found)
        seen.add(found)


def change(crd: Object, old: Object) -> Errors:
    """Group, scope and kind stay as they are, and so do the versions that objects may still be kept in."""
    for path in ("spec.group", "spec.scope", "spec.names.kind", "spec.names.plural"):
        if get_path(crd, path) != get_path(old, path):
            yield FieldError(path, INVALID, get_path(crd, path), IMMUTABLE)
    found = {version["name"] for version in crd["spec"]["versions"]}
    for place, name in enumerate(get_path(old, "status.storedVersions") or (storage_version(old),)):
        if name not in found:
            words = (f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                     "spec.versions until a storage migration ensures no data remains persisted in "
                     f"{name} and removes {name} from status.storedVersions")  # fmt: skip
            yield FieldError(f"status.storedVersions[{place}]", INVALID, name, words)
