"""kube-apiserver's validation of what keeps pods running: apps/v1, and ReplicationControllers.

Interface: a rule per kind, `stateful_set_change` and `controller_revision`, pure; `template` for other workloads.
The rule not to break: a selector picks the template's own pods, or a controller would make pods without end.
Source: `pkg/apis/apps/validation/validation.go`, `ValidatePodTemplateSpecForRC` in pkg/apis/core/validation.
"""

from __future__ import annotations

import re
from typing import Any

from k8snb.apimachinery import names
from k8snb.apimachinery.errors import FORBIDDEN, INVALID, NOT_SUPPORTED, REQUIRED, FieldError
from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.selectors import from_label_selector, from_set
from k8snb.apiserver.validation_fields import NEGATIVE, Errors, each, labels, not_negative, supported
from k8snb.apiserver.validation_pods import template_spec

MISMATCH = "`selector` does not match template `labels`"
BAD_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)
VALUES_NEEDED = "must be specified when `operator` is 'In' or 'NotIn'"
VALUES_FORBIDDEN = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
CHANGEABLE = ("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
              "persistentVolumeClaimRetentionPolicy", "minReadySeconds")  # fmt: skip
UNCHANGEABLE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


# what the kinds have in common


def template(obj: Object, path: str = "spec.template", *, kind: str = "ReplicaSet") -> Errors:
    """The pod template of a workload: its labels, its spec, and that it restarts for ever."""
    found = get_path(obj, path)
    if found is None:
        yield FieldError(path, REQUIRED)
        return
    yield from labels(get_path(found, "metadata.labels"), f"{path}.metadata.labels")
    if found.get("spec") is None:
        yield FieldError(f"{path}.spec", REQUIRED)
        return
    yield from template_spec(found["spec"], f"{path}.spec")
    yield from _runs_for_ever(found["spec"], f"{path}.spec", kind)


def _runs_for_ever(spec: Object, path: str, kind: str) -> Errors:
    policy = spec.get("restartPolicy", "Always")
    if policy != "Always":
        yield FieldError(f"{path}.restartPolicy", NOT_SUPPORTED, policy, supported(["Always"]))
    if "activeDeadlineSeconds" in spec:
        why = f"activeDeadlineSeconds in {kind} is not Supported"
        yield FieldError(f"{path}.activeDeadlineSeconds", FORBIDDEN, None, why)


def _selection(obj: Object, kind: str) -> Errors:
    """`spec.selector` is a good selector, not everything, and picks the template's labels."""
    selector = obj["spec"].get("selector")
    if selector is None:
        yield FieldError("spec.selector", REQUIRED)
        return
    wrong = list(label_selector(selector, "spec.selector"))
    if wrong:
        yield from wrong
    elif from_label_selector(selector).is_everything:
        yield FieldError("spec.selector", INVALID, selector, f"empty selector is invalid for {kind}")
    else:
        yield from _matching(obj, from_label_selector(selector).matches)


def _matching(obj: Object, matches: Any) -> Errors:
    found = get_path(obj, "spec.template.metadata.labels") or {}
    if not matches(found):
        yield FieldError("spec.template.metadata.labels", INVALID, found, MISMATCH)


def label_selector(selector: Object, path: str) -> Errors:
    """What is wrong with a label selector."""
    yield from labels(selector.get("matchLabels"), f"{path}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        yield from _expression(expression, f"{path}.matchExpressions[{index}]")


def _expression(expression: Object, path: str) -> Errors:
    operator, values = expression.get("operator"), expression.get("values")
    if operator in ("In", "NotIn"):
        if not values:
            yield FieldError(f"{path}.values", REQUIRED, None, VALUES_NEEDED)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield FieldError(f"{path}.values", FORBIDDEN, None, VALUES_FORBIDDEN)
    else:
        yield FieldError(f"{path}.operator", INVALID, operator, "not a valid selector operator")
    yield from each(f"{path}.key", expression.get("key"), names.qualified_name(expression.get("key") or ""))
    for at, value in enumerate(values or ()):
        yield from each(f"{path}.values[{at}]", value, names.label_value(value))


def amount(value: Any, path: str) -> Errors:
    """A number of pods, or per cent of them; None is neither and fine."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]+%", value):
        yield FieldError(path, INVALID, value, BAD_PERCENT)
    elif isinstance(value, int) and value < 0:
        yield FieldError(path, INVALID, value, NEGATIVE)


def _at_most_all(value: Any, path: str) -> Errors:
    if isinstance(value, str) and re.fullmatch(r"[0-9]+%", value) and int(value[:-1]) > 100:
        yield FieldError(path, INVALID, value, "must not be greater than 100%")


def _is_nought(value: Any) -> bool:
    return value in (None, 0) or (isinstance(value, str) and value.rstrip("%").strip("0") == "")


# ReplicaSet, Deployment, ReplicationController


def replica_set(obj: Object) -> Errors:
    """ReplicaSets and Deployments: a label selector that picks the template's pods."""
    yield from not_negative(obj, "spec.replicas", "spec.minReadySeconds")
    yield from _selection(obj, "deployment")
    yield from template(obj)


def deployment(obj: Object) -> Errors:
    yield from not_negative(obj, "spec.revisionHistoryLimit", "spec.progressDeadlineSeconds")
    strategy = obj["spec"].get("strategy") or {}
    sort, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if sort not in ("RollingUpdate", "Recreate"):
        yield FieldError("spec.strategy.type", NOT_SUPPORTED, sort, supported(["Recreate", "RollingUpdate"]))
    if sort == "Recreate" and rolling:
        yield FieldError("spec.strategy.rollingUpdate", FORBIDDEN, None,
                         "may not be specified when strategy `type` is 'Recreate'")  # fmt: skip
    if sort == "RollingUpdate" and rolling:
        yield from _rolling_deployment(rolling)
    deadline = obj["spec"].get("progressDeadlineSeconds")
    ready = obj["spec"].get("minReadySeconds") or 0
    if deadline is not None and deadline <= ready:
        yield FieldError("spec.progressDeadlineSeconds", INVALID, deadline, "must be greater than minReadySeconds")
    yield from replica_set(obj)


def _rolling_deployment(rolling: Object) -> Errors:
    path = "spec.strategy.rollingUpdate"
    for name in ("maxUnavailable", "maxSurge"):
        yield from amount(rolling.get(name), f"{path}.{name}")
    if all(_is_nought(rolling.get(name)) for name in ("maxUnavailable", "maxSurge")):
        value = rolling.get("maxUnavailable", 0)
        yield FieldError(f"{path}.maxUnavailable", INVALID, value, "may not be 0 when `maxSurge` is 0")
    yield from _at_most_all(rolling.get("maxUnavailable"), f"{path}.maxUnavailable")


def replication_controller(obj: Object) -> Errors:
    """A ReplicationController's selector is a plain map."""
    yield from not_negative(obj, "spec.replicas", "spec.minReadySeconds")
    selector = obj["spec"].get("selector")
    if not selector:
        yield FieldError("spec.selector", REQUIRED)
    else:
        yield from _matching(obj, from_set(selector).matches)
    yield from template(obj, kind="ReplicationController")


# StatefulSet


def stateful_set(obj: Object) -> Errors:
    """The pods of a StatefulSet get volumes besides, so that their spec is judged when they are made."""
    spec = obj["spec"]
    policy = spec.get("podManagementPolicy")
    if policy not in ("OrderedReady", "Parallel"):
        yield FieldError("spec.podManagementPolicy", INVALID, policy, "must be 'OrderedReady' or 'Parallel'")
    yield from _stateful_strategy(spec.get("updateStrategy") or {})
    yield from _retention(spec.get("persistentVolumeClaimRetentionPolicy") or {})
    yield from not_negative(obj, "spec.replicas", "spec.minReadySeconds", "spec.ordinals.start",
                            "spec.revisionHistoryLimit")  # fmt: skip
    yield from _selection(obj, "statefulset")
    yield from labels(get_path(spec, "template.metadata.labels"), "spec.template.labels")
    yield from _runs_for_ever(get_path(spec, "template.spec") or {}, "spec.template.spec", "StatefulSet")


def _stateful_strategy(strategy: Object) -> Errors:
    path, rolling = "spec.updateStrategy", strategy.get("rollingUpdate")
    sort = strategy.get("type")
    if sort not in ("RollingUpdate", "OnDelete"):
        yield FieldError(path, INVALID, strategy, "must be 'RollingUpdate' or 'OnDelete'")
    elif sort == "OnDelete" and rolling is not None:
        why = "only allowed for updateStrategy 'RollingUpdate'"
        yield FieldError(f"{path}.rollingUpdate", INVALID, rolling, why)
    elif rolling is not None:
        yield from not_negative(strategy, "rollingUpdate.partition")
        yield from _stateful_budget(rolling, f"{path}.rollingUpdate.maxUnavailable")


def _stateful_budget(rolling: Object, path: str) -> Errors:
    if "maxUnavailable" not in rolling:
        return
    value = rolling["maxUnavailable"]
    yield from amount(value, path)
    if _is_nought(value):
        yield FieldError(path, INVALID, value, "cannot be 0")
    yield from _at_most_all(value, path)


def _retention(policy: Object) -> Errors:
    for field in ("whenDeleted", "whenScaled"):
        if policy.get(field, "Retain") not in ("Retain", "Delete"):
            yield FieldError(f"spec.persistentVolumeClaimRetentionPolicy.{field}", NOT_SUPPORTED, policy[field],
                             supported(["Retain", "Delete"]))  # fmt: skip


def stateful_set_change(obj: Object, old: Object) -> Errors:
    def kept(spec: Object) -> Object:
        return {key: value for key, value in spec.items() if key not in CHANGEABLE}

    if kept(obj["spec"]) != kept(old["spec"]):
        yield FieldError("spec", FORBIDDEN, None, UNCHANGEABLE)


# DaemonSet, ControllerRevision


def daemon_set(obj: Object) -> Errors:
    yield from _selection(obj, "daemonset")
    yield from template(obj, kind="DaemonSet")
    yield from not_negative(obj, "spec.minReadySeconds", "spec.revisionHistoryLimit")
    strategy = obj["spec"].get("updateStrategy") or {}
    sort = strategy.get("type")
    if sort not in ("RollingUpdate", "OnDelete"):
        yield FieldError("spec.updateStrategy", NOT_SUPPORTED, strategy, supported(["RollingUpdate", "OnDelete"]))
    elif sort == "RollingUpdate" and strategy.get("rollingUpdate") is None:
        yield FieldError("spec.updateStrategy.rollingUpdate", REQUIRED)
    elif sort == "RollingUpdate":
        yield from _rolling_daemons(strategy["rollingUpdate"], "spec.updateStrategy.rollingUpdate")


def _rolling_daemons(rolling: Object, path: str) -> Errors:
    surge, unavailable = rolling.get("maxSurge"), rolling.get("maxUnavailable")
    for rule in (amount, _at_most_all):
        yield from rule(unavailable, f"{path}.maxUnavailable")
        yield from rule(surge, f"{path}.maxSurge")
    if _is_nought(surge) and _is_nought(unavailable):
        yield FieldError(f"{path}.maxUnavailable", REQUIRED, None, "cannot be 0 when maxSurge is 0")
    if not _is_nought(surge) and not _is_nought(unavailable):
        yield FieldError(f"{path}.maxSurge", INVALID, surge, "may not be set when maxUnavailable is non-zero")


def controller_revision(obj: Object) -> Errors:
    if obj.get("data") is None:
        yield FieldError("data", REQUIRED, None, "data is mandatory")
    yield from not_negative(obj, "revision")
