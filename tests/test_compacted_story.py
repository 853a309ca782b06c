"""What is told when the history has been compacted away beneath it: what stands is not said never to have been."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster_lab import boot

from k8snb.cluster import Cluster
from k8snb.kubectl.output import KubectlError
from k8snb.notebook import krewind, kstory, ktimeline
from k8snb.notebook.krewind import Rewind


@pytest.fixture(scope="module")
def film() -> Iterator[tuple[Cluster, Rewind]]:
    """A film of a history that is forgotten afterwards."""
    with boot(nodes=1) as cluster:
        cluster.kubectl.run("create deployment web --image=nginx --replicas=2")
        cluster.run_for(60)
        made = krewind.run(cluster, [])
        assert isinstance(made, Rewind)
        cluster.run_for(60)
        cluster.store.compact(cluster.store.revision - 1)
        yield cluster, made


def test_a_film_says_which_moments_are_gone(film: tuple[Cluster, Rewind]) -> None:
    cluster, made = film
    assert f"revision {made.first.revision} has been compacted away" in made.moment_html(made.first.revision)
    assert "has been compacted away" in made._repr_html_()
    assert "compacted" not in made.moment_html(cluster.store.revision)


def test_lanes_of_what_stands_begin_with_its_last_write(film: tuple[Cluster, Rewind]) -> None:
    shown = ktimeline.run(film[0], [])
    assert isinstance(shown, ktimeline.Timeline)
    assert [lane.word.partition("-")[0] for lane in shown.lanes] == ["deployment/web", "replicaset/web", "pod/web",
                                                                     "pod/web"]  # fmt: skip
    assert {lane.spans[-1].state for lane in shown.lanes} == {"2/2 ready", "Ready"}


def test_what_stands_is_not_said_never_to_have_been(film: tuple[Cluster, Rewind]) -> None:
    cluster = film[0]
    with pytest.raises(KubectlError, match="stands as it was before revision"):
        kstory.run(cluster, "trace", ["deployment/web"])
    with pytest.raises(KubectlError, match="nobody has written anything since revision"):
        kstory.run(cluster, "trace", [])
    with pytest.raises(KubectlError, match="there is none, and there was none since revision"):
        kstory.run(cluster, "trace", ["deployment/other"])
