"""From API objects to a diagram: which view, what changed between two moments, and how much of it fits.

Interface: `build(objects, question, before=…) -> Diagram`; `VIEWS`, a row for each view that is made of objects.
The rule not to break: a view says all that it has to say, in single boxes; making it small comes last, for all alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from k8snb.apimachinery.meta import Object
from k8snb.notebook.boxes import Question
from k8snb.notebook.changes import compared
from k8snb.notebook.diagram import Diagram, Edge
from k8snb.notebook.draw_network import network
from k8snb.notebook.draw_nodes import nodes
from k8snb.notebook.draw_objects import objects_view
from k8snb.notebook.draw_owners import owners
from k8snb.notebook.draw_storage import storage
from k8snb.notebook.folding import LARGEST, fold

EVERYTHING = Question()
View = Callable[[list[Object], Question], Diagram]
VIEWS: Mapping[str, View] = {
    "objects": objects_view,
    "nodes": nodes,
    "network": network,
    "owner": owners,
    "storage": storage,
}


def build(
    objects: Iterable[Object], question: Question = EVERYTHING, before: Iterable[Object] | None = None
) -> Diagram:
    """The diagram of these objects; with those of a moment `before`, of both, and what became of each."""
    view, now = VIEWS[question.view], list(objects)
    whole = _joined(view(now, question))
    if before is not None:
        earlier = list(before)
        whole = compared(_joined(view(earlier, question)), whole, earlier, now)
    return small(replace(whole, title=question.title, picking=question.picking), question)


def small(diagram: Diagram, question: Question) -> Diagram:
    """The diagram as large as a picture may be; where it had to become smaller than asked for, it says so."""
    count = sum(box.count for box in diagram.boxes)
    folded = fold(diagram, question.more, question.most)
    if question.more < LARGEST or len(folded.boxes) == len(diagram.boxes):
        return folded
    return replace(folded, notes=(*folded.notes, _too_many(count)))


def _too_many(count: int) -> str:
    return (f"{count:,} things are more than the {LARGEST} that a picture can show one by one: "
            "like ones are drawn as one; a name, -n or -l asks for fewer")  # fmt: skip


def _joined(diagram: Diagram) -> Diagram:
    """The edges that have both their ends in the picture."""
    ids = {box.id for box in diagram.boxes}
    return replace(diagram, edges=tuple(edge for edge in diagram.edges if _within(edge, ids)))


def _within(edge: Edge, ids: set[str]) -> bool:
    return edge.source in ids and edge.target in ids
