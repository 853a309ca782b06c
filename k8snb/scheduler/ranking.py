"""The ranking: the nodes for pods of one template, the best first, kept up node by node.

Interface: `Ranking.refresh(cache, signature, judge)`, then `groups` and `refused`; `Verdict` is what local
plug-ins say about a node, `Result` what comes of an attempt.
The rule not to break: a node is judged again when it has changed, and else not: a pod costs as much as there are groups
and nodes that have changed since the pod before it.

Nodes of one group get the same answers from every plug-in that is not local, and differ by what the local ones say; a
group is sorted by that. Among equals the dice decide, which are thrown when a node is judged.
Upstream filters and scores a share of the nodes for each pod (`pkg/scheduler/schedule_one.go`).
"""

from __future__ import annotations

import itertools
import random
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple

from k8snb.scheduler.cache import Cache, NodeInfo
from k8snb.scheduler.decision import KEPT_NODES, Decision
from k8snb.scheduler.requests import Request


class Verdict(NamedTuple):
    """What the plug-ins say about a template on a node, at one generation of that node."""

    generation: int
    plugin: str = ""
    reasons: tuple[str, ...] = ()
    resolvable: bool = False  # whether it may be for pods that are in the way
    parts: tuple[int, ...] = ()  # scores before weighing, in the order of the local scorers


class Result(NamedTuple):
    """`node` is "" where none was left; `refused_by` then names the plug-ins that refused."""

    node: str
    request: Request
    decision: Decision
    refused_by: frozenset[str] = frozenset()
    resolvable: tuple[str, ...] = ()  # the nodes that refused for what is on them


class Member(NamedTuple):
    """A node in its group. The smallest is the best: `order` is its local score, turned round."""

    order: int
    dice: float
    name: str
    node: NodeInfo
    parts: tuple[int, ...]


Group = list[Member]  # nodes that only local plug-ins tell apart, the best first


class Judged(NamedTuple):
    """A verdict, the local score where there is one, and what tells the node's group from others."""

    verdict: Verdict
    score: int = 0
    likeness: Hashable = None


Judge = Callable[[NodeInfo], Judged]


def told(refused: Mapping[str, Verdict]) -> dict[str, tuple[str, str]]:
    """{node: (plug-in, reasons)} of the first refusals."""
    first = itertools.islice(refused.items(), KEPT_NODES)
    return {name: (verdict.plugin, ", ".join(verdict.reasons)) for name, verdict in first}


class Ranking:
    def __init__(self) -> None:
        self._signature: Hashable = None
        self._generation = -1
        self._clear()

    def _clear(self) -> None:
        self.groups: dict[Hashable, Group] = {}
        self.refused: dict[str, Verdict] = {}
        self.counts: Counter[str] = Counter()  # nodes by reason
        self._told: dict[str, tuple[str, str]] | None = None
        self._places: dict[str, tuple[Hashable, Member]] = {}

    @property
    def told(self) -> dict[str, tuple[str, str]]:
        """The first refusals, as decisions tell them."""
        if self._told is None:
            self._told = told(self.refused)
        return self._told

    def refresh(self, cache: Cache, signature: Hashable, judge: Judge, *, dice: random.Random) -> None:
        """Judge what has changed; with another signature, everything. `signature`: by what nodes are grouped."""
        changed = cache.changed_since(self._generation) if signature == self._signature else None
        if changed is None:
            self._clear()
            self._signature, changed = signature, cache.nodes
        for node in changed:
            self._forget(node.name)
            if node.node is not None:
                self._take(node, judge(node), dice)
        self._generation = cache.generation

    def _take(self, node: NodeInfo, judged: Judged, dice: random.Random) -> None:
        verdict, score, likeness = judged
        if verdict.reasons:
            self.refused[node.name] = verdict
            self.counts.update(verdict.reasons)
            self._told = None
            return
        member = Member(-score, dice.random(), node.name, node, verdict.parts)
        insort(self.groups.setdefault(likeness, []), member)
        self._places[node.name] = likeness, member

    def _forget(self, name: str) -> None:
        verdict = self.refused.pop(name, None)
        if verdict is not None:
            self.counts.subtract(verdict.reasons)
            self.counts += Counter()
            self._told = None
        likeness, member = self._places.pop(name, (None, None))
        if member is None:
            return
        group = self.groups[likeness]
        del group[bisect_left(group, member)]
        if not group:
            del self.groups[likeness]
