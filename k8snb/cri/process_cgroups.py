"""The process runtime's cgroups: limits of memory and processor time that the kernel itself enforces, where it may.

Interface: `Cgroups.make(name, resources)` gives a container's `Group`, or None where it needs none or can have none:
its `doors` are what a process writes itself into; `change`, `killed`, `remove`.
The rule not to break: a container's group lies below this process's own, so that what is imposed on the notebook holds
for its pods too; whether it can be had is tried, not guessed; none is left when the cluster has ended.
A real runtime has a tree of them by the pods' QoS classes. Source of the numbers: `pkg/kubelet/cm/helpers_linux.go`.
"""

from __future__ import annotations

import functools
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from k8snb.cri import ContainerResources
from k8snb.cri.janitor import Janitor
from k8snb.cri.janitor_program import remove_cgroup

ROOT, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
DOOR = "cgroup.procs"
PERIOD = 100_000  # microseconds in which processor time is counted
UNLIMITED = "max"
TRIAL = ContainerResources(cpu_limit=1.0, memory_limit=64 << 20)

Setting = tuple[str, Callable[[ContainerResources], str]]  # a file, and what is written into it, "" for nothing


def _memory(resources: ContainerResources) -> str:
    return str(resources.memory_limit or -1)


def _quota(resources: ContainerResources) -> str:
    return str(max(int(resources.cpu_limit * PERIOD), 1000) if resources.cpu_limit else -1)


def _shares(resources: ContainerResources) -> int:
    return max(int(resources.cpu_request * 1024), 2) if resources.cpu_request else 1024


def _weight(resources: ContainerResources) -> str:
    return str(1 + (_shares(resources) - 2) * 9999 // 262142)


# By version and controller. The first file of a controller has to be there; the others depend on the kernel.
SETTINGS: Mapping[int, Mapping[str, Sequence[Setting]]] = MappingProxyType({
    1: {
        "memory": (("memory.limit_in_bytes", _memory), ("memory.memsw.limit_in_bytes", _memory)),
        "cpu": (("cpu.cfs_quota_us", _quota), ("cpu.shares", lambda resources: str(_shares(resources)))),
    },
    2: {
        "memory": (
            ("memory.max", lambda resources: str(resources.memory_limit or UNLIMITED)),
            ("memory.swap.max", lambda resources: "0" if resources.memory_limit else UNLIMITED),
            ("memory.oom.group", lambda resources: "1"),
        ),
        "cpu": (("cpu.max", lambda resources: f"{_quota(resources).replace('-1', UNLIMITED)} {PERIOD}"),
                ("cpu.weight", _weight)),
    },
})  # fmt: skip
KILLS = {1: "memory.oom_control", 2: "memory.events"}  # where the kernel counts whom it has killed


class Group:
    """One container's group: with cgroups of version 1 a directory for each controller."""

    def __init__(self, version: int, folders: Mapping[str, Path]) -> None:
        self._version, self._folders = version, folders

    @property
    def doors(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(str(folder / DOOR) for folder in self._folders.values()))

    def make(self, resources: ContainerResources) -> None:
        """Raises OSError."""
        for folder in dict.fromkeys(self._folders.values()):
            folder.mkdir()
        self.change(resources)

    def change(self, resources: ContainerResources) -> None:
        """Raises OSError where the kernel refuses, as it does a limit below what is in use."""
        for controller, folder in self._folders.items():
            settings = SETTINGS[self._version][controller]
            writes = [(folder / name, value(resources)) for name, value in settings if (folder / name).exists()]
            if not writes or writes[0][0].name != settings[0][0]:
                raise FileNotFoundError(2, "No such file or directory", str(folder / settings[0][0]))
            _write(writes)

    def killed(self) -> bool:
        """Whether the kernel has ended a process here for want of memory."""
        with suppress(OSError):
            text = (self._folders["memory"] / KILLS[self._version]).read_text()
            return any(line.split()[0] == "oom_kill" and line.split()[1] != "0" for line in text.splitlines())
        return False

    def remove(self) -> None:
        for folder in dict.fromkeys(self._folders.values()):
            remove_cgroup(str(folder))


class Cgroups:
    """Those of one cluster. `wanted` False: do as if the kernel allowed none."""

    def __init__(self, janitor: Janitor, wanted: bool | None = None) -> None:
        self._janitor = janitor
        self._wanted = wanted is not False
        self._name = f"k8snb-{os.getpid()}-{secrets.token_hex(4)}"
        self._bases: dict[str, Path] = {}

    @functools.cached_property
    def version(self) -> int:
        """Of the cgroups that can be had here; 0 for none."""
        if not self._wanted or not hasattr(os, "geteuid") or os.geteuid() != 0:
            return 0
        return next((version for version in SETTINGS if self._try(version)), 0)

    def make(self, name: str, resources: ContainerResources) -> Group | None:
        """A container's group; `name` is its own. None where nothing is limited, or where the kernel refuses."""
        if not (resources.memory_limit or resources.cpu_limit) or not self.version:
            return None
        group = Group(self.version, {controller: base / name for controller, base in self._bases.items()})
        try:
            group.make(resources)
        except OSError:
            group.remove()
            return None
        return group

    def close(self) -> None:
        for base in dict.fromkeys(self._bases.values()):
            remove_cgroup(str(base))

    def _try(self, version: int) -> bool:
        """Make a group, and give it limits."""
        places = dict(_places(version))
        if places.keys() != SETTINGS[version].keys():
            return False
        bases = {controller: place / self._name for controller, place in places.items()}
        group = Group(version, {controller: base / "try" for controller, base in bases.items()})
        try:
            for base in dict.fromkeys(bases.values()):
                self._janitor.cgroup(base)
                base.mkdir()
                if version == 2:  # controllers are handed down from group to group
                    (base / "cgroup.subtree_control").write_text("+memory +cpu")
            group.make(TRIAL)
            self._bases = bases
        except OSError:
            for base in bases.values():
                remove_cgroup(str(base))
        group.remove()
        return bool(self._bases)


def _places(version: int) -> Iterator[tuple[str, Path]]:
    """Where groups may be made: in this process's own, or, of version 2, beside it, for it has processes itself."""
    try:
        lines = [line.split(":", 2) for line in OWN.read_text().splitlines()]
    except OSError:
        return
    for number, controllers, own in lines:
        if version == 2 and number == "0":
            place = ROOT / os.path.dirname(own).lstrip("/")
            yield from ((controller, place) for controller in SETTINGS[2])
        elif version == 1 and number != "0":
            named = [name for name in controllers.split(",") if name in SETTINGS[1]]
            yield from ((name, ROOT / name / own.lstrip("/")) for name in named)


def _write(writes: Sequence[tuple[Path, str]]) -> None:
    """Memory with swap may never be less than without: which has to come first depends on what they were."""
    try:
        for file, text in writes:
            file.write_text(text)
    except OSError:
        for file, text in reversed(writes):
            file.write_text(text)
        for file, text in writes:
            file.write_text(text)
