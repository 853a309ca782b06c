"""generic-garbage-collector: what was owned goes when its owners have gone, in the order that was asked for."""

from __future__ import annotations

import pytest
from controllers_lab import Lab

from k8snb.apimachinery.meta import Object, is_deleting, uid_of
from k8snb.controllers.garbagecollector import GarbageCollector


def lab() -> Lab:
    return Lab(GarbageCollector).start()


def make(one: Lab, name: str, *owners: Object, blocks: bool = True, **metadata: object) -> Object:
    references = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": uid_of(owner),
            "blockOwnerDeletion": blocks,
        }
        for owner in owners
    ]
    wanted = {"metadata": {"name": name, "namespace": "default", "ownerReferences": references or None, **metadata}}
    wanted["metadata"] = {key: value for key, value in wanted["metadata"].items() if value}
    return one.client.create("configmaps", wanted)


def delete(one: Lab, name: str, policy: str) -> None:
    one.client.delete("configmaps", name, "default", propagationPolicy=policy)
    one.run()


def chain(one: Lab) -> None:
    """top owns middle, middle owns bottom."""
    make(one, "bottom", make(one, "middle", make(one, "top")))
    one.run()


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_dependents_follow_their_owner(policy: str) -> None:
    """docs: concepts/architecture/garbage-collection (Background cascading deletion); e2e:
    test/e2e/apimachinery/garbage_collector.go "should delete pods created by rc when not orphaning"."""
    one = lab()
    chain(one)
    make(one, "bystander")
    delete(one, "top", policy)
    assert one.names("configmaps") == ["bystander"]


def test_orphans_stay_and_name_no_owner() -> None:
    """docs: garbage-collection (Orphaned dependents); e2e: garbage_collector.go "should orphan pods created by rc if
    delete options say so"."""
    one = lab()
    chain(one)
    delete(one, "top", "Orphan")
    assert one.names("configmaps") == ["bottom", "middle"]
    assert not one.get("configmaps", "middle")["metadata"].get("ownerReferences")


def test_in_the_foreground_the_owner_goes_last() -> None:
    """docs: garbage-collection (Foreground cascading deletion); e2e: garbage_collector.go "should keep the rc around
    until all its pods are deleted if the deleteOptions says so"."""
    one = lab()
    owner = make(one, "owner")
    make(one, "child", owner, finalizers=["example.com/hold"])
    one.run()
    delete(one, "owner", "Foreground")
    assert is_deleting(one.get("configmaps", "owner"))
    assert is_deleting(one.get("configmaps", "child"))
    one.apply("configmaps", "child", {"metadata": {"finalizers": None}})
    one.run()
    assert one.names("configmaps") == []


def test_in_the_foreground_nobody_waits_for_a_dependent_that_does_not_block() -> None:
    """docs: garbage-collection (Foreground cascading deletion): ownerReference.blockOwnerDeletion."""
    one = lab()
    owner = make(one, "owner")
    make(one, "child", owner, blocks=False, finalizers=["example.com/hold"])
    one.run()
    delete(one, "owner", "Foreground")
    assert one.names("configmaps") == ["child"]


def test_an_object_lives_as_long_as_one_owner_does() -> None:
    """e2e: garbage_collector.go "should not delete dependents that have both valid owner and owner that's waiting
    for dependents to be deleted"."""
    one = lab()
    make(one, "child", make(one, "first"), make(one, "second"))
    one.run()
    delete(one, "first", "Background")
    references = one.get("configmaps", "child")["metadata"]["ownerReferences"]
    assert [reference["name"] for reference in references] == ["second"]
    delete(one, "second", "Background")
    assert one.names("configmaps") == []


def test_an_object_whose_owner_never_was_is_deleted() -> None:
    """docs: garbage-collection (Owner references): an owner that does not exist is treated as absent."""
    one = lab()
    ghost = {"metadata": {"name": "ghost", "uid": "00000000-0000-0000-0000-000000000000"}}
    make(one, "child", ghost)
    one.run()
    assert one.names("configmaps") == []


def test_a_name_taken_again_is_not_the_owner() -> None:
    """upstream: pkg/controller/garbagecollector/garbagecollector.go: isDangling compares the UID."""
    one = lab()
    first = make(one, "owner")
    one.client.delete("configmaps", "owner", "default")
    make(one, "owner")
    make(one, "child", first)
    one.run()
    assert one.names("configmaps") == ["owner"]


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_a_circle_of_owners_comes_to_an_end(policy: str) -> None:
    """e2e: garbage_collector.go "should not be blocked by dependency circle"."""
    one = lab()
    left = make(one, "left")
    right = make(one, "right", left)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "right", "uid": uid_of(right)}
    one.apply("configmaps", "left", {"metadata": {"ownerReferences": [{**reference, "blockOwnerDeletion": True}]}})
    one.run()
    delete(one, "left", policy)
    assert one.names("configmaps") == []


def test_an_owner_of_a_kind_that_is_not_served_is_believed_to_be_there() -> None:
    """upstream: garbagecollector.go: an owner whose kind has no REST mapping is not dangling."""
    one = lab()
    reference = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "uid": "1"}
    make(one, "child", ownerReferences=[reference])
    one.run()
    assert one.names("configmaps") == ["child"]


def test_what_went_while_nobody_looked_is_found_at_the_start() -> None:
    """upstream: garbagecollector/graph_builder.go: virtual nodes are verified."""
    one = lab()
    chain(one)
    one.informers.stop()
    one.client.delete("configmaps", "top", "default")
    one.restart()
    assert one.names("configmaps") == []


def test_a_restarted_collector_writes_nothing() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = lab()
    chain(one)
    revision = one.store.revision
    assert one.restart().store.revision == revision


def test_only_what_was_owned_is_looked_at_beside_a_thousand_strangers() -> None:
    """k8snb: the cost of a deletion grows with what was owned."""
    one = lab()
    for number in range(1000):
        make(one, f"stranger-{number}")
    one.run()
    seen = []
    sync = one.controller.sync
    one.controller.queue._process = lambda key, cause: (seen.append(key), sync(key))
    chain(one)
    delete(one, "top", "Background")
    assert set(seen) <= {"configmaps default/top", "configmaps default/middle", "configmaps default/bottom"}
    assert len(seen) <= 4
