"""Hints: one-line remarks of k8snb's own, on what kubectl lets pass in silence.

Interface: `service_hints(session, objects)`.
The rule not to break: a hint is true when it is given, and changes nothing.
Real kubectl has none: a Service that selects nothing is a valid Service.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from k8snb.apimachinery.meta import Object, get_path, labels_of, name_of, namespace_of
from k8snb.apimachinery.selectors import from_set
from k8snb.kubectl.session import Session

_TEMPLATES = ("ReplicationController", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job")


def service_hints(session: Session, objects: Sequence[Object]) -> list[str]:
    """`service/nginx selects no pods (app=ngnix); nearest: web-1 has app=nginx`, for each Service it is true of."""
    services = [obj for obj in objects if obj.get("kind") == "Service" and get_path(obj, "spec.selector")]
    return [hint for service in services for hint in _hint(session, service)]


def _hint(session: Session, service: Object) -> Iterator[str]:
    selector, namespace = service["spec"]["selector"], namespace_of(service)
    if session.client.list("pods", namespace, labelSelector=str(from_set(selector)), limit=1)["items"]:
        return
    matches = from_set(selector).matches
    labelled = list(_labelled(session, namespace))
    if any(matches(labels) for _, labels in labelled):
        return
    wanted = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    near = _nearest(selector, labelled)
    yield f"service/{name_of(service)} selects no pods ({wanted})" + (f"; nearest: {near}" if near else "")


def _labelled(session: Session, namespace: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The names and labels of pods, and of the templates that pods will be made from."""
    for pod in session.client.items("pods", namespace):
        yield name_of(pod), labels_of(pod)
    for kind in session.client.kinds():
        if kind.kind in _TEMPLATES:
            for obj in session.client.items(kind, namespace):
                template = get_path(obj, "spec.template", {})
                yield f"{kind.singular}/{name_of(obj)}", get_path(template, "metadata.labels") or {}


def _nearest(selector: Mapping[str, str], labelled: Sequence[tuple[str, Mapping[str, str]]]) -> str:
    """The one that is most like what was asked for: `web-1 has app=nginx`."""
    scored = [(_likeness(selector, labels), name, labels) for name, labels in labelled if labels]
    score, name, labels = max(scored, key=lambda entry: entry[0], default=(0.0, "", {}))
    if score < 0.5:
        return ""
    return f"{name} has {','.join(f'{key}={value}' for key, value in sorted(labels.items()))}"


def _likeness(selector: Mapping[str, str], labels: Mapping[str, str]) -> float:
    texts = [f"{key}={value}" for key, value in labels.items()]
    best = (max(difflib.SequenceMatcher(None, f"{key}={value}", text).ratio() for text in texts)
            for key, value in selector.items())  # fmt: skip
    return sum(best) / len(selector)
