"""The entrance: how everybody outside the pump talks to a cluster's apiserver: cells, HTTPS, tests.

Interface: `Entrance(cluster)`, a `client.Transport`; `uninterrupted()`.
The rule not to break: one request at a time, under the pump's lock; slow work is done after it has been let go.
Real Kubernetes has a load balancer in front of several apiservers here.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

from k8snb.apimachinery.errors import unavailable
from k8snb.apimachinery.kinds import Kind
from k8snb.client import Deferred, Exchange, Request, Transport, Watch
from k8snb.pump import Pump

PATIENCE = 30.0  # seconds for a pod to answer who asked it through the apiserver
READS = ("get", "list")  # what may be interrupted: it leaves nothing half done, and must cost next to nothing


class House(Protocol):
    """What is behind the entrance. `apiserver` is the one that serves now."""

    name: str
    running: bool
    pump: Pump

    @property
    def apiserver(self) -> Transport: ...


class Entrance:
    """The transport for everybody outside the pump: one request at a time, under the pump's lock.

    An interrupt that arrives during a request is held back until the request is over: no write is left half done. The
    wait for the lock can be interrupted.
    While the cluster is stopped, every request is refused in the words of a client that finds nobody at home.
    """

    def __init__(self, cluster: House) -> None:
        self._cluster = cluster

    def handle(self, request: Request) -> Any:
        reads = request.verb in READS and not request.subresource
        with self._cluster.pump.lock, nullcontext() if reads else uninterrupted():
            self._check()
            answer = self._cluster.apiserver.handle(request)
        if isinstance(answer, Watch):
            answer.on_stop = self._locked(answer.on_stop)
        return self._complete(answer)

    def _complete(self, answer: Any) -> Any:
        """Do the slow work that is left of a request. On a virtual clock it takes the pump to have an answer."""
        if isinstance(answer, dict):
            return answer
        if isinstance(answer, Deferred):
            return answer.run()
        if not isinstance(answer, Exchange):
            return answer
        answer.begin()
        pump = self._cluster.pump
        if pump.clock.virtual:
            pump.wait(lambda: answer.over, PATIENCE)
        return answer.result(0.0 if pump.clock.virtual else PATIENCE)

    def kinds(self) -> tuple[Kind, ...]:
        self._check()
        return self._cluster.apiserver.kinds()

    def _check(self) -> None:
        if not self._cluster.running:
            raise unavailable(f'the cluster "{self._cluster.name}" is stopped: start it with %kcluster start')

    def _locked(self, act: Callable[[], None]) -> Callable[[], None]:
        def locked() -> None:
            with self._cluster.pump.lock:
                act()

        return locked


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back while a short piece of work is done, a request or a step of the pump."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[Any] = []
    before = signal.signal(signal.SIGINT, lambda *details: arrived.append(details))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
    if arrived and callable(before):
        before(*arrived[0])
