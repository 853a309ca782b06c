"""replication-controller: the first of the controllers that keep a number of pods; its selector is a plain set of
labels.

Interface: `ReplicationManager`, upstream's own name for it. The rule not to break: see `replicas`.
Source: `pkg/controller/replication` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.selectors import NOTHING, Selector, from_set
from k8snb.controllers.replicas import ReplicasController


class ReplicationManager(ReplicasController):
    name = "replication-controller"
    kind = "ReplicationController"
    resource = "replicationcontrollers"

    def selector_of(self, owner: Object) -> Selector:
        labels = owner["spec"].get("selector")
        return from_set(labels) if labels else NOTHING
