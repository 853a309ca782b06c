"""kube-scheduler: gives every pod that has no node the node that suits it best.

Interface: `Scheduler(context, informers)`, `start()`; `why(pod)` tells why a pod is where it is, or why it waits;
`register(plugin)` lets a rule of one's own join.
The rule not to break: it writes nothing but bindings, the condition PodScheduled, the node nominated, and events, and
deletes only whom DefaultPreemption chose; whether a pod then runs is the kubelet's business. A pod that is being bound
counts on its node already (assumed), or two pods would take one place.
Source: `pkg/scheduler/{scheduler,schedule_one}.go` in the kubernetes repository.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from dataclasses import replace

from k8snb.apimachinery.errors import ApiError, Postponed
from k8snb.apimachinery.meta import (
    Object,
    condition,
    get_path,
    key_of,
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
from k8snb.scheduler.algorithm import Algorithm
from k8snb.scheduler.binding_cycle import BindingCycles
from k8snb.scheduler.cache import Cache
from k8snb.scheduler.decision import Decision, Decisions
from k8snb.scheduler.default_preemption import priority_of
from k8snb.scheduler.eventhandlers import EventHandlers
from k8snb.scheduler.framework import (
    Attempt,
    Nomination,
    Plugin,
)
from k8snb.scheduler.guard import Guarded, PluginFailure
from k8snb.scheduler.nominator import Nominator
from k8snb.scheduler.plugins import DEFAULT, Made, Profile
from k8snb.scheduler.queue import QueuedPod, SchedulingQueue
from k8snb.scheduler.ranking import Result

NAME = DEFAULT
USER = "system:kube-scheduler"
Joined = tuple[Plugin, int, str]  # a plug-in of somebody's own, its weight, and the profile that it joined


class Scheduler:
    """One pod per step: pop, choose, assume, bind."""

    name = NAME

    def __init__(
        self, context: Context, informers: Informers, *, profiles: Iterable[Profile] = (Profile(),),
        joined: Iterable[Joined] = (),
    ) -> None:  # fmt: skip
        self.context = context
        self.clock = context.clock
        self.client = context.client(USER, "system:authenticated")
        self.events = EventRecorder(self.client, NAME, self.clock)
        self.cache = Cache()
        self.decisions = Decisions()
        self.informers = informers
        self.nominator = Nominator()
        dice = random.Random(context.random.getrandbits(64))
        self.algorithms = {
            profile.scheduler_name: Algorithm(self.cache, dice, profile=profile, nominator=self.nominator)
            for profile in profiles
        }
        self._wakes_on: dict[str, list[str]] = {}
        self.queue = SchedulingQueue(self.clock, self._ready, self.wakes)
        self.binding = BindingCycles(self)
        self.handlers = EventHandlers(self)
        for plugin in self._plugins():
            plugin.connect(self)
        self.joined: list[Joined] = []
        for plugin, weight, scheduler_name in joined:
            self.register(plugin, weight=weight, scheduler_name=scheduler_name)

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
        return self.algorithms[pod["spec"].get("schedulerName", NAME)]

    def register(self, plugin: Plugin | type[Plugin], *, weight: int = 1, scheduler_name: str = NAME) -> None:
        """Let a plug-in of one's own join, after those that are there; what waits is then tried again.

            class EvenNodes(Plugin):
                name = "EvenNodes"
                def filter(self, pod, node):
                    return None if int(node.name[-1]) % 2 == 0 else "node(s) were odd"

            cluster.scheduler.register(EvenNodes)

        `weight` is that of its score, if it has one. What it raises or answers wrongly is told in the pod's events.
        Raises ValueError for a plug-in without a name, a name that is taken, or no profile.
        """
        made = plugin() if isinstance(plugin, type) else plugin
        algorithm = self._algorithm_named(scheduler_name)
        if not getattr(made, "name", ""):
            kind = type(made).__name__
            raise ValueError(f'the plug-in {kind} needs a name: write name = "{kind}" into its class')
        if made.name in (known.name for known in algorithm.plugins):
            raise ValueError(f'a plug-in named "{made.name}" is at work already: unregister("{made.name}") lets it go')
        scores = any(made.has(point) for point in ("score", "score_all"))
        self.joined.append((made, weight, scheduler_name))
        row = Made(Guarded(made), made.has("filter") or made.has("pre_filter"), weight if scores else 0)
        self.context.schedule(Item(NAME, SYNC, lambda: self._join(algorithm, row)))

    def unregister(self, name: str, *, scheduler_name: str = NAME) -> None:
        """Let a plug-in go that had joined by `register`; what waits is then tried again. Raises ValueError."""
        algorithm = self._algorithm_named(scheduler_name)
        own = [plugin.name for plugin in algorithm.plugins if isinstance(plugin, Guarded)]
        if name not in own:
            raise ValueError(f'no plug-in named "{name}" has joined; there are: {", ".join(own) or "none"}')
        self.context.schedule(Item(NAME, SYNC, lambda: self._leave(algorithm, name)))

    def _algorithm_named(self, scheduler_name: str) -> Algorithm:
        algorithm = self.algorithms.get(scheduler_name)
        if algorithm is None:
            raise ValueError(f'there is no profile "{scheduler_name}"; there are: {", ".join(self.algorithms)}')
        return algorithm

    def _join(self, algorithm: Algorithm, row: Made) -> str:
        row.plugin.connect(self)
        algorithm.join(row)
        self._look_anew()
        return row.plugin.name

    def _leave(self, algorithm: Algorithm, name: str) -> str:
        algorithm.leave(name)
        self.joined = [row for row in self.joined if row[0].name != name]
        self._look_anew()
        return name

    def _look_anew(self) -> None:
        """Other rules: what waits may go on, also what had to stay out of the queue."""
        self._wakes_on.clear()
        self.queue.wake_all()
        self.handlers.look_anew()

    def _plugins(self) -> list[Plugin]:
        return [plugin for algorithm in self.algorithms.values() for plugin in algorithm.plugins]

    def happened(self, event: str, pods: Collection[str] | None = None) -> None:
        self.queue.happened(event, pods)

    def allow(self, key: str, plugin: str) -> None:
        self.binding.allow(key, plugin)

    def reject(self, key: str, plugin: str, why: str) -> None:
        self.binding.reject(key, plugin, why)

    def resume(self, key: str) -> None:
        if self.binding.waits(key):
            self.context.schedule(Item(NAME, SYNC, lambda: self.binding.go_on(key)))

    def _ready(self) -> None:
        self.context.schedule(Item(NAME, SYNC, self.schedule_one))

    def wakes(self, event: str) -> list[str]:
        """The names of the plug-ins that an event matters to."""
        names = self._wakes_on.get(event)
        if names is None:
            names = sorted({plugin.name for plugin in self._plugins() if event in plugin.wakes_on})
            self._wakes_on[event] = names
        return names

    # the loop

    def schedule_one(self) -> str:
        """Find a node for the pod that is next, and bind it there. Returns the pod's key."""
        queued = self.queue.pop()
        if queued is None:
            return ""
        pod = queued.pod
        self.client.cause = revision_of(pod)
        if self.context.notes.looking:
            self.context.notes.takes_up(key_of(pod), self.client.cause)
        try:
            result = self.algorithm_of(pod).choose(pod, self.clock.now())
            self.decisions.keep(result.decision)
            if result.node:
                self.cache.place(key_of(pod), pod, result.node, result.request)
                self.binding.begin(queued, result)
            else:
                self._refuse(queued, result)
        except PluginFailure as failure:
            self.events.event(pod, WARNING, "FailedScheduling", str(failure))
            self._tell(pod, str(failure), self.nominator.node_of(key_of(pod)), reason="SchedulerError")
            self.queue.gave_up(queued, ())
        finally:
            self.client.cause = 0
        return key_of(pod)

    def bind(self, queued: QueuedPod, node: str) -> bool:
        """Write the binding. Returns whether the apiserver took it, or is about to decide."""
        pod = queued.pod
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
        return self.bound(queued, node)

    def bound(self, queued: QueuedPod, node: str) -> bool:
        """The pod has its node. Always True."""
        key = key_of(queued.pod)
        self.queue.remove(key)
        self.events.event(queued.pod, NORMAL, "Scheduled", f"Successfully assigned {key} to {node}")
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
        for plugin in algorithm.having("post_filter") if self.cache.nodes else ():
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

    def _tell(self, pod: Object, message: str, nominated: str, *, reason: str = "Unschedulable") -> None:
        """The condition PodScheduled=False, with the reason for people and tools, and the node room is made on."""
        old = condition(pod, "PodScheduled") or {}
        was_false = old.get("status") == "False"
        change: Object = {}
        if not was_false or old.get("message") != message or old.get("reason") != reason:
            moment = old.get("lastTransitionTime") if was_false else timestamp(self.clock.now())
            entry = {
                "type": "PodScheduled",
                "status": "False",
                "reason": reason,
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
