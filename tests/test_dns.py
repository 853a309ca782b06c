"""Names as pods of both real runtimes and `dig` get them. Rules: the DNS-based service discovery specification
(kubernetes/dns, docs/specification.md), CoreDNS' plug-in `kubernetes`, RFC 2308 for what there is not, and
`pkg/kubelet/network/dns` in the kubernetes repository for a pod's resolv.conf.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from docker_images import image_layers

from k8snb.apimachinery.meta import Object
from k8snb.cluster import Cluster
from k8snb.kubectl import KubectlError

PATIENCE = 120.0
AUTHORITY = r"cluster\.local\. 30 IN SOA ns\.dns\.cluster\.local\. hostmaster\.cluster\.local\. \d+ 7200 1800 86400 30"
POLICIES = {
    "first": {},
    "own-options": {"dnsConfig": {"options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
                                  "searches": ["shop.example"], "nameservers": ["192.0.2.1"]}},
    "none": {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"], "searches": ["shop.example"]}},
    "default": {"dnsPolicy": "Default"},
    "host": {"hostNetwork": True},
    "host-first": {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
}  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[pytest.param("process", marks=pytest.mark.process), pytest.param("docker", marks=pytest.mark.docker)],
)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with ExitStack() as stack:
        if request.param == "docker":
            import docker

            stack.enter_context(image_layers(stack.enter_context(closing(docker.APIClient()))))
        cluster = stack.enter_context(Cluster("dns", nodes=1, runtime=request.param, seed=1))
        for name, more in POLICIES.items():
            cluster.client.create("pods", pod(name, **more), "default")
        for name in ("db-0", "db-1"):
            cluster.client.create("pods", pod(name, hostname=name, subdomain="db"), "default")
        for made in services():
            cluster.client.create("services", made, "default")
        assert cluster.wait(lambda: len(addresses(cluster)) == len(POLICIES) + 2, PATIENCE)
        assert cluster.wait(lambda: len(cluster.lookup("db")) == 2, PATIENCE)
        yield cluster


def pod(name: str, **spec: Any) -> Object:
    container = {"name": "c", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "1000000"]}
    labels = {"app": name.partition("-")[0]}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container], **spec}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


def services() -> Iterator[Object]:
    web = [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    yield {"metadata": {"name": "web"}, "spec": {"selector": {"app": "none"}, "ports": web}}
    ports = [{"name": "sql", "port": 5432}]
    yield {"metadata": {"name": "db"}, "spec": {"clusterIP": "None", "selector": {"app": "db"}, "ports": ports}}
    for name, target in (("alias", "web.default.svc.cluster.local"), ("broken", "nope.default.svc.cluster.local"),
                         ("away", "www.example.invalid")):  # fmt: skip
        yield {"metadata": {"name": name}, "spec": {"type": "ExternalName", "externalName": target}}


def addresses(cluster: Cluster) -> list[str]:
    pods = cluster.client.items("pods", "default")
    return [
        each["status"]["podIP"] for each in pods if (each["status"].get("containerStatuses") or [{}])[0].get("ready")
    ]


def inside(cluster: Cluster, name: str, command: str) -> str:
    try:
        return str(cluster.kubectl.run(f"exec {name} -- {command}").text)
    except KubectlError as error:
        return error.message


Dig = Callable[..., tuple[str, list[str], str]]


@pytest.fixture
def dig(cluster: Cluster) -> Dig:
    """Status, the answers and the whole text of a question."""
    if shutil.which("dig") is None:
        pytest.skip("optional: no dig (bind9-dnsutils) here")
    host, _, port = cluster.resolver.partition(":")

    def ask(*words: str) -> tuple[str, list[str], str]:
        command = ["dig", f"@{host}", "-p", port or "53", "+time=5", "+tries=2", "+nocmd", *words]
        text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        status = re.search(r"status: (\w+)", text)
        section = text.partition(";; ANSWER SECTION:\n")[2].partition("\n\n")[0]
        answers = [" ".join(line.split()[3:]) for line in section.splitlines()]
        return status[1] if status else "", answers, text

    return ask


def test_dig_finds_what_there_is(cluster: Cluster, dig: Dig) -> None:
    web = cluster.client.get("services", "web", "default")["spec"]["clusterIP"]
    one = cluster.client.get("pods", "db-0", "default")["status"]["podIP"]
    server = cluster.client.get("services", "kube-dns", "kube-system")["spec"]["clusterIP"]
    for name, type, answers in (
        ("web.default.svc.cluster.local", "A", [f"A {web}"]),
        ("WeB.Default.SVC.cluster.LOCAL", "A", [f"A {web}"]),
        ("db-0.db.default.svc.cluster.local", "A", [f"A {one}"]),
        ("alias.default.svc.cluster.local", "A", ["CNAME web.default.svc.cluster.local.", f"A {web}"]),
        ("_http._tcp.web.default.svc.cluster.local", "SRV", ["SRV 0 100 80 web.default.svc.cluster.local."]),
        ("_dns._udp.web.default.svc.cluster.local", "SRV", ["SRV 0 100 53 web.default.svc.cluster.local."]),
        (".".join(reversed(web.split("."))) + ".in-addr.arpa", "PTR", ["PTR web.default.svc.cluster.local."]),
        (".".join(reversed(one.split("."))) + ".in-addr.arpa", "PTR", ["PTR db-0.db.default.svc.cluster.local."]),
        ("cluster.local", "NS", ["NS ns.dns.cluster.local."]),
        ("ns.dns.cluster.local", "A", [f"A {server}"]),
        ("10-0-0-9.default.pod.cluster.local", "A", ["A 10.0.0.9"]),
        ("dns-version.cluster.local", "TXT", ['TXT "1.1.0"']),
    ):  # fmt: skip
        for way in ("+notcp", "+tcp"):
            assert dig(way, name, type)[:2] == ("NOERROR", answers), (name, type, way)
    sql = sorted(dig("_sql._tcp.db.default.svc.cluster.local", "SRV")[1])
    assert sql == [f"SRV 0 50 5432 db-{number}.db.default.svc.cluster.local." for number in (0, 1)]
    assert " 30 IN A " in re.sub(r"\s+", " ", dig("web.default.svc.cluster.local")[2])


def test_dig_is_told_what_there_is_not(cluster: Cluster, dig: Dig) -> None:
    """NXDOMAIN for a name that is not there, no data for a type that a name has not: both with the zone's authority."""
    for name, type, status, aliases in (
        ("web.default.svc.cluster.local", "AAAA", "NOERROR", 0),
        ("default.svc.cluster.local", "A", "NOERROR", 0),
        ("nope.default.svc.cluster.local", "A", "NXDOMAIN", 0),
        ("web.nowhere.svc.cluster.local", "A", "NXDOMAIN", 0),
        ("alias.default.svc.cluster.local", "AAAA", "NOERROR", 1),
        ("broken.default.svc.cluster.local", "A", "NXDOMAIN", 1),
    ):
        told, answers, text = dig(name, type)
        assert (told, len(answers)) == (status, aliases), (name, type)
        authority = text.partition(";; AUTHORITY SECTION:\n")[2].splitlines()[0]
        assert re.fullmatch(AUTHORITY, " ".join(authority.split())), authority
    assert dig("cluster.local", "SOA")[1][0].startswith("SOA ns.dns.cluster.local. hostmaster.cluster.local.")


def test_a_change_is_seen_by_the_next_question(cluster: Cluster, dig: Dig) -> None:
    name = "fresh.default.svc.cluster.local"
    assert dig(name)[0] == dig(name)[0] == "NXDOMAIN"
    cluster.client.create("services", {"metadata": {"name": "fresh"}, "spec": {"ports": [{"port": 80}]}}, "default")
    assert cluster.wait(lambda: dig(name)[0] == "NOERROR", PATIENCE)
    cluster.client.delete("services", "fresh", "default")
    assert cluster.wait(lambda: dig(name)[0] == "NXDOMAIN", PATIENCE)


def test_pods_ask_the_cluster_s_resolver(cluster: Cluster) -> None:
    web = cluster.client.get("services", "web", "default")["spec"]["clusterIP"]
    one = cluster.client.get("pods", "db-0", "default")["status"]["podIP"]
    for name, address in (("web", web), ("db-0.db", one), ("alias", web)):
        assert address in inside(cluster, "first", f"nslookup {name}.default.svc.cluster.local"), name


def test_a_pod_s_resolv_conf_follows_its_policy(cluster: Cluster) -> None:
    own = "search default.svc.cluster.local svc.cluster.local cluster.local"
    server = cluster.resolver.partition(":")[0]
    said = {name: conf(cluster, name) for name in POLICIES}
    assert said["first"] == [own, f"nameserver {server}", "options ndots:5"]
    assert said["own-options"] == [f"{own} shop.example", f"nameserver {server}", "nameserver 192.0.2.1",
                                   "options ndots:2 edns0"]  # fmt: skip
    assert said["none"] == ["search shop.example", "nameserver 192.0.2.1"]
    assert said["host-first"] == said["first"]
    for name in ("default", "host"):
        assert f"nameserver {server}" not in said[name] and own not in said[name]


def conf(cluster: Cluster, name: str) -> list[str]:
    """The lines of a pod's resolv.conf: search domains, then servers, then options."""
    lines = [line.strip() for line in inside(cluster, name, "cat /etc/resolv.conf").splitlines()]
    return [line for word in ("search", "nameserver", "options") for line in lines if line.startswith(f"{word} ")]
