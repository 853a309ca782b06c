"""horizontal-pod-autoscaler's replica calculator: how many pods a metric asks for.

Interface: `by_utilization(…)`, `by_average(…)`, `by_total(…)`, pure.
The rule not to break: what is not known is taken for what changes least: a pod without metrics uses all that it may
where the number would fall, and nothing where it would rise.
Source: `pkg/controller/podautoscaler/replica_calculator.go` in the kubernetes repository.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, condition, get_path, is_deleting, name_of
from k8snb.apimachinery.quantity import milli
from k8snb.clock import parse_timestamp

TOLERANCE = 0.1
CPU_INITIALIZATION = 300.0  # seconds after its start in which a pod's processor time may be that of starting
INITIAL_READINESS = 30.0  # seconds after its start in which a pod that is not ready has never been
FULL = 100  # percent that a pod without metrics is taken to use


class MetricError(Exception):
    """A number of pods cannot be worked out."""


class Reading(NamedTuple):
    """What one pod uses, in thousandths; when that was measured, and over how many seconds."""

    value: int
    time: float = 0.0
    window: float = 0.0


class Proposal(NamedTuple):
    """How many pods are asked for, and what is used now: a share of the requests in percent, and thousandths a pod."""

    replicas: int
    average: int
    utilization: int = 0


Readings = Mapping[str, Reading]


@dataclass
class Groups:
    """Pods by what is known of them."""

    ready: int
    unready: set[str]
    missing: set[str]
    ignored: set[str]


def by_utilization(
    current: int, target: int, pods: Sequence[Object], readings: Readings, *, resource: str, now: float,
    container: str = "",
) -> Proposal:  # fmt: skip
    """`target` is a share of what the pods request, in percent. Raises MetricError."""
    groups, known = _sorted_out(pods, readings, resource, now)
    asked = _requests(pods, resource, container)
    ratio, utilization, average = _utilization(known, asked, target)
    fallback = max(FULL, target)
    missing = {name: Reading(asked[name] * fallback // 100) for name in groups.missing}

    def again(values: Readings) -> float:
        return _utilization(values, asked, target)[0]

    replicas = _replicas(current, ratio, groups, known, missing=missing, again=again)
    return Proposal(replicas, average, utilization)


def by_average(
    current: int, target: int, pods: Sequence[Object], readings: Readings, *, resource: str, now: float
) -> Proposal:
    """`target` is thousandths a pod. Raises MetricError."""
    groups, known = _sorted_out(pods, readings, resource, now)
    ratio, average = _average(known, target)
    missing = {name: Reading(target) for name in groups.missing}
    replicas = _replicas(
        current, ratio, groups, known, missing=missing, again=lambda values: _average(values, target)[0]
    )
    return Proposal(replicas, average)


def by_total(current: int, target: int, usage: int, pods: Sequence[Object], *, each: bool) -> Proposal:
    """A number for all pods together, against `target` thousandths: for `each` pod, or in all."""
    if each:
        if not current or abs(1 - usage / (target * current)) > TOLERANCE:
            return Proposal(math.ceil(usage / target), math.ceil(usage / max(current, 1)))
        return Proposal(current, math.ceil(usage / current))
    ratio = usage / target
    if abs(1 - ratio) <= TOLERANCE:
        return Proposal(current, usage)
    ready = sum(1 for pod in pods if _is_ready(pod))
    return Proposal(math.ceil(ratio * ready) if current else math.ceil(ratio), usage)


def _is_ready(pod: Object) -> bool:
    ready = condition(pod, "Ready")
    return get_path(pod, "status.phase") == "Running" and ready is not None and ready["status"] == "True"


def _sorted_out(pods: Sequence[Object], readings: Readings, resource: str, now: float) -> tuple[Groups, Readings]:
    """The pods by groups, and the readings of those that count. Raises MetricError where there are none."""
    if not pods:
        raise MetricError("no pods returned by selector while calculating replica count")
    groups = group(pods, readings, resource, now)
    known = {name: reading for name, reading in readings.items() if name not in groups.ignored | groups.unready}
    if not known:
        raise MetricError("did not receive metrics for targeted pods (pods might be unready)")
    return groups, known


def group(pods: Sequence[Object], readings: Readings, resource: str, now: float) -> Groups:
    found = Groups(0, set(), set(), set())
    for pod in pods:
        name, phase = name_of(pod), get_path(pod, "status.phase")
        if is_deleting(pod) or phase == "Failed":
            found.ignored.add(name)
        elif phase == "Pending":
            found.unready.add(name)
        elif name not in readings:
            found.missing.add(name)
        elif resource == "cpu" and _is_starting(pod, readings[name], now):
            found.unready.add(name)
        else:
            found.ready += 1
    return found


def _is_starting(pod: Object, reading: Reading, now: float) -> bool:
    """Whether what the pod uses may be what starting costs."""
    ready, started = condition(pod, "Ready"), get_path(pod, "status.startTime")
    if ready is None or started is None:
        return True
    began, changed = parse_timestamp(started), parse_timestamp(ready.get("lastTransitionTime") or started)
    if began + CPU_INITIALIZATION > now:
        return ready["status"] == "False" or reading.time < changed + reading.window
    return ready["status"] == "False" and began + INITIAL_READINESS > changed


def _requests(pods: Sequence[Object], resource: str, only: str) -> dict[str, int]:
    """What each pod requests of a resource, in thousandths. Raises MetricError for a container that requests none."""
    found = {}
    for pod in pods:
        total = 0
        for container in pod["spec"]["containers"]:
            if only and container["name"] != only:
                continue
            amount = get_path(container, f"resources.requests.{resource}")
            if amount is None:
                where = f"in container {container['name']} of Pod {name_of(pod)}"
                raise MetricError(f"missing request for {resource} {where}")
            total += milli(amount)
        found[name_of(pod)] = total
    return found


def _utilization(readings: Readings, asked: Mapping[str, int], target: int) -> tuple[float, int, int]:
    """Use against the target, use in percent of the requests, and use a pod in thousandths."""
    known = [name for name in readings if name in asked]
    requested = sum(asked[name] for name in known)
    if not requested:
        raise MetricError("no metrics returned matched known pods")
    used = sum(readings[name].value for name in known)
    utilization = used * 100 // requested
    return utilization / target, utilization, used // len(known)


def _average(readings: Readings, target: int) -> tuple[float, int]:
    average = sum(reading.value for reading in readings.values()) // len(readings)
    return average / target, average


def _replicas(
    current: int, ratio: float, groups: Groups, known: Readings, *, missing: Readings,
    again: Callable[[Readings], float],
) -> int:  # fmt: skip
    """The number of pods for a ratio of use to target; once more with what is missing, where something is."""
    rises_unready = bool(groups.unready) and ratio > 1.0
    if not rises_unready and not groups.missing:
        return current if abs(1 - ratio) <= TOLERANCE else math.ceil(ratio * groups.ready)
    values = dict(known)
    if ratio < 1.0:
        values |= missing
    elif ratio > 1.0:
        values |= dict.fromkeys(groups.missing, Reading(0))
    if rises_unready:
        values |= dict.fromkeys(groups.unready, Reading(0))
    new = again(values)
    if abs(1 - new) <= TOLERANCE or (ratio < 1.0 < new) or (new < 1.0 < ratio):
        return current
    replicas = math.ceil(new * len(values))
    turned = (new < 1.0 and replicas > current) or (new > 1.0 and replicas < current)
    return current if turned else replicas
