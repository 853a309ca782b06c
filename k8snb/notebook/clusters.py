"""The hold on the current cluster: which clusters this notebook has, and which one its magics mean.

Interface: `Clusters`, with `current`, `start`, `stop`, `delete`, `use`, `close`.
The rule not to break: this is the only place that knows a current cluster; all below is handed one.
minikube keeps the same as profiles in a directory; these live as long as the kernel does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from k8snb.kubectl.history import Change
from k8snb.kubectl.output import KubectlError

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

DEFAULT = "k8snb"
NODES = 3


class Clusters:
    """Clusters by name. `make(name, nodes=…, runtime=…)` makes one that is not started."""

    def __init__(self, make: Callable[..., Cluster]) -> None:
        self._make = make
        self._clusters: dict[str, Cluster] = {}
        self._failures: dict[str, bool] = {}  # what went wrong in a component → whether it was told
        self.name = DEFAULT
        self.changes: list[Change] = []  # of this session, on all clusters

    @property
    def names(self) -> list[str]:
        return list(self._clusters)

    @property
    def chosen(self) -> Cluster:
        """The current cluster, running or not. Raises KubectlError where there is none."""
        cluster = self._clusters.get(self.name)
        if cluster is None:
            raise KubectlError(f'there is no cluster "{self.name}": %kcluster start{self._flag()}')
        return cluster

    @property
    def current(self) -> Cluster:
        """The current cluster, which runs. Raises KubectlError."""
        cluster = self.chosen
        if not cluster.running:
            raise KubectlError(f"the cluster is stopped: %kcluster start{self._flag()}")
        return cluster

    def describe(self, name: str) -> tuple[str, str]:
        """A cluster's state and runtime."""
        cluster = self._clusters[name]
        return ("Running" if cluster.running else "Stopped", cluster.runtime_name)

    def start(self, name: str = "", *, nodes: int = 0, runtime: str = "", wait: float = 0.0) -> Cluster:
        """Make the cluster if there is none of this name, start it if it does not run, and mean it from now on."""
        name = name or self.name
        cluster = self._clusters.get(name)
        if cluster is None:
            cluster = self._make(name, nodes=nodes or NODES, runtime=runtime or "auto")
            cluster.pump.on_failure = self._failed
        elif nodes or runtime:
            raise KubectlError(f'the cluster "{name}" exists: its nodes are added by %kcluster node add, and its '
                               "runtime is chosen once; or %kcluster delete it first")  # fmt: skip
        if not cluster.running:
            cluster.start(wait=wait)
        cluster.kubectl.on_change = self.changes.append
        self._clusters[name] = cluster
        self.name = name
        return cluster

    def use(self, name: str) -> None:
        """Mean another cluster from now on."""
        if name not in self._clusters:
            known = ", ".join(self._clusters) or "none"
            raise KubectlError(f'there is no cluster "{name}" (there is: {known}): %kcluster start --name {name}')
        self.name = name

    def stop(self) -> None:
        cluster = self.chosen
        if cluster.running:
            cluster.stop()

    def delete(self) -> None:
        """End the current cluster and forget it; another one, if there is one, becomes the current."""
        cluster = self.chosen
        cluster.delete()
        del self._clusters[self.name]
        self.name = next(iter(self._clusters), DEFAULT)

    def close(self) -> None:
        """End them all."""
        while self._clusters:
            self._clusters.popitem()[1].delete()

    def take_failures(self) -> list[str]:
        """What went wrong inside components since the last question. Nothing prints it when it happens."""
        fresh = [text for text, told in self._failures.items() if not told]
        self._failures.update(dict.fromkeys(fresh, True))
        return fresh

    def _failed(self, component: str, details: str) -> None:
        """Called by the pump, from its thread."""
        last = details.strip().rpartition("\n")[2]
        self._failures.setdefault(f"{component} failed, which is a mistake in k8snb: {last}", False)

    def _flag(self) -> str:
        return "" if self.name == DEFAULT else f" --name {self.name}"
