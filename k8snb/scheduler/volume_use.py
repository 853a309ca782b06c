"""Which pods use which claims, and where: kept up by the informer, and ahead of it for pods that are being bound.

Interface: `VolumeUse(handle)`: `on_node`, `of_claim`, `place`, `displace`.
The rule not to break: a pod that was given a node counts there from that moment, before any watch says so.
Source: `UsedPVCRefCounts` and `PVCRefCounts` of `framework.NodeInfo` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path, key_of
from k8snb.apimachinery.storage import claim_keys
from k8snb.scheduler.framework import Handle


class VolumeUse:
    """Pods that use claims and have not ended."""

    def __init__(self, handle: Handle) -> None:
        self._nodes: dict[str, str] = {}  # a pod's key → its node
        self._claims: dict[str, list[str]] = {}  # a pod's key → the keys of its claims
        self._by_node: dict[str, set[str]] = {}
        self._by_claim: dict[str, set[str]] = {}
        handle.informers.get("pods").on_change(self._pod_changed)

    def on_node(self, node: str) -> set[str]:
        """The keys of the claims that pods on a node use."""
        return {claim for pod in self._by_node.get(node, ()) for claim in self._claims[pod]}

    def of_claim(self, claim: str) -> set[str]:
        """The keys of the pods with a node that use a claim."""
        return self._by_claim.get(claim, set())

    def place(self, pod: Object, node: str) -> None:
        key = key_of(pod)
        self.displace(key)
        claims = self._claims[key] = claim_keys(pod)
        self._nodes[key] = node
        self._by_node.setdefault(node, set()).add(key)
        for claim in claims:
            self._by_claim.setdefault(claim, set()).add(key)

    def displace(self, key: str) -> None:
        node = self._nodes.pop(key, None)
        if node is None:
            return
        _drop(self._by_node, node, key)
        for claim in self._claims.pop(key):
            _drop(self._by_claim, claim, key)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        assert pod is not None
        if not pod["spec"].get("volumes"):
            return
        node = pod["spec"].get("nodeName")
        if new is None or get_path(new, "status.phase") in ("Succeeded", "Failed"):
            self.displace(key_of(pod))
        elif node and claim_keys(new):
            self.place(new, node)


def _drop(index: dict[str, set[str]], name: str, key: str) -> None:
    index[name].discard(key)
    if not index[name]:
        del index[name]
