"""kube-apiserver's honesty: kinds that are served while nothing in the cluster acts on them yet.

Interface: `warning(kind, attended)`: what whoever creates such an object is told, "" for a kind that is acted on.
The rule not to break: a kind leaves the list with the component that acts on it; where that is an add-on, as long as it
is enabled.
Real Kubernetes says nothing where a controller is missing; this is k8snb's own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from k8snb.apimachinery.kinds import Kind

UNATTENDED: Mapping[str, str] = {}  # a kind's qualified name: what would act on it
BY_ADDON: Mapping[str, tuple[str, str]] = {  # likewise: what would act on it, and the add-on that it comes with
    "ingresses.networking.k8s.io": ("ingress controller", "ingress"),
    "ingressclasses.networking.k8s.io": ("ingress controller", "ingress"),
}


def warning(kind: Kind, attended: Collection[str] = ()) -> str:
    """What to tell whoever creates an object of this kind; "" where something acts on it. `attended` are the qualified
    names that add-ons act on now."""
    if kind.custom is not None or kind.qualified in attended:
        return ""
    if kind.qualified in BY_ADDON:
        missing, addon = BY_ADDON[kind.qualified]
        return f"{kind.qualified}: stored, but no {missing} runs: %kcluster addons enable {addon} starts one"
    missing = UNATTENDED.get(kind.qualified, "")
    why = f"{kind.qualified}: stored, but {missing} is not implemented by k8snb: nothing will happen"
    return why if missing else ""
