"""Services really forward: by name from pods, by URL from the notebook, over the ready endpoints, at all times."""

from __future__ import annotations

import os
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from docker_images import image_layers
from notebook_lab import Kernel

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow

MANIFEST = """%%kapply
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: client, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, '3600']}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: nginx}
spec:
  replicas: 2
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: nginx, image: nginx:1.7.9, ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: nginx}
spec:
  selector: {app: nginx}
  ports:
  - {name: http, port: 8078, targetPort: 80}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 3
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      terminationGracePeriodSeconds: 3
      containers:
      - name: echo
        image: k8s.gcr.io/echoserver:1.10
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
        # Those who were sent here before the endpoint was gone are answered first.
        lifecycle: {preStop: {sleep: {seconds: 1}}}
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  type: NodePort
  selector: {app: echo}
  ports:
  - {port: 8080}
"""
# Asks the service again and again, as its users do, until it is told to stop.
ASK = """
import threading, urllib.request
answers, failures, stop = [], [], threading.Event()
def ask():
    while not stop.wait(0.01):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                answers.append(answer.read())
        except OSError as error:
            failures.append(repr(error))
asking = threading.Thread(target=ask)
asking.start()
"""
ENOUGH = """
while len(answers) + len(failures) < 100:
    stop.wait(0.01)
stop.set()
asking.join()
print(all(b'Hostname' in text for text in answers), failures)
"""


@pytest.fixture(
    scope="module",
    params=[pytest.param("process", marks=pytest.mark.process), pytest.param("docker", marks=pytest.mark.docker)],
)
def kernel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with ExitStack() as stack:
        if request.param == "docker":
            import docker

            stack.enter_context(image_layers(stack.enter_context(closing(docker.APIClient()))))
        home = str(tmp_path_factory.mktemp("home"))
        own = {"PYTHONPATH": str(ROOT), "IPYTHONDIR": home, "K8SNB_RUNTIME": request.param}
        kernel = Kernel({**os.environ, **own})
        stack.callback(kernel.close)
        ok(kernel, "%load_ext k8snb")
        ok(kernel, MANIFEST)
        ok(kernel, "%kwait --for=condition=Available deployment --all --timeout=60s")
        ok(kernel, "%kwait --for=condition=Ready pod --all --timeout=60s")
        yield kernel


def ok(kernel: Kernel, cell: str) -> str:
    """A cell that has to succeed: its answer in words."""
    answer = kernel.run(cell)
    assert not answer.failed, answer.outputs
    return answer.data("text/plain") or answer.text("stdout")


@pytest.mark.parametrize("name", ["nginx", "nginx.default", "nginx.default.svc", "nginx.default.svc.cluster.local"])
def test_a_pod_reaches_a_service_by_each_of_its_names(kernel: Kernel, name: str) -> None:
    assert "Welcome to nginx" in ok(kernel, f"%kexec client -- wget -qO- http://{name}:8078")


def test_a_pods_log_shows_what_the_service_answered(kernel: Kernel) -> None:
    pod = re.sub(r"command: .*\}", "command: [sh, -c, 'wget -qO- http://nginx:8078']}", MANIFEST.partition("---")[0])
    ok(kernel, pod.replace("client", "reader").replace("spec:\n", "spec:\n  restartPolicy: Never\n", 1))
    ok(kernel, "%kwait --for=jsonpath='{.status.phase}'=Succeeded pod/reader")
    assert "Welcome to nginx" in ok(kernel, "%klogs reader")
    ok(kernel, "%kdelete pod reader --now")


def test_names_resolve_to_the_addresses_that_the_api_has(kernel: Kernel) -> None:
    address = ok(kernel, "%kget service nginx -o jsonpath={.spec.clusterIP}").strip()
    assert re.fullmatch(r"[\d.]+", address)
    assert address in ok(kernel, "%kexec client -- nslookup nginx.default.svc.cluster.local")
    pod = ok(kernel, "%kget pod client -o jsonpath={.status.podIP}").strip()
    name = f"{pod.replace('.', '-')}.default.pod.cluster.local"
    assert pod in ok(kernel, f"%kexec client -- nslookup {name}")


def test_a_name_that_is_not_there_is_not_found(kernel: Kernel) -> None:
    answer = kernel.run("%kexec client -- nslookup nope.default.svc.cluster.local")
    said = answer.data("text/plain") + answer.error
    assert "NXDOMAIN" in said or "can't" in said.lower()


def test_requests_are_balanced_over_the_ready_endpoints(kernel: Kernel) -> None:
    ok(kernel, "url = %kcluster service echo --url\nimport urllib.request")
    said = ok(kernel, "print([urllib.request.urlopen(url).read().decode() for _ in range(60)])")
    answers = Counter(re.findall(r"Hostname: ([\w-]+)", said))
    assert set(answers) == pods(kernel) and min(answers.values()) >= 8, answers


def pods(kernel: Kernel) -> set[str]:
    return set(ok(kernel, "%kget pods -l app=echo -o name").replace("pod/", "").split())


@pytest.mark.parametrize("change", ["delete pod {pod}", "rollout restart deployment/echo"], ids=["delete", "rollout"])
def test_a_service_keeps_answering_while_its_pods_are_replaced(kernel: Kernel, change: str) -> None:
    before = pods(kernel)
    ok(kernel, "url = %kcluster service echo --url")
    ok(kernel, ASK)
    ok(kernel, f"%kubectl {change.format(pod=min(before))}")
    ok(kernel, "%krollout status deployment/echo --timeout=60s")
    ok(kernel, "%kwait --for=jsonpath='{.status.readyReplicas}'=3 deployment/echo --timeout=60s")
    assert ok(kernel, ENOUGH) == "True []\n"
    assert len(pods(kernel) - before) == (1 if "delete" in change else 3)


def test_a_service_without_ready_endpoints_refuses_and_comes_back(kernel: Kernel) -> None:
    ok(kernel, "%kscale deployment echo --replicas=0")
    ok(kernel, "%kwait --for=delete pod -l app=echo")
    assert "does not answer" in ok(kernel, "%kcluster service echo")
    ok(kernel, "%kscale deployment echo --replicas=3")
    ok(kernel, "%kwait --for=jsonpath='{.status.readyReplicas}'=3 deployment/echo")
    assert "Hostname" in ok(kernel, "%kcluster service echo")


# an address that another program has


@pytest.mark.process
def test_a_port_that_another_program_has_is_mapped_and_said(tmp_path: Path) -> None:
    own = {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path), "K8SNB_RUNTIME": "process"}
    with ExitStack() as stack:
        kernel = Kernel({**os.environ, **own})
        stack.callback(kernel.close)
        ok(kernel, "%load_ext k8snb")
        network = ok(kernel, "%kcluster ip").strip().rpartition(".16.")[0]
        spots = [*((f"{network}.16.{number}", 30123) for number in range(1, 5)), (f"{network}.3.4", 8078)]
        for spot in spots:
            stack.enter_context(closing(socket.create_server(spot)))
        ok(kernel, "%kcreate deployment nginx --image=nginx")
        service = MANIFEST[MANIFEST.index("kind: Service") :].partition("---")[0]
        ported = service.replace("targetPort: 80", "targetPort: 80, nodePort: 30123")
        typed = ported.replace("spec:\n", f"spec:\n  type: NodePort\n  clusterIP: {network}.3.4\n")
        ok(kernel, "%%kapply\napiVersion: v1\n" + typed)
        ok(kernel, "%krun client --image=busybox -- sleep 3600")
        ok(kernel, "%kwait --for=condition=Available deployment/nginx")
        ok(kernel, "%kwait --for=condition=Ready pod --all")
        assert "Welcome to nginx" in ok(kernel, "%kcluster service nginx")
        assert ":30123" not in ok(kernel, "%kcluster service nginx --url")
        told = ok(kernel, "%kdescribe service nginx")
        assert re.search(rf"PortMapped .* {re.escape(network)}\.3\.4:8078.* is found at 127", told), told
        assert re.search(r"PortMapped .*:30123.* is found at 127", told), told
        assert "Welcome to nginx" in ok(kernel, "%kexec client -- wget -qO- http://nginx:8078")
