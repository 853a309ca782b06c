"""A container that does not end when it is told to: its pod stays and says why, and goes when the container does."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_lab import boot

from k8snb.apimachinery.meta import is_deleting
from k8snb.cri import RuntimeFailure


def test_a_container_that_cannot_be_killed_keeps_its_pod_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """upstream: pkg/kubelet/kubelet.go, SyncTerminatingPod: FailedKillPod, and another try."""
    cluster = boot()
    try:
        cluster.kubectl.run(["run", "web", "--image=nginx"])
        cluster.settle()
        stop, stuck = cluster.runtime.stop_container, True

        def unkillable(*words: Any, **options: Any) -> None:
            if stuck:
                raise RuntimeFailure("KillContainerError", "tried to kill container, but did not receive an exit event")
            stop(*words, **options)

        monkeypatch.setattr(cluster.runtime, "stop_container", unkillable)
        cluster.client.delete("pods", "web", "default")
        cluster.run_for(120)
        assert is_deleting(cluster.client.get("pods", "web", "default"))
        events = [each for each in cluster.client.items("events", "default") if each["reason"] == "FailedKillPod"]
        assert events[0]["message"].startswith("error killing pod: tried to kill container")
        assert sum(each.get("count", 1) for each in events) < 60  # no hot loop
        stuck = False
        cluster.run_for(600)
        assert cluster.client.find("pods", "web", "default") is None
    finally:
        cluster.delete()
