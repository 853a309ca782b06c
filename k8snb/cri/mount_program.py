"""The process runtime's mounts: a program that gives itself the file system of a container, then becomes its command.

Interface: `python mount_program.py make MOUNTS VIEW FOLDER COMMAND…`, `… enter PID FOLDER COMMAND…`, and
`… try VIEW`.
MOUNTS is JSON: [[path on the machine, path in the container, read-only], …], outer paths first. VIEW is an empty
directory, which becomes the container's `/`: the machine's own, with the mounts in their places.
The rule not to break: nothing of it is seen outside, and it ends with the last process inside: the kernel's mount
namespace sees to that. The standard library only, because every container pays for the start.
A real runtime (runc) does this with an image's own root.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import sys
from contextlib import suppress
from typing import Any

NEWNS, NEWUSER = 0x00020000, 0x10000000
RDONLY, REMOUNT, BIND, REC, PRIVATE, UNBINDABLE = 1, 32, 4096, 16384, 1 << 18, 1 << 17
KEPT = 2 | 4 | 8 | 1024 | 2048  # nosuid, nodev, noexec, noatime, nodiratime: a user namespace may not take them away
CANNOT_RUN = 126

libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
Tree = dict[str, Any]  # names of what is not on the machine, inner ones below outer ones; {} is a mount's own place


def main(arguments: list[str]) -> int:
    action, *rest = arguments
    if action == "try":
        become_private()
        build(rest[0], [["/dev/null", "/k8snb/try", True]])
        return 0
    if action == "enter":
        process, folder, *command = rest
        enter(process)
    else:
        mounts, view, folder, *command = rest
        become_private()
        build(view, json.loads(mounts))
    os.chdir(folder)
    os.execv(command[0], command)


def check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def become_private() -> None:
    """A mount namespace of our own; an ordinary user needs a user namespace around it."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        check(libc.unshare(NEWNS), "unshare")
    else:
        check(libc.unshare(NEWNS | NEWUSER), "unshare")
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    mount("none", "/", "", REC | PRIVATE)


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    check(libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()), target)


def bind(source: str, target: str, read_only: bool) -> None:
    mount(source, target, "", BIND | REC)
    if read_only:
        kept = os.statvfs(target).f_flag & KEPT
        mount("none", target, "", BIND | REMOUNT | RDONLY | kept)


def build(view: str, mounts: list[list[Any]]) -> None:
    """Make the container's root at `view`, and go there."""
    places = [(source, os.path.realpath(target), read_only) for source, target, read_only in mounts]
    missing: Tree = {}
    for number, (_, target, _) in enumerate(places):
        inner = any(target.startswith(outer + "/") for _, outer, _ in places[:number])
        if not inner and not os.path.lexists(target):
            node = missing
            for name in target.strip("/").split("/"):
                node = node.setdefault(name, {})
    mount("k8snb", view, "tmpfs", 0, "mode=755,size=1m")
    mount("none", view, "", UNBINDABLE)
    mirror("/", view, missing)
    for source, target, read_only in places:
        make_place(view + target, os.path.isdir(source))
        bind(source, view + target, read_only)
    os.chroot(view)


def mirror(source: str, target: str, missing: Tree) -> None:
    """Have all of a directory in another one, which leaves room for names that the first lacks."""
    with os.scandir(source) as entries:
        for entry in entries:
            with suppress(OSError):  # what cannot be had here, the container's user could not have used
                have(entry, f"{target}/{entry.name}", missing.get(entry.name))
    for name in missing:
        if not os.path.lexists(f"{source}/{name}"):
            os.makedirs(f"{target}/{name}", exist_ok=True)
            grow(f"{target}/{name}", missing[name])


def have(entry: os.DirEntry[str], target: str, missing: Tree | None) -> None:
    if entry.is_symlink():
        os.symlink(os.readlink(entry.path), target)
    elif entry.is_dir():
        os.mkdir(target)
        if missing:
            mode = stat.S_IMODE(entry.stat().st_mode)
            os.chmod(target, mode)
            mirror(entry.path, target, missing)
        else:
            mount(entry.path, target, "", BIND | REC)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
        mount(entry.path, target, "", BIND)


def grow(folder: str, missing: Tree) -> None:
    """The directories in which mounts lie; a mount's own place is made when it is mounted."""
    if not missing:
        os.rmdir(folder)
    for name, inner in missing.items():
        os.mkdir(f"{folder}/{name}")
        grow(f"{folder}/{name}", inner)


def make_place(path: str, is_folder: bool) -> None:
    if os.path.lexists(path):
        return
    os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
    if not is_folder:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def enter(process: str) -> None:
    """Join the namespaces of a process, and its root."""
    base = f"/proc/{process}"
    root = os.open(f"{base}/root", os.O_PATH | os.O_DIRECTORY)
    for name in ("user", "mnt"):
        if os.readlink(f"{base}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"):
            space = os.open(f"{base}/ns/{name}", os.O_RDONLY)
            check(libc.setns(space, 0), f"setns {name}")
    os.fchdir(root)
    os.chroot(".")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OSError as error:
        sys.stderr.write(f"k8snb: cannot mount or run {error.filename2 or error.filename}: {error.strerror}\n")
        os._exit(CANNOT_RUN)
