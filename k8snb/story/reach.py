"""Reach: which of the pods that a Service picks get traffic from it, and why the others do not.

Interface: `reaches(scene, service, pods) -> {uid: reason}`, "" for a pod that gets traffic; `elsewhere(scene, …)`.
The rule not to break: whether a pod gets traffic is what the EndpointSlices say; the reason is read from the pod.
Source: `podToEndpoint`, `FindPort` and `ShouldPodBeInEndpoints` in `staging/src/k8s.io/endpointslice` and
`pkg/api/v1/pod` of the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from k8snb.apimachinery.meta import Object, get_path, is_deleting, is_true, labels_of, name_of, namespace_of, uid_of
from k8snb.apimachinery.selectors import Selector
from k8snb.controllers.backends import find_port
from k8snb.printers import pods as pod_columns
from k8snb.story.why import Scene

SERVICE_NAME = "kubernetes.io/service-name"


def reaches(scene: Scene, service: Object, pods: Iterable[Object]) -> dict[str, str]:
    """For each pod why it gets no traffic from a Service that picks it; "" where it does."""
    slices = [part for part in scene.items("endpointslices", namespace_of(service))
              if labels_of(part).get(SERVICE_NAME) == name_of(service)]  # fmt: skip
    ready = _ready(slices)
    return {uid_of(pod): _reason(service, pod, ready.get(uid_of(pod))) for pod in pods}


def _ready(slices: Iterable[Object]) -> Mapping[str, bool]:
    """Whether the endpoint of a pod is ready and has a port, by the pod's uid."""
    found: dict[str, bool] = {}
    for part in slices:
        for endpoint in part.get("endpoints") or ():
            uid = get_path(endpoint, "targetRef.uid")
            ready = bool(get_path(endpoint, "conditions.ready", True)) and bool(part.get("ports"))
            if uid:
                found[uid] = found.get(uid, False) or ready
    return found


def _reason(service: Object, pod: Object, ready: bool | None) -> str:
    missing = _missing_port(service, pod)
    if ready and not missing:
        return ""
    for judge in (_ended, _deleting, _without_address):
        if reason := judge(service, pod):
            return reason
    if missing:
        return missing
    if not is_true(pod, "Ready"):
        return f"not ready: {pod_columns.status(pod)}"
    return "its EndpointSlice does not say that it is ready yet"


def _ended(service: Object, pod: Object) -> str:
    phase = get_path(pod, "status.phase")
    return f"it has ended: {phase}" if phase in ("Succeeded", "Failed") else ""


def _deleting(service: Object, pod: Object) -> str:
    return "it is being deleted" if is_deleting(pod) else ""


def _without_address(service: Object, pod: Object) -> str:
    return "" if get_path(pod, "status.podIP") else f"it has no address yet: {pod_columns.status(pod)}"


def _missing_port(service: Object, pod: Object) -> str:
    """A target port that is a name has to be a name in the pod."""
    containers = (*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ()))
    names = [f"{port['name']}{_protocol(port)}" for container in containers
             for port in container.get("ports") or () if port.get("name")]  # fmt: skip
    for port in get_path(service, "spec.ports") or ():
        target = port.get("targetPort")
        if isinstance(target, str) and find_port(pod, target, port.get("protocol", "TCP")) is None:
            return (
                f'it has no port named "{target}"{_protocol(port)}; its ports are named: {", ".join(names) or "none"}'
            )
    return ""


def _protocol(port: Object) -> str:
    """` (UDP)`; nothing for TCP."""
    protocol = port.get("protocol", "TCP")
    return f" ({protocol})" if protocol != "TCP" else ""


def elsewhere(scene: Scene, selector: Selector, namespace: str) -> list[Object]:
    """The pods of other namespaces that have the labels: nobody selects across namespaces."""
    if not namespace or selector.nothing or selector.is_everything:
        return []
    pods = scene.items("pods")
    return [pod for pod in pods if namespace_of(pod) != namespace and selector.matches(labels_of(pod))]
