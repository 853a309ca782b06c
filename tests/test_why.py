"""kwhy: each cause is planted, found with its evidence, and mended by the first command that is told, word for word.

In the same cluster a bystander of every kind is well all the time: of what is well no reason is told.
Sources of the reasons: the controllers' and kubelet's events and conditions, as the modules of `k8snb.story` name them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from why_lab import CLAIM, MOUNT, NONE, PORT, PROBE, SCALER, SERVICE, Cause, Lab, mend, plant, pod, workload

from k8snb.apimachinery.meta import get_path, name_of
from k8snb.kubectl.output import KubectlError
from k8snb.notebook import kclock, kstory
from k8snb.notebook.kwhy import Why
from k8snb.story.why import Scene, is_command, why

CAUSES = {
    # a node
    "asks for too much, bare": Cause(pod(resources={"requests": {"cpu": "7"}}), "pod/web", "Insufficient cpu"),
    "asks for too much memory": Cause(pod(resources={"requests": {"memory": "9Gi"}}), "pod/web", "Insufficient memory"),
    "asks for too much, owned": Cause(workload(resources={"requests": {"cpu": "7"}}, replicas=1), "deployment/web",
                                      "Insufficient cpu"),
    "no such label": Cause(pod(rest=", nodeSelector: {disk: ssd}"), "pod/web", "node affinity"),
    "no such affinity": Cause(pod(rest=", affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
                                       "{nodeSelectorTerms: [{matchExpressions: [{key: disk, operator: In, values: "
                                       "[ssd, nvme]}]}]}}}"), "pod/web", "node affinity"),
    "cordoned": Cause("", "pod/web", "unschedulable", ("cordon node-1", "cordon node-2", "run web --image=nginx"),
                      harms=True),
    "tainted": Cause("", "pod/web", "untolerated taint",
                     ("taint node node-1 node-2 a=b:NoSchedule", "run web --image=nginx"), harms=True),
    "a port that is taken": Cause(workload("Deployment", replicas=3, ports=[{"containerPort": 80, "hostPort": 8080}]),
                                  "deployment/web", "free ports"),
    "a gate": Cause(pod(rest=", schedulingGates: [{name: a/b}]"), "pod/web", "gate a/b"),
    "another scheduler, bare": Cause(pod(rest=", schedulerName: nobody"), "pod/web", 'none has the name "nobody"',
                                     mends=False),
    "another scheduler, owned": Cause(workload(rest=", schedulerName: nobody"), "deployment/web",
                                      'none has the name "nobody"'),
    "the scheduler is stopped": Cause("", "pod/web", "kube-scheduler is stopped",
                                      ("%kcluster component stop kube-scheduler", "run web --image=nginx")),
    "a controller is stopped": Cause(workload(), "deployment/web", "deployment-controller is stopped",
                                     ("%kcluster component stop deployment-controller",
                                      "scale deployment web --replicas=3")),
    "no such claim": Cause(pod(rest=MOUNT), "pod/web", 'persistentvolumeclaim "data" not found'),
    "a claim without a class": Cause(pod(rest=MOUNT) + "---" + CLAIM % "storageClassName: gold", "pod/web",
                                     "no node takes it"),
    "no such class": Cause(pod(rest=MOUNT) + "---" + CLAIM % "storageClassName: gold", "pvc/data",
                           'no StorageClass "gold"'),
    "no volume": Cause(pod(rest=MOUNT) + "---" + CLAIM % "storageClassName: ''", "pvc/data", "no volume that is free"),
    # containers
    "no image, a new one": Cause(workload(), "deployment/web", "cannot be pulled",
                                 (f"set image deployment/web main={NONE}",)),
    "no image, a tag": Cause(pod(image="nginx:does-not-exist"), "pod/web", "cannot be pulled"),
    "no image at all": Cause(pod(image=NONE), "pod/web", "cannot be pulled", mends=False),
    "a crash after a change": Cause(
        workload(), "deployment/web", "exit code 3",
        ("""patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"main","command":["sh","-c",
         "echo no database; exit 3"]}]}}}}'""",)),
    "a crash": Cause(pod(command=["sh", "-c", "echo no database; exit 3"]), "pod/web", "exit code 3", mends=False),
    "no ConfigMap": Cause(pod(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "a"}}}]),
                          "pod/web", 'configmap "none" not found'),
    "no key": Cause(pod(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "well", "key": "z"}}}]),
                    "pod/web", "couldn't find key z"),
    "no Secret": Cause(pod(envFrom=[{"secretRef": {"name": "none"}}]), "pod/web", 'secret "none" not found'),
    "no volume's ConfigMap": Cause(
        pod(rest=", volumes: [{name: c, configMap: {name: none}}]", volumeMounts=[{"name": "c", "mountPath": "/c"}]),
        "pod/web", "a volume of it cannot be had"),
    "a readiness probe": Cause(workload(readinessProbe=PROBE, ports=PORT), "deployment/web", "the readinessProbe"),
    "a liveness probe": Cause(workload(livenessProbe=PROBE, ports=PORT), "deployment/web", "the livenessProbe"),
    "a readiness gate": Cause(pod(rest=", readinessGates: [{conditionType: a/b}]"), "pod/web", "readiness gate a/b"),
    "a silent node": Cause("", "node/node-1", "nothing has been heard of its kubelet",
                           ("%kcluster node stop node-1",), harms=True),
    "a node cut off": Cause("", "node/node-1", "nothing has been heard",
                             ("%kcluster node partition node-1",), harms=True),
    "a kubelet stopped": Cause("", "node/node-1", "nothing has been heard",
                               ("%kcluster component stop kubelet/node-1",), harms=True),
    "a pod on a silent node": Cause(pod(rest=", nodeName: node-1"), "pod/web", "its node node-1 is not well",
                                    ("%kcluster node stop node-1",), well="node/node-1", harms=True),
    # services
    "one label away": Cause(pod(labels="{app: wep}") + "---\n" + SERVICE, "svc/web", "no pod has the labels app=web"),
    "one label away, owned": Cause(workload() + "---\n" + SERVICE.replace("app: web", "app: wep"), "svc/web",
                                   "no pod has the labels app=wep"),
    "scaled to none": Cause(workload(replicas=0) + "---\n" + SERVICE, "svc/web", "is scaled to 0"),
    "nobody ready": Cause(workload(readinessProbe=PROBE, ports=PORT) + "---\n" + SERVICE, "svc/web",
                          "none of the 2 pods that it selects is ready: it runs"),
    "no such port": Cause(pod() + "---\n" + SERVICE.replace("port: 80", "port: 80, targetPort: http"), "svc/web",
                          'named "http"'),
    # workloads
    "paused": Cause(workload(), "deployment/web", "rollout is paused", ("rollout pause deployment/web",)),
    "suspended": Cause("", "job/web", "suspended", (
        "create job web --image=nginx", """patch job web -p '{"spec":{"suspend":true}}'""")),
    "a quota": Cause("{apiVersion: v1, kind: ResourceQuota, metadata: {name: few}, spec: {hard: {count/pods: '7'}}}\n"
                     "---" + workload(replicas=9), "deployment/web", "exceeded quota", harms=True),
    "a quota that wants limits": Cause(
        "{apiVersion: v1, kind: ResourceQuota, metadata: {name: few}, spec: {hard: {limits.cpu: '8'}}}\n---"
        + workload(), "deployment/web", "must specify limits.cpu"),
    "no such account": Cause(workload(rest=", serviceAccountName: nobody"), "deployment/web", "nobody"),
    "a policy": Cause("", "deployment/web", "violates PodSecurity",
                      ("label namespace default pod-security.kubernetes.io/enforce=restricted",
                       "create deployment web --image=nginx"), harms=True),
    "a daemon refused": Cause(workload("DaemonSet", rest=", serviceAccountName: nobody"), "daemonset/web", "nobody"),
    "a set that is stuck": Cause(workload("StatefulSet", env=[
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "a"}}}]), "statefulset/web",
        'configmap "none" not found'),
    "a job that fails": Cause("""
apiVersion: batch/v1
kind: Job
metadata: {name: web}
spec: {backoffLimit: 1, template: {spec: {restartPolicy: Never, containers: [
  {name: main, image: busybox, command: [sh, -c, exit 4]}]}}}
""", "job/web", "it has failed", mends=False),
    "nothing to measure by": Cause(workload() + "---" + SCALER % "web", "hpa/web", "it does nothing",
                                   ("%kcluster addons enable metrics-server",)),
    "no metrics": Cause(workload(resources={"requests": {"cpu": "100m"}}) + "---" + SCALER % "web", "hpa/web",
                        "it does nothing", ("%kcluster addons disable metrics-server",)),
    "no such target": Cause(workload(resources={"requests": {"cpu": "100m"}}) + "---" + SCALER % "wep", "hpa/web",
                            "it does nothing", ("%kcluster addons enable metrics-server",)),
    # ends
    "a finalizer": Cause(pod().replace("{app: web}}", "{app: web}, finalizers: [a/b]}"), "pod/web", "finalizer a/b",
                         ("delete pod web --wait=false",)),
    "a claim in use": Cause(pod(rest=MOUNT) + "---" + CLAIM % "storageClassName: standard", "pvc/data",
                            "pod/web still uses it", ("delete pvc data --wait=false",)),
    "a namespace that does not go": Cause(
        "{apiVersion: v1, kind: Namespace, metadata: {name: old}}\n---\n"
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: kept, namespace: old, finalizers: [a/b]}}\n",
        "ns/old", "it cannot go", ("delete ns old --wait=false",)),
}  # fmt: skip
UNHARMED = ("deployment/well", "svc/well", "statefulset/well", "daemonset/well", "job/well", "node/control-plane",
            "ns/default", "pvc/data-well-0")  # fmt: skip


@pytest.fixture(scope="module")
def still() -> Iterator[Lab]:
    """A lab in which nobody does anything."""
    made = Lab(1)
    yield made
    made.close()


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    made = Lab(getattr(request, "param", 1))
    yield made
    made.close()


@pytest.mark.parametrize("name", CAUSES)
def test_a_planted_cause_is_found_and_the_first_command_mends_it(name: str) -> None:
    cause = CAUSES[name]
    lab = Lab(seed=sum(map(ord, name)) % 7)
    try:
        plant(lab, cause)
        found = lab.reasons(cause.about)
        if not cause.harms:
            assert [about for about in UNHARMED if lab.reasons(about)] == []
        assert found and cause.fact in found[0].fact, found
        assert found[0].evidence and all(each.word and each.place for each in found[0].evidence)
        assert found[0].fixes
        assert bool(found[0].commands) == cause.mends, found[0].fixes
        mend(lab, cause)
    finally:
        lab.close()


@pytest.mark.parametrize("lab", [1, 2, 3], indirect=True)
def test_of_what_is_well_no_reason_is_told(lab: Lab) -> None:
    """Everything that there is, at rest and in the midst of being made."""
    lab.make(workload(replicas=4) + "---\n" + SERVICE)
    for _ in range(4):
        lab.cluster.run_for(20)
    scene = lab.cluster.story_scene()
    kinds = [kind for kind in lab.cluster.client.kinds() if "list" in kind.verbs]
    told = [(obj["kind"], name_of(obj), why(scene, obj)) for kind in kinds for obj in lab.cluster.client.items(kind)]
    assert [each for each in told if each[2]] == [] and len(told) > 200


# why not


def asked(lab: Lab, line: str) -> str:
    return str(kstory.run(lab.cluster, "why", line.split()))


def test_what_is_so_after_all_is_said_to_be_so(still: Lab) -> None:
    assert "it is: deployment/well is Available" in asked(still, "not deployment/well Available")
    name = name_of(still.cluster.client.items("pods", "default", labelSelector="app=well")[0])
    assert f"it is: pod/{name} is scheduled" in asked(still, f"not pod/{name} scheduled")
    assert "it is: service/well is Ready" in asked(still, "not svc/well Ready")
    assert "it is: persistentvolumeclaim/data-well-0 is Bound" in asked(still, "not pvc data-well-0 Bound")


def test_why_not_ready_is_the_same_reason_with_the_writes_that_led_there(lab: Lab) -> None:
    lab.type(f"run web --image={NONE}")
    lab.cluster.run_for(30)
    answer = kstory.run(lab.cluster, "why", ["not", "pod/web", "Ready"])
    assert isinstance(answer, Why)
    assert "cannot be pulled" in answer.findings[0].fact
    assert answer.chain and answer.chain[-1].word == "pod/web"
    text = asked(lab, "not pod/web deleted")
    assert "cannot be pulled" in text or "nobody has asked" in text


def test_why_not_on_a_node_names_the_plugin_or_the_better_score(lab: Lab) -> None:
    lab.make(pod())
    lab.cluster.run_for(20)
    there = get_path(lab.find("pod/web") or {}, "spec.nodeName")
    other = "node-2" if there == "node-1" else "node-1"
    assert f"it is: pod/web is on {there}" in asked(lab, f"not pod/web on {there}")
    assert "TaintToleration: node(s) had untolerated taint" in asked(lab, "not pod/web on control-plane")
    assert f"{there} was " in asked(lab, f"not pod/web on {other}") and "score" in asked(lab, f"not pod/web on {other}")


def test_a_daemon_that_leaves_a_node_out_says_why_and_the_command_brings_it_there(lab: Lab) -> None:
    answer = kstory.run(lab.cluster, "why", ["not", "daemonset/well", "on", "control-plane"])
    assert isinstance(answer, Why) and "do not tolerate the taint" in answer.findings[0].fact
    lab.type(answer.commands[0])
    lab.cluster.run_for(60)
    assert "it is: pod/well-" in asked(lab, "not daemonset/well on control-plane")


def test_a_pod_of_a_cluster_whose_scheduler_is_elsewhere_is_explained_by_its_condition(lab: Lab) -> None:
    lab.make(pod(resources={"requests": {"cpu": "7"}}))
    lab.cluster.run_for(20)
    (found,) = why(Scene(lab.cluster.client, lambda uid: None), lab.find("pod/web") or {})
    assert found.fact.startswith("no node takes it: 0/3 nodes are available") and not found.commands


def test_a_paused_cluster_is_the_reason_while_it_is_paused(lab: Lab) -> None:
    lab.type("%kclock pause")
    lab.type("run web --image=nginx")
    (found,) = lab.reasons("pod/web")
    assert "the cluster is paused" in found.fact and found.commands == ["%kclock run"]
    lab.type("%kclock run")
    assert lab.reasons("pod/web") == []


def test_the_page_shows_each_command_whole_and_marks_nothing_up(lab: Lab) -> None:
    lab.make(pod(labels='{app: "wep", a: "b"}') + "---\n" + SERVICE)
    lab.cluster.run_for(10)
    answer = kstory.run(lab.cluster, "why", ["svc/web"])
    assert isinstance(answer, Why)
    html = answer._repr_html_()
    assert all(is_command(command) for command in answer.commands)
    assert f'<pre class="k8snb-code">{answer.commands[0]}</pre>' in html and "how it came about" in html
    assert list(answer.df["ROLE"].unique()) == ["because", "evidence", "what helps"]


@pytest.mark.parametrize(("line", "part"), [
    ("not deployment/well Awailable", 'did you mean "Available"?'), ("not deployment/well", "not what?"),
    ("not pod/web on node-9", "there was none"), ("not deployment/well on node-1", "is on no node itself"),
    ("not daemonset/well on node-9", 'there is no node "node-9"'), ("deployment/wel", 'did you mean "well"?'),
    ("not nope/web Ready", "resource type"), ("", "needs one object"), ("not", "needs one object"),
])  # fmt: skip
def test_a_question_that_cannot_be_asked_is_refused_in_a_line(still: Lab, line: str, part: str) -> None:
    with pytest.raises(KubectlError) as refused:
        kstory.run(still.cluster, "why", line.split())
    assert part in refused.value.message and "\n" not in refused.value.message.strip()


def test_tab_offers_states_and_nodes(still: Lab) -> None:
    assert "Available" in kstory.complete(still.cluster, "why", ["not", "deployment/well", ""])
    assert kstory.complete(still.cluster, "why", ["not", "daemonset/well", "on", "node-"]) == ["node-1", "node-2"]
    assert "not" in kstory.complete(still.cluster, "why", ["no"])
    assert kclock.complete(still.cluster, ["until", "deployment/well", "Av"]) == ["Available"]
    assert {"pause", "step", "run", "speed", "until"} <= set(kclock.complete(still.cluster, [""]))


DENY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
"""


def test_why_a_pod_does_not_reach_a_service_names_the_policy_and_opens_just_that_way(lab: Lab) -> None:
    lab.make(pod(labels="{app: client}"))
    lab.cluster.run_for(20)
    assert "no policy isolates either end" in asked(lab, "not pod/web reach svc/well")
    lab.make(DENY)
    lab.cluster.run_for(5)
    opened = []
    for _ in range(3):
        answer = kstory.run(lab.cluster, "why", ["not", "pod/web", "reach", "svc/well:80"])
        if not isinstance(answer, Why):
            break
        assert "default/deny allows it" in answer.findings[0].fact
        opened.append(answer.commands[0])
        lab.type(answer.commands[0])
        lab.cluster.run_for(5)
    assert len(opened) == 2 and "may reach pod/well-" in asked(lab, "not pod/web reach svc/well")
    other = name_of(lab.cluster.client.items("pods", "default", labelSelector="app=well-daemon")[0])
    assert f"it may not reach pod/{other} at port 81" in asked(lab, f"not pod/web reach pod/{other}:81")


@pytest.mark.parametrize("target", ["well", "cm/well", "svc/none", "svc/well:http"])
def test_what_cannot_be_reached_for_is_refused_in_a_line(still: Lab, target: str) -> None:
    name = name_of(still.cluster.client.items("pods", "default", labelSelector="app=well")[0])
    with pytest.raises(KubectlError, match=r"reach what\?|there is no service"):
        kstory.run(still.cluster, "why", ["not", f"pod/{name}", "reach", target])
