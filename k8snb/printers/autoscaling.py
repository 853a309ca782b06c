"""The columns of HorizontalPodAutoscalers and of what pods and nodes use.

Interface: `autoscaler`, `pod_metrics`, `node_metrics`, for the table in `columns`; `metrics_text` for describe pages.
Source: `printHorizontalPodAutoscaler` in pkg/printers/internalversion/printers.go; metrics-server's own table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k8snb.apimachinery import quantity
from k8snb.apimachinery.meta import Object, get_path, name_of
from k8snb.printers import duration

_FIELDS = {"Resource": "resource", "ContainerResource": "containerResource", "Pods": "pods", "Object": "object",
           "External": "external"}  # fmt: skip
UNKNOWN = "<unknown>"
MOST = 2  # metrics that a cell shows


def autoscaler(obj: Object, now: float) -> tuple[Any, ...]:
    spec, reference = obj.get("spec") or {}, get_path(obj, "spec.scaleTargetRef") or {}
    least = "<unset>" if spec.get("minReplicas") is None else spec["minReplicas"]
    replicas = get_path(obj, "status.currentReplicas", 0)
    target = f"{reference.get('kind', '')}/{reference.get('name', '')}"
    age = duration.age(get_path(obj, "metadata.creationTimestamp"), now)
    return name_of(obj), target, metrics_text(obj), least, spec.get("maxReplicas", 0), replicas, age


def metrics_text(obj: Object) -> str:
    """`cpu: 20%/50%`, and how many more there are."""
    spec = obj.get("spec") or {}
    if "targetCPUUtilizationPercentage" in spec:
        now = get_path(obj, "status.currentCPUUtilizationPercentage")
        return f"cpu: {UNKNOWN if now is None else f'{now}%'}/{spec['targetCPUUtilizationPercentage']}%"
    metrics, current = spec.get("metrics") or [], get_path(obj, "status.currentMetrics") or []
    if not metrics:
        return "<none>"
    shown = [f"{_label(metric)}{_now(metric, current, place)}/{_goal(metric)}" for place, metric in enumerate(metrics)]
    more = f" + {len(shown) - MOST} more..." if len(shown) > MOST else ""
    return ", ".join(shown[:MOST]) + more


def _label(metric: Object) -> str:
    source = metric[_FIELDS[metric["type"]]]
    return f"{source['name']}: " if "name" in source else ""


def _goal(metric: Object) -> str:
    target = metric[_FIELDS[metric["type"]]].get("target") or {}
    if target.get("averageUtilization") is not None:
        return f"{target['averageUtilization']}%"
    average = target.get("averageValue")
    return f"{average} (avg)" if average is not None and metric["type"] in ("Object", "External") else str(
        average if average is not None else target.get("value", ""))  # fmt: skip


def _now(metric: Object, current: list[Object], place: int) -> str:
    """What a metric is now; a list of current metrics stands in the order of those wanted."""
    field = _FIELDS[metric["type"]]
    found = (current[place].get(field) or {}).get("current") if place < len(current) else None
    if not found:
        return UNKNOWN
    target = metric[field].get("target") or {}
    if target.get("averageUtilization") is not None:
        used = found.get("averageUtilization")
        return UNKNOWN if used is None else f"{used}%"
    return str(found.get("averageValue") or found.get("value") or UNKNOWN)


# metrics.k8s.io


def pod_metrics(obj: Object, now: float) -> tuple[Any, ...]:
    used = [container["usage"] for container in obj.get("containers") or ()]
    return name_of(obj), cores(used), memory(used), obj.get("window", "")


def node_metrics(obj: Object, now: float) -> tuple[Any, ...]:
    used = [obj.get("usage") or {}]
    return name_of(obj), cores(used), memory(used), obj.get("window", "")


def cores(used: Iterable[Object]) -> str:
    """Millicores, rounded up."""
    return f"{sum(quantity.milli(each.get('cpu', 0)) for each in used)}m"


def memory(used: Iterable[Object]) -> str:
    """Mebibytes, rounded down."""
    return f"{sum(quantity.to_bytes(each.get('memory', 0)) for each in used) // 2**20}Mi"
