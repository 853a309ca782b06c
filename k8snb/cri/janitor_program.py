"""The janitor's program: waits until the kernel process is gone, and clears away what that process had started.

Interface: lines on standard input, see `ORDERS`; the end of input, or the end of the process whose id is the first
argument, is the sign to clean up. `sweep` ends processes by a mark in their environment.
The rule not to break: standard library only and little of it at the start: one of these sleeps beside every cluster.
In real Kubernetes containers outlive a kubelet on purpose; in a notebook nothing may outlive the kernel.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

TYPE_CHECKING = False  # as mypy reads it; the typing module would cost this process memory
if TYPE_CHECKING:
    import socket

MARK = b"K8SNB_ROOT="
TRIES = 20
GUARD_PORT = 47095
ROUTE_PROTOCOL = "208"  # marks routes as ours; a number that no routing program has, see rt_protos in iproute2


class Duties:
    """What is to be done at the end."""

    def __init__(self) -> None:
        self.groups: set[int] = set()
        self.directories: list[str] = []
        self.labels: list[tuple[str, str]] = []
        self.routes: list[str] = []
        self.tunnels: list[int] = []
        self.cgroups: list[str] = []

    def obey(self, line: str) -> None:
        """Take one order: a word and what it is about."""
        word, _, rest = line.partition(" ")
        ORDERS[word](self, rest)

    def fulfil(self) -> None:
        for group in self.groups:
            kill_group(group)
        marks = [os.fsencode(directory) + b"/" for directory in self.directories]
        sweep(marks)
        for folder in self.cgroups:
            remove_cgroup(folder)
        for directory in self.directories:
            _remove(directory)
        for cidr in self.routes:
            remove_route(cidr)
        for label, socket in self.labels:
            _remove_containers(label, socket)
        for tunnel in self.tunnels:
            kill_group(tunnel)

    def keep_label(self, rest: str) -> None:
        label, _, socket = rest.partition(" ")
        self.labels.append((label, socket or "/var/run/docker.sock"))


ORDERS = {
    "group": lambda duties, rest: duties.groups.add(int(rest)),  # a process group that is to be killed
    "forget": lambda duties, rest: duties.groups.discard(int(rest)),
    "directory": lambda duties, rest: duties.directories.append(rest),  # to be removed; processes marked with it end
    "docker": lambda duties, rest: duties.keep_label(rest),  # LABEL [SOCKET or HOST:PORT] of what is to be removed
    "tunnel": lambda duties, rest: duties.tunnels.append(int(rest)),  # a process group: a way to an engine
    "cgroup": lambda duties, rest: duties.cgroups.append(rest),  # to be removed with those in it
    "route": lambda duties, rest: duties.routes.append(rest),  # a range of ClusterIPs on this host, to be given back
}


def main(parent: int) -> None:
    """Take orders until the end, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    duties, rest = Duties(), b""
    watched = select.poll()
    watched.register(0, select.POLLIN)
    pidfd = _open_process(parent)
    if pidfd >= 0:
        watched.register(pidfd, select.POLLIN)
    while os.getppid() == parent:
        # Without a pidfd the parent's end shows only in the pipe, which a fork of the parent may hold open.
        ready = {number for number, _ in watched.poll(None if pidfd >= 0 else 2000)}
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                duties.obey(os.fsdecode(line))
        elif pidfd in ready:
            break
    duties.fulfil()


def kill_group(group: int) -> None:
    """End a process group at once; one that is gone is no matter."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def sweep(directories: Sequence[bytes]) -> None:
    """Kill each process whose container root lies in one of these directories, also one that left its process group.

    A directory ends with a slash. Looks again until none is found, because a process may fork while we look. Without
    /proc (macOS) only process groups end.
    """
    marks = [b"\0" + MARK + directory for directory in directories]
    for attempt in range(TRIES):
        found = _marked(marks)
        if not found:
            return
        for process in found:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        select.select([], [], [], 0.001 * attempt)


def _marked(marks: list[bytes]) -> list[int]:
    processes = os.listdir("/proc") if os.path.isdir("/proc/self") else ()
    return [int(process) for process in processes if process.isdigit() and _is_marked(process, marks)]


def _is_marked(process: str, marks: list[bytes]) -> bool:
    try:
        with open(f"/proc/{process}/environ", "rb", buffering=0) as file:
            environment = b"\0" + file.read()
    except OSError:
        return False
    return any(mark in environment for mark in marks)


def _open_process(process: int) -> int:
    try:
        return os.pidfd_open(process)
    except (AttributeError, OSError):
        return -1


def _remove(directory: str) -> None:
    import shutil  # only at the end: a sleeping janitor does not carry it

    shutil.rmtree(directory, ignore_errors=True)


def remove_cgroup(folder: str) -> None:
    """Remove a cgroup and those in it. The kernel may need a moment after the end of the last process."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if os.path.isdir(f"{folder}/{name}"):
                remove_cgroup(f"{folder}/{name}")
    for attempt in range(TRIES):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            return
        except OSError:
            select.select([], [], [], 0.002 * attempt)
        else:
            return


def guard(cidr: str) -> socket.socket | None:
    """A socket at the last address of a range: who has it has the range. None: another process does, or no route."""
    import ipaddress
    import socket

    held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        held.bind((str(ipaddress.IPv4Network(cidr)[-2]), GUARD_PORT))
    except OSError:
        held.close()
        return None
    return held


def remove_route(cidr: str) -> None:
    """Take the route of a range of ClusterIPs away, unless a cluster that lives has the range."""
    import subprocess

    held = guard(cidr)
    if held is None:
        return
    with held, suppress(OSError, subprocess.TimeoutExpired):
        command = ["ip", "-4", "route", "del", "local", cidr, "dev", "lo", "proto", ROUTE_PROTOCOL]
        subprocess.run(command, capture_output=True, timeout=10, check=False)


def _remove_containers(label: str, socket_path: str) -> None:
    """Remove a Docker engine's containers, then networks, that carry a label, through the engine's own HTTP."""
    import urllib.parse

    filters = urllib.parse.quote('{"label":["' + label + '"]}')
    for listing, what, name in (("containers/json?all=1&", "containers", "Id"), ("networks?", "networks", "Id")):
        for row in _engine(socket_path, "GET", f"/{listing}filters={filters}") or ():
            _engine(socket_path, "DELETE", f"/{what}/{row[name]}" + ("?force=1&v=1" if what == "containers" else ""))


def _engine(socket_path: str, method: str, path: str) -> list[dict[str, str]] | None:
    """One request to the engine; its answer where that is a list."""
    import http.client
    import json
    import socket

    connection = http.client.HTTPConnection("localhost", timeout=30)
    try:
        if socket_path.startswith("/"):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(30)
            connection.sock.connect(socket_path)
        else:
            host, _, port = socket_path.rpartition(":")
            connection.sock = socket.create_connection((host, int(port)), 30)
        connection.request(method, path)
        answer = json.loads(connection.getresponse().read() or b"null")
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return answer if isinstance(answer, list) else None


if __name__ == "__main__":
    main(int(sys.argv[1]))
