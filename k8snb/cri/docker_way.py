"""The way to a Docker engine: its own address, or for one behind SSH a tunnel that ends in a socket of this machine.

Interface: `check(docker_host)` and `way_to(docker_host)`, whose `url` a client can use until its `close`.
The rule not to break: a tunnel ends with its cluster, and with this process, however that ends.
Docker's own client runs `docker system dial-stdio` over SSH for each connection; OpenSSH (6.7) can forward sockets.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from k8snb.cri import RuntimeUnavailable
from k8snb.cri.docker_engine import engine_answers

SOCKET = "/var/run/docker.sock"
SCHEMES = ("unix", "tcp", "ssh")
PATIENCE = 20.0  # seconds until an engine behind SSH has to answer
OPTIONS = ("-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ConnectTimeout=10",
           "-o", "ServerAliveInterval=15")  # fmt: skip


class Warden(Protocol):
    """Who ends a tunnel when this process is killed: see `cri.janitor`."""

    def tunnel(self, number: int) -> None: ...


class Way:
    """Nothing lies between."""

    def __init__(self, url: str) -> None:
        self.url = url

    def close(self) -> None:
        """Nothing to end."""


class Tunnel(Way):
    """`ssh` in a process group of its own, which forwards a socket in a directory that nobody else can enter."""

    def __init__(self, docker_host: str, warden: Warden | None) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="k8snb-ssh-", ignore_cleanup_errors=True)
        here = Path(self._directory.name, "docker.sock")
        super().__init__(f"unix://{here}")
        try:
            self._process = subprocess.Popen(
                command(docker_host, here), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, start_new_session=True, text=True,
            )  # fmt: skip
            if warden is not None:
                warden.tunnel(self._process.pid)
            self._wait(docker_host)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        process = getattr(self, "_process", None)
        if process is not None:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
        self._directory.cleanup()

    def _wait(self, docker_host: str) -> None:
        end = time.monotonic() + PATIENCE
        while engine_answers(self.url, 5.0) is None:
            if self._process.poll() is not None:
                said = self._process.stderr.read().strip() if self._process.stderr else ""
                why = said.splitlines()[-1] if said else f"ssh ended with {self._process.returncode}"
                raise RuntimeUnavailable("RuntimeNotReady", f"no Docker engine answers at {docker_host}: {why}")
            if time.monotonic() > end:
                why = "the way is open, but nothing answers: is Docker running there, and may this user use its socket?"
                raise RuntimeUnavailable("RuntimeNotReady", f"no Docker engine answers at {docker_host}: {why}")
            time.sleep(0.05)


def check(docker_host: str) -> str:
    """The address as it was given. Raises ValueError for one that is none."""
    parts = urlsplit(docker_host)
    if parts.scheme not in SCHEMES or not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise ValueError(
            f'invalid --docker-host "{docker_host}": one of unix:///PATH, tcp://HOST:PORT and ssh://USER@HOST[:PORT]'
        )
    return docker_host


def way_to(docker_host: str, warden: Warden | None = None) -> Way:
    """Raises RuntimeUnavailable where an engine behind SSH does not answer."""
    if urlsplit(docker_host).scheme != "ssh":
        return Way(docker_host)
    if shutil.which("ssh") is None:
        raise RuntimeUnavailable("RuntimeNotReady", f"{docker_host} needs the program ssh, which is not installed here")
    return Tunnel(docker_host, warden)


def command(docker_host: str, here: Path) -> Sequence[str]:
    """Who may log in there is settled by the user's own SSH keys and settings, as for Docker's client."""
    parts = urlsplit(docker_host)
    user = ("-l", parts.username) if parts.username else ()
    port = ("-p", str(parts.port)) if parts.port else ()
    there = parts.path if parts.path not in ("", "/") else SOCKET
    return ("ssh", "-N", "-T", *OPTIONS, *user, *port, "-L", f"{here}:{there}", "--", parts.hostname or "")
