"""The virtual network: addresses of simulated pods, and what answers behind them.

Interface: `VirtualNetwork`: `add_node`/`attach` hand addresses out, `http()` asks a pod, `fetch()` is what a container
does with a URL. Names, Services and policies are plugged in as `lookup(name, namespace)`, answered by the name server
at `resolver`, `route(ip, port, client)` and `permits(source, destination, port, protocol)`.
The rule not to break: an address belongs to at most one pod, and finding it costs the same however many there are.
Real clusters have a CNI plug-in here, with a bridge and routes between the nodes.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from k8snb.cri import RUNNING, Network, RuntimeFailure, simulated_usage
from k8snb.cri.cni import PodAddresses
from k8snb.cri.simulated_images import canonical
from k8snb.cri.simulated_machine import Container, Pod, option_text
from k8snb.cri.simulated_shell import Answer

Http = tuple[int, dict[str, str], bytes]

_NODES = ipaddress.IPv4Network("172.18.0.0/16")
_OVERFLOW = ipaddress.IPv4Network("10.0.0.0/8")
DNS_PORT = 53
_PROTOCOLS = {"http": 80, "https": 443}
_NOT_FOUND = b"<html><body><h1>404 Not Found</h1></body></html>\n"


class _Place:
    """One node's place in the network. `network` is what it was set up with, which is how it is found again for the
    next node; `given` what it has been told since.
    """

    __slots__ = ("given", "host_pods", "network")

    def __init__(self, network: Network, pod_cidr: str = "") -> None:
        self.network = network
        self.given = Network(node_ip=network.node_ip, pod_cidr=pod_cidr or network.pod_cidr)
        self.host_pods: dict[str, Pod] = {}

    def moved(self, pod_cidr: str) -> _Place:
        """The same node with another range; the pods on the node's own address stay."""
        moved = _Place(self.network, pod_cidr)
        moved.host_pods = self.host_pods
        return moved


class VirtualNetwork:
    """Who has which address. `now` gives the moment at which the network is asked."""

    def __init__(self, now: Callable[[], float], *, pod_cidr: str, service_cidr: str) -> None:
        self.lookup: Callable[[str, str], str | None] = lambda name, namespace: None
        self.route: Callable[[str, int, str], tuple[str, int] | None] = lambda ip, port, client: None
        self.permits: Callable[[str, str, int, str], bool] = lambda source, destination, port, protocol: True
        self.resolver = ""
        self._now = now
        self._unused = _networks(ipaddress.IPv4Network(pod_cidr), ipaddress.IPv4Network(service_cidr))
        self._freed: list[Network] = []
        self.addresses = PodAddresses()
        self._nodes: dict[str, _Place] = {}
        self._node_ips: dict[str, _Place] = {}
        self._pods: dict[str, Pod] = {}

    def add_node(self, node: str) -> Network:
        if node not in self._nodes:
            fresh = (network for network in self._unused if network.node_ip not in self._node_ips)
            network = self._freed.pop() if self._freed else next(fresh, None)
            if network is None:
                raise RuntimeFailure("NetworkNotReady", f'node "{node}": the cluster has no pod address range left')
            self._nodes[node] = self._node_ips[network.node_ip] = _Place(network)
        return self._nodes[node].given

    def restore_node(self, node: str, network: Network) -> None:
        """A node with addresses that it has had before."""
        self._nodes[node] = self._node_ips[network.node_ip] = _Place(network)

    def set_range(self, node: str, pod_cidr: str) -> None:
        """Take the addresses of the node's next pods from another range."""
        before = self._nodes[node]
        if before.given.pod_cidr != pod_cidr:
            self._nodes[node] = self._node_ips[before.network.node_ip] = before.moved(pod_cidr)

    def remove_node(self, node: str) -> None:
        network = self._nodes.pop(node).network
        self.addresses.forget(node)
        del self._node_ips[network.node_ip]
        self._freed.append(network)

    def attach(self, pod: Pod, ip: str = "") -> None:
        """Give the pod its address: one of its node's range, or the node's own; or back the one that it had."""
        node = self._nodes[pod.config.node]
        if pod.config.host_network:
            pod.ip = node.network.node_ip
            node.host_pods[pod.id] = pod
            return
        if ip:
            self.addresses.reserve(pod.config.node, ip)
        name = f"{pod.config.namespace}/{pod.config.name}"
        pod.ip = ip or self.addresses.take(pod.config.node, name, node.given.pod_cidr)
        self._pods[pod.ip] = pod

    def detach(self, pod: Pod) -> None:
        node = self._nodes[pod.config.node]
        if node.host_pods.pop(pod.id, None) is None and self._pods.get(pod.ip) is pod:
            del self._pods[pod.ip]
            self.addresses.give_back(pod.ip)

    # asking

    def http(self, ip: str, port: int, path: str, *, method: str = "GET", client: str = "") -> Http | None:
        """The answer of the container that serves there: status, headers, body. None: connection refused."""
        container = self._listener(ip, port)
        return _answer(container, path, method, client or ip, self._now()) if container else None

    def listens(self, ip: str, port: int) -> bool:
        """Whether a container serves there; nobody notices the question."""
        return self._listener(ip, port) is not None

    def _listener(self, ip: str, port: int) -> Container | None:
        now = self._now()
        for pod in self._pods_at(ip):
            for container in pod.containers.values():
                if port in container.ports and container.state(now) == RUNNING and not container.frozen:
                    return container
        return None

    def _pods_at(self, ip: str) -> list[Pod]:
        if ip in self._pods:
            return [self._pods[ip]]
        return list(self._node_ips[ip].host_pods.values()) if ip in self._node_ips else []

    def fetch(self, container: Container, url: str) -> Answer:
        """What a container gets for a URL, through names and Services."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        ip = self.find_address(container, parts.hostname or "")
        if ip is None:
            return Answer(0, b"", "address")
        port = parts.port or _PROTOCOLS.get(parts.scheme, 80)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        source = container.pod.ip
        spot = self.route(ip, port, source) or (ip, port)
        if not self.permits(source, *spot, "TCP"):
            return Answer(0, b"", "silence")
        answer = self.http(*spot, path, client=source)
        return Answer(answer[0], answer[2]) if answer else Answer(0, b"", "refused")

    def find_address(self, container: Container, name: str) -> str | None:
        pod = container.pod
        if name in ("localhost", "127.0.0.1", pod.hostname):
            return pod.ip
        if re.fullmatch(r"\d+(\.\d+){3}", name):
            return name
        asks = not self.resolver or self.resolver in pod.config.dns_servers
        may_ask = asks and (not self.resolver or self.permits(pod.ip, self.resolver, DNS_PORT, "UDP"))
        return self.lookup(name, pod.config.namespace) if may_ask else None


def _networks(pods: ipaddress.IPv4Network, services: ipaddress.IPv4Network) -> Iterator[Network]:
    """A /24 of the pods' range for each node, then of the rest of 10.0.0.0/8, never of the Services' range."""
    own = pods.subnets(new_prefix=max(24, pods.prefixlen))
    rest = _OVERFLOW.subnets(new_prefix=24)
    ranges = itertools.chain(own, (each for each in rest if not (each.overlaps(pods) or each.overlaps(services))))
    nodes = itertools.islice(_NODES.hosts(), 1, None)  # the first is the bridge's own
    return (Network(node_ip=str(ip), pod_cidr=str(cidr)) for ip, cidr in zip(nodes, ranges, strict=False))


def _answer(container: Container, path: str, method: str, client: str, now: float) -> Http:
    status, body = _respond(container, path, method, now)
    simulated_usage.serve(container, now)
    if container.image.access_log:
        container.write_log(now, f'{client} - - "{method} {path} HTTP/1.1" {status} {len(body)}\n'.encode())
    kind = "text/html" if body.lstrip().startswith(b"<") else "text/plain"
    return status, {"Content-Type": kind, "Content-Length": str(len(body))}, body


def _respond(container: Container, path: str, method: str, now: float) -> tuple[int, bytes]:
    image, plain, age = container.image, urlsplit(path).path or "/", now - container.started_at
    if image.sick_after is not None and plain == "/healthz" and age >= image.sick_after:
        return 500, f"error: {age:.0f} seconds old\n".encode()
    if image.web_root:
        page = container.files.read(image.web_root + plain + ("index.html" if plain.endswith("/") else ""))
        if page is not None:
            return 200, page
        if plain not in ("/", "/index.html"):
            return 404, _NOT_FOUND
    return 200, _fill(image.body, _facts(container, path, method)).encode()


def _facts(container: Container, path: str, method: str) -> Mapping[str, str]:
    image, pod = container.config.image, container.pod
    return {
        "pod": pod.config.name, "image": image, "tag": canonical(image).rpartition(":")[2].removeprefix("v"),
        "path": path, "method": method, "ip": pod.ip, "text": option_text(container.config),
    }  # fmt: skip


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Put values into a row's text; other braces stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), template)
