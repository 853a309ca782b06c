"""CRI: the container runtime interface, the only way from a kubelet to containers.

Interface: `Runtime`, with the calls of upstream's RuntimeService and ImageService under their own names.
The rule not to break: calls may block (the kubelet makes them on an executor); a runtime knows no apiserver.
Source: `cri-api/pkg/apis/runtime/v1/api.proto` in the kubernetes repository. Upstream speaks gRPC here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from k8snb.cri.cni import PodAddresses

from k8snb.cri.logs import MAX_FILES, MAX_SIZE
from k8snb.cri.security import NOTHING_SAID, SecurityContext

# Container and sandbox states, as upstream names them.
CREATED, RUNNING, EXITED = "CONTAINER_CREATED", "CONTAINER_RUNNING", "CONTAINER_EXITED"
PAUSED = "ContainerPaused"  # the reason of a call to a container that stands still
CANNOT_RUN = "ContainerCannotRun"  # the reason of a container that was made and could not be started
SANDBOX_READY, SANDBOX_NOTREADY = "SANDBOX_READY", "SANDBOX_NOTREADY"


class RuntimeFailure(Exception):
    """A call that the runtime refused or could not carry out.

    `reason` is the word that ends up in the container's waiting state: ErrImagePull, ImageInspectError,
    CreateContainerError, RunContainerError, CreatePodSandboxError. The text is for a beginner to read.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class RuntimeUnavailable(RuntimeFailure):
    """A call that no runtime answered. It says nothing about what was asked for: that is no failure of the pod."""


@dataclass(frozen=True, kw_only=True)
class PodSandboxConfig:
    """What a pod is before it has containers: a name, a network identity, the namespaces that its containers share.

    `domain` is the part of the pod's full name behind its hostname, "" where it has none.
    """

    name: str
    namespace: str
    uid: str
    node: str
    attempt: int = 0
    hostname: str = ""
    domain: str = ""
    host_aliases: Sequence[tuple[str, Sequence[str]]] = ()  # (address, names)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    host_network: bool = False
    host_ipc: bool = False
    host_pid: bool = False
    sysctls: Mapping[str, str] = field(default_factory=dict)
    share_process_namespace: bool = False
    dns_servers: Sequence[str] = ()
    dns_searches: Sequence[str] = ()
    dns_options: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A directory or file of the host that a container sees under another path."""

    host_path: str
    container_path: str
    readonly: bool = False


@dataclass(frozen=True, kw_only=True)
class ContainerResources:
    """What a container may use, and what counts for its share of a busy processor; 0 = nothing is said."""

    cpu_request: float = 0.0  # cores
    cpu_limit: float = 0.0
    memory_limit: int = 0  # bytes


@dataclass(frozen=True, kw_only=True)
class ContainerConfig:
    """One container as the kubelet wants it. `command` replaces the image's entry point, `args` its arguments.

    `target` is the id of a container whose processes this one is to see (a debugger's). `termination_log` is where its
    program may say why it ends: a file that is mounted there, or else one that the runtime reads into the status's
    message.
    """

    name: str
    image: str
    attempt: int = 0
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    working_dir: str = ""
    env: Sequence[tuple[str, str]] = ()
    ports: Sequence[tuple[int, str]] = ()  # (container port, protocol), as declared
    mounts: Sequence[Mount] = ()
    memory_limit: int = 0  # bytes; 0 = none
    cpu_limit: float = 0.0  # cores; 0 = none
    cpu_request: float = 0.0
    stdin: bool = False
    stdin_once: bool = False  # the first attached client's end of input is the program's
    tty: bool = False
    security: SecurityContext = NOTHING_SAID
    target: str = ""
    termination_log: str = ""
    oom_score_adjust: int = 0  # from -1000 to 1000: whom the kernel ends first for want of memory
    log_size: int = MAX_SIZE  # bytes of its output after which a fresh file begins
    log_files: int = MAX_FILES  # that are kept

    @property
    def resources(self) -> ContainerResources:
        return ContainerResources(
            cpu_request=self.cpu_request, cpu_limit=self.cpu_limit, memory_limit=self.memory_limit
        )


@dataclass(frozen=True, kw_only=True)
class SandboxStatus:
    """A sandbox as the runtime knows it.

    `port_map` says where a container port is really found when it could not be had at the pod's own address:
    {80: 42080} means that what the pod calls port 80 listens on `ip`:42080. `notes` are sentences for the pod's events:
    what was accepted but is not carried out here.
    """

    id: str
    name: str
    namespace: str
    uid: str
    attempt: int
    state: str
    created_at: float
    ip: str = ""
    port_map: Mapping[int, int] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class ContainerStatus:
    """A container as the runtime knows it. Times are seconds since the epoch; 0 = not yet.

    `resources` are those in force, None where the runtime does not say. `reason` after the end: Completed, Error,
    OOMKilled, ContainerCannotRun. A container that could not be started has ended.
    """

    id: str
    sandbox_id: str
    pod_uid: str
    name: str
    image: str
    attempt: int
    state: str
    image_id: str = ""
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    notes: Sequence[str] = ()
    resources: ContainerResources | None = None


@dataclass(frozen=True, kw_only=True)
class ExecResult:
    stdout: bytes
    stderr: bytes
    exit_code: int


@dataclass(frozen=True, kw_only=True)
class ContainerStats:
    """What a container has used: seconds of processor time since its start, its working set now, and when that was.

    A rate takes two of them. `timestamp` is in seconds since the epoch, on the runtime's clock.
    """

    cpu_seconds: float
    memory_bytes: int
    timestamp: float


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image as the runtime has it: `ref` as asked for, `id` unique, `size` in bytes.

    `user` is who its processes are where nobody says otherwise: a number, a name, or "" for root.
    """

    ref: str
    id: str
    size: int = 0
    user: str = ""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A part of an image on its way: bytes that came, of how many (0: not said yet), and whether it is `here`.

    `status` is the runtime's own word.
    """

    id: str
    status: str = ""
    done: int = 0
    total: int = 0
    here: bool = False


@dataclass(frozen=True)
class Credential:
    """Who somebody is to a registry."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Network:
    """The addresses one node may give to its pods, and the node's own, as the runtime chose them."""

    node_ip: str
    pod_cidr: str


LOCK = "lock"  # the file in a cluster's data directory that its process holds


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A cluster that outlives its process: where its data lie, and the ranges that its Services and pods have, ""
    before its first start.
    """

    directory: Path
    service_cidr: str = ""
    pod_cidr: str = ""


@runtime_checkable
class Keeper(Protocol):
    """A runtime whose containers can go on without the process that started them, until it comes back to them."""

    def let_go(self) -> None:
        """Close, and let the containers run."""


@runtime_checkable
class RangeTaker(Protocol):
    """A runtime that gives a node's pods addresses of the range it is told (upstream: UpdateRuntimeConfig).

    The ranges of its nodes are parts of `cluster_cidr` that do not touch what is `reserved`; with "" it cannot be told.
    """

    cluster_cidr: str
    reserved: tuple[str, ...]

    def update_runtime_config(self, node: str, pod_cidr: str) -> None:
        """Take new pods' addresses from a range. Call it before the node has pods."""


@runtime_checkable
class Addressed(Protocol):
    """A runtime that asks a network plug-in for its pods' addresses: see `cri.cni`."""

    addresses: PodAddresses


class Listener(Protocol):
    """Who hears a connection. Called from any thread, one call at a time; a call must not block."""

    def output(self, stream: str, data: bytes) -> None:
        """Bytes that came out: `stream` is stdout or stderr (stdout alone from a terminal or a port)."""

    def drained(self) -> None:
        """All that was written has been taken: `backlog` is 0 again."""

    def ended(self, code: int, message: str) -> None:
        """The last call. `code` is the program's; a `message` says what broke the connection."""


class Connection(Protocol):
    """Bytes to and from something in a pod: PortForward. Any thread may call; no call blocks.

    Nothing is heard before `begin`. `pause` stops output at its source, so that a slow client needs no memory;
    `close` gives up what is under way, and `ended` is still called.
    """

    @property
    def backlog(self) -> int:
        """Bytes that were written and not taken yet: a writer that looks at it needs no memory either."""

    def begin(self, listener: Listener) -> None: ...
    def write(self, data: bytes) -> None: ...
    def write_eof(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...


class Session(Connection, Protocol):
    """A program's standard streams: Exec and Attach. Closing an Exec ends the command, closing an Attach detaches.

    Docker cannot end a command: there it loses its input and output, and goes on.
    """

    def resize(self, columns: int, rows: int) -> None:
        """The size of the terminal, where there is one."""


class Runtime(Protocol):
    """A container runtime. One object may serve several nodes of a cluster: configs name the node.

    `support` says of each of `security.FIELDS` why this runtime does not carry the field out, "" where it does.
    `events` registers a callback that is called, from any thread, with a pod's uid whenever something changed in it
    (upstream: GetContainerEvents); a kubelet then asks for the states. What it returns takes the callback back.
    """

    name: str  # docker, process, simulated
    cri_version: str  # for status.nodeInfo.containerRuntimeVersion, e.g. "docker://24.0.5"
    service_cidr: str  # where ClusterIPs of this runtime's cluster are taken from

    @property
    def support(self) -> Mapping[str, str]: ...

    def add_node(self, node: str) -> Network: ...
    def remove_node(self, node: str) -> None: ...

    def run_pod_sandbox(self, config: PodSandboxConfig) -> str: ...
    def stop_pod_sandbox(self, sandbox_id: str) -> None: ...
    def remove_pod_sandbox(self, sandbox_id: str) -> None: ...
    def list_pod_sandboxes(self, node: str) -> list[SandboxStatus]: ...
    def pod_sandbox_status(self, sandbox_id: str) -> SandboxStatus: ...

    def create_container(self, sandbox_id: str, config: ContainerConfig) -> str: ...
    def start_container(self, container_id: str) -> None: ...
    def stop_container(self, container_id: str, timeout: float) -> None: ...
    def remove_container(self, container_id: str) -> None: ...
    def list_containers(self, node: str) -> list[ContainerStatus]: ...
    def container_status(self, container_id: str) -> ContainerStatus: ...
    def update_container_resources(self, container_id: str, resources: ContainerResources) -> None:
        """Other limits for a container that runs. Raises RuntimeFailure: Infeasible for what is never carried out."""

    def container_stats(self, container_id: str) -> ContainerStats:
        """Raises RuntimeFailure NotFound where there is no such container, or where it does not run."""

    def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult: ...
    def exec(self, container_id: str, command: Sequence[str], *, tty: bool = False, stdin: bool = False) -> Session: ...
    def attach(self, container_id: str, *, stdin: bool = False) -> Session: ...
    def port_forward(self, sandbox_id: str, port: int) -> Connection: ...
    def container_logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        timestamps: bool = False,
    ) -> Iterator[bytes]: ...

    def pull_image(self, image: str, *, credential: Credential | None = None) -> Image:
        """Raises RuntimeFailure. A runtime that asks no registry has no use for the credential."""

    def image_status(self, image: str) -> Image | None: ...
    def list_images(self) -> list[Image]: ...
    def remove_image(self, image: str) -> None:
        """Raises RuntimeFailure ImageInUse for one that a container has, or that this runtime has not pulled."""

    def events(self, node: str, callback: Callable[[str], None]) -> Callable[[], None]: ...
    def close(self) -> None: ...


@runtime_checkable
class Engines(Protocol):
    """A runtime that can work on several engines, each with nodes of its own."""

    def at(self, docker_host: str) -> Runtime:
        """The same cluster's runtime on another engine, which is closed with this one. Raises RuntimeFailure."""

    def leave(self, docker_host: str) -> None:
        """No node is on that engine any more: nothing of the cluster stays there. Raises RuntimeFailure."""

    def size(self) -> tuple[str, str]:
        """How many processors the engine's machine has, and how much memory, as quantities."""


@runtime_checkable
class PullTeller(Protocol):
    """A runtime that says how far its pulls are. The CRI has no such call."""

    def pulls(self) -> Mapping[str, Sequence[Layer]]:
        """Image → its layers, for each pull under way. Any thread may ask."""


@runtime_checkable
class Freezer(Protocol):
    """A runtime that can also hold a container where it stands. The CRI has no such call: `docker pause` has.

    A container that is frozen is still running: it keeps its memory, its address and its ports, and answers nobody.
    Freezing or thawing twice changes nothing; so does freezing what does not run. Raises RuntimeFailure.
    """

    def freeze_container(self, container_id: str) -> None: ...
    def thaw_container(self, container_id: str) -> None: ...
