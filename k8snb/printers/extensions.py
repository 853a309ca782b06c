"""The columns of what extends the apiserver: webhooks, admission policies and aggregated APIs.

Interface: cells for rows of `columns.PRINTERS`.
Source: `pkg/printers/internalversion/printers.go`, `kube-aggregator/pkg/registry/apiservice/etcd`.
"""

from __future__ import annotations

from typing import Any

from k8snb.apimachinery.meta import Object, condition, get_path, name_of
from k8snb.printers import duration

UNSET = "<unset>"


def _age(obj: Object, now: float) -> str:
    return duration.age(get_path(obj, "metadata.creationTimestamp"), now)


def webhooks(obj: Object, now: float) -> tuple[Any, ...]:
    return name_of(obj), len(obj.get("webhooks") or ()), _age(obj, now)


def policy(obj: Object, now: float) -> tuple[Any, ...]:
    kind = get_path(obj, "spec.paramKind")
    params = f"{kind['apiVersion']}/{kind['kind']}" if kind else UNSET
    return name_of(obj), len(get_path(obj, "spec.validations") or ()), params, _age(obj, now)


def binding(obj: Object, now: float) -> tuple[Any, ...]:
    reference = get_path(obj, "spec.paramRef") or {}
    named = "/".join(filter(None, (reference.get("namespace"), reference.get("name"))))
    return name_of(obj), get_path(obj, "spec.policyName", ""), named or UNSET, _age(obj, now)


def api_service(obj: Object, now: float) -> tuple[Any, ...]:
    service = get_path(obj, "spec.service")
    where = f"{service['namespace']}/{service['name']}" if service else "Local"
    entry = condition(obj, "Available") or {"status": "Unknown"}
    reason = f" ({entry['reason']})" if entry["status"] != "True" and entry.get("reason") else ""
    return name_of(obj), where, f"{entry['status']}{reason}", _age(obj, now)
