"""kube-apiserver's validation of PodDisruptionBudgets.

Interface: `budget`, pure.
Source: `ValidatePodDisruptionBudgetSpec` in pkg/apis/policy/validation/validation.go.
"""

from __future__ import annotations

import re

from k8snb.apimachinery.errors import INVALID, NOT_SUPPORTED, FieldError
from k8snb.apimachinery.meta import Object
from k8snb.apiserver.validation_fields import NEGATIVE, Errors, labels

_PERCENT = re.compile(r"[0-9]+%")
_POLICIES = ("AlwaysAllow", "IfHealthyBudget")


def budget(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield FieldError("spec", INVALID, spec, "minAvailable and maxUnavailable cannot be both set")
    for name in ("minAvailable", "maxUnavailable"):
        yield from _amount(spec.get(name), f"spec.{name}")
    yield from labels((spec.get("selector") or {}).get("matchLabels"), "spec.selector.matchLabels")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in _POLICIES:
        shown = ", ".join(f'"{each}"' for each in _POLICIES)
        yield FieldError("spec.unhealthyPodEvictionPolicy", NOT_SUPPORTED, policy, f"supported values: {shown}")


def _amount(value: int | str | None, path: str) -> Errors:
    if isinstance(value, int) and value < 0:
        yield FieldError(path, INVALID, value, NEGATIVE)
    elif isinstance(value, str) and _PERCENT.fullmatch(value) is None:
        words = "a valid percent string must be a numeric string followed by an ending '%'"
        yield FieldError(path, INVALID, value, f"{words} (e.g. '1%' or '93%')")
    elif isinstance(value, str) and int(value.rstrip("%")) > 100:
        yield FieldError(path, INVALID, value, "must not be greater than 100%")
