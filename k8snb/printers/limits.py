"""The cells of what limits others: LimitRange, ResourceQuota, PriorityClass, RuntimeClass.

Interface: one function per kind, rows of `columns.PRINTERS`.
The rule not to break: a cell is worked out from its object and the time, from nothing else.
Source: `pkg/printers/internalversion/printers.go`.
"""

from __future__ import annotations

from typing import Any

from k8snb.apimachinery.meta import Object, get_path, name_of
from k8snb.printers import duration


def limit_range(obj: Object, now: float) -> tuple[Any, ...]:
    return name_of(obj), obj["metadata"].get("creationTimestamp", "")


def resource_quota(obj: Object, now: float) -> tuple[Any, ...]:
    """Used and hard of each resource, limits apart from the rest."""
    state = obj.get("status") or {}
    hard, used = state.get("hard") or {}, state.get("used") or {}
    texts = {name: f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard)}
    requests = ", ".join(text for name, text in texts.items() if not name.startswith("limits."))
    limits = ", ".join(text for name, text in texts.items() if name.startswith("limits."))
    return name_of(obj), requests, limits, _age(obj, now)


def priority_class(obj: Object, now: float) -> tuple[Any, ...]:
    policy = obj.get("preemptionPolicy", "")
    return name_of(obj), obj.get("value", 0), bool(obj.get("globalDefault")), _age(obj, now), policy


def runtime_class(obj: Object, now: float) -> tuple[Any, ...]:
    return name_of(obj), obj.get("handler", ""), _age(obj, now)


def _age(obj: Object, now: float) -> str:
    return duration.age(get_path(obj, "metadata.creationTimestamp"), now)
