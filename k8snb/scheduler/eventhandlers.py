"""What the scheduler makes of the news: which pods wait, which nodes there are, and who may have another chance.

Interface: `EventHandlers(scheduler)` listens to the informers of pods and nodes; `look_anew()` when the rules change.
The rule not to break: news may be older than what the scheduler itself has just done; a pod that it has bound is bound.
Source: `pkg/scheduler/eventhandlers.go` in the kubernetes repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8snb.apimachinery.meta import Object, get_path, is_deleting, key_of, labels_of, name_of, uid_of
from k8snb.client.events import WARNING
from k8snb.scheduler.framework import (
    NODE_ADDED,
    NODE_ALLOCATABLE,
    NODE_LABELS,
    NODE_TAINTS,
    POD_GONE,
    POD_LABELS,
    POD_PLACED,
    Plugin,
)
from k8snb.scheduler.guard import PluginFailure
from k8snb.scheduler.plugins import DEFAULT

if TYPE_CHECKING:
    from k8snb.scheduler.scheduler import Scheduler

# What a pod may ask for that only a plug-in would look at which k8snb does not have.
NOT_IMPLEMENTED = ("resourceClaims",)


class EventHandlers:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._pods = scheduler.informers.get("pods")
        self._pods.on_change(self.pod_changed)
        scheduler.informers.get("nodes").on_change(self.node_changed)

    def look_anew(self) -> None:
        """Look at every pod that has no node and does not wait in the queue."""
        for pod in self._pods:
            if not pod["spec"].get("nodeName") and not self._scheduler.queue.place_of(key_of(pod)):
                self.pod_changed(None, pod)

    def pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        assert pod is not None
        key = key_of(pod)
        if new is None or get_path(new, "status.phase") in ("Succeeded", "Failed"):
            self._gone(key, pod)
        elif new["spec"].get("nodeName"):
            self._placed(key, old, new)
        elif self._scheduler.cache.counts(key, uid_of(new)):
            return  # older news: its binding is done, and the informer has yet to say so
        elif self._is_mine(new):
            self._wait(old, new)
        else:
            self._scheduler.nominator.forget(key)
            self._scheduler.queue.remove(key)

    def _gone(self, key: str, pod: Object) -> None:
        self._scheduler.binding.forget(key)
        self._scheduler.queue.remove(key)
        self._scheduler.nominator.forget(key)
        if self._scheduler.cache.displace(key):
            self._befell(POD_GONE, pod)

    def _placed(self, key: str, old: Object | None, new: Object) -> None:
        self._scheduler.queue.remove(key)
        self._scheduler.nominator.forget(key)
        self._scheduler.cache.place(key, new, new["spec"]["nodeName"])
        if old is None or not old["spec"].get("nodeName"):
            self._befell(POD_PLACED, new)
        elif labels_of(old) != labels_of(new):
            self._befell(POD_LABELS, new)

    def _is_mine(self, pod: Object) -> bool:
        """Whether this scheduler is asked for the pod, and may look for a node for it."""
        algorithm = self._scheduler.algorithms.get(pod["spec"].get("schedulerName", DEFAULT))
        if algorithm is None or is_deleting(pod):
            return False
        try:
            return not any(plugin.pre_enqueue(pod) for plugin in algorithm.having("pre_enqueue"))
        except PluginFailure as failure:
            self._scheduler.events.event(pod, WARNING, "FailedScheduling", str(failure))
            return False

    def _wait(self, old: Object | None, new: Object) -> None:
        if old is None or not self._scheduler.queue.place_of(key_of(new)):
            self._scheduler.nominator.nominate(new, get_path(new, "status.nominatedNodeName", ""))
            self._scheduler.queue.add(new)
            self._warn(new)
            return
        matters = old["spec"] != new["spec"] or labels_of(old) != labels_of(new)
        self._scheduler.queue.update(new, matters=matters)

    def _warn(self, pod: Object) -> None:
        """Nothing is silently left out."""
        for path in NOT_IMPLEMENTED:
            if get_path(pod["spec"], path):
                words = "in Kubernetes 1.33 a feature that is off by default"
                message = (
                    f"spec.{path}: not implemented by k8snb ({words}); the pod is scheduled as if it were not there"
                )
                self._scheduler.events.event(pod, WARNING, "NotImplemented", message)

    def node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._scheduler.cache.remove_node(name_of(old or {"metadata": {}}))
            return
        if old is not None and _scheduling_view(old) == _scheduling_view(new):
            return
        self._scheduler.cache.set_node(new)
        for event in _node_events(old, new):
            self._scheduler.queue.happened(event)

    def _befell(self, event: str, other: Object) -> None:
        """Something happened to a pod: the plug-ins that refused others say whom that can help (queueing hints)."""
        hopeful = [
            key for key, waiting, refused_by in self._scheduler.queue.refused(self._scheduler.wakes(event))
            if any(_hopes(plugin, waiting, event, other) for plugin in self._scheduler.algorithm_of(waiting).plugins
                   if plugin.name in refused_by and event in plugin.wakes_on)
        ]  # fmt: skip
        if hopeful:
            self._scheduler.queue.happened(event, hopeful)


def _hopes(plugin: Plugin, pod: Object, event: str, other: Object) -> bool:
    """A plug-in that cannot even tell is asked again by trying."""
    try:
        return plugin.hint(pod, event, other)
    except PluginFailure:
        return True


def _scheduling_view(node: Object) -> tuple[object, ...]:
    """All of a node that scheduling depends on; a heartbeat changes none of it."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    return (
        node["metadata"].get("labels"),
        spec.get("taints"),
        spec.get("unschedulable"),
        status.get("allocatable"),
        status.get("capacity"),
        status.get("images"),
    )


def _node_events(old: Object | None, new: Object) -> list[str]:
    if old is None:
        return [NODE_ADDED]
    was, now = _scheduling_view(old), _scheduling_view(new)
    events = {0: NODE_LABELS, 1: NODE_TAINTS, 2: NODE_TAINTS, 3: NODE_ALLOCATABLE, 4: NODE_ALLOCATABLE}
    return sorted({event for at, event in events.items() if was[at] != now[at]})
