"""Python cells: a refusal is a line to read, and the line of the cell; who catches it has the exception."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from notebook_lab import fresh_shell, make

from k8snb.apimachinery.errors import ApiError
from k8snb.kubectl.output import KubectlError
from k8snb.notebook import extension


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[InteractiveShell]:
    with fresh_shell(tmp_path) as shell:
        extension.load(shell, make)
        shell.user_ns["cluster"] = extension.registered(shell).clusters.chosen  # type: ignore[union-attr]
        yield shell


def shown(shell: InteractiveShell, capsys: pytest.CaptureFixture[str], cell: str) -> str:
    capsys.readouterr()
    shell.run_cell(cell)  # type: ignore[no-untyped-call]
    printed = capsys.readouterr()
    return printed.out + printed.err


def test_a_command_that_fails_is_one_line_and_its_place(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shown(shell, capsys, 'one = 1\ncluster.kubectl.get("podz")')
    assert words.splitlines() == [
        'error: the server doesn\'t have a resource type "podz" (did you mean "pods"?)',
        '  line 2: cluster.kubectl.get("podz")',
    ]


def test_a_refusal_of_the_apiserver_has_its_words(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    words = shown(shell, capsys, 'def look():\n    return cluster.client.get("pods", "web", "default")\n\nlook()')
    assert words.splitlines() == [
        'Error from server (NotFound): pods "web" not found',
        '  line 2: return cluster.client.get("pods", "web", "default")',
    ]


@pytest.mark.parametrize(
    ("call", "kind"),
    [('cluster.kubectl.get("podz")', KubectlError), ('cluster.client.get("pods", "web", "default")', ApiError)],
)
def test_who_catches_it_has_all_of_it(shell: InteractiveShell, call: str, kind: type[Exception]) -> None:
    shell.run_cell(f"try:\n    {call}\nexcept Exception as error:\n    caught = error")  # type: ignore[no-untyped-call]
    assert type(shell.user_ns["caught"]) is kind


def test_other_mistakes_keep_their_traceback(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Traceback" in shown(shell, capsys, "1 / 0")


def test_without_the_extension_a_refusal_is_like_any_other(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    extension.unload(shell)
    words = shown(shell, capsys, "from k8snb.kubectl.output import KubectlError\nraise KubectlError('no')")
    assert "Traceback" in words
