"""The columns of Jobs and CronJobs.

Interface: `job(obj, now)`, `cron_job(obj, now)`: the cells before those of `-o wide`.
The rule not to break: see `columns`.
Source: `printJob`, `printCronJob` in pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from typing import Any

from k8snb.apimachinery import meta
from k8snb.apimachinery.meta import Object, get_path
from k8snb.clock import parse_timestamp
from k8snb.printers import duration


def job(obj: Object, now: float) -> tuple[Any, ...]:
    state = obj.get("status") or {}
    started, ended = state.get("startTime"), state.get("completionTime")
    lasted = duration.age(started, parse_timestamp(ended) if ended else now) if started else ""
    age = duration.age(get_path(obj, "metadata.creationTimestamp"), now)
    return meta.name_of(obj), job_status(obj), completions(obj), lasted, age


def job_status(obj: Object) -> str:
    """Complete, Failed, Terminating, Suspended, FailureTarget or Running."""
    end = next((sort for sort in ("Complete", "Failed") if meta.is_true(obj, sort)), "")
    if end or meta.is_deleting(obj):
        return end or "Terminating"
    return next((sort for sort in ("Suspended", "FailureTarget") if meta.is_true(obj, sort)), "Running")


def completions(obj: Object) -> str:
    """`2/5`; of a work queue `0/1 of 3`, for one success ends it."""
    spec, succeeded = obj.get("spec") or {}, get_path(obj, "status.succeeded", 0)
    if "completions" in spec:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism", 0)
    return f"{succeeded}/1" + (f" of {parallelism}" if parallelism > 1 else "")


def cron_job(obj: Object, now: float) -> tuple[Any, ...]:
    spec, state = obj.get("spec") or {}, obj.get("status") or {}
    last = state.get("lastScheduleTime")
    return (
        meta.name_of(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or "<none>",
        truth(spec.get("suspend")),
        len(state.get("active") or ()),
        duration.age(last, now) if last else "<none>",
        duration.age(get_path(obj, "metadata.creationTimestamp"), now),
    )


def truth(value: bool | None) -> str:
    """A field that is true, false or left out."""
    return "<unset>" if value is None else str(bool(value))
