"""kube-scheduler: gives every pod that has no node the node that suits it best.

Interface: `Scheduler(context, informers)`, `start()`; `decisions` tells why a pod is where it is, or why it waits.
The rule not to break: it writes nothing but bindings, the condition PodScheduled and events; whether the pod then
runs is the kubelet's business. A pod that is being bound counts on its node already (assumed), or two pods would take
one place.
Source: `pkg/scheduler/{scheduler,schedule_one,eventhandlers}.go` in the kubernetes repository. Preemption is not
implemented by k8snb: a pod of high priority waits first in the queue, and nobody is driven out for it.
"""

from __future__ import annotations

from collections.abc import Collection

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import (
    Object,
    condition,
    get_path,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    revision_of,
    uid_of,
)
from k8snb.client.context import Context
from k8snb.client.events import NORMAL, WARNING, EventRecorder
from k8snb.client.informer import Informers
from k8snb.clock import timestamp
from k8snb.pump import SYNC, Item
from k8snb.scheduler.algorithm import Algorithm, Result
from k8snb.scheduler.binding_cycle import BindingCycles
from k8snb.scheduler.cache import Cache
from k8snb.scheduler.decision import Decision, Decisions
from k8snb.scheduler.framework import NODE_ADDED, NODE_ALLOCATABLE, NODE_LABELS, NODE_TAINTS, POD_GONE
from k8snb.scheduler.queue import QueuedPod, SchedulingQueue

NAME = "default-scheduler"
USER = "system:kube-scheduler"

# What a pod may ask for that only a plug-in k8snb does not have would look at.
NOT_IMPLEMENTED = ("affinity.podAffinity", "affinity.podAntiAffinity", "topologySpreadConstraints", "resourceClaims")


class Scheduler:
    """One pod per step: pop, choose, assume, bind."""

    name = NAME

    def __init__(self, context: Context, informers: Informers) -> None:
        self.context = context
        self.clock = context.clock
        self.client = context.client(USER, "system:authenticated")
        self.events = EventRecorder(self.client, NAME, self.clock)
        self.cache = Cache()
        self.decisions = Decisions()
        self.informers = informers
        self.algorithm = Algorithm(self.cache, context.random)
        self.queue = SchedulingQueue(self.clock, self._ready, self._wakes)
        self.binding = BindingCycles(self)
        self.pods = informers.get("pods")
        self.pods.on_change(self._pod_changed)
        self.nodes = informers.get("nodes")
        self.nodes.on_change(self._node_changed)
        for plugin in self.algorithm.plugins:
            plugin.connect(self)

    def start(self) -> None:
        """Nothing to do: the informers bring the work."""

    def why(self, pod: Object) -> Decision | None:
        """The newest decision about a pod; None for one that this scheduler has not looked at, or has forgotten."""
        return self.decisions.get(uid_of(pod))

    def happened(self, event: str, pods: Collection[str] | None = None) -> None:
        self.queue.happened(event, pods)

    def resume(self, key: str) -> None:
        if self.binding.waits(key):
            self.context.schedule(Item(NAME, SYNC, lambda: self.binding.go_on(key)))

    def _ready(self) -> None:
        self.context.schedule(Item(NAME, SYNC, self.schedule_one))

    def _wakes(self, event: str) -> list[str]:
        return [plugin.name for plugin in self.algorithm.plugins if event in plugin.wakes_on]

    # what the informers tell

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        assert pod is not None
        key = key_of(pod)
        if new is None or get_path(new, "status.phase") in ("Succeeded", "Failed"):
            self.binding.forget(key)
            self.queue.remove(key)
            if self.cache.displace(key):
                self.queue.happened(POD_GONE)
        elif new["spec"].get("nodeName"):
            self.queue.remove(key)
            self.cache.place(key, new, new["spec"]["nodeName"])
        elif self.cache.counts(key, uid_of(new)):
            return  # older news: its binding is done, and the informer has yet to say so
        elif self._is_mine(new):
            self._wait(old, new)
        else:
            self.queue.remove(key)

    @staticmethod
    def _is_mine(pod: Object) -> bool:
        """Whether this scheduler is asked for the pod, and may look for a node for it."""
        spec = pod["spec"]
        return spec.get("schedulerName", NAME) == NAME and not spec.get("schedulingGates") and not is_deleting(pod)

    def _wait(self, old: Object | None, new: Object) -> None:
        if old is None or not self.queue.place_of(key_of(new)):
            self.queue.add(new)
            self._warn(new)
            return
        matters = old["spec"] != new["spec"] or labels_of(old) != labels_of(new)
        self.queue.update(new, matters=matters)

    def _warn(self, pod: Object) -> None:
        """Nothing is silently left out."""
        for path in NOT_IMPLEMENTED:
            if get_path(pod["spec"], path):
                message = f"spec.{path}: not implemented by k8snb; the pod is scheduled as if it were not there"
                self.events.event(pod, WARNING, "NotImplemented", message)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self.cache.remove_node(name_of(old or {"metadata": {}}))
            return
        if old is not None and _scheduling_view(old) == _scheduling_view(new):
            return
        self.cache.set_node(new)
        for event in _node_events(old, new):
            self.queue.happened(event)

    # the loop

    def schedule_one(self) -> str:
        """Find a node for the pod that is next, and bind it there. Returns the pod's key."""
        queued = self.queue.pop()
        if queued is None:
            return ""
        pod = queued.pod
        self.client.cause = revision_of(pod)
        try:
            result = self.algorithm.choose(pod, self.clock.now())
            self.decisions.keep(result.decision)
            if result.node:
                self.cache.place(key_of(pod), pod, result.node, result.request)
                self.binding.begin(queued, result)
            else:
                self._refuse(queued, result)
        finally:
            self.client.cause = 0
        return key_of(pod)

    def bind(self, queued: QueuedPod, node: str) -> bool:
        """Write the binding. Returns whether the apiserver took it."""
        pod, key = queued.pod, key_of(queued.pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            self.client.create_subresource("pods", name_of(pod), "binding", binding, namespace_of(pod))
        except ApiError as error:
            self.give_back(queued, "" if error.code == 404 else f"binding rejected: {error.message}")
            return False
        self.queue.remove(key)
        message = f"Successfully assigned {key} to {node}"
        self.events.event(pod, NORMAL, "Scheduled", message)
        return True

    def give_back(self, queued: QueuedPod, why: str) -> None:
        """The pod has gone, or is somebody else's by now, or something on its node will not be ready: count it there no
        longer. With a reason it is tried again."""
        self.cache.displace(key_of(queued.pod))
        if why:
            self.events.event(queued.pod, WARNING, "FailedScheduling", why)
            self.queue.gave_up(queued, ())

    def _refuse(self, queued: QueuedPod, result: Result) -> None:
        message = result.decision.message
        self.queue.gave_up(queued, result.refused_by)
        self.events.event(queued.pod, WARNING, "FailedScheduling", message)
        self._tell(queued.pod, message)

    def _tell(self, pod: Object, message: str) -> None:
        """The condition PodScheduled=False, with the reason for people and tools."""
        old = condition(pod, "PodScheduled") or {}
        if old.get("status") == "False" and old.get("message") == message:
            return
        moment = old.get("lastTransitionTime") if old.get("status") == "False" else timestamp(self.clock.now())
        entry = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": moment,
        }
        patch = {"metadata": {"uid": uid_of(pod)}, "status": {"conditions": [entry]}}
        try:
            self.client.patch("pods", name_of(pod), patch, namespace_of(pod), subresource="status")
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def _scheduling_view(node: Object) -> tuple[object, ...]:
    """All of a node that scheduling depends on; a heartbeat changes none of it."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    return (
        node["metadata"].get("labels"),
        spec.get("taints"),
        spec.get("unschedulable"),
        status.get("allocatable"),
        status.get("capacity"),
    )


def _node_events(old: Object | None, new: Object) -> list[str]:
    if old is None:
        return [NODE_ADDED]
    was, now = _scheduling_view(old), _scheduling_view(new)
    events = {0: NODE_LABELS, 1: NODE_TAINTS, 2: NODE_TAINTS, 3: NODE_ALLOCATABLE, 4: NODE_ALLOCATABLE}
    return sorted({event for at, event in events.items() if was[at] != now[at]})
