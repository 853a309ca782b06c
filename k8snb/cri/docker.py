"""The Docker runtime: pods as containers of a Docker engine.

Interface: `DockerRuntime`, a `cri.Runtime`; `engine_answers()` and `has_images()` to choose it.
The rule not to break: `close()` leaves nothing that has this cluster's label (see `docker_holdings`).
Source: `pkg/kubelet/dockershim` of Kubernetes 1.23, the last one with a Docker runtime; cri-dockerd carries it on.

A pod is a pause container that has the address; the pod's containers join its network, IPC and, if asked, PID
namespaces. The hostname comes with the network: Docker gives it to containers that join one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from k8snb.cri import (
    EXITED,
    ContainerConfig,
    ContainerResources,
    ContainerStats,
    ContainerStatus,
    Credential,
    ExecResult,
    Image,
    Kept,
    Layer,
    Network,
    PodSandboxConfig,
    RuntimeFailure,
    SandboxStatus,
    docker_stats,
    etc_hosts,
)
from k8snb.cri.docker_create import create_container, create_pause
from k8snb.cri.docker_engine import (
    connect,
    default_url,
    engine_answers,
    ensure_pause_image,
    explain_start,
    first_line,
    has_images,
    ignoring,
    translated,
)
from k8snb.cri.docker_events import ContainerEvents
from k8snb.cri.docker_exec import run_command
from k8snb.cri.docker_holdings import Holdings
from k8snb.cri.docker_images import Images
from k8snb.cri.docker_kernel import PodKernels
from k8snb.cri.docker_network import PodNetwork, ServiceNetwork, rewrite, write_resolver
from k8snb.cri.docker_security import support
from k8snb.cri.docker_siblings import Siblings, spot_of
from k8snb.cri.docker_status import (
    ATTEMPT,
    CONTAINER,
    IMAGE,
    NODE,
    POD_IP,
    SANDBOX,
    SORT,
    container_status,
    pod_labels,
    sandbox_config,
    sandbox_status,
)
from k8snb.cri.docker_streams import EngineSession, open_attach, open_exec
from k8snb.cri.docker_way import way_to
from k8snb.cri.streams import SocketConnection
from k8snb.cri.streams import connect as connect_port

__all__ = ["DockerRuntime", "engine_answers", "has_images"]


class Janitor(Protocol):
    """What clears up after a kernel that is killed: see `cri.janitor`."""

    def docker(self, label: str, socket: str = ...) -> None: ...
    def route(self, cidr: str) -> None: ...
    def tunnel(self, number: int) -> None: ...
    def directory(self, path: Path) -> None: ...
    def close(self) -> None: ...


class DockerRuntime:
    """The runtime of one cluster on one engine, for all its nodes. Raises RuntimeFailure when no engine answers.

    `cluster` names the cluster in labels; what a dead kernel left of a cluster of the same name is removed first. With
    a data directory that is `kept`, it is this cluster's again, and goes on. One that is `beside` another has the
    cluster's nodes on another engine.
    """

    name = "docker"

    def __init__(
        self, cluster: str, *, base_url: str | None = None, janitor: Janitor | None = None, kept: Kept | None = None,
        beside: DockerRuntime | None = None,
    ) -> None:  # fmt: skip
        self._siblings = Siblings(cluster, janitor, kept, self)
        wanted, lasting = (kept.service_cidr, str(kept.directory)) if kept else ("", "")
        self._services: ServiceNetwork = beside._services if beside else ServiceNetwork(wanted, lasting)
        self._is_main, self._elsewhere, self._node_ip = beside is None, "", ""
        self.service_cidr = self._services.cidr
        self._sandboxes: dict[str, PodSandboxConfig] = {}
        self._ended: dict[str, ContainerStatus] = {}
        self._closed = False
        self._janitor = janitor
        with ExitStack() as closers:
            if janitor is not None:
                closers.callback(janitor.close)
            way = way_to(base_url or default_url(), janitor)
            closers.callback(way.close)
            self._url, self._api = way.url, connect(way.url)
            closers.callback(self._api.close)
            self._find_place(cluster, kept)
            self._closers = closers.pop_all()
        self._images = Images(self._api, self._url)
        self._watch = ContainerEvents(self._api, [self._held.run])
        self.on_sandbox: Callable[[PodSandboxConfig, str], None] = lambda config, ip: None  # before it has containers
        local = self._is_main and self._url.startswith("unix://")
        self.kernels = PodKernels(self._held.pod_processes, local=local)

    def _find_place(self, cluster: str, kept: Kept | None) -> None:
        """Clear what others left, and have an image for pods and a network."""
        self._held = Holdings(self._api, cluster, kept)
        self.cri_version = f"docker://{self._api.version()['Version']}"
        self.support = support(self._api.info())
        self._held.clear_leftovers()
        self._pause = ensure_pause_image(self._api, self._url)
        if self._janitor is not None and kept is None and (spot := spot_of(self._url)):
            self._janitor.docker(self._held.run, spot)
        wanted = kept.pod_cidr if kept and self._is_main else ""
        self._pods = PodNetwork(self._api, self._held.network_name, self._held.labels, wanted=wanted)
        self._take_up()
        self.cluster_cidr, self.reserved = self._pods.cidr, (self._pods.reserved,)
        self.addresses = self._pods.addresses

    def _take_up(self) -> None:
        """The pods that an earlier process left."""
        for row in self._held.list(f"{SORT}=sandbox"):
            self._sandboxes[row["Id"]] = sandbox_config(row["Labels"])
            self._pods.reserve(row["Labels"][NODE], row["Labels"][POD_IP])

    # the cluster's network

    @property
    def notes(self) -> Sequence[str]:
        """Sentences for every pod: what is accepted but not carried out here."""
        return [note for note in (self._services.note, self._elsewhere) if note]

    def note_place(self, note: str, *, node_ip: str) -> None:
        """Say in each pod's events what it is to sit on this engine. A `node_ip` that is given is its nodes'."""
        self._elsewhere, self._node_ip = note, node_ip

    @property
    def node_address(self) -> str:
        """The address that all nodes have: the bridge's own on this machine, unless they are told another."""
        return self._node_ip or self._pods.gateway

    def open_service_network(self) -> bool:
        """Make ClusterIPs addresses of this host that pods reach too. False: `service_cidr` is now a loopback range."""
        opened = self._services.open()
        self.service_cidr = self._services.cidr
        if opened:
            self.remove_route_at_end(self.service_cidr)
        return opened

    def at(self, docker_host: str) -> DockerRuntime:
        """The cluster's runtime on another engine. Raises RuntimeUnavailable where none answers."""
        return self._siblings.at(docker_host)

    def leave(self, docker_host: str) -> None:
        self._siblings.leave(docker_host)

    def size(self) -> tuple[str, str]:
        with translated("RuntimeNotReady", "cannot ask what the engine's machine has"):
            found = self._api.info()
        return str(found["NCPU"]), f"{found['MemTotal'] // 1024}Ki"

    def remove_route_at_end(self, cidr: str) -> None:
        """It goes with this process, however that ends."""
        if self._janitor is not None:
            self._janitor.route(cidr)

    def add_node(self, node: str) -> Network:
        return replace(self._pods.add_node(node), node_ip=self.node_address)

    def update_runtime_config(self, node: str, pod_cidr: str) -> None:
        self._pods.set_range(node, pod_cidr)

    def remove_node(self, node: str) -> None:
        self._held.remove_all(f"{NODE}={node}")
        self._watch.forget(node)
        self._pods.remove_node(node)

    def events(self, node: str, callback: Callable[[str], None]) -> Callable[[], None]:
        return self._watch.add(node, callback)

    # sandboxes

    def run_pod_sandbox(self, config: PodSandboxConfig) -> str:
        """Start the pause container that has the pod's address."""
        pod = f"{config.namespace}/{config.name}"
        ip = self._pods.gateway if config.host_network else self._pods.take(config.node, pod)
        try:
            with translated("CreatePodSandboxError", f'cannot create the sandbox of pod "{config.name}"'):
                return self._start_pause(config, ip)
        except BaseException:
            self._pods.give_back(config.node, ip)
            raise

    def _start_pause(self, config: PodSandboxConfig, ip: str) -> str:
        api = self._api
        labels = {**self._held.labels, **pod_labels(config), SORT: "sandbox", ATTEMPT: str(config.attempt), POD_IP: ip}
        name = self._held.container_name("POD", config, config.attempt)
        made = create_pause(api, self._pause, config, name=name, labels=labels, network=self._pods.name, ip=ip)
        try:
            api.start(made)
            if self._url.startswith("unix://"):
                _write_files(api.inspect_container(made), config, ip)
        except BaseException:
            api.remove_container(made, force=True)
            raise
        self._sandboxes[made] = config
        if not config.host_network:
            self.on_sandbox(config, ip)
        return made

    def stop_pod_sandbox(self, sandbox_id: str) -> None:
        for row in self._held.list(f"{SANDBOX}={sandbox_id}"):
            self.stop_container(row["Id"], 0)
        # Nothing to save in it, and as first process it does not hear SIGTERM. 409: it stands still already.
        with translated("StopPodSandboxError", "cannot stop the pod's sandbox"), ignoring(404, 409):
            self._api.kill(sandbox_id)

    def remove_pod_sandbox(self, sandbox_id: str) -> None:
        for row in self._held.list(f"{SANDBOX}={sandbox_id}"):
            self.remove_container(row["Id"])
        row = next((row for row in self._held.list(f"{SORT}=sandbox") if row["Id"] == sandbox_id), None)
        self._held.remove(sandbox_id)
        self._sandboxes.pop(sandbox_id, None)
        if row is not None:
            self._pods.give_back(row["Labels"][NODE], row["Labels"][POD_IP])

    def list_pod_sandboxes(self, node: str) -> list[SandboxStatus]:
        return [sandbox_status(row, self.notes) for row in self._held.list(f"{SORT}=sandbox", f"{NODE}={node}")]

    def pod_sandbox_status(self, sandbox_id: str) -> SandboxStatus:
        for row in self._held.list(f"{SORT}=sandbox"):
            if row["Id"] == sandbox_id:
                return sandbox_status(row, self.notes)
        raise RuntimeFailure("NotFound", f'pod sandbox "{sandbox_id[:12]}" not found')

    # containers

    def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None:
            raise RuntimeFailure("NotFound", f'pod sandbox "{sandbox_id[:12]}" not found')
        labels = {
            **self._held.labels, **pod_labels(sandbox), SORT: "container", CONTAINER: config.name,
            ATTEMPT: str(config.attempt), SANDBOX: sandbox_id, IMAGE: config.image,
        }  # fmt: skip
        if self._node_ip:  # the engine's machine does not have the kubelet's file for last words
            config = replace(config, mounts=[m for m in config.mounts if m.container_path != config.termination_log])
        with translated("CreateContainerError", f'cannot create container "{config.name}"'):
            name = self._held.container_name(config.name, sandbox, config.attempt)
            return create_container(self._api, config, sandbox=sandbox, sandbox_id=sandbox_id, name=name, labels=labels)

    def start_container(self, container_id: str) -> None:
        import docker

        with translated("RunContainerError", "cannot start the container"):
            try:
                self._api.start(container_id)
            except docker.errors.NotFound:
                raise
            except docker.errors.APIError as error:
                raise RuntimeFailure("RunContainerError", explain_start(first_line(error))) from None

    def stop_container(self, container_id: str, timeout: float) -> None:
        with translated("StopContainerError", "cannot stop the container"), ignoring(404):
            self._api.stop(container_id, timeout=math.ceil(max(timeout, 0)))

    def freeze_container(self, container_id: str) -> None:
        with translated("FreezeContainerError", "cannot pause the container"), ignoring(404, 409):
            self._api.pause(container_id)

    def thaw_container(self, container_id: str) -> None:
        with translated("FreezeContainerError", "cannot unpause the container"), ignoring(404, 409):
            self._api.unpause(container_id)

    def remove_container(self, container_id: str) -> None:
        self._held.remove(container_id)
        self._ended.pop(container_id, None)

    def list_containers(self, node: str) -> list[ContainerStatus]:
        found = (self._status_of(row["Id"]) for row in self._held.list(f"{SORT}=container", f"{NODE}={node}"))
        return [status for status in found if status is not None]

    def container_status(self, container_id: str) -> ContainerStatus:
        status = self._status_of(container_id)
        if status is None:
            raise RuntimeFailure("NotFound", f'container "{container_id[:12]}" not found')
        return status

    def container_stats(self, container_id: str) -> ContainerStats:
        with translated("ContainerStatusUnknown", "cannot read what the container uses"):
            return docker_stats.container_stats(self._api, container_id)

    def update_container_resources(self, container_id: str, resources: ContainerResources) -> None:
        with translated("ContainerStatusUnknown", "cannot change what the container may use"):
            docker_stats.update_limits(self._api, container_id, resources)

    def _status_of(self, container_id: str) -> ContainerStatus | None:
        """What the engine knows; what has ended does not change and is asked for once."""
        import docker

        if container_id in self._ended:
            return self._ended[container_id]
        with translated("ContainerStatusUnknown", "cannot read the container's state"):
            try:
                status = container_status(self._api.inspect_container(container_id))
            except docker.errors.NotFound:
                return None
        if status.state == EXITED:
            self._ended[container_id] = status
        return status

    def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult:
        """Run a command in a container. After `timeout` seconds (0: never) it is given up, but goes on there."""
        with translated("ExecError", "cannot exec in the container"):
            return run_command(self._api, container_id, list(command), timeout)

    def exec(
        self, container_id: str, command: Sequence[str], *, tty: bool = False, stdin: bool = False
    ) -> EngineSession:
        """Start a command in a container. Raises RuntimeFailure ExecError."""
        with translated("ExecError", "cannot exec in the container"):
            return open_exec(self._api, container_id, command, tty=tty, stdin=stdin)

    def attach(self, container_id: str, *, stdin: bool = False) -> EngineSession:
        """Listen to a container's own program, and with `stdin` write to its input, if it has one."""
        with translated("AttachError", "cannot attach to the container"):
            return open_attach(self._api, container_id, stdin=stdin)

    def port_forward(self, sandbox_id: str, port: int) -> SocketConnection:
        """A connection to a port of the pod's address. Raises RuntimeFailure where nobody listens."""
        return connect_port(self.pod_sandbox_status(sandbox_id).ip, port)

    def container_logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        timestamps: bool = False,
    ) -> Iterator[bytes]:
        """The engine's log of the container, in its order. With `follow`, blocks until the container ends."""
        options = {"timestamps": timestamps, "tail": "all" if tail is None else tail, "since": since or None}
        with translated("NotFound", "cannot read the container's log"):
            if not follow:
                return iter(self._api.logs(container_id, **options).splitlines(keepends=True))
            return _following(self._api.logs(container_id, stream=True, follow=True, **options))

    # images

    def pull_image(self, image: str, *, credential: Credential | None = None) -> Image:
        return self._images.pull(image, credential)

    def pulls(self) -> Mapping[str, Sequence[Layer]]:
        return {**self._siblings.pulls(), **self._images.pulls.told()}

    def image_status(self, image: str) -> Image | None:
        return self._images.status(image)

    def list_images(self) -> list[Image]:
        return self._images.list()

    def remove_image(self, image: str) -> None:
        self._images.remove(image)

    # the end

    def remove_at_end(self, directory: Path) -> None:
        """It goes with this process, however that ends."""
        if self._janitor is not None:
            self._janitor.directory(directory)

    def close(self) -> None:
        """Remove this cluster's containers, its network and its route. A second call does nothing.

        Raises RuntimeFailure where the engine does not answer: the next cluster of that name removes what is left.
        """
        self._close(remove=True)

    def let_go(self) -> None:
        """Close, and leave containers and network for the next process that has the cluster's data directory."""
        self._close(remove=False)

    def _close(self, *, remove: bool) -> None:
        if self._closed:
            return
        self._closed = True
        self.kernels.close()
        self._watch.close()
        if self._is_main:
            self._services.close()
        with self._closers:
            self._closers.callback(self._siblings.close, remove=remove)
            if remove:
                self._held.remove_all(self._held.run)
                self._held.remove_networks(self._held.run)


def _write_files(found: Mapping[str, Any], config: PodSandboxConfig, ip: str) -> None:
    """The files in which a pod finds names, as a kubelet writes them; on the host's network the engine copies its."""
    if config.dns_servers:
        write_resolver(Path(found["ResolvConfPath"]), config)
    if not config.host_network:
        rewrite(Path(found["HostsPath"]), etc_hosts.managed(config, ip))


def _following(stream: Any) -> Iterator[bytes]:
    try:
        with translated("NotFound", "the container's log ends here"):
            yield from stream
    finally:
        with suppress(OSError, AttributeError):
            stream.close()
        stream._response.close()
