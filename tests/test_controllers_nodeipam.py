"""node-ipam-controller: every node has a range of its own, and its pods have addresses of it.

Restates `pkg/controller/nodeipam/ipam/range_allocator_test.go` and `cidrset/cidr_set_test.go`.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from cluster_lab import boot
from controllers_lab import Lab

from k8snb.apimachinery.meta import Object, condition, name_of
from k8snb.cluster import Cluster
from k8snb.controllers.nodeipam import CidrSet, NodeIpamController


def lab(cidr: str = "10.10.0.0/22", reserved: tuple[str, ...] = ()) -> Lab:
    return Lab(lambda context, informers: NodeIpamController(
        context, informers, cluster_cidr=cidr, reserved=reserved)).start()  # fmt: skip


def ranges(one: Lab) -> dict[str, str]:
    return {name_of(node): node["spec"].get("podCIDR", "") for node in one.client.items("nodes")}


def test_nodes_get_ranges_one_after_the_other() -> None:
    """upstream: TestAllocateOrOccupyCIDRSuccess: "When there's no ServiceCIDR return first CIDR in range"."""
    one = lab()
    for name in ("n1", "n2"):
        one.node(name)
        one.run()
    assert ranges(one) == {"n1": "10.10.0.0/24", "n2": "10.10.1.0/24"}
    assert one.client.get("nodes", "n1")["spec"]["podCIDRs"] == ["10.10.0.0/24"]


def test_what_is_reserved_for_services_is_not_given_away() -> None:
    """upstream: "Correctly filter out Service CIDR"."""
    one = lab(reserved=("10.10.0.0/23", "192.168.0.0/16"))
    one.node("n1")
    assert ranges(one.run()) == {"n1": "10.10.2.0/24"}


def test_a_range_that_a_node_has_already_is_nobody_elses() -> None:
    """upstream: "Correctly ignore already allocated CIDRs"; also after a restart, whatever the order of the nodes."""
    one = lab()
    one.node("a")
    one.node("z", podCIDR="10.10.1.0/24", podCIDRs=["10.10.1.0/24"])
    one.run().restart()
    one.node("b")
    assert ranges(one.run()) == {"a": "10.10.0.0/24", "b": "10.10.2.0/24", "z": "10.10.1.0/24"}


def test_when_the_ranges_are_used_up_the_node_says_so_once() -> None:
    """TestAllocateOrOccupyCIDRFailure; RecordNodeStatusChange in pkg/controller/util/node."""
    one = lab()
    for number in range(1, 6):
        one.node(f"n{number}")
    one.run().wait(3600)
    assert ranges(one)["n5"] == ""
    assert one.events("CIDRNotAvailable") == ["Node n5 status is now: CIDRNotAvailable"]
    [event] = [each for each in one.client.items("events", "default") if each["reason"] == "CIDRNotAvailable"]
    assert (event["count"], event["source"]["component"]) == (1, "cidrAllocator")


def test_a_range_that_becomes_free_goes_to_the_node_that_waits() -> None:
    """upstream: TestReleaseCIDRSuccess."""
    one = lab()
    for number in range(1, 6):
        one.node(f"n{number}")
    one.run()
    one.client.delete("nodes", "n2")
    assert ranges(one.run())["n5"] == "10.10.1.0/24"


@pytest.mark.parametrize(
    ("cidr", "size", "last"), [("10.0.0.0/30", 30, "10.0.0.0/30"), ("127.123.0.0/16", 24, "127.123.255.0/24")]
)
def test_a_set_of_ranges_is_given_out_to_the_last(cidr: str, size: int, last: str) -> None:
    """upstream: cidr_set_test.go: TestCIDRSetFullyAllocated, TestGetBitforCIDR."""
    one = CidrSet(cidr, size)
    given = []
    while (next_ := one.allocate_next()) is not None:
        given.append(next_)
    assert (given[-1], len(given)) == (last, len(set(given)))
    one.release(last)
    assert one.allocate_next() == last


def test_a_set_smaller_than_one_range_is_refused() -> None:
    """upstream: pkg/controller/nodeipam/ipam/cidrset: NewCIDRSet, ErrCIDRSetSubNetTooBig."""
    with pytest.raises(ValueError, match="smaller than the range of one node, /24"):
        CidrSet("10.0.0.0/25")


# with kubelets and runtimes


def run(cluster: Cluster, name: str, node: str, **spec: Any) -> Object:
    container = {"name": "main", "image": "nginx"}
    body = {"metadata": {"name": name}, "spec": {"containers": [container], "nodeName": node, **spec}}
    cluster.client.create("pods", body, "default")
    if cluster.clock.virtual:
        cluster.run_for(10)
    else:
        cluster.wait(lambda: bool(cluster.client.get("pods", name, "default")["status"].get("podIP")), 20)
    return cluster.client.get("pods", name, "default")


def in_range(cluster: Cluster, pod: Object) -> bool:
    node = cluster.client.get("nodes", pod["spec"]["nodeName"])
    return ip_address(pod["status"]["podIP"]) in ip_network(node["spec"]["podCIDR"])


def test_pods_have_addresses_of_their_nodes_range() -> None:
    """docs: concepts/cluster-administration/networking (How to implement the Kubernetes network model)."""
    cluster = boot(cluster_cidr="10.200.0.0/20")
    one, two = run(cluster, "one", "node-1"), run(cluster, "two", "node-2")
    assert in_range(cluster, one) and in_range(cluster, two)
    assert one["status"]["podIP"].startswith("10.200.")
    cluster.delete()


def test_a_node_without_a_range_is_not_ready_and_starts_no_pod() -> None:
    """pkg/kubelet: "container runtime network not ready"."""
    cluster = boot()
    cluster.component("node-ipam-controller").stop()
    cluster.add_node()
    waiting = run(cluster, "lone", "node-3")
    node = cluster.client.get("nodes", "node-3")
    ready = condition(node, "Ready") or {}
    assert (ready["status"], ready["reason"]) == ("False", "KubeletNotReady")
    assert ready["message"].startswith("container runtime network not ready: NetworkReady=false")
    assert "podIP" not in waiting["status"]
    cluster.component("node-ipam-controller").start()
    cluster.run_for(30)
    assert (condition(cluster.client.get("nodes", "node-3"), "Ready") or {})["status"] == "True"
    assert in_range(cluster, cluster.client.get("pods", "lone", "default"))
    cluster.delete()


def test_a_cluster_whose_range_is_used_up_says_on_which_node() -> None:
    """upstream: pkg/controller/nodeipam/ipam/range_allocator.go: CIDRNotAvailable."""
    cluster = boot(nodes=4, cluster_cidr="10.200.0.0/22")
    nodes = cluster.client.items("nodes")
    assert [name_of(node) for node in nodes if "podCIDR" not in node["spec"]] == ["node-4"]
    assert "CIDRNotAvailable" in cluster.kubectl.run(["get", "events"]).text
    cluster.delete_node("node-1")
    cluster.settle()
    assert cluster.client.get("nodes", "node-4")["spec"]["podCIDR"] == "10.200.1.0/24"
    cluster.delete()


def test_a_node_keeps_its_range_while_it_is_switched_off() -> None:
    """API reference: NodeSpec.podCIDR."""
    cluster = boot()
    before = cluster.client.get("nodes", "node-1")["spec"]["podCIDR"]
    cluster.stop()
    cluster.start(wait=0)
    cluster.settle()
    assert cluster.client.get("nodes", "node-1")["spec"]["podCIDR"] == before
    assert in_range(cluster, run(cluster, "one", "node-1"))
    cluster.delete()


def test_many_nodes_have_ranges_that_do_not_touch_the_services() -> None:
    """upstream: range_allocator.go: filterOutServiceRange."""
    cluster = boot(nodes=300)
    given = [ip_network(node["spec"]["podCIDR"]) for node in cluster.client.items("nodes")]
    assert len(set(given)) == 301
    assert not any(each.overlaps(ip_network(cluster.runtime.service_cidr)) for each in given)
    cluster.delete()


@pytest.mark.process
def test_processes_have_addresses_of_their_nodes_range() -> None:
    """docs: concepts/cluster-administration/networking; here with loopback addresses."""
    with Cluster("ranges", nodes=1, runtime="process") as cluster:
        assert in_range(cluster, run(cluster, "one", "node-1"))
