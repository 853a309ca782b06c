"""When a CronJob is due, and what it makes then.

Interface: `schedule_of(cron_job)`, `due`, `seconds_to_next`, `new_job`; all pure.
The rule not to break: of the times that were missed only the last is made up for; a Job's name tells its time, so that
none is made twice.
Source: `pkg/controller/cronjob/utils.go` in the kubernetes repository.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from k8snb.apimachinery import cron
from k8snb.apimachinery.cron import Schedule
from k8snb.apimachinery.meta import Object, controller_reference, get_path, name_of, namespace_of
from k8snb.clock import parse_timestamp

SKEW = 0.1  # seconds after its time at which a Job is looked for, in case that clocks differ
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
NEVER = "time difference between two schedules is less than 1 second"


class Due(NamedTuple):
    """The last time that has come since the one that was served, if one has, and how many there were in between."""

    earliest: float
    time: float | None
    missed: int


def schedule_of(cron_job: Object) -> Schedule:
    """The schedule in its time zone. Raises ValueError."""
    spec = cron_job["spec"]
    return cron.parse(spec["schedule"], cron.zone(spec.get("timeZone", "")))


def due(cron_job: Object, schedule: Schedule, now: float, *, deadline: bool = True) -> Due:
    """What is due. With `deadline`, times that lie too far back are not counted.

    Upstream looks at the deadline a second time and would tell of a MissSchedule; after the first look it never can.
    Raises ValueError for a schedule that never comes true, such as one for the 30th of February.
    """
    last = get_path(cron_job, "status.lastScheduleTime") or cron_job["metadata"]["creationTimestamp"]
    earliest, patience = parse_timestamp(last), cron_job["spec"].get("startingDeadlineSeconds")
    if deadline and patience is not None:
        earliest = max(earliest, now - patience)
    first = _next(schedule, earliest)
    if now < first:
        return Due(earliest, None, 0)
    second = _next(schedule, first)
    if now < second:
        return Due(earliest, first, 0)
    distance = second - first
    missed = int((now - first) // distance) + 1
    return Due(earliest, _last_before(schedule, first + (missed - 2) * distance, now), missed)


def _next(schedule: Schedule, moment: float) -> float:
    time = schedule.next(moment)
    if time is None:
        raise ValueError(NEVER)
    return time


def _last_before(schedule: Schedule, begin: float, now: float) -> float | None:
    """The last time after `begin` and not after now. The distance of the first two times is a guess of all others, by
    which the search begins near its end.
    """
    last, time = None, schedule.next(begin)
    while time is not None and time <= now:
        last, time = time, schedule.next(time)
    return last


def seconds_to_next(cron_job: Object, schedule: Schedule, now: float) -> float:
    """Until the CronJob is to be looked at again. Raises ValueError."""
    found = due(cron_job, schedule, now, deadline=False)
    begin = found.time if found.time is not None else now if found.missed else found.earliest
    return _next(schedule, begin) + SKEW - now


def job_name(cron_job: Object, time: float) -> str:
    """The CronJob's name and the minutes since 1970."""
    return f"{name_of(cron_job)}-{int(time) // 60}"


def new_job(cron_job: Object, time: float) -> Object:
    """The Job for one time; it shares the template's spec."""
    template = cron_job["spec"]["jobTemplate"]
    wanted = template.get("metadata") or {}
    moment = datetime.fromtimestamp(time, cron.zone(cron_job["spec"].get("timeZone", ""))).isoformat()
    annotations = {**(wanted.get("annotations") or {}), SCHEDULED: moment.replace("+00:00", "Z")}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(cron_job, time),
            "namespace": namespace_of(cron_job),
            **({"labels": wanted["labels"]} if wanted.get("labels") else {}),
            "annotations": annotations,
            "ownerReferences": [controller_reference(cron_job)],
        },
        "spec": template["spec"],
    }
