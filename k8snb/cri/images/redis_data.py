"""The data of redis-server, and its commands as a table.

Interface: `Database`; `COMMANDS`, each with how many arguments it takes and a function on the database; `encode` for
answers. The rule not to break: a command runs under the database's lock.
"""

from __future__ import annotations

import fnmatch
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

ANY = 1_000_000
Words = Sequence[bytes]


class RedisError(Exception):
    """A refusal; the text begins with redis' word for it."""


class Status(str):
    """An answer such as OK, which RESP tells apart from data."""


class Database:
    """Keys to strings (bytes), lists or dicts, each with a moment at which it ends."""

    def __init__(self, version: str, settings: dict[str, str], dump: str) -> None:
        self.version, self.settings, self.dump = version, settings, dump
        self.lock = threading.RLock()
        self.values: dict[bytes, Any] = {}
        self.ends: dict[bytes, float] = {}

    def find(self, key: bytes, sort: type = bytes) -> Any:
        """The value, or None. Raises RedisError when it is of another sort."""
        if self.ends.get(key, time.time() + 1) <= time.time():
            self.drop(key)
        value = self.values.get(key)
        if value is not None and not isinstance(value, sort):
            raise RedisError("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    def make(self, key: bytes, sort: type) -> Any:
        """The list or dict at a key, made where there is none."""
        found = self.find(key, sort)
        if found is None:
            found = self.values[key] = sort()
        return found

    def drop(self, key: bytes) -> bool:
        self.ends.pop(key, None)
        return self.values.pop(key, None) is not None

    def alive(self) -> list[bytes]:
        return [key for key in list(self.values) if self.find(key, object) is not None]

    def save(self) -> None:
        """Write all strings, lists and dicts to the dump, where its directory is there."""
        os.makedirs(os.path.dirname(self.dump), exist_ok=True)
        with self.lock, open(self.dump + ".new", "w", encoding="utf-8") as file:
            rows = [[_text(key), _plain(self.values[key]), self.ends.get(key)] for key in self.alive()]
            json.dump(rows, file)
        os.replace(self.dump + ".new", self.dump)

    def load(self) -> None:
        try:
            with open(self.dump, encoding="utf-8") as file:
                rows = json.load(file)
        except OSError:
            return
        for key, value, end in rows:
            self.values[_bytes(key)] = _unplain(value)
            if end:
                self.ends[_bytes(key)] = end


class Command(NamedTuple):
    run: Callable[[Database, Words], Any]
    least: int
    most: int


def encode(value: Any) -> bytes:
    """An answer as RESP."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, Status):
        return f"+{value}\r\n".encode()
    if isinstance(value, int):
        return f":{value}\r\n".encode()
    if isinstance(value, bytes | str):
        data = value.encode() if isinstance(value, str) else value
        return b"$%d\r\n%s\r\n" % (len(data), data)
    return b"*%d\r\n" % len(value) + b"".join(encode(part) for part in value)


OK, PONG = Status("OK"), Status("PONG")


def _set(database: Database, words: Words) -> Any:
    key, value, *rest = words
    choices = [word.upper() for word in rest]
    if (b"NX" in choices and database.find(key, object) is not None) or (
        b"XX" in choices and database.find(key, object) is None
    ):
        return None
    database.drop(key)
    database.values[key] = value
    for word, unit in ((b"EX", 1.0), (b"PX", 0.001)):
        if word in choices:
            database.ends[key] = time.time() + _integer(rest[choices.index(word) + 1]) * unit
    return OK


def _increment(database: Database, key: bytes, step: int) -> int:
    number = _integer(database.find(key) or b"0") + step
    database.values[key] = str(number).encode()
    return number


def _append(database: Database, words: Words) -> int:
    database.values[words[0]] = (database.find(words[0]) or b"") + words[1]
    return len(database.values[words[0]])


def _expire(database: Database, words: Words) -> int:
    if database.find(words[0], object) is None:
        return 0
    database.ends[words[0]] = time.time() + _integer(words[1])
    return 1


def _ttl(database: Database, words: Words) -> int:
    if database.find(words[0], object) is None:
        return -2
    end = database.ends.get(words[0])
    return -1 if end is None else max(round(end - time.time()), 0)


def _push(database: Database, words: Words, left: bool) -> int:
    items = database.make(words[0], list)
    for word in words[1:]:
        items.insert(0 if left else len(items), word)
    return len(items)


def _pop(database: Database, words: Words, position: int) -> Any:
    items = database.find(words[0], list)
    if not items:
        return None
    item = items.pop(position)
    if not items:
        database.drop(words[0])
    return item


def _range(database: Database, words: Words) -> Any:
    items, first, last = database.find(words[0], list) or [], _integer(words[1]), _integer(words[2])
    first = max(first + len(items), 0) if first < 0 else first
    last = last + len(items) if last < 0 else last
    return items[first : last + 1]


def _hash_set(database: Database, words: Words) -> int:
    if len(words) % 2 == 0:
        raise RedisError("ERR wrong number of arguments for 'hset' command")
    fields = database.make(words[0], dict)
    before = len(fields)
    fields.update(zip(words[1::2], words[2::2], strict=True))
    return len(fields) - before


def _configuration(database: Database, words: Words) -> Any:
    verb, *rest = words
    if verb.upper() != b"GET" or len(rest) != 1:
        raise RedisError("ERR CONFIG knows only GET here: not implemented by k8snb")
    found = [(name, value) for name, value in database.settings.items() if fnmatch.fnmatch(name, rest[0].decode())]
    return [part for pair in found for part in pair]


def _info(database: Database, words: Words) -> str:
    keys = len(database.alive())
    lines = ["# Server", f"redis_version:{database.version}", "redis_mode:standalone", f"process_id:{os.getpid()}",
             "# Replication", "role:master", "connected_slaves:0", "# Keyspace"]  # fmt: skip
    return "\r\n".join([*lines, *([f"db0:keys={keys},expires={len(database.ends)}"] if keys else ()), ""])


def _flush(database: Database, words: Words) -> Status:
    database.values.clear()
    database.ends.clear()
    return OK


def _save(database: Database, words: Words) -> Status:
    database.save()
    return OK


def _matching(database: Database, words: Words) -> list[bytes]:
    return [key for key in database.alive() if fnmatch.fnmatchcase(_text(key), _text(words[0]))]


def _set_many(database: Database, words: Words) -> Status:
    if len(words) % 2:
        raise RedisError("ERR wrong number of arguments for 'mset' command")
    database.values.update(zip(words[::2], words[1::2], strict=True))
    return OK


COMMANDS: dict[str, Command] = {
    "PING": Command(lambda db, w: w[0] if w else PONG, 0, 1),
    "ECHO": Command(lambda db, w: w[0], 1, 1),
    "QUIT": Command(lambda db, w: OK, 0, 0),
    "COMMAND": Command(lambda db, w: [], 0, ANY),
    "INFO": Command(_info, 0, ANY),
    "CONFIG": Command(_configuration, 1, ANY),
    "DBSIZE": Command(lambda db, w: len(db.alive()), 0, 0),
    "KEYS": Command(_matching, 1, 1),
    "FLUSHALL": Command(_flush, 0, 1),
    "FLUSHDB": Command(_flush, 0, 1),
    "SAVE": Command(_save, 0, 0),
    "BGSAVE": Command(_save, 0, 0),
    "SET": Command(_set, 2, 5),
    "GET": Command(lambda db, w: db.find(w[0]), 1, 1),
    "MSET": Command(_set_many, 2, ANY),
    "MGET": Command(lambda db, w: [db.find(key) for key in w], 1, ANY),
    "DEL": Command(lambda db, w: sum(db.drop(key) for key in w), 1, ANY),
    "EXISTS": Command(lambda db, w: sum(db.find(key, object) is not None for key in w), 1, ANY),
    "APPEND": Command(_append, 2, 2),
    "INCR": Command(lambda db, w: _increment(db, w[0], 1), 1, 1),
    "DECR": Command(lambda db, w: _increment(db, w[0], -1), 1, 1),
    "INCRBY": Command(lambda db, w: _increment(db, w[0], _integer(w[1])), 2, 2),
    "DECRBY": Command(lambda db, w: _increment(db, w[0], -_integer(w[1])), 2, 2),
    "EXPIRE": Command(_expire, 2, 2),
    "TTL": Command(_ttl, 1, 1),
    "LPUSH": Command(lambda db, w: _push(db, w, True), 2, ANY),
    "RPUSH": Command(lambda db, w: _push(db, w, False), 2, ANY),
    "LPOP": Command(lambda db, w: _pop(db, w, 0), 1, 1),
    "RPOP": Command(lambda db, w: _pop(db, w, -1), 1, 1),
    "LLEN": Command(lambda db, w: len(db.find(w[0], list) or ()), 1, 1),
    "LRANGE": Command(_range, 3, 3),
    "HSET": Command(_hash_set, 3, ANY),
    "HGET": Command(lambda db, w: (db.find(w[0], dict) or {}).get(w[1]), 2, 2),
    "HGETALL": Command(lambda db, w: [x for pair in (db.find(w[0], dict) or {}).items() for x in pair], 1, 1),
}


def _integer(word: bytes) -> int:
    try:
        return int(word)
    except ValueError:
        raise RedisError("ERR value is not an integer or out of range") from None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, dict):
        return {_text(key): _text(item) for key, item in value.items()}
    return [_text(item) for item in value] if isinstance(value, list) else _text(value)


def _unplain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_bytes(key): _bytes(item) for key, item in value.items()}
    return [_bytes(item) for item in value] if isinstance(value, list) else _bytes(value)
