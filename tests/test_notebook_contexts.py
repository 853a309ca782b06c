"""%kconfig, %kns and --context: the notebook's clusters and those of a kubeconfig."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from notebook_lab import Notebook, fresh_shell, make

from k8snb import Cluster
from k8snb.notebook import extension


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Notebook]:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with fresh_shell(tmp_path / "ipython") as shell:
        extension.load(shell, make)
        yield Notebook(shell, capsys)


def write(path: Path, text: str, **more: object) -> None:
    path.write_text(yaml.safe_dump({**yaml.safe_load(text), **more}))


ELSEWHERE = """
clusters: [{name: far, cluster: {server: "https://192.0.2.1:6443"}}]
users: [{name: jane, user: {token: abc}}]
contexts: [{name: far, context: {cluster: far, user: jane, namespace: shop}}]
current-context: far
"""


# the notebook's own clusters


def test_the_contexts_of_a_notebook_are_its_clusters(notebook: Notebook) -> None:
    assert notebook.run("%kconfig current-context").output.text == "k8snb\n"
    assert notebook.run("%kconfig get-contexts -o name").output.text == "k8snb\n"
    notebook.run("%kcluster start --name other")
    assert notebook.run("%kconfig get-contexts -o name").output.text == "k8snb\nother\n"
    assert notebook.run("%kconfig current-context").output.text == "other\n"


def test_use_context_switches_the_cluster_that_the_cells_speak_to(notebook: Notebook) -> None:
    notebook.run("%kcreate configmap here")
    notebook.run("%kcluster start --name other")
    assert "configmap/here" not in notebook.run("%kget cm -o name").output.text
    assert notebook.run("%kconfig use-context k8snb").output.text == 'Switched to context "k8snb".\n'
    assert "configmap/here" in notebook.run("%kget cm -o name").output.text
    assert "configmap/here" not in notebook.run("%kget cm -o name --context other").output.text


def test_an_unknown_context_is_refused_and_nothing_changes(notebook: Notebook) -> None:
    assert 'no context exists with the name: "nope"' in notebook.error("%kconfig use-context nope")
    assert "context was not found for specified context: nope" in notebook.error("%kget pods --context nope")
    assert notebook.run("%kconfig current-context").output.text == "k8snb\n"


def test_kns_switches_the_namespace_of_every_magic(notebook: Notebook) -> None:
    notebook.run("%kcreate namespace shop")
    assert notebook.run("%kns shop").output.text == 'the magics now work in namespace "shop"\n'
    notebook.run("%kcreate configmap there")
    assert notebook.cluster.client.get("configmaps", "there", "shop")
    assert notebook.run("%kget cm there").output.objects
    assert "*         shop" in notebook.run("%kns").output.text
    assert "shop" in notebook.run("%kconfig get-contexts").output.text
    assert 'namespaces "nope" not found' in notebook.error("%kns nope")


def test_set_context_current_namespace_is_the_same_as_kns(notebook: Notebook) -> None:
    said = notebook.run("%kconfig set-context --current --namespace=kube-system").output.text
    assert said == 'Context "k8snb" modified.\n'
    assert notebook.cluster.kubectl.namespace == "kube-system"


@pytest.mark.parametrize(
    "line",
    [
        "delete-context k8snb",
        "rename-context k8snb mine",
        "delete-cluster k8snb",
        "delete-user k8snb",
        "set-cluster k8snb --server=https://192.0.2.1",
        "unset current-context",
    ],
)
def test_a_cluster_of_the_notebook_is_not_changed_by_kconfig(notebook: Notebook, line: str) -> None:
    assert "notebook" in notebook.error(f"%kconfig {line}")
    assert notebook.run("%kconfig current-context").output.text == "k8snb\n"
    assert notebook.run("%kget ns default -o name").output.text == "namespace/default\n"


# a kubeconfig beside them


def test_the_contexts_of_a_kubeconfig_stand_beside_the_notebooks_own(notebook: Notebook, tmp_path: Path) -> None:
    write(tmp_path / "config", ELSEWHERE)
    assert notebook.run("%kconfig get-contexts -o name").output.text == "far\nk8snb\n"
    assert notebook.run("%kconfig current-context").output.text == "k8snb\n"


def test_tab_offers_the_contexts(notebook: Notebook, tmp_path: Path) -> None:
    write(tmp_path / "config", ELSEWHERE)
    assert notebook.complete("%kconfig use-context f") == ["%kconfig use-context far"]
    assert notebook.complete("%kconfig use-context k") == ["%kconfig use-context k8snb"]
    assert "%kconfig use-context" in notebook.complete("%kconfig use")
    assert "%kns kube-system" in notebook.complete("%kns kube-s")


def test_meaning_another_context_leaves_the_file_as_it_is(notebook: Notebook, tmp_path: Path) -> None:
    write(tmp_path / "config", ELSEWHERE, **{"current-context": ""})
    before = (tmp_path / "config").read_text()
    notebook.run("%kconfig use-context far")
    assert notebook.run("%kconfig current-context").output.text == "far\n"
    assert (tmp_path / "config").read_text() == before
    notebook.run("%kconfig use-context k8snb")
    assert notebook.run("%kget ns default -o name").output.text == "namespace/default\n"


def test_an_entry_of_the_file_is_changed_in_the_file(notebook: Notebook, tmp_path: Path) -> None:
    write(tmp_path / "config", ELSEWHERE)
    notebook.run("%kconfig set-context far --namespace=other")
    written = yaml.safe_load((tmp_path / "config").read_text())
    assert written["contexts"] == [{"name": "far", "context": {"cluster": "far", "user": "jane", "namespace": "other"}}]
    assert [each["name"] for each in written["clusters"]] == ["far"]
    assert written["current-context"] == "far"


def test_what_only_the_notebooks_clusters_can_do_is_refused_for_others(notebook: Notebook, tmp_path: Path) -> None:
    write(tmp_path / "config", ELSEWHERE)
    notebook.run("%kconfig use-context far")
    for line in ("pause", "stop", "delete", "status"):
        assert "only for clusters of this notebook" in notebook.error(f"%kcluster {line}")
    notebook.run("%kcluster profile k8snb")
    assert notebook.run("%kconfig current-context").output.text == "k8snb\n"


@pytest.mark.process
def test_the_same_cells_run_against_a_cluster_of_another_process(notebook: Notebook, tmp_path: Path) -> None:
    with Cluster("far", nodes=1, runtime="simulated") as far:
        write(tmp_path / "config", far.kubeconfig)
        notebook.run("%kconfig use-context far")
        notebook.run("%kcreate deployment web --image=nginx --replicas=2")
        assert notebook.run("%krollout status deployment/web").output.exit_code == 0
        shown = notebook.run("%kget pods -l app=web --watch --until Running --timeout 60s").output
        assert [row.cells[2] for row in shown.table.rows] == ["Running", "Running"]
        assert "2/2 ready" in repr(notebook.run("%kdraw deployment/web"))
        notebook.run("%kcreate namespace shop")
        notebook.run("%kns shop")
        notebook.run("%kcreate configmap there")
        assert far.client.get("configmaps", "there", "shop")
        notebook.run("%kconfig use-context k8snb")
        assert notebook.run("%kget deployments").output.text == "No resources found in default namespace.\n"


@pytest.mark.process
def test_flags_that_say_who_to_be_lead_through_the_clusters_door(notebook: Notebook) -> None:
    notebook.run("%kcreate serviceaccount bot")
    token = notebook.run("%kcreate token bot").output.text.strip()
    notebook.run(f"%kconfig set-credentials bot --token={token}")
    refusal = notebook.error("%kget pods --user=bot")
    assert 'User "system:serviceaccount:default:bot" cannot list resource "pods"' in refusal


@pytest.mark.process
def test_view_shows_what_others_need_to_reach_the_notebooks_cluster(notebook: Notebook) -> None:
    shown = yaml.safe_load(notebook.run("%kconfig view --raw --minify").output.text)
    assert shown["clusters"][0]["cluster"]["server"] == notebook.cluster.door.url
    assert shown["users"][0]["user"]["client-key-data"]
