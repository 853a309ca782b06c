"""The columns of PodDisruptionBudgets.

Interface: `budget`, for the table in `columns`.
Source: `printPodDisruptionBudget` in pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from typing import Any

from k8snb.apimachinery.meta import Object, get_path, name_of
from k8snb.printers import duration


def budget(obj: Object, now: float) -> tuple[Any, ...]:
    least, most = (get_path(obj, f"spec.{name}") for name in ("minAvailable", "maxUnavailable"))
    allowed = get_path(obj, "status.disruptionsAllowed", 0)
    age = duration.age(get_path(obj, "metadata.creationTimestamp"), now)
    return name_of(obj), "N/A" if least is None else least, "N/A" if most is None else most, allowed, age
