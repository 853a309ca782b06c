"""The hold on the current cluster: which clusters this notebook has, and which one its magics mean.

Interface: `Clusters`, with `current`, `find`, `start`, `delete`, `use`, `close`; `Wishes`, what a start asks for.
The rule not to break: this is the only place that knows a current cluster; all below is handed one.
minikube keeps the same as profiles in a directory; these live as long as the kernel does, or their data directory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from k8snb.kubectl.history import Change
from k8snb.kubectl.output import KubectlError
from k8snb.notebook.contexts import Contexts
from k8snb.notebook.defaults import Defaults

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

DEFAULT = "k8snb"
EFFECTS = 60.0  # seconds of virtual time in which a command may have effects
NODES = 3


@dataclass(frozen=True)
class Wishes:
    """What a new cluster shall be like; nothing said = the default of this user, then of k8snb. `cpus` and `memory`
    are quantities (`2`, `4Gi`). `data_dir` is where the cluster outlives this process."""

    nodes: int = 0
    runtime: str = ""
    cpus: str = ""
    memory: str = ""
    addons: Sequence[str] = ()
    data_dir: str = ""


class Clusters:
    """Clusters by name. `make(name, nodes=…, runtime=…)`, with `cpus` and `memory` where somebody asks for a size,
    makes one that is not started."""

    def __init__(self, make: Callable[..., Cluster], defaults: Defaults | None = None) -> None:
        self._make = make
        self.defaults = defaults or Defaults()
        self._clusters: dict[str, Cluster] = {}
        self._failures: dict[str, bool] = {}  # what went wrong in a component → whether it was told
        self.name = self.defaults.get("profile") or DEFAULT
        self.contexts = Contexts(self)
        self.changes: list[Change] = []  # of this session, on all clusters

    @property
    def names(self) -> list[str]:
        return list(self._clusters)

    def find(self, name: str = "") -> Cluster:
        """A cluster, the current one without a name, running or not. Raises KubectlError where there is none."""
        remote = self.contexts.remote
        if remote is not None and name not in self._clusters and name in ("", remote.name):
            return cast("Cluster", remote)
        name = name or self.name
        cluster = self._clusters.get(name)
        if cluster is None:
            raise KubectlError(f'there is no cluster "{name}": %kcluster start{_flag(name)}')
        return cluster

    @property
    def chosen(self) -> Cluster:
        """The current cluster, running or not. Raises KubectlError where there is none."""
        return self.find()

    @property
    def current(self) -> Cluster:
        """The current cluster, which runs. Raises KubectlError."""
        return self.running()

    def running(self, name: str = "") -> Cluster:
        """As `find`, but it has to run. Raises KubectlError."""
        cluster = self.find(name)
        if not cluster.running:
            raise KubectlError(f"the cluster is stopped: %kcluster start{_flag(cluster.name)}")
        return cluster

    def named(self, name: str) -> Cluster:
        """A cluster of this notebook."""
        return self._clusters[name]

    def describe(self, name: str) -> tuple[str, str]:
        """A cluster's state and runtime."""
        cluster = self._clusters[name]
        return ("Running" if cluster.running else "Stopped", cluster.runtime_name)

    def start(self, name: str = "", wishes: Wishes | None = None, *, wait: float = 0.0) -> Cluster:
        """Make the cluster if there is none of this name, let it go on if it does not, and mean it from now on.

        Raises KubectlError for a cluster that exists and is another than asked for, ValueError where none can be had.
        """
        name, wishes = name or self.name, wishes or Wishes()
        self.contexts.leave()
        cluster = self._clusters.get(name)
        if cluster is None:
            cluster = self._new(name, wishes)
        else:
            _refuse_change(cluster, wishes)
        try:
            for addon in wishes.addons:
                cluster.addons.enable(addon)
            if not cluster.running:
                cluster.start(wait=wait)
            elif cluster.pump.paused:
                cluster.unpause()
        except BaseException:
            if name not in self._clusters:
                cluster.close()  # its data directory is free again
            raise
        self._listen(cluster)
        self._clusters[name] = cluster
        self.name = name
        return cluster

    def adopt(self, cluster: Cluster) -> None:
        """Have a cluster that somebody made, and mean it from now on. Its name must be free."""
        self.contexts.leave()
        cluster.pump.on_failure = self._failed
        self._listen(cluster)
        self._clusters[cluster.name] = cluster
        self.name = cluster.name

    def _listen(self, cluster: Cluster) -> None:
        """Keep what is changed; in a fork, whose time is virtual, a change has its effects before the next cell."""

        def changed(change: Change) -> None:
            self.changes.append(change)
            if cluster.forked is not None and not cluster.pump.paused:
                cluster.settle(limit=EFFECTS)

        cluster.kubectl.on_change = changed

    def _new(self, name: str, wishes: Wishes) -> Cluster:
        sizes = {"cpus": wishes.cpus or self.defaults.cpus, "memory": wishes.memory or self.defaults.memory}
        sizes["data_dir"] = wishes.data_dir or self.defaults.data_dir(name)
        cluster = self._make(
            name, nodes=wishes.nodes or self.defaults.nodes or NODES,
            runtime=wishes.runtime or self.defaults.runtime or "auto",
            **{size: wish for size, wish in sizes.items() if wish},
        )  # fmt: skip
        cluster.pump.on_failure = self._failed
        return cluster

    def use(self, name: str) -> None:
        """Mean another cluster from now on."""
        if name not in self._clusters:
            known = ", ".join(self._clusters) or "none"
            raise KubectlError(f'there is no cluster "{name}" (there is: {known}): %kcluster start -p {name}')
        self.contexts.leave()
        self.name = name

    def delete(self, name: str = "") -> None:
        """End a cluster and forget it; where it was the current one, another becomes it, if there is one."""
        cluster = self.find(name)
        cluster.delete()
        del self._clusters[cluster.name]
        if cluster.name == self.name:
            self.name = next(iter(self._clusters), DEFAULT)

    def close(self) -> None:
        """End them all; what has a data directory is kept there."""
        self.contexts.leave()
        while self._clusters:
            self._clusters.popitem()[1].close()

    def take_failures(self) -> list[str]:
        """What went wrong inside components since the last question. Nothing prints it when it happens."""
        fresh = [text for text, told in self._failures.items() if not told]
        self._failures.update(dict.fromkeys(fresh, True))
        return fresh

    def _failed(self, component: str, details: str) -> None:
        """Called by the pump, from its thread."""
        last = details.strip().rpartition("\n")[2]
        self._failures.setdefault(f"{component} failed, which is a mistake in k8snb: {last}", False)


def _refuse_change(cluster: Cluster, wishes: Wishes) -> None:
    """A cluster keeps its runtime, and its machines come and go one by one. Raises KubectlError."""
    for what, asked, way in (
        ("runtime", wishes.runtime not in ("", "auto", cluster.runtime_name), ""),
        ("number of nodes", wishes.nodes not in (0, len(cluster.machines.specs) - 1), "use %kcluster node add, or "),
        ("data directory", wishes.data_dir != "" and not _is_in(cluster, wishes.data_dir), ""),
        ("CPUs", bool(wishes.cpus), ""),
        ("memory size", bool(wishes.memory), ""),
    ):
        if asked:
            raise KubectlError(f'error: the cluster "{cluster.name}" exists: you cannot change its {what}: '
                               f"{way}%kcluster delete it first")  # fmt: skip


def _is_in(cluster: Cluster, directory: str) -> bool:
    return cluster.data is not None and cluster.data.path == Path(directory).expanduser().absolute()


def _flag(name: str) -> str:
    return "" if name == DEFAULT else f" -p {name}"
