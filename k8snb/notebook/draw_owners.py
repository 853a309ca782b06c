"""The view `owner`: one object's owner references, up to whoever owns all and down to whatever is owned.

Interface: `owners(objects, question) -> Diagram`.
The rule not to break: an owner that is gone is drawn as gone: what it owned is waiting for the garbage collector.
Source: `concepts/overview/working-with-objects/owners-dependents` of the documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from k8snb.apimachinery.meta import Object, namespace_of, uid_of
from k8snb.notebook.boxes import Question, box_of
from k8snb.notebook.diagram import OWNS, Box, Diagram, Edge
from k8snb.notebook.draw_objects import frames
from k8snb.notebook.relations import close
from k8snb.notebook.style import BAD


def owners(objects: list[Object], question: Question) -> Diagram:
    """The trees in which the objects asked for stand; without any, all trees of more than one object."""
    edges = list(_edges(objects))
    inside = {uid_of(obj) for obj in objects if namespace_of(obj)}
    keep = set(question.focus) or {end for edge in edges if edge.target in inside for end in (edge.source, edge.target)}
    close(keep, edges)
    drawn = [obj for obj in objects if uid_of(obj) in keep]
    boxes = [*(box_of(obj, question) for obj in drawn), *_gone(drawn, objects, question)]
    return Diagram(title="", boxes=tuple(boxes), edges=tuple(edges), groups=tuple(frames(boxes, question)))


def _edges(objects: Iterable[Object]) -> Iterator[Edge]:
    """Owner references; one of several owners may be the controller, which the label says."""
    for obj in objects:
        references = obj["metadata"].get("ownerReferences") or ()
        for reference in references:
            label = "controller" if reference.get("controller") and len(references) > 1 else ""
            yield Edge(sort=OWNS, source=reference["uid"], target=uid_of(obj), label=label)


def _gone(drawn: list[Object], objects: list[Object], question: Question) -> list[Box]:
    """A box for each owner that somebody names and that is not there."""
    there = {uid_of(obj) for obj in objects}
    found = {}
    for obj in drawn:
        for reference in obj["metadata"].get("ownerReferences") or ():
            if reference["uid"] not in there:
                group = namespace_of(obj) if question.namespaces else ""
                found[reference["uid"]] = Box(id=reference["uid"], kind=reference["kind"], name=reference["name"],
                                              status="gone", tone=BAD, group=group)  # fmt: skip
    return list(found.values())
