"""A notebook that was saved and is opened again: its widgets have no kernel any more, their static twins stay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from browser_lab import Lab, Page

from k8snb.notebook.krewind import NOTE

CELLS = ("%load_ext k8snb", "%kcreate deployment web --image=nginx", "%krewind --frames 3")
FILM = len(CELLS)
GONE = "model not found"  # what JupyterLab itself writes there
AFTER = """[...document.querySelectorAll('.jp-OutputArea-child > *')]
    .map(node => getComputedStyle(node, '::after').content).join()"""


@pytest.fixture(scope="module")
def pages(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, Page]]:
    """The notebook while its kernel runs, and what was saved of it in a page with another kernel."""
    with closing(Lab(tmp_path_factory.mktemp("lab"))) as lab, closing(lab.open(browser, "film", *CELLS)) as page:
        page.output(FILM).locator(".widget-slider").wait_for()
        with closing(lab.reopen(browser, "film-again", page.saved())) as again:
            yield page, again


def test_the_slider_is_there_while_the_kernel_runs(pages: tuple[Page, Page]) -> None:
    assert pages[0].output(FILM).locator(".widget-slider").is_visible()
    assert NOTE not in pages[0].page.evaluate(AFTER)


def test_a_saved_film_says_in_its_sliders_place_how_to_have_one(pages: tuple[Page, Page]) -> None:
    again = pages[1]
    place = again.output(FILM).get_by_text(GONE)
    place.wait_for(state="attached")
    again.picture(FILM, "film")
    assert "you: create deployment/web" in again.output(FILM).inner_text()
    assert place.evaluate("node => getComputedStyle(node).fontSize") == "0px"
    assert NOTE in again.page.evaluate(AFTER)
