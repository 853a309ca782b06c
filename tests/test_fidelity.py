"""Every test of what the control plane does says whose rule it restates: a document, an e2e test, or upstream's code.

What is k8snb's own says so too: `k8snb:`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCE = re.compile(r"\b(docs|e2e|upstream|unit|k8snb|API reference|KEP|RFC|pkg/|client-go)")
WHOLE = ("cloud", "control_plane", "disturbances", "faults", "leaderelection", "reconcile_cost", "resourcequota",
         "unsatisfiable")  # fmt: skip
FILES = sorted(
    path
    for path in HERE.glob("test_*.py")
    if path.stem.removeprefix("test_") in WHOLE or path.stem.startswith(("test_controllers_", "test_scheduler"))
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_behaviour_names_its_source(path: Path) -> None:
    """k8snb: who doubts a rule can look it up."""
    found = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
    tests = [node for node in found if node.name.startswith("test_")]
    silent = [node.name for node in tests if not SOURCE.search(ast.get_docstring(node) or "")]
    assert tests
    assert silent == []


def test_the_whole_control_plane_is_looked_at() -> None:
    """k8snb: a file that is renamed does not slip through."""
    assert len(FILES) >= 40
    assert {path.stem.removeprefix("test_") for path in FILES} >= set(WHOLE)
