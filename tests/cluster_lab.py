"""A whole cluster on simulated nodes and virtual time, in which no component may fail unnoticed."""

from __future__ import annotations

from typing import Any

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster


def boot(*, nodes: int = 2, **options: Any) -> Cluster:
    """A cluster that runs and has settled. Whoever asks for it deletes it."""
    cluster = Cluster(runtime="simulated", clock=VirtualClock(), seed=1, nodes=nodes, **options)
    cluster.pump.on_failure = fail
    cluster.start(wait=0)
    cluster.settle()
    return cluster


def fail(component: str, details: str) -> None:
    raise AssertionError(f"{component}: {details}")
