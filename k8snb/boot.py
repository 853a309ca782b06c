"""The boot order: apiservers, kube-controller-manager, kube-scheduler, the nodes' rules, from a start to its stop.

Interface: `ControlPlane(…)` makes the components in the order in which they need each other; `start`, `close`.
The rule not to break: nothing here outlives a stop but what the store holds.
Source: kubeadm's phases (`cmd/kubeadm/app/cmd/phases/init`), which write a static pod for each component instead.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

from k8snb.apiserver import ApiServer, Identity
from k8snb.apiserver.aggregation_controllers import AutoRegister, Availability
from k8snb.apiserver.compactor import Compactor
from k8snb.apiserver.event_ttl import EventTTL
from k8snb.client.context import Context
from k8snb.client.informer import Informers
from k8snb.client.instances import Instances, Program
from k8snb.control_plane import ApiServers
from k8snb.controllers import CONTROLLERS, identity_controllers
from k8snb.controllers.provisioner import Provisioners
from k8snb.entrance import Inside
from k8snb.etcd import Store
from k8snb.executor import ClockExecutor, Executor, ThreadExecutor
from k8snb.faults import Faults
from k8snb.hosts import Host
from k8snb.kube_proxy.proxy import RuleBook
from k8snb.pump import Pump
from k8snb.scheduler import Profile, Scheduler

SCHEDULER = "kube-scheduler"


class ControlPlane:
    """The components that no node has of its own. `nodes` are the informers that all nodes share.

    `seed` settles faults and the names of processes; of the `counts` of controller-managers and schedulers one leads.
    """

    def __init__(
        self, apiservers: ApiServers, store: Store, pump: Pump, host: Host, *, identity: Identity, seed: int | None,
        dice: random.Random, counts: tuple[int, int], profiles: Iterable[Profile], provisioners: Provisioners,
    ) -> None:  # fmt: skip
        clock, cidr = pump.clock, host.runtime.service_cidr
        self._apiservers, self._identity, self._profiles = apiservers, identity, profiles
        server = apiservers.boot(lambda: ApiServer(store, clock, dice=dice, service_cidr=cidr, identity=identity))
        Compactor(server, clock).start()
        EventTTL(store, clock).start()
        self._asking = _asking(pump)
        inside = Inside(server, self._asking)
        apiservers.connect(inside)
        self.faults = Faults(inside, clock, seed)
        self.context = Context(self.faults, clock, pump.add, dice)

        names = random.Random(seed)  # of processes: they change nothing that a seed has settled
        self.managers = Instances(self._manager(), self.context, counts[0], names)
        self.schedulers = Instances(self._scheduling(), self.context, counts[1], names)
        self._beside = Informers(self.context.client("system:apiserver", "system:masters"), self.context)
        provisioners.start(self.context, self._beside)
        self.nodes = Informers(self.context.client("system:nodes"), self.context)
        self.rule_book = RuleBook(self.context, self.nodes, host.plane, post=pump.post)
        for make in (AutoRegister, self._availability):
            make(self.context, self._beside)

    def start(self) -> None:
        self.managers.start()
        for informers in (self._beside, self.nodes):
            informers.start()
        self.schedulers.start()

    def close(self) -> None:
        """Give leases back, and follow the store no longer."""
        self.managers.stop()
        self.schedulers.stop()
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

    def _manager(self) -> Program:
        identity = self._identity
        by_identity = identity_controllers(
            root_ca=identity.root_ca, sign=identity.secret_token, sign_request=identity.sign_request
        )
        return Program("kube-controller-manager", "system:kube-controller-manager", {**CONTROLLERS, **by_identity})

    def _scheduling(self) -> Program:
        return Program(SCHEDULER, "system:kube-scheduler", {SCHEDULER: self._new_scheduler})

    def _new_scheduler(self, context: Context, informers: Informers) -> Scheduler:
        """One that has the plug-ins that the one before was given."""
        before = self.schedulers.works.get(SCHEDULER)
        return Scheduler(context, informers, profiles=self._profiles, joined=before.joined if before else ())

    def _availability(self, context: Context, informers: Informers) -> Availability:
        server = self._apiservers.first
        return Availability(context, informers, server=server, executor=self._asking, others=server.others)


def _asking(pump: Pump) -> Executor:
    """Where webhooks are asked for the cluster's own parts. On a virtual clock the pump itself asks: nothing else
    happens meanwhile anyway."""
    return ClockExecutor(pump.clock, lambda: 0.0) if pump.clock.virtual else ThreadExecutor(pump.post)
