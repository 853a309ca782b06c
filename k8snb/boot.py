"""The boot order: apiservers, kube-controller-manager, kube-scheduler, the nodes' rules, from a start to its stop.

Interface: `ControlPlane(…)` makes the components in the order in which they need each other; `start`, `close`.
The rule not to break: nothing here outlives a stop but what the store holds.
Source: kubeadm's phases (`cmd/kubeadm/app/cmd/phases/init`), which write a static pod for each component instead.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apiserver import ApiServer, Identity
from k8snb.apiserver.aggregation_controllers import AutoRegister, Availability
from k8snb.apiserver.compactor import Compactor
from k8snb.apiserver.event_ttl import EventTTL
from k8snb.client.context import Context
from k8snb.client.informer import Informers
from k8snb.client.instances import Instances
from k8snb.cloud import Provider
from k8snb.cloud.notebook import NotebookCloud
from k8snb.control_plane import ApiServers, component_statuses
from k8snb.controllers.provisioner import Provisioners
from k8snb.entrance import Inside
from k8snb.etcd import Store
from k8snb.executor import ClockExecutor, Executor, ThreadExecutor
from k8snb.faults import Faults
from k8snb.hosts import Host
from k8snb.kube_proxy.proxy import RuleBook
from k8snb.networkpolicy.agent import PolicyAgent
from k8snb.programs import SCHEDULER, cloud_controller_manager, controller_manager, scheduling
from k8snb.pump import Pump
from k8snb.scheduler import Profile, Scheduler
from k8snb.serve import Door

COMPONENT_STATUS = BY_GVK["v1", "ComponentStatus"]


class ControlPlane:
    """The components that no node has of its own. `nodes` are the informers that all nodes share.

    `seed` settles faults and the names of processes; of the `counts` of controller-managers and schedulers one leads.
    """

    def __init__(
        self, apiservers: ApiServers, store: Store, pump: Pump, host: Host, *, identity: Identity, seed: int | None,
        dice: random.Random, counts: tuple[int, int], profiles: Sequence[Profile], provisioners: Provisioners,
        cloud: Provider | None, cluster_cidr: str, reserved: Sequence[str], listen: Callable[[Host, Door], None],
    ) -> None:  # fmt: skip
        clock, cidr = pump.clock, host.runtime.service_cidr
        self._apiservers = apiservers
        server = apiservers.boot(lambda: ApiServer(store, clock, dice=dice, service_cidr=cidr, identity=identity))
        Compactor(server, clock).start()
        EventTTL(store, clock).start()
        self._asking = _asking(pump)
        inside = Inside(server, self._asking)
        apiservers.connect(
            inside, listen=lambda door: listen(host, door), stop_listening=lambda: host.stop_listening()
        )  # fmt: skip
        self.faults = Faults(inside, clock, seed)
        self.context = Context(self.faults, clock, pump.add, dice)

        names = random.Random(seed)  # of processes: they change nothing that a seed has settled
        self.gives_ranges = bool(cluster_cidr)
        manager = controller_manager(identity, cluster_cidr, reserved)
        self.managers = Instances(manager, self.context, counts[0], names)
        self.schedulers = Instances(scheduling(profiles), self.context, counts[1], names)
        self.elected = [self.managers, self.schedulers]
        if isinstance(cloud, NotebookCloud):
            cloud.connect(host.edge)
        if cloud is not None:
            self.elected.append(Instances(cloud_controller_manager(cloud), self.context, 1, names))
        self._beside = Informers(self.context.client("system:apiserver", "system:masters"), self.context)
        provisioners.start(self.context, self._beside)
        self.nodes = Informers(self.context.client("system:nodes"), self.context)
        self.rule_book = RuleBook(self.context, self.nodes, host.plane, post=pump.post)
        self.policies = PolicyAgent(self.context, self.nodes, firewall=host.firewall)
        host.enforce(self.policies.book)
        host.edge.report_to(host.plane.report)
        for each in apiservers.all:
            each.virtual[COMPONENT_STATUS] = lambda request: component_statuses(request, self.elected)
        for make in (AutoRegister, self._availability):
            make(self.context, self._beside)

    def start(self) -> None:
        self.managers.start()
        for informers in (self._beside, self.nodes):
            informers.start()
        for instances in self.elected[1:]:
            instances.start()

    def close(self) -> None:
        """Give leases back, and follow the store no longer."""
        for instances in self.elected:
            instances.stop()
        self._apiservers.close()
        self._asking.close()

    @property
    def controllers(self) -> Mapping[str, Any]:
        """The controllers at work in kube-controller-manager, by name."""
        return self.managers.works

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler at work; while none is, the last one."""
        scheduler: Scheduler = self.schedulers.works[SCHEDULER]
        return scheduler

    def _availability(self, context: Context, informers: Informers) -> Availability:
        server = self._apiservers.first
        return Availability(context, informers, server=server, executor=self._asking, others=server.others)


def _asking(pump: Pump) -> Executor:
    """Where webhooks are asked for the cluster's own parts. On a virtual clock the pump itself asks: nothing else
    happens meanwhile anyway."""
    return ClockExecutor(pump.clock, lambda: 0.0) if pump.clock.virtual else ThreadExecutor(pump.post)
