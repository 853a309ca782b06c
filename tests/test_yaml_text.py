"""YAML as kubectl prints it. The texts are those of kubectl 1.33 (`create configmap --dry-run=client -o yaml`)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubectls import found_kubectls

from k8snb.apimachinery import manifest_values
from k8snb.apimachinery.yaml_text import to_yaml

ROWS: list[tuple[Any, str]] = [
    (
        {"a": "yes", "b": "1e3", "c": "0x1", "d": "2024-01-31", "e": "1:20", "f": "~", "g": "", "h": "n", "i": "="},
        'a: "yes"\nb: "1e3"\nc: "0x1"\nd: "2024-01-31"\ne: "1:20"\nf: "~"\ng: ""\nh: "n"\ni: =\n',
    ),
    (
        {"a": "x: y", "b": " x", "c": "#x", "d": "a #b", "e": "it's"},
        "a: 'x: y'\nb: ' x'\nc: '#x'\nd: 'a #b'\ne: it's\n",
    ),
    ({"a": "one\ntwo\n", "b": "one\ntwo", "c": "x \ny"}, 'a: |\n  one\n  two\nb: |-\n  one\n  two\nc: "x \\ny"\n'),
    ({"last": "x\n\n"}, "last: |+\n  x\n\n"),
    ({"a": " ".join(["word"] * 20)}, f"a: {' '.join(['word'] * 16)}\n  {' '.join(['word'] * 4)}\n"),
    ({"a10": 1, "a2": 1, "B": 1, "_c": 1, "a": 1}, "_c: 1\nB: 1\na: 1\na2: 1\na10: 1\n"),
    ({"a": [{"b": [1]}, []], "c": {}, "d": None, "e": True}, "a:\n- b:\n  - 1\n- []\nc: {}\nd: null\ne: true\n"),
    ({"a": 1.5, "b": 1e21, "c": 0.00001, "d": 1234567.5}, "a: 1.5\nb: 1e+21\nc: 1e-05\nd: 1.2345675e+06\n"),
]


@pytest.mark.parametrize(("value", "text"), ROWS)
def test_a_value_is_written_as_kubectl_writes_it(value: Any, text: str) -> None:
    assert to_yaml(value) == text


KEYS = st.text("abcXY019._/-", min_size=1)
TEXTS = st.text("ab 01:#-\n'\"{}[]|>=~<eExo.+_,&*!%@`\\é", max_size=30)


@settings(derandomize=True, deadline=None)
@given(st.dictionaries(KEYS, TEXTS))
def test_what_is_written_reads_back_as_the_same(value: dict[str, str]) -> None:
    whole = {"k": 1, "v": value}
    assert [read for _, read, _ in manifest_values.read(to_yaml(whole))] == [whole]


@pytest.mark.process
def test_the_real_kubectl_still_writes_so(tmp_path: Path) -> None:
    real = found_kubectls().get("1.33")
    if real is None:
        pytest.skip("optional: kubectl 1.33 is not installed")
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    for value, text in ROWS:
        thing = {"apiVersion": "example.com/v1", "kind": "T", "metadata": {"name": "x"}, "spec": value}
        (tmp_path / "thing.json").write_text(json.dumps(thing))
        words = [real, "annotate", "--local", "-f", tmp_path / "thing.json", "a-", "-o", "yaml"]
        said = subprocess.run(words, text=True, capture_output=True, timeout=60, env=environment)
        inner = "".join(f"  {line}" if line.strip() else line for line in text.splitlines(keepends=True))
        assert said.stdout.partition("spec:\n")[2] == inner
