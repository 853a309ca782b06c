"""The census: how many pods each controller has, of which sort, counted as they change.

Interface: `Census(pods, kind)`: `of(uid)`, the pods of one owner by their `Sort`.
The rule not to break: it says what the cache says at the same moment, so that nobody who asks has to go through the
pods of a large set again for each few that are new.
Real Kubernetes lists and filters all pods of a ReplicaSet at each sync.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, controller_of, key_of, labels_of
from k8snb.client.informer import Informer
from k8snb.controllers.pods import is_active, is_ready


class Sort(NamedTuple):
    """What a set has to know of its pods. Most of them are of one sort."""

    labels: frozenset[tuple[str, str]]
    active: bool
    ready: bool


NOBODY: Mapping[Sort, int] = {}


class Census:
    """The pods that owners of one kind control."""

    def __init__(self, pods: Informer, kind: str) -> None:
        self._kind = kind
        self._counts: dict[str, Counter[Sort]] = {}  # the owner's uid → how many of each sort
        self._counted: dict[str, tuple[str, Sort]] = {}  # the pod's key → as what it was counted
        pods.on_change(self._changed, owner_kind=kind)

    def of(self, uid: str) -> Mapping[Sort, int]:
        return self._counts.get(uid, NOBODY)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        assert pod is not None
        key = key_of(pod)
        before, now = self._counted.get(key), self._as_what(new) if new is not None else None
        if before == now:
            return
        if before is not None:
            self._count(*before, -1)
            del self._counted[key]
        if now is not None:
            self._count(*now, 1)
            self._counted[key] = now

    def _as_what(self, pod: Object) -> tuple[str, Sort] | None:
        owner = controller_of(pod)
        if owner is None or owner["kind"] != self._kind:
            return None
        return owner["uid"], Sort(frozenset(labels_of(pod).items()), is_active(pod), is_ready(pod))

    def _count(self, uid: str, sort: Sort, step: int) -> None:
        counts = self._counts.setdefault(uid, Counter())
        counts[sort] += step
        if not counts[sort]:
            del counts[sort]
            if not counts:
                del self._counts[uid]
