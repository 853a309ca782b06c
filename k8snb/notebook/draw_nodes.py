"""The view `nodes`: pods in their nodes, and how much of each node they ask for.

Interface: `nodes(objects, question) -> Diagram`.
The rule not to break: what is requested is counted over the node's pods that have not ended, of every namespace.
Source: `describeNodeResource` in `pkg/describe/describe.go` of the kubectl repository.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of, uid_of
from k8snb.apimachinery.quantity import milli, to_bytes
from k8snb.notebook.boxes import Question, box_of
from k8snb.notebook.diagram import OWNS, Bar, Box, Diagram, Group
from k8snb.notebook.relations import edges_of, related
from k8snb.notebook.style import BAD, BUSY, tone_of
from k8snb.printers import columns as printers
from k8snb.scheduler.requests import request_of


def nodes(objects: list[Object], question: Question) -> Diagram:
    """One frame for each node, one for pods that have none yet."""
    pods = [obj for obj in objects if obj["kind"] == "Pod"]
    machines = [obj for obj in objects if obj["kind"] == "Node" and _wanted(obj, objects, question)]
    shown = _shown(objects, question)
    edges = tuple(edge for edge in edges_of(shown) if edge.sort == OWNS)
    boxes = [_placed(pod, question) for pod in shown if _is_asked_for(pod, question)]
    if len(machines) < sum(obj["kind"] == "Node" for obj in objects):
        names = {name_of(machine) for machine in machines}
        boxes = [box for box in boxes if box.group in names]
    return Diagram(title="", boxes=tuple(boxes), edges=edges, groups=tuple(_groups(machines, boxes, pods)))


def _is_asked_for(obj: Object, question: Question) -> bool:
    return obj["kind"] == "Pod" and question.namespace in ("", namespace_of(obj))


def _wanted(node: Object, objects: list[Object], question: Question) -> bool:
    named = [obj for obj in objects if obj["kind"] == "Node" and uid_of(obj) in question.focus]
    return not named or node in named


def _shown(objects: list[Object], question: Question) -> list[Object]:
    focus = question.focus - {uid_of(obj) for obj in objects if obj["kind"] == "Node"}
    return related(objects, edges_of(objects), focus) if focus else objects


def _placed(pod: Object, question: Question) -> Box:
    box = box_of(pod, question)
    name = f"{box.namespace}/{box.name}" if question.namespaces and box.namespace else box.name
    return replace(box, name=name, group=get_path(pod, "spec.nodeName") or "")


def _groups(machines: list[Object], boxes: list[Box], pods: list[Object]) -> list[Group]:
    asked, counts = _asked(pods)
    own = Counter(box.group for box in boxes)
    groups = [_group(obj, asked[name_of(obj)], counts[name_of(obj)], own[name_of(obj)]) for obj in machines]
    known = {group.id for group in groups}
    used = {box.group for box in boxes}
    return [*groups, *(_absent(name) for name in sorted(used - known))]


def _asked(pods: Iterable[Object]) -> tuple[dict[str, Counter[str]], Counter[str]]:
    """What the pods of each node ask for, and how many they are."""
    asked: dict[str, Counter[str]] = defaultdict(Counter)
    counts: Counter[str] = Counter()
    for pod in pods:
        node = get_path(pod, "spec.nodeName") or ""
        if node and get_path(pod, "status.phase") not in ("Succeeded", "Failed"):
            asked[node].update(request_of(pod).needed)
            counts[node] += 1
    return asked, counts


def _absent(name: str) -> Group:
    """The frame for pods that no node of the cluster has."""
    if name:
        return Group(id=name, title=name, status="gone", tone=BAD)
    return Group(id="", title="no node yet", status="Pending", tone=BUSY)


def _group(node: Object, asked: Counter[str], count: int, shown: int) -> Group:
    status, room = printers.node_status(node), get_path(node, "status.allocatable") or {}
    others = count - shown
    return Group(
        id=name_of(node), title=name_of(node), status=status, tone=tone_of(status), bars=_bars(room, asked, count),
        details=(f"and {others} pod{'s' if others > 1 else ''} not shown",) if others > 0 else (),
    )  # fmt: skip


def _bars(room: Object, asked: Counter[str], count: int) -> tuple[Bar, ...]:
    """Requested against allocatable: CPU, memory, and places for pods."""
    bars = []
    if "cpu" in room:
        whole = milli(room["cpu"])
        bars.append(_bar("cpu", asked["cpu"], whole, _cores(asked["cpu"]), _cores(whole)))
    if "memory" in room:
        whole = to_bytes(room["memory"])
        bars.append(_bar("memory", asked["memory"], whole, rounded(asked["memory"]), rounded(whole)))
    if "pods" in room:
        bars.append(_bar("pods", count, int(room["pods"]), str(count), str(room["pods"])))
    return tuple(bars)


def _bar(word: str, used: int, whole: int, used_text: str, whole_text: str) -> Bar:
    return Bar(word=word, used=used_text, total=whole_text, share=used / whole if whole else 0.0)


def _cores(millis: int) -> str:
    return f"{millis}m" if millis % 1000 else str(millis // 1000)


def rounded(amount: float) -> str:
    """Memory in the unit in which it is a small number: 25276498944 → `23.5Gi`."""
    unit = ""
    for larger in ("Ki", "Mi", "Gi", "Ti"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.1f}".removesuffix(".0") + unit
