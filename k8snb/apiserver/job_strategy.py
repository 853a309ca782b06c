"""kube-apiserver's strategy for Jobs: the selector that the server writes, and who goes with a deleted Job.

Interface: `with_selector(job)`; `ORPHANS`, what a client is told that deletes a Job and says nothing of its pods.
The rule not to break: a Job finds its own pods and no other's: the selector names its uid.
Source: `pkg/registry/batch/job/strategy.go`, `pkg/registry/batch/job/storage/storage.go`.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path, name_of, uid_of, with_path

CONTROLLER_UID, JOB_NAME = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
LEGACY_CONTROLLER_UID, LEGACY_JOB_NAME = "controller-uid", "job-name"
ORPHANS = ("child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them "
           "or set propagationPolicy=Orphan to suppress this warning")  # fmt: skip


def with_selector(job: Object) -> Object:
    """The Job with labels in its template that only its pods have, and a selector for them; it has its uid and name.

    What the author wrote stays; validation refuses what does not fit. A Job that took its labels over from its
    template takes these over too.
    """
    if job["spec"].get("manualSelector"):
        return job
    old = get_path(job, "spec.template.metadata.labels") or {}
    uids = dict.fromkeys((LEGACY_CONTROLLER_UID, CONTROLLER_UID), uid_of(job))
    labels = {**dict.fromkeys((LEGACY_JOB_NAME, JOB_NAME), name_of(job)), **uids, **old}
    own = job["metadata"].get("labels")
    complete = with_path(job, "spec.template.metadata.labels", labels)
    if not own or own is old:
        complete = with_path(complete, "metadata.labels", labels)
    selector = job["spec"].get("selector") or {}
    matched = {CONTROLLER_UID: uid_of(job), **(selector.get("matchLabels") or {})}
    return with_path(complete, "spec.selector", {**selector, "matchLabels": matched})
