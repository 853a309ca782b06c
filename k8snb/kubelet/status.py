"""kubelet's status: what a pod's status says, made from its spec and what the runtime has.

Interface: `pod_status(…)`, pure.
The rule not to break: status is computed whole each time, never edited.
Source: `generateAPIPodStatus` in pkg/kubelet/kubelet_pods.go, `convertToAPIContainerStatuses`,
`pkg/kubelet/status/generate.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from k8snb.apimachinery.meta import Object, get_path, is_deleting, with_condition
from k8snb.clock import timestamp
from k8snb.cri import EXITED, RUNNING, SANDBOX_READY, ContainerStatus
from k8snb.kubelet.actions import PodState, is_sidecar, is_terminal, reported, restarts
from k8snb.kubelet.resizing import NOTHING, RESIZE_CONDITIONS, Resizing, shown

CREATING, INITIALIZING = "ContainerCreating", "PodInitializing"
LOST = {
    "exitCode": 137, "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was started or ended. It used to be Running",
}  # fmt: skip


@dataclass(frozen=True)
class Waiting:
    """Why a container does not run, in the words that kubectl shows."""

    reason: str
    message: str = ""

    def as_state(self) -> Object:
        return {"waiting": {"reason": self.reason, **({"message": self.message} if self.message else {})}}


@dataclass(frozen=True)
class Observed:
    """What the kubelet knows of a pod beside the runtime's listing.

    `waiting`: why containers wait; `ready`, `started`: the probes' verdicts; `last`: how containers ended before;
    `resizing`: what has come of a wish for other resources; `runtime`: the word before the ids of its containers.
    """

    state: PodState
    host_ip: str
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    ready: Callable[[str], bool] = lambda name: True
    started: Callable[[str], bool] = lambda name: True
    last: Mapping[str, ContainerStatus] = field(default_factory=dict)
    resizing: Resizing = NOTHING
    runtime: str = ""

    def container_id(self, container: ContainerStatus) -> str:
        """As statuses have it: `docker://` and the runtime's own id."""
        return f"{self.runtime}://{container.id}"


def pod_status(pod: Object, observed: Observed, now: float) -> Object:
    """The whole `status` of a pod that this node runs. `now`: seconds since the epoch."""
    spec, old = pod["spec"], pod.get("status") or {}
    inits = [_container_status(pod, c, observed, once=not is_sidecar(c)) for c in spec.get("initContainers") or ()]
    mains = [_container_status(pod, c, observed, once=False) for c in spec["containers"]]
    ephemerals = [_ephemeral_status(pod, c, observed) for c in spec.get("ephemeralContainers") or ()]
    phase = _phase(pod, inits, mains)
    status: Object = {
        "phase": phase,
        "qosClass": old.get("qosClass"),
        "startTime": old.get("startTime") or timestamp(now),
        "hostIP": observed.host_ip,
        "hostIPs": [{"ip": observed.host_ip}],
        "conditions": _conditions(pod, inits, mains, phase, observed, timestamp(now)),
        "containerStatuses": mains,
    }
    if inits:
        status["initContainerStatuses"] = inits
    if ephemerals:
        status["ephemeralContainerStatuses"] = ephemerals
    sandbox = observed.state.sandbox
    address = observed.host_ip if spec.get("hostNetwork") else (sandbox.ip if sandbox else "") or old.get("podIP")
    if address:
        status["podIP"], status["podIPs"] = address, [{"ip": address}]
    for kept in ("reason", "message"):
        if kept in old and phase in ("Failed", old.get("phase")):
            status[kept] = old[kept]
    if "observedGeneration" in old or "generation" in pod["metadata"]:
        status["observedGeneration"] = pod["metadata"].get("generation", 1)
    return status


def _container_status(pod: Object, container: Object, observed: Observed, *, once: bool) -> Object:
    """`once`: an init container that has to end before the others begin."""
    name = container["name"]
    newest = observed.state.newest(name)
    if newest is None and reported(pod, name):
        return _lost(pod, reported(pod, name), observed, once=once)
    waiting = observed.waiting.get(name)
    running = newest is not None and newest.state == RUNNING
    state = _current_state(pod, newest, waiting, observed)
    waits_again = newest is not None and newest.state == EXITED and "waiting" in state
    previous = newest if waits_again else observed.last.get(name)
    before = reported(pod, name).get("lastState") or {}
    status: Object = {
        "name": name,
        "image": newest.image if newest is not None else container["image"],
        "imageID": newest.image_id if newest is not None else "",
        "restartCount": newest.attempt if newest is not None else 0,
        "ready": _is_ready(newest, observed, once=once),
        "started": running and observed.started(name),
        "state": state,
        "lastState": {"terminated": _terminated(previous, observed)} if previous is not None else before,
    }
    if newest is not None:
        status["containerID"] = observed.container_id(newest)
    return {**status, **shown(pod, container, newest, observed.resizing)}


def _ephemeral_status(pod: Object, container: Object, observed: Observed) -> Object:
    """An ephemeral container is never ready, and nothing asks whether it has started up."""
    status = _container_status(pod, container, observed, once=False)
    return {**{name: value for name, value in status.items() if name != "started"}, "ready": False}


def _lost(pod: Object, old: Object, observed: Observed, *, once: bool) -> Object:
    """A container that the runtime does not have: it was never made, or has been removed, or its machine was off.

    Where it is not to run again its last state stays; otherwise its end counts as a restart.
    """
    status = {**old, "ready": False, "started": False}
    before = old["state"]
    ended = {"terminated": LOST} if "running" in before else before if "terminated" in before else old["lastState"]
    if is_deleting(pod) or is_terminal(pod):
        return {**status, "ready": old["ready"] and once, "state": before if "running" not in before else ended}
    status.pop("containerID", None)
    state = _current_state(pod, None, observed.waiting.get(old["name"]), observed)
    return {**status, "restartCount": restarts(pod, old["name"]), "state": state, "lastState": ended}


def _current_state(pod: Object, newest: ContainerStatus | None, waiting: Waiting | None, observed: Observed) -> Object:
    if newest is not None and newest.state == RUNNING:
        return {"running": {"startedAt": timestamp(newest.started_at)}}
    if waiting is not None:
        return waiting.as_state()
    if newest is not None and newest.state == EXITED:
        return {"terminated": _terminated(newest, observed)}
    return Waiting(INITIALIZING if pod["spec"].get("initContainers") else CREATING).as_state()


def _completed(container: ContainerStatus) -> bool:
    return container.state == EXITED and container.exit_code == 0


def _is_ready(newest: ContainerStatus | None, observed: Observed, *, once: bool) -> bool:
    if newest is None:
        return False
    if once:
        return _completed(newest)
    return newest.state == RUNNING and observed.started(newest.name) and observed.ready(newest.name)


def _terminated(container: ContainerStatus, observed: Observed) -> Object:
    state = {
        "exitCode": container.exit_code,
        "reason": container.reason or ("Completed" if container.exit_code == 0 else "Error"),
        "startedAt": timestamp(container.started_at or container.created_at),
        "finishedAt": timestamp(container.finished_at),
        "containerID": observed.container_id(container),
    }
    return {**state, "message": container.message} if container.message else state


def _phase(pod: Object, inits: list[Object], mains: list[Object]) -> str:
    """Pending, Running, Succeeded or Failed. A phase that is an end stays; a deleted pod ends when its containers do.

    Source: `getPhase` in pkg/kubelet/kubelet_pods.go.
    """
    old: str = get_path(pod, "status.phase", "Pending")
    if is_terminal(pod):
        return old
    policy = "Never" if is_deleting(pod) else pod["spec"].get("restartPolicy", "Always")
    once = [status for status in inits if status["name"] not in _sidecars(pod)]
    if policy == "Never" and any(_exit_code(status) not in (None, 0) for status in once):
        return "Failed"
    if any("waiting" in status["state"] and not status["lastState"] for status in mains):
        return "Pending"
    codes = [_exit_code(status) for status in mains]
    if any(code is None for code in codes):
        return "Running"
    restarts = policy == "Always" or (policy == "OnFailure" and any(codes))
    if restarts:
        return "Running"
    return "Failed" if any(codes) else "Succeeded"


def _sidecars(pod: Object) -> set[str]:
    return {init["name"] for init in pod["spec"].get("initContainers") or () if is_sidecar(init)}


def _exit_code(status: Object) -> int | None:
    """The exit code of a container that has ended and does not wait for another start."""
    code: int | None = get_path(status, "state.terminated.exitCode")
    return code


def _conditions(
    pod: Object, inits: list[Object], mains: list[Object], phase: str, observed: Observed, now: str
) -> list[Object]:
    """The pod's conditions in upstream's order: others' first, the scheduler's last."""
    generation = pod["metadata"].get("generation", 1)
    before = get_path(pod, "status.conditions") or ()
    scheduled = [entry for entry in before if entry["type"] == "PodScheduled"]
    conditions = [entry for entry in before if entry["type"] != "PodScheduled"]
    sandbox = observed.state.sandbox
    sidecars = _sidecars(pod)
    awaited = [] if _has_begun(mains) else [
        {**init, "ready": init["started"]} if init["name"] in sidecars else init for init in inits
    ]  # fmt: skip
    serving = [*(init for init in inits if init["name"] in sidecars), *mains]
    wanted = (
        ("PodReadyToStartContainers", _unless(sandbox is not None and sandbox.state == SANDBOX_READY, "", "")),
        ("Initialized", _all_of(awaited, phase, "ContainersNotInitialized", "containers with incomplete status")),
        ("Ready", _readiness(pod, serving, phase)),
        ("ContainersReady", _all_of(serving, phase, "ContainersNotReady", "containers with unready status")),
    )
    for sort, (status, reason, message) in wanted:
        entry: Object = {"type": sort, "status": status, "observedGeneration": generation}
        entry.update({key: text for key, text in (("reason", reason), ("message", message)) if text})
        conditions = with_condition(conditions, entry, now)
    return [*_with_resize(conditions, observed.resizing, generation, now), *scheduled]


def _with_resize(conditions: list[Object], resizing: Resizing, generation: int, now: str) -> list[Object]:
    """The conditions that are only there while a resize is."""
    there = {sort: (reason, message) for sort, reason, message in resizing.conditions()}
    conditions = [one for one in conditions if one["type"] not in RESIZE_CONDITIONS or one["type"] in there]
    for sort, texts in there.items():
        entry: Object = {"type": sort, "status": "True", "observedGeneration": generation}
        entry.update({key: text for key, text in zip(("reason", "message"), texts, strict=True) if text})
        conditions = with_condition(conditions, entry, now)
    return conditions


def _has_begun(mains: list[Object]) -> bool:
    """Whether a container has ever started: a pod is initialized once, whatever becomes of its sidecars."""
    return any("waiting" not in status["state"] or status["lastState"] for status in mains)


Verdict = tuple[str, str, str]


def _unless(good: object, reason: str, message: str) -> Verdict:
    return ("True", "", "") if good else ("False", reason, message)


def _all_of(statuses: list[Object], phase: str, reason: str, words: str) -> Verdict:
    if phase == "Succeeded":
        return ("True" if reason == "ContainersNotInitialized" else "False", "PodCompleted", "")
    if phase == "Failed" and reason == "ContainersNotReady":
        return ("False", "PodFailed", "")
    unready = [status["name"] for status in statuses if not status["ready"]]
    return _unless(not unready, reason, f"{words}: [{' '.join(unready)}]")


def _readiness(pod: Object, serving: list[Object], phase: str) -> Verdict:
    verdict = _all_of(serving, phase, "ContainersNotReady", "containers with unready status")
    if verdict[0] != "True":
        return verdict
    for gate in pod["spec"].get("readinessGates") or ():
        entry = next((c for c in get_path(pod, "status.conditions") or () if c["type"] == gate["conditionType"]), None)
        if entry is None or entry["status"] != "True":
            name = gate["conditionType"]
            message = f'corresponding condition of pod readiness gate "{name}" does not exist or is not True'
            return ("False", "ReadinessGatesNotReady", message)
    return verdict
