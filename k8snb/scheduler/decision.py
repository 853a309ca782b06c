"""Why here, why not there: what the scheduler found out about each node when it looked for one.

Interface: `Decision`, and `Decisions`, which keeps the latest by pod uid.
The rule not to break: bounded: of a large cluster a decision keeps the nodes that were best, and counts the refusals.
Real Kubernetes logs this at verbosity 10 and forgets it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

KEPT_DECISIONS = 10_000
KEPT_NODES = 25


class Score(NamedTuple):
    """What a plug-in said, brought to 0 … 100, and times its weight."""

    raw: int
    normal: int
    weighed: int


class Column(NamedTuple):
    """A plug-in's scores of the nodes of a decision."""

    plugin: str
    weight: int
    raw: Sequence[int]
    normal: Sequence[int]


class Field(Protocol):
    """The nodes that were left, the 25 best of them at most, and their scores. It takes 2 or 3 kB."""

    @property
    def nodes(self) -> tuple[str, ...]: ...
    @property
    def columns(self) -> tuple[Column, ...]: ...


class Scores(NamedTuple):
    """A `Field` as a table."""

    nodes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()


NOTHING_LEFT = Scores()


@dataclass(frozen=True, slots=True)
class Decision:
    """One attempt to find a node. `node` is "" where there was none; `refusals` is {node: (plug-in, reason)}, of at
    most 25 nodes; `counts` has all refusals: {reason: nodes}."""

    key: str
    uid: str
    time: float
    node: str = ""
    message: str = ""
    refusals: dict[str, tuple[str, str]] = field(default_factory=dict)
    left: Field = NOTHING_LEFT
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes whose scores are kept: at most 25."""
        return self.left.nodes

    @property
    def columns(self) -> tuple[Column, ...]:
        """The scores of `nodes`."""
        return self.left.columns

    @property
    def scores(self) -> dict[str, dict[str, int]]:
        """{node: {plug-in: weighed score}}"""
        columns = self.columns
        return {
            node: {column.plugin: column.normal[at] * column.weight for column in columns}
            for at, node in enumerate(self.nodes)
        }

    def score(self, node: str, plugin: str) -> Score:
        """How a plug-in's opinion of a node came about. Raises KeyError where it was not kept."""
        for column in self.columns:
            if column.plugin == plugin and node in self.nodes:
                at = self.nodes.index(node)
                return Score(column.raw[at], column.normal[at], column.normal[at] * column.weight)
        raise KeyError(f"{node}: no score of {plugin} was kept")

    def total(self, node: str) -> int:
        """A node's score; the highest got the pod, and among equals the dice."""
        at = self.nodes.index(node)
        return sum(column.normal[at] * column.weight for column in self.columns)

    def __str__(self) -> str:
        if not self.node:
            return f"{self.key}: {self.message}"
        ranked = sorted(self.nodes, key=self.total, reverse=True)
        return f"{self.key} → {self.node} (" + ", ".join(f"{node} {self.total(node)}" for node in ranked) + ")"


class Decisions:
    """The newest decision about each pod; the oldest are forgotten first."""

    def __init__(self, limit: int = KEPT_DECISIONS) -> None:
        self._limit = limit
        self._by_uid: dict[str, Decision] = {}

    def keep(self, decision: Decision) -> None:
        self._by_uid.pop(decision.uid, None)
        self._by_uid[decision.uid] = decision
        if len(self._by_uid) > self._limit:
            self._by_uid.pop(next(iter(self._by_uid)))

    def get(self, uid: str) -> Decision | None:
        return self._by_uid.get(uid)

    def __len__(self) -> int:
        return len(self._by_uid)

    def __iter__(self) -> Iterator[Decision]:
        return iter(list(self._by_uid.values()))
