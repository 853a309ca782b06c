"""The columns of Ingresses, their classes and NetworkPolicies.

Interface: one function per kind, for the table in `columns`.
Source: `pkg/printers/internalversion/printers.go`.
"""

from __future__ import annotations

from typing import Any

from k8snb.apimachinery.meta import Object, get_path, name_of
from k8snb.printers import duration

MOST_HOSTS = 3


def _age(obj: Object, now: float) -> str:
    return duration.age(get_path(obj, "metadata.creationTimestamp"), now)


def ingress(obj: Object, now: float) -> tuple[Any, ...]:
    spec = obj.get("spec") or {}
    ways = get_path(obj, "status.loadBalancer.ingress") or ()
    addresses = ",".join(sorted({way.get("ip") or way.get("hostname", "") for way in ways}))
    ports = "80, 443" if spec.get("tls") else "80"
    return name_of(obj), spec.get("ingressClassName") or "<none>", _hosts(spec), addresses, ports, _age(obj, now)


def _hosts(spec: Object) -> str:
    rules = spec.get("rules") or ()
    hosts = [rule["host"] for rule in rules[:MOST_HOSTS] if rule.get("host")]
    more = f" + {len(rules) - MOST_HOSTS} more..." if len(rules) > MOST_HOSTS else ""
    return ",".join(hosts) + more if hosts else "*"


def ingress_class(obj: Object, now: float) -> tuple[Any, ...]:
    parameters = get_path(obj, "spec.parameters") or {}
    group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
    named = f"{parameters['kind']}{group}/{parameters['name']}" if parameters else "<none>"
    return name_of(obj), get_path(obj, "spec.controller", ""), named, _age(obj, now)
