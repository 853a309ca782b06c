"""kubelet's lifecycle hooks: what a container does after its start, and what it may still do before it is stopped.

Interface: `LifecycleHooks`: `stop(uid, worker, container, grace)`, and `after_start(pod, container, container_id)` with
`sleep_after_start(worker, container, over)`.
The rule not to break: a hook's time comes out of the pod's grace period, of which at least two seconds are left for the
program to end by itself.
Source: `pkg/kubelet/lifecycle/handlers.go`, `killContainer` in `pkg/kubelet/kuberuntime/kuberuntime_container.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from k8snb.apimachinery.meta import Object, get_path, is_deleting
from k8snb.client.events import WARNING, EventRecorder
from k8snb.clock import Clock
from k8snb.cri import ContainerStatus, Runtime, RuntimeFailure
from k8snb.kubelet.actions import PodState, container_of, field_path
from k8snb.kubelet.backoff import Backoff
from k8snb.kubelet.prober import Dialer, port_number
from k8snb.kubelet.work import RuntimeWork
from k8snb.kubelet.worker import Worker

LEAST_GRACE = 2.0  # seconds that a program has after its hook
START_TIMEOUT = 60.0  # seconds for a hook after the start
HTTP_ERROR = 400
POST_START_ERROR = "PostStartHookError"
PRE_STOP, POST_START = "PreStopHook failed", "PostStartHook failed"


class Order(Protocol):
    """Who of a pod's containers waits for whom at the end: see `killing.TerminationOrder`."""

    def is_turn(self, name: str) -> bool: ...
    def wait(self, name: str, then: Callable[[], None]) -> None: ...
    def leave(self, name: str) -> None: ...
    def ended(self, name: str) -> None: ...


class LifecycleHooks:
    """The hooks of one node's containers. `state(uid)` is what the runtime has of a pod."""

    def __init__(
        self, runtime: Runtime, dialer: Dialer, clock: Clock, *, work: RuntimeWork, events: EventRecorder,
        state: Callable[[str], PodState],
    ) -> None:  # fmt: skip
        self._runtime = runtime
        self._dialer = dialer
        self._clock = clock
        self._work = work
        self._events = events
        self._state = state

    def stop(
        self, uid: str, worker: Worker, container: ContainerStatus, grace: float, order: Order | None = None
    ) -> None:
        """Stop a container, after what it has to do before that, and when it is its turn. Without any grace there is
        neither.
        """
        hook = _hook(worker.pod, container.name, "preStop")
        stop = partial(self._stop_in_turn, uid, worker, container, order)
        if not hook or grace <= 0:
            stop(grace)
            return
        began, round_ = self._clock.monotonic(), worker.round

        def over(result: object = None) -> None:
            stop(self._left(grace, began))

        def failed(worker: Worker, name: str, failure: RuntimeFailure) -> Backoff:
            self._tell(worker.pod, name, "FailedPreStopHook", PRE_STOP)
            over()
            return Backoff()

        if "sleep" in hook:
            self._wait(worker, round_, min(float(hook["sleep"]["seconds"]), grace), over)
        else:
            run = partial(self._run, worker.pod, container.name, container.id, hook, grace)
            self._work.submit(uid, worker, run, name=container.name, waits=True, done=over, failed=failed)

    def after_start(self, pod: Object, name: str, container_id: str) -> None:
        """What a container does first, on the executor. Raises RuntimeFailure when it was stopped for that."""
        hook = _hook(pod, name, "postStart")
        if not hook or "sleep" in hook:
            return
        try:
            self._run(pod, name, container_id, hook, START_TIMEOUT)
        except RuntimeFailure as failure:
            self._runtime.stop_container(container_id, LEAST_GRACE)
            raise RuntimeFailure(POST_START_ERROR, failure.message) from None

    def sleep_after_start(self, worker: Worker, name: str, over: Callable[[], None]) -> None:
        """Let the time of a hook pass that only sleeps; nothing else of the pod begins before, and `over` tells."""
        hook = _hook(worker.pod, name, "postStart")
        if "sleep" not in hook or is_deleting(worker.pod):
            return
        worker.sleeps = True

        def awake() -> None:
            worker.sleeps = False
            over()

        self._wait(worker, worker.round, float(hook["sleep"]["seconds"]), awake)

    def tell_failed(self, pod: Object, name: str, failure: RuntimeFailure) -> None:
        if failure.reason == POST_START_ERROR:
            self._tell(pod, name, "FailedPostStartHook", POST_START)

    def _tell(self, pod: Object, name: str, reason: str, message: str) -> None:
        self._events.event(pod, WARNING, reason, message, field_path=field_path(pod, name))

    def _wait(self, worker: Worker, round_: int, seconds: float, over: Callable[[], None]) -> None:
        """Let time pass; the pod counts as busy meanwhile."""
        worker.count(1, pull=False)

        def passed() -> None:
            if worker.round == round_:
                over()
                worker.count(-1, pull=False)

        self._clock.after(seconds, passed, label="kubelet")

    def _left(self, grace: float, began: float) -> float:
        return max(grace - (self._clock.monotonic() - began), min(grace, LEAST_GRACE))

    def _stop_in_turn(
        self, uid: str, worker: Worker, container: ContainerStatus, order: Order | None, grace: float
    ) -> None:
        if order is None or grace <= 0 or order.is_turn(container.name):
            self._stop(uid, worker, container, order, grace)
            return
        began, round_ = self._clock.monotonic(), worker.round
        worker.count(1, pull=False)

        def go() -> None:
            waited.cancel()
            order.leave(container.name)
            if worker.round == round_:
                self._stop(uid, worker, container, order, self._left(grace, began))
                worker.count(-1, pull=False)

        waited = self._clock.after(grace, go, label="kubelet")
        order.wait(container.name, go)

    def _stop(self, uid: str, worker: Worker, container: ContainerStatus, order: Order | None, grace: float) -> None:
        def stopped(_: None) -> None:
            if order is not None:
                order.ended(container.name)

        work = partial(self._runtime.stop_container, container.id, grace)
        self._work.submit(uid, worker, work, waits=True, done=stopped)

    def _run(self, pod: Object, name: str, container_id: str, hook: Object, timeout: float) -> None:
        """Carry out a hook. Raises RuntimeFailure."""
        if "exec" in hook:
            result = self._runtime.exec_sync(container_id, hook["exec"].get("command") or (), timeout)
            if result.exit_code:
                said = (result.stdout + result.stderr).decode(errors="replace").strip()
                raise RuntimeFailure("HookError", f"command exited with {result.exit_code}: {said}")
        elif "httpGet" in hook:
            self._ask(pod, name, hook["httpGet"], timeout)

    def _ask(self, pod: Object, name: str, action: Object, timeout: float) -> None:
        sandbox = self._state(pod["metadata"]["uid"]).sandbox
        address, ports = (sandbox.ip, sandbox.port_map) if sandbox else ("", {})
        port = port_number(container_of(pod, name), action["port"])
        headers = {header["name"]: header["value"] for header in action.get("httpHeaders") or ()}
        host, scheme = action.get("host") or address, (action.get("scheme") or "HTTP").lower()
        try:
            code = self._dialer.http(host, ports.get(port, port), action.get("path") or "/", headers, timeout, scheme)
        except OSError as error:
            raise RuntimeFailure("HookError", f"Get {scheme}://{host}:{port}: {error.strerror or error}") from None
        if code >= HTTP_ERROR:
            raise RuntimeFailure("HookError", f"Get {scheme}://{host}:{port}: status {code}")


def _hook(pod: Object, name: str, sort: str) -> Object:
    """A container's hook; nothing for a container that the pod does not have any more."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod["spec"].get(field) or ():
            if container["name"] == name:
                found: Object = get_path(container, f"lifecycle.{sort}") or {}
                return found
    return {}
