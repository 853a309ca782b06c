"""An API object as a box: a word or two for what it is doing, their tone, and what stands beneath.

Interface: `Question`, what a picture is asked; `box_of(obj, question) -> Box`; `status_of(obj)`, `tone_of_object(obj)`.
The rule not to break: a status is the word that kubectl has for it; the diagram has no opinion of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from k8snb.apimachinery.meta import Object, get_path, is_true, labels_of, name_of, namespace_of, uid_of
from k8snb.apimachinery.storage import is_default
from k8snb.notebook.diagram import Box
from k8snb.notebook.folding import MORE, MOST
from k8snb.notebook.style import BUSY, DONE, GOOD, PLAIN, Tone, tone_of
from k8snb.printers import columns as printers
from k8snb.printers import pods as pod_columns
from k8snb.printers.batch import job_status
from k8snb.printers.storage import phase

Picked = Callable[[Object], bool]
Say = Callable[[Object], str]
SHOWN = 3  # lines beneath a status


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to draw. `focus`: uids of the objects asked for, empty for all; what belongs to them is drawn with them.

    `more` like pods become one box; a picture of more than `most` boxes is made smaller.
    """

    title: str = ""
    view: str = "objects"
    focus: frozenset[str] = frozenset()
    picked: Picked | None = None
    picking: str = ""
    nearly: Mapping[str, str] = field(default_factory=dict)  # why pods that are nearly picked are not, by uid
    more: int = MORE
    most: int = MOST
    namespace: str = ""  # the one that was asked for, "" for all
    namespaces: bool = False  # each in a frame of its own


def box_of(obj: Object, question: Question) -> Box:
    """The box of one object; only pods are picked or not."""
    status = status_of(obj)
    return Box(
        id=uid_of(obj),
        kind=obj["kind"],
        name=name_of(obj),
        namespace=namespace_of(obj),
        status=status,
        tone=tone_of_object(obj, status),
        details=_details(obj, question),
        picked=question.picked(obj) if question.picked and obj["kind"] == "Pod" else None,
        nearly=question.nearly.get(uid_of(obj), ""),
        group=namespace_of(obj) if question.namespaces else "",
    )


def status_of(obj: Object) -> str:
    """A word or two for what an object is doing."""
    say = _STATUS.get(obj["kind"], _replicas)
    return say(obj)


def _pod_status(pod: Object) -> str:
    """kubectl's word, and what only the READY column says there."""
    status = pod_columns.status(pod)
    return f"{status}, not ready" if status == "Running" and not is_true(pod, "Ready") else status


def _service_status(service: Object) -> str:
    if get_path(service, "spec.type") == "ExternalName":
        return f"ExternalName {get_path(service, 'spec.externalName', '')}"
    address = get_path(service, "spec.clusterIP") or ""
    return "headless" if address == "None" else f"{get_path(service, 'spec.type', 'ClusterIP')} {address}".strip()


def _replicas(obj: Object) -> str:
    """`ready/wanted`, where the kind counts replicas."""
    wanted = get_path(obj, "spec.replicas", get_path(obj, "status.desiredNumberScheduled"))
    if wanted is None:
        return ""
    ready = get_path(obj, "status.readyReplicas", get_path(obj, "status.numberReady", 0))
    return f"{ready}/{wanted} ready"


def _keys(obj: Object) -> str:
    count = len(obj.get("data") or ()) + len(obj.get("binaryData") or ())
    return f"{count} key{'' if count == 1 else 's'}"


def _ingress_status(ingress: Object) -> str:
    ways = get_path(ingress, "status.loadBalancer.ingress") or ()
    return ", ".join(way.get("ip") or way.get("hostname", "") for way in ways) or "no address yet"


def _autoscaler_status(obj: Object) -> str:
    low, high = get_path(obj, "spec.minReplicas", 1), get_path(obj, "spec.maxReplicas", "?")
    return f"{get_path(obj, 'status.currentReplicas', 0)} of {low} to {high}"


def _budget_status(obj: Object) -> str:
    return f"{get_path(obj, 'status.disruptionsAllowed', 0)} disruptions allowed"


def _policy_status(obj: Object) -> str:
    return " and ".join(get_path(obj, "spec.policyTypes") or ("Ingress",)).lower()


def _class_status(obj: Object) -> str:
    return f"{obj.get('provisioner', '')}{', default' if is_default(obj) else ''}"


_STATUS: Mapping[str, Say] = {
    "Pod": _pod_status,
    "Service": _service_status,
    "Job": job_status,
    "CronJob": lambda obj: "Suspended" if get_path(obj, "spec.suspend") else get_path(obj, "spec.schedule", ""),
    "ConfigMap": _keys,
    "Secret": _keys,
    "Ingress": _ingress_status,
    "NetworkPolicy": _policy_status,
    "HorizontalPodAutoscaler": _autoscaler_status,
    "PodDisruptionBudget": _budget_status,
    "PersistentVolumeClaim": phase,
    "PersistentVolume": phase,
    "StorageClass": _class_status,
    "Namespace": lambda obj: str(get_path(obj, "status.phase", "")),
    "Node": printers.node_status,
}
# Kinds whose status is one of kubectl's words; of others it is a number or an address, which is neither good nor bad.
_WORDED = frozenset(("Job", "PersistentVolumeClaim", "PersistentVolume", "Namespace", "Node", "CronJob"))


def tone_of_object(obj: Object, status: str) -> Tone:
    """The tone of an object with this status."""
    if obj["kind"] == "Pod":
        return BUSY if status.endswith("not ready") else tone_of(status)
    if obj["kind"] in _WORDED:
        return tone_of(status)
    if obj["kind"] == "Ingress":
        return BUSY if status == "no address yet" else PLAIN
    return _tone_of_count(status)


def _tone_of_count(status: str) -> Tone:
    ready, slash, wanted = status.removesuffix(" ready").partition("/")
    if not slash or not (ready.isdigit() and wanted.isdigit()):
        return PLAIN
    if wanted == "0":
        return DONE if ready == "0" else BUSY
    return GOOD if ready == wanted else BUSY


def _details(obj: Object, question: Question) -> tuple[str, ...]:
    if question.picked and obj["kind"] == "Pod":
        return tuple(f"{key}={value}" for key, value in sorted(labels_of(obj).items())) or ("no labels",)
    tell = _DETAILS.get(obj["kind"])
    lines = tell(obj) if tell else ()
    return lines if len(lines) <= SHOWN else (*lines[:SHOWN], f"and {len(lines) - SHOWN} more")


def _service_ports(service: Object) -> tuple[str, ...]:
    ports = get_path(service, "spec.ports") or ()
    return tuple(dict.fromkeys(f"port {port['port']}" + _node_port(port) for port in ports))


def _node_port(port: Object) -> str:
    return f", node port {port['nodePort']}" if port.get("nodePort") else ""


def _claim_size(claim: Object) -> tuple[str, ...]:
    asked = get_path(claim, "spec.resources.requests.storage")
    given = get_path(claim, "status.capacity.storage")
    return (f"{given} of {asked} asked for" if given and given != asked else str(given or asked),)


def _volume_facts(volume: Object) -> tuple[str, ...]:
    spec = volume.get("spec") or {}
    policy = spec.get("persistentVolumeReclaimPolicy")
    return (str(get_path(spec, "capacity.storage", "")), *((f"reclaim: {policy}",) if policy else ()))


def _policy_rules(policy: Object) -> tuple[str, ...]:
    """What a NetworkPolicy lets through, a line for each direction."""
    spec: Any = policy.get("spec") or {}
    ways = {"Ingress": ("from", "in"), "Egress": ("to", "out")}
    return tuple(
        f"{way}: {_rules(spec.get(kind.lower()) or (), word)}"
        for kind, (word, way) in ways.items()
        if kind in (spec.get("policyTypes") or ("Ingress",))
    )


def _rules(rules: Any, word: str) -> str:
    return "; ".join(_rule(rule, word) for rule in rules) or "nothing"


def _rule(rule: Object, word: str) -> str:
    peers = ", ".join(map(_peer, rule.get(word) or ())) or "anybody"
    ports = ", ".join(str(port.get("port", "any port")) for port in rule.get("ports") or ())
    return f"{peers}{' on ' + ports if ports else ''}"


def _peer(peer: Object) -> str:
    """One peer of a rule, in words."""
    if "ipBlock" in peer:
        return str(get_path(peer, "ipBlock.cidr", ""))
    pods = printers.selector_text(peer["podSelector"]) if "podSelector" in peer else ""
    spaces = printers.selector_text(peer["namespaceSelector"]) if "namespaceSelector" in peer else ""
    shown = [f"pods {pods}".replace("pods <none>", "all pods")] if pods else []
    shown += [f"namespaces {spaces}".replace("namespaces <none>", "all namespaces")] if spaces else []
    return " in ".join(shown)


_DETAILS: Mapping[str, Callable[[Object], tuple[str, ...]]] = {
    "Service": _service_ports,
    "PersistentVolumeClaim": _claim_size,
    "PersistentVolume": _volume_facts,
    "StorageClass": lambda obj: (f"binds: {obj.get('volumeBindingMode') or 'Immediate'}",),
    "NetworkPolicy": _policy_rules,
    "Ingress": lambda obj: (f"class {get_path(obj, 'spec.ingressClassName') or 'none'}",),
    "CronJob": lambda obj: (get_path(obj, "spec.schedule", ""),) if get_path(obj, "spec.suspend") else (),
}
