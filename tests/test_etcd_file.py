"""etcd in a file: what was written is what is read back, also after a process that was killed in the middle."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k8snb.apimachinery.managed_fields import Manager, Owned
from k8snb.etcd import CompactedError
from k8snb.etcd.file import FileStore
from k8snb.trace import Origin

PODS = "/registry/pods/default/"


def obj(**fields: object) -> dict[str, object]:
    return {"metadata": {}, **fields}


def fill(store: FileStore) -> None:
    store.put(PODS + "a", obj(n=1), origin=Origin("jane", "create", 0, 1.5, "kubectl"))
    store.put(PODS + "b", obj(n=2))
    store.put("/registry/pods/other/c", obj(text="ä\u2028\n"))
    store.put(PODS + "a", obj(n=4))
    store.delete(PODS + "b")


def reopened(store: FileStore) -> FileStore:
    store.close()
    return FileStore(store._path)


def told(store: FileStore) -> object:
    """All that can be asked: what happened, and the world as it was at each revision and is now."""
    worlds = [store.range("/registry/", revision=number)[0] for number in
              (*range(store.compacted + 1, store.revision + 1), 0)]  # fmt: skip
    return store.revision, store.compacted, store.history(), worlds


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "etcd.log")


def test_what_was_written_is_read_back_with_its_history(store: FileStore) -> None:
    fill(store)
    before = told(store)
    again = reopened(store)
    assert told(again) == before
    assert again.put(PODS + "b", obj(n=6)).previous is not None
    assert again.revision == 6


def test_who_owns_which_fields_is_read_back(store: FileStore) -> None:
    managed = {Manager("kubectl", "Apply"): Owned(frozenset({("f:spec", "f:x")}), "v1", "2024-01-01T00:00:00Z")}
    store.put(PODS + "a", obj(), origin=Origin("jane", "apply", 3, 2.0, "kubectl", obj(n=1), managed))
    found = reopened(store).get(PODS + "a")
    assert found is not None
    assert found.origin == Origin("jane", "apply", 3, 2.0, "kubectl", obj(n=1), managed)


def test_what_was_compacted_away_is_not_in_the_file_either(store: FileStore) -> None:
    fill(store)
    size = store._path.stat().st_size
    store.compact(5)
    before = told(store)
    assert store._path.stat().st_size < size
    again = reopened(store)
    assert told(again) == before
    with pytest.raises(CompactedError):
        again.get(PODS + "a", 1)
    again.put(PODS + "d", obj())
    assert reopened(again).revision == 6


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "delete", "compact", "reopen"]))),
)
def test_any_history_is_read_back(tmp_path: Path, steps: list[tuple[str, str]]) -> None:
    path = tmp_path / "etcd.log"
    path.unlink(missing_ok=True)
    store = FileStore(path)
    for name, step in steps:
        if step == "put":
            store.put(PODS + name, obj(name=name))
        elif step == "delete":
            store.delete(PODS + name)
        elif step == "compact":
            store.compact(max(store.revision - 1, 0))
        else:
            before = told(store)
            store = reopened(store)
            assert told(store) == before
    before = told(store)
    again = reopened(store)
    assert told(again) == before
    again.close()


def test_a_line_that_is_not_whole_does_not_count(store: FileStore) -> None:
    """A process that is killed may have written the half of it."""
    fill(store)
    store.close()
    whole = store._path.read_bytes()
    store._path.write_bytes(whole[:-7])
    again = FileStore(store._path)
    assert again.revision == 4
    again.put(PODS + "z", obj())
    assert reopened(again).get(PODS + "z") is not None


def test_a_file_that_is_no_log_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello\n")
    with pytest.raises(ValueError, match=r"notes\.txt is no log of k8snb's etcd, or is damaged"):
        FileStore(path)
    assert path.read_text() == "hello\n"


def test_only_its_owner_reads_the_file(store: FileStore) -> None:
    """Secrets are in it."""
    assert store._path.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="optional: only Linux has a device that is always full")
def test_a_full_disk_is_told_and_the_cluster_goes_on_in_memory(store: FileStore) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, store._handle)
    os.close(full)
    store.put(PODS + "a", obj())
    assert store.problem.endswith("etcd.log any more: No space left on device")
    assert store.get(PODS + "a") is not None
