"""Selectors found by labels and objects found by selectors: the same answers as asking everybody, but cheaper."""

from __future__ import annotations

import random

from controllers_lab import Lab, service

from k8snb.apimachinery.meta import Object, labels_of, name_of, namespace_of
from k8snb.apimachinery.selectors import Selector, from_label_selector
from k8snb.controllers.selecting import (
    index_labels,
    index_orphans,
    index_selectors,
    orphans,
    selected,
    selecting,
)

KEYS, VALUES = ("app", "tier", "env", "release"), ("a", "b", "ab")


def selector_of(obj: Object) -> Selector:
    return from_label_selector(obj["spec"].get("selector"))


def some_labels(dice: random.Random) -> dict[str, str]:
    return {key: dice.choice(VALUES) for key in dice.sample(KEYS, dice.randint(0, len(KEYS)))}


def some_selector(dice: random.Random) -> Object:
    expression = {"key": dice.choice(KEYS), "operator": dice.choice(("Exists", "DoesNotExist"))}
    return {"matchLabels": some_labels(dice), "matchExpressions": [expression] * dice.randint(0, 1)}


def world(dice: random.Random) -> Lab:
    """ReplicaSets with selectors of all sorts, beside config maps that wear labels."""
    one = Lab(namespaces=["other"])
    for number in range(60):
        template = {"metadata": {"labels": {"x": "y"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"selector": some_selector(dice), "template": template}
        metadata = {"name": f"s{number}", "namespace": dice.choice(("default", "other")), "uid": str(number)}
        one.informers.get("replicasets")._store(
            f"{metadata['namespace']}/s{number}", None, {"metadata": metadata, "spec": spec}
        )
    for number in range(60):
        namespace = dice.choice(("default", "other"))
        owner = [{"uid": "u", "kind": "X", "name": "x", "controller": True}] if dice.random() < 0.5 else []
        metadata = {"name": f"m{number}", "namespace": namespace, "labels": some_labels(dice), "ownerReferences": owner}
        one.informers.get("configmaps")._store(f"{namespace}/m{number}", None, {"metadata": metadata})
    return one


def names(objects: object) -> list[str]:
    return sorted(map(name_of, objects))  # type: ignore[call-overload]


def test_both_ways_agree_with_asking_everybody() -> None:
    """k8snb: an index finds what a scan over all selectors finds."""
    for seed in range(10):
        one = world(random.Random(seed))
        sets, maps = one.informers.get("replicasets"), one.informers.get("configmaps")
        index_selectors(sets, selector_of)
        index_labels(maps)
        index_orphans(maps)
        for obj in maps:
            asked = [
                each
                for each in sets
                if namespace_of(each) == namespace_of(obj) and selector_of(each).matches(labels_of(obj))
            ]
            assert names(selecting(sets, selector_of, obj)) == names(asked)
        for each in sets:
            selector = selector_of(each)
            asked = [
                obj for obj in maps if namespace_of(obj) == namespace_of(each) and selector.matches(labels_of(obj))
            ]
            free = [obj for obj in asked if not obj["metadata"]["ownerReferences"]]
            assert names(selected(maps, namespace_of(each), selector)) == names(asked)
            assert names(orphans(maps, namespace_of(each), selector)) == names(free)


def test_a_lookup_does_not_look_at_selectors_that_do_not_match() -> None:
    """k8snb: the cost of a change grows with what it concerns."""
    one = Lab()
    informer = one.informers.get("services")
    looked_at: list[str] = []

    def watched(obj: Object) -> Selector:
        looked_at.append(name_of(obj))
        return from_label_selector({"matchLabels": obj["spec"]["selector"]})

    index_selectors(informer, watched)
    for number in range(1000):
        wanted = service(f"s{number}")
        wanted["spec"]["selector"] = {"app": f"app-{number}", "env": "production"}
        informer._store(f"default/s{number}", None, wanted)
    looked_at.clear()
    labels = {"app": "app-7", "env": "production", "team": "a"}
    found = list(selecting(informer, watched, {"metadata": {"namespace": "default", "labels": labels}}))
    assert names(found) == looked_at == ["s7"]
