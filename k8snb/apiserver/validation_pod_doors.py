"""kube-apiserver's validation of what comes through a pod's own doors: ephemeral containers, and other resources.

Interface: `ephemeral_containers(spec)`, `ephemeral_change(new, old)`; `resize_policies(spec)`,
`resize_change(new, old)`; `pod_creation(pod)`.
The rule not to break: through these doors nothing else of a pod changes, and each complaint names what would.
Source: `validateEphemeralContainers`, `ValidatePodEphemeralContainersUpdate`, `ValidatePodResize` in
pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from k8snb.apimachinery.errors import DUPLICATE, FORBIDDEN, INVALID, NOT_FOUND, NOT_SUPPORTED, FieldError
from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.quantity import parse
from k8snb.apiserver.strategy import qos_class
from k8snb.apiserver.validation_pods import Errors, container_spec

RESIZABLE = ("cpu", "memory")
NOT_REQUIRED, RESTART = "NotRequired", "RestartContainer"
NOT_EPHEMERAL = ("ports", "resources", "resizePolicy", "restartPolicy", "livenessProbe", "readinessProbe",
                 "startupProbe", "lifecycle")  # fmt: skip
EPHEMERAL = "spec.ephemeralContainers"
_NEVER_SET = "cannot be set for an Ephemeral Container"
_WORDS = {"requests": "resource requests cannot be removed", "limits": "resource limits cannot be removed"}


def pod_creation(pod: Object) -> Errors:
    """What a pod may not be born with."""
    if pod["spec"].get("ephemeralContainers"):
        yield FieldError(EPHEMERAL, FORBIDDEN, None, "cannot be set on create")


# ephemeral containers


def ephemeral_containers(spec: Object) -> Errors:
    """Everything that is wrong with a pod's ephemeral containers by themselves."""
    others = {container["name"] for field in ("initContainers", "containers") for container in spec.get(field) or ()}
    volumes = {volume["name"] for volume in spec.get("volumes") or ()}
    seen = set(others)
    for index, container in enumerate(spec.get("ephemeralContainers") or ()):
        path = f"{EPHEMERAL}[{index}]"
        common = {name: value for name, value in container.items() if name not in NOT_EPHEMERAL}
        yield from container_spec(common, path, volumes, init=False)
        if container["name"] in seen:
            yield FieldError(f"{path}.name", DUPLICATE, container["name"])
        seen.add(container["name"])
        target = container.get("targetContainerName")
        if target and target not in others:
            yield FieldError(f"{path}.targetContainerName", NOT_FOUND, target)
        yield from _no_service(container, path)


def _no_service(container: Object, path: str) -> Errors:
    """An ephemeral container is for looking, and must not become part of what the pod does."""
    for field in NOT_EPHEMERAL:
        if container.get(field):
            yield FieldError(f"{path}.{field}", FORBIDDEN, None, _NEVER_SET)
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        for field in ("subPath", "subPathExpr"):
            if mount.get(field):
                yield FieldError(f"{path}.volumeMounts[{index}].{field}", FORBIDDEN, None, _NEVER_SET)


def ephemeral_change(new: Object, old: Object) -> Errors:
    """Ephemeral containers may be added, and neither changed nor removed."""
    now = {container["name"]: container for container in new["spec"].get("ephemeralContainers") or ()}
    for container in old["spec"].get("ephemeralContainers") or ():
        name = container["name"]
        if name not in now:
            yield FieldError(EPHEMERAL, FORBIDDEN, None, f'existing ephemeral containers "{name}" may not be removed\n')
        elif now[name] != container:
            both = container.keys() | now[name].keys()
            changed = sorted(field for field in both if container.get(field) != now[name].get(field))
            words = f'existing ephemeral containers "{name}" may not be changed\n{", ".join(changed)}'
            yield FieldError(EPHEMERAL, FORBIDDEN, None, words)


# resizing


def resize_policies(spec: Object) -> Errors:
    """Source: `validateResizePolicy`."""
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            path = f"spec.{field}[{index}].resizePolicy"
            yield from _policies(container.get("resizePolicy") or (), path, spec.get("restartPolicy", "Always"))


def _policies(policies: Sequence[Object], path: str, restart: str) -> Errors:
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        name, word = policy["resourceName"], policy["restartPolicy"]
        if name in seen:
            yield FieldError(f"{path}[{index}]", DUPLICATE, name)
        seen.add(name)
        if name not in RESIZABLE:
            yield FieldError(path, NOT_SUPPORTED, name, 'supported values: "cpu", "memory"')
        if word not in (NOT_REQUIRED, RESTART):
            yield FieldError(path, NOT_SUPPORTED, word, f'supported values: "{NOT_REQUIRED}", "{RESTART}"')
        if restart == "Never" and word != NOT_REQUIRED:
            yield FieldError(path, INVALID, word, "must be 'NotRequired' when `restartPolicy` is 'Never'")


def resize_change(new: Object, old: Object) -> Errors:
    """Only amounts of cpu and memory change, and not the class of service that follows from them."""
    if qos_class(new) != get_path(old, "status.qosClass"):
        words = "Pod QOS Class may not change as a result of resizing"
        yield FieldError("spec", INVALID, get_path(old, "status.qosClass"), words)
    if not _node_can_resize(old):
        yield FieldError("spec", FORBIDDEN, None, "Pod running on node without support for resize")
    disorder = [*_disorder(new, old, "containers"), *_disorder(new, old, "initContainers")]
    yield from disorder
    if disorder:
        return
    for path, container, before in _pairs(new, old):
        if path.startswith("spec.initContainers") and container.get("restartPolicy") != "Always":
            if _resources(container) != _resources(before):
                words = "resources for non-sidecar init containers are immutable"
                yield FieldError(path, FORBIDDEN, None, words)
            continue
        yield from _resized(_resources(container), _resources(before), path, _memory_policy(container))
    others = [path for path, container, before in _pairs(new, old) if _apart(container) != _apart(before)]
    if others:
        words = f"only cpu and memory resources are mutable\nchanged: {', '.join(others)}"
        yield FieldError("spec", FORBIDDEN, None, words)


def _node_can_resize(pod: Object) -> bool:
    """Source: `isPodResizeRequestSupported`."""
    running = (one for one in get_path(pod, "status.containerStatuses") or () if "running" in one["state"])
    first = next(running, None)
    return first is None or "resources" in first


def _disorder(new: Object, old: Object, field: str) -> Errors:
    now, before = new["spec"].get(field) or (), old["spec"].get(field) or ()
    if len(now) != len(before):
        yield FieldError("spec", FORBIDDEN, None, f"{field} may not be added or removed on resize")
        return
    for index, (container, other) in enumerate(zip(now, before, strict=True)):
        if container["name"] != other["name"]:
            words = f"{field} may not be renamed or reordered on resize"
            yield FieldError(f"spec.{field}[{index}].name", FORBIDDEN, None, words)


def _pairs(new: Object, old: Object) -> Iterator[tuple[str, Object, Object]]:
    """Each container's resources: their path, the container as it is to be, and as it was."""
    for field in ("containers", "initContainers"):
        both = zip(new["spec"].get(field) or (), old["spec"].get(field) or (), strict=True)
        for index, (container, before) in enumerate(both):
            yield f"spec.{field}[{index}].resources", container, before


def _resized(now: Object, before: Object, path: str, memory_policy: str) -> Errors:
    """Source: `validateContainerResize`."""
    for field, words in _WORDS.items():
        if (before.get(field) or {}).keys() - (now.get(field) or {}).keys():
            yield FieldError(f"{path}.{field}", FORBIDDEN, None, words)
    limit, old_limit = get_path(now, "limits.memory"), get_path(before, "limits.memory")
    if limit is None or memory_policy == RESTART:
        return
    word = "added" if old_limit is None else "decreased" if parse(limit) < parse(old_limit) else ""
    if word:
        words = f"memory limits cannot be {word} unless resizePolicy is {RESTART}"
        yield FieldError(f"{path}.limits[memory]", FORBIDDEN, None, words)


def _memory_policy(container: Object) -> str:
    policies = container.get("resizePolicy") or ()
    return next((policy["restartPolicy"] for policy in policies if policy["resourceName"] == "memory"), NOT_REQUIRED)


def _resources(container: Object) -> Object:
    return container.get("resources") or {}


def _apart(container: Object) -> Any:
    """What a resize may not touch of a container's resources."""
    resources = _resources(container)
    amounts = {
        field: {name: amount for name, amount in (resources.get(field) or {}).items() if name not in RESIZABLE}
        for field in ("requests", "limits")
    }
    return amounts, resources.get("claims") or []
