"""What joins API objects: owner references, label selectors, endpoints.

Interface: `edges_of(objects)`, `related(objects, edges, …)`.
The rule not to break: an edge is read from the objects and never guessed: that a pod *could* be reached is no edge.
Real Kubernetes stores no edges either; kubectl and every controller work them out like this.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from k8snb.apimachinery.meta import Object, get_path, labels_of, name_of, namespace_of, uid_of
from k8snb.notebook.diagram import OWNS, ROUTES, SELECTS, Edge


def edges_of(objects: list[Object]) -> list[Edge]:
    """Every edge between these objects, by their uids. EndpointSlices are edges themselves."""
    return [*_owns(objects), *_selects(objects), *_routes(objects)]


def _owns(objects: Iterable[Object]) -> list[Edge]:
    return [
        Edge(sort=OWNS, source=reference["uid"], target=uid_of(obj))
        for obj in objects
        for reference in obj["metadata"].get("ownerReferences") or ()
    ]


def _selects(objects: list[Object]) -> list[Edge]:
    """Services to the pods that their selectors pick. That a controller selects what it owns goes without saying."""
    pods = defaultdict(list)
    for obj in objects:
        if obj["kind"] == "Pod":
            pods[namespace_of(obj)].append(obj)
    edges = []
    for service in objects:
        selector = get_path(service, "spec.selector") if service["kind"] == "Service" else None
        if selector:
            label = ",".join(f"{key}={value}" for key, value in selector.items())
            edges += [
                Edge(sort=SELECTS, source=uid_of(service), target=uid_of(pod), label=label)
                for pod in pods[namespace_of(service)]
                if matches(selector, pod)
            ]
    return edges


def matches(selector: dict[str, str], obj: Object) -> bool:
    """Whether an object has all these labels."""
    labels = labels_of(obj)
    return all(labels.get(key) == value for key, value in selector.items())


def _routes(objects: list[Object]) -> list[Edge]:
    services = {(namespace_of(obj), name_of(obj)): obj for obj in objects if obj["kind"] == "Service"}
    edges = {}
    for part in objects:
        if part["kind"] != "EndpointSlice":
            continue
        service = services.get((namespace_of(part), labels_of(part).get("kubernetes.io/service-name", "")))
        for endpoint in (part.get("endpoints") or ()) if service else ():
            target = get_path(endpoint, "targetRef.uid")
            if service and target and get_path(endpoint, "conditions.ready", True):
                edges[uid_of(service), target] = _ports(service, part)
    return [Edge(sort=ROUTES, source=source, target=target, label=label) for (source, target), label in edges.items()]


def _ports(service: Object, endpoint_slice: Object) -> str:
    """`80→8080`, for each port of the service that the slice knows."""
    targets = {port.get("name") or "": port.get("port") for port in endpoint_slice.get("ports") or ()}
    ports = get_path(service, "spec.ports") or ()
    return ", ".join(f"{port['port']}→{targets[name]}" for port in ports if (name := port.get("name") or "") in targets)


def related(
    objects: list[Object], edges: list[Edge], focus: Iterable[str], *, whole_namespace: bool = False
) -> list[Object]:
    """The objects asked for, all above and below them by ownership, and the services that select any of these.

    With `whole_namespace`, every pod of the same namespaces stays, so that it shows what a selector does not pick.
    """
    keep = set(focus)
    asked = [obj for obj in objects if uid_of(obj) in keep]
    if whole_namespace:
        namespaces = {namespace_of(obj) for obj in asked}
        keep |= {uid_of(obj) for obj in objects if obj["kind"] == "Pod" and namespace_of(obj) in namespaces}
    else:
        keep |= {edge.target for edge in edges if edge.sort == SELECTS and edge.source in keep}
    _close(keep, [edge for edge in edges if edge.sort == OWNS])
    if not any(obj["kind"] == "Service" for obj in asked):
        keep |= {edge.source for edge in edges if edge.sort == SELECTS and edge.target in keep}
    return [obj for obj in objects if uid_of(obj) in keep]


def _close(keep: set[str], owns: list[Edge]) -> None:
    """Add owners and owned until nothing is added."""
    joined = defaultdict(set)
    for edge in owns:
        joined[edge.source].add(edge.target)
        joined[edge.target].add(edge.source)
    waiting = list(keep)
    while waiting:
        fresh = joined[waiting.pop()] - keep
        keep |= fresh
        waiting.extend(fresh)
