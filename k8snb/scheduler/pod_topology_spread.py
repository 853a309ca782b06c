"""PodTopologySpread: pods that belong together go to different nodes and zones.

Interface: the plug-in. A pod says in `topologySpreadConstraints` how uneven it may get (`maxSkew`), where that is a
rule (DoNotSchedule) and where a wish (ScheduleAnyway); for pods of a controller that say nothing there is upstream's
system default (maxSkew 3 over nodes, 5 over zones, ScheduleAnyway), or the profile's argument `default_constraints`.
The rule not to break: counts come from the cache, by controller and by shape of pod; no pod is looked at.
Source: `pkg/scheduler/framework/plugins/podtopologyspread` in the kubernetes repository, which finds the pods that
belong together by default through Services and the selectors of controllers; here they have the same controller.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, labels_of, namespace_of
from k8snb.apimachinery.selectors import Selector, from_label_selector
from k8snb.apimachinery.taints import NO_EXECUTE, NO_SCHEDULE, untolerated
from k8snb.scheduler.cache import Cache, NodeInfo
from k8snb.scheduler.framework import (
    MAX_SCORE,
    NODE_ADDED,
    NODE_LABELS,
    NODE_TAINTS,
    POD_GONE,
    POD_LABELS,
    POD_PLACED,
    Cycle,
    Plugin,
    Reason,
    Unresolvable,
)
from k8snb.scheduler.node_affinity import meets_required
from k8snb.scheduler.pod_terms import with_label_keys

NODE_SKEW, ZONE_SKEW = 3, 5
HOSTNAME = "kubernetes.io/hostname"
HARD, SOFT = "DoNotSchedule", "ScheduleAnyway"
UNEVEN = "node(s) didn't match pod topology spread constraints"
NO_LABEL = Unresolvable(f"{UNEVEN} (missing required label)")
IGNORED = -1  # the raw score of a node without the labels that the wishes name
KEPT = 64  # templates whose nodes are remembered


class Rule(NamedTuple):
    """A constraint, ready to count by."""

    key: str
    max_skew: int
    min_domains: int
    selector: Selector
    own: int  # 1 where it counts the pod itself
    affinity: bool  # whether nodes out of the pod's reach by affinity are left out
    taints: bool


class Counted(NamedTuple):
    """A rule with the pods in each domain, and the fewest."""

    rule: Rule
    pods: Counter[str]
    fewest: int


class Eligible(NamedTuple):
    """The nodes that take part for a template: {node: its value of each rule's key}, at one state of the nodes."""

    generation: int
    spec: Object
    nodes: list[dict[str, str]]  # in the order of the rules


class PodTopologySpread(Plugin):
    name = "PodTopologySpread"
    local = False
    normalizes = True
    wakes_on = frozenset((NODE_ADDED, NODE_LABELS, NODE_TAINTS, POD_GONE, POD_PLACED, POD_LABELS))

    def __init__(self, *, default_constraints: Sequence[Object] | None = None) -> None:
        self._defaults = default_constraints
        self._group = ""
        self._cache = Cache()
        self._hard: list[Counted] = []
        self._soft: list[Rule] = []
        self._eligible: dict[tuple[str, str], Eligible] = {}

    def concerns(self, pod: Object) -> bool:
        return bool(pod["spec"].get("topologySpreadConstraints") or self._defaults)

    def hint(self, pod: Object, event: str, other: Object) -> bool:
        if namespace_of(pod) != namespace_of(other):
            return False
        return any(rule.selector.matches(labels_of(other)) for rule in self._rules(pod, HARD))

    def _rules(self, pod: Object, sort: str) -> list[Rule]:
        labels = labels_of(pod)
        listed = pod["spec"].get("topologySpreadConstraints") or self._defaults or ()
        return [_rule(each, labels) for each in listed if each["whenUnsatisfiable"] == sort]

    # filter

    def pre_filter(self, cycle: Cycle) -> Reason:
        rules = self._rules(cycle.pod, HARD)
        self._hard = []
        for rule, pods in zip(rules, self._counts(cycle, rules, HARD), strict=True):
            fewest = min(pods.values(), default=0) if len(pods) >= rule.min_domains else 0
            self._hard.append(Counted(rule, pods, fewest))
        return None

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        for rule, pods, fewest in self._hard:
            domain = node.labels.get(rule.key)
            if domain is None:
                return NO_LABEL
            if pods.get(domain, 0) + rule.own - fewest > rule.max_skew:
                return UNEVEN
        return None

    # counting

    def _counts(self, cycle: Cycle, rules: list[Rule], sort: str) -> list[Counter[str]]:
        """The pods in every domain of each rule; a domain without any is there, too."""
        counts = []
        for rule, nodes in zip(rules, self._domains(cycle, rules, sort), strict=True):
            pods: Counter[str] = Counter(dict.fromkeys(nodes.values(), 0))
            for places in cycle.cache.index.matching(namespace_of(cycle.pod), rule.selector):
                for name, number in () if places.shape.terminating else places.nodes.items():
                    if name in nodes:
                        pods[nodes[name]] += number
            counts.append(pods)
        return counts

    def _domains(self, cycle: Cycle, rules: list[Rule], sort: str) -> list[dict[str, str]]:
        """The nodes that take part, by rule; remembered for a template until a node itself changes."""
        key, spec, generation = (sort, cycle.group), cycle.pod["spec"], cycle.cache.node_generation
        known = self._eligible.pop(key, None) if cycle.group else None
        if known is None or known.generation != generation or not (known.spec is spec or known.spec == spec):
            known = Eligible(generation, spec, _eligible(cycle.pod, cycle.cache.nodes, rules))
        if cycle.group:
            self._eligible[key] = known
            if len(self._eligible) > KEPT:
                self._eligible.pop(next(iter(self._eligible)))
        return known.nodes

    # score

    def begin(self, cycle: Cycle) -> bool:
        self._cache, self._group = cycle.cache, cycle.group
        self._soft = []
        if not self.concerns(cycle.pod):
            return bool(cycle.group)
        self._soft = self._rules(cycle.pod, SOFT)
        if self._soft:
            self._pods = self._counts(cycle, self._soft, SOFT)
        return bool(self._soft)

    def score_all(self, pod: Object, nodes: Sequence[NodeInfo]) -> list[int]:
        """The pods in the node's domains, weighed so that few large zones count as much as many nodes. Low is good."""
        return self._by_wishes(nodes) if self._soft else self._by_default(nodes)

    def _by_wishes(self, nodes: Sequence[NodeInfo]) -> list[int]:
        rules = self._soft
        taking_part = [node for node in nodes if all(rule.key in node.labels for rule in rules)]
        sizes = [len(taking_part) if rule.key == HOSTNAME else len({node.labels[rule.key] for node in taking_part})
                 for rule in rules]  # fmt: skip
        parts = [(rule, pods, math.log(size + 2)) for rule, pods, size in zip(rules, self._pods, sizes, strict=True)]
        names = {node.name for node in taking_part}
        return [_wish(node, parts) if node.name in names else IGNORED for node in nodes]

    def _by_default(self, nodes: Sequence[NodeInfo]) -> list[int]:
        group = self._group
        weight = math.log(len(nodes) + 2)
        in_zone = self._zone_scores({node.zone for node in nodes})
        return [int(node.groups.get(group, 0) * weight + in_zone[node.zone]) for node in nodes]

    def _zone_scores(self, zones: set[str]) -> dict[str, float]:
        """What every node of a zone has in common; the half makes cutting off round."""
        named = zones - {""}
        weight = math.log(len(named) + 2)
        counts = {zone: self._cache.zone_groups.get((self._group, zone), 0) for zone in named}
        parts = {zone: count * weight + ZONE_SKEW - 1 for zone, count in counts.items()}
        return {zone: parts.get(zone, 0.0) + NODE_SKEW - 1 + 0.5 for zone in zones}

    def score(self, pod: Object, node: NodeInfo) -> int:
        return self.score_all(pod, [node])[0]

    def normalize(self, scores: list[int]) -> list[int]:
        counted = [score for score in scores if score != IGNORED] or [0]
        low, high = min(counted), max(counted)
        if not high:
            return [0 if score == IGNORED else MAX_SCORE for score in scores]
        return [0 if score == IGNORED else MAX_SCORE * (high + low - score) // high for score in scores]


def _rule(constraint: Object, labels: dict[str, str]) -> Rule:
    selector = from_label_selector(with_label_keys(constraint, labels))
    return Rule(
        constraint["topologyKey"],
        constraint["maxSkew"],
        constraint.get("minDomains") or 1,
        selector,
        int(selector.matches(labels)),
        constraint.get("nodeAffinityPolicy", "Honor") == "Honor",
        constraint.get("nodeTaintsPolicy", "Ignore") == "Honor",
    )


def _eligible(pod: Object, nodes: Sequence[NodeInfo], rules: list[Rule]) -> list[dict[str, str]]:
    """A node takes part where it has the labels that all the rules name, and what a rule honors does not forbid it."""
    labelled = [node for node in nodes if all(rule.key in node.labels for rule in rules)]
    near = {node.name for node in labelled if meets_required(pod, node)} if rules else set()
    tolerations = pod["spec"].get("tolerations") or ()
    hard = (NO_SCHEDULE, NO_EXECUTE)
    open_nodes = {node.name for node in labelled if not node.taints or not untolerated(node.taints, tolerations, hard)}
    return [
        {node.name: node.labels[rule.key] for node in labelled
         if (not rule.affinity or node.name in near) and (not rule.taints or node.name in open_nodes)}
        for rule in rules
    ]  # fmt: skip


def _wish(node: NodeInfo, parts: list[tuple[Rule, Counter[str], float]]) -> int:
    total = sum(pods.get(node.labels[rule.key], 0) * weight + rule.max_skew - 1 for rule, pods, weight in parts)
    return int(total + 0.5)
