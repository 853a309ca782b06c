"""etcd with a data directory: the embedded revision log, written to a file as it grows.

Interface: `FileStore(path)`, an `etcd.Store`; `problem` says why nothing more is written, "" while all is; `close`.
The rule not to break: a line is complete or it does not count; what was read back is what had been written.
Real etcd has a write-ahead log beside its bbolt file, and waits for the disk after each write: it survives a power cut,
and this one the end of its process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from k8snb.apimachinery import managed_fields
from k8snb.etcd import PUT, Keep, Record
from k8snb.etcd.memory import MemoryStore, directory_of
from k8snb.trace import Origin

OWN = 0o600  # Secrets are in it
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class FileStore(MemoryStore):
    """The log in memory, and the same in a file: a line with the first revision that can be read, then one for each
    record. Raises ValueError for a file that is none of these, OSError where it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.problem = ""
        self._path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, OWN)
        try:
            self._read_back()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Write no more."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def compact(self, revision: int, *, keep: Keep | None = None) -> None:
        """Forget how things were before `revision`, in the file as well."""
        before = self.compacted
        super().compact(revision, keep=keep)
        if self.compacted != before and self._handle >= 0:
            self._rewrite()

    def _append(self, record: Record) -> Record:
        self._write(_line(record))
        return super()._append(record)

    def _write(self, line: bytes) -> None:
        if self._handle < 0 or self.problem:
            return
        try:
            left = memoryview(line)
            while left:
                left = left[os.write(self._handle, left) :]
        except OSError as error:
            self.problem = f"nothing is written to {self._path} any more: {error.strerror}"

    def _read_back(self) -> None:
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            os.truncate(self._path, whole)  # the process was killed in the middle of a line
        lines = content[:whole].split(b"\n")[:-1]
        if not lines:
            return self._write(_head(self._first))
        try:
            self._first = int(json.loads(lines[0])["first"])
            for line in lines[1:]:
                self._replay(_record(json.loads(line.decode(errors="surrogatepass"))))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ValueError(f"{self._path} is no log of k8snb's etcd, or is damaged: {error}") from None

    def _replay(self, record: Record) -> None:
        """What happened once more, to nobody's ears."""
        directory = directory_of(record.key)
        if directory not in self._living:
            self._open(directory)
        living, ended = self._living[directory], self._ended[directory]
        linked = record.replaced(previous=living.pop(record.key, None) or ended.pop(record.key, None))
        if record.sort == PUT or record.revision > self._first:
            (living if record.sort == PUT else ended)[record.key] = linked
        if record.revision >= self._first:
            self._log.append(linked)
        if linked.previous is not None:
            self._supersede(linked.previous)

    def _rewrite(self) -> None:
        """A file of what can still be read takes the place of the old one, whole or not at all."""
        fresh = self._path.with_name(self._path.name + ".new")
        lines = [_head(self._first), *(_line(record) for record in (*self._bases(), *self._log))]
        try:
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, OWN)
            with os.fdopen(os.dup(handle), "wb") as file:
                file.writelines(lines)
            os.replace(fresh, self._path)
        except OSError as error:
            self.problem = f"nothing is written to {self._path} any more: {error.strerror}"
            return
        self.close()
        self._handle = handle

    def _bases(self) -> Iterable[Record]:
        """The records that stand from before the log's beginning, oldest first."""
        newest = (record for part in (self._living, self._ended) for keys in part.values() for record in keys.values())
        bases = (_oldest(record) for record in newest)
        return sorted((base for base in bases if base.revision < self._first), key=lambda base: base.revision)


def _oldest(record: Record) -> Record:
    while record.previous is not None:
        record = record.previous
    return record


def _head(first: int) -> bytes:
    return _encode({"first": first}).encode() + b"\n"


def _line(record: Record) -> bytes:
    origin = record.origin
    managed = None if origin.managed is None else managed_fields.encode(origin.managed)
    told = [*origin[:-1], managed]
    row = [record.revision, record.sort, record.key, record.value, record.created, told]
    return _encode(row).encode(errors="surrogatepass") + b"\n"


def _record(found: list[Any]) -> Record:
    revision, sort, key, value, created, told = found
    managed = None if told[-1] is None else managed_fields.decode(told[-1])
    return Record(revision, sort, key, value, None, created, Origin._make([*told[:-1], managed]))
