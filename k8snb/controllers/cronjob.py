"""cronjob-controller: makes a Job each time that a schedule says so, and keeps an eye on those it has made.

Interface: `CronJobController`; `cronjob_schedule` knows when and what.
The rule not to break: whether a time has been served stands in the status and in the Job's name, nowhere else.
Source: `pkg/controller/cronjob/cronjob_controllerv2.go` in the kubernetes repository.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from k8snb.apimachinery import cron
from k8snb.apimachinery.cron import Schedule
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import (
    Object,
    controller_of,
    get_path,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    revision_of,
    uid_of,
)
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, WARNING
from k8snb.client.informer import Informers
from k8snb.clock import timestamp
from k8snb.controllers.claim import owned
from k8snb.controllers.cronjob_schedule import due, job_name, new_job, schedule_of, seconds_to_next
from k8snb.controllers.job_round import COMPLETE, FAILED, finished_condition

MANY = 100  # missed times that are worth a warning
MISSED = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
BUSY = "Not starting job because prior execution is running and concurrency policy is Forbid"
LIMITS = {COMPLETE: "successfulJobsHistoryLimit", FAILED: "failedJobsHistoryLimit"}
ALLOW, FORBID, REPLACE = "Allow", "Forbid", "Replace"


@dataclass
class Look:
    """A CronJob as one sync sees it; `active` and `status` are what its status will say."""

    key: str
    cron_job: Object
    now: float
    active: list[Object] = field(default_factory=list)
    status: Object = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.status = dict(self.cron_job.get("status") or {})
        self.active = list(self.status.get("active") or ())

    @property
    def spec(self) -> Object:
        spec: Object = self.cron_job["spec"]
        return spec

    def is_active(self, uid: str) -> bool:
        return any(entry["uid"] == uid for entry in self.active)

    def forget(self, uid: str) -> None:
        self.active = [entry for entry in self.active if entry["uid"] != uid]

    def new_status(self) -> Object:
        return {name: value for name, value in {**self.status, "active": self.active}.items() if value}


class CronJobController(Controller):
    name = "cronjob-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self._written: dict[str, int] = {}  # by key: the revision of the status as last written
        self._surprises: dict[str, set[str]] = {}  # by key: the uids of Jobs that were not expected
        self.cron_jobs = informers.get("cronjobs")
        self.cron_jobs.on_change(self._changed)
        self.jobs = self.watch_owned("jobs", "CronJob")

    def _changed(self, old: Object | None, new: Object | None) -> None:
        """A new schedule begins with its next time; times that it would have had before are not made up for."""
        if old is not None and new is not None and _times(old) != _times(new):
            try:
                left = seconds_to_next(new, schedule_of(new), self.clock.now())
            except ValueError:
                self.enqueue(new)
            else:
                self.queue.add_after(key_of(new), left, background=True)
            return
        self.enqueue(new or old)

    # the loop

    def sync(self, key: str) -> None:
        cron_job = self.cron_jobs.by_key(key)
        if cron_job is None:
            self._written.pop(key, None)
            self._surprises.pop(key, None)
            return
        if not self.sees_own_writes(key) or revision_of(cron_job) < self._written.get(key, 0):
            return
        one = Look(key, cron_job, self.clock.now())
        try:
            jobs = self._without_old(one, list(owned(self.jobs, cron_job)))
            self._look_after(one, jobs)
            if not is_deleting(cron_job) and not one.spec.get("suspend"):
                self._schedule(one)
        finally:
            self._write(one)

    def subject(self, key: str) -> Object | None:
        """None: a failure to make or delete Jobs has its own events."""
        return None

    def _write(self, one: Look) -> None:
        status = one.new_status()
        if status != (one.cron_job.get("status") or {}):
            written = self.client.update_status("cronjobs", {**one.cron_job, "status": status})
            self._written[one.key] = revision_of(written)

    # the Jobs there are

    def _without_old(self, one: Look, jobs: list[Object]) -> list[Object]:
        """Delete the finished Jobs beyond the limits of the history. Returns the others."""
        doomed: list[Object] = []
        for sort, limit in LIMITS.items():
            ended = [job for job in jobs if _ending(job) == sort]
            ended.sort(key=lambda job: (get_path(job, "status.startTime") or "~", name_of(job)))
            most = one.spec.get(limit)
            doomed += ended[: max(len(ended) - most, 0)] if most is not None else []
        gone = [uid_of(job) for job in doomed if self._delete(one, job)]
        return [job for job in jobs if uid_of(job) not in gone]

    def _delete(self, one: Look, job: Object) -> bool:
        """Delete a Job with its pods. Whether it is gone."""
        exactly = {"uid": uid_of(job)}
        try:
            self.client.delete(
                "jobs", name_of(job), namespace_of(job), propagationPolicy="Background", preconditions=exactly
            )
        except ApiError as error:
            if error.code != 404:
                self.events.event(one.cron_job, WARNING, "FailedDelete", f"Deleted job: {error.message}")
                return False
        else:
            self.events.event(one.cron_job, NORMAL, "SuccessfulDelete", f"Deleted job {name_of(job)}")
        one.forget(uid_of(job))
        return True

    def _look_after(self, one: Look, jobs: list[Object]) -> None:
        """Note in the status which Jobs have ended, and which have gone."""
        for job in jobs:
            if not _ending(job):
                self._expect(one, job)
                continue
            self._note_end(one, job)
        there = {uid_of(job) for job in jobs}
        for entry in [entry for entry in one.active if entry["uid"] not in there]:
            if self.client.find("jobs", entry["name"], entry["namespace"]) is None:
                self.events.event(one.cron_job, NORMAL, "MissingJob", f"Active job went missing: {entry['name']}")
                one.forget(entry["uid"])

    def _expect(self, one: Look, job: Object) -> None:
        """Tell once of a Job that somebody else has made in this CronJob's name."""
        told = self._surprises.setdefault(one.key, set())
        if not one.is_active(uid_of(job)) and uid_of(job) not in told:
            told.add(uid_of(job))
            words = f"Saw a job that the controller did not create or forgot: {name_of(job)}"
            self.events.event(one.cron_job, WARNING, "UnexpectedJob", words)

    def _note_end(self, one: Look, job: Object) -> None:
        ending = _ending(job)
        if one.is_active(uid_of(job)):
            one.forget(uid_of(job))
            words = f"Saw completed job: {name_of(job)}, condition: {ending}"
            self.events.event(one.cron_job, NORMAL, "SawCompletedJob", words)
        moment = get_path(job, "status.completionTime")
        if ending == COMPLETE and moment and moment > one.status.get("lastSuccessfulTime", ""):
            one.status["lastSuccessfulTime"] = moment

    # the next Job

    def _schedule(self, one: Look) -> None:
        """Make the Job that is due, and come back at the next time."""
        schedule = self._schedule_of(one)
        if schedule is None:
            return
        try:
            found = due(one.cron_job, schedule, one.now)
        except ValueError as error:
            words = f"invalid schedule: {one.spec['schedule']} : {error}"
            self.events.event(one.cron_job, WARNING, "InvalidSchedule", words)
            return
        if found.missed > MANY and found.time is not None:
            self.events.event(one.cron_job, WARNING, "TooManyMissedTimes", MISSED)
        if found.time is not None and self._may_start(one, found.time):
            self._start(one, found.time)
        left = seconds_to_next({**one.cron_job, "status": one.status}, schedule, one.now)
        self.queue.add_after(one.key, left, background=True)

    def _schedule_of(self, one: Look) -> Schedule | None:
        zone = one.spec.get("timeZone", "")
        try:
            cron.zone(zone)
        except ValueError as error:
            self.events.event(one.cron_job, WARNING, "UnknownTimeZone", f'invalid timeZone: "{zone}": {error}')
            return None
        try:
            return schedule_of(one.cron_job)
        except ValueError as error:
            words = f'unparseable schedule: "{one.spec["schedule"]}" : {error}'
            self.events.event(one.cron_job, WARNING, "UnparseableSchedule", words)
            return None

    def _may_start(self, one: Look, time: float) -> bool:
        """Whether the time has no Job yet, and is not to be left out because another one runs."""
        if any(entry["name"] == job_name(one.cron_job, time) for entry in one.active):
            return False
        if one.spec.get("concurrencyPolicy") == FORBID and one.active:
            self.events.event(one.cron_job, NORMAL, "JobAlreadyActive", BUSY)
            return False
        return True

    def _start(self, one: Look, time: float) -> None:
        """Make the Job of a time, after those that it replaces are gone. Raises ApiError."""
        if one.spec.get("concurrencyPolicy") == REPLACE:
            self._replace(one)
        try:
            job = self.client.create("jobs", new_job(one.cron_job, time))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                if "being terminated" not in error.message:
                    self.events.event(one.cron_job, WARNING, "FailedCreate", f"Error creating job: {error.message}")
                raise
            job = self.client.get("jobs", job_name(one.cron_job, time), namespace_of(one.cron_job))
            owner = controller_of(job)
            if owner is None or owner["uid"] != uid_of(one.cron_job) or one.is_active(uid_of(job)):
                return
        else:
            self.wrote(one.key, self.jobs, job)
            self.events.event(one.cron_job, NORMAL, "SuccessfulCreate", f"Created job {name_of(job)}")
        one.active.append(_reference(job))
        one.status["lastScheduleTime"] = timestamp(time)

    def _replace(self, one: Look) -> None:
        for entry in list(one.active):
            try:
                job = self.client.get("jobs", entry["name"], entry["namespace"])
            except ApiError as error:
                self.events.event(one.cron_job, WARNING, "FailedGet", f"Get job: {error.message}")
                raise
            if not self._delete(one, job):
                raise ApiError(409, "Conflict", f"could not replace job {entry['namespace']}/{entry['name']}")


def _times(cron_job: Object) -> tuple[object, ...]:
    return cron_job["spec"].get("schedule"), cron_job["spec"].get("timeZone")


def _ending(job: Object) -> str:
    """`Complete` or `Failed`; "" while the Job runs."""
    entry = finished_condition(job)
    return str(entry["type"]) if entry else ""


def _reference(job: Object) -> Object:
    return {
        "apiVersion": job["apiVersion"],
        "kind": job["kind"],
        "name": name_of(job),
        "namespace": namespace_of(job),
        "resourceVersion": job["metadata"]["resourceVersion"],
        "uid": uid_of(job),
    }
