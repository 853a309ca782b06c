"""The process runtime's launcher: starts and ends the programs of containers.

Interface: `Launcher.start` a container's own program, `run` and `open` another one beside it; `await_ports`, `end_all`.
The rule not to break: each program has a process group of its own, and the janitor knows of it before anybody waits.
A real runtime leaves this to runc.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from k8snb.cri import ExecResult, RuntimeFailure, images, process_usage
from k8snb.cri.janitor import Janitor
from k8snb.cri.process_files import NotExecutableError
from k8snb.cri.process_mounts import MountNamespaces
from k8snb.cri.process_pods import Container
from k8snb.cri.process_ports import PodPorts
from k8snb.cri.process_shim import Process, run
from k8snb.cri.process_streams import ExecSession, Terminal

NOT_FOUND = 127
OPENING, OPENING_STEP = 2.0, 0.005  # seconds for a program to open its ports, and between two looks
VIEWING, SETTLING = 30.0, 0.25  # seconds for a mount namespace to be made, and for the program in it to begin
STOP_PATIENCE = 30.0  # for the kernel to end what was killed

Launched = tuple[subprocess.Popen[bytes], list[tuple[str, IO[bytes]]]]  # a program, and what it writes to


class Launcher:
    """Starts programs in the places of containers."""

    def __init__(self, ports: PodPorts, janitor: Janitor, mounts: MountNamespaces) -> None:
        self._ports = ports
        self._mounts = mounts
        self._janitor = janitor

    def start(self, container: Container, on_end: Callable[[Container, int, bool], None]) -> Process:
        """The container's first process. Raises NotExecutableError or OSError."""
        config, place = container.config, container.place
        words = [*config.command, *config.args]
        if not config.command:
            words = [*place.entry.entrypoint, *(config.args or place.entry.cmd)]
        environment, folder = self._environment(container), place.working_directory(config.working_dir)
        words = self._mounts.run(place, folder, place.command(words), security=config.security)
        popen, pipes = _launch(container, words, environment, folder)
        self._janitor.group(popen.pid)
        _expose(popen.pid, config.oom_score_adjust)
        return Process(
            popen,
            directory=str(place.directory),
            log=container.log,
            memory_limit=0 if container.group else config.memory_limit,
            pipes=pipes,
            on_output=container.audience.hear,
            on_exit=lambda code, out_of_memory: on_end(container, code, out_of_memory),
        )

    def run(self, container: Container, command: Sequence[str], timeout: float) -> ExecResult:
        """Run a command beside a running container's own, to its end. Raises RuntimeFailure."""
        try:
            words = self._beside(container, command)
        except NotExecutableError as error:
            text = explain("exec failed", error)
            return ExecResult(stdout=b"", stderr=text.encode() + b"\n", exit_code=NOT_FOUND)
        environment, folder = self._surroundings(container)
        try:
            return run(words, environment, folder, timeout=timeout or None, janitor=self._janitor)
        except TimeoutError:
            text = f'command "{" ".join(command)}" timed out after {timeout:g} seconds'
            raise RuntimeFailure("DeadlineExceeded", text) from None
        except OSError as error:
            raise RuntimeFailure("ExecError", explain("exec failed", error)) from None

    def open(self, container: Container, command: Sequence[str], *, tty: bool, stdin: bool) -> ExecSession:
        """Start a command beside a running container's own. Raises RuntimeFailure."""
        environment, folder = self._surroundings(container)
        try:
            words = self._beside(container, command)
            return ExecSession(words, environment, folder, tty=tty, stdin=stdin, janitor=self._janitor)
        except (NotExecutableError, OSError) as error:
            raise RuntimeFailure("ExecError", explain("exec failed", error)) from None

    def _beside(self, container: Container, command: Sequence[str]) -> list[str]:
        """The command line of what is run beside the container's own. Raises NotExecutableError."""
        assert container.process is not None
        place, config = container.place, container.config
        folder, words = place.working_directory(config.working_dir), place.command(command)
        return self._mounts.beside(container.process.pid, place, folder, words, security=config.security)

    def _surroundings(self, container: Container) -> tuple[dict[str, str], Path]:
        """The environment and the directory of a command that is run beside the container's own."""
        assert container.process is not None
        environment = {**self._environment(container), "K8SNB_PID": str(container.process.pid)}
        return environment, container.place.working_directory(container.config.working_dir)

    def _environment(self, container: Container) -> dict[str, str]:
        sandbox = container.sandbox
        config = sandbox.config
        settings = {
            "HOSTNAME": config.hostname or config.name,
            "K8SNB_POD_IP": sandbox.ip,
            "K8SNB_TAG": images.parse(container.config.image).tag,
            **self._ports.environment(sandbox),
        }
        if config.dns_servers:
            server = config.dns_servers[0]
            settings["K8SNB_DNS"] = server if ":" in server else f"{server}:53"
            settings["K8SNB_SEARCH"] = " ".join(config.dns_searches)
            options = dict(option.split(":", 1) for option in config.dns_options if ":" in option)
            settings["K8SNB_NDOTS"] = options.get("ndots", "1")
        return container.place.environment(container.config, settings)


def _launch(container: Container, words: Sequence[str], environment: Mapping[str, str], folder: Path) -> Launched:
    """Start a container's program, on a terminal if it wants one. Raises OSError."""
    config = container.config
    if config.tty:
        return _launch_on_terminal(container, words, {"TERM": "xterm", **environment}, folder)
    popen = subprocess.Popen(
        words, stdin=subprocess.PIPE if config.stdin else subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, bufsize=0, cwd=folder, env=environment, start_new_session=True,
    )  # fmt: skip
    assert popen.stdout is not None and popen.stderr is not None
    return popen, [("stdout", popen.stdout), ("stderr", popen.stderr)]


def _launch_on_terminal(
    container: Container, words: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Launched:
    terminal = Terminal()
    slave = terminal.slave
    try:
        popen = subprocess.Popen(
            terminal.command(words), stdin=slave, stdout=slave, stderr=slave, bufsize=0, cwd=folder, env=environment,
            start_new_session=True,
        )  # fmt: skip
    except BaseException:
        terminal.close()
        raise
    terminal.handed_over()
    container.terminal = terminal
    # The shim closes this copy when the container has ended; ours goes with it.
    return popen, [("stdout", os.fdopen(os.dup(terminal.master), "rb", buffering=0))]


def _expose(process: int, score: int) -> None:
    """Whom the kernel is to end first for want of memory. Only root may make it spare somebody."""
    if score:
        with suppress(OSError):
            Path(f"/proc/{process}/oom_score_adj").write_text(str(score))


def explain(what: str, error: Exception) -> str:
    """A failure to start, in the words of the OCI runtime."""
    text = str(error)
    if isinstance(error, OSError):
        text = f'exec: "{error.filename or ""}": {(error.strerror or str(error)).lower()}'
    return f"OCI runtime {what}: unable to start container process: {text}"


def await_view(process: Process) -> None:
    """A container in a mount namespace is there when its first process has become the container's own program.

    The program then has a moment to get on its feet, until it first rests: in a namespace it takes longer to load.
    """
    for patience, goes_on in ((VIEWING, MountNamespaces.is_making), (SETTLING, process_usage.is_at_work)):
        for _ in range(int(patience / OPENING_STEP)):
            if process.ended.wait(OPENING_STEP) or not goes_on(process.pid):
                break


def await_ports(container: Container, process: Process) -> None:
    """Give a program of ours a moment to open the ports of its image."""
    sandbox = container.sandbox
    tries = int(OPENING / OPENING_STEP)
    for port in container.place.entry.ports:
        spot = (sandbox.ip, sandbox.port_map.get(port, port))
        while tries and not _answers(spot) and not process.ended.wait(OPENING_STEP):
            tries -= 1


def _answers(spot: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(spot) == 0


def end_all(processes: Sequence[Process], timeout: float, monotonic: Callable[[], float]) -> None:
    """SIGTERM to all, and SIGKILL to those that are left when `timeout` seconds have passed."""
    for number, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, STOP_PATIENCE)):
        if patience <= 0:
            continue
        end = monotonic() + patience
        for process in processes:
            process.signal(number)
        for process in processes:
            process.ended.wait(max(end - monotonic(), 0.0))
        processes = [process for process in processes if not process.ended.is_set()]
