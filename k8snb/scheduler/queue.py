"""The scheduling queue: pods without a node, in three places.

Interface: `add`, `update`, `remove`; `pop` gives the next pod; `gave_up` takes back one for which there was no node;
`happened` gives pods another chance when something changed that matters to whoever refused them.
The rule not to break: a pod waits in exactly one place: active (ready to be tried, by priority, then age), back-off
(tried not long ago), unschedulable (nothing has changed since it was refused).
Source: `pkg/scheduler/backend/queue/scheduling_queue.go` in the kubernetes repository.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from k8snb.apimachinery.meta import Object, key_of, uid_of
from k8snb.clock import Clock, Timer

ACTIVE, BACK_OFF, UNSCHEDULABLE, IN_FLIGHT = "active", "back-off", "unschedulable", "in flight"
FIRST_BACK_OFF, MAX_BACK_OFF = 1.0, 10.0  # seconds
FLUSH_AFTER, FLUSH_EVERY = 300.0, 30.0  # seconds


@dataclass(slots=True)
class QueuedPod:
    """A pod that waits, and how it has fared so far. Times are monotonic seconds."""

    pod: Object
    since: float
    place: str = ""
    attempts: int = 0
    tried: float = 0.0
    refused_by: frozenset[str] = field(default_factory=frozenset)

    @property
    def back_off_ends(self) -> float:
        """When the pod may be tried again."""
        if not self.attempts:
            return self.tried
        pause: float = min(FIRST_BACK_OFF * 2 ** min(self.attempts - 1, 10), MAX_BACK_OFF)
        return self.tried + pause


class SchedulingQueue:
    """`ready` is called for each pod that becomes active. `wakes(event)` names the plug-ins an event matters to."""

    def __init__(self, clock: Clock, ready: Callable[[], None], wakes: Callable[[str], Collection[str]]) -> None:
        self._clock = clock
        self._ready = ready
        self._wakes = wakes
        self._pods: dict[str, QueuedPod] = {}
        self._heap: list[tuple[int, float, int, str]] = []
        self._order = itertools.count()
        self._refused: dict[str, set[str]] = {}  # plug-in → keys of unschedulable pods
        self._flush: Timer | None = None

    def __len__(self) -> int:
        return len(self._pods)

    def place_of(self, key: str) -> str:
        """Where a pod waits: active, back-off, unschedulable, in flight; "" for one that does not."""
        queued = self._pods.get(key)
        return queued.place if queued else ""

    def add(self, pod: Object) -> None:
        """A pod has turned up that has no node."""
        key = key_of(pod)
        self.remove(key)
        self._pods[key] = QueuedPod(pod, self._clock.monotonic())
        self._activate(key)

    def update(self, pod: Object, *, matters: bool) -> None:
        """A waiting pod has changed; where that `matters` to scheduling, it gets another chance."""
        key = key_of(pod)
        queued = self._pods.get(key)
        if queued is None or uid_of(queued.pod) != uid_of(pod):
            self.add(pod)
            return
        queued.pod = pod
        if matters and queued.place == UNSCHEDULABLE:
            self._retry(key)

    def remove(self, key: str) -> None:
        """The pod is gone, or has its node."""
        queued = self._pods.pop(key, None)
        if queued is not None:
            self._unrefuse(key, queued)

    def pop(self) -> QueuedPod | None:
        """The active pod of the highest priority, the oldest of those; None when what was active has gone since."""
        while self._heap:
            _, _, _, key = heapq.heappop(self._heap)
            queued = self._pods.get(key)
            if queued is not None and queued.place == ACTIVE:
                queued.place = IN_FLIGHT
                queued.attempts += 1
                queued.tried = self._clock.monotonic()
                return queued
        return None

    def gave_up(self, queued: QueuedPod, refused_by: Collection[str]) -> None:
        """No node for the pod: it waits for something that matters to these plug-ins; without any, for a while."""
        key = key_of(queued.pod)
        if self._pods.get(key) is not queued:
            return
        if not refused_by:
            self._retry(key)
            return
        queued.place, queued.refused_by = UNSCHEDULABLE, frozenset(refused_by)
        for plugin in refused_by:
            self._refused.setdefault(plugin, set()).add(key)
        if self._flush is None:
            self._flush = self._clock.after(FLUSH_EVERY, self._flush_old, background=True, label="default-scheduler")

    def happened(self, event: str, pods: Collection[str] | None = None) -> None:
        """Something changed in the cluster: whoever was refused by a plug-in that it matters to is tried again.

        `pods` are the keys of those it can matter to, where that is known.
        """
        refused = (self._refused.get(plugin, set()) for plugin in self._wakes(event))
        keys = {key for known in refused for key in (known if pods is None else known.intersection(pods))}
        for key in sorted(keys, key=lambda key: self._pods[key].since):
            self._retry(key)

    def refused(self, plugins: Collection[str]) -> list[tuple[str, Object, frozenset[str]]]:
        """Keys, pods and who refused them, of those that one of these plug-ins has refused."""
        keys = {key for plugin in plugins for key in self._refused.get(plugin, ())}
        return [(key, self._pods[key].pod, self._pods[key].refused_by) for key in keys]

    def wake_all(self) -> None:
        """Every pod that waits for something is tried again."""
        for key in sorted({key for keys in self._refused.values() for key in keys}):
            self._retry(key)

    # moving

    def _retry(self, key: str) -> None:
        """Active at once, or after what is left of the back-off."""
        queued = self._pods[key]
        self._unrefuse(key, queued)
        left = queued.back_off_ends - self._clock.monotonic()
        if left <= 0:
            self._activate(key)
            return
        queued.place = BACK_OFF
        self._clock.after(left, lambda: self._back_off_over(key, queued), label="default-scheduler")

    def _back_off_over(self, key: str, queued: QueuedPod) -> None:
        if self._pods.get(key) is queued and queued.place == BACK_OFF:
            self._activate(key)

    def _activate(self, key: str) -> None:
        queued = self._pods[key]
        queued.place = ACTIVE
        priority = queued.pod["spec"].get("priority") or 0
        heapq.heappush(self._heap, (-priority, queued.since, next(self._order), key))
        self._ready()

    def _unrefuse(self, key: str, queued: QueuedPod) -> None:
        for plugin in queued.refused_by:
            keys = self._refused.get(plugin, set())
            keys.discard(key)
            if not keys:
                self._refused.pop(plugin, None)
        queued.refused_by = frozenset()

    def _flush_old(self) -> None:
        """Nobody waits for ever because an event was missed."""
        self._flush = None
        limit = self._clock.monotonic() - FLUSH_AFTER
        waiting = {key for keys in self._refused.values() for key in keys}
        for key in sorted(waiting):
            if self._pods[key].tried <= limit:
                self._retry(key)
        if self._refused:
            self._flush = self._clock.after(FLUSH_EVERY, self._flush_old, background=True, label="default-scheduler")
