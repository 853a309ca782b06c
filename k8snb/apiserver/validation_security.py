"""kube-apiserver's validation of security contexts, hostAliases and what else a pod says of itself on its node.

Interface: `pod_security_context(spec, path)`, `container_security_context(container, path)`, `host_aliases(spec,
path)`.
Source: `ValidatePodSecurityContext`, `ValidateSecurityContext`, `validateSysctls`, `validateSeccompProfileField`,
`ValidateAppArmorProfileField` and `ValidateHostAliases` in pkg/apis/core/validation/validation.go. Whether a container
may be privileged is asked by `admission_privileged`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from k8snb.apimachinery import names
from k8snb.apimachinery.errors import DUPLICATE, INVALID, NOT_SUPPORTED, REQUIRED, FieldError
from k8snb.apimachinery.meta import Object

Errors = Iterator[FieldError]

LARGEST_ID = 2**31 - 1
ID_RANGE = f"must be between 0 and {LARGEST_ID}, inclusive"
SYSCTL = r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?([\./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*"
SYSCTL_LENGTH = 253
BAD_SYSCTL = f"must have at most {SYSCTL_LENGTH} characters and match regex ^({SYSCTL})$"
BAD_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
CHANGE_POLICIES = ("Always", "OnRootMismatch")
NO_ESCALATION = "cannot set `allowPrivilegeEscalation` to false and "


def pod_security_context(spec: Object, path: str) -> Errors:
    """What is wrong with a pod's own security context. `path` is the spec's."""
    context, place = spec.get("securityContext") or {}, f"{path}.securityContext"
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield FieldError(f"{place}.shareProcessNamespace", INVALID, True, why)
    yield from _ids(context, place, ("runAsUser", "runAsGroup", "fsGroup"))
    for number, group in enumerate(context.get("supplementalGroups") or ()):
        if not _is_id(group):
            yield FieldError(f"{place}.supplementalGroups[{number}]", INVALID, group, ID_RANGE)
    policy = context.get("fsGroupChangePolicy")
    if policy is not None and policy not in CHANGE_POLICIES:
        yield FieldError(f"{place}.fsGroupChangePolicy", NOT_SUPPORTED, policy, _supported(CHANGE_POLICIES))
    yield from _sysctls(context, place)
    yield from _profiles(context, place)


def container_security_context(container: Object, path: str) -> Errors:
    """What is wrong with a container's security context. `path` is the container's."""
    context, place = container.get("securityContext") or {}, f"{path}.securityContext"
    yield from _ids(context, place, ("runAsUser", "runAsGroup"))
    yield from _profiles(context, place)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            yield FieldError(place, INVALID, context, f"{NO_ESCALATION}`privileged` to true")
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            yield FieldError(place, INVALID, context, f"{NO_ESCALATION}`capabilities.Add` CAP_SYS_ADMIN")


def host_aliases(spec: Object, path: str) -> Errors:
    for number, alias in enumerate(spec.get("hostAliases") or ()):
        place = f"{path}.hostAliases[{number}]"
        try:
            ipaddress.ip_address(alias.get("ip") or "")
        except ValueError:
            yield FieldError(f"{place}.ip", INVALID, alias.get("ip") or "", BAD_IP)
        for index, name in enumerate(alias.get("hostnames") or ()):
            for complaint in names.dns_subdomain(name):
                yield FieldError(f"{place}.hostnames[{index}]", INVALID, name, complaint)


def _ids(context: Mapping[str, Any], place: str, fields: tuple[str, ...]) -> Errors:
    for field in fields:
        if context.get(field) is not None and not _is_id(context[field]):
            yield FieldError(f"{place}.{field}", INVALID, context[field], ID_RANGE)


def _is_id(number: int) -> bool:
    return 0 <= number <= LARGEST_ID


def _sysctls(context: Object, place: str) -> Errors:
    seen: set[str] = set()
    for number, entry in enumerate(context.get("sysctls") or ()):
        name, spot = entry.get("name") or "", f"{place}.sysctls[{number}].name"
        if not name:
            yield FieldError(spot, REQUIRED)
        elif len(name) > SYSCTL_LENGTH or not re.fullmatch(SYSCTL, name):
            yield FieldError(spot, INVALID, name, BAD_SYSCTL)
        elif name.replace("/", ".") in seen:
            yield FieldError(spot, DUPLICATE, name)
        seen.add(name.replace("/", "."))


def _profiles(context: Object, place: str) -> Errors:
    for field, what in (("seccompProfile", "seccomp type"), ("appArmorProfile", "AppArmor type")):
        profile = context.get(field)
        if profile is None:
            continue
        sort, name = profile.get("type"), profile.get("localhostProfile")
        local = f"{place}.{field}.localhostProfile"
        if sort not in PROFILES:
            yield FieldError(f"{place}.{field}.type", NOT_SUPPORTED, sort, _supported(PROFILES))
        elif sort == "Localhost" and not name:
            yield FieldError(
                f"{place}.{field}.localhostProfile", REQUIRED, None, f"must be set when {what} is Localhost"
            )
        elif sort != "Localhost" and name:
            yield FieldError(local, INVALID, name, f"can only be set when {what} is Localhost")


def _supported(allowed: tuple[str, ...]) -> str:
    return "supported values: " + ", ".join(f'"{value}"' for value in allowed)
