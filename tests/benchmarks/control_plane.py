"""How many pods a second get their node, and how long a large Deployment takes.

Interface: `main()` prints one line per figure: what, measured, target, whether it is met.
The rule not to break: the whole way is measured (apiserver, watch, informers, scheduler), not the choice alone.
"""

from __future__ import annotations

import random
import time
from typing import Any

from k8snb.apimachinery.meta import Object
from k8snb.apiserver.server import ApiServer
from k8snb.client import Client
from k8snb.client.context import Context
from k8snb.client.informer import Informers
from k8snb.clock import VirtualClock
from k8snb.etcd.memory import MemoryStore
from k8snb.pump import Pump
from k8snb.scheduler import Scheduler

from . import reconciling

ZONE = "topology.kubernetes.io/zone"
PODS = 2000
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "web", "controller": True}
IN_ZONES = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
    {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["z0", "z1", "z2"]}]}]}}}  # fmt: skip
SPREAD = [{"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule",
           "labelSelector": {"matchLabels": {"app": "web"}}}]  # fmt: skip


def main() -> None:
    for nodes, spec, target, what in (
        (500, {}, 3000, "plain pods"),
        (5000, {}, 1500, "plain pods"),
        (500, {"topologySpreadConstraints": SPREAD, "affinity": IN_ZONES}, 500, "zone spreading and node affinity"),
        (5000, {"topologySpreadConstraints": SPREAD, "affinity": IN_ZONES}, 500, "zone spreading and node affinity"),
    ):
        rate = pods_per_second(nodes, spec)
        met = "met" if rate >= target else "NOT MET"
        print(f"{what} at {nodes} nodes: {rate:,.0f} pods/s (target {target:,}: {met})", flush=True)
    reconciling.main()


def pods_per_second(nodes: int, spec: dict[str, Any], pods: int = PODS) -> float:
    """Pods that are there already get their nodes; making them is not counted."""
    clock = VirtualClock()
    pump = Pump(clock)
    server = ApiServer(MemoryStore(), clock, dice=random.Random(1), service_cidr="10.96.0.0/16")
    server.bootstrap()
    context = Context(server, clock, pump.add, random.Random(1))
    client = Client(server)
    client.create("serviceaccounts", {"metadata": {"name": "default"}}, "default")
    for number in range(nodes):
        made = client.create("nodes", _node(number))
        client.update("nodes", {**made, "spec": {}})  # ready: without the taint of a new node
    for number in range(pods):
        client.create("pods", _pod(number, spec), "default")
    informers = Informers(context.client("system:kube-scheduler"), context)
    Scheduler(context, informers).start()
    informers.start()
    began = time.perf_counter()
    pump.settle()
    seconds = time.perf_counter() - began
    assert all(each["spec"].get("nodeName") for each in client.items("pods", "default"))
    return pods / seconds


def _node(number: int) -> Object:
    status = {"allocatable": {"cpu": "16", "memory": "64Gi", "pods": "110"}}
    labels = {"kubernetes.io/hostname": f"n{number}", ZONE: f"z{number % 3}"}
    return {"metadata": {"name": f"n{number}", "labels": labels}, "spec": {}, "status": status}


def _pod(number: int, spec: dict[str, Any]) -> Object:
    container = {"name": "web", "image": "nginx", "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}
    metadata = {"name": f"p{number}", "namespace": "default", "labels": {"app": "web"}, "ownerReferences": [OWNER]}
    return {"metadata": metadata, "spec": {"containers": [container], **spec}}
