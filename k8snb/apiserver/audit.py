"""kube-apiserver's audit annotations: what policies and webhooks remark about requests for those who read later.

Interface: `Audit`: `note(request, annotations)`; `entries`, the newest last.
The rule not to break: they are kept in memory and there are only so many; nothing else of a request is kept here.
Real Kubernetes writes an audit log of all requests (`apiserver/pkg/audit`), which is not implemented by k8snb; who
wrote what and why is told by the trace.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from k8snb.client import Request
from k8snb.clock import Clock, timestamp

KEPT = 1000


class Entry(NamedTuple):
    """One request with what was remarked about it."""

    time: str
    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    annotations: Mapping[str, str]


class Audit:
    """A request that begins anew begins without remarks: `begin` forgets those of the attempt before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._noted: list[tuple[Request, Mapping[str, str]]] = []

    @property
    def entries(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def note(self, request: Request, annotations: Mapping[str, str]) -> None:
        if annotations:
            self._noted.append((request, annotations))

    def begin(self) -> None:
        self._noted.clear()

    def done(self) -> None:
        """The request is over: what was noted counts."""
        for request, noted in self._noted:
            kind = request.kind.qualified + (f"/{request.subresource}" if request.subresource else "")
            self._entries.append(Entry(timestamp(self._clock.now()), request.user.name, request.verb, kind,
                                       request.namespace, request.name, noted))  # fmt: skip
        self._noted.clear()
