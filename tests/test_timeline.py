"""Timelines: a lane for each object, its states as kubectl prints them, each from the revision that began it."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from cluster_lab import boot

from k8snb.cluster import Cluster
from k8snb.kubectl.output import KubectlError
from k8snb.notebook import ktimeline
from k8snb.notebook.chart import Axis, Chart
from k8snb.notebook.ktimeline import Timeline
from k8snb.story.timeline import Lane


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


def shown(cluster: Cluster, *words: str) -> Timeline:
    found = ktimeline.run(cluster, words)
    assert isinstance(found, Timeline)
    return found


def states(lane: Lane) -> list[str]:
    return [span.state for span in lane.spans]


def test_a_pods_lane_has_its_states_in_order_without_gaps(cluster: Cluster) -> None:
    cluster.kubectl.run("run web --image=nginx")
    cluster.settle()
    cluster.kubectl.run("delete pod web --wait=false")
    cluster.settle()
    (lane,) = shown(cluster, "pod/web").lanes
    assert states(lane)[:3] == ["Pending", "ContainerCreating", "Ready"] and "Terminating" in states(lane)
    assert lane.over
    assert [span.end for span in lane.spans[:-1]] == [span.start for span in lane.spans[1:]]


def test_each_state_began_with_the_revision_that_is_named(cluster: Cluster) -> None:
    cluster.kubectl.run("run web --image=nginx")
    cluster.settle()
    (lane,) = shown(cluster, "pod/web").lanes
    ready = next(span for span in lane.spans if span.state == "Ready")
    change = cluster.history.at(ready.revision)
    assert change is not None and change.time == ready.start and ready.actor.startswith("kubelet node-")


def test_an_owner_stands_above_what_it_owns(cluster: Cluster) -> None:
    cluster.kubectl.run("create deployment web --image=nginx --replicas=2")
    cluster.settle()
    lanes = shown(cluster, "deployment/web").lanes
    assert [lane.kind for lane in lanes if lane.kind != "EndpointSlice"] == ["Deployment", "ReplicaSet", "Pod", "Pod"]
    assert states(lanes[0]) == ["0/2 ready", "1/2 ready", "2/2 ready"]


def test_a_crash_loop_and_a_job_say_what_they_are_in(cluster: Cluster) -> None:
    cluster.kubectl.run("run web --image=busybox -- sh -c 'exit 3'")
    cluster.kubectl.run("create job once --image=busybox -- sh -c 'exit 0'")
    cluster.run_for(60)
    by_word = {lane.word: states(lane) for lane in shown(cluster).lanes}
    assert {"CrashLoopBackOff", "Error"} & set(by_word["pod/web"])
    assert by_word["job/once"][-1] == "Complete"


def test_many_pods_of_one_owner_become_one_lane_and_it_is_said(cluster: Cluster) -> None:
    cluster.kubectl.run("create deployment web --image=nginx --replicas=60")
    cluster.settle()
    found = shown(cluster, "--lanes", "10")
    assert "63 objects in" in found.output.hints[0] or "62 objects in" in found.output.hints[0]
    assert "×60" in found.text and "60/60 ready" in found.text
    assert len(found.df["OBJECT"].unique()) >= 62


def test_only_what_is_asked_for_is_shown(cluster: Cluster) -> None:
    for name in ("one", "two"):
        cluster.kubectl.run(f"run {name} --image=nginx")
    cluster.run_for(100)
    assert [lane.word for lane in shown(cluster, "pods", "-l", "run=two").lanes] == ["pod/two"]
    cluster.kubectl.run("delete pod one --wait=false")
    cluster.settle()
    assert {lane.word for lane in shown(cluster, "--since", "50s").lanes} == {"pod/one", "pod/two"}
    assert {lane.kind for lane in shown(cluster, "nodes").lanes} == {"Node"}


def test_the_picture_has_a_word_for_each_state_and_its_hover_says_when_and_by_whom(cluster: Cluster) -> None:
    cluster.kubectl.run("create deployment web --image=nginx --replicas=2")
    cluster.settle()
    found = shown(cluster)
    root = ElementTree.fromstring(Chart(found.lanes).svg)
    titles = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}title")]
    for lane in found.lanes:
        for span in lane.spans:
            assert any(f"{lane.word}: {span.state}, from +" in title and f"revision {span.revision} by {span.actor}" in
                       title for title in titles)  # fmt: skip
    assert "<script" not in found._repr_html_()


def test_a_long_rest_is_folded_and_order_is_kept() -> None:
    axis = Axis([0.0, 1.0, 2.0, 4000.0, 4001.0])
    places = [axis.x(moment) for moment in (0.0, 1.0, 2.0, 4000.0, 4001.0)]
    assert places == sorted(places) and axis.folds == [(2.0, 4000.0)]
    assert places[3] - places[2] < places[1] - places[0]
    assert all(abs(axis.moment(axis.x(moment)) - moment) < 1e-6 for moment in (0.5, 1.5, 3000.0))


@pytest.mark.parametrize(("words", "part"), [
    (["nope/web"], "resource type"), (["pod/never"], "nothing was found"), ([], "nothing was found"),
    (["-l", "a=("], "error: "), (["--lanes", "0"], "from 1 to 200"), (["--since", "soon"], "invalid argument"),
])  # fmt: skip
def test_what_cannot_be_shown_is_said_in_a_line(still: Cluster, words: list[str], part: str) -> None:
    with pytest.raises(KubectlError) as refused:
        ktimeline.run(still, words)
    assert part in refused.value.message
