"""daemonset-controller: a pod on each node that is meant, for as long as the node is there.

Interface: `DaemonSetController`; `daemonset_nodes` says which nodes are meant, `daemonset_rollout` decides,
`daemonset_status` counts, `history` has the revisions.
The rule not to break: it makes pods for nodes and binds none; the scheduler does that.
Source: `pkg/controller/daemon` in the kubernetes repository.
"""

from __future__ import annotations

from dataclasses import dataclass

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    revision_of,
    with_path,
)
from k8snb.apimachinery.selectors import Selector, from_label_selector
from k8snb.client.client import MERGE
from k8snb.client.context import Context
from k8snb.client.controller import OWNER, Controller, owner_uids
from k8snb.client.events import NORMAL, WARNING, EventRecorder
from k8snb.client.informer import Informers
from k8snb.controllers import history
from k8snb.controllers.claim import Claimants, claim
from k8snb.controllers.daemonset_nodes import daemon_spec, pinned_to, should_run, what_counts
from k8snb.controllers.daemonset_rollout import Changes, is_rolling, manage, rolling_update
from k8snb.controllers.daemonset_status import GENERATION, HASH, TEMPLATE_GENERATION, View, new_status
from k8snb.controllers.deployment_revisions import template_hash
from k8snb.controllers.pods import membership, observed, phase_of
from k8snb.controllers.replicas import delete_exactly, pod_from_template, slow_start
from k8snb.controllers.selecting import index_orphans

BURST = 250  # pods that one sync makes or deletes at most
FIRST_DELAY, LONGEST_DELAY = 1.0, 900.0  # seconds between two replacements of failed pods on one node
ALL_PODS = "This daemon set is selecting all pods. A non-empty selector is required."


@dataclass
class Failures:
    """How often in a row the pods of a DaemonSet have failed on one node. Times are seconds on one time line."""

    since: float
    delay: float = FIRST_DELAY

    def next(self, now: float) -> Failures:
        """One more failure; it is the first again after a long time without."""
        forgotten = now - self.since > 2 * LONGEST_DELAY
        return Failures(now, FIRST_DELAY if forgotten else min(self.delay * 2, LONGEST_DELAY))


class DaemonSetController(Controller):
    name = "daemon-set-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.events = EventRecorder(self.client, "daemonset-controller", self.clock)
        self.sets = self.watch("daemonsets")
        self._claimants = Claimants(
            self.queue, self.sets, kind="DaemonSet", selector_of=selector_of, size="status.desiredNumberScheduled"
        )
        self.pods = informers.get("pods")
        self.pods.on_change(self._pod_changed, owner_kind="DaemonSet")
        self.revisions = informers.get("controllerrevisions")
        self.revisions.on_change(self._revision_changed, owner_kind="DaemonSet")
        for informer in (self.pods, self.revisions):
            informer.add_index(OWNER, owner_uids, steady=True)
            index_orphans(informer)
        self.nodes = informers.get("nodes")
        self.nodes.on_change(self._node_changed)
        self._failures: dict[str, dict[str, Failures]] = {}  # key → node → how its pods fared there

    # what makes a DaemonSet worth a look

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """Look at once where a pod came or went; where its state changed, a little later, for many others may too."""
        if observed(old) == observed(new):
            return
        moved = membership(old) != membership(new) or new is None
        self._claimants.tell(old, new, at_once=moved)

    def _revision_changed(self, old: Object | None, new: Object | None) -> None:
        self._claimants.tell(old, new)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        """Only those care for whom the change makes a difference."""
        if what_counts(old) == what_counts(new):
            return
        for owner in self.sets:
            spec = daemon_spec(owner)
            if (old and should_run(spec, old)) != (new and should_run(spec, new)):
                self.queue.add(key_of(owner), revision_of(new or old or owner))

    # the loop

    def sync(self, key: str) -> None:
        owner = self.sets.by_key(key)
        if owner is None:
            self._failures.pop(key, None)
        if owner is None or is_deleting(owner) or not self.sees_own_writes(key):
            return
        selector = selector_of(owner)
        if selector.is_everything:
            self.events.event(owner, WARNING, "SelectingAll", ALL_PODS)
            return
        current, old = self._history(key, owner, claim(self, key, owner, selector, self.revisions))
        view = View(owner, hash_of(current), self.clock.now())
        view.look(self.nodes, claim(self, key, owner, selector, self.pods))
        failure = self._act(key, view)
        self._forget_the_past(key, view, old)
        self._write_status(key, view)
        if failure is not None:
            raise failure

    def _act(self, key: str, view: View) -> ApiError | None:
        """First every node its pod, then the rollout. Returns the refusal that stopped it."""
        try:
            changes = manage(view, lambda pod, node: self._may_replace(key, view, pod, node))
            if not changes and is_rolling(view.owner):
                changes = rolling_update(view)
            self._make(key, view, changes)
            self._end(key, view.owner, changes)
        except ApiError as error:
            return error
        return None

    # pods

    def _make(self, key: str, view: View, changes: Changes) -> None:
        owner, wanted = view.owner, self._pod(view)
        nodes = iter(changes.create)

        def create() -> None:
            pod = {**wanted, "spec": pinned_to(wanted["spec"], next(nodes))}
            try:
                made = self.client.create("pods", pod)
            except ApiError as error:
                if "being terminated" not in error.message:
                    self.events.event(owner, WARNING, "FailedCreate", f"Error creating: {error.message}")
                raise
            self.wrote(key, self.pods, made)
            self.events.event(owner, NORMAL, "SuccessfulCreate", f"Created pod: {name_of(made)}")

        slow_start(min(len(changes.create), BURST), create)

    def _pod(self, view: View) -> Object:
        """A daemon pod before it has its node."""
        pod = {**pod_from_template(view.owner), "spec": daemon_spec(view.owner)}
        labels = {**labels_of(pod), HASH: view.hash}
        if generation := annotations_of(view.owner).get(TEMPLATE_GENERATION):
            labels[GENERATION] = generation
        return with_path(pod, "metadata.labels", labels)

    def _end(self, key: str, owner: Object, changes: Changes) -> None:
        for pod in changes.delete[:BURST]:
            try:
                self.wrote(key, self.pods, delete_exactly(self.client, "pods", pod))
            except ApiError as error:
                if error.code == 404:
                    continue
                self.events.event(owner, WARNING, "FailedDelete", f"Error deleting: {error.message}")
                raise
            self.events.event(owner, NORMAL, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")

    def _may_replace(self, key: str, view: View, pod: Object, node: str) -> bool:
        """Whether a pod that has ended may go at once. A kubelet that refuses pods is not asked in a hot loop."""
        what = f"daemon pod {namespace_of(pod)}/{name_of(pod)} on node {node}"
        if phase_of(pod) == "Succeeded":
            message = f"Found succeeded {what}, will try to delete it"
            self.events.event(view.owner, NORMAL, "SucceededDaemonPod", message)
            return True
        failures = self._failures.setdefault(key, {})
        known = failures.get(node)
        left = known.since + known.delay - view.now if known else 0.0
        if left > 0:
            self.queue.add_after(key, left)
            return False
        failures[node] = known.next(view.now) if known else Failures(view.now)
        self.events.event(view.owner, WARNING, "FailedDaemonPod", f"Found failed {what}, will try to kill it")
        return True

    # revisions

    def _history(self, key: str, owner: Object, revisions: list[Object]) -> tuple[Object, list[Object]]:
        """The revision of the wanted template, with the highest number, and the others in their order."""
        data = history.snapshot(owner)
        equal = [one for one in history.by_number(revisions) if one["data"] == data]
        old = [one for one in history.by_number(revisions) if one["data"] != data]
        number = history.next_number(old)
        if not equal:
            return self._create_revision(key, owner, number), old
        current = equal.pop()
        for twin in equal:
            self._merge(key, owner, twin, current)
        if history.number_of(current) < number:
            current = self.client.update("controllerrevisions", {**current, "revision": number})
            self.wrote(key, self.revisions, current)
        return current, old

    def _create_revision(self, key: str, owner: Object, number: int) -> Object:
        """A name that another revision has taken is counted in the status, and the next sync tries another."""
        status = owner.get("status") or {}
        collisions = status.get("collisionCount", 0)
        hash_ = template_hash(owner["spec"]["template"], collisions)
        wanted = history.new_revision(owner, number, HASH, hash_)
        try:
            made = self.client.create("controllerrevisions", wanted)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            taken = self.client.get("controllerrevisions", name_of(wanted), namespace_of(wanted))
            if taken["data"] == wanted["data"]:
                return taken
            counted = {**owner, "status": {**status, "collisionCount": collisions + 1}}
            self.wrote(key, self.sets, self.client.update_status("daemonsets", counted))
            raise
        self.wrote(key, self.revisions, made)
        return made

    def _merge(self, key: str, owner: Object, twin: Object, kept: Object) -> None:
        """Of two revisions with the same template one goes; its pods are the other's from now on."""
        patch = {"metadata": {"labels": {HASH: hash_of(kept)}}}
        for pod in list(self.pods.by_index(OWNER, owner["metadata"]["uid"])):
            if labels_of(pod).get(HASH) == hash_of(twin):
                written = self.client.patch("pods", name_of(pod), patch, namespace_of(pod), content_type=MERGE)
                self.wrote(key, self.pods, written)
        self.wrote(key, self.revisions, delete_exactly(self.client, "controllerrevisions", twin))

    def _forget_the_past(self, key: str, view: View, old: list[Object]) -> None:
        """Of the old revisions keep the newest `revisionHistoryLimit`, and those that a pod still has."""
        live = {labels_of(pod).get(HASH) for pods in view.pods.values() for pod in pods}
        surplus = len(old) - view.owner["spec"].get("revisionHistoryLimit", 10)
        for one in [one for one in old if hash_of(one) not in live][: max(surplus, 0)]:
            self.wrote(key, self.revisions, delete_exactly(self.client, "controllerrevisions", one))

    # status

    def _write_status(self, key: str, view: View) -> None:
        status, least = new_status(view), view.owner["spec"].get("minReadySeconds", 0)
        if status != (view.owner.get("status") or {}):
            written = self.client.update_status("daemonsets", {**view.owner, "status": status})
            self.wrote(key, self.sets, written)
        if least and status["numberReady"] != status.get("numberAvailable", 0):
            self.queue.add_after(key, least)


def selector_of(owner: Object) -> Selector:
    return from_label_selector(owner["spec"].get("selector"))


def hash_of(revision: Object) -> str:
    """The hash that the pods of a revision carry; the whole name where somebody else has made the revision."""
    return labels_of(revision).get(HASH) or name_of(revision)
