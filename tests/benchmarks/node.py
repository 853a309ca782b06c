"""How fast a node's network is: connections through Services beside direct ones, and names; then its pods.

Interface: `main()` prints one line per figure: what, measured, target, whether it is met.
The rule not to break: a figure is a ratio of two that were measured in turn in the same run, for the machine is shared.
"""

from __future__ import annotations

import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import dns.message

from k8snb.cluster import Cluster
from k8snb.coredns.server import DnsServer
from k8snb.coredns.zone import Endpoint, Entry, Zone
from k8snb.cri.docker_engine import engine_answers
from k8snb.ioloop import IoLoop

from . import http_load, pods

SECONDS = 1.5  # for names
LOOK, PAIRS, CONNECTIONS = 0.25, 40, 8
SERVICES, UNDER_WAY = 100, 32
TARGETS = {"process": 0.6, "docker": 0.8}
LOAD = Path(http_load.__file__)


def main() -> None:
    _print("names", names_per_second(), 5_000, " queries/s")
    for runtime, target in TARGETS.items():
        if runtime == "docker" and engine_answers() is None:
            print("Service forwarding on docker: left out, no engine answers", flush=True)
            continue
        ratios = forwarding(runtime)
        low, middle, high = statistics.quantiles(ratios, n=4)
        what = f"Service forwarding on {runtime} (half of {len(ratios)} looks: {low:.0%} to {high:.0%} of a direct one)"
        _print(what, 100 * middle, 100 * target, " %")
    pods.main()


def _print(what: str, measured: float, target: float, unit: str) -> None:
    met = "met" if measured >= target else "NOT MET"
    print(f"{what}: {measured:,.0f}{unit} (target {target:,.0f}{unit}: {met})", flush=True)


# Services


def forwarding(runtime: str) -> list[float]:
    """Requests a second through a Service, as parts of those of a direct connection; from where a pod is."""
    with _cluster(runtime) as cluster:
        pod = cluster.client.get("pods", "web", "default")["status"]["podIP"]
        address = cluster.client.get("services", "web", "default")["spec"]["clusterIP"]
        prefix = _into_pod(cluster) if runtime == "docker" else []
        return [through / direct for through, direct in _load(prefix, cluster.address(address, 80), (pod, 80))]


@contextmanager
def _cluster(runtime: str) -> Iterator[Cluster]:
    """A cluster with a web server behind a Service, and a client."""
    with ExitStack() as stack:
        if runtime == "docker":
            import docker
            from docker_images import image_layers

            stack.enter_context(image_layers(stack.enter_context(closing(docker.APIClient()))))
        cluster = stack.enter_context(Cluster("bench-node", nodes=1, runtime=runtime))
        for name, image, command in (("web", "nginx:1.7.9", []), ("client", "busybox", ["sleep", "3600"])):
            cluster.client.create("pods", _pod(name, image, command), "default")
        spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        made = cluster.client.create("services", {"metadata": {"name": "web"}, "spec": spec}, "default")
        assert cluster.wait(lambda: _answers(cluster, made["spec"]["clusterIP"]), 60), "the web server does not answer"
        time.sleep(1.0)
        yield cluster


def _pod(name: str, image: str, command: list[str]) -> dict[str, Any]:
    container = {
        "name": "c",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        **({"command": command} if command else {}),
    }
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def _answers(cluster: Cluster, address: str) -> bool:
    ready = [pod for pod in cluster.client.items("pods", "default") if pod["status"].get("phase") == "Running"]
    try:
        with socket.create_connection(cluster.address(address, 80), timeout=1):
            return len(ready) == 2
    except OSError:
        return False


def _into_pod(cluster: Cluster) -> list[str]:
    """How to run a command in the client pod's network, where this user may."""
    runtime: Any = cluster.runtime
    if runtime.kernels.why_not:
        return []
    runtime.kernels.flush()
    processes = runtime._held.pod_processes()
    client = cluster.client.get("pods", "client", "default")["status"]["podIP"]
    return ["nsenter", f"--net=/proc/{processes[client]}/ns/net"]


def _load(prefix: list[str], *spots: tuple[str, int]) -> list[tuple[float, float]]:
    places = [f"{address}:{port}" for address, port in spots]
    command = [*prefix, sys.executable, str(LOAD), *places, str(LOOK), str(PAIRS), str(CONNECTIONS)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [(float(one), float(other)) for one, other in (line.split() for line in lines)]


# names


def names_per_second() -> float:
    """Queries a second that one client gets answered, of a hundred Services' names in random order."""
    zone, io = Zone(), IoLoop()
    zone.put_namespace("default")
    for number in range(SERVICES):
        zone.put(f"default/web-{number}", Entry((Endpoint("", f"10.96.1.{number + 1}", 80, "http", "tcp"),)))
    server = DnsServer(io, zone, ("127.0.0.1", 0))
    server.start()
    try:
        command = [sys.executable, "-m", __name__, server.address[0], str(server.address[1])]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    finally:
        server.close()
        io.close()


def _ask(spot: tuple[str, int]) -> float:
    names = [f"web-{number}.default.svc.cluster.local." for number in range(SERVICES)]
    dice, count = random.Random(1), 0
    questions = [dns.message.make_query(dice.choice(names), "A").to_wire() for _ in range(10_000)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect(spot)
        for number in range(UNDER_WAY):
            client.send(questions[number])
        began = time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            client.recv(4096)
            count += 1
            client.send(questions[count % len(questions)])
        return count / (time.perf_counter() - began)


if __name__ == "__main__":
    print(_ask((sys.argv[1], int(sys.argv[2]))))
