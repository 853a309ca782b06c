"""kube-apiserver's validation of LimitRanges and ResourceQuotas.

Interface: `limit_range`, `resource_quota`, `resource_quota_change`.
The rule not to break: what cannot be enforced is refused here, so that admission may rely on what it reads.
Source: `ValidateLimitRange`, `ValidateResourceQuota` in pkg/apis/core/validation/validation.go, `pkg/apis/core/helper`.
"""

from __future__ import annotations

from collections.abc import Callable

from k8snb.apimachinery import names, quota
from k8snb.apimachinery.errors import DUPLICATE, FORBIDDEN, INVALID, REQUIRED, FieldError
from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.pod_resources import amounts
from k8snb.apimachinery.quantity import NANO, Quantity, parse
from k8snb.apiserver.validation_fields import IMMUTABLE, NEGATIVE, Errors, each

LIMIT_TYPES = ("Container", "Pod", "PersistentVolumeClaim")
LIMIT_FIELDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


# LimitRange


def limit_range(obj: Object) -> Errors:
    seen: set[str] = set()
    for index, item in enumerate(obj["spec"].get("limits") or ()):
        path, sort = f"spec.limits[{index}]", item["type"]
        yield from each(f"{path}.type", sort, names.qualified_name(sort))
        if "/" not in sort and sort not in LIMIT_TYPES:
            yield FieldError(f"{path}.type", INVALID, sort, "must be a standard limit type or fully qualified")
        if sort in seen:
            yield FieldError(f"{path}.type", DUPLICATE, sort)
        seen.add(sort)
        yield from _fitting_fields(item, path)
        for name in sorted({name for field in LIMIT_FIELDS for name in item.get(field) or ()}):
            yield from _consistent(item, name, path)


def _fitting_fields(item: Object, path: str) -> Errors:
    """Defaults are for containers, and a claim has nothing but storage to limit."""
    sort = item["type"]
    if sort == "Pod":
        for field in ("default", "defaultRequest"):
            if item.get(field):
                yield FieldError(f"{path}.{field}", FORBIDDEN, None, "may not be specified when `type` is 'Pod'")
    if sort == "PersistentVolumeClaim" and not any("storage" in (item.get(field) or {}) for field in ("min", "max")):
        why = "either minimum or maximum storage value is required, but neither was provided"
        yield FieldError(f"{path}.limits", REQUIRED, None, why)


ABOVE_DEFAULT = "default request value {0} is greater than default limit value {1}"

# Two fields of an entry, the first of which may not exceed the second; where the complaint goes, and in which words.
ORDER = (
    ("min", "max", "min", "min value {0} is greater than max value {1}"),
    ("min", "defaultRequest", "defaultRequest", "min value {0} is greater than default request value {1}"),
    ("defaultRequest", "max", "defaultRequest", "default request value {0} is greater than max value {1}"),
    ("defaultRequest", "default", "defaultRequest", ABOVE_DEFAULT),
    ("min", "default", "min", "min value {0} is greater than default value {1}"),
    ("default", "max", "default", "default value {0} is greater than max value {1}"),
)


def _consistent(item: Object, name: str, path: str) -> Errors:
    said = {field: parse(item[field][name]) for field in LIMIT_FIELDS if name in (item.get(field) or {})}
    for low, high, at, words in ORDER:
        if low in said and high in said and said[low] > said[high]:
            text = words.format(said[low], said[high])
            yield FieldError(f"{path}.{at}[{name}]", INVALID, str(said[at]), text)
    yield from _possible_ratio(said, f"{path}.maxLimitRequestRatio[{name}]")


def _possible_ratio(said: dict[str, Quantity], path: str) -> Errors:
    ratio = said.get("maxLimitRequestRatio")
    if ratio is None:
        return
    if ratio.nanos < NANO:
        yield FieldError(path, INVALID, str(ratio), f"ratio {ratio} is less than 1")
    if "min" in said and "max" in said and said["min"].nanos:
        widest = said["max"].nanos / said["min"].nanos
        if ratio.nanos / NANO > widest:
            text = f"ratio {ratio} is greater than max/min = {widest:f}"
            yield FieldError(path, INVALID, str(ratio), text)


# ResourceQuota

COMPUTE = {prefix + name for prefix in ("", "requests.", "limits.") for name in quota.COMPUTE}
COUNTED = {"pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "persistentvolumeclaims",
           "configmaps", "services.nodeports", "services.loadbalancers"}  # fmt: skip
STANDARD = COMPUTE | COUNTED | {"requests.storage"}
POD_SCOPES = {"Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity"}
OPPOSITES = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
EXISTS_ONLY = ("must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
               "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
               "ResourceQuotaScopeCrossNamespacePodAffinity")  # fmt: skip


def resource_quota(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    hard = spec.get("hard") or {}
    for name, amount in amounts(hard).items():
        yield from _hard(name, amount, f"spec.hard[{name}]")
    requirements = get_path(spec, "scopeSelector.matchExpressions") or ()
    yield from _scopes(spec.get("scopes") or [], hard, "spec.scopes")
    selected = [requirement["scopeName"] for requirement in requirements]
    yield from _scopes(selected, hard, "spec.scopeSelector.matchExpressions")
    for index, requirement in enumerate(requirements):
        yield from _requirement(requirement, f"spec.scopeSelector.matchExpressions[{index}]")


def resource_quota_change(obj: Object, old: Object) -> Errors:
    before, now = get_path(old, "spec.scopes") or [], get_path(obj, "spec.scopes") or []
    if sorted(before) != sorted(now):
        yield FieldError("spec.scopes", INVALID, now, IMMUTABLE)


def _hard(name: str, amount: Quantity, path: str) -> Errors:
    yield from each(path, name, names.qualified_name(name))
    if "/" not in name and not _is_standard(name):
        yield FieldError(path, INVALID, name, "must be a standard resource for quota")
    if amount.nanos < 0:
        yield FieldError(path, INVALID, str(amount), NEGATIVE)
    if (name in COUNTED or quota.is_extended(name)) and amount.nanos % NANO:
        yield FieldError(path, INVALID, str(amount), "must be an integer")


def _is_standard(name: str) -> bool:
    return name in STANDARD or name.removeprefix("requests.").startswith(quota.HUGE)


def _scopes(said: list[str], hard: Object, path: str) -> Errors:
    for scope in said:
        if scope not in quota.SCOPES:
            yield FieldError(path, INVALID, said, "unsupported scope")
        elif any(_is_standard(name) and not _is_for(scope, name) for name in hard):
            yield FieldError(path, INVALID, said, "unsupported scope applied to resource")
    if any(pair <= set(said) for pair in OPPOSITES):
        yield FieldError(path, INVALID, said, "conflicting scopes")


def _is_for(scope: str, name: str) -> bool:
    """Whether a quota of that scope can count a standard resource: pods, and but for BestEffort what pods ask for."""
    return name == "pods" or (scope in POD_SCOPES and name in COMPUTE)


def _requirement(requirement: Object, path: str) -> Errors:
    operator, values = requirement.get("operator"), requirement.get("values") or []
    is_plain = requirement["scopeName"] in quota.SCOPES.keys() - {"PriorityClass"}
    if is_plain and operator != "Exists":
        yield FieldError(f"{path}.operator", INVALID, operator, EXISTS_ONLY)
    rule = OPERATORS.get(operator or "")
    if rule is None:
        yield FieldError(f"{path}.operator", INVALID, operator, "not a valid selector operator")
    else:
        yield from rule(values, f"{path}.values")


def _some_values(values: list[str], path: str) -> Errors:
    if not values:
        why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        yield FieldError(path, REQUIRED, None, why)


def _no_values(values: list[str], path: str) -> Errors:
    if values:
        why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        yield FieldError(path, INVALID, values, why)


OPERATORS: dict[str, Callable[[list[str], str], Errors]] = {
    "In": _some_values,
    "NotIn": _some_values,
    "Exists": _no_values,
    "DoesNotExist": _no_values,
}
