"""job-controller: runs pods until enough of them have succeeded, or it is clear that they will not.

Interface: `JobController`; `job_pods` knows the pods, `job_round` counts them and says when the Job is over.
The rule not to break: a pod of a Job keeps its finalizer until the Job's status has counted it; whoever deletes pods
changes no count.
Source: `pkg/controller/job` in the kubernetes repository, which gathers the events of one second before it looks.
"""

from __future__ import annotations

from itertools import islice

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import (
    Object,
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    revision_of,
    uid_of,
)
from k8snb.apimachinery.selectors import Selector, from_label_selector
from k8snb.client.context import Context
from k8snb.client.controller import OWNER, Controller, owner_uids
from k8snb.client.events import NORMAL, WARNING
from k8snb.client.informer import Informers
from k8snb.client.workqueue import WorkQueue
from k8snb.clock import timestamp
from k8snb.controllers.claim import Claimants, claim, owned
from k8snb.controllers.job_pods import (
    TRACKING,
    Backoff,
    backoff_of_index,
    counts_by_index,
    is_indexed,
    is_tracked,
    new_pod,
    restarts,
    with_index,
    with_index_variable,
)
from k8snb.controllers.job_round import COMPLETE, SUCCESS, SUSPENDED, Round, is_finished, seconds_left, verdict
from k8snb.controllers.job_round import new_condition as condition_of
from k8snb.controllers.pods import is_ready, phase_of
from k8snb.controllers.replicas import delete_exactly, slow_start
from k8snb.controllers.selecting import index_orphans

MOST = 500  # pods that one sync makes or deletes at most
SOON = 1.0  # second, the shortest wait for a back-off to end
OWN_NAME = "kubernetes.io/job-controller"  # in `spec.managedBy`


class JobController(Controller):
    name = "job-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self._backoffs: dict[str, Backoff] = {}
        self._written: dict[str, int] = {}  # by key: the revision of the Job's status as last written
        self._untracked: dict[str, Object | None] = {}  # by uid: pods as they were left, until the cache shows them so
        self.left_behind = WorkQueue(f"{self.name} pods", context, self._let_go)
        self.jobs = informers.get("jobs")
        self.jobs.add_index(OWNER, owner_uids, steady=True)
        self._claimants = Claimants(self.queue, self.jobs, kind="Job", selector_of=selector_of, size="status.active")
        self.pods = informers.get("pods")
        self.pods.add_index(OWNER, owner_uids, steady=True)
        index_orphans(self.pods)
        self.jobs.on_change(self._job_changed)
        self.pods.on_change(self._tracked_changed)
        self.pods.on_change(self._pod_changed, owner_kind="Job")

    # what makes a Job worth a look

    def _job_changed(self, old: Object | None, new: Object | None) -> None:
        self.enqueue(new or old)
        job = new or old
        if job is not None and (new is None or is_finished(new)):
            for pod in owned(self.pods, job):
                self._pod_without_job(pod)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if _news(old) == _news(new):
            return
        self._claimants.tell(old, new, at_once=False)

    # pods whose Job is gone or over

    def _tracked_changed(self, old: Object | None, new: Object | None) -> None:
        if self._untracked and (new is None or not is_tracked(new)):
            self._untracked.pop(uid_of(new or old or {"metadata": {"uid": ""}}), None)
        if new is not None and is_tracked(new) and not self._has_job(new):
            self._pod_without_job(new)

    def _pod_without_job(self, pod: Object) -> None:
        if is_tracked(pod):
            self.left_behind.add(key_of(pod), revision_of(pod))

    def _has_job(self, pod: Object) -> bool:
        """Whether there is somebody who still has to count the pod."""
        reference = controller_of(pod)
        if reference is None:
            return False
        if reference["kind"] != "Job":
            return True
        job = self.jobs.get(reference["name"], namespace_of(pod))
        return job is not None and uid_of(job) == reference["uid"] and not is_finished(job)

    def _let_go(self, key: str, cause: int) -> None:
        """Take the finalizer from a pod that nobody will count."""
        pod = self.pods.by_key(key)
        if pod is None or not is_tracked(pod):
            return
        self.client.cause = cause
        try:
            if self._is_left_behind(pod):
                self._untrack(pod)
        except ApiError:
            self.left_behind.add_rate_limited(key)
        else:
            self.left_behind.forget(key)
        finally:
            self.client.cause = 0

    def _is_left_behind(self, pod: Object) -> bool:
        """Asked of the apiserver too: the cache may not know the Job yet."""
        if self._has_job(pod):
            return False
        reference = controller_of(pod)
        job = self.client.find("jobs", reference["name"], namespace_of(pod)) if reference else None
        if job is None or reference is None or uid_of(job) != reference["uid"]:
            return True
        return is_finished(job) and _is_ours(job)

    def _untrack(self, pod: Object) -> Object | None:
        """The pod without the finalizer; None when it is gone."""
        patch = {"metadata": {"uid": uid_of(pod), "$deleteFromPrimitiveList/finalizers": [TRACKING]}}
        left = None
        try:
            left = self.client.patch("pods", name_of(pod), patch, namespace_of(pod))
        except ApiError as error:
            if error.code != 404:
                raise
        self._untracked[uid_of(pod)] = left
        return left

    def _as_left(self, pods: list[Object]) -> list[Object]:
        """The pods of the cache; what has lost its finalizer is counted, also where the cache is late to show it.

        Source: `uncountedTerminatedPods` and the finalizer expectations of upstream's `pkg/controller/job`.
        """
        found = (self._untracked.get(uid_of(pod), pod) for pod in pods)
        return [pod for pod in found if pod is not None]

    # the loop

    def sync(self, key: str) -> None:
        job = self.jobs.by_key(key)
        if job is None or is_finished(job):
            self._forget(key)
            return
        if not _is_ours(job) or not self.sees_own_writes(key) or revision_of(job) < self._written.get(key, 0):
            return
        pods = claim(self, key, job, selector_of(job), self.pods, finalizer=TRACKING)
        one = Round(job, self._as_left(pods), self.clock.now(), self._backoffs.get(key, Backoff()))
        one.finished = verdict(one)
        failure = self._end_pods(key, one) if one.finished is not None else self._go_on(key, one)
        self._track(key, one)
        if failure is not None:
            raise failure

    def subject(self, key: str) -> Object | None:
        """None: a failure to make or delete pods has its own events."""
        return None

    def _forget(self, key: str) -> None:
        self._backoffs.pop(key, None)
        self._written.pop(key, None)

    def _end_pods(self, key: str, one: Round) -> ApiError | None:
        """Delete what still runs of a Job that is over; it stays tracked, for it counts."""
        try:
            for pod in one.active:
                self._delete(key, one, pod)
        except ApiError as error:
            one.finished = None
            return error
        return None

    def _go_on(self, key: str, one: Round) -> ApiError | None:
        failure = None
        if not is_deleting(one.job):
            try:
                self._manage(key, one)
            except ApiError as error:
                failure = error
        if one.is_complete:
            words = "CompletionsReached", "Reached expected number of succeeded pods"
            one.finished = condition_of(SUCCESS, *words, one.now)
        elif not is_deleting(one.job):
            self._tell_suspension(one)
        left = seconds_left(one)
        if left is not None:
            self.queue.add_after(key, left, background=True)
        return failure

    def _manage(self, key: str, one: Round) -> None:
        """Delete the pods too many, or make the missing ones. Raises ApiError."""
        doomed = one.surplus()[:MOST]
        for pod in doomed:
            untracked = self._untrack(pod)
            if untracked is not None:
                self.wrote(key, self.pods, untracked)
                self._delete(key, one, untracked)
        if not doomed and not one.is_suspended and one.missing() > 0:
            self._create(key, one, min(one.missing(), MOST))

    def _delete(self, key: str, one: Round, pod: Object) -> None:
        try:
            self.wrote(key, self.pods, delete_exactly(self.client, "pods", pod))
        except ApiError as error:
            if error.code != 404:
                self.events.event(one.job, WARNING, "FailedDelete", f"Error deleting: {error.message}")
                raise
        else:
            self.events.event(one.job, NORMAL, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
        one.running -= 1
        one.terminating += 1
        one.ready -= is_ready(pod)

    def _create(self, key: str, one: Round, count: int) -> None:
        pods, wait = self._next_pods(one, count)
        if wait:
            self.queue.add_after(key, max(wait, SOON))
            return

        rest = iter(pods)

        def create() -> None:
            try:
                created = self.client.create("pods", next(rest))
            except ApiError as error:
                if "being terminated" not in error.message:
                    self.events.event(one.job, WARNING, "FailedCreate", f"Error creating: {error.message}")
                raise
            self.wrote(key, self.pods, created)
            one.running += 1
            self.events.event(one.job, NORMAL, "SuccessfulCreate", f"Created pod: {name_of(created)}")

        slow_start(len(pods), create)

    def _next_pods(self, one: Round, count: int) -> tuple[list[Object], float]:
        """The pods to make now; where it has to wait for a back-off, none, and the seconds."""
        if not is_indexed(one.job):
            wait = one.backoff.seconds_left(one.now)
            return ([] if wait else [new_pod(one.job)] * count), wait
        indexes = list(islice(one.free_indexes(), count))
        by_index = counts_by_index(one.job)
        backoffs = {index: backoff_of_index(one.replaced.get(index)) if by_index else one.backoff for index in indexes}
        waits = {index: backoff.seconds_left(one.now) for index, backoff in backoffs.items()}
        due = [index for index in indexes if not waits[index]]
        pod = with_index_variable(new_pod(one.job))
        pods = [with_index(pod, one.job, index, one.replaced.get(index)) for index in due]
        return pods, 0.0 if due else min(waits.values(), default=0.0)

    def _tell_suspension(self, one: Round) -> None:
        resumed = ("False", "JobResumed", "Job resumed")
        words = ("True", "JobSuspended", "Job suspended") if one.is_suspended else resumed
        if not one.set_condition(SUSPENDED, *words):
            return
        self.events.event(one.job, NORMAL, "Suspended" if one.is_suspended else "Resumed", words[2])
        if not one.is_suspended:
            one.status["startTime"] = timestamp(one.now)

    # the status

    def _track(self, key: str, one: Round) -> None:
        """List what has ended in the status, take the finalizers, count, and end the Job."""
        ended, all_noted = one.note_ended_pods()
        one.foretell()
        job = self._write(key, one.job, one)
        self._backoffs[key] = one.backoff
        for pod in ended:
            untracked = self._untrack(pod)
            if untracked is not None:
                self.wrote(key, self.pods, untracked)
        done = {uid_of(pod) for pod in ended}
        one.settle(uid_of(pod) for pod in one.pods if is_tracked(pod) and uid_of(pod) not in done)
        over = all_noted and one.finish()
        job = self._write(key, job, one)
        if over:
            self._tell_end(job, one)

    def _write(self, key: str, job: Object, one: Round) -> Object:
        status = one.new_status()
        if status == job.get("status"):
            return job
        written = self.client.update_status("jobs", {**job, "status": status})
        self._written[key] = revision_of(written)
        return written

    def _tell_end(self, job: Object, one: Round) -> None:
        assert one.finished is not None
        if one.finished["type"] != COMPLETE:
            self.events.event(job, WARNING, one.finished["reason"], one.finished["message"])
            return
        if job["status"].get("succeeded", 0) > one.spec.get("completions", float("inf")):
            words = "Too many succeeded pods running after completion count reached"
            self.events.event(job, WARNING, "TooManySucceededPods", words)
        self.events.event(job, NORMAL, "Completed", "Job completed")


def selector_of(job: Object) -> Selector:
    return from_label_selector(job["spec"].get("selector"))


def _is_ours(job: Object) -> bool:
    """Whether no other controller has been asked to run the Job."""
    return bool(job["spec"].get("managedBy", OWN_NAME) == OWN_NAME)


def _news(pod: Object | None) -> tuple[object, ...] | None:
    """What the controller looks at in a pod."""
    if pod is None:
        return None
    owner = controller_of(pod)
    states = (phase_of(pod), is_ready(pod), is_deleting(pod), is_tracked(pod), restarts([pod]))
    return owner and owner["uid"], labels_of(pod), *states
