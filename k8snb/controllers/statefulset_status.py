"""statefulset-controller's status: how many pods there are, and of which revision.

Interface: `Round`, a StatefulSet and its pods as one sync sees them; `new_status`.
The rule not to break: pure; the moment is an argument, and the same input gives the same status.
Source: `computeReplicaStatus`, `completeRollingUpdate` in pkg/controller/statefulset.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from k8snb.apimachinery.meta import Object, get_path, is_deleting, name_of
from k8snb.controllers.history import restored
from k8snb.controllers.pods import is_ready, phase_of
from k8snb.controllers.statefulset_pods import (
    is_made,
    is_up,
    ordinal_of,
    ordinals,
    pod_for,
    replicas_of,
    revision_name,
    start_of,
)


@dataclass
class Round:
    """What one sync works on. `replicas` are by ordinal, each made or still to be made; `condemned` are the pods
    beyond them, the highest ordinal first; `current` and `update` are ControllerRevisions.
    """

    key: str
    owner: Object
    current: Object
    update: Object
    collisions: int
    replicas: list[Object] = field(default_factory=list)
    condemned: list[Object] = field(default_factory=list)

    @property
    def ordered(self) -> bool:
        return bool(self.owner["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady")

    @property
    def strategy(self) -> Object:
        strategy: Object = self.owner["spec"].get("updateStrategy") or {}
        return strategy

    @property
    def is_rolling(self) -> bool:
        return bool(self.strategy.get("type", "RollingUpdate") == "RollingUpdate")

    def sort(self, pods: list[Object]) -> None:
        """Give each pod its place, and each ordinal its pod."""
        wanted = ordinals(self.owner)
        present = {ordinal_of(pod): pod for pod in pods}
        self.replicas = [present.get(ordinal) or self._missing(ordinal) for ordinal in wanted]
        beyond = [pod for ordinal, pod in present.items() if ordinal not in wanted]
        self.condemned = sorted(beyond, key=ordinal_of, reverse=True)

    def _missing(self, ordinal: int) -> Object:
        revision = self.current if self._is_of_the_past(ordinal) else self.update
        return pod_for(restored(self.owner, revision), ordinal, name_of(revision))

    def _is_of_the_past(self, ordinal: int) -> bool:
        """Whether a rollout has not come to this ordinal yet, so that it is made of the current revision again."""
        if not self.is_rolling:
            return False
        rolling = self.strategy.get("rollingUpdate")
        kept = get_path(self.owner, "status.currentReplicas", 0) if rolling is None else rolling.get("partition", 0)
        return bool(ordinal < start_of(self.owner) + kept)


def new_status(round_: Round, now: float) -> Object:
    """The counts over all pods. `replicas` and `availableReplicas` are told even when they are nought."""
    made = [pod for pod in [*round_.replicas, *round_.condemned] if is_made(pod)]
    ready = [pod for pod in made if phase_of(pod) == "Running" and is_ready(pod)]
    staying = [revision_name(pod) for pod in made if not is_deleting(pod)]
    current, update = name_of(round_.current), name_of(round_.update)
    counts = {
        "observedGeneration": round_.owner["metadata"].get("generation", 0),
        "readyReplicas": len(ready),
        "currentReplicas": staying.count(current),
        "updatedReplicas": staying.count(update),
    }
    status = {
        "replicas": len(made),
        "availableReplicas": sum(is_up(pod, round_.owner, now) for pod in ready),
        **{name: count for name, count in counts.items() if count},
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": round_.collisions,
    }
    return _completed(round_, status)


def _completed(round_: Round, status: dict[str, Any]) -> Object:
    """When the last pod of a rollout is ready, the update becomes what is current."""
    counts = (status.get(name, 0) for name in ("updatedReplicas", "readyReplicas", "replicas"))
    wanted = replicas_of(round_.owner)
    if not round_.is_rolling or any(count != wanted for count in counts):
        return status
    updated = {"currentReplicas": wanted} if wanted else {}
    return {**status, **updated, "currentRevision": status["updateRevision"]}
