"""kubelet: one node's agent, wired.

Interface: `Kubelet(spec, context, …)`: `start()`, `stop()`; `connection` is what it hands to the apiserver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from k8snb.apimachinery.errors import internal
from k8snb.apimachinery.meta import Object, name_of, namespace_of, uid_of
from k8snb.client import Deferred
from k8snb.client.context import Context
from k8snb.client.events import NORMAL, EventRecorder
from k8snb.client.informer import Informer, Informers
from k8snb.cri import (
    RUNNING,
    SANDBOX_READY,
    Connection,
    ContainerStatus,
    ExecResult,
    Network,
    Runtime,
    RuntimeFailure,
    Session,
)
from k8snb.executor import Executor
from k8snb.kubelet import admission
from k8snb.kubelet.actions import PodState
from k8snb.kubelet.configs import Configs
from k8snb.kubelet.eviction import EvictionManager
from k8snb.kubelet.hostname import DOMAIN
from k8snb.kubelet.image_gc import ImageGC
from k8snb.kubelet.node_status import NodeSpec, NodeStatus
from k8snb.kubelet.pleg import Pleg
from k8snb.kubelet.pod_cidr import PodCidr
from k8snb.kubelet.pod_directories import PodDirectories
from k8snb.kubelet.pod_workers import PodWorkers
from k8snb.kubelet.prober import Dialer, Prober
from k8snb.kubelet.restoring import Restorer, Times, crashes, restore
from k8snb.kubelet.runs import run_of
from k8snb.kubelet.server import KubeletServer, Reply
from k8snb.kubelet.shutdown import NodeShutdown
from k8snb.kubelet.static_files import StaticFiles, is_mirror
from k8snb.kubelet.static_pods import StaticPods
from k8snb.kubelet.stats import NodeStats
from k8snb.kubelet.termination import TerminationMessages
from k8snb.kubelet.volume_manager import VolumeManager
from k8snb.kubelet.volume_places import PLUGINS
from k8snb.kubelet.volume_plugin import VolumePlugin

EXEC_TIMEOUT = 60.0  # seconds


class Kubelet:
    """Runs the pods that are bound to its node. `informers` are the node's shared ones; `dns()` the cluster's
    resolver.
    """

    def __init__(
        self, spec: NodeSpec, context: Context, informers: Informers, *, runtime: Runtime, executor: Executor,
        dialer: Dialer, network: Network, post: Callable[[Callable[[], None]], None], dns: Callable[[], str],
        directories: PodDirectories | None = None, volume_plugins: Mapping[str, VolumePlugin] = PLUGINS,
    ) -> None:  # fmt: skip
        self.name = spec.name
        self._spec = spec
        self._runtime = runtime
        self._clock = context.clock
        self._post = post
        self._stop_events: Callable[[], None] = lambda: None
        client = context.client(f"system:node:{self.name}", "system:nodes", "system:authenticated")
        events = EventRecorder(client, "kubelet", context.clock, host=self.name)
        directories, on_demand = directories or PodDirectories(), getattr(runtime, "files_on_demand", False)
        self._volumes = volumes = VolumeManager(
            self.name, client, context.clock, events=events, directories=directories,
            pod=lambda uid: self.workers.pod(uid), plugins=volume_plugins, on_demand=on_demand,
        )  # fmt: skip
        self._client = client
        messages = TerminationMessages(
            self.name, directories, runtime, pod=lambda uid: self.workers.pod(uid), on_demand=on_demand
        )
        self._configs = configs = Configs(
            spec, client, informers.get("services"), dns, volumes=volumes, messages=messages
        )
        self._prober = Prober(context.clock, executor, runtime, dialer)
        self.pleg = Pleg(self.name, runtime, executor, context.clock)
        self.pleg.finish = messages.finish
        self.workers = PodWorkers(
            self.name, context, client, runtime=runtime, executor=executor, pleg=self.pleg, prober=self._prober,
            configs=configs, volumes=volumes, events=events, capacity=lambda: self.node_status.capacity(),
        )  # fmt: skip
        self._cidr = PodCidr(
            self.name, client, context, runtime=runtime, own=network.pod_cidr, on_known=self._range_known
        )  # fmt: skip
        self.workers.on_end = messages.forget
        self._started, self._was_healthy = False, True
        self.node_status = NodeStatus(spec, network, runtime, client, context.clock, problem=self._problem)
        files = StaticFiles(self.name, Path(spec.static_pods), context.clock.now) if spec.static_pods else None
        self._static = StaticPods(self.name, files, client, context.clock, workers=self.workers, events=events)
        configs.allocatable = volumes.allocatable = self.node_status.capacity
        self._guard(context, executor, events)
        self._pods = Informer("pods", client, context, field_selector=f"spec.nodeName={self.name}")
        self._listen()
        configs.host_ip = network.node_ip

    def _guard(self, context: Context, executor: Executor, events: EventRecorder) -> None:
        """What measures the node, and takes it back from its pods."""
        stats = NodeStats(self._runtime, context.clock.monotonic)
        self._server = KubeletServer(self, stats, context.clock)
        collector = ImageGC(self.name, self._runtime, context.clock, executor, in_use=self.workers.images_in_use,
                            events=events)  # fmt: skip
        self._eviction = EvictionManager(
            self, context.clock, executor, stats=stats, images=collector, capacity=self.node_status.capacity,
            events=events,
        )  # fmt: skip
        self._eviction.evict = self.workers.evict
        self._eviction.on_change = self.node_status.report
        self._shutdown = NodeShutdown(
            self.workers, context.clock, state=self._state, report=lambda: self.node_status.report()
        )  # fmt: skip
        self.workers.refusal = self._refusal
        self.node_status.pressures = lambda: self._eviction.pressures

    def _listen(self) -> None:
        """Who hears of whom."""
        self._pods.on_change(self._pod_changed)
        self.pleg.on_change = self.workers.changed
        self.pleg.on_health = self._health_changed
        self._prober.on_change = self.workers.changed
        self._prober.on_dead = self.workers.restart
        self._prober.events = self.workers.events

    def start(self) -> None:
        self._cidr.start()
        self.node_status.start()
        self._stop_events = self._runtime.events(self.name, lambda uid: self._post(self._runtime_event))
        has_range = not self._cidr.problem()
        if has_range:
            self._pods.start()
        self.pleg.start(then=self.workers.sync_all)
        if has_range:
            self._static.start()
        self._eviction.start()
        self._started = True

    def restore(self, times: Times) -> None:
        """Put back what the apiserver says that the node has been running. Call it before `start`."""
        if isinstance(self._runtime, Restorer):
            pods = self._client.items("pods", fieldSelector=f"spec.nodeName={self.name}")
            restore(pods, self._configs, self._volumes, runtime=self._runtime, times=times)
            self.workers.crashed = crashes(pods)
            self._prober.believe(pods)

    def stop(self) -> None:
        """Fall silent. What runs on the node goes on running."""
        self._stop_events()
        self.node_status.stop()
        self._cidr.stop()
        self._pods.stop()
        self._prober.stop()
        self._volumes.stop()
        self._static.stop()
        self._eviction.stop()
        self.pleg.stopped = True

    def _range_known(self) -> None:
        """The node's pods can have addresses: now it looks for them."""
        if self._started:
            self._pods.start()
            self._static.start()
            self.node_status.report()

    def _runtime_event(self) -> None:
        if not self.pleg.stopped:
            self.pleg.relist()

    def _health_changed(self) -> None:
        self.node_status.report()
        before, self._was_healthy = self._was_healthy, self.pleg.healthy
        if before == self.pleg.healthy:
            return
        word = "NodeReady" if self.pleg.healthy else "NodeNotReady"
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name, "uid": self.name}}
        self.workers.events.event(node, NORMAL, word, f"Node {self.name} status is now: {word}")
        self.workers.sync_all()

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        shown = new or old
        if shown is not None and is_mirror(shown):
            self._static.mirror_changed(old, new)
        elif new is not None:
            if old is not None and uid_of(old) != uid_of(new):
                self.workers.removed(old)
            self.workers.update(new)
        elif old is not None:
            self.workers.removed(old)

    def shut_down(self, grace: float, critical: float) -> None:
        """End the pods in good order, before the machine is switched off."""
        self._shutdown.begin(grace, critical)

    def is_shut_down(self) -> bool:
        """Whether nothing runs here any more."""
        return self._shutdown.over()

    def _problem(self) -> str:
        return self._shutdown.problem() or self.pleg.problem() or self._cidr.problem()

    def _refusal(self, pod: Object) -> tuple[str, str]:
        """Why the node does not take a new pod: a reason and a message, both "" where it does."""
        pressure = self._eviction.refusal(pod)
        found = ("Evicted", pressure) if pressure else self._shutdown.refusal(pod)
        return found if found[0] else admission.refusal(pod, self._runtime)

    # the way to its containers, for the apiserver

    def logs(self, pod: Object, container: str, options: Mapping[str, Any]) -> Iterator[bytes]:
        """A container's output. Raises BadRequest while there is no container yet."""
        status = run_of(pod, container, self._state(pod), previous=bool(options.get("previous")))
        seconds = options.get("sinceSeconds")
        try:
            return self._runtime.container_logs(
                status.id,
                follow=bool(options.get("follow")),
                tail=options.get("tailLines"),
                since=self._clock.now() - seconds if seconds is not None else None,
                timestamps=bool(options.get("timestamps")),
            )
        except RuntimeFailure as error:
            raise internal(error.message) from None

    def exec(self, pod: Object, container: str, command: list[str]) -> Deferred:
        """A command in a running container; its result comes when the caller runs it."""
        status = run_of(pod, container, self._state(pod), previous=False)
        self._volumes.fill(pod)

        def run() -> ExecResult:
            try:
                return self._runtime.exec_sync(status.id, command, EXEC_TIMEOUT)
            except RuntimeFailure as error:
                raise internal(error.message) from None

        return Deferred(run)

    def get_exec(
        self, pod: Object, container: str, command: list[str], *, tty: bool, stdin: bool
    ) -> Callable[[], Session]:
        """What opens a command's streams. It may block, and raises RuntimeFailure where the command cannot start."""
        found = self._running(pod, container)
        self._volumes.fill(pod)
        return lambda: self._runtime.exec(found.id, command, tty=tty, stdin=stdin)

    def get_attach(self, pod: Object, container: str, *, stdin: bool) -> Callable[[], Session]:
        """What opens the streams of a container's own program."""
        found = self._running(pod, container)
        self._volumes.fill(pod)
        return lambda: self._runtime.attach(found.id, stdin=stdin)

    def get_port_forward(self, pod: Object) -> Callable[[int], Connection]:
        """What opens a connection to a port of the pod; it raises RuntimeFailure where nobody listens."""
        sandbox = self._state(pod).sandbox
        if sandbox is None or sandbox.state != SANDBOX_READY:
            raise internal(f'pod not found ("{name_of(pod)}_{namespace_of(pod)}")')
        return lambda port: self._runtime.port_forward(sandbox.id, port)

    def get_http(self, method: str, target: str) -> Callable[[], Reply]:
        """What answers a request to the node itself; it may block."""
        return self._server.get(method, target)

    def pods(self) -> list[tuple[Object, PodState]]:
        """The pods of the node, each with what the runtime has of it."""
        return [(pod, self._state(pod)) for pod in self.workers.pods()]

    def configuration(self) -> Object:
        """What of a KubeletConfiguration is in force here."""
        return {
            "staticPodPath": self._spec.static_pods, "maxPods": self._spec.pods, "clusterDomain": DOMAIN,
            "nodeStatusUpdateFrequency": "10s", "nodeStatusReportFrequency": "5m0s", "nodeLeaseDurationSeconds": 40,
            "imageMinimumGCAge": "2m0s", "imageGCHighThresholdPercent": 85, "imageGCLowThresholdPercent": 80,
            "containerLogMaxSize": self._spec.container_log_max_size,
            "containerLogMaxFiles": self._spec.container_log_max_files,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "10%"},
            "evictionPressureTransitionPeriod": "5m0s",
        }  # fmt: skip

    def disks(self) -> dict[str, list[Path]]:
        """Where the emptyDirs of each pod lie on the node's disk, by uid."""
        return self._volumes.empty_directories()

    def _state(self, pod: Object) -> PodState:
        return self.pleg.state(self._static.uid_of(pod))

    def _running(self, pod: Object, container: str) -> ContainerStatus:
        newest = self._state(pod).newest(container)
        if newest is None or newest.state != RUNNING:
            raise internal(f'container not found ("{container}")')
        return newest
