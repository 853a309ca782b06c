"""Pod resources: what a pod as a whole requests, and what it may use at most.

Interface: `requests(pod)`, `limits(pod)`: resource name → Quantity.
The rule not to break: amounts stay exact; who needs whole numbers rounds them himself.
Source: `component-helpers/resource/helpers.go` (PodRequests, PodLimits) in the kubernetes repository. Resources of the
pod as a whole (`spec.resources`) are an alpha feature of 1.33 and not implemented by k8snb.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.quantity import Quantity, parse

Amounts = dict[str, Quantity]


def requests(pod: Object, *, overhead: bool = True) -> Amounts:
    """What must be free for the pod. `overhead` counts what its RuntimeClass takes for itself."""
    whole = _of_pod(pod["spec"], "requests")
    return total((whole, amounts(pod["spec"].get("overhead")))) if overhead else whole


def limits(pod: Object, *, overhead: bool = True) -> Amounts:
    """What the pod may use at most. Overhead counts only beside a limit that is there."""
    whole = _of_pod(pod["spec"], "limits")
    extra = amounts(pod["spec"].get("overhead")) if overhead else {}
    return total((whole, {name: amount for name, amount in extra.items() if name in whole}))


def amounts(resources: Mapping[str, str] | None) -> Amounts:
    """A resource list (`{"cpu": "250m"}`) as quantities."""
    return {name: parse(text) for name, text in (resources or {}).items()}


def total(parts: Iterable[Amounts]) -> Amounts:
    """The sum, name by name."""
    found: Amounts = {}
    for part in parts:
        for name, amount in part.items():
            found[name] = found[name] + amount if name in found else amount
    return found


def larger(left: Amounts, right: Amounts) -> Amounts:
    """The larger of both, name by name."""
    return {name: max(found[name] for found in (left, right) if name in found) for name in {**left, **right}}


def _of_pod(spec: Object, field: str) -> Amounts:
    """The containers together, or what any init container needs beside those that go on running since before it."""
    running = total(_of_container(container, field) for container in spec.get("containers") or ())
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = total((sidecars, _of_container(container, field)))
        peak = larger(peak, own)
        if container.get("restartPolicy") == "Always":
            sidecars = own
    return larger(total((running, sidecars)), peak)


def _of_container(container: Object, field: str) -> Amounts:
    return amounts((container.get("resources") or {}).get(field))
