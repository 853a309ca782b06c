"""Why a workload is not as large or as new as it should be: paused, refused, or its pods are in trouble themselves.

Interface: `DIAGNOSES`.
Source: `pkg/controller/{deployment,replicaset,statefulset,daemon,job,podautoscaler}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    condition,
    controller_of,
    get_path,
    is_deleting,
    is_true,
    labels_of,
    name_of,
    uid_of,
)
from k8snb.story.rollbacks import REVISION
from k8snb.story.templates import REVISION as HASH
from k8snb.story.templates import is_outdated
from k8snb.story.why import (
    Diagnosis,
    Evidence,
    Finding,
    Scene,
    event_evidence,
    is_command,
    patch,
    seen,
    why,
    word_of,
)
from k8snb.story.why_autoscalers import autoscaler
from k8snb.story.why_refusals import refused

OWNED = {"Deployment": "replicasets"}  # what else is owned than pods
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
SORTS = 5  # sorts of trouble that are looked into
MANAGER = "kube-controller-manager"
CONTROLLERS: Mapping[str, str] = {  # who looks after a kind
    "Deployment": "deployment-controller", "ReplicaSet": "replicaset-controller",
    "ReplicationController": "replication-controller", "StatefulSet": "statefulset-controller",
    "DaemonSet": "daemon-set-controller", "Job": "job-controller",
}  # fmt: skip
UNCOUNTED = ("Job",)  # kinds whose status says nothing of generations


def paused(scene: Scene, obj: Object) -> Iterator[Finding]:
    if get_path(obj, "spec.paused"):
        yield Finding(word_of(obj), "its rollout is paused: a changed template waits", (seen(obj, "spec.paused"),),
                      (f"kubectl rollout resume {word_of(obj)}",))  # fmt: skip
    if get_path(obj, "spec.suspend"):
        yield Finding(word_of(obj), "it is suspended", (seen(obj, "spec.suspend"),),
                      (patch(obj, {"spec": {"suspend": False}}),))  # fmt: skip


def unattended(scene: Scene, obj: Object) -> Iterator[Finding]:
    """Its controller has not looked at what its spec says now."""
    wanted, looked = get_path(obj, "metadata.generation", 1), get_path(obj, "status.observedGeneration", 0)
    back, responsible = scene.backstage, CONTROLLERS.get(obj["kind"], "")
    down = [name for name in (responsible, MANAGER) if name in back.stopped()]
    if looked >= wanted or not (down or back.paused()) or (obj["kind"] in UNCOUNTED and get_path(obj, "status")):
        return
    told = Evidence(f"component {down[0]}", "state", "Stopped") if down else Evidence("cluster", "state", "Paused")
    fact = f"{down[0]} is stopped" if down else "the cluster is paused"
    yield Finding(word_of(obj), f"nobody has looked at it since it was written: {fact}",
                  (told, seen(obj, "metadata.generation", str(wanted)),
                   seen(obj, "status.observedGeneration", str(looked or "none"))),
                  [f"%kcluster component start {name}" for name in down] or ["%kclock run"])  # fmt: skip


def pods_in_trouble(scene: Scene, obj: Object) -> Iterator[Finding]:
    """What is wrong with the first of its pods of each sort that is not ready stands for all."""
    pods = _pods(scene, obj)
    ill = [pod for pod in pods if not is_true(pod, "Ready") and get_path(pod, "status.phase") != "Succeeded"]
    first = {_sort(pod): pod for pod in reversed(ill)}
    told: set[str] = set()
    for pod in list(first.values())[:SORTS]:
        for finding in why(scene, pod):
            if finding.fact not in told:
                told.add(finding.fact)
                are = "is" if len(ill) == 1 else "are"
                many = f"{len(ill)} of its {len(pods)} pods {are} not ready: " if len(pods) > 1 else "its pod: "
                yield replace(finding, word=word_of(obj), fact=f"{many}{finding.fact}")
        if told:
            return


def _sort(pod: Object) -> tuple[str, ...]:
    """What pods in the same trouble have in common."""
    statuses = get_path(pod, "status.containerStatuses") or ()
    reasons = [str(get_path(status, "state.waiting.reason", "")) for status in statuses]
    return (get_path(pod, "status.phase", ""), *reasons)


def late(scene: Scene, obj: Object) -> Iterator[Finding]:
    progress = condition(obj, "Progressing") or {}
    if progress.get("reason") != "ProgressDeadlineExceeded":
        return
    older = [each for each in _owned(scene, obj, "replicasets") if get_path(each, "status.readyReplicas")
             and annotations_of(each).get(REVISION) != annotations_of(obj).get(REVISION)]  # fmt: skip
    back = f"kubectl rollout undo {word_of(obj)}"
    yield Finding(word_of(obj), f"its rollout has made no progress in time: {progress['message']}",
                  (Evidence(word_of(obj), "status.conditions[Progressing]", progress["message"]),),
                  [back] if older else ["no version before it has ready pods: mend what its pods lack"])  # fmt: skip


def job_failed(scene: Scene, obj: Object) -> Iterator[Finding]:
    failed = condition(obj, "Failed") or {}
    if failed.get("status") == "True":
        yield Finding(word_of(obj), f"it has failed: {failed.get('message', '')}",
                      (Evidence(word_of(obj), "status.conditions[Failed]", failed.get("reason", "")),),
                      ("a failed job stays failed: read a pod's log, mend the manifest, delete the job, create it "
                       "again",))  # fmt: skip


# those that are left as they are


def left_behind(scene: Scene, obj: Object) -> Iterator[Finding]:
    """With OnDelete a new template counts for a pod when somebody has deleted the one before."""
    if get_path(obj, "spec.updateStrategy.type") != "OnDelete":
        return
    pods = _pods(scene, obj)
    old = [pod for pod in pods if is_outdated(pod, obj) and not is_deleting(pod)]
    if old:
        are = "is" if len(old) == 1 else "are"
        fact = f"{len(old)} of its {len(pods)} pods {are} of another template than it has now"
        yield Finding(word_of(obj), f"{fact}, and its updateStrategy OnDelete waits until somebody deletes them",
                      [seen(obj, "spec.updateStrategy.type"), *(seen(pod, "metadata.labels", _revision_word(pod))
                                                                for pod in old[:SORTS])],
                      [f"kubectl delete {word_of(old[0])}"])  # fmt: skip


def _revision_word(pod: Object) -> str:
    return f"{HASH}={labels_of(pod).get(HASH, '')}"


def nowhere(scene: Scene, obj: Object) -> Iterator[Finding]:
    """A DaemonSet that no node is meant for."""
    status = obj.get("status") or {}
    if status.get("desiredNumberScheduled", 0) or not status.get("observedGeneration"):
        return
    asked = get_path(obj, "spec.template.spec.nodeSelector") or {}
    wanted = ",".join(f"{key}={value}" for key, value in asked.items()) or "affinity and tolerations"
    nodes = [each for each in scene.items("nodes") if CONTROL_PLANE not in labels_of(each)]
    pairs = wanted.replace(",", " ")
    yield Finding(word_of(obj), f"no node is one that its pods ask for ({wanted}): it runs nowhere",
                  (seen(obj, "spec.template.spec.nodeSelector", wanted),
                   seen(obj, "status.desiredNumberScheduled", "0")),
                  [*(f"kubectl label node {name_of(node)} {pairs} --overwrite" for node in nodes[:1] if asked),
                   f"what keeps it from a node: %kwhy not {word_of(obj)} on NODE"])  # fmt: skip


# what a CronJob makes


def newest_job(scene: Scene, obj: Object) -> Iterator[Finding]:
    """Its newest job stands for all: those before it are history."""
    for job in _jobs(scene, obj)[-1:]:
        for finding in why(scene, job):
            advice = [fix for fix in finding.fixes if not is_command(fix)]
            change = f"mend spec.jobTemplate, kubectl edit {word_of(obj)}: the next job has it"
            yield replace(finding, word=word_of(obj), fact=f"its newest job {name_of(job)}: {finding.fact}",
                          fixes=[change, *advice])  # fmt: skip


def overlapping(scene: Scene, obj: Object) -> Iterator[Finding]:
    """A job that has not ended when the next one was due; told of an earlier one, the event says nothing of this."""
    active = {entry["name"] for entry in get_path(obj, "status.active") or ()}
    for job in [each for each in _jobs(scene, obj) if name_of(each) in active][:1]:
        began = job["metadata"]["creationTimestamp"]
        events = scene.events(obj, "JobAlreadyActive")[:1]
        for event in [each for each in events if (each.get("lastTimestamp") or "") >= began]:
            yield Finding(word_of(obj), f"its job {name_of(job)} has not ended, and with concurrencyPolicy "
                          f"{get_path(obj, 'spec.concurrencyPolicy')} no other starts",
                          (seen(obj, "spec.concurrencyPolicy"), event_evidence(event)),
                          (f"kubectl delete {word_of(job)}", "or give its jobs an activeDeadlineSeconds"))  # fmt: skip


def _jobs(scene: Scene, obj: Object) -> list[Object]:
    """What it has made, the newest last."""
    return sorted(_owned(scene, obj, "jobs"), key=lambda job: str(job["metadata"]["creationTimestamp"]))


def _owned(scene: Scene, obj: Object, resource: str) -> list[Object]:
    if not resource:
        return []
    found = scene.items(resource, obj["metadata"].get("namespace", ""))
    return [each for each in found if (controller_of(each) or {}).get("uid") == uid_of(obj)]


def _pods(scene: Scene, obj: Object) -> list[Object]:
    owners = {uid_of(each) for each in (obj, *_owned(scene, obj, OWNED.get(obj["kind"], "")))}
    pods = scene.items("pods", obj["metadata"].get("namespace", ""))
    return [pod for pod in pods if (controller_of(pod) or {}).get("uid") in owners]


_WORKLOAD = (paused, unattended, refused, pods_in_trouble, late, left_behind)
DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {
    **dict.fromkeys(("Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"), _WORKLOAD),
    "DaemonSet": (*_WORKLOAD, nowhere),
    "Job": (paused, unattended, job_failed, refused, pods_in_trouble),
    "CronJob": (paused, newest_job, overlapping),
    "HorizontalPodAutoscaler": (autoscaler,),
}
