"""kubectl describe for HorizontalPodAutoscalers.

Interface: `describe_autoscaler`.
Source: `describeHorizontalPodAutoscalerV2` in kubectl/pkg/describe/describe.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from k8snb.apimachinery.meta import Object, get_path
from k8snb.kubectl.describe_page import Page, meta_lines, time_text
from k8snb.kubectl.session import Session
from k8snb.printers.autoscaling import UNKNOWN


def describe_autoscaler(session: Session, obj: Object, page: Page) -> None:
    meta_lines(page, obj)
    spec, status = obj["spec"], obj.get("status") or {}
    reference = spec.get("scaleTargetRef") or {}
    page.line(0, f"CreationTimestamp:\t{time_text(obj['metadata'].get('creationTimestamp'))}")
    page.line(0, f"Reference:\t{reference.get('kind', '')}/{reference.get('name', '')}")
    page.line(0, "Metrics:\t( current / target )")
    for words, now, goal in _metrics(spec, status):
        page.line(1, f"{words}:\t{now} / {goal}")
    page.line(0, f"Min replicas:\t{spec.get('minReplicas', '<unset>')}")
    page.line(0, f"Max replicas:\t{spec.get('maxReplicas', 0)}")
    if spec.get("behavior"):
        page.line(0, "Behavior:")
        for heading, field in (("Scale Up", "scaleUp"), ("Scale Down", "scaleDown")):
            _rules(page, heading, spec["behavior"].get(field) or {})
    page.line(0, f"{reference.get('kind', '')} pods:\t{status.get('currentReplicas', 0)} current / "
                 f"{status.get('desiredReplicas', 0)} desired")  # fmt: skip
    if status.get("conditions"):
        page.line(0, "Conditions:")
        page.line(1, "Type\tStatus\tReason\tMessage")
        page.line(1, "----\t------\t------\t-------")
        for entry in status["conditions"]:
            page.line(1, "\t".join(entry.get(field) or "" for field in ("type", "status", "reason", "message")))


def _metrics(spec: Object, status: Object) -> Iterator[tuple[str, str, str]]:
    current = status.get("currentMetrics") or []
    for place, metric in enumerate(spec.get("metrics") or ()):
        sort = metric["type"]
        field = sort[:1].lower() + sort[1:]
        source, known = metric.get(field) or {}, (current[place].get(field) if place < len(current) else None) or {}
        target, now = source.get("target") or {}, known.get("current") or {}
        name = source.get("name") or get_path(source, "metric.name", "")
        where = f" of container {source['container']}" if source.get("container") else ""
        if target.get("averageUtilization") is not None:
            used = now.get("averageUtilization")
            shown = UNKNOWN if used is None else f"{used}% ({now.get('averageValue')})"
            yield (
                f"resource {name}{where} on pods  (as a percentage of request)",
                shown,
                f"{target['averageUtilization']}%",
            )
        else:
            goal = target.get("averageValue") or target.get("value")
            what = f"resource {name}{where} on pods" if "esource" in sort else f'"{name}" on {field}'
            yield what, str(now.get("averageValue") or now.get("value") or UNKNOWN), str(goal)


def _rules(page: Page, heading: str, rules: Object) -> None:
    window = rules.get("stabilizationWindowSeconds")
    page.line(1, f"{heading}:")
    if window is not None:
        page.line(2, f"Stabilization Window: {window} seconds")
    page.line(2, f"Select Policy: {rules.get('selectPolicy', 'Max')}")
    page.line(2, "Policies:")
    for policy in rules.get("policies") or ():
        page.line(3, f"- Type: {policy['type']}\tValue: {policy['value']}\tPeriod: {policy['periodSeconds']} seconds")
