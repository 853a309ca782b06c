"""kubelet's mounts: which volumes a container sees, and where.

Interface: `container_mounts(pod, container, variables, volumes)`.
The rule not to break: a subPath never leads out of its volume, whatever links somebody has put there.
Source: `makeMounts` in pkg/kubelet/kubelet_pods.go, `pkg/volume/util/subpath`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from k8snb.apimachinery.meta import Object
from k8snb.cri import Mount
from k8snb.kubelet.env import ConfigError, expand
from k8snb.kubelet.volume_manager import Mounted, VolumeManager

MADE = 0o750  # permissions of a subPath that is not there yet
_UNKNOWN = re.compile(r"(?<!\$)\$\(([^()]*)\)")
_REFUSED = {"mountPropagation": ("", "None"), "recursiveReadOnly": ("", "Disabled", "IfPossible")}


def container_mounts(
    pod: Object, container: Object, variables: Mapping[str, str], volumes: VolumeManager
) -> tuple[Mount, ...]:
    """Raises ConfigError for a mount that cannot be had."""
    return tuple(_mounts(pod, container, variables, volumes))


def _mounts(pod: Object, container: Object, variables: Mapping[str, str], volumes: VolumeManager) -> Iterator[Mount]:
    if container.get("volumeDevices"):
        raise ConfigError("volumeDevices: not implemented by k8snb")
    for number, mount in enumerate(container.get("volumeMounts") or ()):
        for field, allowed in _REFUSED.items():
            if (mount.get(field) or "") not in allowed:
                raise ConfigError(f"{field} {mount[field]}: not implemented by k8snb")
        mounted = volumes.find(pod, mount["name"])
        if mounted is None:
            raise ConfigError(f'cannot find volume "{mount["name"]}" to mount into container "{container["name"]}"')
        path, inside = mounted.path, _subpath(mount, variables)
        if inside:
            volumes.fill(pod)
            path = _part(mounted, inside, mount["name"], container["name"])
            if mounted.plugin.is_live:
                path = _copy(path, volumes.subpath(pod, mount["name"], container["name"], number))
        target = mount["mountPath"] if mount["mountPath"].startswith("/") else f"/{mount['mountPath']}"
        readonly = bool(mount.get("readOnly")) or mounted.volume.read_only
        yield Mount(host_path=str(path), container_path=target, readonly=readonly)


def _subpath(mount: Object, variables: Mapping[str, str]) -> str:
    text: str = mount.get("subPathExpr") or ""
    if not text:
        return str(mount.get("subPath") or "")
    missing = [name for name in _UNKNOWN.findall(text) if name not in variables]
    if missing:
        raise ConfigError(f'missing value for "{missing[0]}"')
    return expand(text, dict(variables))


def _part(mounted: Mounted, inside: str, volume: str, container: str) -> Path:
    """A directory or file of a volume; made, as a directory, where it is not there."""
    if inside.startswith("/") or ".." in inside.split("/"):
        raise ConfigError(f'subPath "{inside}" must be a relative path without ".."')
    base = Path(os.path.realpath(mounted.path))
    path = Path(os.path.realpath(base / inside))
    if path != base and base not in path.parents:
        why = f"subpath {path} not within volume path {base}"
        raise ConfigError(f'failed to prepare subPath for volumeMount "{volume}" of container "{container}": {why}')
    try:
        path.mkdir(MADE, parents=True) if not path.exists() else None
    except OSError as error:
        why = f'failed to create subPath directory for volumeMount "{volume}" of container "{container}"'
        raise ConfigError(f"{why}: {(error.strerror or '').lower()}") from None
    return path


def _copy(path: Path, place: Path) -> Path:
    """What a container keeps seeing of a live volume that it mounts in part: such a mount is never updated."""
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, place)
    else:
        shutil.copy2(path, place)
    return place
