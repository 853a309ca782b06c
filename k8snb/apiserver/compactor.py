"""kube-apiserver's compactor: has etcd forget the oldest history, so that a cluster may run for weeks.

Interface: `Compactor(server, clock).start()`.
The rule not to break: what is there now is never touched, and the newest `keep` revisions can be read and watched from.
Source: `apiserver/pkg/storage/etcd3/compact.go`. Upstream keeps the last five minutes, whatever has happened in them.
"""

from __future__ import annotations

from typing import Protocol

from k8snb.clock import Clock
from k8snb.etcd import Store

KEPT = 50_000  # revisions: more than a day of a small cluster's heartbeats
PERIOD = 300.0  # seconds between two looks
SPARE = 1.1  # a compaction costs as much as there is kept: wait until it is worth that


class Server(Protocol):
    store: Store

    def compact(self, revision: int) -> None: ...


class Compactor:
    """One per cluster."""

    def __init__(self, server: Server, clock: Clock, *, keep: int = KEPT) -> None:
        self._server = server
        self._clock = clock
        self._keep = keep

    def start(self) -> None:
        self._clock.after(PERIOD, self._look, background=True, label="kube-apiserver")

    def _look(self) -> None:
        store = self._server.store
        if store.revision - store.compacted > self._keep * SPARE:
            self._server.compact(store.revision - self._keep)
        self.start()
