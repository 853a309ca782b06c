"""persistentvolumeclaim-protection-controller: a claim that is being deleted stays while a pod uses it.

Interface: `PVCProtectionController`. The rule not to break: the finalizer goes only when no pod that has a node names
the claim; a pod without a node does not count, for no kubelet starts it with a claim on its way out.
Source: `pkg/controller/volume/pvcprotection` in the kubernetes repository. A pod that has ended counts until it is
deleted.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, is_deleting, revision_of, split_key, with_metadata
from k8snb.apimachinery.storage import claim_keys, claims_of, stranger
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.controllers.pods import is_terminal

FINALIZER = "kubernetes.io/pvc-protection"
CLAIM = "claim"


class PVCProtectionController(Controller):
    name = "pvc-protection-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.claims = self.watch("persistentvolumeclaims")
        self.pods = informers.get("pods")
        self.pods.add_index(CLAIM, claim_keys, steady=True)
        self.pods.on_change(self._pod_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """Only a pod that goes, or ends, sets a claim free."""
        pod = new or old
        assert pod is not None
        if (
            new is None
            or is_terminal(new)
            or (old is not None and old["metadata"].get("uid") != new["metadata"]["uid"])
        ):
            for key in claim_keys(pod):
                self.queue.add(key, revision_of(pod))

    def sync(self, key: str) -> None:
        self.claims.catch_up()
        self.pods.catch_up()
        claim = self.claims.by_key(key)
        if claim is None:
            return
        finalizers = claim["metadata"].get("finalizers") or []
        if is_deleting(claim) and FINALIZER in finalizers and not self._is_used(key, claim):
            kept = [name for name in finalizers if name != FINALIZER]
            self.client.update("persistentvolumeclaims", with_metadata(claim, finalizers=kept or None))
        elif not is_deleting(claim) and FINALIZER not in finalizers:
            self.client.update("persistentvolumeclaims", with_metadata(claim, finalizers=[*finalizers, FINALIZER]))

    def _is_used(self, key: str, claim: Object) -> bool:
        """Whether a pod uses the claim: by the cache, and where that knows of none, by the apiserver."""
        namespace, _ = split_key(key)
        if any(_uses(pod, claim) for pod in self.pods.by_index(CLAIM, key)):
            return True
        return any(_uses(pod, claim) for pod in self.client.items("pods", namespace) if key in claim_keys(pod))


def _uses(pod: Object, claim: Object) -> bool:
    if not pod["spec"].get("nodeName"):
        return False
    mine = [volume for volume, name in claims_of(pod) if name == claim["metadata"]["name"]]
    return any(not volume.get("ephemeral") or (not is_terminal(pod) and not stranger(pod, claim)) for volume in mine)
