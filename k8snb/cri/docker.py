"""The Docker runtime: pods as containers of a Docker engine.

Interface: `DockerRuntime`, a `cri.Runtime`; `engine_answers()` and `has_images()` to choose it.
The rule not to break: nothing without this cluster's label is ever touched, and `close()` leaves nothing that has it.
Source: `pkg/kubelet/dockershim` of Kubernetes 1.23, the last one with a Docker runtime; cri-dockerd carries it on.

A pod is a pause container that has the address; the pod's containers join its network, IPC and, if asked, PID
namespaces. The hostname comes with the network: Docker gives it to containers that join one.
"""

from __future__ import annotations

import math
import os
import re
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from k8snb.cri import (
    EXITED,
    ContainerConfig,
    ContainerStatus,
    ExecResult,
    Image,
    Network,
    PodSandboxConfig,
    RuntimeFailure,
    SandboxStatus,
)
from k8snb.cri.docker_engine import (
    connect,
    default_url,
    engine_answers,
    ensure_pause_image,
    explain_start,
    first_line,
    has_images,
    ignoring,
    pull,
    translated,
)
from k8snb.cri.docker_events import ContainerEvents
from k8snb.cri.docker_exec import run_command
from k8snb.cri.docker_network import PodNetwork, ServiceNetwork, write_resolver
from k8snb.cri.docker_status import (
    ATTEMPT,
    CLUSTER,
    CONTAINER,
    IMAGE,
    NODE,
    OWNER,
    POD_IP,
    RUN,
    SANDBOX,
    SORT,
    container_status,
    limits,
    pod_labels,
    sandbox_status,
)
from k8snb.cri.docker_streams import EngineSession, open_attach, open_exec
from k8snb.cri.streams import SocketConnection
from k8snb.cri.streams import connect as connect_port

__all__ = ["DockerRuntime", "engine_answers", "has_images"]

PULL_SILENCE = 30.0  # seconds without any progress


class Janitor(Protocol):
    """What clears up after a kernel that is killed: see `cri.janitor`."""

    def docker(self, label: str, socket: str = ...) -> None: ...
    def route(self, cidr: str) -> None: ...
    def close(self) -> None: ...


class DockerRuntime:
    """The runtime of one cluster on one engine, for all its nodes. Raises RuntimeFailure when no engine answers.

    `cluster` names the cluster in labels; what a dead kernel left of a cluster of the same name is removed first.
    """

    name = "docker"

    def __init__(self, cluster: str, *, base_url: str | None = None, janitor: Janitor | None = None) -> None:
        self.cluster = cluster
        self._url = base_url or default_url()
        run = f"{cluster}-{secrets.token_hex(4)}"
        self._labels = {CLUSTER: cluster, RUN: run, OWNER: f"{socket.gethostname()}/{os.getpid()}"}
        self._services = ServiceNetwork()
        self.service_cidr = self._services.cidr
        self._sandboxes: dict[str, PodSandboxConfig] = {}
        self._ended: dict[str, ContainerStatus] = {}
        self._closed = False
        self._janitor = janitor
        self._api = connect(self._url)
        try:
            self.cri_version = f"docker://{self._api.version()['Version']}"
            self._clear_leftovers()
            self._pause = ensure_pause_image(self._api, self._url)
            if janitor is not None and self._url.startswith("unix://"):
                janitor.docker(f"{RUN}={run}", self._url.removeprefix("unix://"))
            self._pods = PodNetwork(self._api, f"k8snb-{_safe(run)}", self._labels)
        except BaseException:
            self._api.close()
            raise
        self._watch = ContainerEvents(self._api, [f"{RUN}={run}"])

    # the cluster's network

    @property
    def notes(self) -> Sequence[str]:
        """Sentences for every pod: what is accepted but not carried out here."""
        return [self._services.note] if self._services.note else []

    def open_service_network(self) -> bool:
        """Make ClusterIPs addresses of this host that pods reach too. False: `service_cidr` is now a loopback range."""
        opened = self._services.open()
        self.service_cidr = self._services.cidr
        if opened and self._janitor is not None:
            self._janitor.route(self.service_cidr)
        return opened

    def add_node(self, node: str) -> Network:
        return self._pods.add_node(node)

    def remove_node(self, node: str) -> None:
        self._remove_all(f"{NODE}={node}")
        self._watch.forget(node)
        self._pods.remove_node(node)

    def events(self, node: str, callback: Callable[[str], None]) -> None:
        self._watch.add(node, callback)

    # sandboxes

    def run_pod_sandbox(self, config: PodSandboxConfig) -> str:
        """Start the pause container that has the pod's address."""
        ip = self._pods.gateway if config.host_network else self._pods.take(config.node)
        try:
            with translated("CreatePodSandboxError", f'cannot create the sandbox of pod "{config.name}"'):
                return self._start_pause(config, ip)
        except BaseException:
            self._pods.give_back(config.node, ip)
            raise

    def _start_pause(self, config: PodSandboxConfig, ip: str) -> str:
        api, network = self._api, self._pods.name
        labels = {**self._labels, **pod_labels(config), SORT: "sandbox", ATTEMPT: str(config.attempt), POD_IP: ip}
        endpoint = None if config.host_network else {network: api.create_endpoint_config(ipv4_address=ip)}
        host = api.create_host_config(
            network_mode="host" if config.host_network else network,
            ipc_mode="shareable",
            dns=list(config.dns_servers) or None,
            dns_search=list(config.dns_searches) or None,
            dns_opt=list(config.dns_options) or None,
        )
        made = api.create_container(
            self._pause.image,
            list(self._pause.command) or None,
            name=self._container_name("POD", config, config.attempt),
            hostname=None if config.host_network else (config.hostname or config.name)[:63],
            labels=labels,
            host_config=host,
            networking_config=api.create_networking_config(endpoint) if endpoint else None,
        )["Id"]
        try:
            api.start(made)
            if config.dns_servers and self._url.startswith("unix://"):
                write_resolver(Path(api.inspect_container(made)["ResolvConfPath"]), config)
        except BaseException:
            api.remove_container(made, force=True)
            raise
        self._sandboxes[made] = config
        return str(made)

    def stop_pod_sandbox(self, sandbox_id: str) -> None:
        for row in self._list(f"{SANDBOX}={sandbox_id}"):
            self.stop_container(row["Id"], 0)
        # Nothing to save in it, and as first process it does not hear SIGTERM. 409: it stands still already.
        with translated("StopPodSandboxError", "cannot stop the pod's sandbox"), ignoring(404, 409):
            self._api.kill(sandbox_id)

    def remove_pod_sandbox(self, sandbox_id: str) -> None:
        for row in self._list(f"{SANDBOX}={sandbox_id}"):
            self.remove_container(row["Id"])
        row = next((row for row in self._list(f"{SORT}=sandbox") if row["Id"] == sandbox_id), None)
        self._remove(sandbox_id)
        self._sandboxes.pop(sandbox_id, None)
        if row is not None:
            self._pods.give_back(row["Labels"][NODE], row["Labels"][POD_IP])

    def list_pod_sandboxes(self, node: str) -> list[SandboxStatus]:
        return [sandbox_status(row, self.notes) for row in self._list(f"{SORT}=sandbox", f"{NODE}={node}")]

    def pod_sandbox_status(self, sandbox_id: str) -> SandboxStatus:
        for row in self._list(f"{SORT}=sandbox"):
            if row["Id"] == sandbox_id:
                return sandbox_status(row, self.notes)
        raise RuntimeFailure("NotFound", f'pod sandbox "{sandbox_id[:12]}" not found')

    # containers

    def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None:
            raise RuntimeFailure("NotFound", f'pod sandbox "{sandbox_id[:12]}" not found')
        labels = {
            **self._labels, **pod_labels(sandbox), SORT: "container", CONTAINER: config.name,
            ATTEMPT: str(config.attempt), SANDBOX: sandbox_id, IMAGE: config.image,
        }  # fmt: skip
        with translated("CreateContainerError", f'cannot create container "{config.name}"'):
            made = self._api.create_container(
                config.image,
                list(config.args) or None,
                name=self._container_name(config.name, sandbox, config.attempt),
                entrypoint=list(config.command) or None,
                environment=[f"{name}={value}" for name, value in config.env],
                working_dir=config.working_dir or None,
                user=None if config.run_as_user is None else str(config.run_as_user),
                stdin_open=config.stdin,
                detach=not config.stdin_once,
                tty=config.tty,
                labels=labels,
                host_config=self._host_config(sandbox_id, sandbox, config),
            )
        return str(made["Id"])

    def _host_config(self, sandbox_id: str, sandbox: PodSandboxConfig, config: ContainerConfig) -> Any:
        import docker

        joined = f"container:{sandbox_id}"
        mounts = [
            docker.types.Mount(mount.container_path, mount.host_path, type="bind", read_only=mount.readonly)
            for mount in config.mounts
        ]
        return self._api.create_host_config(
            network_mode=joined,
            ipc_mode=joined,
            pid_mode=joined if sandbox.share_process_namespace else None,
            privileged=config.privileged,
            read_only=config.read_only_root,
            mounts=mounts,
            log_config=docker.types.LogConfig(type="json-file", config={"max-size": "10m", "max-file": "2"}),
            **limits(config),
        )

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

    def remove_container(self, container_id: str) -> None:
        self._remove(container_id)
        self._ended.pop(container_id, None)

    def list_containers(self, node: str) -> list[ContainerStatus]:
        found = (self._status_of(row["Id"]) for row in self._list(f"{SORT}=container", f"{NODE}={node}"))
        return [status for status in found if status is not None]

    def container_status(self, container_id: str) -> ContainerStatus:
        status = self._status_of(container_id)
        if status is None:
            raise RuntimeFailure("NotFound", f'container "{container_id[:12]}" not found')
        return status

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

    def pull_image(self, image: str) -> Image:
        pull(self._url, image, silence=PULL_SILENCE)
        found = self.image_status(image)
        if found is None:
            raise RuntimeFailure("ErrImagePull", f'failed to pull image "{image}": it is not there after the pull')
        return found

    def image_status(self, image: str) -> Image | None:
        with translated("ImageInspectError", f'cannot inspect image "{image}"'), ignoring(400, 404):
            found = self._api.inspect_image(image)
            return Image(ref=image, id=found["Id"], size=found["Size"])
        return None

    def list_images(self) -> list[Image]:
        with translated("ImageInspectError", "cannot list images"):
            rows = self._api.images()
        return [
            Image(ref=ref, id=row["Id"], size=row["Size"])
            for row in rows
            for ref in row.get("RepoTags") or ()
            if "<none>" not in ref
        ]

    # the end

    def close(self) -> None:
        """Remove this cluster's containers, its network and its route. A second call does nothing.

        Raises RuntimeFailure where the engine does not answer: the next cluster of that name removes what is left.
        """
        if self._closed:
            return
        self._closed = True
        self._watch.close()
        self._services.close()
        try:
            self._remove_all(f"{RUN}={self._labels[RUN]}")
            self._remove_networks(f"{RUN}={self._labels[RUN]}")
        finally:
            self._api.close()
            if self._janitor is not None:
                self._janitor.close()

    # what carries this cluster's label

    def _container_name(self, name: str, pod: PodSandboxConfig, attempt: int) -> str:
        words = (self.cluster, name, pod.name, pod.namespace, pod.uid, str(attempt))
        return _safe("k8snb_" + "_".join(words))

    def _list(self, *labels: str) -> list[Any]:
        with translated("RuntimeNotReady", "cannot list containers"):
            mine = [f"{CLUSTER}={self.cluster}", *labels]
            return list(self._api.containers(all=True, filters={"label": mine}))

    def _remove(self, container_id: str) -> None:
        # 409: somebody else is removing it at this moment
        with translated("RemoveContainerError", "cannot remove the container"), ignoring(404, 409):
            self._api.remove_container(container_id, force=True, v=True)

    def _remove_all(self, label: str) -> None:
        """Remove containers, those that joined another's namespaces before the one they joined."""
        rows = self._list(label)
        with ThreadPoolExecutor(8, thread_name_prefix="k8snb-docker") as pool:
            for sort in ("container", "sandbox"):
                list(pool.map(self._remove, [row["Id"] for row in rows if row["Labels"].get(SORT) == sort]))

    def _remove_networks(self, label: str) -> None:
        with translated("NetworkNotReady", "cannot remove the cluster's network"):
            for row in self._api.networks(filters={"label": [f"{CLUSTER}={self.cluster}", label]}):
                self._api.remove_network(row["Id"])

    def _clear_leftovers(self) -> None:
        """Remove what a cluster of this name left when its kernel died; refuse to share the name with a living one."""
        networks = self._api.networks(filters={"label": [f"{CLUSTER}={self.cluster}"]})
        for owner in {(row.get("Labels") or {}).get(OWNER, "") for row in [*self._list(), *networks]}:
            if _alive(owner):
                message = f'cluster "{self.cluster}" is already running on this Docker engine (process {owner})'
                raise RuntimeFailure("RuntimeNotReady", f"{message}: stop it there, or give this one another name")
            self._remove_all(f"{OWNER}={owner}")
            self._remove_networks(f"{OWNER}={owner}")


def _following(stream: Any) -> Iterator[bytes]:
    try:
        with translated("NotFound", "the container's log ends here"):
            yield from stream
    finally:
        with suppress(OSError, AttributeError):
            stream.close()
        stream._response.close()


def _alive(owner: str) -> bool:
    """Whether the process that made a container is another one that still runs (on another host: yes)."""
    host, _, process = owner.rpartition("/")
    if not process.isdigit() or int(process) == os.getpid():
        return False
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _safe(name: str) -> str:
    """A name of the characters that Docker allows."""
    return re.sub(r"[^a-zA-Z0-9_.-]", "-", name)
