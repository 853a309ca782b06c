"""Docker's security options: a container's security context in the engine's words.

Interface: `support(info)` for the runtime's table; `user(config, image)`, `host_options(config)`, `unmask(host)`.
The rule not to break: what a context does not speak of is left to the engine's own defaults.
Source: `applyContainerSecurityContext` and `getSecurityOpts` in pkg/kubelet/dockershim of Kubernetes 1.23.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from k8snb.cri import RuntimeFailure
from k8snb.cri.security import FIELDS, LINUX_NODE, LOCALHOST, UNCONFINED, Profile, SecurityContext

SECCOMP, APPARMOR, SELINUX = "seccomp", "apparmor", "selinux"
_NEEDS = {"seccompProfile": SECCOMP, "appArmorProfile": APPARMOR, "seLinuxOptions": SELINUX}
_NEVER = {
    "hostUsers": "Docker has user namespaces for all of an engine's containers or for none",
    "supplementalGroupsPolicy": "Docker always adds the groups that the image gives to its user",
    "windowsOptions": LINUX_NODE,
}


def support(info: Mapping[str, Any]) -> dict[str, str]:
    """What the engine can do; `info` is what it says of itself."""
    has = {part.removeprefix("name=") for option in info.get("SecurityOptions") or () for part in option.split(",")}
    lacking = {field: f"this Docker engine has no {what}" for field, what in _NEEDS.items() if what not in has}
    return {field: _NEVER.get(field) or lacking.get(field, "") for field in FIELDS}


def user(context: SecurityContext, image_user: Callable[[], str]) -> str | None:
    """Who the container's processes are; None leaves it to the image."""
    if context.run_as_group is None:
        return None if context.run_as_user is None else str(context.run_as_user)
    who = context.run_as_user if context.run_as_user is not None else image_user().partition(":")[0] or "0"
    return f"{who}:{context.run_as_group}"


def host_options(context: SecurityContext) -> dict[str, Any]:
    """The part of a host configuration that is about security."""
    return {
        "privileged": context.privileged,
        "read_only": context.read_only_root,
        "group_add": [str(group) for group in context.groups] or None,
        "cap_add": list(context.add_capabilities) or None,
        "cap_drop": list(context.drop_capabilities) or None,
        "security_opt": _security_options(context) or None,
    }


def unmask(host: Any) -> Any:
    """The same host configuration with nothing of /proc hidden: what `docker run --security-opt systempaths` does."""
    return {**host, "MaskedPaths": [], "ReadonlyPaths": []}


def _security_options(context: SecurityContext) -> list[str]:
    options = ["no-new-privileges"] if context.no_new_privileges else []
    options += _confinement(SECCOMP, context.seccomp, _read_profile)
    options += _confinement(APPARMOR, context.apparmor, str)
    return [*options, *(f"label={key}:{value}" for key, value in context.selinux.items())]


def _confinement(what: str, profile: Profile, local: Callable[[str], str]) -> list[str]:
    if profile.sort not in (UNCONFINED, LOCALHOST):
        return []
    return [f"{what}={'unconfined' if profile.sort == UNCONFINED else local(profile.name)}"]


def _read_profile(path: str) -> str:
    """The engine is sent a seccomp profile's text."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        why = (error.strerror or "").lower()
        message = f'cannot load seccomp profile "{path}": open {path}: {why}'
        raise RuntimeFailure("CreateContainerError", message) from None
