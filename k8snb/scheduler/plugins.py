"""kube-scheduler's plug-ins: which rules there are, whether they may say no, and how much their score weighs.

Interface: `PLUGINS`, `Profile`.
The rule not to break: the cheap and likely refusals come first; a score of weight 0 is not asked for.
Source: `pkg/scheduler/framework/plugins/registry.go` and `apis/config/v1/default_plugins.go` in the kubernetes
repository.
Upstream's PrioritySort and DefaultBinder are the queue and the scheduler themselves. DynamicResources, in Kubernetes
1.33 off by default, is not implemented by k8snb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from k8snb.scheduler.default_preemption import DefaultPreemption
from k8snb.scheduler.framework import Plugin
from k8snb.scheduler.image_locality import ImageLocality
from k8snb.scheduler.inter_pod_affinity import InterPodAffinity
from k8snb.scheduler.node_affinity import NodeAffinity
from k8snb.scheduler.node_name import NodeName
from k8snb.scheduler.node_ports import NodePorts
from k8snb.scheduler.node_resources import NodeResourcesBalancedAllocation, NodeResourcesFit
from k8snb.scheduler.node_unschedulable import NodeUnschedulable
from k8snb.scheduler.node_volume_limits import NodeVolumeLimits
from k8snb.scheduler.pod_topology_spread import PodTopologySpread
from k8snb.scheduler.scheduling_gates import SchedulingGates
from k8snb.scheduler.taint_toleration import TaintToleration
from k8snb.scheduler.volume_binding import VolumeBinding
from k8snb.scheduler.volume_restrictions import VolumeRestrictions
from k8snb.scheduler.volume_zone import VolumeZone

DEFAULT = "default-scheduler"


class Row(NamedTuple):
    plugin: type[Plugin]
    filters: bool
    weight: int
    is_at_work: bool = True


PLUGINS: tuple[Row, ...] = (
    Row(SchedulingGates, filters=False, weight=0),
    Row(NodeUnschedulable, filters=True, weight=0),
    Row(NodeName, filters=True, weight=0),
    Row(TaintToleration, filters=True, weight=3),
    Row(NodeAffinity, filters=True, weight=2),
    Row(NodePorts, filters=True, weight=0),
    Row(NodeResourcesFit, filters=True, weight=1),
    Row(VolumeRestrictions, filters=True, weight=0),
    Row(NodeVolumeLimits, filters=True, weight=0),
    Row(VolumeBinding, filters=True, weight=0),
    Row(VolumeZone, filters=True, weight=0),
    Row(NodeResourcesBalancedAllocation, filters=False, weight=1),
    Row(PodTopologySpread, filters=True, weight=2),
    Row(InterPodAffinity, filters=True, weight=2),
    Row(ImageLocality, filters=False, weight=1),
    Row(DefaultPreemption, filters=False, weight=0),
)


class Profile(NamedTuple):
    """One of the schedulers in the scheduler: pods choose it by `spec.schedulerName`.

    `args` are keyword arguments for plug-ins, by their names: `{"NodeAffinity": {"added_affinity": …}}`. What a
    configuration file of kube-scheduler says, `configuration.profiles_of` makes profiles of.
    """

    scheduler_name: str = DEFAULT
    plugins: tuple[Row, ...] = PLUGINS
    args: Mapping[str, Mapping[str, Any]] = {}

    def made(self) -> list[Made]:
        """New plug-ins, with their arguments. Raises ValueError for arguments to a plug-in that there is not."""
        unknown = set(self.args) - {row.plugin.name for row in self.plugins}
        if unknown:
            raise ValueError(f"profile {self.scheduler_name}: there is no plug-in {', '.join(sorted(unknown))}")
        return [Made(row.plugin(**self.args.get(row.plugin.name, {})), row.filters, row.weight) for row in self.plugins]


class Made(NamedTuple):
    """A row at work."""

    plugin: Plugin
    filters: bool
    weight: int
