"""The past of a cluster: read as it was, compared, told in scenes, and gone on from as another future.

Nothing upstream does this; what is read has to be what was there, which the tests note down while it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cluster_lab import boot

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import find
from k8snb.apimachinery.meta import is_deleting
from k8snb.client import User
from k8snb.cluster import Cluster
from k8snb.kubectl.output import KubectlError
from k8snb.notebook import kat, kdiff, krewind
from k8snb.story.futures import shared
from k8snb.story.moments import HAPPENINGS, NoMomentError
from k8snb.story.scenes import scenes
from k8snb.story.then import Then

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""
LINES = ("get pods -o wide", "get deploy,rs", "get nodes", "describe deployment web", "get all -A", "get events",
         "get pods -l app=web -o yaml")  # fmt: skip


class Story:
    """A cluster with a history: `notes` are what kubectl printed at revisions of it."""

    def __init__(self) -> None:
        self.cluster = boot(cpus="4", memory="8Gi")
        self.notes: dict[int, dict[str, str]] = {}
        self.cluster.run_for(30)
        self.do("create deployment web --image=nginx --replicas=2", 60)
        self.do("create secret generic key --from-literal=a=one", 10)
        self.cluster.client.patch("secrets", "key", {"stringData": {"a": "two"}}, "default")
        self.do("scale deployment web --replicas=4", 60)
        self.cluster.client.create("customresourcedefinitions", yaml.safe_load(CRD))
        self.do("create clusterrolebinding all --clusterrole=view --user=eve", 30)
        self.do("delete deployment web", 60)

    def do(self, line: str, seconds: float) -> None:
        self.cluster.kubectl.run(line)
        self.cluster.settle(limit=20)
        self.cluster.run_for(seconds)
        if not line.startswith("delete"):
            self.notes[self.cluster.store.revision] = {line: self.cluster.kubectl.run(line).text for line in LINES}


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    told = Story()
    yield told
    told.cluster.delete()


@pytest.fixture(scope="module")
def cluster(story: Story) -> Cluster:
    return story.cluster


@pytest.fixture
def fresh() -> Iterator[Cluster]:
    cluster = boot(cpus="4", memory="8Gi")
    yield cluster
    cluster.delete()


# reading


def test_what_is_read_of_a_moment_is_what_was_there(story: Story) -> None:
    """To the letter, ages included: the moment is found again by its time."""
    for revision, lines in story.notes.items():
        then = story.cluster.at(revision)
        for line, text in lines.items():
            assert without_ages(then.run(line).text) == without_ages(text), (revision, line)


def test_ages_are_those_of_then(fresh: Cluster) -> None:
    fresh.kubectl.run("create deployment web --image=nginx")
    fresh.settle()
    fresh.run_for(40)
    text = fresh.kubectl.run("get pods,deploy,nodes").text
    described = fresh.kubectl.run("describe deployment web").text
    fresh.run_for(120)
    assert fresh.at("-2m").run("get pods,deploy,nodes").text == text
    assert fresh.at("-120s").run("describe deployment web").text == described
    assert fresh.kubectl.run("get pods,deploy,nodes").text != text


def test_a_past_cannot_be_written(cluster: Cluster) -> None:
    then, revision = cluster.at("before web deleted"), cluster.store.revision
    for line in ("delete deployment web", "scale deployment web --replicas=1", "label pods --all a=b",
                 "create configmap a", "cordon node-1", "rollout restart deployment/web"):  # fmt: skip
        with pytest.raises(KubectlError, match="is past: it can be read and not changed"):
            then.run(line)
    assert cluster.store.revision == revision


def test_what_nobody_has_kept_is_refused_by_name(cluster: Cluster) -> None:
    then = cluster.at("before web deleted")
    pod = then.client.items("pods", "default")[0]["metadata"]["name"]
    with pytest.raises(KubectlError, match="what containers had printed until then is not kept"):
        then.run(f"logs {pod}")
    with pytest.raises(KubectlError, match="what was measured then nobody has kept"):
        then.run("top pods")
    with pytest.raises(KubectlError, match="componentstatuses of then nobody has kept"):
        then.run("get componentstatuses")
    with pytest.raises(ApiError, match="nothing changes there any more"):
        then.client.watch("pods")


def test_kinds_and_roles_are_those_of_then(cluster: Cluster) -> None:
    before, after = cluster.at("before boats.example.com created"), cluster.at("before web deleted")
    assert not [kind for kind in before.client.kinds() if kind.kind == "Boat"]
    assert [kind for kind in after.client.kinds() if kind.kind == "Boat"]
    with pytest.raises(ApiError, match="cannot list resource"):
        before.client.as_user(User("eve")).items("pods", "default")
    assert after.client.as_user(User("eve")).items("pods", "default")


def test_a_moment_is_not_changed_by_what_comes_after_it(fresh: Cluster) -> None:
    fresh.kubectl.run("create configmap a --from-literal=x=1")
    then = fresh.at("now")
    fresh.kubectl.run("delete configmap a")
    assert then.client.find("configmaps", "a", "default") is not None
    assert then.history.newest == then.revision < fresh.store.revision


def without_ages(text: str) -> list[str]:
    return [re.sub(r"\b(\d+[dhms])+\b|<unknown>", "AGE", " ".join(line.split())) for line in text.splitlines()]


# moments


def test_moments_have_many_names(cluster: Cluster) -> None:
    def change(moment: str) -> str:
        found = cluster.history.at(cluster.at(moment).revision)
        assert found is not None
        return f"{found.verb} {found.word}"

    assert change("last") == "delete deployment/web"
    assert cluster.at("^").revision == cluster.at("before web deleted").revision == cluster.at("last").revision - 1
    assert cluster.at("^2").revision == cluster.at("before all created").revision
    assert cluster.at("^3").revision == cluster.at("before boats.example.com created").revision
    assert change("web scaled") == change("after deployment/web scaled") == "patch scale deployment/web"
    assert cluster.at("before web scaled").client.get("deployments", "web", "default")["spec"]["replicas"] == 2
    assert cluster.at("web scaled").client.get("deployments", "web", "default")["spec"]["replicas"] == 4
    assert change("Killing").startswith("create event/web-")
    assert cluster.at("KILLING").revision == cluster.at("before killing").revision + 1
    assert cluster.at("last^").revision == cluster.at("^").revision
    assert cluster.at("120^").revision == 119 and cluster.at(120).revision == 120
    assert cluster.at("now").revision == cluster.store.revision
    began = cluster.history.time_of(1)
    assert cluster.at("+30s").moment.time == began + 30


def test_many_writes_of_one_kind_are_one_command(fresh: Cluster) -> None:
    fresh.kubectl.run("create deployment web --image=nginx --replicas=3")
    fresh.kubectl.run("expose deployment web --port=80")
    assert len(fresh.at("^").client.items("deployments", "default")) == 1
    fresh.settle()
    fresh.kubectl.run("delete pod -l app=web")
    assert len([pod for pod in fresh.at("^").client.items("pods", "default") if not is_deleting(pod)]) == 3


@pytest.mark.parametrize(
    ("moment", "why"),
    [
        ("999999", "revision 999999 has not happened yet: the newest is "),
        ("0", "the history begins at revision 1, "),
        ("-5h", "-5h is before the history begins: that is revision 1, "),
        ("+5h", "is in the future: what will happen, only %kfork can show"),
        ("-5x", '"-5x" is not a time such as -30s'),
        ("^99", "the history has 7 commands of yours"),
        ("tomorrow", 'there is no moment "tomorrow": say a revision'),
        ("before nothing deleted", '"nothing" was never deleted, as far as the history goes back: there is nothing of'),
        (
            "web failed",
            '"web" was never failed, as far as the history goes back: it was changed, created, deleted, gone',
        ),
        ("", 'there is no moment ""'),
    ],
)
def test_a_moment_that_is_none_is_explained(cluster: Cluster, moment: str, why: str) -> None:
    with pytest.raises(NoMomentError) as caught:
        cluster.at(moment)
    assert why in str(caught.value)


def test_what_has_been_compacted_away_is_said_to_be(fresh: Cluster) -> None:
    fresh.run_for(60)
    then = fresh.at(50)
    fresh.apiserver.compact(100)
    with pytest.raises(NoMomentError, match="revision 50 has been compacted away: the history begins at revision 100"):
        fresh.at(50)
    with pytest.raises(KubectlError, match="required revision 50 has been compacted"):
        then.run("get pods")
    assert fresh.at(100).run("get namespaces").objects


def test_what_was_not_there_then_is_told_from_the_history(cluster: Cluster) -> None:
    def said(*words: str) -> str:
        with pytest.raises(KubectlError) as caught:
            kat.run(cluster, words)
        return caught.value.message

    assert "(it was deleted at revision" in said("now", "get", "deployment", "web")
    assert "(it was created later, at revision" in said("150", "describe", "deployment", "web")
    assert "(there has never been one" in said("150", "get", "deployment", "other")


# what changed


def test_each_object_that_changed_is_told_once(cluster: Cluster) -> None:
    found = {each.word: each for each in cluster.changes("before web scaled", "before all created")}
    assert found["deployment/web"].sort == "changed"
    assert found["deployment/web"].what.startswith("spec.replicas 2 → 4")
    assert "-  replicas: 2\n+  replicas: 4\n" in found["deployment/web"].diff
    assert found["deployment/web"].actors[0] == "you"
    assert sum(each.sort == "created" and word.startswith("pod/") for word, each in found.items()) == 2
    back = {each.word: each for each in cluster.changes("before all created", "before web scaled")}
    assert back["deployment/web"].what.startswith("spec.replicas 4 → 2")
    assert sum(each.sort == "deleted" and word.startswith("pod/") for word, each in back.items()) == 2


def test_nothing_that_only_time_changed_is_told(cluster: Cluster) -> None:
    kept = [each for each in cluster.changes("-20s") if each.kind.plural not in ("leases", "events")]
    assert kept == []


def test_a_secrets_difference_does_not_tell_the_secret(cluster: Cluster) -> None:
    answer = kdiff.run(cluster, ["--from", "before web scaled", "--to", "now", "secret/key"])
    before = kdiff.run(cluster, ["--from", "key created", "--to", "before web scaled", "secret/key"])
    assert answer.text.startswith("Nothing changed")
    assert "*** (before)" in before.text and "*** (after)" in before.text
    assert "b25l" not in before.text + before._repr_html_() and "dHdv" not in before.text  # one, two in base64


def test_selections_narrow_a_comparison(cluster: Cluster) -> None:
    words = ["--from", "before web scaled", "--to", "before all created"]
    assert [each.word for each in diff(cluster, *words, "deploy")] == ["deployment/web"]
    assert {each.kind.kind for each in diff(cluster, *words, "-l", "app=web")} == {"Deployment", "ReplicaSet", "Pod"}
    assert diff(cluster, *words, "-n", "kube-system") == []
    assert {each.kind.kind for each in diff(cluster, *words, "events")} == {"Event"}
    with pytest.raises(KubectlError, match=r'deployments.apps "no": there is none, and there has never been one'):
        kdiff.run(cluster, [*words, "deployment/no"])
    with pytest.raises(KubectlError, match="--from says since when"):
        kdiff.run(cluster, ["--to", "3"])


def diff(cluster: Cluster, *words: str) -> list[Any]:
    answer = kdiff.run(cluster, words)
    return answer.changes if isinstance(answer, kdiff.Differences) else []


# scenes


def test_scenes_show_how_it_stood_between_commands(cluster: Cluster) -> None:
    first, last = cluster.at("before web created").revision, cluster.store.revision
    film = scenes(cluster.history, first, last)
    assert 4 <= len(film) <= 8 and film[0].revision == first
    told = [line for scene in film for line in scene.lines]
    assert "you: create deployment/web replicas 2" in told
    assert any(line.startswith("you: patch scale deployment/web") for line in told)
    assert "4 pods gone" in told
    pods = [len(then.client.items("pods", "default")) for then in (cluster.at(each.revision) for each in film)]
    assert pods[0] == 0 and 2 in pods and 4 in pods and pods[-1] == 0
    assert len(scenes(cluster.history, first, last, 3)) == 3


def test_a_crash_loop_is_shown_once(fresh: Cluster) -> None:
    fresh.kubectl.run("create deployment web --image=nginx")
    fresh.settle()
    fresh.run_for(30)
    fresh.kubectl.run("run crash --image=busybox --command -- sh -c 'sleep 1; exit 1'")
    fresh.run_for(600)
    film = scenes(fresh.history, fresh.at("before web created").revision, fresh.store.revision, 4)
    assert any("deployment/web 1 ready" in scene.lines for scene in film)


def test_where_nothing_happened_there_is_one_scene(cluster: Cluster) -> None:
    film = scenes(cluster.history, cluster.at("-20s").revision, cluster.store.revision)
    assert len(film) == 1


def test_a_film_stays_without_a_kernel(cluster: Cluster) -> None:
    film = krewind.run(cluster, ["--from", "before web created", "--frames", "5"])
    assert isinstance(film, krewind.Rewind)
    page = film._repr_html_()
    assert page.count("<figure>") == page.count("<figcaption>") == 5 and page.count("<svg") >= 3
    assert "<script" not in page and "you: create deployment/web replicas 2" in page
    assert "you: create deployment/web" in repr(film)


def test_the_slider_shows_the_moment_its_change_and_its_events(cluster: Cluster) -> None:
    film = krewind.run(cluster, ["--from", "before web created"])
    assert isinstance(film, krewind.Rewind)
    scaled = cluster.at("web scaled").revision
    assert film.stop_after(scaled - 1) == scaled
    film.show(scaled)
    assert film.slider.value == scaled
    shown = film.box.children[1].value
    assert f"revision {scaled}," in shown and "spec.replicas 2 → 4" in shown and "Started container" in shown
    assert "<summary>deployment/web changed</summary>" in shown
    film.box.children[0].children[0].click()
    assert film.slider.value == film.stop_before(scaled) < scaled
    assert film.stop_before(film.first.revision) == film.first.revision
    assert film.stop_after(film.last.revision) == film.last.revision


# forks


def test_a_fork_goes_on_where_its_pods_were(fresh: Cluster) -> None:
    fresh.kubectl.run("create deployment web --image=nginx --replicas=3")
    fresh.kubectl.run("run clock --image=busybox --command -- sh -c 'while true; do date; sleep 5; done'")
    fresh.kubectl.run("run done --image=busybox --restart=Never -- echo hi")
    fresh.kubectl.run("run crash --image=busybox --command -- sh -c 'sleep 3; exit 1'")
    fresh.kubectl.run("expose deployment web --port=80")
    fresh.run_for(100)
    moment, pods, logs = fresh.at("now").moment, fresh.client.items("pods"), fresh.kubectl.run("logs clock").text
    fresh.kubectl.run("delete deployment web")
    fresh.run_for(50)
    newest = fresh.store.revision
    other = fresh.fork(moment)
    try:
        assert other.client.items("pods") == pods
        assert other.kubectl.run("logs clock").text == logs
        assert other.clock.now() == moment.time
        other.run_for(5)
        written = [change.word for change in other.history.since(moment.revision) if change.kind.kind == "Pod"]
        assert written == [], written
        assert other.visit(other.service_urls("web")[0])[0] == 200
        other.run_for(100)
        after = {pod["metadata"]["name"]: pod for pod in other.client.items("pods")}
        for pod in pods:
            if pod["metadata"]["name"] != "crash":
                assert after[pod["metadata"]["name"]]["status"] == pod["status"]
        assert other.kubectl.run("logs clock").text.startswith(logs + "Tue")
        assert fresh.store.revision == newest and fresh.client.find("deployments", "web", "default") is None
    finally:
        other.delete()


def test_a_fork_waits_as_long_after_a_crash_as_its_origin(fresh: Cluster) -> None:
    fresh.kubectl.run("run crash --image=busybox --command -- sh -c 'sleep 3; exit 1'")
    fresh.run_for(100)
    revision = fresh.store.revision
    fresh.run_for(400)
    other = fresh.fork(revision)
    other.run_for(fresh.clock.now() - other.clock.now())
    try:
        one, two = (each.client.get("pods", "crash", "default")["status"] for each in (fresh, other))
        counts = [status["containerStatuses"][0]["restartCount"] for status in (one, two)]
        assert counts[0] == counts[1] > 4
    finally:
        other.delete()


def test_a_program_that_ends_at_that_moment_has_ended_in_the_fork(fresh: Cluster) -> None:
    """Between the end of a container and the write that tells of it there is a revision, too."""
    for name in ("a", "b", "c"):
        fresh.kubectl.run(f"run {name} --image=busybox --restart=Never --command -- sleep 20")
    fresh.run_for(60)
    told = [change for change in fresh.history.since(0) if HAPPENINGS["succeeded"](change)]
    assert len({change.time for change in told}) < len(told)
    other = fresh.fork(told[0].revision)
    other.run_for(1)
    try:
        assert {pod["status"]["phase"] for pod in other.client.items("pods", "default")} == {"Succeeded"}
    finally:
        other.delete()


def test_ready_pods_stay_ready_in_a_fork(fresh: Cluster) -> None:
    probe = {"httpGet": {"port": 80, "path": "/"}, "initialDelaySeconds": 20}
    container = {"name": "web", "image": "nginx", "readinessProbe": probe, "ports": [{"containerPort": 80}]}
    fresh.client.create("pods", {"metadata": {"name": "web"}, "spec": {"containers": [container]}}, "default")
    fresh.run_for(60)
    other = fresh.fork("now")
    try:
        other.run_for(60)
        changed = [change for change in other.history.since(fresh.store.revision) if change.kind.kind == "Pod"]
        assert changed == []
    finally:
        other.delete()


def test_same_seeds_and_commands_have_the_same_future(fresh: Cluster) -> None:
    fresh.kubectl.run("create deployment web --image=nginx --replicas=2")
    fresh.settle()
    one, two, three = (fresh.fork("now", f"fork-{seed}-{number}", seed=seed) for number, seed in enumerate((5, 5, 6)))
    try:
        for each in (one, two, three):
            each.kubectl.run("scale deployment web --replicas=6")
            each.run_for(90)
        assert one.store.history() == two.store.history()
        names = [{pod["metadata"]["name"] for pod in each.client.items("pods")} for each in (one, three)]
        assert names[0] != names[1] and len(names[0]) == len(names[1]) == 6
        assert one.compare(two) == ([], one.compare(two)[1])
    finally:
        for each in (one, two, three):
            each.delete()


def test_a_forks_machines_are_those_of_then(fresh: Cluster) -> None:
    fresh.stop_node("node-2")
    fresh.run_for(60)
    revision = fresh.store.revision
    fresh.start_node("node-2")
    added = fresh.add_node()
    fresh.run_for(30)
    fresh.delete_node("node-1")
    other = fresh.fork(revision)
    try:
        assert set(other.nodes) == {"control-plane", "node-1", "node-2"} and added not in other.nodes
        other.run_for(30)
        states = {name: row[1] for row in other.status() if (name := row[0].removeprefix("node ")) in other.nodes}
        assert states == {"control-plane": "Ready", "node-1": "Ready", "node-2": "Stopped"}
        addresses = [(node["metadata"]["name"], node["status"]["addresses"]) for node in other.client.items("nodes")]
        then = fresh.at(revision).client.items("nodes")
        assert addresses == [(node["metadata"]["name"], node["status"]["addresses"]) for node in then]
        other.start_node("node-2")
        other.kubectl.run("create deployment web --image=nginx --replicas=4")
        other.run_for(30)
        assert {pod["spec"]["nodeName"] for pod in other.client.items("pods", "default")} == {"node-1", "node-2"}
        assert other.add_node() == "node-3"
        other.run_for(30)
        ips = [node.network.node_ip for node in other.nodes.values()]
        assert len(set(ips)) == 4
    finally:
        other.delete()


def test_a_fork_can_be_forked_and_stopped(fresh: Cluster) -> None:
    fresh.kubectl.run("create deployment web --image=nginx")
    fresh.settle()
    one = fresh.fork("now", "one")
    one.kubectl.run("scale deployment web --replicas=2")
    one.run_for(30)
    two = one.fork("before web scaled", "two")
    try:
        assert two.client.get("deployments", "web", "default")["spec"]["replicas"] == 1
        one.stop()
        one.start(wait=0)
        one.run_for(30)
        assert one.client.get("deployments", "web", "default")["status"]["readyReplicas"] == 2
    finally:
        one.delete()
        two.delete()


def test_two_futures_are_put_side_by_side(fresh: Cluster) -> None:
    fresh.kubectl.run("create deployment web --image=nginx --replicas=2")
    fresh.settle()
    other = fresh.fork("now", "other")
    try:
        fresh.kubectl.run("scale deployment web --replicas=5")
        fresh.run_for(60)
        other.kubectl.run("set image deployment/web nginx=nginx:2")
        fresh.kubectl.run("create configmap a --from-literal=uid=1")
        other.kubectl.run("create configmap a --from-literal=uid=2")
        unlike, counts = fresh.compare(other, namespace="default")
        assert other.clock.now() == fresh.clock.now()
        rows = {row.word: row for row in unlike}
        deployment = rows["deployment/web"]
        assert (deployment.left, deployment.right) == ("5/5 ready", "2/2 ready")
        assert "spec.replicas: 5 | 2" in deployment.what and "nginx | nginx:2" in deployment.what
        assert rows["configmap/a"].what == "data.uid: 1 | 2"
        alone = [row for word, row in rows.items() if word.startswith("pods of replicaset/web-")]
        assert sorted((row.left, row.right) for row in alone) == [("5 Running", "—"), ("—", "2 Running")]
        assert counts[0].left == counts[0].right == (2, 2) and counts[0].seconds == 0
        assert (counts[-1].left, counts[-1].right) == ((5, 5), (2, 2))
    finally:
        other.delete()


def test_forks_of_one_cluster_are_compared_from_where_they_parted(fresh: Cluster) -> None:
    fresh.kubectl.run("create deployment web --image=nginx --replicas=2")
    fresh.settle()
    moment = fresh.at("now").moment
    fresh.run_for(30)
    one, two = (fresh.fork(moment, name) for name in ("one", "two"))
    third = two.fork("now", "third")
    try:
        third.kubectl.run("scale deployment web --replicas=3")
        third.run_for(30)
        assert shared(one.history, two.history) == moment.revision < shared(two.history, third.history)
        assert shared(fresh.history, third.history) == moment.revision
        assert one.compare(third)[1][-1][1:] == ((2, 2), (3, 3))
        other = boot(nodes=1)
        assert shared(fresh.history, other.history) == 0
        assert other.compare(one)[0]
        other.delete()
    finally:
        for each in (one, two, third):
            each.delete()


@pytest.mark.process
def test_a_cluster_with_real_nodes_is_not_forked() -> None:
    with Cluster("real", nodes=1, runtime="process") as real:
        with pytest.raises(ValueError, match=r'the nodes of "real" are real ones \(process\): their containers'):
            real.fork("now")
        assert real.at("now").run("get nodes").objects  # while reading the past takes no special nodes


# what the store answers


def test_the_stores_past_shares_its_records(cluster: Cluster) -> None:
    then, store = Then(cluster, cluster.at("before web deleted").moment), cluster.store
    deployments = find("deployments")
    assert deployments is not None
    record = then.past.store.get(deployments.key("default", "web"))
    assert record is not None and record is store.get(record.key, then.revision)
    assert then.past.store.history()[-1].revision == then.revision
    assert then.past.store.history(record.key)[-1] is record
    assert then.past.store.count("/registry/nodes/") == 3
    kind = find("pods")
    assert kind is not None and {each.revision for each in then.history.of(kind, "default", "never")} == set()
