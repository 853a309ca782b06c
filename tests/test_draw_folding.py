"""Large pictures made small: what becomes one, what stays, and what is said of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from k8snb.notebook.boxes import Question
from k8snb.notebook.composition import build
from k8snb.notebook.diagram import OWNS, ROUTES, SELECTS, Diagram, describe
from k8snb.notebook.draw import Picture
from k8snb.notebook.folding import LARGEST, MOST
from k8snb.notebook.packing import COLUMNS, natural, packed

Object = dict[str, Any]
EXPANDED = Question(more=LARGEST, most=LARGEST)


def meta(kind: str, name: str, owner: Object | None = None, **more: Any) -> Object:
    owners = (
        {"ownerReferences": [{"kind": owner["kind"], "name": "", "uid": owner["metadata"]["uid"]}]} if owner else {}
    )
    return {"name": name, "namespace": "default", "uid": f"{kind}-{name}", **owners, **more}


def pod(name: str, owner: Object | None, *, app: str = "", ready: bool = True) -> Object:
    status = {"phase": "Running" if ready else "Pending", "conditions": [{"type": "Ready", "status": str(ready)}]}
    metadata = meta("Pod", name, owner, labels={"app": app})
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": []}, "status": status}


def application(name: str, pods: int, ready: int | None = None) -> list[Object]:
    """A Deployment, its ReplicaSet and pods, and a Service."""
    ready = pods if ready is None else ready
    counts: Object = {"spec": {"replicas": pods}, "status": {"readyReplicas": ready}}
    deployment: Object = {"kind": "Deployment", "metadata": meta("Deployment", name), **counts}
    replicas: Object = {"kind": "ReplicaSet", "metadata": meta("ReplicaSet", f"{name}-5d8f", deployment), **counts}
    own = [pod(f"{name}-5d8f-{number}", replicas, app=name, ready=number < ready) for number in range(pods)]
    spec = {"selector": {"app": name}, "clusterIP": "10.96.0.1", "ports": [{"port": 80}]}
    return [deployment, replicas, *own, {"kind": "Service", "metadata": meta("Service", name), "spec": spec}]


def applications(count: int, pods: int) -> list[Object]:
    return [obj for number in range(count) for obj in application(f"web-{number}", pods)]


def pods_told(diagram: Diagram) -> int:
    """The pods that a diagram speaks of, in boxes of their own and in those of their owners."""
    told = sum(box.count for box in diagram.boxes if box.kind == "Pod")
    counts = (re.search(r"(\d+) Pod", " ".join(box.details)) for box in diagram.boxes if box.kind != "Pod")
    return told + sum(int(found[1]) for found in counts if found)


@pytest.mark.parametrize(("count", "pods"), [(1, 5), (10, 10), (20, 10), (50, 20), (1, 1000)])
def test_a_picture_stays_small_and_no_pod_is_lost(count: int, pods: int) -> None:
    diagram = build(applications(count, pods))
    assert len(diagram.boxes) <= MOST
    assert pods_told(diagram) == count * pods


def test_owners_are_told_with_what_they_own_when_there_are_many() -> None:
    diagram = build([*applications(49, 20), *application("ill", 20, ready=17)])
    healthy, ill = diagram.box("Deployment/web-7"), diagram.box("Deployment/ill")
    assert (healthy.status, healthy.details) == ("20/20 ready", ("1 ReplicaSet, 20 Pods",))
    assert (ill.status, ill.tone.name, ill.details) == ("17/20 ready", "busy", ("1 ReplicaSet, 20 Pods", "3 Pending"))
    assert not [edge for edge in diagram.edges if edge.sort == OWNS]
    assert {edge.count for edge in diagram.edges if edge.sort == SELECTS} == {20}


def test_of_very_many_alike_those_in_trouble_stay_apart() -> None:
    diagram = build([*applications(300, 3), *application("ill", 3, ready=0)])
    assert len(diagram.boxes) <= MOST
    assert diagram.box("Deployment/ill").count == 1
    assert "300" in describe(diagram)


def test_asked_to_expand_a_picture_shows_each_one() -> None:
    diagram = build(applications(5, 40), EXPANDED)
    assert sum(box.kind == "Pod" for box in diagram.boxes) == 200 and diagram.notes == ()


def test_ten_thousand_pods_one_by_one_become_a_smaller_picture_and_a_sentence() -> None:
    diagram = build(applications(10, 1000), EXPANDED)
    picture = Picture(diagram, [])
    assert len(diagram.boxes) <= LARGEST and pods_told(diagram) == 10_000
    assert diagram.notes[0].startswith("10,030 things are more than the 400 that a picture can show one by one")
    assert diagram.notes[0] in picture.svg and diagram.notes[0] in repr(picture)


def test_edges_between_the_same_two_boxes_become_one() -> None:
    diagram = build(applications(300, 2))
    ends = [(edge.sort, edge.source, edge.target) for edge in diagram.edges]
    assert len(ends) == len(set(ends)) and len(ends) < 10
    assert not [edge for edge in diagram.edges if edge.sort == ROUTES]


# beside each other


def test_what_nothing_joins_stands_beside_each_other() -> None:
    rows = packed([str(number) for number in range(12)], [])
    assert len(rows.below) == 3 and all(int(left) + 1 == int(right) for left, right in rows.beside)


def test_a_chain_as_long_as_the_page_has_a_row_of_its_own() -> None:
    chain = [(str(at), str(at + 1)) for at in range(COLUMNS - 1)]
    rows = packed([*map(str, range(COLUMNS)), "a", "b", "c"], chain)
    assert rows.below[0] == "0" and not [pair for pair in rows.beside if pair[0] in map(str, range(COLUMNS))]


def test_few_parts_stand_below_each_other_and_so_does_what_leads_out_of_its_frame() -> None:
    assert packed(["a", "b", "c"], []).beside == []
    assert packed(["a", "b", "c", "d"], [("a", "elsewhere")]).beside == []


def test_a_circle_ends() -> None:
    assert packed(["a", "b", "c", "d", "e"], [("a", "b"), ("b", "a")]).below


def test_numbers_in_names_count_as_numbers() -> None:
    assert sorted(["node-10", "node-2", "node", "node-1"], key=natural) == ["node", "node-1", "node-2", "node-10"]
