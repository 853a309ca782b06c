"""The binding cycle: what happens between the choice of a node and the binding.

Interface: `BindingCycles`: `begin(queued, result)` reserves and goes as far as it can, `go_on(key)` goes further,
`forget(key)` ends the cycle of a pod that has gone.
The rule not to break: what plug-ins have reserved for a pod that is not bound in the end, they take back.
Source: `bindingCycle` in `pkg/scheduler/schedule_one.go` of the kubernetes repository, which runs it in a goroutine for
each pod; here a pod that has to wait is put aside, and the next one is scheduled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from k8snb.apimachinery.errors import ApiError, Postponed
from k8snb.apimachinery.meta import key_of, revision_of
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import Plugin, Rejected
from k8snb.scheduler.queue import QueuedPod

if TYPE_CHECKING:
    from k8snb.scheduler.algorithm import Result
    from k8snb.scheduler.scheduler import Scheduler


class Cycle(NamedTuple):
    """A pod on its way to a node."""

    queued: QueuedPod
    node: str


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
            for plugin in self._concerned(cycle):
                plugin.reserve(queued.pod, self._node(cycle))
        except Rejected as why:
            self._give_up(key, str(why))
            return
        self.go_on(key)

    def go_on(self, key: str) -> str:
        """Bind the pod, if everything is ready. Returns the pod's key."""
        cycle = self._cycles.get(key)
        if cycle is None:
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

    def _advance(self, key: str, cycle: Cycle) -> None:
        try:
            ready = all(plugin.pre_bind(cycle.queued.pod, self._node(cycle)) for plugin in self._concerned(cycle))
        except Rejected as why:
            self._give_up(key, str(why))
        except ApiError as error:
            self._give_up(key, error.message)
        else:
            if ready:
                del self._cycles[key]
                if not self._scheduler.bind(cycle.queued, cycle.node):
                    self._unreserve(cycle)
                    return
                for plugin in self._scheduler.algorithm_of(cycle.queued.pod).plugins:
                    plugin.post_bind(cycle.queued.pod, cycle.node)

    def _give_up(self, key: str, why: str) -> None:
        cycle = self._cycles.pop(key)
        self._unreserve(cycle)
        self._scheduler.give_back(cycle.queued, why)

    def _unreserve(self, cycle: Cycle) -> None:
        for plugin in reversed(self._concerned(cycle)):
            plugin.unreserve(cycle.queued.pod, cycle.node)

    def _concerned(self, cycle: Cycle) -> list[Plugin]:
        plugins = self._scheduler.algorithm_of(cycle.queued.pod).plugins
        return [plugin for plugin in plugins if not plugin.local and plugin.concerns(cycle.queued.pod)]

    def _node(self, cycle: Cycle) -> NodeInfo:
        node = self._scheduler.cache.node(cycle.node)
        if node is None:
            raise Rejected(f'node "{cycle.node}" not found')
        return node
