"""Every sort of Service, through all three runtimes: what a pod and this machine reach by each of its addresses.

Rules: the page "Service" of the Kubernetes documentation, and `test/e2e/network/service.go` of its repository.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
import yaml
from docker_images import image_layers

from k8snb.apimachinery.meta import Object, get_path
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl import KubectlError

EXTERNAL = "198.51.100.7"  # RFC 5737: an address that nobody has
PATIENCE = 120.0
PODS = "".join(f"""
{{kind: Pod, metadata: {{name: web-{number}, labels: {{app: web}}}}, spec: {{nodeName: node-{number},
  terminationGracePeriodSeconds: 0, hostname: web-{number}, subdomain: pods, containers: [{{name: c,
    image: 'k8s.gcr.io/echoserver:1.10', imagePullPolicy: IfNotPresent,
    ports: [{{name: http, containerPort: 8080}}]}}]}}}}
---
{{kind: Pod, metadata: {{name: client-{number}}}, spec: {{nodeName: node-{number}, terminationGracePeriodSeconds: 0,
  containers: [{{name: c, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, '1000000']}}]}}}}
---""" for number in (1, 2))  # fmt: skip
SERVICES = f"""
{{kind: Service, metadata: {{name: plain}}, spec: {{selector: {{app: web}}, ports: [
  {{port: 8078, targetPort: 8080}}]}}}}
---
{{kind: Service, metadata: {{name: named}}, spec: {{selector: {{app: web}}, ports: [
  {{name: a, port: 80, targetPort: http}}, {{name: b, port: 81, targetPort: 8080}}]}}}}
---
{{kind: Service, metadata: {{name: pods}}, spec: {{clusterIP: None, selector: {{app: web}}, ports: [{{port: 8080}}]}}}}
---
{{kind: Service, metadata: {{name: alias}}, spec: {{type: ExternalName,
  externalName: plain.default.svc.cluster.local}}}}
---
{{kind: Service, metadata: {{name: faithful}}, spec: {{selector: {{app: web}}, sessionAffinity: ClientIP, ports: [
  {{port: 80, targetPort: 8080}}]}}}}
---
{{kind: Service, metadata: {{name: near}}, spec: {{selector: {{app: web}}, internalTrafficPolicy: Local, ports: [
  {{port: 80, targetPort: 8080}}]}}}}
---
{{kind: Service, metadata: {{name: port}}, spec: {{type: NodePort, selector: {{app: web}}, ports: [
  {{port: 80, targetPort: 8080}}]}}}}
---
{{kind: Service, metadata: {{name: outside}}, spec: {{selector: {{app: web}}, externalIPs: [{EXTERNAL}], ports: [
  {{port: 80, targetPort: 8080}}]}}}}
---
{{kind: Service, metadata: {{name: cloud}}, spec: {{type: LoadBalancer, selector: {{app: web}}, ports: [
  {{port: 80, targetPort: 8080}}]}}}}
---
{{kind: Service, metadata: {{name: local}}, spec: {{type: LoadBalancer, externalTrafficPolicy: Local,
  selector: {{app: web, statefulset.kubernetes.io/pod-name: web-1}}, ports: [{{port: 80, targetPort: 8080}}]}}}}
---
{{kind: Service, metadata: {{name: nobody}}, spec: {{selector: {{app: none}}, ports: [{{port: 80}}]}}}}
"""


@pytest.fixture(
    scope="module",
    params=["simulated", pytest.param("process", marks=pytest.mark.process),
            pytest.param("docker", marks=pytest.mark.docker)],
)  # fmt: skip
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with ExitStack() as stack:
        if request.param == "docker":
            import docker

            stack.enter_context(image_layers(stack.enter_context(closing(docker.APIClient()))))
        clock = VirtualClock() if request.param == "simulated" else None
        cluster = stack.enter_context(Cluster("services", nodes=2, runtime=request.param, clock=clock, seed=1))
        for document in yaml.safe_load_all(PODS + SERVICES):
            cluster.client.create(document["kind"].lower() + "s", document, "default")
        cluster.client.patch("pods", "web-1", {"metadata": {"labels": {
            "statefulset.kubernetes.io/pod-name": "web-1"}}}, "default")  # fmt: skip
        until(cluster, lambda: len(ready(cluster)) == 4)
        until(cluster, lambda: service(cluster, "cloud").get("status", {}).get("loadBalancer"))
        until(cluster, lambda: "Hostname" in visit(cluster, cluster.service_urls("cloud")[0]))
        yield cluster


def until(cluster: Cluster, condition: Callable[[], Any]) -> None:
    if cluster.clock.virtual:
        cluster.run_for(5)
        assert condition()
    else:
        assert cluster.wait(condition, PATIENCE)


def ready(cluster: Cluster) -> list[Object]:
    pods = cluster.client.items("pods", "default")
    return [pod for pod in pods if all(each.get("ready") for each in get_path(pod, "status.containerStatuses") or [{}])]


def service(cluster: Cluster, name: str) -> Object:
    return cluster.client.get("services", name, "default")


def asked(cluster: Cluster, url: str, client: str = "client-1", times: int = 1) -> list[str]:
    """The pods that answer to wget in a pod, "" where nobody does."""
    line = f"wget -qO- {url} 2>/dev/null || echo"
    text = str(cluster.kubectl.run(f"exec {client} -- sh -c '{'; '.join([line] * times)}'").text)
    return re.findall(r"Hostname: ([\w-]+)", text)


def visit(cluster: Cluster, url: str) -> str:
    try:
        return cluster.visit(url)[1]
    except OSError:
        return ""


@pytest.mark.parametrize(
    "url",
    [
        "http://plain:8078", "http://plain.default:8078", "http://plain.default.svc.cluster.local:8078",
        "http://named", "http://named:81", "http://pods:8080", "http://web-2.pods:8080", "http://alias:8078",
        "http://faithful", "http://near", "http://port", "http://cloud", "http://outside", f"http://{EXTERNAL}",
    ],
)  # fmt: skip
def test_a_pod_reaches_a_service_by_each_of_its_addresses(cluster: Cluster, url: str) -> None:
    assert asked(cluster, url), url


def test_a_pod_reaches_a_node_port_at_every_node(cluster: Cluster) -> None:
    number = service(cluster, "port")["spec"]["ports"][0]["nodePort"]
    for node in cluster.nodes.values():
        assert asked(cluster, f"http://{node.network.node_ip}:{number}")


def test_a_pod_reaches_a_load_balancer_at_its_address(cluster: Cluster) -> None:
    address = service(cluster, "cloud")["status"]["loadBalancer"]["ingress"][0]["ip"]
    if cluster.runtime_name == "docker" and address.startswith("127."):
        pytest.skip("optional: only root may give a load balancer an address that containers reach")
    assert asked(cluster, f"http://{address}")


@pytest.mark.parametrize("name", ["plain", "port", "cloud", "named", "local"])
def test_this_machine_reaches_a_service_at_its_url(cluster: Cluster, name: str) -> None:
    assert "Hostname: web-" in visit(cluster, cluster.service_urls(name)[0])


def test_connections_are_spread_and_a_faithful_client_stays(cluster: Cluster) -> None:
    assert set(asked(cluster, "http://plain:8078", times=16)) == {"web-1", "web-2"}
    assert len(set(asked(cluster, "http://faithful", times=8))) == 1


def test_an_internal_local_policy_stays_on_the_client_s_node(cluster: Cluster) -> None:
    for number in (1, 2):
        assert set(asked(cluster, "http://near", f"client-{number}", times=8)) == {f"web-{number}"}


def test_a_service_without_endpoints_refuses(cluster: Cluster) -> None:
    assert not asked(cluster, "http://nobody")


def test_an_external_local_policy_stays_on_its_node_and_tells_load_balancers(cluster: Cluster) -> None:
    """On Docker the nodes have one address, at which each of them is meant."""
    spec = service(cluster, "local")["spec"]
    addresses = {name: node.network.node_ip for name, node in cluster.nodes.items() if name != "control-plane"}
    shared = len(set(addresses.values())) == 1
    for name, address in addresses.items():
        here = shared or name == "node-1"
        spot = cluster.address(address, spec["ports"][0]["nodePort"])
        assert ("web-1" in visit(cluster, "http://{}:{}".format(*spot))) == here
        status, body = cluster.visit("http://{}:{}".format(*cluster.address(address, spec["healthCheckNodePort"])))
        assert status == (200 if here else 503)
        if here:
            assert json.loads(body)["localEndpoints"] == 1
    assert {visit(cluster, cluster.service_urls("local")[0]).strip()[:15] for _ in range(4)} == {"Hostname: web-1"}


def test_datagrams_reach_a_pod_and_its_answer_comes_back(cluster: Cluster) -> None:
    if cluster.runtime_name == "simulated":
        pytest.skip("optional: simulated pods speak HTTP and ask for names, and no other datagrams")
    if cluster.runtime_name == "docker":
        pytest.skip("optional: no image that is here answers datagrams; see the test of resolvers")
    ports = [{"port": 53, "targetPort": 5000, "protocol": "UDP"}]
    container = {"name": "c", "image": "registry.k8s.io/e2e-test-images/agnhost:2.43", "args": ["netexec",
                 "--udp-port=5000"], "ports": [{"containerPort": 5000, "protocol": "UDP"}]}  # fmt: skip
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    cluster.client.create("pods", {"metadata": {"name": "udp", "labels": {"app": "udp"}}, "spec": spec}, "default")
    made = cluster.client.create("services", {"metadata": {"name": "udp"}, "spec": {
        "type": "NodePort", "selector": {"app": "udp"}, "ports": ports}}, "default")  # fmt: skip
    plane, node = cluster.host.plane, cluster.nodes["node-1"].network.node_ip
    until(cluster, lambda: datagram(plane.actual(made["spec"]["clusterIP"], 53, "UDP")) == "udp")
    assert datagram(plane.actual(node, made["spec"]["ports"][0]["nodePort"], "UDP")) == "udp"


def test_every_pod_has_an_address_of_its_node_s_range(cluster: Cluster) -> None:
    for pod in ready(cluster):
        node = cluster.client.get("nodes", pod["spec"]["nodeName"])
        inside = ipaddress.ip_network(node["spec"]["podCIDR"])
        assert ipaddress.ip_address(pod["status"]["podIP"]) in inside, (pod["metadata"]["name"], inside)


def test_a_pod_s_datagrams_go_through_a_service(cluster: Cluster) -> None:
    """A name server behind a Service of somebody's own: here the cluster's."""
    if cluster.runtime_name != "docker":
        pytest.skip("optional: endpoints may not be loopback addresses")
    port = {"port": 53, "protocol": "UDP"}
    made = cluster.client.create("services", {"metadata": {"name": "resolver"}, "spec": {"ports": [port]}}, "default")
    slices = {"metadata": {"name": "resolver", "labels": {"kubernetes.io/service-name": "resolver"}},
              "addressType": "IPv4", "ports": [port], "endpoints": [{"addresses": [cluster.resolver]}]}  # fmt: skip
    cluster.client.create("endpointslices", slices, "default")
    line = f"exec client-1 -- nslookup plain.default.svc.cluster.local {made['spec']['clusterIP']}"
    until(cluster, lambda: service(cluster, "plain")["spec"]["clusterIP"] in said(cluster, line))


def said(cluster: Cluster, line: str) -> str:
    try:
        return str(cluster.kubectl.run(line).text)
    except KubectlError:
        return ""


def datagram(spot: tuple[str, int]) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        try:
            client.sendto(b"hostname\n", spot)
            return client.recv(100).decode().strip()
        except OSError:
            return ""
