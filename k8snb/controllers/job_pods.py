"""What the Job controller asks about pods: which index, how often failed, how they ended; and how it makes them.

Interface: pure functions on pods and Jobs; `Backoff` says how long to wait after failures.
The rule not to break: nothing here reads a clock or a cache; the moment is an argument.
Source: `pkg/controller/job/{indexed_job_utils,pod_failure_policy,backoff_utils,tracking_utils}.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    condition,
    controller_reference,
    get_path,
    is_deleting,
    name_of,
    namespace_of,
    with_path,
)
from k8snb.clock import parse_timestamp
from k8snb.controllers.pods import phase_of

TRACKING = "batch.kubernetes.io/job-tracking"  # the finalizer that keeps a pod until it is counted
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
UNKNOWN = -1  # the index of a pod that has none
GENERATED_NAME = 58  # characters that the server leaves of a generateName

FIRST_DELAY, LONGEST_DELAY = 10.0, 600.0  # seconds after failed pods

COUNT, FAIL_INDEX, FAIL_JOB, IGNORE = "Count", "FailIndex", "FailJob", "Ignore"


def is_tracked(pod: Object) -> bool:
    """Whether the pod has still to be counted."""
    return TRACKING in (pod["metadata"].get("finalizers") or ())


def is_indexed(job: Object) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def counts_by_index(job: Object) -> bool:
    return "backoffLimitPerIndex" in job["spec"]


def waits_for_the_end(job: Object) -> bool:
    """Whether a pod is replaced only when it has really ended, not while it is terminating."""
    return job["spec"].get("podReplacementPolicy") == "Failed" or "podFailurePolicy" in job["spec"]


def has_failed(job: Object, pod: Object) -> bool:
    """Deleted pods count as failed, for they may never come to say so; unless somebody waits for their end."""
    if phase_of(pod) == "Failed":
        return True
    return is_deleting(pod) and phase_of(pod) != "Succeeded" and not waits_for_the_end(job)


def index_of(pod: Object) -> int:
    """The completion index; `UNKNOWN` for none."""
    text = annotations_of(pod).get(INDEX, "")
    return int(text) if text.isascii() and text.isdigit() else UNKNOWN


def is_valid(job: Object, pod: Object) -> bool:
    """Whether the pod counts for the Job: of an Indexed one, only a pod with one of its indexes does."""
    return not is_indexed(job) or 0 <= index_of(pod) < job["spec"]["completions"]


def failures_of_index(pod: Object) -> int:
    """How many pods of the same index have failed before this one."""
    return _count(pod, FAILURES)


def all_failures_of_index(pod: Object) -> int:
    """The same, with the failures that the policy ignores."""
    return _count(pod, FAILURES) + _count(pod, IGNORED_FAILURES)


def _count(pod: Object, annotation: str) -> int:
    text = annotations_of(pod).get(annotation, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def index_has_failed(job: Object, pod: Object) -> bool:
    """Whether this pod's failure is one too many for its index."""
    if not has_failed(job, pod):
        return False
    action, _ = judge(job, pod)
    return action == FAIL_INDEX or (action != IGNORE and failures_of_index(pod) >= job["spec"]["backoffLimitPerIndex"])


def restarts(pods: Iterable[Object]) -> int:
    """How often the containers of pods that are not at their end have been restarted."""
    return sum(
        entry.get("restartCount", 0)
        for pod in pods
        if phase_of(pod) in ("Running", "Pending")
        for field in ("initContainerStatuses", "containerStatuses")
        for entry in get_path(pod, f"status.{field}") or ()
    )


# the pod failure policy


def judge(job: Object, pod: Object) -> tuple[str, str]:
    """What the policy says of a failed pod: an action, and for FailJob the message. No rule fits: Count."""
    for number, rule in enumerate(get_path(job, "spec.podFailurePolicy.rules") or ()):
        why = _exit(pod, rule["onExitCodes"]) if "onExitCodes" in rule else _condition(pod, rule)
        if why:
            return rule["action"], f"{why} matching {rule['action']} rule at index {number}"
    return COUNT, ""


def _exit(pod: Object, wanted: Object) -> str:
    """How a container ended, if the policy asks for it; "" if not."""
    for field in ("containerStatuses", "initContainerStatuses"):
        for entry in get_path(pod, f"status.{field}") or ():
            code = get_path(entry, "state.terminated.exitCode", 0)
            named = wanted.get("containerName") in (None, entry["name"])
            if named and code and (code in wanted["values"]) == (wanted["operator"] == "In"):
                return f"Container {entry['name']} for pod {_full_name(pod)} failed with exit code {code}"
    return ""


def _condition(pod: Object, rule: Object) -> str:
    for entry in get_path(pod, "status.conditions") or ():
        for wanted in rule.get("onPodConditions") or ():
            if (entry["type"], entry["status"]) == (wanted["type"], wanted["status"]):
                return f"Pod {_full_name(pod)} has condition {entry['type']}"
    return ""


def _full_name(pod: Object) -> str:
    return f"{namespace_of(pod)}/{name_of(pod)}"


# the back-off


@dataclass(frozen=True)
class Backoff:
    """Failures since the last success, and when the last of them was (seconds since the epoch)."""

    failures: int = 0
    last: float = 0.0

    def after(self, succeeded: Sequence[Object], failed: Sequence[Object]) -> Backoff:
        """With pods that have ended since."""
        if not succeeded:
            last = max(map(finished_at, failed), default=self.last)
            return Backoff(self.failures + len(failed), last)
        success = max(map(finished_at, succeeded))
        later = [moment for moment in map(finished_at, failed) if moment > success]
        return Backoff(len(later), max(later, default=0.0))

    def seconds_left(self, now: float) -> float:
        """Until the next pod may be made: 10 s after a failure, twice as long after each further one."""
        if not self.failures:
            return 0.0
        delay = min(FIRST_DELAY * 2.0 ** min(self.failures - 1, 10), LONGEST_DELAY)
        return max(self.last + delay - now, 0.0)


def backoff_of_index(pod: Object | None) -> Backoff:
    """The back-off of the index whose last failed pod this is."""
    return Backoff(all_failures_of_index(pod) + 1, finished_at(pod)) if pod is not None else Backoff()


def finished_at(pod: Object) -> float:
    """When a pod ended: its last container, else when it ceased to be ready, else when it was deleted, else made."""
    ends = [get_path(entry, "state.terminated.finishedAt") for entry in get_path(pod, "status.containerStatuses") or ()]
    if ends and all(ends):
        return max(map(parse_timestamp, ends))
    ready, metadata = condition(pod, "Ready"), pod["metadata"]
    if ready is not None and ready["status"] == "False" and ready.get("lastTransitionTime"):
        return parse_timestamp(ready["lastTransitionTime"])
    if is_deleting(pod):
        return parse_timestamp(metadata["deletionTimestamp"]) - (metadata.get("deletionGracePeriodSeconds") or 0)
    return parse_timestamp(metadata["creationTimestamp"])


# making pods


def new_pod(job: Object) -> Object:
    """The next pod of a Job without indexes; it shares the template's spec."""
    template = job["spec"]["template"]
    wanted = template.get("metadata") or {}
    finalizers = [*(name for name in wanted.get("finalizers") or () if name != TRACKING), TRACKING]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{name_of(job)}-",
            "namespace": namespace_of(job),
            **{key: wanted[key] for key in ("labels", "annotations") if wanted.get(key)},
            "finalizers": finalizers,
            "ownerReferences": [controller_reference(job)],
        },
        "spec": template["spec"],
    }


def with_index(pod: Object, job: Object, index: int, replaced: Object | None) -> Object:
    """A new pod made the one of an index; `replaced` is the failed pod in whose place it comes."""
    metadata, suffix = pod["metadata"], f"-{index}-"
    annotations = {**(metadata.get("annotations") or {}), INDEX: str(index)}
    if counts_by_index(job):
        annotations.update(_failure_counts(job, replaced))
    named = name_of(job)[: GENERATED_NAME - len(suffix)] + suffix
    labels = {**(metadata.get("labels") or {}), INDEX: str(index)}
    return {
        **pod,
        "metadata": {**metadata, "generateName": named, "labels": labels, "annotations": annotations},
        "spec": {**pod["spec"], "hostname": f"{name_of(job)}-{index}"},
    }


def _failure_counts(job: Object, replaced: Object | None) -> dict[str, str]:
    if replaced is None:
        return {FAILURES: "0"}
    ignored = judge(job, replaced)[0] == IGNORE
    counts = {FAILURES: str(failures_of_index(replaced) + (not ignored))}
    all_ignored = _count(replaced, IGNORED_FAILURES) + ignored
    return {**counts, IGNORED_FAILURES: str(all_ignored)} if all_ignored else counts


def with_index_variable(pod: Object) -> Object:
    """A pod whose containers are told their index, where they do not set the variable themselves."""
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
    variable = {"name": INDEX_VARIABLE, "valueFrom": source}

    def told(container: Object) -> Object:
        env = container.get("env") or []
        if any(entry.get("name") == INDEX_VARIABLE for entry in env):
            return container
        return {**container, "env": [*env, variable]}

    for field in ("initContainers", "containers"):
        if pod["spec"].get(field):
            pod = with_path(pod, ("spec", field), [told(container) for container in pod["spec"][field]])
    return pod
