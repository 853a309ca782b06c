"""Terms of pod affinity and label selectors of spreading: which other pods a pod speaks of.

Interface: `terms_of(affinity, field, …)` makes `Term`s; `with_label_keys` adds what `matchLabelKeys` and
`mismatchLabelKeys` mean to a selector.
Source: `AffinityTerm` of `framework.PodInfo` and, for the label keys, `applyMatchLabelKeysAndMismatchLabelKeys` of
`pkg/registry/core/pod/strategy.go` in the kubernetes repository; there the apiserver writes them into the pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.selectors import Selector, from_label_selector

REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
AFFINITY, ANTI_AFFINITY = "podAffinity", "podAntiAffinity"
Labels = Mapping[str, str]


class Term(NamedTuple):
    """Pods of some namespaces that a selector picks, and the node label within whose value they are near."""

    key: str
    selector: Selector
    namespaces: frozenset[str]
    namespace_selector: Selector
    weight: int = 0

    def matches(self, namespace: str, labels: Labels, namespace_labels: Labels) -> bool:
        here = namespace in self.namespaces or self.namespace_selector.matches(namespace_labels)
        return here and self.selector.matches(labels)


def terms_of(affinity: Object | None, kind: str, strength: str, *, namespace: str, labels: Labels) -> list[Term]:
    """The terms of a pod of this namespace with these labels; the weight of required ones is 0."""
    listed = ((affinity or {}).get(kind) or {}).get(strength) or ()
    if strength == REQUIRED:
        return [_term(each, 0, namespace, labels) for each in listed]
    return [_term(each["podAffinityTerm"], each["weight"], namespace, labels) for each in listed]


def _term(term: Object, weight: int, namespace: str, labels: Labels) -> Term:
    selector = with_label_keys(term, labels)
    names = frozenset(term.get("namespaces") or ())
    if not names and term.get("namespaceSelector") is None:
        names = frozenset((namespace,))
    chosen = from_label_selector(term.get("namespaceSelector"))
    return Term(term["topologyKey"], from_label_selector(selector), names, chosen, weight)


def with_label_keys(term: Object, labels: Labels) -> Object | None:
    """The term's label selector, and for each of the named labels that the pod has: the same value, or another one."""
    selector: Object | None = term.get("labelSelector")
    if selector is None:
        return None
    added = [*_requirements(term.get("matchLabelKeys"), "In", labels),
             *_requirements(term.get("mismatchLabelKeys"), "NotIn", labels)]  # fmt: skip
    return {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *added]} if added else selector


def _requirements(keys: Iterable[str] | None, operator: str, labels: Labels) -> list[Object]:
    return [{"key": key, "operator": operator, "values": [labels[key]]} for key in keys or () if key in labels]
