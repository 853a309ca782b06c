"""The story of a cluster: traces follow causes, blame names the last writer, and reasons are told where they are.

Each reason is tested against a cluster in which it was planted and one in which it was not: what is well has no reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest
import yaml

from k8snb.apimachinery.differences import Difference, differences, leaves
from k8snb.apimachinery.kinds import BY_GVK, find
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl.output import KubectlError
from k8snb.notebook import kstory
from k8snb.notebook.sequence import Sequence
from k8snb.story import trace
from k8snb.story.blame import blame
from k8snb.story.why import Finding, Scene, why


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(nodes=2, runtime="simulated", clock=VirtualClock(), seed=1, cpus="4", memory="8Gi")
    made.start(wait=0)
    made.settle()
    yield made
    made.delete()


# differences


def test_differences_tell_fields_and_know_entries_of_lists_by_name() -> None:
    old = {"metadata": {"name": "a", "resourceVersion": "1"}, "spec": {"containers": [
        {"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}}  # fmt: skip
    new = {"metadata": {"name": "a", "resourceVersion": "2", "labels": {"a.b/c": "1"}}, "spec": {"containers": [
        {"name": "b", "image": "z"}]}}  # fmt: skip
    assert differences(old, new) == [
        Difference("spec.containers[a].image", "x", None),
        Difference("spec.containers[a].name", "a", None),
        Difference("spec.containers[b].image", "y", "z"),
        Difference('metadata.labels["a.b/c"]', None, "1"),
    ]
    assert differences(old, old) == []


def test_leaves_are_the_fields_that_hold_no_others() -> None:
    assert leaves({"a": {"b": 1, "c": {}}, "d": [1, 2]}) == {"a.b": 1, "a.c": {}, "d[0]": 1, "d[1]": 2}


# traces


def test_a_command_is_followed_from_the_first_write_to_running_containers(cluster: Cluster) -> None:
    cluster.kubectl.run("create deployment web --image=nginx --replicas=2")
    cluster.settle()
    steps = trace.last(cluster.history)
    assert (steps[0].actor, steps[0].verb, steps[0].word, steps[0].cause) == ("you", "create", "deployment/web", 0)
    revisions = {step.revision for step in steps}
    assert all(step.cause in revisions for step in steps[1:] if step.cause)
    assert [step.revision for step in steps] == sorted(revisions)
    actors = {step.actor for step in steps}
    assert {"deployment-controller", "replicaset-controller", "kube-scheduler", "kubelet node-1"} <= actors
    assert sum("phase Pending → Running" in step.what for step in steps) == 2
    made = next(step for step in steps if step.word.startswith("pod/"))
    assert made.what.startswith("for web-") and made.actor == "replicaset-controller"


def test_the_newest_command_has_a_story_of_its_own(cluster: Cluster) -> None:
    cluster.kubectl.run("create deployment web --image=nginx")
    cluster.kubectl.run("create deployment other --image=nginx")
    cluster.settle()
    cluster.kubectl.run("scale deployment web --replicas=2")
    cluster.settle()
    steps = trace.last(cluster.history)
    assert steps[0].what == "spec.replicas 1 → 2"
    assert not any("other" in step.word for step in steps)


def test_an_objects_story_holds_all_that_it_owns_even_when_it_is_gone(cluster: Cluster) -> None:
    cluster.kubectl.run("create deployment web --image=nginx")
    cluster.settle()
    cluster.kubectl.run("delete deployment web")
    cluster.settle()
    steps = trace.of_object(cluster.history, _kind("deployments"), "default", "web")
    words = {step.word.partition("/")[0] for step in steps}
    assert words == {"deployment", "replicaset", "pod"}
    assert {step.word for step in steps if step.what == "gone"} >= {"deployment/web"}
    assert trace.of_object(cluster.history, _kind("deployments"), "default", "never") == []


def test_a_chain_leads_from_a_write_back_to_the_command(cluster: Cluster) -> None:
    cluster.kubectl.run("create deployment web --image=nginx")
    cluster.settle()
    pod = cluster.client.list("pods", "default")["items"][0]
    bound = next(change for change in cluster.history.of(_kind("pods"), "default", pod["metadata"]["name"])
                 if change.verb.startswith("create binding"))  # fmt: skip
    assert [step.actor for step in trace.chain(cluster.history, bound.revision)] == [
        "you", "deployment-controller", "replicaset-controller", "kube-scheduler",
    ]  # fmt: skip


def test_what_a_runtime_told_leads_back_to_the_command_as_well(cluster: Cluster) -> None:
    cluster.kubectl.run("create deployment web --image=nginx")
    cluster.settle()
    name = cluster.client.items("pods", "default")[0]["metadata"]["name"]
    answer = kstory.run(cluster, "why", [f"pod/{name}.status.phase"])
    assert isinstance(answer, kstory.Story)
    actors = [step.actor for step in answer.steps]
    assert actors[:4] == ["you", "deployment-controller", "replicaset-controller", "kube-scheduler"]
    assert actors[4].startswith("kubelet node-") and len(actors) == 5
    assert answer.output.hints[0].startswith("status.phase is Running since revision ")


# blame


def test_each_field_is_its_last_writers(cluster: Cluster) -> None:
    cluster.kubectl.run("create deployment web --image=nginx")
    cluster.settle()
    cluster.kubectl.run("scale deployment web --replicas=3")
    cluster.settle()
    lines = {line.path: line for line in blame(cluster.history.of(_kind("deployments"), "default", "web"))}
    made, scaled = lines["spec.selector.matchLabels.app"], lines["spec.replicas"]
    assert (made.actor, made.verb, scaled.actor, scaled.verb, scaled.value) == (
        "you",
        "create",
        "you",
        "patch scale",
        3,
    )
    assert scaled.revision > made.revision
    assert lines["status.readyReplicas"].actor == "deployment-controller"


def test_a_new_object_of_an_old_name_starts_anew(cluster: Cluster) -> None:
    for value in ("one", "two"):
        cluster.kubectl.run(f"create configmap settings --from-literal=a={value}")
        if value == "one":
            cluster.kubectl.run("delete configmap settings")
    changes = cluster.history.of(_kind("configmaps"), "default", "settings")
    newest = changes[-1].revision
    assert {line.revision for line in blame(changes)} == {newest}


# why


class Planted(NamedTuple):
    """Manifests, whom to ask about, a part of the fact, and a part of what helps."""

    manifests: str
    about: str
    fact: str
    fix: str
    before: tuple[str, ...] = ()


def pod(name: str = "web", labels: str = "{app: web}", rest: str = "", **container: Any) -> str:
    main = {"name": "main", "image": "nginx", **container}
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {labels}}}
spec: {{containers: [{yaml.safe_dump(main, default_flow_style=True).strip()}]{rest}}}
"""


def deployment(**container: Any) -> str:
    main = yaml.safe_dump({"name": "main", "image": "nginx", **container}, default_flow_style=True).strip()
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template: {{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{main}]}}}}
"""


SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
PLANTED = {
    "too large": Planted(pod(resources={"requests": {"cpu": "64"}}), "pod/web", "Insufficient cpu", "cpu=4"),
    "no such node": Planted(pod(rest=", nodeSelector: {disk: ssd}"), "pod/web", "didn't match Pod's node affinity",
                            "kubectl label node node-1 disk=ssd"),
    "all cordoned": Planted(pod(), "pod/web", "unschedulable", "kubectl uncordon node-1",
                            ("cordon node-1", "cordon node-2")),
    "tainted": Planted(pod(), "pod/web", "untolerated taint", "kubectl taint node node-1 a=b:NoSchedule-",
                       ("taint node node-1 node-2 a=b:NoSchedule",)),
    "a gate": Planted(pod(rest=", schedulingGates: [{name: a/b}]"), "pod/web", "gate a/b",
                      "/spec/schedulingGates"),
    "another scheduler": Planted(pod(rest=", schedulerName: nobody"), "pod/web", "no scheduler has looked",
                                 "component list"),
    "no image": Planted(pod(image="localhost:1/does-not-exist:1"), "pod/web", "cannot be pulled", "kubectl set image"),
    "a crash": Planted(pod(command=["sh", "-c", "echo no database; exit 3"]), "pod/web", "exit code 3", "--previous"),
    "no such key": Planted(pod(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "a"}}}]),
                           "pod/web", 'configmap "none" not found', "create what the message names"),
    "a probe": Planted(pod(readinessProbe={"httpGet": {"path": "/", "port": 9999}, "periodSeconds": 1}), "pod/web",
                       "the readinessProbe of container \"main\" fails", "answers where its probe asks"),
    "a claim": Planted(
        pod(rest=", volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]") + """---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {storageClassName: gold, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
""", "pvc/data", 'no StorageClass "gold"', "standard"),
    "nobody selected": Planted(pod(labels="{app: wep}") + "---" + SERVICE, "svc/web", "no pod has the labels app=web",
                               "kubectl label pod/web app=web --overwrite"),
    "nobody ready": Planted(pod(image="localhost:1/does-not-exist:1") + "---" + SERVICE, "svc/web",
                            "the pod that it selects is not ready", "kubectl set image"),
    "no such port": Planted(pod() + "---" + SERVICE.replace("port: 80", "port: 80, targetPort: http"), "svc/web",
                            'named "http"', "name the port"),
    "a rollout that hangs": Planted(deployment(image="localhost:1/does-not-exist:1"), "deployment/web",
                                    "2 of its 2 pods are not ready", "kubectl set image"),
    "a quota": Planted("""
apiVersion: v1
kind: ResourceQuota
metadata: {name: none}
spec: {hard: {pods: "0"}}
---""" + deployment(), "deployment/web", "exceeded quota", "resourcequota"),
    "paused": Planted(deployment(), "deployment/web", "rollout is paused", "kubectl rollout resume deployment/web",
                      ()),
    "an autoscaler": Planted(deployment() + """---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 5
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
""", "hpa/web", "it does nothing", "--requests=cpu"),
    "a finalizer": Planted(pod().replace("{app: web}}", "{app: web}, finalizers: [a/b]}"), "pod/web", "finalizer a/b",
                           "kubectl patch pod/web"),
}  # fmt: skip
WELL = {
    "pod/web": pod(),
    "svc/web": pod(rest="") + "---" + SERVICE,
    "deployment/web": deployment(),
}


def _kind(word: str) -> Any:
    kind = find(word)
    assert kind is not None
    return kind


def reasons(cluster: Cluster, about: str) -> list[Finding]:
    word, _, name = about.partition("/")
    kind = next(kind for kind in cluster.client.kinds() if word in kind.words())
    obj = cluster.client.get(kind, name, "default" if kind.namespaced else "")
    return why(Scene(cluster.client, lambda uid: cluster.scheduler.decisions.get(uid)), obj)


def make(cluster: Cluster, manifests: str) -> None:
    for obj in yaml.safe_load_all(manifests):
        cluster.client.create(BY_GVK[obj["apiVersion"], obj["kind"]], obj, "default")
    cluster.run_for(120)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_cause_is_found_with_evidence_and_what_helps(cluster: Cluster, name: str) -> None:
    planted = PLANTED[name]
    for line in planted.before:
        cluster.kubectl.run(line)
    make(cluster, planted.manifests)
    if name == "paused":
        cluster.kubectl.run("rollout pause deployment/web")
    if name == "a finalizer":
        cluster.kubectl.run("delete pod web --wait=false")
        cluster.run_for(60)
    found = reasons(cluster, planted.about)
    assert found, "no reason was found"
    assert planted.fact in found[0].fact, found
    assert any(planted.fix in fix for finding in found for fix in finding.fixes), found
    assert all(finding.evidence for finding in found)


@pytest.mark.parametrize("about", WELL)
def test_what_is_well_has_no_reason(cluster: Cluster, about: str) -> None:
    make(cluster, WELL[about])
    assert reasons(cluster, about) == []
    assert reasons(cluster, "node/node-1") == []


def test_what_helps_does_help(cluster: Cluster) -> None:
    """The first command for a Service without endpoints is carried out, word for word."""
    make(cluster, pod(labels="{app: wep}") + "---" + SERVICE)
    fix = reasons(cluster, "svc/web")[0].fixes[0]
    cluster.kubectl.run(fix.removeprefix("kubectl "))
    cluster.run_for(5)
    assert reasons(cluster, "svc/web") == []


def test_a_pending_pod_names_each_node_with_its_reason(cluster: Cluster) -> None:
    make(cluster, pod(resources={"requests": {"cpu": "64"}}))
    nodes = reasons(cluster, "pod/web")[0].nodes
    assert nodes is not None and nodes["node-1"] == ("NodeResourcesFit", "Insufficient cpu")
    assert set(nodes) == {"node-1", "node-2", "control-plane"}


def test_a_node_that_is_silent_is_told(cluster: Cluster) -> None:
    cluster.stop_node("node-1")
    cluster.run_for(60)
    assert "nothing has been heard of its kubelet" in reasons(cluster, "node/node-1")[0].fact


def test_a_crash_shows_the_last_words(cluster: Cluster) -> None:
    make(cluster, pod(command=["sh", "-c", "echo no database; exit 3"]))
    evidence = [each.text for finding in reasons(cluster, "pod/web") for each in finding.evidence]
    assert "no database" in evidence


# the picture


def test_the_picture_has_a_lane_for_each_actor_and_an_arrow_for_each_write(cluster: Cluster) -> None:
    cluster.kubectl.run("create deployment web --image=nginx")
    cluster.settle()
    steps = trace.last(cluster.history)
    root = ElementTree.fromstring(Sequence(steps).svg)
    texts = [element.text for element in root.iter() if element.text]
    assert texts.index("you") < texts.index("apiserver · etcd") < texts.index("deployment-controller")
    writes = [text for text in texts if text.startswith(tuple(f"{step.revision}: " for step in steps))]
    assert len(writes) == len(steps)
    assert "watch: " + str(steps[0].revision) in texts


def test_words_from_objects_cannot_break_the_picture(cluster: Cluster) -> None:
    cluster.client.create("configmaps", {"metadata": {"name": "a", "annotations": {"x": "<script>"}}}, "default")
    cluster.client.patch("configmaps", "a", {"data": {"k": "</svg><script>"}}, "default")
    picture = Sequence(trace.of_object(cluster.history, _kind("configmaps"), "default", "a")).html
    assert "<script>" not in picture and picture.count("<svg") == 1


# selection


def chosen(cluster: Cluster, line: str) -> str:
    return str(kstory.run(cluster, "select", line.split()))


def test_a_selector_shows_whom_it_picks_and_whom_it_misses_by_one_label(cluster: Cluster) -> None:
    make(cluster, "---".join((pod("a", "{app: web, tier: front}"), pod("b", "{app: web}"), pod("c", "{other: x}"))))
    lines = chosen(cluster, "app=web,tier=front").splitlines()
    assert lines[1].split()[:2] == ["a", "yes"]
    assert lines[2].split()[:2] == ["b", "nearly"] and lines[2].endswith("tier=front: it has no label tier")
    assert len(lines) == 3
    answer = kstory.run(cluster, "select", ["env in (production)"])
    assert answer.output.hints == ["env in (production) picks 0 of 3 pods in default; 3 miss it by one label"]


def test_who_else_picks_the_same_pods_is_told(cluster: Cluster) -> None:
    make(cluster, deployment() + "---" + SERVICE)
    text = chosen(cluster, "svc/web")
    assert "deployment/web" in text and "replicaset/web-" in text and "service/web" not in text
    assert "service/web" in chosen(cluster, "deployment/web")


def test_a_service_that_picks_nobody_says_what_would_help(cluster: Cluster) -> None:
    make(cluster, pod(labels="{app: wep}") + "---" + SERVICE)
    answer = kstory.run(cluster, "select", ["svc/web"])
    assert any("kubectl label pod/web app=web --overwrite" in hint for hint in answer.output.hints)
    assert "app=web: it has app=wep" in answer.text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "a selector or an object is wanted"),
        ("app=(", "error: "),
        ("configmap/settings", "configmap/settings selects no pods: Service"),
        ("svc/none", "not found"),
    ],
)
def test_what_selects_nothing_is_said_in_a_line(cluster: Cluster, line: str, words: str) -> None:
    cluster.kubectl.run("create configmap settings")
    with pytest.raises(KubectlError, match=words):
        chosen(cluster, line)


# at length


def test_a_long_trace_is_drawn_with_what_repeats_told_once(cluster: Cluster) -> None:
    cluster.kubectl.run("create deployment web --image=nginx --replicas=40")
    cluster.settle()
    steps = trace.last(cluster.history)
    folded = trace.folded(steps, 60)
    assert len(steps) > 100 and len(folded) <= 60
    assert any(step.word == "pod ×40" and step.actor == "replicaset-controller" for step in folded)
    assert [step.revision for step in folded] == sorted(step.revision for step in folded)
    known = {step.revision for step in folded}
    assert all(step.cause in known for step in folded[1:] if step.cause)
    assert "writes that only repeat others" in Sequence(steps).html
    assert trace.folded(steps[:60], 60) == steps[:60]


# blame, by how a value came


def test_defaults_admission_and_stamps_are_told_apart_from_what_was_said(cluster: Cluster) -> None:
    make(cluster, deployment() + "---" + pod("lone"))
    lines = {line.path: line for line in blame(cluster.history.of(_kind("deployments"), "default", "web"))}
    assert (lines["spec.replicas"].how, lines["spec.strategy.type"].how) == ("", "default")
    assert lines["spec.progressDeadlineSeconds"].how == "default" and lines["metadata.uid"].actor == "apiserver"
    assert lines["spec.template.spec.containers[main].image"].how == ""
    alone = {line.path: line for line in blame(cluster.history.of(_kind("pods"), "default", "lone"))}
    assert alone["spec.serviceAccountName"].how == "admission" and alone["spec.nodeName"].actor == "kube-scheduler"


def test_server_side_apply_status_and_scale_have_their_own_writers(cluster: Cluster) -> None:
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1", "y": "1"}}
    cluster.client.create("configmaps", applied, "default")
    cluster.kubectl.run(
        "apply --server-side --force-conflicts -f -", stdin=yaml.safe_dump({**applied, "data": {"x": "2"}})
    )
    lines = {line.path: line for line in blame(cluster.history.of(_kind("configmaps"), "default", "a"))}
    assert (lines["data.x"].value, lines["data.y"].value) == ("2", "1")
    assert lines["data.x"].revision > lines["data.y"].revision and lines["data.x"].verb == "patch"
    make(cluster, deployment())
    cluster.kubectl.run("scale deployment web --replicas=1")
    cluster.settle()
    lines = {line.path: line for line in blame(cluster.history.of(_kind("deployments"), "default", "web"))}
    assert lines["spec.replicas"].verb == "patch scale" and lines["status.replicas"].verb == "update status"
