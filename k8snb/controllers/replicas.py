"""What ReplicaSet and ReplicationController share: keep a number of pods of one template running.

Interface: `ReplicasController`, of which `replicaset` and `replicationcontroller` fill in the names.
The rule not to break: pods are counted only when the cache shows what the last sync has written, or there would be
too many.
Source: `pkg/controller/replicaset/replica_set.go`; upstream's ReplicationController is the same code behind a
converter.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Set
from typing import ClassVar, NamedTuple

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import (
    Object,
    condition,
    controller_of,
    controller_reference,
    get_path,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    revision_of,
    uid_of,
    with_condition,
)
from k8snb.apimachinery.selectors import Selector
from k8snb.client.client import Client
from k8snb.client.context import Context
from k8snb.client.controller import OWNER, Controller, owner_uids
from k8snb.client.events import NORMAL, WARNING
from k8snb.client.informer import Informers
from k8snb.clock import timestamp
from k8snb.controllers.census import Census, Sort
from k8snb.controllers.claim import Claimants, claim, owned
from k8snb.controllers.pods import (
    first_to_delete,
    is_active,
    is_available,
    is_ready,
    membership,
    readiness,
)
from k8snb.controllers.selecting import index_orphans, orphans

BURST = 500  # pods that one sync makes or deletes at most


class Numbers(NamedTuple):
    """How a set's active pods fare."""

    replicas: int = 0
    labelled: int = 0
    ready: int = 0
    available: int = 0


class ReplicasController(Controller):
    """Subclasses name the kind, its resource, and how its selector is written."""

    kind: ClassVar[str]
    resource: ClassVar[str]

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self._told: dict[str, int] = {}  # the revision of the status that was written last
        self.sets = informers.get(self.resource)
        self.sets.on_change(self._set_changed)
        self.sets.add_index(OWNER, owner_uids, steady=True)
        self._claimants = Claimants(self.queue, self.sets, kind=self.kind, selector_of=self.selector_of)
        self.pods = informers.get("pods")
        self.pods.add_index(OWNER, owner_uids, steady=True)
        index_orphans(self.pods)
        self._census = Census(self.pods, self.kind)
        self.pods.on_change(self._pod_changed, owner_kind=self.kind)

    def selector_of(self, owner: Object) -> Selector:
        raise NotImplementedError

    # what makes a set worth a look

    def _set_changed(self, old: Object | None, new: Object | None) -> None:
        """Everything but the status that this controller wrote when it looked last."""
        if old is None or new is None or self._told.get(key_of(new)) != revision_of(new) or _asked(old) != _asked(new):
            self.enqueue(new or old)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """Look at once where a pod came or went; where one became ready, a little later, for many others may too."""
        moved = membership(old) != membership(new)
        if not moved and (membership(new) is None or readiness(old) == readiness(new)):
            return
        self._claimants.tell(old, new, at_once=moved)

    # the loop

    def sync(self, key: str) -> None:
        owner = self.sets.by_key(key)
        self._told.pop(key, None)  # a status that has not come back may hide behind an older one: look again then
        if owner is None or not self.sees_own_writes(key):
            return
        numbers = self._numbers(owner)
        if numbers is None:
            claimed = claim(self, key, owner, self.selector_of(owner), self.pods)
            pods = [pod for pod in claimed if is_active(pod)]
            numbers = count(owner, pods, self.clock.now())
        else:
            pods = []
        failure = None if is_deleting(owner) else self._manage(key, owner, numbers.replicas, pods)
        self._update_status(owner, numbers, failure)
        if failure is not None:
            raise failure

    def _numbers(self, owner: Object) -> Numbers | None:
        """How its pods fare, where nobody has to look at each: none to adopt, to release, to delete, or to wait for."""
        selector, wanted = self.selector_of(owner), owner["spec"].get("replicas", 1)
        if is_deleting(owner) or owner["spec"].get("minReadySeconds"):
            return None
        self.pods.by_index(OWNER, uid_of(owner))  # who steps through the cluster is told which pods the census counts
        numbers = tally(owner, self._census.of(uid_of(owner)), selector)
        if numbers is None or numbers.replicas > wanted or orphans(self.pods, namespace_of(owner), selector):
            return None
        return numbers

    def subject(self, key: str) -> Object | None:
        """None: a failure to make or delete pods has its own events."""
        return None

    def _manage(self, key: str, owner: Object, present: int, pods: list[Object]) -> ApiError | None:
        """Make the missing pods, or delete those of `pods` that are too many. Returns the refusal that stopped it."""
        missing = owner["spec"].get("replicas", 1) - present
        try:
            if missing > 0:
                self._create(key, owner, min(missing, BURST))
            elif missing < 0:
                self._delete(key, owner, pods, min(-missing, BURST))
        except ApiError as error:
            return error
        return None

    def _create(self, key: str, owner: Object, count: int) -> None:
        pod = pod_from_template(owner)

        def create() -> None:
            try:
                created = self.client.create("pods", pod)
            except ApiError as error:
                if "being terminated" not in error.message:
                    self.events.event(owner, WARNING, "FailedCreate", f"Error creating: {error.message}")
                raise
            self.wrote(key, self.pods, created)
            self.events.event(owner, NORMAL, "SuccessfulCreate", f"Created pod: {name_of(created)}")

        slow_start(count, create)

    def _delete(self, key: str, owner: Object, pods: list[Object], count: int) -> None:
        related = self._related(owner) if len(pods) > count else ()
        for pod in first_to_delete(pods, related, self.clock.now())[:count]:
            try:
                self.wrote(key, self.pods, delete_exactly(self.client, "pods", pod))
            except ApiError as error:
                if error.code == 404:
                    continue
                self.events.event(owner, WARNING, "FailedDelete", f"Error deleting: {error.message}")
                raise
            self.events.event(owner, NORMAL, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")

    def _related(self, owner: Object) -> Iterable[Object]:
        """The active pods of all sets that the same controller (a Deployment) owns, this one's included."""
        above = controller_of(owner)
        sets = self.sets.by_index(OWNER, above["uid"]) if above else (owner,)
        return [pod for one in sets for pod in owned(self.pods, one) if is_active(pod)]

    # status

    def _update_status(self, owner: Object, numbers: Numbers, failure: ApiError | None) -> None:
        status = new_status(owner, numbers, failure, self.clock.now())
        if status != (owner.get("status") or {}):
            written = self.client.update_status(self.resource, {**owner, "status": status})
            self._told[key_of(owner)] = revision_of(written)
        least = owner["spec"].get("minReadySeconds", 0)
        if least and status.get("readyReplicas", 0) != status.get("availableReplicas", 0):
            self.queue.add_after(key_of(owner), least)


def _asked(owner: Object) -> tuple[object, ...]:
    metadata = owner["metadata"]
    return owner["spec"], metadata["uid"], metadata.get("deletionTimestamp"), metadata.get("ownerReferences")


def pod_from_template(owner: Object) -> Object:
    """The pod that a template asks for; it shares the template's spec."""
    template = owner["spec"]["template"]
    wanted = template.get("metadata") or {}
    metadata = {key: wanted[key] for key in ("labels", "annotations", "finalizers") if wanted.get(key)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{name_of(owner)}-",
            "namespace": namespace_of(owner),
            **metadata,
            "ownerReferences": [controller_reference(owner)],
        },
        "spec": template["spec"],
    }


def slow_start(count: int, act: Callable[[], None]) -> None:
    """Act `count` times in batches of 1, 2, 4 …; a batch in which anything was refused is the last.

    A quota or a broken admission plug-in refuses every pod alike: the doubling keeps a thousand refusals to one. Raises
    the first refusal.
    """
    batch = 1
    while count > 0:
        refusals = [error for error in map(_attempt, [act] * min(batch, count)) if error is not None]
        if refusals:
            raise refusals[0]
        count -= batch
        batch *= 2


def _attempt(act: Callable[[], None]) -> ApiError | None:
    try:
        act()
    except ApiError as error:
        return error
    return None


def delete_exactly(client: Client, resource: str, obj: Object) -> Object:
    """Delete this very object, and not one that has taken its name since. Raises ApiError."""
    preconditions = {"uid": obj["metadata"]["uid"]}
    return client.delete(resource, name_of(obj), namespace_of(obj), preconditions=preconditions)


def count(owner: Object, pods: list[Object], now: float) -> Numbers:
    """How a set's active pods fare."""
    labels = _template_labels(owner)
    least, ready = owner["spec"].get("minReadySeconds", 0), sum(map(is_ready, pods))
    labelled = sum(labels <= labels_of(pod).items() for pod in pods)
    available = sum(is_available(pod, least, now) for pod in pods) if least else ready
    return Numbers(len(pods), labelled, ready, available)


def tally(owner: Object, census: Mapping[Sort, int], selector: Selector) -> Numbers | None:
    """The same from the census; None where the selector does not pick them all."""
    labels, numbers = _template_labels(owner), Numbers()
    for sort, present in census.items():
        if not selector.matches(dict(sort.labels)):
            return None
        if sort.active:
            ready = present if sort.ready else 0
            more = (present, present if labels <= sort.labels else 0, ready, ready)
            numbers = Numbers(*map(operator.add, numbers, more))
    return numbers


def _template_labels(owner: Object) -> Set[tuple[str, str]]:
    found: Object = get_path(owner, "spec.template.metadata.labels") or {}
    return found.items()


def new_status(owner: Object, numbers: Numbers, failure: ApiError | None, now: float) -> Object:
    """The status of a set with so many active pods; counts of nought are left out, as upstream does."""
    counts = {
        "fullyLabeledReplicas": numbers.labelled,
        "readyReplicas": numbers.ready,
        "availableReplicas": numbers.available,
        "observedGeneration": owner["metadata"].get("generation", 0),
    }
    conditions = _conditions(owner, numbers.replicas, failure, now)
    return {
        "replicas": numbers.replicas,
        **{name: number for name, number in counts.items() if number},
        **({"conditions": conditions} if conditions else {}),
    }


def _conditions(owner: Object, pods: int, failure: ApiError | None, now: float) -> list[Object]:
    """ReplicaFailure while pods can not be made or deleted; it keeps the words of the first refusal."""
    old = get_path(owner, "status.conditions") or []
    if failure is None:
        return [entry for entry in old if entry["type"] != "ReplicaFailure"]
    if condition(owner, "ReplicaFailure") is not None:
        return list(old)
    reason = "FailedCreate" if owner["spec"].get("replicas", 1) > pods else "FailedDelete"
    entry = {"type": "ReplicaFailure", "status": "True", "reason": reason, "message": failure.message}
    return with_condition(old, entry, timestamp(now))
