"""kubelet's in-place resize: what has to be done to running containers whose resources have been changed.

Interface: `plan(…) -> Resizing`, `allocated(pod)`, `wanted(container)`, `shown(…)`, all pure.
The rule not to break: what a pod has been granted can be read off its status: a kubelet that starts anew goes on.
Source: `canResizePod` in pkg/kubelet/kubelet.go, `computePodResizeAction` in
pkg/kubelet/kuberuntime/kuberuntime_manager.go; KEP-1287.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from k8snb.apimachinery import quantity
from k8snb.apimachinery.meta import Object, condition, get_path, is_deleting
from k8snb.apimachinery.pod_resources import Amounts, amounts, requests, total
from k8snb.cri import RUNNING, ContainerResources, ContainerStatus, RuntimeFailure
from k8snb.kubelet.actions import PodState, is_sidecar, is_terminal, reported

RESIZE_CONDITIONS = PENDING, IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
INFEASIBLE, DEFERRED, ERROR = "Infeasible", "Deferred", "Error"
RESTART = "RestartContainer"
LEAST_REQUEST, LEAST_LIMIT, ALIKE = 0.002, 0.01, 0.0005  # cores: what a kernel can tell apart
RESOURCES = ("cpu", "memory")


@dataclass(frozen=True)
class Change:
    """One container whose resources are to become others."""

    name: str
    id: str
    resources: ContainerResources
    restart: bool = False


@dataclass(frozen=True)
class Resizing:
    """What a wish for other resources comes to: a reason to wait and its words, or what is left to be done."""

    pending: tuple[str, str] | None = None
    changes: Sequence[Change] = ()
    error: str = ""

    def conditions(self) -> Iterator[tuple[str, str, str]]:
        """The conditions that are true: type, reason, message."""
        if self.pending is not None:
            yield (PENDING, *self.pending)
        if self.changes:
            yield (IN_PROGRESS, ERROR if self.error else "", self.error)


NOTHING = Resizing()
Failures = Mapping[str, tuple[ContainerResources, RuntimeFailure]]  # by container: what was asked, what was said


def plan(pod: Object, state: PodState, *, free: Callable[[], tuple[Amounts, Amounts]], failures: Failures) -> Resizing:
    """`free()` gives what the node has and what its other pods request; `failures` what a runtime said before."""
    if is_deleting(pod) or is_terminal(pod) or not _is_wished(pod, state):
        return NOTHING
    refusal = _unfit(requests(pod), *free())
    if refusal is not None:
        return Resizing(refusal)
    changes = tuple(_changes(pod, state))
    before = ((change.resources, *failures[change.name]) for change in changes if change.name in failures)
    said = [failure for wish, tried, failure in before if wish == tried]
    never = next((failure for failure in said if failure.reason == INFEASIBLE), None)
    if never is not None:
        return Resizing((INFEASIBLE, never.message))
    return Resizing(changes=changes, error="; ".join(failure.message for failure in said))


def _is_wished(pod: Object, state: PodState) -> bool:
    """Whether the spec says something else than was granted, or than is in force."""
    return any(_asks(pod, container) for container in _resizable(pod)) or any(True for _ in _changes(pod, state))


def _asks(pod: Object, container: Object) -> bool:
    """Whether a container's spec says something else than its status tells."""
    told = reported(pod, container["name"])
    if "resources" not in told:
        return False
    asked, granted = get_path(container, "resources.requests"), (told["resources"] or {}).get("requests")
    return asked != granted and amounts(asked) != amounts(granted)


def _changes(pod: Object, state: PodState) -> Iterator[Change]:
    for container in _resizable(pod):
        newest = state.newest(container["name"])
        if newest is None or newest.state != RUNNING or newest.resources is None:
            continue
        wish, now = wanted(container), newest.resources
        if not _same(wish, now):
            yield Change(newest.name, newest.id, wish, _must_restart(container, wish, now))


def _resizable(pod: Object) -> list[Object]:
    spec = pod["spec"]
    return [*spec["containers"], *(init for init in spec.get("initContainers") or () if is_sidecar(init))]


def wanted(container: Object) -> ContainerResources:
    """A container's resources in the words of the runtime interface."""
    resources = container.get("resources") or {}
    return ContainerResources(
        memory_limit=quantity.to_bytes(get_path(resources, "limits.memory", 0)),
        cpu_limit=quantity.milli(get_path(resources, "limits.cpu", 0)) / 1000,
        cpu_request=quantity.milli(get_path(resources, "requests.cpu", 0)) / 1000,
    )


def _same(wish: ContainerResources, now: ContainerResources) -> bool:
    return (
        wish.memory_limit == now.memory_limit
        and _alike(wish.cpu_limit, now.cpu_limit, LEAST_LIMIT)
        and _alike(wish.cpu_request, now.cpu_request, LEAST_REQUEST)
    )


def _alike(wish: float, now: float, least: float) -> bool:
    return abs((max(wish, least) if wish else 0.0) - (max(now, least) if now else 0.0)) < ALIKE


def _must_restart(container: Object, wish: ContainerResources, now: ContainerResources) -> bool:
    cpu = not (_alike(wish.cpu_limit, now.cpu_limit, LEAST_LIMIT)
               and _alike(wish.cpu_request, now.cpu_request, LEAST_REQUEST))  # fmt: skip
    changed = {"cpu": cpu, "memory": wish.memory_limit != now.memory_limit}
    policies = container.get("resizePolicy") or ()
    return any(changed.get(each["resourceName"]) and each["restartPolicy"] == RESTART for each in policies)


def _unfit(asked: Amounts, capacity: Amounts, taken: Amounts) -> tuple[str, str] | None:
    """Why a pod's requests cannot be met: never on this node, or not beside its other pods."""
    for name in reversed(RESOURCES):
        if name in asked and asked[name] > capacity[name]:
            words = f"{name}, requested: {_whole(name, asked)}, capacity: {_whole(name, capacity)}"
            return INFEASIBLE, f"Node didn't have enough capacity: {words}"
    for name in RESOURCES:
        if name in asked and total(({name: asked[name]}, taken))[name] > capacity[name]:
            words = f"{name}, requested: {_whole(name, asked)}, used: {_whole(name, taken)}, "
            return DEFERRED, f"Node didn't have enough resource: {words}capacity: {_whole(name, capacity)}"
    return None


def _whole(name: str, found: Amounts) -> int:
    """Millicores or bytes."""
    amount = found.get(name)
    return 0 if amount is None else amount.milli if name == "cpu" else amount.value


def allocated(pod: Object) -> Object:
    """The pod as it has been granted: while a resize is pending, with the resources that it had before."""
    pending = condition(pod, PENDING)
    if pending is None or pending["status"] != "True":
        return pod
    spec = pod["spec"]
    kept = {
        field: [_as_granted(pod, container) for container in spec[field]]
        for field in ("containers", "initContainers")
        if field in spec
    }
    return {**pod, "spec": {**spec, **kept}}


def _as_granted(pod: Object, container: Object) -> Object:
    known = reported(pod, container["name"])
    return {**container, "resources": known["resources"]} if "resources" in known else container


def shown(pod: Object, container: Object, newest: ContainerStatus | None, resizing: Resizing) -> Object:
    """`resources` and `allocatedResources` of a container's status: in force, and granted."""
    if newest is None or newest.resources is None:
        return {}
    resources = {name: value for name, value in (container.get("resources") or {}).items() if name != "claims"}
    old = reported(pod, container["name"])
    changing = any(change.name == container["name"] for change in resizing.changes)
    granted = old.get("allocatedResources") if resizing.pending and "resources" in old else resources.get("requests")
    in_force = old["resources"] if (resizing.pending or changing) and "resources" in old else resources
    return {"resources": in_force, **({"allocatedResources": granted} if granted else {})}
