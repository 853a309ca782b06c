"""How long a large Deployment takes, and what an event costs among many objects that it does not concern.

Interface: `main()` prints one line per figure; `seconds_to_available`, `milliseconds_per_round`.
The rule not to break: the whole way is measured: controllers, scheduler, kubelets, endpoints, every write in between.
"""

from __future__ import annotations

import gc
import random
import resource
import time
from typing import NamedTuple

from k8snb.apimachinery.kinds import find
from k8snb.apimachinery.meta import Object, get_path, name_of
from k8snb.apiserver.server import ApiServer
from k8snb.client import Client
from k8snb.client.context import Context
from k8snb.client.informer import Informers
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.controllers import CONTROLLERS
from k8snb.etcd.memory import MemoryStore
from k8snb.pump import Pump

PODS, NODES, TARGET = 10_000, 500, 20.0
FEW, MANY = 100, 10_000
ROUNDS = 40
KINDS_OF_OTHERS = 7


class Taken(NamedTuple):
    """Seconds by the wall, seconds of the processor, and the process's peak memory in MiB."""

    wall: float
    processor: float
    memory: int


def main() -> None:
    taken = seconds_to_available(PODS, NODES)
    met = "met" if taken.wall < TARGET else "NOT MET"
    what = f"a Deployment of {PODS:,} pods on {NODES} simulated nodes"
    spent = f"{taken.processor:.1f} s of processor time, {taken.memory} MiB"
    print(f"{what}: Available after {taken.wall:.1f} s ({spent}; target {TARGET:g} s: {met})", flush=True)
    few, many = milliseconds_per_round(FEW), milliseconds_per_round(MANY)
    words = f"{few:.2f} ms among {FEW} objects, {many:.2f} ms among {MANY:,}"
    print(f"one pod replaced: {words} that it does not concern (ratio {many / few:.2f}; target: flat)", flush=True)


def seconds_to_available(pods: int, nodes: int) -> Taken:
    """From the creation of the Deployment, with a Service in front of it, to the last pod that is available."""
    with Cluster(nodes=nodes, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        cluster.settle()
        deployments = find("deployments")
        assert deployments is not None
        cluster.client.create("services", _service("web"), "default")
        wall, processor = time.perf_counter(), time.process_time()
        newest: list[Object] = []
        cluster.store.watch(deployments.prefix, lambda record: newest.append(record.value))
        cluster.client.create("deployments", _deployment("web", pods), "default")

        def is_available() -> bool:
            return bool(get_path(newest[-1], "status.availableReplicas") == pods)

        assert cluster.wait(is_available, 3600)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return Taken(time.perf_counter() - wall, time.process_time() - processor, memory)


def milliseconds_per_round(unrelated: int) -> float:
    """A pod of a small Deployment is deleted and replaced, among so many objects of others: the best of many rounds."""
    clock = VirtualClock()
    pump = Pump(clock)
    server = ApiServer(MemoryStore(), clock, dice=random.Random(1), service_cidr="10.0.0.0/8")
    server.bootstrap()
    context = Context(server, clock, pump.add, random.Random(1))
    client = Client(server)
    client.create("serviceaccounts", {"metadata": {"name": "default"}}, "default")
    informers = Informers(context.client("system:kube-controller-manager"), context)
    controllers = [make(context, informers) for make in CONTROLLERS.values()]
    informers.start()
    for controller in controllers:
        controller.start()
    _crowd(client, unrelated)
    client.create("services", _service("web"), "default")
    client.create("deployments", _deployment("web", 3), "default")
    pump.settle()
    gc.collect()
    return min(_replace_a_pod(client, pump) for _ in range(ROUNDS)) * 1000


def _replace_a_pod(client: Client, pump: Pump) -> float:
    pod = client.items("pods", "default", labelSelector="app=web")[0]
    began = time.perf_counter()
    client.delete("pods", name_of(pod), "default", gracePeriodSeconds=0)
    pump.settle(limit=5.0)
    return time.perf_counter() - began


def _crowd(client: Client, objects: int) -> None:
    """Deployments of others with their ReplicaSets, pods, Services, Endpoints, slices and ConfigMaps."""
    for number in range(objects // KINDS_OF_OTHERS):
        name = f"other-{number}"
        client.create("services", _service(name), "default")
        client.create("configmaps", {"metadata": {"name": name}, "data": {"a": "b"}}, "default")
        client.create("deployments", _deployment(name, 1), "default")


def _service(name: str) -> Object:
    return {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}}


def _deployment(name: str, pods: int) -> Object:
    container = {"name": "web", "image": "nginx", "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": pods, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}
