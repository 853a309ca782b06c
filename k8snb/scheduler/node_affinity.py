"""NodeAffinity: a pod says by labels on which nodes it may run (`nodeSelector`, required) and would like to run
(preferred).

Interface: the plug-in, whose argument `added_affinity` holds for every pod of a profile; `meets_required` and, for one
term of a node selector, `matches_term`.
Source: `pkg/scheduler/framework/plugins/nodeaffinity`, `component-helpers/scheduling/corev1/nodeaffinity`.
"""

from __future__ import annotations

from collections.abc import Mapping

from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import NODE_ADDED, NODE_LABELS, Cycle, Plugin, Reason, highest_is_best

REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
NO_MATCH = "node(s) didn't match Pod's node affinity/selector"
NO_ADDED_MATCH = "node(s) didn't match scheduler-enforced node affinity"


class NodeAffinity(Plugin):
    name = "NodeAffinity"
    resolvable = False
    normalizes = True
    wakes_on = frozenset((NODE_ADDED, NODE_LABELS))

    def __init__(self, *, added_affinity: Object | None = None) -> None:
        self._added: Object = added_affinity or {}

    def begin(self, cycle: Cycle) -> bool:
        return bool(self._added.get(PREFERRED) or get_path(cycle.pod, f"spec.affinity.nodeAffinity.{PREFERRED}"))

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        if self._added and not _meets(self._added.get(REQUIRED), node):
            return NO_ADDED_MATCH
        return None if meets_required(pod, node) else NO_MATCH

    def score(self, pod: Object, node: NodeInfo) -> int:
        """The weights of the preferences that the node meets, added up."""
        own = get_path(pod, f"spec.affinity.nodeAffinity.{PREFERRED}") or ()
        preferences = [*own, *self._added.get(PREFERRED, ())]
        return sum(one["weight"] for one in preferences if matches_term(one["preference"], node))

    def normalize(self, scores: list[int]) -> list[int]:
        return highest_is_best(scores)


def meets_required(pod: Object, node: NodeInfo) -> bool:
    """Whether a node has the labels of `nodeSelector` and one of the terms of the required affinity."""
    wanted: Mapping[str, str] = pod["spec"].get("nodeSelector") or {}
    if not wanted.items() <= node.labels.items():
        return False
    return _meets(get_path(pod, f"spec.affinity.nodeAffinity.{REQUIRED}"), node)


def _meets(required: Object | None, node: NodeInfo) -> bool:
    return required is None or any(matches_term(term, node) for term in required.get("nodeSelectorTerms") or ())


def matches_term(term: Object, node: NodeInfo) -> bool:
    """Whether a node meets all expressions on labels and fields of a term; an empty term matches no node."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    by_labels = from_label_selector({"matchExpressions": expressions}).matches(node.labels)
    return by_labels and all(_matches_field(field, node) for field in fields)


def _matches_field(field: Object, node: NodeInfo) -> bool:
    """The only field that nodes are selected by is `metadata.name`."""
    named = node.name in (field.get("values") or ())
    return named if field["operator"] == "In" else not named
