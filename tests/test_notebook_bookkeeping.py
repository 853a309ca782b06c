"""%khistory, %kexport, and answers that are kept under a name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from notebook_lab import Notebook, simulated

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '1'}\n"


@pytest.fixture
def notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Notebook]:
    with simulated(tmp_path, capsys) as notebook:
        yield notebook


# history


def test_a_session_without_changes_has_no_history(notebook: Notebook) -> None:
    assert notebook.run("%khistory").text == "Nothing was changed in this session so far.\n"


def test_history_lists_changes_by_technique(notebook: Notebook) -> None:
    notebook.run("%kcreate deployment web --image=nginx")
    notebook.run(f"%%kcreate\n{CONFIG}")
    changed = CONFIG.replace("{x: ", "{y: ")
    notebook.run(f"%%kapply\n{changed}")
    notebook.run("%kget pods")
    history = notebook.run("%khistory")
    assert list(history.df["TECHNIQUE"]) == ["imperative", "imperative-file", "declarative"]
    assert list(history.df["COMMAND"]) == ["kubectl create deployment web --image=nginx", "kubectl create -f -",
                                           "kubectl apply -f -"]  # fmt: skip
    assert history.objects[2]["body"] == changed
    assert "declarative" in history._repr_html_() and "TO REPEAT IT" in repr(history)


def test_history_can_be_of_one_technique_and_tells_its_costs(notebook: Notebook) -> None:
    notebook.run("%kcreate deployment web --image=nginx")
    notebook.run(f"%%kapply\n{CONFIG}")
    history = notebook.run("%khistory --technique declarative")
    assert [row["number"] for row in history.objects] == [2]
    assert "It costs: harder to understand" in repr(history)
    assert notebook.error("%khistory --technique magic") == (
        'error: there is no technique "magic": it is one of imperative, imperative-file, declarative'
    )


def test_history_goes_on_over_clusters(notebook: Notebook) -> None:
    notebook.run("%kcreate configmap one")
    notebook.run("%kcluster start --name second")
    notebook.run("%kcreate configmap two")
    assert len(notebook.run("%khistory").objects) == 2


# export


def test_an_export_can_be_applied_again(notebook: Notebook, tmp_path: Path) -> None:
    directory = tmp_path / "out"
    notebook.run("%kcreate deployment web --image=nginx")
    notebook.run("%kcreate secret generic s --from-literal=a=b")
    answer = notebook.run(f"%kexport {directory}")
    assert list(answer.df["FILE"]) == ["18-default.deployment.web.yaml"] == [path.name for path in directory.iterdir()]
    assert "1 Secrets (--secrets takes them too)" in repr(answer) and f"%kapply -f {directory}" in repr(answer)
    notebook.run("%kdelete deployment web")
    assert "deployment.apps/web created" in notebook.run(f"%kapply -f {directory}").text


def test_secrets_are_exported_with_a_warning(notebook: Notebook, tmp_path: Path) -> None:
    notebook.run("%kcreate secret generic s --from-literal=a=b")
    answer = notebook.run(f"%kexport {tmp_path}/out --secrets")
    assert list(answer.df["KIND"]) == ["Secret"] and "keep them out of version control" in repr(answer)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%kexport", "error: %kexport takes one directory: %kexport my-cluster"),
        ("%kexport x", "error: there is nothing to export"),
        ("%kexport --nope x", "error: unknown flag: --nope"),
    ],
)
def test_an_export_that_cannot_be_made_is_refused(notebook: Notebook, cell: str, message: str) -> None:
    assert notebook.error(cell).startswith(message)


# names for answers


@pytest.mark.parametrize(
    "line", ["%%kapply --out kept", "%%kapply --out=kept", "%%kapply kept <<", "%%kapply --dry-run=server kept <<"]
)
def test_an_answer_can_be_kept_under_a_name(notebook: Notebook, line: str) -> None:
    shown = notebook.run(f"{line}\n{CONFIG}")
    kept = notebook.shell.user_ns["kept"]
    assert kept is shown and kept.object["metadata"]["name"] == "a"


def test_a_line_keeps_its_answer_too(notebook: Notebook) -> None:
    notebook.run("%kget nodes --out nodes -o wide")
    assert len(notebook.shell.user_ns["nodes"]) == 4
    notebook.run("for node in nodes: assert node['kind'] == 'Node'")


def test_a_name_after_two_dashes_belongs_to_the_program(notebook: Notebook) -> None:
    notebook.run("%krun p --image=busybox -- echo --out x")
    assert notebook.cluster.client.get("pods", "p", "default")["spec"]["containers"][0]["args"] == [
        "echo",
        "--out",
        "x",
    ]


@pytest.mark.parametrize("line", ["%%kapply --out", "%%kapply --out 1x", "%%kapply --out=class", "%%kapply a-b <<"])
def test_a_name_that_python_does_not_allow_is_refused(notebook: Notebook, line: str) -> None:
    assert "is none that Python allows" in notebook.error(f"{line}\n{CONFIG}")


# bodies


def names(notebook: Notebook) -> set[str]:
    found = {obj["metadata"]["name"] for obj in notebook.cluster.client.items("configmaps", "default")}
    return found - {"kube-root-ca.crt"}


def test_a_body_may_hold_documents_a_list_and_json(notebook: Notebook) -> None:
    notebook.run(f"%%kapply\n{CONFIG}---\n# a comment\n---\n{CONFIG.replace('name: a', 'name: b')}")
    notebook.run('%%kapply\n{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}')
    listed = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: d}}\n"
    notebook.run(f"%%kcreate\n{listed}")
    assert names(notebook) == {"a", "b", "c", "d"}


@pytest.mark.parametrize("form", ["$name", "${name}", "{name}"])
def test_variables_stand_in_a_body_in_every_form(notebook: Notebook, form: str) -> None:
    notebook.run("name = 'filled'")
    answer = notebook.run(f"%%kapply\n{CONFIG.replace('name: a', f'name: {form}')}")
    assert answer.text == "configmap/filled created\n" and f"from the notebook: {form} = filled" in repr(answer)


def test_nothing_is_filled_in_where_that_is_not_wanted(notebook: Notebook) -> None:
    notebook.run("name = 'filled'")
    body = CONFIG.replace("'1'", "'$name {name} ${name}'")
    notebook.run(f"%%kapply --no-expand\n{body}")
    assert notebook.cluster.client.get("configmaps", "a", "default")["data"]["x"] == "$name {name} ${name}"


def test_a_body_may_be_tried_without_keeping_it(notebook: Notebook) -> None:
    for mode in ("client", "server"):
        assert "dry run)" in notebook.run(f"%%kapply --dry-run={mode}\n{CONFIG}").text
    assert names(notebook) == set()


def test_a_body_may_be_merged_by_the_server(notebook: Notebook) -> None:
    assert notebook.run(f"%%kapply --server-side\n{CONFIG}").text == "configmap/a serverside-applied\n"


def test_what_a_body_no_longer_has_is_pruned(notebook: Notebook) -> None:
    labelled = CONFIG.replace("{name: a}", "{name: a, labels: {of: set}}")
    notebook.run(f"%%kapply\n{labelled}---\n{labelled.replace('name: a', 'name: b')}")
    answer = notebook.run(f"%%kapply --prune -l of=set\n{labelled}")
    assert answer.text == "configmap/a unchanged\nconfigmap/b pruned\n" and names(notebook) == {"a"}
