"""kube-apiserver's validation of pod specs, wherever one stands: in a pod or in a template.

Interface: `pod_spec(spec, path)`, `template_spec(spec, path)`, `immutable_pod_spec(new, old)`.
Source: `ValidatePodSpec`, `ValidatePodUpdate` in pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from k8snb.apimachinery import names, quantity, quota
from k8snb.apimachinery.errors import DUPLICATE, FORBIDDEN, INVALID, NOT_FOUND, NOT_SUPPORTED, REQUIRED, FieldError
from k8snb.apimachinery.meta import Object
from k8snb.apiserver import validation_security, validation_volumes
from k8snb.apiserver.validation_limits import STANDARD
from k8snb.apiserver.validation_storage import pod_claims

Errors = Iterator[FieldError]

RESTART_POLICIES = ("Always", "OnFailure", "Never")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
PROTOCOLS = ("TCP", "UDP", "SCTP")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
FIELD_PATHS = ("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
               "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs")  # fmt: skip
SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['[^']+'\]")
PROBE_ACTIONS = ("exec", "httpGet", "tcpSocket", "grpc")


def pod_spec(spec: Object, path: str) -> Errors:
    """Everything that is wrong with a pod's spec."""
    volumes = {volume["name"] for volume in spec.get("volumes") or ()}
    yield from _unique(spec.get("volumes") or (), f"{path}.volumes")
    yield from validation_volumes.volumes(spec.get("volumes") or (), f"{path}.volumes")
    yield from pod_claims(spec.get("volumes") or (), f"{path}.volumes")
    if not spec.get("containers"):
        yield FieldError(f"{path}.containers", REQUIRED)
    seen: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            place = f"{path}.{field}[{index}]"
            if container["name"] in seen:
                yield FieldError(f"{place}.name", DUPLICATE, container["name"])
            seen.add(container["name"])
            yield from container_spec(container, place, volumes, init=field == "initContainers")
    yield from _one_of(spec, path, "restartPolicy", RESTART_POLICIES)
    yield from _one_of(spec, path, "dnsPolicy", DNS_POLICIES)
    yield from validation_security.pod_security_context(spec, path)
    yield from validation_security.host_aliases(spec, path)
    yield from _complaints(f"{path}.hostname", spec.get("hostname"), names.dns_label)
    yield from _complaints(f"{path}.subdomain", spec.get("subdomain"), names.dns_label)
    yield from _complaints(f"{path}.nodeName", spec.get("nodeName"), names.dns_subdomain)
    yield from _complaints(f"{path}.serviceAccountName", spec.get("serviceAccountName"), names.dns_subdomain)
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        yield FieldError(f"{path}.terminationGracePeriodSeconds", INVALID, grace, "must be greater than or equal to 0")
    yield from _complaints(f"{path}.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"), _deadline)
    for key, value in (spec.get("nodeSelector") or {}).items():
        yield from _complaints(f"{path}.nodeSelector", key, names.qualified_name)
        yield from _complaints(f"{path}.nodeSelector", value, names.label_value)
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        yield from _toleration(toleration, f"{path}.tolerations[{index}]")


def template_spec(spec: Object, path: str) -> Errors:
    """Everything that is wrong with the spec in a pod template."""
    yield from pod_spec(spec, path)
    if spec.get("ephemeralContainers"):
        words = "ephemeral containers not allowed in pod template"
        yield FieldError(f"{path}.ephemeralContainers", FORBIDDEN, None, words)


def container_spec(container: Object, path: str, volumes: set[str], *, init: bool) -> Errors:
    """What is wrong with one container, wherever it stands in a pod."""
    yield from _complaints(f"{path}.name", container["name"], names.dns_label)
    image = container.get("image") or ""
    if not image:
        yield FieldError(f"{path}.image", REQUIRED)
    elif image != image.strip():
        yield FieldError(f"{path}.image", INVALID, image, "must not have leading or trailing whitespace")
    yield from _one_of(container, path, "imagePullPolicy", PULL_POLICIES)
    yield from _one_of(container, path, "terminationMessagePolicy", MESSAGE_POLICIES)
    yield from validation_security.container_security_context(container, path)
    yield from _ports(container.get("ports") or (), f"{path}.ports")
    for index, variable in enumerate(container.get("env") or ()):
        yield from _variable(variable, f"{path}.env[{index}]")
    yield from _resources(container.get("resources") or {}, f"{path}.resources")
    yield from _mounts(container.get("volumeMounts") or (), f"{path}.volumeMounts", volumes)
    for field in PROBES:
        probe = container.get(field)
        if probe is not None:
            if init and container.get("restartPolicy") != "Always":
                why = "may not be set for init containers without restartPolicy=Always"
                yield FieldError(f"{path}.{field}", FORBIDDEN, None, why)
            yield from _probe(probe, f"{path}.{field}")


def _ports(ports: Sequence[Object], path: str) -> Errors:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        place = f"{path}[{index}]"
        yield from _complaints(f"{place}.containerPort", port["containerPort"], names.port_number)
        yield from _one_of(port, place, "protocol", PROTOCOLS)
        name = port.get("name")
        if name:
            yield from _complaints(f"{place}.name", name, names.port_name)
            if name in seen:
                yield FieldError(f"{place}.name", DUPLICATE, name)
            seen.add(name)
        if port.get("hostPort"):
            yield from _complaints(f"{place}.hostPort", port["hostPort"], names.port_number)


def _variable(variable: Object, path: str) -> Errors:
    if not variable.get("name"):
        yield FieldError(f"{path}.name", REQUIRED)
    else:
        yield from _complaints(f"{path}.name", variable["name"], names.env_var)
    source = variable.get("valueFrom")
    if source is not None and variable.get("value"):
        yield FieldError(f"{path}.valueFrom", INVALID, "", "may not be specified when `value` is not empty")
    if source is not None and len(source) != 1:
        one = "must specify exactly one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield FieldError(f"{path}.valueFrom", INVALID, "", one)
    field = ((source or {}).get("fieldRef") or {}).get("fieldPath")
    if field is not None and field not in FIELD_PATHS and not SUBSCRIPT.fullmatch(field):
        yield FieldError(f"{path}.valueFrom.fieldRef.fieldPath", NOT_SUPPORTED, field, _supported(FIELD_PATHS))


def _resources(resources: Object, path: str) -> Errors:
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for field, amounts in (("requests", requests), ("limits", limits)):
        for name, amount in amounts.items():
            yield from _resource_name(name, f"{path}.{field}[{name}]")
            if quantity.parse(amount).milli < 0:
                yield FieldError(f"{path}.{field}[{name}]", INVALID, amount, "must be greater than or equal to 0")
    for name, amount in requests.items():
        if name in limits and quantity.parse(amount).milli > quantity.parse(limits[name]).milli:
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            yield FieldError(f"{path}.requests", INVALID, amount, detail)


def _resource_name(name: str, path: str) -> Errors:
    """Source: `validateContainerResourceName`."""
    if "/" in name:
        yield from _complaints(path, name, names.qualified_name)
    elif name not in quota.COMPUTE and not name.startswith(quota.HUGE):
        if name not in STANDARD:
            yield FieldError(path, INVALID, name, "must be a standard resource type or fully qualified")
        yield FieldError(path, INVALID, name, "must be a standard resource for containers")


def _mounts(mounts: Sequence[Object], path: str, volumes: set[str]) -> Errors:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        place = f"{path}[{index}]"
        if mount["name"] not in volumes:
            yield FieldError(f"{place}.name", NOT_FOUND, mount["name"])
        if not mount.get("mountPath"):
            yield FieldError(f"{place}.mountPath", REQUIRED)
        elif mount["mountPath"] in seen:
            yield FieldError(f"{place}.mountPath", INVALID, mount["mountPath"], "must be unique")
        seen.add(mount.get("mountPath", ""))
        yield from validation_volumes.mount(mount, place)


def _probe(probe: Object, path: str) -> Errors:
    actions = [name for name in PROBE_ACTIONS if name in probe]
    if not actions:
        yield FieldError(path, REQUIRED, None, "must specify a handler type")
    for extra in actions[1:]:
        yield FieldError(f"{path}.{extra}", FORBIDDEN, None, "may not specify more than 1 handler type")
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        value = probe.get(name)
        if value is not None and value < (0 if name == "initialDelaySeconds" else 1):
            yield FieldError(f"{path}.{name}", INVALID, value, "must be greater than 0")


def _toleration(toleration: Object, path: str) -> Errors:
    operator = toleration.get("operator", "Equal")
    if operator not in ("Equal", "Exists"):
        yield FieldError(f"{path}.operator", NOT_SUPPORTED, operator, 'supported values: "Equal", "Exists"')
    if operator == "Exists" and toleration.get("value"):
        why = "value must be empty when `operator` is 'Exists'"
        yield FieldError(f"{path}.operator", INVALID, toleration["value"], why)
    if not toleration.get("key") and operator != "Exists":
        why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield FieldError(f"{path}.operator", INVALID, operator, why)
    effect = toleration.get("effect")
    if effect and effect not in EFFECTS:
        yield FieldError(f"{path}.effect", NOT_SUPPORTED, effect, _supported(EFFECTS))


def immutable_pod_spec(new: Object, old: Object) -> Errors:
    """A pod's spec is fixed but for images, deadlines, added tolerations and scheduling gates that are taken away."""
    gates = [gate for gate in new.get("schedulingGates") or () if gate not in (old.get("schedulingGates") or ())]
    for gate in gates:
        why = f"only deletion is allowed, but found new scheduling gate '{gate['name']}'"
        yield FieldError("spec.schedulingGates", FORBIDDEN, None, why)
    if _without_mutable(new) == _without_mutable(old):
        kept, now = old.get("tolerations") or [], new.get("tolerations") or []
        there = {json.dumps(toleration, sort_keys=True) for toleration in now}
        if any(json.dumps(toleration, sort_keys=True) not in there for toleration in kept):
            why = "existing toleration can not be modified except its tolerationSeconds"
            yield FieldError("spec.tolerations", FORBIDDEN, None, why)
        return
    yield FieldError(
        "spec", FORBIDDEN, None,
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative): "
        f"changed: {', '.join(_changed(new, old))}",
    )  # fmt: skip


def _without_mutable(spec: Object) -> Object:
    def fixed(containers: Any) -> list[Object]:
        return [{key: value for key, value in container.items() if key != "image"} for container in containers or ()]

    kept = {
        key: value
        for key, value in spec.items()
        if key not in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")
    }
    return {**kept, **{field: fixed(spec.get(field)) for field in ("containers", "initContainers")}}


def _changed(new: Object, old: Object) -> list[str]:
    left, right = _without_mutable(new), _without_mutable(old)
    return sorted(f"spec.{key}" for key in left.keys() | right.keys() if left.get(key) != right.get(key))


def _unique(entries: Sequence[Object], path: str) -> Errors:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        yield from _complaints(f"{path}[{index}].name", entry["name"], names.dns_label)
        if entry["name"] in seen:
            yield FieldError(f"{path}[{index}].name", DUPLICATE, entry["name"])
        seen.add(entry["name"])


def _one_of(obj: Object, path: str, field: str, allowed: tuple[str, ...]) -> Errors:
    value = obj.get(field)
    if value is not None and value not in allowed:
        yield FieldError(f"{path}.{field}", NOT_SUPPORTED, value, _supported(allowed))


def _supported(allowed: tuple[str, ...]) -> str:
    return "supported values: " + ", ".join(f'"{value}"' for value in sorted(allowed))


def _deadline(seconds: int) -> list[str]:
    return [] if 0 < seconds < 2**31 else [f"must be between 1 and {2**31 - 1}, inclusive"]


def _complaints(path: str, value: Any, rule: Any) -> Errors:
    if value not in (None, ""):
        for complaint in rule(value):
            yield FieldError(path, INVALID, value, complaint)
