"""ttl-after-finished-controller: Jobs go some time after their end.

Rules as in pkg/controller/ttlafterfinished of the kubernetes repository.
"""

from __future__ import annotations

from typing import Any

from controllers_lab import Lab

from k8snb.apimachinery.meta import Object, is_deleting
from k8snb.clock import timestamp
from k8snb.controllers.garbagecollector import GarbageCollector
from k8snb.controllers.job import JobController
from k8snb.controllers.ttlafterfinished import TTLAfterFinishedController, expires_at


def lab(*more: Any, ttl: int | None = 60) -> Lab:
    one = Lab(TTLAfterFinishedController, *more).start()
    pods = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox:1.36"}]}
    spec = {"template": {"spec": pods}, **({} if ttl is None else {"ttlSecondsAfterFinished": ttl})}
    one.client.create("jobs", {"metadata": {"name": "pi", "namespace": "default"}, "spec": spec})
    return one.run()


def end(one: Lab, sort: str = "Complete") -> None:
    entry = {"type": sort, "status": "True", "lastTransitionTime": timestamp(one.clock.now())}
    one.client.update_status("jobs", {**one.get("jobs", "pi"), "status": {"conditions": [entry]}})
    one.run()


def is_there(one: Lab) -> bool:
    found: Object | None = one.client.find("jobs", "pi", "default")
    return found is not None and not is_deleting(found)


def test_a_finished_job_goes_when_its_time_is_up_and_not_before() -> None:
    """docs: concepts/workloads/controllers/ttlafterfinished; e2e: test/e2e/apps/ttl_after_finished.go "job should be
    deleted once it finishes after TTL seconds"."""
    for sort in ("Complete", "Failed"):
        one = lab()
        end(one, sort)
        one.wait(59)
        assert is_there(one)
        one.wait(2)
        assert not is_there(one)


def test_a_job_that_runs_stays_however_long() -> None:
    """docs: ttlafterfinished (Cleanup for finished Jobs)."""
    one = lab(ttl=0)
    one.wait(10**6)
    assert is_there(one)
    end(one)
    assert not is_there(one)


def test_a_job_without_a_time_to_live_stays() -> None:
    """docs: ttlafterfinished (Cleanup for finished Jobs): the field is optional."""
    one = lab(ttl=None)
    end(one)
    one.wait(10**6)
    assert is_there(one)


def test_a_job_may_be_given_more_time() -> None:
    """docs: ttlafterfinished (Updating TTL for finished Jobs)."""
    one = lab()
    end(one)
    one.wait(30)
    one.apply("jobs", "pi", {"spec": {"ttlSecondsAfterFinished": 600}})
    one.wait(300)
    assert is_there(one)
    one.wait(300)
    assert not is_there(one)


def test_a_cache_that_is_behind_deletes_no_job() -> None:
    """upstream: processJob asks the apiserver once more before it deletes."""
    one = lab()
    end(one)
    one.clock.advance_to(one.clock.monotonic() + 61)
    one.apply("jobs", "pi", {"spec": {"ttlSecondsAfterFinished": 600}})
    one.controller.sync("default/pi")
    assert is_there(one)


def test_the_pods_go_before_the_job() -> None:
    """upstream: processJob deletes in the foreground."""
    one = lab(JobController, GarbageCollector, ttl=5)
    (pod,) = one.pods()
    one.client.update_status("pods", {**pod, "status": {**pod["status"], "phase": "Succeeded"}})
    one.wait(4)
    assert is_there(one) and one.pods()
    one.wait(10)
    assert one.client.find("jobs", "pi", "default") is None
    assert one.pods() == []


def test_nobody_waits_for_a_job_to_expire() -> None:
    """k8snb: settling waits for nobody's time to live."""
    one = lab(ttl=10**6)
    before = one.clock.now()
    end(one)
    assert one.clock.now() == before


def test_a_restarted_controller_writes_nothing_and_remembers_the_time() -> None:
    """upstream: pkg/controller/ttlafterfinished: the time counts from the object alone."""
    one = lab()
    end(one)
    revision = one.store.revision
    one.wait(30).restart()
    assert one.store.revision == revision
    one.wait(31)
    assert not is_there(one)


def test_the_time_counts_from_the_condition() -> None:
    """upstream: pkg/controller/ttlafterfinished: jobFinishTime."""
    entry = {"type": "Failed", "status": "True", "lastTransitionTime": "1970-01-01T00:01:00Z"}
    job = {"metadata": {}, "spec": {"ttlSecondsAfterFinished": 5}, "status": {"conditions": [entry]}}
    assert expires_at(job) == 65
    assert expires_at({**job, "status": {"conditions": [{**entry, "status": "False"}]}}) is None
