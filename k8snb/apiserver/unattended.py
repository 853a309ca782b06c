"""kube-apiserver's honesty: kinds that are served while nothing in the cluster acts on them yet.

Interface: `warning(kind)`: what whoever creates such an object is told, "" for a kind that is acted on.
The rule not to break: a kind leaves the list with the component that acts on it.
Real Kubernetes says nothing where a controller is missing; this is k8snb's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from k8snb.apimachinery.kinds import Kind

UNATTENDED: Mapping[str, str] = {  # a kind's qualified name: what would act on it
    "ingresses.networking.k8s.io": "an ingress controller",
    "ingressclasses.networking.k8s.io": "an ingress controller",
    "networkpolicies.networking.k8s.io": "a network plug-in that enforces policies",
}


def warning(kind: Kind) -> str:
    """What to tell whoever creates an object of this kind; "" where something acts on it."""
    missing = UNATTENDED.get(kind.qualified) if kind.custom is None else None
    why = f"{kind.qualified}: stored, but {missing} is not implemented by k8snb: nothing will happen"
    return why if missing else ""
