"""The log store: the lines of all containers, with where they come from, as long as there is room.

Interface: `LogStore.add(source, text)`; `search(…)` gives `Line`s, the oldest first; `Source` says whose they are.
The rule not to break: room is bounded by lines and by bytes, whoever writes; the oldest line goes first.
Real clusters keep this in Loki, Elasticsearch or a cloud's own store.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.selectors import Selector

MOST_LINES, MOST_BYTES = 200_000, 64 << 20
LONGEST = 16 << 10  # bytes of a line; the rest of a longer one is cut


class Source(NamedTuple):
    """Whose lines they are."""

    namespace: str
    pod: str
    container: str
    node: str
    labels: Mapping[str, str]
    uid: str = ""


class Line(NamedTuple):
    """One line: when it was written (RFC 3339 with nanoseconds), by whom, and its text without the end."""

    time: str
    source: Source
    text: str

    @property
    def size(self) -> int:
        return len(self.text) + len(self.time)

    @property
    def object(self) -> Object:
        """The line as a dict."""
        source = self.source
        return {"time": self.time, "namespace": source.namespace, "pod": source.pod, "container": source.container,
                "node": source.node, "labels": dict(source.labels), "line": self.text}  # fmt: skip

    def __str__(self) -> str:
        return f"{self.time} [{self.source.namespace}/{self.source.pod}/{self.source.container}] {self.text}"


class LogStore:
    """Any thread may add and search."""

    def __init__(self, *, lines: int = MOST_LINES, size: int = MOST_BYTES) -> None:
        self._most_lines, self._most_bytes = lines, size
        self._lines: deque[Line] = deque()
        self._guard = threading.Lock()
        self.size = 0
        self.dropped = 0  # lines that had to make room

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, source: Source, stamped: bytes) -> None:
        """A line as the kubelet gives it with `timestamps`: its time, a space, its text."""
        moment, _, text = stamped.rstrip(b"\n").partition(b" ")
        line = Line(moment.decode(errors="replace"), source, text[:LONGEST].decode(errors="replace"))
        with self._guard:
            self._lines.append(line)
            self.size += line.size
            while len(self._lines) > self._most_lines or self.size > self._most_bytes:
                self.size -= self._lines.popleft().size
                self.dropped += 1

    def search(
        self,
        text: str = "",
        *,
        namespace: str = "",
        selector: Selector | None = None,
        since: str = "",
        container: str = "",
        pod: str = "",
    ) -> list[Line]:
        """The lines that hold a text (in any case), of pods that a selector picks, written at `since` or later."""
        with self._guard:
            lines = list(self._lines)
        wanted, earliest = text.lower(), since.removesuffix("Z")  # so that it sorts before its own nanoseconds
        chosen: dict[int, bool] = {}

        def picks(source: Source) -> bool:
            if id(source) not in chosen:
                named = (namespace in ("", source.namespace) and container in ("", source.container)
                         and pod in ("", source.pod))  # fmt: skip
                chosen[id(source)] = named and (selector is None or selector.matches(source.labels))
            return chosen[id(source)]

        found = [line for line in lines if line.time >= earliest and picks(line.source) and wanted in line.text.lower()]
        return sorted(found, key=lambda line: line.time)

    def clear(self) -> None:
        with self._guard:
            self._lines.clear()
            self.size = self.dropped = 0
