"""node-lifecycle-controller's patience: how fast nodes of a zone may lose their pods, when many of them are silent.

Interface: `Zones(nodes, clock)`: `wait_for(node)` says how long a node's NoExecute taint has to wait, None for as long
as it is so with its zone; `moved(old, new)`, told of every change of a node, says which are worth another look.
The rule not to break: where no node at all is ready, none loses its pods, for then the network is more likely to be
broken than every machine.
Source: https://kubernetes.io/docs/concepts/architecture/nodes/#rate-limits-on-eviction, and
`pkg/controller/nodelifecycle` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Iterable

from k8snb.apimachinery.meta import Object, is_true, labels_of, name_of
from k8snb.client.informer import Informer
from k8snb.clock import Clock

RATE, SLOW_RATE = 0.1, 0.01  # nodes a second
UNHEALTHY = 0.55  # the share of silent nodes at which a zone is partially disrupted
LARGE = 50  # nodes, above which a partially disrupted zone still goes on, slowly
FEW = 2  # so many silent nodes never make a disruption
NORMAL, PARTIAL, FULL = "Normal", "PartialDisruption", "FullDisruption"
REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
READY, SILENT = "ready", "silent"
PLACE = "place"  # the index of nodes by where they count


class Zones:
    """The state of each zone, kept up to date by each change; nothing is counted again that has not changed."""

    def __init__(self, nodes: Informer, clock: Clock) -> None:
        self._clock = clock
        self._nodes = nodes
        nodes.add_index(PLACE, _places)
        self._free_at: dict[str, float] = {}  # zone → when the next of its nodes may be emptied
        self._states: dict[str, str] = {}

    def wait_for(self, node: Object) -> float | None:
        """Seconds until the node may lose its pods; None while nothing says when. A node that may has had its turn."""
        rate = self._rate(zone_of(node))
        if rate == 0:
            return None
        now = self._clock.monotonic()
        left = self._free_at.get(zone_of(node), now) - now
        if left <= 0:
            self._free_at[zone_of(node)] = now + 1 / rate
        return max(left, 0.0)

    def moved(self, old: Object | None, new: Object | None) -> Iterable[str]:
        """The silent nodes, by name, whose patience a change of one node has changed."""
        if (old and _places(old)) == (new and _places(new)):
            return ()
        zones = {zone_of(node) for node in (old, new) if node is not None}
        before = {zone: self._states.get(zone) for zone in zones} | {"": self._states.get("")}
        self._states.update({zone: self.state(zone) for zone in zones}, **{"": self._whole()})
        if before[""] != self._states[""]:
            return self._names(SILENT)
        changed = [zone for zone in zones if before[zone] != self._states[zone]]
        return [name for zone in changed for name in self._names(f"{zone} {SILENT}")]

    @property
    def all_are_silent(self) -> bool:
        return self._whole() == FULL

    def state(self, zone: str) -> str:
        ready, silent = self._count(f"{zone} {READY}"), self._count(f"{zone} {SILENT}")
        if silent and not ready:
            return FULL
        return PARTIAL if silent > FEW and silent / (silent + ready) >= UNHEALTHY else NORMAL

    def _whole(self) -> str:
        return FULL if self._count(SILENT) and not self._count(READY) else NORMAL

    def _rate(self, zone: str) -> float:
        if self.all_are_silent:
            return 0.0
        if self.state(zone) != PARTIAL:
            return RATE
        size = self._count(f"{zone} {READY}") + self._count(f"{zone} {SILENT}")
        return SLOW_RATE if size > LARGE else 0.0

    def _count(self, place: str) -> int:
        return len(self._nodes.by_index(PLACE, place))

    def _names(self, place: str) -> list[str]:
        return [name_of(node) for node in self._nodes.by_index(PLACE, place)]


def zone_of(node: Object) -> str:
    """Region and zone of a node; nodes without either are a zone of their own."""
    return "/".join(labels_of(node).get(label, "") for label in (REGION, ZONE))


def _places(node: Object) -> list[str]:
    """Where a node counts: whether it is ready, in the cluster and in its zone."""
    word = READY if is_true(node, "Ready") else SILENT
    return [word, f"{zone_of(node)} {word}"]
