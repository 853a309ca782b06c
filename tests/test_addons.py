"""Add-ons: what is enabled works, what is disabled leaves nothing, and the cluster runs without either."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from k8snb import hosts
from k8snb.addons import ADDONS, DNS, METRICS, PROVISIONER, STORAGE_CLASS, Addons, Row
from k8snb.apimachinery.errors import ApiError
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl.output import KubectlError

CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(runtime="simulated", clock=VirtualClock(), seed=1)
    made.start(wait=0)
    made.settle()
    yield made
    made.delete()


def enabled(cluster: Cluster) -> set[str]:
    return {status.row.name for status in cluster.addons.status() if status.enabled}


def test_a_new_cluster_has_the_add_ons_that_are_on(cluster: Cluster) -> None:
    assert enabled(cluster) == {row.name for row in ADDONS if row.on}
    assert {DNS, METRICS, STORAGE_CLASS, PROVISIONER} <= enabled(cluster)


def test_every_row_names_a_class_with_the_three_methods() -> None:
    for row in ADDONS:
        addon: Any = row.make()
        assert callable(addon.enable) and callable(addon.stop) and callable(addon.disable)


def test_enabling_and_disabling_twice_changes_nothing(cluster: Cluster) -> None:
    for name in (DNS, METRICS, STORAGE_CLASS, PROVISIONER):
        cluster.addons.enable(name)
        revision = cluster.store.revision
        cluster.addons.enable(name)
        assert cluster.store.revision == revision
        cluster.addons.disable(name)
        revision = cluster.store.revision
        cluster.addons.disable(name)
        assert cluster.store.revision == revision


def test_an_add_on_that_is_none_is_refused_with_those_there_are(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match=r'"heapster" is not a valid add-on: there are .*metrics-server'):
        cluster.addons.enable("heapster")


def test_without_dns_no_name_has_an_address_until_it_is_enabled_again(cluster: Cluster) -> None:
    before = cluster.lookup("kubernetes")
    cluster.addons.disable(DNS)
    cluster.settle()
    assert cluster.resolver == ""
    assert cluster.client.find("services", "kube-dns", "kube-system") is None
    with pytest.raises(ValueError, match="%kcluster addons enable dns"):
        cluster.lookup("kubernetes")
    cluster.addons.enable(DNS)
    cluster.settle()
    assert cluster.lookup("kubernetes") == before
    assert cluster.client.get("services", "kube-dns", "kube-system")["spec"]["clusterIP"] == cluster.resolver


def test_a_service_made_after_dns_was_enabled_again_has_a_name(cluster: Cluster) -> None:
    cluster.addons.disable(DNS)
    cluster.addons.enable(DNS)
    service = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    made = cluster.client.create("services", service, "default")
    cluster.settle()
    assert cluster.lookup("web") == [made["spec"]["clusterIP"]]


def test_without_metrics_server_top_has_no_numbers_until_it_is_enabled_again(cluster: Cluster) -> None:
    cluster.run_for(30)
    assert cluster.client.items("nodes.metrics.k8s.io")
    cluster.addons.disable(METRICS)
    with pytest.raises(ApiError, match="enable the add-on metrics-server"):
        cluster.client.items("nodes.metrics.k8s.io")
    with pytest.raises(KubectlError, match=r"Metrics API not available: .*%kcluster addons enable metrics-server"):
        cluster.kubectl.run(["top", "nodes"])
    cluster.addons.enable(METRICS)
    cluster.run_for(30)
    assert cluster.client.items("nodes.metrics.k8s.io")


def test_a_claim_waits_for_the_provisioner_and_gets_its_volume_when_it_is_back(cluster: Cluster) -> None:
    cluster.addons.disable(PROVISIONER)
    cluster.client.create("persistentvolumeclaims", CLAIM, "default")
    cluster.run_for(60)
    assert cluster.client.get("persistentvolumeclaims", "data", "default")["status"]["phase"] == "Pending"
    cluster.addons.enable(PROVISIONER)
    cluster.settle()
    assert cluster.client.get("persistentvolumeclaims", "data", "default")["status"]["phase"] == "Bound"


def test_without_the_default_class_there_is_none(cluster: Cluster) -> None:
    cluster.addons.disable(STORAGE_CLASS)
    assert cluster.client.items("storageclasses") == []
    cluster.addons.enable(STORAGE_CLASS)
    assert [found["metadata"]["name"] for found in cluster.client.items("storageclasses")] == ["standard"]


def test_what_is_disabled_stays_so_over_stop_and_start(cluster: Cluster) -> None:
    cluster.addons.disable(METRICS)
    cluster.addons.disable(PROVISIONER)
    cluster.stop()
    cluster.addons.disable(DNS)
    cluster.start(wait=0)
    cluster.client.create("persistentvolumeclaims", CLAIM, "default")
    cluster.run_for(30)
    assert enabled(cluster) & {DNS, METRICS, PROVISIONER} == set()
    assert cluster.resolver == ""
    assert cluster.client.get("persistentvolumeclaims", "data", "default")["status"]["phase"] == "Pending"


def test_what_is_enabled_in_a_stopped_cluster_begins_with_it(cluster: Cluster) -> None:
    cluster.addons.disable(METRICS)
    cluster.stop()
    cluster.addons.enable(METRICS)
    cluster.start(wait=0)
    cluster.run_for(30)
    assert cluster.client.items("nodes.metrics.k8s.io")


def test_a_deleted_cluster_begins_anew_with_the_default_ones(cluster: Cluster) -> None:
    cluster.addons.disable(DNS)
    cluster.delete()
    cluster.start(wait=0)
    assert cluster.addons.is_enabled(DNS)


def test_an_add_on_that_cannot_begin_says_why_and_the_cluster_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    build = hosts.HOSTS["simulated"]

    def without_resolver(*arguments: Any) -> Any:
        host = build(*arguments)
        host.serve_dns = _no_resolver
        return host

    monkeypatch.setitem(hosts.HOSTS, "simulated", without_resolver)
    with Cluster(runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        assert cluster.is_ready()
        problems = {status.row.name: status.problem for status in cluster.addons.status()}
        assert problems[DNS] == "no port can be had" and not problems[METRICS]
        with pytest.raises(ValueError, match="dns: no port can be had"):
            cluster.addons.enable(DNS)


def _no_resolver(*_: object) -> hosts.Resolver:
    raise OSError("no port can be had")


class Greeter:
    """An add-on of a learner's own."""

    said: list[str]

    def __init__(self) -> None:
        self.said = []

    def enable(self, cluster: Any) -> None:
        self.said.append(f"hello {cluster.name}")

    def stop(self) -> None:
        self.said.append("good night")

    def disable(self) -> None:
        self.said.append("goodbye")


def test_an_add_on_is_told_of_the_clusters_life(cluster: Cluster) -> None:
    rows = [*ADDONS, Row("greeter", "test_addons:Greeter", "Greets.")]
    cluster.addons = Addons(cluster, rows)
    cluster.addons.enable("greeter")
    greeter: Any = cluster.addons.get("greeter")
    cluster.stop()
    assert cluster.addons.get("greeter") is None
    cluster.start(wait=0)
    assert cluster.addons.get("greeter") == greeter
    cluster.addons.disable("greeter")
    assert greeter.said == ["hello k8snb", "good night", "hello k8snb", "goodbye"]
