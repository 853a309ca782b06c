"""kube-scheduler's algorithm: filter the nodes, score those that are left, choose.

Interface: `Algorithm(cache, dice).choose(pod, now)` answers a `Result`.
The rule not to break: it reads the cache and writes nothing.
Source: `pkg/scheduler/schedule_one.go` in the kubernetes repository.

Pods of one template share answers: what local plug-ins say about a node holds for the next pod of the template until
the node changes (`generation`), so that a hundred equal pods cost one evaluation of every node and one more for each
pod placed.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, key_of, uid_of
from k8snb.scheduler.cache import Cache, NodeInfo, group_of
from k8snb.scheduler.decision import KEPT_NODES, Decision
from k8snb.scheduler.framework import Cycle, Plugin
from k8snb.scheduler.plugins import PLUGINS, Row
from k8snb.scheduler.requests import Request, request_of

MIN_FEASIBLE, MIN_PERCENTAGE = 100, 5
KEPT_TEMPLATES = 64
NO_NODES = "no nodes available to schedule pods"


class Verdict(NamedTuple):
    """What the local plug-ins say about a template on a node, at one generation of that node."""

    generation: int
    plugin: str = ""
    reasons: tuple[str, ...] = ()
    parts: tuple[int, ...] = ()  # scores before weighing, in the order of the local scorers


@dataclass(slots=True)
class Template:
    """Pods with the same spec and owner, and what has been found out about them."""

    spec: Object
    request: Request
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    refused_at: int = -1  # generation of the cache at which no node was left
    refusal: Result | None = None


class Result(NamedTuple):
    """`node` is "" where none was left; `refused_by` then names the plug-ins that refused."""

    node: str
    request: Request
    decision: Decision
    refused_by: frozenset[str] = frozenset()


class Scorer(NamedTuple):
    plugin: Plugin
    weight: int


class Algorithm:
    def __init__(self, cache: Cache, dice: random.Random, rows: Iterable[Row] = PLUGINS) -> None:
        self._cache = cache
        self._random = dice
        made = [(row, row.plugin()) for row in rows]
        self.plugins = [plugin for _, plugin in made]
        self._filters = [plugin for row, plugin in made if row.filters and plugin.local]
        self._shared_filters = [plugin for row, plugin in made if row.filters and not plugin.local]
        scorers = [Scorer(plugin, row.weight) for row, plugin in made if row.weight]
        self._local = [scorer for scorer in scorers if scorer.plugin.local]
        self._shared = [scorer for scorer in scorers if not scorer.plugin.local]
        self._templates: dict[str, Template] = {}
        self._next_start = 0

    def choose(self, pod: Object, now: float) -> Result:
        """The best node for a pod, or why there is none."""
        template = self._template(pod)
        concerned = [plugin for plugin in self._shared_filters if plugin.concerns(pod)]
        if not concerned and template.refusal is not None and template.refused_at == self._cache.generation:
            return template.refusal._replace(decision=_about(pod, now, template.refusal.decision))
        cycle = Cycle(pod, template.request, group_of(pod), self._cache)
        hopeless = self._pre_filter(cycle, concerned)
        if hopeless is not None and self._cache.nodes:
            return self._hopeless(pod, template, hopeless, now)
        telling = {plugin.name for plugin in self.plugins if plugin.begin(cycle)}
        feasible, refused = self._filter(pod, template, concerned)
        if not feasible:
            result = self._refused(pod, template, refused, now)
            if not concerned:
                template.refusal, template.refused_at = result, self._cache.generation
            return result
        columns = self._score(pod, feasible, template, telling)
        totals = list(map(sum, zip(*columns.values(), strict=True))) if columns else [0] * len(feasible)
        best = max(totals)
        winner = self._random.choice([at for at, total in enumerate(totals) if total == best])
        decision = _decided(pod, now, feasible, columns, totals, winner, refused)
        return Result(feasible[winner].name, template.request, decision)

    # templates

    def _template(self, pod: Object) -> Template:
        """What is known about pods like this one. Only pods of one controller can be alike."""
        group, spec = group_of(pod), pod["spec"]
        known = self._templates.get(group) if group else None
        if known is not None and (known.spec is spec or known.spec == spec):
            return known
        template = Template(spec, request_of(pod))
        if group:
            self._templates.pop(group, None)
            self._templates[group] = template
            if len(self._templates) > KEPT_TEMPLATES:
                self._templates.pop(next(iter(self._templates)))
        return template

    # filter

    @staticmethod
    def _pre_filter(cycle: Cycle, concerned: list[Plugin]) -> Verdict | None:
        """Why no node will do, from the first plug-in that says so."""
        for plugin in concerned:
            reason = plugin.pre_filter(cycle)
            if reason:
                return Verdict(0, plugin.name, (reason,) if isinstance(reason, str) else reason)
        return None

    def _hopeless(self, pod: Object, template: Template, verdict: Verdict, now: float) -> Result:
        text = ", ".join(verdict.reasons)
        nodes = [node.name for node in self._cache.nodes]
        decision = Decision(
            key_of(pod),
            uid_of(pod),
            now,
            message=f"0/{len(nodes)} nodes are available: {text}.",
            refusals=dict.fromkeys(_first(nodes), (verdict.plugin, text)),
            counts=Counter({text: len(nodes)}),
        )
        return Result("", template.request, decision, frozenset((verdict.plugin,)))

    def _filter(
        self, pod: Object, template: Template, concerned: list[Plugin]
    ) -> tuple[list[NodeInfo], dict[str, Verdict]]:
        """The nodes that are left, as many as are worth scoring, and the verdict on each that is not."""
        nodes, wanted = self._cache.nodes, feasible_to_find(len(self._cache.nodes))
        start = self._next_start % len(nodes) if nodes else 0
        feasible: list[NodeInfo] = []
        refused: dict[str, Verdict] = {}
        verdicts = template.verdicts
        for node in itertools.chain(itertools.islice(nodes, start, None), itertools.islice(nodes, start)):
            verdict = verdicts.get(node.name)
            if verdict is None or verdict.generation != node.generation:
                verdict = verdicts[node.name] = self._judge(pod, node)
            if concerned and not verdict.reasons:
                verdict = _first_refusal(pod, node, concerned) or verdict
            if verdict.reasons:
                refused[node.name] = verdict
                continue
            feasible.append(node)
            if len(feasible) == wanted:
                break
        self._next_start = start + len(feasible) + len(refused)
        return feasible, refused

    def _judge(self, pod: Object, node: NodeInfo) -> Verdict:
        refusal = _first_refusal(pod, node, self._filters)
        if refusal is not None:
            return refusal
        return Verdict(node.generation, parts=tuple(scorer.plugin.score(pod, node) for scorer in self._local))

    def _refused(self, pod: Object, template: Template, refused: dict[str, Verdict], now: float) -> Result:
        counts = Counter(reason for verdict in refused.values() for reason in verdict.reasons)
        kept = {node: (refused[node].plugin, ", ".join(refused[node].reasons)) for node in _first(refused)}
        decision = Decision(
            key_of(pod), uid_of(pod), now, message=message_of(len(refused), counts), refusals=kept, counts=counts
        )
        by = frozenset(verdict.plugin for verdict in refused.values())
        return Result("", template.request, decision, by or frozenset(plugin.name for plugin in self.plugins))

    # score

    def _score(self, pod: Object, nodes: list[NodeInfo], template: Template, telling: set[str]) -> dict[str, list[int]]:
        """A column of weighed scores for each plug-in that can tell these nodes apart."""
        columns: dict[str, list[int]] = {}
        parts = [template.verdicts[node.name].parts for node in nodes]
        for at, (plugin, weight) in enumerate(self._local):
            if plugin.name in telling:
                columns[plugin.name] = _weighed(plugin, weight, [part[at] for part in parts])
        for plugin, weight in self._shared:
            if plugin.name in telling:
                columns[plugin.name] = _weighed(plugin, weight, plugin.score_all(pod, nodes))
        return columns


def _first_refusal(pod: Object, node: NodeInfo, filters: Iterable[Plugin]) -> Verdict | None:
    for plugin in filters:
        reason = plugin.filter(pod, node)
        if reason:
            return Verdict(node.generation, plugin.name, (reason,) if isinstance(reason, str) else reason)
    return None


def _weighed(plugin: Plugin, weight: int, scores: list[int]) -> list[int]:
    normal = plugin.normalize(scores) if plugin.normalizes else scores
    return [score * weight for score in normal] if weight != 1 else normal


def feasible_to_find(nodes: int) -> int:
    """How many feasible nodes are enough: all up to a hundred, then a share that falls from 50 % to 5 %."""
    if nodes <= MIN_FEASIBLE:
        return nodes
    percentage = max(50 - nodes // 125, MIN_PERCENTAGE)
    return max(nodes * percentage // 100, MIN_FEASIBLE)


def message_of(nodes: int, counts: Counter[str]) -> str:
    """`0/4 nodes are available: 1 node(s) were unschedulable, 3 Insufficient cpu.`"""
    if not nodes:
        return NO_NODES
    reasons = sorted(f"{count} {reason}" for reason, count in counts.items())
    return f"0/{nodes} nodes are available: {', '.join(reasons)}."


def _first(names: Iterable[str]) -> list[str]:
    return list(names)[:KEPT_NODES]


def _about(pod: Object, now: float, like: Decision) -> Decision:
    """The same decision about another pod."""
    return Decision(key_of(pod), uid_of(pod), now, like.node, like.message, like.refusals, like.scores, like.counts)


def _decided(
    pod: Object,
    now: float,
    nodes: list[NodeInfo],
    columns: dict[str, list[int]],
    totals: list[int],
    winner: int,
    refused: dict[str, Verdict],
) -> Decision:
    kept: Iterable[int] = range(len(nodes))
    if len(nodes) > KEPT_NODES:
        kept = {winner, *sorted(kept, key=totals.__getitem__, reverse=True)[: KEPT_NODES - 1]}
    return Decision(
        key_of(pod),
        uid_of(pod),
        now,
        nodes[winner].name,
        refusals={node: (refused[node].plugin, ", ".join(refused[node].reasons)) for node in _first(refused)},
        scores={nodes[at].name: {name: column[at] for name, column in columns.items()} for at in kept},
        counts=Counter(reason for verdict in refused.values() for reason in verdict.reasons),
    )
