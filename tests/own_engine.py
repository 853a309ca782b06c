"""A Docker engine of the tests' own: one that may be ended, killed, hidden and asked over other ways than its socket.

Interface: `engine(…)`, a context with a running `Engine`; the reason to skip where none can be had: `why_not()`.
The rule not to break: it leaves the machine's firewall and docker0 alone, and nothing of it is left at the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from k8snb.cri.docker_engine import connected, engine_answers
from k8snb.cri.docker_network import free_ranges

BRIDGE_RANGES = tuple(f"10.231.{number}.0/24" for number in range(256))
OPTIONS = ("--iptables=false", "--ip6tables=false", "--shutdown-timeout=1")


def why_not() -> str:
    """Why there can be none, "" where there can."""
    able = os.geteuid() == 0 and shutil.which("dockerd") is not None
    return "" if able else "only root may start a dockerd of the test's own"


class Engine:
    """On a bridge of its own: with none, dockerd would take docker0 away from the engine that has it."""

    def __init__(self, home: Path, bridge: str, *more: str, before: Sequence[str] = ()) -> None:
        self.home, self.socket = home, home / "docker.sock"
        self.url = f"unix://{self.socket}"
        places = f"-H {self.url} --data-root {home}/data --exec-root {home}/exec -p {home}/pid --bridge={bridge}"
        self._command = [*before, "dockerd", *places.split(), *OPTIONS, *more]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it answers; one that gives up, as after a containerd that was slow to start, is started again."""
        end = time.monotonic() + 60
        while engine_answers(self.url) is None:
            if self._process is None or self._process.poll() is not None:
                with (self.home / "dockerd.log").open("ab") as log:
                    self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
            assert time.monotonic() < end, (self.home / "dockerd.log").read_text()[-2000:]
            time.sleep(0.1)

    def stop(self) -> None:
        """In good order: its containers end with it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def kill(self) -> None:
        """By SIGKILL, with its containerd. Its containers know nothing of that, until it is started again."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)
        left = [each for each in self.processes() if each.name() == "containerd"]
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=10)

    def freeze(self) -> None:
        """It hears everybody and answers nobody, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def processes(self) -> list[psutil.Process]:
        """What belongs to it: itself, its containerd, and the shims and processes of its containers."""
        mark = str(self.home)
        with_mark = [each for each in psutil.process_iter(["cmdline"]) if mark in " ".join(each.info["cmdline"] or [])]
        found: dict[int, psutil.Process] = {}
        for each in with_mark:
            with suppress(psutil.NoSuchProcess):
                found |= {process.pid: process for process in (each, *each.children(recursive=True))}
        return list(found.values())

    def close(self) -> None:
        self.stop()
        left = self.processes()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=10)
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if line.split()[4].startswith(str(self.home)):
                subprocess.run(["umount", "-l", line.split()[4]], check=False, capture_output=True)


@contextmanager
def engine(*more: str) -> Iterator[Engine]:
    """One that runs, on a bridge whose name and range nobody else on this machine has."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="k8snb-", ignore_cleanup_errors=True)))
        bridge = f"k8snb{os.getpid()}"
        subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
        stack.callback(subprocess.run, ["ip", "link", "del", bridge], check=True)
        address = next(free_ranges(BRIDGE_RANGES)).replace(".0/24", ".1/24")
        subprocess.run(["ip", "addr", "add", address, "dev", bridge], check=True)
        own = Engine(home, bridge, *more)
        stack.callback(own.close)
        own.start()
        yield own


@contextmanager
def engine_far_away() -> Iterator[Engine]:
    """One whose networks this machine does not see, as on another machine: only its socket is here."""
    from docker_images import image_layers

    with tempfile.TemporaryDirectory(prefix="k8snb-", ignore_cleanup_errors=True) as home:
        own = Engine(Path(home), "none", before=("unshare", "--net"))
        try:
            own.start()
            with connected(own.url) as api, image_layers(api):
                yield own
        finally:
            own.close()


@contextmanager
def engine_with_images(*more: str) -> Iterator[Engine]:
    from docker_images import image_layers

    with engine(*more) as own, connected(own.url) as api, image_layers(api):
        yield own
