"""What joins API objects: owner references, label selectors, endpoints, volumes.

Interface: `edges_of(objects)`, `related(objects, edges, …)`; `pod_sources(pod)`, what a pod mounts and reads.
The rule not to break: an edge is read from the objects and never guessed: that a pod *could* be reached is no edge.
Real Kubernetes stores no edges either; kubectl and every controller work them out like this.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from k8snb.apimachinery.meta import Object, get_path, labels_of, name_of, namespace_of, uid_of
from k8snb.notebook.diagram import MOUNTS, OWNS, READS, ROUTES, SCALES, SELECTS, Edge

Source = tuple[str, str, str, str]  # MOUNTS or READS, a kind, a name, where to
_VOLUMES = (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName"),
            ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"))  # fmt: skip
_FROM = (("configMapKeyRef", "configMapRef", "ConfigMap"), ("secretKeyRef", "secretRef", "Secret"))
_UNSEEN = "kube-api-access-"  # the volume that every pod has for its token


def edges_of(objects: list[Object]) -> list[Edge]:
    """Every edge between these objects, by their uids. EndpointSlices are edges themselves."""
    return [*owns(objects), *_scales(objects), *_selects(objects), *_routes(objects), *mounts(objects)]


def owns(objects: Iterable[Object]) -> list[Edge]:
    """Owner references, from the owner to what it owns."""
    return [
        Edge(sort=OWNS, source=reference["uid"], target=uid_of(obj))
        for obj in objects
        for reference in obj["metadata"].get("ownerReferences") or ()
    ]


def by_name(objects: Iterable[Object]) -> dict[tuple[str, str, str], Object]:
    """Objects by kind, namespace and name."""
    return {(obj["kind"], namespace_of(obj), name_of(obj)): obj for obj in objects}


def _scales(objects: list[Object]) -> list[Edge]:
    known = by_name(objects)
    edges = []
    for obj in objects:
        target = get_path(obj, "spec.scaleTargetRef") or {}
        found = known.get((target.get("kind", ""), namespace_of(obj), target.get("name", "")))
        if obj["kind"] == "HorizontalPodAutoscaler" and found is not None:
            edges.append(Edge(sort=SCALES, source=uid_of(obj), target=uid_of(found)))
    return edges


def _selects(objects: list[Object]) -> list[Edge]:
    """Services to the pods that their selectors pick. That a controller selects what it owns goes without saying."""
    pods = pods_by_namespace(objects)
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


def pods_by_namespace(objects: Iterable[Object]) -> dict[str, list[Object]]:
    pods = defaultdict(list)
    for obj in objects:
        if obj["kind"] == "Pod":
            pods[namespace_of(obj)].append(obj)
    return pods


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
                edges[uid_of(service), target] = ports_text(service, part)
    return [Edge(sort=ROUTES, source=source, target=target, label=label) for (source, target), label in edges.items()]


def ports_text(service: Object, endpoint_slice: Object, *, named: bool = False) -> str:
    """`80→8080`, for each port of the service that the slice knows; `http 80→8080` where names are wanted."""
    targets = {port.get("name") or "": port.get("port") for port in endpoint_slice.get("ports") or ()}
    ports = get_path(service, "spec.ports") or ()
    shown = []
    for port in ports:
        name = port.get("name") or ""
        if name in targets:
            shown.append(f"{name if named else ''} {port['port']}→{targets[name]}".strip())
    return ", ".join(shown)


# what pods mount and read


def mounts(objects: list[Object]) -> list[Edge]:
    """Pods to what their volumes and their environment are made of; the label says where in the pod it is."""
    known = by_name(objects)
    edges: dict[tuple[str, str, str], list[str]] = {}
    for pod in objects:
        for sort, kind, name, place in pod_sources(pod) if pod["kind"] == "Pod" else ():
            found = known.get((kind, namespace_of(pod), name))
            if found is not None:
                places = edges.setdefault((sort, uid_of(pod), uid_of(found)), [])
                places += [place] if place and place not in places else []
    return [
        Edge(sort=sort, source=source, target=target, label=", ".join(places))
        for (sort, source, target), places in edges.items()
    ]


def pod_sources(pod: Object) -> Iterator[Source]:
    """What a pod mounts, with the path; and what its environment reads, with the variable's name."""
    spec = pod["spec"]
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    places = defaultdict(list)
    for container in containers:
        for mount in container.get("volumeMounts") or ():
            places[mount.get("name")].append(mount.get("mountPath", ""))
    for volume in spec.get("volumes") or ():
        for kind, name in _volume_sources(volume, name_of(pod)):
            for place in places[volume["name"]] or [""]:
                yield MOUNTS, kind, name, place
    for container in containers:
        yield from _environment(container)


def _volume_sources(volume: Object, pod: str) -> Iterator[tuple[str, str]]:
    if volume.get("name", "").startswith(_UNSEEN):
        return
    if "ephemeral" in volume:
        yield "PersistentVolumeClaim", f"{pod}-{volume['name']}"
    for source in (volume, *(get_path(volume, "projected.sources") or ())):
        for field, kind, key in _VOLUMES:
            name = get_path(source, (field, key)) or get_path(source, (field, "name"))
            if name:
                yield kind, name


def _environment(container: Object) -> Iterator[Source]:
    for variable in container.get("env") or ():
        for field, _, kind in _FROM:
            name = get_path(variable, ("valueFrom", field, "name"))
            if name:
                yield READS, kind, name, variable.get("name", "")
    for entry in container.get("envFrom") or ():
        for _, field, kind in _FROM:
            name = get_path(entry, (field, "name"))
            if name:
                yield READS, kind, name, "all its keys"


# what belongs to what was asked for


def related(
    objects: list[Object], edges: list[Edge], focus: Iterable[str], *, whole_namespace: bool = False
) -> list[Object]:
    """The objects asked for, all above and below them by ownership, the services that select any of these, and what
    their pods mount and read.

    With `whole_namespace`, every pod of the same namespaces stays, so that it shows what a selector does not pick.
    """
    keep = set(focus)
    asked = [obj for obj in objects if uid_of(obj) in keep]
    if whole_namespace:
        namespaces = {namespace_of(obj) for obj in asked}
        keep |= {uid_of(obj) for obj in objects if obj["kind"] == "Pod" and namespace_of(obj) in namespaces}
    else:
        keep |= {edge.target for edge in edges if edge.sort in (SELECTS, SCALES) and edge.source in keep}
        keep |= {edge.source for edge in edges if edge.sort in (MOUNTS, READS) and edge.target in keep}
    close(keep, [edge for edge in edges if edge.sort == OWNS])
    if not any(obj["kind"] == "Service" for obj in asked):
        keep |= {edge.source for edge in edges if edge.sort in (SELECTS, SCALES) and edge.target in keep}
    if not whole_namespace:
        keep |= {edge.target for edge in edges if edge.sort in (MOUNTS, READS) and edge.source in keep}
    return [obj for obj in objects if uid_of(obj) in keep]


def close(keep: set[str], edges: Iterable[Edge]) -> None:
    """Add what is at the other end of an edge until nothing is added."""
    joined = defaultdict(set)
    for edge in edges:
        joined[edge.source].add(edge.target)
        joined[edge.target].add(edge.source)
    waiting = list(keep)
    while waiting:
        fresh = joined[waiting.pop()] - keep
        keep |= fresh
        waiting.extend(fresh)
