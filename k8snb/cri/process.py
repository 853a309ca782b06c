"""The process runtime: containers as plain child processes, for places without a container engine.

Interface: `ProcessRuntime`, a `cri.Runtime`. What is left to the parts: `process_network` (addresses),
`process_ports` (mapped ports), `process_files` (directories, paths, commands), `process_launch` (programs),
`process_shim` (output and exits), `process_streams` (exec, attach), `images` (what can be run), `logs`.
The rule not to break: what is accepted but not carried out is said in the status's notes, and no process outlives us.
A real runtime isolates containers by namespaces and limits them by cgroups; here they are processes of the same user.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from k8snb.clock import Clock, RealClock
from k8snb.cri import (
    CANNOT_RUN,
    CREATED,
    PAUSED,
    RUNNING,
    SANDBOX_NOTREADY,
    SANDBOX_READY,
    ContainerConfig,
    ContainerResources,
    ContainerStats,
    ContainerStatus,
    Credential,
    ExecResult,
    Image,
    Kept,
    Network,
    PodSandboxConfig,
    RuntimeFailure,
    SandboxStatus,
    images,
    process_usage,
)
from k8snb.cri.janitor import Janitor
from k8snb.cri.listeners import Listeners
from k8snb.cri.logs import ContainerLog
from k8snb.cri.process_cgroups import Cgroups
from k8snb.cri.process_files import (
    PASSABLE,
    NotExecutableError,
    Place,
    Programs,
    fresh_directory,
    temporary_directory,
    unused_directory,
)
from k8snb.cri.process_images import ImageService
from k8snb.cri.process_launch import NOT_FOUND, Launcher, await_ports, await_view, end_all, explain
from k8snb.cri.process_mounts import MountNamespaces
from k8snb.cri.process_network import Loopback
from k8snb.cri.process_pods import (
    OUT_OF_MEMORY,
    SHARED_ADDRESS,
    Container,
    Sandbox,
    attach,
    change_resources,
    container_notes,
    exit_reason,
)
from k8snb.cri.process_ports import PodPorts
from k8snb.cri.process_shim import Shim
from k8snb.cri.process_streams import AttachSession, ExecSession
from k8snb.cri.streams import SocketConnection, connect


class ProcessRuntime:
    """Runs pods as child processes of this one. `root` is where their directories lie (default: a temporary one).

    `single_address=True` does as if 127.0.0.1 were the only loopback address, `mount_namespaces=False` and
    `cgroups=False` as if the kernel allowed none. Programs look into `forwards_file`, a
    JSON object {"ip:port": "ip:port"}, for services that kube-proxy could not open at their own address. A `janitor`
    that is given is shared with others and stays open. A cluster that is `kept` asks for the addresses it had.
    Raises RuntimeFailure on Windows and where no directory for programs can be had.
    """

    name = "process"
    cri_version = "process://1.0"

    def __init__(
        self,
        cluster: str,
        root: Path | None = None,
        *,
        clock: Clock | None = None,
        single_address: bool | None = None,
        mount_namespaces: bool | None = None,
        cgroups: bool | None = None,
        janitor: Janitor | None = None,
        kept: Kept | None = None,
    ) -> None:
        if os.name == "nt":
            text = "the process runtime is not implemented by k8snb on Windows; use Docker or the simulated runtime"
            raise RuntimeFailure("CreatePodSandboxError", text)
        self._clock = clock or RealClock()
        self._lock = threading.RLock()
        base = root or Path(tempfile.mkdtemp(prefix="k8snb-process-", dir=temporary_directory()))
        self.directory = fresh_directory(base / cluster)
        if root is None:
            base.chmod(PASSABLE)
        self._to_remove = self.directory if root else self.directory.parent
        self._network = Loopback(
            single_address=single_address, service_cidr=kept.service_cidr if kept else "",
            lasting=str(kept.directory) if kept else "",
        )  # fmt: skip
        self.addresses = self._network.addresses
        self.service_cidr = self._network.service_cidr
        self.balancer_cidr = self._network.balancer_cidr
        self.cluster_cidr, self.reserved = self._network.cluster_cidr, self._network.reserved
        self._ports = PodPorts(self._network, self.directory)
        self.forwards_file = self._ports.forwards_file
        self._janitor = janitor or Janitor()
        self._owns_janitor = janitor is None
        self._shim = Shim(self._janitor)
        self._mounts = MountNamespaces(mount_namespaces)
        self._cgroups = Cgroups(self._janitor, cgroups)
        self._launcher = Launcher(self._ports, self._janitor, self._mounts)
        self._programs = Programs(self.directory / "bin")
        self._sandboxes: dict[str, Sandbox] = {}
        self._containers: dict[str, Container] = {}
        self._images = ImageService()
        self._listeners = Listeners()
        self._made = 0
        self._closed = False
        self._janitor.directory(self._to_remove)

    @property
    def support(self) -> Mapping[str, str]:
        return self._mounts.support

    # nodes

    def add_node(self, node: str) -> Network:
        return self._network.add_node(node)

    def update_runtime_config(self, node: str, pod_cidr: str) -> None:
        self._network.set_range(node, pod_cidr)

    def remove_node(self, node: str) -> None:
        """The node's pods end with it."""
        for status in self.list_pod_sandboxes(node):
            self.remove_pod_sandbox(status.id)
        self._listeners.forget(node)
        self._network.remove_node(node)

    def events(self, node: str, callback: Callable[[str], None]) -> Callable[[], None]:
        return self._listeners.add(node, callback)

    # sandboxes

    def run_pod_sandbox(self, config: PodSandboxConfig) -> str:
        ip = self._network.node_ip(config.node) if config.host_network else self._take(config)
        with self._lock:
            self._check_open()
            sandbox = Sandbox(self._identity(config.uid), config, ip, self._clock.now())
            sandbox.notes = [SHARED_ADDRESS] if self._network.single_address else []
            self._sandboxes[sandbox.id] = sandbox
        self._tell(sandbox)
        return sandbox.id

    def _take(self, config: PodSandboxConfig) -> str:
        return self._network.take(config.node, f"{config.namespace}/{config.name}")

    def stop_pod_sandbox(self, sandbox_id: str) -> None:
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None or sandbox.state == SANDBOX_NOTREADY:
            return
        self._end([container for container in self._of(sandbox) if container.state == RUNNING], 0.0)
        with self._lock:
            if sandbox.state == SANDBOX_NOTREADY:
                return
            sandbox.state = SANDBOX_NOTREADY
            if not sandbox.config.host_network:
                self.addresses.give_back(sandbox.ip)
            self._ports.release(sandbox)
        self._tell(sandbox)

    def remove_pod_sandbox(self, sandbox_id: str) -> None:
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None:
            return
        self.stop_pod_sandbox(sandbox_id)
        for container in self._of(sandbox):
            self.remove_container(container.id)
        with self._lock:
            self._sandboxes.pop(sandbox_id, None)
            uid = sandbox.config.uid
            if all(other.config.uid != uid for other in self._sandboxes.values()):
                shutil.rmtree(self.directory / "pods" / uid, ignore_errors=True)
                shutil.rmtree(self._log_directory(sandbox), ignore_errors=True)
        self._tell(sandbox)

    def list_pod_sandboxes(self, node: str) -> list[SandboxStatus]:
        with self._lock:
            return [sandbox.status() for sandbox in self._sandboxes.values() if sandbox.config.node == node]

    def pod_sandbox_status(self, sandbox_id: str) -> SandboxStatus:
        with self._lock:
            return self._sandbox(sandbox_id).status()

    # containers

    def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        sandbox = self._sandbox(sandbox_id)
        entry = self._images.entry(config.image)
        uid, name = sandbox.config.uid, f"{config.name}-{config.attempt}"
        with self._lock:
            self._check_open()
            identity = self._identity(uid)
            directory = unused_directory(self.directory / "pods" / uid / name)
        private = self._mounts.serve(config, entry)
        owner = self._mounts.identity(config.security)
        place = Place(directory, entry, self._programs.install(entry), private=private, owner=owner)
        path = self._log_directory(sandbox) / config.name / f"{config.attempt}.log"
        log = ContainerLog(path, self._clock.now, max_size=config.log_size, max_files=config.log_files)
        try:
            log.path.parent.mkdir(parents=True, exist_ok=True)
            place.prepare(sandbox.config, sandbox.ip, config.mounts)
        except OSError as error:
            shutil.rmtree(directory, ignore_errors=True)
            raise RuntimeFailure("CreateContainerError", f"cannot prepare {error.filename}: {error.strerror}") from None
        container = Container(identity, sandbox, config, place=place, log=log, now=self._clock.now())
        container.group = self._cgroups.make(identity, config.resources)
        place.doors = container.group.doors if container.group else ()
        with self._lock:
            ports = {**dict.fromkeys(entry.ports, "TCP"), **dict(config.ports)}
            container.notes = [
                *container_notes(config, entry, container.group),
                *place.notes,
                *self._ports.place(sandbox, ports),
            ]
            self._containers[identity] = container
        return identity

    def start_container(self, container_id: str) -> None:
        """Start the child process, and give a program of ours a moment to open the ports of its image.

        A container thus answers as soon as it is called running. Raises RuntimeFailure RunContainerError where the
        command cannot be run.
        """
        container = self._container(container_id)
        with self._lock:
            self._check_open()
            if container.state != CREATED or container.sandbox.state != SANDBOX_READY:
                text = f"container {container.config.name} was started before, or its pod's sandbox was stopped"
                raise RuntimeFailure("RunContainerError", text)
            try:
                process = self._launcher.start(container, self._ended)
            except (NotExecutableError, OSError) as error:
                self._refuse_start(container, explain("create failed", error))
            own_server = not container.config.command and bool(container.place.entry.ports)
            container.opening = own_server or container.place.private
            container.state, container.started_at, container.process = RUNNING, self._clock.now(), process
            self._shim.attend(process)
        if container.place.private:
            await_view(process)
        if own_server:
            await_ports(container, process)
        container.opening = False
        self._tell(container.sandbox)

    def freeze_container(self, container_id: str) -> None:
        """SIGSTOP to each of the container's processes."""
        container = self._container(container_id)
        if container.state == RUNNING and container.process is not None:
            container.frozen = True
            container.process.freeze()

    def thaw_container(self, container_id: str) -> None:
        """SIGCONT to each of the container's processes."""
        container = self._container(container_id)
        if container.frozen and container.process is not None:
            container.frozen = False
            container.process.thaw()

    def stop_container(self, container_id: str, timeout: float) -> None:
        """SIGTERM to the container's processes, and SIGKILL when `timeout` seconds have passed."""
        container = self._containers.get(container_id)
        if container is not None:
            self._end([container], timeout)

    def remove_container(self, container_id: str) -> None:
        container = self._containers.get(container_id)
        if container is None:
            return
        self._end([container], 0.0)
        with self._lock:
            self._containers.pop(container_id, None)
        container.log.remove()
        shutil.rmtree(container.place.directory, ignore_errors=True)
        if container.group is not None:
            container.group.remove()
        self._tell(container.sandbox)

    def list_containers(self, node: str) -> list[ContainerStatus]:
        with self._lock:
            return [entry.status() for entry in self._containers.values() if entry.sandbox.config.node == node]

    def container_status(self, container_id: str) -> ContainerStatus:
        with self._lock:
            return self._container(container_id).status()

    def container_stats(self, container_id: str) -> ContainerStats:
        """Shared pages count in each of a container's processes. Without /proc (macOS) all is 0."""
        container = self._container(container_id)
        process = container.process
        if process is None or process.ended.is_set():
            raise RuntimeFailure("NotFound", f"container {container.config.name} is not running")
        used = process_usage.usage(process.pid)
        return ContainerStats(cpu_seconds=used.cpu_seconds, memory_bytes=used.memory, timestamp=self._clock.now())

    def update_container_resources(self, container_id: str, resources: ContainerResources) -> None:
        """Without a cgroup the memory limit is checked from now on, and a CPU limit is never carried out."""
        with self._lock:
            change_resources(self._container(container_id), resources)

    def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult:
        """Run a command beside the container's own. `timeout` in seconds, 0 = none.

        Raises RuntimeFailure: DeadlineExceeded when the time is over, ExecError when the container does not run.
        """
        return self._launcher.run(self._running(container_id), command, timeout)

    def exec(self, container_id: str, command: Sequence[str], *, tty: bool = False, stdin: bool = False) -> ExecSession:
        """Start a command beside the container's own. Raises RuntimeFailure ExecError."""
        return self._launcher.open(self._running(container_id), command, tty=tty, stdin=stdin)

    def attach(self, container_id: str, *, stdin: bool = False) -> AttachSession:
        """Listen to a container's own program, and with `stdin` write to its input, if it has one."""
        return attach(self._running(container_id), stdin=stdin)

    def port_forward(self, sandbox_id: str, port: int) -> SocketConnection:
        """A connection to a port of the pod. Raises RuntimeFailure where nobody listens."""
        sandbox = self._sandbox(sandbox_id)
        return connect(sandbox.ip, sandbox.port_map.get(port, port))

    def container_logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        timestamps: bool = False,
    ) -> Iterator[bytes]:
        """The container's output, line by line. Following ends when the container ends."""
        log = self._container(container_id).log
        return log.read(follow=follow, tail=tail, since=since, timestamps=timestamps)

    # images

    def pull_image(self, image: str, *, credential: Credential | None = None) -> Image:
        return self._images.pull(image)

    def image_status(self, image: str) -> Image | None:
        return self._images.status(image)

    def list_images(self) -> list[Image]:
        return self._images.list()

    def remove_image(self, image: str) -> None:
        identity = images.identify(image)
        with self._lock:
            if any(images.identify(each.config.image) == identity for each in self._containers.values()):
                raise RuntimeFailure("ImageInUse", f'image "{image}" is used by a container')
            self._images.remove(image)

    def remove_at_end(self, directory: Path) -> None:
        """It goes with this process, however that ends."""
        self._janitor.directory(directory)

    def close(self) -> None:
        """End every container and remove every file."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._shim.close()
        for container in self._containers.values():
            container.log.close()
        self._cgroups.close()
        self._network.close()
        shutil.rmtree(self._to_remove, ignore_errors=True)
        if self._owns_janitor:
            self._janitor.close()

    # inside

    def _running(self, container_id: str) -> Container:
        container = self._container(container_id)
        if container.state != RUNNING or container.process is None:
            raise RuntimeFailure("ExecError", f"container {container.config.name} is not running")
        if container.frozen:
            raise RuntimeFailure(PAUSED, f"container {container.config.name} is paused: unpause it first")
        return container

    def _refuse_start(self, container: Container, message: str) -> None:
        container.end(self._clock.now(), NOT_FOUND, CANNOT_RUN, message)
        container.started_at = container.finished_at
        container.log.close()
        raise RuntimeFailure("RunContainerError", message)

    def _ended(self, container: Container, code: int, out_of_memory: bool) -> None:
        with self._lock:
            killed = code == OUT_OF_MEMORY and container.group is not None and container.group.killed()
            container.end(self._clock.now(), *exit_reason(code, out_of_memory or killed))
        container.audience.end()
        self._tell(container.sandbox)

    def _end(self, containers: Sequence[Container], timeout: float) -> None:
        for container in containers:
            self.thaw_container(container.id)  # a process that stands still hears no SIGTERM
        processes = [container.process for container in containers if container.process is not None]
        end_all(processes, timeout, self._clock.monotonic)

    def _tell(self, sandbox: Sandbox) -> None:
        self._listeners.tell(sandbox.config.node, sandbox.config.uid)

    def _of(self, sandbox: Sandbox) -> list[Container]:
        with self._lock:
            return [container for container in self._containers.values() if container.sandbox is sandbox]

    def _sandbox(self, sandbox_id: str) -> Sandbox:
        if sandbox_id not in self._sandboxes:
            raise RuntimeFailure("NotFound", f"sandbox {sandbox_id[:12]} does not exist")
        return self._sandboxes[sandbox_id]

    def _container(self, container_id: str) -> Container:
        if container_id not in self._containers:
            raise RuntimeFailure("NotFound", f"container {container_id[:12]} does not exist")
        return self._containers[container_id]

    def _identity(self, uid: str) -> str:
        self._made += 1
        return hashlib.sha256(f"{self.directory}/{uid}/{self._made}".encode()).hexdigest()

    def _log_directory(self, sandbox: Sandbox) -> Path:
        config = sandbox.config
        return self.directory / "logs" / f"{config.namespace}_{config.name}_{config.uid}"

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeFailure("CreatePodSandboxError", "the process runtime is closed")
