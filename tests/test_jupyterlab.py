"""What a learner sees: tables and pictures in a real JupyterLab, in both themes, and in the saved notebook."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import unquote

import nbformat
import pytest
from browser_lab import Lab, Page

CELLS = {
    "start": "%load_ext k8snb",
    "deployment": "%kcreate deployment web --image=nginx --replicas=3",
    "service": "%kexpose deployment web --port=80",
    "ready": "%kwait --for=condition=Available deployment/web --timeout=60s",
    "get": "%kget pods -l app=web -o wide",
    "draw": "%kdraw",
    "nodes": "%kdraw nodes",
    "network": "%kdraw network",
    "components": "%kdraw components",
    "storage": "%kdraw storage",
    "rules": "%kproxy rules web",
    "select": "%kselect svc/web",
    "trace": "%ktrace deployment/web",
    "why": "%kwhy deployment/web",
    "before": "%kat ^ get deployment web",
    "changed": "%kdiff --from ^",
    "film": "%krewind --frames 4",
    "blame": "%kblame deployment/web",
    "stuck": '%krun big --image=nginx --overrides=\'{"spec":{"nodeSelector":{"disk":"ssd"}}}\'',
    "why-not": "%kwhy not pod/big scheduled",
    "steps": "%%kstep\nscale deployment web --replicas=4",
    "clock": "%kclock",
    "timeline": "%ktimeline",
    "fork": "%kfork ^ other",
    "compare": "%kcompare k8snb other",
    "error": "%kget podz",
}
WORDS = {
    "deployment": "deployment.apps/web created",
    "get": "Running",
    "draw": "routes to",
    "nodes": "node-1",
    "network": "web",
    "components": "kube-scheduler",
    "rules": "ClusterIP",
    "select": "app=web",
    "trace": "scheduler",
    "why": "web",
    "before": "as of revision",
    "changed": "service/web",
    "film": "you: create deployment/web",
    "blame": "deployment-controller",
    "why-not": "disk",
    "steps": "replicaset-controller",
    "timeline": "Ready",
    "compare": "other",
    "error": "podz",
}


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request: Any, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    home = tmp_path_factory.mktemp("lab")
    with closing(Lab(home, request.param)) as lab, closing(lab.open(browser, "lesson", *CELLS.values())) as page:
        yield page


def number(cell: str) -> int:
    return list(CELLS).index(cell) + 1


@pytest.mark.parametrize("cell", WORDS)
def test_each_cell_shows_what_it_promises(page: Page, cell: str) -> None:
    page.picture(number(cell), cell)
    shown = unquote(page.output(number(cell)).inner_text() + page.output(number(cell)).inner_html())
    assert WORDS[cell] in shown.replace("\N{NO-BREAK SPACE}", " ").replace("&nbsp;", " ").replace("&#160;", " ")


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "error"])
def test_no_cell_shows_a_traceback(page: Page, cell: str) -> None:
    assert "Traceback" not in page.output(number(cell)).inner_text()


@pytest.mark.parametrize(
    "cell", ["draw", "nodes", "network", "components", "select", "trace", "film", "timeline", "compare"]
)
def test_a_picture_fits_the_page(page: Page, cell: str) -> None:
    room = page.output(number(cell)).bounding_box()
    pictures = [found.bounding_box() for found in page.output(number(cell)).locator("svg, img").all()]
    widths = [box["width"] for box in pictures if box]
    assert 200 < max(widths) <= room["width"] + 1


def test_the_saved_notebook_shows_the_same_without_a_kernel(page: Page) -> None:
    saved = page.saved()
    for cell, word in WORDS.items():
        output = nbformat.writes(nbformat.v4.new_notebook(cells=[saved.cells[number(cell) - 1]]))
        assert word in output, cell
