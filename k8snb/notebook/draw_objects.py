"""The view `objects`: who owns, selects, routes to, mounts and reads what.

Interface: `objects_view(objects, question) -> Diagram`.
The rule not to break: what pods only mount or read is drawn because somebody does, or because it was asked for by name.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, name_of, namespace_of, uid_of
from k8snb.notebook.boxes import Question, box_of
from k8snb.notebook.diagram import MOUNTS, NAMESPACE, READS, Box, Diagram, Edge, Group
from k8snb.notebook.relations import edges_of, related

_NO_BOXES = frozenset(("EndpointSlice", "Endpoints", "Node", "Namespace"))
BESIDE = frozenset(("ConfigMap", "Secret", "PersistentVolumeClaim"))


def objects_view(objects: list[Object], question: Question) -> Diagram:
    """EndpointSlices become edges, namespaces frames."""
    edges = edges_of(objects)
    drawn = [obj for obj in objects if obj["kind"] not in _NO_BOXES]
    if question.focus:
        drawn = related(drawn, edges, question.focus, whole_namespace=question.picked is not None)
    drawn = _with_what_is_used(drawn, edges, question)
    boxes = [box_of(obj, question) for obj in drawn]
    return Diagram(title="", boxes=tuple(boxes), edges=tuple(edges), groups=tuple(frames(boxes, question)))


def _with_what_is_used(drawn: list[Object], edges: list[Edge], question: Question) -> list[Object]:
    """Where the question is which pods are picked, what they mount is beside the point."""
    pods = {uid_of(obj) for obj in drawn if obj["kind"] == "Pod" and question.picked is None}
    used = {edge.target for edge in edges if edge.sort in (MOUNTS, READS) and edge.source in pods} | question.focus
    return [obj for obj in drawn if obj["kind"] not in BESIDE or uid_of(obj) in used]


def frames(boxes: list[Box], question: Question) -> list[Group]:
    """A frame for each namespace that has anything in it, where namespaces are to be told apart."""
    names = dict.fromkeys(box.group for box in boxes if box.group) if question.namespaces else ()
    return [Group(id=name, kind=NAMESPACE, title=name) for name in sorted(names)]


def is_api_service(obj: Object) -> bool:
    """The Service of the API itself: it has no pods to draw, and every cluster has it."""
    return obj["kind"] == "Service" and (namespace_of(obj), name_of(obj)) == ("default", "kubernetes")
