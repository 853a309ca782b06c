"""logging: what a container wrote is found by where it came from and what it says, also when its pod is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from notebook_lab import Notebook, fresh_shell, make

from k8snb.addons.log_collector import LoggingAddon
from k8snb.addons.log_store import LogStore, Source
from k8snb.apimachinery.selectors import parse_selector
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.notebook import extension

WEB = Source("default", "web-1", "nginx", "node-1", {"app": "web"})
DB = Source("shop", "db-0", "redis", "node-2", {"app": "db"})


def store(**bounds: int) -> LogStore:
    made = LogStore(**bounds)
    made.add(WEB, b"2024-01-01T00:00:01.000000000Z GET /\n")
    made.add(DB, b"2024-01-01T00:00:03.000000000Z Ready to accept connections\n")
    made.add(WEB, b"2024-01-01T00:00:02.000000000Z ERROR no such page\n")
    return made


# the store


def test_lines_are_found_by_text_place_labels_and_time_the_oldest_first() -> None:
    made = store()
    assert [line.text[:5] for line in made.search()] == ["GET /", "ERROR", "Ready"]
    assert [line.text for line in made.search("error")] == ["ERROR no such page"]
    assert [line.source for line in made.search(namespace="shop")] == [DB]
    assert [line.source for line in made.search(selector=parse_selector("app in (db)"))] == [DB]
    assert [line.source for line in made.search(container="redis", pod="db-0")] == [DB]
    assert len(made.search(since="2024-01-01T00:00:02.000000Z")) == 1 + 1
    assert made.search("nothing like it") == []


def test_the_store_is_bounded_by_lines_and_by_bytes() -> None:
    made = store(lines=2)
    assert [line.source for line in made.search()] == [WEB, DB] and made.dropped == 1
    made = LogStore(size=1000)
    for number in range(100):
        made.add(WEB, b"2024-01-01T00:00:00.%09dZ " % number + b"x" * 100)
    assert made.size <= 1000 and made.search()[-1].time.endswith("099Z")
    made.add(WEB, b"2024-01-01T00:00:01Z " + b"x" * 1_000_000)
    assert made.size <= 1000


def test_what_is_no_utf8_is_kept_all_the_same() -> None:
    made = LogStore()
    made.add(WEB, b"2024-01-01T00:00:00Z \xff\xfe")
    assert made.search()[0].text == "\ufffd\ufffd"


# the add-on on simulated nodes and virtual time


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(runtime="simulated", clock=VirtualClock(), seed=1, nodes=2)
    made.start(wait=0)
    made.settle()
    yield made
    made.delete()


def addon(cluster: Cluster) -> LoggingAddon:
    found = cluster.addons.get("logging")
    assert isinstance(found, LoggingAddon)
    return found


def say(cluster: Cluster, name: str, *words: str) -> None:
    """A pod that writes these lines and ends."""
    script = "; ".join(f"echo {word}" for word in words)
    cluster.kubectl.run(
        ["run", name, "--image=busybox", "--restart=Never", f"--labels=app={name}", "--", "sh", "-c", script]
    )
    cluster.settle()


def test_lines_outlive_their_pods(cluster: Cluster) -> None:
    cluster.addons.enable("logging")
    say(cluster, "one", "hello", "world")
    cluster.kubectl.run(["delete", "pod", "one"])
    cluster.settle()
    found = addon(cluster).search()
    assert [line.text for line in found] == ["hello", "world"]
    source = found[0].source
    assert (source.namespace, source.pod, source.container, source.labels) == ("default", "one", "one", {"app": "one"})
    assert source.node in cluster.nodes


def test_what_was_written_before_the_add_on_came_is_found_too_and_nothing_twice(cluster: Cluster) -> None:
    say(cluster, "early", "first")
    cluster.addons.enable("logging")
    cluster.settle()
    cluster.kubectl.run(["label", "pod", "early", "a=b"])
    cluster.settle()
    assert [line.text for line in addon(cluster).search()] == ["first"]


def test_each_run_of_a_container_is_read(cluster: Cluster) -> None:
    cluster.addons.enable("logging")
    cluster.kubectl.run(["run", "loop", "--image=busybox", "--", "sh", "-c", "echo again; sleep 5"])
    cluster.run_for(60)
    restarts = cluster.client.get("pods", "loop", "default")["status"]["containerStatuses"][0]["restartCount"]
    assert restarts >= 2 and len(addon(cluster).search("again")) >= restarts


def test_lines_are_found_by_their_age(cluster: Cluster) -> None:
    cluster.addons.enable("logging")
    say(cluster, "old", "old")
    cluster.run_for(600)
    say(cluster, "young", "young")
    assert [line.text for line in addon(cluster).search(seconds=300)] == ["young"]
    assert [line.text for line in addon(cluster).search(selector=parse_selector("app=old"))] == ["old"]


def test_lines_are_kept_over_a_stop_and_forgotten_when_the_add_on_goes(cluster: Cluster) -> None:
    cluster.addons.enable("logging")
    say(cluster, "one", "kept")
    cluster.stop()
    cluster.start(wait=0)
    cluster.settle()
    assert "kept" in {line.text for line in addon(cluster).search()}
    before = addon(cluster)
    cluster.addons.disable("logging")
    assert len(before.store) == 0 and not before.search()
    assert cluster.client.find("clusterroles", "k8snb:log-collector") is None
    say(cluster, "two", "unheard")
    assert len(before.store) == 0


# %klogs --all


@pytest.fixture
def notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Notebook]:
    with fresh_shell(tmp_path) as shell:
        extension.load(shell, make)
        made = Notebook(shell, capsys)
        made.settle()
        yield made


def test_klogs_all_is_a_table_a_frame_and_text(notebook: Notebook) -> None:
    notebook.cluster.addons.enable("logging")
    say(notebook.cluster, "one", "hello", "error-42")
    say(notebook.cluster, "two", "bye")
    shown = notebook.run("%klogs --all")
    assert [line["line"] for line in shown.lines] == ["hello", "error-42", "bye"]
    assert "[default/one/one] hello\n" in shown.text and "<table" in shown._repr_html_()
    assert list(shown.df.columns) == ["time", "namespace", "pod", "container", "node", "line", "labels"]
    assert str(shown.df["time"].dtype).startswith("datetime64") and shown.df["labels"][0] == {"app": "one"}
    assert [line["pod"] for line in notebook.run("%klogs --all -l app=two").lines] == ["two"]
    assert [line["line"] for line in notebook.run("%klogs --all --search ERROR").lines] == ["error-42"]
    assert notebook.run("%klogs --all --since 1h --tail 1").lines[0]["line"] == "bye"
    assert notebook.run("%klogs --all -n nowhere").text == "No lines found.\n"
    assert notebook.run("%kubectl logs --all --pod two").lines[0]["line"] == "bye"
    assert "earlier lines" in repr(notebook.run("%klogs --all --tail=1"))
    assert "--search" in notebook.run("%klogs --all -h").text
    assert any("--search" in line for line in notebook.complete("%klogs --all --s"))


def test_klogs_all_says_what_is_amiss(notebook: Notebook) -> None:
    assert "%kcluster addons enable logging" in notebook.error("%klogs --all")
    notebook.cluster.addons.enable("logging")
    assert "leave one out" in notebook.error("%klogs --all one")
    assert "--all" in notebook.error("%klogs --all --nonsense")
    assert notebook.error("%klogs --all -l 'a in'")


# real processes


@pytest.mark.process
@pytest.mark.slow
def test_the_lines_of_real_processes_are_followed_and_kept() -> None:
    with Cluster("logging-test", runtime="process", nodes=1) as made:
        made.addons.enable("logging")
        script = "echo begun; sleep 1; echo going-on; sleep 3600"
        made.kubectl.run(["run", "talker", "--image=busybox", "--", "sh", "-c", script])
        assert made.wait(lambda: len(addon(made).search()) == 2, 40)
        made.kubectl.run(["delete", "pod", "talker", "--now"])
        assert [line.text for line in addon(made).search(pod="talker")] == ["begun", "going-on"]
