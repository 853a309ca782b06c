"""managedFields and structured merge: sets of fields, and what the schema makes of two objects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8snb.apimachinery import managed_fields as mf
from k8snb.apimachinery.managed_fields import FieldSet, Manager, Owned, parse, path_text, serialise
from k8snb.apimachinery.structured_merge import (
    DEDUCED,
    Shape,
    compare,
    custom,
    faults,
    field_set,
    merge,
    remove,
    shape_of,
    with_named_fields,
)

Object = dict[str, Any]
DEPLOYMENT, POD, SERVICE = (
    shape_of("apps/v1", "Deployment"), shape_of("v1", "Pod"), shape_of("v1", "Service"),
)  # fmt: skip

steps = st.one_of(
    st.sampled_from(["spec", "a.b/c", "é", "", "."]).map(mf.field),
    st.sampled_from([{"name": "web"}, {"containerPort": 80, "protocol": "TCP"}]).map(mf.key),
    st.sampled_from(["x", 1, True, None]).map(mf.value),
    st.integers(0, 3).map(mf.index),
)
paths = st.lists(steps, min_size=1, max_size=4).map(tuple)
field_sets = st.frozensets(paths, max_size=12)


def pod(*containers: Object, **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": list(containers)}}


def shown(fields: FieldSet) -> list[str]:
    return [path_text(path) for path in mf.in_order(fields)]


# sets


@given(field_sets)
def test_a_set_survives_its_own_text(fields: FieldSet) -> None:
    assert parse(serialise(fields)) == fields


@given(field_sets, field_sets, field_sets)
def test_sets_keep_the_laws_of_algebra(one: FieldSet, two: FieldSet, three: FieldSet) -> None:
    assert one | two == two | one
    assert one & (two | three) == (one & two) | (one & three)
    assert one - (two | three) == (one - two) - three
    assert (one - two) | (one & two) == one


@given(field_sets)
def test_leaves_have_no_member_below_them_and_every_member_is_above_one(fields: FieldSet) -> None:
    leaves = mf.leaves(fields)
    assert leaves <= fields
    for path in fields:
        below = [leaf for leaf in leaves if leaf[: len(path)] == path]
        assert below
        assert path not in leaves or below == [path]


@given(field_sets, paths)
def test_without_cuts_a_path_and_all_below_it(fields: FieldSet, root: mf.Path) -> None:
    left = mf.without(fields, [root])
    assert left <= fields
    assert set(fields - left) == {path for path in fields if path[: len(root)] == root}


def test_a_field_that_holds_owned_fields_is_owned_only_where_a_dot_says_so() -> None:
    inside, both = {"f:labels": {"f:app": {}}}, {"f:labels": {".": {}, "f:app": {}}}
    assert shown(parse(inside)) == [".labels.app"]
    assert shown(parse(both)) == [".labels", ".labels.app"]
    assert serialise(parse(both)) == both


def test_keys_are_spelled_in_one_way_whatever_their_order() -> None:
    left = parse({'k:{"protocol":"TCP","containerPort":80}': {}})
    right = parse({'k:{"containerPort": 80, "protocol": "TCP"}': {}})
    assert left == right
    assert shown(left) == ['[containerPort=80,protocol="TCP"]']


def test_paths_read_as_upstream_writes_them() -> None:
    path = (mf.field("spec"), mf.key({"name": "web"}), mf.value("a"), mf.index(3), mf.field("image"))
    assert path_text(path) == '.spec[name="web"][="a"][3].image'


@pytest.mark.parametrize("wrong", [{"x:spec": {}}, {"k:[1]": {}}, {"i:one": {}}, {"f:spec": 3}, [], {"spec": {}}])
def test_what_is_no_fields_v1_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError):
        parse(wrong)


# entries


def test_entries_survive_reading_and_writing() -> None:
    fields = frozenset({(mf.field("spec"), mf.field("replicas"))})
    managers = {
        Manager("me", "Apply"): Owned(fields, "apps/v1", "2024-01-01T00:00:00Z"),
        Manager("kubectl", "Update", "scale", "apps/v1"): Owned(fields, "apps/v1", "2023-01-01T00:00:00Z"),
    }
    entries = mf.encode(managers)
    assert entries[0] == {
        "manager": "me", "operation": "Apply", "apiVersion": "apps/v1", "time": "2024-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }  # fmt: skip
    assert entries[1]["subresource"] == "scale"
    assert mf.decode(entries) == managers


@pytest.mark.parametrize("wrong", [{}, [3], [{"operation": "Get"}], [{"operation": "Apply", "fieldsType": "V2"}]])
def test_entries_that_make_no_sense_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError):
        mf.decode(wrong)


# what an object speaks of


def test_the_entries_of_a_list_are_known_by_their_keys_and_defaults_count() -> None:
    obj = pod({"name": "web", "ports": [{"containerPort": 80}]})
    assert shown(field_set(obj, POD)) == [
        ".apiVersion",
        ".kind",
        ".metadata",
        '.spec.containers[name="web"]',
        '.spec.containers[name="web"].name',
        '.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"]',
        '.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"].containerPort',
    ]


def test_what_is_atomic_is_one_field() -> None:
    selector = {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}
    obj = {"spec": {"selector": selector}}
    assert shown(field_set(obj, DEPLOYMENT)) == [".spec.selector"]
    command = pod({"name": "web", "command": ["sh", "-c"]})
    assert '.spec.containers[name="web"].command' in shown(field_set(command, POD))


def test_a_set_owns_its_entries_one_by_one() -> None:
    assert shown(field_set({"metadata": {"finalizers": ["a", "b"]}}, POD)) == [
        '.metadata.finalizers[="a"]', '.metadata.finalizers[="b"]',
    ]  # fmt: skip


def test_without_a_schema_maps_are_granular_and_lists_atomic() -> None:
    obj = {"spec": {"size": 3, "hosts": ["a", "b"]}}
    assert shown(field_set(obj, DEDUCED)) == [".spec", ".spec.hosts", ".spec.size"]


def test_a_definition_says_how_its_lists_merge() -> None:
    ports = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
             "items": {"type": "object", "properties": {
                 "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}}}}  # fmt: skip
    spec = {"ports": ports, "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "owner": {"type": "object", "x-kubernetes-map-type": "atomic"}}  # fmt: skip
    shape = custom({"properties": {"spec": {"type": "object", "properties": spec}}})
    obj = {"metadata": {"finalizers": ["x"]}, "spec": {"ports": [{"port": 1}], "tags": ["a"], "owner": {"name": "me"}}}
    assert shown(field_set(obj, shape)) == [
        '.metadata.finalizers[="x"]',
        ".spec.owner",
        '.spec.ports[port=1,protocol="TCP"]',
        '.spec.ports[port=1,protocol="TCP"].port',
        '.spec.tags[="a"]',
    ]


# comparing


def test_a_comparison_tells_removed_modified_and_added_apart() -> None:
    before = pod({"name": "web", "image": "a", "tty": True}, labels={"app": "web"})
    after = pod({"name": "web", "image": "b"}, {"name": "log"}, labels={"app": "web", "tier": "x"})
    compared = compare(before, after, POD)
    assert shown(compared.removed) == ['.spec.containers[name="web"].tty']
    assert shown(compared.modified) == ['.spec.containers[name="web"].image']
    assert shown(compared.added) == [
        ".metadata.labels.tier",
        '.spec.containers[name="log"]',
        '.spec.containers[name="log"].name',
    ]


def test_another_order_of_entries_is_no_change_of_their_owners() -> None:
    one, two = {"name": "one"}, {"name": "two"}
    assert compare(pod(one, two), pod(two, one), POD).is_same


def test_what_the_server_writes_even_when_empty_is_never_added() -> None:
    created = compare({}, {"spec": {"strategy": {"type": "Recreate"}, "paused": True}}, DEPLOYMENT)
    assert shown(created.added) == [".spec.paused", ".spec.strategy.type"]


def test_entries_that_cannot_be_told_apart_are_compared_as_one() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    before, after = pod({"name": "web", "env": env}), pod({"name": "web", "env": env[::-1]})
    assert shown(compare(before, after, POD).modified) == ['.spec.containers[name="web"].env[name="A"]']
    assert compare(before, before, POD).is_same


values: Any = st.recursive(
    st.one_of(st.integers(0, 2), st.sampled_from(["x", "y"])),
    lambda inner: st.one_of(st.dictionaries(st.sampled_from("abc"), inner, max_size=3), st.lists(inner, max_size=2)),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)
containers = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["a", "b", "c"])}, optional={"image": st.sampled_from(["x", "y"])}),
    unique_by=lambda container: container["name"],
    max_size=3,
)
labels = st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2)
pods = st.builds(lambda listed, marks: pod(*listed, labels=marks), containers, labels)


@given(objects)
def test_an_object_does_not_differ_from_itself(obj: Object) -> None:
    assert compare(obj, {**obj}, DEDUCED).is_same


@given(st.one_of(st.tuples(objects, objects, st.just(DEDUCED)), st.tuples(pods, pods, st.just(POD))))
def test_what_one_way_adds_the_other_way_removes(case: tuple[Object, Object, Shape]) -> None:
    before, after, shape = case
    there, back = compare(before, after, shape), compare(after, before, shape)
    assert there.added == back.removed
    assert there.modified == back.modified
    assert not there.added & there.modified


# merging and cutting


@given(st.one_of(st.tuples(objects, objects, st.just(DEDUCED)), st.tuples(pods, pods, st.just(POD))))
def test_after_a_merge_the_object_says_what_was_merged_in(case: tuple[Object, Object, Shape]) -> None:
    live, config, shape = case
    merged = merge(live, config, shape)
    again = merge(merged, config, shape)
    assert again == merged
    kept = compare(config, merged, shape)
    assert not kept.removed
    if shape is POD:  # among untyped values an empty map may meet a filled one
        assert not kept.modified


@given(pods, pods)
def test_a_merge_keeps_what_it_does_not_speak_of(live: Object, config: Object) -> None:
    assert not compare(live, merge(live, config, POD), POD).removed


def test_merged_entries_come_in_the_applied_order_and_the_others_keep_their_place() -> None:
    def names(*wanted: str) -> Object:
        return pod(*({"name": name} for name in wanted))

    merged = merge(names("a", "x", "b", "y"), names("b", "new", "a"), POD)
    assert [container["name"] for container in merged["spec"]["containers"]] == ["x", "b", "y", "new", "a"]
    assert merge(names("a", "x"), names("a", "b"), POD) == names("a", "x", "b")


def test_an_atomic_value_is_replaced_as_a_whole() -> None:
    live = {"spec": {"selector": {"matchLabels": {"app": "web", "tier": "x"}}}}
    config = {"spec": {"selector": {"matchLabels": {"app": "web"}}}}
    assert merge(live, config, DEPLOYMENT) == config


@given(pods.filter(lambda obj: obj["spec"]["containers"]))
def test_cutting_all_that_an_object_speaks_of_leaves_nothing(obj: Object) -> None:
    everything = with_named_fields(field_set(obj, POD), POD)
    assert remove(obj, everything, POD) == {}
    assert remove(obj, mf.NO_FIELDS, POD) is obj


def test_cutting_takes_the_named_fields_only() -> None:
    obj = pod({"name": "a", "image": "x"}, {"name": "b"}, labels={"app": "web"})
    fields = parse({"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:containers": {'k:{"name":"b"}': {}}}})
    left = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "a", "image": "x"}]}}
    assert remove(obj, fields, POD) == left


def test_entries_without_keys_or_with_the_same_are_faults() -> None:
    twice = pod({"name": "a"}, {"name": "a"})
    assert list(faults(twice, POD)) == ['.spec.containers: duplicate entries for key [name="a"]']
    assert 'omits key field "name"' in next(faults(pod({"image": "x"}), POD))
    assert not list(faults(pod({"name": "a", "ports": [{"containerPort": 1}]}), POD))


def test_a_service_keeps_two_ports_apart_by_protocol() -> None:
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53}]
    merged = merge({"spec": {"ports": ports}}, {"spec": {"ports": [{"port": 53, "name": "tcp"}]}}, SERVICE)
    assert merged["spec"]["ports"] == [{"port": 53, "protocol": "UDP"}, {"port": 53, "name": "tcp"}]
