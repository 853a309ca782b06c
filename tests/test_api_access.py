"""Pods' access to the apiserver: a token, a certificate and a Service, in every pod that does not want to be without.

Upstream's rules are in `plugin/pkg/admission/serviceaccount`, `pkg/kubelet/token` and
`pkg/controlplane/controller/kubernetesservice` of the kubernetes repository.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from docker_images import image_layers

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.cri.docker_engine import connected

Object = dict[str, Any]
PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"
SLEEP = ["sleep", "1000000"]

PROGRAM = f"""
import json, ssl, urllib.error, urllib.request
token = open("{PLACE}/token").read()
namespace = open("{PLACE}/namespace").read()
trust = ssl.create_default_context(cafile="{PLACE}/ca.crt")
for resource in ("pods", "secrets"):
    url = f"https://kubernetes.default.svc/api/v1/namespaces/{{namespace}}/{{resource}}"
    request = urllib.request.Request(url, headers={{"Authorization": f"Bearer {{token}}"}})
    try:
        print(urllib.request.urlopen(request, context=trust, timeout=20).read().decode())
    except urllib.error.HTTPError as error:
        print(error.read().decode())
"""


def pod(name: str, **spec: Any) -> Object:
    container = {"name": "main", "image": "busybox", "command": SLEEP, **spec.pop("container", {})}
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}


@pytest.fixture
def simulated() -> Iterator[Cluster]:
    cluster = Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=0)
    cluster.start()
    cluster.settle()
    yield cluster
    cluster.delete()


@pytest.fixture
def processes() -> Iterator[Cluster]:
    with Cluster("api-access", nodes=1, runtime="process") as cluster:
        yield cluster


def run(cluster: Cluster, obj: Object) -> Object:
    cluster.client.create("pods", obj, "default")
    cluster.settle()
    return cluster.client.get("pods", obj["metadata"]["name"], "default")


def sh(cluster: Cluster, name: str, script: str) -> str:
    result = cluster.client.exec(name, "default", ["sh", "-c", script])
    return str((result.stdout + result.stderr).decode())


def test_every_container_finds_a_token_the_certificate_and_its_namespace(simulated: Cluster) -> None:
    made = run(simulated, pod("web"))
    mount = made["spec"]["containers"][0]["volumeMounts"][0]
    assert re.fullmatch("kube-api-access-[a-z0-9]{5}", mount["name"])
    assert mount == {"name": mount["name"], "readOnly": True, "mountPath": PLACE}
    assert sh(simulated, "web", f"ls {PLACE}") == "ca.crt\nnamespace\ntoken\n"
    assert sh(simulated, "web", f"cat {PLACE}/namespace") == "default"
    assert sh(simulated, "web", f"cat {PLACE}/ca.crt") == simulated.identity.root_ca
    claims = simulated.identity.verify(sh(simulated, "web", f"cat {PLACE}/token"))
    assert claims["sub"] == "system:serviceaccount:default:default"
    assert claims["kubernetes.io"]["pod"] == {"name": "web", "uid": made["metadata"]["uid"]}
    assert "Read-only" in sh(simulated, "web", f"echo x > {PLACE}/token")


@pytest.mark.parametrize(
    ("pod_says", "account_says", "mounted"),
    [(None, None, True), (None, False, False), (False, True, False), (True, False, True)],
)
def test_the_pod_decides_on_its_token_and_else_its_account(
    simulated: Cluster, pod_says: bool | None, account_says: bool | None, mounted: bool
) -> None:
    account: Object = {"metadata": {"name": "robot"}}
    if account_says is not None:
        account["automountServiceAccountToken"] = account_says
    simulated.client.create("serviceaccounts", account, "default")
    spec = {} if pod_says is None else {"automountServiceAccountToken": pod_says}
    made = run(simulated, pod("web", serviceAccountName="robot", **spec))
    assert bool(made["spec"].get("volumes")) is mounted
    assert (sh(simulated, "web", f"cat {PLACE}/namespace") == "default") is mounted


def test_a_token_is_made_anew_before_it_expires(simulated: Cluster) -> None:
    """requiresRefresh: in the last fifth of its life. The program that reads the file again never meets a dead one."""
    run(simulated, pod("web"))
    first = sh(simulated, "web", f"cat {PLACE}/token")
    simulated.run_for(3607 * 0.8 - 120)
    assert sh(simulated, "web", f"cat {PLACE}/token") == first
    simulated.run_for(240)
    second = sh(simulated, "web", f"cat {PLACE}/token")
    assert second != first
    simulated.run_for(900)
    with pytest.raises(ValueError, match="expired"):
        simulated.identity.verify(first)
    assert simulated.identity.verify(second)


def test_the_service_leads_to_where_the_apiserver_answers(simulated: Cluster) -> None:
    """Reconcilers of pkg/controlplane: Endpoints that nobody mirrors, and an EndpointSlice that says the same."""
    address = simulated.nodes["control-plane"].network.node_ip
    endpoints = simulated.client.get("endpoints", "kubernetes", "default")
    assert endpoints["metadata"]["labels"] == {"endpointslice.kubernetes.io/skip-mirror": "true"}
    assert endpoints["subsets"] == [
        {"addresses": [{"ip": address}], "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}]}
    ]
    slices = simulated.client.items("endpointslices", "default")
    assert [entry["endpoints"][0]["addresses"] for entry in slices] == [[address]]


def test_a_cluster_that_starts_again_writes_nothing_about_its_apiserver(simulated: Cluster) -> None:
    before = simulated.client.get("endpointslices", "kubernetes", "default")["metadata"]["resourceVersion"]
    simulated.stop()
    simulated.start()
    simulated.settle()
    after = simulated.client.get("endpointslices", "kubernetes", "default")["metadata"]["resourceVersion"]
    assert after == before


# on sockets


def ask(cluster: Cluster, path: str, token: str = "") -> tuple[int, Object]:
    """A GET at the cluster IP of Service `kubernetes`, with the certificate checked for its name."""
    address = cluster.client.get("services", "kubernetes", "default")["spec"]["clusterIP"]
    trust = ssl.create_default_context(cadata=cluster.identity.root_ca)
    assert cluster.wait(lambda: answers(cluster.address(address, 443)), 20)  # kube-proxy has heard of it
    headers = f"Authorization: Bearer {token}\r\n" if token else ""
    plain = socket.create_connection(cluster.address(address, 443), 20)
    with trust.wrap_socket(plain, server_hostname="kubernetes.default.svc") as line:
        line.sendall(f"GET {path} HTTP/1.0\r\nHost: kubernetes\r\n{headers}\r\n".encode())
        with line.makefile("rb") as stream:
            head, _, body = stream.read().partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def answers(spot: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(spot) == 0


@pytest.mark.process
def test_a_program_in_a_pod_asks_the_apiserver_with_the_standard_library(processes: Cluster) -> None:
    """What a pod may do is its service account's to do; the rest is refused in upstream's words."""
    cluster = processes
    cluster.kubectl.run("create role reader --verb=list --resource=pods")
    cluster.kubectl.run("create rolebinding reader --role=reader --serviceaccount=default:default")
    container = {"image": "python:3", "command": ["python", "-c", PROGRAM]}
    cluster.client.create("pods", pod("robot", container=container, restartPolicy="Never"), "default")

    def over() -> bool:
        return cluster.client.get("pods", "robot", "default")["status"]["phase"] in ("Succeeded", "Failed")

    assert cluster.wait(over, 60)
    listed, refused = map(json.loads, str(cluster.kubectl.run(["logs", "robot"]).text).splitlines())
    assert (listed["kind"], [item["metadata"]["name"] for item in listed["items"]]) == ("PodList", ["robot"])
    assert refused == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": 'secrets is forbidden: User "system:serviceaccount:default:default" cannot list resource "secrets" '
                   'in API group "" in the namespace "default"',
        "details": {"kind": "secrets"},
    }  # fmt: skip


@pytest.mark.process
def test_the_apiserver_answers_at_its_cluster_ip_also_after_a_stop_and_a_start(processes: Cluster) -> None:
    for _ in range(2):
        assert ask(processes, "/version")[1]["major"] == "1"
        status, body = ask(processes, "/api/v1/pods")
        assert (status, body["reason"]) in ((401, "Unauthorized"), (403, "Forbidden"))
        assert ask(processes, "/api/v1/pods", "nonsense")[0] == 401
        processes.stop()
        processes.start()


@pytest.mark.process
def test_the_door_for_this_machine_and_the_one_for_pods_are_one_server(processes: Cluster) -> None:
    assert ask(processes, "/version")[0] == 200
    url = processes.serve()
    trust = ssl.create_default_context(cadata=processes.identity.root_ca)
    with urllib.request.urlopen(f"{url}/version", context=trust, timeout=20) as answer:
        assert json.load(answer)["major"] == "1"
    assert ask(processes, "/version")[0] == 200


@pytest.mark.docker
def test_a_pod_on_docker_has_its_token_and_reaches_the_apiserver_by_name() -> None:
    with connected() as api, image_layers(api), Cluster("api-access", nodes=1, runtime="docker") as cluster:
        cluster.client.create("pods", pod("web", container={"imagePullPolicy": "IfNotPresent"}), "default")
        cluster.kubectl.run("wait --for=condition=Ready pod/web --timeout=60s")
        assert cluster.identity.verify(sh(cluster, "web", f"cat {PLACE}/token"))
        assert sh(cluster, "web", f"cat {PLACE}/ca.crt") == cluster.identity.root_ca
        assert "Read-only file system" in sh(cluster, "web", f"echo x > {PLACE}/token")
        assert ask(cluster, "/version")[0] == 200
        assert sh(cluster, "web", "nc -w 5 kubernetes.default.svc 443 < /dev/null && echo connected") == "connected\n"


def test_simulated_pods_of_plain_images_write_no_files_before_somebody_looks() -> None:
    """Ten thousand of them would write a hundred thousand files that nobody reads."""
    cluster = Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1)
    cluster.start(wait=0)
    try:
        cluster.kubectl.run("run plain --image=nginx")
        cluster.settle()
        folder = cluster.machines.directories
        assert folder.uids("node-1") == set()
        answer = cluster.kubectl.run("exec plain -- ls /var/run/secrets/kubernetes.io/serviceaccount")
        assert answer.text.split() == ["ca.crt", "namespace", "token"]
        assert folder.uids("node-1") == {cluster.client.get("pods", "plain", "default")["metadata"]["uid"]}
        cluster.kubectl.run("run own --image=busybox --command -- sleep 60")
        cluster.settle()
        assert len(folder.uids("node-1")) == 2
    finally:
        cluster.delete()
