"""The magics in a real IPython shell, on a real cluster in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from notebook_lab import Notebook, fresh_shell, make

from k8snb.cluster import Cluster
from k8snb.kubectl.commands import ROWS
from k8snb.notebook import extension
from k8snb.notebook.kcluster import COMMANDS
from k8snb.notebook.magics import names_of

POD = """
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: nginx, tier: front}
spec:
  containers:
  - name: web
    image: nginx
"""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[InteractiveShell]:
    with fresh_shell(tmp_path) as shell:
        yield shell


@pytest.fixture
def notebook(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> Notebook:
    extension.load(shell, make)
    notebook = Notebook(shell, capsys)
    notebook.settle()
    return notebook


# loading


def test_loading_says_one_line_with_what_to_type_next(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    extension.unload(notebook.shell)
    capsys.readouterr()
    extension.load(notebook.shell, make)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "3 nodes" in said and "simulated" in said and "%kget nodes" in said


def test_loading_twice_changes_nothing(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = notebook.cluster
    capsys.readouterr()
    extension.load(notebook.shell, make)
    assert notebook.cluster is cluster
    assert capsys.readouterr().out == ""


def test_unloading_ends_the_cluster_and_takes_the_magics_away(notebook: Notebook) -> None:
    cluster = notebook.cluster
    extension.unload(notebook.shell)
    assert not cluster.running
    assert not [name for name in notebook.shell.magics_manager.magics["line"] if name in ("kget", "kcluster", "kdraw")]
    assert not notebook.shell.Completer.custom_matchers
    extension.unload(notebook.shell)


def test_a_cluster_that_does_not_start_leaves_the_magics(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(name: str, **_: Any) -> Cluster:
        raise ValueError("no room on this machine")

    extension.load(shell, fail)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "no room on this machine" in said and "%kcluster start" in said
    assert "there is no cluster" in Notebook(shell, capsys).error("%kget pods")


def test_every_verb_of_kubectl_has_a_magic(notebook: Notebook) -> None:
    magics = notebook.shell.magics_manager.magics
    for name in (name for row in ROWS for name in names_of(row)):
        assert name in magics["line"] and name in magics["cell"]
        assert "Usage:" in (magics["line"][name].__doc__ or "")


# running


def test_a_magic_returns_an_object_and_prints_nothing(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.run("%%kapply" + POD)
    capsys.readouterr()
    notebook.run("pods = %kget pods")
    assert capsys.readouterr().out == ""
    assert notebook.run("pods.objects[0]['metadata']['name']") == "web"
    assert notebook.run("[pod['status']['phase'] for pod in pods]") == ["Running"]
    assert list(notebook.run("pods.df")["STATUS"]) == ["Running"]


def test_a_cells_body_is_what_the_verb_reads(notebook: Notebook) -> None:
    assert notebook.run("%%kcreate" + POD).text == "pod/web created\n"
    assert notebook.run("%%kubectl apply" + POD).text.startswith("pod/web ")
    assert notebook.run("%%kdelete" + POD).text == 'pod "web" deleted\n'


def test_a_verb_without_a_body_says_so(notebook: Notebook) -> None:
    assert "takes no body" in notebook.error("%%klogs web\nkind: Pod\n")


def test_variables_are_filled_into_lines_and_cells_and_told(notebook: Notebook) -> None:
    notebook.run("name, replicas = 'front', 2")
    answer = notebook.run("%kcreate deployment $name --image=nginx --replicas={replicas}")
    assert answer.output.hints == ["from the notebook: $name = front, {replicas} = 2"]
    notebook.run("%%kapply" + POD.replace("name: web\n  labels", "name: $name\n  labels"))
    assert notebook.run("%kget pod front").object["metadata"]["labels"] == {"app": "nginx", "tier": "front"}


def test_no_expand_leaves_everything_alone(notebook: Notebook) -> None:
    notebook.run("name = 'front'")
    notebook.run(
        "%%kapply --no-expand" + POD.replace("{app: nginx, tier: front}", "{app: nginx}\n  annotations: {x: $name}")
    )
    assert notebook.run("%kget pod web").object["metadata"]["annotations"]["x"] == "$name"


def test_a_semicolon_keeps_the_answer_off_the_page(notebook: Notebook) -> None:
    assert notebook.run("%kget nodes;") is None


# errors


def test_an_error_is_one_line_in_the_words_of_kubectl(notebook: Notebook) -> None:
    assert notebook.error("%kget pods nope") == 'Error from server (NotFound): pods "nope" not found'


def test_an_error_in_a_manifest_quotes_the_line_of_the_cell(notebook: Notebook) -> None:
    shown = notebook.error("%%kapply" + POD.replace("image: nginx", "imagee: nginx"))
    first, second = shown.splitlines()
    assert "imagee" in first and first.endswith("(cell line 10)")
    assert second == "  line 10:     imagee: nginx"


def test_yaml_that_cannot_be_read_quotes_the_line_of_the_cell(notebook: Notebook) -> None:
    shown = notebook.error("%%kapply\napiVersion: v1\nkind: Pod\nmetadata: [\n")
    assert "(cell line 4)" in shown and shown.splitlines()[1] == "  line 4: metadata: ["


def test_an_open_quote_is_an_error_in_one_line(notebook: Notebook) -> None:
    assert notebook.error("%kget pods -l 'app=web") == "error: the quote ' is not closed"


def test_an_unknown_flag_is_named(notebook: Notebook) -> None:
    assert notebook.error("%kget pods --sow-labels").startswith("error: unknown flag: --sow-labels")


def test_a_mistake_of_ours_keeps_its_traceback_and_says_whose_it_is(
    notebook: Notebook, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(notebook.cluster), "kubectl", property(lambda self: 1 / 0))
    capsys.readouterr()
    result = notebook.shell.run_cell("%kget pods")
    shown = capsys.readouterr().out
    assert isinstance(result.error_in_exec, ZeroDivisionError)
    assert "Traceback" in shown and "mistake in k8snb" in shown


def test_a_failure_inside_the_cluster_shows_with_the_next_answer(notebook: Notebook) -> None:
    notebook.cluster.pump.on_failure("kube-scheduler", "Traceback …\nKeyError: 'x'\n")
    shown = repr(notebook.run("%kget nodes"))
    assert "Warning: kube-scheduler failed" in shown and "KeyError: 'x'" in shown
    assert "Warning" not in repr(notebook.run("%kget nodes"))


# the cluster


def test_every_row_of_kcluster_does_something_or_says_that_it_is_missing(notebook: Notebook) -> None:
    from k8snb.notebook.kcluster import _RUN

    groups = {"", "addons", "component", "config", "kubectl", "node"}
    assert {row.name for row in COMMANDS if not row.missing_command} - groups == set(_RUN)
    for row in COMMANDS:
        if row.missing_command:
            assert "not implemented by k8snb" in notebook.error(f"%kcluster {row.name}")


def test_status_names_the_components(notebook: Notebook) -> None:
    text = notebook.run("%kcluster status").text
    for component in ("etcd", "kube-apiserver", "kube-scheduler", "kube-controller-manager", "node-1"):
        assert component in text


def test_a_stopped_cluster_says_how_to_start_it(notebook: Notebook) -> None:
    notebook.run("%%kapply" + POD)
    notebook.run("%kcluster stop")
    assert notebook.error("%kget pods") == "the cluster is stopped: %kcluster start"
    notebook.run("%kcluster start")
    assert "web" in notebook.run("%kget pods").text


def test_a_deleted_cluster_is_forgotten(notebook: Notebook) -> None:
    notebook.run("%%kapply" + POD)
    notebook.run("%kcluster delete")
    assert "there is no cluster" in notebook.error("%kget pods")
    notebook.run("%kcluster start --nodes 1")
    assert notebook.run("%kget pods").objects == []
    assert len(notebook.run("%kget nodes")) == 2


def test_two_clusters_do_not_meet(notebook: Notebook) -> None:
    notebook.run("%%kapply" + POD)
    notebook.run("%kcluster start --name two --nodes 1")
    assert notebook.run("%kget pods").objects == []
    notebook.run("%kcluster profile k8snb")
    assert len(notebook.run("%kget pods")) == 1
    lines = notebook.run("%kcluster profile list").text.splitlines()
    assert [line.split()[0] for line in lines if line.endswith("*")] == ["k8snb"] and lines[2].startswith("two ")
    assert 'no cluster "three"' in notebook.error("%kcluster profile three")


def test_a_paused_cluster_moves_by_steps(notebook: Notebook) -> None:
    notebook.run("%kcluster pause")
    notebook.shell.run_cell("%kcreate deployment web --image=nginx")
    step = notebook.shell.run_cell("%kcluster step").result
    assert "deployment" in step.text and "default/web" in step.text


def test_nodes_come_and_go(notebook: Notebook) -> None:
    assert "Successfully added node-4 to k8snb!" in notebook.run("%kcluster node add").text
    assert "node-4" in notebook.run("%kcluster node list").text
    notebook.run("%kcluster node delete node-4")
    assert "node-4" not in notebook.run("%kcluster node list").text
    assert "nope" in notebook.error("%kcluster node stop nope")


def test_a_services_url_is_a_string(notebook: Notebook) -> None:
    notebook.run("%kcreate deployment web --image=nginx")
    notebook.run("%kexpose deployment web --type=NodePort --port=80")
    url = notebook.run("%kcluster service web --url")
    assert isinstance(url, str) and url.startswith("http://") and repr(url) == str(url)
    assert f'href="{url}"' in url._repr_html_()
    assert url in notebook.run("%kcluster service list").text


def test_a_wrong_word_of_kcluster_names_the_near_one(notebook: Notebook) -> None:
    assert 'did you mean "status"?' in notebook.error("%kcluster statis")
    assert "a node's name is missing" in notebook.error("%kcluster node stop")


# drawing


def test_a_drawing_has_a_picture_and_words(notebook: Notebook) -> None:
    notebook.run("%kcreate deployment web --image=nginx --replicas=2")
    notebook.run("%kexpose deployment web --port=80")
    picture = notebook.run("%kdraw")
    bundle, metadata = picture._repr_mimebundle_()
    assert "Deployment web" in metadata["image/svg+xml"]["alt"]
    assert bundle["image/svg+xml"].startswith("<svg")
    assert "Deployment web" in bundle["text/plain"] and "selects app=web: 2 pods" in bundle["text/plain"]
    assert "digraph" in picture.dot and picture.objects


def test_a_drawing_takes_kinds_names_and_selectors(notebook: Notebook) -> None:
    notebook.run("%%kapply" + POD)
    notebook.run("%krun other --image=nginx")
    kinds = {box.kind for box in notebook.run("%kdraw pods").diagram.boxes}
    assert kinds == {"Pod"}
    picked = {box.name: box.picked for box in notebook.run("%kdraw -l app=nginx").diagram.boxes if box.kind == "Pod"}
    assert picked == {"web": True, "other": False}
    notebook.run("%kexpose pod web --port=80")
    picked = {box.name: box.picked for box in notebook.run("%kdraw svc/web").diagram.boxes if box.kind == "Pod"}
    assert picked == {"web": True, "other": False}


def test_the_view_of_nodes_shows_where_pods_are(notebook: Notebook) -> None:
    notebook.run("%%kapply" + POD)
    diagram = notebook.run("%kdraw --view nodes").diagram
    assert {group.id for group in diagram.groups} >= {"node-1", "node-2", "node-3"}
    assert diagram.box("web").group.startswith("node-")


def test_a_drawing_as_text(notebook: Notebook) -> None:
    assert notebook.run("%kdraw -o dot")._repr_mimebundle_()[0].keys() == {"text/plain"}


def test_a_drawing_of_what_is_not_there_is_refused(notebook: Notebook) -> None:
    assert notebook.error("%kdraw rc/nope") == 'Error from server (NotFound): replicationcontrollers "nope" not found'
    assert 'resource type "podz"' in notebook.error("%kdraw podz")
    assert '--view "x": one of objects, nodes' in notebook.error("%kdraw --view x")


# watching


def test_a_watch_ends_by_its_condition_and_leaves_the_last_state(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook.shell.run_cell("%kcreate deployment web --image=nginx --replicas=2")
    answer = notebook.shell.run_cell("%kget pods -w --until Running").result
    assert [row.cells[2] for row in answer.output.tables[0].rows] == ["Running", "Running"]
    assert "EVENT" not in answer.text


def test_a_watch_forgets_what_is_deleted(notebook: Notebook) -> None:
    notebook.run("%%kapply" + POD)
    notebook.shell.run_cell("%kdelete pod web --wait=false")
    answer = notebook.shell.run_cell("%kget pods -w --until delete").result
    assert answer.objects == []


def test_a_watch_ends_with_its_time(notebook: Notebook) -> None:
    notebook.run("%%kapply" + POD)
    assert len(notebook.shell.run_cell("%kget pods -w --timeout 5s").result) == 1
    assert "not a time" in notebook.error("%kget pods -w --timeout soon")


# help


def test_a_question_mark_and_help_say_the_same(notebook: Notebook) -> None:
    page = notebook.run("%kget --help").text
    assert notebook.run("%kubectl help get").text == page == notebook.run("%khelp get").text
    assert notebook.shell.object_inspect("%kget")["docstring"].split() == page.split()
    assert "Examples:\n  kubectl get pods" in page


# completing


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%kget po", "%kget pods"),
        ("%kget pods we", "%kget pods web"),
        ("%kget pods,ser", "%kget pods,services"),
        ("%kget pod/w", "%kget pod/web"),
        ("%kget pods --sel", "%kget pods --selector"),
        ("%kget pods -l app=ng", "%kget pods -l app=nginx"),
        ("%kget pods --selector=app=ng", "%kget pods --selector=app=nginx"),
        ("%kubectl desc", "%kubectl describe"),
        ("%kubectl get -n kube-s", "%kubectl get -n kube-system"),
        ("%%kapply --dry", "%%kapply --dry-run"),
        ("%kcluster sta", "%kcluster status"),
        ("%kcluster node ", "%kcluster node list"),
        ("%kcluster node stop node-", "%kcluster node stop node-1"),
        ("%kcluster service ku", "%kcluster service kubernetes"),
        ("%kcluster profile k8", "%kcluster profile k8snb"),
        ("%kdraw --vi", "%kdraw --view"),
        ("%kdraw pod/w", "%kdraw pod/web"),
        ("pods = %kget po", "pods = %kget pods"),
        ("kept['a'] = %kubectl get -n kube-s", "kept['a'] = %kubectl get -n kube-system"),
        ("    %kget pods --namespace=kube-s", "    %kget pods --namespace=kube-system"),
        ("x = 1\n%kget pods -l app=ng", "x = 1\n%kget pods -l app=nginx"),
    ],
)
def test_tab_completes(notebook: Notebook, line: str, expected: str) -> None:
    notebook.run("%%kapply" + POD)
    assert expected in notebook.complete(line)


def test_tab_in_a_stopped_cluster_offers_nothing_and_breaks_nothing(notebook: Notebook) -> None:
    notebook.run("%kcluster stop")
    assert "%kget pods" not in notebook.complete("%kget po")
