"""kubelet's honesty: what a pod asks for and no runtime here carries out.

Interface: `unsupported(pod)`, a sentence for each such field.
The rule not to break: a field that is stored and not acted on is named in an event of the pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from k8snb.apimachinery.meta import Object

POD = ("hostAliases", "hostIPC", "hostPID", "setHostnameAsFQDN")
POD_SECURITY = ("appArmorProfile", "runAsGroup", "runAsNonRoot", "seLinuxOptions", "seccompProfile",
                "supplementalGroups", "sysctls", "windowsOptions")  # fmt: skip
CONTAINER_SECURITY = ("allowPrivilegeEscalation", "appArmorProfile", "capabilities", "procMount", "runAsGroup",
                      "runAsNonRoot", "seLinuxOptions", "seccompProfile", "windowsOptions")  # fmt: skip
ORDINARY = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}  # the API's defaults
CONTAINERS = ("initContainers", "containers")


def unsupported(pod: Object) -> list[str]:
    """`spec.hostPID: not implemented by k8snb: …`, for each field that says something."""
    fields = dict.fromkeys(_fields(pod["spec"]))
    return [f"spec.{field}: not implemented by k8snb: the pod runs as if it were not there" for field in fields]


def _fields(spec: Object) -> Iterator[str]:
    yield from _said(spec, POD)
    yield from (f"securityContext.{field}" for field in _said(spec.get("securityContext") or {}, POD_SECURITY))
    for part in CONTAINERS:
        for container in spec.get(part) or ():
            own = _said(container.get("securityContext") or {}, CONTAINER_SECURITY)
            yield from (f"{part}[].securityContext.{field}" for field in own)
            yield from (f"{part}[].{field}" for field, usual in ORDINARY.items()
                        if container.get(field, usual) != usual)  # fmt: skip


def _said(fields: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    return (name for name in names if fields.get(name))
