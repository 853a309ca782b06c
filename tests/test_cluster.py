"""The cluster: whole scenarios on simulated nodes and virtual time, and its life in any order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cluster_lab import boot

from k8snb import hosts
from k8snb.apimachinery.errors import ApiError
from k8snb.client.informer import Informers
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.controllers import CONTROLLERS
from k8snb.etcd import Record
from k8snb.etcd.guard import GuardedStore

Object = dict[str, Any]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = boot(nodes=3)
    yield cluster
    cluster.delete()


def deployment(name: str = "web", replicas: int = 3, image: str = "nginx:1.7.9") -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": image}]}}
    return {"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                                                 "template": template}}  # fmt: skip


def pod(*command: str, name: str = "lone", **spec: Any) -> Object:
    container: Object = {"name": "main", "image": "busybox", "command": list(command)}
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def a_day_in_the_life(cluster: Cluster) -> Cluster:
    """A rollout, a crash loop, a namespace that goes, a node that falls silent and comes back, a cascade."""
    client = cluster.client
    client.create("deployments", deployment(), "default")
    client.create("services", {"metadata": {"name": "web"}, "spec": {
        "type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80}]}}, "default")  # fmt: skip
    client.create("pods", pod("false"), "default")
    cluster.settle(limit=60)
    newer = [{"name": "main", "image": "nginx:1.9.1"}]
    client.patch("deployments", "web", {"spec": {"template": {"spec": {"containers": newer}}}}, "default")
    cluster.settle(limit=60)
    client.create("namespaces", {"metadata": {"name": "short"}})
    client.create("configmaps", {"metadata": {"name": "settings"}}, "short")
    client.delete("namespaces", "short")
    cluster.stop_node("node-2")
    cluster.run_for(400)
    cluster.start_node("node-2")
    cluster.run_for(30)
    client.delete("deployments", "web", "default", propagationPolicy="Foreground")
    cluster.settle(limit=60)
    return cluster


def loud(cluster: Cluster, after: int = 0) -> list[Record]:
    """What was written, but for heartbeats."""
    nodes = "/registry/nodes/"
    return [
        record
        for record in cluster.store.history(after=after)
        if "leases" not in record.key and not (record.key.startswith(nodes) and "node:" in record.origin.actor)
    ]


def status(cluster: Cluster, name: str = "lone") -> Object:
    found: Object = cluster.client.get("pods", name, "default")["status"]
    return found


# laws of whole scenarios


def test_the_same_seed_gives_the_same_history_twice() -> None:
    def history() -> list[tuple[Any, ...]]:
        cluster = a_day_in_the_life(boot(nodes=3))
        return [(r.key, r.sort, *r.origin) for r in cluster.store.history()]

    assert history() == history()


def test_nothing_that_came_out_of_the_store_is_ever_changed() -> None:
    cluster = a_day_in_the_life(boot(nodes=3, store=GuardedStore))
    assert isinstance(cluster.store, GuardedStore)
    cluster.store.check()


def test_an_idle_cluster_writes_nothing_but_heartbeats(cluster: Cluster) -> None:
    cluster.client.create("deployments", deployment(), "default")
    cluster.settle()
    before = cluster.store.revision
    cluster.run_for(3600)
    assert loud(cluster, before) == []


def test_controllers_that_start_in_a_settled_world_change_nothing(cluster: Cluster) -> None:
    cluster.client.create("deployments", deployment(), "default")
    cluster.client.create("services", {"metadata": {"name": "web"}, "spec": {
        "selector": {"app": "web"}, "ports": [{"port": 80}]}}, "default")  # fmt: skip
    cluster.client.create("pods", pod("sh", "-c", "exit 0", restartPolicy="Never"), "default")
    cluster.settle()
    before = cluster.store.revision
    informers = Informers(cluster.context.client("system:kube-controller-manager"), cluster.context)
    controllers = [make(cluster.context, informers) for make in CONTROLLERS.values()]
    informers.start()
    for controller in controllers:
        controller.start()
    cluster.settle()
    assert [r.key for r in loud(cluster, before) if "/events/" not in r.key] == []


def test_timers_that_have_fired_are_not_kept(cluster: Cluster) -> None:
    cluster.client.create("deployments", deployment(), "default")
    cluster.settle()
    cluster.run_for(3600)
    kept = len(cluster.clock._waited_for)
    cluster.run_for(3600)
    assert len(cluster.clock._waited_for) == kept


# nodes


def test_a_stopped_node_says_nothing_more(cluster: Cluster) -> None:
    probe = {"readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1}}
    spec = {"nodeName": "node-1", "containers": [{"name": "main", "image": "nginx:1.7.9", **probe}]}
    cluster.client.create("pods", {"metadata": {"name": "web"}, "spec": spec}, "default")
    cluster.settle()
    before = cluster.store.revision
    cluster.stop_node("node-1")
    cluster.run_for(30)
    assert [r.key for r in cluster.store.history(after=before) if r.origin.actor == "system:node:node-1"] == []


def test_pods_of_a_deleted_node_go_and_are_replaced(cluster: Cluster) -> None:
    cluster.client.create("deployments", deployment(), "default")
    cluster.settle()
    cluster.delete_node("node-1")
    cluster.settle()
    cluster.run_for(120)
    found = cluster.client.items("pods", "default")
    assert len(found) == 3
    assert {item["spec"]["nodeName"] for item in found} <= {"node-2", "node-3"}


@pytest.mark.parametrize("act", [
    lambda cluster: cluster.add_node("extra"),
    lambda cluster: cluster.start_node("node-1"),
    lambda cluster: cluster.delete_node("node-1"),
])  # fmt: skip
def test_machines_of_a_stopped_cluster_are_left_alone(cluster: Cluster, act: Callable[[Cluster], object]) -> None:
    cluster.stop()
    with pytest.raises(ValueError, match="stopped"):
        act(cluster)
    cluster.start(wait=0)
    cluster.settle()
    assert sorted(cluster.nodes) == ["control-plane", "node-1", "node-2", "node-3"]


# stop and start


def test_what_had_run_to_its_end_does_not_run_again(cluster: Cluster) -> None:
    cluster.client.create("pods", pod("sh", "-c", "exit 0", restartPolicy="Never"), "default")
    cluster.settle()
    before = status(cluster)["containerStatuses"]
    cluster.stop()
    cluster.start(wait=0)
    cluster.settle()
    assert status(cluster)["phase"] == "Succeeded"
    assert status(cluster)["containerStatuses"] == before
    assert cluster.runtime.list_containers(cluster.client.get("pods", "lone", "default")["spec"]["nodeName"]) == []


def test_restarts_are_counted_on_when_the_cluster_was_off(cluster: Cluster) -> None:
    cluster.client.create("pods", pod("sleep", "1000000"), "default")
    cluster.settle()
    for restarts in (1, 2):
        cluster.stop()
        cluster.start(wait=0)
        cluster.settle()
        container = status(cluster)["containerStatuses"][0]
        assert container["restartCount"] == restarts
        assert container["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
        assert status(cluster)["phase"] == "Running"


def test_stop_start_and_delete_may_come_in_any_order_and_twice() -> None:
    cluster = boot(nodes=3)
    for act in (cluster.stop, cluster.stop, cluster.delete, cluster.delete, cluster.stop):
        act()
        assert not cluster.running
    for _ in range(2):
        cluster.start(wait=0)
    cluster.settle()
    assert cluster.is_ready()
    assert cluster.client.items("pods") == []
    cluster.delete()


def test_nothing_of_a_stopped_cluster_works_on_in_the_next_one(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, synced = cluster.controllers["deployment-controller"], []
    monkeypatch.setattr(old, "sync", synced.append)
    watchers = sum(map(len, cluster.store._watchers.values()))
    cluster.stop()
    cluster.start(wait=0)
    cluster.client.create("deployments", deployment(), "default")
    cluster.settle()
    assert synced == []
    assert sum(map(len, cluster.store._watchers.values())) == watchers


def test_a_stopped_cluster_refuses_in_a_sentence(cluster: Cluster) -> None:
    cluster.stop()
    with pytest.raises(ApiError, match="is stopped"):
        cluster.client.items("pods")


def test_a_start_that_fails_leaves_a_cluster_that_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(runtime="simulated", clock=VirtualClock(), seed=1)
    build, fails = hosts.HOSTS["simulated"], [True, False]

    def broken(*arguments: Any) -> Any:
        host = build(*arguments)
        if fails.pop(0):
            host.plane.add_node = _no_address
        return host

    monkeypatch.setitem(hosts.HOSTS, "simulated", broken)
    with pytest.raises(OSError, match="no address"):
        cluster.start(wait=0)
    assert not cluster.running
    cluster.start(wait=0)
    cluster.settle()
    assert cluster.is_ready()
    cluster.delete()


def _no_address(*_: object) -> None:
    raise OSError("no address")


def test_a_paused_cluster_that_is_stopped_starts_unpaused(cluster: Cluster) -> None:
    cluster.pause()
    cluster.stop()
    cluster.start(wait=0)
    assert not cluster.pump.paused


def test_two_clusters_in_one_process_do_not_meet(cluster: Cluster) -> None:
    other = boot(nodes=3, name="other")
    other.client.create("deployments", deployment(), "default")
    other.settle()
    cluster.settle()
    assert cluster.client.items("pods", "default") == []
    other.delete()
    cluster.client.create("deployments", deployment(), "default")
    cluster.settle()
    assert len(cluster.client.items("pods", "default")) == 3


def test_an_interrupt_of_virtual_time_loses_no_work(cluster: Cluster) -> None:
    handle, sent = cluster.apiserver.handle, []

    def interrupted(request: Any) -> Any:
        if request.verb == "create" and request.subresource == "binding" and not sent:
            sent.append(request)
            signal.raise_signal(signal.SIGINT)
        return handle(request)

    cluster.context.transport.handle = interrupted  # type: ignore[method-assign]
    cluster.client.create("pods", pod("sleep", "1000000"), "default")
    with pytest.raises(KeyboardInterrupt):
        cluster.settle()
    cluster.settle()
    assert status(cluster)["phase"] == "Running"


# real time


@pytest.fixture
def live() -> Iterator[Cluster]:
    cluster = Cluster(runtime="simulated", nodes=1, seed=1)
    cluster.start()
    yield cluster
    cluster.delete()


def test_a_cluster_in_real_time_can_be_used_from_many_threads(live: Cluster) -> None:
    def work(number: int) -> None:
        for step in range(20):
            name = f"c-{number}-{step}"
            live.client.create("configmaps", {"metadata": {"name": name}}, "default")
            live.client.watch("configmaps", "default").stop()
            live.client.delete("configmaps", name, "default")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert live.pump.running
    names = [item["metadata"]["name"] for item in live.client.items("configmaps", "default")]
    assert names == ["kube-root-ca.crt"]


def test_nodes_and_commands_in_real_time_need_no_lock_of_the_caller(live: Cluster) -> None:
    live.client.create("pods", pod("sleep", "1000000", terminationGracePeriodSeconds=1), "default")
    assert live.wait(lambda: status(live)["phase"] == "Running", 20)
    assert live.client.exec("lone", "default", ["echo", "hi"]).stdout == b"hi\n"
    live.stop_node("node-1")
    live.start_node("node-1")
    assert live.wait(lambda: status(live)["containerStatuses"][0]["restartCount"] == 1, 20)


def test_a_cluster_is_stopped_at_once_while_it_is_busy(live: Cluster) -> None:
    live.client.create("deployments", deployment(replicas=50), "default")
    live.stop()
    assert not live.pump.running
    live.start()
    assert live.wait(lambda: len(live.client.items("pods", "default")) == 50, 20)


def test_an_interrupt_waits_for_the_end_of_a_request(live: Cluster) -> None:
    handle = live.apiserver.handle
    arrived: list[str] = []

    def interrupted(request: Any) -> Any:
        if request.verb == "create" and request.kind.plural == "configmaps":
            signal.raise_signal(signal.SIGINT)
            arrived.append("in the middle")
        return handle(request)

    live.apiserver.handle = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        live.client.create("configmaps", {"metadata": {"name": "whole"}}, "default")
    assert arrived == ["in the middle"]
    assert live.client.get("configmaps", "whole", "default")
    assert live.pump.running
