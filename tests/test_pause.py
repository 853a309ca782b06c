"""A paused cluster: components stand still, and the containers of the namespaces that were named as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from docker_images import SHELL, image_layers

from k8snb.apimachinery.meta import is_true
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.cri.docker_engine import connected
from k8snb.cri.process import ProcessRuntime
from k8snb.cri.simulated import SimulatedRuntime

NODE_PORT = 30080


def web(namespace: str = "default") -> Any:
    spec = {"containers": [{"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}]}
    return {"metadata": {"name": "web", "namespace": namespace, "labels": {"app": "web"}}, "spec": spec}


def ticker(namespace: str) -> Any:
    command = ["sh", "-c", "while true; do echo tick; sleep 1; done"]
    spec = {"containers": [{"name": "main", "image": "busybox", "command": command}]}
    return {"metadata": {"name": "ticker", "namespace": namespace}, "spec": spec}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as made:
        yield made


def expose(cluster: Cluster) -> str:
    """A pod with a server behind a NodePort; its URL."""
    cluster.client.create("pods", web())
    ports = [{"port": 80, "nodePort": NODE_PORT}]
    spec = {"type": "NodePort", "selector": {"app": "web"}, "ports": ports}
    cluster.client.create("services", {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    assert cluster.wait(lambda: bool(cluster.service_urls("web")) and answers(cluster), 30)
    return cluster.service_urls("web")[0]


def answers(cluster: Cluster) -> bool:
    try:
        return "nginx" in cluster.visit(cluster.service_urls("web")[0])[1]
    except OSError:
        return False


def ticks(cluster: Cluster, namespace: str) -> int:
    return cluster.kubectl.run(["logs", "ticker", "-n", namespace]).text.count("tick")


def test_pausing_the_components_leaves_the_containers_alone() -> None:
    with Cluster(nodes=1, runtime="simulated") as live:
        expose(live)
        assert live.pause() == 0
        live.client.create("namespaces", {"metadata": {"name": "later"}})
        assert not live.wait(lambda: has_account(live, "later"), 0.2)
        assert answers(live)
        live.unpause()
        assert live.wait(lambda: has_account(live, "later"), 30)


def has_account(cluster: Cluster, namespace: str) -> bool:
    return cluster.client.find("serviceaccounts", "default", namespace) is not None


def test_a_held_container_answers_nobody_until_it_goes_on(cluster: Cluster) -> None:
    expose(cluster)
    assert cluster.pause(everywhere=True) == 1
    assert not answers(cluster)
    assert cluster.unpause() == 1
    assert answers(cluster)


def test_only_the_containers_of_the_namespaces_that_are_named_are_held(cluster: Cluster) -> None:
    cluster.client.create("namespaces", {"metadata": {"name": "other"}})
    for namespace in ("default", "other"):
        cluster.client.create("pods", ticker(namespace))
    cluster.run_for(10)
    assert cluster.pause(["other"]) == 1
    cluster.unpause()
    assert cluster.pause(["nobody"]) == 0
    assert cluster.pause(everywhere=True) == 2


def test_time_does_not_pass_for_a_held_container(cluster: Cluster) -> None:
    cluster.client.create("pods", ticker("default"))
    cluster.run_for(10)
    before = ticks(cluster, "default")
    cluster.pause(everywhere=True)
    cluster.clock.advance_to(cluster.clock.monotonic() + 100)  # type: ignore[attr-defined]
    cluster.unpause()
    assert ticks(cluster, "default") == before
    cluster.run_for(5)
    assert before + 4 <= ticks(cluster, "default") <= before + 6


def test_pods_are_what_they_were_when_the_cluster_goes_on_after_an_hour(cluster: Cluster) -> None:
    expose(cluster)
    cluster.pause(everywhere=True)
    cluster.clock.advance_to(cluster.clock.monotonic() + 3600)  # type: ignore[attr-defined]
    cluster.unpause()
    cluster.run_for(30)
    pod = cluster.client.get("pods", "web", "default")
    assert pod["status"]["phase"] == "Running" and pod["status"]["containerStatuses"][0]["restartCount"] == 0
    assert cluster.is_ready()


def test_a_cluster_with_held_containers_stops_and_starts(cluster: Cluster) -> None:
    expose(cluster)
    cluster.pause(everywhere=True)
    cluster.stop()
    cluster.start(wait=0)
    cluster.settle()
    assert answers(cluster)
    assert cluster.unpause() == 0


class Sluggish:
    """A runtime of somebody's own, which has no call to hold a container."""

    def __init__(self, runtime: SimulatedRuntime) -> None:
        self._runtime = runtime

    def __getattr__(self, name: str) -> Any:
        if name in ("freeze_container", "thaw_container"):
            raise AttributeError(name)
        return getattr(self._runtime, name)


def test_a_runtime_that_cannot_hold_containers_says_so_and_the_cluster_goes_on() -> None:
    clock = VirtualClock()
    runtime: Any = Sluggish(SimulatedRuntime(clock))
    with Cluster(nodes=1, runtime=runtime, clock=clock, seed=1) as cluster:
        with pytest.raises(ValueError, match="the simulated runtime cannot pause containers"):
            cluster.pause(everywhere=True)
        assert not cluster.pump.paused
        assert cluster.pause() == 0


@pytest.mark.process
def test_a_held_process_is_stopped_and_goes_on() -> None:
    with Cluster("pausing", nodes=1, runtime="process") as cluster:
        expose(cluster)
        assert isinstance(cluster.runtime, ProcessRuntime)
        (process,) = [each.process for each in cluster.runtime._containers.values() if each.process]
        assert cluster.pause(everywhere=True) == 1
        program = psutil.Process(process.pid)
        assert cluster.wait(lambda: program.status() == psutil.STATUS_STOPPED, 30)
        assert cluster.unpause() == 1
        assert cluster.wait(lambda: program.status() != psutil.STATUS_STOPPED, 30)
        assert cluster.wait(lambda: answers(cluster), 30)
        cluster.pause(everywhere=True)
    assert not psutil.pid_exists(process.pid)


@pytest.mark.docker
def test_a_held_docker_container_is_paused_and_goes_on() -> None:
    with connected() as api, image_layers(api), Cluster("pausing", nodes=1, runtime="docker") as cluster:
        pod = ticker("default")
        pod["spec"]["containers"][0].update(image=SHELL, imagePullPolicy="IfNotPresent")
        cluster.client.create("pods", pod)
        assert cluster.wait(lambda: is_true(cluster.client.get("pods", "ticker", "default"), "Ready"), 60)
        labels = ["io.k8snb.cluster=pausing", "io.k8snb.sort=container"]

        def states() -> list[str]:
            return [found["State"] for found in api.containers(filters={"label": labels})]

        assert cluster.pause(everywhere=True) == 1
        assert states() == ["paused"]
        assert cluster.unpause() == 1
        assert states() == ["running"]
        cluster.pause(everywhere=True)
