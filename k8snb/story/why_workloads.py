"""Why a workload is not as large or as new as it should be: paused, refused, or its pods are in trouble themselves.

Interface: `DIAGNOSES`.
Source: `pkg/controller/{deployment,replicaset,statefulset,daemon,job,podautoscaler}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from k8snb.apimachinery.meta import Object, condition, controller_of, get_path, is_true, uid_of
from k8snb.story.why import Diagnosis, Evidence, Finding, Scene, event_evidence, field, why, word_of

OWNED = {"Deployment": "replicasets", "CronJob": "jobs"}  # what else is owned than pods
WANTED = {"Job": "spec.parallelism"}


def paused(scene: Scene, obj: Object) -> Iterator[Finding]:
    if get_path(obj, "spec.paused"):
        yield Finding(word_of(obj), "its rollout is paused: a changed template waits", (field(obj, "spec.paused"),),
                      (f"kubectl rollout resume {word_of(obj)}",))  # fmt: skip
    if get_path(obj, "spec.suspend"):
        patch = '-p \'{"spec":{"suspend":false}}\''
        yield Finding(word_of(obj), "it is suspended", (field(obj, "spec.suspend"),),
                      (f"kubectl patch {word_of(obj)} {patch}",))  # fmt: skip


def refused(scene: Scene, obj: Object) -> Iterator[Finding]:
    """The apiserver does not take its pods: a quota, a policy, an account that is not there."""
    for each in (obj, *_owned(scene, obj, OWNED.get(obj["kind"], ""))):
        failure = condition(each, "ReplicaFailure")
        if failure is None or failure.get("status") != "True" or (each is obj and obj["kind"] == "Deployment"):
            continue
        events = scene.events(each, "FailedCreate")[:1]
        yield Finding(
            word_of(obj), f"its pods are refused: {failure['message']}",
            (Evidence(word_of(each), "status.conditions[ReplicaFailure]", failure["message"]),
             *map(event_evidence, events)),
            _about_refusal(failure["message"]),
        )  # fmt: skip


def _about_refusal(message: str) -> tuple[str, ...]:
    if "exceeded quota" in message:
        return ("kubectl describe resourcequota: raise it, ask for less, or delete what is not needed",)
    if "serviceaccount" in message:
        return ("kubectl create serviceaccount NAME, or another spec.template.spec.serviceAccountName",)
    return ("change the template as the message says, or the policy that refuses it",)


def pods_in_trouble(scene: Scene, obj: Object) -> Iterator[Finding]:
    """What is wrong with the first of its pods that is not ready stands for all."""
    pods = _pods(scene, obj)
    ill = [pod for pod in pods if not is_true(pod, "Ready") and get_path(pod, "status.phase") != "Succeeded"]
    told: set[str] = set()
    for pod in ill:
        for finding in why(scene, pod):
            if finding.fact not in told:
                told.add(finding.fact)
                many = f"{len(ill)} of its {len(pods)} pods are not ready: " if len(pods) > 1 else "its pod: "
                yield Finding(word_of(obj), f"{many}{finding.fact}", finding.evidence, finding.fixes, finding.nodes)
        if told:
            return


def late(scene: Scene, obj: Object) -> Iterator[Finding]:
    progress = condition(obj, "Progressing") or {}
    if progress.get("reason") == "ProgressDeadlineExceeded":
        yield Finding(word_of(obj), f"its rollout has made no progress in time: {progress['message']}",
                      (Evidence(word_of(obj), "status.conditions[Progressing]", progress["message"]),),
                      (f"kubectl rollout undo {word_of(obj)} goes back to the version before",))  # fmt: skip


def autoscaler(scene: Scene, obj: Object) -> Iterator[Finding]:
    """An autoscaler says itself what it lacks."""
    for sort in ("AbleToScale", "ScalingActive"):
        entry = condition(obj, sort) or {}
        if entry.get("status") == "False":
            yield Finding(word_of(obj), f"it does nothing: {entry['message']}",
                          (Evidence(word_of(obj), f"status.conditions[{sort}]", entry["reason"]),),
                          _about_metrics(entry["message"]))  # fmt: skip
    limited = condition(obj, "ScalingLimited") or {}
    if limited.get("status") == "True" and limited.get("reason") in ("TooManyReplicas", "TooFewReplicas"):
        bound = "maxReplicas" if limited["reason"] == "TooManyReplicas" else "minReplicas"
        yield Finding(word_of(obj), f"it would go further, but for spec.{bound}: {limited['message']}",
                      (field(obj, f"spec.{bound}"),), (f"kubectl patch {word_of(obj)}: spec.{bound}",))  # fmt: skip


def _about_metrics(message: str) -> tuple[str, ...]:
    if "missing request" in message:
        return ("give the containers requests: kubectl set resources deployment/NAME --requests=cpu=100m",)
    if "not found" in message:
        return ("make what spec.scaleTargetRef names, or name another",)
    return ("%kcluster addons enable metrics-server, and give it half a minute",)


def job_failed(scene: Scene, obj: Object) -> Iterator[Finding]:
    failed = condition(obj, "Failed") or {}
    if failed.get("status") == "True":
        yield Finding(word_of(obj), f"it has failed: {failed.get('message', '')}",
                      (Evidence(word_of(obj), "status.conditions[Failed]", failed.get("reason", "")),),
                      ("read a pod's log, mend it, and create the job again: a failed one stays failed",))  # fmt: skip


def _owned(scene: Scene, obj: Object, resource: str) -> list[Object]:
    if not resource:
        return []
    found = scene.items(resource, obj["metadata"].get("namespace", ""))
    return [each for each in found if (controller_of(each) or {}).get("uid") == uid_of(obj)]


def _pods(scene: Scene, obj: Object) -> list[Object]:
    owners = {uid_of(each) for each in (obj, *_owned(scene, obj, OWNED.get(obj["kind"], "")))}
    pods = scene.items("pods", obj["metadata"].get("namespace", ""))
    return [pod for pod in pods if (controller_of(pod) or {}).get("uid") in owners]


_WORKLOAD = (paused, refused, pods_in_trouble, late)
DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {
    **dict.fromkeys(("Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet"), _WORKLOAD),
    "Job": (paused, job_failed, pods_in_trouble),
    "CronJob": (paused,),
    "HorizontalPodAutoscaler": (autoscaler,),
}
