"""etcd, embedded: the laws of the revision log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8snb.etcd import DELETE, PUT, CompactedError, FutureRevisionError, MismatchError, Record
from k8snb.etcd.memory import MemoryStore
from k8snb.trace import Origin


def obj(**fields: object) -> dict[str, object]:
    return {"metadata": {}, **fields}


def filled() -> MemoryStore:
    store = MemoryStore()
    store.put("/registry/pods/default/a", obj(n=1))
    store.put("/registry/pods/default/b", obj(n=2))
    store.put("/registry/pods/other/c", obj(n=3))
    store.put("/registry/pods/default/a", obj(n=4))
    store.delete("/registry/pods/default/b")
    return store


def test_each_write_is_one_revision_and_stamps_it_on_the_object() -> None:
    store = MemoryStore()
    first = store.put("/registry/pods/default/a", obj())
    second = store.put("/registry/pods/default/a", obj())
    assert (first.revision, second.revision, store.revision) == (1, 2, 2)
    assert second.value["metadata"]["resourceVersion"] == "2"


def test_a_range_is_sorted_by_key_and_holds_only_what_lives() -> None:
    records, more = filled().range("/registry/pods/")
    assert [record.key for record in records] == ["/registry/pods/default/a", "/registry/pods/other/c"]
    assert not more


def test_a_range_can_be_read_in_pages() -> None:
    store = filled()
    page, more = store.range("/registry/pods/", limit=1)
    assert more
    rest, more = store.range("/registry/pods/", start_after=page[0].key)
    assert [record.key for record in rest] == ["/registry/pods/other/c"]
    assert not more


def test_an_old_revision_shows_the_world_as_it_was() -> None:
    store = filled()
    records, _ = store.range("/registry/pods/default/", revision=3)
    assert [record.value["n"] for record in records] == [1, 2]
    assert store.get("/registry/pods/default/b", 4) is not None
    assert store.get("/registry/pods/default/b", 5) is None


def test_the_future_cannot_be_read() -> None:
    with pytest.raises(FutureRevisionError):
        filled().get("/registry/pods/default/a", 6)


def test_a_writer_who_expects_another_revision_is_refused() -> None:
    store = filled()
    with pytest.raises(MismatchError):
        store.put("/registry/pods/default/a", obj(), expected=1)
    with pytest.raises(MismatchError):
        store.put("/registry/pods/default/a", obj(), expected=0)
    assert store.put("/registry/pods/default/a", obj(), expected=4).revision == 6
    assert store.put("/registry/pods/default/b", obj(), expected=0).created == 7


def test_deleting_what_is_not_there_writes_nothing() -> None:
    store = filled()
    assert store.delete("/registry/pods/default/nobody") is None
    assert store.revision == 5


def test_the_end_of_a_key_carries_its_last_value_at_the_revision_of_its_end() -> None:
    store = MemoryStore()
    store.put("/registry/pods/default/a", obj(n=1))
    record = store.delete("/registry/pods/default/a")
    assert record is not None
    assert (record.sort, record.value["n"], record.value["metadata"]["resourceVersion"]) == (DELETE, 1, "2")


def test_a_watch_replays_what_came_after_a_revision_and_goes_on() -> None:
    store = filled()
    seen: list[Record] = []
    stop = store.watch("/registry/pods/default/", seen.append, after=2)
    store.put("/registry/pods/default/d", obj())
    store.put("/registry/pods/other/e", obj())
    stop()
    store.put("/registry/pods/default/f", obj())
    assert [(record.sort, record.revision) for record in seen] == [(PUT, 4), (DELETE, 5), (PUT, 6)]


def test_compaction_keeps_the_present_and_forgets_the_past() -> None:
    store = filled()
    before = [record.value for record in store.range("/registry/pods/")[0]]
    store.compact(4)
    assert [record.value for record in store.range("/registry/pods/")[0]] == before
    assert [record.value["n"] for record in store.range("/registry/pods/default/", revision=4)[0]] == [4, 2]
    with pytest.raises(CompactedError):
        store.get("/registry/pods/default/a", 3)
    with pytest.raises(CompactedError):
        store.watch("/registry/pods/", print, after=2)
    seen: list[Record] = []
    store.watch("/registry/pods/", seen.append, after=3)
    assert [record.revision for record in seen] == [4, 5]


def test_history_says_who_wrote_and_why() -> None:
    store = MemoryStore()
    store.put("/registry/pods/default/a", obj(), origin=Origin("kubernetes-admin", "create"))
    store.put("/registry/pods/default/a", obj(), origin=Origin("system:kube-scheduler", "create binding", cause=1))
    assert [(record.origin.actor, record.origin.cause) for record in store.history("/registry/pods/default/a")] == [
        ("kubernetes-admin", 0),
        ("system:kube-scheduler", 1),
    ]


KEYS = st.sampled_from([f"/registry/pods/{namespace}/{name}" for namespace in "xy" for name in "abc"])


@given(st.lists(st.tuples(KEYS, st.booleans()), max_size=40), st.integers(0, 40))
def test_every_revision_after_compaction_reads_as_a_replay_of_the_log(
    writes: list[tuple[str, bool]], compact_at: int
) -> None:
    store = MemoryStore()
    world: dict[str, int] = {}
    worlds: dict[int, dict[str, int]] = {}
    for number, (key, is_put) in enumerate(writes):
        if is_put:
            store.put(key, obj(n=number))
            world[key] = number
        elif store.delete(key) is not None:
            del world[key]
        worlds[store.revision] = dict(world)
    at = min(compact_at, store.revision)
    if at:
        store.compact(at)
    for revision, expected in worlds.items():
        if revision <= store.compacted or not revision:
            continue
        records, _ = store.range("/registry/pods/", revision=revision)
        assert {record.key: record.value["n"] for record in records} == expected
