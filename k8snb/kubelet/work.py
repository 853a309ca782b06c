"""kubelet's work for the runtime: what pod workers ask of it, done off the pump, and what becomes of a failure.

Interface: `RuntimeWork.submit(uid, worker, work, …)`.
The rule not to break: a worker is busy from `submit` until the runtime has said what there is after the work; what is
said of the result may fail, the worker is not busy for ever because of that. A pull changes no container: nobody asks.
Real Kubernetes has a goroutine per pod, which waits for each call to the runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8snb.apimachinery.meta import is_deleting
from k8snb.client.events import WARNING, EventRecorder
from k8snb.client.workqueue import WorkQueue
from k8snb.clock import Clock
from k8snb.cri import RuntimeFailure, RuntimeUnavailable
from k8snb.executor import Executor
from k8snb.kubelet.backoff import Backoff
from k8snb.kubelet.pleg import Pleg
from k8snb.kubelet.worker import Worker

AWAY = 1.0  # seconds until a runtime that was not there is asked for the same thing again
AGAIN = 10.0  # seconds until what could not be ended is told to end again; upstream's backOffPeriod

Done = Callable[[Any], None]
Failed = Callable[[Worker, str, RuntimeFailure], Backoff]  # tells of a failure; returns the back-off that counts it


class RuntimeWork:
    """The outside work of one node's pods."""

    def __init__(
        self, executor: Executor, pleg: Pleg, clock: Clock, *, events: EventRecorder, queue: WorkQueue
    ) -> None:
        self._executor = executor
        self._pleg = pleg
        self._clock = clock
        self._events = events
        self._queue = queue

    def submit(
        self, uid: str, worker: Worker, work: Callable[[], Any], *, name: str = "", pull: bool = False,
        waits: bool = False, done: Done = lambda result: None, failed: Failed | None = None,
    ) -> None:  # fmt: skip
        """Do it on the executor; afterwards ask the runtime what there is, and sync the pod `uid` again.

        `name` is the container's. `pull` marks a look for an image, which a pod that is being deleted does not wait
        for. A runtime that was not there is counted by no back-off.
        """
        begun = worker.round
        worker.count(1, pull=pull)

        def finished(result: Any, error: BaseException | None) -> None:
            if self._pleg.stopped:
                return
            try:
                if worker.round == begun and not (pull and is_deleting(worker.pod)):
                    self._tell(worker, name, result, error, done=done, failed=failed)
            finally:
                away = isinstance(error, RuntimeUnavailable)
                if pull and not away:
                    settled()
                else:
                    self._relist(settled, AWAY if away else AGAIN if error is not None and failed is None else 0.0)

        def settled() -> None:
            if worker.round == begun:
                worker.count(-1, pull=pull)
            self._queue.add(uid)

        self._executor.submit(work, finished, waits=waits or pull)

    def _relist(self, then: Callable[[], None], pause: float) -> None:
        if pause:
            self._clock.after(pause, lambda: self._relist(then, 0.0), label="kubelet")
        elif not self._pleg.stopped:
            self._pleg.relist(then)

    def _tell(
        self, worker: Worker, name: str, result: Any, error: BaseException | None, *, done: Done, failed: Failed | None
    ) -> None:
        if error is None:
            done(result)
            return
        failure = _as_failure(error)
        if failed is None:
            self._events.event(worker.pod, WARNING, "FailedKillPod", f"error killing pod: {failure.message}")
            return
        backoff = failed(worker, name, failure)
        if not isinstance(failure, RuntimeUnavailable):
            backoff.failed(self._clock.now())


def _as_failure(error: BaseException) -> RuntimeFailure:
    if isinstance(error, RuntimeFailure):
        return error
    return RuntimeFailure("RuntimeError", f"{type(error).__name__}: {error}")
