"""Variables of the notebook in lines and cells."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from k8snb.notebook.expansion import fill, split

NAMES = {
    "n": 3,
    "name": "web",
    "i": 5,
    "end": 7,
    "names": ["a", "b"],
    "pod": {"metadata": {"name": "p1"}},
    "labels": {"app": "x"},
    "json": json,
    "show": print,
    "_hidden": "x",
}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("scale deploy $name --replicas={n}", ["scale", "deploy", "web", "--replicas=3"]),
        ("scale deploy ${name}-1 --replicas={n * 2}", ["scale", "deploy", "web-1", "--replicas=6"]),
        ('get pod {pod["metadata"]["name"]}', ["get", "pod", "p1"]),
        ("delete pods {names}", ["delete", "pods", "a", "b"]),
        ("label pods x 'note=a {name} b'", ["label", "pods", "x", "note=a web b"]),
        ('label pods x "note=$name b"', ["label", "pods", "x", "note=web b"]),
        ("get -l app=$name,tier!={name}", ["get", "-l", "app=web,tier!=web"]),
    ],
)
def test_a_variable_of_the_notebook_is_filled_into_a_line(line: str, words: list[str]) -> None:
    assert split(line, NAMES).value == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("exec x -- sh -c 'echo $name $HOME'", ["exec", "x", "--", "sh", "-c", "echo $name $HOME"]),
        ("run x -- echo $nope {nope} {}", ["run", "x", "--", "echo", "$nope", "{nope}", "{}"]),
        (r"run x -- echo \$name", ["run", "x", "--", "echo", "$name"]),
        ("get -o jsonpath='{range .items[*]}{.x}{end}'", ["get", "-o", "jsonpath={range .items[*]}{.x}{end}"]),
        ("get -o jsonpath={.items[*].metadata.name}", ["get", "-o", "jsonpath={.items[*].metadata.name}"]),
        ("get -o=go-template='{{range $i := .x}}{{end}}'", ["get", "-o=go-template={{range $i := .x}}{{end}}"]),
        ("get --template '{{$i}}'", ["get", "--template", "{{$i}}"]),
        ("get {json} {show} {_hidden}", ["get", "{json}", "{show}", "{_hidden}"]),
        ('run x --overrides=\'{"spec": {"a": [1]}}\'', ["run", "x", '--overrides={"spec": {"a": [1]}}']),
        ("apply -f {a: b}", ["apply", "-f", "{a: b}"]),
    ],
)  # fmt: skip
def test_what_is_no_variable_stays_as_it_is_in_a_line(line: str, words: list[str]) -> None:
    assert split(line, NAMES).value == words


def test_an_expression_may_stand_inside_json() -> None:
    line = 'patch rc x -p \'{"spec":{"replicas":{n}}}\''
    assert split(line, NAMES).value[-1] == '{"spec":{"replicas":3}}'


def test_what_was_filled_in_is_told() -> None:
    assert split("scale $name --replicas={n}", NAMES).filled == {"$name": "web", "{n}": "3"}
    assert split("get pods", NAMES).filled == {}


def test_an_open_quote_is_refused() -> None:
    with pytest.raises(ValueError, match="the quote ' is not closed"):
        split("label pods x 'it is", NAMES)


def test_a_failing_expression_leaves_the_line_alone() -> None:
    assert split("get {names[9]} {n.nope}", NAMES).value == ["get", "{names[9]}", "{n.nope}"]


def test_variables_are_filled_into_a_cell() -> None:
    cell = "a: $name\nb: ${name}-x\nc: {n}\nd: {labels}\ne: {names}\nf: {g: {name}}\n"
    assert yaml.safe_load(fill(cell, NAMES).value) == {
        "a": "web",
        "b": "web-x",
        "c": 3,
        "d": {"app": "x"},
        "e": ["a", "b"],
        "f": {"g": "web"},
    }


@pytest.mark.parametrize(
    "text",
    [
        "labels: {app: nginx}",
        "emptyDir: {}",
        'args: ["$(POD_NAME)", "$HOME", "${PATH:-x}"]',
        "x: {{name}}",
        r"x: \$name",
        "x: {n * 2}",
        "x: {json}",
        "x: $show",
        "x: {nope}",
    ],
)
def test_yaml_and_shell_come_through_a_cell_unharmed(text: str) -> None:
    assert fill(text, NAMES).value == text
    assert fill(text, NAMES).filled == {}


@given(st.text(alphabet="ab${}[]:,'\"\\ \n-", max_size=40))
def test_a_cell_without_variables_is_never_changed(text: str) -> None:
    assert fill(text, {}).value == text
