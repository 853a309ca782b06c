"""kube-apiserver's strategy for PersistentVolumes, where it differs from that of other kinds.

Interface: `with_first_phase`. Source: `pkg/registry/core/persistentvolume/strategy.go`.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object


def with_first_phase(volume: Object) -> Object:
    """A new volume is Pending since it was made."""
    since = volume["metadata"]["creationTimestamp"]
    return {**volume, "status": {**(volume.get("status") or {}), "phase": "Pending", "lastPhaseTransitionTime": since}}
