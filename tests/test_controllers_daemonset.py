"""daemonset-controller: a pod on each node that is meant, for as long as the node is there.

The laws are those of the documentation (kubernetes.io/docs/concepts/workloads/controllers/daemonset and
docs/tasks/manage-daemon, here "docs"), of the e2e tests (test/e2e/apps/daemon_set.go, "e2e") and of the controller's
own unit tests (pkg/controller/daemon/{daemon_controller,update}_test.go, "unit").
"""

from __future__ import annotations

from typing import Any

import pytest
from controllers_lab import Lab, image_patch, pod, template

from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    controller_of,
    is_deleting,
    is_true,
    labels_of,
    name_of,
    with_path,
)
from k8snb.client.client import MERGE
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.controllers.daemonset import DaemonSetController, hash_of
from k8snb.controllers.daemonset_nodes import BOTH, NEITHER, TOLERATED, Verdict, daemon_spec, should_run, target_of
from k8snb.controllers.daemonset_status import GENERATION, HASH, TEMPLATE_GENERATION
from k8snb.controllers.garbagecollector import GarbageCollector
from k8snb.controllers.podgc import PodGCController

NO_SCHEDULE = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
NO_EXECUTE = {"key": "broken", "effect": "NoExecute"}


def daemon_set(**spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template(), **spec},
    }


def rolling(**how: Any) -> Object:
    return {"type": "RollingUpdate", "rollingUpdate": how}


SURGE = rolling(maxSurge=1, maxUnavailable=0)


def lab(nodes: int = 3, *more: Any) -> Lab:
    one = Lab(DaemonSetController, *more).start()
    for at in range(nodes):
        one.node(f"n{at}")
    return one.run()


def made(nodes: int = 3, *more: Any, **spec: Any) -> Lab:
    """With a set whose pods have no node yet."""
    one = lab(nodes, *more)
    one.client.create("daemonsets", daemon_set(**spec))
    return one.run()


def bind(one: Lab) -> Lab:
    """What the scheduler does: it has no choice."""
    for each in one.pods():
        if "nodeName" not in each["spec"]:
            one.bind(name_of(each), target_of(each))
    return one.run()


def up(nodes: int = 3, *more: Any, **spec: Any) -> Lab:
    """With a set whose pods run on their nodes and are ready."""
    return bind(made(nodes, *more, **spec)).all_ready()


def change(one: Lab, **spec: Any) -> Lab:
    one.apply("daemonsets", "web", {"spec": spec}, content_type=MERGE)
    return one.run()


def new_image(one: Lab, image: str = "nginx:2") -> Lab:
    one.apply("daemonsets", "web", image_patch(image))
    return one.run()


def taint(one: Lab, node: str, *taints: Object) -> Lab:
    one.apply("nodes", node, {"spec": {"taints": list(taints)}}, "", content_type=MERGE)
    return one.run()


def status(one: Lab) -> Object:
    found: Object = one.get("daemonsets", "web")["status"]
    return found


def places(one: Lab) -> list[str]:
    """The nodes that pods are on or meant for, those on their way out left aside."""
    return sorted(target_of(each) for each in one.pods() if not is_deleting(each))


def going(one: Lab) -> list[Object]:
    return [each for each in one.pods() if is_deleting(each)]


def on(one: Lab, node: str) -> Object:
    """The one pod on a node."""
    (found,) = [each for each in one.pods() if target_of(each) == node and not is_deleting(each)]
    return found


def finish(one: Lab) -> Lab:
    """The kubelets have ended what was to end."""
    for each in going(one):
        one.client.delete("pods", name_of(each), "default", gracePeriodSeconds=0)
    return one.run()


def images(one: Lab) -> list[str]:
    return sorted(each["spec"]["containers"][0]["image"] for each in one.pods() if not is_deleting(each))


def revisions(one: Lab) -> dict[int, Object]:
    return {each["revision"]: each for each in one.client.items("controllerrevisions", "default")}


def roll(one: Lab) -> Lab:
    """Play scheduler and kubelet until the rollout is over."""
    for _ in range(50):
        revision = one.store.revision
        bind(finish(one)).all_ready()
        if one.store.revision == revision:
            return one
    raise AssertionError("the rollout does not come to an end")


def writes_nothing(one: Lab) -> None:
    before = one.store.revision
    one.restart()
    assert one.store.revision == before


# a pod on each node


def test_every_node_gets_one_pod_and_is_named_by_its_affinity() -> None:
    """docs: How Daemon Pods are scheduled; e2e: "should run and stop simple daemon"."""
    one = made()
    assert places(one) == ["n0", "n1", "n2"]
    first = on(one, "n0")
    assert "nodeName" not in first["spec"]
    required = first["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    expression = {"key": "metadata.name", "operator": "In", "values": ["n0"]}
    assert required == {"nodeSelectorTerms": [{"matchFields": [expression]}]}
    assert sorted(one.events("SuccessfulCreate")) == sorted(f"Created pod: {name}" for name in one.names("pods"))


def test_a_pod_carries_the_hash_and_the_generation_of_its_template() -> None:
    """CreatePodTemplate in pkg/controller/daemon/util."""
    one = made(1)
    labels = labels_of(on(one, "n0"))
    assert labels == {"app": "web", HASH: hash_of(revisions(one)[1]), GENERATION: "1"}


def test_the_preferences_of_a_template_stay_and_its_requirements_give_way_to_the_node() -> None:
    """upstream: ReplaceDaemonSetPodNodeNameNodeAffinity."""
    preferred = [{"weight": 1, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}}]
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}]}]
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
            "preferredDuringSchedulingIgnoredDuringExecution": preferred,
        }
    }
    one = made(3, template=template(affinity=affinity))
    assert places(one) == ["n1"]
    found = on(one, "n1")["spec"]["affinity"]["nodeAffinity"]
    assert found["preferredDuringSchedulingIgnoredDuringExecution"] == preferred
    assert "matchExpressions" not in found["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"][0]


def test_the_status_counts() -> None:
    """upstream: updateDaemonSetStatus."""
    one = made()
    one.node("tainted", taints=[NO_SCHEDULE])
    one.run()
    assert status(one) == {
        "currentNumberScheduled": 3,
        "desiredNumberScheduled": 3,
        "numberMisscheduled": 0,
        "numberReady": 0,
        "numberUnavailable": 3,
        "updatedNumberScheduled": 3,
        "observedGeneration": 1,
    }
    bind(one).all_ready()
    assert status(one) == {
        "currentNumberScheduled": 3,
        "desiredNumberScheduled": 3,
        "numberMisscheduled": 0,
        "numberReady": 3,
        "numberAvailable": 3,
        "updatedNumberScheduled": 3,
        "observedGeneration": 1,
    }


@pytest.mark.parametrize("spec", [{}, {"updateStrategy": SURGE}, {"updateStrategy": {"type": "OnDelete"}}])
def test_a_second_sync_writes_nothing(spec: Object) -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = made(**spec)
    writes_nothing(one)
    bind(one).all_ready()
    writes_nothing(one)
    new_image(one)
    writes_nothing(one)
    roll(one)
    writes_nothing(one)


def test_a_heartbeat_is_no_reason_to_look() -> None:
    """upstream: nodeShouldRun is asked only when a node's labels or taints change."""
    one = up()
    before, seen = one.store.revision, []
    one.controller.sync = seen.append
    one.client.update_status("nodes", with_path(one.get("nodes", "n0", ""), "status.images", []))
    one.run()
    assert one.store.revision == before + 1 and seen == []


# which nodes are meant


def node(name: str = "n", labels: Object | None = None, *taints: Object) -> Object:
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": {"taints": list(taints)}}


def spec_of(**spec: Any) -> Object:
    return daemon_spec({"spec": {"template": {"spec": spec}}})


@pytest.mark.parametrize(
    ("spec", "place", "verdict"),
    [
        (spec_of(), node(), BOTH),
        (spec_of(nodeName="n"), node(), BOTH),
        (spec_of(nodeName="other"), node(), NEITHER),
        (spec_of(nodeSelector={"disk": "ssd"}), node(labels={"disk": "ssd"}), BOTH),
        (spec_of(nodeSelector={"disk": "ssd"}), node(), NEITHER),
        (spec_of(), node("n", {}, NO_SCHEDULE), Verdict(False, True)),
        (spec_of(), node("n", {}, NO_EXECUTE), NEITHER),
        (spec_of(), node("n", {}, {"key": "a", "effect": "PreferNoSchedule"}), BOTH),
        (spec_of(tolerations=[{"operator": "Exists"}]), node("n", {}, NO_SCHEDULE, NO_EXECUTE), BOTH),
        *[(spec_of(), node("n", {}, {"key": key, "effect": effect}), BOTH) for key, effect in TOLERATED],
        (spec_of(), node("n", {}, {"key": "node.kubernetes.io/network-unavailable", "effect": "NoSchedule"}),
         Verdict(False, True)),
        (spec_of(hostNetwork=True),
         node("n", {}, {"key": "node.kubernetes.io/network-unavailable", "effect": "NoSchedule"}), BOTH),
        (spec_of(), node("n", {}, {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}),
         Verdict(False, True)),
    ],
)  # fmt: skip
def test_a_node_is_meant_by_its_name_its_labels_and_its_taints(spec: Object, place: Object, verdict: Verdict) -> None:
    """docs: Taints and tolerations; unit: TestNodeShouldRunDaemonPod."""
    assert should_run(spec, place) == verdict


def test_a_toleration_of_ones_own_is_not_doubled() -> None:
    """upstream: AddOrUpdateDaemonPodTolerations."""
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    assert spec_of(tolerations=[own])["tolerations"].count(own) == 1


def test_daemon_pods_are_not_evicted_from_a_silent_node() -> None:
    """docs: daemon pods tolerate not-ready and unreachable without an end."""
    found = on(made(1), "n0")["spec"]["tolerations"]
    assert all("tolerationSeconds" not in each for each in found)
    assert {each["key"] for each in found if each["effect"] == "NoExecute"} == {
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    }


def test_labels_bring_daemons_and_take_them_away() -> None:
    """e2e: "should run and stop complex daemon"."""
    one = made(2, template=template(nodeSelector={"color": "blue"}))
    assert places(one) == [] and status(one)["desiredNumberScheduled"] == 0
    one.apply("nodes", "n1", {"metadata": {"labels": {"color": "blue"}}}, "")
    assert places(one.run()) == ["n1"]
    one.apply("nodes", "n1", {"metadata": {"labels": {"color": "green"}}}, "")
    assert places(one.run()) == []


def test_a_node_that_joins_gets_a_pod() -> None:
    """docs: "As nodes are added to the cluster, Pods are added to them"."""
    one = up(1)
    one.node("late")
    assert places(one.run()) == ["late", "n0"]


def test_a_pod_for_a_node_that_has_gone_goes_too() -> None:
    """docs: "As nodes are removed …, those Pods are garbage collected"; getUnscheduledPodsWithoutNode."""
    one = up(2, PodGCController)
    one.node("late")
    one.run()
    one.client.delete("nodes", "late")
    one.client.delete("nodes", "n1")
    one.run().wait(120)
    assert places(one) == ["n0"]
    assert status(one)["desiredNumberScheduled"] == 1


def test_what_may_not_start_on_a_node_may_stay_there() -> None:
    """e2e: "should not start … NoSchedule"; numberMisscheduled."""
    one = up()
    taint(one, "n0", NO_SCHEDULE)
    assert places(one) == ["n0", "n1", "n2"]
    assert (status(one)["desiredNumberScheduled"], status(one)["numberMisscheduled"]) == (2, 1)
    taint(one, "n1", NO_EXECUTE)
    assert places(one) == ["n0", "n2"]


def test_a_cordoned_node_keeps_and_gets_its_daemon() -> None:
    """docs: node.kubernetes.io/unschedulable is tolerated."""
    one = up(1)
    one.node(
        "cordoned", unschedulable=True, taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]
    )
    assert places(one.run()) == ["cordoned", "n0"]


# pods that end


def test_a_deleted_daemon_comes_back_when_it_has_gone() -> None:
    """e2e: "should run and stop simple daemon": delete a pod, check that it is revived."""
    one = up(1)
    one.client.delete("pods", name_of(on(one, "n0")), "default")
    one.run()
    assert places(one) == []
    assert places(finish(one)) == ["n0"]


def test_a_failed_daemon_is_replaced_with_growing_patience() -> None:
    """e2e: "should retry creating failed daemon pods"; failedPodsBackoff: 1 s, doubled, 15 min at most."""
    one = up(1)
    start, moments = one.clock.now(), []
    for _ in range(5):
        one.set_ready(on(one, "n0"), False, phase="Failed")
        one.run()
        moments.append(one.clock.now() - start)
        bind(one)
    assert moments == pytest.approx([0, 1, 3, 7, 15])
    assert len(one.events("FailedDaemonPod")) == 5
    told = one.events("FailedDaemonPod")[0]
    assert told.startswith("Found failed daemon pod default/web-") and told.endswith(" on node n0, will try to kill it")


def test_a_failed_daemon_that_cannot_go_yet_is_replaced_all_the_same() -> None:
    """upstream: getNodesToDaemonPods: a pod that has ended and is on its way out counts no more."""
    one = up(1)
    held = name_of(on(one, "n0"))
    one.apply("pods", held, {"metadata": {"finalizers": ["example.com/wait"]}})
    one.set_ready(one.get("pods", held), False, phase="Failed")
    one.run()
    assert is_deleting(one.get("pods", held)) and places(one) == ["n0"]


def test_a_daemon_that_has_succeeded_is_replaced_at_once() -> None:
    """upstream: podsShouldBeOnNode: SucceededDaemonPod."""
    one = up(1)
    done = on(one, "n0")
    one.set_ready(done, False, phase="Succeeded")
    one.run()
    assert name_of(done) not in one.names("pods") and places(one) == ["n0"]
    (told,) = one.events("SucceededDaemonPod")
    assert told == f"Found succeeded daemon pod default/{name_of(done)} on node n0, will try to delete it"


def test_of_several_pods_on_a_node_the_oldest_stays() -> None:
    """unit: TestDealsWithExistingPods."""
    one = up(1)
    first = on(one, "n0")
    one.wait(10)
    one.client.create("pods", pod("extra", nodeName="n0"))
    one.run()
    assert [name_of(each) for each in going(one)] == ["extra"]
    assert on(one, "n0")["metadata"]["uid"] == first["metadata"]["uid"]


def test_a_pod_without_owner_is_adopted_and_one_that_no_longer_matches_released() -> None:
    """e2e: "should adopt …"; ClaimPods."""
    one = lab(2)
    one.client.create("pods", pod("stray", nodeName="n0"))
    one.client.create("daemonsets", daemon_set(updateStrategy={"type": "OnDelete"}))
    one.run()
    assert places(one) == ["n0", "n1"]
    assert controller_of(one.get("pods", "stray"))["name"] == "web"
    one.apply("pods", "stray", {"metadata": {"labels": {"app": "debug"}}})
    one.run()
    assert controller_of(one.get("pods", "stray")) is None
    assert places(one) == ["n0", "n0", "n1"]


def test_a_refused_pod_is_told_and_tried_again() -> None:
    """upstream: CreatePods: FailedCreate, "Error creating: …"; the first refusal of a batch ends it."""
    one = lab()
    one.client.create("daemonsets", daemon_set(template=template(serviceAccountName="robot")))
    one.wait(1)
    told = one.events("FailedCreate")[0]
    assert told.startswith('Error creating: pods "web-') and 'serviceaccount "robot" not found' in told
    assert len(one.events("FailedCreate")) < 12
    one.client.create("serviceaccounts", {"metadata": {"name": "robot"}}, "default")
    assert places(one.wait(120)) == ["n0", "n1", "n2"]


def test_a_set_on_its_way_out_makes_no_pods() -> None:
    """upstream: syncDaemonSet: a DaemonSet that is being deleted is left alone."""
    one = up(1)
    one.apply("daemonsets", "web", {"metadata": {"finalizers": ["example.com/wait"]}})
    one.client.delete("daemonsets", "web", "default")
    one.client.delete("pods", name_of(on(one, "n0")), "default")
    assert places(finish(one.run())) == []


# rolling out


def test_a_rollout_replaces_one_node_after_the_other() -> None:
    """docs: Perform a Rolling Update, maxUnavailable defaults to 1; e2e: "should update pod when spec was updated"."""
    one = up()
    new_image(one)
    assert len(going(one)) == 1 and len(places(one)) == 2
    assert images(finish(one)) == ["nginx:1.25", "nginx:1.25", "nginx:2"]
    assert going(bind(one)) == []
    assert len(going(one.all_ready())) == 1
    assert images(roll(one)) == ["nginx:2"] * 3
    assert status(one)["updatedNumberScheduled"] == 3


@pytest.mark.parametrize(("amount", "pods"), [(2, 2), ("50%", 2), ("34%", 2), ("100%", 4)])
def test_max_unavailable_is_a_number_or_a_share_rounded_up(amount: int | str, pods: int) -> None:
    """API reference: "Absolute number is calculated from percentage by rounding up"."""
    one = up(4, updateStrategy=rolling(maxUnavailable=amount))
    assert len(going(new_image(one))) == pods


def test_an_old_pod_that_is_not_available_goes_first_and_beyond_the_budget() -> None:
    """unit: TestDaemonSetUpdatesAllOldPodsNotReady."""
    one = up()
    for each in ("n0", "n1"):
        one.set_ready(on(one, each), False)
    one.run()
    new_image(one)
    assert sorted(target_of(each) for each in going(one)) == ["n0", "n1"]


def test_a_rollout_that_is_broken_stops_at_the_budget() -> None:
    """e2e: "should rollback without unnecessary restarts"."""
    one = up()
    kept = {name_of(each) for each in one.pods()}
    bind(finish(new_image(one, "broken:1"))).wait(600)
    assert images(one) == ["broken:1", "nginx:1.25", "nginx:1.25"]
    roll(new_image(one, "nginx:1.25"))
    assert images(one) == ["nginx:1.25"] * 3
    assert len(kept & {name_of(each) for each in one.pods()}) == 2


def test_with_surge_the_new_pod_comes_before_the_old_one_goes() -> None:
    """e2e: "should surge pods onto nodes when spec was updated and update strategy is RollingUpdate"."""
    one = up(updateStrategy=SURGE)
    new_image(one)
    assert going(one) == [] and len(one.pods()) == 4
    bind(one).wait(30)
    assert going(one) == [] and len(one.pods()) == 4
    fresh = next(each for each in one.pods() if not is_true(each, "Ready"))
    one.set_ready(fresh)
    one.run()
    assert [target_of(each) for each in going(one)] == [target_of(fresh)]
    assert images(roll(one)) == ["nginx:2"] * 3
    assert len(one.pods()) == 3


def test_with_surge_an_old_pod_that_is_not_ready_is_replaced_beyond_the_budget() -> None:
    """unit: TestDaemonSetUpdatesWhenNewPosIsNotReady and its surge twins; allowedNewNodes."""
    one = up(updateStrategy=SURGE)
    for each in ("n0", "n1"):
        one.set_ready(on(one, each), False)
    new_image(one.run())
    assert len(one.pods()) - len(going(one)) >= 3
    assert {"n0", "n1"} <= {
        target_of(each) for each in one.pods() if each["spec"]["containers"][0]["image"] == "nginx:2"
    }


def test_with_surge_an_old_pod_goes_when_it_serves_no_more() -> None:
    """upstream: podsShouldBeOnNode: two pods may be on a node as long as the old one is ready."""
    one = bind(new_image(up(1, updateStrategy=SURGE)))
    (old,) = [each for each in one.pods() if is_true(each, "Ready")]
    assert len(one.pods()) == 2 and going(one) == []
    one.set_ready(old, False)
    assert [name_of(each) for each in going(one.run())] == [name_of(old)]


def test_with_surge_a_pod_that_is_out_of_place_goes_when_enough_others_serve() -> None:
    """upstream: rollingUpdate: shouldNotRunPodsToDelete."""
    one = taint(up(2, updateStrategy=SURGE), "n0", NO_SCHEDULE)
    one.set_ready(on(one, "n1"), False)
    bind(new_image(one.run()))
    assert {target_of(each) for each in going(one)} <= {"n1"}
    for each in one.pods():
        if target_of(each) == "n1" and not is_deleting(each):
            one.set_ready(each)
    one.run()
    assert "n0" in {target_of(each) for each in going(one)}


def test_on_delete_a_pod_is_updated_only_when_somebody_deletes_it() -> None:
    """docs: OnDelete; e2e: "should not update pod when spec was updated and update strategy is OnDelete"."""
    one = up(updateStrategy={"type": "OnDelete"})
    new_image(one)
    assert going(one) == [] and status(one).get("updatedNumberScheduled", 0) == 0
    one.client.delete("pods", name_of(on(one, "n1")), "default")
    assert images(finish(one.run())) == ["nginx:1.25", "nginx:1.25", "nginx:2"]


def test_a_rollout_waits_until_a_pod_has_been_ready_for_long_enough() -> None:
    """API reference: minReadySeconds; unit: TestDaemonSetUpdatesPods."""
    one = bind(made(2, minReadySeconds=30))
    for each in one.pods():
        one.set_ready(each)
    one.wait(5)
    assert status(one)["numberReady"] == 2 and status(one)["numberUnavailable"] == 2
    assert one.wait(31) and status(one)["numberAvailable"] == 2
    finish(new_image(one))
    one.set_ready(next(each for each in bind(one).pods() if not is_true(each, "Ready")))
    one.wait(20)
    assert going(one) == []
    one.wait(15)
    assert len(going(one)) == 1


def test_a_change_beside_the_template_restarts_nothing() -> None:
    """docs: a rollout is triggered if and only if `.spec.template` is changed."""
    one = up()
    names = one.names("pods")
    change(one, minReadySeconds=1)
    assert one.wait(5).names("pods") == names
    assert annotations_of(one.get("daemonsets", "web"))[TEMPLATE_GENERATION] == "1"


# history


def test_each_template_is_a_revision_and_going_back_gives_it_the_next_number() -> None:
    """docs: Perform a Rollback on a DaemonSet: "DaemonSet revisions only roll forward"."""
    one = up()
    first = name_of(revisions(one)[1])
    roll(new_image(one))
    assert sorted(revisions(one)) == [1, 2]
    one.apply("daemonsets", "web", revisions(one)[1]["data"])
    roll(one.run())
    assert sorted(revisions(one)) == [2, 3] and name_of(revisions(one)[3]) == first
    assert images(one) == ["nginx:1.25"] * 3
    assert annotations_of(one.get("daemonsets", "web"))[TEMPLATE_GENERATION] == "3"


def test_only_so_many_old_revisions_are_kept_and_those_of_pods_besides() -> None:
    """e2e: history; unit: cleanupHistory."""
    one = up(1, revisionHistoryLimit=1)
    for image in ("nginx:2", "nginx:3", "nginx:4"):
        roll(new_image(one, image))
    assert sorted(revisions(one)) == [3, 4]
    held = up(1, revisionHistoryLimit=0, updateStrategy={"type": "OnDelete"})
    new_image(held)
    assert sorted(revisions(held)) == [1, 2]


def test_a_name_that_is_taken_is_a_collision_and_the_next_is_tried() -> None:
    """snapshot in pkg/controller/daemon/update.go: `status.collisionCount`."""
    first = revisions(up(1))[1]
    one = lab(1)
    stranger = {**first, "metadata": {"name": name_of(first), "namespace": "default"}, "data": {"spec": {}}}
    one.client.create("controllerrevisions", stranger)
    one.client.create("daemonsets", daemon_set())
    one.run()
    assert status(one)["collisionCount"] == 1
    assert places(one) == ["n0"]
    assert labels_of(on(one, "n0"))[HASH] != hash_of(first)


def test_two_revisions_with_one_template_become_one() -> None:
    """upstream: dedupCurHistories."""
    one = up(1)
    first = revisions(one)[1]
    twin = {
        **first,
        "metadata": {**first["metadata"], "name": "twin", "labels": {"app": "web", HASH: "twin"}},
        "revision": 7,
    }
    one.client.create("controllerrevisions", twin)
    one.run()
    assert [name_of(each) for each in revisions(one).values()] == ["twin"]
    assert labels_of(on(one, "n0"))[HASH] == "twin" and going(one) == []


def test_a_set_takes_over_the_pods_and_the_history_of_another() -> None:
    """docs: deletion with --cascade=orphan, and a set of the same selector later."""
    one = up(2, GarbageCollector)
    uids, names = [each["metadata"]["uid"] for each in one.pods()], [name_of(revisions(one)[1])]
    one.client.delete("daemonsets", "web", "default", propagationPolicy="Orphan")
    one.run()
    one.client.create("daemonsets", daemon_set())
    one.run()
    assert [each["metadata"]["uid"] for each in one.pods()] == uids
    assert one.names("controllerrevisions") == names
    assert all(controller_of(each) for each in revisions(one).values())


def test_the_generation_of_the_template_is_the_servers_to_count() -> None:
    """pkg/registry/apps/daemonset/strategy.go: PrepareForUpdate."""
    one = up(1)
    for words in ("99", None):
        one.apply("daemonsets", "web", {"metadata": {"annotations": {TEMPLATE_GENERATION: words}}}, content_type=MERGE)
        assert annotations_of(one.get("daemonsets", "web"))[TEMPLATE_GENERATION] == "1"


def test_a_selector_of_everything_is_refused_work() -> None:
    """upstream: syncDaemonSet: SelectingAll; the API server takes no such DaemonSet, an old one may lie in etcd."""
    one = lab(1)
    old = with_path(daemon_set(), "metadata.uid", "1")
    one.store.put("/registry/apps/daemonsets/default/web", with_path(old, "spec.selector", {}))
    one.run()
    assert one.events("SelectingAll") == ["This daemon set is selecting all pods. A non-empty selector is required."]
    assert one.pods() == []


# in a whole cluster


def test_the_scheduler_puts_each_daemon_on_its_node_while_nodes_come_and_go() -> None:
    """docs: How Daemon Pods are scheduled: the default scheduler binds the pod to the target host."""
    with Cluster(runtime="simulated", clock=VirtualClock(), seed=1, nodes=2) as cluster:

        def running_on() -> list[str]:
            pods = cluster.client.items("pods", "default")
            return sorted(each["spec"].get("nodeName", "") for each in pods if is_true(each, "Ready"))

        cluster.client.create("daemonsets", daemon_set())
        assert cluster.wait(lambda: running_on() == ["node-1", "node-2"], 60)
        cluster.add_node("node-3")
        assert cluster.wait(lambda: running_on() == ["node-1", "node-2", "node-3"], 60)
        cluster.delete_node("node-2")
        assert cluster.wait(lambda: running_on() == ["node-1", "node-3"], 300)
        cluster.kubectl.run("cordon node-1")
        cluster.kubectl.run("rollout restart daemonset/web")
        text = cluster.kubectl.run("rollout status daemonset/web --timeout=120s").text
        assert text.splitlines()[-1] == 'daemon set "web" successfully rolled out'
        assert running_on() == ["node-1", "node-3"]
