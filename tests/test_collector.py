"""The garbage collector rests while a cluster runs, and not longer; Ctrl-C waits for a step of the pump, not longer."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.collector import PAUSES, Collector
from k8snb.entrance import uninterrupted
from k8snb.pump import SYNC, Item, Pump


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_the_collector_rests_while_a_cluster_runs() -> None:
    cluster = Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1)
    cluster.start()
    assert gc.get_threshold() == PAUSES
    cluster.delete()
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("own", [(0, 10, 10), (100_000, 10, 10)])
def test_what_somebody_has_chosen_stays(own: tuple[int, int, int]) -> None:
    gc.set_threshold(*own)
    collector = Collector()
    collector.relax()
    assert gc.get_threshold() == own
    collector.restore()
    assert gc.get_threshold() == own


def test_what_somebody_chooses_meanwhile_stays() -> None:
    collector = Collector()
    collector.relax()
    gc.set_threshold(5000, 10, 10)
    collector.restore()
    assert gc.get_threshold() == (5000, 10, 10)


def test_an_interrupt_comes_through_between_two_steps() -> None:
    pump = Pump(VirtualClock())
    pump.guard = uninterrupted
    done: list[str] = []

    def interrupted() -> str:
        signal.raise_signal(signal.SIGINT)
        done.append("first")
        return ""

    pump.add(Item("test", SYNC, interrupted))
    pump.add(Item("test", SYNC, lambda: done.append("second")))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        pump.settle()
    assert done == ["first"]
    assert signal.getsignal(signal.SIGINT) is before
    pump.settle()
    assert done == ["first", "second"]
