"""kubelet's security contexts: what a pod and its container say together of who the container's processes are.

Interface: `security_context(pod, container)`; `verify_non_root(…)` raises ConfigError.
The rule not to break: a container that must not run as root does not, also where only its image could say so.
Source: `DetermineEffectiveSecurityContext` in pkg/securitycontext/util.go, `verifyRunAsNonRoot` in
pkg/kubelet/kuberuntime/security_context.go.
Where upstream's kubelet has a pod without a seccompProfile run unconfined, here the engine's own profile stays.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, name_of, namespace_of, uid_of
from k8snb.cri.security import LOCALHOST, Profile, SecurityContext
from k8snb.kubelet.env import ConfigError

PROFILES = "/var/lib/kubelet/seccomp"  # where a node keeps the profiles that pods may name


def security_context(pod: Object, container: Object) -> SecurityContext:
    """The container's own word comes before the pod's; groups are the pod's alone."""
    of_pod, own = pod["spec"].get("securityContext") or {}, container.get("securityContext") or {}
    said = {**of_pod, **own}
    capabilities = own.get("capabilities") or {}
    return SecurityContext(
        privileged=bool(own.get("privileged")),
        run_as_user=said.get("runAsUser"),
        run_as_group=said.get("runAsGroup"),
        groups=_groups(of_pod),
        read_only_root=bool(own.get("readOnlyRootFilesystem")),
        add_capabilities=tuple(capabilities.get("add") or ()),
        drop_capabilities=tuple(capabilities.get("drop") or ()),
        no_new_privileges=own.get("allowPrivilegeEscalation") is False,
        seccomp=_profile(said.get("seccompProfile"), PROFILES + "/"),
        apparmor=_profile(said.get("appArmorProfile")),
        selinux={key: text for key, text in (said.get("seLinuxOptions") or {}).items() if text},
        unmasked=own.get("procMount") == "Unmasked",
    )


def verify_non_root(pod: Object, container: Object, user: str) -> None:
    """`user` is the image's own, "" for root. Raises ConfigError."""
    said = {**(pod["spec"].get("securityContext") or {}), **(container.get("securityContext") or {})}
    if not said.get("runAsNonRoot"):
        return
    where = f'(pod: "{name_of(pod)}_{namespace_of(pod)}({uid_of(pod)})", container: {container["name"]})'
    if said.get("runAsUser") is not None:
        if said["runAsUser"] == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    name = user.partition(":")[0] or "0"
    if not name.isdigit():
        what = f"image has non-numeric user ({name}), cannot verify user is non-root"
        raise ConfigError(f"container has runAsNonRoot and {what} {where}")
    if int(name) == 0:
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")


def _groups(of_pod: Object) -> tuple[int, ...]:
    """The pod's fsGroup is one of them, so that its processes reach what its volumes give to that group."""
    first = [of_pod["fsGroup"]] if of_pod.get("fsGroup") is not None else []
    return tuple(dict.fromkeys([*first, *(of_pod.get("supplementalGroups") or ())]))


def _profile(said: Object | None, folder: str = "") -> Profile:
    if not said:
        return Profile()
    name = said.get("localhostProfile") or ""
    return Profile(said["type"], f"{folder}{name}" if said["type"] == LOCALHOST else "")
