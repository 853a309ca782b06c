"""The scheduler's pods by what selectors see of them: pods of one shape are counted, not looked at.

Interface: `PodIndex`: `count`, `shapes(namespace)`, `with_affinity`; `Shape` is what a pod looks like to the terms of
others, `Places` how many pods of it are on which node.
The rule not to break: a question about pods costs as much as there are shapes and nodes they are on, however many pods
there are.
Upstream goes over all nodes in parallel for each pod instead (`pkg/scheduler/framework/parallelize`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, is_deleting, labels_of, namespace_of
from k8snb.apimachinery.selectors import Selector
from k8snb.scheduler.pod_terms import AFFINITY, ANTI_AFFINITY, Term


class Shape(NamedTuple):
    """Namespace and labels, and the terms by which a pod itself keeps others near or away (as JSON, "" for none)."""

    namespace: str
    labels: frozenset[tuple[str, str]]
    affinity: str = ""
    terminating: bool = False


@dataclass(slots=True)
class Places:
    """Where the pods of a shape are: node → pods."""

    shape: Shape
    labels: dict[str, str]
    affinity: Object
    nodes: Counter[str] = field(default_factory=Counter)
    terms: dict[tuple[str, str], list[Term]] = field(default_factory=dict)  # of its affinity, once they were asked for


class PodIndex:
    def __init__(self) -> None:
        self._places: dict[Shape, Places] = {}
        self._by_namespace: dict[str, dict[Shape, Places]] = {}
        self.with_affinity: dict[Shape, Places] = {}

    def count(self, shape: Shape, node: str, sign: int) -> None:
        places = self._places.get(shape) or self._add(shape)
        places.nodes[node] += sign
        if not places.nodes[node]:
            del places.nodes[node]
            if not places.nodes:
                self._drop(shape)

    def shapes(self, namespace: str) -> Iterable[Places]:
        """Of one namespace; of all for ""."""
        return (self._by_namespace.get(namespace, {}) if namespace else self._places).values()

    def matching(self, namespace: str, selector: Selector) -> Iterator[Places]:
        return (places for places in self.shapes(namespace) if selector.matches(places.labels))

    def _add(self, shape: Shape) -> Places:
        affinity = json.loads(shape.affinity) if shape.affinity else {}
        places = self._places[shape] = Places(shape, dict(shape.labels), affinity)
        self._by_namespace.setdefault(shape.namespace, {})[shape] = places
        if shape.affinity:
            self.with_affinity[shape] = places
        return places

    def _drop(self, shape: Shape) -> None:
        del self._places[shape]
        self.with_affinity.pop(shape, None)
        del self._by_namespace[shape.namespace][shape]
        if not self._by_namespace[shape.namespace]:
            del self._by_namespace[shape.namespace]


def shape_of(pod: Object) -> Shape:
    affinity = pod["spec"].get("affinity") or {}
    terms = {name: affinity[name] for name in (AFFINITY, ANTI_AFFINITY) if affinity.get(name)} if affinity else {}
    text = json.dumps(terms, sort_keys=True) if terms else ""
    return Shape(namespace_of(pod), frozenset(labels_of(pod).items()), text, is_deleting(pod))
