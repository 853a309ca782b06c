"""kubelet's node shutdown manager: a machine that is switched off in good order lets its pods end first.

Interface: `NodeShutdown(…)`: `begin(grace, critical)`, `over()`; `problem()` and `refusal(pod)` while it lasts.
The rule not to break: critical pods end last, because the others may need them to the end.
Source: `pkg/kubelet/nodeshutdown/nodeshutdown_manager_linux.go`. Upstream delays systemd by an inhibitor lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from k8snb.apimachinery.meta import Object, get_path, uid_of
from k8snb.clock import Clock
from k8snb.cri import RUNNING
from k8snb.kubelet.actions import PodState
from k8snb.kubelet.eviction_rules import is_critical
from k8snb.kubelet.pod_workers import PodWorkers

REASON, MESSAGE = "Terminated", "Pod was terminated in response to imminent node shutdown."
REFUSED, REFUSAL = "NodeShutdown", "Pod was rejected as the node is shutting down."
PROBLEM = "node is shutting down"
LOOK = 0.1  # seconds between two looks whether the ordinary pods have ended


class NodeShutdown:
    """`state(pod)` is what the runtime has of a pod; `report` is called when the node is no longer ready."""

    def __init__(
        self, workers: PodWorkers, clock: Clock, *, state: Callable[[Object], PodState], report: Callable[[], None]
    ) -> None:
        self._workers, self._clock, self._state, self._report = workers, clock, state, report
        self._began: float | None = None

    def problem(self) -> str:
        return PROBLEM if self._began is not None else ""

    def refusal(self, pod: Object) -> tuple[str, str]:
        return (REFUSED, REFUSAL) if self._began is not None else ("", "")

    def begin(self, grace: float, critical: float) -> None:
        """End the pods within `grace` seconds in all, the last `critical` of which are the critical pods'."""
        self._began = self._clock.monotonic()
        self._report()
        critical = min(critical, grace)
        self._end([pod for pod in self._workers.pods() if not is_critical(pod)], grace - critical)
        self._then(grace, critical)

    def over(self) -> bool:
        """Whether nothing runs on the node any more."""
        return not self._running(self._workers.pods())

    def _then(self, grace: float, critical: float) -> None:
        pods = self._workers.pods()
        waits = self._clock.monotonic() - (self._began or 0.0) < grace - critical
        if waits and self._running(pod for pod in pods if not is_critical(pod)):
            self._clock.after(LOOK, lambda: self._then(grace, critical), label="kubelet")
        else:
            self._end([pod for pod in pods if is_critical(pod)], critical)

    def _end(self, pods: Iterable[Object], grace: float) -> None:
        for pod in pods:
            self._workers.fail(uid_of(pod), REASON, MESSAGE, grace=grace)

    def _running(self, pods: Iterable[Object]) -> bool:
        return any(
            _reported_running(pod) or any(container.state == RUNNING for container in self._state(pod).containers)
            for pod in pods
        )


def _reported_running(pod: Object) -> bool:
    """Whether somebody who reads the pod's status must take a container for a running one."""
    return any("running" in status["state"] for status in get_path(pod, "status.containerStatuses") or ())
