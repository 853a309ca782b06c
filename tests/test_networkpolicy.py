"""NetworkPolicies: who may talk to whom. The rules are those of `staging/src/k8s.io/api/networking/v1/types.go` and of
the page "Network Policies" of the Kubernetes documentation, whose examples are used here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, is_true
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.networkpolicy.book import PolicyBook
from k8snb.networkpolicy.policies import EGRESS, INGRESS, Block, Opening, Peer, Verdict, allowed, openings, policy_of
from k8snb.notebook import kproxy

DB = Peer("10.0.0.1", "shop", "db", {"role": "db"}, {"kind": "shop"}, (("sql", "TCP", 6379),), "172.18.0.2")
WEB = Peer("10.0.0.2", "shop", "web", {"role": "frontend"}, {"kind": "shop"}, (("sql", "TCP", 7000),), "172.18.0.3")
TEST = Peer("10.0.1.1", "test", "probe", {"role": "frontend"}, {"kind": "test"}, (), "172.18.0.3")
OUTSIDE = Peer("172.17.1.9")
EVERYBODY = (DB, WEB, TEST)


def policy(namespace: str = "shop", name: str = "p", **spec: Any) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace}, "spec": {"podSelector": {}, **spec},
    }  # fmt: skip


def says(source: Peer, destination: Peer, port: int = 80, protocol: str = "TCP", *objects: Object) -> bool:
    return allowed(map(policy_of, objects), source, destination, port, protocol).allowed


def from_(*peers: Object, ports: list[Object] | None = None) -> Object:
    return policy(ingress=[{"from": list(peers), **({"ports": ports} if ports else {})}])


# deciding


def test_without_a_policy_everybody_reaches_everybody() -> None:
    assert allowed([], OUTSIDE, DB, 6379) == Verdict(True)


def test_a_policy_without_rules_closes_the_pods_it_selects_to_what_comes_in() -> None:
    deny = policy()
    assert not says(WEB, DB, 80, "TCP", deny) and not says(OUTSIDE, DB, 80, "UDP", deny)
    assert says(DB, TEST, 80, "TCP", deny)  # egress is not isolated by it
    assert not says(DB, TEST, 80, "TCP", policy(policyTypes=["Egress"]))
    assert says(WEB, TEST, 80, "TCP", policy(podSelector={"matchLabels": {"role": "db"}}, policyTypes=["Egress"]))


def test_a_policy_counts_in_its_own_namespace_only() -> None:
    assert says(WEB, TEST, 80, "TCP", policy(ingress=[]))


def test_an_empty_rule_opens_to_everybody_and_no_rule_to_nobody() -> None:
    assert says(OUTSIDE, DB, 80, "TCP", policy(ingress=[{}]))
    assert not says(OUTSIDE, DB, 80, "TCP", policy(ingress=[]))


def test_policies_add_up() -> None:
    closed, opened = policy(), policy(name="q", ingress=[{"from": [{"podSelector": {}}]}])
    assert says(WEB, DB, 80, "TCP", closed, opened)
    assert allowed(map(policy_of, (closed, opened)), WEB, DB, 80).policies == ("shop/q",)


@pytest.mark.parametrize(
    ("peer", "web", "test", "outside"),
    [
        ({"podSelector": {"matchLabels": {"role": "frontend"}}}, True, False, False),
        ({"podSelector": {}}, True, False, False),
        ({"namespaceSelector": {}}, True, True, False),
        ({"namespaceSelector": {"matchLabels": {"kind": "test"}}}, False, True, False),
        ({"namespaceSelector": {"matchLabels": {"kind": "test"}}, "podSelector": {"matchLabels": {"role": "db"}}},
         False, False, False),
        ({"namespaceSelector": {"matchExpressions": [{"key": "kind", "operator": "In", "values": ["test", "shop"]}]},
          "podSelector": {"matchLabels": {"role": "frontend"}}}, True, True, False),
        ({"ipBlock": {"cidr": "172.17.0.0/16"}}, False, False, True),
        ({"ipBlock": {"cidr": "172.17.0.0/16", "except": ["172.17.1.0/24"]}}, False, False, False),
        ({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.1.0/24"]}}, True, False, False),
    ],
)  # fmt: skip
def test_from_says_who_is_let_in(peer: Object, web: bool, test: bool, outside: bool) -> None:
    assert [says(each, DB, 80, "TCP", from_(peer)) for each in (WEB, TEST, OUTSIDE)] == [web, test, outside]


def test_entries_of_from_are_alternatives() -> None:
    both = from_({"podSelector": {"matchLabels": {"role": "x"}}}, {"ipBlock": {"cidr": "172.17.0.0/16"}})
    assert says(OUTSIDE, DB, 80, "TCP", both) and not says(WEB, DB, 80, "TCP", both)


@pytest.mark.parametrize(
    ("ports", "let_in"),
    [
        ([{"port": 6379}], {("TCP", 6379)}),
        ([{"protocol": "UDP", "port": 53}, {"port": 80}], {("UDP", 53), ("TCP", 80)}),
        ([{"port": 79, "endPort": 81}], {("TCP", 80)}),
        ([{"protocol": "UDP"}], {("UDP", 53), ("UDP", 80)}),
        ([{"port": "sql"}], {("TCP", 6379)}),
        ([{"port": "nobody"}], set()),
        ([], {("TCP", 80), ("UDP", 80), ("TCP", 6379), ("UDP", 53)}),
    ],
)
def test_ports_say_where_they_are_let_in(ports: list[Object], let_in: set[tuple[str, int]]) -> None:
    spots = (("TCP", 80), ("UDP", 80), ("TCP", 6379), ("UDP", 53))
    found = {spot for spot in spots if says(WEB, DB, spot[1], spot[0], from_({"podSelector": {}}, ports=ports))}
    assert found == let_in


def test_a_named_port_is_the_destination_s_in_both_directions() -> None:
    out = policy(policyTypes=["Egress"], egress=[{"ports": [{"port": "sql"}]}])
    assert says(DB, WEB, 7000, "TCP", out) and not says(DB, WEB, 6379, "TCP", out)
    assert says(WEB, DB, 6379, "TCP", out) and not says(WEB, OUTSIDE, 6379, "TCP", out)


def test_a_connection_needs_the_consent_of_both_ends() -> None:
    leaves = policy(podSelector={"matchLabels": {"role": "frontend"}}, policyTypes=["Egress"], egress=[
        {"to": [{"podSelector": {"matchLabels": {"role": "db"}}}]}])  # fmt: skip
    closed = policy(name="closed", podSelector={"matchLabels": {"role": "db"}})
    assert says(WEB, DB, 80, "TCP", leaves) and not says(WEB, TEST, 80, "TCP", leaves)
    verdict = allowed(map(policy_of, (leaves, closed)), WEB, DB, 80)
    assert verdict == Verdict(False, ("shop/closed",), INGRESS)
    assert verdict.reason == "no ingress rule of shop/closed allows it"


def test_a_pod_reaches_itself_and_its_node_reaches_it() -> None:
    deny = policy(policyTypes=["Ingress", "Egress"])
    assert says(DB, DB, 80, "TCP", deny)
    assert says(Peer("172.18.0.2"), DB, 80, "TCP", deny) and not says(Peer("172.18.0.3"), DB, 80, "TCP", deny)
    assert says(DB, Peer("172.18.0.2"), 80, "TCP", deny)


def test_a_port_that_the_runtime_has_put_elsewhere_is_the_one_that_the_pod_calls_it() -> None:
    mapped = DB._replace(mapped={42080: 80})
    assert says(WEB, mapped, 42080, "TCP", from_(ports=[{"port": 80}]))
    assert not says(WEB, mapped, 42080, "TCP", from_(ports=[{"port": 42080}]))


# written out for a firewall


def written(pod: Peer, direction: str, *objects: Object) -> Any:
    return openings(list(map(policy_of, objects)), pod, direction, EVERYBODY)


def test_openings_are_none_where_a_pod_is_not_isolated() -> None:
    assert written(TEST, INGRESS, policy()) is None and written(DB, EGRESS, policy()) is None
    assert written(DB, INGRESS, policy()) == ()


def test_openings_name_the_pods_addresses_and_port_numbers() -> None:
    assert written(DB, INGRESS, from_({"podSelector": {}}, ports=[{"port": "sql"}])) == (
        Opening(Block("10.0.0.1/32"), "TCP", 6379, 6379), Opening(Block("10.0.0.2/32"), "TCP", 6379, 6379),
    )  # fmt: skip
    out = policy(policyTypes=["Egress"], egress=[{"to": [{"namespaceSelector": {}}], "ports": [{"port": "sql"}]}])
    assert written(DB, EGRESS, out) == (
        Opening(Block("10.0.0.1/32"), "TCP", 6379, 6379), Opening(Block("10.0.0.2/32"), "TCP", 7000, 7000),
    )  # fmt: skip


def test_openings_and_verdicts_agree() -> None:
    """Whatever the firewall is told, the judge says, for every pair of pods and a handful of ports."""
    objects = [
        policy(ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"kind": "test"}}}],
                         "ports": [{"port": 79, "endPort": 81}]}, {"ports": [{"port": "sql"}]}]),
        policy("test", policyTypes=["Egress"], egress=[
            {"to": [{"ipBlock": {"cidr": "10.0.0.0/24", "except": ["10.0.0.2/32"]}}]}]),
    ]  # fmt: skip
    policies = [policy_of(each) for each in objects]
    for source in EVERYBODY:
        for destination in (each for each in EVERYBODY if each != source):
            into = openings(policies, destination, INGRESS, EVERYBODY)
            out = openings(policies, source, EGRESS, EVERYBODY)
            for port in (22, 80, 6379, 7000):
                told = _opens(into, source.ip, port) and _opens(out, destination.ip, port)
                assert told == allowed(policies, source, destination, port).allowed, (source, destination, port)


def _opens(found: tuple[Opening, ...] | None, ip: str, port: int) -> bool:
    import ipaddress

    address = ipaddress.ip_address(ip)
    return found is None or any(
        address in ipaddress.ip_network(each.block.cidr)
        and not any(address in ipaddress.ip_network(part) for part in each.block.excepted)
        and each.protocol in ("", "TCP") and each.first <= port <= each.last
        for each in found
    )  # fmt: skip


def test_a_book_without_policies_permits_everything_and_knows_nobody() -> None:
    book = PolicyBook()
    assert book.permits("10.0.0.1", "10.0.0.2", 80) and not book.everybody() and not book.rules()


# in a cluster


MANIFEST = """
{kind: Namespace, apiVersion: v1, metadata: {name: far, labels: {team: far}}}
---
{kind: Pod, apiVersion: v1, metadata: {name: web, labels: {app: web}}, spec: {containers: [
  {name: web, image: nginx, ports: [{containerPort: 80, name: http}]}]}}
---
{kind: Service, apiVersion: v1, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 8078, targetPort: http}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: client, labels: {access: 'true'}}, spec: {containers: [
  {name: c, image: busybox, command: [sleep, '1000000']}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: stranger}, spec: {containers: [
  {name: c, image: busybox, command: [sleep, '1000000']}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: client, namespace: far, labels: {access: 'true'}}, spec: {containers: [
  {name: c, image: busybox, command: [sleep, '1000000']}]}}
"""  # noqa: E501
ASK = "wget -q -T 1 -O- http://web.default:8078"
CLOSED = "wget: download timed out"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=2, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        for document in yaml.safe_load_all(MANIFEST):
            put(cluster, document)
        cluster.settle()
        yield cluster


def put(cluster: Cluster, document: Object) -> None:
    kinds = {"NetworkPolicy": "networkpolicies"}
    resource = kinds.get(document["kind"], document["kind"].lower() + "s")
    namespace = document["metadata"].get("namespace", "" if document["kind"] == "Namespace" else "default")
    cluster.client.create(resource, document, namespace)
    cluster.settle()


@pytest.fixture
def policies(cluster: Cluster) -> Iterator[Cluster]:
    yield cluster
    for each in cluster.client.items("networkpolicies", ""):
        cluster.client.delete("networkpolicies", each["metadata"]["name"], each["metadata"]["namespace"])
    cluster.settle()


def ask(cluster: Cluster, pod: str, command: str = ASK, namespace: str = "default") -> str:
    done = cluster.kubectl.run(f"exec {pod} -n {namespace} -- sh -c '{command} 2>&1 || true'")
    return str(done.text).strip()


def test_a_pod_is_reached_until_a_policy_isolates_it_and_again_when_the_policy_is_gone(policies: Cluster) -> None:
    assert "Welcome to nginx" in ask(policies, "stranger")
    put(policies, policy("default", "access", podSelector={"matchLabels": {"app": "web"}}, ingress=[
        {"from": [{"podSelector": {"matchLabels": {"access": "true"}}}]}]))  # fmt: skip
    assert CLOSED in ask(policies, "stranger") and CLOSED in ask(policies, "client", namespace="far")
    assert "Welcome to nginx" in ask(policies, "client")
    ip = policies.client.get("pods", "web", "default")["status"]["podIP"]
    assert CLOSED in ask(policies, "stranger", f"wget -q -T 1 -O- {ip}")
    policies.client.delete("networkpolicies", "access", "default")
    policies.settle()
    assert "Welcome to nginx" in ask(policies, "stranger")


def test_labels_that_change_change_who_is_let_in(policies: Cluster) -> None:
    put(policies, policy("default", "access", podSelector={"matchLabels": {"app": "web"}}, ingress=[
        {"from": [{"namespaceSelector": {"matchLabels": {"team": "near"}}}]}]))  # fmt: skip
    assert CLOSED in ask(policies, "client", namespace="far")
    policies.client.patch("namespaces", "far", {"metadata": {"labels": {"team": "near"}}})
    policies.settle()
    assert "Welcome to nginx" in ask(policies, "client", namespace="far")
    policies.client.patch("namespaces", "far", {"metadata": {"labels": {"team": "far"}}})
    policies.settle()


def test_names_need_egress_to_the_resolver(policies: Cluster) -> None:
    """The recipe of the documentation: a pod whose egress is isolated asks no name server unless it is let out."""
    put(policies, policy("default", "web-only", podSelector={"matchLabels": {"access": "true"}}, policyTypes=[EGRESS],
                         egress=[{"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]))  # fmt: skip
    assert "bad address" in ask(policies, "client")
    put(policies, policy("default", "dns", podSelector={}, policyTypes=[EGRESS], egress=[
        {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                 "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
         "ports": [{"protocol": "UDP", "port": 53}]}]))  # fmt: skip
    assert "Welcome to nginx" in ask(policies, "client")
    assert CLOSED in ask(policies, "stranger")


def test_this_machine_is_outside_and_probes_are_the_node_s(policies: Cluster) -> None:
    spot = policies.service_urls("web")[0]
    put(policies, policy("default", "deny"))
    with pytest.raises(TimeoutError):
        policies.visit(spot)
    policies.run_for(30)
    assert all(each["ready"] for each in policies.client.get("pods", "web", "default")["status"]["containerStatuses"])


def test_a_policy_is_stored_without_a_warning_that_nobody_acts_on_it(policies: Cluster) -> None:
    put(policies, policy("default", "deny"))
    events = policies.client.items("events", "default")
    assert not [each for each in events if each["involvedObject"]["kind"] == "NetworkPolicy"]


# what is refused


TO, PORTS = "spec.ingress[0].from[0]", "spec.ingress[0].ports[0]"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"ingress": [{"from": [{}]}]}, f"{TO}: Required value: must specify a peer"),
        ({"ingress": [{"from": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]}]},
         f"{TO}: Forbidden: may not specify both ipBlock and another peer"),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0"}}]}]},
         f'{TO}.ipBlock.cidr: Invalid value: "10.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or'),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}]},
         f'{TO}.ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`'),
        ({"ingress": [{"ports": [{"port": 0}]}]},
         f"{PORTS}.port: Invalid value: 0: must be between 1 and 65535, inclusive"),
        ({"ingress": [{"ports": [{"port": 90, "endPort": 80}]}]},
         f"{PORTS}.endPort: Invalid value: 90: must be greater than or equal to `port`"),
        ({"ingress": [{"ports": [{"endPort": 80}]}]},
         f"{PORTS}.endPort: Invalid value: 80: may not be specified when `port` is not specified"),
        ({"ingress": [{"ports": [{"port": "http", "endPort": 80}]}]},
         f"{PORTS}.endPort: Invalid value: 80: may not be specified when `port` is non-numeric"),
        ({"ingress": [{"ports": [{"protocol": "ICMP"}]}]},
         f'{PORTS}.protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"'),
        ({"policyTypes": ["Both"]},
         'spec.policyTypes[0]: Unsupported value: "Both": supported values: "Egress", "Ingress"'),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_upstream_s_words(cluster: Cluster, spec: Object, said: str) -> None:
    with pytest.raises(ApiError) as caught:
        cluster.client.create("networkpolicies", policy("default", "bad", **spec), "default", dryRun=True)
    assert caught.value.code == 422 and said in caught.value.message, caught.value.message


# where k8snb carries connections of real processes


@pytest.mark.process
def test_on_the_process_runtime_services_and_names_obey_and_the_policy_says_what_does_not() -> None:
    with Cluster("policies", nodes=1, runtime="process") as cluster:
        for document in yaml.safe_load_all(MANIFEST):
            resource = document["kind"].lower() + "s"
            namespace = document["metadata"].get("namespace", "" if document["kind"] == "Namespace" else "default")
            cluster.client.create(resource, document, namespace)
        assert cluster.wait(lambda: all(is_true(pod, "Ready") for pod in cluster.client.items("pods")), 30)
        assert cluster.wait(lambda: "Welcome to nginx" in ask(cluster, "stranger"), 30)
        friends = [{"from": [{"podSelector": {"matchLabels": {"access": "true"}}}], "ports": [{"port": "http"}]}]
        cluster.client.create("networkpolicies", policy(
            "default", "access", podSelector={"matchLabels": {"app": "web"}}, ingress=friends), "default")  # fmt: skip
        assert cluster.wait(lambda: "Welcome" not in ask(cluster, "stranger"), 30)
        assert "Welcome to nginx" in ask(cluster, "client")
        made = cluster.client.create("services", {"metadata": {"name": "port"}, "spec": {
            "type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80}]}}, "default")  # fmt: skip
        spot = f"{cluster.nodes['node-1'].network.node_ip}:{made['spec']['ports'][0]['nodePort']}"
        assert cluster.wait(lambda: "Welcome" in ask(cluster, "client", f"wget -q -T 1 -O- {spot}"), 30)
        assert "Welcome" not in ask(cluster, "stranger", f"wget -q -T 1 -O- {spot}"), "a node port is no way round"
        events = cluster.client.items("events", "default")
        told = [each["message"] for each in events if each["reason"] == "PartlyEnforced"]
        hints = kproxy.show(cluster, ["proxy", "policies"]).output.hints
        assert hints == [f"policies here: {told[0]}"]
        assert len(told) == 1 and "connects to another pod's own address is not held back" in told[0]
        cluster.client.create("networkpolicies", policy("default", "out", policyTypes=[EGRESS], egress=[
            {"to": [{"podSelector": {}}]}]), "default")  # fmt: skip
        assert cluster.wait(lambda: "Welcome" not in ask(cluster, "client"), 60), "nobody may ask for names any more"
