"""A big picture made small: like pods become one box, like nodes one frame, and at last like things of any kind.

Steps, each taken where the picture is too large still: like pods, all pods of an owner, all that an owner owns, like
things of any kind.
Interface: `fold(diagram, more, most)`; `MORE`, `MOST`, `LARGEST`.
The rule not to break: nothing is lost in the sum: a box for many says how many, and how many of them are not well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from k8snb.notebook.diagram import NODE, OWNS, PLACE, Box, Diagram, Edge, Group
from k8snb.notebook.style import BAD, BUSY, DONE, GOOD, PLAIN, Tone, tone_of

MORE = 12  # like things beyond this number become one
MOST = 100  # boxes that a picture has without being asked to
LARGEST = 400  # boxes that a picture has at most: more take Graphviz minutes, and nobody reads them

Likeness = tuple[object, ...]
_GRAVITY = (PLAIN, DONE, GOOD, BUSY, BAD)


def fold(diagram: Diagram, more: int, most: int) -> Diagram:
    """The diagram with more than `more` like pods of one owner as one box, and with at most about `most` boxes."""
    frames = min(more, MOST)
    if sum(group.kind != PLACE for group in diagram.groups) > frames:
        diagram = _fold_frames(_fold_pods(diagram, min(more, MORE)), frames)
    diagram = _fold_pods(diagram, more)
    for fewer in (MORE, 3, 1):
        if len(diagram.boxes) > most and fewer < more:
            diagram = _fold_pods(diagram, fewer)
    if len(diagram.boxes) > most:
        diagram = _fold_families(diagram)
    if len(diagram.boxes) > most:
        diagram = _fold_like(diagram, lambda box: (box.kind, box.group, box.tone, box.picked, box.mark), 2)
    if len(diagram.boxes) > most:
        diagram = _fold_like(diagram, lambda box: (box.kind, box.tone, box.picked, box.mark), 1)
    return diagram


def _fold_pods(diagram: Diagram, more: int) -> Diagram:
    """Like pods: those of one owner, in one frame, picked alike; without an owner those with the same first name."""
    owner = {edge.target: edge.source for edge in diagram.edges if edge.sort == OWNS}
    names = {box.id: box.name for box in diagram.boxes}
    like: dict[Likeness, list[Box]] = defaultdict(list)
    for box in diagram.boxes:
        if box.kind == "Pod" and box.count == 1:
            parent = owner.get(box.id, "")
            name = names.get(parent) or _stem(box.name)
            like[parent, box.namespace, box.picked, bool(box.nearly), box.group, box.mark, name].append(box)
    crowds = [(crowd, _many(crowd, str(key[-1]))) for key, crowd in like.items() if len(crowd) > more]
    return _merged(diagram, crowds) if crowds else diagram


def _stem(name: str) -> str:
    """What like pods without an owner have in common: the name without its last part."""
    return name.rpartition("-")[0] or name


def _many(crowd: list[Box], name: str) -> Box:
    counts = Counter(box.status for box in crowd)
    ready = sum(box.tone is GOOD for box in crowd)
    rest = tuple(f"{count} {status}" for status, count in counts.most_common() if tone_of(status) is not GOOD)
    status = f"{ready} ready" if ready or not all(box.tone is DONE for box in crowd) else "done"
    first = crowd[0]
    return replace(first, id=f"many {first.id}", name=name, count=len(crowd), status=status, tone=_gravest(crowd),
                   details=rest[:4])  # fmt: skip


def _gravest(crowd: Iterable[Box | Group]) -> Tone:
    return max((each.tone for each in crowd), key=_GRAVITY.index, default=PLAIN)


def _fold_families(diagram: Diagram) -> Diagram:
    """Owners with all that they own, directly or not, as one box that counts them; slices with their endpoints."""
    boxes = {box.id: box for box in diagram.boxes}
    owner = {edge.target: edge.source for edge in diagram.edges if boxes[edge.source].kind == "EndpointSlice"}
    owner |= {edge.target: edge.source for edge in diagram.edges if edge.sort == OWNS}
    families: dict[str, list[Box]] = defaultdict(list)
    for box in diagram.boxes:
        families[_root(box, owner, boxes)].append(box)
    return _merged(diagram, [(family, _family(boxes[root], family)) for root, family in families.items()])


def _root(box: Box, owner: Mapping[str, str], boxes: Mapping[str, Box]) -> str:
    """The first of a box's owners that stands in the same frame, picked and marked like it."""
    seen, root = {box.id}, box
    while (above := boxes.get(owner.get(root.id, ""))) is not None and above.id not in seen:
        if above.group != box.group or above.mark != box.mark:
            break
        seen.add(above.id)
        root = above
    return root.id


def _family(root: Box, family: list[Box]) -> Box:
    """The owner, with what it owns in numbers and who of them is not well."""
    if len(family) == 1:
        return root
    kinds: Counter[str] = Counter()
    for box in family:
        kinds[box.kind] += box.count if box is not root else 0
    owned = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items() if count)
    ill = tuple(line for box in family if box.kind == "Pod" and box.tone in (BUSY, BAD)
                for line in (box.details if box.count > 1 else (f"{box.name}: {box.status}",)))  # fmt: skip
    return replace(root, tone=_gravest(family), details=(owned, *ill[:3]), picked=_together(family))


def _together(family: list[Box]) -> bool | None:
    """Whether any of a family is picked; None where nobody asked."""
    found = {box.picked for box in family} - {None}
    return True in found if found else None


def _fold_like(diagram: Diagram, likeness: Callable[[Box], Likeness], more: int) -> Diagram:
    """Things of one kind that are doing equally well, of which there are more than `more`, as one box."""
    like: dict[Likeness, list[Box]] = defaultdict(list)
    for box in diagram.boxes:
        like[likeness(box)].append(box)
    crowds = [crowd for crowd in like.values() if len(crowd) > more]
    return _merged(diagram, [(crowd, _sum(crowd)) for crowd in crowds])


def _sum(crowd: list[Box]) -> Box:
    """One box for things of one kind and tone."""
    first, count = crowd[0], sum(box.count for box in crowd)
    groups = {box.group for box in crowd}
    statuses = {box.status for box in crowd}
    single = all(box.count == 1 for box in crowd)
    status = statuses.pop() if len(statuses) == 1 and single else first.tone.word
    spaces = len({box.namespace for box in crowd})
    return replace(
        first, id=f"all {first.id}", name=_common(crowd), count=count, status=status,
        group=first.group if len(groups) == 1 else "", details=(f"in {spaces} namespaces",) if spaces > 1 else (),
    )  # fmt: skip


def _common(crowd: list[Box]) -> str:
    """The name of like things: the one that they share, or the first of theirs."""
    first, *others = dict.fromkeys(_stem(box.name) for box in crowd)
    return f"{first} and {len(others)} more" if others else first


def _merged(diagram: Diagram, crowds: list[tuple[list[Box], Box]]) -> Diagram:
    """The diagram with one box in place of each crowd."""
    into = {box.id: whole.id for crowd, whole in crowds for box in crowd}
    boxes = [*(box for box in diagram.boxes if box.id not in into), *(whole for _, whole in crowds)]
    return replace(diagram, boxes=tuple(boxes), edges=tuple(_moved(diagram.edges, into)))


def _moved(edges: Iterable[Edge], into: Mapping[str, str]) -> list[Edge]:
    """Edges that end at the boxes which stand for the folded ones, each once, with its number and what all say."""
    like: dict[Likeness, list[Edge]] = defaultdict(list)
    for edge in edges:
        source, target = into.get(edge.source, edge.source), into.get(edge.target, edge.target)
        if source != target:
            like[edge.sort, source, target, edge.mark].append(replace(edge, source=source, target=target))
    return [replace(crowd[0], label=_common_label(crowd), count=sum(edge.count for edge in crowd))
            for crowd in like.values()]  # fmt: skip


def _common_label(crowd: list[Edge]) -> str:
    labels = {edge.label for edge in crowd}
    return labels.pop() if len(labels) == 1 else ""


# frames


def _fold_frames(diagram: Diagram, more: int) -> Diagram:
    """Many frames: those in trouble and those with a mark stay, the others become one with their boxes counted."""
    places = [group for group in diagram.groups if group.kind == PLACE]
    like = [group for group in diagram.groups if group.kind != PLACE]
    kept = [group for group in like if group.tone not in (GOOD, PLAIN) or group.mark][:more]
    names = {group.id for group in (*places, *kept)}
    rest = [group for group in like if group.id not in names]
    word = "nodes" if rest and rest[0].kind == NODE else "namespaces"
    whole = Group(id=f"other {word}", kind="", title=f"{len(rest)} {word}", status=_tally(rest), tone=_gravest(rest))
    inside = {group.id for group in rest}
    boxes = [replace(box, group=whole.id) if box.group in inside else box for box in diagram.boxes]
    diagram = replace(diagram, groups=(*places, *kept, whole), boxes=tuple(boxes))
    return _fold_inside(diagram, whole.id)


def _tally(groups: list[Group]) -> str:
    counts = Counter(group.status for group in groups if group.status)
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def _fold_inside(diagram: Diagram, group: str) -> Diagram:
    """The boxes of one frame, of a name and a tone together."""
    like: dict[Likeness, list[Box]] = defaultdict(list)
    for box in diagram.boxes:
        if box.group == group:
            name = _stem(box.name) if box.kind == "Pod" and box.count == 1 else box.name
            like[box.kind, box.picked, box.tone, box.mark, name].append(box)
    crowds = [(crowd, str(key[-1])) for key, crowd in like.items() if len(crowd) > 1]
    return _merged(diagram, [(crowd, replace(_sum(crowd), name=name)) for crowd, name in crowds])
