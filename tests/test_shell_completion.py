"""Tab in a real shell on a real terminal: bash, zsh and fish read k8snb's scripts and are pressed Tab in.

Nobody has run the script for PowerShell: no package of it can be had here, and what it prints says so.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pytest

from k8snb import Cluster

pytestmark = pytest.mark.process
PATIENCE = 60.0
READY = "k8snb-is-ready"
OWN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)
# How a shell is started without anybody's own settings, and reads the script.
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "PS1='> '; source <(k8snb kubectl completion bash)"),
    "zsh": (["zsh", "-f", "-i"], "PS1='> '; autoload -Uz compinit; compinit -u -D; "
            "source <(k8snb kubectl completion zsh)"),
    "fish": (["fish", "--no-config", "-i"], "k8snb kubectl completion fish | source"),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a command `k8snb` and a kubeconfig for a cluster with something to complete."""
    folder = tmp_path_factory.mktemp("shell")
    program = folder / "bin" / "k8snb"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom k8snb.cli import main\nsys.exit(main())\n")
    program.chmod(0o755)
    with Cluster("tab", nodes=1, runtime="simulated", seed=1) as cluster:
        cluster.kubectl.run("create configmap blue-one")
        cluster.kubectl.run("create configmap red-two")
        (folder / "config").write_text(cluster.kubeconfig)
        yield folder


class Terminal:
    """A shell on a terminal of its own, and what stands on the screen."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.screen = ""

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def see(self, pattern: str) -> str:
        """Wait until a pattern has appeared; what was found."""
        end = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self.screen)) is None:
            left = end - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{pattern!r} did not appear:\n{self.screen}")
        return found[0]

    def _read(self, patience: float) -> bool:
        if not select.select([self._descriptor], [], [], patience)[0]:
            return False
        try:
            data = os.read(self._descriptor, 1 << 16)
        except OSError:  # the shell has ended
            return False
        self.screen += re.sub(r"\x1b(?:\[[0-9;?>]*[a-zA-Z]|[()][A-Z0-9]|[=>78])|\x1b\][^\x07]*\x07|[\r\x08]", "",
                              data.decode(errors="replace"))  # fmt: skip
        return bool(data)


@contextmanager
def shell(name: str, place: Path) -> Iterator[Terminal]:
    command, first = SHELLS[name]
    path = os.pathsep.join([str(place / "bin"), os.environ["PATH"]])
    environment = {"HOME": str(place), "PATH": path, "KUBECONFIG": str(place / "config"), "TERM": "xterm",
                   "LANG": "C.UTF-8", "PYTHONPATH": os.pathsep.join(sys.path)}  # fmt: skip
    descriptor, theirs = pty.openpty()
    ioctl(descriptor, TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", OWN_TERMINAL, *command], env=environment, stdin=theirs,
                               stdout=theirs, stderr=theirs, start_new_session=True)  # fmt: skip
    os.close(theirs)
    terminal = Terminal(descriptor)
    try:
        terminal.type(f"{first}; echo k8snb-is-''ready\r")
        terminal.see(READY)
        terminal.screen = ""
        yield terminal
    finally:
        process.kill()
        process.wait()
        os.close(descriptor)


@pytest.mark.parametrize("name", SHELLS)
def test_tab_completes_a_word_where_one_alone_fits(place: Path, name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"optional: {name} is not installed")
    with shell(name, place) as terminal:
        terminal.type("k8snb kubectl desc\t")
        terminal.see("kubectl describe ")
        terminal.type("configmap blu\t")
        terminal.see("configmap blue-one ")


@pytest.mark.parametrize("name", SHELLS)
def test_tab_lists_what_there_is_where_several_fit(place: Path, name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"optional: {name} is not installed")
    with shell(name, place) as terminal:
        terminal.type("k8snb kubectl rollout \t\t")
        terminal.see("history(?s:.*)pause(?s:.*)restart(?s:.*)resume(?s:.*)status(?s:.*)undo")
