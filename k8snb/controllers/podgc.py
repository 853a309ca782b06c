"""pod-garbage-collector: removes pods that no kubelet will ever remove.

Interface: `PodGCController`. The rule not to break: a node that is missing from the cache is asked for at the
apiserver, after a pause, before its pods are ended.
Source: `pkg/controller/podgc` in the kubernetes repository. Upstream looks at all pods every 20 seconds.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import (
    Object,
    get_path,
    is_deleting,
    is_true,
    key_of,
    name_of,
    namespace_of,
    revision_of,
    uid_of,
)
from k8snb.apimachinery.taints import OUT_OF_SERVICE
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.clock import timestamp
from k8snb.controllers.pods import NODE, is_terminal, node_of, nodes_of
from k8snb.controllers.tainteviction import disrupt

QUARANTINE = 40.0  # seconds between a node's end and that of its pods
MOST_FINISHED = 12500  # pods that have run to their end; of more the oldest go
SURPLUS = "finished pods"  # the key under which the number of finished pods is looked at: no pod has such a name
FINISHED = "finished"  # the index of the pods that have run to their end, and its one value

NODE_GONE = "PodGC: node no longer exists"
UNSCHEDULED = "PodGC: unscheduled and terminating"
NODE_OUT = "PodGC: node is out of service"


class PodGCController(Controller):
    name = "pod-garbage-collector"

    def __init__(self, context: Context, informers: Informers, *, most_finished: int = MOST_FINISHED) -> None:
        super().__init__(context, informers)
        self._most_finished = most_finished
        self._missing: dict[str, float] = {}  # nodes that are not there: since when
        self.nodes = informers.get("nodes")
        self.nodes.on_change(self._node_changed)
        self.pods = informers.get("pods")
        self.pods.add_index(NODE, nodes_of, steady=True)
        self.pods.add_index(FINISHED, _finished)
        self.pods.on_change(self._pod_changed)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        node = new or old
        assert node is not None
        if new is not None:
            self._missing.pop(name_of(node), None)
        if new is None or (old is not None and _is_out(old) != _is_out(new)):
            for pod in self.pods.by_index(NODE, name_of(node)):
                self.queue.add(key_of(pod), revision_of(node))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            return
        if self._is_node_gone(new) or is_deleting(new):
            self.enqueue(new)
        if is_terminal(new) and len(self.pods.by_index(FINISHED, FINISHED)) > self._most_finished:
            self.queue.add(SURPLUS, revision_of(new))

    def _is_node_gone(self, pod: Object) -> bool:
        return bool(node_of(pod)) and self.nodes.get(node_of(pod)) is None

    def sync(self, key: str) -> None:
        if key == SURPLUS:
            self._remove_oldest()
            return
        pod = self.pods.by_key(key)
        if pod is None:
            return
        why = self._why(key, pod)
        if why:
            disrupt(self.client, pod, "DeletionByPodGC", why, now=timestamp(self.clock.now()), force=True)

    def subject(self, key: str) -> Object | None:
        return self.pods.by_key(key)

    def _remove_oldest(self) -> None:
        """Evicted pods go first, for they say least of what they have done."""
        finished = sorted(self.pods.by_index(FINISHED, FINISHED), key=_age)
        for pod in finished[: max(0, len(finished) - self._most_finished)]:
            self.client.delete("pods", name_of(pod), namespace_of(pod), gracePeriodSeconds=0,
                               preconditions={"uid": uid_of(pod)})  # fmt: skip

    def _why(self, key: str, pod: Object) -> str:
        """Why the pod has to be removed; "" when it has not."""
        if self._is_node_gone(pod):
            return NODE_GONE if self._is_gone_for_good(key, node_of(pod)) else ""
        if not is_deleting(pod):
            return ""
        if not node_of(pod):
            return UNSCHEDULED
        node = self.nodes.get(node_of(pod))
        return NODE_OUT if node is not None and _is_out(node) else ""

    def _is_gone_for_good(self, key: str, node: str) -> bool:
        now = self.clock.monotonic()
        left = self._missing.setdefault(node, now) + QUARANTINE - now
        if left > 0:
            self.queue.add_after(key, left)
            return False
        return self.client.find("nodes", node) is None


def _finished(pod: Object) -> list[str]:
    return [FINISHED] if is_terminal(pod) else []


def _age(pod: Object) -> tuple[bool, str, str]:
    evicted = (pod.get("status") or {}).get("reason") == "Evicted"
    return not evicted, pod["metadata"]["creationTimestamp"], name_of(pod)


def _is_out(node: Object) -> bool:
    """Whether somebody has declared the node out of service, and it is not ready."""
    taints = get_path(node, "spec.taints") or ()
    return not is_true(node, "Ready") and any(taint["key"] == OUT_OF_SERVICE for taint in taints)
