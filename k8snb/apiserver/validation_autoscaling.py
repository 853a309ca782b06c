"""kube-apiserver's validation of HorizontalPodAutoscalers.

Interface: `autoscaler`, pure.
Source: `pkg/apis/autoscaling/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

from k8snb.apimachinery import quantity
from k8snb.apimachinery.errors import FORBIDDEN, INVALID, NOT_SUPPORTED, REQUIRED, FieldError
from k8snb.apimachinery.meta import Object
from k8snb.apiserver.validation_fields import Errors, each
from k8snb.apiserver.validation_rbac import path_segment

SOURCES = {"Resource": "resource", "ContainerResource": "containerResource", "Pods": "pods", "Object": "object",
           "External": "external"}  # fmt: skip
TARGETS = {"Utilization": "averageUtilization", "Value": "value", "AverageValue": "averageValue"}
POLICIES, SELECTS = ("Pods", "Percent"), ("Max", "Min", "Disabled")
LONGEST_PERIOD, LONGEST_WINDOW = 1800, 3600  # seconds


def autoscaler(obj: Object) -> Errors:
    spec = obj["spec"]
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if least < 1:
        yield FieldError("spec.minReplicas", INVALID, least, "must be greater than or equal to 1")
    if most < 1:
        yield FieldError("spec.maxReplicas", INVALID, most, "must be greater than 0")
    if most < least:
        yield FieldError("spec.maxReplicas", INVALID, most, "must be greater than or equal to `minReplicas`")
    yield from _target_reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    for index, metric in enumerate(spec.get("metrics") or ()):
        yield from _metric(metric, f"spec.metrics[{index}]")
    for direction in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(direction)
        if rules is not None:
            yield from _rules(rules, f"spec.behavior.{direction}")


def _target_reference(reference: Object, path: str) -> Errors:
    for field in ("kind", "name"):
        if not reference.get(field):
            yield FieldError(f"{path}.{field}", REQUIRED)
        else:
            yield from each(f"{path}.{field}", reference[field], path_segment(reference[field]))


def _metric(metric: Object, path: str) -> Errors:
    sort = metric.get("type", "")
    if sort not in SOURCES:
        yield _unsupported(f"{path}.type", sort, SOURCES)
        return
    given = [field for field in SOURCES.values() if metric.get(field) is not None]
    if SOURCES[sort] not in given:
        yield FieldError(
            f"{path}.{SOURCES[sort]}", REQUIRED, None, "must populate information for the given metric source"
        )
        return
    for field in given:
        if field != SOURCES[sort]:
            yield FieldError(f"{path}.{field}", FORBIDDEN, None, "must populate the given metric source only")
    yield from _target(metric[SOURCES[sort]].get("target") or {}, f"{path}.{SOURCES[sort]}.target")


def _target(target: Object, path: str) -> Errors:
    sort = target.get("type", "")
    if sort not in TARGETS:
        yield _unsupported(f"{path}.type", sort, TARGETS)
    for field in TARGETS.values():
        amount = target.get(field)
        if amount is not None and quantity.parse(str(amount)) <= quantity.parse("0"):
            yield FieldError(f"{path}.{field}", INVALID, amount, "must be positive")
    if sort in TARGETS and target.get(TARGETS[sort]) is None:
        yield FieldError(f"{path}.{TARGETS[sort]}", REQUIRED, None, f"must be set for a target of type {sort}")


def _rules(rules: Object, path: str) -> Errors:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and not 0 <= window <= LONGEST_WINDOW:
        words = f"must be between 0 and {LONGEST_WINDOW}"
        yield FieldError(f"{path}.stabilizationWindowSeconds", INVALID, window, words)
    select = rules.get("selectPolicy", "Max")
    if select not in SELECTS:
        yield _unsupported(f"{path}.selectPolicy", select, SELECTS)
    policies = rules.get("policies") or []
    if not policies:
        yield FieldError(f"{path}.policies", REQUIRED, None, "must specify at least one Policy")
    for index, policy in enumerate(policies):
        yield from _policy(policy, f"{path}.policies[{index}]")


def _policy(policy: Object, path: str) -> Errors:
    if policy.get("type") not in POLICIES:
        yield _unsupported(f"{path}.type", policy.get("type", ""), POLICIES)
    if policy.get("value", 0) <= 0:
        yield FieldError(f"{path}.value", INVALID, policy.get("value", 0), "must be greater than zero")
    if not 0 < policy.get("periodSeconds", 0) <= LONGEST_PERIOD:
        words = f"must be between 1 and {LONGEST_PERIOD}"
        yield FieldError(f"{path}.periodSeconds", INVALID, policy.get("periodSeconds", 0), words)


def _unsupported(path: str, value: str, known: Iterable[str]) -> FieldError:
    return FieldError(
        path, NOT_SUPPORTED, value, "supported values: " + ", ".join(f'"{each}"' for each in sorted(known))
    )
