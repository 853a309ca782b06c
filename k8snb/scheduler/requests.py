"""What a pod asks of a node, in whole numbers.

Interface: `request_of(pod)`, `amounts(resources)`.
The rule not to break: CPU counts in thousandths, everything else in whole units (bytes, pieces).
Source: `component-helpers/resource/helpers.go` (PodRequests) in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.quantity import milli, to_bytes

Amounts = dict[str, int]
HostPort = tuple[str, str, int]  # address, protocol, port

DEFAULT_CPU, DEFAULT_MEMORY = 100, 200 * 1024 * 1024  # what scoring assumes of a container that asks for nothing


class Request(NamedTuple):
    """`needed` is what has to be free; `cpu` and `memory` are what scoring counts, where nothing is not nothing."""

    needed: Amounts
    cpu: int
    memory: int
    ports: tuple[HostPort, ...]


def request_of(pod: Object) -> Request:
    spec = pod["spec"]
    needed = _pod_amounts(spec, {})
    assumed = _pod_amounts(spec, {"cpu": DEFAULT_CPU, "memory": DEFAULT_MEMORY})
    return Request(needed, assumed["cpu"], assumed["memory"], tuple(_host_ports(spec)))


def amounts(resources: Mapping[str, Any] | None) -> Amounts:
    """A resource list (`{"cpu": "250m", "memory": "64Mi"}`) in whole numbers."""
    return {name: milli(text) if name == "cpu" else to_bytes(text) for name, text in (resources or {}).items()}


def _pod_amounts(spec: Object, defaults: Amounts) -> Amounts:
    """The larger of what the containers need together and what any init container needs, and the pod's overhead.

    An init container that goes on running (restartPolicy Always) counts from its start on, beside all that come later.
    """
    running = _sum(_container_amounts(container, defaults) for container in spec.get("containers", ()))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = _container_amounts(container, defaults)
        if container.get("restartPolicy") == "Always":
            sidecars = _sum((sidecars, own))
            peak = _larger(peak, sidecars)
        else:
            peak = _larger(peak, _sum((sidecars, own)))
    whole = _larger(_sum((running, sidecars)), peak)
    return _sum((whole, amounts(spec.get("overhead"))))


def _container_amounts(container: Object, defaults: Amounts) -> Amounts:
    resources = container.get("resources") or {}
    return {**defaults, **amounts(resources.get("limits")), **amounts(resources.get("requests"))}


def _sum(parts: Iterable[Amounts]) -> Amounts:
    total: Amounts = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, 0) + amount
    return total


def _larger(left: Amounts, right: Amounts) -> Amounts:
    return {name: max(left.get(name, 0), right.get(name, 0)) for name in {**left, **right}}


def _host_ports(spec: Object) -> Iterable[HostPort]:
    for container in spec.get("containers", ()):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"]
