"""Selectors choose by labels and fields, however they are written."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8snb.apimachinery import names
from k8snb.apimachinery.selectors import (
    EXISTS,
    IN,
    NOT_EQUALS,
    NOT_EXISTS,
    NOTHING,
    Requirement,
    SelectorError,
    from_label_selector,
    from_set,
    parse_field_selector,
    parse_selector,
)

WEB = {"app": "nginx", "env": "production", "tier": ""}

keys = st.sampled_from(["app", "env", "tier", "example.com/team"])
values = st.sampled_from(["", "a", "b", "c-1"])
label_sets = st.dictionaries(keys, values)
expressions = st.one_of(
    st.fixed_dictionaries({"key": keys, "operator": st.sampled_from(["In", "NotIn"]),
                           "values": st.lists(values, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"key": keys, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
)  # fmt: skip
label_selectors = st.fixed_dictionaries(
    {}, optional={"matchLabels": label_sets, "matchExpressions": st.lists(expressions, max_size=3)}
)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("app=nginx", True),
        ("app==nginx", True),
        ("app!=nginx", False),
        ("env in (production, qa)", True),
        ("env notin (production,qa)", False),
        ("nosuch notin (a)", True),
        ("nosuch!=a", True),
        ("app", True),
        ("!app", False),
        ("!nosuch", True),
        ("tier=", True),
        ("tier in (,x)", True),
        (" app = nginx , env != qa ", True),
        ("app=nginx,env=qa", False),
        ("app=nginx,app=apache", False),
        ("", True),
    ],
)
def test_requirements_are_joined_by_and(text: str, chosen: bool) -> None:
    assert parse_selector(text).matches(WEB) is chosen


@pytest.mark.parametrize(("text", "chosen"), [("n>4", True), ("n<5", False), ("m>1", False), ("nosuch<1", False)])
def test_numbers_compare_as_numbers(text: str, chosen: bool) -> None:
    assert parse_selector(text).matches({"n": "10", "m": "x"}) is chosen


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a in b", "found 'b', expected: '('"),
        ("a in (b", "found '', expected: ',' or ')'"),
        ("a b", "found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("=x", "found '=', expected: identifier"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("a=b c=d", "found 'c', expected: ',' or 'end of string'"),
        ("-a=b", "name part must consist of"),
        ("a=-b", "a valid label must be an empty string or consist of"),
        ("a=b/c", "a valid label must be"),
        ("a>x", "the value must be an integer"),
    ],
)
def test_a_selector_that_cannot_be_read_says_where(text: str, complaint: str) -> None:
    with pytest.raises(SelectorError, match="^unable to parse requirement: .*" + re.escape(complaint)):
        parse_selector(text)


@given(label_selectors, label_sets)
def test_a_selector_written_out_and_read_again_chooses_the_same(selector: dict, labels: dict[str, str]) -> None:
    made = from_label_selector(selector)
    assert parse_selector(str(made)).matches(labels) is made.matches(labels)


@given(label_selectors, label_sets)
def test_no_mismatch_is_a_match(selector: dict, labels: dict[str, str]) -> None:
    made = from_label_selector(selector)
    assert made.matches(labels) is (made.mismatches(labels) == [])


@given(label_selectors, label_sets)
def test_an_index_over_the_equalities_misses_nothing(selector: dict, labels: dict[str, str]) -> None:
    made = from_label_selector(selector)
    if made.matches(labels):
        assert made.equality().items() <= labels.items()


@given(label_sets, label_sets)
def test_a_set_chooses_its_supersets(wanted: dict[str, str], labels: dict[str, str]) -> None:
    assert from_set(wanted).matches(labels) is (wanted.items() <= labels.items())


def test_no_label_selector_chooses_nothing_and_an_empty_one_everything() -> None:
    assert from_label_selector(None) is NOTHING
    assert not NOTHING.matches({})
    assert from_label_selector({}).is_everything
    assert from_label_selector({}).matches(WEB)
    assert not NOTHING.is_everything


def test_the_order_of_writing_makes_no_other_selector() -> None:
    assert parse_selector("b=1,a in (y,x)") == parse_selector("a in (x, y),b==1")


def test_requirements_can_be_told_one_by_one() -> None:
    selector = parse_selector("app=nginx,env in (qa),tier!=db,!old,x")
    assert selector.mismatches(WEB) == [Requirement("env", IN, ("qa",)), Requirement("x", EXISTS)]
    assert [each.operator for each in selector.requirements if not each.values] == [NOT_EXISTS, EXISTS]
    assert Requirement("tier", NOT_EQUALS, ("db",)) in selector.requirements
    assert selector.equality() == {"app": "nginx", "env": "qa"}


def test_an_operator_that_is_none_is_refused() -> None:
    with pytest.raises(SelectorError, match='"Equals" is not a valid label selector operator'):
        from_label_selector({"matchExpressions": [{"key": "a", "operator": "Equals", "values": ["b"]}]})
    with pytest.raises(SelectorError, match="values set can't be empty"):
        from_label_selector({"matchExpressions": [{"key": "a", "operator": "In"}]})


POD = {"metadata": {"name": "web-1"}, "spec": {"nodeName": "n1", "hostNetwork": True}, "status": {"phase": "Running"}}


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("status.phase=Running,spec.nodeName!=n2", True),
        ("status.phase==Running", True),
        ("status.phase!=Running", False),
        ("spec.hostNetwork=true", True),
        ("spec.schedulerName=", True),
        ("", True),
    ],
)
def test_field_selectors_read_fields(text: str, chosen: bool) -> None:
    assert parse_field_selector(text).matches(POD) is chosen


def test_field_selectors_keep_their_terms() -> None:
    selector = parse_field_selector("metadata.name=web-1,spec.nodeName!=n1")
    assert selector.fields == ("metadata.name", "spec.nodeName")
    assert selector.equality() == {"metadata.name": "web-1"}
    assert parse_field_selector(str(selector)) == selector


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=8))
def test_an_escaped_field_value_comes_back(value: str) -> None:
    written = "a.b=" + re.sub(r"([\\,=])", r"\\\1", value)
    assert parse_field_selector(written).terms == (("a.b", "=", value),)
    assert parse_field_selector(str(parse_field_selector(written))).terms == (("a.b", "=", value),)


def test_a_field_selector_that_cannot_be_read_is_quoted() -> None:
    with pytest.raises(SelectorError, match=r"invalid selector: 'a\.b'; can't understand 'a\.b'"):
        parse_field_selector("a.b")


# names


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (names.dns_label, ["a", "my-name", "1a"], ["", "My", "a.b", "-a", "a-", "a_b", "a" * 64, "a\n"]),
        (names.dns_subdomain, ["a", "a.b", "1.2"], ["", "a..b", "A", ".a", "a" * 254]),
        (names.dns_1035_label, ["a", "a-1"], ["1a", "", "a.b", "a" * 64]),
        (names.qualified_name, ["a", "A_b.c", "x.y/z"], ["", "/a", "a/", "a/b/c", "-a", "X/a", "a" * 64]),
        (names.label_value, ["", "a", "A.b_c-1"], ["-a", "a/b", "a b", "a" * 64]),
        (names.port_name, ["http", "a-1"], ["", "HTTP", "1", "a--b", "-a", "a" * 16]),
        (names.env_var, ["A", "a.b", "_x-1"], ["", "1a", "a b", "a="]),
        (names.config_key, ["a.conf", "A_1"], ["", "a/b", "..", "..a", "a b"]),
    ],
)
def test_names_follow_their_rule(rule: object, good: list[str], bad: list[str]) -> None:
    assert callable(rule)
    assert [name for name in good if rule(name)] == []
    assert [name for name in bad if not rule(name)] == []


def test_a_complaint_is_a_sentence_that_can_be_searched() -> None:
    assert names.dns_subdomain("My_Pod")[0].startswith(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
    )
    assert names.dns_label("a" * 64) == ["must be no more than 63 characters"]


def test_a_generated_name_keeps_its_base_and_fits() -> None:
    name = names.generate_name("web-", random.Random(1))
    assert re.fullmatch(f"web-[{names.ALPHABET}]{{5}}", name)
    assert name == names.generate_name("web-", random.Random(1))
    assert len(names.generate_name("x" * 100, random.Random(1))) == 63
    assert not names.dns_label(name)
