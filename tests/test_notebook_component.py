"""%kcluster component and %kcluster bind, as a learner types them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from notebook_lab import Notebook, fresh_shell, make

from k8snb.notebook import extension


@pytest.fixture
def notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Notebook]:
    with fresh_shell(tmp_path) as shell:
        extension.load(shell, make)
        notebook = Notebook(shell, capsys)
        notebook.settle()
        yield notebook


def test_a_learner_can_be_the_scheduler(notebook: Notebook) -> None:
    assert notebook.run("%kcluster component stop kube-scheduler").text == "component/kube-scheduler stopped\n"
    notebook.run("%krun web --image=nginx")
    assert "Pending" in notebook.run("%kget pods").text
    assert notebook.run("%kcluster bind web node-2").text == "pod/web bound to node/node-2\n"
    row = notebook.run("%kget pods -o wide").text
    assert "Running" in row and "node-2" in row
    assert "already assigned" in notebook.error("%kcluster bind web node-1")


def test_a_stopped_component_shows_as_stopped_until_it_is_started(notebook: Notebook) -> None:
    def line(word: str, cell: str) -> str:
        return next(row for row in notebook.run(cell).text.splitlines() if row.startswith(word + " "))

    notebook.run("%kcluster component stop kube-scheduler")
    assert "Stopped" in line("kube-scheduler", "%kcluster component list")
    assert "Stopped" in line("kube-scheduler", "%kcluster status")
    assert "Leading" in line("kube-controller-manager", "%kcluster component list")
    notebook.run("%kcluster component start kube-scheduler")
    assert "Running" in line("kube-scheduler", "%kcluster status")


def test_a_mistake_is_one_line_that_says_what_there_is(notebook: Notebook) -> None:
    assert notebook.error("%kcluster component stop kube-schedule").startswith(
        'error: there is no component "kube-schedule"; there are: etcd, kube-apiserver, '
    )
    assert "etcd cannot be stopped" in notebook.error("%kcluster component stop etcd")
    assert "one component's name is wanted" in notebook.error("%kcluster component stop")
    assert "%kcluster bind POD NODE" in notebook.error("%kcluster bind web")


def test_what_asks_a_stopped_apiserver_says_how_to_start_it(notebook: Notebook) -> None:
    notebook.run("%kcluster component stop kube-apiserver")
    assert "%kcluster component start kube-apiserver" in notebook.error("%kget pods")
    notebook.run("%kcluster component start kube-apiserver")
    assert "node-1" in notebook.run("%kget nodes").text


def test_names_of_components_are_completed(notebook: Notebook) -> None:
    assert "%kcluster component stop kube-scheduler" in notebook.complete("%kcluster component stop kube-s")
