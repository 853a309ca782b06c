"""How long pods take to start, beside what the engine takes for their containers, and what their probes cost.

Interface: `main()` prints one line per figure; `figures()` gives them, those of Docker only where an engine answers.
The rule not to break: what is compared is measured in the same run, in turns.
"""

from __future__ import annotations

import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psutil
from docker_images import SHELL, image_layers

from k8snb.apimachinery.meta import Object, is_true
from k8snb.cluster import Cluster
from k8snb.cri.docker_engine import connected, engine_answers, ensure_pause_image

from .startup import Figure

TURNS = 7
MANY, FEW_NODES = 20, 3
PROCESS_PODS, PROBED_PODS = 100, 200
PROBE_SECONDS = 10.0
AT_ONCE = 16  # containers that the engine is asked for at a time


def main() -> None:
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors", flush=True)
    for figure in figures():
        print(figure, flush=True)


def figures() -> Iterator[Figure]:
    if engine_answers():
        with connected() as api, image_layers(api):
            yield from docker_figures(api)
    yield from process_figures()


def docker_figures(api: Any) -> Iterator[Figure]:
    with Cluster("bench", runtime="docker", nodes=FEW_NODES) as cluster:
        own, engines = [], []
        for _ in range(TURNS):
            own.append(pod_seconds(cluster, 1))
            engines.append(docker_run_seconds(api))
        pod, run = statistics.median(own), statistics.median(engines)
        yield Figure("Docker: a pod from apply to Ready", pod, 1.5 * run, "s")
        yield Figure("  as often as docker run of its two containers takes", pod / run, 1.5, "×")
        many = statistics.median(pod_seconds(cluster, MANY) for _ in range(3))
        containers = statistics.median(engine_seconds(api, MANY) for _ in range(3))
        yield Figure(f"Docker: {MANY} pods on {FEW_NODES} nodes from apply to Ready", many, 1.5 * containers, "s")
        yield Figure(f"  as often as the engine takes for {2 * MANY} containers", many / containers, 1.5, "×")


def process_figures() -> Iterator[Figure]:
    with Cluster("bench", runtime="process", nodes=3) as cluster:
        yield Figure(f"processes: {PROCESS_PODS} pods from apply to Ready", pod_seconds(cluster, PROCESS_PODS), 10, "s")
    with Cluster("bench", runtime="process", nodes=3) as cluster:
        yield Figure(f"probes of {PROBED_PODS} pods every second, share of a core", probe_load(cluster), 25, "%")


# pods


def pod_seconds(cluster: Cluster, count: int) -> float:
    """Until all of them are Ready; they are gone when this is over."""
    names = [f"bench-{number}-{secrets.token_hex(3)}" for number in range(count)]
    text = "\n---\n".join(POD.format(name=name, image=SHELL) for name in names)
    with gone_again(cluster, names):
        began = time.perf_counter()
        cluster.kubectl.run("apply -f -", stdin=text)
        wait(cluster, names)
        return time.perf_counter() - began


POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: bench}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: main, image: "{image}", imagePullPolicy: IfNotPresent, command: [sleep, "600"]}}]
"""


def wait(cluster: Cluster, names: list[str]) -> None:
    left = set(names)

    def ready() -> bool:
        left.difference_update([name for name in left if is_true(cluster.client.get("pods", name, "default"), "Ready")])
        return not left

    if not cluster.wait(ready, 120):
        raise RuntimeError(f"pods that never became Ready: {', '.join(sorted(left))}")


@contextmanager
def gone_again(cluster: Cluster, names: list[str]) -> Iterator[None]:
    try:
        yield
    finally:
        for name in names:
            cluster.client.delete("pods", name, "default")
        nodes = list(cluster.nodes)
        cluster.wait(lambda: not any(cluster.runtime.list_pod_sandboxes(node) for node in nodes), 60)


# what the engine takes


def docker_run_seconds(api: Any) -> float:
    """`docker run` of a pause container and of one that joins it."""
    pause = ensure_pause_image(api, None)
    name = f"bench-{secrets.token_hex(4)}"
    joined = ["--network", f"container:{name}", "--ipc", f"container:{name}", SHELL, "sleep", "600"]
    began = time.perf_counter()
    made = [
        _run("docker", "run", "-d", "--name", name, "--ipc", "shareable", pause.image, *pause.command),
        _run("docker", "run", "-d", *joined),
    ]
    seconds = time.perf_counter() - began
    for container in reversed(made):
        api.remove_container(container, force=True)
    return seconds


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def engine_seconds(api: Any, pairs: int) -> float:
    """The same for many pairs, by the engine's API, as many at a time as it works off quickest."""
    pause = ensure_pause_image(api, None)
    made: list[str] = []

    def start(image: str, command: Any, **host: Any) -> str:
        container = api.create_container(image, command, host_config=api.create_host_config(**host))["Id"]
        made.append(container)
        api.start(container)
        return str(container)

    def pair(_: int) -> None:
        first = start(pause.image, list(pause.command), ipc_mode="shareable")
        start(SHELL, ["sleep", "600"], network_mode=f"container:{first}", ipc_mode=f"container:{first}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        began = time.perf_counter()
        list(pool.map(pair, range(pairs)))
        seconds = time.perf_counter() - began
        list(pool.map(lambda container: api.remove_container(container, force=True), reversed(made)))
    return seconds


# probes


def probe_load(cluster: Cluster) -> float:
    """Per cent of a core that this process uses more than without the probes."""
    idle = with_pods(cluster, {})
    probed = with_pods(cluster, {"readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}})
    return probed - idle


def with_pods(cluster: Cluster, probe: Object) -> float:
    main = {"name": "main", "image": "nginx", **probe}
    names = [f"probed-{number}" for number in range(PROBED_PODS)]
    for name in names:
        spec = {"containers": [main], "terminationGracePeriodSeconds": 0}
        cluster.client.create("pods", {"metadata": {"name": name}, "spec": spec}, "default")
    with gone_again(cluster, names):
        wait(cluster, names)
        time.sleep(3)
        return load(lambda: time.sleep(PROBE_SECONDS))


def load(work: Callable[[], None]) -> float:
    this = psutil.Process()
    before, began = sum(this.cpu_times()[:2]), time.perf_counter()
    work()
    return (sum(this.cpu_times()[:2]) - before) / (time.perf_counter() - began) * 100
