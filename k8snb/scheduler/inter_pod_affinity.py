"""InterPodAffinity: pods that want to be near others, or away from them, on one node, in one zone.

Interface: the plug-in.
The rule not to break: who keeps others away is obeyed also when those others come later (symmetry): a pod is asked what
it says, and every pod that runs what it says about this one.
Source: `pkg/scheduler/framework/plugins/interpodaffinity` in the kubernetes repository.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, get_path, labels_of, namespace_of
from k8snb.scheduler.cache import Cache, NodeInfo
from k8snb.scheduler.framework import (
    MAX_SCORE,
    NODE_ADDED,
    NODE_LABELS,
    POD_GONE,
    POD_LABELS,
    POD_PLACED,
    SKIP,
    Cycle,
    Handle,
    Plugin,
    Reason,
    Skip,
    Unresolvable,
)
from k8snb.scheduler.pod_index import Places
from k8snb.scheduler.pod_terms import AFFINITY, ANTI_AFFINITY, PREFERRED, REQUIRED, Term, terms_of

NO_AFFINITY = Unresolvable("node(s) didn't match pod affinity rules")
ANTI = "node(s) didn't match pod anti-affinity rules"
EXISTING_ANTI = "node(s) didn't satisfy existing pods anti-affinity rules"

Domain = tuple[str, str]  # a node label and its value
Domains = Counter[Domain]


class Own(NamedTuple):
    """The required terms of the pod that is looked at."""

    near: list[Term]
    away: list[Term]


@dataclass(slots=True)
class State:
    """What was counted for one pod."""

    own: Own = field(default_factory=lambda: Own([], []))
    near: Domains = field(default_factory=Counter)  # pods that all terms together mean
    away: Domains = field(default_factory=Counter)
    kept_away_by: Domains = field(default_factory=Counter)
    is_first: bool = False  # nobody is there yet that the terms mean, and they mean the pod itself


class InterPodAffinity(Plugin):
    name = "InterPodAffinity"
    normalizes = True
    wakes_on = frozenset((NODE_ADDED, NODE_LABELS, POD_GONE, POD_PLACED, POD_LABELS))

    def __init__(self, *, hard_pod_affinity_weight: int = 1) -> None:
        self._hard_weight = hard_pod_affinity_weight
        self._handle: Handle | None = None
        self._state = State()
        self._scores: Domains = Counter()

    def connect(self, handle: Handle) -> None:
        self._handle = handle
        self._namespaces = handle.informers.get("namespaces")

    def concerns(self, pod: Object) -> bool:
        if self._handle is not None and self._handle.cache.index.with_affinity:
            return True
        affinity = pod["spec"].get("affinity") or {}
        return bool(affinity.get(AFFINITY) or affinity.get(ANTI_AFFINITY))

    def hint(self, pod: Object, event: str, other: Object) -> bool:
        """A pod that is mentioned, or that mentions this one and has gone or changed."""
        own = [term for kind in (AFFINITY, ANTI_AFFINITY) for term in self._terms(pod, kind, REQUIRED)]
        theirs = self._terms(other, ANTI_AFFINITY, REQUIRED)
        return any(self._means(term, other) for term in own) or any(self._means(term, pod) for term in theirs)

    # filter

    def pre_filter(self, cycle: Cycle) -> Reason | Skip:
        pod, index = cycle.pod, cycle.cache.index
        own = Own(self._terms(pod, AFFINITY, REQUIRED), self._terms(pod, ANTI_AFFINITY, REQUIRED))
        state = self._state = State(own)
        for places in index.with_affinity.values():
            for term in self._terms_of(places, ANTI_AFFINITY, REQUIRED):
                if self._means(term, pod):
                    _add(state.kept_away_by, term.key, places, cycle.cache)
        for places in index.shapes("") if own.near or own.away else ():
            if own.near and all(self._means_shape(term, places) for term in own.near):
                for term in own.near:
                    _add(state.near, term.key, places, cycle.cache)
            for term in own.away:
                if self._means_shape(term, places):
                    _add(state.away, term.key, places, cycle.cache)
        state.is_first = not state.near and all(self._means(term, pod) for term in own.near)
        return None if own.near or own.away or state.kept_away_by else SKIP

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        state, labels = self._state, node.labels
        near, away = state.own
        if near:
            if any(term.key not in labels for term in near):
                return NO_AFFINITY
            if not state.is_first and not all(state.near.get((term.key, labels[term.key])) for term in near):
                return NO_AFFINITY
        if away and any(state.away.get((term.key, labels.get(term.key, ""))) for term in away):
            return ANTI
        if state.kept_away_by and not state.kept_away_by.keys().isdisjoint(labels.items()):
            return EXISTING_ANTI
        return None

    # score

    def begin(self, cycle: Cycle) -> bool:
        """Add up for each domain what speaks for it, by the pod and by those that are there."""
        pod, cache = cycle.pod, cycle.cache
        affinity = pod["spec"].get("affinity") or {}
        index = cache.index
        wishes = [(term, sign) for kind, sign in ((AFFINITY, 1), (ANTI_AFFINITY, -1))
                  if affinity.get(kind) for term in self._terms(pod, kind, PREFERRED)]  # fmt: skip
        self._scores = Counter()
        for places in index.shapes("") if wishes else ():
            for term, sign in wishes:
                if self._means_shape(term, places):
                    _add(self._scores, term.key, places, cache, sign * term.weight)
        for places in index.with_affinity.values():
            for term, weight in self._wishes_of(places):
                if weight and self._means(term, pod):
                    _add(self._scores, term.key, places, cache, weight)
        return bool(self._scores)

    def _wishes_of(self, places: Places) -> Iterator[tuple[Term, int]]:
        """What pods that are there would like, and what a required nearness is worth the other way round."""
        for term in self._terms_of(places, AFFINITY, REQUIRED):
            yield term, self._hard_weight
        for term in self._terms_of(places, AFFINITY, PREFERRED):
            yield term, term.weight
        for term in self._terms_of(places, ANTI_AFFINITY, PREFERRED):
            yield term, -term.weight

    def score(self, pod: Object, node: NodeInfo) -> int:
        scores = self._scores
        return sum(scores[label] for label in node.labels.items() if label in scores)

    def normalize(self, scores: list[int]) -> list[int]:
        low, high = min(scores), max(scores)
        return [MAX_SCORE * (score - low) // (high - low) for score in scores] if high > low else [0] * len(scores)

    # who is meant

    def _terms(self, pod: Object, kind: str, strength: str) -> list[Term]:
        affinity = get_path(pod, "spec.affinity")
        return terms_of(affinity, kind, strength, namespace=namespace_of(pod), labels=labels_of(pod))

    @staticmethod
    def _terms_of(places: Places, kind: str, strength: str) -> list[Term]:
        key = (kind, strength)
        known = places.terms.get(key)
        if known is None:
            known = places.terms[key] = terms_of(
                places.affinity, kind, strength, namespace=places.shape.namespace, labels=places.labels
            )
        return known

    def _means(self, term: Term, pod: Object) -> bool:
        namespace = namespace_of(pod)
        return term.matches(namespace, labels_of(pod), self._labels_of_namespace(namespace))

    def _means_shape(self, term: Term, places: Places) -> bool:
        namespace = places.shape.namespace
        return term.matches(namespace, places.labels, self._labels_of_namespace(namespace))

    def _labels_of_namespace(self, name: str) -> Mapping[str, str]:
        namespace = self._namespaces.get(name) if self._handle is not None else None
        return labels_of(namespace) if namespace is not None else {}


def _add(domains: Domains, key: str, places: Places, cache: Cache, weight: int = 1) -> None:
    for name, pods in places.nodes.items():
        node = cache.node(name)
        if node is not None and key in node.labels:
            domains[key, node.labels[key]] += pods * weight
