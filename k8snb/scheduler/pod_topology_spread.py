"""PodTopologySpread: pods that belong together go to different nodes and zones.

Interface: the plug-in. A pod says in `topologySpreadConstraints` how uneven it may get (`maxSkew`), where that is a
rule (DoNotSchedule) and where a wish (ScheduleAnyway); for pods of a controller that say nothing there is upstream's
system default (maxSkew 3 over nodes, 5 over zones, ScheduleAnyway), or the profile's argument `default_constraints`.
The rule not to break: counts come from the cache, by controller and by shape of pod; no pod is looked at.
Source: `pkg/scheduler/framework/plugins/podtopologyspread` in the kubernetes repository, which finds the pods that
belong together by default through Services and the selectors of controllers; here they have the same controller.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, labels_of, namespace_of
from k8snb.apimachinery.node_selector import admits
from k8snb.apimachinery.selectors import from_label_selector
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
    SKIP,
    Cycle,
    Plugin,
    Reason,
    Skip,
    Unresolvable,
)
from k8snb.scheduler.pod_terms import with_label_keys
from k8snb.scheduler.topology_tally import Rule, Tally

NODE_SKEW, ZONE_SKEW = 3, 5
HOSTNAME = "kubernetes.io/hostname"
HARD, SOFT = "DoNotSchedule", "ScheduleAnyway"
UNEVEN = "node(s) didn't match pod topology spread constraints"
NO_LABEL = Unresolvable(f"{UNEVEN} (missing required label)")
IGNORED = -1  # the raw score of a node without the labels that the wishes name
FORBIDDING = (NO_SCHEDULE, NO_EXECUTE)
KEPT_NODES, FEWEST_KEPT = 250_000, 8  # nodes that are counted for templates, over all of them
MOST_DOMAINS = 256  # more sorts of nodes than that are not worth being told apart


class _Likeness(NamedTuple):
    """By what nodes are alike for one rule: the number of pods where each is a domain of its own, else the label."""

    tally: Tally
    by_count: bool


class Counting(NamedTuple):
    """The constraints of one sort of a pod, and what they count; kept for the next pod of its controller."""

    listed: Sequence[Object]
    labels: dict[str, str]
    scope: tuple[object, ...]  # what decides which nodes take part
    rules: list[Rule]
    tallies: list[Tally]


NO_COUNTING = Counting((), {}, (), [], [])


class PodTopologySpread(Plugin):
    name = "PodTopologySpread"
    normalizes = True
    wakes_on = frozenset((NODE_ADDED, NODE_LABELS, NODE_TAINTS, POD_GONE, POD_PLACED, POD_LABELS))

    def __init__(self, *, default_constraints: Sequence[Object] | None = None, defaulting_type: str = "System") -> None:
        if default_constraints and defaulting_type == "System":
            raise ValueError("defaultConstraints: when .defaultingType is System, no default constraints may be given")
        self._defaults = default_constraints
        self._by_system = defaulting_type == "System"
        self._group = ""
        self._is_asked = False  # whether the pod says itself how it is to be spread
        self._cache = Cache()
        self._hard = self._soft = NO_COUNTING
        self._kept: dict[tuple[str, str], Counting] = {}

    def concerns(self, pod: Object) -> bool:
        return bool(pod["spec"].get("topologySpreadConstraints") or self._defaults)

    def hint(self, pod: Object, event: str, other: Object) -> bool:
        if namespace_of(pod) != namespace_of(other):
            return False
        rules = _rules(self._listed(pod), labels_of(pod), HARD)
        return any(rule.selector.matches(labels_of(other)) for rule in rules)

    def _listed(self, pod: Object) -> Sequence[Object]:
        return pod["spec"].get("topologySpreadConstraints") or self._defaults or ()

    # filter

    def pre_filter(self, cycle: Cycle) -> Reason | Skip:
        self._hard = self._counting(cycle, HARD)
        return None if self._hard.rules else SKIP

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        for rule, tally in zip(self._hard.rules, self._hard.tallies, strict=True):
            domain = node.labels.get(rule.key)
            if domain is None:
                return NO_LABEL
            if tally.pods.get(domain, 0) + rule.own - tally.fewest > rule.max_skew:
                return UNEVEN
        return None

    # counting

    def _counting(self, cycle: Cycle, sort: str) -> Counting:
        """The pods in every domain of each rule, as they are now."""
        pod, key = cycle.pod, (sort, cycle.group)
        spec, labels, listed = pod["spec"], labels_of(pod), self._listed(pod)
        scope = spec.get("nodeSelector"), spec.get("affinity"), spec.get("tolerations")
        known = self._kept.pop(key, None) if cycle.group else None
        if known is None or known.listed != listed or known.labels != labels or known.scope != scope:
            rules = _rules(listed, labels, sort)
            same = known is not None and known.rules == rules and known.scope == scope
            tallies = known.tallies if known is not None and same else _tallies(pod, rules)
            known = Counting(listed, labels, scope, rules, tallies)
        if cycle.group:
            self._kept[key] = known
            if len(self._kept) > max(KEPT_NODES // max(len(cycle.cache.nodes), 1), FEWEST_KEPT):
                self._kept.pop(next(iter(self._kept)))
        for tally in known.tallies:
            tally.refresh(cycle.cache)
        return known

    # which nodes are alike

    def alike_by(self, pod: Object) -> Hashable | None:
        """Nodes with the same labels that the rules name; by host name, with the same number of pods."""
        tallies = [*self._hard.tallies, *self._soft.tallies]
        self._alike = [_Likeness(tally, tally.rule.key == HOSTNAME and tally.is_by_node) for tally in tallies]
        if any(tally.domains > MOST_DOMAINS and not by_count for tally, by_count in self._alike):
            return None
        return (*self._alike, "" if self._is_asked else self._group)

    def likeness(self, node: NodeInfo) -> Hashable:
        found = [tally.pods.get(node.labels.get(HOSTNAME, "")) if by_count else node.labels.get(tally.rule.key)
                 for tally, by_count in self._alike]  # fmt: skip
        default = () if self._is_asked else (node.zone, node.groups.get(self._group, 0))
        return (*found, *default, HOSTNAME in node.labels)

    # score

    def begin(self, cycle: Cycle) -> bool:
        self._cache, self._group = cycle.cache, cycle.group
        self._is_asked = self.concerns(cycle.pod)
        if not self._is_asked:
            self._hard = self._soft = NO_COUNTING
            return bool(cycle.group) and self._by_system
        self._soft = self._counting(cycle, SOFT)
        return bool(self._soft.rules)

    def score_all(self, pod: Object, nodes: Sequence[NodeInfo]) -> list[int]:
        return self.score_alike(pod, nodes, [1] * len(nodes))

    def score_alike(self, pod: Object, nodes: Sequence[NodeInfo], numbers: Sequence[int]) -> list[int]:
        """The pods in the node's domains, weighed so that few large zones count as much as many nodes. Low is good."""
        return self._by_wishes(nodes, numbers) if self._soft.rules else self._by_default(nodes, numbers)

    def _by_wishes(self, nodes: Sequence[NodeInfo], numbers: Sequence[int]) -> list[int]:
        rules, tallies = self._soft.rules, self._soft.tallies
        takes_part = [all(rule.key in node.labels for rule in rules) for node in nodes]
        hosts = sum(itertools.compress(numbers, takes_part))
        taking_part = list(itertools.compress(nodes, takes_part))
        sizes = [hosts if rule.key == HOSTNAME else len({node.labels[rule.key] for node in taking_part})
                 for rule in rules]  # fmt: skip
        parts = [(tally, math.log(size + 2)) for tally, size in zip(tallies, sizes, strict=True)]
        return [_wish(node, parts) if counts else IGNORED for node, counts in zip(nodes, takes_part, strict=True)]

    def _by_default(self, nodes: Sequence[NodeInfo], numbers: Sequence[int]) -> list[int]:
        group = self._group
        weight = math.log(sum(numbers) + 2)
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


def _rules(listed: Sequence[Object], labels: dict[str, str], sort: str) -> list[Rule]:
    return [_rule(each, labels) for each in listed if each["whenUnsatisfiable"] == sort]


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


def _tallies(pod: Object, rules: list[Rule]) -> list[Tally]:
    return [Tally(rule, namespace_of(pod), functools.partial(_takes_part, pod["spec"], rules, rule)) for rule in rules]


def _takes_part(spec: Object, rules: list[Rule], rule: Rule, node: NodeInfo) -> bool:
    """A node takes part where it has the labels that all the rules name, and what a rule honors does not forbid it."""
    if any(each.key not in node.labels for each in rules):
        return False
    if rule.affinity and not admits(spec, node.name, node.labels):
        return False
    return not (rule.taints and node.taints and untolerated(node.taints, spec.get("tolerations") or (), FORBIDDING))


def _wish(node: NodeInfo, parts: list[tuple[Tally, float]]) -> int:
    total = sum(
        tally.pods.get(node.labels[tally.rule.key], 0) * weight + tally.rule.max_skew - 1 for tally, weight in parts
    )
    return int(total + 0.5)
