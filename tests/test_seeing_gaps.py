"""What is not there and should be: a Service behind an Ingress, a kind's name, an end of a film."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from notebook_lab import Notebook, simulated

from k8snb.notebook.diagram import LEAVES_OUT, ROUTES
from k8snb.notebook.style import BAD

RULES = "--rule='a.b/=web:80' --rule='a.b/x=none:80' --rule='a.b/y=web:81'"


@pytest.fixture
def notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Notebook]:
    with simulated(tmp_path, capsys) as notebook:
        yield notebook


def test_an_ingress_leads_visibly_to_what_is_not_there(notebook: Notebook) -> None:
    """As `kubectl describe ingress` marks a backend whose Service or port is missing."""
    notebook.run("%kcreate deployment web --image=nginx")
    notebook.run("%kexpose deployment web --port=80")
    notebook.run(f"%kcreate ingress i {RULES}")
    for words in (("network",), ("network", "ingress/i")):
        diagram = notebook.cluster.draw(*words).diagram
        gap, service = diagram.box("none"), diagram.box("Service/web")
        assert (gap.status, gap.tone, gap.group) == ("there is none", BAD, "default")
        ways = {(edge.sort, edge.target, edge.label) for edge in diagram.edges if edge.source == diagram.box("i").id}
        assert ways == {(ROUTES, service.id, "a.b/ to port 80"), (LEAVES_OUT, gap.id, "a.b/x to port 80"),
                        (LEAVES_OUT, service.id, "a.b/y to port 81, which it has not")}  # fmt: skip
    assert "none" in notebook.cluster.draw("network").svg
    assert {box.name for box in notebook.cluster.draw("network", "svc/web").diagram.boxes} >= {"web", "i", "none"}


def test_a_kind_without_a_name_is_not_taken_for_a_label(notebook: Notebook) -> None:
    notebook.run("%krun a --image=nginx --labels=service=x")
    assert "svc is a kind" in notebook.error("%kselect svc") and "%kselect svc/NAME" in notebook.error("%kselect svc")
    assert notebook.run("%kselect service").objects[0]["metadata"]["name"] == "a"


def test_a_film_of_too_many_pictures_is_refused(notebook: Notebook) -> None:
    assert "--frames wants 100 at most" in notebook.error("%krewind --frames 100000")
    assert notebook.run("%krewind --frames 100").scenes
