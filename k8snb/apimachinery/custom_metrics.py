"""custom.metrics.k8s.io and external.metrics.k8s.io: the APIs by which autoscalers ask for more than CPU and memory.

Interface: `described(resource)` and `external(metric)` are the `Kind`s to ask with: a metric of objects is read like a
subresource of theirs (`pods.custom.metrics.k8s.io/web-1/requests`, `*` for all of a label selector).
Source: `k8s.io/metrics/pkg/apis/{custom_metrics/v1beta2,external_metrics/v1beta1}` in the kubernetes repository.
"""

from __future__ import annotations

from functools import lru_cache

from k8snb.apimachinery.kinds import Kind

CUSTOM, EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
GROUPS = (CUSTOM, EXTERNAL)
ALL = "*"


@lru_cache(maxsize=256)
def described(resource: str) -> Kind:
    """What answers for objects of a resource, named as `kubectl` names it: `pods`, `ingresses.networking.k8s.io`."""
    return Kind("MetricValueList", resource, CUSTOM, "v1beta2", verbs=("get",))


@lru_cache(maxsize=256)
def external(metric: str) -> Kind:
    """What answers for a metric of things outside the cluster."""
    return Kind("ExternalMetricValueList", metric, EXTERNAL, "v1beta1", verbs=("list",))
