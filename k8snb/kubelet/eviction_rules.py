"""kubelet's eviction rules: when a node runs short, what of, and which of its pods has to go first.

Interface: `Observation`, what was measured; `met(observation)`, `ranked(…)`, `message(…)`, `refusal(…)`: all pure.
The rule not to break: who uses more than it has asked for goes before everybody who does not; a critical pod never
goes.
Source: `pkg/kubelet/eviction/helpers.go`, `defaults_linux.go`. Upstream also watches inodes, process ids and a disk of
the images' own, and lets a threshold be soft.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from k8snb.apimachinery import quantity
from k8snb.apimachinery.meta import Object, get_path, uid_of
from k8snb.kubelet.actions import containers_of
from k8snb.kubelet.static_files import SOURCE

MEMORY_PRESSURE, DISK_PRESSURE = "MemoryPressure", "DiskPressure"
CRITICAL = 2_000_000_000  # the lowest priority of the system's own classes
MEBIBYTE = 2**20


@dataclass(frozen=True)
class PodUse:
    """Bytes that a pod takes: memory by container, and disk (its emptyDirs)."""

    memory: Mapping[str, int] = field(default_factory=dict)
    disk: int = 0


@dataclass(frozen=True)
class Observation:
    """What a node has and what of it is taken, in bytes; `pods` by uid."""

    capacity: Mapping[str, int]  # memory, ephemeral-storage
    used: Mapping[str, int]
    pods: Mapping[str, PodUse]

    def available(self, resource: str) -> int:
        return max(self.capacity[resource] - self.used[resource], 0)


@dataclass(frozen=True)
class Signal:
    """One row: the resource, the node's condition, and below how many free bytes of a capacity it is met."""

    resource: str
    condition: str
    threshold: Callable[[int], int]
    use: Callable[[PodUse], int]


SIGNALS = (
    Signal("memory", MEMORY_PRESSURE, lambda capacity: 100 * MEBIBYTE, lambda use: sum(use.memory.values())),
    Signal("ephemeral-storage", DISK_PRESSURE, lambda capacity: capacity // 10, lambda use: use.disk),
)  # memory.available<100Mi, nodefs.available<10%


def met(seen: Observation) -> list[Signal]:
    """The signals whose threshold is reached, memory first."""
    return [
        signal for signal in SIGNALS
        if seen.available(signal.resource) < signal.threshold(seen.capacity[signal.resource])
    ]  # fmt: skip


def ranked(pods: Iterable[Object], signal: Signal, seen: Observation) -> list[Object]:
    """The pods in the order in which they have to go."""

    def order(pod: Object) -> tuple[bool, int, int]:
        use, asked = signal.use(seen.pods.get(uid_of(pod), PodUse())), request(pod, signal.resource)
        return (use <= asked, get_path(pod, "spec.priority") or 0, asked - use)

    return sorted((pod for pod in pods if not is_critical(pod)), key=order)


def request(pod: Object, resource: str) -> int:
    """Bytes that a pod's containers ask for."""
    return sum(_request(container, resource) for container in pod["spec"]["containers"])


def _request(container: Object, resource: str) -> int:
    amounts = get_path(container, "resources.requests") or {}
    return quantity.to_bytes(amounts.get(resource, 0))


def is_critical(pod: Object) -> bool:
    """Static pods and those of the system's priority classes stay."""
    own = (pod["metadata"].get("annotations") or {}).get(SOURCE) == "file"
    return own or (get_path(pod, "spec.priority") or 0) >= CRITICAL


def message(pod: Object, signal: Signal, seen: Observation) -> str:
    """Why the pod had to go, as its status says it."""
    threshold = signal.threshold(seen.capacity[signal.resource])
    text = (
        f"The node was low on resource: {signal.resource}. "
        f"Threshold quantity: {_binary(threshold)}, available: {_binary(seen.available(signal.resource))}. "
    )
    if signal.resource != "memory":
        return text
    memory = seen.pods.get(uid_of(pod), PodUse()).memory
    for container in containers_of(pod):
        use, asked = memory.get(container["name"], 0), _request(container, "memory")
        if use > asked:
            text += (
                f"Container {container['name']} was using {_binary(use)}, request is {_binary(asked)}, has larger "
                f"consumption of {signal.resource}. "
            )
    return text


def _binary(size: int) -> str:
    return quantity.canonical(f"{size / 1024:.10g}Ki") if size % 1024 == 0 and size else str(size)


def refusal(pod: Object, pressures: Collection[str]) -> str:
    """Why a node under pressure does not take a new pod, "" where it does: `Admit` in eviction_manager.go."""
    if not pressures or is_critical(pod):
        return ""
    if set(pressures) == {MEMORY_PRESSURE}:
        best_effort = get_path(pod, "status.qosClass") == "BestEffort"
        if not best_effort or _tolerates(pod, "node.kubernetes.io/memory-pressure"):
            return ""
    return f"The node had condition: [{' '.join(sorted(pressures))}]. "


def _tolerates(pod: Object, taint: str) -> bool:
    return any(
        each.get("key") in (None, "", taint) and each.get("operator") == "Exists" and each.get("effect") in (
            None, "", "NoSchedule")
        for each in pod["spec"].get("tolerations") or ()
    )  # fmt: skip
