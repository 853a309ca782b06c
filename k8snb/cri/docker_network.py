"""The network of a cluster on Docker: one bridge for all its pods, and the host's way to ClusterIPs.

Interface: `PodNetwork` (a /24 of the bridge for each node, an address for each pod), `ServiceNetwork` (a route that
makes ClusterIPs addresses of this host), `write_resolver`.
The rule not to break: a range is taken only when no network of Docker and no route of the host has it, and all that was
taken is given back by `close()`.
Real clusters give each node its own bridge (CNI) and catch ClusterIPs with iptables, IPVS or eBPF (kube-proxy).
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from k8snb.cri import Network, PodSandboxConfig, RuntimeFailure
from k8snb.cri.cni import PodAddresses
from k8snb.cri.docker_engine import first_line, translated
from k8snb.cri.janitor_program import ROUTE_PROTOCOL, guard, remove_route
from k8snb.cri.process_network import apart, taken

POD_RANGES = (*(f"10.{second}.0.0/16" for second in range(244, 256)), *(f"172.{n}.0.0/16" for n in range(20, 32)))
SERVICE_RANGES = tuple(f"10.{second}.0.0/16" for second in range(96, 112))
LOOPBACK_RANGES = tuple(f"127.{second}.0.0/20" for second in range(96, 128))
_CIDR = re.compile(r"\b(\d+\.\d+\.\d+\.\d+/\d+)\b")


def host_ranges() -> list[ipaddress.IPv4Network]:
    """The ranges that the host's routing tables name; none where there is no `ip` command."""
    _, text = _ip("route", "show", "table", "all")
    return [ipaddress.IPv4Network(cidr, strict=False) for cidr in _CIDR.findall(text)]


def _ip(*words: str) -> tuple[bool, str]:
    try:
        done = subprocess.run(["ip", "-4", *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False, ""
    return done.returncode == 0, done.stdout


def free_ranges(candidates: tuple[str, ...]) -> Iterator[str]:
    """The candidates that no route of the host touches."""
    taken = [each for each in host_ranges() if each.prefixlen > 0]
    return (cidr for cidr in candidates if not any(ipaddress.IPv4Network(cidr).overlaps(each) for each in taken))


class PodNetwork:
    """The cluster's bridge. Node n has the n-th /24 of its range; the first /24 is the bridge's own. A cluster that
    comes back finds its bridge under its name, or has it made with the range `wanted`.
    """

    def __init__(self, api: Any, name: str, labels: Mapping[str, str], *, wanted: str = "") -> None:
        self.name = name
        self.cidr = _existing(api, name) or _create(api, name, labels, (wanted,) if wanted else POD_RANGES)
        self.gateway = str(ipaddress.IPv4Network(self.cidr).network_address + 1)
        self._lock = threading.Lock()
        first, *self._free = ipaddress.IPv4Network(self.cidr).subnets(new_prefix=24)
        self.reserved = str(first)
        self._nodes: dict[str, ipaddress.IPv4Network] = {}
        self._told: dict[str, ipaddress.IPv4Network] = {}
        self.addresses = PodAddresses()

    def add_node(self, node: str) -> Network:
        with self._lock:
            if node not in self._nodes:
                if not self._free:
                    raise RuntimeFailure("NetworkNotReady", f'node "{node}": {self.cidr} has no range left for it')
                self._nodes[node] = self._free.pop(0)
            return Network(node_ip=self.gateway, pod_cidr=str(self._told.get(node, self._nodes[node])))

    def set_range(self, node: str, pod_cidr: str) -> None:
        """Take the addresses of the node's next pods from another part of the bridge's range."""
        with self._lock:
            self._told[node] = ipaddress.IPv4Network(pod_cidr)

    def remove_node(self, node: str) -> None:
        with self._lock:
            self._told.pop(node, None)
            if node in self._nodes:
                self._free.append(self._nodes.pop(node))
        self.addresses.forget(node)

    def take(self, node: str, pod: str = "") -> str:
        """An address of the node's range for a pod."""
        with self._lock:
            if node not in self._nodes:
                raise RuntimeFailure("NotFound", f'node "{node}" is not known to the Docker runtime: add it first')
            cidr = self._told.get(node, self._nodes[node])
        return self.addresses.take(node, pod, str(cidr))

    def reserve(self, node: str, ip: str) -> None:
        """A pod that is there already has this address."""
        self.addresses.reserve(node, ip)

    def give_back(self, node: str, ip: str) -> None:
        self.addresses.give_back(ip)


def _existing(api: Any, name: str) -> str:
    """The range of a bridge that is there, "" for none."""
    found = [row for row in api.networks(names=[name]) if row["Name"] == name]
    return str(found[0]["IPAM"]["Config"][0]["Subnet"]) if found else ""


def _create(api: Any, name: str, labels: Mapping[str, str], ranges: tuple[str, ...]) -> str:
    """Create the bridge on the first range that is free, and return the range."""
    import docker

    for cidr in free_ranges(ranges):
        gateway = str(ipaddress.IPv4Network(cidr).network_address + 1)
        pool = docker.types.IPAMPool(subnet=cidr, gateway=gateway)
        try:
            with_pool = docker.types.IPAMConfig(pool_configs=[pool])
            api.create_network(name, driver="bridge", ipam=with_pool, labels=dict(labels), check_duplicate=True)
        except docker.errors.APIError as error:
            if "overlaps" in first_line(error):
                continue
            with translated("NetworkNotReady", "cannot create the cluster's pod network"):
                raise
        return cidr
    which = f"address range {ranges[0]} is not free" if len(ranges) == 1 else "no free address range"
    raise RuntimeFailure("NetworkNotReady", f"{which} for pods: docker network prune makes room")


def write_resolver(path: Path, config: PodSandboxConfig) -> None:
    """Give a pod the resolv.conf that a kubelet writes, in place of the engine's, which names a forwarder of its own.

    The forwarder asks the same server.
    """
    lines = [
        f"search {' '.join(config.dns_searches)}" if config.dns_searches else "",
        *(f"nameserver {server}" for server in config.dns_servers),
        f"options {' '.join(config.dns_options)}" if config.dns_options else "",
    ]
    rewrite(path, "".join(f"{line}\n" for line in lines if line))


def rewrite(path: Path, text: str) -> None:
    """Change one of the engine's files, where it is on this machine and this user's to write; otherwise it stays."""
    with suppress(OSError), path.open("r+") as file:  # the same file stays: containers have it mounted
        file.truncate()
        file.write(text)


def reaches(cidr: str) -> bool:
    """Whether a range of pods' addresses lies on this very machine."""
    return ipaddress.IPv4Network(cidr) in host_ranges()


class ServiceNetwork:
    """Where ClusterIPs live. `cidr` is chosen at once and may move in `open()`, where need be to a loopback range.

    A range belongs to the cluster that holds its guard, a socket, which no dead process does. A cluster that comes back
    has `wanted`, which its Services have their addresses from, and no other; what is `lasting` looks for it apart.
    """

    def __init__(self, wanted: str = "", lasting: str = "") -> None:
        self._wanted, self._lasting = wanted, lasting
        self.cidr = wanted or next(free_ranges(self._among(SERVICE_RANGES)), SERVICE_RANGES[-1])
        self.note = ""
        self._guard: socket.socket | None = None

    def open(self) -> bool:
        """Make every ClusterIP an address of this host, which pods reach through their gateway.

        Returns False where that is not permitted: then ClusterIPs are loopback addresses, for this machine alone.
        Raises RuntimeFailure where a range that is wanted cannot be had.
        """
        if self._guard is None and sys.platform == "linux" and os.geteuid() == 0:
            clear_stale_routes()
            ranges = self._among(SERVICE_RANGES)
            next((cidr for cidr in free_ranges(ranges) if add_route(cidr) and self._take(cidr)), "")
        if self._guard is None:
            next((cidr for cidr in self._among(LOOPBACK_RANGES) if self._take(cidr)), "")
            if self._guard is None and self._wanted:
                raise RuntimeFailure("NetworkNotReady", taken(self._wanted))
            self.note = (
                f"ClusterIPs ({self.cidr}) and names of Services answer on this machine but not inside pods: the route "
                "for that may only be added by root on Linux; pods reach each other and NodePorts by address"
            )
        return not self.note

    def _among(self, ranges: tuple[str, ...]) -> tuple[str, ...]:
        """Those to try, in their order."""
        return tuple(cidr for cidr in apart(ranges, self._lasting) if not self._wanted or cidr == self._wanted)

    def _take(self, cidr: str) -> bool:
        self._guard = guard(cidr)
        if self._guard is not None:
            self.cidr = cidr
        return self._guard is not None

    def close(self) -> None:
        if self._guard is not None:
            self._guard.close()
            self._guard = None
            if not self.note:
                remove_route(self.cidr)


def add_route(cidr: str) -> bool:
    return _ip("route", "add", "local", cidr, "dev", "lo", "proto", ROUTE_PROTOCOL)[0]


def clear_stale_routes() -> None:
    """Take away the ranges of clusters whose process and janitor were both killed."""
    _, text = _ip("route", "show", "table", "local", "proto", ROUTE_PROTOCOL)
    for cidr in _CIDR.findall(text):
        remove_route(cidr)
