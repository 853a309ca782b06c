"""kube-apiserver's conversion of HorizontalPodAutoscalers: autoscaling/v1 knows the processor alone.

Interface: `seen_v1(obj)`, `stored_v1(obj)`.
The rule not to break: what autoscaling/v1 has no field for stands in annotations, so that nothing is lost on the way.
Source: `pkg/apis/autoscaling/v1/conversion.go`.
"""

from __future__ import annotations

import json
from typing import Any

from k8snb.apimachinery.meta import Object, annotations_of, with_metadata

METRICS, STATUSES, CONDITIONS, BEHAVIOR = (
    f"autoscaling.alpha.kubernetes.io/{name}" for name in ("metrics", "current-metrics", "conditions", "behavior")
)


def seen_v1(obj: Object) -> Object:
    """A stored autoscaling/v2 object as autoscaling/v1."""
    spec, status = dict(obj["spec"]), dict(obj.get("status") or {})
    others, notes = [], {}
    for metric in spec.pop("metrics", None) or ():
        target = metric.get("resource", {}).get("target", {}) if _is_cpu(metric) else {}
        if target.get("averageUtilization") is not None:
            spec["targetCPUUtilizationPercentage"] = target["averageUtilization"]
        else:
            others.append(metric)
    kept = []
    for metric in status.pop("currentMetrics", None) or ():
        current = metric.get("resource", {}).get("current", {}) if _is_cpu(metric) else {}
        if current.get("averageUtilization") is not None:
            status["currentCPUUtilizationPercentage"] = current["averageUtilization"]
        kept.append(metric)
    behavior = spec.pop("behavior", None)
    for name, value in ((METRICS, others), (STATUSES, kept), (CONDITIONS, status.pop("conditions", None)),
                        (BEHAVIOR, behavior)):  # fmt: skip
        if value:
            notes[name] = json.dumps(value, separators=(",", ":"))
    seen = {**obj, "spec": spec, **({"status": status} if "status" in obj else {})}
    return with_metadata(seen, annotations={**annotations_of(obj), **notes}) if notes else seen


def stored_v1(obj: Object) -> Object:
    """An autoscaling/v1 object as it is kept."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    annotations = dict(annotations_of(obj))
    metrics = _noted(annotations, METRICS) or []
    percentage = spec.pop("targetCPUUtilizationPercentage", None)
    if percentage is not None:
        target = {"type": "Utilization", "averageUtilization": percentage}
        metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}, *metrics]
    if metrics:
        spec["metrics"] = metrics
    behavior = _noted(annotations, BEHAVIOR)
    if behavior:
        spec["behavior"] = behavior
    status.pop("currentCPUUtilizationPercentage", None)
    for name, field in ((STATUSES, "currentMetrics"), (CONDITIONS, "conditions")):
        value = _noted(annotations, name)
        if value:
            status[field] = value
    stored = {**obj, "spec": spec, **({"status": status} if "status" in obj else {})}
    return with_metadata(stored, annotations=annotations or None) if annotations_of(obj) != annotations else stored


def _is_cpu(metric: Object) -> bool:
    return metric.get("type") == "Resource" and (metric.get("resource") or {}).get("name") == "cpu"


def _noted(annotations: dict[str, str], name: str) -> Any:
    """What an annotation holds, which goes; None where it holds nothing that can be read."""
    try:
        return json.loads(annotations.pop(name, "null"))
    except ValueError:
        return None
