"""Hosts: what the nodes of a cluster stand on. For each runtime, the things that go with it.

Interface: `choose(wish) -> (name, why)`, and `HOSTS`, a table from a runtime's name to what builds its `Host`;
`around(runtime)` gives that for a runtime of somebody's own.
The rule not to break: nothing is started before it is needed, and `close` leaves nothing behind.
Real Kubernetes finds all of this on the machines: containerd, the CNI plug-in, iptables, resolv.conf.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import random
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from urllib.parse import urlsplit

from k8snb.clock import Clock
from k8snb.coredns import Zone
from k8snb.cri import Addressed, Kept, PodSandboxConfig, Runtime
from k8snb.executor import ClockExecutor, Executor, ThreadExecutor
from k8snb.ioloop import Doorbell, IoLoop, Spot, bind_first
from k8snb.kube_proxy import DataPlane
from k8snb.kube_proxy.edge import Edge
from k8snb.kubelet.prober import Dialer
from k8snb.networkpolicy import Firewall, Judge
from k8snb.networkpolicy.book import SeenFrom
from k8snb.networkpolicy.firewall import Unfiltered
from k8snb.networkpolicy.policies import Peer
from k8snb.pump import Pump

if TYPE_CHECKING:
    from k8snb.cri.docker_kernel import PodKernels
    from k8snb.cri.simulated_network import Http, VirtualNetwork
    from k8snb.kube_proxy.forwarder import SocketDataPlane

AUTO, DOCKER, PROCESS, SIMULATED = "auto", "docker", "process", "simulated"
DNS_PORT = 53
API_PORT = 6443
LOOPBACK = "127.0.0.1"
NOT_FROM_PODS = "reached from this machine; pods of the Docker runtime use the Service's name or cluster IP"
PROCESSES_UNFILTERED = (
    "enforced for connections to Services and for DNS, which k8snb carries; a pod of the process runtime that connects "
    "to another pod's own address is not held back: plain processes share this machine's network"
)
ENGINE_UNGUARDED = (
    "enforced for connections to Services and for DNS where k8snb carries them; a pod that connects to another pod's "
    "own address is not held back"
)
VIRTUAL_BALANCERS = "203.0.113.0/24"  # RFC 5737: addresses for documentation, which look like the internet's
ISOLATING = 2.0  # seconds that a pod waits for its own firewall
VISIT_SECONDS, MAX_VISIT = 5.0, 1 << 20  # patience and bytes for a GET
NO_ANSWER = "timed out"
QUICKSTART_IMAGES = ("k8s.gcr.io/echoserver:1.10", "nginx:1.7.9", "busybox")


@dataclass
class Host:
    """A runtime and its surroundings.

    `serve_dns(zone, ip)` starts a resolver and says where pods find it ("" = nowhere), `stop_dns` ends it. `visit(url)`
    is a GET from the machine that the nodes stand on: status and text; OSError where nobody answers.
    `listen_for_pods(ip, answer)` opens a node's port for the apiserver's clients in pods, and says where;
    `answer(socket)` is called with the first client, unless `stop_listening()` was called before.
    `remove_at_end(directory)`: it goes with this process, whatever ends that. `enforce(book)` makes NetworkPolicies
    hold wherever k8snb itself carries a connection; the `firewall` sees to the other places, or says why it does not.
    """

    runtime: Runtime
    executor: Executor
    plane: DataPlane
    edge: Edge
    dialer: Dialer
    serve_dns: Callable[[Zone, str], str]
    stop_dns: Callable[[], None]
    visit: Callable[[str], tuple[int, str]]
    listen_for_pods: Callable[[str, Callable[[socket.socket], None]], Spot]
    enforce: Callable[[Judge], None]
    firewall: Firewall | None = None
    stop_listening: Callable[[], None] = lambda: None
    remove_at_end: Callable[[Path], None] = lambda path: None
    closers: list[Callable[[], None]] = field(default_factory=list)

    def pause(self) -> None:
        """End what runs, keep the addresses: the cluster may be started again."""
        for close in (self.plane.close, self.executor.close, *self.closers):
            close()

    def close(self) -> None:
        self.pause()
        self.runtime.close()


@runtime_checkable
class Simulation(Runtime, Protocol):
    """A runtime without sockets: its pods are reached by asking it. See `cri.simulated`, which may be wrapped."""

    clock: Clock
    network: VirtualNetwork

    def take_elapsed(self) -> float: ...
    def join(self, post: Callable[[Callable[[], None]], None]) -> None: ...
    def http(self, ip: str, port: int, path: str) -> Http | None: ...


@runtime_checkable
class EngineRuntime(Runtime, Protocol):
    """A runtime whose pods live in an engine's network: ClusterIPs have to be made addresses of this machine."""

    on_sandbox: Callable[[PodSandboxConfig, str], None]

    def open_service_network(self) -> bool: ...


def choose(wish: str = AUTO, *, patience: float = 0.0) -> tuple[str, str]:
    """The runtime for a wish, and one sentence on why. Raises ValueError for a word that is none.

    `patience`: seconds for which the images of the quick start may be pulled before Docker is passed over. The
    variables K8SNB_RUNTIME and K8SNB_WHY hand a choice on to a kernel.
    """
    wish, why = wish or AUTO, "you asked for it"
    if wish == AUTO and os.environ.get("K8SNB_RUNTIME"):
        wish, why = os.environ["K8SNB_RUNTIME"], os.environ.get("K8SNB_WHY", why)
    if wish != AUTO:
        if wish not in HOSTS:
            raise ValueError(f'"{wish}" is not a runtime: choose auto, docker, process or simulated')
        return wish, why
    return _look_around(patience)


def _look_around(patience: float) -> tuple[str, str]:
    if sys.platform == "win32":
        return SIMULATED, "Windows has no process groups, which the process runtime needs"
    from k8snb.cri.docker_arrivals import why_missing
    from k8snb.cri.docker_engine import engine_answers, forbidden

    version = engine_answers()
    if version is None:
        return PROCESS, forbidden() or "no Docker engine answers"
    if missing := why_missing(QUICKSTART_IMAGES, patience):
        return PROCESS, f"Docker {version} answers, but {missing}"
    return DOCKER, f"Docker {version} answers and has the images of the quick start"


def simulated(cluster: str, pump: Pump, dice: random.Random, runtime: Runtime | None, kept: Kept | None = None) -> Host:
    """Everything is a table: no thread, no socket, no process."""
    from k8snb.cri.simulated import SimulatedRuntime
    from k8snb.kube_proxy.virtual import VirtualDataPlane
    from k8snb.kubelet.dialer import CONNECTION_REFUSED, VirtualDialer

    simulation = runtime if isinstance(runtime, Simulation) else SimulatedRuntime(pump.clock)
    if simulation.clock is not pump.clock:
        raise ValueError("the runtime has a clock of its own: Cluster(runtime=runtime, clock=runtime.clock) shares it")
    plane = VirtualDataPlane(dice, pump.clock.monotonic, locate=_locate(simulation))
    outside = VirtualDataPlane(dice, pump.clock.monotonic)
    edge = Edge(outside, plane, pump.clock, addresses(VIRTUAL_BALANCERS))

    def route(ip: str, port: int, client: str = "") -> tuple[str, int] | None:
        spot = outside.connect(ip, port, client)
        return plane.connect(*spot, client) if spot else None

    def enforce(book: Judge) -> None:
        simulation.network.permits = book.permits

    simulation.network.route = route
    simulation.join(pump.post)

    def serve_dns(zone: Zone, address: str) -> str:
        simulation.network.lookup, simulation.network.resolver = zone.address, address
        return address

    def stop_dns() -> None:
        simulation.network.lookup = lambda name, namespace: None

    def visit(url: str) -> tuple[int, str]:
        parts = urlsplit(url)
        health = plane.health(parts.hostname or "", parts.port or 80)
        if health is not None:
            return health
        spot = route(parts.hostname or "", parts.port or 80, LOOPBACK)
        if spot and not simulation.network.permits(LOOPBACK, *spot, "TCP"):
            raise TimeoutError(NO_ANSWER)
        answer = simulation.http(*spot, parts.path or "/") if spot else None
        if answer is None:
            raise ConnectionRefusedError(CONNECTION_REFUSED)
        return answer[0], answer[2].decode(errors="replace")

    return Host(
        runtime=simulation,
        executor=ClockExecutor(pump.clock, simulation.take_elapsed),
        plane=plane,
        edge=edge,
        dialer=VirtualDialer(lambda ip, port, path: simulation.http(ip, port, path)),
        serve_dns=serve_dns,
        stop_dns=stop_dns,
        visit=visit,
        listen_for_pods=lambda ip, answer: (ip, API_PORT),
        enforce=enforce,
    )


def process(cluster: str, pump: Pump, dice: random.Random, runtime: Runtime | None, kept: Kept | None = None) -> Host:
    """Real processes on this machine's loopback addresses, or whatever listens on addresses of this machine."""
    from k8snb.cri.process import ProcessRuntime

    processes = runtime or ProcessRuntime(cluster, clock=pump.clock, kept=kept)
    balancers = getattr(processes, "balancer_cidr", f"{LOOPBACK}/32")
    forwards = getattr(processes, "forwards_file", None)
    host = _on_sockets(processes, pump, dice, forwards=forwards, balancers=balancers)
    host.remove_at_end = getattr(processes, "remove_at_end", host.remove_at_end)
    host.firewall = Unfiltered(PROCESSES_UNFILTERED)
    return host


def docker(cluster: str, pump: Pump, dice: random.Random, runtime: Runtime | None, kept: Kept | None = None) -> Host:
    """Containers of a Docker engine."""
    from k8snb.cri.docker import DockerRuntime
    from k8snb.cri.docker_balancers import open_range
    from k8snb.cri.janitor import Janitor
    from k8snb.cri.process_network import claim_balancers

    engine = runtime if isinstance(runtime, EngineRuntime) else DockerRuntime(cluster, janitor=Janitor(), kept=kept)
    reached_by_pods = engine.open_service_network()
    opened = open_range(getattr(engine, "remove_route_at_end", lambda cidr: None)) if reached_by_pods else None
    balancers, free = opened or claim_balancers()
    note = "" if opened else NOT_FROM_PODS
    kernels: PodKernels | None = getattr(engine, "kernels", None)
    host = _on_sockets(engine, pump, dice, balancers=balancers, note=note, plane=_in_kernels(engine, kernels))
    if kernels is not None:
        _guard_pods(host, engine, kernels)
    host.closers.append(free)
    host.remove_at_end = getattr(engine, "remove_at_end", host.remove_at_end)
    serve_dns = host.serve_dns

    def serve_dns_to_pods(zone: Zone, address: str) -> str:
        spot = serve_dns(zone, address)
        return spot if reached_by_pods else ""

    host.serve_dns = serve_dns_to_pods
    return host


def _locate(runtime: Runtime) -> Callable[[str], str] | None:
    """On which node a pod's address is; None where nobody can tell."""
    return runtime.addresses.node_of if isinstance(runtime, Addressed) else None


def _in_kernels(runtime: Runtime, kernels: PodKernels | None) -> Callable[[IoLoop, int], SocketDataPlane] | None:
    """A data plane that pods' kernels carry out by themselves, where this machine lets them."""
    if kernels is None or kernels.why_not:
        return None
    from k8snb.cri.docker_kernel import SERVICES
    from k8snb.kube_proxy.netfilter import KernelDataPlane

    return lambda io, seed: KernelDataPlane(
        io, SERVICES, lambda text: kernels.program(nat=text), seed=seed, locate=_locate(runtime)
    )


def _guard_pods(host: Host, engine: EngineRuntime, kernels: PodKernels) -> None:
    """NetworkPolicies on an engine: whatever comes from elsewhere than a pod comes from the node."""
    from k8snb.cri.docker_kernel import INPUT, OUTPUT
    from k8snb.networkpolicy.netfilter import KernelFirewall

    node: str = getattr(engine, "node_address", "")
    pods = ipaddress.ip_network(getattr(engine, "cluster_cidr", "") or f"{node}/32")
    enforce = host.enforce
    kernels.program(filters=dict)  # what another run knew is no longer so
    host.firewall = KernelFirewall(
        lambda tables: kernels.program(filters=tables), lambda: _unguarded(kernels.why_not), node=node,
        reach_out=lambda: (engine.service_cidr,), chains=(INPUT, OUTPUT),
    )  # fmt: skip

    def isolate(book: Judge, config: PodSandboxConfig, ip: str) -> None:
        """A pod's rules are in force before its containers start."""
        concerned = book.expect(Peer(ip, config.namespace, config.name, config.labels, host_ip=node))
        kernels.wake()
        if concerned:
            kernels.flush(ISOLATING)

    def enforce_by_address(book: Judge) -> None:
        engine.on_sandbox = functools.partial(isolate, book)
        enforce(SeenFrom(book, lambda source: source if ipaddress.ip_address(source) in pods else node))

    host.enforce = enforce_by_address


def _unguarded(why_not: str) -> str:
    return f"{ENGINE_UNGUARDED}: {why_not}" if why_not else ""


def _on_sockets(
    runtime: Runtime, pump: Pump, dice: random.Random, *, balancers: str, forwards: object = None, note: str = "",
    plane: Callable[[IoLoop, int], SocketDataPlane] | None = None,
) -> Host:  # fmt: skip
    from k8snb.coredns.resolvers import Resolvers
    from k8snb.kube_proxy.forwarder import SocketDataPlane
    from k8snb.kubelet.dialer import SocketDialer

    io = IoLoop(on_failure=lambda component, details: pump.post(lambda: pump.on_failure(component, details)))
    forwards_file = forwards if isinstance(forwards, Path) else None
    seed = dice.getrandbits(32)
    locate = _locate(runtime)
    inside = plane(io, seed) if plane else SocketDataPlane(io, forwards_file=forwards_file, seed=seed, locate=locate)
    outside = SocketDataPlane(io, seed=seed)
    resolvers = Resolvers(io)

    def obey(judge: Judge) -> None:
        inside.permits = judge.permits
        resolvers.permits = judge.permits

    host = Host(
        runtime=runtime,
        executor=ThreadExecutor(pump.post),
        plane=inside,
        edge=Edge(outside, inside, pump.clock, addresses(balancers), note=note),
        dialer=SocketDialer(),
        serve_dns=resolvers.serve,
        stop_dns=resolvers.close,
        visit=visit,
        listen_for_pods=lambda ip, answer: (ip, API_PORT),
        enforce=obey,
        closers=[resolvers.close, outside.close, io.close],
    )

    def listen_for_pods(ip: str, answer: Callable[[socket.socket], None]) -> Spot:
        bound = bind_first(socket.SOCK_STREAM, ((ip, API_PORT), (ip, 0), (LOOPBACK, 0)))
        host.stop_listening = Doorbell(io, bound.sock, answer).close
        return bound.spot

    host.listen_for_pods = listen_for_pods
    return host


def addresses(cidr: str) -> tuple[str, ...]:
    """All addresses of a range that something can have."""
    return tuple(str(address) for address in ipaddress.ip_network(cidr).hosts())


def visit(url: str) -> tuple[int, str]:
    """A GET over a real connection."""
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=VISIT_SECONDS) as answer:
            return answer.status, answer.read(MAX_VISIT).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.reason


class Build(Protocol):
    """Makes a host, and where no runtime is given, that too: for a cluster that is `kept`, the one it had."""

    def __call__(
        self, cluster: str, pump: Pump, dice: random.Random, runtime: Runtime | None, kept: Kept | None = None
    ) -> Host: ...


HOSTS: dict[str, Build] = {
    DOCKER: docker,
    PROCESS: process,
    SIMULATED: simulated,
}


def around(runtime: Runtime) -> Build:
    """What builds the host of a runtime that somebody made. Raises ValueError for one that lacks calls."""
    if missing := sorted(name for name in _calls() if not hasattr(runtime, name)):
        raise ValueError(f"the runtime {type(runtime).__name__} lacks {', '.join(missing)}: see k8snb.cri.Runtime")
    name = SIMULATED if isinstance(runtime, Simulation) else DOCKER if isinstance(runtime, EngineRuntime) else PROCESS

    def build(cluster: str, pump: Pump, dice: random.Random, runtime: Runtime | None, kept: Kept | None = None) -> Host:
        if runtime is None:
            raise ValueError("the cluster's runtime was closed with it: make a new one, and a new Cluster with it")
        return HOSTS[name](cluster, pump, dice, runtime)

    return build


def _calls() -> set[str]:
    """The names that a `Runtime` has."""
    return {*Runtime.__annotations__, *(name for name in vars(Runtime) if not name.startswith("_"))}
