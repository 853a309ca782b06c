"""The cluster: wires the components in boot order and owns the only loop. What kubeadm is to real machines.

Interface: `Cluster(name, nodes=…, runtime=…)`: `start`, `stop`, `delete`, `close`; what else it can do is in
`components`, `nodes`, `timing`, `reach` and `past`, a side of it each.
The rule not to break: only the cluster wires; components never meet but in the apiserver.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from k8snb import hosts
from k8snb.addons import Addons
from k8snb.addons.custom_metrics import CustomMetrics
from k8snb.apimachinery.meta import Object, get_path, is_true
from k8snb.apimachinery.taints import NOT_READY, UNINITIALIZED
from k8snb.apiserver import Identity
from k8snb.boot import ControlPlane
from k8snb.clock import Clock, RealClock, VirtualClock
from k8snb.cloud import Provider
from k8snb.cloud.notebook import ZONE, NotebookCloud
from k8snb.cluster.components import Components
from k8snb.cluster.nodes import Nodes
from k8snb.cluster.past import Past
from k8snb.collector import Collector
from k8snb.control_plane import ApiServers
from k8snb.controllers.provisioner import Provisioner, Provisioners
from k8snb.cri import Addressed, Keeper, RangeTaker, RuntimeFailure
from k8snb.cri.cni import NetworkPlugin
from k8snb.data_directory import DataDirectory, Noted
from k8snb.entrance import uninterrupted
from k8snb.etcd import Store
from k8snb.etcd.memory import MemoryStore
from k8snb.etcd.past import fork
from k8snb.kubelet.volume_plugin import VolumePlugin
from k8snb.machines import Machines, Restored
from k8snb.pump import Pump
from k8snb.scheduler import Profile
from k8snb.serve import Door
from k8snb.story import stage
from k8snb.story.moments import Moment
from k8snb.story.then import Then

if TYPE_CHECKING:
    from k8snb.cri import Runtime
    from k8snb.hosts import Host
    from k8snb.notebook.draw import Picture

FEW_NODES, MANY_NODES_CIDR = 250, "10.0.0.0/8"  # more nodes than fit into a /16 of ranges need a larger one


class Forked(NamedTuple):
    """Where a fork comes from: a cluster's name, the revision and its time in seconds since the epoch."""

    name: str
    revision: int
    time: float


class Cluster(Past, Components, Nodes):
    """A whole Kubernetes cluster in this process.

    `runtime` is auto, docker, process or simulated, or a ready `cri.Runtime`, which is closed with the cluster; `clock`
    a VirtualClock for tests and time travel; `seed` makes names and choices repeat. `nodes` counts the workers; the
    control plane has a node of its own, which runs the manifests in the directory `static_pods` by itself. `store`
    makes its etcd; `profiles` are its scheduler's. All `apiservers` serve it; of several `controller_managers` and
    `schedulers` one leads and the others stand by. `cloud` is who the machines are rented from, False for nobody; the
    notebook's own cloud has them in `zones` in turn. Nodes get the ranges of their pods from `cluster_cidr`, "" = as
    the runtime has it, and a `network` plug-in chooses their addresses. `allow_privileged` says whether containers may
    ask to be privileged: where they would really be, on Docker, only if it is True. In the directory `data_dir` it
    outlives this process: a cluster that is made there again has the same nodes and objects, and finds the containers
    that a Docker engine has of it running.
    Raises ValueError for a runtime that is none, and for a data directory that cannot be had.
    """

    def __init__(
        self, name: str = "k8snb", *, nodes: int = 3, runtime: str | Runtime = hosts.AUTO, clock: Clock | None = None,
        seed: int | None = None, cpus: str = "", memory: str = "", disk: str = "",
        store: Callable[[], Store] = MemoryStore, profiles: Iterable[Profile] = (), static_pods: str | Path = "",
        apiservers: int = 1, controller_managers: int = 1, schedulers: int = 1, cloud: Provider | bool = True,
        zones: Sequence[str] = (ZONE,), cluster_cidr: str = "", network: NetworkPlugin | None = None,
        allow_privileged: bool | None = None, data_dir: str | Path = "",
    ) -> None:  # fmt: skip
        self.name = name
        self.data = DataDirectory(data_dir) if data_dir else None
        noted = self.data.take_up(name, runtime) if self.data else Noted()
        self.found = bool(noted.name)  # whether the cluster was there before this process
        runtime = noted.runtime if noted.runtime and isinstance(runtime, str) else runtime
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
        self._new_store = self.data.store if self.data else store
        self.store = self._new_store()
        self.identity = Identity(self.clock, self.data.pki if self.data else None)
        self._seed = seed
        self._counts = controller_managers, schedulers
        self._dice = random.Random(seed)
        self.machines = Machines(
            self.pump, workers=nodes, cpus=cpus, memory=memory, disk=disk, static_pods=str(static_pods),
            rented=cloud is not False, zones=zones, root=self.data.kubelet if self.data else None,
        )  # fmt: skip
        if noted.nodes:
            self.machines.restore(noted.nodes)
        self.cloud = NotebookCloud(name, self.machines.machine) if cloud is True else cloud or None
        self._cluster_cidr, self._network = cluster_cidr, network
        self._allow_privileged = self.runtime_name != "docker" if allow_privileged is None else allow_privileged
        self.provisioners = Provisioners()
        self.addons = Addons(self)
        if noted.nodes:
            self.addons.restore(noted.addons)
        self.addons.on_change = self._note
        self.resolver = ""
        self._host: Host | None = None
        self._plane: ControlPlane | None = None
        self._collector = Collector()
        self._custom_metrics = CustomMetrics(
            lambda: self.context.client("system:apiserver", "system:masters"), self.clock
        )
        self.running = False
        self.forked: Forked | None = None
        self._awaited = ""  # the node that was last found not to be Ready
        self.apiservers = ApiServers(self, apiservers, self._revision)

    # life

    def start(self, *, wait: float = 30.0) -> None:
        """Boot; return when every node is Ready, or after `wait` seconds. A stopped cluster goes on where it was.

        Raises ValueError, with what to do, where the runtime cannot be had.
        """
        if self.running:
            return
        if self.data is not None and self.data.closed:
            raise ValueError(f'the cluster "{self.name}" has left {self.data.path}: make a Cluster with it again')
        self._collector.relax()
        try:
            with self.pump.lock:
                self._boot()
        except BaseException as failure:
            self.running = False
            self._switch_off()
            if isinstance(failure, RuntimeFailure):
                raise ValueError(failure.message) from failure
            raise
        self.pump.start()
        if wait:
            self.wait(self.is_ready, wait)

    def _boot(self) -> None:
        """The components, in the order in which they need each other."""
        build = self._own_host or hosts.HOSTS[self.runtime_name]
        kept = self.data.kept if self.data else None
        self._host = build(self.name, self.pump, self._dice, self._runtime, kept)
        self._runtime = self._host.runtime
        self._plug_in(self._network)
        self.machines.directories.on_made = self._host.remove_at_end
        self._plane = ControlPlane(
            self.apiservers, self.store, self.pump, self._host, identity=self.identity, seed=self._seed,
            dice=self._dice, counts=self._counts, profiles=self._profiles, provisioners=self.provisioners,
            cloud=self.cloud, cluster_cidr=self._range_for_pods(), listen=self._serve_pods,
            reserved=getattr(self._runtime, "reserved", ()),
        )  # fmt: skip
        for server in self.apiservers.all:
            server.custom_metrics = self._custom_metrics.answer
            server.allow_privileged = self._allow_privileged
        self._plane.start()
        self.running = True
        self.addons.start()
        for spec in self.machines.specs.values():
            self._try_to_switch_on(spec)
        self._serve_pods(self._host, self.door)
        self._note()

    def _note(self) -> None:
        """What the next process has to know of the cluster."""
        if self.data is None or self._runtime is None:
            return
        addons = tuple(status.row.name for status in self.addons.status() if status.enabled)
        self.data.note(Noted(
            name=self.name, runtime=self.runtime_name, service_cidr=self._runtime.service_cidr,
            pod_cidr=getattr(self._runtime, "cluster_cidr", ""), nodes=tuple(self.machines.specs.values()),
            addons=addons,
        ))  # fmt: skip

    @property
    def keeps_running(self) -> bool:
        """Whether containers go on when this process ends: with a data directory, where the runtime can leave them."""
        return self.data is not None and isinstance(self._runtime, Keeper)

    @property
    def volumes(self) -> str:
        """The directory for the volumes that are made here, "" for a temporary one."""
        return str(self.data.volumes) if self.data else ""

    def _plug_in(self, network: NetworkPlugin | None) -> None:
        if network is None:
            return
        if not isinstance(self.runtime, Addressed):
            raise ValueError(f"the runtime {self.runtime_name} gives pods addresses by itself: it takes no plug-in")
        self.runtime.addresses.plugin = network

    def stop(self) -> None:
        """Switch everything off. What etcd holds stays, containers end."""
        if not self.running:
            return
        self.running = False
        self._switch_off()

    def _switch_off(self, *, end_pods: bool = True) -> None:
        """Nothing may start a container any more when the pods are ended, or it would outlive the cluster."""
        self._collector.restore()
        for part in ("kubectl", "_over_https", "_hooks"):
            if part in self.__dict__:
                getattr(self, part).close()
        for part in ("_over_https", "_hooks"):
            self.__dict__.pop(part, None)
        if self._host is not None:
            self._host.stop_listening()
        for door in self.apiservers.doors:
            door.close()
        self.addons.stop()
        self.pump.stop()
        with self.pump.lock:
            if self._plane is not None:
                for node in self.nodes.values():
                    self.machines.fall_silent(node, self)
                self._plane.close()
            self.pump.clear()
            self.pump.paused = False
        host, self._host = self._host, None
        if host is not None:
            host.executor.close()
            try:
                self.machines.thaw()
                if end_pods:
                    self.machines.end_all_pods(host.runtime)
            finally:
                host.pause()

    def delete(self) -> None:
        """Stop, and forget everything."""
        self.stop()
        runtime, self._runtime = self._runtime, None
        if self.data is not None:
            self.machines.directories.clear()
            self.data.clear()
        else:
            self.store = self._new_store()
            self.addons = Addons(self)
        self.machines.close()
        self.provisioners.close()
        if runtime is not None:
            runtime.close()

    def close(self) -> None:
        """End with this process: a cluster with a data directory can be made there again, any other one is deleted.

        Containers go on where the runtime can leave them alone; elsewhere they are started again then.
        """
        if self.data is None:
            return self.delete()
        runtime, self._runtime = self._runtime, None
        if self.running:
            self.running = False
            self._switch_off(end_pods=not isinstance(runtime, Keeper))
        self.machines.close()
        self.data.close()
        if isinstance(runtime, Keeper):
            runtime.let_go()
        elif runtime is not None:
            runtime.close()

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_provisioner(self, provisioner: Provisioner) -> None:
        """Put somebody's own maker of volumes to work: see `k8snb.controllers.provisioner`."""
        with self.pump.lock:
            self.provisioners.add(provisioner)

    def add_volume_plugin(self, sort: str, plugin: VolumePlugin) -> None:
        """Let kubelets carry out a sort of volume: `nfs`, or `csi/` and a driver's name. See `k8snb.kubelet`'s
        `volume_plugin`."""
        with self.pump.lock:
            self.machines.volume_plugins[sort] = plugin

    def add_metric(self, name: str, source: Callable[[Any], Any], *, external: bool = False) -> None:
        """Measure something in a cell for autoscalers to go by: metrics of kind Pods and Object, or External.

        `source(obj)` answers the metric's value for a pod or another object; of an external one it is given the labels
        that the autoscaler asks for. A number, a quantity, or None where it is not known.
        """
        with self.pump.lock:
            (self._custom_metrics.add_external if external else self._custom_metrics.add)(name, source)

    def is_ready(self) -> bool:
        """Whether every node that is switched on is Ready. Who asks again is told by the node that was not: after each
        step of a boot a look at all of them takes longer than the boot."""
        if self._keeps_waiting(self._awaited):
            return False
        self._awaited = next(filter(self._keeps_waiting, reversed(self.nodes)), "")
        return not self._awaited

    def _keeps_waiting(self, name: str) -> bool:
        node = self.nodes.get(name)
        record = self.store.get(f"/registry/nodes/{name}")
        if node is None or not node.on:
            return False
        if self.found and node.kubelet is not None and not node.kubelet.pleg.listed:
            return True  # what is written of the node is what an earlier process wrote
        return record is None or not _is_schedulable(record.value)

    def _range_for_pods(self) -> str:
        """What nodes get their ranges from; "" where the runtime cannot be told them."""
        runtime = self.runtime
        if not isinstance(runtime, RangeTaker) or not runtime.cluster_cidr:
            return ""
        many = len(self.machines.specs) > FEW_NODES and isinstance(runtime, hosts.Simulation)
        return self._cluster_cidr or (MANY_NODES_CIDR if many else runtime.cluster_cidr)

    def _serve_pods(self, host: Host, door: Door) -> None:
        """Answer where Service `kubernetes` leads to: on the first node, with a server that its first client starts."""
        node = next(iter(self.nodes.values()), None)
        if node is not None:
            address = self.apiserver.allocator.address(1)
            spot = host.listen_for_pods(node.network.node_ip, lambda sock: door.adopt(sock, address=address))
            self.apiserver.answers_at(*spot)

    def _revision(self) -> int:
        """The newest revision that every watcher has been told of: under the lock none is half told."""
        with self.pump.lock:
            return self.store.revision

    def fork(self, moment: int | str | Moment = "now", name: str = "", *, seed: int | None = None) -> Cluster:
        """Another cluster that goes on from a moment of this one, on simulated nodes and a virtual clock of its own.

        What was there then is there: objects, history, and the pods that ran, on nodes with the same addresses; it runs
        as its clock is let run (`settle`, `run_for`). With one seed, the same commands have the same future. Files that
        containers wrote, and what components only remember, begin anew. Raises ValueError where the nodes
        are real, NoMomentError, which is one too, for a moment that is none.
        """
        then, old = self.at(moment), self.runtime
        if not isinstance(old, hosts.Simulation) or old.name != hosts.SIMULATED:
            raise ValueError(f'the nodes of "{self.name}" are real ones ({self.runtime_name}): their containers cannot '
                             f"be set back to revision {then.revision}. A fork needs simulated nodes: "
                             "%kcluster start -p sim --runtime simulated")  # fmt: skip
        made = self._forked(then, old, name, self._seed or 0 if seed is None else seed)
        made.start(wait=0)
        made.run_for(0.0)
        made.machines.restored = None
        return made

    def _forked(self, then: Then, old: Runtime, name: str, seed: int) -> Cluster:
        """A cluster with what there was then, which has not been started."""
        from k8snb import revival

        clock, nodes = VirtualClock(then.moment.time), then.client.items("nodes")
        made = Cluster(
            name or f"{self.name}-{then.revision}", nodes=0, runtime=revival.runtime_for(nodes, old, clock),
            clock=clock, seed=seed, profiles=self._profiles, apiservers=len(self.apiservers.all),
            controller_managers=self._counts[0], schedulers=self._counts[1], cloud=self.cloud is not None,
            cluster_cidr=self._cluster_cidr,
        )  # fmt: skip
        made.why, made.identity = f"forked from {self.name} at revision {then.revision}", self.identity.fork(clock)
        made.forked = Forked(self.name, then.revision, then.moment.time)
        made.pump.on_failure = self.pump.on_failure
        with self.pump.lock:
            made.store = fork(self.store, then.revision)
        revival.give_back_leases(made.store, then.moment.time)
        restored = Restored(revival.awake(nodes), revival.known_times(then.history))
        made.machines.fork(self.machines, revival.specs_for(nodes, self.machines.specs), restored)
        for status in self.addons.status():
            (made.addons.enable if status.enabled else made.addons.disable)(status.row.name)
        return made

    def draw(self, *words: str, **options: Any) -> Picture:
        """A picture, as %kdraw makes it: `draw("svc/web")`, `draw("network", all_namespaces=True)`, `draw(diff=120)`.

        Raises KubectlError.
        """
        from k8snb.notebook import kdraw

        given = {name.replace("_", "-"): value for name, value in options.items() if value not in (None, False)}
        return kdraw.draw(self, [*words, *(f"--{name}={str(value).lower() if value is True else value}"
                                           for name, value in given.items())])  # fmt: skip

    def story_scene(self) -> stage.Scene:
        """What a diagnosis of the cluster's objects may look at now."""
        return stage.scene(self)


def _is_schedulable(node: Object) -> bool:
    taints = get_path(node, "spec.taints") or ()
    waiting = any(taint["key"] in (NOT_READY, UNINITIALIZED) for taint in taints)
    return is_true(node, "Ready") and not waiting
