"""kubelet's honesty: what a pod asks for and its node's runtime does not carry out.

Interface: `unsupported(pod, runtime)`, a sentence for each reason, with the fields that it holds for.
The rule not to break: a field that is stored and not acted on is named in an event of the pod; whether it is acted on
says the runtime's own table, `Runtime.support`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from k8snb.apimachinery.meta import Object
from k8snb.cri import Runtime
from k8snb.cri.security import FIELDS, UNCONFINED
from k8snb.kubelet.volume_limits import storage_limit

UNKNOWN = "not implemented by k8snb"
STORAGE_LIMIT = (
    "spec.containers[].resources.limits.ephemeral-storage: only emptyDirs are counted; counting what containers write "
    f"beside their volumes, and their logs: {UNKNOWN}"
)
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
# What a value has to be for the field to ask for something; where a field is not listed: anything but nothing.
ASKS: Mapping[str, Callable[[Any], bool]] = MappingProxyType({
    "allowPrivilegeEscalation": lambda value: value is False,
    "appArmorProfile": lambda value: False,  # a node that cannot enforce it sends the pod away: see `admission`
    "hostUsers": lambda value: value is False,
    "procMount": lambda value: value not in (None, "", "Default"),
    "runAsGroup": lambda value: value is not None,
    "runAsUser": lambda value: value is not None,
    "seccompProfile": lambda value: bool(value) and value["type"] != UNCONFINED,
    "supplementalGroupsPolicy": lambda value: False,  # likewise
})  # fmt: skip


def unsupported(pod: Object, runtime: Runtime) -> list[str]:
    """`spec.hostPID: not carried out by the simulated runtime: …`."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for path, field in dict.fromkeys(_asked(pod["spec"])):
        why = runtime.support.get(field, UNKNOWN)
        if why:
            by_reason[why].append(f"spec.{path}")
    told = [f"{', '.join(paths)}: not carried out by the {runtime.name} runtime: {why}"
            for why, paths in by_reason.items()]  # fmt: skip
    return [*told, STORAGE_LIMIT] if storage_limit(pod) else told


def _asked(spec: Object) -> Iterator[tuple[str, str]]:
    """The path and the name of each field that asks for something."""
    yield from ((name, name) for name in _said(spec))
    yield from ((f"securityContext.{name}", name) for name in _said(spec.get("securityContext") or {}))
    for part in CONTAINERS:
        for container in spec.get(part) or ():
            own = _said(container.get("securityContext") or {})
            yield from ((f"{part}[].securityContext.{name}", name) for name in own)


def _said(fields: Mapping[str, Any]) -> Iterator[str]:
    return (name for name in FIELDS if name in fields and ASKS.get(name, bool)(fields[name]))
