"""etcd's guard: a store that notices when somebody mutates what it has handed out.

Interface: `GuardedStore`, a `MemoryStore`; `check()` raises for the first object that is not as it was written.
For tests: it keeps a copy of every object as text, which costs time and memory.
"""

from __future__ import annotations

import json

from k8snb.etcd import Record
from k8snb.etcd.deltas import Value
from k8snb.etcd.memory import MemoryStore
from k8snb.trace import BOOT, Origin


class GuardedStore(MemoryStore):
    """The embedded store, with a memory of what each record said."""

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[int, str] = {}

    def put(self, key: str, value: Value, *, expected: int | None = None, origin: Origin = BOOT) -> Record:
        record = super().put(key, value, expected=expected, origin=origin)
        self._written[record.revision] = json.dumps(record.value, sort_keys=True)
        return record

    def check(self) -> None:
        """Raises AssertionError that names the object and who wrote it."""
        for record in self.history():
            written = self._written.get(record.revision)
            if written is not None and written != json.dumps(record.value, sort_keys=True):
                raise AssertionError(f"{record.key}, written by {record.origin.actor}, has been changed in place")
