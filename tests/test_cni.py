"""CNI: pods' addresses come from a plug-in, which a learner may write. Source: the CNI specification's ADD and DEL."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pytest

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.cri import RuntimeFailure
from k8snb.cri.cni import HostLocal, PodAddresses

POD = {"spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "nginx"}]}}


class FromAbove:
    """A learner's plug-in: the highest free address of the range."""

    def __init__(self) -> None:
        self.used: dict[str, str] = {}

    def add(self, pod: str, pod_cidr: str) -> str:
        highest = ipaddress.ip_network(pod_cidr).broadcast_address - 1
        address = next(str(highest - step) for step in range(250) if str(highest - step) not in self.used)
        self.used[address] = pod
        return address

    def delete(self, pod: str, address: str) -> None:
        self.used.pop(address, None)


class Stubborn:
    """One that gives everybody the same address."""

    def __init__(self, address: str) -> None:
        self.address = address

    def add(self, pod: str, pod_cidr: str) -> str:
        return self.address

    def delete(self, pod: str, address: str) -> None:
        """It does not care."""


@pytest.fixture(params=["simulated", pytest.param("process", marks=pytest.mark.process)])
def plugged(request: pytest.FixtureRequest) -> Iterator[tuple[Cluster, FromAbove]]:
    plugin = FromAbove()
    clock = VirtualClock() if request.param == "simulated" else None
    with Cluster("cni", nodes=1, runtime=request.param, clock=clock, network=plugin) as cluster:
        yield cluster, plugin


def test_a_plug_in_of_a_learner_s_chooses_the_addresses(plugged: tuple[Cluster, FromAbove]) -> None:
    cluster, plugin = plugged
    cluster.client.create("pods", {"metadata": {"name": "web"}, **POD}, "default")
    cluster.wait(lambda: cluster.client.get("pods", "web", "default")["status"].get("podIP"), 30)
    pod, node = cluster.client.get("pods", "web", "default"), cluster.client.get("nodes", "node-1")
    assert pod["status"]["podIP"] == node["spec"]["podCIDR"].replace(".0/24", ".254")
    assert plugin.used == {pod["status"]["podIP"]: "default/web"}
    cluster.client.delete("pods", "web", "default")
    cluster.wait(lambda: not plugin.used, 30)
    assert not plugin.used


def test_a_plug_in_that_gives_a_wrong_address_stops_the_pod_with_a_word_about_it() -> None:
    with Cluster("cni", nodes=1, runtime="simulated", clock=VirtualClock(), network=Stubborn("10.9.9.9")) as cluster:
        cluster.client.create("pods", {"metadata": {"name": "web"}, **POD}, "default")
        cluster.run_for(20)
        assert not cluster.client.get("pods", "web", "default")["status"].get("podIP")
        told = [each["message"] for each in cluster.client.items("events", "default")]
        assert any("the network plug-in gave pod default/web 10.9.9.9: it is not in" in text for text in told), told


def test_no_two_pods_have_one_address() -> None:
    addresses = PodAddresses(Stubborn("10.244.0.5"))
    assert addresses.take("n", "default/a", "10.244.0.0/24") == "10.244.0.5"
    assert addresses.node_of("10.244.0.5") == "n"
    with pytest.raises(RuntimeFailure, match="pod default/a has it"):
        addresses.take("n", "default/b", "10.244.0.0/24")
    addresses.give_back("10.244.0.5")
    assert addresses.take("n", "default/b", "10.244.0.0/24") and addresses.node_of("10.244.0.6") == ""


def test_an_address_that_was_given_back_is_the_last_to_be_given_again() -> None:
    """As the plug-in host-local of containernetworking/plugins goes round its ranges."""
    plugin = HostLocal()
    first = plugin.add("a", "10.244.3.0/29")
    plugin.delete("a", first)
    given = [plugin.add("a", "10.244.3.0/29") for _ in range(5)]
    assert len({*given}) == 5 and given[-1] == first == "10.244.3.2"
    with pytest.raises(RuntimeFailure, match=r"no free pod address in 10\.244\.3\.0/29: 5 pods run on this node"):
        plugin.add("b", "10.244.3.0/29")


def test_an_address_of_a_pod_that_was_there_before_is_given_to_nobody() -> None:
    addresses = PodAddresses()
    addresses.reserve("n", "10.244.0.2")
    assert addresses.take("n", "default/a", "10.244.0.0/24") == "10.244.0.3"
    addresses.give_back("10.244.0.2")
    assert addresses.node_of("10.244.0.2") == ""
