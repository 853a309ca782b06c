"""The janitor: one small process beside a cluster that clears up when the kernel process ends, however it ends.

Interface: `Janitor`: `group` and `forget` for process groups, `directory`, `docker` for labels of containers, `route`,
`close`.
The rule not to break: what is started is reported at once; what has ended is forgotten before its id can be used again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from k8snb.cri import janitor_program


class Janitor:
    """Starts the process with the first order. Should the process die, it is started again and told everything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._groups: set[int] = set()
        self._orders: list[str] = []

    def group(self, number: int) -> None:
        """Kill this process group at the end."""
        with self._lock:
            self._groups.add(number)
            self._tell(f"group {number}")

    def forget(self, number: int) -> None:
        """This process group has ended."""
        with self._lock:
            self._groups.discard(number)
            self._tell(f"forget {number}")

    def directory(self, path: Path) -> None:
        """Remove this directory at the end, and end the processes whose K8SNB_ROOT lies in it."""
        self._keep(f"directory {path}")

    def docker(self, label: str, socket: str = "/var/run/docker.sock") -> None:
        """Remove the containers and networks of a Docker engine that carry this label (`name=value`) at the end.

        `socket` is a path, or `HOST:PORT`.
        """
        self._keep(f"docker {label} {socket}")

    def tunnel(self, number: int) -> None:
        """Kill this process group as the last thing of all: it is the way to an engine."""
        self._keep(f"tunnel {number}")

    def route(self, cidr: str) -> None:
        """Take the route of this range of ClusterIPs away at the end."""
        self._keep(f"route {cidr}")

    def cgroup(self, path: Path) -> None:
        """Remove this cgroup, and those in it, at the end."""
        self._keep(f"cgroup {path}")

    def close(self) -> None:
        """Let the janitor do its work now, and wait for it."""
        with self._lock:
            process, self._process = self._process, None
            self._orders.clear()
            if process is not None:
                os.close(self._pipe)
                process.wait(timeout=30)

    def _keep(self, order: str) -> None:
        with self._lock:
            self._orders.append(order)
            self._tell(order)

    def _tell(self, order: str) -> None:
        """Write an order down; where nobody reads any more, start again with all orders."""
        if self._process is not None:
            try:
                os.write(self._pipe, os.fsencode(order + "\n"))
                return
            except BrokenPipeError:
                os.close(self._pipe)
                self._process.wait()
        self._start()
        orders = [*self._orders, *(f"group {number}" for number in self._groups)]
        os.write(self._pipe, os.fsencode("".join(order + "\n" for order in orders)))

    def _start(self) -> None:
        reader, self._pipe = os.pipe()
        program = [sys.executable, "-S", "-E", "-I", janitor_program.__file__, str(os.getpid())]
        self._process = subprocess.Popen(
            program,
            stdin=reader,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
            # A kernel that is interrupted or restarted takes its process group with it; the janitor has to stay.
            start_new_session=True,
        )
        os.close(reader)
