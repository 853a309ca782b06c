"""kube-scheduler's parts by themselves: the queue, the cache, and the algorithm."""

from __future__ import annotations

import random
from typing import Any

from controllers_lab import container, pod

from k8snb.apimachinery.meta import Object, name_of
from k8snb.clock import VirtualClock
from k8snb.scheduler import PLUGINS, Plugin
from k8snb.scheduler.algorithm import Algorithm
from k8snb.scheduler.cache import Cache, NodeInfo
from k8snb.scheduler.plugins import Row
from k8snb.scheduler.queue import ACTIVE, BACK_OFF, UNSCHEDULABLE, SchedulingQueue


def asking(cpu: str = "100m", memory: str = "64Mi", **more: Any) -> Object:
    return container(resources={"requests": {"cpu": cpu, "memory": memory}}, **more)


def owned(name: str, owner: str = "set", **spec: Any) -> Object:
    one = pod(name, **spec)
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner, "controller": True}
    one["metadata"]["ownerReferences"] = [reference]
    return one


# the queue alone


def queue() -> tuple[SchedulingQueue, VirtualClock]:
    clock = VirtualClock()
    return SchedulingQueue(clock, lambda: None, lambda event: ["Fit"] if event == "room" else []), clock


def queued(name: str, priority: int = 0) -> Object:
    return {"metadata": {"name": name, "namespace": "default", "uid": name}, "spec": {"priority": priority}}


def test_higher_priority_first_then_the_older() -> None:
    """docs: concepts/scheduling-eviction/pod-priority-preemption (Effect of Pod priority on scheduling order);
    plugins/queuesort."""
    waiting, _ = queue()
    for name, priority in (("a", 0), ("b", 10), ("c", 0), ("d", 10)):
        waiting.add(queued(name, priority))
    order = [name_of(each.pod) for _ in range(4) if (each := waiting.pop())]
    assert order == ["b", "d", "a", "c"]


def test_back_off_doubles_up_to_ten_seconds() -> None:
    """upstream: pkg/scheduler/backend/queue: podInitialBackoffDuration, podMaxBackoffDuration."""
    waiting, clock = queue()
    waiting.add(queued("a"))
    pauses = []
    for _ in range(6):
        tried = waiting.pop()
        assert tried is not None
        waiting.gave_up(tried, ["Fit"])
        waiting.happened("room")
        assert waiting.place_of("default/a") == BACK_OFF
        due = clock.next_due(foreground=True)
        assert due is not None
        pauses.append(round(due - clock.monotonic()))
        clock.advance_to(due)
        while timer := clock.pop_due():
            if timer.callback:
                timer.callback()
    assert pauses == [1, 2, 4, 8, 10, 10]
    assert waiting.place_of("default/a") == ACTIVE


def test_only_events_that_matter_to_the_refusing_plugin_wake_a_pod() -> None:
    """upstream: KEP-4247, QueueingHints."""
    waiting, clock = queue()
    waiting.add(queued("a"))
    tried = waiting.pop()
    assert tried is not None
    waiting.gave_up(tried, ["Taint"])
    clock.advance_to(clock.monotonic() + 60)
    waiting.happened("room")
    assert waiting.place_of("default/a") == UNSCHEDULABLE


def test_a_removed_pod_is_not_popped() -> None:
    """upstream: pkg/scheduler/backend/queue: Delete."""
    waiting, _ = queue()
    waiting.add(queued("a"))
    waiting.remove("default/a")
    assert waiting.pop() is None and len(waiting) == 0


# the cache and the algorithm alone


def node_object(name: str, cpu: str = "4") -> Object:
    return {"metadata": {"name": name}, "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}}}


def test_the_cache_returns_to_nothing() -> None:
    """upstream: pkg/scheduler/backend/cache: RemovePod, RemoveNode."""
    cache = Cache()
    cache.set_node(node_object("n0"))
    one = {**owned("a", containers=[asking()]), "metadata": {**owned("a")["metadata"], "uid": "a"}}
    cache.place("default/a", one, "n0")
    cache.place("default/a", one, "n0")
    info = cache.node("n0")
    assert info is not None and (info.pods, info.requested["cpu"]) == (1, 100)
    cache.displace("default/a")
    assert (info.pods, info.requested["cpu"], dict(info.groups), dict(cache.zone_groups)) == (0, 0, {}, {})


def test_a_pod_on_a_node_that_comes_later_counts() -> None:
    """upstream: pkg/scheduler/backend/cache: AddPod before AddNode."""
    cache = Cache()
    one = {**pod("a", containers=[asking()]), "metadata": {"name": "a", "namespace": "default", "uid": "a"}}
    cache.place("default/a", one, "n0")
    cache.set_node(node_object("n0"))
    info = cache.node("n0")
    assert info is not None and info.free("cpu") == 3900


class Odd(Plugin):
    """A learner's own rule."""

    name = "Odd"
    local = True
    asked = 0

    def filter(self, pod: Object, node: NodeInfo) -> str | None:
        Odd.asked += 1
        return None if int(node.name[1:]) % 2 else "node(s) were even"


def test_a_plugin_of_ones_own_is_a_class_with_one_method() -> None:
    """docs: concepts/scheduling-eviction/scheduling-framework (Plugin API)."""
    cache = Cache()
    for number in range(4):
        cache.set_node(node_object(f"n{number}"))
    algorithm = Algorithm(cache, random.Random(1), (*PLUGINS, Row(Odd, filters=True, weight=0)))
    one = {**pod("a"), "metadata": {"name": "a", "namespace": "default", "uid": "a"}}
    result = algorithm.choose(one, 0.0)
    assert result.node in ("n1", "n3")
    assert result.decision.counts == {"node(s) were even": 2}


def test_pods_of_one_template_share_answers_until_a_node_changes() -> None:
    """k8snb: a verdict is asked for once; upstream: KEP-5598, opportunistic batching."""
    cache = Cache()
    for number in range(10):
        cache.set_node(node_object(f"n{number}"))
    algorithm = Algorithm(cache, random.Random(1), (Row(Odd, filters=True, weight=0),))
    Odd.asked = 0
    for number in range(5):
        one = owned(f"p{number}")
        one["metadata"]["uid"] = name_of(one)
        result = algorithm.choose(one, 0.0)
        cache.place(name_of(one), one, result.node)
    assert Odd.asked == 10 + 4
