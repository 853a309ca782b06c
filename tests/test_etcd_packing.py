"""etcd, embedded: what is long past takes little memory, and nobody can see it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8snb.etcd import MOST, memory
from k8snb.etcd.deltas import GONE, difference, is_within, patched
from k8snb.etcd.file import FileStore
from k8snb.etcd.memory import MemoryStore
from k8snb.etcd.past import fork

KEY = "/registry/pods/default/a"
WHOLE = 3  # records that stay whole in these tests

leaves = st.none() | st.booleans() | st.integers(0, 2) | st.floats(0, 1) | st.text("ab", max_size=2)
entries = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner), max_leaves=12
)
objects = st.builds(lambda fields: {"metadata": {"resourceVersion": "0"}, **fields}, st.dictionaries(
    st.sampled_from(("spec", "status", "data")), entries))  # fmt: skip


@pytest.fixture(autouse=True)
def soon_packed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(memory, "RECENT", WHOLE)
    yield


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def status(number: int) -> dict[str, Any]:
    """An object of which one entry changes."""
    filler = [{"name": f"container-{place}", "image": "nginx"} for place in range(9)]
    return {"metadata": {"name": "a"}, "spec": {"containers": filler}, "status": {"count": number, "fixed": [1, 2]}}


def written(store: MemoryStore, count: int, *, first: int = 0) -> list[str]:
    """The object changed so many times; what each record said when it was new."""
    return [text(store.put(KEY, status(first + number)).value) for number in range(count)]


def texts(store: MemoryStore) -> list[str]:
    return [text(record.value) for record in store.history(KEY)]


def packed(store: MemoryStore) -> list[bool]:
    return [record.is_packed for record in store.history(KEY)]


# differences


@given(objects, objects)
def test_a_base_and_a_difference_make_the_value(base: dict[str, Any], value: dict[str, Any]) -> None:
    before = copy.deepcopy(base)
    made = patched(base, difference(base, value), 7)
    assert text(made) == text({**value, "metadata": {"resourceVersion": "7"}})
    assert base == before


def test_what_does_not_differ_is_shared_and_not_copied() -> None:
    base, value = status(1), status(2)
    made = patched(base, difference(base, value), 2)
    assert made["spec"] is base["spec"]
    assert made["status"]["fixed"] is base["status"]["fixed"]
    assert difference(base, value) == [("status", "count"), 2]


def test_one_and_true_are_different_and_so_is_nothing() -> None:
    assert difference({"a": 1}, {"a": True}) == [("a",), True]
    assert difference({"a": 1}, {"a": 1.0}) == [("a",), 1.0]
    assert difference({"a": None}, {}) == [("a",), GONE]
    assert difference({}, {"a": None}) == [("a",), None]


@pytest.mark.parametrize(("entries", "count"), [(["text", None], 2), ([[1, 2]], 3), ([{"a": [1]}, []], 4)])
def test_entries_count_with_what_lies_in_them(entries: list[Any], count: int) -> None:
    assert is_within(entries, count)
    assert not is_within(entries, count - 1)


# records


def test_records_are_packed_when_enough_others_have_been_superseded_after_them() -> None:
    store = MemoryStore()
    said = written(store, 8)
    assert packed(store) == [False, True, True, True, False, False, False, False]  # the first is the base of all
    assert texts(store) == said


def test_the_newest_record_is_never_packed() -> None:
    store = MemoryStore()
    store.put("/registry/pods/default/still", status(0))
    written(store, 3 * WHOLE)
    still = store.get("/registry/pods/default/still")
    assert still is not None
    assert not still.is_packed
    assert still.value is still.value


def test_a_value_that_has_little_in_common_with_the_base_becomes_the_next_base() -> None:
    store = MemoryStore()
    said = written(store, 2)
    other = {"metadata": {"name": "a"}, "data": {f"key-{number}": "value" for number in range(MOST + 1)}}
    said += [text(store.put(KEY, {**copy.deepcopy(other), "n": number}).value) for number in range(WHOLE + 3)]
    assert packed(store) == [False, True, False, True, *[False] * (WHOLE + 1)]
    assert texts(store) == said


def test_a_new_life_of_a_key_has_a_base_of_its_own() -> None:
    store = MemoryStore()
    said = written(store, 2)
    end = store.delete(KEY)
    assert end is not None
    said += [text(end.value), *written(store, WHOLE + 3, first=10)]
    assert packed(store) == [False, True, True, False, True, *[False] * (WHOLE + 1)]
    assert texts(store) == said


@given(st.lists(st.tuples(st.sampled_from("ab"), objects | st.none()), max_size=25), st.integers(1, 25))
def test_every_revision_says_what_it_said_when_it_was_written(
    writes: list[tuple[str, dict[str, Any] | None]], cut: int
) -> None:
    store = MemoryStore()
    said: dict[int, str] = {}
    for name, value in writes:
        key = f"/registry/pods/default/{name}"
        record = store.put(key, value) if value is not None else store.delete(key)
        if record is not None:
            said[record.revision] = text(record.value)
    assert {record.revision: text(record.value) for record in store.history()} == said
    if cut <= store.revision:
        store.compact(cut)
        written(store, 3 * WHOLE)
    for record in store.history():
        assert text(record.value) == said.get(record.revision, text(record.value))
        assert record.value["metadata"]["resourceVersion"] == str(record.revision)


def test_after_a_compaction_what_is_past_is_packed_as_before() -> None:
    store = MemoryStore()
    said = written(store, 12)
    store.compact(5)
    said += written(store, 5, first=12)
    assert texts(store) == said[4:]
    assert packed(store) == [True] * 9 + [False] * (WHOLE + 1)


def test_a_fork_leaves_the_records_that_it_shares_as_they_are() -> None:
    store = MemoryStore()
    said = written(store, 4)
    other = fork(store, 4)
    own = written(other, 10, first=100)
    assert packed(store)[-1] is False
    assert texts(store) == said
    assert texts(other) == [*said, *own]
    assert sum(packed(other)) > 3


def test_what_is_read_back_from_a_file_is_packed_too(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "etcd.log")
    said = written(store, 10)
    store.close()
    again = FileStore(tmp_path / "etcd.log")
    assert texts(again) == said
    assert packed(again) == packed(store)
    again.compact(6)
    again.close()
    last = FileStore(tmp_path / "etcd.log")
    assert texts(last) == said[5:]
    last.close()
