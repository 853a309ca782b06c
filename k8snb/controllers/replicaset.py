"""replicaset-controller: as many pods of a template as `spec.replicas` says, whatever happens to them.

Interface: `ReplicaSetController`. The rule not to break: see `replicas`.
Source: `pkg/controller/replicaset` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.selectors import Selector, from_label_selector
from k8snb.controllers.replicas import ReplicasController


class ReplicaSetController(ReplicasController):
    name = "replicaset-controller"
    kind = "ReplicaSet"
    resource = "replicasets"

    def selector_of(self, owner: Object) -> Selector:
        return from_label_selector(owner["spec"].get("selector"))
