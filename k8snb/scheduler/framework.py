"""The scheduling framework: what a plug-in is, and what it gets to see.

Interface: subclass `Plugin` and override `filter` or `score`; a row in `plugins.PLUGINS` puts it to work.
The rule not to break: a plug-in decides by the pod and the node it is given, and changes neither.
Source: `staging/src/k8s.io/kube-scheduler/framework` in the kubernetes repository. Of its extension points k8snb has
PreEnqueue, PreFilter and PreScore (`pre_filter`, `pinned`, `begin`), Filter, PostFilter, Score, NormalizeScore
(`normalize`), Reserve, Permit, PreBind, Bind and PostBind. QueueSort it has not: the queue is by priority, then age.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import ClassVar, NamedTuple, Protocol

from k8snb.apimachinery.meta import Object
from k8snb.client import Client
from k8snb.client.events import EventRecorder
from k8snb.client.informer import Informers
from k8snb.clock import Clock
from k8snb.scheduler.cache import Cache, NodeInfo
from k8snb.scheduler.requests import Request

Reason = str | tuple[str, ...] | None  # why not; several reasons where a node lacks several things


class Skip(enum.Enum):
    """A plug-in has nothing to say about a pod: its filter is not asked."""

    SKIP = enum.auto()


SKIP = Skip.SKIP


class Unresolvable(str):
    """A reason that stays, whichever pods would go from the node."""


MAX_SCORE = 100

# What can happen in a cluster that gives a pod another chance (upstream: cluster events).
NODE_ADDED, NODE_LABELS, NODE_TAINTS, NODE_ALLOCATABLE = "node added", "node labels", "node taints", "node allocatable"
POD_GONE, POD_PLACED, POD_LABELS = "pod gone", "pod placed", "pod labels"
CLAIM_CHANGED, VOLUME_CHANGED, CLASS_CHANGED = "claim changed", "volume changed", "storage class changed"
CSI_CHANGED = "CSI driver, node or capacity changed"


class Cycle(NamedTuple):
    """One attempt to schedule one pod."""

    pod: Object
    request: Request
    group: str
    cache: Cache


class Attempt(NamedTuple):
    """A pod for which no node was left. `refusal` filters one node anew: why not, or () where the pod fits by now."""

    pod: Object
    pod_nominated: str  # the node that the pod was to get, from an earlier attempt
    resolvable: tuple[str, ...]  # nodes that refused for what is on them
    refusal: Callable[[NodeInfo], tuple[str, ...]]


class Nomination(NamedTuple):
    """The node where room is being made for a pod, "" for none, and the words that say why there is none."""

    node: str
    message: str


class Rejected(Exception):
    """A pod cannot have the node that was chosen for it; the text says why."""


class Handle(Protocol):
    """What a plug-in may ask of the scheduler."""

    client: Client
    events: EventRecorder
    informers: Informers
    clock: Clock
    cache: Cache

    def happened(self, event: str, pods: Collection[str] | None = None) -> None:
        """Give pods that the event matters to another chance: all of them, or those of these keys."""
        ...

    def resume(self, key: str) -> None:
        """What a pod waited for in `pre_bind` may be there now."""
        ...

    def allow(self, key: str, plugin: str) -> None:
        """A plug-in lets a pod go on that it made wait in `permit`."""
        ...

    def reject(self, key: str, plugin: str, why: str) -> None:
        """A plug-in sends back a pod that it made wait in `permit`."""
        ...


class Plugin:
    """A rule of the scheduler. What is not overridden has no opinion.

    `local`: filter and score read nothing but the node and, of the pod, the fields that `template.view_of` names
    (requests, ports, images, selectors, affinity, tolerations), so that equal pods share the answers until the node
    changes. The others are asked for each pod that concerns them. `wakes_on`: what may change this plug-in's mind about
    a pod that it refused. `resolvable`: whether it may refuse because of pods that are in the way; an `Unresolvable`
    reason says of one refusal that it is not so.
    """

    name: ClassVar[str]
    local: ClassVar[bool] = False
    resolvable: ClassVar[bool] = True
    normalizes: ClassVar[bool] = False
    wakes_on: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def has(cls, point: str) -> bool:
        """Whether this plug-in has something of its own at an extension point."""
        return getattr(cls, point) is not getattr(Plugin, point)

    def connect(self, handle: Handle) -> None:
        """Called once, before the first pod; for plug-ins that look at more than pods and nodes."""

    def concerns(self, pod: Object) -> bool:
        """Whether a pod is any business of a plug-in that is not local; where not, it is asked nothing more."""
        return True

    def pre_enqueue(self, pod: Object) -> str:
        """Why a pod must not even enter the queue; "" where it may."""
        return ""

    def hint(self, pod: Object, event: str, other: Object) -> bool:
        """Whether what happened to another pod (placed, gone, other labels) can help one that was refused."""
        return True

    def pinned(self, pod: Object) -> frozenset[str] | None:
        """The names of the only nodes that can do; None where it does not go by names."""
        return None

    def pre_filter(self, cycle: Cycle) -> Reason | Skip:
        """Why no node at all will do; None where that depends on the node. Of plug-ins that are not local."""
        return None

    def begin(self, cycle: Cycle) -> bool:
        """Look at a pod before any node. Returns whether its score can make a difference between nodes."""
        return True

    def alike_by(self, pod: Object) -> Hashable | None:
        """By what this plug-in tells nodes apart for a pod; None where each node has to be asked.

        Of plug-ins that are not local, after `pre_filter` and `begin`. Nodes of the same `likeness` are filtered and
        scored alike then, until this answer is another one. The likeness of a node changes with the node only.
        """
        return None

    def likeness(self, node: NodeInfo) -> Hashable:
        """What `alike_by` speaks of, of one node."""
        return node.name

    def filter(self, pod: Object, node: NodeInfo) -> Reason:
        """Why the pod cannot run on the node; None when it can."""
        return None

    def post_filter(self, attempt: Attempt) -> Nomination | None:
        """No node was left: make room on one, or say why not; None where that is none of the plug-in's business."""
        return None

    def score(self, pod: Object, node: NodeInfo) -> int:
        """How well the pod would be on the node: 0 to 100, or any number where `normalize` brings it there."""
        return 0

    def score_all(self, pod: Object, nodes: Sequence[NodeInfo]) -> list[int]:
        """The scores of all nodes that are left; for plug-ins that are faster in one go."""
        return [self.score(pod, node) for node in nodes]

    def score_alike(self, pod: Object, nodes: Sequence[NodeInfo], numbers: Sequence[int]) -> list[int]:
        """The same where each node stands for a number of nodes of its likeness."""
        return self.score_all(pod, nodes)

    def normalize(self, scores: list[int]) -> list[int]:
        """Scores of all nodes that are left, brought to 0 … 100. Override together with `normalizes`.

        Of nodes with one score one may stand for all.
        """
        return scores

    def reserve(self, pod: Object, node: NodeInfo) -> None:
        """The node was chosen: keep there what the pod needs. Raises Rejected."""

    def unreserve(self, pod: Object, node: str) -> None:
        """The pod does not get the node after all; also called where nothing was reserved."""

    def permit(self, pod: Object, node: NodeInfo) -> float:
        """How many seconds the pod has to wait at most for `Handle.allow`; 0 where it may go on. Raises Rejected.

        A pod that is not allowed in time is sent back.
        """
        return 0.0

    def pre_bind(self, pod: Object, node: NodeInfo) -> bool:
        """Make ready what the pod needs on its node. Whether it is ready; otherwise `Handle.resume` brings the pod
        here again. Raises Rejected, or ApiError."""
        return True

    def bind(self, pod: Object, node: NodeInfo) -> bool:
        """Bind the pod in a way of one's own. Whether that was done; otherwise the next one is asked, and in the end
        the scheduler itself. Raises Rejected, or ApiError."""
        return False

    def post_bind(self, pod: Object, node: str) -> None:
        """The pod is bound; nothing can be changed about it."""


def highest_is_best(scores: list[int]) -> list[int]:
    """Scores scaled so that the highest becomes 100."""
    top = max(scores, default=0)
    return [score * MAX_SCORE // top for score in scores] if top else scores


def lowest_is_best(scores: list[int]) -> list[int]:
    """Scores scaled and turned round, so that none becomes 100."""
    return [MAX_SCORE - score for score in highest_is_best(scores)]
