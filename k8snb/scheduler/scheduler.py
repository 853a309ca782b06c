"""kube-scheduler: gives every pod that has no node the node that suits it best.

Interface: `Scheduler(context, informers)`, `start()`; `why(pod)` tells why a pod is where it is, or why it waits;
`register(plugin)` lets a rule of one's own join.
The rule not to break: it writes nothing but bindings, the condition PodScheduled, the node nominated, and events, and
deletes only whom DefaultPreemption chose; whether a pod then runs is the kubelet's business. A pod that is being bound
counts on its node already (assumed), or two pods would take one place.
Source: `pkg/scheduler/{scheduler,schedule_one,eventhandlers}.go` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from k8snb.apimachinery.errors import ApiError, Postponed
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
from k8snb.scheduler.default_preemption import priority_of
from k8snb.scheduler.framework import (
    NODE_ADDED,
    NODE_ALLOCATABLE,
    NODE_LABELS,
    NODE_TAINTS,
    POD_GONE,
    POD_LABELS,
    POD_PLACED,
    Attempt,
    Nomination,
    Plugin,
)
from k8snb.scheduler.nominator import Nominator
from k8snb.scheduler.plugins import DEFAULT, Made, Profile
from k8snb.scheduler.queue import QueuedPod, SchedulingQueue

NAME = DEFAULT
USER = "system:kube-scheduler"

# What a pod may ask for that only a plug-in k8snb does not have would look at.
NOT_IMPLEMENTED = ("resourceClaims",)


class Scheduler:
    """One pod per step: pop, choose, assume, bind."""

    name = NAME

    def __init__(self, context: Context, informers: Informers, *, profiles: Iterable[Profile] = (Profile(),)) -> None:
        self.context = context
        self.clock = context.clock
        self.client = context.client(USER, "system:authenticated")
        self.events = EventRecorder(self.client, NAME, self.clock)
        self.cache = Cache()
        self.decisions = Decisions()
        self.informers = informers
        self.nominator = Nominator()
        self._algorithms = {
            profile.scheduler_name: Algorithm(self.cache, context.random, profile=profile, nominator=self.nominator)
            for profile in profiles
        }
        self._wakes_on: dict[str, list[str]] = {}
        self.queue = SchedulingQueue(self.clock, self._ready, self._wakes)
        self.binding = BindingCycles(self)
        self.pods = informers.get("pods")
        self.pods.on_change(self._pod_changed)
        self.nodes = informers.get("nodes")
        self.nodes.on_change(self._node_changed)
        for plugin in self._plugins():
            plugin.connect(self)

    def start(self) -> None:
        """Nothing to do: the informers bring the work."""

    def why(self, pod: Object) -> Decision | None:
        """The newest decision about a pod; None for one that this scheduler has not looked at, or has forgotten."""
        return self.decisions.get(uid_of(pod))

    def decision(self, pod: Object) -> Decision | None:
        """The same as `why`."""
        return self.why(pod)

    def algorithm_of(self, pod: Object) -> Algorithm:
        """How nodes are chosen for a pod of one of this scheduler's profiles."""
        return self._algorithms[pod["spec"].get("schedulerName", NAME)]

    def register(self, plugin: Plugin | type[Plugin], *, weight: int = 1, scheduler_name: str = NAME) -> None:
        """Let a plug-in of one's own join, after those that are there; what waits is then tried again.

            class EvenNodes(Plugin):
                name = "EvenNodes"
                def filter(self, pod, node):
                    return None if int(node.name[-1]) % 2 == 0 else "node(s) were odd"

            cluster.scheduler.register(EvenNodes)

        `weight` is that of its score, if it has one. Raises ValueError for a name that is taken or no profile.
        """
        made = plugin() if isinstance(plugin, type) else plugin
        algorithm = self._algorithms.get(scheduler_name)
        if algorithm is None:
            raise ValueError(f'there is no profile "{scheduler_name}"; there are: {", ".join(self._algorithms)}')
        if made.name in (known.name for known in algorithm.plugins):
            raise ValueError(f'a plug-in named "{made.name}" is at work already')
        kind = type(made)
        scores = kind.score is not Plugin.score or kind.score_all is not Plugin.score_all
        row = Made(made, kind.filter is not Plugin.filter, weight if scores else 0)
        self.context.schedule(Item(NAME, SYNC, lambda: self._join(algorithm, row)))

    def _join(self, algorithm: Algorithm, row: Made) -> str:
        algorithm.join(row)
        self._wakes_on.clear()
        row.plugin.connect(self)
        self.queue.wake_all()
        return row.plugin.name

    def _plugins(self) -> list[Plugin]:
        return [plugin for algorithm in self._algorithms.values() for plugin in algorithm.plugins]

    def happened(self, event: str, pods: Collection[str] | None = None) -> None:
        self.queue.happened(event, pods)

    def _befell(self, event: str, other: Object) -> None:
        """Something happened to a pod: the plug-ins that refused others say whom that can help (queueing hints)."""
        hopeful = [
            key for key, waiting, refused_by in self.queue.refused(self._wakes(event))
            if any(plugin.hint(waiting, event, other) for plugin in self.algorithm_of(waiting).plugins
                   if plugin.name in refused_by and event in plugin.wakes_on)
        ]  # fmt: skip
        if hopeful:
            self.queue.happened(event, hopeful)

    def resume(self, key: str) -> None:
        if self.binding.waits(key):
            self.context.schedule(Item(NAME, SYNC, lambda: self.binding.go_on(key)))

    def _ready(self) -> None:
        self.context.schedule(Item(NAME, SYNC, self.schedule_one))

    def _wakes(self, event: str) -> list[str]:
        names = self._wakes_on.get(event)
        if names is None:
            names = sorted({plugin.name for plugin in self._plugins() if event in plugin.wakes_on})
            self._wakes_on[event] = names
        return names

    # what the informers tell

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        assert pod is not None
        key = key_of(pod)
        if new is None or get_path(new, "status.phase") in ("Succeeded", "Failed"):
            self._gone(key, pod)
        elif new["spec"].get("nodeName"):
            self._placed(key, old, new)
        elif self.cache.counts(key, uid_of(new)):
            return  # older news: its binding is done, and the informer has yet to say so
        elif self._is_mine(new):
            self._wait(old, new)
        else:
            self.nominator.forget(key)
            self.queue.remove(key)

    def _gone(self, key: str, pod: Object) -> None:
        self.binding.forget(key)
        self.queue.remove(key)
        self.nominator.forget(key)
        if self.cache.displace(key):
            self._befell(POD_GONE, pod)

    def _placed(self, key: str, old: Object | None, new: Object) -> None:
        self.queue.remove(key)
        self.nominator.forget(key)
        self.cache.place(key, new, new["spec"]["nodeName"])
        if old is None or not old["spec"].get("nodeName"):
            self._befell(POD_PLACED, new)
        elif labels_of(old) != labels_of(new):
            self._befell(POD_LABELS, new)

    def _is_mine(self, pod: Object) -> bool:
        """Whether this scheduler is asked for the pod, and may look for a node for it."""
        algorithm = self._algorithms.get(pod["spec"].get("schedulerName", NAME))
        if algorithm is None or is_deleting(pod):
            return False
        return not any(plugin.pre_enqueue(pod) for plugin in algorithm.plugins)

    def _wait(self, old: Object | None, new: Object) -> None:
        if old is None or not self.queue.place_of(key_of(new)):
            self.nominator.nominate(new, get_path(new, "status.nominatedNodeName", ""))
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
            result = self.algorithm_of(pod).choose(pod, self.clock.now())
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
        """Write the binding. Returns whether the apiserver took it, or is about to decide."""
        pod, key = queued.pod, key_of(queued.pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            self.client.create_subresource("pods", name_of(pod), "binding", binding, namespace_of(pod))
        except Postponed as waiting:
            waiting.then(lambda: self._bind_later(queued, node))
            return True
        except ApiError as error:
            self.give_back(queued, "" if error.code == 404 else f"binding rejected: {error.message}")
            return False
        self.queue.remove(key)
        message = f"Successfully assigned {key} to {node}"
        self.events.event(pod, NORMAL, "Scheduled", message)
        return True

    def _bind_later(self, queued: QueuedPod, node: str) -> None:
        """A webhook has been asked about the binding: the pod's place has been kept for it meanwhile."""
        if self.queue.place_of(key_of(queued.pod)):
            self.bind(queued, node)

    def give_back(self, queued: QueuedPod, why: str) -> None:
        """The pod has gone, or is somebody else's by now, or something on its node will not be ready: count it there no
        longer. With a reason it is tried again."""
        self.cache.displace(key_of(queued.pod))
        if why:
            self.events.event(queued.pod, WARNING, "FailedScheduling", why)
            self.queue.gave_up(queued, ())

    def _refuse(self, queued: QueuedPod, result: Result) -> None:
        nomination = self._post_filter(queued.pod, result)
        message = " ".join(filter(None, (result.decision.message, nomination.message)))
        self.decisions.keep(replace(result.decision, message=message))
        self.queue.gave_up(queued, result.refused_by)
        self.events.event(queued.pod, WARNING, "FailedScheduling", message)
        self._nominate(queued.pod, nomination.node)
        self._tell(queued.pod, message, nomination.node)

    def _post_filter(self, pod: Object, result: Result) -> Nomination:
        nominated = self.nominator.node_of(key_of(pod))
        algorithm = self.algorithm_of(pod)
        attempt = Attempt(pod, nominated, result.resolvable, lambda node: algorithm.refusal(pod, node))
        for plugin in algorithm.plugins if self.cache.nodes else ():
            nomination = plugin.post_filter(attempt)
            if nomination is not None:
                return nomination
        return Nomination(nominated, "")

    def _nominate(self, pod: Object, node: str) -> None:
        """Note where room is made for a pod. Who is less important and waited there goes on looking."""
        for other in self.nominator.on(node) if node else ():
            if priority_of(other) < priority_of(pod):
                self.nominator.forget(key_of(other))
                self._patch(other, {"nominatedNodeName": None})
        self.nominator.nominate(pod, node)

    def _tell(self, pod: Object, message: str, nominated: str) -> None:
        """The condition PodScheduled=False, with the reason for people and tools, and the node room is made on."""
        old = condition(pod, "PodScheduled") or {}
        was_false = old.get("status") == "False"
        change: Object = {}
        if not was_false or old.get("message") != message or old.get("reason") != "Unschedulable":
            moment = old.get("lastTransitionTime") if was_false else timestamp(self.clock.now())
            entry = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
                "lastTransitionTime": moment,
            }
            change["conditions"] = [entry]
        if get_path(pod, "status.nominatedNodeName", "") != nominated:
            change["nominatedNodeName"] = nominated or None
        if change:
            self._patch(pod, change)

    def _patch(self, pod: Object, status: Object) -> None:
        patch = {"metadata": {"uid": uid_of(pod)}, "status": status}
        try:
            self.client.patch("pods", name_of(pod), patch, namespace_of(pod), subresource="status")
        except Postponed as waiting:
            waiting.then(lambda: self._patch(pod, status))
        except ApiError as error:
            if error.code not in (404, 409) and not error.passing:
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
