"""client-go's machinery: informers, work queues, the controller loop, the event recorder."""

from __future__ import annotations

import random
from typing import Any

import pytest

from k8snb.apimachinery.errors import ApiError, unavailable
from k8snb.apimachinery.selectors import parse_selector
from k8snb.apiserver import ApiServer
from k8snb.client import Client, Request
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, EventRecorder
from k8snb.client.informer import Informers
from k8snb.client.workqueue import WorkQueue
from k8snb.clock import VirtualClock
from k8snb.etcd.memory import MemoryStore
from k8snb.pump import Pump

Object = dict[str, Any]


TESTERS = {
    "metadata": {"name": "testers"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "User", "name": "system:test"}, {"kind": "Group", "name": "system:serviceaccounts"}],
}


class Lab:
    """An apiserver and a pump. `broken` makes the transport refuse everything."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.pump = Pump(self.clock)
        self.failures: list[str] = []
        self.pump.on_failure = lambda component, details: self.failures.append(details)
        self.store = MemoryStore()
        self.server = ApiServer(self.store, self.clock, dice=random.Random(0), service_cidr="10.96.0.0/16")
        self.server.bootstrap()
        self.client = Client(self.server)
        self.client.create("clusterrolebindings", TESTERS)
        self.broken = False
        self.context = Context(self, self.clock, self.pump.add, random.Random(0))
        self.informers = Informers(self.context.client("system:test"), self.context)

    def handle(self, request: Request) -> Any:
        if self.broken:
            raise unavailable("the connection is cut")
        return self.server.handle(request)

    def kinds(self) -> Any:
        return self.server.kinds()

    def config_map(self, name: str, **labels: str) -> Object:
        return self.client.create("configmaps", {"metadata": {"name": name, "labels": labels}}, "default")


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_an_informer_holds_what_the_server_holds(lab: Lab) -> None:
    before = lab.config_map("a", app="x")
    informer = lab.informers.get("configmaps")
    informer.start()
    lab.config_map("b", app="y")
    lab.client.delete("configmaps", "a", "default")
    lab.pump.settle()
    assert [obj["metadata"]["name"] for obj in informer.list("default")] == ["b"]
    assert informer.list("default", parse_selector("app=x")) == []
    assert informer.get("b", "default") is lab.client.get("configmaps", "b", "default")
    assert before["metadata"]["name"] == "a"


def test_handlers_hear_of_what_is_there_what_changes_and_what_goes(lab: Lab) -> None:
    lab.config_map("a")
    heard: list[tuple[bool, bool]] = []
    informer = lab.informers.get("configmaps")
    informer.start()
    informer.on_change(lambda old, new: heard.append((old is not None, new is not None)))
    lab.client.patch("configmaps", "a", {"data": {"k": "v"}}, "default")
    lab.client.delete("configmaps", "a", "default")
    lab.pump.settle()
    assert heard == [(False, True), (True, True), (True, False)]


def test_an_index_follows_its_objects(lab: Lab) -> None:
    informer = lab.informers.get("configmaps")
    informer.add_index("app", lambda obj: [obj["metadata"].get("labels", {}).get("app", "")])
    informer.start()
    lab.config_map("a", app="x")
    lab.pump.settle()
    assert len(list(informer.by_index("app", "x"))) == 1
    lab.client.patch("configmaps", "a", {"metadata": {"labels": {"app": "y"}}}, "default")
    lab.pump.settle()
    assert [len(list(informer.by_index("app", value))) for value in "xy"] == [0, 1]


def test_an_informer_that_cannot_list_tries_again(lab: Lab) -> None:
    lab.broken = True
    informer = lab.informers.get("configmaps")
    informer.start()
    lab.config_map("a")
    lab.broken = False
    lab.pump.run_for(2)
    assert len(informer) == 1


def test_one_process_has_one_informer_for_a_resource(lab: Lab) -> None:
    assert lab.informers.get("pods") is lab.informers.get("pods")
    assert lab.informers.get("pods") is not lab.informers.get("pods", "spec.nodeName=a")


def test_a_key_added_twice_is_processed_once_with_the_newest_cause(lab: Lab) -> None:
    seen: list[tuple[str, int]] = []
    queue = WorkQueue("test", lab.context, lambda key, cause: seen.append((key, cause)))
    queue.add("a", 3)
    queue.add("b", 4)
    queue.add("a", 5)
    lab.pump.settle()
    assert seen == [("a", 5), ("b", 4)]


def test_failures_in_a_row_wait_ever_longer(lab: Lab) -> None:
    moments: list[float] = []

    def process(key: str, cause: int) -> None:
        moments.append(round(lab.clock.now() - start, 3))
        if len(moments) < 5:
            queue.add_rate_limited(key)

    start = lab.clock.now()
    queue = WorkQueue("test", lab.context, process)
    queue.add("a")
    lab.pump.settle()
    assert moments == [0.0, 0.005, 0.015, 0.035, 0.075]


def test_failures_without_end_wait_the_longest_delay(lab: Lab) -> None:
    queue = WorkQueue("test", lab.context, lambda key, cause: None)
    began = lab.clock.monotonic()
    for _ in range(2000):
        queue.add_rate_limited("a")
        lab.pump.settle(limit=1001)
    assert lab.clock.monotonic() - began > 1900 * 1000


def test_of_two_delays_the_earlier_counts(lab: Lab) -> None:
    moments: list[float] = []
    queue = WorkQueue("test", lab.context, lambda key, cause: moments.append(lab.clock.now()))
    start = lab.clock.now()
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    lab.pump.settle()
    assert moments == [start + 5]


class Labeller(Controller):
    """Gives each ConfigMap the label seen=yes."""

    name = "labeller"

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab.context, lab.informers)
        self.objects = self.watch("configmaps")
        self.refusals = 0

    def sync(self, key: str) -> None:
        obj = self.objects.by_key(key)
        if obj is None or obj["metadata"].get("labels", {}).get("seen") == "yes":
            return
        if self.refusals:
            self.refusals -= 1
            raise ApiError(500, "InternalError", "not today")
        self.client.patch("configmaps", obj["metadata"]["name"], {"metadata": {"labels": {"seen": "yes"}}}, "default")

    def subject(self, key: str) -> Object | None:
        return self.objects.by_key(key)


def test_a_controller_brings_the_world_to_rest(lab: Lab) -> None:
    Labeller(lab)
    lab.informers.start()
    lab.config_map("a")
    assert lab.pump.settle()
    assert lab.client.get("configmaps", "a", "default")["metadata"]["labels"] == {"seen": "yes"}
    revision = lab.store.revision
    lab.pump.settle()
    assert lab.store.revision == revision


def test_a_controllers_write_names_it_and_the_revision_that_moved_it(lab: Lab) -> None:
    Labeller(lab)
    lab.informers.start()
    made = lab.config_map("a")
    lab.pump.settle()
    origin = lab.store.history("/registry/configmaps/default/a")[-1].origin
    assert origin.actor == "system:serviceaccount:kube-system:labeller"
    assert origin.cause == int(made["metadata"]["resourceVersion"])


def test_a_failing_sync_is_told_and_tried_again(lab: Lab) -> None:
    labeller = Labeller(lab)
    labeller.refusals = 3
    lab.informers.start()
    lab.config_map("a")
    assert lab.pump.settle()
    assert lab.client.get("configmaps", "a", "default")["metadata"]["labels"] == {"seen": "yes"}
    events = lab.client.items("events", "default", fieldSelector="reason=FailedSync")
    assert [(event["message"], event["count"]) for event in events] == [("not today", 3)]


def test_the_same_event_again_raises_a_count(lab: Lab) -> None:
    recorder = EventRecorder(lab.client, "tester", lab.clock)
    obj = lab.config_map("a")
    for _ in range(3):
        recorder.event(obj, NORMAL, "Poked", "somebody poked it")
    recorder.event(obj, NORMAL, "Poked", "somebody else did")
    counts = sorted(event["count"] for event in lab.client.items("events", "default"))
    assert counts == [1, 3]


def test_an_event_that_cannot_be_written_breaks_nothing(lab: Lab) -> None:
    obj = {**lab.config_map("a"), "metadata": {"name": "a", "namespace": "nowhere", "uid": "1"}}
    EventRecorder(lab.client, "tester", lab.clock).event(obj, NORMAL, "Poked", "in vain")
    assert lab.client.items("events") == []


def test_many_events_that_differ_in_their_words_become_one(lab: Lab) -> None:
    recorder = EventRecorder(lab.client, "tester", lab.clock)
    obj = lab.config_map("a")
    for number in range(20):
        recorder.event(obj, NORMAL, "Poked", f"poke number {number}")
    messages = [(event["message"], event["count"]) for event in lab.client.items("events", "default")]
    assert len(messages) == 11
    assert messages[-1] == ("(combined from similar events): poke number 19", 10)


def test_talk_about_one_object_has_a_limit(lab: Lab) -> None:
    recorder = EventRecorder(lab.client, "tester", lab.clock)
    obj = lab.config_map("a")
    for number in range(60):
        recorder.event(obj, NORMAL, f"Reason{number}", "again")
    assert len(lab.client.items("events", "default")) == 25
    lab.clock.advance_to(lab.clock.now() + 301)
    recorder.event(obj, NORMAL, "Later", "and again")
    assert len(lab.client.items("events", "default")) == 26
