"""CRI's security contexts: who a container's processes are and what they may, and which of that a runtime carries out.

Interface: `SecurityContext` for a `ContainerConfig`; `FIELDS`, the pod's fields that a runtime's `support` speaks of.
The rule not to break: a runtime has an entry for each of `FIELDS`: "" where it carries the field out, else why not.
Source: `LinuxContainerSecurityContext` in `cri-api/pkg/apis/runtime/v1/api.proto`. Upstream has no such table: there a
runtime that cannot do something fails, or is silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

RUNTIME_DEFAULT, UNCONFINED, LOCALHOST = "RuntimeDefault", "Unconfined", "Localhost"
FIELDS = (
    "allowPrivilegeEscalation", "appArmorProfile", "capabilities", "hostIPC", "hostPID", "hostUsers", "privileged",
    "procMount", "readOnlyRootFilesystem", "runAsGroup", "runAsUser", "seLinuxOptions", "seccompProfile",
    "shareProcessNamespace", "supplementalGroups", "supplementalGroupsPolicy", "sysctls", "windowsOptions",
)  # fmt: skip
LINUX_NODE = "a Linux node ignores it, as in Kubernetes"
# What a container's root may do where nobody says otherwise: upstream's runtimes and Docker agree on these.
DEFAULT_CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """A seccomp or AppArmor profile: `sort` is RuntimeDefault, Unconfined, Localhost or "", `name` a local one's."""

    sort: str = ""
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class SecurityContext:
    """What a pod and its container say of the container's processes; the container's own word comes first.

    `groups` are those beside the first one, the pod's fsGroup among them. `selinux` has the keys user, role, type and
    level.
    """

    privileged: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    groups: tuple[int, ...] = ()
    read_only_root: bool = False
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    no_new_privileges: bool = False
    seccomp: Profile = Profile()
    apparmor: Profile = Profile()
    selinux: Mapping[str, str] = field(default_factory=dict)
    unmasked: bool = False  # procMount: nothing of /proc is hidden

    @property
    def capabilities(self) -> frozenset[str] | None:
        """What root may do in the container, without CAP_; None where the pod says nothing of it."""
        added, dropped = ({_plain(name) for name in names} for names in (self.add_capabilities, self.drop_capabilities))
        if self.privileged or "ALL" in added or not (added or dropped):
            return None
        kept = frozenset[str]() if "ALL" in dropped else DEFAULT_CAPABILITIES
        return (kept | added) - dropped


NOTHING_SAID = SecurityContext()


def _plain(name: str) -> str:
    return name.upper().removeprefix("CAP_")
