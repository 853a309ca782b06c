"""The cells of what a cluster itself is made of: ComponentStatus.

Interface: one function per kind, rows of `columns.PRINTERS`.
The rule not to break: a cell is worked out from its object and the time, from nothing else.
Source: `pkg/printers/internalversion/printers.go`.
"""

from __future__ import annotations

from typing import Any

from k8snb.apimachinery.meta import Object, name_of

WORDS = {"True": "Healthy", "False": "Unhealthy"}


def component_status(obj: Object, now: float) -> tuple[Any, ...]:
    conditions: list[Object] = obj.get("conditions") or []
    healthy: Object = next((each for each in conditions if each["type"] == "Healthy"), {})
    word = WORDS.get(healthy.get("status", ""), "Unknown")
    return name_of(obj), word, healthy.get("message", ""), healthy.get("error", "")
