"""From API objects to a diagram: which of them become boxes, and what the boxes say.

Interface: `build(objects, question) -> Diagram`.
The rule not to break: a status is the word that kubectl has for it; the diagram has no opinion of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from k8snb.apimachinery.meta import Object, get_path, is_true, labels_of, name_of, namespace_of, uid_of
from k8snb.apimachinery.quantity import to_bytes
from k8snb.notebook.diagram import OWNS, Box, Diagram, Edge, Group
from k8snb.notebook.folding import MORE, fold, fold_groups
from k8snb.notebook.relations import edges_of, related
from k8snb.notebook.style import BAD, BUSY, DONE, GOOD, PLAIN, Tone, tone_of
from k8snb.printers import columns as printers
from k8snb.printers import pods as pod_columns

Picked = Callable[[Object], bool]
_NO_BOXES = ("EndpointSlice", "Endpoints", "Node")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to draw. `focus`: uids of the objects asked for, empty for all; what belongs to them is drawn with them."""

    title: str = ""
    view: str = "objects"
    focus: frozenset[str] = frozenset()
    picked: Picked | None = None
    picking: str = ""
    more: int = MORE
    namespaces: bool = False  # names carry their namespace


def build(objects: Iterable[Object], question: Question = Question()) -> Diagram:
    """The diagram of these objects. EndpointSlices become edges; nodes become frames in the view of nodes."""
    objects = list(objects)
    edges = edges_of(objects)
    drawn = [obj for obj in objects if obj["kind"] not in _NO_BOXES]
    if question.focus:
        drawn = related(drawn, edges, question.focus, whole_namespace=question.picked is not None)
    by_node = question.view == "nodes"
    if by_node:
        drawn, edges = [obj for obj in drawn if obj["kind"] == "Pod"], [edge for edge in edges if edge.sort == OWNS]
    boxes, edges = fold([_box(obj, question) for obj in drawn], edges, _names(objects), question.more)
    groups = _groups(objects, drawn) if by_node else []
    diagram = Diagram(
        title=question.title,
        boxes=tuple(boxes),
        edges=tuple(_within(edges, boxes)),
        groups=tuple(groups),
        picking=question.picking,
    )
    return fold_groups(diagram, question.more) if len(groups) > question.more else diagram


def _names(objects: Iterable[Object]) -> dict[str, str]:
    return {uid_of(obj): name_of(obj) for obj in objects}


def _within(edges: Iterable[Edge], boxes: Iterable[Box]) -> list[Edge]:
    """The edges that have both their ends in the picture."""
    ids = {box.id for box in boxes}
    return [edge for edge in edges if edge.source in ids and edge.target in ids]


def _box(obj: Object, question: Question) -> Box:
    status = status_of(obj)
    name = f"{namespace_of(obj)}/{name_of(obj)}" if question.namespaces and namespace_of(obj) else name_of(obj)
    is_pod = obj["kind"] == "Pod"
    return Box(
        id=uid_of(obj),
        kind=obj["kind"],
        name=name,
        namespace=namespace_of(obj),
        status=status,
        tone=_tone(obj, status),
        details=_details(obj, question),
        picked=question.picked(obj) if question.picked and is_pod else None,
        group=(get_path(obj, "spec.nodeName") or "") if is_pod and question.view == "nodes" else "",
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


_STATUS: dict[str, Callable[[Object], str]] = {"Pod": _pod_status, "Service": _service_status}


def _tone(obj: Object, status: str) -> Tone:
    if obj["kind"] == "Pod":
        return BUSY if status.endswith("not ready") else tone_of(status)
    ready, slash, wanted = status.removesuffix(" ready").partition("/")
    if not slash or not (ready.isdigit() and wanted.isdigit()):
        return PLAIN
    if wanted == "0":
        return DONE if ready == "0" else BUSY
    return GOOD if ready == wanted else BUSY


def _details(obj: Object, question: Question) -> tuple[str, ...]:
    if question.picked and obj["kind"] == "Pod":
        return tuple(f"{key}={value}" for key, value in sorted(labels_of(obj).items())) or ("no labels",)
    if obj["kind"] == "Service":
        ports = get_path(obj, "spec.ports") or ()
        return tuple(f"port {port['port']}" + _node_port(port) for port in ports)
    return ()


def _node_port(port: Object) -> str:
    return f", node port {port['nodePort']}" if port.get("nodePort") else ""


# nodes


def _groups(objects: list[Object], pods: list[Object]) -> list[Group]:
    groups = [_node_group(obj) for obj in objects if obj["kind"] == "Node"]
    known = {group.id for group in groups}
    used = {get_path(pod, "spec.nodeName") or "" for pod in pods}
    return [*groups, *(_absent(name) for name in sorted(used - known))]


def _absent(name: str) -> Group:
    """The frame for pods that no node of the cluster has."""
    if name:
        return Group(id=name, title=name, status="gone", tone=BAD)
    return Group(id="", title="no node yet", status="Pending", tone=BUSY)


def _round(memory: str) -> str:
    """Memory in the unit in which it is a small number: `24684084Ki` → `23.5Gi`."""
    amount, unit = float(to_bytes(memory)), ""
    for larger in ("Ki", "Mi", "Gi", "Ti"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.1f}".removesuffix(".0") + unit


def _node_group(node: Object) -> Group:
    status = printers.node_status(node)
    allocatable = get_path(node, "status.allocatable") or {}
    details = (f"cpu {allocatable['cpu']}, memory {_round(allocatable['memory'])}",) if "memory" in allocatable else ()
    return Group(id=name_of(node), title=name_of(node), status=status, tone=tone_of(status), details=details)
