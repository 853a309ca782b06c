"""kubelet's killing: how the containers of a pod are ended, one that is found dead or all of them.

Interface: `Killing`: `restart(uid, worker, container, probe)`, `kill_all(uid, worker)`, `hurry(uid, worker)`; and
`TerminationOrder`, whose turn it is to end.
The rule not to break: sidecars outlive the containers that they serve, and the pod's grace period is one for all.
Source: `killContainersWithSyncResult` in pkg/kubelet/kuberuntime/kuberuntime_container.go,
kuberuntime_termination_order.go and `setTerminationGracePeriod` beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from k8snb.apimachinery.meta import Object, is_deleting
from k8snb.client.events import NORMAL, EventRecorder
from k8snb.cri import RUNNING, ContainerStatus
from k8snb.kubelet.actions import PodState, container_of, field_path, is_sidecar
from k8snb.kubelet.lifecycle import LifecycleHooks
from k8snb.kubelet.prober import WORDS
from k8snb.kubelet.worker import Worker, grace_of


class TerminationOrder:
    """The containers of spec.containers end at once; a sidecar when they and the sidecars after it have ended."""

    def __init__(self, pod: Object, running: Collection[str]) -> None:
        mains = [container["name"] for container in pod["spec"]["containers"]]
        sidecars = [init["name"] for init in pod["spec"].get("initContainers") or () if is_sidecar(init)]
        self._before = {
            name: {*mains, *sidecars[number + 1 :]} & set(running) for number, name in enumerate(sidecars)
        }  # fmt: skip
        self._waiting: dict[str, Callable[[], None]] = {}

    def is_turn(self, name: str) -> bool:
        return not self._before.get(name)

    def wait(self, name: str, then: Callable[[], None]) -> None:
        self._waiting[name] = then

    def leave(self, name: str) -> None:
        """It waits no more."""
        self._waiting.pop(name, None)

    def ended(self, name: str) -> None:
        for awaited in self._before.values():
            awaited.discard(name)
        for each in [each for each in self._waiting if self.is_turn(each)]:
            self._waiting.pop(each)()


class Killing:
    """Ends containers of one node's pods. `state(uid)` is what the runtime has of a pod."""

    def __init__(self, hooks: LifecycleHooks, events: EventRecorder, state: Callable[[str], PodState]) -> None:
        self._hooks = hooks
        self._events = events
        self._state = state

    def restart(self, uid: str, worker: Worker, container: ContainerStatus, probe: str) -> None:
        """End a container that its `probe` found dead; the restart policy says what comes next."""
        self._tell(worker.pod, container.name, _found_dead(worker.pod, container.name, probe))
        own = container_of(worker.pod, container.name)[probe].get("terminationGracePeriodSeconds")
        worker.grace = grace = grace_of(worker) if own is None or is_deleting(worker.pod) else float(own)
        self._hooks.stop(uid, worker, container, grace)

    def kill_all(self, uid: str, worker: Worker) -> None:
        """End all running containers of a pod."""
        worker.grace = grace = grace_of(worker)
        running = [container for container in self._state(uid).containers if container.state == RUNNING]
        order = TerminationOrder(worker.pod, {container.name for container in running})
        for container in running:
            if not worker.gone:
                self._tell(worker.pod, container.name, f"Stopping container {container.name}")
            self._hooks.stop(uid, worker, container, grace, order)

    def _tell(self, pod: Object, name: str, message: str) -> None:
        self._events.event(pod, NORMAL, "Killing", message, field_path=field_path(pod, name))

    def hurry(self, uid: str, worker: Worker) -> None:
        """A deletion ends a hook's sleep; one with a shorter grace period overtakes the stop that is under way."""
        if worker.sleeps and is_deleting(worker.pod):
            worker.give_up()
        if worker.grace and is_deleting(worker.pod) and grace_of(worker) < worker.grace:
            worker.give_up()
            self.kill_all(uid, worker)


def _found_dead(pod: Object, name: str, probe: str) -> str:
    """In the words of `computePodActions` and, for a sidecar, `computeInitContainerActions`."""
    failed = f"{name} failed {WORDS[probe].lower()} probe"
    if any(init["name"] == name for init in pod["spec"].get("initContainers") or ()):
        return f"Init container {failed}"
    restarts = pod["spec"].get("restartPolicy") != "Never"
    return f"Container {failed}{', will be restarted' if restarts else ''}"
