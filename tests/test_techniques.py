"""Management techniques: which of the three a command is, and the history of a session's changes.

Source: the page "Kubernetes Object Management" of the documentation, from which the words of the techniques are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl import KubectlError
from k8snb.kubectl.commands import COMMANDS
from k8snb.kubectl.history import Change
from k8snb.kubectl.techniques import (
    CHANGING,
    DECLARATIVE,
    IMPERATIVE,
    IMPERATIVE_FILE,
    Technique,
    changes,
    technique_of,
)

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '1'}\n"


@pytest.mark.parametrize(
    ("name", "from_files", "technique"),
    [
        ("run", False, IMPERATIVE),
        ("create", True, IMPERATIVE_FILE),
        ("create deployment", False, IMPERATIVE),
        ("scale", False, IMPERATIVE),
        ("scale", True, IMPERATIVE_FILE),
        ("delete", False, IMPERATIVE),
        ("delete", True, IMPERATIVE_FILE),
        ("replace", True, IMPERATIVE_FILE),
        ("edit", False, IMPERATIVE),
        ("apply", True, DECLARATIVE),
        ("diff", True, DECLARATIVE),
        ("get", False, None),
        ("get", True, None),
        ("create token", False, None),
        ("logs", False, None),
    ],
)
def test_a_command_is_one_of_three_techniques_or_reads(
    name: str, from_files: bool, technique: Technique | None
) -> None:
    assert technique_of(name, from_files=from_files) is technique


def test_every_command_that_changes_is_one_of_the_grammar() -> None:
    assert {name for name in CHANGING if name not in COMMANDS} == set()


def test_comparing_changes_nothing() -> None:
    assert technique_of("diff") is DECLARATIVE and not changes("diff")


def test_help_tells_the_technique() -> None:
    with Cluster("help", nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        said = cluster.kubectl.run("delete -h").text
        assert "Management technique:\n  imperative; with -f imperative-file\n" in said
        assert "Management technique:\n  declarative\n" in cluster.kubectl.run("apply -h").text
        assert "Management technique" not in cluster.kubectl.run("get -h").text


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster("history", nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        yield cluster


@pytest.fixture
def changed(cluster: Cluster) -> list[Change]:
    changes: list[Change] = []
    cluster.kubectl.on_change = changes.append
    return changes


def test_what_changes_something_is_told(cluster: Cluster, changed: list[Change]) -> None:
    cluster.kubectl.run("create deployment web --image=nginx")
    cluster.kubectl.scale("deployment/web", replicas=2)
    cluster.kubectl.run("apply -f -", CONFIG)
    cluster.kubectl.run("delete -f -", CONFIG)
    assert [(change.technique, change.done) for change in changed] == [
        (IMPERATIVE, ("deployment.apps/web created",)),
        (IMPERATIVE, ("deployment.apps/web scaled",)),
        (DECLARATIVE, ("configmap/a created",)),
        (IMPERATIVE_FILE, ('configmap "a" deleted',)),
    ]
    assert changed[1].command == "kubectl scale --replicas=2 deployment/web"


@pytest.mark.parametrize(
    "line", ["get pods", "apply -f - --dry-run=server", "apply -f -", "diff -f -", "-h", "create -h"]
)
def test_what_changes_nothing_is_not_told(cluster: Cluster, changed: list[Change], line: str) -> None:
    cluster.kubectl.run("apply -f -", CONFIG)
    changed.clear()
    cluster.kubectl.run(line, CONFIG)
    assert changed == []


def test_what_was_done_before_a_failure_is_told(cluster: Cluster, changed: list[Change]) -> None:
    with pytest.raises(KubectlError):
        cluster.kubectl.run("apply -f -", CONFIG + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: A_}\n")
    assert [(change.done, change.failed) for change in changed] == [(("configmap/a created",), True)]
    with pytest.raises(KubectlError):
        cluster.kubectl.run("create configmap a")
    assert len(changed) == 1


def test_behind_a_format_the_objects_are_told(cluster: Cluster, changed: list[Change]) -> None:
    cluster.kubectl.run("create configmap c -o yaml")
    assert changed[0].done == ("configmap/c",)


def test_an_edit_is_told_when_it_is_saved(cluster: Cluster, changed: list[Change]) -> None:
    cluster.kubectl.run("create configmap c --from-literal=a=before")
    draft = cluster.kubectl.draft("edit configmap c")
    assert len(changed) == 1
    draft.save(draft.text.replace("before", "after"))
    assert changed[1].done == ("configmap/c edited",) and changed[1].technique is IMPERATIVE


def test_each_change_says_what_it_takes_to_repeat_it(cluster: Cluster, changed: list[Change], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CONFIG)
    path = str(tmp_path / "a.yaml")
    cluster.kubectl.run(["create", "-f", path])
    cluster.kubectl.run("label configmap a x=y")
    cluster.kubectl.run("apply -f - -f " + path, CONFIG.replace("name: a", "name: b"))
    assert [change.needs for change in changed] == [
        f"this line and {path}, where what it makes is not there yet",
        "this line, where its objects are there",
        f"the cell's 4 lines, {path} alone: apply at any time, in any state",
    ]
    assert changed[2].body == CONFIG.replace("name: a", "name: b") and changed[0].body is None
