"""kubelet's atomic writer: puts the files of a volume into its directory, all of them in the same moment.

Interface: `write(directory, payload, stamp)`; a payload is a mapping from a file's path to its `File`.
The rule not to break: whoever reads sees the old files or the new ones, never some of each: `..data` is a link that is
exchanged in one step, and each file is reached through it.
Source: `pkg/volume/util/atomic_writer.go`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATA, FRESH = "..data", "..data_tmp"
FOLDER = 0o755


@dataclass(frozen=True)
class File:
    """What a file holds, and its permissions."""

    data: bytes
    mode: int


Payload = Mapping[str, File]


def write(directory: Path, payload: Payload, stamp: str) -> bool:
    """Bring a directory to hold these files and no others; whether that changed anything.

    `stamp` begins the name of the directory with the files' real place.
    """
    link = directory / DATA
    old = directory / os.readlink(link) if link.is_symlink() else None
    if old is not None and _files(old) == payload:
        return False
    fresh = _fresh(directory, stamp)
    for path, file in payload.items():
        _put(fresh / path, file)
    (directory / FRESH).unlink(missing_ok=True)
    (directory / FRESH).symlink_to(fresh.name)
    (directory / FRESH).replace(link)
    _link_entries(directory, {path.partition("/")[0] for path in payload})
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
    return True


def _fresh(directory: Path, stamp: str) -> Path:
    number = 1
    while (directory / f"..{stamp}.{number}").exists():
        number += 1
    folder = directory / f"..{stamp}.{number}"
    folder.mkdir(FOLDER, parents=True)
    return folder


def _put(place: Path, file: File) -> None:
    place.parent.mkdir(FOLDER, parents=True, exist_ok=True)
    place.write_bytes(file.data)
    place.chmod(file.mode)


def _link_entries(directory: Path, wanted: set[str]) -> None:
    """A link into `..data` for everything at the top, and none to what is gone."""
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in wanted:
            entry.unlink()
    for name in wanted:
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"{DATA}/{name}")


def _files(folder: Path) -> dict[str, File]:
    """The files that lie below a directory; what cannot be read counts as changed."""
    found: dict[str, File] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            place = Path(parent) / name
            try:
                found[str(place.relative_to(folder))] = File(place.read_bytes(), place.stat().st_mode & 0o7777)
            except OSError:
                return {}
    return found
