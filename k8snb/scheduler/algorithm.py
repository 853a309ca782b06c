"""kube-scheduler's algorithm: filter the nodes, score those that are left, choose.

Interface: `Algorithm(cache, dice).choose(pod, now)` answers a `Result`.
The rule not to break: it reads the cache and writes nothing.
Source: `pkg/scheduler/schedule_one.go` in the kubernetes repository.

Pods of one template share answers: what local plug-ins say about a node holds for the next pod of the template until
the node changes (`generation`), so that a hundred equal pods cost one evaluation of every node and one more for each
pod placed.
"""

from __future__ import annotations

import heapq
import itertools
import random
from array import array
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, key_of, uid_of
from k8snb.scheduler.cache import Cache, NodeInfo, group_of
from k8snb.scheduler.decision import KEPT_NODES, Column, Decision
from k8snb.scheduler.default_preemption import priority_of
from k8snb.scheduler.framework import Cycle, Plugin, Unresolvable
from k8snb.scheduler.nominator import Nominator
from k8snb.scheduler.plugins import PLUGINS, Made, Profile, Row
from k8snb.scheduler.requests import Request, request_of

MIN_FEASIBLE, MIN_PERCENTAGE = 100, 5
KEPT_TEMPLATES = 64
NO_NODES = "no nodes available to schedule pods"


class Verdict(NamedTuple):
    """What the local plug-ins say about a template on a node, at one generation of that node."""

    generation: int
    plugin: str = ""
    reasons: tuple[str, ...] = ()
    resolvable: bool = False  # whether it may be for pods that are in the way
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
    resolvable: tuple[str, ...] = ()  # the nodes that refused for what is on them


class Scored(NamedTuple):
    """A plug-in's scores of the nodes that are left."""

    plugin: str
    weight: int
    raw: list[int]
    normal: list[int]


class Scorer(NamedTuple):
    plugin: Plugin
    weight: int


class Algorithm:
    def __init__(
        self,
        cache: Cache,
        dice: random.Random,
        rows: Iterable[Row] = PLUGINS,
        *,
        profile: Profile | None = None,
        nominator: Nominator | None = None,
    ) -> None:
        self._cache = cache
        self._random = dice
        self._nominator = Nominator() if nominator is None else nominator
        self.plugins: list[Plugin] = []
        self._filters: list[Plugin] = []
        self._shared_filters: list[Plugin] = []
        self._local: list[Scorer] = []
        self._shared: list[Scorer] = []
        self._templates: dict[str, Template] = {}
        self._next_start = 0
        for made in (profile or Profile(plugins=tuple(rows))).made():
            self.join(made)

    def join(self, made: Made) -> None:
        """Put a plug-in to work, after those that are there."""
        plugin, filters, weight = made
        self.plugins.append(plugin)
        if filters:
            (self._filters if plugin.local else self._shared_filters).append(plugin)
        if weight:
            (self._local if plugin.local else self._shared).append(Scorer(plugin, weight))
        self._templates.clear()

    def choose(self, pod: Object, now: float) -> Result:
        """The best node for a pod, or why there is none."""
        template = self._template(pod)
        concerned = [plugin for plugin in self._shared_filters if plugin.concerns(pod)]
        shared = not concerned and not self._nominator
        if shared and template.refusal is not None and template.refused_at == self._cache.generation:
            return template.refusal._replace(decision=_about(pod, now, template.refusal.decision))
        cycle = Cycle(pod, template.request, group_of(pod), self._cache)
        hopeless = self._pre_filter(cycle, concerned)
        if hopeless is not None and self._cache.nodes:
            return self._hopeless(pod, template, hopeless, now)
        telling = {plugin.name for plugin in self.plugins if plugin.begin(cycle)}
        refused: dict[str, Verdict] = {}
        feasible = self._on_nominated(cycle, concerned, template)
        if not feasible:
            feasible, refused = self._filter(pod, template, concerned)
        if self._nominator:
            self._make_way(cycle, concerned, feasible, refused)
        if not feasible:
            result = self._refused(pod, template, refused, now)
            if shared:
                template.refusal, template.refused_at = result, self._cache.generation
            return result
        columns = self._score(pod, feasible, template, telling)
        totals = _totals(columns, len(feasible))
        best = max(totals)
        winner = self._random.choice([at for at, total in enumerate(totals) if total == best])
        decision = _decided(pod, now, feasible, columns, totals, winner, refused)
        return Result(feasible[winner].name, template.request, decision)

    def refusal(self, pod: Object, node: NodeInfo) -> tuple[str, ...]:
        """Why one node will not do, all looked at anew; () where it will."""
        cycle = Cycle(pod, request_of(pod), group_of(pod), self._cache)
        concerned = [plugin for plugin in self._shared_filters if plugin.concerns(pod)]
        for plugin in self.plugins:
            plugin.begin(cycle)
        verdict = self._pre_filter(cycle, concerned) or _first_refusal(pod, node, [*self._filters, *concerned])
        return verdict.reasons if verdict else ()

    # nominated pods

    def _on_nominated(self, cycle: Cycle, concerned: list[Plugin], template: Template) -> list[NodeInfo]:
        """The node where room was made for this pod, if it fits there by now: then no other is looked at."""
        node = self._cache.node(self._nominator.node_of(key_of(cycle.pod)))
        if node is None or _first_refusal(cycle.pod, node, [*self._filters, *concerned]):
            return []
        template.verdicts[node.name] = self._judge(cycle.pod, node)
        return [node]

    def _make_way(
        self, cycle: Cycle, concerned: list[Plugin], feasible: list[NodeInfo], refused: dict[str, Verdict]
    ) -> None:
        """Take out the nodes that would not do if the pods were there that room was made for."""
        pod = cycle.pod
        for node in list(feasible):
            others = [other for other in self._nominator.on(node.name) if _goes_first(other, pod)]
            if not others:
                continue
            verdict = self._with_others(cycle, concerned, node, others)
            if verdict is not None:
                feasible.remove(node)
                refused[node.name] = verdict

    def _with_others(
        self, cycle: Cycle, concerned: list[Plugin], node: NodeInfo, others: list[Object]
    ) -> Verdict | None:
        waiting = [other for other in others if not self._cache.counts(key_of(other), uid_of(other))]
        for other in waiting:
            self._cache.place(key_of(other), other, node.name)
        try:
            return self._pre_filter(cycle, concerned) or _first_refusal(cycle.pod, node, [*self._filters, *concerned])
        finally:
            for other in waiting:
                self._cache.displace(key_of(other))
            self._pre_filter(cycle, concerned)

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
        resolvable = tuple(name for name, verdict in refused.items() if verdict.resolvable)
        by = by or frozenset(plugin.name for plugin in self.plugins)
        return Result("", template.request, decision, by, resolvable)

    # score

    def _score(self, pod: Object, nodes: list[NodeInfo], template: Template, telling: set[str]) -> list[Scored]:
        """The scores of each plug-in that can tell these nodes apart."""
        columns = []
        parts = [template.verdicts[node.name].parts for node in nodes]
        for at, (plugin, weight) in enumerate(self._local):
            if plugin.name in telling:
                columns.append(_scored(plugin, weight, [part[at] for part in parts]))
        for plugin, weight in self._shared:
            if plugin.name in telling:
                columns.append(_scored(plugin, weight, plugin.score_all(pod, nodes)))
        return columns


def _first_refusal(pod: Object, node: NodeInfo, filters: Iterable[Plugin]) -> Verdict | None:
    for plugin in filters:
        reason = plugin.filter(pod, node)
        if reason:
            reasons = (reason,) if isinstance(reason, str) else reason
            resolvable = plugin.resolvable and not any(isinstance(each, Unresolvable) for each in reasons)
            return Verdict(node.generation, plugin.name, reasons, resolvable)
    return None


def _goes_first(nominated: Object, pod: Object) -> bool:
    """Whether the room made for one pod must not be taken by the other."""
    return uid_of(nominated) != uid_of(pod) and priority_of(nominated) >= priority_of(pod)


def _scored(plugin: Plugin, weight: int, scores: list[int]) -> Scored:
    return Scored(plugin.name, weight, scores, plugin.normalize(scores) if plugin.normalizes else scores)


def _totals(columns: list[Scored], nodes: int) -> list[int]:
    if not columns:
        return [0] * nodes
    weighed = [[score * weight for score in normal] if weight != 1 else normal for _, weight, _, normal in columns]
    return list(map(sum, zip(*weighed, strict=True)))


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
    return replace(like, key=key_of(pod), uid=uid_of(pod), time=now)


def _decided(
    pod: Object,
    now: float,
    nodes: list[NodeInfo],
    columns: list[Scored],
    totals: list[int],
    winner: int,
    refused: dict[str, Verdict],
) -> Decision:
    kept: Collection[int] = range(len(nodes))
    if len(nodes) > KEPT_NODES:
        kept = {winner, *heapq.nlargest(KEPT_NODES - 1, kept, key=totals.__getitem__)}
    return Decision(
        key_of(pod),
        uid_of(pod),
        now,
        nodes[winner].name,
        refusals={node: (refused[node].plugin, ", ".join(refused[node].reasons)) for node in _first(refused)},
        nodes=tuple(nodes[at].name for at in kept),
        columns=tuple(
            Column(name, weight, array("q", [raw[at] for at in kept]), array("q", [normal[at] for at in kept]))
            for name, weight, raw, normal in columns
        ),
        counts=Counter(reason for verdict in refused.values() for reason in verdict.reasons),
    )
