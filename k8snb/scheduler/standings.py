"""The standings: which node is the best when one stands for many.

Interface: `stand(groups, pod, scorers)` answers the best member and the `Standings`, a decision's `Field`.
The rule not to break: plug-ins are asked once for each group; what they say of its nodes one by one is known already.
Upstream scores and normalizes node by node (`RunScorePlugins` in `pkg/scheduler/framework/runtime/framework.go`).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from k8snb.apimachinery.meta import Object
from k8snb.scheduler.decision import KEPT_NODES, Column
from k8snb.scheduler.framework import Plugin
from k8snb.scheduler.ranking import Group, Member

OF_GROUP = -1


class Scorer(NamedTuple):
    plugin: Plugin
    weight: int


class Scorers(NamedTuple):
    """Whom to ask. The local ones come with the place of their score in `Member.parts`."""

    plain: list[tuple[int, Scorer]]
    normalizing: list[tuple[int, Scorer]]
    shared: list[Scorer]


class Head(NamedTuple):
    """A column: whose score, its weight, and where a member has it; `OF_GROUP` where it is the group's."""

    plugin: str
    weight: int
    at: int


class Standing(NamedTuple):
    """A group when the decision was made: its best members, the sum of what they have in common, and of what."""

    members: Group
    base: int
    common: tuple[tuple[int, int], ...]  # raw and normal scores


class Standings(NamedTuple):
    """Kept as it was: the table is made when somebody asks."""

    heads: tuple[Head, ...]
    groups: tuple[Standing, ...]

    def _best(self) -> list[tuple[Member, Standing]]:
        each = ((member, standing) for standing in self.groups for member in standing.members)
        return heapq.nsmallest(KEPT_NODES, each, key=lambda pair: (pair[0].order - pair[1].base, pair[0].dice))

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(member.name for member, _ in self._best())

    @property
    def columns(self) -> tuple[Column, ...]:
        best, columns, common = self._best(), [], 0
        for plugin, weight, at in self.heads:
            if at == OF_GROUP:
                scores = [standing.common[common] for _, standing in best]
                common += 1
            else:
                scores = [(member.parts[at], member.parts[at]) for member, _ in best]
            columns.append(Column(plugin, weight, [raw for raw, _ in scores], [normal for _, normal in scores]))
        return tuple(columns)


def stand(groups: Sequence[Group], pod: Object, scorers: Scorers) -> tuple[Member, Standings]:
    """The best of all members, and how the groups stand."""
    first = [group[0] for group in groups]
    heads = [Head(plugin.name, weight, at) for at, (plugin, weight) in scorers.plain]
    bases, common = [0] * len(groups), []
    for plugin, weight, raw in _asked(groups, first, pod, scorers):
        normal = plugin.normalize(raw) if plugin.normalizes else raw
        bases = [base + weight * score for base, score in zip(bases, normal, strict=True)]
        heads.append(Head(plugin.name, weight, OF_GROUP))
        common.append(list(zip(raw, normal, strict=True)))
    winner = min(range(len(groups)), key=lambda at: (first[at].order - bases[at], first[at].dice))
    kept = range(len(groups)) if len(groups) <= KEPT_NODES else _best_groups(first, bases)
    standings = [Standing(groups[at][:KEPT_NODES], bases[at], tuple(column[at] for column in common)) for at in kept]
    return first[winner], Standings(tuple(heads), tuple(standings))


def _asked(
    groups: Sequence[Group], first: list[Member], pod: Object, scorers: Scorers
) -> list[tuple[Plugin, int, list[int]]]:
    """What those say that see a group as one: plug-in, weight, raw scores by group."""
    asked = [(plugin, weight, [member.parts[at] for member in first]) for at, (plugin, weight) in scorers.normalizing]
    if scorers.shared:
        nodes, numbers = [member.node for member in first], [len(group) for group in groups]
        asked += [(plugin, weight, plugin.score_alike(pod, nodes, numbers)) for plugin, weight in scorers.shared]
    return asked


def _best_groups(first: list[Member], bases: list[int]) -> list[int]:
    return heapq.nsmallest(KEPT_NODES, range(len(first)), key=lambda at: (first[at].order - bases[at], first[at].dice))
