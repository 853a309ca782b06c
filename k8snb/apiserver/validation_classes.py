"""kube-apiserver's validation of PriorityClasses and RuntimeClasses.

Interface: `priority_class`, `priority_class_change`, `runtime_class`; `SYSTEM_CLASSES`, the names that are the
system's own and their values.
Source: `pkg/apis/scheduling/validation/validation.go`, `pkg/apis/node/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from k8snb.apimachinery import names, quantity
from k8snb.apimachinery.errors import FORBIDDEN, INVALID, NOT_SUPPORTED, FieldError
from k8snb.apimachinery.meta import Object, get_path, name_of

Errors = Iterator[FieldError]

HIGHEST = 1_000_000_000  # the highest value that a user's class may have
SYSTEM_CLASSES: Mapping[str, int] = MappingProxyType(
    {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
)
POLICIES = ("Never", "PreemptLowerPriority")
IMMUTABLE = "field is immutable"


def priority_class(obj: Object) -> Errors:
    name, value = name_of(obj), obj.get("value", 0)
    if name.startswith("system-"):
        why = _system_complaint(name, value, bool(obj.get("globalDefault")))
        if why:
            start = "priority class names with 'system-' prefix are reserved for system use only. error: "
            yield FieldError("metadata.name", FORBIDDEN, None, start + why)
    elif value > HIGHEST:
        yield FieldError("value", FORBIDDEN, None, f"maximum allowed value of a user defined priority is {HIGHEST}")
    policy = obj.get("preemptionPolicy")
    if policy is not None and policy not in POLICIES:
        supported = ", ".join(f'"{each}"' for each in POLICIES)
        yield FieldError("preemptionPolicy", NOT_SUPPORTED, policy, f"supported values: {supported}")


def _system_complaint(name: str, value: int, default: bool) -> str:
    if name not in SYSTEM_CLASSES:
        return f"{name} is not a known system priority class"
    if value != SYSTEM_CLASSES[name]:
        return f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if default else ""


def priority_class_change(obj: Object, old: Object) -> Errors:
    if obj.get("value", 0) != old.get("value", 0):
        yield FieldError("value", FORBIDDEN, None, "may not be changed in an update.")
    if obj.get("preemptionPolicy") != old.get("preemptionPolicy"):
        yield FieldError("preemptionPolicy", INVALID, obj.get("preemptionPolicy"), IMMUTABLE)


def runtime_class(obj: Object) -> Errors:
    for complaint in names.dns_label(obj.get("handler", "")):
        yield FieldError("handler", INVALID, obj.get("handler", ""), complaint)
    for name, amount in (get_path(obj, "overhead.podFixed") or {}).items():
        if quantity.parse(amount).nanos < 0:
            yield FieldError(f"overhead.podFixed[{name}]", INVALID, amount, "must be greater than or equal to 0")
    for key, value in (get_path(obj, "scheduling.nodeSelector") or {}).items():
        for complaint in (*names.qualified_name(key), *names.label_value(value)):
            yield FieldError("scheduling.nodeSelector", INVALID, key, complaint)
