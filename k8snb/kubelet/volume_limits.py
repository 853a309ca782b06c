"""kubelet's eviction for emptyDir volumes: a pod that puts more into one than its sizeLimit has failed.

Interface: `complaint(mounted)`, "" while all is well; `ended(pod, reason, message, now)`.
The rule not to break: only what lies in a pod's own emptyDir is measured, and no link is followed.
Source: `emptyDirLimitEviction` in pkg/kubelet/eviction/eviction_manager.go.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from k8snb.apimachinery import quantity
from k8snb.apimachinery.meta import Object, get_path, with_condition
from k8snb.kubelet.volume_plugin import Volume

REASON = "Evicted"
GRACE = 1.0  # second that the containers get
BLOCK = 512  # bytes that st_blocks counts in


def limit_of(volume: Volume) -> str:
    """A volume's sizeLimit, "" for none. Only an emptyDir has one."""
    return str(volume.source.get("sizeLimit") or "")


def complaint(volumes: Iterable[Volume]) -> str:
    for volume in volumes:
        limit = limit_of(volume)
        if limit and quantity.to_bytes(limit) > 0 and usage(volume.directory) > quantity.to_bytes(limit):
            return f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{limit}". '
    return ""


def usage(directory: Path) -> int:
    """Bytes that a directory takes with all that is in it, as du counts them."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * BLOCK
            except OSError:  # removed since the listing
                continue
    return total


def ended(pod: Object, reason: str, message: str, now: str) -> Object:
    """The pod as its node has ended it. `now` is a timestamp."""
    entry: Object = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": message}
    conditions = with_condition(get_path(pod, "status.conditions") or (), entry, now)
    status = {**pod["status"], "phase": "Failed", "reason": reason, "message": message, "conditions": conditions}
    return {**pod, "status": status}
