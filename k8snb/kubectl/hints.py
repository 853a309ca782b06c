"""Hints: one-line remarks of k8snb's own, on what kubectl lets pass in silence.

Interface: `service_hints(session, objects)`, `pod_hints(pods)`, `ingress_hints(objects)`.
The rule not to break: a hint is true when it is given, and changes nothing.
Real kubectl has none: a Service that selects nothing is a valid Service, and of a container that waits for its next
start it shows the reason alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from k8snb.apimachinery.meta import Object, condition, get_path, labels_of, name_of, namespace_of
from k8snb.apimachinery.selectors import from_set
from k8snb.kubectl.session import Session

Labelled = tuple[str, Mapping[str, str]]

_TEMPLATES = ("ReplicationController", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job")
_ADDED = ("pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name")
_NAMES = re.compile(r" restarting failed container=\S+ pod=[^;]+")  # what the hint begins with says the same
_MOST = 3
_ALIKE = 0.75


def pod_hints(pods: Sequence[Object]) -> list[str]:
    """What the first few pods wait for that do not run: `pod/web: CrashLoopBackOff: …; next try at 07:13:42Z`."""
    waiting = [hint for pod in pods for hint in (*_no_node(pod), *_waits(pod))]
    more = len(waiting) - _MOST
    return [*waiting[:_MOST], *([f"{more} more like these: kubectl describe pods"] if more > 0 else [])]


def _no_node(pod: Object) -> Iterator[str]:
    scheduled = condition(pod, "PodScheduled") or {}
    if scheduled.get("reason") == "Unschedulable":
        yield f"pod/{name_of(pod)}: {scheduled.get('message', '')}"


def _waits(pod: Object) -> Iterator[str]:
    for field in ("initContainerStatuses", "containerStatuses"):
        for status in get_path(pod, f"status.{field}") or ():
            waiting = (status.get("state") or {}).get("waiting") or {}
            if waiting.get("message"):
                name = name_of(pod) if len(pod["spec"]["containers"]) == 1 else f"{name_of(pod)}, {status['name']}"
                yield f"pod/{name}: {waiting['reason']}: {_NAMES.sub('', waiting['message'])}"


def service_hints(session: Session, objects: Sequence[Object]) -> list[str]:
    """`service/nginx selects no pods (app=ngnix); nearest: web-1 has app=nginx`, for each Service it is true of."""
    services = [obj for obj in objects if obj.get("kind") == "Service" and get_path(obj, "spec.selector")]
    return [hint for service in services for hint in _hint(session, service)]


def _hint(session: Session, service: Object) -> Iterator[str]:
    selector, namespace = service["spec"]["selector"], namespace_of(service)
    if session.client.list("pods", namespace, labelSelector=str(from_set(selector)), limit=1)["items"]:
        return
    matches = from_set(selector).matches
    pods, templates = _pods(session, namespace), _templates(session, namespace)
    if any(matches(labels) for _, labels in templates):
        return
    near = _nearest(selector, pods) or _nearest(selector, templates)
    yield f"service/{name_of(service)} selects no pods ({_text(selector)})" + (f"; nearest: {near}" if near else "")


def _pods(session: Session, namespace: str) -> list[Labelled]:
    return [(name_of(pod), labels_of(pod)) for pod in session.client.items("pods", namespace)]


def _templates(session: Session, namespace: str) -> list[Labelled]:
    """The labels of the templates that pods will be made from."""
    return [
        (f"{kind.singular}/{name_of(obj)}", get_path(obj, "spec.template.metadata.labels") or {})
        for kind in session.client.kinds()
        if kind.kind in _TEMPLATES
        for obj in session.client.items(kind, namespace)
    ]


def _nearest(selector: Mapping[str, str], labelled: Sequence[Labelled]) -> str:
    """Those with the labels that are most like what was asked for: `web-1, web-2 have app=nginx`."""
    scored = [(_likeness(selector, labels), labels) for _, labels in labelled if _is_near(selector, labels)]
    if not scored:
        return ""
    _, best = max(scored, key=lambda entry: entry[0])
    names = [name for name, labels in labelled if _own(labels) == _own(best)]
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"{', '.join(names[:_MOST])}{more} {'have' if len(names) > 1 else 'has'} {_text(_own(best))}"


def _is_near(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether one other key, one other value, or a slip of the pen would have made the selector pick these labels."""
    amiss = [(key, value) for key, value in selector.items() if labels.get(key) != value]
    key, value = amiss[0]
    other = len(selector) > 1 or key in labels or value in labels.values()
    return (len(amiss) == 1 and other) or _slip(selector, labels)


def _slip(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return _likeness(selector, labels) >= _ALIKE


def _likeness(selector: Mapping[str, str], labels: Mapping[str, str]) -> float:
    """From 0 to 1: how much the selector's pairs look like the labels'."""
    texts = [f"{key}={value}" for key, value in labels.items()]
    best = (max((difflib.SequenceMatcher(None, f"{key}={value}", text).ratio() for text in texts), default=0.0)
            for key, value in selector.items())  # fmt: skip
    return sum(best) / len(selector)


def _own(labels: Mapping[str, str]) -> Mapping[str, str]:
    """The labels that a person wrote."""
    return {key: value for key, value in labels.items() if key not in _ADDED}


def _text(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def ingress_hints(objects: Sequence[Object]) -> list[str]:
    """How to ask an Ingress that has an address: its hosts are names that no resolver knows."""
    return [hint for obj in objects if obj.get("kind") == "Ingress" for hint in _ways(obj)][:_MOST]


def _ways(ingress: Object) -> Iterator[str]:
    spec, ways = ingress.get("spec") or {}, get_path(ingress, "status.loadBalancer.ingress") or ()
    rules = [rule for rule in spec.get("rules") or () if rule.get("http")]
    if not ways or not ways[0].get("ip") or not rules:
        return
    ip, ports = ways[0]["ip"], [entry["port"] for entry in ways[0].get("ports") or ()] or [80, 443]
    host = (rules[0].get("host") or "").replace("*", "any")
    path = next((entry["path"] for entry in rules[0]["http"]["paths"] if entry.get("path", "").isprintable()), "/")
    path = re.split(r"[(\[\\^$*+?|]", path)[0] or "/"  # as far as it is no pattern
    if spec.get("tls") and host:
        port = ports[-1]
        url = f"https://{host}{'' if port == 443 else f':{port}'}{path}"
        yield f"ingress/{name_of(ingress)}: curl -k --resolve {host}:{port}:{ip} {url}"
    else:
        given = f"-H 'Host: {host}' " if host else ""
        yield f"ingress/{name_of(ingress)}: curl {given}http://{ip}{'' if ports[0] == 80 else f':{ports[0]}'}{path}"
