"""Pictures in a real browser: which theme they take, what shows under a pointer, and what a sanitised page keeps."""

from __future__ import annotations

import re
from typing import Any

import pytest
from diagram_lab import showcase

from k8snb.notebook.draw import Picture
from k8snb.notebook.style import GOOD
from k8snb.notebook.themes import DARK

FILL = "getComputedStyle(document.querySelector('.node [fill=\"{}\"]')).fill"
SHOWN = "[...document.querySelectorAll('.k8snb-drawing > *')].map(part => getComputedStyle(part).display)"


@pytest.fixture(scope="module")
def picture() -> Picture:
    with showcase() as cluster:
        return cluster.draw("deployment/web")


def asked(browser: Any, content: str, script: str, *, scheme: str = "light", theme: str = "") -> Any:
    """What a script finds in a page with this content, on a system and in a Jupyter of these themes."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1000, "height": 800})
    try:
        page = context.new_page()
        attribute = f' data-jp-theme-light="{theme}"' if theme else ""
        page.set_content(f"<!doctype html><body{attribute}>{content}</body>")
        return page.evaluate(script)
    finally:
        context.close()


def rgb(colour: str) -> str:
    return f"rgb({int(colour[1:3], 16)}, {int(colour[3:5], 16)}, {int(colour[5:7], 16)})"


@pytest.mark.parametrize(
    ("scheme", "theme", "dark"),
    [("light", "", False), ("dark", "", True), ("light", "false", True), ("dark", "true", False)],
)
def test_a_picture_takes_the_theme_of_its_page_and_else_that_of_the_system(
    browser: Any, picture: Picture, scheme: str, theme: str, dark: bool
) -> None:
    found = asked(browser, picture.live, FILL.format(GOOD.fill), scheme=scheme, theme=theme)
    assert found == rgb(DARK[GOOD.fill] if dark else GOOD.fill)


def test_a_page_shows_the_live_picture_alone_and_a_sanitised_one_the_image_alone(
    browser: Any, picture: Picture
) -> None:
    assert asked(browser, picture.live, SHOWN) == ["block", "none"]
    sanitised = re.sub(r"<svg.*?</svg>", "its words", picture.live, flags=re.DOTALL)
    assert asked(browser, sanitised, SHOWN) == ["none", "inline"]
    loaded = "document.querySelector('img').decode().then(() => document.querySelector('img').naturalWidth)"
    assert asked(browser, sanitised, loaded) > 0


def test_each_box_has_words_under_the_pointer(browser: Any, picture: Picture) -> None:
    script = "[...document.querySelectorAll('.node title')].map(title => title.textContent)"
    words = asked(browser, picture.live, script)
    assert len(words) == len(picture.diagram.boxes) and all(": " in each for each in words)


def test_a_picture_stays_within_its_page(browser: Any, picture: Picture) -> None:
    width = "document.querySelector('.k8snb-live svg').getBoundingClientRect().width"
    narrow = f'<div style="width:400px">{picture.live}</div>'
    assert asked(browser, narrow, width) <= 400 and asked(browser, picture.live, width) <= 1000
