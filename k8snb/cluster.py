"""The cluster: wires the components in boot order and owns the only loop. What kubeadm is to real machines.

Interface: `Cluster(name, nodes=…, runtime=…)`: `start`, `stop`, `delete`, `status`, `client`, `kubectl`; `pause`,
`unpause`, `step`, `run_until`, `speed`; on a virtual clock also `settle`, `run_for`.
The rule not to break: only the cluster wires; components never meet but in the apiserver.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from k8snb import hosts, journal, revival
from k8snb.addons import DNS, Addons, Stoppable
from k8snb.addons.custom_metrics import CustomMetrics
from k8snb.addons.dns import Dns
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path, is_true, key_of, labels_of, name_of, namespace_of, uid_of
from k8snb.apimachinery.taints import NOT_READY, UNINITIALIZED
from k8snb.apiserver import ApiServer, Identity
from k8snb.apiserver.history import History
from k8snb.boot import ControlPlane
from k8snb.client import ADMIN, Client, User
from k8snb.client.context import Context
from k8snb.client.informer import Informers
from k8snb.client.instances import RUNNING, STOPPED
from k8snb.clock import Clock, RealClock, VirtualClock
from k8snb.cloud import Provider
from k8snb.cloud.notebook import ZONE, NotebookCloud
from k8snb.collector import Collector
from k8snb.control_plane import ApiServers, Component, instance_components, single_component
from k8snb.controllers.provisioner import Provisioner, Provisioners
from k8snb.cri import Addressed, Engines, Keeper, Layer, PullTeller, RangeTaker, RuntimeFailure, RuntimeUnavailable
from k8snb.cri.cni import NetworkPlugin
from k8snb.data_directory import DataDirectory, Noted
from k8snb.entrance import Entrance, uninterrupted
from k8snb.etcd import Store
from k8snb.etcd.memory import MemoryStore
from k8snb.etcd.past import fork
from k8snb.faults import Faults
from k8snb.hooks import Hooks
from k8snb.journal import Entry
from k8snb.kube_proxy.proxy import RuleBook
from k8snb.kube_proxy.rules import service_keys
from k8snb.kube_proxy.view import RuleRow, rule_rows
from k8snb.kubelet.node_status import NodeSpec
from k8snb.kubelet.volume_plugin import VolumePlugin
from k8snb.machines import Machines, Node, Restored, runtime_of
from k8snb.networkpolicy.policies import Peer, Policy, on_host, peer_of, policy_of
from k8snb.pump import Pump
from k8snb.scheduler import Profile, Scheduler
from k8snb.scheduler.decision import Decision
from k8snb.serve import Door
from k8snb.story import moments, stage
from k8snb.story.compared import Compared, compare
from k8snb.story.futures import Count, Unlike, counts, unlike
from k8snb.story.moments import Moment
from k8snb.story.scenes import MOST, Scene, scenes
from k8snb.story.steps import Stepper, ToldStep
from k8snb.story.then import Then

if TYPE_CHECKING:
    from k8snb.client.https import HttpsTransport
    from k8snb.cri import Runtime
    from k8snb.hosts import Host
    from k8snb.kubectl import Kubectl
    from k8snb.notebook.draw import Picture

SLOWEST, FASTEST = 0.01, 1000.0  # speeds of a real clock
FEW_NODES, MANY_NODES_CIDR = 250, "10.0.0.0/8"  # more nodes than fit into a /16 of ranges need a larger one


class Forked(NamedTuple):
    """Where a fork comes from: a cluster's name, the revision and its time in seconds since the epoch."""

    name: str
    revision: int
    time: float


class Cluster:
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

    # talking to it

    @property
    def runtime(self) -> Runtime:
        assert self._runtime is not None, "the cluster has not been started"
        return self._runtime

    @property
    def host(self) -> Host:
        assert self._host is not None, "the cluster is stopped"
        return self._host

    @property
    def control_plane(self) -> ControlPlane:
        """That of the last start."""
        assert self._plane is not None, "the cluster has not been started"
        return self._plane

    @property
    def apiserver(self) -> ApiServer:
        """The apiserver that serves cells and the cluster's own parts."""
        return self.apiservers.first

    @property
    def serving(self) -> bool:
        """Whether any apiserver answers."""
        return self.apiservers.serving is not None

    @property
    def context(self) -> Context:
        """The components' way to the apiserver."""
        return self.control_plane.context

    @property
    def informers(self) -> Informers:
        """Those that all nodes share."""
        return self.control_plane.nodes

    @property
    def controllers(self) -> Mapping[str, Any]:
        """The controllers at work in kube-controller-manager, by name."""
        return self.control_plane.controllers

    @property
    def faults(self) -> Faults:
        """What goes wrong between the components and the apiserver, on purpose."""
        return self.control_plane.faults

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler at work; while none is, the last one."""
        return self.control_plane.scheduler

    @property
    def rule_book(self) -> RuleBook:
        """The rules of the nodes' kube-proxies."""
        return self.control_plane.rule_book

    @property
    def nodes(self) -> dict[str, Node]:
        return self.machines.nodes

    @functools.cached_property
    def client(self) -> Client:
        """The API as the cluster's administrator."""
        return self.client_for(ADMIN)

    @property
    def door(self) -> Door:
        """HTTPS for other processes: the first apiserver's."""
        return self.apiservers.doors[0]

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

    def at(self, moment: int | str | Moment) -> Then:
        """The cluster as it was: `cluster.at(120).get("pods")`, `cluster.at("-30s").draw()`. See `story.moments` for
        what a moment can be called. Raises NoMomentError, a ValueError, for one that is none."""
        self._must_run()
        if isinstance(moment, Moment):
            return Then(self, moment)
        with self.pump.lock:
            return Then(self, moments.find(self.history, moment, self.clock.now()))

    def changes(self, since: int | str, until: int | str = "now") -> list[Compared]:
        """The objects that differ between two moments, each as it was and as it became. Raises NoMomentError."""
        before, after = self.at(since), self.at(until)
        return compare(self.history, before.revision, after.revision)

    def scenes(self, since: int | str = "", until: int | str = "now", most: int = MOST) -> list[Scene]:
        """The moments between two that show what happened; from the beginning where `since` is "". Raises
        NoMomentError."""
        began = self.at(since or self.history.oldest)
        return scenes(self.history, began.revision, self.at(until).revision, most)

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

    def side_by_side(self, other: Cluster, *, ahead: float = 0.0) -> tuple[Then, Then]:
        """This cluster and another at the newest moment that both have reached. One whose time is virtual goes on until
        then, and `ahead` seconds more. Raises NoMomentError where one of them was not there yet."""
        both = (self, other)
        goal = max(each.clock.now() for each in both) + ahead
        for each in both:
            if each.clock.virtual:
                each.run_for(goal - each.clock.now())
        shared = min(each.clock.now() for each in both)
        found = [Then(each, moments.at_time(each.history, shared, each.clock.now())) for each in both]
        return found[0], found[1]

    def compare(
        self, other: Cluster, *, namespace: str = "", kinds: Sequence[Kind] = (),
        sides: tuple[Then, Then] | None = None,
    ) -> tuple[list[Unlike], list[Count]]:  # fmt: skip
        """What is unlike in this cluster and another, and how many pods each had since they were one: as they are now,
        or at the `sides` that `side_by_side` has found."""
        left, right = sides or self.side_by_side(other)
        return unlike(left, right, namespace, kinds), counts(left, right, namespace)

    def lookup(self, name: str, namespace: str = "default") -> list[str]:
        """The addresses behind a name, as a pod of the namespace would resolve it. Raises ValueError without DNS."""
        dns = self.addons.get(DNS)
        if not isinstance(dns, Dns):
            raise ValueError(f"the add-on {DNS} is disabled, so that no name has an address: "
                             f"%kcluster addons enable {DNS}")  # fmt: skip
        if dns.single is None or dns.single.state == STOPPED:
            return []
        return [record.data for record in dns.zone.lookup(name, namespace).records if record.type == "A"]

    def address(self, ip: str, port: int) -> tuple[str, int]:
        """Where this machine really finds an address of the cluster."""
        return self.host.edge.actual(*self.host.plane.actual(ip, port))

    def proxy_rules(self, service: str = "", namespace: str = "", *, node: str = "") -> list[RuleRow]:
        """The rules that the nodes' kube-proxies hold: of one Service, of a namespace, or all; of one node, or all."""
        nodes = [(name, each.network.node_ip) for name, each in self.nodes.items() if each.proxy and node in ("", name)]
        services = sorted(self.client.items("services", namespace), key=key_of)
        slices: dict[str, list[Object]] = {}
        for each in self.client.items("endpointslices", namespace):
            for key in service_keys(each):
                slices.setdefault(key, []).append(each)
        chosen = [each for each in services if service in ("", name_of(each))]
        return rule_rows(chosen, lambda each: slices.get(key_of(each), ()), nodes)

    def policies(self) -> tuple[list[Policy], list[Peer]]:
        """The NetworkPolicies, and the pods that they are about: what `k8snb.networkpolicy` judges connections by."""
        labels = {name_of(each): labels_of(each) for each in self.client.items("namespaces")}
        pods = [each for each in self.client.items("pods") if get_path(each, "status.podIP")]
        peers = [peer_of(each, labels.get(namespace_of(each), {})) for each in pods if not on_host(each)]
        return [policy_of(each) for each in self.client.items("networkpolicies")], peers

    def service_urls(self, name: str, namespace: str = "default") -> list[str]:
        """A URL for each port of a Service, as reached from here: its load balancer's, else its node ports', else its
        cluster IP's."""
        service = self.client.get("services", name, namespace)
        spec = service["spec"]
        balancer = next(
            (each["ip"] for each in get_path(service, "status.loadBalancer.ingress") or () if each.get("ip")), ""
        )
        node = next((node for node in self.machines.workers() if node.on), None)
        urls = []
        for port in spec.get("ports") or ():
            if balancer:
                ip, number = self.address(balancer, port["port"])
            elif port.get("nodePort") and node is not None:
                ip, number = self.address(node.network.node_ip, port["nodePort"])
            elif spec.get("clusterIP") not in (None, "", "None"):
                ip, number = self.address(spec["clusterIP"], port["port"])
            else:
                continue
            scheme = "https" if "https" in (port.get("name") or "") or port["port"] == 443 else "http"
            urls.append(f"{scheme}://{ip}:{number}")
        return urls

    def draw(self, *words: str, **options: Any) -> Picture:
        """A picture, as %kdraw makes it: `draw("svc/web")`, `draw("network", all_namespaces=True)`, `draw(diff=120)`.

        Raises KubectlError.
        """
        from k8snb.notebook import kdraw

        given = {name.replace("_", "-"): value for name, value in options.items() if value not in (None, False)}
        return kdraw.draw(self, [*words, *(f"--{name}={str(value).lower() if value is True else value}"
                                           for name, value in given.items())])  # fmt: skip

    def visit(self, url: str) -> tuple[int, str]:
        """A GET from outside the cluster: status and text. Raises OSError where nobody answers.

        On simulated nodes this goes through the virtual network, which no browser reaches.
        """
        return self.host.visit(url)

    def journal(self, after: int = 0) -> list[Entry]:
        """What each component did after a revision, as far back as etcd remembers."""
        with self.pump.lock:
            return journal.read(self.store.history(after=after))

    def pulls(self) -> Mapping[str, Sequence[Layer]]:
        """The images that are being pulled, each with its layers, where the runtime says so."""
        return self._runtime.pulls() if isinstance(self._runtime, PullTeller) else {}

    def status(self) -> list[tuple[str, str, str]]:
        """One row for each component: its name, its state, and what there is to say about it."""
        state = "Running" if self.running else "Stopped"
        if self.pump.failure:
            state = "Failed"
        if self.running and self.pump.paused:
            state = "Paused"
        dns = self.addons.is_enabled(DNS)
        rows = [
            ("etcd", *self._etcd(state)),
            ("kube-apiserver", state, "in this kernel"),
            ("kube-controller-manager", state, f"{len(self.controllers)} controllers" if self.running else ""),
            ("kube-scheduler", state, ""),
            *((("cloud-controller-manager", state, f"the {self.cloud.name}'s cloud"),) if self.cloud else ()),
            *([("coredns", state, f"at {self.resolver}" if self.resolver else "")] if dns else []),
        ]
        components = self.components() if self.running else {}
        rows = [(name, STOPPED if _stands_still(components.get(name)) else state, about) for name, state, about in rows]
        if self.pump.failure:
            rows.append(("pump", "Failed", self.pump.failure.strip().splitlines()[-1]))
        absent = [spec for spec in self.machines.specs.values() if self.running and spec.name not in self.nodes]
        rows += [self._node_row(node) for node in self.nodes.values()]
        return [
            *rows,
            *((f"node {spec.name}", "Stopped", f"no engine answers at {spec.docker_host}") for spec in absent),
        ]

    def _etcd(self, state: str) -> tuple[str, str]:
        problem = getattr(self.store, "problem", "")
        where = f" in {self.data.path}" if self.data else ""
        return ("Failed", problem) if problem else (state, f"revision {self.store.revision}{where}")

    def _node_row(self, node: Node) -> tuple[str, str, str]:
        record = self.store.get(f"/registry/nodes/{node.spec.name}")
        ready = record is not None and is_true(record.value, "Ready")
        state = "Stopped" if not node.on or not self.running else "Ready" if ready else "NotReady"
        where = f" on {node.spec.docker_host}" if node.spec.docker_host else ""
        parts = f"kubelet, kube-proxy, {self.runtime_name} runtime{where} at {node.network.node_ip}"
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

    def pause(self, namespaces: Collection[str] = (), *, everywhere: bool = False) -> int:
        """No component moves, except by `step`; the apiserver still answers. The containers of these namespaces, or of
        all, stand still as well. Returns how many do. Raises ValueError where the runtime cannot hold any.
        """
        with self.pump.lock:
            before, self.pump.paused = self.pump.paused, True
        try:
            picks = namespaces.__contains__ if not everywhere else lambda namespace: True
            return self.machines.freeze(self.runtime, picks) if everywhere or namespaces else 0
        except RuntimeFailure as failure:
            if not before:
                self.unpause()
            raise ValueError(failure.message) from failure

    def unpause(self) -> int:
        """Containers and components go on. Returns how many containers were held."""
        held = self.machines.thaw()
        with self.pump.lock:
            self.pump.paused = False
        return held

    def step(self, count: int = 1) -> list[ToldStep]:
        """Let one component after the other work on one key, so many times: what each read, decided and wrote.

        Where nothing is queued, time jumps to the next timer, unless real programs run. Fewer steps than asked for:
        nothing is left to do now.
        """
        found: list[ToldStep] = []
        stepper = self.stepper()
        with self.pump.lock:
            while len(found) < count and (told := stepper.step()) is not None:
                found.append(told)
        return found

    def stepper(self) -> Stepper:
        """What runs the cluster step by step."""
        self._must_run()
        return Stepper(
            self.pump, self.context.notes, lambda: self.history, scheduler=self.scheduler.name,
            skips=self.simulates, verdict=self._verdict, key_of=self._key_of,
        )  # fmt: skip

    @property
    def simulates(self) -> bool:
        """Whether nothing outside of this process belongs to the cluster, so that its time can be skipped."""
        return self.clock.virtual or self.runtime_name == hosts.SIMULATED

    def _verdict(self, key: str) -> Decision | None:
        """The scheduler's newest decision about a pod."""
        found = [decision for decision in self.scheduler.decisions if decision.key == key]
        return found[-1] if found else None

    def _key_of(self, key: str) -> str:
        """A pod's namespace and name, where a kubelet knows it by its uid."""
        pods = self.store.range("/registry/pods/")[0] if "/" not in key and key.count("-") == 4 else ()
        return next((key_of(record.value) for record in pods if uid_of(record.value) == key), key)

    @property
    def speed(self) -> float:
        """Seconds that pass in the cluster in one of the machine's; `inf` on a virtual clock."""
        return self.clock.speed if isinstance(self.clock, RealClock) else math.inf

    @speed.setter
    def speed(self, speed: float) -> None:
        """Raises ValueError on a virtual clock, and for what is no speed."""
        if not isinstance(self.clock, RealClock):
            raise ValueError("on a virtual clock time jumps from timer to timer: it goes as fast as it can")
        if not SLOWEST <= speed <= FASTEST:
            raise ValueError(f"a speed is a number from {SLOWEST:g} to {FASTEST:g}, not {speed:g}")
        with self.pump.lock:
            self.clock.speed = speed

    def run_until(self, until: Callable[[], bool], timeout: float) -> bool:
        """Let the cluster run until a condition holds, and pause it right after the step that made it true.

        Whether it came true within `timeout` seconds of the cluster's time; if not, a cluster that was paused is paused
        again. Raises what the condition raises.
        """
        if self.clock.virtual:
            with self.pump.lock:
                reached = until() or self.pump.settle(limit=timeout, until=until)
                self.pump.paused = self.pump.paused or reached
            return reached
        with self.pump.lock:
            if until():
                self.pump.paused = True
                return True
            paused, self.pump.paused = self.pump.paused, False
            failures: list[Exception] = []
            self.pump.pause_when(functools.partial(_holds, until, failures))
        try:
            reached = self.pump.wait(lambda: self.pump.paused, timeout)
        finally:
            with self.pump.lock:
                self.pump.pause_when(None)
                self.pump.paused = self.pump.paused or paused
        if failures:
            raise failures[0]
        return reached

    def story_scene(self) -> stage.Scene:
        """What a diagnosis of the cluster's objects may look at now."""
        return stage.scene(self)

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
        yield from self.apiservers.components()
        plane, machines = self.control_plane, self.machines
        for instances in plane.elected:
            parts = len(instances.program.parts)
            yield from instance_components(instances, f"{parts} controllers" if parts > 1 else "", lock)
        for addon in self.addons.working():
            if isinstance(addon, Stoppable) and addon.single is not None:
                yield single_component(addon.single, addon.about, lock)
        for name, node in self.nodes.items():
            rows = (("kubelet", lambda node: machines.start_kubelet(node, plane, self.host, self),
                     lambda node: machines.stop_kubelet(node, self)),
                    ("kube-proxy", lambda node: machines.start_proxy(node, plane), machines.stop_proxy))  # fmt: skip
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
        disk: str = "", static_pods: str | Path = "", docker_host: str = "",
    ) -> str:  # fmt: skip
        """A new worker joins. Returns its name. `static_pods` is a directory with manifests that it runs by itself.

        `docker_host` puts it on another Docker engine than the cluster's: unix://, tcp:// or ssh:// as Docker has them.
        Raises ValueError where the machine cannot be had.
        """
        self._must_run()
        if docker_host:
            runtime = self._engine_at(docker_host)
            cpus, memory = cpus or runtime.size()[0], memory or runtime.size()[1]
        spec = self.machines.add(
            name, labels=labels or {}, cpus=cpus, memory=memory, disk=disk, static_pods=str(static_pods),
            docker_host=docker_host,
        )  # fmt: skip
        with self.pump.lock:
            self._switch_on(spec)
        self._note()
        return spec.name

    def _engine_at(self, docker_host: str) -> Engines:
        """Another engine, which answers. Raises ValueError."""
        from k8snb.cri.docker_way import check

        try:
            found = runtime_of(NodeSpec("", docker_host=check(docker_host)), self.runtime)
        except RuntimeFailure as failure:
            raise ValueError(failure.message) from None
        assert isinstance(found, Engines)
        return found

    def stop_node(self, name: str, *, grace: float = 0.0, critical: float = 10.0) -> None:
        """Pull the plug: the node falls silent and its containers end. The node controller will notice.

        With `grace` the machine is shut down in good order: its pods have so many seconds to end, and critical ones
        the last `critical` of them for themselves.
        """
        node = self.machines.find(name)
        kubelet = node.kubelet
        if grace > 0 and kubelet is not None:
            with self.pump.lock:
                kubelet.shut_down(grace, critical)
            self.wait(kubelet.is_shut_down, grace)
        with self.pump.lock:
            self.machines.fall_silent(node, self)
        with suppress(RuntimeUnavailable):  # an engine that has gone has taken them along
            self.machines.end_pods(name, self.runtime)

    def partition_node(self, name: str) -> None:
        """Cut a node off from the apiserver. Its containers go on running, and nobody hears of them."""
        self.machines.find(name)
        with self.pump.lock:
            self.faults.cut(_node_user(name))
            self.apiserver.disconnect_node(name)

    def rejoin_node(self, name: str) -> None:
        """A node that was cut off is reached again."""
        node = self.machines.find(name)
        with self.pump.lock:
            self.faults.mend(_node_user(name))
            if node.kubelet is not None:
                self.apiserver.connect_node(name, node.kubelet)

    def start_node(self, name: str) -> None:
        """Switch a stopped node on again. Raises ValueError where it cannot be."""
        node, spec = self.nodes.get(name), self.machines.specs.get(name)
        if spec is None:
            self.machines.find(name)
            return
        self._must_run()
        if node is None or not node.on:
            if spec.docker_host:
                self._engine_at(spec.docker_host)
            with self.pump.lock:
                self._switch_on(spec)

    def delete_node(self, name: str) -> None:
        """Take a machine away for good, with its Node object."""
        self.terminate_node(name)
        if self.client.find("nodes", name) is not None:
            self.client.delete("nodes", name)

    def terminate_node(self, name: str) -> None:
        """Give a machine back to the cloud and tell nobody: cloud-controller-manager finds out and removes the Node."""
        self.machines.find(name)
        self._must_run()
        self.stop_node(name)
        self.machines.forget(name, self.runtime)
        self._note()

    def _must_run(self) -> None:
        if not self.running:
            raise ValueError(f'the cluster "{self.name}" is stopped: start it first')

    def _try_to_switch_on(self, spec: NodeSpec) -> None:
        """A cluster starts without the machines whose own engines do not answer: `start_node` asks again."""
        try:
            self._switch_on(spec)
        except RuntimeUnavailable:
            if not spec.docker_host:
                raise

    def _switch_on(self, spec: NodeSpec) -> None:
        self.machines.switch_on(spec, self.control_plane, self.host, self)


def _holds(until: Callable[[], bool], failures: list[Exception]) -> bool:
    """Somebody's own condition, asked in the pump: what it raises is theirs, and must not end the pump."""
    try:
        return until()
    except Exception as failure:
        failures.append(failure)
        return True


def _node_user(name: str) -> str:
    return f"system:node:{name}"


def _stands_still(component: Component | None) -> bool:
    return component is not None and component.state == STOPPED


def _agent_state(node: Node, agent: str) -> str:
    works = node.kubelet if agent == "kubelet" else node.proxy
    return RUNNING if works is not None else STOPPED


def _is_schedulable(node: Object) -> bool:
    taints = get_path(node, "spec.taints") or ()
    waiting = any(taint["key"] in (NOT_READY, UNINITIALIZED) for taint in taints)
    return is_true(node, "Ready") and not waiting
