"""CNI: the container network interface, by which a pod gets its address.

Interface: `NetworkPlugin`, the seam: `add(pod, pod_cidr)` and `delete(pod, address)`, CNI's ADD and DEL; `HostLocal`,
the one that is there; `PodAddresses`, what a runtime asks, and who has which address.
The rule not to break: no two pods have one address, and each has one of its node's range, whatever the plug-in says.
Source: the specification at containernetworking/cni, and host-local in containernetworking/plugins. A real plug-in also
makes the interface and the routes; here the runtime does, with the address that was chosen.
"""

from __future__ import annotations

import ipaddress
import threading
from functools import lru_cache
from typing import NamedTuple, Protocol

from k8snb.cri import RuntimeFailure

FIRST, BEHIND = 2, 3  # a range's first address for a pod; how many are not for pods: network, gateway, broadcast


class NetworkPlugin(Protocol):
    """Chooses pods' addresses. `pod` is namespace/name. Calls come from several threads, one at a time."""

    def add(self, pod: str, pod_cidr: str) -> str:
        """An address of the node's range that no pod has. Raises RuntimeFailure CreatePodSandboxError."""
        ...

    def delete(self, pod: str, address: str) -> None:
        """The pod's address is free again. A second time changes nothing."""
        ...


class _Range:
    """One range's addresses as numbers. `last` is the one given last: the next search begins behind it."""

    __slots__ = ("base", "last", "size", "used")

    def __init__(self, cidr: str) -> None:
        network = ipaddress.IPv4Network(cidr)
        self.base = int(network.network_address)
        self.size = network.num_addresses - BEHIND
        self.last = FIRST - 1
        self.used: set[int] = set()


class HostLocal:
    """Goes round each range, so that an address just freed is the last to be given again."""

    def __init__(self) -> None:
        self._ranges: dict[str, _Range] = {}

    def add(self, pod: str, pod_cidr: str) -> str:
        found = self._ranges.get(pod_cidr)
        if found is None:
            found = self._ranges[pod_cidr] = _Range(pod_cidr)
        for step in range(found.size):
            number = FIRST + (found.last - FIRST + 1 + step) % found.size
            if number not in found.used:
                found.used.add(number)
                found.last = number
                return str(ipaddress.IPv4Address(found.base + number))
        message = f"no free pod address in {pod_cidr}: {len(found.used)} pods run on this node"
        raise RuntimeFailure("CreatePodSandboxError", message)

    def delete(self, pod: str, address: str) -> None:
        number = int(ipaddress.IPv4Address(address))
        for found in self._ranges.values():
            if FIRST <= number - found.base < FIRST + found.size:
                found.used.discard(number - found.base)


class Owner(NamedTuple):
    """Who has an address."""

    node: str
    pod: str


class PodAddresses:
    """The addresses of a runtime's pods; `plugin` may be replaced before the first pod."""

    def __init__(self, plugin: NetworkPlugin | None = None) -> None:
        self.plugin: NetworkPlugin = plugin or HostLocal()
        self._owners: dict[str, Owner] = {}
        self._reserved: set[str] = set()
        self._lock = threading.Lock()

    def take(self, node: str, pod: str, pod_cidr: str) -> str:
        """An address for a pod. Raises RuntimeFailure, also where the plug-in gives one that cannot be."""
        with self._lock:
            while (address := self.plugin.add(pod, pod_cidr)) in self._reserved:
                self._reserved.discard(address)
            if problem := self._problem(address, pod_cidr):
                text = f"the network plug-in gave pod {pod} {address}: {problem}"
                raise RuntimeFailure("CreatePodSandboxError", text)
            self._owners[address] = Owner(node, pod)
            return address

    def reserve(self, node: str, address: str) -> None:
        """A pod that is there already has this address, and the plug-in knows nothing of it."""
        with self._lock:
            self._owners[address] = Owner(node, "")
            self._reserved.add(address)

    def give_back(self, address: str) -> None:
        """A pod has ended; an address that nobody has changes nothing."""
        with self._lock:
            owner = self._owners.pop(address, None)
            self._reserved.discard(address)
            if owner is not None:
                self.plugin.delete(owner.pod, address)

    def node_of(self, address: str) -> str:
        """The node of the pod that has an address, "" for none. Any thread may ask."""
        owner = self._owners.get(address)
        return owner.node if owner is not None else ""

    def forget(self, node: str) -> None:
        """The node is gone with all its pods."""
        for address in [address for address, owner in list(self._owners.items()) if owner.node == node]:
            self.give_back(address)

    def _problem(self, address: str, pod_cidr: str) -> str:
        if address in self._owners:
            return f"pod {self._owners[address].pod} has it"
        try:
            inside = ipaddress.IPv4Address(address) in _network(pod_cidr)
        except ValueError:
            return "that is no IPv4 address"
        return "" if inside else f"it is not in {pod_cidr}, the range of its node"


@lru_cache(maxsize=8192)
def _network(cidr: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(cidr)
