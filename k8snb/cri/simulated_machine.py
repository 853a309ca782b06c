"""A simulated container from inside: its state at a moment, its programs and the time they take.

Interface: `Pod` and `Container`, the runtime's records; `Process`, one script or program being run in a container.
The rule not to break: what a container is at a moment follows from its times alone, so that a moment may be asked for
that the clock has not reached.
Real containers are processes in namespaces of their own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Protocol

from k8snb.clock import Timer
from k8snb.cri import (
    CREATED,
    EXITED,
    RUNNING,
    SANDBOX_NOTREADY,
    SANDBOX_READY,
    ContainerConfig,
    ContainerStatus,
    PodSandboxConfig,
    SandboxStatus,
    etc_hosts,
)
from k8snb.cri.simulated_commands import COMMANDS
from k8snb.cri.simulated_console import Console, terminal
from k8snb.cri.simulated_files import ContainerFiles
from k8snb.cri.simulated_identity import Identity, identity_of
from k8snb.cri.simulated_images import DECLARED, SimulatedImage
from k8snb.cri.simulated_script import UnsupportedError, parse
from k8snb.cri.simulated_shell import SHELLS, Answer, Exit, Interrupted, Shell, Streams, Wait

LOG_LINES = 5_000
LAST_WORDS = 4096  # bytes
_DIRECTORIES = ("/", "/tmp", "/etc", "/var", "/var/log", "/var/run", "/root", "/home", "/usr", "/opt", "/dev", "/run")
_SIZES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


class World(Protocol):
    """What a container reaches beyond itself."""

    def fetch(self, container: Container, url: str) -> Answer: ...

    def find_address(self, container: Container, name: str) -> str | None: ...

    def kill(self, container: Container, number: int, at: float) -> None: ...


class Client(Protocol):
    """Who is attached to a container."""

    def hear(self, stream: str, data: bytes) -> None: ...

    def container_ended(self) -> None: ...


class Pod:
    """A sandbox: a name, an address, and its containers in the order they were made."""

    __slots__ = ("_shown", "config", "containers", "created_at", "id", "ip", "stopped_at")

    def __init__(self, pod_id: str, config: PodSandboxConfig, created_at: float) -> None:
        self.id = pod_id
        self.config = config
        self.ip = ""
        self.created_at = created_at
        self.stopped_at = math.inf
        self.containers: dict[str, Container] = {}
        self._shown: SandboxStatus | None = None

    def status(self, now: float) -> SandboxStatus:
        """The sandbox as it stands at `now`: the same answer as long as it stands like that."""
        ready = self.stopped_at > now
        state, ip = (SANDBOX_READY, self.ip) if ready else (SANDBOX_NOTREADY, "")
        if self._shown is None or (self._shown.state, self._shown.ip) != (state, ip):
            config = self.config
            self._shown = SandboxStatus(
                id=self.id, name=config.name, namespace=config.namespace, uid=config.uid, attempt=config.attempt,
                state=state, created_at=self.created_at, ip=ip,
            )  # fmt: skip
        return self._shown

    @property
    def hostname(self) -> str:
        return self.config.hostname or self.config.name


class Container:
    """A container. `on_term` is the exit code after SIGTERM; None when its first process ignores that signal."""

    __slots__ = (
        "_files", "_log", "_shown", "busy_until", "clients", "config", "console", "created_at", "dropped", "exit_code",
        "finished_at", "frozen", "held", "id", "image", "notes", "on_term", "pod", "ports", "process", "reason",
        "started_at", "timer", "worked",
    )  # fmt: skip

    def __init__(self, container_id: str, pod: Pod, config: ContainerConfig, image: SimulatedImage, at: float) -> None:
        self.id = container_id
        self.pod = pod
        self.config = config
        self.image = image
        self.created_at = at
        self.started_at = self.finished_at = math.inf
        self.exit_code = 0
        self.reason = ""
        self.notes: tuple[str, ...] = ()
        self.ports: tuple[int, ...] = ()
        self.on_term: int | None = None
        self.process: Process | None = None
        self.timer: Timer | None = None
        self.frozen = False
        self.held: float | None = None  # while it is frozen: seconds until its program's next move
        self.console: Console | None = Console(tty=config.tty) if config.stdin else None
        self.clients: list[Client] = []
        self._shown: tuple[tuple[object, ...], ContainerStatus] | None = None  # the last status, what of
        self._files: ContainerFiles | None = None
        self._log: list[tuple[float, bytes]] = []
        self.dropped = 0  # of the oldest lines
        self.worked = self.busy_until = 0.0  # processor time for requests, and until when it is being spent

    def state(self, now: float) -> str:
        if self.finished_at <= now:
            return EXITED
        return RUNNING if self.started_at <= now else CREATED

    def status(self, now: float, image_id: str) -> ContainerStatus:
        """The container as it stands at `now`: the same answer as long as it stands like that."""
        state = self.state(now)
        made_of = (state, self.started_at, self.finished_at, self.exit_code, self.reason, self.notes, self.config)
        if self._shown is None or self._shown[0] != made_of:
            self._shown = made_of, self._status(now, state, image_id)
        return self._shown[1]

    def _status(self, now: float, state: str, image_id: str) -> ContainerStatus:
        ended = state == EXITED
        return ContainerStatus(
            id=self.id, sandbox_id=self.pod.id, pod_uid=self.pod.config.uid, name=self.config.name,
            image=self.config.image, attempt=self.config.attempt, state=state, image_id=image_id,
            created_at=self.created_at, started_at=0.0 if self.started_at > now else self.started_at,
            finished_at=self.finished_at if ended else 0.0, exit_code=self.exit_code if ended else 0,
            reason=self.reason if ended else "", message=self.last_words() if ended else "", notes=self.notes,
            resources=self.config.resources,
        )  # fmt: skip

    @property
    def files(self) -> ContainerFiles:
        if self._files is None:
            self._files = ContainerFiles(self.config, self._own_files())
        return self._files

    def _own_files(self) -> dict[str, bytes | None]:
        sandbox = self.pod.config
        lines = [*(f"nameserver {each}" for each in sandbox.dns_servers), f"search {' '.join(sandbox.dns_searches)}"]
        lines += [f"options {' '.join(sandbox.dns_options)}"]
        return {
            **dict.fromkeys(_DIRECTORIES),
            **({self.image.web_root: None} if self.image.web_root else {}),
            "/etc/hostname": f"{self.pod.hostname}\n".encode(),
            "/etc/hosts": self._hosts().encode(),
            **({self.config.termination_log: b""} if self.config.termination_log else {}),
            **{f"/proc/sys/{name.replace('.', '/')}": f"{value}\n".encode() for name, value in sandbox.sysctls.items()},
            "/etc/resolv.conf": ("\n".join(line for line in lines if line.split()[1:]) + "\n").encode(),
        }

    def _hosts(self) -> str:
        config = self.pod.config
        return etc_hosts.on_the_host(config, "") if config.host_network else etc_hosts.managed(config, self.pod.ip)

    def last_words(self) -> str:
        """What its programs wrote to say why it ended."""
        path = self.config.termination_log
        if self._files is None or not path:
            return ""
        return (self._files.read(path) or b"")[-LAST_WORDS:].decode(errors="replace")

    def environment(self) -> dict[str, str]:
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "HOSTNAME": self.pod.hostname, "HOME": "/root", **dict(self.config.env)}

    def write_log(self, at: float, data: bytes, stream: str = "stdout") -> None:
        """Append output; a line that is not finished is continued by the next write. Who is attached hears it too."""
        if self.config.tty:
            data, stream = terminal(data), "stdout"
        for client in list(self.clients):
            client.hear(stream, data)
        for line in data.splitlines(keepends=True):
            if self._log and not self._log[-1][1].endswith(b"\n"):
                begun, start = self._log.pop()
                self._log.append((begun, start + line))
            else:
                self._log.append((at, line))
        if len(self._log) > 2 * LOG_LINES:
            self.dropped += len(self._log) - LOG_LINES
            del self._log[:-LOG_LINES]

    def log(self, now: float, skip: int = 0) -> list[tuple[float, bytes]]:
        """The lines written up to `now`, without the first `skip` that there ever were."""
        return [entry for entry in self._log[max(skip - self.dropped, 0) :] if entry[0] <= now]

    def forget_log(self) -> None:
        """Begin with an empty log."""
        self._log.clear()
        self.dropped = 0

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes += (sentence,)


class Process:
    """A program being run in a container. `at` is its own time; `advance` takes it to its next wait or its end."""

    def __init__(self, container: Container, world: World, at: float, *, main: bool) -> None:
        self.container = container
        self.hostname = container.pod.hostname
        self.at = at
        self.code: int | None = None
        self.shell = Shell(self, COMMANDS, container.environment())
        self.shell.directory = container.config.working_dir or "/"
        self.world = world
        self._main = main
        self._steps: Wait | None = None

    def begin(self, argv: Sequence[str], streams: Streams) -> None:
        """Set the program up; an empty `argv` is the image's own."""
        self._streams = streams
        self._steps = self._run(list(argv), streams)

    def advance(self) -> float | None:
        """Run until the program waits or ends. Returns the seconds it wants to wait, None at the end."""
        assert self._steps is not None
        try:
            return next(self._steps)
        except StopIteration as end:
            self.code = int(end.value)
            return None

    def break_off(self) -> float | None:
        """^C: what runs in the foreground ends. Returns the next wait, None at the end, as `advance` does."""
        assert self._steps is not None
        try:
            return self._steps.throw(Interrupted())
        except (StopIteration, Interrupted) as end:
            self.code = int(end.value) if isinstance(end, StopIteration) else 130
            return None

    def interrupt(self) -> None:
        """SIGTERM for a shell with a trap: its words run when the command in the foreground ends, as in a real sh."""
        words = self.shell.traps.get("TERM", self.shell.traps.get("15", ""))
        if words and self._steps is not None:
            self._steps = self._guarded(self._trapped(words, self._steps))

    def _trapped(self, words: str, before: Wait) -> Wait:
        try:
            yield from self.shell.run(parse(words), self._streams)
        except Exit as end:
            return int(end.args[0])
        return (yield from before)

    def _run(self, argv: list[str], streams: Streams) -> Wait:
        if not argv:
            self.shell.replaced = True
            return (yield from self._own_program([]))
        self.shell.replaced = argv[0].rpartition("/")[2] not in SHELLS
        return (yield from self._guarded(self.shell.command(argv, streams)))

    def _guarded(self, steps: Wait) -> Wait:
        """What is not understood makes a container stay and say so, and an exec fail."""
        try:
            return (yield from steps)
        except Exit as end:
            return int(end.args[0])
        except UnsupportedError as what:
            if self._main:
                return (yield from self._stay(f"uses {what}, which k8snb's simulated containers do not implement"))
            self._streams.err(f"sh: {what}: not implemented by k8snb's simulated containers\n".encode())
            return 2
        except OSError as problem:
            self._streams.err(f"sh: {problem.filename}: {problem.strerror}\n".encode())
            return 1

    # what a script sees: see `simulated_shell.Machine`

    @property
    def files(self) -> ContainerFiles:
        return self.container.files

    @property
    def identity(self) -> Identity:
        container = self.container
        return identity_of(container.config.security, container.image.user)

    def now(self) -> float:
        return self.at

    def fetch(self, url: str) -> Answer:
        return self.world.fetch(self.container, url)

    def lookup(self, name: str) -> str | None:
        return self.world.find_address(self.container, name)

    def signal(self, number: int) -> None:
        self.world.kill(self.container, number, self.at)

    def launch(self, argv: list[str]) -> Wait | None:
        name = argv[0].rpartition("/")[2]
        if not self._main:
            return None
        if name in self.container.image.programs:
            return self._own_program(argv[1:])
        if self.container.console is not None and self.container.console.conversing:
            return None
        return self._stay(f'runs "{name}", a program that k8snb\'s simulated containers do not have')

    def _stay(self, why: str) -> Wait:
        """Count as running for ever, answering on the ports that the pod declares."""
        container = self.container
        container.note(f'container "{container.config.name}" {why}: it counts as running for ever')
        container.ports = declared(container.config)
        container.on_term = 143 if self.shell.replaced else None
        yield math.inf
        return 0

    def _own_program(self, arguments: Sequence[str]) -> Wait:
        container, image = self.container, self.container.image
        if image.says:
            container.write_log(self.at, f"{image.says}\n".encode())
        taken = option(image.memory_flag, arguments)
        if taken and 0 < container.config.memory_limit < size(taken):
            container.reason = "OOMKilled"
            yield 0.5
            return 137
        if image.runs is not None:
            if image.runs:
                yield image.runs
            return image.exit_code
        container.ports = _ports(container.config, image, arguments)
        container.on_term = image.on_term if self.shell.replaced else None
        yield math.inf
        return 0


def command_line(config: ContainerConfig, image: SimulatedImage) -> list[str]:
    """The words that a container runs; none at all means the image's own program."""
    if config.command:
        return [*config.command, *config.args]
    first = config.args[0].rpartition("/")[2] if config.args else ""
    if config.args and (image.command or first in COMMANDS or first in image.programs):
        return list(config.args)
    if config.args and image.programs:
        return [image.programs[0], *config.args]
    return list(image.command)


def declared(config: ContainerConfig) -> tuple[int, ...]:
    return tuple(port for port, protocol in config.ports if protocol.upper() in ("TCP", ""))


def _ports(config: ContainerConfig, image: SimulatedImage, arguments: Sequence[str]) -> tuple[int, ...]:
    moved = option(image.port_flag, arguments).rpartition(":")[2]
    if moved.isdigit():
        return (int(moved),)
    return declared(config) if image.ports == DECLARED else tuple(image.ports)


def option(flag: str, arguments: Sequence[str]) -> str:
    """The value of --flag=value or --flag value."""
    match = re.search(rf"(?:^| )--?{re.escape(flag)}[= ](\S+)", " ".join(arguments)) if flag else None
    return match[1] if match else ""


def size(text: str) -> int:
    """Bytes as stress takes them: 150M; 0 for what is no size."""
    match = re.fullmatch(r"(\d+)([kmgKMG]?)", text)
    return int(match[1]) * _SIZES[match[2].lower()] if match else 0


def option_text(config: ContainerConfig) -> str:
    """The value of -text, the one option that changes what an image of the table answers."""
    words = [*config.command, *config.args]
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, sign, value = word.lstrip("-").partition("=")
        if word.startswith("-") and name == "text":
            return value if sign else following
    return ""
