"""deployment-controller: rolls a new pod template out, ReplicaSet by ReplicaSet, and keeps the old ones to go back to.

Interface: `DeploymentController`; `deployment_sizes` has its arithmetic, `deployment_revisions` its memory and
`deployment_status` its status.
The rule not to break: it touches ReplicaSets and never pods; every template has one ReplicaSet, whose name tells its
hash.
Source: `pkg/controller/deployment` in the kubernetes repository. Upstream also serves the long gone `spec.rollbackTo`;
`kubectl rollout undo` writes an old template into the Deployment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    condition,
    controller_of,
    get_path,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    revision_of,
    same_template,
    uid_of,
    with_metadata,
    with_path,
)
from k8snb.apimachinery.selectors import Selector, from_label_selector
from k8snb.client.client import MERGE
from k8snb.client.context import Context
from k8snb.client.controller import OWNER, Controller, owner_uids
from k8snb.client.events import NORMAL, WARNING
from k8snb.client.informer import Informers
from k8snb.controllers import deployment_sizes as sizes
from k8snb.controllers.claim import Claimants, claim, owned
from k8snb.controllers.deployment_revisions import (
    REVISION,
    new_replica_set,
    next_revision,
    revision_number,
    size_annotations,
    template_of,
    up_to_date,
)
from k8snb.controllers.deployment_sizes import replicas_of
from k8snb.controllers.deployment_status import (
    PAUSED,
    RESUMED,
    TIMED_OUT,
    deadline_of,
    is_complete,
    new_status,
    seconds_to_deadline,
    with_progress,
    with_words,
)
from k8snb.controllers.pods import is_terminal
from k8snb.controllers.replicas import delete_exactly
from k8snb.controllers.selecting import index_orphans

ALL_PODS = "This deployment is selecting all pods. A non-empty selector is required."


@dataclass
class Rollout:
    """A Deployment and its ReplicaSets as one sync sees them: `new` has the wanted template, `old` are the others."""

    key: str
    deployment: Object
    new: Object | None
    old: list[Object]

    @property
    def sets(self) -> list[Object]:
        return [*self.old, *([self.new] if self.new else [])]

    def replace(self, one: Object) -> None:
        """Go on with what a write has made of a ReplicaSet."""
        if self.new is not None and uid_of(self.new) == uid_of(one):
            self.new = one
        self.old = [one if uid_of(other) == uid_of(one) else other for other in self.old]


class DeploymentController(Controller):
    name = "deployment-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.deployments = self.watch("deployments")
        self._claimants = Claimants(self.queue, self.deployments, kind="Deployment", selector_of=selector_of)
        self.sets = informers.get("replicasets")
        self.sets.add_index(OWNER, owner_uids, steady=True)
        index_orphans(self.sets)
        self.sets.on_change(self._set_changed)
        self.pods = informers.get("pods")
        self.pods.add_index(OWNER, owner_uids, steady=True)
        self.pods.on_change(self._pod_changed)

    # what makes a Deployment worth a look

    def _set_changed(self, old: Object | None, new: Object | None) -> None:
        self._claimants.tell(old, new)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """Recreate waits for the last old pod to be gone."""
        reference = controller_of(old) if old and not new else None
        if old is None or reference is None or reference["kind"] != "ReplicaSet":
            return
        owner = self.sets.get(reference["name"], namespace_of(old))
        above = controller_of(owner) if owner else None
        deployment = self.deployments.get(above["name"], namespace_of(old)) if above else None
        if deployment is not None and not sizes.is_rolling(deployment):
            self.queue.add(key_of(deployment), revision_of(old))

    # the loop

    def sync(self, key: str) -> None:
        deployment = self.deployments.by_key(key)
        if deployment is None or not self.sees_own_writes(key):
            return
        selector = selector_of(deployment)
        if selector.is_everything:
            self.events.event(deployment, WARNING, "SelectingAll", ALL_PODS)
            return
        rollout = find_new(key, deployment, claim(self, key, deployment, selector, self.sets))
        if is_deleting(deployment):
            self._write_status(rollout, progress=False)
            return
        self._note_pause(rollout)
        self._sync_revision(rollout)
        if deployment["spec"].get("paused") or sizes.was_scaled(deployment, rollout.sets):
            self._scale(rollout)
            self._write_status(rollout, progress=False)
        else:
            self._strategies[get_path(deployment, "spec.strategy.type", "RollingUpdate")](self, rollout)
            self._write_status(rollout, progress=True)

    def subject(self, key: str) -> Object | None:
        return self.deployments.by_key(key)

    # the strategies

    def _roll(self, rollout: Rollout) -> None:
        """RollingUpdate: grow the new ReplicaSet as far as the surge allows, then shrink the old as far as is safe."""
        new = self._ensure_new(rollout)
        if self._resize(rollout, {name_of(new): sizes.new_size(rollout.deployment, new, rollout.old)}):
            return
        if self._resize(rollout, sizes.old_sizes(rollout.deployment, new, rollout.old)):
            return
        self._clean_up_when_complete(rollout)

    def _recreate(self, rollout: Rollout) -> None:
        """Recreate: all old pods go, and only when the last has gone do the new ones come."""
        if self._resize(rollout, {name_of(one): 0 for one in sizes.active(rollout.old)}):
            return
        if any(self._has_pods(one) for one in rollout.old):
            return
        new = self._ensure_new(rollout)
        self._resize(rollout, {name_of(new): replicas_of(rollout.deployment)})
        self._clean_up_when_complete(rollout)

    _strategies: dict[str, Callable[[DeploymentController, Rollout], None]] = {  # noqa: RUF012  a table
        "RollingUpdate": _roll,
        "Recreate": _recreate,
    }

    def _has_pods(self, one: Object) -> bool:
        if get_path(one, "status.replicas", 0):
            return True
        return any(not is_terminal(pod) for pod in owned(self.pods, one))

    def _scale(self, rollout: Rollout) -> None:
        """The Deployment was scaled, or is paused: sizes change, the template's rollout does not go on."""
        deployment, new = rollout.deployment, rollout.new
        single = sizes.only_one(new, rollout.old)
        if single is not None:
            self._resize(rollout, {name_of(single): replicas_of(deployment)})
        elif sizes.is_saturated(deployment, new):
            self._resize(rollout, {name_of(one): 0 for one in sizes.active(rollout.old)})
        elif sizes.is_rolling(deployment):
            self._resize(rollout, sizes.proportional_sizes(deployment, sizes.active(rollout.sets)))
        if deployment["spec"].get("paused"):
            self._clean_up(rollout)

    def _resize(self, rollout: Rollout, wanted: sizes.Sizes) -> bool:
        """Give ReplicaSets their sizes. Returns whether any changed."""
        changed = [
            self._resize_one(rollout, one, wanted[name_of(one)]) for one in rollout.sets if name_of(one) in wanted
        ]
        return any(changed)

    def _resize_one(self, rollout: Rollout, one: Object, size: int) -> bool:
        annotations = {**annotations_of(one), **size_annotations(rollout.deployment)}
        before = replicas_of(one)
        if size == before and annotations == annotations_of(one):
            return False
        self._write_set(rollout, with_path(with_metadata(one, annotations=annotations), "spec.replicas", size))
        if size != before:
            self._scaled(rollout.deployment, name_of(one), before, size)
        return size != before

    def _scaled(self, deployment: Object, name: str, before: int, size: int) -> None:
        way = "up" if size > before else "down"
        message = f"Scaled {way} replica set {name} from {before} to {size}"
        self.events.event(deployment, NORMAL, "ScalingReplicaSet", message)

    def _write_set(self, rollout: Rollout, one: Object) -> None:
        written = self.client.update("replicasets", one)
        self.wrote(rollout.key, self.sets, written)
        rollout.replace(written)

    # the newest ReplicaSet

    def _ensure_new(self, rollout: Rollout) -> Object:
        """The ReplicaSet of the wanted template; it is made if there is none."""
        if rollout.new is None:
            rollout.new = self._create_new(rollout)
            self._note_revision(rollout)
        return rollout.new

    def _create_new(self, rollout: Rollout) -> Object:
        deployment = rollout.deployment
        wanted = new_replica_set(deployment, next_revision(rollout.old))
        size = sizes.new_size(deployment, with_path(wanted, "spec.replicas", 0), rollout.old)
        try:
            made = self.client.create("replicasets", with_path(wanted, "spec.replicas", size))
        except ApiError as error:
            return self._creation_refused(rollout, wanted, error)
        self.wrote(rollout.key, self.sets, made)
        if size:
            self._scaled(deployment, name_of(made), 0, size)
        self._note_progress(rollout, "True", "NewReplicaSetCreated", f'Created new replica set "{name_of(made)}"')
        return made

    def _creation_refused(self, rollout: Rollout, wanted: Object, error: ApiError) -> Object:
        """The name is taken: by our own ReplicaSet, which is then the answer, or by another's: count a collision."""
        deployment = rollout.deployment
        if error.reason == "AlreadyExists":
            taken = self.client.get("replicasets", name_of(wanted), namespace_of(wanted))
            owner = controller_of(taken)
            if owner and owner["uid"] == uid_of(deployment) and same_template(template_of(taken), template_of(wanted)):
                return taken
            collisions = get_path(deployment, "status.collisionCount", 0) + 1
            self._put_status(rollout, {**(deployment.get("status") or {}), "collisionCount": collisions})
        elif "being terminated" not in error.message:
            message = f'Failed to create new replica set "{name_of(wanted)}": {error.message}'
            self.events.event(deployment, WARNING, "FailedCreate", message)
            self._note_progress(rollout, "False", "FailedCreate", message)
        raise error

    def _sync_revision(self, rollout: Rollout) -> None:
        """The newest ReplicaSet carries the highest revision, the Deployment's annotations and its minReadySeconds."""
        if rollout.new is None:
            return
        wanted = up_to_date(rollout.deployment, rollout.new, next_revision(rollout.old))
        if wanted != rollout.new:
            self._write_set(rollout, wanted)
        self._note_revision(rollout)
        if condition(rollout.deployment, "Progressing") is None:
            message = f'Found new replica set "{name_of(wanted)}"'
            self._note_progress(rollout, "True", "FoundNewReplicaSet", message)

    def _note_revision(self, rollout: Rollout) -> None:
        """Tell the revision on the Deployment too, for `kubectl rollout history`."""
        deployment, revision = rollout.deployment, annotations_of(rollout.new or {"metadata": {}}).get(REVISION)
        if revision is None or annotations_of(deployment).get(REVISION) == revision:
            return
        patch = {"metadata": {"annotations": {REVISION: revision}}}
        rollout.deployment = self.client.patch(
            "deployments", name_of(deployment), patch, namespace_of(deployment), content_type=MERGE
        )

    # the past

    def _clean_up_when_complete(self, rollout: Rollout) -> None:
        if is_complete(rollout.deployment, rollout.deployment.get("status") or {}):
            self._clean_up(rollout)

    def _clean_up(self, rollout: Rollout) -> None:
        """Of the ReplicaSets without pods, keep the newest `revisionHistoryLimit`."""
        limit = rollout.deployment["spec"].get("revisionHistoryLimit", 10)
        alive = [one for one in rollout.old if not is_deleting(one)]
        for one in sorted(alive, key=revision_number)[: max(len(alive) - limit, 0)]:
            if replicas_of(one) or get_path(one, "status.replicas", 0) or not _is_observed(one):
                continue
            self.wrote(rollout.key, self.sets, delete_exactly(self.client, "replicasets", one))
            rollout.old = [other for other in rollout.old if other is not one]

    # status

    def _note_pause(self, rollout: Rollout) -> None:
        """A paused rollout does not time out; it starts to count again when it goes on."""
        progressing = condition(rollout.deployment, "Progressing")
        reason = progressing["reason"] if progressing else ""
        paused = bool(rollout.deployment["spec"].get("paused"))
        if reason == TIMED_OUT or paused == (reason == PAUSED):
            return
        words = (PAUSED, "Deployment is paused") if paused else (RESUMED, "Deployment is resumed")
        self._note_progress(rollout, "Unknown", *words)

    def _note_progress(self, rollout: Rollout, status: str, reason: str, message: str) -> None:
        if deadline_of(rollout.deployment) is None:
            return
        old = rollout.deployment.get("status") or {}
        conditions = with_words(
            old.get("conditions") or [], "Progressing", status, reason, message, now=self.clock.now()
        )
        self._put_status(rollout, {**old, "conditions": conditions})

    def _write_status(self, rollout: Rollout, *, progress: bool) -> None:
        deployment, now = rollout.deployment, self.clock.now()
        status = new_status(deployment, rollout.new, rollout.sets, now)
        if progress:
            status = with_progress(deployment, rollout.new, rollout.sets, status, now)
        self._put_status(rollout, status)
        left = seconds_to_deadline(rollout.deployment, now)
        if progress and left is not None:
            self.queue.add_after(rollout.key, left + 1, background=True)

    def _put_status(self, rollout: Rollout, status: Object) -> None:
        if status != (rollout.deployment.get("status") or {}):
            rollout.deployment = self.client.update_status("deployments", {**rollout.deployment, "status": status})


def selector_of(deployment: Object) -> Selector:
    return from_label_selector(deployment["spec"].get("selector"))


def find_new(key: str, deployment: Object, sets: list[Object]) -> Rollout:
    """Tell the ReplicaSet of the wanted template (the oldest, should there be several) from the others."""
    by_age = sorted(sets, key=lambda one: (one["metadata"]["creationTimestamp"], name_of(one)))
    new = next((one for one in by_age if same_template(template_of(one), template_of(deployment))), None)
    return Rollout(key, deployment, new, [one for one in by_age if one is not new])


def _is_observed(one: Object) -> bool:
    return bool(get_path(one, "status.observedGeneration", 0) >= one["metadata"].get("generation", 0))
