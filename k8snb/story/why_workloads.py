"""Why a workload is not as large or as new as it should be: paused, refused, or its pods are in trouble themselves.

Interface: `DIAGNOSES`.
Source: `pkg/controller/{deployment,replicaset,statefulset,daemon,job,podautoscaler}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from k8snb.apimachinery.meta import Object, annotations_of, condition, controller_of, get_path, is_true, uid_of
from k8snb.story.rollbacks import REVISION
from k8snb.story.why import Diagnosis, Evidence, Finding, Scene, patch, seen, why, word_of
from k8snb.story.why_autoscalers import autoscaler
from k8snb.story.why_refusals import refused

OWNED = {"Deployment": "replicasets", "CronJob": "jobs"}  # what else is owned than pods
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


def _owned(scene: Scene, obj: Object, resource: str) -> list[Object]:
    if not resource:
        return []
    found = scene.items(resource, obj["metadata"].get("namespace", ""))
    return [each for each in found if (controller_of(each) or {}).get("uid") == uid_of(obj)]


def _pods(scene: Scene, obj: Object) -> list[Object]:
    owners = {uid_of(each) for each in (obj, *_owned(scene, obj, OWNED.get(obj["kind"], "")))}
    pods = scene.items("pods", obj["metadata"].get("namespace", ""))
    return [pod for pod in pods if (controller_of(pod) or {}).get("uid") in owners]


_WORKLOAD = (paused, unattended, refused, pods_in_trouble, late)
DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {
    **dict.fromkeys(("Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet"), _WORKLOAD),
    "Job": (paused, unattended, job_failed, refused, pods_in_trouble),
    "CronJob": (paused,),
    "HorizontalPodAutoscaler": (autoscaler,),
}
