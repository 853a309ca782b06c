"""What the control plane does not do twice: pods are not counted again, statuses not told again, nodes not asked again.

Costs are counted in calls, whatever the load of the machine.
"""

from __future__ import annotations

import cProfile
import pstats
import random
from collections.abc import Callable
from typing import Any

import pytest
from controllers_lab import Lab, container

from k8snb.apimachinery import schema
from k8snb.apimachinery.defaults import VALUES, WITH_STATUS, Defaulter, apply_defaults
from k8snb.apimachinery.kinds import BY_GVK, KINDS
from k8snb.apimachinery.meta import Object, name_of, uid_of
from k8snb.apimachinery.selectors import from_set
from k8snb.apiserver.admission import CONCERNS
from k8snb.client import Client, Request
from k8snb.client.informer import Informer
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.controllers import replicas
from k8snb.controllers.census import Census
from k8snb.controllers.pods import is_active
from k8snb.controllers.replicas import Numbers, count, tally
from k8snb.controllers.replicaset import ReplicaSetController

LABELS = {"app": "web"}
READY = {"type": "Ready", "status": "True"}


def calls(act: Callable[[], Any]) -> int:
    profile = cProfile.Profile()
    with profile:
        act()
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    return sum(int(row[1]) for (path, _, _), row in stats.items() if "k8snb" in path)


def replica_set(number: int, name: str = "web") -> Object:
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [container()]}}
    spec = {"replicas": number, "selector": {"matchLabels": LABELS}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


# booting


def calls_to_boot(nodes: int) -> int:
    cluster = Cluster(nodes=nodes, runtime="simulated", clock=VirtualClock(), seed=1)
    try:
        return calls(cluster.start)
    finally:
        cluster.delete()


def test_a_node_costs_a_boot_as_much_among_many_as_among_few() -> None:
    one, few, many = calls_to_boot(1), calls_to_boot(16), calls_to_boot(61)
    assert (many - few) / 45 <= (few - one) / 15 * 1.1


# counting


def calls_to_make(pods: int) -> int:
    one = Lab(ReplicaSetController).start()
    one.client.create("replicasets", replica_set(pods), "default")
    found = calls(one.run)
    assert len(one.client.items("pods", "default")) == pods
    return found


def test_a_pod_costs_a_large_replica_set_no_more_than_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "BURST", 20)
    few, many = calls_to_make(60), calls_to_make(300)
    assert many / 300 <= few / 60 * 1.05


def test_the_census_says_at_any_time_what_a_count_would_say() -> None:
    """Whatever becomes of pods: ready or not, failed, relabelled, taken from their owner and given back, deleted."""
    one = Lab().start()
    dice = random.Random(1)
    informer = one.informers.get("pods")
    informer.start()
    census = Census(informer, "ReplicaSet")
    owners = [one.client.create("replicasets", replica_set(0, name), "default") for name in ("a", "b")]
    for _ in range(150):
        _meddle(one.client, dice, owners)
        informer.catch_up()
        for owner in owners:
            mine = [pod for pod in informer if _is_of(pod, owner)]
            everything = tally(owner, census.of(uid_of(owner)), from_set({}))
            assert everything == count(owner, [pod for pod in mine if is_active(pod)], 0.0)
            strays = any(pod["metadata"]["labels"] != LABELS for pod in mine)
            assert (tally(owner, census.of(uid_of(owner)), from_set(LABELS)) is None) == strays
    for pod in list(informer):
        one.client.delete("pods", name_of(pod), "default", gracePeriodSeconds=0)
    informer.catch_up()
    assert [dict(census.of(uid_of(owner))) for owner in owners] == [{}, {}]
    assert tally(owners[0], {}, from_set(LABELS)) == Numbers()


def _is_of(pod: Object, owner: Object) -> bool:
    return [each["uid"] for each in pod["metadata"].get("ownerReferences") or ()] == [uid_of(owner)]


def _meddle(client: Client, dice: random.Random, owners: list[Object]) -> None:
    pods = client.items("pods", "default")
    if len(pods) < 4 or dice.random() < 0.2:
        spec = {"containers": [container()], "nodeName": "n"}
        metadata = {"generateName": "p-", "labels": LABELS, **_owned_by(dice.choice(owners))}
        client.create("pods", {"metadata": metadata, "spec": spec}, "default")
        return
    pod = dice.choice(pods)
    metadata = pod["metadata"]
    changes: list[Callable[[], Object]] = [
        lambda: client.update_status("pods", {**pod, "status": {"conditions": [READY]}}),
        lambda: client.update_status("pods", {**pod, "status": {"phase": "Failed"}}),
        lambda: client.update_status("pods", {**pod, "status": {"phase": "Running"}}),
        lambda: client.update("pods", {**pod, "metadata": {**metadata, "labels": {"app": "stray"}}}),
        lambda: client.update("pods", {**pod, "metadata": {**metadata, "labels": LABELS}}),
        lambda: client.update("pods", {**pod, "metadata": {**metadata, "ownerReferences": []}}),
        lambda: client.update("pods", {**pod, "metadata": {**metadata, **_owned_by(dice.choice(owners))}}),
        lambda: client.delete("pods", name_of(pod), "default", gracePeriodSeconds=dice.choice((0, 30))),
    ]
    dice.choice(changes)()


def _owned_by(owner: Object) -> Object:
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name_of(owner), "uid": uid_of(owner)}
    return {"ownerReferences": [{**reference, "controller": True}]}


# telling


def test_a_plain_pods_status_is_told_when_its_node_takes_it_and_when_it_runs() -> None:
    """SyncPod makes the sandbox and starts the containers in one go: `pkg/kubelet/kubelet.go`, release 1.33."""
    with Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
        cluster.client.create("pods", pod, "default")
        cluster.settle()
        log = cluster.store.history("/registry/pods/default/web")
        told = [record.value["status"] for record in log if record.origin.verb == "update status"]
        assert [status["phase"] for status in told] == ["Pending", "Running"]
        assert ["podIP" in status for status in told] == [False, True]


def test_a_status_shares_with_the_one_before_what_it_repeats() -> None:
    one = Lab().start()
    pod = one.client.create("pods", {"metadata": {"name": "a"}, "spec": {"containers": [container()]}}, "default")

    def status(ready: str) -> Object:
        steady = {"type": "Initialized", "status": "True"}
        return {"hostIPs": [{"ip": "10.0.0.1"}], "conditions": [steady, {"type": "Ready", "status": ready}]}

    before = one.client.update_status("pods", {**pod, "status": status("True")})["status"]
    after = one.client.update_status("pods", {**pod, "metadata": {"name": "a", "namespace": "default"},
                                              "status": status("False")})["status"]  # fmt: skip
    assert after == status("False") and before == status("True")
    assert after["hostIPs"] is before["hostIPs"] and after["conditions"][0] is before["conditions"][0]


def test_a_status_of_another_length_is_as_it_was_sent() -> None:
    one = Lab().start()
    pod = one.client.create("pods", {"metadata": {"name": "a"}, "spec": {"containers": [container()]}}, "default")
    for length in (3, 1, 0, 2):
        told = {"conditions": [{"type": f"T{number}", "status": "True"} for number in range(length)]}
        pod = one.client.update_status("pods", {**pod, "status": told})
        assert pod["status"] == told


# asking


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.qualified)
def test_a_plug_in_has_nothing_to_say_of_kinds_that_do_not_concern_it(kind: Any) -> None:
    obj: Object = {"metadata": {"name": "a", "namespace": "b"}, "spec": {}}
    for plugin in [plugin for plugin, kinds in CONCERNS.items() if kind.builtin not in kinds]:
        for verb in ("create", "update", "patch", "delete"):
            request = Request(verb, kind, "b", "a")
            assert plugin(None, request, obj, None if verb == "create" else obj) is obj
            assert not request.warnings


def test_only_the_listed_kinds_have_a_status_with_defaults() -> None:
    types = schema.load()
    for kind in KINDS:
        type_ = types.definition(kind.api_version, kind.kind)
        if type_ is None or "status" not in type_.fields or kind.builtin in WITH_STATUS:
            continue
        assert "status" not in VALUES.get(type_.name, {})
        status = type_.fields["status"].type
        assert status is None or Defaulter(types)._rule(status) is None, kind.kind


@pytest.mark.parametrize(("api_version", "kind"), [("v1", "Pod"), ("batch/v1", "Job"), ("v1", "ReplicationController")])
def test_what_fills_in_a_spec_leaves_the_status_alone(api_version: str, kind: str) -> None:
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [container()]}}
    spec = template["spec"] if kind == "Pod" else {"template": template}
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "spec": spec, "status": {}}
    assert apply_defaults(BY_GVK[api_version, kind], obj)["status"] == {}


# hearing


def heard(informer: Informer, owner_kind: str) -> list[tuple[bool, bool]]:
    """For each change that a handler hears of, whether there was something before and whether there is after."""
    found: list[tuple[bool, bool]] = []
    informer.on_change(lambda old, new: found.append((old is not None, new is not None)), owner_kind=owner_kind)
    return found


def test_a_handler_hears_of_the_objects_of_its_owners_and_of_those_that_have_none() -> None:
    one = Lab().start()
    owner = one.client.create("replicasets", replica_set(0), "default")
    informer = one.informers.get("pods")
    informer.start()
    own, others = heard(informer, "ReplicaSet"), heard(informer, "Job")
    spec = {"containers": [container()]}
    pod = one.client.create("pods", {"metadata": {"name": "a", **_owned_by(owner)}, "spec": spec}, "default")
    pod = one.client.update_status("pods", {**pod, "status": {"phase": "Running"}})
    informer.catch_up()
    assert (own, others) == ([(False, True), (True, True)], [])
    free = {**pod, "metadata": {**pod["metadata"], "ownerReferences": []}}
    free = one.client.update("pods", free)
    one.client.delete("pods", "a", "default", gracePeriodSeconds=0)
    informer.catch_up()
    assert len(own) == 4 and others == [(True, True), (True, False)]


def test_an_index_that_looks_at_the_status_follows_it() -> None:
    one = Lab().start()
    informer = one.informers.get("pods")
    informer.add_index("phase", lambda pod: [pod["status"].get("phase", "")])
    informer.start()
    pod = one.client.create("pods", {"metadata": {"name": "a"}, "spec": {"containers": [container()]}}, "default")
    one.client.update_status("pods", {**pod, "status": {"phase": "Running"}})
    informer.catch_up()
    assert [len(informer.by_index("phase", phase)) for phase in ("Pending", "Running")] == [0, 1]


def test_a_steady_index_follows_everything_but_the_status() -> None:
    one = Lab().start()
    informer = one.informers.get("pods")
    asked: list[str] = []

    def app(obj: Object) -> list[str]:
        asked.append(name_of(obj))
        return [obj["metadata"].get("labels", {}).get("app", "")]

    informer.add_index("app", app, steady=True)
    informer.start()
    labelled = {"metadata": {"name": "a", "labels": LABELS}, "spec": {"containers": [container()]}}
    pod = one.client.create("pods", labelled, "default")
    informer.catch_up()
    asked.clear()
    pod = one.client.update_status("pods", {**pod, "status": {"phase": "Running"}})
    informer.catch_up()
    assert asked == []
    assert [each["status"]["phase"] for each in informer.by_index("app", "web")] == ["Running"]
    one.client.update("pods", {**pod, "metadata": {**pod["metadata"], "labels": {"app": "db"}}})
    informer.catch_up()
    assert not list(informer.by_index("app", "web")) and len(list(informer.by_index("app", "db"))) == 1
