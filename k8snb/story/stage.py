"""Behind the scene: what a cluster's owner sees of it and its API does not tell.

Interface: `scene(house)`, what a diagnosis may look at; `Stage`, a `why.Backstage`.
The rule not to break: it looks and changes nothing.
Of a real cluster its administrators know this from their machines, not from Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from k8snb.apimachinery.meta import Object, get_path
from k8snb.client import Client
from k8snb.client.instances import STOPPED
from k8snb.control_plane import Component
from k8snb.faults import Faults
from k8snb.machines import Node
from k8snb.pump import Pump
from k8snb.scheduler import Scheduler
from k8snb.story.why import Scene

__all__ = ["Scene", "Stage", "scene"]


class House(Protocol):
    """A cluster, as its owner has it."""

    resolver: str
    pump: Pump

    @property
    def client(self) -> Client: ...
    @property
    def scheduler(self) -> Scheduler: ...
    @property
    def faults(self) -> Faults: ...
    @property
    def nodes(self) -> Mapping[str, Node]: ...
    def components(self) -> Mapping[str, Component]: ...


def scene(house: House) -> Scene:
    return Scene(house.client, house.scheduler.decisions.get, Stage(house))


@dataclass(frozen=True)
class Stage:
    """What there is to see of one cluster."""

    house: House

    def stopped(self) -> list[str]:
        return [name for name, component in self.house.components().items() if component.state == STOPPED]

    def paused(self) -> bool:
        return self.house.pump.paused

    def schedulers(self) -> list[str]:
        return list(self.house.scheduler.algorithms)

    def mend_node(self, node: str) -> str:
        """What has become of a machine, as the command that takes it back."""
        machine = self.house.nodes.get(node)
        if machine is None:
            return f"kubectl delete node {node}"
        if not machine.on:
            return f"%kcluster node start {node}"
        if self.house.faults.is_cut(f"system:node:{node}"):
            return f"%kcluster node rejoin {node}"
        return f"%kcluster component start kubelet/{node}" if machine.kubelet is None else ""

    def answers(self, address: str) -> bool:
        return bool(address) and address in self.house.resolver

    def refusals(self, pod: Object, nodes: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        scheduler = self.house.scheduler
        name = get_path(pod, "spec.schedulerName", scheduler.name)
        if name not in scheduler.algorithms:
            return {}
        with self.house.pump.lock:
            known = [info for node in nodes if (info := scheduler.cache.node(node)) is not None]
            found = scheduler.algorithms[name].refusals(pod, known)
        return {node: [(each.plugin, ", ".join(each.reasons)) for each in verdicts] for node, verdicts in found.items()}
