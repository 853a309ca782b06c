"""metrics-server: what pods and nodes use now, asked of every kubelet again and again.

Interface: `MetricsAddon`, an `Addon`; `MetricsServer(…).start()`; its `pods(request)` and `nodes(request)` answer
the API `metrics.k8s.io`.
The rule not to break: a number is one that a runtime has given; a pod that nobody has measured yet is left out.
Source: `kubernetes-sigs/metrics-server`, `pkg/scraper`, `pkg/api`. It keeps the newest two points of each container in
memory, and so does a kubelet here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import Object, labels_of, name_of, uid_of
from k8snb.client import Client, Request
from k8snb.client.instances import Single
from k8snb.client.process import Process
from k8snb.clock import Clock, timestamp
from k8snb.executor import Executor

if TYPE_CHECKING:
    from k8snb.addons import Ground

POD_METRICS, NODE_METRICS = (BY_GVK["metrics.k8s.io/v1beta1", kind] for kind in ("PodMetrics", "NodeMetrics"))
FIRST = 5.0  # seconds from its start to the first question to the kubelets
RESOLUTION = 15.0  # seconds from one question to the next
SMALL = 100  # nodes; a larger cluster is measured only while somebody wants to know
INTEREST = 600.0  # seconds for which one question shows interest
_WINDOW = f"{RESOLUTION:g}s"
_VERSION = "metrics.k8s.io/v1beta1"


class Reply(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def body(self) -> Iterator[bytes]: ...


class Node(Protocol):
    """The way to a kubelet's own server."""

    def get_http(self, method: str, target: str) -> Callable[[], Any]: ...


@dataclass(frozen=True)
class Sample:
    """What one node said last: its own usage, and its pods' containers by the pods' uids."""

    time: float
    node: Object
    pods: Mapping[str, list[Object]]


class MetricsAddon:
    """A metrics-server for a cluster, behind its metrics API."""

    about = "asks the kubelets"

    def __init__(self) -> None:
        self.single: Single | None = None
        self._cluster: Ground | None = None

    def enable(self, cluster: Ground) -> None:
        self._cluster = cluster
        self.single = Single("metrics-server", cluster.context, self._begin)
        self.single.start()

    def _begin(self, process: Process) -> Callable[[], None]:
        assert self._cluster is not None
        apiserver, context = self._cluster.apiserver, process.context
        account = context.client("system:serviceaccount:kube-system:metrics-server", "system:serviceaccounts")
        executor = process.executor(self._cluster.host.executor)
        server = MetricsServer(account, executor, context.clock, nodes=lambda: apiserver.nodes)
        apiserver.virtual.update({POD_METRICS: server.pods, NODE_METRICS: server.nodes})
        server.start(FIRST)
        return apiserver.virtual.clear

    def stop(self) -> None:
        if self._cluster is not None and self.single is not None:
            with self._cluster.pump.lock:
                self.single.stop()
        self.single = None

    def disable(self) -> None:
        self.stop()


class MetricsServer:
    """`nodes()` gives the kubelets that can be asked."""

    def __init__(
        self, client: Client, executor: Executor, clock: Clock, *, nodes: Callable[[], Mapping[str, Node]]
    ) -> None:
        self._client = client
        self._executor = executor
        self._clock = clock
        self._nodes = nodes
        self._samples: dict[str, Sample] = {}
        self._asking: set[str] = set()
        self._asked = float("-inf")

    def start(self, delay: float = 0.0) -> None:
        """Ask after `delay` seconds, and go on asking."""
        self._clock.after(delay, self._scrape, background=True, label="metrics-server")

    def _scrape(self) -> None:
        self.start(RESOLUTION)
        nodes = self._nodes()
        for name in self._samples.keys() - nodes.keys():
            del self._samples[name]
        if len(nodes) <= SMALL or self._clock.monotonic() - self._asked < INTEREST:
            for name, node in nodes.items():
                self._ask(name, node)

    def _ask(self, name: str, node: Node) -> None:
        """A kubelet that has not answered yet is not asked again."""
        if name in self._asking:
            return
        self._asking.add(name)
        answer = node.get_http("GET", "/stats/summary")
        self._executor.submit(lambda: _read(answer()), lambda found, error: self._take(name, found))

    def _take(self, name: str, found: Object | None) -> None:
        self._asking.discard(name)
        if found is None:
            return
        pods = {pod["podRef"]["uid"]: [_usage_of(entry) for entry in pod["containers"]] for pod in found["pods"]}
        self._samples[name] = Sample(self._clock.now(), _amounts(found["node"]), pods)

    # answering

    def pods(self, request: Request) -> list[Object]:
        """PodMetrics of a namespace, or of all."""
        self._asked = self._clock.monotonic()
        measured = {uid: (sample, used) for sample in self._samples.values() for uid, used in sample.pods.items()}
        found = self._client.items("pods", request.namespace, **_selection(request)) if measured else []
        return [_pod(pod, *measured[uid_of(pod)]) for pod in found if uid_of(pod) in measured]

    def nodes(self, request: Request) -> list[Object]:
        """NodeMetrics."""
        self._asked = self._clock.monotonic()
        found = self._client.items("nodes", **_selection(request)) if self._samples else []
        return [_node(node, self._samples[name_of(node)]) for node in found if name_of(node) in self._samples]


def _selection(request: Request) -> dict[str, Any]:
    labels = request.options.get("labelSelector")
    return {"labelSelector": labels} if labels else {}


def _read(reply: Reply) -> Object | None:
    """A kubelet's summary; None where it gives none."""
    if reply.status != 200:
        return None
    found: Object = json.loads(b"".join(reply.body))
    return found


def _usage_of(container: Object) -> Object:
    return {"name": container["name"], "usage": _amounts(container)}


def _amounts(numbers: Object) -> Object:
    """Nanocores and kibibytes, as metrics-server writes them."""
    return {
        "cpu": f"{numbers['cpu']['usageNanoCores']}n",
        "memory": f"{numbers['memory']['workingSetBytes'] // 1024}Ki",
    }


def _pod(pod: Object, sample: Sample, containers: list[Object]) -> Object:
    return {"kind": "PodMetrics", **_head(pod, sample), "containers": containers}


def _node(node: Object, sample: Sample) -> Object:
    return {"kind": "NodeMetrics", **_head(node, sample), "usage": sample.node}


def _head(obj: Object, sample: Sample) -> Object:
    kept = {key: obj["metadata"][key] for key in ("name", "namespace") if key in obj["metadata"]}
    time = timestamp(sample.time)
    labels = {"labels": labels_of(obj)} if labels_of(obj) else {}
    metadata = {**kept, "creationTimestamp": time, **labels}
    return {"apiVersion": _VERSION, "metadata": metadata, "timestamp": time, "window": _WINDOW}
