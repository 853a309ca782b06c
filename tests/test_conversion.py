"""kube-apiserver's conversion: one stored object, seen in several versions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from k8snb.apimachinery.kinds import BY_GVK, KINDS, find
from k8snb.apiserver import ApiServer
from k8snb.apiserver.conversion import CONVERSIONS, seen, stored
from k8snb.apiserver.unattended import BY_ADDON, UNATTENDED, warning
from k8snb.client import Client
from k8snb.client.client import MERGE
from k8snb.clock import VirtualClock
from k8snb.etcd.guard import GuardedStore

Object = dict[str, Any]
EVENTS = BY_GVK["events.k8s.io/v1", "Event"]


@pytest.fixture
def store() -> Iterator[GuardedStore]:
    store = GuardedStore()
    yield store
    store.check()


@pytest.fixture
def client(store: GuardedStore) -> Client:
    server = ApiServer(store, VirtualClock(), dice=random.Random(0), service_cidr="10.96.0.0/24")
    server.bootstrap()
    return Client(server)


def event(**more: Any) -> Object:
    about = {"kind": "Pod", "namespace": "default", "name": "web"}
    return {"metadata": {"name": "web.1"}, "involvedObject": about, "reason": "Pulled", "message": "it is here",
            "count": 3, "type": "Normal", "source": {"component": "kubelet"}, **more}  # fmt: skip


def test_an_event_of_the_core_group_is_seen_in_its_own_group_by_its_other_names(client: Client) -> None:
    """Source: `pkg/apis/events/v1/conversion.go`."""
    client.create("events", event(), "default")
    (shown,) = client.list(EVENTS, "default")["items"]
    assert shown["apiVersion"] == "events.k8s.io/v1"
    assert (shown["note"], shown["regarding"]["name"], shown["deprecatedCount"]) == ("it is here", "web", 3)
    assert not {"message", "involvedObject", "count", "source"} & shown.keys()


def test_an_event_written_in_its_own_group_lies_in_the_core_group(client: Client, store: GuardedStore) -> None:
    body = {"metadata": {"name": "web.2"}, "regarding": {"kind": "Pod", "namespace": "default", "name": "web"},
            "note": "said", "reason": "Killing", "action": "Kill", "type": "Normal",
            "reportingController": "mine", "reportingInstance": "mine-1",
            "eventTime": "2026-01-01T00:00:00.000000Z"}  # fmt: skip
    made = client.create(EVENTS, body, "default")
    assert (made["apiVersion"], made["note"]) == ("events.k8s.io/v1", "said")
    record = store.get("/registry/events/default/web.2")
    assert record is not None and record.value["apiVersion"] == "v1"
    core = client.get("events", "web.2", "default")
    assert (core["message"], core["reportingComponent"]) == ("said", "mine")


def test_a_patch_in_one_version_is_seen_in_the_other(client: Client) -> None:
    client.create("events", event(), "default")
    client.patch(EVENTS, "web.1", {"note": "gone"}, "default", content_type=MERGE)
    assert client.get("events", "web.1", "default")["message"] == "gone"


def test_watchers_of_each_version_are_told_in_their_own(client: Client) -> None:
    watches = client.watch("events"), client.watch(EVENTS)
    client.create("events", event(), "default")
    old, new = (watch.events[0].object for watch in watches)
    assert ("message" in old, "note" in old) == (True, False)
    assert ("message" in new, "note" in new) == (False, True)


def test_there_and_back_changes_nothing() -> None:
    for version, name in CONVERSIONS:
        kind = BY_GVK[version, name]
        kept = {**event(), "apiVersion": kind.kept_as, "kind": name} if name == "Event" else {}
        if kept:
            assert stored(kind, seen(kind, kept)) == kept


def test_every_version_that_is_not_kept_has_a_conversion() -> None:
    assert {(kind.api_version, kind.kind) for kind in KINDS if kind.kept_as} == CONVERSIONS.keys()


def test_the_word_events_means_the_core_group() -> None:
    kind = find("events")
    assert kind is not None and kind.group == ""


def test_a_kind_that_nothing_acts_on_says_so_to_whoever_creates_it(client: Client) -> None:
    named = {kind.qualified for kind in KINDS}
    assert UNATTENDED.keys() | BY_ADDON.keys() <= named
    for kind in KINDS:
        assert bool(warning(kind)) == (kind.qualified in UNATTENDED or kind.qualified in BY_ADDON)
        assert not warning(kind, BY_ADDON) or kind.qualified in UNATTENDED


def test_a_binding_posted_by_itself_binds_the_pod_it_names(client: Client) -> None:
    pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
    client.create("pods", pod, "default")
    client.create("bindings", {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "node-1"}}, "default")
    assert client.get("pods", "web", "default")["spec"]["nodeName"] == "node-1"
