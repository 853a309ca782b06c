"""deployment-controller's status: what a Deployment says about itself, and whether its rollout gets on.

Interface: `new_status` counts, `with_progress` judges; `is_complete` and `seconds_to_deadline` read the judgement.
The rule not to break: pure; the moment is an argument, and the same input gives the same status.
Source: `pkg/controller/deployment/progress.go` and `sync.go` (calculateStatus) in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Iterable

from k8snb.apimachinery.meta import Object, condition, get_path, name_of
from k8snb.clock import parse_timestamp, timestamp
from k8snb.controllers.deployment_sizes import available, floor, replicas_of

NO_DEADLINE = 2**31 - 1
DONE, TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"

AVAILABLE = ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
UNAVAILABLE = (
    "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.",
)  # fmt: skip


def new_status(deployment: Object, new: Object | None, sets: list[Object], now: float) -> Object:
    """The counts over all ReplicaSets, and whether enough pods are available. Counts of nought are left out."""
    status = deployment.get("status") or {}
    replicas, can_serve = count(sets, "replicas"), available(sets)
    counts = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": replicas,
        "updatedReplicas": count([new] if new else [], "replicas"),
        "readyReplicas": count(sets, "readyReplicas"),
        "availableReplicas": can_serve,
        "unavailableReplicas": max(replicas - can_serve, 0),
        "collisionCount": status.get("collisionCount", 0),
    }
    words = AVAILABLE if can_serve >= floor(deployment) else UNAVAILABLE
    conditions = with_words(status.get("conditions") or [], *words, now=now)
    return {**{key: value for key, value in counts.items() if value}, "conditions": conditions}


def count(sets: Iterable[Object], field: str) -> int:
    return sum(get_path(one, f"status.{field}", 0) for one in sets)


def with_words(
    conditions: list[Object], sort: str, status: str, reason: str, message: str, *, now: float
) -> list[Object]:
    """Conditions with one set; it stays as it is when status and reason say nothing new."""
    old = _find(conditions, sort)
    if old is not None and (old["status"], old.get("reason")) == (status, reason):
        return conditions
    moment = timestamp(now)
    changed = moment if old is None or old["status"] != status else old.get("lastTransitionTime", moment)
    entry = {"type": sort, "status": status, "lastUpdateTime": moment, "lastTransitionTime": changed,
             "reason": reason, "message": message}  # fmt: skip
    return [*without(conditions, sort), entry]


def without(conditions: Iterable[Object], sort: str) -> list[Object]:
    return [entry for entry in conditions if entry["type"] != sort]


def _find(conditions: Iterable[Object], sort: str) -> Object | None:
    return next((entry for entry in conditions if entry["type"] == sort), None)


def deadline_of(deployment: Object) -> int | None:
    """`progressDeadlineSeconds`; None when the rollout may take as long as it likes."""
    seconds: int = deployment["spec"].get("progressDeadlineSeconds", 600)
    return None if seconds == NO_DEADLINE else seconds


def with_progress(deployment: Object, new: Object | None, sets: list[Object], status: Object, now: float) -> Object:
    """`status` with its Progressing and ReplicaFailure conditions brought up to date."""
    conditions = status["conditions"]
    if deadline_of(deployment) is None:
        conditions = without(conditions, "Progressing")
    elif not _was_complete(deployment, status):
        conditions = _judged(deployment, new, status, now)
    failure = next((entry for one in sets if (entry := condition(one, "ReplicaFailure"))), None)
    conditions = without(conditions, "ReplicaFailure")
    if failure is not None:
        words = ("ReplicaFailure", failure["status"], failure["reason"], failure["message"])
        known = [entry for entry in status["conditions"] if entry["type"] == "ReplicaFailure"]
        conditions = with_words([*conditions, *known], *words, now=now)
    return {**status, "conditions": conditions}


def _was_complete(deployment: Object, status: Object) -> bool:
    old = condition(deployment, "Progressing")
    same = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    return same and old is not None and old.get("reason") == DONE


def _judged(deployment: Object, new: Object | None, status: Object, now: float) -> list[Object]:
    conditions: list[Object] = status["conditions"]
    what = f'ReplicaSet "{name_of(new)}"' if new else f'Deployment "{name_of(deployment)}"'
    if is_complete(deployment, status):
        message = f"{what} has successfully progressed."
        return with_words(conditions, "Progressing", "True", DONE, message, now=now)
    if _moved(deployment.get("status") or {}, status):
        return _still_progressing(conditions, f"{what} is progressing.", now)
    if _is_timed_out(deployment, conditions, now):
        message = f"{what} has timed out progressing."
        return with_words(conditions, "Progressing", "False", TIMED_OUT, message, now=now)
    return conditions


def _still_progressing(conditions: list[Object], message: str, now: float) -> list[Object]:
    """Any step forward moves `lastUpdateTime`, from which the deadline counts."""
    words = ("Progressing", "True", "ReplicaSetUpdated", message)
    old = _find(conditions, "Progressing")
    fresh = with_words(without(conditions, "Progressing"), *words, now=now)
    if old is None or old["status"] != "True":
        return fresh
    return [*fresh[:-1], {**fresh[-1], "lastTransitionTime": old["lastTransitionTime"]}]


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether all pods are of the newest template and available, and the counts are of the newest spec."""
    wanted = replicas_of(deployment)
    counts = (status.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas"))
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return observed and all(number == wanted for number in counts)


def _moved(old: Object, new: Object) -> bool:
    """Whether there are more new, ready or available pods than before, or fewer old ones."""

    def outdated(status: Object) -> int:
        return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))

    more = any(
        new.get(name, 0) > old.get(name, 0) for name in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    return more or outdated(new) < outdated(old)


def _is_timed_out(deployment: Object, conditions: list[Object], now: float) -> bool:
    progressing = _find(conditions, "Progressing")
    if progressing is None or progressing["reason"] == DONE:
        return False
    return progressing["reason"] == TIMED_OUT or _left(deployment, progressing, now) < 0


def seconds_to_deadline(deployment: Object, now: float) -> float | None:
    """Until a rollout that does not move is called stuck; None when there is nothing to wait for."""
    progressing = condition(deployment, "Progressing")
    if progressing is None or deadline_of(deployment) is None or progressing["reason"] in (TIMED_OUT, DONE, PAUSED):
        return None
    return max(_left(deployment, progressing, now), 0.0)


def _left(deployment: Object, progressing: Object, now: float) -> float:
    deadline = deadline_of(deployment) or 0
    return parse_timestamp(progressing["lastUpdateTime"]) + deadline - now
