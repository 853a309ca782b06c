"""kubelet's pod directories: where a node keeps the volumes of its pods.

Interface: `PodDirectories()`: `volume(…)`, `subpath(…)`, `container(…)`, `uids(node)`, `remove(node, uid)`, `close()`.
The rule not to break: removing follows no link: what a hostPath or PersistentVolume leads to is not a pod's own.
Source: `getPodDir` and its relatives in pkg/kubelet/kubelet_getters.go; upstream's root is /var/lib/kubelet.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path

DISK, MEMORY = "", "Memory"
SHARED_MEMORY = "/dev/shm"  # a tmpfs on every Linux
PASSABLE = 0o711  # a container's user is seldom the directory's owner


class PodDirectories:
    """The directories of all nodes of a cluster: temporary ones, which are made for the first volume and end with
    `close`, or with this process. `on_made` hears of each, so that it goes too when this process is killed.

    With a `root` they lie there and stay; those in memory stay as long as the machine runs, or until `clear`.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self.on_made: Callable[[Path], None] = lambda path: None
        self._bases: dict[str, Path] = {}
        self._temporary: list[weakref.finalize[[Path, bool], PodDirectories]] = []
        for medium in (DISK, MEMORY) if root is not None else ():
            if self._kept(medium).is_dir():  # what an earlier process left is to be found before anything is added
                self._bases[medium] = self._kept(medium)

    def volume(self, node: str, uid: str, sort: str, name: str, *, medium: str = DISK) -> Path:
        """A volume's own directory, which need not be there yet."""
        return self._pod(node, uid, medium) / "volumes" / f"kubernetes.io~{sort.replace('/', '~')}" / name

    def subpath(self, node: str, uid: str, volume: str, container: str, number: int) -> Path:
        """Where a container's copy of a part of a volume lies."""
        return self._pod(node, uid, DISK) / "volume-subpaths" / volume / container / str(number)

    def container(self, node: str, uid: str, name: str) -> Path:
        """Where a container's own files lie, which need not be there yet."""
        return self._pod(node, uid, DISK) / "containers" / name

    def uids(self, node: str) -> set[str]:
        """The pods of a node that have directories."""
        folders = [base / node for base in self._bases.values()]
        return {name for folder in folders if folder.is_dir() for name in os.listdir(folder)}

    def remove(self, node: str, uid: str) -> str:
        """Remove all that a pod has here; what could not be removed, "" for nothing."""
        left: list[str] = []
        for base in self._bases.values():
            folder = base / node / uid
            if folder.is_dir():
                _remove(folder, left)
        return left[0] if left else ""

    def close(self) -> None:
        for finalizer in self._temporary:
            finalizer()
        self._temporary.clear()
        self._bases.clear()

    def clear(self) -> None:
        """Remove what a `root` would keep."""
        for medium in (DISK, MEMORY) if self._root is not None else ():
            shutil.rmtree(self._kept(medium), ignore_errors=True)
        self.close()

    def _pod(self, node: str, uid: str, medium: str) -> Path:
        if medium not in self._bases:
            self._bases[medium] = self._temporary_base(medium) if self._root is None else self._kept_base(medium)
        return self._bases[medium] / node / uid

    def _temporary_base(self, medium: str) -> Path:
        path = Path(tempfile.mkdtemp(prefix="k8snb-kubelet-", dir=SHARED_MEMORY if medium == MEMORY else None))
        path.chmod(PASSABLE)
        self._temporary.append(weakref.finalize(self, shutil.rmtree, path, True))
        self.on_made(path)
        return path

    def _kept_base(self, medium: str) -> Path:
        path = self._kept(medium)
        path.mkdir(mode=PASSABLE, parents=True, exist_ok=True)
        return path

    def _kept(self, medium: str) -> Path:
        assert self._root is not None
        name = hashlib.sha256(os.fsencode(self._root)).hexdigest()[:12]
        return Path(SHARED_MEMORY, f"k8snb-kubelet-{name}") if medium == MEMORY else self._root


def has_memory() -> bool:
    """Whether a directory in memory can be had."""
    return os.path.isdir(SHARED_MEMORY) and os.access(SHARED_MEMORY, os.W_OK)


def _remove(folder: Path, left: list[str]) -> None:
    def failed(_: object, path: str, error: BaseException | tuple[object, ...]) -> None:
        reason = error if isinstance(error, BaseException) else error[1]
        left.append(f"{path}: {getattr(reason, 'strerror', None) or reason}")

    shutil.rmtree(folder, onerror=failed)
