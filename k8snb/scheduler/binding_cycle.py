"""The binding cycle: what happens between the choice of a node and the binding.

Interface: `BindingCycles`: `begin(queued, result)` reserves and goes as far as it can, `go_on(key)` goes further,
`allow` and `reject` decide about a pod that a plug-in made wait, `forget(key)` ends the cycle of a pod that has gone.
The rule not to break: what plug-ins have reserved for a pod that is not bound in the end, they take back.
Source: `bindingCycle` in `pkg/scheduler/schedule_one.go` and `waiting_pods_map.go` of the kubernetes repository, which
runs it in a goroutine for each pod; here a pod that has to wait is put aside, and the next one is scheduled.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k8snb.apimachinery.errors import ApiError, Postponed
from k8snb.apimachinery.meta import key_of, revision_of
from k8snb.client.events import WARNING
from k8snb.clock import Timer
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import Plugin, Rejected
from k8snb.scheduler.guard import PluginFailure
from k8snb.scheduler.queue import QueuedPod

if TYPE_CHECKING:
    from k8snb.scheduler.ranking import Result
    from k8snb.scheduler.scheduler import Scheduler

LONGEST_WAIT = 900.0  # seconds that a plug-in can make a pod wait (upstream: maxTimeout)


@dataclass(slots=True)
class Cycle:
    """A pod on its way to a node. `waits_for` holds the plug-ins that have still to allow it, and their deadlines."""

    queued: QueuedPod
    node: str
    waits_for: dict[str, Timer] = field(default_factory=dict)


class BindingCycles:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._cycles: dict[str, Cycle] = {}

    def waits(self, key: str) -> bool:
        """Whether a pod has its node, and something there is not ready."""
        return key in self._cycles

    def begin(self, queued: QueuedPod, result: Result) -> None:
        key = key_of(queued.pod)
        cycle = self._cycles[key] = Cycle(queued, result.node)
        try:
            for plugin in self._having("reserve", cycle):
                plugin.reserve(queued.pod, self._node(cycle))
            self._ask_to_wait(key, cycle)
        except (Rejected, ApiError) as why:
            self._give_up(key, _words(why))
            return
        self.go_on(key)

    def go_on(self, key: str) -> str:
        """Bind the pod, if everything is ready. Returns the pod's key."""
        cycle = self._cycles.get(key)
        if cycle is None or cycle.waits_for:
            return ""
        client = self._scheduler.client
        before, client.cause = client.cause, client.cause or revision_of(cycle.queued.pod)
        try:
            self._advance(key, cycle)
        except Postponed as waiting:
            waiting.then(lambda: self.go_on(key))
        finally:
            client.cause = before
        return key

    def forget(self, key: str) -> None:
        """The pod has gone."""
        cycle = self._cycles.pop(key, None)
        if cycle is not None:
            self._unreserve(cycle)

    # waiting for leave

    def _ask_to_wait(self, key: str, cycle: Cycle) -> None:
        for plugin in self._having("permit", cycle):
            seconds = min(plugin.permit(cycle.queued.pod, self._node(cycle)), LONGEST_WAIT)
            if seconds:
                why = f"rejected due to timeout after waiting {seconds:g}s at plugin {plugin.name}"
                late = functools.partial(self.reject, key, plugin.name, why)
                cycle.waits_for[plugin.name] = self._scheduler.clock.after(seconds, late, label=self._scheduler.name)

    def allow(self, key: str, plugin: str) -> None:
        cycle = self._cycles.get(key)
        timer = cycle.waits_for.pop(plugin, None) if cycle is not None else None
        if timer is not None:
            timer.cancel()
            self._scheduler.resume(key)

    def reject(self, key: str, plugin: str, why: str) -> None:
        cycle = self._cycles.get(key)
        if cycle is not None and plugin in cycle.waits_for:
            self._give_up(key, why)

    # binding

    def _advance(self, key: str, cycle: Cycle) -> None:
        pod = cycle.queued.pod
        try:
            ready = all(plugin.pre_bind(pod, self._node(cycle)) for plugin in self._having("pre_bind", cycle))
            bound = ready and any(plugin.bind(pod, self._node(cycle)) for plugin in self._having("bind", cycle))
        except (Rejected, ApiError) as why:
            self._give_up(key, _words(why))
            return
        if not ready:
            return
        del self._cycles[key]
        finish = self._scheduler.bound if bound else self._scheduler.bind
        if not finish(cycle.queued, cycle.node):
            self._unreserve(cycle)
            return
        for plugin in self._having("post_bind", cycle):
            self._carefully(cycle, functools.partial(plugin.post_bind, pod, cycle.node))

    def _give_up(self, key: str, why: str) -> None:
        cycle = self._cycles.pop(key)
        self._unreserve(cycle)
        self._scheduler.give_back(cycle.queued, why)

    def _unreserve(self, cycle: Cycle) -> None:
        for timer in cycle.waits_for.values():
            timer.cancel()
        for plugin in reversed(self._having("unreserve", cycle)):
            self._carefully(cycle, functools.partial(plugin.unreserve, cycle.queued.pod, cycle.node))

    def _carefully(self, cycle: Cycle, call: Callable[[], None]) -> None:
        """What nobody can do anything about any more is said."""
        try:
            call()
        except PluginFailure as failure:
            self._scheduler.events.event(cycle.queued.pod, WARNING, "PluginFailed", str(failure))

    def _having(self, point: str, cycle: Cycle) -> list[Plugin]:
        """The plug-ins with something to say at this point about this pod."""
        algorithm, pod = self._scheduler.algorithm_of(cycle.queued.pod), cycle.queued.pod
        return [plugin for plugin in algorithm.having(point) if plugin.concerns(pod)]

    def _node(self, cycle: Cycle) -> NodeInfo:
        node = self._scheduler.cache.node(cycle.node)
        if node is None:
            raise Rejected(f'node "{cycle.node}" not found')
        return node


def _words(why: Rejected | ApiError) -> str:
    return why.message if isinstance(why, ApiError) else str(why)
