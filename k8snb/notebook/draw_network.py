"""The view `network`: from a client through Ingresses and Services to the pods that answer.

Interface: `network(objects, question) -> Diagram`.
The rule not to break: an edge is what an object says: a rule's backend, a slice's endpoint, a policy's selector.
Whether a packet gets through is for the network to say: `%kproxy rules` and `%kproxy policies` tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from k8snb.apimachinery.meta import Object, get_path, labels_of, namespace_of, uid_of
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.notebook.boxes import Question, box_of
from k8snb.notebook.diagram import ADMITS, CALLS, GUARDS, LEAVES_OUT, ONWARD, ROUTES, Box, Diagram, Edge
from k8snb.notebook.draw_objects import frames, is_api_service
from k8snb.notebook.relations import by_name, close, pods_by_namespace, ports_text
from k8snb.notebook.style import BAD, BUSY, GOOD
from k8snb.story.why_ingresses import has_port

CLIENT = "a client"  # the id of the box for whoever is outside
_KINDS = frozenset(("Ingress", "Service", "EndpointSlice", "NetworkPolicy"))
SERVICE_NAME = "kubernetes.io/service-name"


def network(objects: list[Object], question: Question) -> Diagram:
    """Everything that traffic passes, and the pods at the end of a way or behind a policy."""
    objects = [obj for obj in objects if not is_api_service(obj) and not _is_of_the_api(obj)]
    edges = [*_doors(objects), *_ingress_edges(objects), *_endpoint_edges(objects), *_policy_edges(objects)]
    keep = _asked(objects, edges, question)
    at_the_end = {end for edge in edges for end in (edge.source, edge.target)}
    boxes = [
        _box(obj, question)
        for obj in objects
        if uid_of(obj) in keep and (obj["kind"] in _KINDS or (obj["kind"] == "Pod" and uid_of(obj) in at_the_end))
    ]
    gaps = [box for box in _missing(objects, question) if not question.focus or box.id in keep]
    boxes += gaps
    client = [Box(id=CLIENT, kind="", name="client", status="outside the cluster")]
    called = {edge.target for edge in edges if edge.source == CLIENT}
    boxes = [*(client if called & {box.id for box in boxes} else ()), *boxes]
    return Diagram(title="", boxes=tuple(boxes), edges=tuple(edges), groups=tuple(frames(boxes, question)),
                   layout=ONWARD)  # fmt: skip


def _is_of_the_api(obj: Object) -> bool:
    return obj["kind"] == "EndpointSlice" and labels_of(obj).get(SERVICE_NAME) == "kubernetes" and (
        namespace_of(obj) == "default"
    )  # fmt: skip


def _asked(objects: list[Object], edges: list[Edge], question: Question) -> set[str]:
    """What was asked for by name and all that is joined to it; everything where nothing was named."""
    if not question.focus:
        return {uid_of(obj) for obj in objects}
    keep = set(question.focus)
    close(keep, [edge for edge in edges if edge.source != CLIENT])
    return keep


def _box(obj: Object, question: Question) -> Box:
    box = box_of(obj, question)
    if obj["kind"] != "EndpointSlice":
        return box
    endpoints = obj.get("endpoints") or ()
    ready = sum(bool(get_path(endpoint, "conditions.ready", True)) for endpoint in endpoints)
    ports = tuple(f"{port.get('name') or 'port'} {port.get('port')}" for port in obj.get("ports") or ())
    tone = GOOD if endpoints and ready == len(endpoints) else BUSY
    return replace(box, status=f"{ready} of {len(endpoints)} ready" if endpoints else "no endpoints", tone=tone,
                   details=ports)  # fmt: skip


def _doors(objects: Iterable[Object]) -> Iterator[Edge]:
    """Where somebody outside can come in: Ingresses, load balancers and node ports."""
    for obj in objects:
        if obj["kind"] == "Ingress":
            rules: list[Object] = get_path(obj, "spec.rules") or [{}]
            hosts = dict.fromkeys(rule.get("host") or "*" for rule in rules)
            yield Edge(sort=CALLS, source=CLIENT, target=uid_of(obj), label=_few(hosts))
        elif obj["kind"] == "Service" and get_path(obj, "spec.type") in ("NodePort", "LoadBalancer"):
            yield Edge(sort=CALLS, source=CLIENT, target=uid_of(obj), label=_few(_entrances(obj)))


def _entrances(service: Object) -> Iterator[str]:
    ways = get_path(service, "status.loadBalancer.ingress") or ()
    for port in get_path(service, "spec.ports") or ():
        addresses = [way.get("ip") or way.get("hostname", "") for way in ways]
        yield from (f"{address}:{port['port']}" for address in addresses)
        if not addresses and port.get("nodePort"):
            yield f"any node:{port['nodePort']}"


def _few(words: Iterable[str], most: int = 2) -> str:
    listed = list(words)
    return ", ".join([*listed[:most], *([f"{len(listed) - most} more"] if len(listed) > most else [])])


def _ingress_edges(objects: list[Object]) -> Iterator[Edge]:
    """Each rule's paths to the Services that stand behind them, or should."""
    known = by_name(objects)
    for ingress in objects:
        for place, backend in _backends(ingress) if ingress["kind"] == "Ingress" else ():
            name, port = get_path(backend, "service.name", ""), get_path(backend, "service.port") or {}
            service = known.get(("Service", namespace_of(ingress), name))
            label = f"{place} to port {port.get('name') or port.get('number', '')}"
            if service is not None:
                there = has_port(service, port)
                yield Edge(sort=ROUTES if there else LEAVES_OUT, source=uid_of(ingress), target=uid_of(service),
                           label=label if there else f"{label}, which it has not")  # fmt: skip
            elif name:
                yield Edge(sort=LEAVES_OUT, source=uid_of(ingress), target=_gap(ingress, name), label=label)


def _gap(ingress: Object, name: str) -> str:
    return f"missing/{namespace_of(ingress)}/{name}"


def _missing(objects: list[Object], question: Question) -> list[Box]:
    """The Services that an Ingress names and that are not there."""
    known = by_name(objects)
    found: dict[tuple[str, str], Box] = {}
    for ingress in objects:
        for _, backend in _backends(ingress) if ingress["kind"] == "Ingress" else ():
            name, namespace = get_path(backend, "service.name", ""), namespace_of(ingress)
            if name and ("Service", namespace, name) not in known:
                group = namespace if question.namespaces else ""
                found[name, namespace] = Box(id=_gap(ingress, name), kind="Service", name=name, namespace=namespace,
                                             status="there is none", tone=BAD, group=group)  # fmt: skip
    return list(found.values())


def _backends(ingress: Object) -> Iterator[tuple[str, Object]]:
    """(where, backend) for each path, and for the default."""
    default = get_path(ingress, "spec.defaultBackend")
    if default:
        yield "all else", default
    for rule in get_path(ingress, "spec.rules") or ():
        for path in get_path(rule, "http.paths") or ():
            yield f"{rule.get('host', '')}{path.get('path') or '/'}", path.get("backend") or {}


def _endpoint_edges(objects: list[Object]) -> Iterator[Edge]:
    """Services to their slices, slices to the pods that they name, ready or not."""
    known = by_name(objects)
    for part in objects:
        if part["kind"] != "EndpointSlice":
            continue
        service = known.get(("Service", namespace_of(part), labels_of(part).get(SERVICE_NAME, "")))
        if service is not None:
            label = ports_text(service, part, named=True)
            yield Edge(sort=ROUTES, source=uid_of(service), target=uid_of(part), label=label)
        for endpoint in part.get("endpoints") or ():
            ready = get_path(endpoint, "conditions.ready", True)
            target = get_path(endpoint, "targetRef.uid")
            if target:
                label = "" if ready else "not ready"
                yield Edge(sort=ROUTES if ready else LEAVES_OUT, source=uid_of(part), target=target, label=label)


def _policy_edges(objects: list[Object]) -> Iterator[Edge]:
    """NetworkPolicies to the pods that they guard, and to them from the pods whose traffic they let through."""
    pods = pods_by_namespace(objects)
    for policy in objects:
        if policy["kind"] != "NetworkPolicy":
            continue
        own = pods[namespace_of(policy)]
        guarded = from_label_selector(get_path(policy, "spec.podSelector") or {})
        for pod in own:
            if guarded.matches(labels_of(pod)):
                yield Edge(sort=GUARDS, source=uid_of(policy), target=uid_of(pod))
        for pod, ports in _admitted(policy, own):
            yield Edge(sort=ADMITS, source=uid_of(policy), target=uid_of(pod), label=ports)


def _admitted(policy: Object, pods: list[Object]) -> Iterator[tuple[Object, str]]:
    """The pods of the policy's own namespace that a rule lets in, with the ports. Other namespaces stand in its box."""
    for rule in get_path(policy, "spec.ingress") or ():
        ports = ", ".join(str(port.get("port", "")) for port in rule.get("ports") or ())
        for peer in rule.get("from") or ():
            if "podSelector" in peer and "namespaceSelector" not in peer:
                selector = from_label_selector(peer["podSelector"])
                yield from ((pod, f"on {ports}" if ports else "") for pod in pods if selector.matches(labels_of(pod)))
