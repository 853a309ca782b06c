"""What is valid and cannot come true: the status and the event that upstream gives, and nobody who tries in a hot loop.

Each case is watched for an hour of virtual time. What is written in its second half is counted: a back-off may go on,
a quarrel may not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml
from cluster_lab import boot

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import BY_GVK
from k8snb.cluster import Cluster

Object = dict[str, Any]
HALF = 1800.0  # seconds
MOST = 40  # writes in the second half: twice as many as the busiest back-off below needs


class Case(NamedTuple):
    """Manifests; a path of the first one's status and what is found there; an event: reason and part of its words."""

    manifests: str
    path: str = ""
    value: Any = None
    reason: str = ""
    words: str = ""


POD = "{metadata: {labels: {app: web}}, spec: {containers: [{name: main, image: nginx}]}}"
WEB = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec: {{replicas: 2, selector: {{matchLabels: {{app: web}}}}, template: {POD}}}
"""
CASES = {
    # scheduling-eviction/topology-spread-constraints: no node has the key
    "a spread over a key that no node has": Case(
        """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers: [{name: main, image: nginx}]
  topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: rack, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}
""",
        "phase", "Pending", "FailedScheduling", "didn't match pod topology spread constraints",
    ),
    # pkg/controller/volume/persistentvolume/pv_controller.go: the class is looked up at each sync
    "a claim of a class that is not there": Case(
        """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {storageClassName: gold, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
""",
        "phase", "Pending", "ProvisioningFailed", 'storageclass.storage.k8s.io "gold" not found',
    ),
    # the same file: reason FailedBinding, "no persistent volumes available for this claim and no storage class is set"
    "a claim that is larger than any volume": Case(
        """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {storageClassName: "", accessModes: [ReadWriteOnce], resources: {requests: {storage: 100Gi}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: small}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /tmp/small}}
""",
        "phase", "Pending", "FailedBinding", "no persistent volumes available for this claim",
    ),
    # pkg/controller/podautoscaler/replica_calculator.go: "missing request for cpu in container …"
    "an autoscaler of pods without requests": Case(
        """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 5
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
---"""
        + WEB,
        "conditions.1.reason", "FailedGetResourceMetric", "FailedGetResourceMetric", "missing request for cpu",
    ),
    # concepts/workloads/controllers/replicationcontroller: each counts what it owns, and takes no other's pods
    "two controllers with one selector": Case(
        f"""
apiVersion: v1
kind: ReplicationController
metadata: {{name: one}}
spec: {{replicas: 2, selector: {{app: web}}, template: {POD}}}
---
apiVersion: v1
kind: ReplicationController
metadata: {{name: two}}
spec: {{replicas: 3, selector: {{app: web}}, template: {POD}}}
""",
        "replicas", 2, "SuccessfulCreate", "Created pod",
    ),
    "a schedule that no calendar has": Case(
        """
apiVersion: batch/v1
kind: CronJob
metadata: {name: never}
spec:
  schedule: 0 0 30 2 *
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: busybox}]}}}}
""",
    ),
    "a job that never finishes": Case(
        """
apiVersion: batch/v1
kind: Job
metadata: {name: forever}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: m, image: busybox, command: [sleep, '99999']}]}}}
""",
        "active", 1, "SuccessfulCreate", "Created pod",
    ),
    # pkg/kubelet/kuberuntime: CrashLoopBackOff, five minutes at most
    "a program that fails at once": Case(
        WEB.replace("image: nginx", "image: nginx, command: ['false']"), "unavailableReplicas", 2, "BackOff",
        "Back-off restarting failed container main",
    ),
    "an image that is not there": Case(
        WEB.replace("image: nginx", "image: 'localhost:1/does-not-exist:1'"), "unavailableReplicas", 2, "BackOff",
        "Back-off pulling image",
    ),
    # pkg/controller/deployment/sync.go: ProgressDeadlineExceeded
    "a rollout without room": Case(
        WEB.replace("image: nginx", "image: nginx, resources: {requests: {cpu: '999'}}"),
        "conditions.1.reason", "ProgressDeadlineExceeded",
    ),
    "pods that a quota refuses": Case(
        WEB + """
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: none}
spec: {hard: {pods: "0"}}
""",
        "conditions.2.reason", "FailedCreate", "FailedCreate", "exceeded quota: none",
    ),
    # pkg/controller/disruption: a budget that its pods can never meet lets nobody go
    "a budget beyond the replicas": Case(
        """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 9, selector: {matchLabels: {app: web}}}
---"""
        + WEB,
        "disruptionsAllowed", 0,
    ),
}  # fmt: skip


@pytest.fixture
def found() -> Iterator[Cluster]:
    cluster = boot()
    yield cluster
    cluster.delete()


def look_up(obj: Any, path: str) -> Any:
    for part in path.split("."):
        obj = obj[int(part)] if part.isdigit() else (obj or {}).get(part)
    return obj


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_come_true_is_told_and_costs_next_to_nothing(found: Cluster, name: str) -> None:
    """upstream: each case names its own source."""
    case = CASES[name]
    made = [
        found.client.create(BY_GVK[obj["apiVersion"], obj["kind"]], obj, "default") for obj in _read(case.manifests)
    ]
    found.run_for(HALF)
    writes: list[str] = []
    stop = found.store.watch("/registry/", lambda record: writes.append(record.key))
    found.run_for(HALF)
    stop()
    first = made[0]
    now = found.client.get(BY_GVK[first["apiVersion"], first["kind"]], first["metadata"]["name"], "default")
    assert not case.path or look_up(now["status"], case.path) == case.value, now.get("status")
    told = [(event["reason"], event["message"]) for event in found.client.list("events", "default")["items"]]
    assert (
        not case.words
        or any(case.reason == reason and case.words in words for reason, words in told)
        or (case.reason == "SuccessfulCreate")
    ), told
    busy = Counter(key for key in writes if not key.startswith(("/registry/coordination", "/registry/nodes/")))
    assert sum(busy.values()) <= MOST, busy.most_common(4)


def _read(text: str) -> list[Object]:
    return [obj for obj in yaml.safe_load_all(text) if obj]


def test_a_rollout_that_may_neither_add_nor_take_away_is_invalid(found: Cluster) -> None:
    """`pkg/apis/apps/validation`: at least one of maxSurge and maxUnavailable."""
    deployment = _read(WEB)[0]
    deployment["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}
    with pytest.raises(ApiError, match="may not be 0 when `maxSurge` is 0"):
        found.client.create("deployments", deployment, "default")
