"""Go templates: each prints, or fails with, what the real kubectl prints and says.

Law: `-o go-template=` is Go's text/template with the functions of `cli-runtime/pkg/printers/template.go`. The rows of
`golden/go_templates.txt` were printed by kubectl 1.33; where one is installed, they are printed by it once more.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from kubectls import found_kubectls

from k8snb.kubectl import KubectlError
from k8snb.kubectl.templates import rendered

GOLDEN = Path(__file__).parent / "golden" / "go_templates.txt"
SAME_WORDS = "1.33"
OBJECT = {
    "apiVersion": "example.com/v1",
    "kind": "Thing",
    "metadata": {"annotations": {}, "labels": {"app": "web", "tier": "x<y>&'q'\"="}, "name": "web"},
    "spec": {
        "replicas": 3, "big": 123456789, "f": 1.5, "tiny": 0.00001, "huge": 123456789012345678901234567890,
        "yes": True, "no": False, "nil": None, "empty": "", "emptyList": [], "emptyMap": {},
        "list": ["a", "b", "c"], "numbers": [1, 2, 30],
        "maps": [{"name": "a", "v": 1}, {"name": "b", "v": 2, "deep": {"er": "x"}}, {"name": "c"}],
        "mixed": [1, "a", True, None, {"x": "y"}, ["z"]],
        "unicode": "h\u00e9llo \u2603", "multi": "line1\nline2\ttab\\ \u0001", "b64": "aGVsbG8=", "bad64": "aGV*",
    },
}  # fmt: skip


class Row(NamedTuple):
    """A template, what it prints (before the report on an error), and the error."""

    template: str
    printed: str
    error: str

    def __str__(self) -> str:
        return self.template[:40]


def rows() -> Iterator[Row]:
    """The rows: JSON strings, three lines for each."""
    lines = [json.loads(line) for line in GOLDEN.read_text().splitlines() if line.strip()]
    yield from (Row(*lines[place : place + 3]) for place in range(0, len(lines), 3))


def before_report(text: str) -> str:
    return text.partition("Error executing template: ")[0]


@pytest.mark.parametrize("row", list(rows()), ids=str)
def test_a_template_prints_what_kubectl_prints(row: Row) -> None:
    try:
        said = rendered("go-template", row.template, OBJECT, missing_ok=True), ""
    except KubectlError as error:
        said = before_report("\n".join(error.applied)), error.message
    assert said == (row.printed, row.error)


def test_the_object_is_left_as_it_is() -> None:
    before = json.dumps(OBJECT)
    for row in rows():
        try:
            rendered("go-template", row.template, OBJECT, missing_ok=False)
        except KubectlError:
            continue
    assert json.dumps(OBJECT) == before


def test_a_failing_template_shows_what_it_was_given() -> None:
    """`GoTemplatePrinter.PrintObj` prints the template and the object on stdout."""
    with pytest.raises(KubectlError) as raised:
        rendered("go-template", "x{{.kind.y}}", {"kind": "<T>"}, missing_ok=True)
    assert "\n".join(raised.value.applied) == (
        'xError executing template: template: output:1:8: executing "output" at <.kind.y>: can\'t evaluate field y in '
        "type interface {}. Printing more information for debugging the template:\n\ttemplate was:\n\t\tx{{.kind.y}}\n"
        '\traw data was:\n\t\t{"kind":"\\u003cT\\u003e"}\n\tobject given to template engine was:\n\t\tmap[kind:<T>]\n'
    )


def test_a_missing_key_is_an_error_where_that_is_asked_for() -> None:
    with pytest.raises(KubectlError, match=r'at <\.nope>: map has no entry for key "nope"'):
        rendered("go-template", "{{.nope}}", OBJECT, missing_ok=False)


@pytest.mark.parametrize(
    ("format", "argument", "message"),
    [
        ("go-template", "", "error: template format specified but no template given"),
        ("templatefile", "nope", "error: error reading --template nope, open nope: no such file or directory"),
        ("jsonpath-file", "nope", "error: error reading --template nope, open nope: no such file or directory"),
        ("jsonpath", "{.x", "error: error parsing jsonpath {.x, unclosed action"),
    ],
)
def test_a_template_that_is_not_there_is_refused(format: str, argument: str, message: str) -> None:
    with pytest.raises(KubectlError) as raised:
        rendered(format, argument, OBJECT, missing_ok=True)
    assert raised.value.message == message


def test_a_template_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("{{.kind}}\n")
    assert rendered("go-template-file", str(tmp_path / "t"), OBJECT, missing_ok=True) == "Thing\n"


def test_jsonpath_as_json_gives_an_array_for_each_part() -> None:
    """`EnableJSONOutput` of `client-go/util/jsonpath`."""
    text = rendered(
        "jsonpath-as-json", "{range .spec.maps[*]}{.v}{end}{.metadata.labels.tier}", OBJECT, missing_ok=True
    )
    assert text == '[\n    1\n]\n[\n    2\n]\n[]\n[\n    "x\\u003cy\\u003e\\u0026\'q\'\\"="\n]\n'


@pytest.mark.process
@pytest.mark.timeout(600)
def test_the_real_kubectl_still_prints_the_rows(tmp_path: Path) -> None:
    real = found_kubectls().get(SAME_WORDS)
    if real is None:
        pytest.skip("optional: kubectl 1.33 is not installed")
    manifest = tmp_path / "thing.json"
    manifest.write_text(json.dumps(OBJECT))
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    for row in rows():
        words = [real, "annotate", "--local", "-f", manifest, "a-", "-o", f"go-template={row.template}"]
        said = subprocess.run(words, text=True, capture_output=True, timeout=60, env=environment)
        error = said.stderr.removesuffix("\n")
        assert (before_report(said.stdout), error) == (row.printed, row.error), row.template
