"""Manifests are read as kubectl reads them, and mistakes are told with their line."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from k8snb.apimachinery.manifest import ManifestError, load
from k8snb.apimachinery.manifest_identity import check_identity


def one(text: str) -> dict[str, Any]:
    (document,) = load(text)
    return document.object


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("y", True),
        ("true", True),
        ("'yes'", "yes"),
        ("!!str yes", "yes"),
        ("~", None),
        ("", None),
        ("0644", 420),
        ("0o644", 420),
        ("0x1F", 31),
        ("0b101", 5),
        ("1_000", 1000),
        ("-7", -7),
        ("08", 8),
        ("1e3", 1000),
        ("3.0", 3),
        ("1.10", 1.1),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("10.0.0.1", "10.0.0.1"),
        ("22:22", "22:22"),
        ("2024-01-31", "2024-01-31"),
        ("2024-01-31T12:00:00Z", "2024-01-31T12:00:00Z"),
        ("500m", "500m"),
        ("1Gi", "1Gi"),
        ("=", "="),
        (".", "."),
        ("25%", "25%"),
        ("0", 0),
    ],
)
def test_plain_words_are_what_they_are_to_kubectl(written: str, value: Any) -> None:
    found = one(f"key: {written}\n")["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_strings() -> None:
    assert one("1: a\non: b\n1.5: c\n~: d\n") == {"1": "a", "true": "b", "1.5": "c", "null": "d"}


def test_anchors_and_merges_are_followed() -> None:
    assert one("base: &base {a: 1, b: 2}\nmore:\n  <<: *base\n  b: 3\n")["more"] == {"a": 1, "b": 3}
    assert one("x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz: {<<: [*x, *y]}\n")["z"] == {"a": 1, "b": 2}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), json_values))
def test_json_comes_through_unchanged(obj: dict[str, Any]) -> None:
    assert one(json.dumps(obj, indent=1)) == obj


@given(st.dictionaries(st.sampled_from(["a", "b"]), json_values.filter(lambda value: "\x85" not in str(value))))
def test_yaml_of_quoted_strings_comes_through_unchanged(obj: dict[str, Any]) -> None:
    assert one(yaml.safe_dump(obj, default_style='"', allow_unicode=False)) == obj


# documents


def test_documents_know_where_they_begin() -> None:
    documents = load("# a comment\na: 1\n---\n---\n# nothing\n---\nb: 2\n")
    assert [(each.object, each.index, each.line) for each in documents] == [({"a": 1}, 0, 2), ({"b": 2}, 1, 7)]
    assert load("") == load("---\n") == load("# nothing\n") == []


def test_json_values_may_follow_each_other() -> None:
    documents = load('{"a": 1}\n{\n\t"b": {"c": 2}}\n')
    assert [document.object for document in documents] == [{"a": 1}, {"b": {"c": 2}}]
    assert [document.line for document in documents] == [1, 2]
    assert documents[1].line_of("b.c") == 3


MANIFEST = """\
# two pods in a list, and a deployment
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: a}
- apiVersion: v1
  kind: Pod
  metadata:
    name: b
    labels:
      app.kubernetes.io/name: b
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      containers:
      - name: nginx
        image: nginx
      - name: log
        image: busybox
"""


def test_lists_are_unfolded() -> None:
    assert [document.object["metadata"]["name"] for document in load(MANIFEST)] == ["a", "b", "web"]
    assert [document.line for document in load(MANIFEST)] == [5, 8, 15]


@pytest.mark.parametrize(
    ("document", "path", "line"),
    [
        (0, "metadata.name", 7),
        (1, "metadata.name", 11),
        (1, "metadata.labels[app.kubernetes.io/name]", 13),
        (1, "spec.containers[0]", 8),
        (2, "spec.template.spec.containers[1].image", 26),
        (2, "spec.template.spec.containers[1]", 25),
        (2, "spec.template.spec.containers[7].image", 22),
        (2, "spec.template.spec.nodeName", 21),
        (2, "status", 15),
        (2, "", 15),
    ],
)
def test_a_field_is_found_in_the_text_or_the_nearest_thing_around_it(document: int, path: str, line: int) -> None:
    assert load(MANIFEST)[document].line_of(path) == line


# mistakes


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("a:\n  b: 1\n\tc: 2\n", 3, "line 3: a tab: YAML is indented with spaces only"),
        ("a: b: c\n", 1, "line 1, column 5: a second colon: put the value in quotes: a: b: c"),
        ("kind Pod\nmetadata: x\n", 2, "line 2, column 9: a key below a plain value: the line above lacks its colon"),
        ("a: [1, 2\n", 1, "a quote or bracket is not closed"),
        ('a: "x\n', 1, "a quote or bracket is not closed"),
        ("a:\n  - b\n c: 1\n", 3, "the indentation does not fit the lines above: c: 1"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 4, 'line 4: key "c" is already set at line 3'),
        ('{"a": 1,\n"a": 2}\n', 2, 'line 2: key "a" is already set at line 1'),
        ('{"a": 1,\n"b" 2}\n', 2, "line 2, column 5: invalid JSON: Expecting ':' delimiter: \"b\" 2}"),
        ("a: *x\n", 1, "an alias (*name) without its anchor (&name)"),
        ("a: &a [*a]\n", 1, "line 1: an anchor contains itself"),
        ("a: @x\n", 1, "this character cannot begin a value: put the value in quotes: a: @x"),
        ("a: 1\n---\nb: {{ x }}\n", 3, "line 3: a key must be a word: {{ }} and [ ] need quotes"),
        ("a: !secret x\n", 1, "line 1: the tag !secret is not supported in a manifest"),
        ("a: !!int x\n", 1, "line 1: cannot decode 'x' as !!int"),
        ("hello\n", 1, 'line 1: "hello" is not an object: begin with apiVersion, kind, metadata'),
        ("- a\n", 1, "is not an object"),
        ("kind: List\nitems: [1]\n", 1, "items[0] is not an object"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text: str, line: int, complaint: str) -> None:
    with pytest.raises(ManifestError) as refused:
        load(text)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.line == line


@given(st.text(st.sampled_from("ab:-[]{}#&*!|>'\"% \n\t,?<~.1"), max_size=30))
def test_any_text_is_objects_or_one_readable_line(text: str) -> None:
    try:
        assert all(isinstance(document.object, dict) for document in load(text))
    except ManifestError as error:
        assert "\n" not in error.message


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("kind: Deployment", "apiVersion not set; add a line apiVersion: apps/v1"),
        ("apiVersion: v1", "kind not set; add a line kind: Pod"),
        ("x: 1", "[apiVersion not set, kind not set]; add a line apiVersion: v1 and a line kind: Pod"),
        ("{apiVersion: v1, kind: ConfigMap}", "metadata.name: Required value: name or generateName is required; add"),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {}}", "metadata.name: Required value"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: a}}", "spec: Required value; add a spec (kubectl explain pod."),
        ("{apiVersion: v1, kind: Service, metadata: {name: a}}", "spec: Required value"),
    ],
)
def test_what_every_object_needs_is_asked_for(text: str, complaint: str) -> None:
    (document,) = load(text)
    problem = check_identity(document)
    assert problem is not None
    assert str(problem).startswith(f'error validating "cell": error validating data: {complaint}')
    assert problem.line == 1


@pytest.mark.parametrize(
    "text",
    [
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}",
        "{apiVersion: v1, kind: Namespace, metadata: {name: a}}",
        "{apiVersion: v1, kind: Pod, metadata: {generateName: a-}, spec: {}}",
        "{apiVersion: example.com/v1, kind: Cat, metadata: {name: tom}}",
        "{apiVersion: authentication.k8s.io/v1, kind: TokenReview, spec: {token: x}}",
    ],
)
def test_what_has_all_it_needs_passes(text: str) -> None:
    (document,) = load(text)
    assert check_identity(document) is None
