"""kwhy: causes that come together, hide behind each other, or only look like one another.

As in `test_why`, the first command that is told is run word for word until nothing is wrong; of what only looks like a
cause no reason is told. Sources: the plug-ins, controllers and kubelet parts that the modules of `k8snb.story` name.
"""

from __future__ import annotations

import pytest
import yaml
from why_lab import CLAIM, MOUNT, SCALER, SERVICE, Cause, Lab, mend, plant, pod, workload

from k8snb.apimachinery.meta import uid_of
from k8snb.notebook import kstory
from k8snb.story.templates import anew

LARGE = (
    "run web --image=nginx --overrides="
    """'{"spec":{"containers":[{"name":"web","image":"nginx","resources":{"requests":{"cpu":"7"}}}]}}'"""
)


def affinity(sort: str, key: str) -> str:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": "cache"}}}
    return ", affinity: " + flow({sort: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})


def flow(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=9999).strip()


def spread(key: str) -> str:
    rule = {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}}}  # fmt: skip
    return f", topologySpreadConstraints: [{flow(rule)}]"


def nodes_with(*expressions: dict[str, object]) -> str:
    terms = [{"matchExpressions": list(expressions)}]
    return ", affinity: " + flow({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": terms}}})  # fmt: skip


NO_TAG = "nginx:does-not-exist"
SOME = {"requests": {"cpu": "100m"}}
SLOW = ", terminationGracePeriodSeconds: 3600"
CONTROLLER = f"""
apiVersion: v1
kind: ReplicationController
metadata: {{name: web}}
spec:
  replicas: 1
  selector: {{app: web}}
  template: {{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{{name: main, image: "{NO_TAG}"}}]}}}}
"""
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: web}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "%s"}]}}}
"""
CRON_JOB = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: web}
spec:
  schedule: "* * * * *"
  concurrencyPolicy: %s
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "%s"%s}]}}}}
"""
ON_DELETE = """
apiVersion: apps/v1
kind: %s
metadata: {name: web}
spec:
  updateStrategy: {type: OnDelete}
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: main, image: nginx}]}}
"""
VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: small}
spec: {storageClassName: manual, capacity: {storage: 5Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /tmp/small}}
"""
LATE_CLASS = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: late}
provisioner: k8snb.io/hostpath
volumeBindingMode: WaitForFirstConsumer
"""
RESOURCE = "type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}"
CUSTOM = "type: Pods, pods: {metric: {name: rps}, target: {type: AverageValue, averageValue: 10}}"
INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: %s
  rules: [{host: a.b, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: %s, port: {number: %d}}}}]}}]
"""
CAUSES = {
    # a node: pkg/scheduler/framework/plugins
    "a taint before too little room": Cause("", "pod/web", "untolerated taint",
                                            ("taint node node-1 node-2 a=b:NoSchedule", LARGE), harms=True),
    "too little of two things": Cause(
        workload(replicas=1, resources={"requests": {"cpu": "7", "memory": "20Gi"}}), "deployment/web", "Insufficient"),
    "two taints": Cause("", "pod/web", "untolerated taint", (
        "taint node node-1 node-2 a=b:NoSchedule c=d:NoSchedule", "run web --image=nginx"), harms=True),
    "no such zone to spread over": Cause(workload(rest=spread("zone")), "deployment/web", "missing required label"),
    "a full machine to spread over": Cause(workload(replicas=6, rest=spread("kubernetes.io/hostname")),
                                           "deployment/web", "topology spread", ("cordon node-2",), harms=True),
    "a label too low": Cause(pod(rest=nodes_with({"key": "gen", "operator": "Gt", "values": ["3"]})), "pod/web",
                             "node affinity"),
    "nobody to be beside": Cause(pod(rest=affinity("podAffinity", "kubernetes.io/hostname")), "pod/web",
                                 "pod affinity rules", mends=False),
    # programs: pkg/kubelet
    "an init container that waits": Cause(
        pod(rest=", initContainers: [{name: wait, image: busybox, command: [sh, -c, echo no db; sleep 99999]}]"),
        "pod/web", 'wait for init container "wait"', mends=False),
    "a program that ends well": Cause(pod(image="busybox", command=["true"]), "pod/web", "exit code 0", mends=False),
    # templates: "Forced rollback" of a StatefulSet; a ReplicaSet leaves its pods as they are
    "no image, of a StatefulSet": Cause(workload("StatefulSet", image=NO_TAG), "statefulset/web", "cannot be pulled"),
    "no image, of a ReplicaSet": Cause(workload("ReplicaSet", image=NO_TAG), "replicaset/web", "cannot be pulled"),
    "no image, of a ReplicationController": Cause(CONTROLLER, "rc/web", "cannot be pulled"),
    "no image, of a Job": Cause(JOB % NO_TAG, "job/web", "cannot be pulled", mends=False),
    "no image, of a CronJob": Cause(CRON_JOB % ("Allow", NO_TAG, ""), "cronjob/web", "cannot be pulled", mends=False),
    "a CronJob that may not overlap": Cause(CRON_JOB % ("Forbid", "busybox", ", command: [sleep, '99999']"),
                                            "cronjob/web", "concurrencyPolicy Forbid", well="job/well"),
    "a set that waits for a deletion": Cause(ON_DELETE % "StatefulSet", "statefulset/web", "OnDelete",
                                             ("set image statefulset/web main=redis",)),
    "daemons that wait for a deletion": Cause(ON_DELETE % "DaemonSet", "daemonset/web", "OnDelete",
                                              ("set image daemonset/web main=redis",)),
    "a daemon for no node": Cause(workload("DaemonSet", rest=", nodeSelector: {disk: ssd}"), "daemonset/web",
                                  "it runs nowhere"),
    # services: staging/src/k8s.io/endpointslice
    "pods that have ended": Cause(SERVICE.replace("app: web", "job-name: well"), "svc/web", "has ended", mends=False),
    "a pod that goes": Cause(pod(command=["sleep", "9999"], rest=SLOW) + "---\n" + SERVICE, "svc/web", "being deleted",
                             ("delete pod web --wait=false",), mends=False),
    "a port for another protocol": Cause(
        pod(ports=[{"containerPort": 53, "name": "dns", "protocol": "UDP"}]) + "---\n"
        + SERVICE.replace("port: 80", "port: 53, targetPort: dns"), "svc/web", "port of that name for TCP"),
    # volumes: pkg/controller/volume/persistentvolume
    "a volume with another mode": Cause(CLAIM.replace("Once", "Many") % "storageClassName: manual" + "---\n" + VOLUME,
                                        "pvc/data", "small 5Gi (incompatible accessMode)"),
    "a volume that is not there": Cause(CLAIM % "storageClassName: '', volumeName: none", "pvc/data",
                                        'the volume "none", and there is none'),
    "a volume that is too small": Cause(CLAIM.replace("1Gi", "9Gi") % "storageClassName: manual, volumeName: small"
                                        + "---\n" + VOLUME, "pvc/data", "requested PV is too small", mends=False),
    "a consumer without a node": Cause(
        LATE_CLASS + "---" + CLAIM % "storageClassName: late" + "---\n"
        + pod(rest=MOUNT + ", nodeSelector: {disk: ssd}"),
        "pvc/data", "waits until pod/web, which uses it, has a node", mends=False),
    # autoscalers: pkg/controller/podautoscaler/horizontal.go
    "no such kind to scale": Cause(workload(resources=SOME) + "---" + SCALER.replace("Deployment", "Deploymnt") % "web",
                                   "hpa/web", 'no matches for kind "Deploymnt"'),
    "nothing runs to measure": Cause(workload(image=NO_TAG, resources=SOME) + "---" + SCALER % "web", "hpa/web",
                                     "no metrics returned", ("%kcluster addons enable metrics-server",)),
    "a metric of nobody's": Cause(workload(resources=SOME) + "---" + SCALER.replace(RESOURCE, CUSTOM) % "web",
                                  "hpa/web", "unable to get metric rps", mends=False),
    # ingresses: kubectl describe ingress
    "no class": Cause(workload(resources=SOME) + "---\n" + SERVICE + "---" + INGRESS % ("other", "web", 80), "ing/web",
                      'no IngressClass "other"'),
    "no such service": Cause(workload() + "---\n" + SERVICE + "---" + INGRESS % ("nginx", "wep", 80), "ing/web",
                             'the service "wep", and there is none', ("%kcluster addons enable ingress",)),
    "no such port of a service": Cause(workload() + "---\n" + SERVICE + "---" + INGRESS % ("nginx", "web", 8080),
                                       "ing/web", "leads to port 8080", ("%kcluster addons enable ingress",)),
    "nobody behind an Ingress": Cause(workload(replicas=0) + "---\n" + SERVICE + "---" + INGRESS % ("nginx", "web", 80),
                                      "ing/web", "is scaled to 0", ("%kcluster addons enable ingress",)),
}  # fmt: skip


@pytest.mark.parametrize("name", CAUSES)
def test_a_cause_that_hides_is_found_and_its_commands_mend_it(name: str) -> None:
    cause, lab = CAUSES[name], Lab(seed=2)
    try:
        plant(lab, cause)
        found = lab.reasons(cause.about)
        assert found and cause.fact in found[0].fact, found
        assert all(each.word and each.place for each in found[0].evidence)
        assert bool(found[0].commands) == cause.mends, found[0].fixes
        mend(lab, cause)
    finally:
        lab.close()


def test_a_node_that_two_plugins_refuse_names_both_and_what_both_take() -> None:
    """The scheduler ends with the first refusal; the smallest change has to undo the second one too."""
    lab = Lab(seed=2)
    try:
        lab.type("taint node node-1 a=b:NoSchedule")
        lab.type(LARGE)
        lab.cluster.run_for(30)
        found = lab.reasons("pod/web")[0]
        assert found.nodes is not None and found.nodes["node-1"][0] == "NodeResourcesFit, TaintToleration"
        assert "kubectl taint node node-1 a=b:NoSchedule-" in found.changes["node-1"]
        assert any(change.startswith("ask for at most cpu=4") for change in found.changes["node-1"])
        assert found.commands[0] == "%kcluster node add --cpus 8"
        told = str(kstory.run(lab.cluster, "why", ["not", "pod/web", "on", "node-1"]))
        assert "untolerated taint {a: b}; " in told + "; " and "Insufficient cpu" in told
    finally:
        lab.close()


def test_a_program_that_crashes_after_a_probe_failed_once_is_told_by_its_exit_code() -> None:
    """The kubelet's event of a restart stays for an hour; what ended since then by itself did not end because of it."""
    lab = Lab(seed=2)
    try:
        command = ["sh", "-c", "sleep 1; exit 3"]
        lab.make(pod(image="busybox", command=command))
        lab.cluster.run_for(60)
        found = lab.find("pod/web")
        assert found is not None
        about = {"kind": "Pod", "name": "web", "namespace": "default", "uid": found["metadata"]["uid"]}
        told = {"metadata": {"generateName": "web."}, "involvedObject": about, "reason": "Killing",
                "message": "Container main failed liveness probe, will be restarted", "type": "Normal",
                "firstTimestamp": "2020-01-01T00:00:00Z", "lastTimestamp": "2020-01-01T00:00:00Z"}  # fmt: skip
        lab.cluster.client.create("events", told, "default")
        assert "ends with exit code 3" in lab.reasons("pod/web")[0].fact
    finally:
        lab.close()


def test_what_is_left_alone_or_goes_has_no_reasons() -> None:
    """Look-alikes: another selector's pods, a set whose partition keeps pods, an Ingress that is served, a pod that is
    on its way out, a claim whose pod is there."""
    lab = Lab(seed=3)
    try:
        lab.type("%kcluster addons enable ingress")
        partition = "\n  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}"
        lab.make(workload("StatefulSet").replace("spec:\n", f"spec:{partition}\n", 1) + "---\n" + SERVICE + "---"
                 + INGRESS % ("nginx", "web", 80) + "---" + LATE_CLASS + "---" + CLAIM % "storageClassName: late"
                 + "---\n" + pod(labels="{app: user}", rest=MOUNT, command=["sh", "-c", "trap '' TERM; sleep 99999"])
                 .replace("name: web", "name: user", 1))  # fmt: skip
        lab.cluster.run_for(60)
        lab.type("set image statefulset/web main=redis")
        lab.type("delete pod user --wait=false")
        lab.cluster.run_for(5)
        asked = ("statefulset/web", "svc/web", "ing/web", "pvc/data", "pod/user", "pod/web-0")
        assert {about: lab.reasons(about) for about in asked} == {about: [] for about in asked}
    finally:
        lab.close()


def test_a_change_is_whole_and_of_nodes_that_need_least() -> None:
    """What no node has is asked for less of at once; nothing is said of a node that lacks more than another."""
    lab = Lab(seed=2)
    try:
        lab.make(workload(replicas=1, resources={"requests": {"cpu": "7", "memory": "20Gi"}}))
        lab.make(CLAIM % "storageClassName: gold" + "---\n" + pod(rest=MOUNT))
        lab.cluster.run_for(30)
        first = lab.reasons("deployment/web")[0].commands[0]
        assert "--requests=cpu=" in first and ",memory=" in first
        assert all(command.startswith("%%kapply") for command in lab.reasons("pod/web")[0].commands)
    finally:
        lab.close()


def test_a_job_that_overlapped_once_is_no_reason_while_the_next_one_runs() -> None:
    lab = Lab(seed=2)
    try:
        lab.make(CRON_JOB % ("Forbid", "busybox", ", command: [sleep, '45']"))
        lab.cluster.run_for(100)
        made = lab.find("cronjob/web")
        assert made is not None and made["status"]["active"]
        about = {"kind": "CronJob", "name": "web", "namespace": "default", "uid": uid_of(made)}
        for moment, told in (("2020-01-01T00:00:00Z", 0), ("2030-01-01T00:00:00Z", 1)):
            lab.cluster.client.create("events", {
                "metadata": {"generateName": "web."}, "involvedObject": about, "reason": "JobAlreadyActive",
                "message": "Not starting job because prior execution is running", "type": "Normal",
                "firstTimestamp": moment, "lastTimestamp": moment}, "default")  # fmt: skip
            assert len(lab.reasons("cronjob/web")) == told
    finally:
        lab.close()


def test_only_what_its_owner_leaves_alone_is_to_be_deleted() -> None:
    """A set that keeps no order replaces a pod that is not ready itself; one that keeps order waits for it."""
    lab = Lab(seed=2)
    try:
        sets = {"ordered": "OrderedReady", "parallel": "Parallel"}
        for name, policy in sets.items():
            made = workload("StatefulSet", image=NO_TAG).replace("name: web", f"name: {name}")
            made = made.replace("app: web", f"app: {name}")
            lab.make(made.replace("spec:\n", f"spec:\n  podManagementPolicy: {policy}\n", 1))
        lab.cluster.run_for(60)
        old = {name: lab.find(f"pod/{name}-0") or {} for name in sets}
        for name in sets:
            lab.type(f"set image statefulset/{name} main=nginx:neither")
        lab.cluster.run_for(60)
        there = {name: (lab.find(f"pod/{name}-0") or {})["metadata"]["uid"] == uid_of(old[name]) for name in sets}
        assert there == {"ordered": True, "parallel": False}
        told = {name: anew(lab.cluster.story_scene(), pod) for name, pod in old.items()}
        assert told == {"ordered": ["kubectl delete pod/ordered-0"], "parallel": []}
    finally:
        lab.close()


def test_a_pod_that_takes_its_time_to_end_is_told_with_what_it_waits_for() -> None:
    lab = Lab(seed=2)
    try:
        lab.make(pod(rest=SLOW, command=["sh", "-c", "trap '' TERM; sleep 99999"]))
        lab.cluster.run_for(30)
        lab.type("delete pod web --wait=false")
        lab.cluster.run_for(5)
        told = str(kstory.run(lab.cluster, "why", ["not", "pod/web", "deleted"]))
        assert "container main has not ended" in told and "metadata.deletionGracePeriodSeconds: 3600" in told
    finally:
        lab.close()
