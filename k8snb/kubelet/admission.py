"""kubelet's admission: what a node does not take from the scheduler, because it could not be carried out on it.

Interface: `refusal(pod, runtime)`: the reason and the message, both "" where the node takes the pod; `rejected(pod,
reason, message)`, the pod that has been sent away.
The rule not to break: a pod is looked at once, before anything of it begins.
Source: `pkg/kubelet/sysctl/allowlist.go` and safe_sysctls.go, `pkg/security/apparmor/validate.go`, `rejectPod` in
pkg/kubelet/kubelet.go, `Admit` in pkg/kubelet/lifecycle/predicate.go. Upstream's kubelet can be told to allow more by
--allowed-unsafe-sysctls.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from k8snb.apimachinery.meta import Object
from k8snb.cri import Runtime
from k8snb.cri.security import UNCONFINED
from k8snb.kubelet.actions import containers_of

NET, IPC = "Net", "IPC"
SAFE_SYSCTLS: Mapping[str, str] = MappingProxyType({
    "kernel.shm_rmid_forced": IPC, "net.ipv4.ip_local_port_range": NET, "net.ipv4.tcp_syncookies": NET,
    "net.ipv4.ping_group_range": NET, "net.ipv4.ip_unprivileged_port_start": NET,
    "net.ipv4.ip_local_reserved_ports": NET, "net.ipv4.tcp_keepalive_time": NET, "net.ipv4.tcp_fin_timeout": NET,
    "net.ipv4.tcp_keepalive_intvl": NET, "net.ipv4.tcp_keepalive_probes": NET, "net.ipv4.tcp_rmem": NET,
    "net.ipv4.tcp_wmem": NET,
})  # fmt: skip
WINDOWS, STRICT = "windows", "Strict"
NO_STRICT_GROUPS = "SupplementalGroupsPolicyNotSupported"
SYSCTL_FORBIDDEN, APPARMOR = "SysctlForbidden", "AppArmor"


def refusal(pod: Object, runtime: Runtime) -> tuple[str, str]:
    sysctl = _sysctl(pod["spec"])
    if sysctl:
        return SYSCTL_FORBIDDEN, f"forbidden sysctl: {sysctl}"
    if (pod["spec"].get("os") or {}).get("name") == WINDOWS:
        return "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
    policy = (pod["spec"].get("securityContext") or {}).get("supplementalGroupsPolicy")
    if policy == STRICT and runtime.support["supplementalGroupsPolicy"]:
        return NO_STRICT_GROUPS, f"SupplementalGroupsPolicy={STRICT} is not supported in this node"
    if _is_confined(pod) and runtime.support["appArmorProfile"]:
        return APPARMOR, "Cannot enforce AppArmor: AppArmor is not enabled on the host"
    return "", ""


def rejected(pod: Object, reason: str, message: str) -> Object:
    status = {**pod["status"], "phase": "Failed", "reason": reason, "message": f"Pod was rejected: {message}"}
    return {**pod, "status": status}


def _sysctl(spec: Object) -> str:
    """What is wrong with the pod's kernel settings."""
    shared = {NET: bool(spec.get("hostNetwork")), IPC: bool(spec.get("hostIPC"))}
    for entry in (spec.get("securityContext") or {}).get("sysctls") or ():
        name = entry["name"].replace("/", ".")
        space = SAFE_SYSCTLS.get(name)
        if space is None:
            return f'"{name}" not allowlisted'
        if shared[space]:
            return f'"{name}" not allowed with host {space} enabled'
    return ""


def _is_confined(pod: Object) -> bool:
    """Whether a container asks for AppArmor."""
    of_pod = (pod["spec"].get("securityContext") or {}).get("appArmorProfile")
    profiles = ((each.get("securityContext") or {}).get("appArmorProfile") or of_pod for each in containers_of(pod))
    return any(profile and profile["type"] != UNCONFINED for profile in profiles)
