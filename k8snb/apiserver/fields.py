"""kube-apiserver's field selectors: which fields each kind can be selected by.

Interface: `field_selector(kind, text)`. Source: `AddFieldLabelConversionFunc` calls in pkg/apis/*/v1/conversion.go.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import bad_request
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.selectors import FieldSelector, parse_field_selector

EVERY_KIND = ("metadata.name", "metadata.namespace")

SELECTABLE: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
        "reason", "reportingComponent", "source", "type",
    ),
    "namespaces": ("status.phase",),
    "nodes": ("spec.unschedulable",),
    "replicationcontrollers": ("status.replicas",),
    "replicasets": ("status.replicas",),
    "secrets": ("type",),
}  # fmt: skip


def field_selector(kind: Kind, text: str) -> FieldSelector | None:
    """The parsed selector, None for an empty one. Raises BadRequest for a field this kind is not selected by."""
    if not text:
        return None
    try:
        selector = parse_field_selector(text)
    except ValueError as error:
        raise bad_request(f"unable to parse field selector {text!r}: {error}") from None
    allowed = EVERY_KIND + (SELECTABLE.get(kind.plural, ()) if kind.custom is None else kind.custom.selectable)
    for path in selector.fields:
        if path not in allowed:
            raise bad_request(
                f"field label not supported: {path} ({kind.plural} can be selected by {', '.join(sorted(allowed))})"
            )
    return selector
