"""kubelet's resizer: gives running containers other resources, in place or by a restart.

Interface: `Resizer`: `plan(worker, state)`, `carry_out(uid, worker, resizing)`, `wake_deferred()`.
The rule not to break: one change at a time; what the runtime says after it decides what comes next.
Source: `doPodResizeAction` in pkg/kubelet/kuberuntime/kuberuntime_manager.go, pkg/kubelet/allocation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from k8snb.apimachinery.meta import Object, condition, uid_of
from k8snb.apimachinery.pod_resources import Amounts, amounts, requests, total
from k8snb.client.events import NORMAL, EventRecorder
from k8snb.client.workqueue import WorkQueue
from k8snb.clock import Clock
from k8snb.cri import Runtime, RuntimeFailure
from k8snb.kubelet.actions import PodState, field_path, is_terminal
from k8snb.kubelet.backoff import Backoff
from k8snb.kubelet.resizing import DEFERRED, PENDING, Change, Resizing, allocated, plan
from k8snb.kubelet.work import RuntimeWork
from k8snb.kubelet.worker import Worker


class Resizer:
    """Carries out the resizes of one node's pods. `capacity()` is what the node has; `pods()` those that are on it."""

    def __init__(
        self, runtime: Runtime, clock: Clock, *, work: RuntimeWork, events: EventRecorder, queue: WorkQueue,
        capacity: Callable[[], Mapping[str, str]], pods: Callable[[], Iterable[Object]],
    ) -> None:  # fmt: skip
        self._runtime = runtime
        self._clock = clock
        self._work = work
        self._events = events
        self._queue = queue
        self._capacity = capacity
        self._pods = pods

    def plan(self, worker: Worker, state: PodState) -> Resizing:
        return plan(worker.pod, state, free=lambda: self._free(worker.pod), failures=worker.resize_failures)

    def _free(self, pod: Object) -> tuple[Amounts, Amounts]:
        others = (requests(allocated(other)) for other in self._pods() if uid_of(other) != uid_of(pod)
                  and not is_terminal(other))  # fmt: skip
        return amounts(self._capacity()), total(others)

    def carry_out(self, uid: str, worker: Worker, resizing: Resizing, *, grace: float) -> None:
        """Begin the first change that is due."""
        for change in resizing.changes:
            left = worker.resizes.seconds_left(self._clock.now())
            if change.name in worker.resize_failures and left > 0:
                self._queue.add_after(uid, left)
            elif change.restart:
                return self._restart(uid, worker, change, grace)
            else:
                return self._update(uid, worker, change)

    def _restart(self, uid: str, worker: Worker, change: Change, grace: float) -> None:
        """The container ends, which counts as no crash; with its next start come its new resources."""
        worker.counted.add(change.id)
        worker.images.pop(change.name, None)
        message, path = f"Container {change.name} resize requires restart", field_path(worker.pod, change.name)
        self._events.event(worker.pod, NORMAL, "Killing", message, field_path=path)
        self._work.submit(uid, worker, lambda: self._runtime.stop_container(change.id, grace), waits=True)

    def _update(self, uid: str, worker: Worker, change: Change) -> None:
        def failed(worker: Worker, name: str, error: RuntimeFailure) -> Backoff:
            worker.resize_failures[name] = (change.resources, error)
            return worker.resizes

        self._work.submit(
            uid, worker, lambda: self._runtime.update_container_resources(change.id, change.resources),
            name=change.name, done=lambda _: worker.forget_resize(change.name), failed=failed,
        )  # fmt: skip

    def wake_deferred(self) -> None:
        """Something has left the node: there may be room now."""
        for pod in self._pods():
            if (condition(pod, PENDING) or {}).get("reason") == DEFERRED:
                self._queue.add(uid_of(pod))
