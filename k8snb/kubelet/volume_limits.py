"""kubelet's eviction for emptyDir volumes: a pod that puts more into one than its sizeLimit has failed, and so has one
that puts more into all of them than its containers may have of the node's disk.

Interface: `complaint(volumes)` and `storage_complaint(pod, directories)`, "" while all is well; `ended(pod, reason,
message, now)`.
The rule not to break: only what lies in a pod's own emptyDir is measured, and no link is followed.
Source: `emptyDirLimitEviction`, `podEphemeralStorageLimitEviction` in pkg/kubelet/eviction/eviction_manager.go.
Upstream also counts what containers write beside their volumes, and their logs: see `unsupported`.
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
STORAGE = "ephemeral-storage"
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


def storage_limit(pod: Object) -> int:
    """Bytes that the containers may have of the node's disk; 0 where none of them says."""
    limits = (get_path(container, "resources.limits") or {} for container in pod["spec"]["containers"])
    return sum(quantity.to_bytes(limit.get(STORAGE, 0)) for limit in limits)


def storage_complaint(pod: Object, directories: Iterable[Path]) -> str:
    limit = storage_limit(pod)
    if not limit or sum(map(usage, directories)) <= limit:
        return ""
    shown = quantity.canonical(f"{limit / 1024:.10g}Ki") if limit % 1024 == 0 else str(limit)
    return f"Pod ephemeral local storage usage exceeds the total limit of containers {shown}. "


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
