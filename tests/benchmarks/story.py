"""What it costs that a cluster forgets nothing: time and memory for each revision, and the way back to any of them.

Interface: `main()` prints one line per figure: what, measured, target, whether it is met.
The rule not to break: pods are written as kubelets write them, through the whole API, and none of it is prepared.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
import tracemalloc
from collections.abc import Iterator

from k8snb.apimachinery.meta import Object
from k8snb.apiserver.server import ApiServer
from k8snb.client import Client
from k8snb.clock import VirtualClock
from k8snb.collector import Collector
from k8snb.etcd import Record, Store
from k8snb.etcd.memory import MemoryStore

ROUNDS, WRITES = 9, 3_000  # rounds, of which the median counts, of so many status changes
REVISIONS = 100_000
PODS = 10_000  # of which those revisions tell
PLACES = 40  # revisions that are gone back to
ALL = "/registry/"


class Forgetful(MemoryStore):
    """A store without a past: of a key it knows the newest record, and nothing of the one before."""

    def _append(self, record: Record) -> Record:
        for deliver in self._deliveries(record):
            deliver(record)
        self._first = record.revision + 1
        directory = self._living[record.key[: record.key.rindex("/") + 1]]
        directory[record.key] = kept = record.replaced(previous=None)
        return kept


def main() -> None:
    Collector().relax()  # as a cluster does
    with_past, without = writes_per_second()
    cost = 1 - with_past / without
    words = f"{with_past:,.0f} status changes/s with history, {without:,.0f}/s without: it costs {cost:.0%}"
    print(f"{words} (target < 35 %: {_verdict(cost < 0.35)})", flush=True)
    memory = bytes_per_revision()
    print(
        f"a pod's status change: {memory:,.0f} bytes a revision (target < 1,500: {_verdict(memory < 1500)})", flush=True
    )
    for what, store in (("pods coming up", crowd()), ("few pods changing often", few())):
        worst, middle = seconds_to_rewind(store)
        words = (
            f"to any of {store.revision:,} revisions ({what}): {middle * 1000:.0f} ms, at worst {worst * 1000:.0f} ms"
        )
        print(f"{words} (target < 100 ms: {_verdict(worst < 0.1)})", flush=True)


def writes_per_second() -> tuple[float, float]:
    """A pod's status is changed again and again, with and without a past, in turn: the medians of the rates."""
    rates: dict[type[MemoryStore], list[float]] = {MemoryStore: [], Forgetful: []}
    for _ in range(ROUNDS):
        for sort, found in rates.items():
            client, pod = _one_pod(sort())
            began = time.process_time()
            for _ in _changes(client, pod, WRITES):
                pass
            found.append(WRITES / (time.process_time() - began))
    return statistics.median(rates[MemoryStore]), statistics.median(rates[Forgetful])


def bytes_per_revision() -> float:
    """What each status change leaves behind."""
    client, pod = _one_pod(MemoryStore())
    changes = _changes(client, pod, WRITES + 100)
    for _ in range(100):
        next(changes)
    tracemalloc.start()
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    count = sum(1 for _ in changes)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / count


def seconds_to_rewind(store: Store) -> tuple[float, float]:
    """The whole cluster as it was at revisions from all over the past: the worst, and the median."""
    dice = random.Random(1)
    taken = []
    for revision in [1, *(dice.randrange(1, store.revision) for _ in range(PLACES)), store.revision]:
        began = time.process_time()
        for record in store.range(ALL, revision=revision)[0]:
            assert record.value
        taken.append(time.process_time() - began)
    return max(taken), statistics.median(taken)


def crowd() -> Store:
    """A log like that of a large Deployment: each pod is written five times and has five events."""
    store = MemoryStore()
    for key in [f"/registry/pods/default/web-{number}" for number in range(PODS)] * 5:
        store.put(key, {"metadata": {}})
    for number in range(PODS * 5):
        store.put(f"/registry/events/default/web-{number % PODS}.{number:x}", {"metadata": {}})
    assert store.revision == REVISIONS
    return store


def few() -> Store:
    """A log like that of a small cluster which runs for long: heartbeats, and pods that come and go."""
    store = MemoryStore()
    dice = random.Random(1)
    while store.revision < REVISIONS:
        key = f"/registry/leases/kube-node-lease/node-{dice.randrange(10)}"
        if dice.random() < 0.1:
            key = f"/registry/pods/default/web-{dice.randrange(200)}"
            if store.get(key) is not None and dice.random() < 0.3:
                store.delete(key)
                continue
        store.put(key, {"metadata": {}})
    return store


def _one_pod(store: MemoryStore) -> tuple[Client, Object]:
    clock = VirtualClock()
    server = ApiServer(store, clock, dice=random.Random(1), service_cidr="10.96.0.0/16")
    server.bootstrap()
    client = Client(server)
    client.create("serviceaccounts", {"metadata": {"name": "default"}}, "default")
    spec = {"nodeName": "n1", "containers": [{"name": "web", "image": "nginx"}]}
    metadata = {"name": "web-6b7dc8fddd-27l77", "generateName": "web-6b7dc8fddd-", "labels": {"app": "web"}}
    return client, client.create("pods", {"metadata": metadata, "spec": spec}, "default")


def _changes(client: Client, pod: Object, count: int) -> Iterator[Object]:
    """A readiness probe fails and succeeds in turn; each time the kubelet makes the status anew."""
    for number in range(count):
        pod = client.update_status("pods", {**pod, "status": _status(ready=bool(number % 2), second=number % 60)})
        yield pod


def _status(*, ready: bool, second: int) -> Object:
    """A running pod's status as the kubelet makes it: nothing in it is shared with the one before."""
    now, began = f"2023-11-14T22:13:{second:02}Z", "2023-11-14T22:13:20Z"
    told = {"reason": "ContainersNotReady", "message": "containers with unready status: [web]"}
    condition = {"status": str(ready), "lastTransitionTime": now, "observedGeneration": 1, **({} if ready else told)}
    true = {"status": "True", "lastTransitionTime": began, "observedGeneration": 1}
    return {
        "phase": "Running",
        "qosClass": "BestEffort",
        "startTime": began,
        "hostIP": "172.18.0.2",
        "hostIPs": [{"ip": "172.18.0.2"}],
        "podIP": "10.244.0.2",
        "podIPs": [{"ip": "10.244.0.2"}],
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": began},
            {"type": "PodReadyToStartContainers", **true},
            {"type": "Initialized", **true},
            {"type": "Ready", **condition},
            {"type": "ContainersReady", **condition},
        ],
        "containerStatuses": [
            {
                "name": "web",
                "image": "nginx",
                "imageID": "sha256:28327d2d1d8875964c0e44e38f1f7e86c329f8be9e1bb5857c7f9a0ea4f6707b",
                "restartCount": 0,
                "ready": ready,
                "started": True,
                "state": {"running": {"startedAt": began}},
                "lastState": {},
                "containerID": "000000000002",
            }
        ],
        "observedGeneration": 1,
    }


def _verdict(met: bool) -> str:
    return "met" if met else "NOT MET"
