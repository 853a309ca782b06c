"""A simulated container's files: a layer of its own in memory, over its mounts.

Interface: `ContainerFiles`, the `Files` of `simulated_shell`.
The rule not to break: only what a mount covers touches the disk, and never outside the mount's host path.
A real runtime unpacks the image's layers and stacks them with overlayfs.
"""

from __future__ import annotations

import os

from k8snb.cri import ContainerConfig, Mount


class ContainerFiles:
    """A container's own layer, in memory, under its mounts, which are directories and files of the host."""

    def __init__(self, config: ContainerConfig, own: dict[str, bytes | None]) -> None:
        self._own = own  # None: a directory
        self._mounts = sorted(config.mounts, key=lambda mount: -len(mount.container_path))
        self._read_only = config.security.read_only_root
        self._last_words = config.termination_log

    def read(self, path: str) -> bytes | None:
        place, _ = self._place(path)
        if place is None:
            return self._own.get(_normal(path))
        try:
            with open(place, "rb") as file:
                return file.read()
        except OSError:
            return None

    def names(self, path: str) -> list[str] | None:
        """What a directory holds, sorted; None when there is no such directory."""
        place, _ = self._place(path)
        if place is not None:
            return sorted(os.listdir(place)) if os.path.isdir(place) else None
        path = _normal(path)
        prefix = path.rstrip("/") + "/"
        mounted = [_normal(mount.container_path) for mount in self._mounts]
        if self._own.get(path, b"") is not None and not any(each.startswith(prefix) for each in mounted):
            return None
        inside = [*self._own, *mounted]
        return sorted({each[len(prefix) :].partition("/")[0] for each in inside if each.startswith(prefix)} - {""})

    def write(self, path: str, data: bytes, append: bool = False) -> None:
        place, mount = self._place(path)
        self._check(path, mount)
        if place is not None:
            with open(place, "ab" if append else "wb") as file:
                file.write(data)
            return
        path = _normal(path)
        if self.names(path) is not None:
            raise IsADirectoryError(21, "Is a directory", path)
        if self.names(os.path.dirname(path)) is None:
            raise FileNotFoundError(2, "nonexistent directory", path)
        self._own[path] = ((self._own.get(path) or b"") if append else b"") + data

    def make_directory(self, path: str) -> None:
        place, mount = self._place(path)
        self._check(path, mount)
        if place is not None:
            os.makedirs(place, exist_ok=True)
            return
        parts = _normal(path).split("/")
        for end in range(2, len(parts) + 1):
            self._own.setdefault("/".join(parts[:end]), None)

    def remove(self, path: str) -> bool:
        """Remove a file, or a directory of the container's own layer. Returns whether there was one."""
        place, mount = self._place(path)
        self._check(path, mount)
        if place is not None:
            there = os.path.isfile(place)
            if there:
                os.remove(place)
            return there
        path = _normal(path)
        gone = [each for each in self._own if each == path or each.startswith(path + "/")]
        for each in gone:
            del self._own[each]
        return bool(gone)

    def _place(self, path: str) -> tuple[str | None, Mount | None]:
        """Where a path is on the host, if a mount covers it."""
        path = _normal(path)
        for mount in self._mounts:
            root = _normal(mount.container_path)
            if path == root or path.startswith(root.rstrip("/") + "/"):
                return os.path.join(mount.host_path, path[len(root) :].lstrip("/")).rstrip("/") or "/", mount
        return None, None

    def _check(self, path: str, mount: Mount | None) -> None:
        if mount.readonly if mount else self._read_only and _normal(path) != self._last_words:
            raise PermissionError(30, "Read-only file system", path)


def _normal(path: str) -> str:
    return os.path.normpath(path).replace("//", "/")
