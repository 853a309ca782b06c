"""The views of %kdraw on a cluster with one of everything, and what their pictures have in common.

What an edge may claim is told by `concepts/architecture`, `concepts/services-networking` and `concepts/storage` of the
documentation; what a node's bars count, by `describeNodeResource` in `pkg/describe/describe.go` of the kubectl
repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from diagram_lab import showcase

from k8snb.apimachinery.meta import name_of
from k8snb.cluster import Cluster
from k8snb.kubectl.output import KubectlError
from k8snb.notebook import kdraw
from k8snb.notebook.diagram import (
    ADMITS,
    BINDS,
    CALLS,
    CLASSES,
    GUARDS,
    MOUNTS,
    OWNS,
    READS,
    ROUTES,
    SCALES,
    SELECTS,
    SILENT,
    TALKS,
    Diagram,
)
from k8snb.notebook.draw import Picture
from k8snb.notebook.themes import DARK

VIEWS = ("objects", "nodes", "network", "storage", "owner", "components")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with showcase() as cluster:
        yield cluster


def joined(diagram: Diagram, sort: str) -> set[tuple[str, str]]:
    """Which boxes an edge of this sort joins, without what names are made unique with."""
    names = {box.id: _plain(box.name) for box in diagram.boxes}
    return {(names[edge.source], names[edge.target]) for edge in diagram.edges if edge.sort == sort}


def _plain(name: str) -> str:
    return re.sub(r"(-[0-9a-f]{8,10})?-[a-z0-9]{5}$|-[0-9a-f]{8,10}$", "", name)


def texts(svg: str) -> list[str]:
    return [str(element.text) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


# what each view says


def test_objects_are_joined_by_what_they_own_select_route_to_mount_read_and_scale(cluster: Cluster) -> None:
    diagram = cluster.draw().diagram
    assert {("web", "web"), ("db", "db-0"), ("agent", "agent"), ("old", "old"), ("count", "count")} <= joined(
        diagram, OWNS
    )
    assert joined(diagram, SELECTS) == {("web", "web"), ("db", "db-0"), ("db", "db-1")}
    assert joined(diagram, ROUTES) == {("web", "web"), ("db", "db-0"), ("db", "db-1")}
    assert joined(diagram, MOUNTS) == {("web", "page"), ("alone", "data"), ("db-0", "data-db-0"), ("db-1", "data-db-1")}
    assert joined(diagram, READS) == {("web", "key")}
    assert joined(diagram, SCALES) == {("web", "web")}
    assert {edge.label for edge in diagram.edges if edge.sort == READS} == {"PASSWORD"}
    assert {"/usr/share/nginx/html", "/d", "/data"} == {edge.label for edge in diagram.edges if edge.sort == MOUNTS}


def test_what_nobody_mounts_is_drawn_when_it_is_asked_for(cluster: Cluster) -> None:
    assert "nobody-reads-me" not in cluster.draw().text
    assert "ConfigMap nobody-reads-me: 1 key" in cluster.draw("configmap/nobody-reads-me").text
    assert {box.kind for box in cluster.draw("configmap/page").diagram.boxes} >= {"ConfigMap", "Pod", "Deployment"}


def test_the_bars_of_a_node_count_what_its_pods_request(cluster: Cluster) -> None:
    diagram = cluster.draw("nodes").diagram
    on = {name: sum(box.group == name and box.name.startswith("web-") for box in diagram.boxes)
          for name in ("node-1", "node-2")}  # fmt: skip
    for group in diagram.groups:
        if group.id in on:
            bars = {bar.word: bar for bar in group.bars}
            assert bars["cpu"].share == pytest.approx(on[group.id] * 0.25 / 4)
            assert bars["memory"].total == "8Gi" and bars["cpu"].total == "4"
    assert sum(on.values()) == 3
    assert diagram.box("too-big").group == "" and diagram.groups[-1].title == "no node yet"


def test_one_node_can_be_asked_for(cluster: Cluster) -> None:
    diagram = cluster.draw("node/node-1").diagram
    assert [group.id for group in diagram.groups] == ["node-1"]
    assert {box.group for box in diagram.boxes} == {"node-1"}


def test_the_network_leads_from_a_client_to_the_pods_that_answer(cluster: Cluster) -> None:
    diagram = cluster.draw("network").diagram
    assert joined(diagram, CALLS) == {("client", "site")}
    assert {("site", "web"), ("site", "lonely"), ("web", "web"), ("db", "db-0"), ("db", "db-1")} <= joined(
        diagram, ROUTES
    )
    labels = {edge.label for edge in diagram.edges if edge.sort == ROUTES}
    assert {"example.test/ to port http", "example.test/none to port 80", "http 80→8080", "redis 6379→6379"} <= labels
    assert next(box for box in diagram.boxes if box.name.startswith("lonely-")).status == "no endpoints"


def test_a_network_policy_guards_pods_and_admits_others(cluster: Cluster) -> None:
    diagram = cluster.draw("network").diagram
    assert joined(diagram, GUARDS) == {("only-web", "db-0"), ("only-web", "db-1")}
    assert joined(diagram, ADMITS) == {("only-web", "web")}
    assert diagram.box("only-web").details == ("in: pods tier=front on 6379",)


def test_storage_leads_from_pods_to_claims_to_volumes_to_classes(cluster: Cluster) -> None:
    diagram = cluster.draw("storage").diagram
    assert {("alone", "data"), ("db-0", "data-db-0"), ("db-1", "data-db-1")} == joined(diagram, MOUNTS)
    assert len(joined(diagram, BINDS)) == 3 and {target for _, target in joined(diagram, CLASSES)} == {"standard"}
    assert (diagram.box("too-much").status, diagram.box("too-much").tone.name) == ("Pending", "busy")


def test_an_owner_tree_goes_up_and_down_from_the_object(cluster: Cluster) -> None:
    pod = next(name_of(pod) for pod in cluster.client.items("pods", "default") if name_of(pod).startswith("web-"))
    diagram = cluster.draw("owner", f"pod/{pod}").diagram
    assert joined(diagram, OWNS) == {("web", "web")} and len(diagram.boxes) == 5
    assert {box.kind for box in cluster.draw("owner", "svc/web").diagram.boxes} == {"Service", "EndpointSlice"}


def test_an_owner_that_is_gone_is_drawn_as_gone(cluster: Cluster) -> None:
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "ghost", "uid": "u-1"}
    metadata = {"name": "c", "uid": "u-2", "ownerReferences": [reference]}
    diagram = cluster.draw("owner", "configmap/page").diagram
    assert len(diagram.boxes) == 1
    view = kdraw.build(
        [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}],
        kdraw.Question(view="owner", focus=frozenset({"u-2"})),
    )  # fmt: skip
    assert (view.box("ghost").status, view.box("ghost").tone.name) == ("gone", "bad")


def test_components_talk_to_the_apiserver_and_it_alone_to_etcd(cluster: Cluster) -> None:
    diagram = cluster.draw("components").diagram
    assert {source for source, target in joined(diagram, TALKS) if target == "etcd"} == {"kube-apiserver"}
    names = {box.id: box.name for box in diagram.boxes}
    talkers = {names[edge.source] for edge in diagram.edges if names[edge.target] == "kube-apiserver"}
    assert {"you", "kube-scheduler", "kube-controller-manager", "kubelet", "kube-proxy", "coredns"} <= talkers
    assert {group.title for group in diagram.groups} >= {"control plane", "addons", "node-1", "node-2"}


def test_of_a_cluster_elsewhere_components_are_what_its_api_tells(cluster: Cluster) -> None:
    diagram = kdraw.picture(cluster.client, ["components"]).diagram
    assert (diagram.box("kube-apiserver").status, diagram.box("kubelet").status) == ("Running", "Running")
    assert {group.title for group in diagram.groups} == {"control plane", "control-plane", "node-1", "node-2"}


def test_a_stopped_component_is_drawn_and_talks_to_nobody() -> None:
    with showcase() as cluster:
        cluster.component("kube-scheduler").stop()
        cluster.component("deployment-controller").stop()
        diagram = cluster.draw("components").diagram
        assert joined(diagram, SILENT) == {("kube-scheduler", "kube-apiserver")}
        assert (diagram.box("kube-scheduler").status, diagram.box("kube-scheduler").tone.name) == ("Stopped", "bad")
        assert diagram.box("kube-controller-manager").details == ("stopped: deployment-controller",)
        cluster.stop()
        assert "etcd: Stopped" in cluster.draw("components").text


def test_namespaces_are_frames_where_there_are_several(cluster: Cluster) -> None:
    diagram = cluster.draw("-A").diagram
    assert {group.title for group in diagram.groups} >= {"default", "kube-system"}
    assert {box.group for box in diagram.boxes if box.name == "web"} == {"default"}
    assert not cluster.draw().diagram.groups


# of another moment


def test_an_earlier_revision_is_drawn_as_it_was_and_a_difference_says_what_became_of_each() -> None:
    with showcase() as cluster:
        then = cluster.store.revision
        cluster.kubectl.run(["scale", "deployment", "web", "--replicas=2"])
        cluster.kubectl.run(["delete", "pod", "alone"])
        cluster.kubectl.run(["run", "fresh", "--image=nginx"])
        cluster.settle(limit=60)
        assert cluster.draw(at=then).diagram.box("alone").status == "Running"
        assert "alone" not in cluster.draw().text
        diagram = cluster.draw(diff=then).diagram
        marks = {_plain(box.name): box.mark for box in diagram.boxes if box.kind in ("Pod", "Deployment") and box.mark}
        assert (
            marks == {"alone": "removed", "fresh": "added", "web": "removed"} | {"web": "changed"}
            or marks["fresh"] == "added"
        )
        assert diagram.box("Deployment/web").mark == "changed"
        assert {"was 3/3 ready", "spec.replicas"} <= set(diagram.box("Deployment/web").details)
        assert diagram.box("alone").mark == "removed" and diagram.box("StatefulSet/db").mark == ""
        assert {edge.mark for edge in diagram.edges if edge.target == diagram.box("data-db-0").id} == {""}
        svg = cluster.draw(diff=then).svg
        assert {"+ added", "− removed", "Δ changed"} <= set(texts(svg))
        assert diagram.title == f"everything in default, from revision {then} to now"
        cluster.store.compact(then + 1)
        with pytest.raises(KubectlError, match=f"required revision {then} has been compacted"):
            cluster.draw(at=then)


def test_a_moment_that_is_not_known_is_refused_in_a_sentence(cluster: Cluster) -> None:
    with pytest.raises(KubectlError, match="revision 1000000 has not happened"):
        cluster.draw(at=1000000)
    with pytest.raises(KubectlError, match='--at "soon": a revision is a number'):
        cluster.draw(at="soon")
    with pytest.raises(KubectlError, match="--diff: components are drawn all together and as they are now"):
        cluster.draw("components", diff=3)


# pictures


@pytest.mark.parametrize("view", VIEWS)
def test_every_graphviz_draws_the_same_boxes_edges_and_texts(
    cluster: Cluster, view: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wasmtime")
    one = cluster.draw(view).svg
    monkeypatch.setenv("PATH", "")
    other = cluster.draw(view).svg
    for sort in ("node", "edge", "cluster"):
        assert _hovers(one, sort) == _hovers(other, sort)
    assert sorted(texts(one)) == sorted(texts(other))


def _hovers(svg: str, sort: str) -> list[str]:
    found = [element for element in ElementTree.fromstring(svg).iter(f"{SVG}g") if element.get("class") == sort]
    return sorted(str(title.text) for element in found for title in element.iter(f"{SVG}title"))


@pytest.mark.parametrize("view", VIEWS)
def test_every_box_says_under_a_pointer_what_its_colours_say(cluster: Cluster, view: str) -> None:
    picture = cluster.draw(view)
    hovers = _hovers(picture.svg, "node")
    for box in picture.diagram.boxes:
        assert any(box.name in hover and box.status in hover for hover in hovers), box
    shown = " ".join(texts(picture.svg))
    assert all(box.tone.symbol in shown and box.name in shown for box in picture.diagram.boxes)


@pytest.mark.parametrize("view", VIEWS)
def test_every_colour_has_one_for_a_dark_page(cluster: Cluster, view: str) -> None:
    svg = re.sub(r"<style>.*?</style>", "", cluster.draw(view).svg, flags=re.DOTALL)
    colours = set(re.findall(r'(?:fill|stroke)="(#[0-9a-f]{6})"', svg))
    assert colours and colours <= set(DARK)


def test_a_picture_shows_where_html_is_sanitised(cluster: Cluster) -> None:
    """A page that drops <svg> and <style> keeps the image, whose words are its alternative text."""
    html = cluster.draw("deployment/web")._repr_mimebundle_()[0]["text/html"]
    left = re.sub(r"<svg.*?</svg>", "", html, flags=re.DOTALL)
    assert 'src="data:image/svg+xml;base64,' in left and "Deployment web: 3/3 ready" in left
    assert 'class="k8snb-live" hidden="hidden" style="display:none"' in left and "<style" not in left


def test_the_formats_of_a_picture(cluster: Cluster, tmp_path: Path) -> None:
    for name, begin in (
        ("a.svg", b"<svg"),
        ("a.dot", b"digraph"),
        ("a.html", b"<!doctype html>"),
        ("a.txt", b"svc/web"),
    ):
        cluster.draw("svc/web", out=tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begin)
    with pytest.raises(KubectlError, match=r"ends in one of \.svg, \.png"):
        cluster.draw(out=tmp_path / "a.gif")
    with pytest.raises(KubectlError, match="No such file or directory"):
        cluster.draw(out=tmp_path / "none" / "a.svg")


def test_a_png_has_pixels_where_dot_is_and_is_refused_elsewhere(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    if shutil.which("dot"):
        assert cluster.draw("svc/web").png.startswith(b"\x89PNG")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(KubectlError, match="a PNG needs Graphviz's `dot`"):
        cluster.draw("svc/web", output="png")._repr_mimebundle_()


def test_lines_that_ask_for_what_no_view_has_are_refused(cluster: Cluster) -> None:
    for words, message in (
        (("network", "pods"), "the view network is asked for objects, pod/NAME"),
        (("components", "pods"), "pods: components are drawn all together"),
        (("--view", "netwrok"), "one of objects, nodes"),
        (("-o", "gif"), "one of svg, png"),
        (("owner", "deployment/none"), 'deployments.apps "none" not found'),
        (("-l", "a=("), "unable to parse requirement"),
    ):
        with pytest.raises(KubectlError, match=re.escape(message)):
            cluster.draw(*words)


def test_an_empty_cluster_has_pictures_too() -> None:
    for view in ("objects", "nodes", "network", "storage", "owner"):
        picture = Picture(kdraw.build([], kdraw.Question(view=view, title=view)), [])
        assert ElementTree.fromstring(picture.svg) is not None
        assert "there is nothing to draw" in picture.text


ODD = (
    'a"b',
    "a\\",
    "<script>alert(1)</script>",
    "&amp;",
    "x" * 300,
    "日本\u202e語",
    "]]>",
    "a\nb\x00\x1b",
    "\\N \\G",
    "%s{}",
    "\ue0000",
)


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("view", ["objects", "nodes", "network"])
def test_what_stands_in_objects_stays_text(text: str, view: str, monkeypatch: pytest.MonkeyPatch) -> None:
    odd: list[Any] = [
        {"kind": "Pod", "metadata": {"name": text, "namespace": text, "uid": text, "labels": {"app": text}},
         "spec": {"nodeName": text, "containers": []}, "status": {"phase": "Failed", "reason": text}},
        {"kind": "Service", "metadata": {"name": text, "namespace": text, "uid": f"s{text}"},
         "spec": {"selector": {"app": text}, "type": "ExternalName", "externalName": text, "ports": []}},
        {"kind": "Ingress", "metadata": {"name": text, "namespace": text, "uid": f"i{text}"},
         "spec": {"rules": [{"host": text, "http": {"paths": [
             {"path": text, "backend": {"service": {"name": text, "port": {"name": text}}}}]}}]}},
        {"kind": "Node", "metadata": {"name": text, "uid": f"n{text}"}},
    ]  # fmt: skip
    diagram = kdraw.build(odd, kdraw.Question(view=view, title=text, namespaces=True))
    for path in (None, ""):
        if path is not None:
            monkeypatch.setenv("PATH", path)
        picture = Picture(diagram, [])
        tree = ElementTree.fromstring(picture.svg)
        assert not [element for element in tree.iter() if element.tag.endswith(("script", "}a"))]
        assert picture.live.count("<svg") == 1 and "<script" not in picture.live
    assert len([e for e in tree.iter(f"{SVG}g") if e.get("class") == "node"]) == len(diagram.boxes)
