"""What `kubectl get pods` says of a pod: READY, STATUS, RESTARTS and the columns of `-o wide`.

Interface: `cells(pod, now)`.
The rule not to break: STATUS is worked out from the containers' states each time; no object holds it.
Source: `printPod` in `pkg/printers/internalversion/printers.go` of the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from k8snb.apimachinery import meta
from k8snb.apimachinery.meta import Object, get_path, is_deleting
from k8snb.clock import parse_timestamp
from k8snb.printers import duration


class _Summary(NamedTuple):
    """What is being worked out while looking at the containers."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last_restart: float = 0.0


def cells(pod: Object, now: float) -> tuple[Any, ...]:
    """NAME, READY, STATUS, RESTARTS, AGE, and wide: IP, NODE, NOMINATED NODE, READINESS GATES."""
    summary = _summary(pod)
    restarts = str(summary.restarts)
    if summary.restarts and summary.last_restart:
        restarts += f" ({duration.human(now - summary.last_restart)} ago)"
    return (
        meta.name_of(pod),
        f"{summary.ready}/{_total(pod)}",
        summary.reason,
        restarts,
        duration.age(get_path(pod, "metadata.creationTimestamp"), now),
        get_path(pod, "status.podIP") or "<none>",
        get_path(pod, "spec.nodeName") or "<none>",
        get_path(pod, "status.nominatedNodeName") or "<none>",
        _gates(pod),
    )


def status(pod: Object) -> str:
    """The word in the STATUS column: Running, CrashLoopBackOff, Init:0/1, Terminating …"""
    return _summary(pod).reason


def _summary(pod: Object) -> _Summary:
    state = get_path(pod, "status", {})
    summary, initializing = _init_containers(pod, _Summary(_phase(pod)))
    if not initializing or meta.is_true(pod, "Initialized"):
        summary = _containers(pod, summary)
    if is_deleting(pod):
        if state.get("reason") == "NodeLost":
            return summary._replace(reason="Unknown")
        if state.get("phase") not in ("Succeeded", "Failed"):
            return summary._replace(reason="Terminating")
    return summary


def _phase(pod: Object) -> str:
    state = get_path(pod, "status", {})
    scheduled = meta.condition(pod, "PodScheduled")
    if scheduled and scheduled.get("reason") == "SchedulingGated":
        return "SchedulingGated"
    return state.get("reason") or state.get("phase") or "Unknown"


def _sidecars(pod: Object) -> set[str]:
    """Init containers that keep running beside the others (`restartPolicy: Always`)."""
    containers = get_path(pod, "spec.initContainers") or ()
    return {container["name"] for container in containers if container.get("restartPolicy") == "Always"}


def _total(pod: Object) -> int:
    return len(get_path(pod, "spec.containers") or ()) + len(_sidecars(pod))


def _init_containers(pod: Object, summary: _Summary) -> tuple[_Summary, bool]:
    """What the init containers say, and whether one of them is still to end."""
    sidecars = _sidecars(pod)
    count = len(get_path(pod, "spec.initContainers") or ())
    statuses = get_path(pod, "status.initContainerStatuses") or ()
    summary = _count_restarts(summary, statuses)
    for place, entry in enumerate(statuses):
        state = entry.get("state") or {}
        if "terminated" in state and state["terminated"].get("exitCode") == 0:
            continue
        if entry["name"] in sidecars and entry.get("started"):
            summary = summary._replace(ready=summary.ready + bool(entry.get("ready")))
            continue
        return summary._replace(reason="Init:" + (_trouble(state) or f"{place}/{count}")), True
    return summary, False


def _trouble(state: Object) -> str:
    """What a state says beyond "not done"; empty for running and for the plain wait at the start."""
    if "terminated" in state:
        return _ended(state["terminated"])
    reason: str = (state.get("waiting") or {}).get("reason", "")
    return "" if reason == "PodInitializing" else reason


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _containers(pod: Object, summary: _Summary) -> _Summary:
    statuses = get_path(pod, "status.containerStatuses") or ()
    beside = _sidecars(pod)
    sidecars = [entry for entry in get_path(pod, "status.initContainerStatuses") or () if entry["name"] in beside]
    summary = _count_restarts(summary._replace(restarts=0, last_restart=0.0), [*sidecars, *statuses])
    running = False
    for entry in reversed(statuses):
        state = entry.get("state") or {}
        if (state.get("waiting") or {}).get("reason"):
            summary = summary._replace(reason=state["waiting"]["reason"])
        elif "terminated" in state:
            summary = summary._replace(reason=_ended(state["terminated"]))
        elif entry.get("ready") and "running" in state:
            running = True
            summary = summary._replace(ready=summary.ready + 1)
    if summary.reason == "Completed" and running:
        return summary._replace(reason="Running" if meta.is_true(pod, "Ready") else "NotReady")
    return summary


def _count_restarts(summary: _Summary, statuses: Iterable[Object]) -> _Summary:
    restarts, latest = summary.restarts, summary.last_restart
    for entry in statuses:
        restarts += entry.get("restartCount", 0)
        finished = get_path(entry, "lastState.terminated.finishedAt")
        latest = max(latest, parse_timestamp(finished)) if finished else latest
    return summary._replace(restarts=restarts, last_restart=latest)


def _gates(pod: Object) -> str:
    gates = get_path(pod, "spec.readinessGates") or ()
    met = sum(meta.is_true(pod, gate.get("conditionType", "")) for gate in gates)
    return f"{met}/{len(gates)}" if gates else "<none>"
