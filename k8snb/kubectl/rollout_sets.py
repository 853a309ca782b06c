"""kubectl rollout of StatefulSets and DaemonSets: their history is kept in ControllerRevisions.

Interface: `revisions`, `number`, `restored`, `undo_patch`; `stateful_set_progress`, `daemon_set_progress`.
The rule not to break: a revision is a patch that holds a pod template; going back is applying it.
Source: `kubectl/pkg/polymorphichelpers/{history,rollback,rollout_status}.go`.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, controller_of, get_path, name_of, namespace_of, uid_of, with_path
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.kubectl.output import KubectlError
from k8snb.kubectl.session import Session

NOT_ROLLING = "error: rollout status is only available for RollingUpdate strategy type"


def revisions(session: Session, obj: Object) -> list[Object]:
    """The ControllerRevisions of a set, by their numbers."""
    selector = str(from_label_selector(get_path(obj, "spec.selector")))
    listed = session.client.items("controllerrevisions", namespace_of(obj), labelSelector=selector)
    mine = (each for each in listed if (controller_of(each) or {}).get("uid") == uid_of(obj))
    return sorted(mine, key=number)


def number(revision: Object) -> int:
    found: int = revision.get("revision", 0)
    return found


def restored(obj: Object, revision: Object) -> Object:
    """The set with the pod template of a revision."""
    template = get_path(revision, "data.spec.template") or {}
    kept = {key: value for key, value in template.items() if key != "$patch"}
    metadata = {key: value for key, value in (template.get("metadata") or {}).items() if value is not None}
    return with_path(obj, "spec.template", {**kept, "metadata": metadata})


def is_present(obj: Object, revision: Object) -> bool:
    """Whether a revision holds the template that the set has."""
    present = get_path(obj, "spec.template") or {}
    return bool(restored(obj, revision)["spec"]["template"] == {**present, "metadata": present.get("metadata") or {}})


def _check_strategy(obj: Object) -> None:
    if get_path(obj, "spec.updateStrategy.type", "RollingUpdate") != "RollingUpdate":
        raise KubectlError(NOT_ROLLING)


def stateful_set_progress(obj: Object) -> tuple[str, bool]:
    """The line to print, and whether the rollout is over. Raises KubectlError for OnDelete."""
    _check_strategy(obj)
    state, replicas = obj.get("status") or {}, get_path(obj, "spec.replicas", 1)
    observed, updated = state.get("observedGeneration", 0), state.get("updatedReplicas", 0)
    if not observed or get_path(obj, "metadata.generation", 0) > observed:
        return "Waiting for statefulset spec update to be observed...", False
    ready = state.get("readyReplicas", 0)
    if ready < replicas:
        return f"Waiting for {replicas - ready} pods to be ready...", False
    rolling = get_path(obj, "spec.updateStrategy.rollingUpdate")
    if rolling is not None:
        return _partitioned(updated, replicas - rolling.get("partition", 0))
    revision = state.get("updateRevision", "")
    if revision != state.get("currentRevision", ""):
        words = "waiting for statefulset rolling update to complete"
        return f"{words} {updated} pods at revision {revision}...", False
    current = state.get("currentReplicas", 0)
    return f"statefulset rolling update complete {current} pods at revision {revision}...", True


def _partitioned(updated: int, wanted: int) -> tuple[str, bool]:
    if updated < wanted:
        start = "Waiting for partitioned roll out to finish"
        return f"{start}: {updated} out of {wanted} new pods have been updated...", False
    return f"partitioned roll out complete: {updated} new pods have been updated...", True


def daemon_set_progress(obj: Object) -> tuple[str, bool]:
    """The line to print, and whether the rollout is over. Raises KubectlError for OnDelete."""
    _check_strategy(obj)
    state = obj.get("status") or {}
    if get_path(obj, "metadata.generation", 0) > state.get("observedGeneration", 0):
        return "Waiting for daemon set spec update to be observed...", False
    start = f'Waiting for daemon set "{name_of(obj)}" rollout to finish: '
    wanted, updated = state.get("desiredNumberScheduled", 0), state.get("updatedNumberScheduled", 0)
    if updated < wanted:
        return f"{start}{updated} out of {wanted} new pods have been updated...", False
    available = state.get("numberAvailable", 0)
    if available < wanted:
        return f"{start}{available} of {wanted} updated pods are available...", False
    return f'daemon set "{name_of(obj)}" successfully rolled out', True
