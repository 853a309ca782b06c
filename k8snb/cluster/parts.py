"""What a cluster is made of, and the ways to it: what the sides of `Cluster` have in common.

Interface: `Parts`, the base of them all.
The rule not to break: nothing is made here; `Cluster` makes the parts, and each side works with them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from k8snb.addons import Addons
from k8snb.apiserver import ApiServer
from k8snb.apiserver.history import History
from k8snb.boot import ControlPlane
from k8snb.client import ADMIN, Client, User
from k8snb.client.context import Context
from k8snb.client.informer import Informers
from k8snb.clock import Clock
from k8snb.cloud import Provider
from k8snb.control_plane import ApiServers
from k8snb.data_directory import DataDirectory
from k8snb.entrance import Entrance
from k8snb.etcd import Store
from k8snb.faults import Faults
from k8snb.kube_proxy.proxy import RuleBook
from k8snb.machines import Machines, Node
from k8snb.pump import Pump
from k8snb.scheduler import Scheduler
from k8snb.serve import Door

if TYPE_CHECKING:
    from k8snb.apiserver import Identity
    from k8snb.cri import Runtime
    from k8snb.hosts import Host


class Parts:
    """The parts of one cluster. `runtime` and `control_plane` are there once it was started, `host` while it runs."""

    name: str
    running: bool
    runtime_name: str
    resolver: str
    clock: Clock
    pump: Pump
    store: Store
    identity: Identity
    machines: Machines
    addons: Addons
    apiservers: ApiServers
    data: DataDirectory | None
    cloud: Provider | None
    _runtime: Runtime | None
    _host: Host | None
    _plane: ControlPlane | None

    @property
    def runtime(self) -> Runtime:
        assert self._runtime is not None, "the cluster has not been started"
        return self._runtime

    @property
    def host(self) -> Host:
        assert self._host is not None, "the cluster is stopped"
        return self._host

    @property
    def control_plane(self) -> ControlPlane:
        """That of the last start."""
        assert self._plane is not None, "the cluster has not been started"
        return self._plane

    @property
    def apiserver(self) -> ApiServer:
        """The apiserver that serves cells and the cluster's own parts."""
        return self.apiservers.first

    @property
    def serving(self) -> bool:
        """Whether any apiserver answers."""
        return self.apiservers.serving is not None

    @property
    def context(self) -> Context:
        """The components' way to the apiserver."""
        return self.control_plane.context

    @property
    def informers(self) -> Informers:
        """Those that all nodes share."""
        return self.control_plane.nodes

    @property
    def controllers(self) -> Mapping[str, Any]:
        """The controllers at work in kube-controller-manager, by name."""
        return self.control_plane.controllers

    @property
    def faults(self) -> Faults:
        """What goes wrong between the components and the apiserver, on purpose."""
        return self.control_plane.faults

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler at work; while none is, the last one."""
        return self.control_plane.scheduler

    @property
    def rule_book(self) -> RuleBook:
        """The rules of the nodes' kube-proxies."""
        return self.control_plane.rule_book

    @property
    def nodes(self) -> dict[str, Node]:
        return self.machines.nodes

    @functools.cached_property
    def client(self) -> Client:
        """The API as the cluster's administrator."""
        return self.client_for(ADMIN)

    @property
    def door(self) -> Door:
        """HTTPS for other processes: the first apiserver's."""
        return self.apiservers.doors[0]

    @property
    def history(self) -> History:
        """What was written here, by whom and because of what."""
        return History(self.store, self.apiserver.kinds)

    def client_for(self, user: User) -> Client:
        return Client(Entrance(self), user)

    def _must_run(self) -> None:
        if not self.running:
            raise ValueError(f'the cluster "{self.name}" is stopped: start it first')
