"""RuntimeClass: the admission plug-in that gives a pod what its RuntimeClass asks of nodes.

Interface: `runtime_class`, a plug-in that fills in; `overhead_matches`, one that refuses.
The rule not to break: the overhead of a pod is that of its class and nobody else's to set.
Source: `plugin/pkg/admission/runtimeclass/admission.go`, `pkg/util/tolerations`.
"""

from __future__ import annotations

from collections.abc import Mapping

from k8snb.apimachinery.errors import forbidden
from k8snb.apimachinery.meta import Object, get_path, name_of
from k8snb.apimachinery.pod_resources import amounts
from k8snb.apiserver.admission_plugin import Server, creates, find_object
from k8snb.client import Request

MISMATCH = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
UNASKED = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"


def runtime_class(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """Overhead, node selector and tolerations of the class that the pod names. It has to be there."""
    if not creates(request, "pods"):
        return obj
    found = _class_of(server, request, obj)
    if found is None:
        return obj
    changes: Object = {}
    overhead = get_path(found, "overhead.podFixed")
    if overhead is not None:
        _check(request, obj, obj["spec"].get("overhead", overhead), overhead, MISMATCH)
        changes["overhead"] = overhead
    scheduling = found.get("scheduling") or {}
    if scheduling.get("nodeSelector"):
        changes["nodeSelector"] = _selector(request, obj, scheduling["nodeSelector"])
    if scheduling.get("tolerations"):
        present = obj["spec"].get("tolerations") or []
        changes["tolerations"] = [*present, *(each for each in scheduling["tolerations"] if each not in present)]
    return {**obj, "spec": {**obj["spec"], **changes}} if changes else obj


def overhead_matches(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """Nobody between has changed the overhead."""
    if not creates(request, "pods") or not ({"overhead", "runtimeClassName"} & obj["spec"].keys()):
        return obj
    overhead = get_path(_class_of(server, request, obj) or {}, "overhead.podFixed")
    said = obj["spec"].get("overhead")
    _check(request, obj, said, overhead, MISMATCH if overhead is not None else UNASKED)
    return obj


def _class_of(server: Server, request: Request, pod: Object) -> Object | None:
    name = pod["spec"].get("runtimeClassName")
    if not name:
        return None
    found = find_object(server, "runtimeclasses", name)
    if found is None:
        raise forbidden(request.kind, name_of(pod), f'pod rejected: RuntimeClass "{name}" not found')
    return found


def _check(request: Request, pod: Object, said: Object | None, overhead: Object | None, why: str) -> None:
    if (said is None) != (overhead is None) or amounts(said) != amounts(overhead):
        raise forbidden(request.kind, name_of(pod), why)


def _selector(request: Request, pod: Object, wanted: Mapping[str, str]) -> Object:
    present = pod["spec"].get("nodeSelector") or {}
    for key, value in wanted.items():
        if present.get(key, value) != value:
            why = (f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                   f"pod.spec.nodeSelector[{key}] = {present[key]}")  # fmt: skip
            raise forbidden(request.kind, name_of(pod), why)
    return {**present, **wanted}
