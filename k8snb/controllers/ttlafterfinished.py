"""ttl-after-finished-controller: deletes Jobs some time after their end.

Interface: `TTLAfterFinishedController`.
The rule not to break: a Job is deleted only after the apiserver was asked what its time to live is now.
Source: `pkg/controller/ttlafterfinished` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, is_deleting, name_of, namespace_of, split_key, uid_of
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.clock import parse_timestamp
from k8snb.controllers.job_round import finished_condition


class TTLAfterFinishedController(Controller):
    name = "ttl-after-finished-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.jobs = informers.get("jobs")
        self.jobs.on_change(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and expires_at(new) is not None:
            self.enqueue(new)

    def sync(self, key: str) -> None:
        job = self.jobs.by_key(key)
        if job is None or not self._is_expired(key, job):
            return
        namespace, name = split_key(key)
        fresh = self.client.find("jobs", name, namespace)
        if fresh is None or not self._is_expired(key, fresh):
            return
        self.client.delete(
            "jobs", name_of(fresh), namespace_of(fresh), propagationPolicy="Foreground",
            preconditions={"uid": uid_of(fresh)},
        )  # fmt: skip

    def _is_expired(self, key: str, job: Object) -> bool:
        """Whether the Job's time is up; if it is yet to come, it is looked at again then."""
        moment = expires_at(job)
        if moment is None:
            return False
        left = moment - self.clock.now()
        if left > 0:
            self.queue.add_after(key, left, background=True)
        return left <= 0


def expires_at(job: Object) -> float | None:
    """When a Job is to be deleted (seconds since the epoch); None for one that stays or still runs."""
    end, live = finished_condition(job), job["spec"].get("ttlSecondsAfterFinished")
    if end is None or live is None or is_deleting(job):
        return None
    return float(parse_timestamp(end["lastTransitionTime"]) + live)
