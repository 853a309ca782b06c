"""Stepping: one item of one component at a time, told with what queued it, was read, decided and written."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from cluster_lab import boot

from k8snb.apimachinery.kinds import find
from k8snb.clock import RealClock, VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl.output import KubectlError
from k8snb.notebook import kclock
from k8snb.notebook.steps import Steps
from k8snb.story.steps import ToldStep

CREATE = "create deployment web --image=nginx --replicas=2"


@pytest.fixture(scope="module")
def still() -> Iterator[Cluster]:
    """A cluster to which nobody does anything."""
    made = boot(nodes=1)
    yield made
    made.delete()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = boot()
    yield made
    made.delete()


def clock(cluster: Cluster, *words: str) -> str:
    return repr(kclock.run(cluster, words))


def stepped(cluster: Cluster, *words: str, cell: str = CREATE) -> list[ToldStep]:
    answer = kclock.run_cell(cluster, words, cell)
    assert isinstance(answer, Steps)
    return [step for step in answer.steps if isinstance(step, ToldStep)]


# a step


def test_a_step_tells_why_what_was_read_decided_and_written(cluster: Cluster) -> None:
    cluster.pause()
    cluster.kubectl.run(CREATE)
    made = cluster.history.newest
    (step,) = cluster.step()
    assert (step.component, step.key) == ("deployment-controller", "default/web")
    assert step.because == f"{made}: you create deployment/web"
    assert step.looked_at == f"deployment/web@{made}"
    assert step.decided.startswith("spec.replicas is 2, there are 0 replicasets; creates replicaset/web-")
    assert [write.revision for write in step.writes] == sorted(write.revision for write in step.writes)
    assert step.writes[0].word.startswith("replicaset/web-") and step.writes[0].cause == made
    assert any(event.startswith("ScalingReplicaSet: Scaled up") for event in step.events)


def test_what_a_step_writes_is_what_the_log_has(cluster: Cluster) -> None:
    before = cluster.history.newest
    steps = stepped(cluster)
    told = [write.revision for step in steps for write in step.writes]
    there = [change.revision for change in cluster.history.since(before)
             if change.kind.plural not in ("events", "leases") and change.actor != "kubernetes-admin"]  # fmt: skip
    assert told == there


def test_the_schedulers_step_has_the_verdict_on_every_node(cluster: Cluster) -> None:
    steps = [step for step in stepped(cluster) if step.component == "default-scheduler" and step.writes]
    assert len(steps) == 2
    for step in steps:
        assert step.verdict is not None and step.verdict.node in step.decided
        assert "not control-plane (TaintToleration: " in step.decided


def test_a_second_sync_writes_nothing_and_says_so(cluster: Cluster) -> None:
    steps = [step for step in stepped(cluster) if step.component == "deployment-controller"]
    assert any(step.decided.endswith("nothing to write") for step in steps)


def test_a_kubelets_pod_has_its_name_also_when_it_is_gone(cluster: Cluster) -> None:
    stepped(cluster)
    steps = stepped(cluster, cell="delete deployment web")
    gone = [step for step in steps if any(write.verb == "delete" and step.component.startswith("kubelet")
                                          for write in step.writes)]  # fmt: skip
    assert len(gone) == 2 and all(step.key.startswith("default/web-") for step in gone)


def test_where_nothing_is_queued_time_jumps_to_the_next_timer_and_the_step_says_so(cluster: Cluster) -> None:
    before = cluster.clock.now()
    (step,) = cluster.step()
    assert step.skipped > 0 and cluster.clock.now() == before + step.skipped
    assert step.sentences[0].startswith("Nothing was queued: time jumped")


def test_nobody_takes_notes_while_nobody_looks(cluster: Cluster) -> None:
    cluster.step()
    notes = cluster.context.notes
    assert not notes.looking
    seen = dict(notes.reads)
    cluster.kubectl.run(CREATE)
    cluster.settle()
    assert notes.reads == seen


def test_steps_are_the_same_on_the_same_seed() -> None:
    told = []
    for _ in range(2):
        with Cluster(nodes=2, runtime="simulated", clock=VirtualClock(), seed=7) as cluster:
            cluster.settle()
            told.append(str(kclock.run_cell(cluster, [], CREATE)))
    assert told[0] == told[1]


# a cell of steps


def test_a_cells_steps_end_in_what_the_cell_asked_for(cluster: Cluster) -> None:
    stepped(cluster)
    deployment = cluster.client.get("deployments", "web", "default")
    assert deployment["status"]["readyReplicas"] == 2


def test_a_command_that_waits_is_served_by_steps(cluster: Cluster) -> None:
    stepped(cluster)
    answer = kclock.run_cell(cluster, [], "%kdelete deployment web\n%kubectl wait --for=delete pod -l app=web\n")
    assert 'deployment.apps "web" deleted' in answer.text
    assert cluster.client.items("pods", "default") == []


def test_a_manifest_in_the_cell_is_applied(cluster: Cluster) -> None:
    kclock.run_cell(cluster, [], "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    assert cluster.client.find("configmaps", "a", "default") is not None


def test_the_page_says_each_step_without_scripts_and_folds_what_changed_nothing(cluster: Cluster) -> None:
    html = kclock.run_cell(cluster, [], CREATE)._repr_html_()
    assert "<script" not in html and html.count("<details") > 10
    assert "Your command" not in html and "It decided: spec.replicas is 2, there are 0 pods; creates 2 pods" in html
    assert "looked and had nothing to write" in html


def test_steps_are_bounded_and_the_answer_says_so(cluster: Cluster) -> None:
    answer = kclock.run_cell(cluster, ["--steps", "3"], CREATE)
    assert isinstance(answer, Steps) and sum(isinstance(step, ToldStep) for step in answer.steps) == 3
    assert "first 3 steps" in answer.output.hints[0]
    assert len(answer.df) == 4


# the clock


def test_until_stops_right_after_the_step_that_made_it_true(cluster: Cluster) -> None:
    cluster.kubectl.run("run web --image=nginx")
    assert "pod/web is Ready: after" in clock(cluster, "until", "pod/web Ready")
    newest = cluster.history.of(_pods(), "default", "web")[-1]
    assert newest.revision >= cluster.history.newest - 1  # at most the event beside it
    assert cluster.pump.paused


@pytest.mark.parametrize("words", [
    ["deployment/web=Available"], ["--for=condition=Available", "deployment/web"], ["+30s"],
    ["deployment", "web", "Available"], ["--for=jsonpath={.status.readyReplicas}=2", "deployment/web"],
])  # fmt: skip
def test_until_takes_the_words_of_kubectl_wait_and_times(cluster: Cluster, words: list[str]) -> None:
    cluster.kubectl.run(CREATE)
    assert "not reached" not in clock(cluster, "until", *words)


def test_until_a_revision(cluster: Cluster) -> None:
    cluster.kubectl.run(CREATE)
    wanted = cluster.history.newest + 5
    clock(cluster, "until", str(wanted))
    assert wanted <= cluster.history.newest <= wanted + 4


def test_until_is_bounded_and_says_how_things_stand(cluster: Cluster) -> None:
    cluster.kubectl.run("run web --image=localhost:1/does-not-exist:1")
    said = clock(cluster, "until", "pod/web Ready", "--timeout=20s")
    assert "not reached after 20.0 s" in said and "Ready=False" in said and "--timeout=10m" in said


@pytest.mark.parametrize(("words", "part"), [
    (["stop"], 'unknown word "stop"'), (["step", "x"], "a whole number from 1 to 500"),
    (["step", "100000"], "a whole number from 1 to 500"), (["until"], "until what?"),
    (["until", "pod/web"], "until what?"), (["until", "nope/web Ready"], "resource type"),
    (["until", "+soon"], "is no time"), (["until", "pod/web Ready", "--timeout=0s"], "more than 0"),
    (["speed", "2"], "as fast as it can"), (["pause", "now"], "one word too many"),
    (["until", "pod/web", "--for=jsonpath={"], "jsonpath"),
])  # fmt: skip
def test_bad_words_are_one_sentence(still: Cluster, words: list[str], part: str) -> None:
    with pytest.raises(KubectlError) as refused:
        kclock.run(still, words)
    assert part in refused.value.message


@pytest.mark.parametrize(("words", "cell", "part"), [
    ([], "", "runs the commands in its cell"), (["--steps", "0"], CREATE, "a whole number"),
    (["now"], CREATE, "one word too many"), ([], "get pods -w", "goes on"), ([], "nope", "unknown command"),
])  # fmt: skip
def test_a_bad_cell_is_one_sentence_and_the_cluster_is_as_it_was(
    still: Cluster, words: list[str], cell: str, part: str
) -> None:
    with pytest.raises(KubectlError) as refused:
        kclock.run_cell(still, words, cell)
    assert part in refused.value.message
    assert not still.pump.paused


# real time


def test_a_real_clock_goes_as_fast_as_it_is_told_and_never_back() -> None:
    real = RealClock()
    before = real.monotonic()
    real.speed = 1000.0
    real.advance_to(before + 500)
    assert real.monotonic() >= before + 500
    assert real.seconds_until(real.monotonic() + 1000) <= 1.0
    real.speed = 1.0
    ahead = real.ahead
    assert ahead >= 499 and real.ahead == ahead
    real.advance_to(before)
    assert real.ahead == ahead


def test_a_cluster_in_real_time_is_paused_stepped_hurried_and_run_to_a_condition() -> None:
    with Cluster(nodes=1, runtime="simulated", seed=1) as live:
        assert live.speed == 1.0
        live.pause()
        live.kubectl.run("run web --image=nginx")
        assert len(live.step(10)) == 10
        live.speed = 5.0
        assert live.run_until(lambda: "web" in str(live.client.items("pods", "default")), 600)
        assert "pod/web is Ready" in clock(live, "until", "pod/web Ready", "--timeout=600s")
        assert live.pump.paused
        assert "goes on" in clock(live, "run") and not live.pump.paused
        with pytest.raises(ValueError, match="a speed is a number"):
            live.speed = 0.0


def test_a_condition_that_fails_is_its_writers_and_the_cluster_goes_on() -> None:
    answers = iter([False])  # the second question, which the pump asks, has no answer

    with Cluster(nodes=1, runtime="simulated", seed=1) as live:
        with pytest.raises(StopIteration):
            live.run_until(lambda: next(answers), 60)
        assert live.pump.running and live.pump.failure is None


def test_virtual_time_is_as_fast_as_can_be(cluster: Cluster) -> None:
    assert math.isinf(cluster.speed)
    assert "as fast as possible" in clock(cluster)


@pytest.mark.process
def test_pausing_real_programs_says_that_they_run_on() -> None:
    with Cluster("stepping", nodes=1, runtime="process") as live:
        assert "real programs: they run on" in clock(live, "pause")
        clock(live, "run")
        steps = stepped(live, "--timeout", "60s", cell="create configmap a --from-literal=b=c")
        assert all(step.skipped == 0 for step in steps)
        assert not live.pump.paused


def _pods() -> object:
    kind = find("pods")
    assert kind is not None
    return kind


def test_a_step_counts_the_pods_that_are_there(cluster: Cluster) -> None:
    stepped(cluster)
    told = stepped(cluster, cell="scale deployment web --replicas=3")
    decisions = [step.decided for step in told if step.component == "replicaset-controller" and step.writes]
    assert decisions[0].startswith("spec.replicas is 3, there are 2 pods; creates pod/web-")
