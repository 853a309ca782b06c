"""The Pod Security Standards: what a pod may not say at the levels baseline and restricted.

Interface: `violations(level, pod)` for a `Level`; `parse_level`, `parse_version`.
The rule not to break: a check is a row; a standard of an older release is what its rows were then.
Source: `pod-security-admission/policy` in the kubernetes repository, one check per file there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import Object, annotations_of, get_path

PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
LEVELS = (PRIVILEGED, BASELINE, RESTRICTED)
NEWEST = 33  # the minor release whose standards are the latest
LATEST = "latest"


class Level(NamedTuple):
    """A level at the version of a release: `restricted:latest`, `baseline:v1.25`. `minor` is None for the latest."""

    name: str
    minor: int | None = None

    def __str__(self) -> str:
        return f"{self.name}:{LATEST if self.minor is None else f'v1.{self.minor}'}"


class Violation(NamedTuple):
    """What a pod violates, in few words, and who in it does so."""

    reason: str
    detail: str


Check = Callable[[Object], Violation | None]


def violations(level: Level, pod: Object) -> list[Violation]:
    """Everything that a pod, or a template with metadata and spec, violates."""
    return [found for check in _checks(level) if (found := check(pod)) is not None]


def parse_level(text: str) -> str:
    """Raises ValueError with what would be right."""
    if text not in LEVELS:
        raise ValueError(f"must be one of {', '.join(LEVELS)}")
    return text


def parse_version(text: str) -> int | None:
    """The minor release, None for the latest. Raises ValueError with what would be right."""
    match = re.fullmatch(r"v1\.(0|[1-9][0-9]*)", text)
    if text != LATEST and match is None:
        raise ValueError('must be "latest" or "v1.x"')
    return int(match[1]) if match else None


# looking into pods


def _containers(pod: Object) -> Iterator[Object]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod["spec"].get(field) or ()


def _context(holder: Object, path: str) -> Any:
    return get_path(holder.get("securityContext") or {}, path)


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _count(number: int, one: str, more: str = "") -> str:
    return one if number == 1 else more or f"{one}s"


def _named(containers: list[str]) -> str:
    return f"{_count(len(containers), 'container')} {_quoted(containers)}"


def _setters(pod_does: bool, containers: list[str]) -> str:
    """Who says something: `pod and containers "a", "b"`."""
    return " and ".join([*(["pod"] if pod_does else []), *([_named(containers)] if containers else [])])


def _bad_containers(pod: Object, is_bad: Callable[[Object], bool]) -> list[str]:
    return [container["name"] for container in _containers(pod) if is_bad(container)]


# baseline

APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
SECCOMP = "container.seccomp.security.alpha.kubernetes.io/"
SECCOMP_OF_POD = "seccomp.security.alpha.kubernetes.io/pod"
PROFILES = ("RuntimeDefault", "Localhost")
CAPABILITIES = {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
                "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}  # fmt: skip
SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t")
SYSCTLS = ("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
           "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start")  # fmt: skip
SYSCTLS_27 = (*SYSCTLS, "net.ipv4.ip_local_reserved_ports")
SYSCTLS_29 = (*SYSCTLS_27, "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
              "net.ipv4.tcp_keepalive_probes")  # fmt: skip
SYSCTLS_32 = (*SYSCTLS_29, "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")


def app_armor_profile(pod: Object) -> Violation | None:
    def is_bad(holder: Object) -> bool:
        return _context(holder, "appArmorProfile.type") not in (None, *PROFILES)

    bad, values = _setters(is_bad(pod["spec"]), _bad_containers(pod, is_bad)), _profiles(pod, "appArmorProfile", is_bad)
    notes = sorted(
        f"{key}={json.dumps(value)}" for key, value in annotations_of(_with_metadata(pod)).items()
        if key.startswith(APPARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    )  # fmt: skip
    if notes:
        values += notes
        bad = " and ".join([*([bad] if bad else []), _count(len(notes), "annotation")])
    if not values:
        return None
    reason = _count(len(values), "forbidden AppArmor profile")
    return Violation(reason, f"{bad} must not set AppArmor profile type to {_quoted(values)}")


def _with_metadata(pod: Object) -> Object:
    return pod if pod.get("metadata") else {"metadata": {}}


def _profiles(pod: Object, field: str, is_bad: Callable[[Object], bool]) -> list[str]:
    """The values that the pod and its containers should not have set."""
    return sorted({_context(holder, f"{field}.type") for holder in (pod["spec"], *_containers(pod)) if is_bad(holder)})


def capabilities_baseline(pod: Object) -> Violation | None:
    added = {c["name"]: set(_context(c, "capabilities.add") or ()) - CAPABILITIES for c in _containers(pod)}
    bad = [name for name, extra in added.items() if extra]
    if not bad:
        return None
    extra = sorted(set().union(*added.values()))
    text = f"{_named(bad)} must not include {_quoted(extra)} in securityContext.capabilities.add"
    return Violation("non-default capabilities", text)


def host_namespaces(pod: Object) -> Violation | None:
    found = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if pod["spec"].get(field)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def host_path_volumes(pod: Object) -> Violation | None:
    found = [volume["name"] for volume in pod["spec"].get("volumes") or () if "hostPath" in volume]
    return Violation("hostPath volumes", f"{_count(len(found), 'volume')} {_quoted(found)}") if found else None


def host_ports(pod: Object) -> Violation | None:
    def ports(container: Object) -> list[str]:
        return [str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")]

    bad = _bad_containers(pod, lambda container: bool(ports(container)))
    if not bad:
        return None
    found = sorted({port for container in _containers(pod) for port in ports(container)})
    words = f"{_count(len(bad), 'uses', 'use')} {_count(len(found), 'hostPort')} {', '.join(found)}"
    return Violation("hostPort", f"{_named(bad)} {words}")


def privileged(pod: Object) -> Violation | None:
    bad = _bad_containers(pod, lambda container: _context(container, "privileged") is True)
    return Violation("privileged", f"{_named(bad)} must not set securityContext.privileged=true") if bad else None


def proc_mount(pod: Object) -> Violation | None:
    bad = _bad_containers(pod, lambda container: _context(container, "procMount") not in (None, "Default"))
    if not bad:
        return None
    values = sorted({_context(container, "procMount") or "Default" for container in _containers(pod)} - {"Default"})
    return Violation("procMount", f"{_named(bad)} must not set securityContext.procMount to {_quoted(values)}")


def selinux_options(types: tuple[str, ...], pod: Object) -> Violation | None:
    def options(holder: Object) -> Object:
        return _context(holder, "seLinuxOptions") or {}

    def is_bad(holder: Object) -> bool:
        said = options(holder)
        return said.get("type", "") not in types or bool(said.get("user") or said.get("role"))

    holders = [holder for holder in (pod["spec"], *_containers(pod)) if is_bad(holder)]
    if not holders:
        return None
    wrong = sorted({options(holder).get("type", "") for holder in holders} - set(types))
    parts = [f"{_count(len(wrong), 'type')} {_quoted(wrong)}"] if wrong else []
    for field in ("user", "role"):
        parts += [f"{field} may not be set"] if any(options(holder).get(field) for holder in holders) else []
    who = _setters(is_bad(pod["spec"]), _bad_containers(pod, is_bad))
    return Violation("seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(parts)}")


def seccomp_annotations(pod: Object) -> Violation | None:
    """How profiles were named before 1.19."""
    said = annotations_of(_with_metadata(pod))
    keys = [SECCOMP_OF_POD, *(SECCOMP + container["name"] for container in _containers(pod))]
    good = ("runtime/default", "docker/default")
    bad = sorted(f"{key}={json.dumps(said[key])}" for key in keys
                 if key in said and said[key] not in good and not said[key].startswith("localhost/"))  # fmt: skip
    if not bad:
        return None
    return Violation("seccompProfile", f"forbidden {_count(len(bad), 'annotation')} {', '.join(bad)}")


def _bad_seccomp(holder: Object) -> bool:
    return _context(holder, "seccompProfile.type") not in (None, *PROFILES)


def seccomp_baseline(pod: Object) -> Violation | None:
    values = _profiles(pod, "seccompProfile", _bad_seccomp)
    if not values:
        return None
    who = _setters(_bad_seccomp(pod["spec"]), _bad_containers(pod, _bad_seccomp))
    return Violation("seccompProfile", f"{who} must not set securityContext.seccompProfile.type to {_quoted(values)}")


def sysctls(safe: tuple[str, ...], pod: Object) -> Violation | None:
    found = [entry["name"] for entry in _context(pod["spec"], "sysctls") or () if entry["name"] not in safe]
    return Violation("forbidden sysctls", ", ".join(found)) if found else None


def windows_host_process(pod: Object) -> Violation | None:
    def is_bad(holder: Object) -> bool:
        return _context(holder, "windowsOptions.hostProcess") is True

    who = _setters(is_bad(pod["spec"]), _bad_containers(pod, is_bad))
    text = f"{who} must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", text) if who else None


# restricted

CORE_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected",
                "secret"}  # fmt: skip


def allow_privilege_escalation(pod: Object) -> Violation | None:
    bad = _bad_containers(pod, lambda container: _context(container, "allowPrivilegeEscalation") is not False)
    if not bad:
        return None
    text = f"{_named(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", text)


def capabilities_restricted(pod: Object) -> Violation | None:
    keeping = _bad_containers(pod, lambda container: "ALL" not in (_context(container, "capabilities.drop") or ()))
    added = {c["name"]: set(_context(c, "capabilities.add") or ()) - {"NET_BIND_SERVICE"} for c in _containers(pod)}
    adding = [name for name, extra in added.items() if extra]
    details = [f'{_named(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    if adding:
        extra = sorted(set().union(*added.values()))
        details.append(f"{_named(adding)} must not include {_quoted(extra)} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def restricted_volumes(pod: Object) -> Violation | None:
    volumes = [volume for volume in pod["spec"].get("volumes") or () if not CORE_VOLUMES & volume.keys()]
    if not volumes:
        return None
    names = [volume["name"] for volume in volumes]
    types = sorted({key for volume in volumes for key in volume if key != "name"})
    words = f"{_count(len(names), 'uses', 'use')} {_count(len(types), 'restricted volume type')} {_quoted(types)}"
    return Violation("restricted volume types", f"{_count(len(names), 'volume')} {_quoted(names)} {words}")


def run_as_non_root(pod: Object) -> Violation | None:
    def says(holder: Object) -> bool | None:
        said: bool | None = _context(holder, "runAsNonRoot")
        return said

    who = _setters(says(pod["spec"]) is False, _bad_containers(pod, lambda container: says(container) is False))
    if who:
        return Violation("runAsNonRoot != true", f"{who} must not set securityContext.runAsNonRoot=false")
    silent = [] if says(pod["spec"]) else _bad_containers(pod, lambda container: says(container) is None)
    if not silent:
        return None
    return Violation("runAsNonRoot != true", f"pod or {_named(silent)} must set securityContext.runAsNonRoot=true")


def run_as_user(pod: Object) -> Violation | None:
    def is_root(holder: Object) -> bool:
        return bool(_context(holder, "runAsUser") == 0)

    who = _setters(is_root(pod["spec"]), _bad_containers(pod, is_root))
    return Violation("runAsUser=0", f"{who} must not set runAsUser=0") if who else None


def seccomp_restricted(pod: Object) -> Violation | None:
    explicit = seccomp_baseline(pod)
    if explicit is not None:
        return explicit
    of_pod = _context(pod["spec"], "seccompProfile")
    silent = [] if of_pod else _bad_containers(pod, lambda container: _context(container, "seccompProfile") is None)
    if not silent:
        return None
    words = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", f"pod or {_named(silent)} {words}")


def _on_linux(check: Check) -> Check:
    """Windows has none of these: since 1.25 pods that say they are for it need not say them."""
    return lambda pod: None if get_path(pod, "spec.os.name") == "windows" else check(pod)


# the standards

Versions = tuple[tuple[int, Check], ...]  # since which minor release, and the check from then on

BASELINE_CHECKS: dict[str, Versions] = {
    "appArmorProfile": ((0, app_armor_profile),),
    "capabilities_baseline": ((0, capabilities_baseline),),
    "hostNamespaces": ((0, host_namespaces),),
    "hostPathVolumes": ((0, host_path_volumes),),
    "hostPorts": ((0, host_ports),),
    "privileged": ((0, privileged),),
    "procMount": ((0, proc_mount),),
    "seLinuxOptions": (
        (0, partial(selinux_options, SELINUX_TYPES)),
        (31, partial(selinux_options, (*SELINUX_TYPES, "container_engine_t"))),
    ),
    "seccompProfile_baseline": ((0, seccomp_annotations), (19, seccomp_baseline)),
    "sysctls": (
        (0, partial(sysctls, SYSCTLS)),
        (27, partial(sysctls, SYSCTLS_27)),
        (29, partial(sysctls, SYSCTLS_29)),
        (32, partial(sysctls, SYSCTLS_32)),
    ),
    "windowsHostProcess": ((0, windows_host_process),),
}
RESTRICTED_CHECKS: dict[str, Versions] = {
    "allowPrivilegeEscalation": ((8, allow_privilege_escalation), (25, _on_linux(allow_privilege_escalation))),
    "capabilities_restricted": ((22, capabilities_restricted), (25, _on_linux(capabilities_restricted))),
    "restrictedVolumes": ((0, restricted_volumes),),
    "runAsNonRoot": ((0, run_as_non_root),),
    "runAsUser": ((23, run_as_user),),
    "seccompProfile_restricted": ((19, seccomp_restricted), (25, _on_linux(seccomp_restricted))),
}
REPLACES = {  # a check of restricted that says all that one of baseline does, and more
    "capabilities_restricted": "capabilities_baseline",
    "restrictedVolumes": "hostPathVolumes",
    "seccompProfile_restricted": "seccompProfile_baseline",
}


def _checks(level: Level) -> list[Check]:
    """The checks of a level, those of baseline first."""
    if level.name == PRIVILEGED:
        return []
    minor = NEWEST if level.minor is None else level.minor
    restricted = _at(RESTRICTED_CHECKS, minor) if level.name == RESTRICTED else {}
    replaced = {REPLACES.get(name) for name in restricted}
    baseline = {name: check for name, check in _at(BASELINE_CHECKS, minor).items() if name not in replaced}
    return [*baseline.values(), *restricted.values()]


def _at(rows: dict[str, Versions], minor: int) -> dict[str, Check]:
    """The checks as they were at a release."""
    return {name: [check for since, check in versions if since <= minor][-1]
            for name, versions in rows.items() if versions[0][0] <= minor}  # fmt: skip
