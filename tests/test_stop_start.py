"""What a cluster holds over stop and start: etcd's objects, and the data of its volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from k8snb.apimachinery.meta import is_true, uid_of
from k8snb.cluster import Cluster

SCRIPT = "test -f /data/first || hostname > /data/first; echo again >> /data/starts; exec sleep 3600"


def stateful_set() -> Any:
    container = {
        "name": "main", "image": "busybox", "command": ["sh", "-c", SCRIPT],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }  # fmt: skip
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    labels = {"app": "db"}
    return {
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {
            "serviceName": "db", "replicas": 1, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }  # fmt: skip


def ready(cluster: Cluster) -> bool:
    pod = cluster.client.find("pods", "db-0", "default")
    return pod is not None and is_true(pod, "Ready")


def data(cluster: Cluster) -> Path:
    """Where this machine has the volume's files."""
    (volume,) = cluster.client.items("persistentvolumes")
    return Path(volume["spec"]["hostPath"]["path"])


@pytest.mark.process
def test_a_stateful_sets_data_survive_stop_and_start() -> None:
    with Cluster("keeping", nodes=1, runtime="process") as cluster:
        cluster.client.create("statefulsets", stateful_set())
        assert cluster.wait(lambda: ready(cluster), 60)
        starts = data(cluster) / "starts"
        assert cluster.wait(lambda: starts.exists() and starts.read_text() == "again\n", 60)
        claim = uid_of(cluster.client.get("persistentvolumeclaims", "data-db-0", "default"))
        cluster.stop()
        cluster.start()
        assert cluster.wait(lambda: starts.read_text() == "again\nagain\n", 60)
        assert cluster.wait(lambda: ready(cluster), 60)
        assert data(cluster) == starts.parent
        assert (starts.parent / "first").read_text() == "db-0\n"
        assert uid_of(cluster.client.get("persistentvolumeclaims", "data-db-0", "default")) == claim
    assert not starts.exists()
