"""kube-scheduler's algorithm: filter the nodes, score those that are left, choose.

Interface: `Algorithm(cache, dice).choose(pod, now)` answers a `Result`; `join`, `leave` for plug-ins.
The rule not to break: it reads the cache and writes nothing.
Source: `pkg/scheduler/schedule_one.go` in the kubernetes repository.

Pods of one template share answers: what local plug-ins say about a node holds for the next pod of the template until
the node changes. Where all others can tell which nodes are alike, the best one is found by the template's ranking, out
of all nodes; else nodes are looked at one by one, a share of them in a large cluster, as upstream does it.
"""

from __future__ import annotations

import heapq
import itertools
import random
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, key_of, uid_of
from k8snb.scheduler.cache import Cache, NodeInfo, group_of
from k8snb.scheduler.decision import KEPT_NODES, Column, Decision, Field, Scores
from k8snb.scheduler.default_preemption import priority_of
from k8snb.scheduler.framework import SKIP, Cycle, Plugin, Unresolvable
from k8snb.scheduler.nominator import Nominator
from k8snb.scheduler.plugins import PLUGINS, Made, Profile, Row
from k8snb.scheduler.ranking import Group, Judged, Ranking, Result, Verdict, told
from k8snb.scheduler.requests import request_of
from k8snb.scheduler.standings import Scorer, Scorers, stand
from k8snb.scheduler.template import Refused, Template, Templates, view_of

MIN_FEASIBLE, MIN_PERCENTAGE = 100, 5
NO_NODES = "no nodes available to schedule pods"


class Outcome(NamedTuple):
    """What came of looking at the nodes. `refused` has the verdicts on all of them where no node was left."""

    node: str
    left: Field
    told: dict[str, tuple[str, str]]
    counts: Counter[str]
    refused: Mapping[str, Verdict]


class Panel(NamedTuple):
    """The plug-ins that a pod is the business of, beside the local filters; `filters` are those that do not skip it."""

    concerned: list[Plugin]
    filters: list[Plugin]
    telling: set[str]  # whose scores can make a difference


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
        self._templates = Templates(cache)
        self._next_start = 0
        self._use((profile or Profile(plugins=tuple(rows))).made())

    def _use(self, made: Sequence[Made]) -> None:
        self._made = list(made)
        self.plugins = [row.plugin for row in made]
        self._filters = [row.plugin for row in made if row.filters and row.plugin.local]
        self._shared_filters = [row.plugin for row in made if row.filters and not row.plugin.local]
        self._local = [Scorer(row.plugin, row.weight) for row in made if row.weight and row.plugin.local]
        self._shared = [Scorer(row.plugin, row.weight) for row in made if row.weight and not row.plugin.local]
        self._having: dict[str, list[Plugin]] = {}
        self._pinning = self.having("pinned")
        self._beginning = self.having("begin")
        self._templates.clear()

    def join(self, made: Made) -> None:
        """Put a plug-in to work, after those that are there."""
        self._use([*self._made, made])

    def leave(self, name: str) -> None:
        """Let a plug-in go."""
        self._use([made for made in self._made if made.plugin.name != name])

    def having(self, point: str) -> list[Plugin]:
        """The plug-ins that have something to say at an extension point."""
        found = self._having.get(point)
        if found is None:
            found = self._having[point] = [plugin for plugin in self.plugins if plugin.has(point)]
        return found

    def choose(self, pod: Object, now: float) -> Result:
        """The best node for a pod, or why there is none."""
        concerned = [plugin for plugin in self._shared_filters if plugin.concerns(pod)]
        for plugin in self._pinning:
            names = plugin.pinned(pod)
            if names is not None:
                return self._choose_among(names, plugin, pod, concerned, now)
        template = self._templates.of(pod)
        lonely = not concerned and not self._nominator
        if lonely and template.refused is not None and template.refused.generation == self._cache.generation:
            result = template.refused.result
            return result._replace(decision=_about(pod, now, result.decision))
        cycle = Cycle(pod, template.request, group_of(pod), self._cache)
        panel, hopeless = self._panel(cycle, concerned)
        if hopeless is not None and self._cache.nodes:
            return self._hopeless(cycle, hopeless, now)
        result = self._result(cycle, self._look(cycle, template, panel), now)
        if lonely and not result.node:
            template.refused = Refused(self._cache.generation, result)
        return result

    def _choose_among(
        self, names: frozenset[str], pinning: Plugin, pod: Object, concerned: list[Plugin], now: float
    ) -> Result:
        """The same where only some nodes can do; of the others it is said who ruled them out."""
        template = Template(view_of(pod["spec"]), request_of(pod))
        cycle = Cycle(pod, template.request, group_of(pod), self._cache)
        panel, hopeless = self._panel(cycle, concerned)
        if hopeless is not None and self._cache.nodes:
            return self._hopeless(cycle, hopeless, now)
        nodes = [node for name in sorted(names) if (node := self._cache.node(name)) is not None]
        outcome = self._one_by_one(cycle, template, panel, nodes)
        others = len(self._cache.nodes) - len(nodes)
        if others:
            outcome.counts[f"node(s) didn't satisfy plugin(s) [{pinning.name}]"] += others
        result = self._result(cycle, outcome, now)
        return result if result.node else result._replace(refused_by=result.refused_by | {pinning.name})

    def refusal(self, pod: Object, node: NodeInfo) -> tuple[str, ...]:
        """Why one node will not do, all looked at anew; () where it will."""
        panel, hopeless = self._anew(self._cycle(pod))
        verdict = hopeless or _first_refusal(pod, node, [*self._filters, *panel.filters])
        return verdict.reasons if verdict else ()

    def refusals(self, pod: Object, nodes: Iterable[NodeInfo]) -> dict[str, list[Verdict]]:
        """For each node, by its name, the verdict of every plug-in that refuses it, also behind the first."""
        cycle = self._cycle(pod)
        panel, hopeless = self._anew(cycle)
        if hopeless is not None:  # nobody was asked about the nodes: that has to begin
            for plugin in self._beginning:
                if plugin in self._filters:
                    plugin.begin(cycle)
        filters, always = [*self._filters, *panel.filters], [hopeless] if hopeless else []
        return {node.name: always + [verdict for each in filters if (verdict := _first_refusal(pod, node, [each]))]
                for node in nodes}  # fmt: skip

    def _cycle(self, pod: Object) -> Cycle:
        return Cycle(pod, request_of(pod), group_of(pod), self._cache)

    def _anew(self, cycle: Cycle) -> tuple[Panel, Verdict | None]:
        """Who is to be asked about a pod, whatever was found out before."""
        return self._panel(cycle, [plugin for plugin in self._shared_filters if plugin.concerns(cycle.pod)])

    # the plug-ins

    def _panel(self, cycle: Cycle, concerned: list[Plugin]) -> tuple[Panel, Verdict | None]:
        """Who is to be asked; and why no node will do, from the first plug-in that says so."""
        filters, hopeless = self._pre_filter(cycle, concerned)
        if hopeless is not None:
            return Panel(concerned, [], set()), hopeless
        silent = {plugin.name for plugin in self._beginning if not plugin.begin(cycle)}
        telling = {plugin.name for plugin, _ in (*self._local, *self._shared)} - silent
        return Panel(concerned, filters, telling), None

    @staticmethod
    def _pre_filter(cycle: Cycle, concerned: list[Plugin]) -> tuple[list[Plugin], Verdict | None]:
        filters = []
        for plugin in concerned:
            reason = plugin.pre_filter(cycle)
            if reason is SKIP:
                continue
            if reason:
                assert not isinstance(reason, type(SKIP))
                return [], Verdict(0, plugin.name, (reason,) if isinstance(reason, str) else reason)
            filters.append(plugin)
        return filters, None

    # looking at the nodes

    def _look(self, cycle: Cycle, template: Template, panel: Panel) -> Outcome:
        if not self._nominator:
            found = self._by_rank(cycle, template.ranking, panel) if cycle.group else None
            return found or self._one_by_one(cycle, template, panel, self._cache.nodes)
        nominated = self._cache.node(self._nominator.node_of(key_of(cycle.pod)))
        if nominated is not None and not _first_refusal(cycle.pod, nominated, [*self._filters, *panel.filters]):
            return self._one_by_one(cycle, template, panel, [nominated])
        return self._one_by_one(cycle, template, panel, self._cache.nodes)

    def _by_rank(self, cycle: Cycle, ranking: Ranking, panel: Panel) -> Outcome | None:
        """The best of all nodes, by the template's ranking; None where some plug-in has to see each node."""
        pod, telling = cycle.pod, panel.telling
        shared = [scorer for scorer in self._shared if scorer.plugin.name in telling]
        sharing = [*panel.filters, *(plugin for plugin, _ in shared if plugin not in panel.filters)]
        alike = [plugin.alike_by(pod) for plugin in sharing]
        if None in alike:
            return None
        local = [(at, scorer) for at, scorer in enumerate(self._local) if scorer.plugin.name in telling]
        plain = [(at, scorer) for at, scorer in local if not scorer.plugin.normalizes]
        normalizing = [(at, scorer) for at, scorer in local if scorer.plugin.normalizes]

        def judge(node: NodeInfo) -> Judged:
            verdict = self._judge(pod, node)
            if verdict.reasons:
                return Judged(verdict)
            parts = verdict.parts
            score = sum([parts[at] * scorer.weight for at, scorer in plain])
            apart = (*[parts[at] for at, _ in normalizing], *[plugin.likeness(node) for plugin in sharing])
            return Judged(verdict, score, apart)

        names = tuple([scorer.plugin.name for _, scorer in local])
        signature = (names, tuple([plugin.name for plugin in sharing]), tuple(alike))
        ranking.refresh(self._cache, signature, judge, dice=self._random)
        return _best_of(ranking, pod, panel.filters, Scorers(plain, normalizing, shared))

    def _one_by_one(self, cycle: Cycle, template: Template, panel: Panel, nodes: Sequence[NodeInfo]) -> Outcome:
        feasible, refused = self._filter(cycle.pod, template, panel, nodes)
        if self._nominator:
            self._make_way(cycle, panel.concerned, feasible, refused)
        counts = Counter(reason for verdict in refused.values() for reason in verdict.reasons)
        if not feasible:
            return Outcome("", Scores(), told(refused), counts, refused)
        columns = self._score(cycle.pod, feasible, template, panel.telling)
        totals = _totals(columns, len(feasible))
        best = max(totals)
        winner = self._random.choice([at for at, total in enumerate(totals) if total == best])
        return Outcome(feasible[winner].name, _kept(feasible, columns, totals, winner), told(refused), counts, refused)

    def _filter(
        self, pod: Object, template: Template, panel: Panel, nodes: Sequence[NodeInfo]
    ) -> tuple[list[NodeInfo], dict[str, Verdict]]:
        """The nodes that are left, as many as are worth scoring, and the verdict on each that is not."""
        wanted = feasible_to_find(len(nodes))
        start = self._next_start % len(nodes) if nodes else 0
        feasible: list[NodeInfo] = []
        refused: dict[str, Verdict] = {}
        verdicts = template.verdicts
        for node in itertools.chain(itertools.islice(nodes, start, None), itertools.islice(nodes, start)):
            verdict = verdicts.get(node.name)
            if verdict is None or verdict.generation != node.generation:
                verdict = verdicts[node.name] = self._judge(pod, node)
            if panel.filters and not verdict.reasons:
                verdict = _first_refusal(pod, node, panel.filters) or verdict
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
        return Verdict(node.generation, parts=tuple([scorer.plugin.score(pod, node) for scorer in self._local]))

    def _score(self, pod: Object, nodes: list[NodeInfo], template: Template, telling: set[str]) -> list[Column]:
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

    # nominated pods

    def _make_way(
        self, cycle: Cycle, concerned: list[Plugin], feasible: list[NodeInfo], refused: dict[str, Verdict]
    ) -> None:
        """Take out the nodes that would not do if the pods were there that room was made for."""
        for node in list(feasible):
            others = [other for other in self._nominator.on(node.name) if _goes_first(other, cycle.pod)]
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
            asked, verdict = self._pre_filter(cycle, concerned)
            return verdict or _first_refusal(cycle.pod, node, [*self._filters, *asked])
        finally:
            for other in waiting:
                self._cache.displace(key_of(other))
            self._pre_filter(cycle, concerned)

    # telling

    def _result(self, cycle: Cycle, outcome: Outcome, now: float) -> Result:
        node, left, told_, counts, refused = outcome
        pod = cycle.pod
        message = "" if node else message_of(len(self._cache.nodes), counts)
        decision = Decision(key_of(pod), uid_of(pod), now, node, message, told_, left, counts)
        if node:
            return Result(node, cycle.request, decision)
        by = frozenset(verdict.plugin for verdict in refused.values())
        by = by or frozenset(plugin.name for plugin in self.plugins)
        return Result("", cycle.request, decision, by, tuple(name for name, each in refused.items() if each.resolvable))

    def _hopeless(self, cycle: Cycle, verdict: Verdict, now: float) -> Result:
        text = ", ".join(verdict.reasons)
        nodes = [node.name for node in self._cache.nodes]
        decision = Decision(
            key_of(cycle.pod),
            uid_of(cycle.pod),
            now,
            message=f"0/{len(nodes)} nodes are available: {text}.",
            refusals=dict.fromkeys(nodes[:KEPT_NODES], (verdict.plugin, text)),
            counts=Counter({text: len(nodes)}),
        )
        return Result("", cycle.request, decision, frozenset((verdict.plugin,)))


def _best_of(ranking: Ranking, pod: Object, filters: list[Plugin], scorers: Scorers) -> Outcome:
    """Ask one node of each group. A group that is refused is refused with all its nodes."""
    left: list[Group] = []
    refused: list[tuple[Group, Verdict]] = []
    counts, told_ = Counter(ranking.counts), ranking.told
    for group in ranking.groups.values():
        verdict = _first_refusal(pod, group[0].node, filters) if filters else None
        if verdict is None:
            left.append(group)
        else:
            counts.update(dict.fromkeys(verdict.reasons, len(group)))
            refused.append((group, verdict))
    if not left:
        each = {**ranking.refused, **_by_name(refused)}
        return Outcome("", Scores(), told(each), counts, each)
    if refused and len(told_) < KEPT_NODES:
        told_ = {**told_, **told(_by_name(refused, KEPT_NODES - len(told_)))}
    winner, standings = stand(left, pod, scorers)
    return Outcome(winner.name, standings, told_, counts, {})


def _by_name(refused: list[tuple[Group, Verdict]], most: int | None = None) -> dict[str, Verdict]:
    """The verdict on each node, or on the first of them."""
    each = ((member.name, verdict) for group, verdict in refused for member in group)
    return dict(itertools.islice(each, most))


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


def _scored(plugin: Plugin, weight: int, scores: list[int]) -> Column:
    return Column(plugin.name, weight, scores, plugin.normalize(scores) if plugin.normalizes else scores)


def _totals(columns: list[Column], nodes: int) -> list[int]:
    if not columns:
        return [0] * nodes
    weighed = [[score * weight for score in normal] if weight != 1 else normal for _, weight, _, normal in columns]
    return list(map(sum, zip(*weighed, strict=True)))


def _kept(nodes: list[NodeInfo], columns: list[Column], totals: list[int], winner: int) -> Scores:
    """The scores of the best nodes, packed."""
    kept: Collection[int] = range(len(nodes))
    if len(nodes) > KEPT_NODES:
        kept = {winner, *heapq.nlargest(KEPT_NODES - 1, kept, key=totals.__getitem__)}
    packed = (Column(name, weight, array("q", [raw[at] for at in kept]), array("q", [normal[at] for at in kept]))
              for name, weight, raw, normal in columns)  # fmt: skip
    return Scores(tuple(nodes[at].name for at in kept), tuple(packed))


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


def _about(pod: Object, now: float, like: Decision) -> Decision:
    """The same decision about another pod."""
    return replace(like, key=key_of(pod), uid=uid_of(pod), time=now)
