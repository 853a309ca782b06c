"""The simulated runtime: containers as life cycles on the cluster's clock, for thousands of nodes in one kernel.

Interface: `SimulatedRuntime`, a `cri.Runtime`; `take_elapsed()` for `executor.ClockExecutor`; `http()` asks a pod.
The rule not to break: no thread, socket or subprocess; a call returns at once and says what it would have cost.
kwok does the same for whole nodes; a real runtime is containerd or CRI-O.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from k8snb.clock import Clock, micro_timestamp
from k8snb.cri import (
    PAUSED,
    RUNNING,
    ContainerConfig,
    ContainerResources,
    ContainerStats,
    ContainerStatus,
    Credential,
    ExecResult,
    Image,
    Network,
    PodSandboxConfig,
    RuntimeFailure,
    SandboxStatus,
    simulated_usage,
)
from k8snb.cri.listeners import Listeners
from k8snb.cri.simulated_commands import COMMANDS
from k8snb.cri.simulated_identity import SUPPORT
from k8snb.cri.simulated_images import canonical, find
from k8snb.cri.simulated_life import KILLED, Life
from k8snb.cri.simulated_machine import Container, Pod, Process
from k8snb.cri.simulated_network import Http, VirtualNetwork
from k8snb.cri.simulated_shell import Answer, Streams
from k8snb.cri.simulated_streams import AttachSession, ExecSession, HttpConnection

SANDBOX_SECONDS = 0.2
PRESENT_SECONDS = 0.1  # to find that a pulled image is still the newest
_HANDLED = (1, 2, 3, 15)
_REFERENCE = re.compile(r"[a-z0-9][a-z0-9._:/-]*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?")


class SimulatedRuntime:
    """A runtime that only pretends, on the given clock. See `simulated_images.IMAGES` for what containers do.

    `network` is the virtual network: a cluster plugs its names and Services in there.
    """

    name = "simulated"
    cri_version = "simulated://1.0.0"
    support = SUPPORT
    files_on_demand = True  # an image's own program reads no files; commands do

    def __init__(self, clock: Clock, *, pod_cidr: str = "10.244.0.0/16", service_cidr: str = "10.96.0.0/12") -> None:
        self.service_cidr = service_cidr
        self.cluster_cidr = pod_cidr
        self.reserved = (service_cidr,)
        self.network = VirtualNetwork(self.now, pod_cidr=pod_cidr, service_cidr=service_cidr)
        self.addresses = self.network.addresses
        self.post: Callable[[Callable[[], None]], None] = lambda callback: callback()
        self.clock = self._clock = clock
        self._elapsed = 0.0
        self._ids = itertools.count(1)
        self._nodes: dict[str, dict[str, Pod]] = {}  # each node's pods
        self._listeners = Listeners()
        self._pods: dict[str, Pod] = {}
        self._containers: dict[str, Container] = {}
        self._images: dict[str, Image] = {}
        self._life = Life(clock, self.now, on_end=self._call_back)

    def join(self, post: Callable[[Callable[[], None]], None]) -> None:
        """Belong to a cluster: `post` brings what other threads say into the one that this runtime runs on."""
        self.post = post

    def take_elapsed(self) -> float:
        """The seconds that the calls since the last question would have cost."""
        elapsed, self._elapsed = self._elapsed, 0.0
        return elapsed

    def now(self) -> float:
        """The caller's time: it has been waiting for as long as its calls cost."""
        return self._clock.now() + self._elapsed

    # nodes

    def add_node(self, node: str) -> Network:
        self._nodes.setdefault(node, {})
        return self.network.add_node(node)

    def update_runtime_config(self, node: str, pod_cidr: str) -> None:
        self.network.set_range(node, pod_cidr)

    def remove_node(self, node: str) -> None:
        if node not in self._nodes:
            return
        self._listeners.forget(node)
        for pod_id in list(self._nodes[node]):
            self.remove_pod_sandbox(pod_id)
        del self._nodes[node]
        self.network.remove_node(node)

    def events(self, node: str, callback: Callable[[str], None]) -> Callable[[], None]:
        self._pods_on(node)
        return self._listeners.add(node, callback)

    def _pods_on(self, node: str) -> dict[str, Pod]:
        if node not in self._nodes:
            raise RuntimeFailure("NotFound", f'node "{node}" is not known to the simulated runtime: add it first')
        return self._nodes[node]

    def _tell(self, pod: Pod) -> None:
        """Call the node's callbacks at the moment of the caller's time, which the clock may not have reached."""
        if self._elapsed:
            self._clock.after(self._elapsed, lambda: self._call_back(pod), label="runtime")
        else:
            self._call_back(pod)

    def _call_back(self, pod: Pod) -> None:
        self._listeners.tell(pod.config.node, pod.config.uid)

    # sandboxes

    def run_pod_sandbox(self, config: PodSandboxConfig) -> str:
        neighbours = self._pods_on(config.node)
        self._elapsed += SANDBOX_SECONDS
        pod = Pod(self._new_id(), config, self.now())
        self.network.attach(pod)
        self._pods[pod.id] = neighbours[pod.id] = pod
        self._tell(pod)
        return pod.id

    def stop_pod_sandbox(self, sandbox_id: str) -> None:
        pod = self._pods.get(sandbox_id)
        if pod is None or pod.stopped_at <= self.now():
            return
        for container in pod.containers.values():
            self._life.kill(container, self.now(), KILLED)
        pod.stopped_at = self.now()
        self.network.detach(pod)
        self._tell(pod)

    def remove_pod_sandbox(self, sandbox_id: str) -> None:
        self.stop_pod_sandbox(sandbox_id)
        pod = self._pods.pop(sandbox_id, None)
        if pod is None:
            return
        for container_id in list(pod.containers):
            self.remove_container(container_id)
        self._pods_on(pod.config.node).pop(sandbox_id, None)

    def list_pod_sandboxes(self, node: str) -> list[SandboxStatus]:
        now = self.now()
        return [pod.status(now) for pod in self._pods_on(node).values()]

    def pod_sandbox_status(self, sandbox_id: str) -> SandboxStatus:
        return self._pod(sandbox_id).status(self.now())

    def _pod(self, sandbox_id: str) -> Pod:
        pod = self._pods.get(sandbox_id)
        if pod is None:
            raise RuntimeFailure("NotFound", f'pod sandbox "{sandbox_id}" not found')
        return pod

    def _new_id(self) -> str:
        return f"{next(self._ids):012x}"

    # containers

    def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        pod = self._pod(sandbox_id)
        if pod.stopped_at <= self.now():
            raise RuntimeFailure("CreateContainerError", f'the sandbox of pod "{pod.config.name}" is not running')
        if self.image_status(config.image) is None:
            raise RuntimeFailure("CreateContainerError", f'no such image: "{config.image}": pull it first')
        image = find(config.image, [*config.command, *config.args])
        container = Container(self._new_id(), pod, config, image, self.now())
        self._containers[container.id] = pod.containers[container.id] = container
        if config.target:
            container.note("targetContainerName: not implemented by k8snb's simulated containers")
        return container.id

    def start_container(self, container_id: str) -> None:
        container = self._container(container_id)
        if container.started_at < math.inf:
            raise RuntimeFailure("RunContainerError", f'container "{container.config.name}" was already started')
        self._elapsed += container.image.start
        container.started_at = self.now()
        self._life.start(container, self)
        self._tell(container.pod)

    def freeze_container(self, container_id: str) -> None:
        container = self._container(container_id)
        if container.state(self.now()) == RUNNING:
            self._life.freeze(container)

    def thaw_container(self, container_id: str) -> None:
        self._life.thaw(self._container(container_id))

    def stop_container(self, container_id: str, timeout: float) -> None:
        """SIGTERM, then SIGKILL after `timeout` seconds: a first process without a handler takes all of them."""
        container = self._containers.get(container_id)
        now = self.now()
        if container is None or container.finished_at <= now:
            return
        self._life.stop(container, now, timeout)
        self._elapsed += container.finished_at - now

    def remove_container(self, container_id: str) -> None:
        container = self._containers.pop(container_id, None)
        if container is None:
            return
        self._life.kill(container, self.now(), KILLED)
        container.pod.containers.pop(container_id, None)
        self._tell(container.pod)

    def list_containers(self, node: str) -> list[ContainerStatus]:
        pods = self._pods_on(node).values()
        return [self._status(container) for pod in pods for container in pod.containers.values()]

    def container_status(self, container_id: str) -> ContainerStatus:
        return self._status(self._container(container_id))

    def container_stats(self, container_id: str) -> ContainerStats:
        return simulated_usage.container_stats(self._container(container_id), self.now())

    def update_container_resources(self, container_id: str, resources: ContainerResources) -> None:
        container = self._container(container_id)
        simulated_usage.change_limits(container, resources, self.now())
        self._tell(container.pod)

    def _status(self, container: Container) -> ContainerStatus:
        return container.status(self.now(), _image_id(container.config.image))

    def _container(self, container_id: str) -> Container:
        container = self._containers.get(container_id)
        if container is None:
            raise RuntimeFailure("NotFound", f'container "{container_id}" not found')
        return container

    # exec and logs

    def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult:
        """Run a command to its end; what it sleeps counts as time that the call costs. A `timeout` of 0 is none."""
        container = self._running(container_id)
        out, err = bytearray(), bytearray()
        process = Process(container, self, self.now(), main=False)
        process.begin(command, Streams(b"", out.extend, err.extend))
        began, limit = process.at, timeout or 3600.0
        while (wait := process.advance()) is not None:
            if process.at + wait - began > limit:
                self._elapsed += limit
                raise RuntimeFailure("DeadlineExceeded", f'command "{" ".join(command)}" timed out after {limit:g}s')
            process.at += wait
        self._elapsed += process.at - began
        return ExecResult(stdout=bytes(out), stderr=bytes(err), exit_code=process.code or 0)

    def exec(self, container_id: str, command: Sequence[str], *, tty: bool = False, stdin: bool = False) -> ExecSession:
        """Start a command; it goes on as time passes. Raises RuntimeFailure ExecError."""
        container = self._running(container_id)
        if command[0].rpartition("/")[2] not in COMMANDS:
            text = f'exec: "{command[0]}": executable file not found in $PATH'
            raise RuntimeFailure("ExecError", f"OCI runtime exec failed: unable to start container process: {text}")
        return ExecSession(self, container, command, tty=tty, stdin=stdin)

    def attach(self, container_id: str, *, stdin: bool = False) -> AttachSession:
        """Listen to a container's own program, and with `stdin` write to its input, if it has one."""
        return AttachSession(self, self._running(container_id), stdin=stdin)

    def port_forward(self, sandbox_id: str, port: int) -> HttpConnection:
        """A connection through the virtual network, which speaks HTTP. Raises RuntimeFailure where nobody listens."""
        ip = self._pod(sandbox_id).ip
        if not self.network.listens(ip, port):
            raise RuntimeFailure("PortForwardError", f"dial tcp {ip}:{port}: connect: connection refused")
        return HttpConnection(self, ip, port)

    def _running(self, container_id: str) -> Container:
        container = self._container(container_id)
        if container.state(self.now()) != RUNNING:
            text = f'cannot exec in container "{container.config.name}": it is not running'
            raise RuntimeFailure("ExecError", text)
        if container.frozen:
            raise RuntimeFailure(PAUSED, f'container "{container.config.name}" is paused: unpause it first')
        return container

    def container_logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        timestamps: bool = False,
    ) -> Iterator[bytes]:
        """The lines so far. With `follow`, an empty chunk means "nothing yet": the reader lets time pass, then asks."""
        container = self._container(container_id)
        return self._read_log(container, follow, tail, since, timestamps)

    def _read_log(
        self, container: Container, follow: bool, tail: int | None, since: float | None, timestamps: bool
    ) -> Iterator[bytes]:
        lines = container.log(self.now())
        seen = container.dropped + len(lines)
        shown = [entry for entry in lines if since is None or entry[0] >= since]
        first = 0 if tail is None else max(len(shown) - tail, 0)
        yield from (_log_line(entry, timestamps) for entry in shown[first:])
        while follow and container.id in self._containers:
            ended = container.finished_at <= self.now()
            fresh = container.log(self.now(), seen)
            if fresh and not ended and not fresh[-1][1].endswith(b"\n"):
                fresh.pop()
            seen += len(fresh)
            yield from (_log_line(entry, timestamps) for entry in fresh)
            if ended:
                return
            if not fresh:
                yield b""

    # images

    def pull_image(self, image: str, *, credential: Credential | None = None) -> Image:
        name = canonical(image)
        if not _REFERENCE.fullmatch(image):
            raise RuntimeFailure("InvalidImageName", f'"{image}" is not an image name: lower case, as in nginx:1.25')
        row = find(image)
        self._elapsed += PRESENT_SECONDS if name in self._images else row.pull
        if row.missing:
            raise RuntimeFailure("ErrImagePull", f'failed to pull image "{image}": {row.missing}')
        return self._images.setdefault(name, Image(ref=image, id=_image_id(image), user=row.user))

    def image_status(self, image: str) -> Image | None:
        return self._images.get(canonical(image))

    def list_images(self) -> list[Image]:
        return list(self._images.values())

    def remove_image(self, image: str) -> None:
        name = canonical(image)
        if any(canonical(each.config.image) == name for each in self._containers.values()):
            raise RuntimeFailure("ImageInUse", f'image "{image}" is used by a container')
        self._images.pop(name, None)

    # what goes on inside a container, and what it reaches through the virtual network

    def type_in(self, container: Container, data: bytes) -> None:
        """Input for a container's own program."""
        self._life.type_in(container, data)

    def http(self, ip: str, port: int, path: str = "/", *, method: str = "GET", client: str = "") -> Http | None:
        """What a container that serves at this pod address answers: status, headers, body. None: connection refused."""
        return self.network.http(ip, port, path, method=method, client=client)

    def fetch(self, container: Container, url: str) -> Answer:
        return self.network.fetch(container, url)

    def find_address(self, container: Container, name: str) -> str | None:
        return self.network.find_address(container, name)

    def kill(self, container: Container, number: int, at: float) -> None:
        """A signal from inside: the first process only gets those it has a handler for."""
        if number in _HANDLED and container.on_term is not None:
            self._life.kill(container, at, container.on_term)

    def close(self) -> None:
        for node in list(self._nodes):
            self.remove_node(node)
        self._images.clear()


@lru_cache(maxsize=256)
def _image_id(image: str) -> str:
    return "sha256:" + hashlib.sha256(canonical(image).encode()).hexdigest()


def _log_line(entry: tuple[float, bytes], timestamps: bool) -> bytes:
    moment = micro_timestamp(entry[0]).replace("Z", "000Z")
    return f"{moment} ".encode() + entry[1] if timestamps else entry[1]
