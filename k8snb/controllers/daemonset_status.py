"""daemonset-controller's view: the nodes, the pods by the node they are meant for, and what the status says of them.

Interface: `View`, made once for each sync; `new_status`.
The rule not to break: pure; the moment is an argument.
Source: `updateDaemonSetStatus`, `getNodesToDaemonPods` in pkg/controller/daemon/daemon_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from k8snb.apimachinery.meta import Object, annotations_of, get_path, is_deleting, labels_of, name_of
from k8snb.controllers.daemonset_nodes import Verdict, daemon_spec, should_run, target_of
from k8snb.controllers.pods import is_available, is_ready, is_terminal, node_of

HASH, GENERATION = "controller-revision-hash", "pod-template-generation"
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"  # an annotation of the DaemonSet


@dataclass
class View:
    """A DaemonSet as one sync sees it. `hash` is that of its present template."""

    owner: Object
    hash: str
    now: float
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    pods: dict[str, list[Object]] = field(default_factory=dict)

    def look(self, nodes: Iterable[Object], pods: Iterable[Object]) -> None:
        """Judge the nodes and sort the pods. A pod that has ended and is on its way out counts no more."""
        spec = daemon_spec(self.owner)
        self.verdicts = {name_of(node): should_run(spec, node) for node in nodes}
        for pod in sorted(pods, key=_seniority):
            node = target_of(pod)
            if node and not (is_terminal(pod) and is_deleting(pod)):
                self.pods.setdefault(node, []).append(pod)

    def wanted(self) -> list[str]:
        """The nodes that are to have a pod."""
        return [node for node, verdict in self.verdicts.items() if verdict.run]

    def is_updated(self, pod: Object) -> bool:
        """Whether a pod is of the present template: by its hash, or by the generation that went before hashes."""
        labels, generation = labels_of(pod), annotations_of(self.owner).get(TEMPLATE_GENERATION)
        return labels.get(HASH) == self.hash or (generation is not None and labels.get(GENERATION) == generation)

    def is_available(self, pod: Object) -> bool:
        return is_available(pod, self.owner["spec"].get("minReadySeconds", 0), self.now)


def _seniority(pod: Object) -> tuple[bool, str, str]:
    """Pods that have their node come first, then the older ones."""
    return not node_of(pod), pod["metadata"]["creationTimestamp"], name_of(pod)


def new_status(view: View) -> Object:
    """The counts over all nodes; of several pods on a node the first counts."""
    wanted = view.wanted()
    chosen = [view.pods[node][0] for node in wanted if view.pods.get(node)]
    ready = [pod for pod in chosen if is_ready(pod)]
    available = sum(map(view.is_available, ready))
    elsewhere = [node for node, verdict in view.verdicts.items() if not verdict.run and view.pods.get(node)]
    counts = {
        "updatedNumberScheduled": sum(map(view.is_updated, chosen)),
        "numberAvailable": available,
        "numberUnavailable": len(wanted) - available,
        "observedGeneration": view.owner["metadata"].get("generation", 0),
        "collisionCount": get_path(view.owner, "status.collisionCount", 0),
    }
    return {
        "currentNumberScheduled": len(chosen),
        "numberMisscheduled": len(elsewhere),
        "desiredNumberScheduled": len(wanted),
        "numberReady": len(ready),
        **{name: count for name, count in counts.items() if count},
    }
