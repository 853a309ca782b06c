"""job-controller: pods until enough of them have succeeded, or it is clear that they will not.

Rules as in pkg/controller/job of the kubernetes repository; where a test restates one, it names the function.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from controllers_lab import Lab

from k8snb.apimachinery.indexes import Indexes, count
from k8snb.apimachinery.meta import Object, annotations_of, controller_of, is_deleting, labels_of, name_of
from k8snb.client.context import Context
from k8snb.clock import VirtualClock, timestamp
from k8snb.cluster import Cluster
from k8snb.controllers.garbagecollector import GarbageCollector
from k8snb.controllers.job import JobController
from k8snb.controllers.job_pods import INDEX, TRACKING, Backoff, judge, new_pod, with_index
from k8snb.controllers.podgc import PodGCController
from k8snb.faults import Faults, Rates


def job(name: str = "pi", *, policy: str = "Never", command: str = "", **spec: Any) -> Object:
    container = {"name": "c", "image": "busybox:1.36", **({"command": ["sh", "-c", command]} if command else {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": {"spec": {"restartPolicy": policy, "containers": [container]}}, **spec},
    }


def lab(*more: Callable[..., Any], **spec: Any) -> Lab:
    one = Lab(JobController, *more).start()
    one.client.create("jobs", job(**spec))
    return one.run()


def pods(one: Lab) -> list[Object]:
    """The pods that are not at their end."""
    return [pod for pod in one.pods() if pod["status"].get("phase", "Pending") in ("Pending", "Running")]


def end(one: Lab, pod: Object, code: int = 0, **more: Any) -> None:
    """What the kubelet says of a pod whose container has ended."""
    now = timestamp(one.clock.now())
    ended = {"name": "c", "restartCount": 0, "state": {"terminated": {"exitCode": code, "finishedAt": now}}}
    status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [ended], **more}
    fresh = one.get("pods", name_of(pod))
    one.client.update_status("pods", {**fresh, "status": {**fresh["status"], **status}})


def end_all(one: Lab, code: int = 0) -> Lab:
    for pod in pods(one):
        if not is_deleting(pod):
            end(one, pod, code)
    return one.wait(0.5)


def status(one: Lab, name: str = "pi") -> Object:
    found: Object = one.get("jobs", name)["status"]
    return found


def conditions(one: Lab) -> dict[str, tuple[str, str]]:
    """The conditions that are true: their reasons and messages."""
    found = status(one).get("conditions") or []
    return {entry["type"]: (entry.get("reason", ""), entry.get("message", "")) for entry in found
            if entry["status"] == "True"}  # fmt: skip


REACHED = ("CompletionsReached", "Reached expected number of succeeded pods")


# completions and parallelism


def test_a_job_is_complete_when_its_pod_has_succeeded() -> None:
    """upstream: newSuccessCondition: SuccessCriteriaMet first, then Complete with the same words."""
    one = end_all(lab())
    assert conditions(one) == {"SuccessCriteriaMet": REACHED, "Complete": REACHED}
    state = status(one)
    assert (state["succeeded"], state["ready"], state["terminating"]) == (1, 0, 0)
    assert state["uncountedTerminatedPods"] == {}
    assert "active" not in state and "failed" not in state
    assert state["completionTime"] == state["conditions"][1]["lastTransitionTime"]
    assert one.events("Completed") == ["Job completed"]


def test_a_pod_is_the_jobs_own_and_tracked_until_it_is_counted() -> None:
    """upstream: trackJobStatusAndRemoveFinalizers; a finalizer list that is empty is not shown."""
    one = lab()
    (pod,) = one.pods()
    assert controller_of(pod)["kind"] == "Job"
    assert pod["metadata"]["finalizers"] == [TRACKING]
    assert labels_of(pod) == labels_of(one.get("jobs", "pi"))
    assert name_of(pod).startswith("pi-")
    end_all(one)
    assert "finalizers" not in one.pods()[0]["metadata"]


def test_no_more_pods_run_than_parallelism_and_remaining_completions_allow() -> None:
    """upstream: manageJob: wantActive."""
    one = lab(completions=5, parallelism=2)
    seen = []
    for _ in range(3):
        seen.append(len(pods(one)))
        end_all(one)
    assert seen == [2, 2, 1]
    assert status(one)["succeeded"] == 5
    assert "Complete" in conditions(one)


def test_a_work_queue_gets_no_new_pods_after_the_first_success_and_ends_with_the_last() -> None:
    """upstream: syncJob: `completions` is nil."""
    one = lab(parallelism=3)
    first, *others = pods(one)
    end(one, first)
    one.run()
    assert len(pods(one)) == 2
    assert conditions(one) == {}
    for pod in others:
        end(one, pod)
    one.run()
    assert "Complete" in conditions(one)


def test_less_parallelism_deletes_pods_that_then_count_for_nothing() -> None:
    """upstream: deleteJobPods takes the finalizer before it deletes."""
    one = lab(completions=5, parallelism=3)
    one.apply("jobs", "pi", {"spec": {"parallelism": 1}})
    one.run()
    assert len(one.pods()) == 1
    assert "failed" not in status(one)
    assert len(one.events("SuccessfulDelete")) == 2


def test_a_job_of_no_completions_is_complete_at_once() -> None:
    """upstream: job_controller.go: manageJob; completions 0 is met."""
    one = lab(completions=0)
    assert one.pods() == []
    assert "Complete" in conditions(one)


def test_a_deleted_pod_counts_as_failed_and_is_replaced() -> None:
    """upstream: isPodFailed: a pod that is being deleted counts, unless the Job waits for its end."""
    one = lab()
    one.client.delete("pods", one.names("pods")[0], "default")
    one.wait(1)
    assert status(one)["failed"] == 1
    one.wait(10)
    assert len(pods(one)) == 1


# failures


def test_failed_pods_are_replaced_after_ten_seconds_then_twice_as_long() -> None:
    """upstream: getRemainingTime: DefaultJobPodFailureBackOff and its doubling."""
    one = lab()
    waits = []
    for _ in range(3):
        end_all(one, 1)
        begin = one.clock.now()
        one.pump.settle(until=lambda: bool(pods(one)))
        waits.append(round(one.clock.now() - begin))
    assert waits == [10, 20, 40]


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (1, 10), (2, 20), (6, 320), (7, 600), (99, 600)])
def test_the_back_off_never_exceeds_ten_minutes(failures: int, seconds: float) -> None:
    """upstream: MaxJobPodFailureBackOff."""
    assert Backoff(failures, 1000.0).seconds_left(1000.0) == seconds


def test_a_success_ends_the_back_off() -> None:
    """upstream: newBackoffRecord counts the failures after the last success."""
    ended = {"metadata": {}, "status": {"containerStatuses": [{"state": {"terminated": {}}}]}}

    def at(moment: str) -> Object:
        return {**ended, "status": {"containerStatuses": [{"state": {"terminated": {"finishedAt": moment}}}]}}

    early, late = at("2023-11-14T10:00:00Z"), at("2023-11-14T11:00:00Z")
    assert Backoff(5, 1.0).after([late], [early]).failures == 0
    assert Backoff(5, 1.0).after([early], [late]).failures == 1
    assert Backoff(5, 1.0).after([], [late]).failures == 6


def test_a_job_fails_when_more_pods_failed_than_the_limit_allows() -> None:
    """upstream: syncJob: exceedsBackoffLimit; FailureTarget comes before Failed."""
    one = lab(backoffLimit=1)
    for _ in range(2):
        end_all(one, 1)
        one.run()
    words = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    assert conditions(one) == {"FailureTarget": words, "Failed": words}
    assert status(one)["failed"] == 2
    assert "completionTime" not in status(one)
    assert one.events("BackoffLimitExceeded") == [words[1]]


def test_restarts_count_where_pods_restart_on_failure() -> None:
    """upstream: pastBackoffLimitOnFailure."""
    one = lab(policy="OnFailure", backoffLimit=2)
    (pod,) = one.pods()
    for restarts, reasons in ((1, set()), (2, {"BackoffLimitExceeded"})):
        one.set_ready(pod, containerStatuses=[{"name": "c", "restartCount": restarts}])
        one.wait(1)
        assert {reason for reason, _ in conditions(one).values()} == reasons


def test_a_failed_job_deletes_its_running_pods_and_counts_them() -> None:
    """upstream: trackJobStatusAndRemoveFinalizers: when the Job is over, every pod that has not succeeded has
    failed."""
    one = lab(backoffLimit=0, completions=3, parallelism=3)
    end(one, one.pods()[0], 1)
    one.run()
    assert pods(one) == []
    assert status(one)["failed"] == 3
    assert "Failed" in conditions(one)


def test_a_job_fails_at_its_deadline_and_ends_when_its_pods_have_ended() -> None:
    """upstream: pastActiveDeadline; enactJobFinished waits for terminating pods."""
    one = lab(activeDeadlineSeconds=30)
    (pod,) = one.pods()
    one.bind(name_of(pod), "n1")
    one.set_ready(pod)
    one.wait(31)
    words = ("DeadlineExceeded", "Job was active longer than specified deadline")
    assert conditions(one) == {"FailureTarget": words}
    assert status(one)["terminating"] == 1
    one.client.delete("pods", name_of(pod), "default", gracePeriodSeconds=0)
    one.run()
    assert conditions(one)["Failed"] == words
    assert (status(one)["failed"], status(one)["terminating"]) == (1, 0)


def test_pods_that_cannot_be_made_are_told_and_tried_again() -> None:
    """upstream: job_controller.go: manageJob, FailedCreate."""
    one = Lab(JobController).start()
    wanted = job()
    wanted["spec"]["template"]["spec"]["serviceAccountName"] = "robot"
    one.client.create("jobs", wanted)
    one.wait(1)
    assert 'serviceaccount "robot" not found' in one.events("FailedCreate")[0]
    one.client.create("serviceaccounts", {"metadata": {"name": "robot"}}, "default")
    one.run()
    assert len(one.pods()) == 1


# podReplacementPolicy


def test_a_terminating_pod_is_replaced_at_once_unless_the_policy_waits_for_its_end() -> None:
    """upstream: onlyReplaceFailedPods."""
    for policy, expected in (("TerminatingOrFailed", 2), ("Failed", 1)):
        one = lab(podReplacementPolicy=policy)
        (pod,) = one.pods()
        one.bind(name_of(pod), "n1")
        one.set_ready(pod)
        one.client.delete("pods", name_of(pod), "default", gracePeriodSeconds=3600)
        one.wait(30)
        assert (len(one.pods()), status(one)["terminating"]) == (expected, 1), policy


def test_a_pod_that_was_never_scheduled_is_called_failed_by_the_pod_collector_and_then_replaced() -> None:
    """upstream: podgc: gcUnscheduledTerminating sets the phase, without which a Job that waits for it would wait for
    ever."""
    one = lab(PodGCController, podReplacementPolicy="Failed")
    one.client.delete("pods", one.names("pods")[0], "default")
    one.wait(60)
    assert status(one)["failed"] == 1
    assert len(pods(one)) == 1


# suspension


def test_a_suspended_job_has_no_pods_and_says_so() -> None:
    """upstream: syncJob: JobSuspended; startTime is not set before the Job runs."""
    one = lab(suspend=True)
    assert one.pods() == []
    assert conditions(one) == {"Suspended": ("JobSuspended", "Job suspended")}
    assert "startTime" not in status(one)
    assert one.events("Suspended") == ["Job suspended"]


def test_suspending_deletes_the_pods_without_counting_them_and_resuming_begins_anew() -> None:
    """upstream: syncJob: JobResumed sets startTime to now."""
    one = lab()
    begun = status(one)["startTime"]
    one.apply("jobs", "pi", {"spec": {"suspend": True}})
    one.run()
    assert one.pods() == []
    assert "failed" not in status(one)
    one.wait(100)
    one.apply("jobs", "pi", {"spec": {"suspend": False}})
    one.run()
    assert len(one.pods()) == 1
    (entry,) = status(one)["conditions"]
    assert (entry["status"], entry["reason"], entry["message"]) == ("False", "JobResumed", "Job resumed")
    assert status(one)["startTime"] > begun
    assert one.events("Resumed") == ["Job resumed"]


def test_the_deadline_does_not_run_while_a_job_is_suspended() -> None:
    """docs: job (Suspending a Job): startTime is reset."""
    one = lab(activeDeadlineSeconds=10, suspend=True)
    one.wait(100)
    assert set(conditions(one)) == {"Suspended"}


# indexes


def indexed(**spec: Any) -> Lab:
    return lab(**{"completionMode": "Indexed", "completions": 3, "parallelism": 3, **spec})


def of_index(one: Lab, index: int) -> Object:
    """The running pod of an index."""
    return next(pod for pod in pods(one) if annotations_of(pod)[INDEX] == str(index))


def test_each_index_has_a_pod_that_knows_it() -> None:
    """upstream: addCompletionIndexAnnotation, -Label and -EnvVariables, podGenerateNameWithIndex."""
    one = indexed()
    made = sorted(one.pods(), key=name_of)
    assert [annotations_of(pod)[INDEX] for pod in made] == ["0", "1", "2"]
    assert [labels_of(pod)[INDEX] for pod in made] == ["0", "1", "2"]
    assert [pod["spec"]["hostname"] for pod in made] == ["pi-0", "pi-1", "pi-2"]
    assert all(name_of(pod).startswith(f"pi-{index}-") for index, pod in enumerate(made))
    (variable,) = made[0]["spec"]["containers"][0]["env"]
    assert variable["name"] == "JOB_COMPLETION_INDEX"
    assert variable["valueFrom"]["fieldRef"]["fieldPath"] == f"metadata.labels['{INDEX}']"


def test_a_long_name_leaves_room_for_the_index() -> None:
    """upstream: pkg/controller/job/indexed_job_utils.go: podGenerateNameWithIndex."""
    long = {"metadata": {"name": "x" * 60, "namespace": "default", "uid": "u"}, **{
        key: job()[key] for key in ("apiVersion", "kind", "spec")}}  # fmt: skip
    made = with_index(new_pod(long), long, 12, None)
    assert made["metadata"]["generateName"] == "x" * 54 + "-12-"


def test_completed_indexes_are_listed_and_not_run_again() -> None:
    """upstream: calculateSucceededIndexes."""
    one = indexed(completions=5, parallelism=5)
    for index in (0, 2, 3):
        end(one, of_index(one, index))
    one.run()
    assert status(one)["completedIndexes"] == "0,2,3"
    assert {annotations_of(pod)[INDEX] for pod in pods(one)} == {"1", "4"}
    end_all(one)
    assert status(one)["completedIndexes"] == "0-4"
    assert "Complete" in conditions(one)


def test_a_failed_index_is_tried_again_as_often_as_its_own_limit_says() -> None:
    """upstream: calculateFailedIndexes, getNewIndexFailureCounts; FailedIndexes when nothing is left to run."""
    one = indexed(backoffLimitPerIndex=1)
    for _ in range(2):
        end(one, of_index(one, 1), 1)
        one.run()
    assert status(one)["failedIndexes"] == "1"
    failures = "batch.kubernetes.io/job-index-failure-count"
    tried = [annotations_of(pod)[failures] for pod in one.pods() if annotations_of(pod)[INDEX] == "1"]
    assert sorted(tried) == ["0", "1"]
    assert conditions(one) == {}
    end_all(one)
    assert conditions(one)["Failed"] == ("FailedIndexes", "Job has failed indexes")
    assert status(one)["completedIndexes"] == "0,2"


def test_a_failed_pod_is_held_until_the_one_in_its_place_knows_of_its_failure() -> None:
    """upstream: getPodsWithDelayedDeletionPerIndex."""
    one = indexed(backoffLimitPerIndex=3)
    failed = of_index(one, 0)
    end(one, failed, 1)
    one.wait(1)
    assert one.get("pods", name_of(failed))["metadata"]["finalizers"] == [TRACKING]
    one.run()
    assert "finalizers" not in one.get("pods", name_of(failed))["metadata"]
    assert status(one)["failed"] == 1


def test_more_failed_indexes_than_allowed_end_the_job() -> None:
    """docs: job (Backoff limit per index): maxFailedIndexes; e2e: job.go "should terminate job execution when the
    number of failed indexes exceeds maxFailedIndexes"."""
    one = indexed(backoffLimitPerIndex=0, maxFailedIndexes=1)
    for index in (0, 1):
        end(one, of_index(one, index), 1)
        one.wait(1)
    words = "Job has exceeded the specified maximal number of failed indexes"
    assert conditions(one)["FailureTarget"] == ("MaxFailedIndexesExceeded", words)
    assert pods(one) == []


def test_an_indexed_job_may_grow_and_shrink() -> None:
    """upstream: ElasticIndexedJob: pods whose index is out of range go."""
    one = indexed()
    one.apply("jobs", "pi", {"spec": {"completions": 1, "parallelism": 1}})
    one.run()
    assert [annotations_of(pod)[INDEX] for pod in one.pods()] == ["0"]


def test_indexes_are_written_as_intervals() -> None:
    """upstream: orderedIntervals.String: two neighbours with a comma."""
    some = Indexes.of([9, 0, 1, 3, 4, 5])
    assert str(some) == "0,1,3-5,9"
    assert Indexes.parse(str(some), 100) == some
    assert str(Indexes.parse("1,3-9,x,20", 6)) == "1,3-5"
    assert [4 in some, 2 in some, len(some), list(some.missing(8))] == [True, False, 6, [2, 6, 7]]
    assert str(some & Indexes.parse("2-4,9-20", 100)) == "3,4,9"


@pytest.mark.parametrize(("text", "words"), [
    ("1,1", "non-increasing order, previous: 1, current: 1"),
    ("0,0", "non-increasing order, previous: 0, current: 0"),
    ("4-2", "non-increasing order, previous: 4, current: 2"),
    ("9", 'too large index: "9"'),
    ("a", 'cannot convert string to integer for index: "a"'),
    ("1-2-3", "at most two parts separated by '-'"),
])  # fmt: skip
def test_indexes_that_do_not_read_are_refused(text: str, words: str) -> None:
    """upstream: validateIndexesFormat."""
    with pytest.raises(ValueError, match=words):
        count(text, 9)


# podFailurePolicy


def rule(action: str, **more: Any) -> Object:
    return {"action": action, **(more or {"onExitCodes": {"operator": "In", "values": [42]}})}


DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]


def test_fail_job_ends_the_job_with_the_pods_story() -> None:
    """upstream: matchPodFailurePolicy: the message names container, pod, exit code and rule."""
    one = lab(podFailurePolicy={"rules": [rule("FailJob")]})
    (pod,) = one.pods()
    end(one, pod, 42)
    one.run()
    words = f"Container c for pod default/{name_of(pod)} failed with exit code 42 matching FailJob rule at index 0"
    assert conditions(one) == dict.fromkeys(("FailureTarget", "Failed"), ("PodFailurePolicy", words))


def test_ignored_failures_do_not_count_but_are_waited_for() -> None:
    """upstream: nonIgnoredFailedPodsCount."""
    one = lab(backoffLimit=0, podFailurePolicy={"rules": [rule("Ignore", onPodConditions=DISRUPTED)]})
    end(one, one.pods()[0], 1, conditions=DISRUPTED)
    one.wait(1)
    assert "failed" not in status(one)
    assert pods(one) == []
    one.run()
    assert len(pods(one)) == 1
    end_all(one, 1)
    assert conditions(one)["Failed"][0] == "BackoffLimitExceeded"


def test_fail_index_gives_an_index_up_at_its_first_failure() -> None:
    """upstream: isIndexFailed."""
    one = indexed(backoffLimitPerIndex=5, podFailurePolicy={"rules": [rule("FailIndex")]})
    end(one, of_index(one, 2), 42)
    one.wait(1)
    assert status(one)["failedIndexes"] == "2"


@pytest.mark.parametrize(("rules", "code", "action"), [
    ([rule("Ignore")], 42, "Ignore"),
    ([rule("Ignore")], 41, "Count"),
    ([rule("FailJob", onExitCodes={"operator": "NotIn", "values": [1]})], 42, "FailJob"),
    ([rule("FailJob", onExitCodes={"operator": "NotIn", "values": [1]})], 1, "Count"),
    ([rule("FailJob", onExitCodes={"operator": "NotIn", "values": [1]})], 0, "Count"),
    ([rule("Ignore", onExitCodes={"operator": "In", "values": [42], "containerName": "other"})], 42, "Count"),
    ([rule("Count"), rule("FailJob")], 42, "Count"),
])  # fmt: skip
def test_the_first_rule_that_fits_decides(rules: list[Object], code: int, action: str) -> None:
    """docs: job (Pod failure policy): rules are evaluated in order."""
    ended = {"name": "c", "state": {"terminated": {"exitCode": code}}}
    pod = {"metadata": {"name": "p", "namespace": "n"}, "status": {"phase": "Failed", "containerStatuses": [ended]}}
    assert judge(job(podFailurePolicy={"rules": rules}), pod)[0] == action


# successPolicy


@pytest.mark.parametrize(("rules", "message"), [
    ([{"succeededIndexes": "1"}], "Matched rules at index 0"),
    ([{"succeededIndexes": "2"}, {"succeededCount": 1}], "Matched rules at index 1"),
    ([{"succeededIndexes": "0-1", "succeededCount": 1}], "Matched rules at index 0"),
])  # fmt: skip
def test_a_job_may_be_a_success_before_all_of_it_is_done(rules: list[Object], message: str) -> None:
    """upstream: matchSuccessPolicy; pods that still run are deleted and count neither way."""
    one = indexed(successPolicy={"rules": rules})
    end(one, of_index(one, 1))
    one.run()
    assert conditions(one) == dict.fromkeys(("SuccessCriteriaMet", "Complete"), ("SuccessPolicy", message))
    assert pods(one) == []
    assert (status(one)["succeeded"], status(one).get("failed")) == (1, None)


def test_a_success_policy_that_is_not_met_changes_nothing() -> None:
    """docs: job (Success policy)."""
    one = indexed(successPolicy={"rules": [{"succeededIndexes": "0,2"}]})
    end(one, of_index(one, 0))
    one.run()
    assert conditions(one) == {}


# whose pods


def manual(**spec: Any) -> Object:
    wanted = job(manualSelector=True, selector={"matchLabels": {"app": "x"}}, **spec)
    wanted["spec"]["template"]["metadata"] = {"labels": {"app": "x"}}
    return wanted


def stray(labels: Object) -> Object:
    spec = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox:1.36"}]}
    return {"metadata": {"name": "stray", "namespace": "default", "labels": labels}, "spec": spec}


def test_a_matching_pod_is_adopted_and_tracked() -> None:
    """upstream: getPodsForJob: the adoption adds the finalizer."""
    one = Lab(JobController).start()
    one.client.create("pods", stray({"app": "x"}))
    one.client.create("jobs", manual())
    one.run()
    (pod,) = one.pods()
    assert controller_of(pod)["name"] == "pi"
    assert pod["metadata"]["finalizers"] == [TRACKING]


def test_a_pod_whose_labels_no_longer_match_is_released_and_replaced() -> None:
    """e2e: job.go "should adopt matching orphans and release non-matching pods"."""
    one = Lab(JobController).start()
    one.client.create("jobs", manual())
    one.run()
    (pod,) = one.pods()
    changed = one.apply("pods", name_of(pod), {"metadata": {"labels": {"app": "other"}}})
    watch = one.client.watch("pods", "default", resourceVersion=changed["metadata"]["resourceVersion"])
    one.run()
    released = watch.pop().object
    assert controller_of(released) is None
    assert "finalizers" not in released["metadata"]
    assert len(one.pods()) == 2


def test_a_job_managed_by_another_controller_is_left_alone() -> None:
    """upstream: managedByExternalController."""
    one = lab(managedBy="example.com/queue")
    assert one.pods() == []
    assert status(one) == {}


# the end of a Job


def test_pods_whose_job_is_gone_lose_their_finalizer() -> None:
    """upstream: syncOrphanPod: else they could never be deleted."""
    one = lab(GarbageCollector)
    one.client.delete("jobs", "pi", "default", propagationPolicy="Background")
    one.run()
    assert one.pods() == []


def test_a_busy_apiserver_keeps_no_pod_from_losing_its_finalizer() -> None:
    """upstream: job_controller.go: processNextOrphanPod asks again, ever more seldom."""
    one = lab(GarbageCollector)
    faults = Faults(one.server, one.clock, seed=1)
    one.controller.client.transport = faults
    faults.rates = Rates(refused=1.0)
    one.client.delete("jobs", "pi", "default", propagationPolicy="Background")
    one.wait(5)
    assert faults.happened["refused"] and len(one.pods()) == 1
    faults.stop()
    one.wait(60)
    assert one.pods() == []


def test_orphaned_pods_lose_their_finalizer_and_stay() -> None:
    """upstream: job_controller.go: syncOrphanPod."""
    one = lab(GarbageCollector)
    one.client.delete("jobs", "pi", "default", propagationPolicy="Orphan")
    one.run()
    (pod,) = one.pods()
    assert controller_of(pod) is None
    assert "finalizers" not in pod["metadata"]
    assert one.client.find("jobs", "pi", "default") is None


def test_who_deletes_a_job_and_says_nothing_of_its_pods_keeps_them_and_is_warned() -> None:
    """jobStrategy.DefaultGarbageCollectionPolicy; pkg/registry/batch/job/storage."""
    one = lab(GarbageCollector)
    one.client.take_warnings()
    one.client.delete("jobs", "pi", "default")
    assert "child pods are preserved by default when jobs are deleted" in one.client.take_warnings()[0]
    one.run()
    assert len(one.pods()) == 1


# writes


def test_a_look_that_comes_before_the_caches_makes_no_pod_twice() -> None:
    """upstream: Upstream's expectations: neither of the pods made, nor of the counts written, is forgotten."""
    one = Lab(JobController).start()
    one.client.create("jobs", job())
    for _ in range(2):
        one.controller.jobs.catch_up()
        one.controller.sync("default/pi")
    (pod,) = one.pods()
    one.run()
    end(one, pod)
    for _ in range(3):
        one.controller.pods.catch_up()
        one.controller.sync("default/pi")
    assert len(one.pods()) == 1
    assert status(one)["succeeded"] == 1


class Disturbed(Lab):
    """Changes of different objects overtake each other on their way to the caches."""

    def _wire(self) -> None:
        self.faults = Faults(self.server, self.clock, seed=1)
        self.faults.rates = Rates(reordered=0.2)
        self.context = Context(self.faults, self.clock, self.pump.add, random.Random(1))
        super()._wire()


def test_a_pod_is_counted_once_however_late_the_cache_learns_of_it() -> None:
    """upstream: job_controller.go: trackJobStatusAndRemoveFinalizers leaves out the pods whose finalizer it has taken
    (expectedRmFinalizers)."""
    one = Disturbed(JobController).start()
    one.client.create("jobs", job(completions=20, parallelism=20, backoffLimit=1000))
    one.wait(10)
    failed = pods(one)[:5]
    for each in failed:
        end(one, each, 1)
        one.wait(0.3)
    for _ in range(3):
        for each in pods(one):
            end(one, each)
        one.wait(100)
    assert (status(one)["failed"], status(one)["succeeded"]) == (5, 20)


def test_a_restarted_controller_writes_nothing() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    for one in (lab(completions=3, parallelism=2), end_all(lab()), indexed(backoffLimitPerIndex=1), lab(suspend=True)):
        revision = one.store.revision
        one.restart()
        assert one.store.revision == revision


def test_a_job_that_never_ends_costs_nothing_while_it_runs() -> None:
    """k8snb: no hot loop."""
    one = lab(activeDeadlineSeconds=10**6)
    one.all_ready()
    revision = one.store.revision
    one.wait(10_000)
    assert one.store.revision == revision


def test_a_job_takes_two_writes_to_its_status_for_each_round_of_ends() -> None:
    """upstream: flushUncountedAndRemoveFinalizers: the uids are written before the finalizers go, the counts after."""
    one = lab(completions=4, parallelism=2)
    seen = []
    watch = one.client.watch("jobs", resourceVersion=str(one.store.revision))
    end_all(one)
    while (event := watch.pop()) is not None:
        seen.append({kind: len(uids) for kind, uids in event.object["status"]["uncountedTerminatedPods"].items()})
    assert seen[0] == {"succeeded": 2}
    assert seen[1] == {}
    assert len(seen) <= 3


def test_hundreds_of_pods_are_counted_once() -> None:
    """docs: job (Job tracking with finalizers); job_controller.go: MaxUncountedPods."""
    one = lab(completions=600, parallelism=600)
    assert len(one.pods()) == 600
    end_all(one)
    one.run()
    assert status(one)["succeeded"] == 600
    assert "Complete" in conditions(one)


# with a whole cluster


@pytest.fixture(scope="module")
def cluster() -> Any:
    with Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as one:
        one.settle()
        yield one


def run(cluster: Cluster, wanted: Object, limit: float = 600.0) -> Object:
    cluster.client.create("jobs", wanted)
    cluster.settle(limit=limit)
    return cluster.client.get("jobs", name_of(wanted), "default")["status"]


def text(cluster: Cluster, line: str) -> str:
    return str(cluster.kubectl.run(f"kubectl {line}").text)


def test_a_job_runs_to_completion_on_a_node(cluster: Cluster) -> None:
    """e2e: job.go "should run a job to completion when tasks succeed"."""
    state = run(cluster, job("hello", command="echo hi; sleep 2"))
    assert state["succeeded"] == 1
    assert text(cluster, "logs job/hello") == "hi\n"
    assert text(cluster, "wait --for=condition=complete job/hello") == "job.batch/hello condition met\n"


def test_a_pod_learns_its_index_and_is_called_by_it(cluster: Cluster) -> None:
    """docs: tasks/job/indexed-parallel-processing-static."""
    run(cluster, job("shard", command="echo $JOB_COMPLETION_INDEX $(hostname)", completionMode="Indexed",
                     completions=2, parallelism=2))  # fmt: skip
    pods = cluster.client.items("pods", "default", labelSelector="job-name=shard")
    said = {b"".join(cluster.client.logs(name_of(pod), "default")).decode() for pod in pods}
    assert said == {"0 shard-0\n", "1 shard-1\n"}


def test_a_container_that_fails_is_restarted_in_its_pod_until_the_limit(cluster: Cluster) -> None:
    """e2e: job.go "should run a job to completion when tasks sometimes fail and are locally restarted"."""
    state = run(cluster, job("stubborn", policy="OnFailure", command="exit 3", backoffLimit=2))
    assert state["conditions"][-1]["reason"] == "BackoffLimitExceeded"
    assert cluster.client.items("pods", "default", labelSelector="job-name=stubborn") == []


def test_a_pod_with_a_deadline_of_its_own_fails_on_its_node(cluster: Cluster) -> None:
    """pkg/kubelet/active_deadline.go."""
    wanted = job("late", command="sleep 1000", backoffLimit=0)
    wanted["spec"]["template"]["spec"]["activeDeadlineSeconds"] = 20
    wanted["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    cluster.client.create("jobs", wanted)
    cluster.run_for(60)
    (pod,) = cluster.client.items("pods", "default", labelSelector="job-name=late")
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert pod["status"]["message"] == "Pod was active on the node longer than the specified deadline"
    assert cluster.client.get("jobs", "late", "default")["status"]["failed"] == 1


def test_a_job_of_sleepers_ends_on_nodes_without_failures(cluster: Cluster) -> None:
    """k8snb: simulated containers end as their commands say."""
    state = run(cluster, job("many", command="sleep 1", completions=20, parallelism=10))
    assert (state["succeeded"], state.get("failed")) == (20, None)
    assert not cluster.pump.failure


# what kubectl shows; the words are those of kubectl 1.33


def test_get_shows_state_completions_and_duration(cluster: Cluster) -> None:
    """upstream: printJob."""
    run(cluster, job("shown", command="sleep 3"))
    head, row = text(cluster, "get job shown").splitlines()
    assert head.split() == ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]
    assert row.split()[:3] == ["shown", "Complete", "1/1"]
    run(cluster, job("asleep", suspend=True, parallelism=3))
    assert text(cluster, "get job asleep").splitlines()[1].split()[:4] == ["asleep", "Suspended", "0/1", "of"]
    assert "job.batch/shown" in text(cluster, "get all")


def test_describe_tells_a_job(cluster: Cluster) -> None:
    """upstream: describeJob."""
    run(cluster, job("told", command="sleep 3", completionMode="Indexed", completions=1, ttlSecondsAfterFinished=10**6))
    page = text(cluster, "describe job told")
    lines = {line.partition(":")[0]: line.partition(":")[2].strip() for line in page.splitlines()}
    assert lines["Completion Mode"] == "Indexed"
    assert lines["TTL Seconds After Finished"] == str(10**6)
    assert lines["Pods Statuses"] == "0 Active (0 Ready) / 1 Succeeded / 0 Failed"
    assert lines["Completed Indexes"] == "0"
    assert lines["Selector"].startswith("batch.kubernetes.io/controller-uid=")
    assert "Normal  Completed" in page


def test_create_job_writes_what_kubectl_writes(cluster: Cluster) -> None:
    """upstream: create_job.go."""
    made = text(cluster, "create job x --image=busybox --dry-run=client -o yaml -- date +%s")
    assert "restartPolicy: Never" in made and "- +%s" in made
    for line, words in (
        ("create job x", "error: either --image or --from must be specified"),
        ("create job x --image=a --from=cronjob/b", "error: either --image or --from must be specified"),
        ("create job x --from=cronjob/b -- date", "error: cannot specify --from and command"),
    ):
        with pytest.raises(Exception, match=words):
            cluster.kubectl.run(f"kubectl {line}")
