"""One look at a Job: its pods counted, what that means for it, and the status that says so.

Interface: `Round`; `verdict(round)`, why the Job is over, if it is.
The rule not to break: a pod's end is counted once. Its uid stands in the status before its finalizer goes, and in a
counter only when it has gone.
Source: `syncJob`, `trackJobStatusAndRemoveFinalizers` in pkg/controller/job/job_controller.go, `success_policy.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from k8snb.apimachinery.indexes import Indexes
from k8snb.apimachinery.meta import Object, condition, get_path, is_deleting, uid_of
from k8snb.clock import parse_timestamp, timestamp
from k8snb.controllers.job_pods import (
    FAIL_JOB,
    IGNORE,
    UNKNOWN,
    Backoff,
    all_failures_of_index,
    counts_by_index,
    finished_at,
    has_failed,
    index_has_failed,
    index_of,
    is_indexed,
    is_tracked,
    is_valid,
    judge,
    restarts,
    waits_for_the_end,
)
from k8snb.controllers.pods import first_to_delete, is_active, is_ready, is_terminal, phase_of

MOST_UNCOUNTED = 500  # ended pods that a status lists at most
COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
SUCCESS, FAILURE = "SuccessCriteriaMet", "FailureTarget"  # the Job is over, but pods of it are still ending
FINAL = {SUCCESS: COMPLETE, FAILURE: FAILED}
ALWAYS_SHOWN = ("ready", "terminating", "failedIndexes", "uncountedTerminatedPods")  # even where there are none


class Round:
    """A Job and its pods. `status` is a dict of its own, to which the round writes."""

    def __init__(self, job: Object, pods: list[Object], now: float, backoff: Backoff) -> None:
        self.job = job
        self.spec: Object = job["spec"]
        self.now = now
        self.pods = sorted(pods, key=index_of) if is_indexed(job) else pods
        self.status: Object = dict(job.get("status") or {})
        self._succeeded_uids, self._failed_uids = _uncounted(self.status)
        if not self.is_suspended:
            self.status.setdefault("startTime", timestamp(now))
        self.active = [pod for pod in pods if is_active(pod)]
        self.running = len(self.active)
        self.ready = sum(map(is_ready, self.active))
        self.terminating = sum(is_deleting(pod) and not is_terminal(pod) for pod in pods)
        self.finished: Object | None = None
        self._count(backoff)

    def _count(self, backoff: Backoff) -> None:
        job, fresh = self.job, [pod for pod in self.pods if is_tracked(pod) and is_valid(self.job, pod)]
        ended = [pod for pod in fresh if phase_of(pod) == "Succeeded" and uid_of(pod) not in self._succeeded_uids]
        failed = [pod for pod in fresh if has_failed(job, pod) and uid_of(pod) not in self._failed_uids]
        self.backoff = backoff.after(ended, failed)
        counted = sum(judge(job, pod)[0] != IGNORE for pod in failed)
        self.failed = self.status.get("failed", 0) + len(self._failed_uids) + counted
        self.succeeded = self.status.get("succeeded", 0) + len(self._succeeded_uids) + len(ended)
        self.done, self.lost, self._done_before = Indexes(), Indexes(), Indexes()
        self.replaced: dict[int, Object] = {}  # by index: the failed pod that waits for the one in its place
        if is_indexed(job):
            self._count_indexes(fresh)

    def _count_indexes(self, fresh: list[Object]) -> None:
        completions: int = self.spec["completions"]
        self._done_before = Indexes.parse(self.status.get("completedIndexes", ""), completions)
        self.done = self._done_before | Indexes.of(index_of(pod) for pod in fresh if phase_of(pod) == "Succeeded")
        self.succeeded = len(self.done)
        if counts_by_index(self.job):
            known = Indexes.parse(self.status.get("failedIndexes", ""), completions)
            self.lost = known | Indexes.of(index_of(pod) for pod in fresh if index_has_failed(self.job, pod))
            self.replaced = dict(self._replaced(fresh))

    def _replaced(self, fresh: list[Object]) -> Iterator[tuple[int, Object]]:
        """Of each index that needs another pod the last one that failed: it knows how often that has happened."""
        settled = self.done | self.lost | Indexes.of(index_of(pod) for pod in self.active if index_of(pod) != UNKNOWN)
        failed = [pod for pod in fresh if has_failed(self.job, pod) and index_of(pod) not in settled]
        for pod in sorted(failed, key=lambda pod: (all_failures_of_index(pod), finished_at(pod))):
            yield index_of(pod), pod

    # what the Job asks for

    @property
    def is_suspended(self) -> bool:
        return bool(self.spec.get("suspend"))

    @property
    def is_complete(self) -> bool:
        """Whether enough pods have succeeded, and no other runs."""
        wanted = self.spec.get("completions")
        return self.running == 0 and (self.succeeded > 0 if wanted is None else self.succeeded >= wanted)

    def wanted(self) -> int:
        """How many pods ought to be active. After the first success of a work queue none is added."""
        completions, parallelism = self.spec.get("completions"), self.spec["parallelism"]
        if completions is None:
            return len(self.active) if self.succeeded else int(parallelism)
        left: int = min(completions - self.succeeded, parallelism)
        return max(left, 0)

    def missing(self) -> int:
        ending = self.terminating if waits_for_the_end(self.job) else 0
        return self.wanted() - ending - len(self.active)

    def surplus(self) -> list[Object]:
        """The active pods to give up: those of a suspended Job, those without a place, and those too many."""
        if self.is_suspended:
            return self.active
        too_many = max(len(self.active) - self.wanted(), 0)
        doomed = list(self._misplaced()) if is_indexed(self.job) else []
        out = set(map(uid_of, doomed))
        left = [pod for pod in self.active if uid_of(pod) not in out]
        return doomed + first_to_delete(left, (), self.now)[: max(too_many - len(doomed), 0)]

    def _misplaced(self) -> Iterator[Object]:
        """Pods without an index of this Job, and all but the best of each index."""
        places: dict[int, list[Object]] = {}
        for pod in self.active:
            places.setdefault(index_of(pod) if is_valid(self.job, pod) else UNKNOWN, []).append(pod)
        yield from places.pop(UNKNOWN, [])
        for pods in places.values():
            yield from first_to_delete(pods, (), self.now)[:-1]

    def free_indexes(self) -> Iterator[int]:
        """The indexes that need a pod, in order."""
        waits = waits_for_the_end(self.job)
        busy = [pod for pod in self.pods if is_active(pod) or (waits and is_deleting(pod) and not is_terminal(pod))]
        taken = Indexes.of(index_of(pod) for pod in busy if index_of(pod) != UNKNOWN)
        return (taken | self.done | self.lost).missing(self.spec["completions"])

    # the status

    def set_condition(self, sort: str, status: str, reason: str, message: str) -> bool:
        """Whether this says something else than before; that nothing was ever the case need not be said."""
        conditions = self.status.get("conditions") or []
        old = next((entry for entry in conditions if entry["type"] == sort), None)
        if old is None and status == "False":
            return False
        words = {"status": status, "reason": reason, "message": message}
        if old is not None and all(old.get(key, "") == value for key, value in words.items()):
            return False
        entry = new_condition(sort, reason, message, self.now, status=status)
        kept = [entry if other is old else other for other in conditions]
        self.status["conditions"] = kept if old is not None else [*conditions, entry]
        return True

    def note_ended_pods(self) -> tuple[list[Object], bool]:
        """List the ended pods in the status. Returns those whose finalizer may go then, and whether these are all."""
        self.settle(uid_of(pod) for pod in self.pods if is_tracked(pod))
        ended: list[Object] = []
        for pod in self.pods:
            if is_tracked(pod) and self._may_go(pod):
                ended.append(pod)
                self._note(pod)
            if len(self._succeeded_uids) + len(self._failed_uids) >= MOST_UNCOUNTED:
                return ended, False
        return ended, True

    def _may_go(self, pod: Object) -> bool:
        if is_deleting(self.job) or self.finished is not None or phase_of(pod) == "Succeeded":
            return True
        waiting = self.replaced.get(index_of(pod))
        return has_failed(self.job, pod) and (waiting is None or uid_of(waiting) != uid_of(pod))

    def _note(self, pod: Object) -> None:
        """A pod of a Job that is over has failed unless it has succeeded; but not where the Job was a success."""
        uid, over = uid_of(pod), self.finished is not None and self.finished["type"] != SUCCESS
        if uid in self._failed_uids:
            return
        if phase_of(pod) == "Succeeded":
            if not is_indexed(self.job) and uid not in self._succeeded_uids:
                self._succeeded_uids.append(uid)
        elif (over or has_failed(self.job, pod)) and is_valid(self.job, pod) and judge(self.job, pod)[0] != IGNORE:
            self._failed_uids.append(uid)

    def settle(self, tracked: Iterable[str]) -> None:
        """Count the listed pods that have lost their finalizer."""
        still = set(tracked)
        for name, uids in (("succeeded", self._succeeded_uids), ("failed", self._failed_uids)):
            gone = [uid for uid in uids if uid not in still]
            uids[:] = [uid for uid in uids if uid in still]
            self.status[name] = self.status.get(name, 0) + len(gone)

    def new_status(self) -> Object:
        """The status as it is now, without counts of nought."""
        status = self.status
        status.update(active=self.running, ready=self.ready, terminating=self.terminating)
        if is_indexed(self.job):
            status.update(succeeded=len(self.done), completedIndexes=str(self.done))
        if counts_by_index(self.job):
            status["failedIndexes"] = str(self.lost)
        uids = {"succeeded": [*self._succeeded_uids], "failed": [*self._failed_uids]}
        status["uncountedTerminatedPods"] = {name: listed for name, listed in uids.items() if listed}
        return {key: value for key, value in status.items() if value or key in ALWAYS_SHOWN}

    def foretell(self) -> None:
        """Say in the status that the Job is over, before the last finalizers go."""
        if self.finished is None or self.finished["type"] not in FINAL:
            return
        sort, words = self.finished["type"], (self.finished.get("reason", ""), self.finished.get("message", ""))
        if condition({"status": self.status}, sort) is None:
            self.set_condition(sort, "True", *words)
        self.finished = new_condition(FINAL[sort], *words, self.now)

    def finish(self) -> bool:
        """End the Job, unless pods of it are still to be counted or still running down. Whether it has ended."""
        if self.finished is None or self._succeeded_uids or self._failed_uids or self.terminating:
            return False
        self.set_condition(self.finished["type"], "True", self.finished["reason"], self.finished["message"])
        if self.finished["type"] == COMPLETE:
            self.status["completionTime"] = self.finished["lastTransitionTime"]
        return True


def _uncounted(status: Object) -> tuple[list[str], list[str]]:
    listed = status.get("uncountedTerminatedPods") or {}
    return list(listed.get("succeeded") or ()), list(listed.get("failed") or ())


def new_condition(sort: str, reason: str, message: str, now: float, *, status: str = "True") -> Object:
    moment = timestamp(now)
    return {"type": sort, "status": status, "lastProbeTime": moment, "lastTransitionTime": moment, "reason": reason,
            "message": message}  # fmt: skip


def is_finished(job: Object) -> bool:
    return finished_condition(job) is not None


def finished_condition(job: Object) -> Object | None:
    """`Complete` or `Failed`, when one of them is true."""
    for entry in get_path(job, "status.conditions") or ():
        if entry["type"] in (COMPLETE, FAILED) and entry["status"] == "True":
            found: Object = entry
            return found
    return None


# why a Job is over

Words = tuple[str, str, str]  # type, reason, message


def verdict(one: Round) -> Object | None:
    """The condition that says why the Job is over; None while it is not."""
    words = next((found for rule in VERDICTS if (found := rule(one)) is not None), None)
    return new_condition(*words, one.now) if words is not None else None


def _told_before(one: Round) -> Words | None:
    for sort, final in ((SUCCESS, SUCCESS), (FAILURE, FAILED)):
        entry = condition(one.job, sort)
        if entry is not None and entry["status"] == "True":
            return final, entry.get("reason", ""), entry.get("message", "")
    return None


def _fails_by_policy(one: Round) -> Words | None:
    for pod in one.pods if "podFailurePolicy" in one.spec else ():
        if has_failed(one.job, pod):
            action, message = judge(one.job, pod)
            if action == FAIL_JOB:
                return FAILURE, "PodFailurePolicy", message
    return None


def _failed_too_often(one: Round) -> Words | None:
    limit = one.spec["backoffLimit"]
    restarted = one.spec["template"]["spec"].get("restartPolicy") == "OnFailure" and restarts(one.pods) >= max(limit, 1)
    if one.failed > limit or restarted:
        return FAILURE, "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    return None


def seconds_left(one: Round) -> float | None:
    """Until the Job's deadline; None for a Job without one."""
    deadline = one.spec.get("activeDeadlineSeconds")
    if deadline is None or one.is_suspended:
        return None
    return float(parse_timestamp(one.status["startTime"]) + deadline - one.now)


def _took_too_long(one: Round) -> Words | None:
    left = seconds_left(one)
    if left is not None and left <= 0:
        return FAILURE, "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def _has_lost_indexes(one: Round) -> Words | None:
    lost = len(one.lost)
    if lost > one.spec.get("maxFailedIndexes", lost):
        words = "Job has exceeded the specified maximal number of failed indexes"
        return FAILURE, "MaxFailedIndexesExceeded", words
    if lost and lost + len(one.done) >= one.spec["completions"]:
        return FAILURE, "FailedIndexes", "Job has failed indexes"
    return None


def _succeeds_by_policy(one: Round) -> Words | None:
    for number, rule in enumerate(get_path(one.spec, "successPolicy.rules") or ()):
        if len(one.done) and _is_met(rule, one.done, one.spec["completions"]):
            return SUCCESS, "SuccessPolicy", f"Matched rules at index {number}"
    return None


def _is_met(rule: Object, done: Indexes, completions: int) -> bool:
    wanted, text = rule.get("succeededCount"), rule.get("succeededIndexes")
    if text is None:
        return wanted is not None and len(done) >= wanted
    named = Indexes.parse(text, completions)
    reached = len(named & done)
    return len(named) > 0 and (reached == len(named) or (wanted is not None and reached >= wanted))


VERDICTS: tuple[Callable[[Round], Words | None], ...] = (
    _told_before,
    _fails_by_policy,
    _failed_too_often,
    _took_too_long,
    _has_lost_indexes,
    _succeeds_by_policy,
)
