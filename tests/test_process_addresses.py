"""The process runtime's addresses: ranges of the loopback network for clusters, nodes and pods."""

from __future__ import annotations

import subprocess
import sys

import pytest

from k8snb.cri import RuntimeFailure
from k8snb.cri.process_network import Loopback


@pytest.mark.process
def test_two_clusters_never_share_an_address() -> None:
    first, second = Loopback(single_address=False), Loopback(single_address=False)
    third = subprocess.run(
        [sys.executable, "-c", "from k8snb.cri.process_network import Loopback as L; print(L().service_cidr)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert len({first.service_cidr, second.service_cidr, third}) == 3
    first.close()
    again = Loopback(single_address=False)
    assert again.service_cidr == first.service_cidr
    again.close()
    second.close()


@pytest.mark.process
def test_nodes_and_pods_have_ranges_of_their_own() -> None:
    network = Loopback(single_address=False)
    prefix = network.service_cidr.removesuffix(".0.0/20")
    first, second = network.add_node("a"), network.add_node("b")
    assert (first.node_ip, first.pod_cidr) == (f"{prefix}.16.1", f"{prefix}.32.0/24")
    assert (second.node_ip, second.pod_cidr) == (f"{prefix}.16.2", f"{prefix}.33.0/24")
    assert network.add_node("a") == first
    assert network.take("b").startswith(f"{prefix}.33.")
    network.close()


@pytest.mark.process
def test_an_address_given_back_is_the_last_to_be_given_again() -> None:
    network = Loopback(single_address=False)
    network.add_node("a")
    first = network.take("a")
    network.addresses.give_back(first)
    given = [network.take("a") for _ in range(253)]
    assert len(set(given)) == 253
    assert given[-1] == first
    with pytest.raises(RuntimeFailure, match="no free pod address in"):
        network.take("a")
    network.close()
