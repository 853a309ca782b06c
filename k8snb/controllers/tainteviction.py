"""taint-eviction-controller: deletes pods from nodes whose NoExecute taint they do not tolerate, or no longer.

Interface: `TaintEvictionController`. The rule not to break: a pod leaves at `timeAdded` of the taint plus its own
`tolerationSeconds`, and not at all when the taint is gone by then.
Source: `pkg/controller/tainteviction` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, is_deleting, key_of, name_of, namespace_of, revision_of, uid_of
from k8snb.apimachinery.taints import NO_EXECUTE, tolerates
from k8snb.client.client import Client
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL
from k8snb.client.informer import Informers
from k8snb.clock import parse_timestamp, timestamp
from k8snb.controllers.pods import NODE, is_active, node_of, nodes_of
from k8snb.controllers.replicas import delete_exactly


class TaintEvictionController(Controller):
    name = "taint-eviction-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self._since: dict[str, float] = {}  # pods that are to go: when that was noticed
        self.nodes = informers.get("nodes")
        self.nodes.on_change(self._node_changed)
        self.pods = informers.get("pods")
        self.pods.add_index(NODE, nodes_of, steady=True)
        self.pods.on_change(self._pod_changed)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None or _taints(old) == _taints(new):
            return
        for pod in self.pods.by_index(NODE, name_of(new)):
            self.queue.add(key_of(pod), revision_of(new))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        if pod is not None and (_concern(old) != _concern(new) or key_of(pod) in self._since):
            self.enqueue(pod)

    def sync(self, key: str) -> None:
        pod = self.pods.by_key(key)
        if pod is None or not is_active(pod):
            self._since.pop(key, None)
            return
        taints = _taints(self.nodes.get(node_of(pod)))
        since = self._since.get(key, self.clock.now())
        moment = leaving_time(pod, taints, since)
        if moment is None:
            self._cancel(key, pod)
        elif moment > self.clock.now():
            self._since[key] = since
            self.queue.add_after(key, moment - self.clock.now())
        else:
            self._evict(key, pod)

    def subject(self, key: str) -> Object | None:
        return self.pods.by_key(key)

    def _cancel(self, key: str, pod: Object) -> None:
        if self._since.pop(key, None) is not None:
            self.events.event(pod, NORMAL, "TaintManagerEviction", f"Cancelling deletion of Pod {key}")

    def _evict(self, key: str, pod: Object) -> None:
        self._since.pop(key, None)
        self.events.event(pod, NORMAL, "TaintManagerEviction", f"Marking for deletion Pod {key}")
        words = ("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
        disrupt(self.client, pod, *words, now=timestamp(self.clock.now()))


def disrupt(client: Client, pod: Object, reason: str, message: str, *, now: str, force: bool = False) -> None:
    """Say on a pod why the control plane ends it, and delete it. With `force` at once, as Failed. Gone is as good."""
    entry = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message,
             "lastTransitionTime": now}  # fmt: skip
    status = {"conditions": [entry], **({"phase": "Failed"} if force else {})}
    patch = {"metadata": {"uid": uid_of(pod)}, "status": status}
    try:
        client.patch("pods", name_of(pod), patch, namespace_of(pod), subresource="status")
        if force:
            client.delete("pods", name_of(pod), namespace_of(pod), gracePeriodSeconds=0,
                          preconditions={"uid": uid_of(pod)})  # fmt: skip
        else:
            delete_exactly(client, "pods", pod)
    except ApiError as error:
        if error.code != 404:
            raise


def leaving_time(pod: Object, taints: list[Object], noticed: float) -> float | None:
    """When a pod has to leave a node with these NoExecute taints (seconds since the epoch); None: never.

    A taint that does not say since when it is there counts from when it was noticed.
    """
    moments = []
    for taint in taints:
        matching = [one for one in pod["spec"].get("tolerations") or () if tolerates(one, taint)]
        if not matching:
            return noticed
        patience = [one["tolerationSeconds"] for one in matching if one.get("tolerationSeconds") is not None]
        if patience:
            added = parse_timestamp(taint["timeAdded"]) if taint.get("timeAdded") else noticed
            moments.append(added + max(min(patience), 0))
    return min(moments, default=None)


def _taints(node: Object | None) -> list[Object]:
    return [taint for taint in get_path(node, "spec.taints") or () if taint["effect"] == NO_EXECUTE]


def _concern(pod: Object | None) -> tuple[object, ...] | None:
    if pod is None:
        return None
    return uid_of(pod), node_of(pod), pod["spec"].get("tolerations"), is_deleting(pod)
