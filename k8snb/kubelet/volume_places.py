"""kubelet's volumes that are places: emptyDir, hostPath, local; `PLUGINS` lists all sorts of volumes.

Interface: `PLUGINS`, a table from a volume's source to its plug-in.
The rule not to break: what lies at a hostPath or local path is somebody's data, and nothing here removes it.
Source: `pkg/volume/{emptydir,hostpath,local}` in the kubernetes repository. Upstream mounts a tmpfs for `medium:
Memory`; here such a volume lies in the machine's own one.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from k8snb.kubelet.volume_content import CONTENT
from k8snb.kubelet.volume_ownership import give_to_group
from k8snb.kubelet.volume_plugin import FOR_ALL, MounterError, Volume, VolumeError, VolumePlugin, may_change_groups

GIVEN = "given"  # to its pod's group, once
OWN_FOLDER, OWN_FILE = 0o755, 0o644
SET_GROUP = 0o2770


class EmptyDir(VolumePlugin):
    """An empty directory, shared by the pod's containers, that ends with the pod."""

    def set_up(self, volume: Volume) -> Path:
        fresh = not volume.directory.is_dir()
        volume.make(FOR_ALL)
        if fresh and volume.give_to_group():
            volume.directory.chmod(FOR_ALL | SET_GROUP)
        return volume.directory


# A hostPath's type: what the path has to be, and the words for it.
TYPES: dict[str, tuple[Callable[[int], bool], str]] = {
    "DirectoryOrCreate": (stat.S_ISDIR, "directory"),
    "Directory": (stat.S_ISDIR, "directory"),
    "FileOrCreate": (stat.S_ISREG, "file"),
    "File": (stat.S_ISREG, "file"),
    "Socket": (stat.S_ISSOCK, "socket file"),
    "CharDevice": (stat.S_ISCHR, "character device"),
    "BlockDevice": (stat.S_ISBLK, "block device"),
}


class HostPath(VolumePlugin):
    """A directory or file of the machine that the node stands on."""

    is_own = False

    def set_up(self, volume: Volume) -> Path:
        path, sort = Path(volume.source["path"]), volume.source.get("type") or ""
        if not path.exists() and sort in ("", "DirectoryOrCreate"):
            path.mkdir(OWN_FOLDER, parents=True)
        if not path.exists() and sort == "FileOrCreate":
            path.touch(OWN_FILE)
        _check(path, sort)
        return path


def _check(path: Path, sort: str) -> None:
    if not sort:
        return
    if sort not in TYPES:
        raise VolumeError(f"{sort} is an invalid volume type")
    is_one, words = TYPES[sort]
    if not path.exists() or not is_one(path.stat().st_mode):
        raise VolumeError(f"hostPath type check failed: {path} is not a {words}")


class Local(VolumePlugin):
    """A directory of one node, behind a PersistentVolume."""

    is_own = False

    def set_up(self, volume: Volume) -> Path:
        path = Path(volume.source["path"])
        if not path.exists():
            raise MounterError(f'path "{path}" does not exist')
        if volume.group is not None and not volume.read_only and may_change_groups() and not volume.kept.get(GIVEN):
            give_to_group(path, volume.group, policy=volume.group_policy)
            volume.kept[GIVEN] = True
        return path


PLUGINS: dict[str, VolumePlugin] = {**CONTENT, "emptyDir": EmptyDir(), "hostPath": HostPath(), "local": Local()}
