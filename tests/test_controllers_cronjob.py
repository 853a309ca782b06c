"""cronjob-controller: a Job each time that a schedule says so.

Rules as in pkg/controller/cronjob of the kubernetes repository and github.com/robfig/cron/v3; where a test restates
one, it names the function.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from controllers_lab import Lab

from k8snb.apimachinery import cron
from k8snb.apimachinery.meta import Object, annotations_of, controller_of, labels_of, name_of
from k8snb.clock import VirtualClock, timestamp
from k8snb.cluster import Cluster
from k8snb.controllers.cronjob import CronJobController
from k8snb.controllers.cronjob_schedule import due, schedule_of, seconds_to_next
from k8snb.controllers.garbagecollector import GarbageCollector

# a lab begins at 22:13:20 on 14 November 2023
FIRST = "hello-28333334"  # the Job of 22:14
MINUTES = 60.0


def cron_job(name: str = "hello", schedule: str = "* * * * *", **spec: Any) -> Object:
    container = {"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", "sleep 5"]}
    template = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"schedule": schedule, "jobTemplate": template, **spec},
    }


def lab(*more: Callable[..., Any], schedule: str = "* * * * *", **spec: Any) -> Lab:
    one = Lab(CronJobController, *more).start()
    one.client.create("cronjobs", cron_job(schedule=schedule, **spec))
    return one.run()


def status(one: Lab) -> Object:
    found: Object = one.get("cronjobs", "hello")["status"]
    return found


def end(one: Lab, name: str, sort: str = "Complete") -> None:
    """What the Job controller says of a Job at its end."""
    now = timestamp(one.clock.now())
    entry = {"type": sort, "status": "True", "lastTransitionTime": now}
    state = {"startTime": now, "conditions": [entry], **({"completionTime": now} if sort == "Complete" else {})}
    one.client.update_status("jobs", {**one.get("jobs", name), "status": state})
    one.wait(0.5)


def active(one: Lab) -> list[str]:
    return [entry["name"] for entry in status(one).get("active", [])]


# making Jobs


def test_a_job_is_made_at_each_time_of_the_schedule() -> None:
    """upstream: getJobName: the minutes since 1970."""
    one = lab()
    assert one.names("jobs") == []
    one.wait(3 * MINUTES)
    assert one.names("jobs") == ["hello-28333334", "hello-28333335", "hello-28333336"]
    assert active(one) == one.names("jobs")
    assert status(one)["lastScheduleTime"] == "2023-11-14T22:16:00Z"
    assert one.events("SuccessfulCreate") == [f"Created job {name}" for name in one.names("jobs")]


def test_a_job_is_the_cron_jobs_own_and_tells_its_time() -> None:
    """upstream: getJobFromTemplate2."""
    wanted = cron_job(timeZone="Europe/Berlin")
    wanted["spec"]["jobTemplate"]["metadata"] = {"labels": {"app": "x"}, "annotations": {"a": "b"}}
    one = Lab(CronJobController).start()
    one.client.create("cronjobs", wanted)
    one.wait(MINUTES)
    made = one.get("jobs", FIRST)
    assert controller_of(made)["name"] == "hello"
    assert labels_of(made) == {"app": "x"}
    scheduled = "batch.kubernetes.io/cronjob-scheduled-timestamp"
    assert annotations_of(made) == {"a": "b", scheduled: "2023-11-14T23:14:00+01:00"}


def test_a_job_shares_the_pods_of_the_template() -> None:
    """k8snb: what a template says is kept once."""
    one = lab()
    one.wait(MINUTES)
    template = one.get("cronjobs", "hello")["spec"]["jobTemplate"]["spec"]["template"]
    assert one.get("jobs", FIRST)["spec"]["template"]["spec"] is template["spec"]


def test_the_end_of_a_job_is_seen_and_noted() -> None:
    """upstream: syncCronJob: SawCompletedJob, lastSuccessfulTime."""
    one = lab()
    one.wait(MINUTES)
    end(one, FIRST)
    assert active(one) == []
    assert status(one)["lastSuccessfulTime"] == one.get("jobs", FIRST)["status"]["completionTime"]
    assert one.events("SawCompletedJob") == [f"Saw completed job: {FIRST}, condition: Complete"]


def test_a_failed_job_is_no_success() -> None:
    """API reference: CronJobStatus.lastSuccessfulTime."""
    one = lab()
    one.wait(MINUTES)
    end(one, FIRST, "Failed")
    assert "lastSuccessfulTime" not in status(one)
    assert one.events("SawCompletedJob") == [f"Saw completed job: {FIRST}, condition: Failed"]


def test_an_active_job_that_vanishes_is_missed() -> None:
    """upstream: cronjob_controllerv2.go: MissingJob."""
    one = lab()
    one.wait(MINUTES)
    one.client.delete("jobs", FIRST, "default", propagationPolicy="Background")
    one.wait(0.5)
    assert active(one) == []
    assert one.events("MissingJob") == [f"Active job went missing: {FIRST}"]


def test_a_job_made_in_the_cron_jobs_name_is_told_of_once() -> None:
    """syncCronJob: UnexpectedJob, which upstream repeats at every look."""
    one = lab(schedule="0 0 1 1 *")
    owner = one.get("cronjobs", "hello")
    reference = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "hello", "uid": owner["metadata"]["uid"],
                 "controller": True}  # fmt: skip
    by_hand = {"metadata": {"name": "now", "namespace": "default", "ownerReferences": [reference]}}
    one.client.create("jobs", {**by_hand, "spec": owner["spec"]["jobTemplate"]["spec"]})
    one.run()
    one.apply("cronjobs", "hello", {"metadata": {"labels": {"look": "again"}}})
    one.run()
    (event,) = one.client.items("events", "default")
    assert event["message"] == "Saw a job that the controller did not create or forgot: now"
    assert (event["reason"], event["count"]) == ("UnexpectedJob", 1)


def test_a_job_that_was_made_before_the_status_was_written_is_taken_over() -> None:
    """upstream: syncCronJob: AlreadyExists."""
    one = lab()
    one.wait(MINUTES)
    cron = one.get("cronjobs", "hello")
    one.client.update_status("cronjobs", {**cron, "status": {}})
    one.wait(1)
    assert active(one) == [FIRST]
    assert one.names("jobs") == [FIRST]


def test_a_job_of_that_name_which_is_another_s_is_left_alone() -> None:
    """upstream: cronjob_controllerv2.go: syncCronJob, a Job of a foreign owner."""
    one = lab()
    one.client.create("jobs", {"metadata": {"name": FIRST, "namespace": "default"},
                               "spec": cron_job()["spec"]["jobTemplate"]["spec"]})  # fmt: skip
    one.wait(MINUTES)
    assert active(one) == []
    assert controller_of(one.get("jobs", FIRST)) is None


# concurrencyPolicy


def test_allow_lets_jobs_run_side_by_side() -> None:
    """docs: cron-jobs (Concurrency policy); e2e: test/e2e/apps/cronjob.go "should schedule multiple jobs
    concurrently"."""
    one = lab(concurrencyPolicy="Allow")
    one.wait(2 * MINUTES)
    assert len(active(one)) == 2


def test_forbid_leaves_a_time_out_while_a_job_runs_and_makes_up_for_it() -> None:
    """docs: cron-jobs (Concurrency policy); e2e: cronjob.go "should not schedule new jobs when ForbidConcurrent"."""
    one = lab(concurrencyPolicy="Forbid")
    one.wait(2 * MINUTES)
    assert active(one) == [FIRST]
    words = "Not starting job because prior execution is running and concurrency policy is Forbid"
    assert one.events("JobAlreadyActive") == [words]
    end(one, FIRST)
    assert active(one) == ["hello-28333335"]


def test_replace_deletes_the_job_that_runs() -> None:
    """docs: cron-jobs (Concurrency policy); e2e: cronjob.go "should replace jobs when ReplaceConcurrent"."""
    one = lab(concurrencyPolicy="Replace")
    one.wait(2 * MINUTES)
    assert one.names("jobs") == active(one) == ["hello-28333335"]
    assert one.events("SuccessfulDelete") == [f"Deleted job {FIRST}"]


# history


def test_the_oldest_finished_jobs_go() -> None:
    """upstream: cleanupFinishedJobs."""
    one = lab(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=0)
    for minute in range(4):
        one.wait(MINUTES)
        end(one, f"hello-{28333334 + minute}", "Failed" if minute == 1 else "Complete")
    assert one.names("jobs") == ["hello-28333336", "hello-28333337"]
    assert sorted(one.events("SuccessfulDelete")) == ["Deleted job hello-28333334", "Deleted job hello-28333335"]


# times that were missed


def test_of_missed_times_only_the_last_is_made_up_for() -> None:
    """upstream: mostRecentScheduleTime."""
    one = lab(suspend=True)
    one.wait(10 * MINUTES)
    one.apply("cronjobs", "hello", {"spec": {"suspend": False}})
    one.wait(1)
    assert one.names("jobs") == ["hello-28333343"]
    assert one.events("TooManyMissedTimes") == []


def test_more_than_a_hundred_missed_times_are_worth_a_warning() -> None:
    """upstream: nextScheduleTime."""
    one = lab(suspend=True)
    one.wait(102 * MINUTES)
    one.apply("cronjobs", "hello", {"spec": {"suspend": False}})
    one.wait(1)
    words = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
    assert one.events("TooManyMissedTimes") == [words]
    assert len(one.names("jobs")) == 1


@pytest.mark.parametrize(("deadline", "jobs"), [(7200, ["hello-28333380"]), (10, [])])
def test_a_time_too_long_ago_is_given_up(deadline: int, jobs: list[str]) -> None:
    """upstream: mostRecentScheduleTime: nothing is scheduled below `startingDeadlineSeconds`."""
    one = lab(suspend=True, schedule="0 * * * *", startingDeadlineSeconds=deadline)
    one.wait(60 * MINUTES)
    one.apply("cronjobs", "hello", {"spec": {"suspend": False}})
    one.wait(1)
    assert one.names("jobs") == jobs


def test_a_deadline_hides_the_many_times_before_it() -> None:
    """docs: cron-jobs (CronJob limitations): startingDeadlineSeconds bounds what is counted."""
    one = lab(suspend=True, startingDeadlineSeconds=200)
    one.wait(200 * MINUTES)
    one.apply("cronjobs", "hello", {"spec": {"suspend": False}})
    one.wait(1)
    assert len(one.names("jobs")) == 1
    assert one.events("TooManyMissedTimes") == []


def test_a_suspended_cron_job_makes_nothing_but_still_looks_after_its_jobs() -> None:
    """docs: cron-jobs (Schedule suspension); e2e: cronjob.go "should not schedule jobs when suspended"."""
    one = lab()
    one.wait(MINUTES)
    one.apply("cronjobs", "hello", {"spec": {"suspend": True}})
    one.wait(5 * MINUTES)
    assert one.names("jobs") == [FIRST]
    end(one, FIRST)
    assert active(one) == []


def test_a_new_schedule_begins_with_its_next_time() -> None:
    """upstream: updateCronJob."""
    one = lab(schedule="0 0 1 1 *")
    one.wait(10 * MINUTES)
    one.apply("cronjobs", "hello", {"spec": {"schedule": "* * * * *"}})
    one.wait(1)
    assert one.names("jobs") == []
    one.wait(MINUTES)
    assert one.names("jobs") == ["hello-28333344"]


def test_jobs_are_missed_by_their_distance_not_one_by_one() -> None:
    """upstream: mostRecentScheduleTime guesses near the end, so that years of minutes cost no more than two."""
    wanted = cron_job()
    wanted["metadata"]["creationTimestamp"] = "2003-11-14T22:13:20Z"
    found = due(wanted, schedule_of(wanted), 1_700_000_000.0)
    assert found.time == 1_699_999_980.0
    assert found.missed > 10_000_000


@pytest.mark.parametrize("schedule", ["30 6-16/4 * * 1-5", "0 0 1 * *", "@every 90s", "*/7 * * * *"])
def test_the_next_look_is_after_now(schedule: str) -> None:
    """upstream: cronjob_controllerv2.go: nextScheduleTimeDuration."""
    wanted = cron_job(schedule=schedule)
    wanted["metadata"]["creationTimestamp"] = "2023-10-01T00:00:00Z"
    for now in range(1_700_000_000, 1_700_200_000, 4_999):
        found = due(wanted, schedule_of(wanted), now)
        assert found.time is None or found.time <= now
        assert seconds_to_next(wanted, schedule_of(wanted), now) > 0


# schedules that are none


def test_the_thirtieth_of_february_is_told_once_and_never_looked_at_again() -> None:
    """upstream: mostRecentScheduleTime: both times are nought, their distance is less than a second."""
    one = lab(schedule="0 0 30 2 *")
    words = "invalid schedule: 0 0 30 2 * : time difference between two schedules is less than 1 second"
    assert one.events("InvalidSchedule") == [words]
    assert one.clock.next_due() is None
    revision = one.store.revision
    one.wait(10**6)
    assert one.store.revision == revision


# writes


def test_a_restarted_controller_writes_nothing() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = lab()
    one.wait(2 * MINUTES)
    end(one, FIRST)
    revision = one.store.revision
    one.restart()
    assert one.store.revision == revision


def test_a_look_that_comes_before_the_caches_changes_nothing() -> None:
    """upstream: cronjob_controllerv2.go: the status is read from the apiserver before a decision."""
    one = lab()
    one.clock.advance_to(one.clock.monotonic() + MINUTES)
    one.controller.sync("default/hello")
    revision = one.store.revision
    one.controller.jobs.catch_up()
    one.controller.sync("default/hello")
    assert one.store.revision == revision
    assert one.names("jobs") == [FIRST]


def test_nobody_waits_for_the_next_time() -> None:
    """k8snb: the schedule goes on for ever: `settle` ends all the same."""
    one = lab()
    before = one.clock.now()
    one.run()
    assert one.clock.now() == before


def test_a_deleted_cron_job_takes_its_jobs_with_it() -> None:
    """docs: tasks/job/automated-tasks-with-cron-jobs (Deleting a CronJob)."""
    one = lab(GarbageCollector)
    one.wait(2 * MINUTES)
    one.client.delete("cronjobs", "hello", "default")
    one.run()
    assert one.names("jobs") == []


# the cron dialect


def times(text: str, begin: str, number: int = 3, zone: str = "") -> list[str]:
    where = ZoneInfo(zone or "UTC")
    moment = datetime.fromisoformat(begin).replace(tzinfo=where).timestamp()
    schedule, found = cron.parse(text, cron.zone(zone)), []
    for _ in range(number):
        moment = schedule.next(moment)
        found.append(datetime.fromtimestamp(moment, where).strftime("%a %m-%d %H:%M%z"))
    return found


@pytest.mark.parametrize(("text", "expected"), [
    ("*/20 * * * *", ["Thu 02-29 12:20", "Thu 02-29 12:40", "Thu 02-29 13:00"]),
    ("5/30 * * * *", ["Thu 02-29 12:05", "Thu 02-29 12:35", "Thu 02-29 13:05"]),
    ("0 9-17/4 * * mon-FRI", ["Thu 02-29 13:00", "Thu 02-29 17:00", "Fri 03-01 09:00"]),
    ("0 0 1,15 * ?", ["Fri 03-01 00:00", "Fri 03-15 00:00", "Mon 04-01 00:00"]),
    ("@weekly", ["Sun 03-03 00:00", "Sun 03-10 00:00", "Sun 03-17 00:00"]),
    ("@hourly", ["Thu 02-29 13:00", "Thu 02-29 14:00", "Thu 02-29 15:00"]),
    ("@every 1h30m", ["Thu 02-29 13:30", "Thu 02-29 15:00", "Thu 02-29 16:30"]),
    ("0 0 29 2 *", ["Tue 02-29 00:00", "Sun 02-29 00:00", "Fri 02-29 00:00"]),
    ("0 0 1 jan 1", ["Wed 01-01 00:00", "Mon 01-06 00:00", "Mon 01-13 00:00"]),
])  # fmt: skip
def test_schedules_come_true_when_they_say(text: str, expected: list[str]) -> None:
    """upstream: Where neither field of days is a star, one of them suffices."""
    assert [found.removesuffix("+0000") for found in times(text, "2024-02-29T12:00")] == expected


def test_a_stepped_star_is_no_star() -> None:
    """upstream: robfig/cron v3: `*/2` restricts the days, so that either of the two fields suffices."""
    assert [found[:9] for found in times("0 0 */2 * 1", "2024-03-01T12:00")] == ["Sun 03-03", "Mon 03-04", "Tue 03-05"]


def test_a_time_that_summer_time_leaves_out_is_left_out() -> None:
    """docs: cron-jobs (Time zones)."""
    found = times("30 2 * * *", "2024-03-30T12:00", 2, "Europe/Berlin")
    assert found == ["Mon 04-01 02:30+0200", "Tue 04-02 02:30+0200"]


def test_a_time_that_comes_twice_is_served_twice() -> None:
    """docs: cron-jobs (Time zones)."""
    found = times("30 2 * * *", "2024-10-26T12:00", 3, "Europe/Berlin")
    assert found == ["Sun 10-27 02:30+0200", "Sun 10-27 02:30+0100", "Mon 10-28 02:30+0100"]


def test_a_schedule_that_never_comes_true_has_no_next_time() -> None:
    """upstream: github.com/robfig/cron: SpecSchedule.Next gives up after five years."""
    assert cron.parse("0 0 31 4,6,9,11 *").next(1_700_000_000) is None


# with a whole cluster


def text(cluster: Cluster, line: str) -> str:
    return str(cluster.kubectl.run(f"kubectl {line}").text)


def test_a_cron_job_lives_in_a_cluster_as_kubectl_shows_it() -> None:
    """upstream: printCronJob, describeCronJob, create_job.go; the pods of finished Jobs go with them."""
    with Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        cluster.settle()
        hello = "cronjob hello --image=busybox --schedule='*/1 * * * *' -- sh -c 'sleep 5; echo hi'"
        assert text(cluster, f"create {hello}") == "cronjob.batch/hello created\n"
        cluster.run_for(5.5 * MINUTES)
        head, row = text(cluster, "get cj").splitlines()
        assert head.split() == ["NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST", "SCHEDULE", "AGE"]
        assert row.split()[6:] == ["<none>", "False", "0", "50s", "5m30s"]
        assert len(cluster.client.items("jobs", "default")) == 3
        assert len(cluster.client.items("pods", "default")) == 3
        page = text(cluster, "describe cronjob hello")
        assert "Last Schedule Time:  Tue, 14 Nov 2023 22:18:00 +0000" in page
        assert "Successful Job History Limit:  3" in page
        assert "SawCompletedJob" in page
        assert text(cluster, "create job now --from=cronjob/hello") == "job.batch/now created\n"
        cluster.run_for(10)
        made = cluster.client.get("jobs", "now", "default")
        assert annotations_of(made) == {"cronjob.kubernetes.io/instantiate": "manual"}
        assert text(cluster, "logs job/now") == "hi\n"
        assert name_of(made) == "now"
        assert not cluster.pump.failure
