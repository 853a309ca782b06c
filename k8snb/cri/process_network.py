"""The process runtime's network: addresses of a cluster, its nodes and its pods, all of this machine's loopback.

Interface: `Loopback`: `add_node`, `take` for pods' addresses, which `addresses` has, `place` for ports.
The rule not to break: two clusters never share an address, also when they run in two processes: each holds a bound
socket in its own 127.X.0.0/16. Where 127.0.0.1 is the only address (macOS), all ports are mapped.
A real cluster's CNI plug-in gives each pod an address on a network of its own.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
import zlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from k8snb.cri import Network, RuntimeFailure
from k8snb.cri.cni import PodAddresses

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
FIRST, LAST = 16, 254
CLAIM_PORT = 47127
POD_BASE, MAX_NODES = 32, 222
MAPPED_BASE, MAX_PORT = 42000, 65535
KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}
# Upstream's default range. With one address nothing can listen on a ClusterIP: the forwards file sends programs on.
UNREACHABLE_SERVICES = "10.96.0.0/12"


class Loopback:
    """One cluster's addresses: services 127.X.0.0/20, nodes 127.X.16.N, load balancers 127.X.17.N. The n-th node has
    127.X.(32+n).0/24 for its pods, or what it is told, which is a part of 127.X.128.0/17. A cluster that comes back
    asks for the `service_cidr` that it had; one that is to be `lasting` begins where others do not look first."""

    def __init__(self, *, single_address: bool | None = None, service_cidr: str = "", lasting: str = "") -> None:
        self._lock = threading.Lock()
        self._nodes: dict[str, int] = {}
        self.addresses = PodAddresses()
        self._mapped: set[int] = set()
        self._ranges: dict[str, str] = {}  # what a node has been told, where that is not its own
        self.cluster_cidr = ""
        self.reserved: tuple[str, ...] = ()
        self._claim: socket.socket | None = None
        self.single_address = (not _has_many()) if single_address is None else single_address
        if self.single_address:
            self.service_cidr, self.balancer_cidr = UNREACHABLE_SERVICES, "127.0.0.1/32"
        else:
            self._prefix, self._claim = _claim(service_cidr, lasting)
            self.cluster_cidr, self.reserved = f"{self._prefix}.128.0/17", (f"{self._prefix}.255.0/24",)
            self.service_cidr, self.balancer_cidr = f"{self._prefix}.0.0/20", f"{self._prefix}.17.0/24"

    def add_node(self, node: str) -> Network:
        """The node's addresses; the same for the same name. Raises RuntimeFailure when there are too many."""
        with self._lock:
            if node not in self._nodes:
                self._nodes[node] = _lowest_free(set(self._nodes.values()))
            own = self._network(self._nodes[node])
            return Network(node_ip=own.node_ip, pod_cidr=self._ranges.get(node, own.pod_cidr))

    def set_range(self, node: str, pod_cidr: str) -> None:
        """Take the addresses of the node's next pods from another range."""
        with self._lock:
            self._ranges[node] = pod_cidr

    def remove_node(self, node: str) -> None:
        with self._lock:
            self._ranges.pop(node, None)
            self._nodes.pop(node, None)
        self.addresses.forget(node)

    def node_ip(self, node: str) -> str:
        return self._network(self._nodes[node]).node_ip

    def take(self, node: str, pod: str = "") -> str:
        """An address of the node's range for a pod."""
        if self.single_address:
            return LOOPBACK
        with self._lock:
            cidr = self._ranges.get(node) or self._network(self._nodes[node]).pod_cidr
        return self.addresses.take(node, pod, cidr)

    def place(self, address: str, port: int, protocol: str) -> int | None:
        """Where a port has to be opened instead; None if it can be had, or is taken at just this address.

        In the second case the program that wants it fails, as it would in a real pod.
        """
        kind = KINDS.get(protocol)
        if kind is None:
            return None
        if not self.single_address:
            failure = _try(address, port, kind)
            # A server on all addresses of this machine is in the way of every pod, and none of the pod's business.
            if failure == 0 or (failure == errno.EADDRINUSE and _try(f"{self._prefix}.255.253", port, kind) == 0):
                return None
        with self._lock:
            return self._free_port(address, port, kind)

    def release(self, ports: set[int]) -> None:
        """These mapped ports are free again."""
        with self._lock:
            self._mapped -= ports

    def close(self) -> None:
        if self._claim is not None:
            self._claim.close()

    def _network(self, number: int) -> Network:
        if self.single_address:
            return Network(node_ip="127.0.0.1", pod_cidr="127.0.0.1/32")
        return Network(node_ip=f"{self._prefix}.16.{number + 1}", pod_cidr=f"{self._prefix}.{POD_BASE + number}.0/24")

    def _free_port(self, address: str, port: int, kind: int) -> int:
        """A port that reminds of the wanted one (42080 for 80), else any."""
        wanted = MAPPED_BASE + port
        if wanted <= MAX_PORT and wanted not in self._mapped and _try(address, wanted, kind) == 0:
            found = wanted
        else:
            while (found := _any_port(address, kind)) in self._mapped:
                pass
        if self.single_address:
            self._mapped.add(found)
        return found


def claim_balancers() -> tuple[str, Callable[[], None]]:
    """Loopback addresses for the load balancers of a runtime whose own addresses are others; and what frees them."""
    if not _has_many():
        return "127.0.0.1/32", lambda: None
    prefix, holder = _claim()
    return f"{prefix}.17.0/24", holder.close


def apart(choices: Sequence[T], lasting: str) -> Sequence[T]:
    """The order in which somebody looks for a place: from the first, or who wants it back later from one of his own in
    the second half, so that it is seldom somebody else's by then."""
    if not lasting:
        return choices
    half = len(choices) // 2
    begin = half + zlib.crc32(os.fsencode(lasting)) % (len(choices) - half)
    return [*choices[begin:], *choices[half:begin], *choices[:half]]


def taken(service_cidr: str) -> str:
    """A sentence for a cluster that comes back and finds its addresses gone."""
    return f"the cluster's Services have addresses in {service_cidr}, which another one uses: stop that one first"


def _has_many() -> bool:
    return _try(f"127.{FIRST}.255.254", 0, socket.SOCK_DGRAM) == 0


def _claim(service_cidr: str = "", lasting: str = "") -> tuple[str, socket.socket]:
    """The first free 127.X, or the one that this range of ClusterIPs is in, and the socket that holds it."""
    wanted = int(service_cidr.split(".")[1]) if service_cidr.startswith("127.") else 0
    for number in (wanted,) if wanted else apart(range(FIRST, LAST + 1), lasting):
        holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            holder.bind((f"127.{number}.255.254", CLAIM_PORT))
            return f"127.{number}", holder
        except OSError:
            holder.close()
    if wanted:
        raise RuntimeFailure("CreatePodSandboxError", taken(service_cidr))
    raise RuntimeFailure(
        "CreatePodSandboxError",
        f"no free range of loopback addresses is left between 127.{FIRST} and 127.{LAST}: stop another k8snb cluster",
    )


def _try(address: str, port: int, kind: int) -> int:
    """0 if the port could be opened now, else the number of the error."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            if kind == socket.SOCK_STREAM:
                # With SO_REUSEADDR two may bind one port, but only one may listen.
                probe.listen(1)
            return 0
        except OSError as error:
            return error.errno or errno.EINVAL


def _any_port(address: str, kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((address, 0))
        number: int = probe.getsockname()[1]
        return number


def _lowest_free(taken: set[int]) -> int:
    for number in range(MAX_NODES + 1):
        if number not in taken:
            return number
    text = f"the process runtime has addresses for {MAX_NODES + 1} nodes, not more"
    raise RuntimeFailure("CreatePodSandboxError", text)
