"""kubectl's pods: which pod `exec`, `attach`, `cp` and `port-forward` speak to.

Interface: `attachable(session, args, word)` finds it, `unfinished` refuses one that has ended, `container_of` the
container; `RUNNING_TIMEOUT` is the flag that says how long to wait for a pod.
The rule not to break: a pod that is named is the pod that is taken; only of a workload's pods is one chosen.
Source: `kubectl/pkg/polymorphichelpers/{attachablepodforobject,helpers}.go`.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path
from k8snb.kubectl.grammar import DURATION, Arguments, Flag
from k8snb.kubectl.logs import pods_of
from k8snb.kubectl.output import KubectlError
from k8snb.kubectl.resources import Found, one
from k8snb.kubectl.session import Session

RUNNING_TIMEOUT = Flag("pod-running-timeout", DURATION, "How long to wait for a pod of a workload: 5s, 2m, 3h.",
                       default=60.0)  # fmt: skip
_FINISHED = ("Succeeded", "Failed")
_SELECTING = ("ReplicationController", "ReplicaSet", "StatefulSet", "DaemonSet", "Deployment", "Job", "Service")


def attachable(session: Session, args: Arguments, found: Found) -> Object:
    """The pod itself, or the best one of those that a workload or Service selects."""
    if found.kind.kind == "Pod":
        return found.object
    _must_select(found)
    pods: list[Object] = []

    def there() -> bool:
        pods[:] = pods_of(session, found)
        return bool(pods)

    if not there() and not session.wait(there, args.seconds(RUNNING_TIMEOUT.name)):
        raise KubectlError("error: timed out waiting for the condition")
    return pods[0]


def _must_select(found: Found) -> None:
    shown = f"*{found.kind.version}.{found.kind.kind}"
    if found.kind.kind not in _SELECTING:
        raise KubectlError(f"error: cannot attach to {shown}: selector for {shown} not implemented")
    if not get_path(found.object, "spec.selector"):
        why = f"invalid service '{found.name}': Service is defined without a selector"
        raise KubectlError(f"error: cannot attach to {shown}: {why}")


def named(session: Session, args: Arguments, word: str) -> Object:
    """The pod behind a bare name or `type/name`."""
    return attachable(session, args, one(session, args, word))


def unfinished(pod: Object, doing: str) -> Object:
    """The same pod. Raises KubectlError for one whose containers have all ended; `doing` as in `exec into`."""
    phase = get_path(pod, "status.phase")
    if phase in _FINISHED:
        raise KubectlError(f"error: cannot {doing} a container in a completed pod; current phase is {phase}")
    return pod


def container_of(pod: Object, name: str) -> Object | None:
    """The container of this name, of whatever sort."""
    fields = ("containers", "initContainers", "ephemeralContainers")
    found = (entry for field in fields for entry in pod["spec"].get(field) or ())
    return next((entry for entry in found if entry["name"] == name), None)
