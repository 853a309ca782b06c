"""kubectl describe for what limits others: namespaces, their quotas and limit ranges, priority classes.

Interface: `describe_namespace`, `describe_resource_quota`, `describe_limit_range`, `describe_priority_class`.
The rule not to break: what is used is what the quota says, never counted here.
Source: `kubectl/pkg/describe/describe.go`.
"""

from __future__ import annotations

from collections.abc import Iterator

from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.kubectl.describe_page import Page, conditions, meta_lines
from k8snb.kubectl.session import Session
from k8snb.printers.columns import labels_text

SCOPES = {
    "Terminating": "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before "
                   "being actively terminated by the system.",
    "NotTerminating": "Matches all pods that do not have an active deadline. These pods usually include long running "
                      "pods whose container command is not expected to terminate.",
    "BestEffort": "Matches all pods that do not have resource requirements set. These pods have a best effort quality "
                  "of service.",
    "NotBestEffort": "Matches all pods that have at least one resource requirement set. These pods have a burstable or "
                     "guaranteed quality of service.",
}  # fmt: skip
LIMITS_HEAD = ("Type", "Resource", "Min", "Max", "Default Request", "Default Limit", "Max Limit/Request Ratio")
LIMITS_RULE = ("----", "--------", "---", "---", "---------------", "-------------", "-----------------------")
LIMITS_FIELDS = ("min", "max", "defaultRequest", "default", "maxLimitRequestRatio")
CONDITIONS = ("Type", "Status", "LastTransitionTime", "Reason", "Message")


def describe_namespace(session: Session, obj: Object, page: Page) -> None:
    meta_lines(page, obj, namespaced=False)
    page.line(0, f"Status:\t{get_path(obj, 'status.phase') or ''}")
    conditions(page, obj, CONDITIONS)
    page.line(0, "")
    _quotas(session, name_of(obj), page)
    page.line(0, "")
    _limits(session, name_of(obj), page)


def _quotas(session: Session, namespace: str, page: Page) -> None:
    quotas = session.client.items("resourcequotas", namespace)
    if not quotas:
        page.line(0, "No resource quota.")
        return
    page.line(0, "Resource Quotas")
    for quota in sorted(quotas, key=name_of):
        page.line(1, f"Name:\t{name_of(quota)}")
        _scopes(quota, page, 1, "* ")
        page.table(1, ("Resource", "Used", "Hard"), _used(quota), rule=("--------", "---", "---"))


def _limits(session: Session, namespace: str, page: Page) -> None:
    ranges = session.client.items("limitranges", namespace)
    if not ranges:
        page.line(0, "No LimitRange resource.")
        return
    page.line(0, "Resource Limits")
    for words in (LIMITS_HEAD, LIMITS_RULE, *(row for limit_range in ranges for row in _limit_rows(limit_range))):
        page.line(0, " " + "\t".join(words))


def describe_resource_quota(session: Session, obj: Object, page: Page) -> None:
    page.line(0, f"Name:\t{name_of(obj)}")
    page.line(0, f"Namespace:\t{namespace_of(obj)}")
    _scopes(obj, page, 0, " * ")
    page.table(0, ("Resource", "Used", "Hard"), _used(obj))


def _scopes(quota: Object, page: Page, level: int, bullet: str) -> None:
    scopes = sorted(quota["spec"].get("scopes") or ())
    if scopes:
        page.line(level, f"Scopes:\t{', '.join(scopes)}")
    for scope in scopes:
        if scope in SCOPES:
            page.line(level, bullet + SCOPES[scope])


def _used(quota: Object) -> Iterator[tuple[str, str, str]]:
    state = quota.get("status") or {}
    used = state.get("used") or {}
    for name, hard in sorted((state.get("hard") or {}).items()):
        yield name, str(used.get(name, "0")), str(hard)


def describe_limit_range(session: Session, obj: Object, page: Page) -> None:
    page.line(0, f"Name:\t{name_of(obj)}")
    page.line(0, f"Namespace:\t{namespace_of(obj)}")
    page.table(0, LIMITS_HEAD, _limit_rows(obj), rule=LIMITS_RULE)


def _limit_rows(limit_range: Object) -> Iterator[tuple[str, ...]]:
    """A row for each resource of each type; `-` for what is not limited."""
    for item in limit_range["spec"]["limits"]:
        for name in sorted({name for field in LIMITS_FIELDS for name in item.get(field) or ()}):
            amounts = ((item.get(field) or {}).get(name, "-") for field in LIMITS_FIELDS)
            yield item["type"], name, *(str(amount) for amount in amounts)


def describe_priority_class(session: Session, obj: Object, page: Page) -> None:
    page.line(0, f"Name:\t{name_of(obj)}")
    page.line(0, f"Value:\t{obj.get('value', 0)}")
    page.line(0, f"GlobalDefault:\t{str(bool(obj.get('globalDefault'))).lower()}")
    page.line(0, f"PreemptionPolicy:\t{obj.get('preemptionPolicy', '')}")
    page.line(0, f"Description:\t{obj.get('description', '')}")
    page.line(0, f"Annotations:\t{labels_text(obj['metadata'].get('annotations'))}")
