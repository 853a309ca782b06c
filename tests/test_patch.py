"""Patches change what they name, and `kubectl apply` forgets what its user forgot."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from k8snb.apimachinery import schema
from k8snb.apimachinery.json_patch import PatchError, json_patch
from k8snb.apimachinery.patch import merge_patch, strategic_merge, three_way_merge

GOLDEN = Path(__file__).parent / "golden"
POD = schema.load().definition("v1", "Pod")
DEPLOYMENT = schema.load().definition("apps/v1", "Deployment")

TWO = {"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]}}

# A pod with each sort of list: merged by key, retaining keys, replaced, of plain values, nested.
words = st.sampled_from(["a", "b", "c"])
string_maps = st.dictionaries(words, words, max_size=3)


def by_name(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    entry = st.fixed_dictionaries({"name": words}, optional=fields)
    return st.lists(entry, max_size=3, unique_by=lambda one: one["name"])


SOURCES = ({"emptyDir": {}}, {"emptyDir": {"medium": "Memory"}}, {"hostPath": {"path": "/a"}}, {"secret": {}})
volumes = st.lists(
    st.builds(lambda name, source: {"name": name, **source}, words, st.sampled_from(SOURCES)),
    max_size=3,
    unique_by=lambda one: one["name"],
)
ports = st.lists(
    st.fixed_dictionaries({"containerPort": st.sampled_from([53, 80]), "protocol": st.sampled_from(["TCP", "UDP"])}),
    max_size=3,
)
containers = by_name(image=words, env=by_name(value=words), command=st.lists(words, max_size=2), ports=ports)
metadata = st.fixed_dictionaries(
    {"name": st.just("web")},
    optional={"labels": string_maps, "finalizers": st.lists(words, max_size=3, unique=True)},
)
specs = st.fixed_dictionaries(
    {"containers": containers},
    optional={
        "volumes": volumes,
        "nodeSelector": string_maps,
        "tolerations": st.lists(st.fixed_dictionaries({"key": words}), max_size=2),
        "hostname": words,
        "securityContext": st.fixed_dictionaries({}, optional={"runAsUser": st.integers(0, 2)}),
    },
)
pods = st.fixed_dictionaries({"metadata": metadata, "spec": specs})
either_type = st.sampled_from([POD, None])


@given(pods, pods, either_type)
def test_where_nobody_else_writes_apply_makes_exactly_what_is_written(
    before: Any, wanted: Any, type_: schema.Type | None
) -> None:
    patch = three_way_merge(before, wanted, before, type_)
    assert strategic_merge(before, patch, type_) == wanted


@given(pods, pods, pods, either_type)
def test_applying_twice_changes_nothing_the_second_time(
    before: Any, wanted: Any, live: Any, type_: schema.Type | None
) -> None:
    after = strategic_merge(live, three_way_merge(before, wanted, live, type_), type_)
    assert three_way_merge(wanted, wanted, after, type_) == {}


@given(pods, pods, pods)
def test_what_is_written_is_there_afterwards(before: Any, wanted: Any, live: Any) -> None:
    after = strategic_merge(live, three_way_merge(before, wanted, live, POD), POD)
    assert_holds(after, wanted)


def assert_holds(after: Any, wanted: Any) -> None:
    """Maps may hold more, lists of maps may hold more entries; everything else is equal."""
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            assert_holds(after[key], value)
    elif wanted == []:
        assert isinstance(after, list)
    elif isinstance(wanted, list) and all(isinstance(entry, dict) and "name" in entry for entry in wanted):
        entries = {entry["name"]: entry for entry in after}
        assert [name for name in entries if name in {entry["name"] for entry in wanted}] == [e["name"] for e in wanted]
        for entry in wanted:
            assert_holds(entries[entry["name"]], entry)
    elif isinstance(wanted, list) and all(isinstance(entry, dict) and "containerPort" in entry for entry in wanted):
        assert {entry["containerPort"] for entry in wanted} <= {entry["containerPort"] for entry in after}
    elif isinstance(wanted, list) and all(isinstance(entry, str) for entry in wanted):
        assert [entry for entry in after if entry in wanted] == wanted
    else:
        assert after == wanted


@given(pods, pods, pods)
def test_what_others_wrote_stays_and_what_was_taken_back_goes(before: Any, wanted: Any, live: Any) -> None:
    after = strategic_merge(live, three_way_merge(before, wanted, live, POD), POD)
    labels = [obj["metadata"].get("labels", {}) for obj in (before, wanted, live, after)]
    old, new, found, kept = labels
    if "labels" in wanted["metadata"] or "labels" not in before["metadata"]:
        assert kept == {**{key: value for key, value in found.items() if key not in old or key in new}, **new}
    names = [{one["name"] for one in obj["spec"]["containers"]} for obj in (before, wanted, live, after)]
    assert names[3] == (names[2] - (names[0] - names[1])) | names[1]


@settings(max_examples=50)
@given(pods, pods, pods, either_type)
def test_no_patch_touches_what_it_was_given(before: Any, wanted: Any, live: Any, type_: schema.Type | None) -> None:
    originals = copy.deepcopy((before, wanted, live))
    patch = three_way_merge(before, wanted, live, type_)
    kept = copy.deepcopy(patch)
    strategic_merge(live, patch, type_)
    assert (before, wanted, live) == originals
    assert patch == kept


@given(pods, either_type)
def test_an_empty_patch_gives_the_very_object(live: Any, type_: schema.Type | None) -> None:
    assert strategic_merge(live, {}, type_) is live
    assert three_way_merge(live, live, live, type_) == {}


def test_what_did_not_change_is_shared() -> None:
    live = {"metadata": {"name": "web"}, **TWO}
    after = strategic_merge(live, {"spec": {"containers": [{"name": "a", "image": "3"}]}}, POD)
    assert after["metadata"] is live["metadata"]
    assert after["spec"]["containers"][1] is live["spec"]["containers"][1]
    assert after["spec"]["containers"][0]["image"] == "3"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("apply-*.input.yaml")), ids=lambda path: path.name.split(".")[0])
def test_apply_sends_the_patch_in_the_book(path: Path) -> None:
    before, wanted, live = yaml.safe_load_all(path.read_text())
    patch, after = yaml.safe_load_all(path.with_name(path.name.replace(".input.", ".output.")).read_text())
    type_ = schema.load().definition(wanted["apiVersion"], wanted["kind"])
    assert three_way_merge(before, wanted, live, type_) == patch
    assert strategic_merge(live, patch, type_) == after


# strategic merge patch, by hand


@pytest.mark.parametrize(
    ("patch", "names"),
    [
        ({"containers": [{"name": "a", "$patch": "delete"}]}, ["b"]),
        ({"containers": [{"name": "c", "image": "3"}, {"$patch": "replace"}]}, ["c"]),
        ({"containers": [{"name": "c", "image": "3"}]}, ["a", "b", "c"]),
        ({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}, ["b", "a"]),
        ({"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}], "containers": [{"name": "c"}]}, list("cab")),
    ],
)
def test_directives_delete_replace_and_order_entries(patch: Any, names: list[str]) -> None:
    after = strategic_merge(TWO, {"spec": patch}, POD)
    assert [one["name"] for one in after["spec"]["containers"]] == names


def test_plain_values_are_added_and_deleted() -> None:
    live = {"metadata": {"finalizers": ["a", "b"]}}
    patch = {"metadata": {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic_merge(live, patch, POD) == {"metadata": {"finalizers": ["b", "c"]}}


def test_another_strategy_drops_the_settings_of_the_old_one() -> None:
    live = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    wanted = {"spec": {"strategy": {"type": "Recreate"}}}
    patch = three_way_merge(None, wanted, live, DEPLOYMENT)
    assert patch == {"spec": {"strategy": {"type": "Recreate", "$retainKeys": ["type"]}}}
    assert strategic_merge(live, patch, DEPLOYMENT) == wanted


def test_a_map_can_be_replaced_as_a_whole() -> None:
    live = {"metadata": {"labels": {"a": "1"}}}
    patch = {"metadata": {"labels": {"$patch": "replace", "b": "2"}}}
    assert strategic_merge(live, patch, POD) == {"metadata": {"labels": {"b": "2"}}}


def test_an_entry_without_its_merge_key_is_refused() -> None:
    with pytest.raises(PatchError, match="does not contain declared merge key: name"):
        strategic_merge(TWO, {"spec": {"containers": [{"image": "3"}]}}, POD)


def test_an_unknown_directive_is_refused() -> None:
    with pytest.raises(PatchError, match="use replace, delete or merge"):
        strategic_merge(TWO, {"spec": {"$patch": "remove"}}, POD)


def test_custom_resources_get_a_merge_patch() -> None:
    before = {"spec": {"list": [{"name": "a"}], "gone": 1}}
    wanted = {"spec": {"list": [{"name": "b"}]}}
    patch = three_way_merge(before, wanted, before, None)
    assert patch == {"spec": {"list": [{"name": "b"}], "gone": None}}
    assert merge_patch(before, patch) == wanted


# the examples of RFC 7386 and RFC 6902


@pytest.mark.parametrize(
    ("original", "patch", "after"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_follows_its_rfc(original: Any, patch: Any, after: Any) -> None:
    assert merge_patch(original, patch) == after


@pytest.mark.parametrize(
    ("document", "operation", "after"),
    [
        ({"a": 1}, {"op": "add", "path": "/b", "value": 2}, {"a": 1, "b": 2}),
        ({"a": [1, 3]}, {"op": "add", "path": "/a/1", "value": 2}, {"a": [1, 2, 3]}),
        ({"a": [1]}, {"op": "add", "path": "/a/-", "value": [2]}, {"a": [1, [2]]}),
        ({"a": 1}, {"op": "add", "path": "", "value": 2}, 2),
        ({"a": {"b/c": 1, "d~e": 2}}, {"op": "remove", "path": "/a/b~1c"}, {"a": {"d~e": 2}}),
        ({"a": {"b/c": 1, "d~e": 2}}, {"op": "remove", "path": "/a/d~0e"}, {"a": {"b/c": 1}}),
        ({"a": [1, 2]}, {"op": "remove", "path": "/a/0"}, {"a": [2]}),
        ({"a": [1, 2]}, {"op": "replace", "path": "/a/1", "value": None}, {"a": [1, None]}),
        ({"a": {"b": 1}, "c": {}}, {"op": "move", "from": "/a/b", "path": "/c/d"}, {"a": {}, "c": {"d": 1}}),
        ({"a": [1, 2, 3]}, {"op": "move", "from": "/a/0", "path": "/a/2"}, {"a": [2, 3, 1]}),
        ({"a": 1}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": 1, "b": 1}),
        ({"a": {"b": [1]}}, {"op": "test", "path": "/a", "value": {"b": [1]}}, {"a": {"b": [1]}}),
    ],
)
def test_a_json_patch_follows_its_rfc(document: Any, operation: Any, after: Any) -> None:
    kept = copy.deepcopy(document)
    assert json_patch(document, [operation]) == after
    assert document == kept


@pytest.mark.parametrize(
    ("operation", "complaint"),
    [
        ({"op": "remove", "path": "/b"}, 'doc is missing path: "/b"'),
        ({"op": "replace", "path": "/b", "value": 1}, 'doc is missing path: "/b"'),
        ({"op": "add", "path": "/b/c", "value": 1}, 'doc is missing path: "/b/c"'),
        ({"op": "add", "path": "/l/2", "value": 1}, 'doc is missing path: "/l/2"'),
        ({"op": "remove", "path": "/l/-"}, 'doc is missing path: "/l/-"'),
        ({"op": "test", "path": "/a", "value": True}, "testing value /a failed: it is 1"),
        ({"op": "add", "path": "/a"}, "needs a value"),
        ({"op": "move", "path": "/a"}, "needs from"),
        ({"op": "add", "path": "a", "value": 1}, "begin with a slash"),
        ({"op": "set", "path": "/a"}, "not a JSON patch operation"),
    ],
)
def test_an_operation_that_does_not_fit_says_why(operation: Any, complaint: str) -> None:
    with pytest.raises(PatchError, match=complaint):
        json_patch({"a": 1, "l": [0]}, [operation])
    with pytest.raises(PatchError, match="a list of operations"):
        json_patch({}, operation)
