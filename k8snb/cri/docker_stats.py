"""Docker stats: what a container uses, and other limits for one that runs, as the engine counts and sets them.

Interface: `container_stats(api, container_id)`, `update_limits(api, container_id, resources)`.
The rule not to break: memory is the working set, without the page cache that the kernel may take back at any time.
Source: `cadvisor/container/libcontainer/handler.go` (`setMemoryStats`), from where a kubelet has its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from k8snb.clock import parse_timestamp
from k8snb.cri import ContainerResources, ContainerStats, RuntimeFailure
from k8snb.cri.docker_status import limits

NANOSECONDS = 1e9
_CACHE = ("inactive_file", "total_inactive_file")  # in cgroup v2, in v1
_NEVER = "0001-"  # the year in which the engine looked at a container that does not run


def container_stats(api: Any, container_id: str) -> ContainerStats:
    """Raises RuntimeFailure NotFound where the container does not run, and what the docker package raises."""
    found = api.stats(container_id, stream=False, **_at_once(api))
    if found["read"].startswith(_NEVER):
        raise RuntimeFailure("NotFound", f'container "{container_id[:12]}" is not running')
    return ContainerStats(
        cpu_seconds=found["cpu_stats"]["cpu_usage"]["total_usage"] / NANOSECONDS,
        memory_bytes=_working_set(found["memory_stats"]),
        timestamp=parse_timestamp(re.sub(r"(\.\d{6})\d+", r"\1", found["read"])),
    )


def update_limits(api: Any, container_id: str, resources: ContainerResources) -> None:
    """Raises what the docker package raises."""
    api.update_container(container_id, **limits(resources))


def _at_once(api: Any) -> dict[str, bool]:
    """Engines that know it (Docker 20.10) need not wait a second for a rate that nobody asked for."""
    from docker.utils import version_lt

    return {} if version_lt(api._version, "1.41") else {"one_shot": True}


def _working_set(memory: Mapping[str, Any]) -> int:
    usage, details = int(memory.get("usage") or 0), memory.get("stats") or {}
    cache = next((int(details[name]) for name in _CACHE if name in details), 0)
    return max(usage - cache, 0)
