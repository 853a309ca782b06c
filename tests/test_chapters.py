"""Chapters: every page in the repository is clean, and every one keeps its promises on every runtime."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import Any

import nbformat
import pytest
from cri_contract import docker_image

from k8snb import cli

CHAPTERS = sorted((Path(__file__).resolve().parent.parent / "chapters").glob("*.ipynb"))
pytestmark = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)

# What stands in for the images on an engine that cannot reach a registry: this machine's busybox, and what it starts.
_SERVE = "trap 'exit 0' TERM; httpd -f -p {port} -h /www & wait"
_ECHO = (
    r"mkdir -p /www/cgi-bin; printf '#!/bin/sh\necho Content-Type: text/plain\necho\necho Hostname: $(hostname)\n'"
    " > /www/cgi-bin/index.cgi; busybox chmod 755 /www/cgi-bin/index.cgi; " + _SERVE.format(port=8080)
)
_NGINX = "mkdir -p /www; echo '<h1>Welcome to nginx!</h1>' > /www/index.html; " + _SERVE.format(port=80)
IMAGES = {
    "busybox:latest": ["ENV PATH=/bin", 'CMD ["sh"]'],
    "k8s.gcr.io/echoserver:1.10": ["ENV PATH=/bin", f"CMD {json.dumps(['sh', '-c', _ECHO])}"],
    "nginx:1.7.9": ["ENV PATH=/bin", f"CMD {json.dumps(['sh', '-c', _NGINX])}"],
}


def test_a_page_has_a_number_and_a_name(chapter: Path) -> None:
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", chapter.stem)


def test_a_page_is_a_valid_notebook_with_named_cells(chapter: Path) -> None:
    notebook = nbformat.read(chapter, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"


def test_a_page_is_committed_without_outputs(chapter: Path) -> None:
    for cell in code_cells(chapter):
        assert not cell.outputs, cell.source
        assert cell.execution_count is None


def test_the_promises_on_a_page_can_be_checked(chapter: Path) -> None:
    steps = []
    for cell in code_cells(chapter):
        promise = cell.metadata.get("k8snb", {})
        assert set(promise) <= {"step", "expect", "shows"}
        re.compile(promise.get("expect", ""))
        steps.append(promise.get("step"))
    numbered = [step for step in steps if step]
    assert numbered == sorted(numbered)
    assert set(numbered) == set(range(1, max(numbered, default=0) + 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "runtime",
    ["simulated", pytest.param("process", marks=pytest.mark.process), pytest.param("docker", marks=pytest.mark.docker)],
)
def test_a_chapter_keeps_its_promises(chapter: Path, runtime: str, images: None) -> None:
    printed = StringIO()
    outcome = cli.run_chapter(chapter, runtime=runtime, screen=cli.Screen(printed))
    assert not outcome.failure, printed.getvalue()
    assert outcome.done == outcome.steps
    assert f"on the {runtime} runtime" in printed.getvalue()


@pytest.fixture
def images(runtime: str) -> Iterator[None]:
    """On Docker, the images that chapters use, where the engine has none of that name."""
    with ExitStack() as stack:
        if runtime == "docker":
            from k8snb.cri.docker_engine import connected

            api = stack.enter_context(connected())
            for ref, changes in IMAGES.items():
                stack.enter_context(docker_image(api, ref, changes=changes))
        yield


def code_cells(chapter: Path) -> list[Any]:
    return [cell for cell in nbformat.read(chapter, as_version=4).cells if cell.cell_type == "code"]
