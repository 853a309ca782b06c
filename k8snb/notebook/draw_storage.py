"""The view `storage`: pods, the claims that they mount, the volumes that these are bound to, and their classes.

Interface: `storage(objects, question) -> Diagram`.
The rule not to break: *bound to* is what the claim names and the volume confirms; a claim that only asks has no volume.
Source: `concepts/storage/persistent-volumes` of the documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from k8snb.apimachinery.meta import Object, get_path, namespace_of, uid_of
from k8snb.apimachinery.storage import class_of
from k8snb.notebook.boxes import Question, box_of
from k8snb.notebook.diagram import BINDS, CLASSES, MOUNTS, ONWARD, Diagram, Edge
from k8snb.notebook.draw_objects import frames
from k8snb.notebook.relations import by_name, close, mounts

_KINDS = frozenset(("PersistentVolumeClaim", "PersistentVolume", "StorageClass"))


def storage(objects: list[Object], question: Question) -> Diagram:
    """All claims of the namespace with their pods; volumes and classes, which belong to no namespace."""
    claims = {uid_of(obj) for obj in objects if obj["kind"] == "PersistentVolumeClaim"}
    mounting = [edge for edge in mounts(objects) if edge.sort == MOUNTS and edge.target in claims]
    edges = [*mounting, *_bound(objects), *_classes(objects)]
    keep = _kept(objects, edges, question)
    pods = {edge.source for edge in mounting}
    drawn = [obj for obj in objects if uid_of(obj) in keep and (obj["kind"] in _KINDS or uid_of(obj) in pods)]
    boxes = [box_of(obj, question) for obj in drawn]
    return Diagram(title="", boxes=tuple(boxes), edges=tuple(edges), groups=tuple(frames(boxes, question)),
                   layout=ONWARD)  # fmt: skip


def _kept(objects: list[Object], edges: list[Edge], question: Question) -> set[str]:
    """What was named with all that is joined to it; without a name, all but volumes of other namespaces' claims."""
    if question.focus:
        keep = set(question.focus)
        close(keep, [edge for edge in edges if edge.sort != CLASSES])
        return keep | {edge.target for edge in edges if edge.sort == CLASSES and edge.source in keep}
    return {uid_of(obj) for obj in objects if not _is_elsewhere(obj, question)}


def _is_elsewhere(obj: Object, question: Question) -> bool:
    claimed = get_path(obj, "spec.claimRef.namespace")
    return bool(question.namespace and obj["kind"] == "PersistentVolume" and claimed not in (None, question.namespace))


def _bound(objects: Iterable[Object]) -> Iterator[Edge]:
    known = by_name(objects)
    for (kind, _, _), claim in known.items():
        name = get_path(claim, "spec.volumeName") if kind == "PersistentVolumeClaim" else ""
        volume = known.get(("PersistentVolume", "", name or ""))
        if volume is not None:
            lost = "" if _confirms(volume, claim) else "and the volume says otherwise"
            yield Edge(sort=BINDS, source=uid_of(claim), target=uid_of(volume), label=lost)


def _confirms(volume: Object, claim: Object) -> bool:
    reference = get_path(volume, "spec.claimRef") or {}
    return (reference.get("namespace"), reference.get("name")) == (namespace_of(claim), claim["metadata"]["name"])


def _classes(objects: Iterable[Object]) -> Iterator[Edge]:
    """Volumes to their classes, and claims that have no volume to the classes that they ask."""
    known = by_name(objects)
    for (kind, _, _), obj in known.items():
        if kind not in ("PersistentVolume", "PersistentVolumeClaim"):
            continue
        found = known.get(("StorageClass", "", class_of(obj) or ""))
        if found is not None and not (kind == "PersistentVolumeClaim" and get_path(obj, "spec.volumeName")):
            yield Edge(sort=CLASSES, source=uid_of(obj), target=uid_of(found))
