"""statefulset-controller's claims: made before the pod, kept after it, unless the set says when they are to go.

Interface: `StatefulClaims`: `ensure`, `is_stale`, `follow_policy`.
The rule not to break: a claim is never deleted here: where it is to go, an owner reference lets the garbage collector
do it; a claim that somebody else controls is left alone.
Source: `pkg/controller/statefulset/stateful_pod_control.go`, KEP-1847 in kubernetes/enhancements.
"""

from __future__ import annotations

from collections.abc import Iterator

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import (
    Object,
    controller_reference,
    is_deleting,
    name_of,
    namespace_of,
    uid_of,
    with_metadata,
)
from k8snb.client.client import Client
from k8snb.client.events import NORMAL, WARNING, EventRecorder
from k8snb.client.informer import Informer
from k8snb.controllers.statefulset_pods import claims_for, ordinal_of, ordinals

CLAIMS = "persistentvolumeclaims"


class StatefulClaims:
    """The claims of the pods of all StatefulSets."""

    def __init__(self, client: Client, claims: Informer, events: EventRecorder) -> None:
        self._client, self._claims, self._events = client, claims, events

    def ensure(self, owner: Object, pod: Object) -> None:
        """Make the claims that are missing. Raises ApiError with all that stood in the way."""
        refusals = [
            error for claim in claims_for(owner, pod).values() if (error := self._ensure(owner, pod, claim)) is not None
        ]
        if refusals:
            words = [error.message for error in refusals]
            message = words[0] if len(words) == 1 else f"[{', '.join(words)}]"
            raise ApiError(refusals[0].code, refusals[0].reason, message)

    def _ensure(self, owner: Object, pod: Object, wanted: Object) -> ApiError | None:
        name, whose = name_of(wanted), f"Pod {name_of(pod)} in StatefulSet {name_of(owner)}"
        found = self._find(name, namespace_of(wanted))
        if found is not None:
            return ApiError(409, "Conflict", f"pvc {name} is being deleted") if is_deleting(found) else None
        try:
            self._client.create(CLAIMS, wanted)
        except ApiError as error:
            message = f"create Claim {name} for {whose} failed error: {error.message}"
            self._events.event(owner, WARNING, "FailedCreate", message)
            return ApiError(error.code, error.reason, f"failed to create PVC {name}: {error.message}")
        self._events.event(owner, NORMAL, "SuccessfulCreate", f"create Claim {name} {whose} success")
        return None

    def is_stale(self, owner: Object, pod: Object) -> bool:
        """Whether a claim still belongs to an earlier pod of this name, with which it is about to go."""
        if _policy(owner, "whenScaled") == "Retain":
            return False
        return any(_is_of_former(claim, pod) for claim in self._present(owner, pod))

    def follow_policy(self, owner: Object, pod: Object) -> None:
        """Give the pod's claims the owners that the retention policy wants. Raises ApiError."""
        for claim in self._present(owner, pod):
            wanted = _owned_as_wanted(claim, owner, pod)
            if wanted is not claim:
                self._client.update(CLAIMS, wanted)

    def _present(self, owner: Object, pod: Object) -> Iterator[Object]:
        for claim in claims_for(owner, pod).values():
            found = self._find(name_of(claim), namespace_of(claim))
            if found is not None:
                yield found

    def _find(self, name: str, namespace: str) -> Object | None:
        """From the cache, or where it knows of none, from the server."""
        return self._claims.get(name, namespace) or self._client.find(CLAIMS, name, namespace)


def _policy(owner: Object, moment: str) -> str:
    policy: str = (owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}).get(moment, "Retain")
    return policy


def _owned_as_wanted(claim: Object, owner: Object, pod: Object) -> Object:
    """The claim with the set or the pod as its owner, as the policy says; itself where it is so already.

    With whenScaled: Delete a claim goes with the pod that is scaled away, with whenDeleted: Delete with the set.
    """
    present = claim["metadata"].get("ownerReferences") or []
    kept = [one for one in present if not _names(one, owner) and not _names(one, pod)]
    wanted = list(kept)
    if not any(one.get("controller") for one in kept):
        gone = _policy(owner, "whenScaled") == "Delete" and ordinal_of(pod) not in ordinals(owner)
        if gone and uid_of(pod):
            wanted.append(controller_reference(pod))
        elif not gone and _policy(owner, "whenDeleted") == "Delete":
            wanted.append(controller_reference(owner))
    return claim if wanted == present else with_metadata(claim, ownerReferences=wanted or None)


def _names(reference: Object, obj: Object) -> bool:
    """Whether a reference is to an object of this kind and name, be it an earlier one."""
    return (reference["apiVersion"], reference["kind"], reference["name"]) == (
        obj["apiVersion"], obj["kind"], name_of(obj),
    )  # fmt: skip


def _is_of_former(claim: Object, pod: Object) -> bool:
    references = claim["metadata"].get("ownerReferences") or ()
    return any(_names(one, pod) and one["uid"] != uid_of(pod) for one in references)
