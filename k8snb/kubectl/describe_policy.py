"""kubectl describe for PodDisruptionBudgets.

Interface: `describe_budget`.
Source: `describePodDisruptionBudgetV1` in kubectl/pkg/describe/describe.go.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.kubectl.describe_page import Page
from k8snb.kubectl.session import Session
from k8snb.printers.columns import selector_text

_STATUS = (("Allowed disruptions", "disruptionsAllowed"), ("Current", "currentHealthy"), ("Desired", "desiredHealthy"),
           ("Total", "expectedPods"))  # fmt: skip


def describe_budget(session: Session, obj: Object, page: Page) -> None:
    page.line(0, f"Name:\t{name_of(obj)}")
    page.line(0, f"Namespace:\t{namespace_of(obj)}")
    for heading, field in (("Min available", "minAvailable"), ("Max unavailable", "maxUnavailable")):
        if get_path(obj, f"spec.{field}") is not None:
            page.line(0, f"{heading}:\t{get_path(obj, f'spec.{field}')}")
    selector = get_path(obj, "spec.selector")
    page.line(0, f"Selector:\t{'<unset>' if selector is None else selector_text(selector)}")
    page.line(0, "Status:")
    for heading, field in _STATUS:
        page.line(2, f"{heading}:\t{get_path(obj, f'status.{field}', 0)}")
