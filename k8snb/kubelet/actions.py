"""kubelet's decision: what has to happen next to a pod, given what it wants and what the runtime has.

Interface: `next_action(pod, state, …) -> Action | None`, pure; the pod worker does one action at a time.
The rule not to break: the answer depends on nothing but the arguments.
Source: `computePodActions` in pkg/kubelet/kuberuntime/kuberuntime_manager.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from k8snb.apimachinery.meta import Object, get_path, is_deleting
from k8snb.cri import EXITED, RUNNING, SANDBOX_READY, ContainerStatus, SandboxStatus

RUN_SANDBOX, PULL, START, KILL, STOP_SANDBOX, REMOVE, WAIT = (
    "run sandbox", "pull", "start container", "kill container", "stop sandbox", "remove", "wait",
)  # fmt: skip
STATUSES = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


@dataclass(frozen=True)
class Action:
    """One thing to do: `sort` says what, to the container `name` or the runtime object `id`.

    For WAIT, `seconds` says until when a back-off lasts, and `others` which containers wait besides.
    """

    sort: str
    name: str = ""
    id: str = ""
    attempt: int = 0
    seconds: float = 0.0
    others: tuple[Action, ...] = ()


@dataclass(frozen=True)
class PodState:
    """What the runtime has of one pod, oldest first."""

    sandboxes: Sequence[SandboxStatus] = ()
    containers: Sequence[ContainerStatus] = ()

    @property
    def sandbox(self) -> SandboxStatus | None:
        """The newest sandbox."""
        if len(self.sandboxes) == 1:
            return self.sandboxes[0]
        return max(self.sandboxes, key=lambda sandbox: sandbox.attempt, default=None)

    def newest(self, name: str) -> ContainerStatus | None:
        """The newest container of this name."""
        named = [container for container in self.containers if container.name == name]
        if len(named) == 1:
            return named[0]
        return max(named, key=lambda container: (container.attempt, container.created_at), default=None)


Wait = Callable[[str], float]
Test = Callable[[str], bool]


def next_action(pod: Object, state: PodState, *, image_present: Test, wait: Wait, started: Test) -> Action | None:
    """The next thing to do for a pod; None when all is as it should be.

    `image_present(container name)` says whether the container's image is at hand; `wait(container name)` how many
    seconds its back-off still lasts; `started(container name)` whether its startup probe has nothing against it.
    """
    if is_deleting(pod) or is_terminal(pod):
        return _end(state, remove=is_deleting(pod))
    sandbox = state.sandbox
    if _is_finished(pod, state):
        return _end(state, remove=False)
    if sandbox is None or sandbox.state != SANDBOX_READY:
        return Action(RUN_SANDBOX, attempt=sandbox.attempt + 1 if sandbox else 0)
    waits = []
    for container in _due(pod, state, started):
        action = _container_action(pod, container, state.newest(container["name"]), image_present, wait)
        if action is not None and action.sort != WAIT:
            return action
        if action is not None:
            waits.append(action)
    waits.sort(key=lambda action: action.seconds)
    return replace(waits[0], others=tuple(waits[1:])) if waits else None


def is_terminal(pod: Object) -> bool:
    """Whether the pod has run to its end, or somebody has called it Failed: nothing of it starts again."""
    return get_path(pod, "status.phase") in ("Succeeded", "Failed")


def _end(state: PodState, *, remove: bool) -> Action | None:
    """First the containers, all at once, then the sandbox, then, with `remove`, what is left of them."""
    for container in state.containers:
        if container.state == RUNNING:
            return Action(KILL, container.name, container.id)
    for sandbox in state.sandboxes:
        if sandbox.state == SANDBOX_READY:
            return Action(STOP_SANDBOX, id=sandbox.id)
    if remove and (state.sandboxes or state.containers):
        return Action(REMOVE)
    return None


def _due(pod: Object, state: PodState, started: Test) -> Iterable[Object]:
    """The containers that may run now: ephemeral ones, init containers one after the other, then all the others.

    An ephemeral container starts once, however far the others have come. An init container with restartPolicy Always
    (a sidecar) lets the next one go as soon as it runs and its startup probe has passed; it does not call them back.
    """
    spec = pod["spec"]
    due: list[Object] = [{**each, "restartPolicy": "Never"} for each in spec.get("ephemeralContainers") or ()]
    inits = spec.get("initContainers") or ()
    for number, init in enumerate(inits):
        newest = state.newest(init["name"])
        if is_sidecar(init):
            due.append(init)
            has_started = newest is not None and newest.state == RUNNING and started(init["name"])
            if not has_started and not _have_begun([*inits[number + 1 :], *spec["containers"]], state):
                return due
        elif not _has_succeeded(newest, state) and not _have_begun(spec["containers"], state):
            return [*due, {**init, "restartPolicy": _init_policy(spec, newest, state)}]
    policy = spec.get("restartPolicy", "Always")
    return [*due, *({**container, "restartPolicy": policy} for container in spec["containers"])]


def is_sidecar(init: Object) -> bool:
    """An init container that runs beside the others for as long as they do."""
    return init.get("restartPolicy") == "Always"


def _init_policy(spec: Object, newest: ContainerStatus | None, state: PodState) -> str:
    """An init container has to succeed: it is tried again unless the pod says Never, and runs in each new sandbox."""
    if newest is not None and not _is_here(newest, state):
        return "Always"
    return "Never" if spec.get("restartPolicy") == "Never" else "OnFailure"


def _has_succeeded(container: ContainerStatus | None, state: PodState) -> bool:
    done = container is not None and container.state == EXITED and container.exit_code == 0
    return done and _is_here(container, state)


def _have_begun(containers: Iterable[Object], state: PodState) -> bool:
    """Whether any of them has been started in this sandbox: in a new one a pod begins with its init containers."""
    return any(_is_here(state.newest(container["name"]), state) for container in containers)


def _is_here(container: ContainerStatus | None, state: PodState) -> bool:
    sandbox = state.sandbox
    return container is not None and sandbox is not None and container.sandbox_id == sandbox.id


def _container_action(
    pod: Object, container: Object, newest: ContainerStatus | None, image_present: Callable[[str], bool], wait: Wait
) -> Action | None:
    name = container["name"]
    if newest is not None and newest.state == RUNNING:
        return None
    if newest is not None and newest.state == EXITED and not should_restart(container["restartPolicy"], newest):
        return None
    attempt = newest.attempt + 1 if newest is not None else restarts(pod, name)
    seconds = wait(name)
    if seconds > 0:
        return Action(WAIT, name, seconds=seconds)
    if not image_present(name):
        return Action(PULL, name)
    return Action(START, name, attempt=attempt)


def reported(pod: Object, name: str) -> Object:
    """What the pod's status says of a container; {} where it says nothing yet."""
    status = pod.get("status") or {}
    for field in STATUSES:
        for entry in status.get(field) or ():
            if entry["name"] == name:
                found: Object = entry
                return found
    return {}


def runtime_id(container_id: str) -> str:
    """The runtime's own id of a container, from `docker://…` in a status."""
    return container_id.rpartition("://")[2]


def restarts(pod: Object, name: str) -> int:
    """How often a container that the runtime does not have, or has lost, has been restarted: losing it counts."""
    entry = reported(pod, name)
    count: int = entry.get("restartCount", 0)
    return count + 1 if entry.get("containerID") else count


def should_restart(policy: str, ended: ContainerStatus) -> bool:
    """Always; OnFailure after an exit code that is not 0; Never."""
    return policy == "Always" or (policy == "OnFailure" and ended.exit_code != 0)


def _is_finished(pod: Object, state: PodState) -> bool:
    """Whether no container will run any more."""
    spec = pod["spec"]
    policy = spec.get("restartPolicy", "Always")
    for init in spec.get("initContainers") or ():
        newest = state.newest(init["name"])
        failed = newest is not None and newest.state == EXITED and newest.exit_code != 0
        if failed and policy == "Never" and not is_sidecar(init):
            return True
    for container in spec["containers"]:
        newest = state.newest(container["name"])
        if newest is None or newest.state != EXITED or should_restart(policy, newest):
            return False
    return True


def containers_of(pod: Object) -> Iterable[Object]:
    spec = pod["spec"]
    return [*(spec.get("initContainers") or ()), *spec["containers"], *(spec.get("ephemeralContainers") or ())]


def field_path(pod: Object, name: str) -> str:
    """Where a pod has a container, as events name it: `spec.containers{web}`."""
    for part in ("containers", "initContainers", "ephemeralContainers"):
        if any(container["name"] == name for container in pod["spec"].get(part) or ()):
            return f"spec.{part}{{{name}}}"
    return ""


def container_of(pod: Object, name: str) -> Object:
    return next(container for container in containers_of(pod) if container["name"] == name)
