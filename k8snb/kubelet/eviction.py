"""kubelet's eviction manager: takes a node's memory and disk back from its pods before the node itself fails.

Interface: `EvictionManager(…)`: `start()`, `stop()`; `pressures` are the conditions that hold, `refusal(pod)` says why
a new pod is not taken.
The rule not to break: one pod goes at a time, and the next only after a new look.
Source: `pkg/kubelet/eviction/eviction_manager.go`. A node's figures are its books: the capacity that its spec says,
less what its own pods and images take, because all nodes share one machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from k8snb.apimachinery import quantity
from k8snb.apimachinery.meta import Object, uid_of
from k8snb.client.events import WARNING, EventRecorder
from k8snb.clock import Clock
from k8snb.executor import Executor
from k8snb.kubelet.actions import PodState, is_terminal
from k8snb.kubelet.eviction_rules import Observation, PodUse, Signal, message, met, ranked, refusal
from k8snb.kubelet.image_gc import ImageGC
from k8snb.kubelet.stats import NodeStats, PodUsed
from k8snb.kubelet.volume_limits import usage

LOOK = 10.0  # seconds between two looks
EASY, SELDOM = 0.5, 60.0  # a node of which so much is free at least is measured only once in so many seconds
FRESH = 20.0  # seconds for which somebody else's reading will do
TRANSITION = 300.0  # seconds for which a condition outlasts its cause

Pods = Sequence[tuple[Object, PodState]]


class House(Protocol):
    """What the manager asks its kubelet."""

    name: str

    def pods(self) -> list[tuple[Object, PodState]]: ...
    def disks(self) -> Mapping[str, Sequence[Path]]:
        """The directories on the node's disk that each pod's emptyDirs have, by uid."""


class EvictionManager:
    """Watches one node. `evict(uid, message)` ends a pod; `on_change` hears of other pressures."""

    def __init__(
        self, house: House, clock: Clock, executor: Executor, *, stats: NodeStats, images: ImageGC,
        capacity: Callable[[], Mapping[str, str]], events: EventRecorder,
    ) -> None:  # fmt: skip
        self._house, self._clock, self._executor = house, clock, executor
        self._stats, self._images, self._capacity, self._events = stats, images, capacity, events
        self._seen_at: dict[str, float] = {}  # condition → when its threshold was last met
        self._told: list[str] = []
        self._measured_at = self._free = 0.0
        self._is_measuring = self._stopped = False
        self.evict: Callable[[str, str], None] = lambda uid, message: None
        self.on_change: Callable[[], None] = lambda: None

    def start(self) -> None:
        if not self._stopped:
            self._clock.after(LOOK, self._look, background=True, label=f"kubelet {self._house.name}")

    def stop(self) -> None:
        self._stopped = True

    @property
    def pressures(self) -> list[str]:
        now = self._clock.monotonic()
        return sorted(sort for sort, moment in self._seen_at.items() if now - moment < TRANSITION)

    def refusal(self, pod: Object) -> str:
        return refusal(pod, self.pressures)

    def _look(self) -> None:
        self.start()
        if self._stopped or self._is_measuring:
            return
        now = self._clock.monotonic()
        pods = [(pod, state) for pod, state in self._house.pods() if not is_terminal(pod)]
        calm = not self._seen_at  # under pressure only a reading of now will do: the pods are others than before
        known = self._stats.latest if calm and now - self._stats.read_at < FRESH else None
        if known is None and calm and self._free > EASY and now - self._measured_at < SELDOM:
            return
        self._is_measuring = True
        self._measured_at = now
        disks = self._house.disks()
        self._executor.submit(lambda: self._measure(pods, known, disks), self._measured)

    def _measure(self, pods: Pods, known: Sequence[PodUsed] | None, disks: Mapping[str, Sequence[Path]]) -> Observation:
        """On the executor."""
        found = self._stats.read(pods) if known is None else known
        memory = {uid_of(each.pod): {c.name: c.stats.memory_bytes for c in each.containers} for each in found}
        disk = {uid: sum(usage(folder) for folder in folders) for uid, folders in disks.items()}
        uses = {uid: PodUse(memory.get(uid, {}), disk.get(uid, 0)) for uid in memory.keys() | disk.keys()}
        used = {
            "memory": sum(sum(use.memory.values()) for use in uses.values()),
            "ephemeral-storage": sum(disk.values()) + self._images.measure(),
        }
        amounts = self._capacity()
        return Observation({name: quantity.to_bytes(amounts[name]) for name in used}, used, uses)

    def _measured(self, seen: Observation | None, error: BaseException | None) -> None:
        self._is_measuring = False
        if self._stopped or seen is None:
            return
        self._free = min(seen.available(name) / max(total, 1) for name, total in seen.capacity.items())
        self._images.observe(seen)
        signals = met(seen)
        for signal in signals:
            self._seen_at[signal.condition] = self._clock.monotonic()
        self._seen_at = {sort: self._seen_at[sort] for sort in self.pressures}
        if self.pressures != self._told:
            self._told = self.pressures
            self.on_change()
        if signals:
            self._reclaim(signals[0], seen)

    def _reclaim(self, signal: Signal, seen: Observation) -> None:
        """What nobody uses goes first, then one pod."""
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._house.name, "uid": self._house.name}}
        self._events.event(node, WARNING, "EvictionThresholdMet", f"Attempting to reclaim {signal.resource}")
        if signal.resource == "ephemeral-storage" and self._images.remove_unused():
            return
        active = [pod for pod, _ in self._house.pods() if not is_terminal(pod)]
        for pod in ranked(active, signal, seen)[:1]:
            self.evict(uid_of(pod), message(pod, signal, seen))
