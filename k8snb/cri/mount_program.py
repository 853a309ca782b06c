"""The process runtime's runc: a program that gives itself the file system, the hostname and the rights of a container,
then becomes its command.

Interface: `python mount_program.py make SETTINGS COMMAND…`, `… enter PID SETTINGS COMMAND…`, `… become SETTINGS
COMMAND…` without namespaces, and `… try VIEW`, which prints what of all that is allowed here.
SETTINGS is a JSON object: `mounts`, [[path on the machine, path in the container, read-only], …], outer paths first;
`view`, an empty directory, which becomes the container's `/`: the machine's own, with the mounts in their places, and
with `read_only` unchangeable but for them; `opened`, [[a directory that only its owner may enter, a directory in it
that everybody is to reach], …]; `folder`, where the command begins; `hostname`; `user`, `group` and
`groups`; `capabilities`, those that root keeps; `no_new_privileges`; `cgroups`, files to write oneself into. What is
null or left out stays as it is.
The rule not to break: nothing of it is seen outside, and it ends with the last process inside: the kernel's mount
namespace sees to that. The standard library only, because every container pays for the start.
A real runtime (runc) does this with an image's own root.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import stat
import sys
from contextlib import suppress
from typing import Any

NEWNS, NEWUTS, NEWUSER = 0x00020000, 0x04000000, 0x10000000
RDONLY, REMOUNT, BIND, REC, PRIVATE, UNBINDABLE = 1, 32, 4096, 16384, 1 << 18, 1 << 17
KEPT = 2 | 4 | 8 | 1024 | 2048  # nosuid, nodev, noexec, noatime, nodiratime: a user namespace may not take them away
CANNOT_RUN = 126
MOUNT_SETATTR, HERE, RECURSIVE = 442, -100, 0x8000  # the call's number on every architecture, AT_FDCWD, AT_RECURSIVE
KEEPCAPS, CAPBSET_DROP, SET_NO_NEW_PRIVS, CAP_AMBIENT, AMBIENT_RAISE = 8, 24, 38, 47, 2  # of prctl
CAPABILITY_VERSION = 0x20080522
OPENS_LOW_PORTS = 10
# The kernel's numbers for them are their places in this list.
CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
NOBODY = 65534

libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
Tree = dict[str, Any]  # names of what is not on the machine, inner ones below outer ones; {} is a mount's own place


def main(arguments: list[str]) -> int:
    action, *rest = arguments
    if action == "try":
        return attempt(rest[0])
    process = rest.pop(0) if action == "enter" else ""
    settings, command = json.loads(rest[0]), rest[1:]
    for door in settings.get("cgroups") or ():
        with open(door, "w") as file:
            file.write("0")
    if process:
        enter(process)
    if action == "make":
        become_private()
        set_hostname(settings.get("hostname"))
        build(settings["view"], settings["mounts"], settings["opened"])
        if settings["read_only"]:
            set_read_only("/", [target for _, target, read_only in settings["mounts"] if not read_only])
    os.chdir(settings["folder"])
    take_rights(settings)
    os.execv(command[0], command)


def attempt(view: str) -> int:
    """Print, as a JSON list, what this user may do here: each is tried, in the order in which a container needs it."""
    allowed = []
    is_root = os.geteuid() == 0  # who is root in a namespace of his own alone is nobody else's
    with suppress(OSError):
        become_private()
        set_hostname("k8snb")
        build(view, [["/dev/null", "/k8snb/try", True]], [])
        allowed.append("mounts")
        set_read_only("/", [])
        allowed.append("read_only")
    for name, rights, takes_root in (("capabilities", {"capabilities": []}, True),
                                     ("user", {"user": NOBODY, "group": NOBODY}, True),
                                     ("no_new_privileges", {"no_new_privileges": True}, False)):  # fmt: skip
        with suppress(OSError):
            if is_root or not takes_root:
                take_rights(rights)
                allowed.append(name)
    sys.stdout.write(json.dumps(allowed))
    return 0


def check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def become_private() -> None:
    """Mounts and a hostname of our own; an ordinary user needs a user namespace around them."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        check(libc.unshare(NEWNS | NEWUTS), "unshare")
    else:
        check(libc.unshare(NEWNS | NEWUTS | NEWUSER), "unshare")
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


def set_hostname(name: str | None) -> None:
    if name:
        check(libc.sethostname(name.encode(), len(name.encode())), "sethostname")


def build(view: str, mounts: list[list[Any]], opened: list[list[str]]) -> None:
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
    open_ways(view, opened)
    for source, target, read_only in places:
        make_place(view + target, os.path.isdir(source))
        bind(source, view + target, read_only)
    os.chroot(view)


def open_ways(view: str, opened: list[list[str]]) -> None:
    """In place of a directory that is closed to others, have one that holds nothing but what they are to reach."""
    for folder in dict.fromkeys(folder for folder, _ in opened):
        mount("k8snb", view + folder, "tmpfs", 0, "mode=711,size=1m")
    for _, path in opened:
        make_place(view + path, True)
        bind(path, view + path, False)


def set_read_only(root: str, writable: list[str]) -> None:
    """Nothing can be changed any more but in these places, and the kernel's own."""
    kept = [place for place in ("/dev", "/proc", *writable) if not os.statvfs(place).f_flag & os.ST_RDONLY]
    set_attributes(root, RDONLY, 0)
    for place in kept:
        set_writable(place)


def set_writable(place: str) -> None:
    """A directory that was mirrored is no mount itself: those in it are."""
    try:
        set_attributes(place, 0, RDONLY)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        for name in os.listdir(place) if os.path.isdir(place) else ():
            if not os.path.islink(f"{place}/{name}"):
                set_writable(f"{place}/{name}")


def set_attributes(place: str, added: int, taken: int) -> None:
    attributes = (ctypes.c_uint64 * 4)(added, taken, 0, 0)
    check(libc.syscall(MOUNT_SETATTR, HERE, place.encode(), RECURSIVE, attributes, ctypes.sizeof(attributes)), place)


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
    for name in ("user", "mnt", "uts"):
        if os.readlink(f"{base}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"):
            space = os.open(f"{base}/ns/{name}", os.O_RDONLY)
            check(libc.setns(space, 0), f"setns {name}")
    os.fchdir(root)
    os.chroot(".")


def take_rights(settings: dict[str, Any]) -> None:
    """Be who the settings say, with the capabilities they leave, for ever."""
    kept = settings.get("capabilities")
    if kept is not None:
        numbers = {CAPABILITIES.index(name) for name in kept if name in CAPABILITIES}
        for number in range(last_capability() + 1):
            if number not in numbers and number != OPENS_LOW_PORTS:
                check(libc.prctl(CAPBSET_DROP, number, 0, 0, 0), "prctl")
    if settings.get("group") is not None:
        os.setgroups(settings.get("groups") or [])
        os.setresgid(*[settings["group"]] * 3)
    if settings.get("user") is not None:
        become(settings["user"])
    if settings.get("no_new_privileges"):
        check(libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def become(user: int) -> None:
    """Be this user, who opens low ports too: so may everybody in a pod's network namespace."""
    for stream in range(3):
        if stat.S_ISFIFO(os.fstat(stream).st_mode) or os.isatty(stream):
            os.fchown(stream, user, -1)  # or /dev/stdout could not be opened
    check(libc.prctl(KEEPCAPS, 1, 0, 0, 0), "prctl")
    os.setresuid(user, user, user)
    if user == 0:
        return
    only = 1 << OPENS_LOW_PORTS
    header, sets = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)(only, only, only, 0, 0, 0)
    check(libc.capset(header, sets), "capset")
    check(libc.prctl(CAP_AMBIENT, AMBIENT_RAISE, OPENS_LOW_PORTS, 0, 0), "prctl")


def last_capability() -> int:
    with open("/proc/sys/kernel/cap_last_cap") as file:
        return int(file.read())


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OSError as error:
        sys.stderr.write(f"k8snb: cannot mount or run {error.filename2 or error.filename}: {error.strerror}\n")
        os._exit(CANNOT_RUN)
