"""The programs of the control plane: what kube-controller-manager, kube-scheduler and cloud-controller-manager run.

Interface: `controller_manager(…)`, `scheduling(…)` and `cloud_controller_manager(…)`, each a `Program`.
The rule not to break: a program is a table of its parts; what starts, stops and elects it is the same for all.
Source: `cmd/kube-controller-manager`, `cmd/kube-scheduler` and `cmd/cloud-controller-manager`. Upstream each has dozens
of flags besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from k8snb.apiserver import Identity
from k8snb.client.context import Context
from k8snb.client.informer import Informers
from k8snb.client.instances import Program
from k8snb.cloud import Provider
from k8snb.cloud.controllers import cloud_controllers
from k8snb.controllers import CONTROLLERS, identity_controllers
from k8snb.controllers.nodeipam import NodeIpamController
from k8snb.scheduler import Profile, Scheduler

NODE_IPAM = "node-ipam-controller"
SCHEDULER = "kube-scheduler"


def controller_manager(identity: Identity, cluster_cidr: str, reserved: Iterable[str]) -> Program:
    """All controllers. Nodes get ranges of `cluster_cidr`, but none that is `reserved`; with "" they have their own."""
    parts = {
        **CONTROLLERS,
        **identity_controllers(
            root_ca=identity.root_ca, sign=identity.secret_token, sign_request=identity.sign_request
        ),
    }  # fmt: skip
    if cluster_cidr:
        parts[NODE_IPAM] = partial(NodeIpamController, cluster_cidr=cluster_cidr, reserved=tuple(reserved))
    return Program("kube-controller-manager", "system:kube-controller-manager", parts)


def scheduling(profiles: Sequence[Profile]) -> Program:
    """The scheduler. Plug-ins that one was given in a cell, the one after it has as well."""
    last: list[Scheduler] = []

    def make(context: Context, informers: Informers) -> Scheduler:
        joined = last[0].joined if last else ()
        last[:] = [Scheduler(context, informers, profiles=profiles, joined=joined)]
        return last[0]

    return Program(SCHEDULER, "system:kube-scheduler", {SCHEDULER: make})


def cloud_controller_manager(cloud: Provider) -> Program:
    """What acts between the cluster and the cloud."""
    return Program("cloud-controller-manager", "system:cloud-controller-manager", cloud_controllers(cloud))
