"""Who a simulated container's processes are, and busybox's commands that say so.

Interface: `Identity`, made of a container's config and its image's user; `identity`, `who`, `hostname`: those commands;
`SUPPORT`, what of a security context is to be seen in a simulated container.
The rule not to break: what a simulated container shows is what the pod asks for; what nothing here can show is told.
A real kernel keeps these numbers for each process, and checks them at each file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from k8snb.cri.security import FIELDS, LINUX_NODE, SecurityContext
from k8snb.cri.simulated_shell import Shell, Streams

_SEEN = {
    "readOnlyRootFilesystem",
    "runAsGroup",
    "runAsUser",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "sysctls",
}
_NO_KERNEL = "a simulated container has no kernel that could allow or refuse anything"
SUPPORT: Mapping[str, str] = MappingProxyType(
    {field: "" if field in _SEEN else _NO_KERNEL for field in FIELDS} | {"windowsOptions": LINUX_NODE}
)
ROOT = "root"


@dataclass(frozen=True)
class Identity:
    """A process's user, first group and all groups. `name` is the user's where there is one."""

    user: int = 0
    group: int = 0
    groups: tuple[int, ...] = (0,)

    @property
    def name(self) -> str:
        return ROOT if self.user == 0 else ""


def identity_of(context: SecurityContext, image_user: str) -> Identity:
    """The container's own word, or its image's."""
    own, _, group = image_user.partition(":")
    user = context.run_as_user if context.run_as_user is not None else _number(own)
    first = context.run_as_group if context.run_as_group is not None else _number(group)
    return Identity(user, first, tuple(sorted({first, *context.groups})))


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def identity(shell: Shell, argv: list[str], streams: Streams) -> int:
    """`id`, and `id -u`, `-g`, `-G` for the numbers alone."""
    who = shell.machine.identity
    groups = " ".join(map(str, who.groups))
    alone = {"-u": str(who.user), "-g": str(who.group), "-G": groups}
    if len(argv) > 1 and argv[1] not in alone:
        return streams.refuse(f"id {argv[1]}")
    whole = f"uid={_named(who.user)} gid={_named(who.group)} groups={','.join(map(_named, who.groups))}"
    streams.out((alone.get(argv[1] if len(argv) > 1 else "", whole) + "\n").encode())
    return 0


def _named(number: int) -> str:
    return str(number) if number else f"0({ROOT})"


def who(shell: Shell, argv: list[str], streams: Streams) -> int:
    found = shell.machine.identity
    if not found.name:
        return streams.fail(f"whoami: unknown uid {found.user}")
    streams.out(f"{found.name}\n".encode())
    return 0


def hostname(shell: Shell, argv: list[str], streams: Streams) -> int:
    """The pod's name; with -f the one with its domain, with -i its address: the line of /etc/hosts that has it."""
    name = shell.machine.hostname
    lines = (shell.machine.files.read("/etc/hosts") or b"").decode().splitlines()
    address, full = next(((words[0], words[1]) for words in map(str.split, lines) if name in words[1:]), ("", name))
    says = {"": name, "-f": full, "-s": name.partition(".")[0], "-i": address}
    word = " ".join(argv[1:])
    if word not in says:
        return streams.refuse(f"hostname {word}")
    streams.out(f"{says[word]}\n".encode())
    return 0
