"""What a container's processes use: memory and processor time, read from /proc.

Interface: `usage(pid)` for a process and all that descend from it; `is_at_work(pid)` for one alone. Without /proc
(macOS) everything is 0.
Upstream reads this from cgroups (cAdvisor).
"""

from __future__ import annotations

import os
from typing import NamedTuple

HAS_PROC = os.path.isdir("/proc/self/task")


class Usage(NamedTuple):
    """Seconds of processor time since the start; bytes in memory now, shared pages counted in full."""

    cpu_seconds: float
    memory: int


def usage(pid: int) -> Usage:
    """The sum over a process and its descendants, ended children included in the time."""
    processes = family(pid)
    return Usage(sum(map(_cpu_seconds, processes)), sum(map(_resident, processes)))


def memory(pid: int) -> int:
    return sum(map(_resident, family(pid)))


def is_at_work(pid: int) -> bool:
    """Whether a process runs, would run if it could, or waits for a disk: it does not wait for anything to happen."""
    try:
        return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[0] in (b"R", b"D")
    except (OSError, IndexError):
        return False


def family(pid: int) -> list[int]:
    """A process and its descendants, parents first."""
    found = [pid] if HAS_PROC else []
    for process in found:
        found.extend(_children(process))
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            children.extend(map(int, _read(f"/proc/{pid}/task/{thread}/children").split()))
    except OSError:
        pass
    return children


def _resident(pid: int) -> int:
    try:
        return int(_read(f"/proc/{pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _cpu_seconds(pid: int) -> float:
    """utime, stime and those of reaped children: the fields after the name, which may hold spaces."""
    try:
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()
