"""kube-scheduler with plug-ins written in a cell: each extension point, and what a plug-in gets wrong."""

from __future__ import annotations

from typing import Any

import pytest
from controllers_lab import Lab, pod

from k8snb.apimachinery.meta import Object, condition, key_of, name_of, namespace_of
from k8snb.scheduler import Plugin, Scheduler
from k8snb.scheduler.cache import NodeInfo
from k8snb.scheduler.framework import Handle, Rejected


def lab(nodes: int = 3) -> Lab:
    one = Lab(Scheduler).start()
    for number in range(nodes):
        one.node(f"n{number}")
    return one.run()


def put(one: Lab, wanted: Object) -> str:
    one.client.create("pods", wanted)
    one.run()
    return node_of(one, name_of(wanted))


def node_of(one: Lab, name: str) -> str:
    return str(one.get("pods", name)["spec"].get("nodeName", ""))


class Own(Plugin):
    """`answers` by extension point; an exception is raised. `asked` notes who was asked."""

    name = "Own"

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def _answer(self, point: str, otherwise: Any) -> Any:
        self.asked.append(point)
        answer = self.answers.get(point, otherwise)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pre_enqueue(self, pod: Object) -> str:
        return self._answer("pre_enqueue", "")  # type: ignore[no-any-return]

    def filter(self, pod: Object, node: NodeInfo) -> Any:
        return self._answer("filter", None)

    def score(self, pod: Object, node: NodeInfo) -> Any:
        return self._answer("score", 0)

    def reserve(self, pod: Object, node: NodeInfo) -> None:
        self._answer("reserve", None)

    def unreserve(self, pod: Object, node: str) -> None:
        self._answer("unreserve", None)

    def permit(self, pod: Object, node: NodeInfo) -> Any:
        return self._answer("permit", 0)

    def pre_bind(self, pod: Object, node: NodeInfo) -> Any:
        return self._answer("pre_bind", True)

    def post_bind(self, pod: Object, node: str) -> None:
        self._answer("post_bind", None)


class OddScore(Plugin):
    name = "OddScore"

    def score(self, pod: Object, node: NodeInfo) -> int:
        return 100 * (int(node.name[1:]) % 2)


def test_a_score_of_ones_own_decides_by_its_weight() -> None:
    """docs: concepts/scheduling-eviction/scheduling-framework (NormalizeScore); reference/scheduling/config
    (weights)."""
    one = lab()
    one.controller.register(OddScore, weight=10)
    one.run()
    assert {put(one, pod(f"p{number}")) for number in range(4)} == {"n1"}
    decision = one.controller.why(one.get("pods", "p0"))
    assert decision.score("n1", "OddScore") == (100, 100, 1000)


def test_every_extension_point_is_asked_in_its_order() -> None:
    """upstream: `scheduling_framework` page: PreEnqueue, Filter, Score, Reserve, Permit, PreBind, PostBind."""
    one = lab(1)
    own = Own()
    one.controller.register(own)
    one.run()
    assert put(one, pod("a")) == "n0"
    assert own.asked == ["pre_enqueue", "filter", "score", "reserve", "permit", "pre_bind", "post_bind"]


class ByName(Plugin):
    """Looks at what pods of one controller do not have in common."""

    name = "ByName"

    def filter(self, pod: Object, node: NodeInfo) -> str | None:
        return None if name_of(pod)[-1] == node.name[-1] else "node(s) had another digit"


def test_a_plugin_may_tell_pods_of_one_controller_apart() -> None:
    """docs: scheduling-framework (Plugin API)."""
    one = lab()
    one.controller.register(ByName)
    one.run()
    for number in range(3):
        wanted = pod(f"p{number}")
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "s", "uid": "s", "controller": True}
        wanted["metadata"]["ownerReferences"] = [owner]
        assert put(one, wanted) == f"n{number}"


@pytest.mark.parametrize(
    ("point", "answer", "words"),
    [
        ("filter", ValueError("no such thing"), "its filter raised ValueError: no such thing"),
        ("filter", False, "its filter answered False, and should answer None, or in words why not"),
        ("score", 3.5, "its score answered 3.5, and should answer a whole number from 0 to 100"),
        ("score", 101, "its score answered 101, and should answer a whole number from 0 to 100"),
        ("score", None, "its score answered None, and should answer a whole number from 0 to 100"),
        ("reserve", KeyError("x"), "its reserve raised KeyError: 'x'"),
        ("permit", "soon", "its permit answered 'soon', and should answer the seconds"),
        ("pre_bind", None, "its pre_bind answered None, and should answer True or False"),
        ("pre_enqueue", ZeroDivisionError(), "its pre_enqueue raised ZeroDivisionError"),
    ],
)
def test_what_a_plugin_gets_wrong_is_said_and_harms_nobody_else(point: str, answer: Any, words: str) -> None:
    """k8snb: a learner's plug-in may fail."""
    one = lab(1)
    own = Own(**{point: answer})
    one.controller.register(own)
    one.run()
    one.client.create("pods", pod("a"))
    one.wait(30)
    said = one.events("FailedScheduling")
    assert said[0].startswith(f'running plug-in "Own": {words}')
    assert len(said) == 1 and node_of(one, "a") == ""
    one.controller.unregister("Own")
    one.wait(30)
    assert node_of(one, "a") == "n0"


@pytest.mark.parametrize("point", ["post_bind", "unreserve"])
def test_what_goes_wrong_too_late_is_said(point: str) -> None:
    """docs: scheduling-framework (PostBind): informational only."""
    one = lab(1)
    own = Own(**{point: RuntimeError("late")}, **({"reserve": Rejected("full")} if point == "unreserve" else {}))
    one.controller.register(own)
    one.run()
    one.client.create("pods", pod("a"))
    one.wait(5)
    assert one.events("PluginFailed") == [f'running plug-in "Own": its {point} raised RuntimeError: late']


def test_a_pod_that_cannot_be_scheduled_for_an_error_says_so() -> None:
    """upstream: `handleSchedulingFailure`: the reason is SchedulerError where it is not the nodes' fault."""
    one = lab(1)
    one.controller.register(Own(filter=ValueError("oops")))
    one.run()
    one.client.create("pods", pod("a"))
    one.wait(30)
    entry = condition(one.get("pods", "a"), "PodScheduled") or {}
    assert (entry["status"], entry["reason"]) == ("False", "SchedulerError")
    writes = one.store.revision
    one.wait(60)
    assert one.store.revision - writes <= 10


class Waiting(Plugin):
    """Pods wait until two of them are there (upstream: coscheduling, the example for Permit)."""

    name = "Waiting"

    def connect(self, handle: Handle) -> None:
        self.handle = handle
        self.waiting: list[str] = []
        self.gone: list[str] = []

    def permit(self, pod: Object, node: NodeInfo) -> float:
        if not self.waiting:
            self.waiting.append(key_of(pod))
            return 20
        for key in self.waiting:
            self.handle.allow(key, self.name)
        self.waiting = []
        return 0

    def unreserve(self, pod: Object, node: str) -> None:
        self.gone.append(node)
        self.waiting = []


def test_a_pod_waits_for_leave() -> None:
    """`waitOnPermit` in `pkg/scheduler/framework/runtime/framework.go`."""
    one = lab(1)
    one.controller.register(Waiting())
    one.wait(0)
    one.client.create("pods", pod("a"))
    one.wait(5)
    assert node_of(one, "a") == ""
    one.client.create("pods", pod("b"))
    one.wait(1)
    assert node_of(one, "a") == node_of(one, "b") == "n0"


def test_a_pod_that_is_not_allowed_in_time_is_sent_back() -> None:
    """docs: scheduling-framework (Permit): wait with a timeout."""
    one = lab(1)
    waiting = Waiting()
    one.controller.register(waiting)
    one.wait(0)
    one.client.create("pods", pod("a"))
    one.wait(20.5)
    assert waiting.gone == ["n0"]
    assert one.events("FailedScheduling") == ["rejected due to timeout after waiting 20s at plugin Waiting"]


def test_a_waiting_pod_that_is_deleted_keeps_no_place() -> None:
    """docs: scheduling-framework (Unreserve)."""
    one = lab(1)
    waiting = Waiting()
    one.controller.register(waiting)
    one.wait(0)
    one.client.create("pods", pod("a"))
    one.wait(1)
    one.client.delete("pods", "a", "default", gracePeriodSeconds=0)
    one.wait(1)
    assert waiting.gone == ["n0"]
    assert one.controller.cache.node("n0").pods == 0


class Binder(Plugin):
    """Binds in a way of its own: it marks the pod first."""

    name = "Binder"

    def connect(self, handle: Handle) -> None:
        self.handle = handle

    def bind(self, pod: Object, node: NodeInfo) -> bool:
        if not name_of(pod).startswith("own"):
            return False
        client, namespace = self.handle.client, namespace_of(pod)
        client.create_subresource("pods", name_of(pod), "binding", {"target": {"name": node.name}}, namespace)
        return True


def test_a_binder_of_ones_own_binds_what_it_wants_to() -> None:
    """upstream: Bind: the first that does not skip; the default binder is the last."""
    one = lab(1)
    one.controller.register(Binder)
    one.run()
    assert put(one, pod("own")) == put(one, pod("other")) == "n0"
    assert len(one.events("Scheduled")) == 2


def test_a_plugin_without_a_name_is_refused() -> None:
    """docs: scheduling-framework (Plugin API): a plug-in has a name."""

    class Nameless(Plugin):
        pass

    with pytest.raises(ValueError, match="needs a name"):
        lab(0).controller.register(Nameless)
    with pytest.raises(ValueError, match='no plug-in named "NodeName" has joined; there are: none'):
        lab(0).controller.unregister("NodeName")
