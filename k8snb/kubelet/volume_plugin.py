"""kubelet's volume plug-in: what makes one sort of volume be there on a node. A learner's own can join.

Interface: `VolumePlugin`, a protocol; `Volume`, what it is asked for; `VolumeError`, what it raises.

    class Notes(VolumePlugin):  # for `csi: {driver: notes.example.com}` in a pod or a PersistentVolume
        def set_up(self, volume):
            (volume.make() / "note").write_text("hello")
            return volume.directory

    cluster.add_volume_plugin("csi/notes.example.com", Notes())

The rule not to break: `set_up` may be called again for a volume that is there, and then loses nothing of it.
Source: `VolumePlugin` and `Mounter` in pkg/volume. Upstream's drivers outside of the kubelet speak CSI over gRPC.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from k8snb.apimachinery.meta import Object, get_path

FOR_ALL = 0o777


class VolumeError(Exception):
    """A volume that cannot be there now: the event FailedMount says why, and it is tried again later."""

    during = "MountVolume.SetUp failed"


class MounterError(VolumeError):
    """A volume that cannot even be begun with."""

    during = "MountVolume.NewMounter initialization failed"


class World(Protocol):
    """What a plug-in may ask the kubelet."""

    def find_object(self, resource: str, name: str, namespace: str) -> Object | None: ...

    def token(self, pod: Object, audience: str, seconds: int) -> str:
        """A token for the pod's service account, made anew before it expires. Raises ApiError."""

    def stamp(self) -> str:
        """The time, for a file's name."""

    @property
    def allocatable(self) -> Callable[[], Mapping[str, str]]:
        """What the node has to give to its pods."""


@dataclass(frozen=True, kw_only=True)
class Volume:
    """One volume of one pod. `source` is what stands under the plug-in's name; `directory` is the volume's own.

    `name` is the pod's word for it, `shown` the one in messages: a PersistentVolume's own name. `kept` is what the
    plug-in remembers of the volume from call to call.
    """

    name: str
    shown: str
    pod: Object
    source: Object
    directory: Path
    world: World
    read_only: bool = False
    kept: dict[str, Any] = field(default_factory=dict)

    def make(self, mode: int = FOR_ALL) -> Path:
        """The volume's own directory, made if it is not there."""
        if not self.directory.is_dir():
            self.directory.mkdir(parents=True)
            self.directory.chmod(mode)
        return self.directory

    @property
    def group(self) -> int | None:
        """The group that the volume's files are to have, None for any."""
        group: int | None = get_path(self.pod, "spec.securityContext.fsGroup")
        return group

    @property
    def group_policy(self) -> str:
        """fsGroupChangePolicy: OnRootMismatch or Always, "" where nothing is said."""
        return str(get_path(self.pod, "spec.securityContext.fsGroupChangePolicy") or "")

    def give_to_group(self) -> bool:
        """Give the volume's own files to the pod's fsGroup; whether there is one and this process may."""
        if self.group is None or not may_change_groups():
            return False
        for folder, folders, names in os.walk(self.directory):
            for name in (".", *folders, *names):
                os.lchown(os.path.join(folder, name), -1, self.group)
        return True


def may_change_groups() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


class VolumePlugin:
    """One sort of volume. `is_live`: `set_up` is called again from time to time while the pod runs, and brings the
    content up to date. `read_only`: no container may write into it. `is_own`: the volume ends with its pod.
    """

    is_live = False
    read_only = False
    is_own = True

    def set_up(self, volume: Volume) -> Path:
        """Make the volume be there; where. Raises VolumeError, ApiError or OSError, whose text is told."""
        raise NotImplementedError

    def tear_down(self, volume: Volume) -> None:
        """The pod is gone. The volume's own directory is removed afterwards."""
