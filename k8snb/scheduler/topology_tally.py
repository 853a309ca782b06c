"""The tally of a spreading constraint: how many pods it counts in each domain, kept up node by node.

Interface: `Tally(rule, …)`: `refresh(cache)`, then `pods`, `domains` and `fewest`; `Rule` is a constraint, ready to
count by.
The rule not to break: a node is counted again when it has changed, and else not.
Upstream counts anew for each pod (`calPreFilterState` in `pkg/scheduler/framework/plugins/podtopologyspread`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from k8snb.apimachinery.selectors import Selector
from k8snb.scheduler.cache import Cache, NodeInfo
from k8snb.scheduler.pod_index import Shape

KEPT_SHAPES = 10_000  # shapes of which it is remembered whether they count


class Rule(NamedTuple):
    """A constraint. `affinity` and `taints`: whether nodes that the pod cannot have for those are left out."""

    key: str
    max_skew: int
    min_domains: int
    selector: Selector
    own: int  # 1 where it counts the pod itself
    affinity: bool
    taints: bool


class Counted(NamedTuple):
    """What a node brings to its domain."""

    domain: str
    pods: int


class Tally:
    """`takes_part(node)`: whether a node's pods count."""

    def __init__(self, rule: Rule, namespace: str, takes_part: Callable[[NodeInfo], bool]) -> None:
        self.rule = rule
        self._namespace = namespace
        self._takes_part = takes_part
        self._generation = -1
        self._clear()

    def _clear(self) -> None:
        self.pods: dict[str, int] = {}  # by domain; those with none are there, too
        self.nodes: dict[str, int] = {}  # by domain
        self._levels: Counter[int] = Counter()  # how many domains have so many pods
        self._counted: dict[str, Counted] = {}  # by node
        self._matches: dict[Shape, bool] = {}

    @property
    def domains(self) -> int:
        return len(self.pods)

    @property
    def is_by_node(self) -> bool:
        """Whether each domain is one node, so that a domain's pods are those of its node."""
        return len(self.pods) == len(self._counted)

    @property
    def fewest(self) -> int:
        """The pods in the emptiest domain; 0 where there is none, or where there are too few."""
        return min(self._levels, default=0) if len(self.pods) >= self.rule.min_domains else 0

    def refresh(self, cache: Cache) -> None:
        changed = cache.changed_since(self._generation)
        if changed is None:
            self._clear()
            changed = cache.nodes
        for node in changed:
            self._count(node)
        self._generation = cache.generation

    def _count(self, node: NodeInfo) -> None:
        before = self._counted.pop(node.name, None)
        if before is not None:
            self._add(before.domain, -before.pods, -1)
        if node.node is not None and self._takes_part(node):
            now = self._counted[node.name] = Counted(node.labels[self.rule.key], self._pods_on(node))
            self._add(now.domain, now.pods, 1)

    def _add(self, domain: str, pods: int, nodes: int) -> None:
        before = self.pods.get(domain)
        if before is not None:
            self._levels[before] -= 1
            if not self._levels[before]:
                del self._levels[before]
        self.nodes[domain] = self.nodes.get(domain, 0) + nodes
        if self.nodes[domain]:
            now = self.pods[domain] = (before or 0) + pods
            self._levels[now] += 1
        else:
            del self.nodes[domain], self.pods[domain]

    def _pods_on(self, node: NodeInfo) -> int:
        return sum([pods for shape, pods in node.shapes.items() if self._matched(shape)])

    def _matched(self, shape: Shape) -> bool:
        known = self._matches.get(shape)
        if known is None:
            if len(self._matches) >= KEPT_SHAPES:
                self._matches.clear()
            here = shape.namespace == self._namespace and not shape.terminating
            known = self._matches[shape] = here and self.rule.selector.matches(dict(shape.labels))
        return known
