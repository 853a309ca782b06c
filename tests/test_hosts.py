"""Hosts: which runtime a cluster stands on, and why; clusters on a runtime of somebody's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from k8snb import hosts
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.cri import Image, RuntimeFailure
from k8snb.cri.process import ProcessRuntime
from k8snb.cri.simulated import SimulatedRuntime


def test_a_wish_is_a_command() -> None:
    assert hosts.choose("simulated") == ("simulated", "you asked for it")


def test_a_word_that_is_no_runtime_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="choose auto, docker, process or simulated"):
        hosts.choose("podman")


def test_a_kernel_takes_over_what_its_starter_chose_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SNB_RUNTIME", "process")
    monkeypatch.setenv("K8SNB_WHY", "the images did not come")
    assert hosts.choose() == ("process", "the images did not come")
    assert hosts.choose("simulated")[0] == "simulated", "a word in the cell outweighs the environment"


def test_without_an_engine_containers_are_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("K8SNB_RUNTIME", raising=False)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    runtime, why = hosts.choose()
    assert runtime == "process"
    assert "Docker" in why


def test_on_windows_containers_are_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("K8SNB_RUNTIME", raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    runtime, why = hosts.choose()
    assert runtime == "simulated"
    assert "Windows" in why


# a runtime of one's own


class OwnRegistry:
    """A learner's runtime: it hands everything on to the simulated one, but has a registry of its own."""

    name = "mine"
    cri_version = "mine://0.1"

    def __init__(self, simulated: SimulatedRuntime) -> None:
        self._simulated = simulated
        self.pulled: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._simulated, name)

    def pull_image(self, image: str) -> Image:
        if image.startswith("secret"):
            raise RuntimeFailure("ErrImagePull", f"{image} is not for you")
        self.pulled.append(image)
        return self._simulated.pull_image(image)


def test_a_cluster_runs_on_a_runtime_that_a_learner_wrote() -> None:
    clock = VirtualClock()
    runtime = OwnRegistry(SimulatedRuntime(clock))
    with Cluster(runtime=runtime, clock=clock, nodes=1, seed=1) as cluster:
        cluster.kubectl.run("create deployment web --image=nginx:1.7.9 --replicas=2")
        cluster.kubectl.run("expose deployment web --port=80")
        cluster.kubectl.run("run spy --image=secret:1")
        cluster.run_for(5)
        assert set(runtime.pulled) == {"nginx:1.7.9"}
        assert cluster.client.get("deployments", "web", "default")["status"]["readyReplicas"] == 2
        assert cluster.visit(cluster.service_urls("web")[0])[0] == 200
        waiting = cluster.client.get("pods", "spy", "default")["status"]["containerStatuses"][0]["state"]["waiting"]
        assert "ErrImagePull: secret:1 is not for you" in waiting["message"]
        info = cluster.client.get("nodes", "node-1")["status"]["nodeInfo"]
        assert (cluster.runtime_name, info["containerRuntimeVersion"]) == ("mine", "mine://0.1")


def test_a_runtime_that_is_given_is_closed_with_its_cluster_and_none_takes_its_place() -> None:
    clock = VirtualClock()
    runtime = SimulatedRuntime(clock)
    cluster = Cluster(runtime=runtime, clock=clock, nodes=1)
    cluster.start()
    cluster.stop()
    cluster.start()
    assert cluster.runtime is runtime
    cluster.delete()
    with pytest.raises(ValueError, match="make a new one"):
        cluster.start()


def test_a_runtime_that_lacks_calls_is_refused_with_their_names() -> None:
    class Half:
        name = "half"

    with pytest.raises(
        ValueError, match=r"the runtime Half lacks add_node, .*run_pod_sandbox.*: see k8snb.cri.Runtime"
    ):
        Cluster(runtime=Half())  # type: ignore[arg-type]


def test_a_simulated_runtime_has_to_share_the_cluster_s_clock() -> None:
    cluster = Cluster(runtime=SimulatedRuntime(VirtualClock()), clock=VirtualClock())
    with pytest.raises(ValueError, match=r"clock=runtime\.clock"):
        cluster.start()


@pytest.fixture
def one_address() -> Iterator[Cluster]:
    """A cluster as macOS gives it, where 127.0.0.1 is the only loopback address."""
    with Cluster("one-address", runtime=ProcessRuntime("one-address", single_address=True), nodes=1) as cluster:
        yield cluster


@pytest.mark.process
def test_with_one_loopback_address_services_are_reached_through_mapped_ports(one_address: Cluster) -> None:
    cluster = one_address
    assert cluster.is_ready()
    assert {node.network.node_ip for node in cluster.nodes.values()} == {"127.0.0.1"}
    cluster.kubectl.run("create deployment web --image=nginx:1.7.9 --replicas=2")
    cluster.kubectl.run("expose deployment web --port=80 --type=NodePort")
    cluster.kubectl.run("wait --for=condition=Available deployment/web --timeout=30s")

    service = cluster.client.get("services", "web", "default")["spec"]
    assert cluster.wait(lambda: cluster.address(service["clusterIP"], 80)[0] == "127.0.0.1", 20)
    spots = [cluster.address("127.0.0.1", service["ports"][0]["nodePort"]), cluster.address(service["clusterIP"], 80)]
    assert {ip for ip, _ in spots} == {"127.0.0.1"}
    assert 80 not in {port for _, port in spots}
    urls = [*cluster.service_urls("web"), *(f"http://{ip}:{port}" for ip, port in spots)]
    assert all("nginx" in cluster.visit(url)[1] for url in urls)

    script = "until wget -qO- http://web; do sleep 0.2; done; wget -qO- http://web.default.svc.cluster.local; echo done"
    cluster.kubectl.run(f"run client --image=busybox --restart=Never --command -- sh -c '{script}'")
    cluster.kubectl.run("wait --for=jsonpath={.status.phase}=Succeeded pod/client --timeout=30s")
    assert str(cluster.kubectl.run("logs client").text).count("Welcome to nginx") >= 2
