"""Node selectors: on which nodes a pod may run by `nodeSelector` and required node affinity.

Interface: `admits(spec, name, labels)` for a pod's spec, `matches_any` for a node selector, `matches_term` for one term
of it.
The rule not to break: pure; a node is its name and its labels.
Source: `component-helpers/scheduling/corev1/nodeaffinity` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Mapping

from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.selectors import from_label_selector

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
NAME_FIELD = "metadata.name"  # the only field that nodes are selected by


def admits(spec: Object, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a pod with this spec may run on the node, as far as the node's name and labels tell."""
    wanted: Mapping[str, str] = spec.get("nodeSelector") or {}
    if not wanted.items() <= labels.items():
        return False
    affinity = spec.get("affinity")
    return not affinity or matches_any(get_path(affinity, f"nodeAffinity.{REQUIRED}"), name, labels)


def matches_any(selector: Object | None, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a node meets one of the terms of a node selector; without a selector every node does."""
    return selector is None or any(matches_term(term, name, labels) for term in selector.get("nodeSelectorTerms") or ())


def matches_term(term: Object, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a node meets all expressions on labels and fields of a term; an empty term matches no node."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    by_labels = from_label_selector({"matchExpressions": expressions}).matches(labels)
    return by_labels and all(_matches_field(field, name) for field in fields)


def _matches_field(field: Object, name: str) -> bool:
    named = name in (field.get("values") or ())
    return named if field["operator"] == "In" else not named
