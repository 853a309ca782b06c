"""%kdraw and cluster.draw as they are typed: views, files, names, completion, help."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from notebook_lab import Notebook, fresh_shell, make

from k8snb.notebook import extension
from k8snb.notebook.draw import Picture


@pytest.fixture
def notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Notebook]:
    with fresh_shell(tmp_path) as shell:
        extension.load(shell, make)
        notebook = Notebook(shell, capsys)
        notebook.run("%kcreate deployment web --image=nginx --replicas=2")
        notebook.run("%kexpose deployment web --port=80")
        yield notebook


def test_a_view_is_the_first_word(notebook: Notebook) -> None:
    assert "kube-apiserver: Running" in repr(notebook.run("%kdraw components"))
    assert "EndpointSlice" in repr(notebook.run("%kdraw network svc/web"))
    assert "Node node-1: Ready" in repr(notebook.run("%kdraw nodes"))
    assert "Node node-1: Ready" in repr(notebook.run("%kdraw --view nodes"))
    assert notebook.cluster.draw("owner", "deployment/web").text.startswith("owner: deployment/web in default")


def test_a_picture_goes_into_a_file_or_under_a_name(notebook: Notebook, tmp_path: Path) -> None:
    notebook.run(f"%kdraw svc/web --out {tmp_path}/web.svg")
    assert (tmp_path / "web.svg").read_text(encoding="utf-8").startswith("<svg")
    notebook.run("%kdraw svc/web --out web")
    assert isinstance(notebook.shell.user_ns["web"], Picture)
    assert "a picture's file ends in one of .svg" in notebook.error("%kdraw --out web.gif")


def test_a_cell_shows_the_format_that_was_asked_for(notebook: Notebook) -> None:
    assert set(notebook.run("%kdraw")._repr_mimebundle_()[0]) == {"text/html", "image/svg+xml", "text/plain"}
    assert set(notebook.run("%kdraw -o html")._repr_mimebundle_()[0]) == {"text/html", "text/plain"}
    assert "in words" in notebook.run("%kdraw -o html")._repr_mimebundle_()[0]["text/html"]


def test_views_kinds_names_and_values_are_completed(notebook: Notebook) -> None:
    for typed, wanted in (
        ("%kdraw netw", "%kdraw network"),
        ("%kdraw owner deploy", "%kdraw owner deployment"),
        ("%kdraw owner deployment/w", "%kdraw owner deployment/web"),
        ("%kdraw --view sto", "%kdraw --view storage"),
        ("%kdraw -o p", "%kdraw -o png"),
        ("%kdraw --exp", "%kdraw --expand"),
        ("%kselect svc/w", "%kselect svc/web"),
    ):
        assert wanted in notebook.complete(typed)


def test_help_names_the_views_and_shows_lines_to_copy(notebook: Notebook) -> None:
    text = notebook.shell.magics_manager.magics["line"]["kdraw"].__doc__ or ""
    assert "%kdraw network" in text and "%kdraw deployment/nginx --diff 120" in text and "--expand" in text
    assert str(notebook.run("%kdraw -h")) == text and "%kdraw [VIEW]" in text and "kubectl" not in text
    assert "components" in text and "owner TYPE/NAME" in text
