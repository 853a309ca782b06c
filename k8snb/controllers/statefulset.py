"""statefulset-controller: pods that are told apart: each has a name, a place in the order and claims of its own.

Interface: `StatefulSetController`; `statefulset_pods` has the identities, `statefulset_claims` the claims,
`statefulset_status` what one sync works on and the status, `history` the revisions.
The rule not to break: there is never more than one pod of a name, and in order nothing happens to a pod before all
those before it are well.
Source: `pkg/controller/statefulset` in the kubernetes repository. Of the feature gates that are off there by default,
MaxUnavailableStatefulSet is on here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import (
    Object,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    revision_of,
    with_metadata,
)
from k8snb.apimachinery.selectors import Selector, from_label_selector
from k8snb.client.context import Context
from k8snb.client.controller import OWNER, Controller, owner_uids
from k8snb.client.events import NORMAL, WARNING
from k8snb.client.informer import Informers
from k8snb.clock import timestamp
from k8snb.controllers import history
from k8snb.controllers.claim import Claimants, claim
from k8snb.controllers.pods import is_terminal, membership, observed, phase_of
from k8snb.controllers.replicas import delete_exactly, slow_start
from k8snb.controllers.selecting import index_orphans, selecting
from k8snb.controllers.statefulset_claims import CLAIMS, StatefulClaims
from k8snb.controllers.statefulset_pods import (
    has_identity,
    has_storage,
    is_made,
    is_member,
    is_unavailable,
    is_up,
    replicas_of,
    revision_name,
    with_identity,
    with_storage,
)
from k8snb.controllers.statefulset_status import Round, new_status

HASH = "controller.kubernetes.io/hash"


class StatefulSetController(Controller):
    name = "statefulset-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.sets = self.watch("statefulsets")
        self._claimants = Claimants(self.queue, self.sets, kind="StatefulSet", selector_of=selector_of)
        self.pods = informers.get("pods")
        self.pods.on_change(self._pod_changed, owner_kind="StatefulSet")
        self.revisions = informers.get("controllerrevisions")
        self.revisions.on_change(self._revision_changed, owner_kind="StatefulSet")
        for informer in (self.pods, self.revisions):
            informer.add_index(OWNER, owner_uids, steady=True)
            index_orphans(informer)
        claims = informers.get(CLAIMS)
        claims.on_change(self._claim_changed)
        self.claims = StatefulClaims(self.client, claims, self.events)

    # what makes a StatefulSet worth a look

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """Look at once where a pod came or went; where its state changed, a little later, for many others may too."""
        if observed(old) == observed(new):
            return
        moved = membership(old) != membership(new) or new is None
        self._claimants.tell(old, new, at_once=moved)

    def _revision_changed(self, old: Object | None, new: Object | None) -> None:
        self._claimants.tell(old, new)

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        """A pod may have waited for the end of a claim."""
        if new is None and old is not None:
            for owner in selecting(self.sets, selector_of, old):
                self.queue.add(key_of(owner), revision_of(old))

    # the loop

    def sync(self, key: str) -> None:
        owner = self.sets.by_key(key)
        if owner is None or not self.sees_own_writes(key):
            return
        selector = selector_of(owner)
        revisions = history.by_number(claim(self, key, owner, selector, self.revisions))
        pods = claim(self, key, owner, selector, self.pods, belongs=partial(is_member, owner))
        if is_deleting(owner) and not revisions:
            return
        round_ = self._begin(key, owner, revisions)
        round_.sort(pods)
        failure = None if is_deleting(owner) else self._act(round_)
        self._write_status(round_)
        if not is_deleting(owner):
            self._forget_the_past(round_, revisions, pods)
        if failure is not None:
            raise failure

    def _act(self, round_: Round) -> ApiError | None:
        """Take one step after the other, as long as nothing has to be waited for. Returns the refusal that stopped it.

        Scaling comes before updating.
        """
        steps = (self._keep_replicas, self._settle_condemned, self._end_condemned, self._roll)
        try:
            all(step(round_) for step in steps)
        except ApiError as error:
            return error
        return None

    def _for_all(self, round_: Round, count: int, act: Callable[[Round, int], bool]) -> bool:
        """Act on one pod after the other until one is not well, or in no order on all. Returns whether to go on."""
        if round_.ordered:
            return all(act(round_, at) for at in range(count))
        places = iter(range(count))
        slow_start(count, lambda: (act(round_, next(places)), None)[1])
        return True

    # revisions

    def _begin(self, key: str, owner: Object, revisions: list[Object]) -> Round:
        """The revision of the wanted template, made or brought back, and the one that was rolled out last."""
        status = owner.get("status") or {}
        collisions = status.get("collisionCount", 0)
        update = history.latest_equal(revisions, history.snapshot(owner))
        if is_deleting(owner):
            update = update or revisions[-1]
        elif update is None:
            update, collisions = self._create_revision(key, owner, history.next_number(revisions), collisions)
        elif history.number_of(update) != history.number_of(revisions[-1]):
            update = self._renumber(key, update, history.next_number(revisions))
        current = next((one for one in revisions if name_of(one) == status.get("currentRevision")), update)
        return Round(key, owner, current, update, collisions)

    def _create_revision(self, key: str, owner: Object, number: int, collisions: int) -> tuple[Object, int]:
        """A name that another revision has taken counts as a collision, and the next one is tried."""
        while True:
            hash_ = history.history_hash(history.snapshot(owner), collisions)
            wanted = history.new_revision(owner, number, HASH, hash_)
            try:
                made = self.client.create("controllerrevisions", wanted)
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
                taken = self.client.get("controllerrevisions", name_of(wanted), namespace_of(wanted))
                if taken["data"] == wanted["data"]:
                    return taken, collisions
                collisions += 1
            else:
                self.wrote(key, self.revisions, made)
                return made, collisions

    def _renumber(self, key: str, revision: Object, number: int) -> Object:
        written = self.client.update("controllerrevisions", {**revision, "revision": number})
        self.wrote(key, self.revisions, written)
        return written

    def _forget_the_past(self, round_: Round, revisions: list[Object], pods: list[Object]) -> None:
        """Of the revisions that no pod has, keep the newest `revisionHistoryLimit`."""
        limit = round_.owner["spec"].get("revisionHistoryLimit", 10)
        live = {name_of(round_.current), name_of(round_.update), *map(revision_name, pods)}
        past = [one for one in revisions if name_of(one) not in live]
        for one in past[: max(len(past) - limit, 0)]:
            self.wrote(round_.key, self.revisions, delete_exactly(self.client, "controllerrevisions", one))

    # the pods that are to be

    def _keep_replicas(self, round_: Round) -> bool:
        return self._for_all(round_, len(round_.replicas), self._keep_replica)

    def _keep_replica(self, round_: Round, at: int) -> bool:
        """Make the pod, replace it when it has ended, and see that it is what it should be."""
        pod = round_.replicas[at]
        if is_made(pod) and is_terminal(pod):
            if not is_deleting(pod):
                round_.replicas[at] = self._delete(round_, pod)
            return False
        if not is_made(pod):
            if not self.claims.is_stale(round_.owner, pod):
                round_.replicas[at] = self._create(round_, pod)
            return False
        if phase_of(pod) == "Pending":
            self.claims.ensure(round_.owner, pod)
        if round_.ordered and is_unavailable(pod, round_.owner, self.clock.now()):
            return False
        self._conform(round_, pod)
        return True

    def _create(self, round_: Round, pod: Object) -> Object:
        """The claims first, then the pod."""
        owner = round_.owner
        try:
            self.claims.ensure(owner, pod)
            made = self.client.create("pods", pod)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                self._told(owner, pod, "create", error)
            raise
        self.wrote(round_.key, self.pods, made)
        self.claims.follow_policy(owner, made)
        self._told(owner, pod, "create")
        return made

    def _conform(self, round_: Round, pod: Object) -> None:
        owner = round_.owner
        self.claims.follow_policy(owner, pod)
        if has_identity(pod) and has_storage(owner, pod):
            return
        try:
            self.claims.ensure(owner, pod)
            written = self.client.update("pods", with_storage(owner, with_identity(pod)))
        except ApiError as error:
            if error.reason != "Conflict":
                self._told(owner, pod, "update", error)
            raise
        self.wrote(round_.key, self.pods, written)
        self._told(owner, pod, "update")

    # the pods that are too many

    def _settle_condemned(self, round_: Round) -> bool:
        """Before a pod goes, its claims get the owner with whom they go or stay."""
        return self._for_all(round_, len(round_.condemned), self._settle_one)

    def _settle_one(self, round_: Round, at: int) -> bool:
        self.claims.follow_policy(round_.owner, round_.condemned[at])
        return True

    def _end_condemned(self, round_: Round) -> bool:
        """In order: the highest ordinal first, one at a time, and only while all others are well."""
        first = self._first_unavailable(round_)
        return self._for_all(round_, len(round_.condemned), partial(self._end_one, first=first))

    def _end_one(self, round_: Round, at: int, *, first: Object | None) -> bool:
        pod = round_.condemned[at]
        if is_deleting(pod):
            return False
        if not round_.ordered or pod is first or is_up(pod, round_.owner, self.clock.now()):
            round_.condemned[at] = self._delete(round_, pod)
        return False

    def _first_unavailable(self, round_: Round) -> Object | None:
        """Of all pods the one with the lowest place that is not well."""
        now = self.clock.now()
        pods = [*round_.replicas, *reversed(round_.condemned)]
        return next((pod for pod in pods if is_unavailable(pod, round_.owner, now)), None)

    def _delete(self, round_: Round, pod: Object) -> Object:
        """The pod as it is then: on its way out, or gone."""
        try:
            deleted = delete_exactly(self.client, "pods", pod)
        except ApiError as error:
            if error.code != 404:
                self._told(round_.owner, pod, "delete", error)
                raise
            return _gone(pod, self.clock.now())
        self.wrote(round_.key, self.pods, deleted)
        self._told(round_.owner, pod, "delete")
        return deleted if is_deleting(deleted) else _gone(pod, self.clock.now())

    # the rollout

    def _roll(self, round_: Round) -> bool:
        """Replace pods of another revision, from the highest ordinal down to the partition."""
        if not round_.is_rolling:
            return True
        rolling = round_.strategy.get("rollingUpdate") or {}
        places = range(len(round_.replicas) - 1, rolling.get("partition", 0) - 1, -1)
        if "maxUnavailable" in rolling:
            self._roll_many(round_, places, budget(rolling["maxUnavailable"], replicas_of(round_.owner)))
        else:
            self._roll_one(round_, places)
        return True

    def _roll_one(self, round_: Round, places: range) -> None:
        """One at a time: the next goes when the one before has come back and is well."""
        for at in places:
            pod = round_.replicas[at]
            if self._is_outdated(round_, pod):
                round_.replicas[at] = self._delete(round_, pod)
                return
            if is_unavailable(pod, round_.owner, self.clock.now()):
                return

    def _roll_many(self, round_: Round, places: range, most: int) -> None:
        now = self.clock.now()
        left = most - sum(is_unavailable(pod, round_.owner, now) for pod in round_.replicas)
        for at in places:
            if left <= 0:
                return
            if self._is_outdated(round_, round_.replicas[at]):
                round_.replicas[at] = self._delete(round_, round_.replicas[at])
                left -= 1

    def _is_outdated(self, round_: Round, pod: Object) -> bool:
        return is_made(pod) and not is_deleting(pod) and revision_name(pod) != name_of(round_.update)

    # telling

    def _told(self, owner: Object, pod: Object, verb: str, error: ApiError | None = None) -> None:
        start = f"{verb} Pod {name_of(pod)} in StatefulSet {name_of(owner)}"
        if error is None:
            self.events.event(owner, NORMAL, f"Successful{verb.title()}", f"{start} successful")
        else:
            self.events.event(owner, WARNING, f"Failed{verb.title()}", f"{start} failed error: {error.message}")

    def _write_status(self, round_: Round) -> None:
        owner = round_.owner
        status = new_status(round_, self.clock.now())
        if status != (owner.get("status") or {}):
            written = self.client.update_status("statefulsets", {**owner, "status": status})
            self.wrote(round_.key, self.sets, written)
        least = owner["spec"].get("minReadySeconds", 0)
        if least and status.get("readyReplicas", 0) != status["availableReplicas"]:
            self.queue.add_after(round_.key, least)


def selector_of(owner: Object) -> Selector:
    return from_label_selector(owner["spec"].get("selector"))


def budget(amount: int | str, replicas: int) -> int:
    """maxUnavailable in pods: per cent round down, but never to less than one pod."""
    return max(replicas * int(amount.removesuffix("%")) // 100 if isinstance(amount, str) else amount, 1)


def _gone(pod: Object, now: float) -> Object:
    return with_metadata(pod, deletionTimestamp=timestamp(now))
