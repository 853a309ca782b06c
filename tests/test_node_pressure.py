"""Node pressure: a node that runs short says so, takes no more, and lets the pods go that ask for it most.

Upstream's rules are in `pkg/kubelet/eviction` and `pkg/kubelet/images/image_gc_manager.go` of its repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8snb.apimachinery.meta import condition
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.cri import Image
from k8snb.cri.simulated import _image_id
from k8snb.kubelet.eviction_rules import SIGNALS, Observation, PodUse, met, ranked

Object = dict[str, Any]
MEBIBYTE = 2**20
MEMORY, DISK = SIGNALS


class Lab:
    """One simulated worker with little of everything."""

    def __init__(self) -> None:
        self.cluster = Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=0, memory="1Gi", disk="100Mi")
        self.cluster.start()
        self.cluster.settle()
        self.client = self.cluster.client

    def run(self, name: str, *, uses: str = "", asks: str = "", seconds: float = 5.0, **spec: Any) -> None:
        container: Object = {"name": "main", "image": "nginx", **spec.pop("container", {})}
        if asks:
            container["resources"] = {"requests": {"memory": asks}}
        annotations = {"k8snb.io/usage-memory": uses} if uses else {}
        pod = {"metadata": {"name": name, "annotations": annotations},
               "spec": {"containers": [container], "nodeName": "node-1", **spec}}  # fmt: skip
        self.client.create("pods", pod, "default")
        self.cluster.run_for(seconds)

    def status(self, name: str) -> Object:
        status: Object = self.client.get("pods", name, "default")["status"]
        return status

    def evicted(self) -> list[str]:
        pods = self.client.items("pods", "default")
        return sorted(pod["metadata"]["name"] for pod in pods if pod["status"].get("reason") == "Evicted")

    def pressure(self, sort: str) -> Object:
        entry = condition(self.client.get("nodes", "node-1"), sort)
        assert entry is not None
        return entry

    def taints(self) -> list[str]:
        return [taint["key"] for taint in self.client.get("nodes", "node-1")["spec"].get("taints") or ()]

    def fill(self, name: str, size: int) -> None:
        """Put bytes into a pod's emptyDir at /data."""
        uid = self.client.get("pods", name, "default")["metadata"]["uid"]
        kubelet = self.cluster.nodes["node-1"].kubelet
        assert kubelet is not None
        Path(kubelet.disks()[uid][0], "ballast").write_bytes(b"x" * size)

    def reasons(self, name: str) -> list[str]:
        events = self.client.items("events", fieldSelector=f"involvedObject.name={name}")
        return [event["reason"] for event in events]


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.cluster.delete()


def scratch(**container: Any) -> Object:
    mounts = [{"name": "data", "mountPath": "/data"}]
    return {"container": {"volumeMounts": mounts, **container}, "volumes": [{"name": "data", "emptyDir": {}}]}


# memory


def test_a_node_short_of_memory_says_so_and_evicts_the_greediest_pod(lab: Lab) -> None:
    """The node has 1Gi, and memory.available<100Mi is the threshold."""
    lab.run("modest", uses="100Mi", asks="200Mi")
    lab.run("greedy", uses="10Mi, 30s: 900Mi", asks="100Mi")
    assert lab.evicted() == []
    lab.cluster.run_for(120)
    assert lab.evicted() == ["greedy"]
    status = lab.status("greedy")
    assert status["phase"] == "Failed"
    assert status["message"] == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 24Mi. Container main was using "
        "900Mi, request is 100Mi, has larger consumption of memory. "
    )
    target = condition({"status": status}, "DisruptionTarget")
    assert target is not None and target["reason"] == "TerminationByKubelet"
    assert "Evicted" in lab.reasons("greedy")
    assert "EvictionThresholdMet" in lab.reasons("node-1")
    assert lab.status("modest")["phase"] == "Running"


def test_the_condition_outlasts_the_shortage_by_five_minutes_and_so_does_the_taint(lab: Lab) -> None:
    lab.run("greedy", uses="1000Mi", seconds=90)
    entry = lab.pressure("MemoryPressure")
    assert (entry["status"], entry["reason"]) == ("True", "KubeletHasInsufficientMemory")
    assert entry["message"] == "kubelet has insufficient memory available"
    assert "node.kubernetes.io/memory-pressure" in lab.taints()
    lab.cluster.run_for(200)
    assert lab.pressure("MemoryPressure")["status"] == "True"
    lab.cluster.run_for(200)
    assert lab.pressure("MemoryPressure")["reason"] == "KubeletHasSufficientMemory"
    assert lab.taints() == []


def test_a_node_under_memory_pressure_takes_no_best_effort_pod(lab: Lab) -> None:
    lab.run("greedy", uses="1000Mi", seconds=90)
    lab.run("best-effort")
    lab.run("burstable", asks="10Mi")
    assert lab.status("best-effort")["message"] == "Pod was rejected: The node had condition: [MemoryPressure]. "
    assert lab.status("best-effort")["phase"] == "Failed"
    assert lab.status("burstable")["phase"] == "Running"


def test_a_pod_that_was_evicted_is_replaced_elsewhere(lab: Lab) -> None:
    annotations = {"k8snb.io/usage-memory": "10Mi, 60s: 700Mi"}
    template = {"metadata": {"labels": {"app": "web"}, "annotations": annotations},
                "spec": {"containers": [{"name": "main", "image": "nginx"}]}}  # fmt: skip
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    lab.client.create("deployments", {"metadata": {"name": "web"}, "spec": spec}, "default")
    lab.cluster.run_for(5)
    lab.cluster.add_node("node-2")
    lab.run("ballast", uses="500Mi", asks="600Mi", seconds=150)
    assert lab.evicted()
    running = [pod for pod in lab.client.items("pods", "default", labelSelector="app=web")
               if pod["status"]["phase"] == "Running"]  # fmt: skip
    assert {pod["spec"]["nodeName"] for pod in running} == {"node-2"}


def test_a_critical_pod_is_never_evicted(lab: Lab) -> None:
    lab.run("critical", uses="1000Mi", priorityClassName="system-node-critical", seconds=120)
    assert lab.pressure("MemoryPressure")["status"] == "True"
    assert lab.evicted() == []


def _pod(uid: str, asks: int = 0, priority: int = 0) -> Object:
    resources = {"requests": {"memory": str(asks)}} if asks else {}
    return {"metadata": {"name": uid, "uid": uid},
            "spec": {"priority": priority, "containers": [{"name": "main", "resources": resources}]}}  # fmt: skip


def test_pods_go_by_excess_then_priority_then_amount() -> None:
    """rankMemoryPressure: orderedBy(exceedMemoryRequests, priority, memory)."""
    uses = {"below": (900, 1000, 0), "precious": (500, 100, 10), "much": (300, 100, 0), "more": (700, 100, 0)}
    seen = Observation({"memory": 0}, {"memory": 0}, {uid: PodUse({"main": use}) for uid, (use, _, _) in uses.items()})
    pods = [_pod(uid, asks, priority) for uid, (_, asks, priority) in uses.items()]
    assert [pod["metadata"]["uid"] for pod in ranked(pods, MEMORY, seen)] == ["more", "much", "precious", "below"]


@pytest.mark.parametrize(("used", "signals"), [(924, []), (925, ["memory"]), (1024, ["memory"])])
def test_the_threshold_is_met_below_a_hundred_mebibytes(used: int, signals: list[str]) -> None:
    capacity = {"memory": 1024 * MEBIBYTE, "ephemeral-storage": 100}
    seen = Observation(capacity, {"memory": used * MEBIBYTE, "ephemeral-storage": 0}, {})
    assert [signal.resource for signal in met(seen)] == signals


# disk


def test_a_full_disk_evicts_the_pod_that_fills_it(lab: Lab) -> None:
    """nodefs.available<10%, of 100Mi."""
    lab.run("small", **scratch())
    lab.run("big", **scratch())
    lab.fill("small", 5 * MEBIBYTE)
    lab.fill("big", 90 * MEBIBYTE)
    lab.cluster.run_for(90)
    assert lab.evicted() == ["big"]
    assert lab.status("big")["message"].startswith(
        "The node was low on resource: ephemeral-storage. Threshold quantity: 10Mi, available: "
    )
    entry = lab.pressure("DiskPressure")
    assert (entry["reason"], entry["message"]) == ("KubeletHasDiskPressure", "kubelet has disk pressure")
    assert "node.kubernetes.io/disk-pressure" in lab.taints()


def test_a_node_under_disk_pressure_takes_no_pod_at_all(lab: Lab) -> None:
    lab.run("big", **scratch())
    lab.fill("big", 95 * MEBIBYTE)
    lab.cluster.run_for(90)
    lab.run("next", asks="10Mi")
    assert lab.status("next")["message"] == "Pod was rejected: The node had condition: [DiskPressure]. "


# images


def give_images(lab: Lab, *refs: str, size: int) -> None:
    runtime: Any = lab.cluster.runtime
    runtime._images = {ref: Image(ref=ref, id=_image_id(ref), size=size) for ref in refs}


def test_images_that_nobody_uses_go_when_the_disk_fills_up_and_others_stay(lab: Lab) -> None:
    """Over 85 % the oldest go until 80 % are reached; an image younger than two minutes is safe."""
    lab.run("web")
    give_images(lab, "nginx:latest", "old:1", "old:2", size=29 * MEBIBYTE)
    lab.cluster.run_for(60)
    assert len(lab.cluster.runtime.list_images()) == 3
    lab.cluster.run_for(600)
    assert len(lab.cluster.runtime.list_images()) == 2
    assert lab.cluster.runtime.image_status("nginx") is not None


def test_pressure_takes_unused_images_before_pods(lab: Lab) -> None:
    lab.run("big", **scratch())
    give_images(lab, "nginx:latest", "old:1", size=10 * MEBIBYTE)
    lab.fill("big", 75 * MEBIBYTE)
    lab.cluster.run_for(100)
    assert lab.evicted() == []
    assert [image.ref for image in lab.cluster.runtime.list_images()] == ["nginx:latest"]


def test_a_node_that_is_half_empty_is_measured_once_a_minute_and_writes_nothing(lab: Lab) -> None:
    lab.run("web")
    lab.cluster.run_for(60)
    before = lab.client.get("nodes", "node-1")["metadata"]["resourceVersion"]
    lab.cluster.run_for(120)
    assert lab.client.get("nodes", "node-1")["metadata"]["resourceVersion"] == before
