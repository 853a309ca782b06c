"""The boot order: kube-apiserver, kube-controller-manager, kube-scheduler, from a cluster's start to its stop.

Interface: `ControlPlane(…)` makes the components in the order in which they need each other; `start`, `close`.
The rule not to break: nothing here outlives a stop but what the store holds.
Source: kubeadm's phases (`cmd/kubeadm/app/cmd/phases/init`), which write a static pod for each component instead.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from k8snb.apiserver import ApiServer, Identity
from k8snb.apiserver.aggregation_controllers import AutoRegister, Availability
from k8snb.apiserver.compactor import Compactor
from k8snb.apiserver.event_ttl import EventTTL
from k8snb.client.context import Context
from k8snb.client.informer import Informers
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


class ControlPlane:
    """The components that no node has of its own. `nodes` are the informers that all nodes share."""

    def __init__(
        self, store: Store, pump: Pump, host: Host, *, identity: Identity, seed: int | None, dice: random.Random,
        profiles: Iterable[Profile], provisioners: Provisioners,
    ) -> None:  # fmt: skip
        clock = pump.clock
        self.apiserver = ApiServer(
            store, clock, dice=dice, service_cidr=host.runtime.service_cidr, identity=identity
        )  # fmt: skip
        self.apiserver.bootstrap()
        Compactor(self.apiserver, clock).start()
        EventTTL(store, clock).start()
        self._asking = _asking(pump)
        inside = Inside(self.apiserver, self._asking)
        self.apiserver.postpone = inside.postpone
        self.faults = Faults(inside, clock, seed)
        self.context = Context(self.faults, clock, pump.add, dice)

        self._manager = Informers(self.context.client("system:kube-controller-manager"), self.context)
        by_identity = identity_controllers(
            root_ca=identity.root_ca, sign=identity.secret_token, sign_request=identity.sign_request
        )
        makers = {**CONTROLLERS, **by_identity}
        self.controllers = {name: make(self.context, self._manager) for name, make in makers.items()}
        provisioners.start(self.context, self._manager)
        self._scheduling = Informers(self.context.client("system:kube-scheduler"), self.context)
        self.scheduler = Scheduler(self.context, self._scheduling, profiles=profiles)
        self.nodes = Informers(self.context.client("system:nodes"), self.context)
        self.rule_book = RuleBook(self.context, self.nodes, host.plane, post=pump.post)
        for make in (AutoRegister, self._availability):
            make(self.context, self._manager)

    def start(self) -> None:
        for informers in (self._manager, self._scheduling, self.nodes):
            informers.start()
        for controller in self.controllers.values():
            controller.start()
        self.scheduler.start()

    def close(self) -> None:
        """Follow the store no longer."""
        self.apiserver.close()
        self._asking.close()

    def _availability(self, context: Context, informers: Informers) -> Availability:
        server = self.apiserver
        return Availability(context, informers, server=server, executor=self._asking, others=server.others)


def _asking(pump: Pump) -> Executor:
    """Where webhooks are asked for the cluster's own parts. On a virtual clock the pump itself asks: nothing else
    happens meanwhile anyway."""
    return ClockExecutor(pump.clock, lambda: 0.0) if pump.clock.virtual else ThreadExecutor(pump.post)
