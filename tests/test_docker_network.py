"""The network of pods on a Docker engine: rules in each pod's own kernel, for Services and for NetworkPolicies."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
import yaml
from docker_images import ECHOSERVER, image_layers

from k8snb.apimachinery.meta import Object
from k8snb.cluster import Cluster
from k8snb.cri.docker_kernel import PodKernels

pytestmark = pytest.mark.docker

PATIENCE = 120.0
MANIFEST = f"""
{{kind: Pod, apiVersion: v1, metadata: {{name: web, labels: {{app: web}}}}, spec: {{terminationGracePeriodSeconds: 0,
  containers: [{{name: c, image: '{ECHOSERVER}', imagePullPolicy: IfNotPresent,
    ports: [{{name: http, containerPort: 8080}}],
    readinessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1, failureThreshold: 1}}}}]}}}}
---
{{kind: Service, apiVersion: v1, metadata: {{name: web}}, spec: {{selector: {{app: web}},
  ports: [{{port: 80, targetPort: http}}]}}}}
---
{{kind: Pod, apiVersion: v1, metadata: {{name: friend, labels: {{access: 'true'}}}}, spec: {{
  terminationGracePeriodSeconds: 0,
  containers: [{{name: c, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, '3600']}}]}}}}
---
{{kind: Pod, apiVersion: v1, metadata: {{name: stranger}}, spec: {{terminationGracePeriodSeconds: 0,
  containers: [{{name: c, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, '3600']}}]}}}}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    import docker

    with ExitStack() as stack:
        api = stack.enter_context(closing(docker.APIClient()))
        stack.enter_context(image_layers(api))
        cluster = stack.enter_context(Cluster("network", nodes=2, runtime="docker"))
        for document in yaml.safe_load_all(MANIFEST):
            cluster.client.create(document["kind"].lower() + "s", document, "default")
        assert cluster.kubectl.run("wait --for=condition=Ready pod --all --timeout=40s")
        kernels(cluster).flush()
        yield cluster


def kernels(cluster: Cluster) -> PodKernels:
    found: PodKernels = cluster.runtime.kernels  # type: ignore[attr-defined]
    return found


def ip_of(cluster: Cluster, pod: str) -> str:
    return str(cluster.client.get("pods", pod, "default")["status"]["podIP"])


def ask(cluster: Cluster, pod: str, url: str) -> str:
    """What wget in a pod gets, "" where it gets nothing."""
    return str(cluster.kubectl.run(f"exec {pod} -- sh -c 'timeout 2 wget -qO- {url} 2>/dev/null || true'").text)


def until(condition: Callable[[], Any]) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def policy(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"podSelector": {}, **spec}}


@pytest.fixture
def policies(cluster: Cluster) -> Iterator[Callable[[Object], None]]:
    """Puts a policy in force; at the end there is none."""
    if kernels(cluster).why_not:
        pytest.skip(f"optional: {kernels(cluster).why_not}")

    def put(policy: Object) -> None:
        cluster.client.create("networkpolicies", policy, "default")
        assert until(lambda: is_known(cluster, f"default/{policy['metadata']['name']}")) and kernels(cluster).flush()

    yield put
    for each in cluster.client.items("networkpolicies", "default"):
        cluster.client.delete("networkpolicies", each["metadata"]["name"], "default")
    assert until(lambda: ask(cluster, "stranger", f"http://{ip_of(cluster, 'web')}:8080"))


def is_known(cluster: Cluster, policy: str) -> bool:
    """Whether the agent has worked on a policy, and has nothing left to do."""
    agent = cluster.control_plane.policies
    with cluster.pump.lock:
        return policy in agent.book.policies.get("default", {}) and not len(agent.queue)


def test_the_pod_behind_a_service_sees_the_pod_that_asks(cluster: Cluster) -> None:
    if kernels(cluster).why_not:
        pytest.skip(f"optional: {kernels(cluster).why_not}")
    for name in ("web", "web.default.svc.cluster.local"):
        assert f"client_address={ip_of(cluster, 'friend')}" in ask(cluster, "friend", f"http://{name}")
    assert "Hostname: web" in ask(cluster, "web", "http://web.default"), "a pod reaches itself through its Service"


def test_a_policy_holds_between_pods_and_through_services(cluster: Cluster, policies: Any) -> None:
    direct, service = f"http://{ip_of(cluster, 'web')}:8080", "http://web"
    for url in (direct, service):
        assert "Hostname: web" in ask(cluster, "stranger", url)
    friends = {"from": [{"podSelector": {"matchLabels": {"access": "true"}}}], "ports": [{"port": "http"}]}
    policies(policy("access", podSelector={"matchLabels": {"app": "web"}}, ingress=[friends]))
    for url in (direct, service):
        assert "Hostname: web" in ask(cluster, "friend", url)
        assert not ask(cluster, "stranger", url)
    assert cluster.visit(f"http://{ip_of(cluster, 'web')}:8080")[0] == 200, "the node is always let in"


def test_a_pod_may_be_kept_from_going_out_and_from_asking_for_names(cluster: Cluster, policies: Any) -> None:
    into_web = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["192.0.2.0/24"]}}], "ports": [{"port": 8080}]}
    policies(policy("out", policyTypes=["Egress"], egress=[into_web]))
    service = cluster.client.get("services", "web", "default")["spec"]["clusterIP"]
    assert "Hostname: web" in ask(cluster, "stranger", f"http://{service}")
    assert not ask(cluster, "stranger", "http://web")
    dns = {"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]}
    policies(policy("dns", policyTypes=["Egress"], egress=[dns]))
    assert "Hostname: web" in ask(cluster, "stranger", "http://web")


def test_a_pod_is_isolated_before_its_containers_start(cluster: Cluster, policies: Any) -> None:
    """The page "Network Policies" of the documentation: "Pod lifecycle"."""
    policies(policy("out", podSelector={"matchLabels": {"app": "early"}}, policyTypes=["Egress"]))
    url = f"http://{ip_of(cluster, 'web')}:8080"
    script = f"timeout 2 wget -qO- {url} >/dev/null && echo open || echo closed; sleep 3600"
    container = {"name": "c", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script]}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    cluster.client.create("pods", {"metadata": {"name": "early", "labels": {"app": "early"}}, "spec": spec}, "default")
    answers = {"open", "closed"}
    assert until(lambda: is_running(cluster, "early") and answers & set(cluster.kubectl.run("logs early").text.split()))
    assert "closed" in cluster.kubectl.run("logs early").text.split()


def is_running(cluster: Cluster, pod: str) -> bool:
    return bool(cluster.client.get("pods", pod, "default")["status"].get("phase") == "Running")


def test_probes_pass_a_policy_that_lets_nobody_in(cluster: Cluster, policies: Any) -> None:
    policies(policy("deny"))
    time.sleep(2.5)  # two of the probes
    assert cluster.client.get("pods", "web", "default")["status"]["containerStatuses"][0]["ready"]


def test_a_process_that_is_no_pod_of_ours_gets_no_rules(cluster: Cluster) -> None:
    if kernels(cluster).why_not:
        pytest.skip(f"optional: {kernels(cluster).why_not}")
    found = PodKernels(lambda: {"203.0.113.1": os.getpid(), "203.0.113.2": 1}, local=True)
    found.program(nat=lambda: "*nat\n:K8SNB-SERVICES - [0:0]\nCOMMIT\n")
    assert found.flush() and not found._applied and not found.why_not
    found.close()


def test_an_engine_elsewhere_says_what_is_not_held_back() -> None:
    assert "root on the engine's own Linux machine" in PodKernels(dict, local=False).why_not
