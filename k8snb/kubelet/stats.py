"""kubelet's stats: what the node's containers use, as its summary and its resource metrics tell it.

Interface: `NodeStats.read(…)` asks the runtime; `summary(…)`, `resource_metrics(…)` write down what was found.
The rule not to break: a container that has ended meanwhile is left out; it makes no reading fail.
Source: `kubelet/pkg/apis/stats/v1alpha1/types.go`, `pkg/kubelet/metrics/collectors/resource_metrics.go`. Upstream
counts the whole machine as the node; here a node is what its pods use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from k8snb.apimachinery.meta import Object, name_of, namespace_of, uid_of
from k8snb.clock import timestamp
from k8snb.cri import RUNNING, ContainerStats, ContainerStatus, Runtime, RuntimeFailure
from k8snb.kubelet.actions import PodState

NANO = 10**9
Pods = Sequence[tuple[Object, PodState]]


@dataclass(frozen=True)
class Used:
    """One container's numbers; `cores` is the rate since the reading before, at first since the container's start."""

    name: str
    started_at: float
    stats: ContainerStats
    cores: float


@dataclass(frozen=True)
class PodUsed:
    pod: Object
    containers: Sequence[Used]


class NodeStats:
    """Remembers the last reading of each container, because a rate takes two. `latest` is the newest reading of all,
    `read_at` when that was, on the clock's monotonic line.
    """

    def __init__(self, runtime: Runtime, monotonic: Callable[[], float]) -> None:
        self._runtime = runtime
        self._before: dict[str, tuple[ContainerStats, float]] = {}  # container → a reading and the rate up to it
        self._monotonic = monotonic
        self.latest: list[PodUsed] = []
        self.read_at = float("-inf")

    def read(self, pods: Pods) -> list[PodUsed]:
        """May block: the runtime is asked about each container."""
        running = [(pod, [c for c in state.containers if c.state == RUNNING]) for pod, state in pods]
        found = [PodUsed(pod, list(self._containers(statuses))) for pod, statuses in running if statuses]
        known = {status.id for _, statuses in running for status in statuses}
        self._before = {key: value for key, value in self._before.items() if key in known}
        self.latest, self.read_at = found, self._monotonic()
        return found

    def _containers(self, statuses: Iterable[ContainerStatus]) -> Iterator[Used]:
        for status in statuses:
            try:
                stats = self._runtime.container_stats(status.id)
            except RuntimeFailure:
                continue
            yield Used(status.name, status.started_at, stats, self._rate(status, stats))

    def _rate(self, status: ContainerStatus, now: ContainerStats) -> float:
        start = ContainerStats(cpu_seconds=0.0, memory_bytes=0, timestamp=status.started_at)
        before, rate = self._before.get(status.id, (start, 0.0))
        passed = now.timestamp - before.timestamp
        if passed > 0:
            rate = max(now.cpu_seconds - before.cpu_seconds, 0.0) / passed
        self._before[status.id] = (now, rate)
        return rate


def summary(node: str, found: Iterable[PodUsed], *, now: float, started_at: float) -> Object:
    """/stats/summary. `now`, `started_at`: seconds since the epoch."""
    found = list(found)
    every = [used for pod in found for used in pod.containers]
    return {
        "node": {"nodeName": node, "startTime": timestamp(started_at), **_numbers(every, now)},
        "pods": [_pod(one, now) for one in found],
    }


def _pod(found: PodUsed, now: float) -> Object:
    pod = found.pod
    containers = [
        {"name": used.name, "startTime": timestamp(used.started_at), **_numbers([used], used.stats.timestamp)}
        for used in found.containers
    ]
    return {
        "podRef": {"name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)},
        "startTime": (pod.get("status") or {}).get("startTime"),
        "containers": containers,
        **_numbers(found.containers, now),
    }


def _numbers(found: Sequence[Used], now: float) -> Object:
    time, memory = timestamp(now), sum(used.stats.memory_bytes for used in found)
    return {
        "cpu": {
            "time": time,
            "usageNanoCores": round(sum(used.cores for used in found) * NANO),
            "usageCoreNanoSeconds": round(sum(used.stats.cpu_seconds for used in found) * NANO),
        },
        "memory": {"time": time, "usageBytes": memory, "workingSetBytes": memory},
    }


# Prometheus


STARTED = "container_start_time_seconds"
FAMILIES = (
    ("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the container in core-seconds"),
    ("container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes"),
    (STARTED, "gauge", "Start time of the container since unix epoch in seconds"),
    ("node_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the node in core-seconds"),
    ("node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes"),
    ("pod_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the pod in core-seconds"),
    ("pod_memory_working_set_bytes", "gauge", "Current working set of the pod in bytes"),
    ("resource_scrape_error", "gauge", "1 if there was an error while getting container metrics, 0 otherwise"),
)


def resource_metrics(found: Iterable[PodUsed], now: float) -> str:
    """/metrics/resource, in Prometheus' text format."""
    found = list(found)
    every = [used for pod in found for used in pod.containers]
    rows: dict[str, list[str]] = {name: [] for name, _, _ in FAMILIES}
    for pod in found:
        of_pod = {"namespace": namespace_of(pod.pod), "pod": name_of(pod.pod)}
        _measure(rows, "pod", pod.containers, of_pod, now)
        for used in pod.containers:
            labels = {"container": used.name, **of_pod}
            _measure(rows, "container", [used], labels, used.stats.timestamp)
            rows[STARTED].append(f"{STARTED}{_label(labels)} {used.started_at}")
    _measure(rows, "node", every, {}, now)
    rows["resource_scrape_error"].append("resource_scrape_error 0")
    return "".join(
        f"# HELP {name} [STABLE] {text}\n# TYPE {name} {sort}\n" + "".join(f"{row}\n" for row in rows[name])
        for name, sort, text in FAMILIES
        if rows[name]
    )


def _measure(rows: dict[str, list[str]], of: str, found: Sequence[Used], labels: dict[str, str], now: float) -> None:
    moment = round(now * 1000)
    cpu, memory = f"{of}_cpu_usage_seconds_total", f"{of}_memory_working_set_bytes"
    rows[cpu].append(f"{cpu}{_label(labels)} {sum(used.stats.cpu_seconds for used in found):.9g} {moment}")
    rows[memory].append(f"{memory}{_label(labels)} {sum(used.stats.memory_bytes for used in found)} {moment}")


def _label(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}" if labels else ""
