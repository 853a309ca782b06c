"""kubelet's volume ownership: the files of a volume belong to the pod's fsGroup, and its members may change them.

Interface: `give_to_group(directory, group, policy=…, read_only=…)`.
The rule not to break: no link is followed, and nothing loses a permission.
Source: `SetVolumeOwnership` in pkg/volume/volume_linux.go.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

ON_ROOT_MISMATCH = "OnRootMismatch"
WRITABLE, READABLE, ENTERED = 0o660, 0o440, 0o110 | stat.S_ISGID  # what the group gets of a file, and of a directory


def give_to_group(directory: Path, group: int, *, policy: str = "", read_only: bool = False) -> bool:
    """Whether anything was looked at: with the policy OnRootMismatch a directory that is right stands for all of it."""
    granted = READABLE if read_only else WRITABLE
    if policy == ON_ROOT_MISMATCH and _is_right(directory.stat(), group, granted | ENTERED):
        return False
    for path in _all(directory):
        found = os.lstat(path)
        os.lchown(path, -1, group)
        if not stat.S_ISLNK(found.st_mode):
            wanted = granted | (ENTERED if stat.S_ISDIR(found.st_mode) else 0)
            os.chmod(path, stat.S_IMODE(found.st_mode) | wanted)
    return True


def _is_right(found: os.stat_result, group: int, wanted: int) -> bool:
    return found.st_gid == group and stat.S_IMODE(found.st_mode) & wanted == wanted


def _all(directory: Path) -> Iterator[str]:
    yield str(directory)
    for folder, folders, names in os.walk(directory):
        yield from (os.path.join(folder, name) for name in (*folders, *names))
