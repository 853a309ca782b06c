"""Who selects whom: selectors found by an object's labels, and objects found by a selector, without scanning either.

Interface: `index_selectors` and `selecting` (which Services select this pod?), `index_labels` and `selected` (which
pods does this Service select?), `index_orphans` and `orphans` (which of them has no controller?).
The rule not to break: a lookup costs as much as it finds, however many unrelated objects there are.
Real Kubernetes asks every Service of the pod's namespace in turn (`endpoint/util.GetServicesToUpdate`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from k8snb.apimachinery.meta import Object, controller_of, labels_of, namespace_of
from k8snb.apimachinery.selectors import Selector
from k8snb.client.informer import Informer

SELECTORS, LABELS, ORPHANS = "selectors", "labels", "orphans"

SelectorOf = Callable[[Object], Selector]


def index_selectors(informer: Informer, selector_of: SelectorOf) -> None:
    """Index objects that carry a selector by its `key=value` pairs.

    The pairs in sorted order are a path in a tree (`default|app=web,tier=front`); an object lies under each prefix of
    its path, and at the end of it marked by a closing bar. Labels are looked up by walking only where the tree has
    branches.
    """

    def paths(obj: Object) -> Iterator[str]:
        selector = selector_of(obj)
        if selector.nothing:
            return
        path = f"{namespace_of(obj)}|"
        for pair in _pairs(selector.equality()):
            path += pair
            yield path
        yield f"{path}|"

    informer.add_index(SELECTORS, paths, steady=True)


def selecting(informer: Informer, selector_of: SelectorOf, obj: Object) -> Iterator[Object]:
    """The objects of `informer` whose selector picks `obj`."""
    if not len(informer):
        return
    labels = labels_of(obj)
    for path in _branches(informer, f"{namespace_of(obj)}|", list(_pairs(labels))):
        for candidate in informer.by_index(SELECTORS, f"{path}|"):
            if selector_of(candidate).matches(labels):
                yield candidate


def _branches(informer: Informer, path: str, pairs: list[str]) -> Iterator[str]:
    """`path`, and every longer path in the tree that is made of these pairs."""
    yield path
    for at, pair in enumerate(pairs):
        if _any(informer.by_index(SELECTORS, path + pair)):
            yield from _branches(informer, path + pair, pairs[at + 1 :])


def index_labels(informer: Informer) -> None:
    """Index objects by each of their labels."""
    informer.add_index(LABELS, _label_values, steady=True)


def selected(informer: Informer, namespace: str, selector: Selector) -> list[Object]:
    """The objects of a namespace that a selector picks, looked for under its rarest label."""
    return _narrowest(informer, LABELS, namespace, selector)


def index_orphans(informer: Informer) -> None:
    """Index the objects that no controller owns by each of their labels."""
    informer.add_index(ORPHANS, lambda obj: () if controller_of(obj) else _label_values(obj), steady=True)


def orphans(informer: Informer, namespace: str, selector: Selector) -> list[Object]:
    """The objects that a selector picks and no controller owns."""
    return _narrowest(informer, ORPHANS, namespace, selector)


def _label_values(obj: Object) -> list[str]:
    namespace = namespace_of(obj)
    return [f"{namespace}|", *[f"{namespace}|{pair}" for pair in _pairs(labels_of(obj))]]


def _narrowest(informer: Informer, index: str, namespace: str, selector: Selector) -> list[Object]:
    values = [f"{namespace}|{pair}" for pair in _pairs(selector.equality())] or [f"{namespace}|"]
    buckets = [list(informer.by_index(index, value)) for value in values]
    return [obj for obj in min(buckets, key=len) if selector.matches(labels_of(obj))]


def _pairs(labels: Mapping[str, str]) -> Iterable[str]:
    """`key=value,` in sorted order; the comma keeps `a=1` apart from `a=10`."""
    return (f"{key}={value}," for key, value in sorted(labels.items()))


def _any(objects: Iterable[Object]) -> bool:
    return next(iter(objects), None) is not None
