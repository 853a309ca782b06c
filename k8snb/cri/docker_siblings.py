"""Docker runtimes beside one another: the engines of a cluster whose nodes do not all sit on one.

Interface: `Siblings.at(docker_host)` makes or finds one, `leave(docker_host)` ends it; `close(remove=…)`, `pulls()`.
The rule not to break: what can be reached from where is looked up, and what cannot is said in the pods' events.
Real nodes are machines of one network; a CNI plug-in sees to it that all pods reach each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from k8snb.cri import Kept, Layer, RuntimeFailure
from k8snb.cri.docker_network import reaches
from k8snb.cri.janitor import Janitor

if TYPE_CHECKING:
    from k8snb.cri.docker import DockerRuntime

THROUGH_SERVICES = (
    "the node's Docker engine ({}) has a network of its own: its pods and those of other engines reach each other "
    "through Services, and by their own addresses only where this machine forwards between the two networks"
)
FAR_AWAY = (
    "the node's Docker engine ({}) is on another machine: a network between its pods and the rest of the cluster is "
    "not implemented by k8snb: no Services, cluster DNS, network probes, port-forward or termination messages; "
    "logs and exec work"
)


class Siblings:
    """The runtimes beside one of a cluster, each with a janitor of its own where that one has one."""

    def __init__(self, cluster: str, janitor: Any, kept: Kept | None, main: DockerRuntime) -> None:
        self._cluster, self._kept, self._main = cluster, kept, main
        self._new_janitor: Callable[[], Janitor | None] = Janitor if janitor is not None else lambda: None
        self._all: dict[str, DockerRuntime] = {}

    def at(self, docker_host: str) -> DockerRuntime:
        if docker_host not in self._all:
            made = type(self._main)(
                self._cluster, base_url=docker_host, janitor=self._new_janitor(), kept=self._kept, beside=self._main
            )
            near = reaches(made.cluster_cidr)
            text = THROUGH_SERVICES if near else FAR_AWAY
            made.note_place(text.format(docker_host), node_ip="" if near else self._main.node_address)
            self._all[docker_host] = made
        return self._all[docker_host]

    def leave(self, docker_host: str) -> None:
        sibling = self._all.pop(docker_host, None)
        if sibling is not None:
            sibling.close()

    def pulls(self) -> dict[str, Sequence[Layer]]:
        return {image: layers for each in self._all.values() for image, layers in each.pulls().items()}

    def close(self, *, remove: bool) -> None:
        """All of them, whatever becomes of one. Raises the first RuntimeFailure."""
        failures: list[RuntimeFailure] = []
        while self._all:
            _, sibling = self._all.popitem()
            try:
                sibling.close() if remove else sibling.let_go()
            except RuntimeFailure as failure:
                failures.append(failure)
        if failures:
            raise failures[0]


def spot_of(url: str) -> str:
    """Where a janitor finds an engine: a path, or HOST:PORT; "" where it cannot go."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.hostname}:{parts.port or 2375}" if parts.scheme == "tcp" else ""
