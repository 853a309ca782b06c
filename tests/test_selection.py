"""%kselect: what is picked and nearly picked, by whom, and who of a Service's pods get no traffic.

Which pods are endpoints is upstream's `staging/src/k8s.io/endpointslice` (`podToEndpoint`, `ShouldPodBeInEndpoints`);
a named target port is found as in `FindPort` of `pkg/api/v1/pod`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from diagram_lab import showcase

from k8snb.cluster import Cluster
from k8snb.notebook import kstory
from k8snb.notebook.kselect import Selected
from k8snb.notebook.style import PLAIN
from k8snb.printers.table import Table

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}
spec:
  {more}
  containers: [{{name: c, image: {image}, ports: [{{name: {port}, containerPort: 8080}}]}}]
"""


def pod(name: str, *, namespace: str = "default", labels: str = "{app: web, tier: front}", image: str = "nginx",
        port: str = "http", more: str = "terminationGracePeriodSeconds: 1") -> str:  # fmt: skip
    return POD.format(name=name, namespace=namespace, labels=labels, image=image, port=port, more=more)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with showcase() as cluster:
        cluster.kubectl.run(["create", "namespace", "blue"])
        manifests = (
            pod("misspelt", labels="{app: wep, tier: front}"),
            pod("far", namespace="blue"),
            pod("stuck", more="nodeSelector: {no: such}"),
            pod("unready", more="readinessGates: [{conditionType: example.com/gate}]"),
            pod("other-port", port="web"),
        )
        cluster.kubectl.run(["apply", "-f", "-"], stdin="---".join(manifests))
        cluster.settle(limit=60)
        yield cluster


def chosen(cluster: Cluster, *words: str) -> Selected:
    answer = kstory.run(cluster, "select", list(words))
    assert isinstance(answer, Selected)
    return answer


def rows(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.header, line, strict=True)) for line in table.cells]


def whys(answer: Selected) -> dict[str, str]:
    return {row["POD"]: row["WHY"] for row in rows(answer.output.tables[0])}


def test_each_pod_of_a_service_gets_traffic_or_there_is_a_reason(cluster: Cluster) -> None:
    answer = chosen(cluster, "svc/web")
    endpoints = {row["POD"]: row["ENDPOINT"] for row in rows(answer.output.tables[0]) if row["PICKED"] == "yes"}
    why = whys(answer)
    assert {name for name, got in endpoints.items() if got == "no"} == {"stuck", "unready", "other-port"}
    assert why["stuck"] == "it has no address yet: Pending"
    assert why["unready"] == "not ready: Running"
    assert why["other-port"] == 'it has no port named "http"; its ports are named: web'
    assert why["blue/far"] == "another namespace: selectors pick in their own"
    assert "3 of the 6 pods that it picks get its traffic" in answer.output.hints


def test_a_service_whose_pods_all_answer_has_no_reasons(cluster: Cluster) -> None:
    picked = [row for row in rows(chosen(cluster, "svc/db").output.tables[0]) if row["PICKED"] == "yes"]
    assert [(row["ENDPOINT"], row["WHY"]) for row in picked] == [("yes", ""), ("yes", "")]


@pytest.mark.parametrize(
    ("word", "count"),
    [("svc/db", 2), ("rc/old", 1), ("deployment/web", 6), ("sts/db", 2), ("ds/agent", 2), ("job/count", 1),
     ("networkpolicy/only-web", 2), ("pdb/web", 6)],
)  # fmt: skip
def test_whatever_selects_pods_can_be_named(cluster: Cluster, word: str, count: int) -> None:
    assert len(chosen(cluster, word).objects) == count
    assert len(chosen(cluster, *word.split("/")).objects) == count


def test_a_replicaset_can_be_named(cluster: Cluster) -> None:
    name = cluster.client.items("replicasets", "default")[0]["metadata"]["name"]
    assert len(chosen(cluster, f"rs/{name}").objects) == 3


def test_the_nearest_miss_comes_first_with_the_label_that_differs(cluster: Cluster) -> None:
    near = [row for row in rows(chosen(cluster, "app=web").output.tables[0]) if row["PICKED"] == "nearly"]
    assert (near[0]["POD"], near[0]["WHY"]) == ("misspelt", "app=web: it has app=wep")


def test_a_near_miss_is_told_from_the_others_in_the_picture(cluster: Cluster) -> None:
    picture = chosen(cluster, "app=web,tier=front").picture
    box = picture.diagram.box("misspelt")
    assert (box.picked, box.nearly, box.tone is PLAIN) == (False, "app=web: it has app=wep", False)
    assert picture.diagram.box("alone").nearly == "" and picture.diagram.box("stuck").picked is True
    assert "nearly: app=web: it has app=wep" in picture.svg and "nearly picked: one label away" in picture.svg
    assert "Pod misspelt: Running (nearly picked: app=web: it has app=wep)" in picture.text


def test_nobody_else_picks_pods_of_another_namespace(cluster: Cluster) -> None:
    answer = chosen(cluster, "app=web", "-A")
    assert {"blue/far", "default/stuck"} <= set(whys(answer))
    others = {row["ALSO PICKED BY"]: row["PODS"] for row in rows(answer.output.tables[1])}
    assert others["service/web"] == "6" and others["poddisruptionbudget/web"] == "6"
    assert len(answer.objects) == 7


def test_a_page_has_the_picture_above_the_table(cluster: Cluster) -> None:
    page = chosen(cluster, "svc/web")._repr_html_()
    assert page.index("<svg") < page.index("k8snb-still") < page.index("<table")
