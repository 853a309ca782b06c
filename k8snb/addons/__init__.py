"""Add-ons: what a cluster is given besides its own components, switched on and off while it runs.

Interface: `ADDONS`, a row for each; `Addons(cluster)`: `enable(name)`, `disable(name)`, `status()`, and `get(name)`,
the `Addon` that is at work. To add one, write a class with the three methods of `Addon` and a row that names it:

    Row("greeter", "k8snb.addons.greeter:Greeter", "Greets whoever asks.")

The rule not to break: an add-on is a client like any other; the cluster runs without it.
minikube applies manifests for the same; its rows are `pkg/addons/config.go` and `pkg/minikube/assets/addons.go`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from k8snb.apimachinery.errors import ApiError
from k8snb.client import User

if TYPE_CHECKING:
    from k8snb.apiserver import ApiServer
    from k8snb.client import Client
    from k8snb.client.context import Context
    from k8snb.client.informer import Informers
    from k8snb.client.instances import Single
    from k8snb.clock import Clock
    from k8snb.controllers.provisioner import Provisioners
    from k8snb.hosts import Host
    from k8snb.pump import Pump

DNS, METRICS, STORAGE_CLASS, PROVISIONER = "dns", "metrics-server", "default-storageclass", "storage-provisioner"
MANAGER = User("system:serviceaccount:kube-system:addon-manager", ("system:masters",))  # whose objects add-ons make


class Ground(Protocol):
    """What an add-on stands on: the cluster, as far as an add-on may use it.

    `context` gives clients to the parts that run in the pump (`context.client("system:serviceaccount:kube-system:…")`),
    for informers and controllers; `client_for(user)` one to everything else, such as the threads of a web server.
    `host` holds what the nodes stand on: `executor` for slow work, `plane` for the addresses behind Services, `visit`.
    """

    name: str
    clock: Clock
    pump: Pump
    runtime_name: str
    resolver: str  # where pods find the cluster's DNS, "" = nowhere
    provisioners: Provisioners

    @property
    def running(self) -> bool: ...
    @property
    def informers(self) -> Informers: ...  # which all nodes share
    @property
    def context(self) -> Context: ...
    @property
    def host(self) -> Host: ...
    @property
    def apiserver(self) -> ApiServer: ...
    @property
    def volumes(self) -> str:
        """The directory for the volumes that are made here, "" for a temporary one."""

    @property
    def kubeconfig(self) -> str: ...
    def client_for(self, user: User) -> Client: ...
    def serve(self, port: int = 0) -> str: ...
    def address(self, ip: str, port: int) -> tuple[str, int]: ...
    def service_urls(self, name: str, namespace: str = "default") -> list[str]: ...


class Addon(Protocol):
    """An add-on at work in one cluster. One object serves from `enable` to `stop` or `disable`, and may serve again."""

    def enable(self, cluster: Ground) -> None:
        """Make the objects that are missing and begin. Called under the pump's lock, in a cluster that runs: when
        somebody switches the add-on on, and at each start of the cluster while it is on. What starts a thread or a
        socket keeps it to itself. Raises ValueError, in a sentence for a beginner, where it cannot work.
        """

    def stop(self) -> None:
        """The cluster is switched off: let go of threads, sockets and informers. What etcd holds stays. Called without
        the pump's lock, so that it may wait for a thread of its own; also after an `enable` that failed half-way.
        """

    def disable(self) -> None:
        """`stop`, and take away the objects that the add-on had made. Called without the pump's lock, in a cluster that
        runs; it takes `cluster.pump.lock` to touch a component."""


@runtime_checkable
class Stoppable(Protocol):
    """An add-on with a component that `%kcluster component` stops and starts: `single`, and what to say `about` it."""

    @property
    def single(self) -> Single | None: ...
    @property
    def about(self) -> str: ...


class Row(NamedTuple):
    """One add-on: its name, its class as `module:Class`, which is imported when it is wanted and called without
    arguments, what it does, and whether a new cluster has it. `maintainer` as `addons list` shows it."""

    name: str
    made_by: str
    help: str
    on: bool = False
    maintainer: str = "k8snb"

    def make(self) -> Addon:
        module, _, name = self.made_by.partition(":")
        addon: Addon = getattr(importlib.import_module(module), name)()
        return addon


ADDONS: tuple[Row, ...] = (
    Row(STORAGE_CLASS, "k8snb.addons.storage:DefaultStorageClass",
        "StorageClass standard, for claims that name none.", on=True),
    Row(DNS, "k8snb.addons.dns:Dns", "Names for Services and pods, by CoreDNS.", on=True),
    Row("dashboard", "k8snb.addons.dashboard:DashboardAddon", "A web page for the cluster: %kcluster dashboard."),
    Row("ingress", "k8snb.addons.ingress:IngressAddon", "HTTP and HTTPS from outside, by host and path, to Services."),
    Row("logging", "k8snb.addons.log_collector:LoggingAddon", "What all containers wrote, kept: %klogs --all."),
    Row(METRICS, "k8snb.addons.metrics_server:MetricsAddon", "What pods and nodes use now: kubectl top and HPA.",
        on=True),
    Row(PROVISIONER, "k8snb.addons.storage:StorageProvisioner",
        "Makes volumes for the claims of StorageClass standard.", on=True),
)  # fmt: skip


class Status(NamedTuple):
    """A row of `addons list`. `problem` says why one that is enabled does not work."""

    row: Row
    enabled: bool
    problem: str = ""


class Addons:
    """The add-ons of one cluster. Which are on is kept over `stop` and `start`."""

    def __init__(self, cluster: Ground, rows: Iterable[Row] = ADDONS) -> None:
        self._cluster = cluster
        self._rows: Mapping[str, Row] = {row.name: row for row in rows}
        self._on = {row.name for row in self._rows.values() if row.on}
        self.on_change: Callable[[], None] = lambda: None
        self._made: dict[str, Addon] = {}
        self._working: dict[str, Addon] = {}
        self._problems: dict[str, str] = {}

    def status(self) -> list[Status]:
        """All of them, by name."""
        rows = sorted(self._rows.values())
        return [Status(row, row.name in self._on, self._problems.get(row.name, "")) for row in rows]

    def get(self, name: str) -> Addon | None:
        """The add-on while it is at work. Raises ValueError for a name that is none."""
        return self._working.get(self._row(name).name)

    def working(self) -> list[Addon]:
        """Those that are at work."""
        return list(self._working.values())

    def is_enabled(self, name: str) -> bool:
        return self._row(name).name in self._on

    def enable(self, name: str) -> None:
        """Switch one on, now and at each start. Raises ValueError where there is none, or where it cannot work."""
        row = self._row(name)
        if self._cluster.running and name not in self._working:
            with self._cluster.pump.lock:
                self._begin(row)
            if name in self._problems:
                raise ValueError(f"{name}: {self._problems.pop(name)}")
        self._on.add(name)
        self.on_change()

    def restore(self, names: Iterable[str]) -> None:
        """These were on when the cluster was there last."""
        self._on = {name for name in names if name in self._rows}

    def disable(self, name: str) -> None:
        """Switch one off, with the objects that it made."""
        self._row(name)
        addon = self._working.pop(name, None)
        if addon is not None:
            addon.disable()
        self._on.discard(name)
        self._problems.pop(name, None)
        self.on_change()

    def start(self) -> None:
        """The cluster starts. One that cannot work says why in its status; the cluster does without it."""
        for name, row in self._rows.items():
            if name in self._on:
                self._begin(row)

    def stop(self) -> None:
        """The cluster stops. The last one that began ends first."""
        while self._working:
            self._working.popitem()[1].stop()

    def _begin(self, row: Row) -> None:
        addon = self._made.get(row.name) or self._made.setdefault(row.name, row.make())
        self._problems.pop(row.name, None)
        try:
            addon.enable(self._cluster)
        except (ApiError, ValueError, OSError) as error:
            self._problems[row.name] = str(error)
            addon.stop()
        else:
            self._working[row.name] = addon

    def _row(self, name: str) -> Row:
        if name not in self._rows:
            raise ValueError(f'"{name}" is not a valid add-on: there are {", ".join(sorted(self._rows))}')
        return self._rows[name]
