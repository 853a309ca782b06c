"""Which writes are one command: what %ktrace last follows, and what `^` goes back before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster_lab import boot

from k8snb.cluster import Cluster
from k8snb.story import trace

SHOP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {colour: red}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template: {metadata: {labels: {app: shop}}, spec: {containers: [{name: main, image: nginx}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: shop}, spec: {selector: {app: shop}, ports: [{port: 80}]}}
"""
WORDS = ["configmap/shop", "deployment/shop", "service/shop"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with boot(nodes=1) as cluster:
        cluster.run_for(1)
        yield cluster


def yours(cluster: Cluster) -> list[str]:
    return [step.word for step in trace.last(cluster.history) if step.actor == "you"]


def there(cluster: Cluster, moment: str) -> set[str]:
    client = cluster.at(moment).client
    found = {"configmap/shop": client.find("configmaps", "shop", "default"),
             "deployment/shop": client.find("deployments", "shop", "default"),
             "service/shop": client.find("services", "shop", "default")}  # fmt: skip
    return {word for word, obj in found.items() if obj is not None}


def test_an_apply_of_many_kinds_is_one_command_until_it_is_deleted_by_another(cluster: Cluster) -> None:
    cluster.kubectl.run("apply -f -", stdin=SHOP)
    cluster.settle()
    assert yours(cluster) == WORDS and there(cluster, "^") == set() and there(cluster, "last") == {*WORDS}
    followed = {step.word.partition("/")[0] for step in trace.last(cluster.history)}
    assert {"replicaset", "pod", "endpointslice"} <= followed
    cluster.run_for(30)
    cluster.kubectl.run("apply -f -", stdin=SHOP.replace("red", "blue").replace("port: 80", "port: 81"))
    cluster.settle()
    assert yours(cluster) == ["configmap/shop", "service/shop"]
    cluster.run_for(30)
    cluster.kubectl.run("delete -f - --wait=false", stdin=SHOP)
    cluster.settle()
    assert yours(cluster) == WORDS and there(cluster, "^") == {*WORDS}


def test_quick_commands_of_other_sorts_stay_apart(cluster: Cluster) -> None:
    cluster.run_for(30)
    cluster.kubectl.run("create deployment web --image=nginx")
    cluster.kubectl.run("expose deployment web --port=80")
    assert yours(cluster) == ["service/web"]
    cluster.kubectl.run("apply -f -", stdin=SHOP)
    cluster.kubectl.run("label service web a=b")
    assert yours(cluster) == ["service/web"]


def test_an_apply_ends_where_another_command_makes_something_of_its_kind(cluster: Cluster) -> None:
    cluster.run_for(30)
    page = "{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}}\n---\n"
    cluster.kubectl.run("apply -f -", stdin=page % "a" + page % "b")
    cluster.kubectl.run("create configmap c")
    assert yours(cluster) == ["configmap/c"]
    assert cluster.at("^").client.find("configmaps", "b", "default") is not None
