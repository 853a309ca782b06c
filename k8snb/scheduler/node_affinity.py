"""NodeAffinity: a pod says by labels on which nodes it may run (`nodeSelector`, required) and would like to run
(preferred).

Interface: the plug-in, and `matches_term` for one term of a node selector.
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


class NodeAffinity(Plugin):
    name = "NodeAffinity"
    normalizes = True
    wakes_on = frozenset((NODE_ADDED, NODE_LABELS))

    def begin(self, cycle: Cycle) -> bool:
        return bool(get_path(cycle.pod, f"spec.affinity.nodeAffinity.{PREFERRED}"))

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        wanted: Mapping[str, str] = pod["spec"].get("nodeSelector") or {}
        if not wanted.items() <= node.labels.items():
            return NO_MATCH
        required = get_path(pod, f"spec.affinity.nodeAffinity.{REQUIRED}")
        if required is None or any(matches_term(term, node) for term in required.get("nodeSelectorTerms") or ()):
            return None
        return NO_MATCH

    def score(self, pod: Object, node: NodeInfo) -> int:
        """The weights of the preferences that the node meets, added up."""
        preferences = get_path(pod, f"spec.affinity.nodeAffinity.{PREFERRED}") or ()
        return sum(one["weight"] for one in preferences if matches_term(one["preference"], node))

    def normalize(self, scores: list[int]) -> list[int]:
        return highest_is_best(scores)


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
