"""%kproxy rules and policies: what kube-proxy and the network plug-in have decided, as a learner reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from notebook_lab import Notebook, fresh_shell, make

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl.output import KubectlError
from k8snb.notebook import extension, kproxy

MANIFEST = """
{kind: Namespace, metadata: {name: far}}
---
{kind: Pod, metadata: {name: web-1, labels: {app: web}}, spec: {nodeName: node-1, containers: [
  {name: c, image: nginx, ports: [{containerPort: 80, name: http}]}]}}
---
{kind: Pod, metadata: {name: web-2, labels: {app: web}}, spec: {nodeName: node-2, containers: [
  {name: c, image: nginx, ports: [{containerPort: 80, name: http}]}]}}
---
{kind: Pod, metadata: {name: web-3, labels: {app: web}}, spec: {nodeName: node-2, containers: [
  {name: c, image: nginx, ports: [{containerPort: 80}], readinessProbe: {httpGet: {path: /nope, port: 80}}}]}}
---
{kind: Pod, metadata: {name: client, labels: {access: 'true'}}, spec: {containers: [{name: c, image: busybox,
  command: [sleep, '1000000']}]}}
---
{kind: Service, metadata: {name: web}, spec: {type: NodePort, selector: {app: web}, sessionAffinity: ClientIP, ports: [
  {name: http, port: 80, targetPort: 80, nodePort: 30080}]}}
---
{kind: Service, metadata: {name: local}, spec: {type: NodePort, externalTrafficPolicy: Local, selector: {app: web},
  ports: [{port: 80, nodePort: 30081}]}}
---
{kind: Service, metadata: {name: empty}, spec: {selector: {app: nobody}, ports: [{port: 80}]}}
---
{kind: Service, metadata: {name: pods}, spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}}
---
{kind: Service, metadata: {name: docs}, spec: {type: ExternalName, externalName: kubernetes.io}}
---
{kind: NetworkPolicy, metadata: {name: access}, spec: {podSelector: {matchLabels: {app: web}}, ingress: [
  {from: [{podSelector: {matchLabels: {access: 'true'}}}]}]}}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=2, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        for document in yaml.safe_load_all(MANIFEST):
            resource = {"NetworkPolicy": "networkpolicies"}.get(document["kind"], document["kind"].lower() + "s")
            cluster.client.create(resource, document, "" if document["kind"] == "Namespace" else "default")
        cluster.run_for(30)
        yield cluster


def lines(cluster: Cluster, words: str) -> list[list[str]]:
    """The rows below the head, each as its cells."""
    made = kproxy.show(cluster, ["proxy", *words.split()]).output.tables[0]
    return [[str(cell) for cell in row.cells] for row in made.rows]


def ip(cluster: Cluster, pod: str) -> str:
    return str(cluster.client.get("pods", pod, "default")["status"]["podIP"])


def test_a_rule_names_its_endpoints_with_their_share_and_those_that_are_left_out(cluster: Cluster) -> None:
    address = cluster.client.get("services", "web", "default")["spec"]["clusterIP"]
    one, two = (f"{ip(cluster, name)}:80 (50%)" for name in ("web-1", "web-2"))
    first, *ports = lines(cluster, "rules web")
    assert first[:6] == ["all", "default/web", "http/80", "TCP", "ClusterIP", f"{address}:80"]
    assert set(first[6].split(", ")) == {one, two}
    assert first[7:] == ["ClientIP 10800s", "web-3: is not ready"]
    assert [(row[0], row[4], row[5].partition(":")[2]) for row in ports] == [
        (node, "NodePort", "30080") for node in ("control-plane", "node-1", "node-2")
    ]


def test_a_local_policy_shows_each_node_its_own(cluster: Cluster) -> None:
    ports = [row for row in lines(cluster, "rules svc/local") if row[4] == "NodePort"]
    assert [row[6] for row in ports] == [
        "dropped: no endpoint on this node, and the policy is Local",
        f"{ip(cluster, 'web-1')}:80 (100%)", f"{ip(cluster, 'web-2')}:80 (100%)",
    ]  # fmt: skip
    assert ports[1][7:] == [
        "externalTrafficPolicy Local", "web-2: is on node node-2, and the policy is Local, web-3: is not ready",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "type", "why"),
    [
        ("empty", "ClusterIP", "refused: no endpoint is ready"),
        ("pods", "Headless", "no rule: DNS answers with the addresses of the pods"),
        ("docs", "ExternalName", "no rule: DNS answers with this other name"),
    ],
)
def test_what_has_no_endpoint_or_no_rule_says_why(cluster: Cluster, name: str, type: str, why: str) -> None:
    ((*_, sort, _, told, _, _),) = lines(cluster, f"rules {name}")
    assert (sort, told) == (type, why)


def test_the_rules_of_one_node_or_of_all_namespaces_are_shown_when_asked_for(cluster: Cluster) -> None:
    assert {row[0] for row in lines(cluster, "rules web --node node-2")} == {"node-2"}
    assert "kube-system/kube-dns" in {row[1] for row in lines(cluster, "rules -A")}
    with pytest.raises(KubectlError, match='no kube-proxy runs on a node "nowhere"'):
        kproxy.show(cluster, ["proxy", "rules", "--node", "nowhere"])
    with pytest.raises(KubectlError, match='services "nope" not found'):
        kproxy.show(cluster, ["proxy", "rules", "nope"])


def test_the_table_is_what_the_proxies_hold(cluster: Cluster) -> None:
    """The rules that are shown and those that the data plane was programmed with."""
    proxy = cluster.nodes["node-1"].proxy
    assert proxy is not None
    held = {(rule.service, rule.listen, rule.protocol) for rule in proxy.rules()}
    shown = {(row.service, (row.address.rpartition(":")[0], int(row.address.rpartition(":")[2])), row.protocol)
             for row in cluster.proxy_rules(node="node-1") if row.port}  # fmt: skip
    assert shown == held


def test_the_same_rules_are_shown_as_a_real_node_has_them(cluster: Cluster) -> None:
    """The names of chains are upstream's: `portProtoHash` in `pkg/proxy/iptables/proxier.go`."""
    text = kproxy.show(cluster, ["proxy", "rules", "web", "-o", "iptables", "--node", "node-1"]).output.text
    address = cluster.client.get("services", "web", "default")["spec"]["clusterIP"]
    comment = '-m comment --comment "default/web:http" -m tcp --dport'
    assert f"-A KUBE-SERVICES -d {address}/32 -p tcp {comment} 80 -j KUBE-SVC-" in text
    assert f"-A KUBE-NODEPORTS -p tcp {comment} 30080 -j KUBE-SVC-" in text
    assert "--probability 0.50000000000" in text and "-m recent --name KUBE-SEP-" in text
    assert f"--to-destination {ip(cluster, 'web-1')}:80" in text
    assert f"-s {ip(cluster, 'web-1')}/32" in text and text.endswith("COMMIT\n")


def test_policies_say_which_pods_they_isolate(cluster: Cluster) -> None:
    rows = {row[0]: row[1:] for row in lines(cluster, "policies")}
    assert rows["default/web-1"] == ["default/access", "open"] and rows["default/client"] == ["open", "open"]


def test_of_one_pod_it_is_shown_who_may_talk_to_it_and_who_decides(cluster: Cluster) -> None:
    rows = {(row[0], row[1]): row[2:] for row in lines(cluster, "policies pod/web-1")}
    assert rows["default/client", "default/web-1"] == ["80/TCP", "yes", "allowed by default/access"]
    refused = ["80/TCP", "no", "no ingress rule of default/access allows it"]
    assert rows["default/web-2", "default/web-1"] == rows["outside", "default/web-1"] == refused
    assert rows["default/web-1", "default/client"] == ["any", "yes", "no policy isolates either end"]


def test_words_are_completed_and_help_is_given(cluster: Cluster) -> None:
    assert kproxy.complete(cluster, ["ru"]) == ["rules"]
    assert kproxy.complete(cluster, ["rules", "w"]) == ["web"]
    assert kproxy.complete(cluster, ["rules", "--node", "node-"]) == ["node-1", "node-2"]
    assert kproxy.complete(cluster, ["policies", "cl"]) == ["client"]
    assert "%kproxy rules" in kproxy.show(cluster, ["proxy", "rules", "-h"]).output.text
    assert kproxy.is_meant(["proxy", "rules"]) and not kproxy.is_meant(["proxy", "--port=8001"])


def test_the_magic_stands_beside_kubectl_s_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with fresh_shell(tmp_path) as shell:
        extension.load(shell, make)
        notebook = Notebook(shell, capsys)
        notebook.settle()
        notebook.run("%kcreate service clusterip web --tcp=80")
        shown = notebook.run("%kproxy rules")
        assert "refused: no endpoint is ready" in repr(shown) and "<table" in shown._repr_html_()
        assert {"default/kubernetes", "default/web"} <= set(shown.df["SERVICE"])
        assert "No pods found" in repr(notebook.run("%kubectl proxy policies"))
        assert "%kproxy rules" in notebook.error("%kproxy rules --nope")
        assert {"%kproxy rules", "%kproxy policies"} <= {
            *notebook.complete("%kproxy r"),
            *notebook.complete("%kproxy p"),
        }
        assert "%kproxy rules web" in notebook.complete("%kproxy rules w")
