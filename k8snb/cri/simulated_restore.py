"""The simulated runtime of a fork: it begins with pods that have been running for a while.

Interface: `RestoredRuntime`, a `SimulatedRuntime`: `restore_node`, `restore_pod`, `restore_container`.
The rule not to break: what is restored looks to its kubelet as it looked then: ids, addresses, times and exit codes.
A program is run again from its start up to now in no time, which gives its log back; one that asked the network, or
whose past would take too long, begins anew now. What was written into files from outside is not there any more.
Real runtimes have checkpoints (`crictl checkpoint`), of single containers.
"""

from __future__ import annotations

import itertools
import math

from k8snb.clock import Clock
from k8snb.cri import EXITED, ContainerConfig, ContainerStatus, Image, Network, PodSandboxConfig
from k8snb.cri.simulated import SimulatedRuntime
from k8snb.cri.simulated_images import canonical, find
from k8snb.cri.simulated_machine import Container, Pod
from k8snb.cri.simulated_shell import Answer

MOVES = 5_000  # of a program that are repeated


class UnrepeatableError(Exception):
    """A program did what cannot be done again."""


class _Alone:
    """What a program reaches while its past is repeated: nothing."""

    def fetch(self, container: Container, url: str) -> Answer:
        raise UnrepeatableError(url)

    def find_address(self, container: Container, name: str) -> str | None:
        raise UnrepeatableError(name)

    def kill(self, container: Container, number: int, at: float) -> None:
        raise UnrepeatableError(f"signal {number}")


class RestoredRuntime(SimulatedRuntime):
    """Restore nodes, then pods, then containers, before a kubelet asks."""

    def __init__(self, clock: Clock, **ranges: str) -> None:
        super().__init__(clock, **ranges)
        self._highest = 0

    def restore_node(self, node: str, network: Network) -> None:
        """A node with the addresses that it had."""
        self._nodes.setdefault(node, {})
        self.network.restore_node(node, network)

    def restore_pod(self, config: PodSandboxConfig, *, ip: str, created_at: float) -> str:
        """A sandbox with the address that it had; its id."""
        pod = Pod(self._new_id(), config, created_at)
        self.network.attach(pod, ip)
        self._pods[pod.id] = self._pods_on(config.node)[pod.id] = pod
        return pod.id

    def restore_container(self, sandbox_id: str, config: ContainerConfig, was: ContainerStatus) -> None:
        """A container that runs or has ended."""
        pod = self._pod(sandbox_id)
        image = find(config.image, [*config.command, *config.args])
        container = Container(was.id, pod, config, image, was.created_at)
        container.started_at = was.started_at or math.inf
        self._containers[was.id] = pod.containers[was.id] = container
        self._images.setdefault(canonical(config.image), Image(ref=config.image, id=was.image_id))
        self._highest = max(self._highest, int(was.id, 16) if _is_ours(was.id) else 0)
        self._ids = itertools.count(max(self._highest + 1, next(self._ids)))
        if was.state == EXITED:
            container.finished_at, container.exit_code, container.reason = was.finished_at, was.exit_code, was.reason
        else:
            self._repeat(container)

    def _repeat(self, container: Container) -> None:
        """Bring the container's program to where it is now."""
        try:
            if self._life.resume(container, _Alone(), self, moves=MOVES):
                return
        except UnrepeatableError:
            pass
        container.forget_log()
        self._life.start(container, self, at=self.now())


def _is_ours(container_id: str) -> bool:
    return len(container_id) == 12 and all(digit in "0123456789abcdef" for digit in container_id)
