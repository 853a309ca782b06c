"""What `kubectl rollout` says: how far a Deployment is, and what a revision's template holds.

Interface: `progress(deployment)`, `columns`, `template(templated, revision)`, `preview(templated)`.
The rule not to break: pure; a Deployment is judged by its own status alone.
Source: `kubectl/pkg/polymorphichelpers/rollout_status.go`, `history.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from k8snb.apimachinery.meta import Object, annotations_of, condition, get_path, name_of
from k8snb.kubectl import describe_pod
from k8snb.kubectl.describe_page import Page, annotation_lines, labels_lines
from k8snb.kubectl.output import KubectlError
from k8snb.printers.tabwriter import align

CHANGE_CAUSE = "kubernetes.io/change-cause"


def progress(deployment: Object, wanted: int = 0, revision: int = 0) -> tuple[str, bool]:
    """The line to print, and whether the rollout is over. Raises KubectlError when it has failed."""
    name, state = name_of(deployment), deployment.get("status") or {}
    if wanted and wanted != revision:
        raise KubectlError(f"error: desired revision ({wanted}) is different from the running revision ({revision})")
    if get_path(deployment, "metadata.generation", 0) > state.get("observedGeneration", 0):
        return "Waiting for deployment spec update to be observed...", False
    progressing = condition(deployment, "Progressing") or {}
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        raise KubectlError(f'error: deployment "{name}" exceeded its progress deadline')
    start = f'Waiting for deployment "{name}" rollout to finish: '
    replicas, updated = get_path(deployment, "spec.replicas", 1), state.get("updatedReplicas", 0)
    if updated < replicas:
        return f"{start}{updated} out of {replicas} new replicas have been updated...", False
    if state.get("replicas", 0) > updated:
        return f"{start}{state['replicas'] - updated} old replicas are pending termination...", False
    if state.get("availableReplicas", 0) < updated:
        return f"{start}{state.get('availableReplicas', 0)} of {updated} updated replicas are available...", False
    return f'deployment "{name}" successfully rolled out', True


def columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A small table, two spaces between columns."""
    return align("\n".join("\t".join(row) for row in [head, *rows])) + "\n"


def template(templated: Object, revision: Object) -> str:
    """A revision's pod template, as `rollout history --revision` shows it; a ReplicaSet's change cause is told too."""
    cause = annotations_of(revision).get(CHANGE_CAUSE) if templated is revision else None
    return _page(templated, {CHANGE_CAUSE: cause} if cause else {}).text


def preview(templated: Object) -> str:
    """The same as `rollout undo --dry-run=client` shows it, whose tabs kubectl leaves as they are."""
    return _page(templated, {}).raw


def _page(templated: Object, more: Mapping[str, str]) -> Page:
    page = Page()
    body = get_path(templated, "spec.template", {})
    metadata, spec = body.get("metadata") or {}, body.get("spec") or {}
    page.line(0, "Pod Template:")
    page.lines(1, "Labels", labels_lines(metadata.get("labels")))
    annotations = {**(metadata.get("annotations") or {}), **more}
    if annotations:
        page.lines(1, "Annotations", annotation_lines(annotations))
    if spec.get("initContainers"):
        describe_pod.containers(page, "Init Containers", spec["initContainers"], None, "  ")
    describe_pod.containers(page, "Containers", spec.get("containers") or (), None, "  ")
    describe_pod.volumes(page, spec.get("volumes") or (), "  ")
    describe_pod.scheduling(page, spec, "  ")
    return page
