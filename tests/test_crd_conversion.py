"""CustomResourceDefinitions whose versions a webhook converts into each other.

Source of the rules: `pkg/apiserver/conversion/webhook_converter.go` of apiextensions-apiserver.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from test_crd import crd, version
from test_webhooks import Lab
from webhook_server import Asked, HttpsTestServer, Object, Reply

from k8snb import Cluster
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.client.client import MERGE
from k8snb.clock import VirtualClock

GROUP = "stable.example.com"
V1 = {"type": "object", "properties": {"when": {"type": "string"}}}  # "* * * * */5"
V2 = {"type": "object", "properties": {"minute": {"type": "string"}, "rest": {"type": "string"}}}


def convert(obj: Object, wanted: str) -> Object:
    """`spec.when` of v1 is `spec.minute` and `spec.rest` of v2."""
    spec = obj.get("spec") or {}
    if wanted.endswith("/v2"):
        minute, _, rest = spec.get("when", "").partition(" ")
        spec = {"minute": minute, "rest": rest}
    else:
        spec = {"when": f"{spec.get('minute', '')} {spec.get('rest', '')}"}
    return {**obj, "apiVersion": wanted, "spec": spec}


def answer(asked: Asked, **change: Any) -> Reply:
    request = asked.request
    wanted = request["desiredAPIVersion"]
    converted = [convert(obj, wanted) for obj in request["objects"]]
    response = {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": converted, **change}
    return 200, {"kind": "ConversionReview", "apiVersion": asked.body["apiVersion"], "response": response}


def definition(server: HttpsTestServer) -> Object:
    made = crd(version("v1", spec=V1), version("v2", storage=False, spec=V2))
    made["spec"]["conversion"] = {"strategy": "Webhook", "webhook": {
        "clientConfig": server.config("/convert"), "conversionReviewVersions": ["v1"]}}  # fmt: skip
    return made


def crontab(name: str = "a", when: str = "5 * * * *") -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"when": when}}


class Versions(Lab):
    """A cluster with CronTabs in two versions; v1 is the one that is kept."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.web = self.server(answer)
        self.client.create("crd", definition(self.web))

    def kind(self, version: str) -> Kind:
        return next(each for each in self.client.kinds() if each.plural == "crontabs" and each.version == version)


@pytest.fixture
def lab() -> Iterator[Versions]:
    with Cluster(nodes=0, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        lab = Versions(cluster)
        yield lab
        for server in lab.servers:
            server.close()


def test_an_object_is_seen_in_every_version(lab: Versions) -> None:
    lab.client.create(lab.kind("v1"), crontab())
    seen = lab.client.get(lab.kind("v2"), "a", "default")
    assert seen["apiVersion"] == f"{GROUP}/v2"
    assert seen["spec"] == {"minute": "5", "rest": "* * * *"}
    [asked] = lab.web.asked
    assert (asked.body["kind"], asked.body["apiVersion"]) == ("ConversionReview", "apiextensions.k8s.io/v1")
    assert asked.request["desiredAPIVersion"] == f"{GROUP}/v2"


def test_what_is_written_in_another_version_is_kept_in_the_one(lab: Versions) -> None:
    made = lab.client.create(lab.kind("v2"), {**crontab(), "spec": {"minute": "7", "rest": "1 * * *"}})
    assert made["spec"] == {"minute": "7", "rest": "1 * * *"}
    assert lab.client.get(lab.kind("v1"), "a", "default")["spec"] == {"when": "7 1 * * *"}
    lab.client.patch(lab.kind("v2"), "a", {"spec": {"minute": "8"}}, "default", content_type=MERGE)
    assert lab.client.get(lab.kind("v1"), "a", "default")["spec"] == {"when": "8 1 * * *"}


def test_a_list_is_converted_at_once_and_once(lab: Versions) -> None:
    for number in range(5):
        lab.client.create(lab.kind("v1"), crontab(f"c{number}"))
    for _ in range(3):
        assert len(lab.client.items(lab.kind("v2"), "default")) == 5
    [asked] = lab.web.asked
    assert len(asked.request["objects"]) == 5


def test_whoever_watches_sees_their_version_in_order(lab: Versions) -> None:
    watch = lab.client.watch(lab.kind("v2"), "default")
    lab.client.create(lab.kind("v1"), crontab(when="1 * * * *"))
    for minute in ("2", "3"):
        patch = {"spec": {"when": f"{minute} * * * *"}}
        lab.client.patch(lab.kind("v1"), "a", patch, "default", content_type=MERGE)
    lab.client.delete(lab.kind("v1"), "a", "default")
    lab.cluster.settle()
    events = []
    while (event := watch.pop()) is not None:
        events.append((event.sort, event.object["apiVersion"], event.object["spec"]["minute"]))
    version = f"{GROUP}/v2"
    assert events == [("ADDED", version, "1"), ("MODIFIED", version, "2"), ("MODIFIED", version, "3"),
                      ("DELETED", version, "3")]  # fmt: skip
    watch.stop()


def test_a_webhook_may_change_labels_and_no_other_metadata(lab: Versions) -> None:
    def relabels(asked: Asked) -> Reply:
        objects = [convert(obj, asked.request["desiredAPIVersion"]) for obj in asked.request["objects"]]
        changed = [{**obj, "metadata": {**obj["metadata"], "labels": {"a": "b"}, "finalizers": ["x.y/z"]}}
                   for obj in objects]  # fmt: skip
        return answer(asked, convertedObjects=changed)

    lab.web.answer = relabels
    lab.client.create(lab.kind("v1"), crontab())
    metadata = lab.client.get(lab.kind("v2"), "a", "default")["metadata"]
    assert metadata["labels"] == {"a": "b"}
    assert "finalizers" not in metadata


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"result": {"status": "Failed", "message": "cannot"}}, "failed: cannot"),
        ({"result": {}}, "failed: response.result.status was '', not 'Success'"),
        ({"uid": "other"}, 'failed: expected response.uid="'),
        ({"convertedObjects": []}, "returned 0 objects, expected 1"),
        ({"convertedObjects": [{"apiVersion": f"{GROUP}/v1", "kind": "CronTab", "metadata": {}}]},
         "invalid groupVersion"),
        ({"convertedObjects": [{"apiVersion": f"{GROUP}/v2", "kind": "CronTab", "metadata": {"name": "b"}}]},
         "must have the same name: a != b"),
    ],
)  # fmt: skip
def test_a_conversion_that_fails_says_so(lab: Versions, change: Object, words: str) -> None:
    lab.client.create(lab.kind("v1"), crontab())
    lab.web.answer = lambda asked: answer(asked, **change)
    with pytest.raises(ApiError) as caught:
        lab.client.get(lab.kind("v2"), "a", "default")
    assert caught.value.message.startswith(f"conversion webhook for {GROUP}/v1, Kind=CronTab ")
    assert words in caught.value.message
    assert lab.client.get(lab.kind("v1"), "a", "default")["spec"] == {"when": "5 * * * *"}
    lab.web.answer = answer
    assert lab.client.get(lab.kind("v2"), "a", "default")["spec"]["minute"] == "5"


def test_a_definition_goes_with_its_objects_although_the_webhook_is_gone(lab: Versions) -> None:
    lab.client.create(lab.kind("v1"), crontab())
    lab.web.close()
    lab.servers.clear()
    lab.client.delete("crd", "crontabs.stable.example.com")
    lab.cluster.settle()
    assert lab.client.find("crd", "crontabs.stable.example.com") is None


def test_in_real_time_a_watch_does_not_wait_in_the_pump() -> None:
    with Cluster(nodes=0, runtime="simulated", seed=1) as cluster:
        lab = Versions(cluster)
        watch = lab.client.watch(lab.kind("v2"), "default")

        def hangs(asked: Asked) -> Reply:
            lab.web.released.wait(20)
            return answer(asked)

        lab.web.answer = hangs
        lab.client.create(lab.kind("v1"), crontab())
        lab.client.create("namespaces", {"metadata": {"name": "quick"}})
        assert cluster.wait(lambda: lab.client.find("serviceaccounts", "default", "quick") is not None, 5)
        assert not watch.events
        lab.web.released.set()
        assert cluster.wait(lambda: bool(watch.events), 10)
        assert watch.events[0].object["spec"]["minute"] == "5"
        watch.stop()
        lab.web.close()
