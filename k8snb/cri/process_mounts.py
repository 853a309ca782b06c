"""The process runtime's namespaces and rights: what of a container the kernel lets a plain process have.

Interface: `MountNamespaces`: `serve(config, entry)` says whether a container gets a file system of its own; `make`,
`enter` and `become` are command lines; `support()` is what can be had of a security context.
The rule not to break: whether the kernel allows it is tried, not guessed, and tried once.
Root needs no more than unshare(2), an ordinary user a user namespace, which many machines and most containers refuse.
"""

from __future__ import annotations

import functools
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from k8snb.cri import ContainerConfig, images
from k8snb.cri.process_files import EVERY_CONTAINER, Place
from k8snb.cri.security import FIELDS, LINUX_NODE, SecurityContext

PROGRAM = os.path.join(os.path.dirname(__file__), "mount_program.py")
PATIENCE = 20.0  # seconds for the trial
NOT_ROOT = "programs run as the notebook's own user"
NO_CAPABILITIES = "programs run as the notebook's own user, who may neither give nor take any"
_OWN = (os.path.realpath(sys.base_prefix), os.path.realpath(os.path.dirname(images.__file__)))
_IDENTITY = ("runAsGroup", "runAsUser", "supplementalGroups")
_UNCONFINED = "plain processes are not confined by it"
_ALWAYS: Mapping[str, str] = MappingProxyType({
    "appArmorProfile": _UNCONFINED, "seccompProfile": _UNCONFINED, "seLinuxOptions": _UNCONFINED,
    "hostUsers": "there are no user namespaces for pods here",
    "shareProcessNamespace": "no PID namespaces here, the processes of the whole machine are seen",
    "sysctls": "the machine's own are in force", "windowsOptions": LINUX_NODE,
})  # fmt: skip


class MountNamespaces:
    """`wanted` False: do as if the kernel allowed none."""

    def __init__(self, wanted: bool | None = None) -> None:
        self._wanted = wanted is not False and sys.platform == "linux"

    @property
    def allowed(self) -> bool:
        """Whether they can be had here."""
        return "mounts" in self._allowed

    @functools.cached_property
    def _allowed(self) -> Collection[str]:
        """What the program says that it may do."""
        if not self._wanted:
            return ()
        with tempfile.TemporaryDirectory(prefix="k8snb-view-") as view:
            try:
                trial = subprocess.run(
                    [*_words(), "try", view], env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE,
                    check=True,
                )  # fmt: skip
                return frozenset(json.loads(trial.stdout))
            except (OSError, ValueError, subprocess.SubprocessError):
                return ()

    @functools.cached_property
    def support(self) -> Mapping[str, str]:
        """Why a field of a security context is not carried out here, "" where it is."""
        lacking = {
            **dict.fromkeys(_IDENTITY, "" if self._can_become else NOT_ROOT),
            "capabilities": "" if "capabilities" in self._allowed else NO_CAPABILITIES,
            "privileged": "" if "user" in self._allowed else NOT_ROOT,
            "readOnlyRootFilesystem": "" if "read_only" in self._allowed else "it takes a mount namespace",
            "allowPrivilegeEscalation": "" if "no_new_privileges" in self._allowed else "it takes Linux's prctl",
        }
        return {field: lacking.get(field, _ALWAYS.get(field, "")) for field in FIELDS}

    @functools.cached_property
    def _can_become(self) -> bool:
        """Whether programs can run as another user, who also has to be able to read this Python."""
        return "user" in self._allowed and (self.allowed or not any(map(_closed, _OWN)))

    def serve(self, config: ContainerConfig, entry: images.Entry) -> bool:
        """Whether a container gets one. A stand-in server of k8snb's own finds what it needs without."""
        own_server = bool(entry.ports) and not config.command
        volumes = [each for each in config.mounts if not each.container_path.startswith(EVERY_CONTAINER)]
        wanted = volumes or (config.mounts and not own_server) or config.security.read_only_root
        return bool(wanted or self.identity(config.security)) and self.allowed

    def run(self, place: Place, folder: Path, words: Sequence[str], *, security: SecurityContext) -> list[str]:
        """The command line that runs a container's own program."""
        rights = self._rights(place, security)
        if place.private:
            view = {"mounts": place.bound, "view": str(place.view), "hostname": place.hostname,
                    "read_only": security.read_only_root, "opened": self._closed(place) if rights else []}  # fmt: skip
            return [*_words(), "make", json.dumps({**view, **rights, "folder": str(folder)}), *words]
        return [*_words(), "become", json.dumps({**rights, "folder": str(folder)}), *words] if rights else [*words]

    def beside(
        self, process: int, place: Place, folder: Path, words: Sequence[str], *, security: SecurityContext
    ) -> list[str]:
        """The command line that runs another command where a container's process is."""
        rights = self._rights(place, security)
        settings = json.dumps({**rights, "folder": str(folder)})
        if place.private:
            return [*_words(), "enter", str(process), settings, *words]
        return [*_words(), "become", settings, *words] if rights else [*words]

    def identity(self, security: SecurityContext) -> tuple[int, int] | None:
        """The user and group that a container's processes have where they are others than this process's own."""
        if not self._names_somebody(security) or not self._can_become:
            return None
        return security.run_as_user or 0, security.run_as_group or 0

    def _rights(self, place: Place, security: SecurityContext) -> dict[str, Any]:
        """What of a container's limits and its security context is carried out; empty where nothing is said."""
        rights: dict[str, Any] = {"cgroups": place.doors} if place.doors else {}
        who = self.identity(security)
        if who is not None:
            rights.update(user=who[0], group=who[1], groups=security.groups)
        if security.capabilities is not None and "capabilities" in self._allowed:
            rights["capabilities"] = sorted(security.capabilities)
        if security.no_new_privileges and "no_new_privileges" in self._allowed:
            rights["no_new_privileges"] = True
        return rights

    @staticmethod
    def _closed(place: Place) -> list[tuple[str, str]]:
        """What another user is to reach in directories that are closed to others."""
        paths = (*_OWN, str(place.programs), str(place.directory))
        return [(folder, path) for path in paths if (folder := _closed(path))]

    @staticmethod
    def _names_somebody(security: SecurityContext) -> bool:
        return security.run_as_user is not None or security.run_as_group is not None or bool(security.groups)

    @staticmethod
    def is_making(process: int) -> bool:
        """Whether a process is still on its way into its namespace."""
        try:
            return PROGRAM.encode() in Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            return False


def _words() -> list[str]:
    return [sys.executable, "-S", "-E", "-I", PROGRAM]


def _closed(path: str) -> str:
    """The outermost directory on the way to a path that only its owner may enter, "" for none."""
    ways = reversed(Path(path).parents)
    return next((str(folder) for folder in ways if not folder.stat().st_mode & stat.S_IXOTH), "")
