"""What the process runtime keeps of each sandbox and container, and what it says of them.

Interface: `Sandbox` and `Container` with their `status()`; `attach` joins a container's program; `container_notes`;
`change_resources`.
The rule not to break: whatever a config asks for and a plain process cannot give has its sentence here, but for its
security context, of which `process_mounts` speaks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, replace

from k8snb.cri import (
    CREATED,
    EXITED,
    RUNNING,
    SANDBOX_READY,
    ContainerConfig,
    ContainerResources,
    ContainerStatus,
    PodSandboxConfig,
    RuntimeFailure,
    SandboxStatus,
    images,
    process_usage,
)
from k8snb.cri.logs import ContainerLog
from k8snb.cri.process_cgroups import Group
from k8snb.cri.process_files import Place
from k8snb.cri.process_shim import Process
from k8snb.cri.process_streams import AttachSession, Audience, Terminal

OUT_OF_MEMORY = 137
SHARED_ADDRESS = "process runtime: this machine has one loopback address, which all pods share; every port is mapped"

_CONTAINER_NOTES: tuple[tuple[Callable[[ContainerConfig], object], str], ...] = (
    (
        lambda config: config.target,
        "targetContainerName is not carried out: no PID namespaces here, the processes of the whole machine are seen",
    ),
)
# What holds where no cgroup could be had.
_LIMIT_NOTES: tuple[tuple[Callable[[ContainerConfig], object], str], ...] = (
    (lambda config: config.cpu_limit, "the CPU limit is not carried out"),
    (
        lambda config: config.memory_limit and process_usage.HAS_PROC,
        "the memory limit is checked once a second; no cgroup enforces it",
    ),
    (lambda config: config.memory_limit and not process_usage.HAS_PROC, "the memory limit is not carried out"),
)


class Sandbox:
    """A pod's address and ports; there is no pause process, because there are no namespaces to hold open."""

    def __init__(self, identity: str, config: PodSandboxConfig, ip: str, created_at: float) -> None:
        self.id, self.config, self.ip, self.created_at = identity, config, ip, created_at
        self.state = SANDBOX_READY
        self.ports: set[int] = set()
        self.port_map: dict[int, int] = {}
        self.notes: list[str] = []

    def status(self) -> SandboxStatus:
        config = self.config
        return SandboxStatus(
            id=self.id,
            name=config.name,
            namespace=config.namespace,
            uid=config.uid,
            attempt=config.attempt,
            state=self.state,
            created_at=self.created_at,
            ip=self.ip,
            port_map=dict(self.port_map),
            notes=tuple(self.notes),
        )


class Container:
    """One container from its creation to its removal."""

    def __init__(
        self, identity: str, sandbox: Sandbox, config: ContainerConfig, *, place: Place, log: ContainerLog, now: float
    ) -> None:
        self.id, self.sandbox, self.config, self.place, self.log = identity, sandbox, config, place, log
        self.state = CREATED
        self.process: Process | None = None
        self.audience = Audience()
        self.terminal: Terminal | None = None
        self.frozen = False
        self.opening = False  # started, but its program has not opened its ports yet
        self.created_at, self.started_at, self.finished_at = now, 0.0, 0.0
        self.exit_code = 0
        self.reason = self.message = ""
        self.notes: list[str] = []
        self.group: Group | None = None

    def end(self, now: float, exit_code: int, reason: str, message: str = "") -> None:
        self.state, self.finished_at, self.exit_code = EXITED, now, exit_code
        self.reason, self.message = reason, message
        terminal, self.terminal = self.terminal, None
        if terminal is not None:
            os.close(terminal.master)
        if self.process is not None and self.process.popen.stdin is not None:
            self.process.popen.stdin.close()

    def status(self) -> ContainerStatus:
        config = self.config
        return ContainerStatus(
            id=self.id,
            sandbox_id=self.sandbox.id,
            pod_uid=self.sandbox.config.uid,
            name=config.name,
            image=config.image,
            attempt=config.attempt,
            state=CREATED if self.opening and self.state == RUNNING else self.state,
            image_id=images.identify(config.image),
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            exit_code=self.exit_code,
            reason=self.reason,
            message=self.message,
            notes=tuple(self.notes),
            resources=config.resources,
        )


def attach(container: Container, *, stdin: bool) -> AttachSession:
    """A client of a running container's program."""
    process, terminal, config = container.process, container.terminal, container.config
    assert process is not None
    program = process.popen.stdin
    sink = -1
    if stdin and config.stdin and terminal is not None:
        sink = os.dup(terminal.master)
    elif stdin and program is not None and not program.closed:
        sink = os.dup(program.fileno())

    def end_input() -> None:
        if config.stdin_once and program is not None:
            program.close()

    def resize(columns: int, rows: int) -> None:
        if terminal is not None and container.state == RUNNING:
            terminal.resize(columns, rows)

    return AttachSession(container.audience, sink, end_input=end_input, resize=resize)


def exit_reason(exit_code: int, out_of_memory: bool) -> tuple[int, str]:
    """The exit code and reason that the API shows."""
    if out_of_memory:
        return OUT_OF_MEMORY, "OOMKilled"
    return exit_code, "Completed" if exit_code == 0 else "Error"


def container_notes(config: ContainerConfig, entry: images.Entry, group: Group | None) -> list[str]:
    notes = [f"process runtime: image {config.image} is k8snb's own stand-in, {entry.stands_in}"]
    if entry.host and (config.command or entry.stands_in == images.SHELL):
        notes.append("process runtime: no file system of its own; /bin of the host is used, by the notebook's user")
    table = _CONTAINER_NOTES if group is not None else (*_CONTAINER_NOTES, *_LIMIT_NOTES)
    return notes + [f"process runtime: {text}" for holds, text in table if holds(config)]


def change_resources(container: Container, resources: ContainerResources) -> None:
    """Other limits for a running container. Raises RuntimeFailure: Infeasible for those that nothing here enforces."""
    config = container.config
    if container.group is not None:
        try:
            container.group.change(resources)
        except OSError as error:
            raise RuntimeFailure("ResizeError", f"the kernel refuses the limits: {error.strerror}") from None
        container.config = replace(config, **asdict(resources))
        return
    if resources.cpu_limit != config.cpu_limit:
        raise RuntimeFailure("Infeasible", "the process runtime carries out no CPU limit, so it cannot change one")
    if resources.memory_limit != config.memory_limit and not process_usage.HAS_PROC:
        raise RuntimeFailure("Infeasible", "the process runtime carries out no memory limit on this machine")
    container.config = replace(config, **asdict(resources))
    if container.process is not None:
        container.process.memory_limit = resources.memory_limit
