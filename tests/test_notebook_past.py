"""%kat, %kdiff --from, %krewind, %kfork and %kcompare: the past in cells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from notebook_lab import Notebook, simulated

from k8snb.notebook import kfork
from k8snb.notebook.draw import Picture
from k8snb.notebook.kdiff import Differences
from k8snb.notebook.krewind import Rewind

REFUSED = (
    ("%kat get pods", "error: %kat wants a moment first: %kat -30s get pods"),
    ("%kat ^ delete pods --all", "error: %kat delete: what is past can be read, by get, describe,"),
    ("%kat ^ logs web", "error: %kat logs: the past has objects and events;"),
    ("%kat ^ top pods", "error: %kat top: what pods and nodes used then, nobody has kept;"),
    ("%kat ^ get pods -w", "error: %kat get -w: nothing changes any more in what is past;"),
    ("%kat ^ why pod/web", "error: %kat why: which nodes refused a pod is kept for the present alone"),
    ("%kat soon get pods", 'error: there is no moment "soon": say a revision'),
    ("%kat -9h get pods", "error: -9h is before the history begins"),
    ("%kat ^ get deployment other", 'Error from server (NotFound): deployments.apps "other" not found\n(there has'),
    ("%kdiff --from soon", 'error: there is no moment "soon"'),
    ("%kdiff --to ^", "error: --from says since when"),
    ("%kdiff --from ^ -l 'a in'", "error: "),
    ("%krewind --from last --to ^", "error: --from is revision"),
    ("%krewind --frames 1", "error: --frames wants 2 at least"),
    ("%krewind --fast", "error: unknown flag: --fast"),
    ("%krewind pod/none", 'error: pods "none": there is none, and there has never been one'),
    ("%krewind nosuch", 'error: the server doesn\'t have a resource type "nosuch"'),
    ("%kat ^0 get pods", 'error: there is no moment "^0"'),
    ("%kfork ^ z --for -5s", "error: --for lets time pass, and time does not go back"),
    ("%kfork 999999", "error: revision 999999 has not happened yet"),
    ("%kfork ^ a b", "error: %kfork wants a moment and a name, and not b as well"),
    ("%kfork ^ k8snb", 'error: there is a cluster "k8snb" already'),
    ("%kcompare", "error: %kcompare wants another cluster's name: there is none yet: %kfork ^ other makes one"),
    ("%kcompare nobody", 'error: %kcompare wants another cluster\'s name: there is no cluster "nobody"'),
    ("%kcompare k8snb k8snb", "error: %kcompare k8snb k8snb: a cluster is always like itself"),
)


@pytest.fixture
def notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Notebook]:
    """A web that was made, and scaled half a minute later."""
    with simulated(tmp_path, capsys) as notebook:
        notebook.run("%kcreate deployment web --image=nginx --replicas=2")
        notebook.cluster.run_for(30)
        notebook.run("%kscale deployment web --replicas=4")
        notebook.cluster.run_for(30)
        yield notebook


def test_a_line_is_answered_as_of_then(notebook: Notebook) -> None:
    answer = notebook.run("%kat ^ get pods")
    assert len(answer) == 2 and len(notebook.run("%kget pods")) == 4
    assert list(answer.df["STATUS"]) == ["Running"] * 2
    assert "as of revision" in repr(answer) and "written last:" in repr(answer)
    assert len(notebook.run("%kat -40s kget pods")) == 2
    assert len(notebook.run("%kat before web scaled kubectl get pods -l app=web")) == 2
    assert notebook.run("%kat ^ get deployment web -o jsonpath='{.spec.replicas}'").text == "2"
    assert "Replicas:               2 desired" in notebook.run("%kat ^ describe deployment web").text
    assert len(notebook.run("%kat ^ select app=web")) == 2
    assert len(notebook.run("%kat web scaled")) == 5  # `get all`: two pods, the Deployment, its ReplicaSet, kubernetes


def test_a_picture_is_drawn_as_of_then(notebook: Notebook) -> None:
    picture = notebook.run("%kat ^ draw deployment/web")
    assert isinstance(picture, Picture)
    assert "as of revision" in picture.diagram.title
    assert sum(box.kind == "Pod" for box in picture.diagram.boxes) == 2


def test_what_cannot_be_had_is_a_sentence(notebook: Notebook) -> None:
    for cell, why in REFUSED:
        assert notebook.error(cell).startswith(why)


def test_a_comparison_is_a_table_with_differences(notebook: Notebook) -> None:
    answer = notebook.run("%kdiff --from ^")
    assert isinstance(answer, Differences)
    table = answer.df.set_index("OBJECT")
    assert table.loc["deployment/web", "CHANGE"] == "changed"
    assert table.loc["deployment/web", "WHO"] == "you, deployment-controller"
    assert "-  replicas: 2\n+  replicas: 4" in answer.text
    assert "events" in repr(answer)  # which were left out
    page = answer._repr_html_()
    assert page.count("<details") == len(answer.changes) and page.count(" open>") == 2
    assert notebook.run("%kdiff --from now").text.startswith("Nothing changed from revision")


def test_diff_without_moments_is_kubectls(notebook: Notebook) -> None:
    made = notebook.run("%kget deployment web -o yaml").text
    assert notebook.run(f"%%kdiff\n{made.replace('replicas: 4', 'replicas: 5', 1)}").text.startswith("diff -u -N LIVE/")
    assert notebook.error("%kdiff") == "error: must specify one of -f and -k"


def test_a_film_shows_without_a_kernel(notebook: Notebook) -> None:
    """The saved output, as nbconvert renders it: no script and no widget is needed for the film."""
    film = notebook.run("%krewind --frames 3")
    assert isinstance(film, Rewind) and len(film.scenes) == 3
    output = nbformat.v4.new_output("display_data", {"text/html": film._repr_html_(), "text/plain": film.text})
    saved = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%krewind", outputs=[output])])
    page, _ = HTMLExporter().from_notebook_node(saved)
    assert page.count("<figure>") == 3 and "you: patch scale deployment/web spec.replicas 2 → 4" in page


def test_pictures_on_one_page_agree_on_their_colours(notebook: Notebook) -> None:
    """A film has many pictures, each with a sheet of its own, and the last sheet counts for all."""
    page = notebook.run("%krewind --frames 4")._repr_html_()
    named = {(name, light) for light, name in re.findall(r'="(#\w+)"\]\{\w+:var\((--k\d+),', page)}
    assert named and len({name for name, _ in named}) == len(named)


def test_a_fork_is_spoken_to_and_goes_on(notebook: Notebook) -> None:
    answer = notebook.run("%kfork ^ other")
    assert answer.text.startswith('cluster "other" goes on from k8snb at revision')
    assert notebook.cluster.name == "other" and len(notebook.run("%kget pods")) == 2
    notebook.shell.run_cell("%kscale deployment web --replicas=3")  # type: ignore[no-untyped-call]
    assert list(notebook.shell.run_line_magic("kget", "pods").df["STATUS"]) == ["Running"] * 3  # type: ignore[no-untyped-call]
    futures = notebook.run("%kcompare k8snb other")
    assert isinstance(futures, kfork.Futures)
    table = futures.output.tables[0]
    assert table.header == ["OBJECT", "K8SNB", "OTHER", "DIFFERENCE"]
    assert ["deployment/web", "4/4 ready", "3/3 ready"] in [cells[:3] for cells in table.cells]
    page = futures._repr_html_()
    assert page.count("<figure>") == 2 and page.count("<svg") == 2 and "PODS READY AFTER" in page
    notebook.run("%kcluster profile k8snb")
    assert len(notebook.run("%kget pods")) == 4
    assert notebook.run("%kfork ^").text.startswith('cluster "k8snb-')
    notebook.run("%kcluster delete -p other")


def test_moments_and_lines_are_completed(notebook: Notebook) -> None:
    assert {"%kat last", "%kat ^", "%kat before", "%kat Scheduled"} <= set(notebook.complete("%kat "))
    assert "%kat before web deleted" in notebook.complete("%kat before web del")
    assert "%kat ^ get" in notebook.complete("%kat ^ g")
    assert "%kat ^ get deployments" in notebook.complete("%kat ^ get deploym")
    assert "%kat ^ draw --view" in notebook.complete("%kat ^ draw --v")
    assert "%kdiff --from" in notebook.complete("%kdiff --fr")
    assert "%kdiff --from ^ deployments" in notebook.complete("%kdiff --from ^ deploym")
    assert "%krewind --frames" in notebook.complete("%krewind --fra")
    assert "%kcompare k8snb" in notebook.complete("%kcompare k8s")
    assert "%kfork --seed" in notebook.complete("%kfork --se")


def test_help_shows_examples(notebook: Notebook) -> None:
    for name in ("kat", "kdiff", "krewind", "kfork", "kcompare"):
        page = notebook.shell.find_line_magic(name).__doc__ or ""  # type: ignore[no-untyped-call]
        assert f"%{name}" in page and "Examples:" in page and f"kubectl {name[1:]} --from" not in page
    assert notebook.run("%kat -h").text == notebook.run("%kat").text
    assert "--frames" in notebook.run("%krewind -h").text
    assert "k8snb's own" in (notebook.shell.find_line_magic("kdiff").__doc__ or "")  # type: ignore[no-untyped-call]
