"""The process runtime's mount namespaces: where the kernel allows them, volumes are found at their own paths.

Interface: `MountNamespaces`: `serve(config, entry)` says whether a container gets one; `make` and `enter` are command
lines.
The rule not to break: whether the kernel allows it is tried, not guessed, and tried once.
Root needs no more than unshare(2), an ordinary user a user namespace, which many machines and most containers refuse.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from k8snb.cri import ContainerConfig, images
from k8snb.cri.process_files import EVERY_CONTAINER, Place

PROGRAM = os.path.join(os.path.dirname(__file__), "mount_program.py")
PATIENCE = 20.0  # seconds for the trial


class MountNamespaces:
    """`wanted` False: do as if the kernel allowed none."""

    def __init__(self, wanted: bool | None = None) -> None:
        self._wanted = wanted is not False and sys.platform == "linux"

    @functools.cached_property
    def allowed(self) -> bool:
        """Whether they can be had here."""
        if not self._wanted:
            return False
        with tempfile.TemporaryDirectory(prefix="k8snb-view-") as view:
            try:
                trial = subprocess.run(
                    [*_words(), "try", view], env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE,
                    check=False,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired):
                return False
        return trial.returncode == 0

    def serve(self, config: ContainerConfig, entry: images.Entry) -> bool:
        """Whether a container gets one. A stand-in server of k8snb's own finds what it needs without."""
        own_server = bool(entry.ports) and not config.command
        volumes = [each for each in config.mounts if not each.container_path.startswith(EVERY_CONTAINER)]
        return bool(volumes or (config.mounts and not own_server)) and self.allowed

    @staticmethod
    def make(place: Place, folder: Path, words: Sequence[str]) -> list[str]:
        """The command line that makes the namespace and runs a command in it."""
        return [*_words(), "make", json.dumps(place.bound), str(place.view), str(folder), *words]

    @staticmethod
    def is_making(process: int) -> bool:
        """Whether a process is still on its way into its namespace."""
        try:
            return PROGRAM.encode() in Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            return False

    @staticmethod
    def enter(process: int, folder: Path, words: Sequence[str]) -> list[str]:
        """The command line that runs a command where a process is."""
        return [*_words(), "enter", str(process), str(folder), *words]


def _words() -> list[str]:
    return [sys.executable, "-S", "-E", "-I", PROGRAM]
