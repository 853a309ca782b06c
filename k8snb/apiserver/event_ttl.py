"""kube-apiserver's event TTL: Events are forgotten an hour after they were written last.

Interface: `EventTTL(store, clock).start()`.
The rule not to break: an Event that is told again lives another hour from then.
Source: the flag `--event-ttl`; upstream has etcd end them by a lease, to the second. Here they are looked through every
five minutes.
"""

from __future__ import annotations

from k8snb.apimachinery.kinds import BY_GVK
from k8snb.clock import Clock
from k8snb.etcd import Store
from k8snb.trace import Origin

TTL = 3600.0  # seconds
PERIOD = 300.0  # seconds between two looks
_EVENT = BY_GVK["v1", "Event"]


class EventTTL:
    """One per cluster."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def start(self) -> None:
        self._clock.after(PERIOD, self._look, background=True, label="kube-apiserver")

    def _look(self) -> None:
        now = self._clock.now()
        for record in self._store.range(_EVENT.prefix)[0]:
            if record.origin.time < now - TTL:
                origin = Origin("system:apiserver", "delete", 0, now)
                self._store.delete(record.key, expected=record.revision, origin=origin)
        self.start()
