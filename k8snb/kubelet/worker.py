"""kubelet's memory of one pod: what it knows between two syncs beside the pod object and the runtime's listing.

Interface: `Worker`, changed by `pod_workers`, `work`, `images`, `killing`, `lifecycle`, `resizer` and `status_manager`
alone; `is_over(pod)`, `grace_of(worker)`; `stray(state, uid)`, a pod for what runs without one.
The rule not to break: nothing here is the truth about the pod; with all of it forgotten, the pod is still brought to
what its spec says.
Source: `podSyncStatus` in pkg/kubelet/pod_workers.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from k8snb.apimachinery.meta import Object, is_deleting
from k8snb.cri import ContainerResources, Image, RuntimeFailure
from k8snb.kubelet.actions import PodState, is_terminal
from k8snb.kubelet.backoff import Backoff
from k8snb.kubelet.status import Waiting


@dataclass
class Worker:
    """One pod on its way. `round` tells the work under way from work that has been given up on."""

    pod: Object
    busy: int = 0  # pieces of runtime work under way
    pulling: int = 0  # looks for images, which a pod that is being deleted does not wait for
    round: int = 0
    sleeps: bool = False  # a container's hook after its start lets time pass
    grace: float = 0.0  # seconds granted to the containers that are being stopped; 0 while none is
    most_grace: float | None = None  # seconds that the containers get at most, where the node cannot wait
    gone: bool = False
    is_admitted: bool = False  # the node has looked whether it can take the pod
    is_static: bool = False  # the pod is the node's own: in the apiserver there is at most its mirror
    mirror: Object | None = None
    images: dict[str, Image] = field(default_factory=dict)  # by container: what has been seen to for its next start
    waiting: dict[str, Waiting] = field(default_factory=dict)
    crashes: dict[str, Backoff] = field(default_factory=dict)
    pulls: dict[str, Backoff] = field(default_factory=dict)
    starts: dict[str, Backoff] = field(default_factory=dict)
    sandbox: Backoff = field(default_factory=Backoff)
    resizes: Backoff = field(default_factory=Backoff)
    resize_failures: dict[str, tuple[ContainerResources, RuntimeFailure]] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)  # ids of ended containers whose end has been noticed
    told: set[str] = field(default_factory=set)

    def count(self, step: int, *, pull: bool) -> None:
        """Work has begun (1) or is over (-1)."""
        if pull:
            self.pulling += step
            return
        self.busy += step
        if not self.busy:
            self.grace = 0.0

    def give_up(self) -> None:
        """What is under way counts no more."""
        self.busy, self.round, self.sleeps = 0, self.round + 1, False

    @property
    def is_busy(self) -> bool:
        return self.busy > 0 or (self.pulling > 0 and not is_deleting(self.pod))

    def forget_resize(self, name: str) -> None:
        """A container has the resources that it was to have."""
        self.resize_failures.pop(name, None)
        self.resizes.succeeded()


def is_over(pod: Object) -> bool:
    """Whether nothing of the pod is to start any more."""
    return is_deleting(pod) or is_terminal(pod)


def grace_of(worker: Worker) -> float:
    """Seconds that a pod's containers get to end by themselves."""
    pod = worker.pod
    granted = pod["metadata"].get("deletionGracePeriodSeconds")
    seconds = float(pod["spec"].get("terminationGracePeriodSeconds", 30) if granted is None else granted)
    return seconds if worker.most_grace is None else min(seconds, worker.most_grace)


def stray(state: PodState, uid: str) -> Object:
    """A pod object for containers that no pod in the apiserver stands behind."""
    known = state.sandbox
    metadata = {"name": known.name if known else uid, "namespace": known.namespace if known else "", "uid": uid,
                "deletionTimestamp": "", "deletionGracePeriodSeconds": 1, "resourceVersion": "0"}  # fmt: skip
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}}
