"""The cluster: wires the components in boot order and owns the only loop. What kubeadm is to real machines.

Interface: `Cluster(name, nodes=…, runtime=…)`: `start`, `stop`, `delete`, `status`, `client`, `kubectl`; `pause`,
`unpause`, `step`; on a virtual clock also `settle`, `run_for`.
The rule not to break: only the cluster wires; components never meet but in the apiserver.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8snb import hosts
from k8snb.addons.metrics_server import MetricsServer
from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import Object, get_path, is_true
from k8snb.apiserver import ApiServer, Identity
from k8snb.apiserver.aggregation_controllers import AutoRegister, Availability
from k8snb.apiserver.compactor import Compactor
from k8snb.apiserver.event_ttl import EventTTL
from k8snb.apiserver.history import History
from k8snb.client import ADMIN, Client, User
from k8snb.client.context import Context
from k8snb.client.informer import Informers, LentInformers
from k8snb.client.instances import RUNNING, STOPPED, Instances, Program, Single
from k8snb.client.process import Process
from k8snb.clock import Clock, RealClock
from k8snb.collector import Collector
from k8snb.control_plane import ApiServers, Component, instance_components, single_component
from k8snb.controllers import CONTROLLERS, identity_controllers
from k8snb.controllers.hostpath import HostPathProvisioner, ensure_standard
from k8snb.controllers.provisioner import Provisioner, Provisioners
from k8snb.coredns import CoreDNS
from k8snb.cri import Network, RuntimeFailure
from k8snb.entrance import Entrance, Inside, uninterrupted
from k8snb.etcd import Store
from k8snb.etcd.memory import MemoryStore
from k8snb.executor import ClockExecutor, Executor, ThreadExecutor
from k8snb.faults import Faults
from k8snb.hooks import Hooks
from k8snb.kube_proxy.proxy import KubeProxy, RuleBook
from k8snb.kubelet import Kubelet
from k8snb.kubelet.node_status import NodeSpec
from k8snb.kubelet.pod_directories import PodDirectories
from k8snb.kubelet.volume_places import PLUGINS
from k8snb.kubelet.volume_plugin import VolumePlugin
from k8snb.pump import SYNC, Pump, Step
from k8snb.scheduler import Profile, Scheduler
from k8snb.serve import Door

if TYPE_CHECKING:
    from k8snb.client.https import HttpsTransport
    from k8snb.cri import Runtime
    from k8snb.hosts import Host
    from k8snb.kubectl import Kubectl

CONTROL_PLANE = "control-plane"
POD_METRICS, NODE_METRICS = (BY_GVK["metrics.k8s.io/v1beta1", kind] for kind in ("PodMetrics", "NodeMetrics"))
FIRST_METRICS = 5.0  # seconds from the start to the first question to the kubelets
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
DNS_INDEX = 10  # kubeadm gives the DNS service the tenth address of the service range


@dataclass
class Node:
    """A machine of the cluster: its spec, its addresses, whether it is `on`, and its two agents while they run."""

    spec: NodeSpec
    network: Network
    on: bool = True
    kubelet: Kubelet | None = None
    proxy: KubeProxy | None = None


class Cluster:
    """A whole Kubernetes cluster in this process.

    `runtime` is auto, docker, process or simulated, or a ready `cri.Runtime`, which is closed with the cluster; `clock`
    a VirtualClock for tests and time travel; `seed` makes names and choices repeat. `nodes` counts the workers; the
    control plane has a node of its own, which runs the manifests in the directory `static_pods` by itself. `store`
    makes its etcd; `profiles` are its scheduler's. All `apiservers` serve it; of several `controller_managers` and
    `schedulers` one leads and the others stand by.
    Raises ValueError for a runtime that is none.
    """

    def __init__(
        self, name: str = "k8snb", *, nodes: int = 3, runtime: str | Runtime = hosts.AUTO, clock: Clock | None = None,
        seed: int | None = None, cpus: str = "", memory: str = "", disk: str = "",
        store: Callable[[], Store] = MemoryStore, profiles: Iterable[Profile] = (), static_pods: str | Path = "",
        apiservers: int = 1, controller_managers: int = 1, schedulers: int = 1,
    ) -> None:  # fmt: skip
        self.name = name
        self._profiles = tuple(profiles) or (Profile(),)
        self._runtime: Runtime | None = None
        self._own_host: hosts.Build | None = None
        if isinstance(runtime, str):
            self.runtime_name, self.why = hosts.choose(runtime)
        else:
            self._runtime, self._own_host = runtime, hosts.around(runtime)
            self.runtime_name, self.why = runtime.name, "you made it"
        self.clock = clock or RealClock()
        self.pump = Pump(self.clock)
        self.pump.guard = uninterrupted
        self._new_store = store
        self.store = store()
        self.identity = Identity(self.clock)
        self.nodes: dict[str, Node] = {}
        self._seed = seed
        self._counts = controller_managers, schedulers
        self._elected: list[Instances] = []
        self._dice = random.Random(seed)
        self._identities = random.Random(seed)  # names of processes change nothing that a seed has settled
        self._cpus, self._memory, self._disk, self._static_pods = cpus, memory, disk, str(static_pods)
        self._specs = {spec.name: spec for spec in self._first_nodes(nodes)}
        self._provisioners = Provisioners(HostPathProvisioner())
        self._directories = PodDirectories()
        self._volume_plugins = dict(PLUGINS)
        self._host: Host | None = None
        self._dns_address = ""
        self._collector = Collector()
        self.running = False
        self.apiservers = ApiServers(self, apiservers, self._revision)

    # life

    def start(self, *, wait: float = 30.0) -> None:
        """Boot; return when every node is Ready, or after `wait` seconds. A stopped cluster goes on where it was.

        Raises ValueError, with what to do, where the runtime cannot be had.
        """
        if self.running:
            return
        self._collector.relax()
        try:
            with self.pump.lock:
                self._boot()
        except BaseException as failure:
            self._switch_off()
            if isinstance(failure, RuntimeFailure):
                raise ValueError(failure.message) from failure
            raise
        self.running = True
        self.pump.start()
        if wait:
            self.wait(self.is_ready, wait)

    def _boot(self) -> None:
        """The components, in the order in which they need each other."""
        build = self._own_host or hosts.HOSTS[self.runtime_name]
        self._host = build(self.name, self.pump, self._dice, self._runtime)
        self._runtime = self._host.runtime
        self.apiservers.boot(self._new_apiserver)
        Compactor(self.apiserver, self.clock).start()
        EventTTL(self.store, self.clock).start()
        self._asking = self._new_asking()
        self._inside = inside = Inside(self.apiserver, self._asking)
        self.apiservers.connect(inside)
        self.faults = Faults(inside, self.clock, self._seed)
        self.context = Context(self.faults, self.clock, self.pump.add, self._dice)

        ensure_standard(self.context.client("system:apiserver", "system:masters"))
        self._managers = Instances(self._manager(), self.context, self._counts[0], self._identities)
        self._schedulers = Instances(self._scheduling(), self.context, self._counts[1], self._identities)
        self._elected += [self._managers, self._schedulers]
        beside = Informers(self.context.client("system:apiserver", "system:masters"), self.context)
        self._provisioners.start(self.context, beside)
        self._shared = Informers(self.context.client("system:nodes"), self.context)
        self.rule_book = RuleBook(self.context, self._shared, self._host.plane, post=self.pump.post)
        self._dns = Single("coredns", self.context, self._begin_dns)
        self._dns.start()
        self._metrics = Single("metrics-server", self.context, self._begin_metrics)

        for make in (AutoRegister, self._availability):
            make(self.context, beside)
        self._managers.start()
        for informers in (beside, self._shared):
            informers.start()
        self._schedulers.start()
        for spec in self._specs.values():
            self._switch_on(spec)
        self._serve_pods(self._host)
        self._metrics.start()

    def _new_apiserver(self) -> ApiServer:
        cidr = self.runtime.service_cidr
        return ApiServer(self.store, self.clock, dice=self._dice, service_cidr=cidr, identity=self.identity)

    def _begin_dns(self, process: Process) -> Callable[[], None]:
        assert self._host is not None
        host, informers = self._host, LentInformers(self._shared)
        self.dns = CoreDNS(process.context, informers)
        informers.attach()
        self._dns_address = host.serve_dns(self.dns.zone, self._dns_service())

        def end() -> None:
            informers.stop()
            host.stop_dns()

        return end

    def _begin_metrics(self, process: Process) -> Callable[[], None]:
        assert self._host is not None
        server = self.apiserver
        client = process.context.client(
            "system:serviceaccount:kube-system:metrics-server", "system:serviceaccounts"
        )  # fmt: skip
        clock = process.context.clock
        metrics = MetricsServer(client, process.executor(self._host.executor), clock, nodes=lambda: server.nodes)
        server.virtual.update({POD_METRICS: metrics.pods, NODE_METRICS: metrics.nodes})
        clock.after(FIRST_METRICS, metrics.start, background=True, label="metrics-server")
        return server.virtual.clear

    @property
    def apiserver(self) -> ApiServer:
        """The apiserver that serves cells and the cluster's own parts."""
        return self.apiservers.first

    @property
    def serving(self) -> bool:
        """Whether any apiserver answers."""
        return self.apiservers.serving is not None

    def _manager(self) -> Program:
        identity = identity_controllers(
            root_ca=self.identity.root_ca, sign=self.identity.secret_token, sign_request=self.identity.sign_request
        )
        return Program("kube-controller-manager", "system:kube-controller-manager", {**CONTROLLERS, **identity})

    def _scheduling(self) -> Program:
        return Program("kube-scheduler", "system:kube-scheduler", {"kube-scheduler": self._new_scheduler})

    def _new_scheduler(self, context: Context, informers: Informers) -> Scheduler:
        """One that has the plug-ins that the one before was given."""
        before = self._schedulers.works.get("kube-scheduler")
        return Scheduler(context, informers, profiles=self._profiles, joined=before.joined if before else ())

    @property
    def controllers(self) -> Mapping[str, Any]:
        """The controllers at work in kube-controller-manager, by name."""
        return self._managers.works

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler at work; while none is, the last one."""
        scheduler: Scheduler = self._schedulers.works["kube-scheduler"]
        return scheduler

    def _availability(self, context: Context, informers: Informers) -> Availability:
        server = self.apiserver
        return Availability(context, informers, server=server, executor=self._asking, others=server.others)

    def _new_asking(self) -> Executor:
        """Where webhooks are asked for the cluster's own parts. On a virtual clock the pump itself asks: nothing else
        happens meanwhile anyway."""
        return ClockExecutor(self.clock, lambda: 0.0) if self.clock.virtual else ThreadExecutor(self.pump.post)

    def stop(self) -> None:
        """Switch everything off. What etcd holds stays, containers end."""
        if not self.running:
            return
        self.running = False
        self._switch_off()

    def _switch_off(self) -> None:
        """Nothing may start a container any more when the pods are ended, or it would outlive the cluster."""
        self._collector.restore()
        if "kubectl" in self.__dict__:
            self.kubectl.close()
        if "_over_https" in self.__dict__:
            self._over_https.close()
            del self._over_https
        if self._host is not None:
            self._host.stop_listening()
        for door in self.apiservers.doors:
            door.close()
        if "_hooks" in self.__dict__:
            self._hooks.close()
            del self._hooks
        self.pump.stop()
        with self.pump.lock:
            for node in self.nodes.values():
                self._fall_silent(node)
            for instances in self._elected:
                instances.stop()
            self._elected.clear()
            self.apiservers.close()
            self.pump.clear()
            self.pump.paused = False
        host, self._host = self._host, None
        if "_asking" in self.__dict__:
            self._asking.close()
        if host is not None:
            host.executor.close()
            try:
                self._end_pods()
            finally:
                host.pause()

    def delete(self) -> None:
        """Stop, and forget everything."""
        self.stop()
        runtime, self._runtime = self._runtime, None
        self.store = self._new_store()
        self.nodes.clear()
        self._provisioners.close()
        self._directories.close()
        if runtime is not None:
            runtime.close()

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.delete()

    def add_provisioner(self, provisioner: Provisioner) -> None:
        """Put somebody's own maker of volumes to work: see `k8snb.controllers.provisioner`."""
        with self.pump.lock:
            self._provisioners.add(provisioner)

    def add_volume_plugin(self, sort: str, plugin: VolumePlugin) -> None:
        """Let kubelets carry out a sort of volume: `nfs`, or `csi/` and a driver's name. See `k8snb.kubelet`'s
        `volume_plugin`."""
        with self.pump.lock:
            self._volume_plugins[sort] = plugin

    def is_ready(self) -> bool:
        """Whether every node that is switched on is Ready."""
        on = [name for name, node in self.nodes.items() if node.on]
        found = [self.store.get(f"/registry/nodes/{name}") for name in on]
        return all(record is not None and _is_schedulable(record.value) for record in found)

    # talking to it

    @property
    def runtime(self) -> Runtime:
        assert self._runtime is not None, "the cluster has not been started"
        return self._runtime

    @functools.cached_property
    def client(self) -> Client:
        """The API as the cluster's administrator."""
        return self.client_for(ADMIN)

    @property
    def door(self) -> Door:
        """HTTPS for other processes: the first apiserver's."""
        return self.apiservers.doors[0]

    def _serve_pods(self, host: Host) -> None:
        """Answer where Service `kubernetes` leads to: on the first node, with a server that its first client starts."""
        door = self.door
        node = next(iter(self.nodes.values()), None)
        if node is not None:
            address = self.apiserver.allocator.address(1)
            spot = host.listen_for_pods(node.network.node_ip, lambda sock: door.adopt(sock, address=address))
            self.apiserver.answers_at(*spot)

    def _revision(self) -> int:
        """The newest revision that every watcher has been told of: under the lock none is half told."""
        with self.pump.lock:
            return self.store.revision

    def serve(self, port: int = 0) -> str:
        """Answer real clients over HTTPS on this machine's loopback address; the URL.

        Raises OSError for a port that is taken.
        """
        self._must_run()
        address = self.apiserver.allocator.address(1)
        for door in self.apiservers.doors[1:]:
            door.open(address=address)
        return self.door.open(port, address=address)

    @property
    def kubeconfig(self) -> str:
        """A kubeconfig's text for kubectl and the Python clients. The first question opens the door."""
        self.serve()
        return self.door.kubeconfig()

    @functools.cached_property
    def _hooks(self) -> Hooks:
        return Hooks(self.identity)

    def webhook(self, answer: Callable[[Object], Any]) -> Object:
        """Serve an admission webhook written in a cell; the `clientConfig` for its configuration.

        `answer(request)` returns True to allow, a sentence to refuse, or a list of JSON patch operations. On a virtual
        clock it must not ask the cluster anything: the cluster waits for it.
        """
        self._must_run()
        return self._hooks.add(answer)

    def client_for(self, user: User) -> Client:
        return Client(Entrance(self), user)

    @functools.cached_property
    def kubectl(self) -> Kubectl:
        """kubectl's commands as methods, and `run` for a whole line."""
        from k8snb.kubectl import Kubectl

        return Kubectl(self.client, wait=self.wait, clock_now=self.clock.now, server=lambda: self._over_https)

    @functools.cached_property
    def _over_https(self) -> HttpsTransport:
        """This cluster as other processes see it: for what has a path and no kind. It opens the door."""
        import yaml

        from k8snb.client.https import HttpsTransport
        from k8snb.client.kubeconfig import parse
        from k8snb.client.restconfig import resolve

        return HttpsTransport(resolve(parse(yaml.safe_load(self.kubeconfig))))

    @property
    def history(self) -> History:
        """What was written here, by whom and because of what."""
        return History(self.store, self.apiserver.kinds)

    def lookup(self, name: str, namespace: str = "default") -> list[str]:
        """The addresses behind a name, as a pod of the namespace would resolve it."""
        return [record.data for record in self.dns.zone.lookup(name, namespace).records if record.type == "A"]

    def address(self, ip: str, port: int) -> tuple[str, int]:
        """Where this machine really finds an address of the cluster."""
        assert self._host is not None, "the cluster is stopped"
        return self._host.plane.actual(ip, port)

    def service_urls(self, name: str, namespace: str = "default") -> list[str]:
        """A URL for each port of a Service, as reached from here: its node ports, else its cluster IP."""
        service = self.client.get("services", name, namespace)
        spec = service["spec"]
        node = next((node for node in self._workers() if node.on), None)
        urls = []
        for port in spec.get("ports") or ():
            if port.get("nodePort") and node is not None:
                ip, number = self.address(node.network.node_ip, port["nodePort"])
            elif spec.get("clusterIP") not in (None, "", "None"):
                ip, number = self.address(spec["clusterIP"], port["port"])
            else:
                continue
            scheme = "https" if "https" in (port.get("name") or "") or port["port"] == 443 else "http"
            urls.append(f"{scheme}://{ip}:{number}")
        return urls

    def visit(self, url: str) -> tuple[int, str]:
        """A GET from outside the cluster: status and text. Raises OSError where nobody answers.

        On simulated nodes this goes through the virtual network, which no browser reaches.
        """
        assert self._host is not None, "the cluster is stopped"
        return self._host.visit(url)

    def status(self) -> list[tuple[str, str, str]]:
        """One row for each component: its name, its state, and what there is to say about it."""
        state = "Running" if self.running else "Stopped"
        if self.pump.failure:
            state = "Failed"
        if self.running and self.pump.paused:
            state = "Paused"
        rows = [
            ("etcd", state, f"revision {self.store.revision}"),
            ("kube-apiserver", state, "in this kernel"),
            ("kube-controller-manager", state, f"{len(self.controllers)} controllers" if self.running else ""),
            ("kube-scheduler", state, ""),
            ("coredns", state, f"at {self._dns_address}" if self._dns_address else ""),
        ]
        components = self.components() if self.running else {}
        rows = [(name, STOPPED if _stands_still(components.get(name)) else state, about) for name, state, about in rows]
        if self.pump.failure:
            rows.append(("pump", "Failed", self.pump.failure.strip().splitlines()[-1]))
        return [*rows, *(self._node_row(node) for node in self.nodes.values())]

    def _node_row(self, node: Node) -> tuple[str, str, str]:
        record = self.store.get(f"/registry/nodes/{node.spec.name}")
        ready = record is not None and is_true(record.value, "Ready")
        state = "Stopped" if not node.on or not self.running else "Ready" if ready else "NotReady"
        parts = f"kubelet, kube-proxy, {self.runtime_name} runtime at {node.network.node_ip}"
        return (f"node {node.spec.name}", state, parts)

    # time

    def wait(self, until: Callable[[], bool], timeout: float) -> bool:
        """Wait until a condition holds; whether it came true within `timeout` seconds. Ctrl-C ends the wait only."""
        return self.pump.wait(until, timeout)

    def settle(self, *, limit: float = 600.0) -> bool:
        """On a virtual clock: run until nothing is left to do. Whether that was within `limit` seconds of its time."""
        with self.pump.lock:
            return self.pump.settle(limit=limit)

    def run_for(self, seconds: float) -> None:
        """On a virtual clock: let time pass."""
        with self.pump.lock:
            self.pump.run_for(seconds)

    def pause(self) -> None:
        """Nothing in the cluster moves, except by `step`. The apiserver still answers."""
        with self.pump.lock:
            self.pump.paused = True

    def unpause(self) -> None:
        with self.pump.lock:
            self.pump.paused = False

    def step(self) -> Step | None:
        """Run until one component has worked on one key: what that was, or None when there is nothing to do now."""
        with self.pump.lock:
            while (step := self.pump.step()) is not None and step.sort != SYNC:
                pass
            return step

    # components

    def component(self, name: str) -> Component:
        """A part of the cluster that can be stopped and started. Raises ValueError for a name that is none."""
        components = self.components()
        if name not in components:
            raise ValueError(f'there is no component "{name}"; there are: {", ".join(components)}')
        return components[name]

    def components(self) -> dict[str, Component]:
        """All of them by name, each controller and each node's agents as well."""
        self._must_run()
        return {component.name: component for component in self._components()}

    def _components(self) -> Iterator[Component]:
        lock = self.pump.lock
        why = "everything that the cluster knows is there; %kcluster stop stops the whole cluster"
        yield Component("etcd", f"revision {self.store.revision}", lock, lambda: RUNNING, why_not=why)
        yield from self.apiservers.components(lock)
        for instances in self._elected:
            yield from instance_components(instances, f"{len(instances.program.parts)} parts", lock)
        yield single_component(self._dns, f"at {self._dns_address}" if self._dns_address else "", lock)
        yield single_component(self._metrics, "asks the kubelets", lock)
        for name, node in self.nodes.items():
            rows = (("kubelet", self._start_kubelet, self._stop_kubelet),
                    ("kube-proxy", self._start_proxy, self._stop_proxy))  # fmt: skip
            for agent, start, stop in rows:
                state = functools.partial(_agent_state, node, agent)
                on, off = functools.partial(start, node), functools.partial(stop, node)
                yield Component(f"{agent}/{name}", f"on node {name}", lock, state, on, off)

    def bind(self, pod: str, node: str, namespace: str = "default") -> None:
        """Do the scheduler's work for one pod. Raises ApiError for a pod that has a node, or is none."""
        self.client.get("nodes", node)
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": target}
        self.client.create_subresource("pods", pod, "binding", binding, namespace)

    # machines

    def add_node(
        self, name: str = "", *, labels: dict[str, str] | None = None, cpus: str = "", memory: str = "",
        disk: str = "", static_pods: str | Path = "",
    ) -> str:  # fmt: skip
        """A new worker joins. Returns its name. `static_pods` is a directory with manifests that it runs by itself."""
        numbers = (number for number in range(1, len(self._specs) + 2) if f"node-{number}" not in self._specs)
        name = name or f"node-{next(numbers)}"
        if name in self._specs:
            raise ValueError(f'node "{name}" exists already')
        self._must_run()
        spec = NodeSpec(name, labels=labels or {}, cpus=cpus or self._cpus, memory=memory or self._memory,
                        disk=disk or self._disk, static_pods=str(static_pods))  # fmt: skip
        self._specs[name] = spec
        with self.pump.lock:
            self._switch_on(spec)
        return name

    def stop_node(self, name: str) -> None:
        """Pull the plug: the node falls silent and its containers end. The node controller will notice."""
        node = self._node(name)
        with self.pump.lock:
            self._fall_silent(node)
        for sandbox in self.runtime.list_pod_sandboxes(name):
            self.runtime.stop_pod_sandbox(sandbox.id)
            self.runtime.remove_pod_sandbox(sandbox.id)

    def partition_node(self, name: str) -> None:
        """Cut a node off from the apiserver. Its containers go on running, and nobody hears of them."""
        node = self._node(name)
        with self.pump.lock:
            self.faults.cut(_node_user(node.spec.name))
            self.apiserver.disconnect_node(name)

    def rejoin_node(self, name: str) -> None:
        """A node that was cut off is reached again."""
        node = self._node(name)
        with self.pump.lock:
            self.faults.mend(_node_user(name))
            if node.kubelet is not None:
                self.apiserver.connect_node(name, node.kubelet)

    def start_node(self, name: str) -> None:
        """Switch a stopped node on again."""
        node = self._node(name)
        self._must_run()
        if not node.on:
            with self.pump.lock:
                self._switch_on(node.spec)

    def delete_node(self, name: str) -> None:
        """Take a machine away for good, with its Node object."""
        self._node(name)
        self._must_run()
        self.stop_node(name)
        self.runtime.remove_node(name)
        del self.nodes[name], self._specs[name]
        if self.client.find("nodes", name) is not None:
            self.client.delete("nodes", name)

    def _node(self, name: str) -> Node:
        if name not in self.nodes:
            raise ValueError(f'there is no node "{name}"; there are {", ".join(self.nodes)}')
        return self.nodes[name]

    def _must_run(self) -> None:
        if not self.running:
            raise ValueError(f'the cluster "{self.name}" is stopped: start it first')

    def _workers(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.spec.name != CONTROL_PLANE]

    def _first_nodes(self, workers: int) -> Iterator[NodeSpec]:
        taint = {"key": CONTROL_PLANE_LABEL, "effect": "NoSchedule"}
        labels = {CONTROL_PLANE_LABEL: ""}
        yield NodeSpec(CONTROL_PLANE, labels=labels, taints=(taint,), cpus=self._cpus, memory=self._memory,
                       disk=self._disk, static_pods=self._static_pods)  # fmt: skip
        for number in range(1, workers + 1):
            yield NodeSpec(f"node-{number}", cpus=self._cpus, memory=self._memory, disk=self._disk)

    def _switch_on(self, spec: NodeSpec) -> None:
        assert self._host is not None, "the cluster is stopped"
        node = self.nodes[spec.name] = Node(spec, self.runtime.add_node(spec.name))
        self._start_kubelet(node)
        self._start_proxy(node)

    def _fall_silent(self, node: Node) -> None:
        node.on = False
        self._stop_kubelet(node)
        self._stop_proxy(node)

    def _start_kubelet(self, node: Node) -> None:
        if node.kubelet is not None or not node.on:
            return
        assert self._host is not None, "the cluster is stopped"
        node.kubelet = Kubelet(
            node.spec, self.context, self._shared, runtime=self.runtime, executor=self._host.executor,
            dialer=self._host.dialer, network=node.network, post=self.pump.post, dns=lambda: self._dns_address,
            directories=self._directories, volume_plugins=self._volume_plugins,
        )  # fmt: skip
        self.apiserver.connect_node(node.spec.name, node.kubelet)
        node.kubelet.start()

    def _stop_kubelet(self, node: Node) -> None:
        kubelet, node.kubelet = node.kubelet, None
        if kubelet is not None:
            self.apiserver.disconnect_node(node.spec.name)
            kubelet.stop()

    def _start_proxy(self, node: Node) -> None:
        if node.proxy is None and node.on:
            node.proxy = KubeProxy(node.spec.name, node.network.node_ip, self.rule_book)
            node.proxy.start()

    def _stop_proxy(self, node: Node) -> None:
        proxy, node.proxy = node.proxy, None
        if proxy is not None:
            proxy.stop()

    def _end_pods(self) -> None:
        with suppress(RuntimeFailure):  # an engine that is gone has taken the containers along, or keeps them for later
            for name in self.nodes:
                for sandbox in self.runtime.list_pod_sandboxes(name):
                    self.runtime.stop_pod_sandbox(sandbox.id)
                    self.runtime.remove_pod_sandbox(sandbox.id)

    def _dns_service(self) -> str:
        """The Service kube-system/kube-dns, and its address. It has no selector: the resolver answers at the
        address.
        """
        client = self.context.client("system:apiserver", "system:masters")
        existing = client.find("services", "kube-dns", "kube-system")
        if existing is not None:
            return str(existing["spec"]["clusterIP"])
        ports = [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                 {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53}]  # fmt: skip
        address = self.apiserver.allocator.address(DNS_INDEX)
        service: Object = {
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
            "spec": {"clusterIP": address, "ports": ports},
        }
        client.create("services", service)
        return address


def _node_user(name: str) -> str:
    return f"system:node:{name}"


def _stands_still(component: Component | None) -> bool:
    return component is not None and component.state == STOPPED


def _agent_state(node: Node, agent: str) -> str:
    works = node.kubelet if agent == "kubelet" else node.proxy
    return RUNNING if works is not None else STOPPED


def _is_schedulable(node: Object) -> bool:
    taints = get_path(node, "spec.taints") or ()
    waiting = any(taint["key"].startswith("node.kubernetes.io/not-ready") for taint in taints)
    return is_true(node, "Ready") and not waiting
