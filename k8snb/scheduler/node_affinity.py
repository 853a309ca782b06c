"""NodeAffinity: a pod says by labels on which nodes it may run (`nodeSelector`, required) and would like to run
(preferred).

Interface: the plug-in, whose argument `added_affinity` holds for every pod of a profile.
Source: `pkg/scheduler/framework/plugins/nodeaffinity` in the kubernetes repository.
"""

from __future__ import annotations

from functools import reduce

from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.node_selector import NAME_FIELD, REQUIRED, admits, matches_any, matches_term
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import NODE_ADDED, NODE_LABELS, Cycle, Plugin, Reason, highest_is_best

PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NO_MATCH = "node(s) didn't match Pod's node affinity/selector"
NO_ADDED_MATCH = "node(s) didn't match scheduler-enforced node affinity"


class NodeAffinity(Plugin):
    name = "NodeAffinity"
    local = True
    resolvable = False
    normalizes = True
    wakes_on = frozenset((NODE_ADDED, NODE_LABELS))

    def __init__(self, *, added_affinity: Object | None = None) -> None:
        self._added: Object = added_affinity or {}

    def begin(self, cycle: Cycle) -> bool:
        return bool(self._added.get(PREFERRED) or get_path(cycle.pod, f"spec.affinity.nodeAffinity.{PREFERRED}"))

    def pinned(self, pod: Object) -> frozenset[str] | None:
        """The nodes that the required terms name, where each of them does: so daemon pods find theirs."""
        terms = get_path(pod, f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms") or ()
        named = [_names(term) for term in terms]
        return frozenset().union(*named) if named and None not in named else None  # type: ignore[arg-type]

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        if self._added and not matches_any(self._added.get(REQUIRED), node.name, node.labels):
            return NO_ADDED_MATCH
        return None if admits(pod["spec"], node.name, node.labels) else NO_MATCH

    def score(self, pod: Object, node: NodeInfo) -> int:
        """The weights of the preferences that the node meets, added up."""
        own = get_path(pod, f"spec.affinity.nodeAffinity.{PREFERRED}") or ()
        preferences = [*own, *self._added.get(PREFERRED, ())]
        return sum(one["weight"] for one in preferences if matches_term(one["preference"], node.name, node.labels))

    def normalize(self, scores: list[int]) -> list[int]:
        return highest_is_best(scores)


def _names(term: Object) -> frozenset[str] | None:
    """The nodes that a term names; None where it does not go by names."""
    fields = term.get("matchFields") or ()
    named = [frozenset(each.get("values") or ()) for each in fields
             if each["key"] == NAME_FIELD and each["operator"] == "In"]  # fmt: skip
    return reduce(frozenset.intersection, named) if named else None
