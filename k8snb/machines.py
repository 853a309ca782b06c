"""Machines: the nodes of a cluster, each with a kubelet and a kube-proxy while it is switched on.

Interface: `Machines(…)`: `add`, `switch_on`, `fall_silent`, `forget`; `freeze` and `thaw` what they run; `Node`.
The rule not to break: a machine that is switched off keeps its name and its addresses, and nothing else.
Real clusters have hosts here, on which kubeadm or a cloud provider installs the two agents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from k8snb.apimachinery.meta import Object
from k8snb.apiserver import ApiServer
from k8snb.boot import ControlPlane
from k8snb.cloud.notebook import ZONE, Machine
from k8snb.cloud.service import EXCLUDED
from k8snb.cri import RUNNING, Engines, Freezer, Network, Runtime, RuntimeFailure, RuntimeUnavailable
from k8snb.hosts import Host
from k8snb.kube_proxy.proxy import KubeProxy
from k8snb.kubelet import Kubelet
from k8snb.kubelet.node_status import NodeSpec
from k8snb.kubelet.pod_directories import PodDirectories
from k8snb.kubelet.restoring import Times
from k8snb.kubelet.volume_places import PLUGINS
from k8snb.kubelet.volume_plugin import VolumePlugin
from k8snb.pump import Pump

CONTROL_PLANE = "control-plane"
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"


class Ground(Protocol):
    """What machines have to know of their cluster: who serves now, and where pods find its DNS."""

    resolver: str

    @property
    def apiserver(self) -> ApiServer: ...


@dataclass
class Node:
    """A machine of the cluster: its spec, its addresses, whether it is `on`, and its two agents while they run."""

    spec: NodeSpec
    network: Network
    on: bool = True
    kubelet: Kubelet | None = None
    proxy: KubeProxy | None = None


class Restored(NamedTuple):
    """What a fork begins with: the names of the nodes that are `on`, and since when containers run or have ended."""

    on: frozenset[str]
    times: Times


class Machines:
    """The machines of one cluster. `workers` counts those beside the control plane's own, which runs the manifests in
    `static_pods` by itself; `cpus`, `memory` and `disk` are a machine's size where its spec has none. Machines that are
    `rented` have to be asked about at their cloud, which has them in `zones` in turn. What lies on their disks lies in
    `root`, and outlives the process there."""

    def __init__(
        self, pump: Pump, *, workers: int, cpus: str, memory: str, disk: str, static_pods: str, rented: bool,
        zones: Sequence[str], root: Path | None = None,
    ) -> None:  # fmt: skip
        self._pump = pump
        self._rented, self._zones = rented, tuple(zones) or (ZONE,)
        self._zone_of: dict[str, str] = {}  # of every machine that was ever rented
        self._cpus, self._memory, self._disk = cpus, memory, disk
        self.specs = {spec.name: spec for spec in self._first(workers, static_pods)}
        self.nodes: dict[str, Node] = {}
        self.directories = PodDirectories(root)
        self.volume_plugins: dict[str, VolumePlugin] = dict(PLUGINS)
        self._frozen: dict[str, Runtime] = {}  # containers that are held → where
        self.restored: Restored | None = None  # at the first start of a fork

    def _first(self, workers: int, static_pods: str) -> Iterator[NodeSpec]:
        taint = {"key": CONTROL_PLANE_LABEL, "effect": "NoSchedule"}
        labels = {CONTROL_PLANE_LABEL: "", EXCLUDED: ""}
        yield self._spec(CONTROL_PLANE, labels=labels, taints=(taint,), static_pods=static_pods)
        for number in range(1, workers + 1):
            yield self._spec(f"node-{number}")

    def _spec(
        self, name: str, *, labels: Mapping[str, str] | None = None, taints: Sequence[Object] = (), cpus: str = "",
        memory: str = "", disk: str = "", static_pods: str = "", docker_host: str = "",
    ) -> NodeSpec:  # fmt: skip
        self._zone_of[name] = self._zones[len(self._zone_of) % len(self._zones)]
        return NodeSpec(
            name, labels=labels or {}, taints=taints, cpus=cpus or self._cpus, memory=memory or self._memory,
            disk=disk or self._disk, static_pods=static_pods, external_cloud=self._rented, docker_host=docker_host,
        )  # fmt: skip

    def restore(self, specs: Iterable[NodeSpec]) -> None:
        """These machines there were, in place of the first ones."""
        self.specs = {spec.name: spec for spec in specs}
        self._zone_of = {name: self._zones[number % len(self._zones)] for number, name in enumerate(self.specs)}

    def machine(self, name: str) -> Machine | None:
        """The machine that a node stands on, as the notebook's cloud rents it out."""
        node = self.nodes.get(name)
        if node is None:
            return None
        return Machine(name, node.network.node_ip, on=node.on, zone=self._zone_of[name])

    def add(
        self, name: str, *, labels: dict[str, str], cpus: str, memory: str, disk: str, static_pods: str,
        docker_host: str = "",
    ) -> NodeSpec:  # fmt: skip
        """The spec of one more worker; without a name, the first of `node-1`, `node-2`… that is free."""
        numbers = (number for number in range(1, len(self.specs) + 2) if f"node-{number}" not in self.specs)
        name = name or f"node-{next(numbers)}"
        if name in self.specs:
            raise ValueError(f'node "{name}" exists already')
        spec = self._spec(
            name, labels=labels, cpus=cpus, memory=memory, disk=disk, static_pods=static_pods, docker_host=docker_host
        )
        self.specs[name] = spec
        return spec

    def find(self, name: str) -> Node:
        """Raises ValueError where there is no such node."""
        if name not in self.nodes:
            raise ValueError(f'there is no node "{name}"; there are {", ".join(self.nodes)}')
        return self.nodes[name]

    def workers(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.spec.name != CONTROL_PLANE]

    def fork(self, other: Machines, specs: dict[str, NodeSpec], restored: Restored) -> None:
        """Be the machines of another cluster as they were: those of `specs`."""
        self.specs, self._zones, self._zone_of = dict(specs), other._zones, dict(other._zone_of)
        for name in specs:
            self._zone_of.setdefault(name, self._zones[0])
        self.volume_plugins = dict(other.volume_plugins)
        self.restored = restored

    # switching, under the pump's lock

    def switch_on(self, spec: NodeSpec, plane: ControlPlane, host: Host, ground: Ground) -> None:
        network = runtime_of(spec, host.runtime).add_node(spec.name)
        given = plane.gives_ranges and not spec.docker_host
        node = self.nodes[spec.name] = Node(spec, replace(network, pod_cidr="") if given else network)
        if self.restored is not None and spec.name not in self.restored.on:
            node.on = False
            return
        self.start_kubelet(node, plane, host, ground)
        self.start_proxy(node, plane)

    def fall_silent(self, node: Node, ground: Ground) -> None:
        """Switch a machine off; its containers go on."""
        node.on = False
        self.stop_kubelet(node, ground)
        self.stop_proxy(node)

    def start_kubelet(self, node: Node, plane: ControlPlane, host: Host, ground: Ground) -> None:
        if node.kubelet is not None or not node.on:
            return
        node.kubelet = Kubelet(
            node.spec, plane.context, plane.nodes, runtime=runtime_of(node.spec, host.runtime), executor=host.executor,
            dialer=host.dialer, network=node.network, post=self._pump.post, dns=lambda: ground.resolver,
            directories=self.directories, volume_plugins=self.volume_plugins,
        )  # fmt: skip
        ground.apiserver.connect_node(node.spec.name, node.kubelet)
        if self.restored is not None:
            node.kubelet.restore(self.restored.times)
        node.kubelet.start()

    def stop_kubelet(self, node: Node, ground: Ground) -> None:
        kubelet, node.kubelet = node.kubelet, None
        if kubelet is not None:
            ground.apiserver.disconnect_node(node.spec.name)
            kubelet.stop()

    def start_proxy(self, node: Node, plane: ControlPlane) -> None:
        if node.proxy is None and node.on:
            node.proxy = KubeProxy(node.spec.name, node.network.node_ip, plane.rule_book)
            node.proxy.start()

    def stop_proxy(self, node: Node) -> None:
        proxy, node.proxy = node.proxy, None
        if proxy is not None:
            proxy.stop()

    # without the lock: a runtime may take its time

    def end_pods(self, name: str, runtime: Runtime) -> None:
        """End whatever runs on a machine. Raises RuntimeFailure."""
        own = self._runtime_of(name, runtime)
        for sandbox in own.list_pod_sandboxes(name):
            own.stop_pod_sandbox(sandbox.id)
            own.remove_pod_sandbox(sandbox.id)

    def end_all_pods(self, runtime: Runtime) -> None:
        for name in self.nodes:
            with suppress(RuntimeFailure):  # an engine that is gone has taken the containers along, or keeps them
                self.end_pods(name, runtime)

    def _runtime_of(self, name: str, runtime: Runtime) -> Runtime:
        """The runtime that a machine's containers are on."""
        node = self.nodes.get(name)
        return runtime_of(node.spec, runtime) if node is not None else runtime

    def freeze(self, runtime: Runtime, picks: Callable[[str], bool]) -> int:
        """Hold the containers of the namespaces that are picked; how many that are. Raises RuntimeFailure."""
        _as_freezer(runtime)
        for name in self.nodes:
            own = self._runtime_of(name, runtime)
            pods = {pod.id for pod in own.list_pod_sandboxes(name) if picks(pod.namespace)}
            for container in own.list_containers(name):
                if container.state == RUNNING and container.sandbox_id in pods and container.id not in self._frozen:
                    _as_freezer(own).freeze_container(container.id)
                    self._frozen[container.id] = own
        return len(self._frozen)

    def kill(self, runtime: Runtime, node: str, uid: str, container: str) -> None:
        """End a container's program at once. Raises ValueError for one that does not run."""
        own = self._runtime_of(node, runtime)
        own.stop_container(_running(own, node, uid, container), 0)

    def hold(self, runtime: Runtime, node: str, uid: str, container: str) -> None:
        """Hold one container until `thaw`. Raises ValueError for one that does not run or cannot be held."""
        own = self._runtime_of(node, runtime)
        found = _running(own, node, uid, container)
        try:
            _as_freezer(own).freeze_container(found)
        except RuntimeFailure as failure:
            raise ValueError(failure.message) from failure
        self._frozen[found] = own

    def thaw(self) -> int:
        """Let all go on that was held; how many that were."""
        frozen, self._frozen = self._frozen, {}
        for container, own in frozen.items():
            with suppress(RuntimeFailure):  # it was ended meanwhile, by somebody who does not ask the cluster
                _as_freezer(own).thaw_container(container)
        return len(frozen)

    def forget(self, name: str, runtime: Runtime) -> None:
        """A machine goes for good, though its engine may have gone before."""
        own = self._runtime_of(name, runtime)
        left = self.nodes.pop(name).spec.docker_host
        del self.specs[name]
        with suppress(RuntimeUnavailable):
            own.remove_node(name)
        if left and isinstance(runtime, Engines) and all(spec.docker_host != left for spec in self.specs.values()):
            with suppress(RuntimeUnavailable):
                runtime.leave(left)

    def close(self) -> None:
        """The cluster is deleted: what lay on the machines' disks goes as well."""
        self.nodes.clear()
        self.directories.close()


def runtime_of(spec: NodeSpec, runtime: Runtime) -> Runtime:
    """What runs a machine's containers: the cluster's runtime, or the same on the engine that the machine names.

    Raises RuntimeFailure where that engine does not answer, ValueError where the runtime knows no engines.
    """
    if not spec.docker_host:
        return runtime
    if not isinstance(runtime, Engines):
        raise ValueError(f"a node on a Docker engine in a cluster on the {runtime.name} runtime: not implemented by "
                         "k8snb: the cluster itself has to be on the docker runtime")  # fmt: skip
    return runtime.at(spec.docker_host)


def _running(runtime: Runtime, node: str, uid: str, container: str) -> str:
    """The runtime's id of a container that runs."""
    for status in runtime.list_containers(node) if node else ():
        if status.pod_uid == uid and status.name == container and status.state == RUNNING:
            return status.id
    raise ValueError(f"container {container} does not run")


def _as_freezer(runtime: Runtime) -> Freezer:
    if not isinstance(runtime, Freezer):
        raise RuntimeFailure("FreezeContainerError", f"the {runtime.name} runtime cannot pause containers")
    return runtime
